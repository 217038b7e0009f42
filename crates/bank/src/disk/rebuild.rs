//! Rebuilding a lost record from what the banks hold.

use lifeboat_model::io::ReadAt;
use lifeboat_model::{Bank, BankState};

use crate::finding::Finding;
use crate::install::verify_bank;
use crate::layout::{Layout, Partition};
use crate::record::{BankEntry, BankRecord, RecordError, read_record};

/// The record of a disk and its findings; rebuilt in memory when neither copy is valid. Nothing is written.
pub fn load_record(disk: &dyn ReadAt, layout: &Layout) -> Result<(BankRecord, Vec<Finding>), RecordError> {
    match read_record(disk, layout) {
        Ok(read) => Ok((read.record, read.findings)),
        Err(lost @ RecordError::NoValidCopy { .. }) => {
            let (record, mut findings) = rebuild_record(disk, layout);
            if record == BankRecord::empty() {
                let text = "nothing was installed on this disk yet: both banks and the bank record are blank";
                return Ok((record, vec![Finding::new("nothing-installed", text)]));
            }
            findings.insert(0, Finding::new("record-lost", lost.to_string()));
            Ok((record, findings))
        }
        Err(
            error @ (RecordError::Io { .. }
            | RecordError::Newer { .. }
            | RecordError::TooLarge { .. }
            | RecordError::Encode { .. }
            | RecordError::SequenceSpent),
        ) => Err(error),
    }
}

/// The record that follows from the banks' own manifests: a bank whose bytes are all as its manifest says is good,
/// a blank bank is empty, any other is invalid. Reads both banks whole.
///
/// What failed on this host is forgotten with the record. The floor becomes the highest serial of a good bank, so that
/// losing the record does not open the way to an older release than the host holds.
pub fn rebuild_record(disk: &dyn ReadAt, layout: &Layout) -> (BankRecord, Vec<Finding>) {
    let mut record = BankRecord::empty();
    let mut findings = Vec::new();
    for bank in Bank::BOTH {
        let volumes = layout.volumes(bank);
        if is_blank(disk, volumes.boot) && is_blank(disk, volumes.root) {
            continue;
        }
        let check = verify_bank(disk, layout, None, bank);
        let whole = check.is_whole();
        let entry = match check.manifest {
            Some(manifest) if whole => {
                record.floor = record.floor.max(manifest.release.serial);
                let text = format!(
                    "bank {bank} was found whole ({}) and is taken for good; whether it was ever blessed is lost",
                    manifest.release
                );
                findings.push(Finding::new("record-rebuilt-good", text));
                BankEntry {
                    state: BankState::Good,
                    release: Some(manifest.release),
                    updated: manifest.updated,
                    boot_sha256: Some(manifest.boot_sha256),
                    boot_len: manifest.boot_len,
                    root_sha256: Some(manifest.root_sha256),
                    root_len: manifest.root_len,
                    note: Some("the bank record was lost; this bank was found whole".to_owned()),
                }
            }
            Some(_) | None => {
                let reasons: Vec<String> = check.findings.into_iter().map(|finding| finding.text).collect();
                let reason = reasons.join("; ");
                let text = format!("bank {bank} is taken for invalid: {reason}");
                findings.push(Finding::new("record-rebuilt-invalid", text));
                BankEntry {
                    note: Some("the bank record was lost; this bank is not whole".to_owned()),
                    ..BankEntry::without_content(BankState::Invalid)
                }
            }
        };
        *record.bank_mut(bank) = entry;
    }
    (record, findings)
}

/// Whether the first 4 KiB of a volume are zeros.
fn is_blank(disk: &dyn ReadAt, volume: Partition) -> bool {
    let mut front = [0_u8; 4096];
    disk.read_at(volume.offset(), &mut front).is_ok() && front.iter().all(|&byte| byte == 0)
}
