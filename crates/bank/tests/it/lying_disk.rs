//! Disks that fail, fill up or lie while a release is installed.

use std::io;

use lifeboat_bank::install::verify_bank;
use lifeboat_bank::record::read_record;
use lifeboat_model::io::{ReadAt, WriteAt};
use lifeboat_model::{Bank, BankState};

use crate::fixture::{Release, provisioned};

/// What the disk does wrong at one operation.
#[derive(Debug, Clone, Copy)]
enum Lie {
    FlipByte,
    Nulls,
    Drop,
    Misplace,
    Fail,
    Short,
    FlushFails,
}

struct LyingDisk {
    bytes: Vec<u8>,
    lie: Lie,
    /// The write (or flush) at which it lies, counted from 0.
    at: usize,
    writes: usize,
    flushes: usize,
    lied: bool,
}

impl ReadAt for LyingDisk {
    fn size(&self) -> u64 {
        self.bytes.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.bytes.read_at(offset, buf)
    }
}

impl WriteAt for LyingDisk {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        let now = self.writes == self.at && !matches!(self.lie, Lie::FlushFails);
        self.writes += 1;
        if !now {
            return self.bytes.write_at(offset, data);
        }
        let mut wrong = data.to_vec();
        let before = self.bytes.clone();
        let result = match self.lie {
            Lie::FlipByte => {
                wrong[data.len() / 3] ^= 0x10;
                self.bytes.write_at(offset, &wrong)
            }
            Lie::Nulls => {
                wrong.fill(0);
                self.bytes.write_at(offset, &wrong)
            }
            Lie::Drop | Lie::FlushFails => Ok(()),
            Lie::Misplace => self.bytes.write_at(offset ^ 0x8_0000, data),
            Lie::Fail => Err(io::Error::other("medium error")),
            Lie::Short => {
                self.bytes.write_at(offset, &wrong[..data.len() / 2])?;
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
        };
        self.lied = result.is_err() || self.bytes[range(offset, data)] != *data;
        if matches!(self.lie, Lie::Misplace) && before == self.bytes {
            self.lied = false;
        }
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        let now = self.flushes == self.at && matches!(self.lie, Lie::FlushFails);
        self.flushes += 1;
        if now {
            self.lied = true;
            return Err(io::Error::other("flush failed"));
        }
        Ok(())
    }
}

fn range(offset: u64, data: &[u8]) -> std::ops::Range<usize> {
    let start = usize::try_from(offset).unwrap();
    start..start + data.len()
}

#[test]
fn whatever_a_disk_does_wrong_at_any_write_is_noticed_and_nothing_unread_is_called_upgraded() {
    let (start, layout) = provisioned();
    let release = Release::new(2);
    let mut counted = LyingDisk {
        bytes: start.clone(),
        lie: Lie::Fail,
        at: usize::MAX,
        writes: 0,
        flushes: 0,
        lied: false,
    };
    release.install(&mut counted, &layout, Bank::B).unwrap();
    let (writes, flushes) = (counted.writes, counted.flushes);

    let (mut lies, mut noticed) = (0, 0);
    let kinds = [Lie::FlipByte, Lie::Nulls, Lie::Drop, Lie::Misplace, Lie::Fail, Lie::Short, Lie::FlushFails];
    for lie in kinds {
        let operations = if matches!(lie, Lie::FlushFails) { flushes } else { writes };
        for at in 0..operations {
            let mut disk = LyingDisk { bytes: start.clone(), lie, at, writes: 0, flushes: 0, lied: false };
            let result = release.install(&mut disk, &layout, Bank::B);
            if !disk.lied {
                // What was dropped or zeroed was there before, as the zeros of a boot sector.
                result.unwrap();
                continue;
            }
            lies += 1;
            let read = read_record(&disk.bytes, &layout);
            let context = format!("{lie:?} at operation {at} of {operations}");
            // A write that strays may hit anything; all that can be asked then is that it is not believed.
            let record = match read {
                Ok(read) => read.record,
                Err(error) => panic!("{context}: {error}"),
            };
            let state = record.bank(Bank::B).state;
            if state == BankState::Upgraded {
                assert!(verify_bank(&disk.bytes, &layout, Some(&record), Bank::B).is_whole(), "{context}");
            } else {
                assert!(matches!(state, BankState::Invalid | BankState::Empty), "{context}: {state}");
            }
            if result.is_err() {
                noticed += 1;
            } else {
                // The bytes that were wrong for a moment were written again later, as the cleared boot sector is.
                assert!(verify_bank(&disk.bytes, &layout, Some(&record), Bank::B).is_whole(), "{context}");
            }
        }
    }
    println!("{lies} lies at {writes} writes and {flushes} flushes; {noticed} ended the install");
    assert!(lies > 5 * writes && noticed * 10 > lies * 8, "the disk did not lie: {lies}, {noticed}");
}

