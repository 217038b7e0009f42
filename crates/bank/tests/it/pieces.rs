//! Installs of a root image that comes in pieces, in any order.
#![expect(
    clippy::items_after_statements,
    reason = "a source that misbehaves stands in the test that needs it"
)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use lifeboat_bank::install::{InstallError, install_from, read_root_index, verify_bank};
use lifeboat_bank::layout::Layout;
use lifeboat_bank::record::read_record;
use lifeboat_model::image::{ImageSource, ImageTarget};
use lifeboat_model::io::WriteAt;
use lifeboat_model::{Bank, BankState};

use crate::fault_disk::{Kind, Log, RecordingDisk, each_cut};
use crate::fixture::{Release, noise, provisioned};
use crate::power_cut::old_bank_stands;

const PIECE: usize = 192 * 1024;

/// Writes from the end to the beginning, and what is there already not at all if it may.
struct Backwards<'a> {
    image: &'a [u8],
    index: Option<Vec<u8>>,
    resumed: Vec<bool>,
    skipped: usize,
}

impl<'a> Backwards<'a> {
    fn new(image: &'a [u8]) -> Self {
        Self { image, index: None, resumed: Vec::new(), skipped: 0 }
    }
}

impl ImageSource for Backwards<'_> {
    fn write_to(&mut self, target: &mut dyn ImageTarget, resume: bool) -> io::Result<()> {
        self.resumed.push(resume);
        let pieces: Vec<_> = self.image.chunks(PIECE).enumerate().collect();
        for (number, piece) in pieces.into_iter().rev() {
            let at = (number * PIECE) as u64;
            let mut there = vec![0; piece.len()];
            target.read_at(at, &mut there)?;
            if resume && there == piece {
                self.skipped += 1;
            } else {
                target.write_at(at, piece)?;
            }
        }
        Ok(())
    }

    fn compare(&mut self, target: &mut dyn ImageTarget) -> io::Result<Option<String>> {
        let mut there = vec![0; self.image.len()];
        target.read_at(0, &mut there)?;
        target.reached(self.image.len() as u64);
        let first = self.image.iter().zip(&there).position(|(wanted, seen)| wanted != seen);
        Ok(first.map(|first| format!("at byte {first}")))
    }

    fn index(&self) -> Option<Vec<u8>> {
        self.index.clone()
    }
}

fn install(
    disk: &mut dyn WriteAt,
    layout: &Layout,
    release: &Release,
    source: &mut dyn ImageSource,
) -> Result<(), InstallError> {
    install_from(disk, layout, &release.request(Bank::B), source, &mut |_, done, all| assert!(done <= all))
        .map(|_| ())
}

#[test]
fn pieces_in_any_order_make_a_whole_bank_and_the_index_is_kept_beside_it() {
    let (mut disk, layout) = provisioned();
    let release = Release::new(2);
    let mut source = Backwards::new(&release.root);
    source.index = Some(noise(9, 10_000));
    install(&mut disk, &layout, &release, &mut source).unwrap();
    assert_eq!(source.resumed, [false]);
    let record = read_record(&disk, &layout).unwrap().record;
    assert_eq!(record.bank(Bank::B).state, BankState::Upgraded);
    assert!(verify_bank(&disk, &layout, Some(&record), Bank::B).is_whole());
    assert_eq!(read_root_index(&disk, &layout, Bank::B), Some(noise(9, 10_000)));
    assert_eq!(read_root_index(&disk, &layout, Bank::A), None);
}

#[test]
fn an_index_without_room_is_left_out_and_the_release_installed() {
    let (mut disk, layout) = provisioned();
    let release = Release::new(2);
    let mut source = Backwards::new(&release.root);
    source.index = Some(noise(9, 5 << 20));
    install(&mut disk, &layout, &release, &mut source).unwrap();
    assert_eq!(read_root_index(&disk, &layout, Bank::B), None);
    assert!(verify_bank(&disk, &layout, None, Bank::B).is_whole());
}

