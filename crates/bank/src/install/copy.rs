//! Writing a bank with what the other one holds, in the order of an install.

use lifeboat_model::io::WriteAt;
use lifeboat_model::{Bank, ReleaseRef, Sha256Hex};

use super::error::InstallError;
use super::prepare::Prepared;
use super::request::{Installed, Step};
use super::write::{Progress, Writer};
use crate::layout::Layout;
use crate::record::{BankRecord, write_record};
use crate::verity::Verity;

/// What is copied: a verified bank of the same disk, its kernel image with the target's names already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopySource {
    /// First byte of the source's root volume.
    pub(crate) root_offset: u64,
    /// Digest and length of its root image.
    pub(crate) root: (Sha256Hex, u64),
    /// Hash tree of its root image.
    pub(crate) verity: Option<Verity>,
    /// The release in it.
    pub(crate) release: ReleaseRef,
    /// Kernel image for the target.
    pub(crate) uki: Vec<u8>,
    /// Kernel line in it.
    pub(crate) kernel_line: String,
}

/// Writes `to`. The copied bytes are hashed on their way, so that a source that changed meanwhile is noticed.
pub(crate) fn copy_bank(
    disk: &mut dyn WriteAt,
    layout: &Layout,
    to: Bank,
    source: &CopySource,
    record: BankRecord,
    note: &str,
    progress: Progress<'_>,
) -> Result<Installed, InstallError> {
    let prepared = Prepared::copy_of(layout, to, source, record, note)?;
    let fat = prepared.fat()?;
    let save = |disk: &mut dyn WriteAt, record: &BankRecord, doing: &'static str| {
        write_record(disk, layout, record).map_err(|source| InstallError::Record { doing, source })
    };
    progress(Step::Invalidate, 0, 1);
    save(disk, &prepared.record_during(), "writing the bank record before the rebuild")?;
    let mut writer = Writer::new(disk, prepared.bank, prepared.volumes, progress);
    writer.unseal()?;
    writer.progress(Step::Invalidate, 1, 1);
    let digest = prepared.entry_root();
    writer.copy_root(source.root_offset, prepared.entry.root_len, digest)?;
    writer.write_boot(&fat)?;
    writer.flush()?;
    writer.verify_root(prepared.entry.root_len, digest)?;
    writer.verify_boot(&fat)?;
    writer.seal(&fat, prepared.entry.boot_len)?;
    let written = writer.written();
    progress(Step::Record, 0, 1);
    let record = prepared.record_after();
    save(disk, &record, "writing the bank record after the rebuild")?;
    progress(Step::Record, 1, 1);
    Ok(Installed {
        bank: prepared.bank,
        updated: prepared.entry.updated,
        boot_sha256: prepared.boot_sha256(),
        boot_len: prepared.entry.boot_len,
        kernel_line: prepared.kernel_line.clone(),
        record,
        written,
    })
}
