//! Volumes of any bytes: no panic, bounded work, and never a wrong file that is called whole.

use lifeboat_bank::fat::{BankFormat, FatSeverity, clear_dirty, examine, remove, restore_first_fat};
use lifeboat_model::io::{ReadAt, WriteAt};
use proptest::prelude::*;
use std::cell::Cell;
use std::io;

use crate::fat_bank::{BANK, BASE, Bank};
use crate::fixture::noise;

/// Counts what is read.
struct Counting<'a> {
    bytes: &'a [u8],
    /// What it says its size is.
    size: u64,
    read: Cell<u64>,
}

impl ReadAt for Counting<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.read.set(self.read.get() + buf.len() as u64);
        if offset + buf.len() as u64 > self.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buf.fill(0);
        let from = self.bytes.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or(&[]);
        let len = from.len().min(buf.len());
        buf[..len].copy_from_slice(&from[..len]);
        Ok(())
    }
}

/// Everything that reads a volume, on any bytes.
fn all(disk: &dyn ReadAt, base: u64, len: u64) {
    let report = examine(disk, base, len);
    assert!(report.findings.len() < 20_000);
    assert!(report.kind.is_some() || report.worst() == Some(FatSeverity::Unreadable));
    let _ = clear_dirty(disk, base, len);
    let _ = restore_first_fat(disk, base, len);
    let paths: Vec<String> = report.nodes.iter().take(5).map(|node| node.path.clone()).collect();
    let _ = remove(disk, base, len, &paths);
    let _ = BankFormat::like(disk, base, len);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bytes_in_one_table_never_make_a_wrong_file_whole(
        second in any::<bool>(),
        hurts in prop::collection::vec((0_u64..26_000, any::<u8>()), 1..60),
    ) {
        let mut bank = Bank::new();
        let table = bank.fat_at(u64::from(second));
        for (at, value) in hurts {
            bank.put(table + at, &[value]);
        }
        // Asserts that whole means right.
        bank.right_files(&bank.examine());
    }

    #[test]
    fn flipped_bytes_anywhere_are_answered_and_whole_files_can_be_read(
        hurts in prop::collection::vec((prop_oneof![8 => 1024_u64..160_000, 2 => 500_u64..40_000], any::<u8>()), 1..40),
    ) {
        let mut bank = Bank::new();
        for (at, value) in hurts {
            bank.put(at, &[value]);
        }
        let report = bank.examine();
        if report.reserved_sectors == 2 {
            for node in report.nodes.iter().filter(|node| node.whole && !node.is_dir) {
                let read = bank.read_by_first_fat(node.cluster, node.len);
                prop_assert_eq!(read.len() as u64, node.len);
            }
        }
        all(&bank.disk, BASE, BANK);
    }

    #[test]
    fn boot_sectors_of_any_fields_are_bounded(
        hurts in prop::collection::vec((11_u64..64, any::<u8>()), 1..20),
        size in prop_oneof![Just(1_u64 << 20), Just(1 << 40), Just(u64::MAX / 2)],
    ) {
        let mut bank = Bank::new();
        for (at, value) in hurts {
            bank.put(at, &[value]);
        }
        let volume = bank.volume()[..400_000].to_vec();
        let disk = Counting { bytes: &volume, size, read: Cell::new(0) };
        examine(&disk, 0, size);
        // Two FATs of 64 MiB, the second twice at most, and 128 MiB of directories for each.
        prop_assert!(disk.read.get() <= 512 << 20, "{} bytes were read", disk.read.get());
    }

    #[test]
    fn noise_of_any_length_is_answered(seed in any::<u64>(), len in 0_usize..200_000, boot in any::<bool>()) {
        let mut bytes = noise(seed, len);
        if boot {
            let volume = Bank::new();
            let head = volume.volume()[..512.min(len)].to_vec();
            bytes.write_at(0, &head).unwrap();
        }
        all(&bytes, 0, len as u64);
        all(&bytes, 7, BANK);
        all(&bytes, u64::MAX - 3, u64::MAX);
    }
}

#[test]
fn a_volume_cut_at_any_sector_is_answered() {
    let bank = Bank::new();
    let end = bank.cluster_at(2) + 4096;
    for len in (0..end).step_by(512).chain([1, 11, 510, 513]) {
        let cut = &bank.volume()[..len as usize];
        all(&cut, 0, BANK);
        all(&cut, 0, len);
    }
}

#[test]
fn tables_full_of_loops_end() {
    for value in [2_u16, 3, 0x1234, 0xfff7] {
        let mut bank = Bank::new();
        let at = bank.fat_at(0) + 4;
        let loops: Vec<u8> = (0..38_000).flat_map(|_| value.to_le_bytes()).collect();
        bank.put(at, &loops);
        bank.put(bank.fat_at(1) + 4, &loops);
        let report = bank.examine();
        assert!(!report.is_sound());
        assert!(bank.right_files(&report) <= 3);
    }
}
