//! The disk as `bank show` prints it, and a record that was lost.

use lifeboat_bank::disk::{BankDisk, DiskError};
use lifeboat_bank::record::{RecordError, read_record};
use lifeboat_model::io::WriteAt;
use lifeboat_model::{Bank, BankState};

use crate::fixture::{Release, provisioned};

fn codes(disk: &BankDisk<Vec<u8>>) -> Vec<&'static str> {
    disk.findings().iter().map(|finding| finding.code).collect()
}

#[test]
fn a_report_names_both_banks_by_identity() {
    let (mut disk, layout) = provisioned();
    Release::new(2).install(&mut disk, &layout, Bank::B).unwrap();
    let disk = BankDisk::open(disk).unwrap();
    let report = disk.report();
    assert_eq!(report.banks.each_ref().map(|bank| bank.bank), [Bank::A, Bank::B]);
    assert_eq!(report.banks.each_ref().map(|bank| bank.state), [BankState::Good, BankState::Upgraded]);
    assert_eq!(report.banks.each_ref().map(|bank| bank.updated), [1, 2]);
    assert_eq!(report.findings, []);
    assert!(disk.verify(Bank::B).is_whole());
}

#[test]
fn a_flipped_bit_in_a_bank_is_found_by_deep_verification() {
    let (mut disk, layout) = provisioned();
    let volumes = layout.volumes(Bank::A);
    for (offset, code) in [
        (volumes.root.offset() + 2_000_000, "bank-root-differs"),
        (volumes.boot.offset() + 100_000, "bank-uki-differs"),
        (volumes.boot.offset() + 511, "bank-boot-unreadable"),
    ] {
        let at = usize::try_from(offset).unwrap();
        disk[at] ^= 0x40;
        let check = BankDisk::open(disk.clone()).unwrap().verify(Bank::A);
        assert!(check.findings.iter().any(|finding| finding.code == code), "{code}: {:?}", check.findings);
        disk[at] ^= 0x40;
    }
}

#[test]
fn one_bad_copy_of_the_record_is_told_and_healed_by_the_next_write() {
    for copy in Bank::BOTH {
        let (mut disk, layout) = provisioned();
        disk.write_at(layout.volumes(copy).record_offset() + 60, b"#").unwrap();
        let opened = BankDisk::open(disk).unwrap();
        assert_eq!(codes(&opened), ["record-copy-bad"]);
        let mut disk = opened.into_disk();
        Release::new(2).install(&mut disk, &layout, Bank::B).unwrap();
        assert_eq!(codes(&BankDisk::open(disk).unwrap()), Vec::<&str>::new());
    }
}

#[test]
fn a_lost_record_is_rebuilt_from_what_the_banks_hold() {
    let (mut disk, layout) = provisioned();
    Release::new(2).install(&mut disk, &layout, Bank::B).unwrap();
    let before = read_record(&disk, &layout).unwrap().record;
    for bank in Bank::BOTH {
        disk.write_at(layout.volumes(bank).record_offset(), b"XXXX").unwrap();
    }
    let rebuilt = BankDisk::open(disk.clone()).unwrap();
    assert_eq!(codes(&rebuilt), ["record-lost", "record-rebuilt-good", "record-rebuilt-good"]);
    let record = rebuilt.record();
    assert_eq!(record.floor, 2);
    for bank in Bank::BOTH {
        let (old, new) = (before.bank(bank), record.bank(bank));
        assert_eq!(
            (&old.release, old.updated, old.root_sha256),
            (&new.release, new.updated, new.root_sha256)
        );
    }
    // Damage in B: only A is good, and the next install into B goes by the rebuilt record.
    disk.write_at(layout.volumes(Bank::B).root.offset() + 5, b"XXXX").unwrap();
    let rebuilt = BankDisk::open(disk.clone()).unwrap();
    assert_eq!(codes(&rebuilt), ["record-lost", "record-rebuilt-good", "record-rebuilt-invalid"]);
    assert_eq!(rebuilt.record().bank(Bank::B).state, BankState::Invalid);
    Release::new(3).install(&mut disk, &layout, Bank::B).unwrap();
    assert_eq!(codes(&BankDisk::open(disk).unwrap()), Vec::<&str>::new());
}

#[test]
fn a_record_of_a_newer_version_is_neither_read_nor_overwritten() {
    use sha2::{Digest, Sha256};
    let (mut disk, layout) = provisioned();
    let mut block = vec![0_u8; 4096];
    block[..8].copy_from_slice(b"LFBTREC1");
    block[8] = 2;
    block[12] = 4;
    block[16] = 200;
    block[56..60].copy_from_slice(b"CBOR");
    let covered = [&block[8..24], b"CBOR"].concat();
    block[24..56].copy_from_slice(&Sha256::digest(covered));
    disk.write_at(layout.volumes(Bank::A).record_offset(), &block).unwrap();
    let before = disk.clone();
    let error = BankDisk::open(disk.clone()).unwrap_err();
    assert!(matches!(error, DiskError::Record { source: RecordError::Newer { found: 2 }, .. }), "{error}");
    Release::new(2).install(&mut disk, &layout, Bank::B).unwrap_err();
    assert!(disk == before);
}
