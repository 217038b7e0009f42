//! A damaged bank is rebuilt from the other one, whatever happens meanwhile.

use lifeboat_bank::fat::FatVolume;
use lifeboat_bank::install::verify_bank;
use lifeboat_bank::layout::Layout;
use lifeboat_bank::manifest::UKI_PATH;
use lifeboat_bank::rebuild::{RebuildError, plan_rebuild, rebuild};
use lifeboat_bank::record::{read_record, write_record};
use lifeboat_bank::uki::parse_uki;
use lifeboat_model::io::ReadAt;
use lifeboat_model::{Bank, BankState};

use crate::fault_disk::{Event, RecordingDisk, each_cut};
use crate::fixture::{Release, provisioned};
use crate::verity::verity_release;

/// Bank A good with release 1, bank B good with release 2 and a hash tree, then `to` damaged.
fn two_good(to: Bank) -> (Vec<u8>, Layout) {
    let (mut disk, layout) = provisioned();
    let (release, _) = verity_release(2);
    release.install(&mut disk, &layout, Bank::B).unwrap();
    let mut record = read_record(&disk, &layout).unwrap().record;
    record.bank_mut(Bank::B).state = BankState::Good;
    record.floor = 2;
    write_record(&mut disk, &layout, &record).unwrap();
    let volumes = layout.volumes(to);
    for volume in [volumes.root, volumes.boot] {
        let at = volume.offset() as usize + 70_000;
        disk[at] ^= 0x40;
    }
    (disk, layout)
}

fn line_of(disk: &dyn ReadAt, layout: &Layout, bank: Bank) -> String {
    let boot = layout.volumes(bank).boot;
    let volume = FatVolume::open(disk, boot.offset(), boot.bytes()).unwrap();
    parse_uki(&volume.read_file(UKI_PATH, 1 << 24).unwrap()).unwrap().cmdline
}

fn bytes_of(disk: &[u8], layout: &Layout, bank: Bank) -> Vec<Vec<u8>> {
    let volumes = layout.volumes(bank);
    let root = volumes.root.offset() as usize..volumes.record_offset() as usize;
    let boot = volumes.boot.offset() as usize..(volumes.boot.offset() + volumes.boot.bytes()) as usize;
    vec![disk[root].to_vec(), disk[boot].to_vec()]
}

#[test]
fn a_rebuilt_bank_holds_the_same_release_under_its_own_name_and_proves_itself_by_a_boot() {
    for from in Bank::BOTH {
        let to = from.other();
        let (mut disk, layout) = two_good(to);
        let before = disk.clone();
        let plan = plan_rebuild(&disk, &layout, from, to).unwrap();
        assert!(disk == before && !plan.to_whole && plan.to_state == BankState::Good, "{plan:?}");
        let mut steps = Vec::new();
        let rebuilt = rebuild(&mut disk, &layout, from, to, &mut |step, _, _| {
            if steps.last() != Some(&step) {
                steps.push(step);
            }
        })
        .unwrap();
        assert_eq!(steps.len(), 8);
        assert_eq!(
            bytes_of(&disk, &layout, from),
            bytes_of(&before, &layout, from),
            "the source is as it was"
        );
        let read = read_record(&disk, &layout).unwrap();
        let entry = read.record.bank(to);
        assert_eq!(
            (entry.state, &entry.release),
            (BankState::Upgraded, &read.record.bank(from).release.clone())
        );
        assert!(entry.note.as_deref().unwrap().contains(&format!("rebuilt from bank {from}")));
        assert_eq!((read.record.bank(from).state, read.record.floor), (BankState::Good, 2));
        assert!(verify_bank(&disk, &layout, Some(&read.record), to).is_whole());
        assert!(verify_bank(&disk, &layout, None, to).is_whole(), "also without a record");
        let (old, new) = (line_of(&disk, &layout, from), line_of(&disk, &layout, to));
        assert_eq!(new, rebuilt.kernel_line);
        let guid = |bank| layout.volumes(bank).root.guid.to_string();
        assert_eq!(
            new,
            old.replace(&format!("lifeboat.bank={from}"), &format!("lifeboat.bank={to}"))
                .replace(&guid(from), &guid(to))
        );
        assert!(new.contains(&guid(to)) && !new.contains(&guid(from)));
    }
}