#[test]
fn a_power_cut_at_any_write_of_pieces_leaves_the_old_bank_and_the_install_can_be_continued() {
    let (start, layout) = provisioned();
    let release = Release::new(2);
    let log: Log = Rc::new(RefCell::new(Vec::new()));
    let mut disk = RecordingDisk { bytes: start.clone(), log: log.clone() };
    install(&mut disk, &layout, &release, &mut Backwards::new(&release.root)).unwrap();
    let events = log.borrow().clone();
    let mut kinds: BTreeMap<Kind, usize> = BTreeMap::new();
    let (mut states, mut skipped) = (Vec::new(), 0);
    let cuts = each_cut(&start, Bank::A, &events, &mut |cut, variables, kind, _| {
        *kinds.entry(kind).or_default() += 1;
        old_bank_stands(cut, variables, &layout, Bank::A, &mut states);
        if kind != Kind::InOrder {
            return;
        }
        let mut bytes = cut.settle();
        let begun = read_record(&bytes, &layout).unwrap().record.bank(Bank::B).state == BankState::Invalid;
        let mut again = Backwards::new(&release.root);
        install(&mut bytes, &layout, &release, &mut again).unwrap();
        assert_eq!(again.resumed, [begun]);
        skipped += again.skipped;
        let record = read_record(&bytes, &layout).unwrap().record;
        assert!(verify_bank(&bytes, &layout, Some(&record), Bank::B).is_whole());
    });
    println!("{cuts} cuts: {kinds:?}; {skipped} pieces were there already");
    assert_eq!(states, [BankState::Empty, BankState::Invalid, BankState::Upgraded]);
    assert!(cuts > 100 && skipped > 100);
}

#[test]
fn another_release_is_not_continued_from_what_an_earlier_one_left() {
    let (mut disk, layout) = provisioned();
    let (second, third) = (Release::new(2), Release::new(3));
    struct Stops;
    impl ImageSource for Stops {
        fn write_to(&mut self, _: &mut dyn ImageTarget, _: bool) -> io::Result<()> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
        fn compare(&mut self, _: &mut dyn ImageTarget) -> io::Result<Option<String>> {
            unreachable!("nothing was written")
        }
    }
    let error = install(&mut disk, &layout, &second, &mut Stops).unwrap_err();
    assert!(matches!(error, InstallError::Source { .. }), "{error}");
    let mut source = Backwards::new(&third.root);
    install(&mut disk, &layout, &third, &mut source).unwrap();
    assert_eq!(source.resumed, [false]);
}

#[test]
fn a_piece_that_reads_back_differently_leaves_the_bank_invalid() {
    let (mut disk, layout) = provisioned();
    let release = Release::new(2);
    struct Sloppy<'a>(Backwards<'a>);
    impl ImageSource for Sloppy<'_> {
        fn write_to(&mut self, target: &mut dyn ImageTarget, resume: bool) -> io::Result<()> {
            self.0.write_to(target, resume)?;
            target.write_at(4096, &[0xEE; 4096])
        }
        fn compare(&mut self, target: &mut dyn ImageTarget) -> io::Result<Option<String>> {
            self.0.compare(target)
        }
    }
    let mut source = Sloppy(Backwards::new(&release.root));
    let error = install(&mut disk, &layout, &release, &mut source).unwrap_err();
    assert!(matches!(error, InstallError::ReadBack { what: "root image", bank: Bank::B, .. }), "{error}");
    let record = read_record(&disk, &layout).unwrap().record;
    assert_eq!(record.bank(Bank::B).state, BankState::Invalid);
}

#[test]
fn a_piece_beyond_the_image_is_refused_and_not_written() {
    let (mut disk, layout) = provisioned();
    let release = Release::new(2);
    struct Wild(u64, usize);
    impl ImageSource for Wild {
        fn write_to(&mut self, target: &mut dyn ImageTarget, _: bool) -> io::Result<()> {
            target.write_at(self.0, &vec![0xEE; self.1])
        }
        fn compare(&mut self, _: &mut dyn ImageTarget) -> io::Result<Option<String>> {
            Ok(None)
        }
    }
    let end = release.root.len() as u64;
    let record = layout.volumes(Bank::B).record_offset();
    let after = layout.volumes(Bank::B).root.offset() + end.next_multiple_of(512);
    let before = disk[usize::try_from(after).unwrap()..usize::try_from(record).unwrap()].to_vec();
    for (at, len) in [(end, 1), (end - 1, 2), (u64::MAX, 1), (u64::MAX - 5, 600)] {
        let error = install(&mut disk, &layout, &release, &mut Wild(at, len)).unwrap_err();
        assert!(matches!(error, InstallError::Source { .. }), "{error}");
    }
    assert!(disk[usize::try_from(after).unwrap()..usize::try_from(record).unwrap()] == before);
}