#[test]
fn a_disk_that_is_full_at_any_byte_leaves_the_bank_invalid() {
    struct FullDisk(Vec<u8>, u64);
    impl ReadAt for FullDisk {
        fn size(&self) -> u64 {
            self.0.size()
        }
        fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
            self.0.read_at(offset, buf)
        }
    }
    impl WriteAt for FullDisk {
        fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
            let room = self.1.min(data.len() as u64);
            self.1 -= room;
            self.0.write_at(offset, &data[..usize::try_from(room).unwrap()])?;
            if room < data.len() as u64 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (start, layout) = provisioned();
    let release = Release::new(2);
    let total = release.install(&mut start.clone(), &layout, Bank::B).unwrap().written;
    for room in [0, 100, 4096, 8192, 9216, 1 << 20, 3 << 20, total, total + 8192, total + 12_288] {
        let mut disk = FullDisk(start.clone(), room);
        release.install(&mut disk, &layout, Bank::B).unwrap_err();
        let record = read_record(&disk.0, &layout).unwrap().record;
        assert!(matches!(record.bank(Bank::B).state, BankState::Invalid | BankState::Empty) || room > total);
        assert_eq!(record.bank(Bank::A).state, BankState::Good);
    }
    release.install(&mut FullDisk(start.clone(), total + 16_384), &layout, Bank::B).unwrap();
}

/// A disk behind a cache: a write spoils the medium, and the cache shows what should be there until it is dropped.
struct CachedDisk {
    cache: Vec<u8>,
    medium: Vec<u8>,
    spoil_at: usize,
    writes: usize,
}

impl ReadAt for CachedDisk {
    fn size(&self) -> u64 {
        self.cache.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.cache.read_at(offset, buf)
    }
}

impl WriteAt for CachedDisk {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.cache.write_at(offset, data)?;
        let mut medium = data.to_vec();
        if self.writes == self.spoil_at {
            medium[data.len() / 2] ^= 1;
        }
        self.writes += 1;
        self.medium.write_at(offset, &medium)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn drop_cache(&mut self, offset: u64, len: u64) -> io::Result<()> {
        let range = usize::try_from(offset).unwrap()..usize::try_from(offset + len).unwrap();
        self.cache[range.clone()].copy_from_slice(&self.medium[range]);
        Ok(())
    }
}

#[test]
fn what_is_read_back_comes_from_the_medium_and_not_from_a_cache() {
    let (start, layout) = provisioned();
    let release = Release::new(2);
    let on = |spoil_at| CachedDisk { cache: start.clone(), medium: start.clone(), spoil_at, writes: 0 };
    let mut good = on(usize::MAX);
    release.install(&mut good, &layout, Bank::B).unwrap();
    let mut spoilt = 0;
    for at in 0..good.writes {
        let mut disk = on(at);
        let result = release.install(&mut disk, &layout, Bank::B);
        let record = read_record(&disk.medium, &layout).unwrap().record;
        if result.is_ok() {
            // A spoilt sector that is written again later, as the cleared boot sector is, does no harm.
            assert!(verify_bank(&disk.medium, &layout, Some(&record), Bank::B).is_whole(), "write {at}");
        } else {
            spoilt += 1;
        }
        let whole = verify_bank(&disk.medium, &layout, Some(&record), Bank::B).is_whole();
        assert!(record.bank(Bank::B).state != BankState::Upgraded || whole, "write {at}");
    }
    println!("{spoilt} of {} spoilt writes ended the install", good.writes);
    assert!(spoilt + 3 >= good.writes, "only {spoilt} of {}", good.writes);
}