#[test]
fn a_source_that_is_damaged_or_was_never_proved_is_refused_and_nothing_is_written() {
    let (mut disk, layout) = two_good(Bank::B);
    let at = layout.volumes(Bank::A).root.offset() as usize + 99;
    disk[at] ^= 1;
    let before = disk.clone();
    let try_it = |disk: &mut Vec<u8>, from: Bank, to: Bank| {
        assert!(plan_rebuild(&*disk, &layout, from, to).is_err());
        rebuild(disk, &layout, from, to, &mut |_, _, _| {})
    };
    assert!(matches!(try_it(&mut disk, Bank::A, Bank::B), Err(RebuildError::SourceDamaged { .. })));
    assert!(matches!(try_it(&mut disk, Bank::A, Bank::A), Err(RebuildError::Same { .. })));
    assert!(disk == before);
    let (mut disk, layout) = provisioned();
    Release::new(2).install(&mut disk, &layout, Bank::B).unwrap();
    let before = disk.clone();
    let refused = rebuild(&mut disk, &layout, Bank::B, Bank::A, &mut |_, _, _| {});
    assert!(matches!(refused, Err(RebuildError::SourceNotGood { state: BankState::Upgraded, .. })));
    let mut record = read_record(&disk, &layout).unwrap().record;
    assert!(disk == before);
    record.bank_mut(Bank::B).state = BankState::Trying;
    write_record(&mut disk, &layout, &record).unwrap();
    let refused = rebuild(&mut disk, &layout, Bank::A, Bank::B, &mut |_, _, _| {});
    assert!(matches!(refused, Err(RebuildError::OnTrial { to: Bank::B })));
}

#[test]
fn a_power_cut_at_any_write_of_a_rebuild_leaves_the_source_bootable_and_the_target_never_half() {
    let (start, layout) = two_good(Bank::A);
    let log = crate::fault_disk::Log::default();
    let mut disk = RecordingDisk { bytes: start.clone(), log: log.clone() };
    rebuild(&mut disk, &layout, Bank::B, Bank::A, &mut |_, _, _| {}).unwrap();
    let events = log.borrow().clone();
    let source = layout.volumes(Bank::B);
    for event in &events {
        if let Event::Write { offset, data } = event {
            let end = offset + data.len() as u64;
            let record = *offset == source.record_offset();
            for volume in [source.boot, source.root] {
                let inside = *offset < volume.offset() + volume.bytes() && end > volume.offset();
                assert!(!inside || record, "bytes {offset}..{end} of the source are written");
            }
        }
    }
    let mut states = Vec::new();
    let mut rebuilt_again = false;
    let cuts = each_cut(&start, Bank::B, &events, &mut |disk, _, _, _| {
        let record = read_record(disk, &layout).unwrap().record;
        let (kept, new) = (record.bank(Bank::B), record.bank(Bank::A));
        assert_eq!(kept.state, BankState::Good);
        if new.state == BankState::Upgraded {
            assert!(verify_bank(disk, &layout, Some(&record), Bank::A).is_whole());
        }
        let boot = layout.volumes(Bank::A).boot;
        let damaged_still = new.state == BankState::Good;
        if !damaged_still && FatVolume::open(disk, boot.offset(), boot.bytes()).is_ok() {
            let whole = verify_bank(disk, &layout, None, Bank::A).is_whole();
            // The record goes first: until it says invalid and its flush is over, the old boot sector is still there.
            assert!(whole || new.state == BankState::Invalid, "{:?}", new.state);
        }
        if new.state == BankState::Invalid && !rebuilt_again {
            rebuilt_again = true;
            let mut again = disk.settle();
            rebuild(&mut again, &layout, Bank::B, Bank::A, &mut |_, _, _| {}).unwrap();
            let record = read_record(&again, &layout).unwrap().record;
            assert!(verify_bank(&again, &layout, Some(&record), Bank::A).is_whole());
        }
        if !states.contains(&new.state) {
            states.push(new.state);
        }
    });
    assert_eq!(states, [BankState::Good, BankState::Invalid, BankState::Upgraded]);
    assert!(rebuilt_again && cuts > 200, "{cuts} cuts");
    println!("{cuts} cuts at {} events; states {states:?}", events.len());
}
