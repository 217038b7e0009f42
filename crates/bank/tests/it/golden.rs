//! Bytes that were once written stay readable, and stay as they are.

use std::path::Path;

use lifeboat_bank::record::{BankEntry, BankRecord, decode_record, encode_record};
use lifeboat_model::{Bank, BankState, Sha256Hex};

use crate::fixture::Release;

fn sample() -> BankRecord {
    let mut record = BankRecord::empty();
    record.floor = 41;
    *record.bank_mut(Bank::A) = BankEntry {
        state: BankState::Good,
        release: Some(Release::new(41).name()),
        updated: 7,
        boot_sha256: Some(Sha256Hex([0x11; 32])),
        boot_len: 12_345_678,
        root_sha256: Some(Sha256Hex([0x22; 32])),
        root_len: 838_860_800,
        note: None,
    };
    *record.bank_mut(Bank::B) = BankEntry {
        state: BankState::Failed,
        release: Some(Release::new(42).name()),
        updated: 8,
        boot_sha256: Some(Sha256Hex([0x33; 32])),
        boot_len: 12_345_679,
        root_sha256: Some(Sha256Hex([0x44; 32])),
        root_len: 838_860_801,
        note: Some("kernel panic".to_owned()),
    };
    record.remember_failure(Release::new(42).name().digest, "kernel panic");
    record
}

#[test]
fn the_bank_record_of_version_1_keeps_its_bytes() {
    let block = encode_record(&sample(), 99).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/bank-record-v1.bin");
    let golden = std::fs::read(&path).unwrap();
    assert_eq!(golden.len(), 4096);
    assert!(
        golden == *block,
        "the form of the record changed: that needs a new version, not a new golden file"
    );
    assert_eq!(decode_record(&golden), Ok((sample(), 99)));
}

#[test]
fn a_record_of_version_1_with_fields_of_a_newer_writer_is_read() {
    use sha2::{Digest, Sha256};
    let block = encode_record(&sample(), 99).unwrap();
    let length = u32::from_le_bytes(block[12..16].try_into().unwrap()) as usize;
    let mut payload = block[56..56 + length - 1].to_vec();
    payload.extend_from_slice(br#","since":{"boots":3}}"#);
    let mut newer = [0_u8; 4096];
    newer[..24].copy_from_slice(&block[..24]);
    newer[12..16].copy_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
    let mut covered = newer[8..24].to_vec();
    covered.extend_from_slice(&payload);
    newer[24..56].copy_from_slice(&Sha256::digest(covered));
    newer[56..56 + payload.len()].copy_from_slice(&payload);
    assert_eq!(decode_record(&newer), Ok((sample(), 99)));
}
