//! The power is cut at every write of an upgrade, and the old bank boots.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use lifeboat_bank::fat::FatVolume;
use lifeboat_bank::gpt::read_table;
use lifeboat_bank::install::verify_bank;
use lifeboat_bank::layout::{Layout, LayoutGuids, RECORD_BYTES, create_layout, read_layout};
use lifeboat_bank::ops::{BootStatus, activate, bless, mark_failed};
use lifeboat_bank::record::{read_record, write_record};
use lifeboat_model::io::{ReadAt, WriteAt};
use lifeboat_model::{Bank, BankState};

use crate::fault_disk::{CutDisk, Event, Kind, Log, RecordingBoot, RecordingDisk, Variables, each_cut};
use crate::fixture::{GEOMETRY, Release, provisioned};

fn recording(bytes: Vec<u8>, first: Bank) -> (RecordingDisk, RecordingBoot, Log) {
    let log: Log = Rc::new(RefCell::new(Vec::new()));
    let status = BootStatus { order: vec![first, first.other()], ..BootStatus::default() };
    (RecordingDisk { bytes, log: log.clone() }, RecordingBoot { status, log: log.clone() }, log)
}

/// Everything that must hold on a disk after a cut while `old` is the bank to fall back to.
pub(crate) fn old_bank_stands(
    disk: &CutDisk<'_>,
    variables: Variables,
    layout: &Layout,
    old: Bank,
    seen: &mut Vec<BankState>,
) {
    assert_eq!(read_layout(disk).unwrap(), *layout);
    let read = read_record(disk, layout).unwrap();
    let new = old.other();
    let (kept, tried) = (read.record.bank(old), read.record.bank(new));
    assert_eq!((kept.state, &kept.note), (BankState::Good, &None), "the old bank is blamed");
    let state = tried.state;
    if matches!(state, BankState::Upgraded | BankState::Trying | BankState::Good) {
        let check = verify_bank(disk, layout, Some(&read.record), new);
        assert!(check.is_whole(), "bank {new} is {state} and {:?}", check.findings);
    }
    // Firmware that lost its variables takes any volume that it can load.
    let boot = layout.volumes(new).boot;
    if FatVolume::open(disk, boot.offset(), boot.bytes()).is_ok() {
        let check = verify_bank(disk, layout, None, new);
        assert!(
            check.is_whole(),
            "a firmware can load bank {new}, which is {state} and {:?}",
            check.findings
        );
    }
    if variables.next.unwrap_or(variables.first) == new {
        let expected = matches!(state, BankState::Trying | BankState::Good | BankState::Failed);
        assert!(expected, "the firmware boots {new}, and the record says {state}");
        assert!(verify_bank(disk, layout, None, new).is_whole(), "the firmware boots a broken bank");
    }
    if !seen.contains(&state) {
        seen.push(state);
    }
}

fn assert_writes_stay_out_of(bank: Bank, layout: &Layout, events: &[Event]) {
    let volumes = layout.volumes(bank);
    for event in events {
        if let Event::Write { offset, data } = event {
            let end = offset + data.len() as u64;
            for volume in [volumes.boot, volumes.root] {
                let inside = *offset < volume.offset() + volume.bytes() && end > volume.offset();
                let record = *offset == volumes.record_offset() && data.len() as u64 == RECORD_BYTES;
                assert!(!inside || record, "bytes {offset}..{end} of the old bank are written");
            }
            assert!(
                *offset >= 1 << 20 && end <= layout.state.offset(),
                "bytes {offset}..{end} lie outside the banks"
            );
        }
    }
}

/// Installs, activates and blesses a release beside the good bank `old`, cuts the power everywhere, and returns the
/// states of the new bank that were met, and the disk at the end.
fn upgrade_with_cuts(start: &[u8], layout: &Layout, old: Bank, serial: u64) -> (Vec<BankState>, Vec<u8>) {
    let new = old.other();
    let (mut disk, mut boot, log) = recording(start.to_vec(), old);
    Release::new(serial).install(&mut disk, layout, new).unwrap();
    let watchdog = log.clone();
    let mut arm = || {
        watchdog.borrow_mut().push(Event::Watchdog);
        Ok(())
    };
    activate(&mut disk, layout, new, &mut arm, &mut boot).unwrap();
    // The firmware deletes BootNext before it boots the bank.
    boot.status.next = None;
    boot.status.current = Some(new);
    log.borrow_mut().push(Event::Next(None));
    bless(&mut disk, layout, new, &mut boot).unwrap();

    let events = log.borrow().clone();
    assert_writes_stay_out_of(old, layout, &events);
    let armed = events.iter().position(|event| matches!(event, Event::Watchdog)).unwrap();
    let set = events.iter().position(|event| matches!(event, Event::Next(Some(_)))).unwrap();
    assert!(armed < set, "the one-shot boot was set before the watchdog was armed");

    let mut kinds: BTreeMap<Kind, usize> = BTreeMap::new();
    let (mut states, mut changed) = (Vec::new(), 0);
    let cuts = each_cut(start, old, &events, &mut |disk, variables, kind, _| {
        *kinds.entry(kind).or_default() += 1;
        changed += usize::from(!disk.arrived.is_empty());
        old_bank_stands(disk, variables, layout, old, &mut states);
    });
    let writes = events.iter().filter(|event| matches!(event, Event::Write { .. })).count();
    println!("bank {new}: {cuts} cuts at {writes} writes: {kinds:?}; its states: {states:?}");
    assert!(writes >= 20 && cuts > 10 * writes && changed > cuts / 2, "the cuts did not happen");
    (states, disk.bytes)
}

#[test]
fn a_power_cut_at_any_write_of_an_upgrade_leaves_the_old_bank_bootable() {
    use BankState::{Empty, Good, Invalid, Trying, Upgraded};
    let (start, layout) = provisioned();
    let (states, disk) = upgrade_with_cuts(&start, &layout, Bank::A, 2);
    assert_eq!(states, [Empty, Invalid, Upgraded, Trying, Good], "some state was never met at a cut");
    // The next one goes over a bank that holds a good release, which could still be booted.
    let (states, _) = upgrade_with_cuts(&disk, &layout, Bank::B, 3);
    assert_eq!(states, [Good, Invalid, Upgraded, Trying], "some state was never met at a cut");
}

#[test]
fn an_install_that_was_cut_is_finished_by_installing_again() {
    let (start, layout) = provisioned();
    let (mut disk, _, log) = recording(start.clone(), Bank::A);
    let release = Release::new(2);
    release.install(&mut disk, &layout, Bank::B).unwrap();
    let events = log.borrow().clone();
    let mut repeated = 0;
    each_cut(&start, Bank::A, &events, &mut |disk, _, kind, _| {
        if kind != Kind::InOrder {
            return;
        }
        let mut bytes = disk.settle();
        release.install(&mut bytes, &layout, Bank::B).unwrap();
        let record = read_record(&bytes, &layout).unwrap().record;
        assert_eq!(record.bank(Bank::B).state, BankState::Upgraded);
        assert!(verify_bank(&bytes, &layout, Some(&record), Bank::B).is_whole());
        repeated += 1;
    });
    println!("{repeated} installs repeated");
    assert!(repeated > 20);
}

#[test]
fn a_power_cut_while_a_trial_is_failed_keeps_the_old_bank_first() {
    let (start, layout) = provisioned();
    let (mut disk, mut boot, log) = recording(start, Bank::A);
    Release::new(2).install(&mut disk, &layout, Bank::B).unwrap();
    activate(&mut disk, &layout, Bank::B, &mut || Ok(()), &mut boot).unwrap();
    let start = disk.bytes.clone();
    log.borrow_mut().clear();
    mark_failed(&mut disk, &layout, Bank::B, "kernel panic", &mut boot).unwrap();
    let events = log.borrow().clone();
    let mut states = Vec::new();
    let cuts = each_cut(&start, Bank::A, &events, &mut |disk, variables, _, _| {
        assert_eq!(variables.first, Bank::A);
        old_bank_stands(disk, variables, &layout, Bank::A, &mut states);
    });
    println!("{cuts} cuts; states of B met: {states:?}");
    assert!(cuts > 10);
    assert_eq!(states, [BankState::Trying, BankState::Failed]);
}

#[test]
fn a_cut_while_partitioning_anew_leaves_one_valid_table() {
    let (start, _) = provisioned();
    let (mut disk, _, log) = recording(start.clone(), Bank::A);
    let guids = LayoutGuids::from_random(&std::array::from_fn(|index| index as u8));
    create_layout(&mut disk, &GEOMETRY, &guids).unwrap();
    let events = log.borrow().clone();
    let mut backups = 0;
    let cuts = each_cut(&start, Bank::A, &events, &mut |disk, _, _, _| {
        let read = read_table(disk).unwrap();
        backups += usize::from(!read.primary_ok);
    });
    println!("{cuts} cuts, {backups} of them read by the backup copy");
    assert!(cuts > 20 && backups > 0);
}

#[test]
fn a_record_with_one_bad_or_old_copy_survives_a_power_cut_at_any_write() {
    let (fresh, layout) = provisioned();
    let mut newer = read_record(&fresh, &layout).unwrap().record;
    newer.floor = 77;
    for copy in Bank::BOTH {
        let at = layout.volumes(copy).record_offset();
        let mut old = vec![0; 4096];
        fresh.read_at(at, &mut old).unwrap();
        let mut bad = fresh.clone();
        bad.write_at(at + 100, &[0xee]).unwrap();
        let mut behind = fresh.clone();
        write_record(&mut behind, &layout, &newer).unwrap();
        behind.write_at(at, &old).unwrap();
        for start in [bad, behind] {
            let before = read_record(&start, &layout).unwrap();
            let (mut disk, _, log) = recording(start.clone(), Bank::A);
            let mut next = before.record.clone();
            next.floor = 99;
            write_record(&mut disk, &layout, &next).unwrap();
            let events = log.borrow().clone();
            let mut met = Vec::new();
            each_cut(&start, Bank::A, &events, &mut |disk, _, _, _| {
                let floor = read_record(disk, &layout).unwrap().record.floor;
                assert!(
                    floor == before.record.floor || floor == 99,
                    "a record older than the last one came back"
                );
                if !met.contains(&floor) {
                    met.push(floor);
                }
            });
            assert_eq!(met, [before.record.floor, 99]);
        }
    }
}
