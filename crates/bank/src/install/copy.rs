//! Writing a bank with what the other one holds, in the order of an install.

use lifeboat_model::io::WriteAt;
use lifeboat_model::{Bank, ReleaseRef, Sha256Hex};

use super::error::InstallError;
use super::prepare::Prepared;
use super::request::Installed;
use super::run::{Root, run};
use super::write::Progress;
use crate::layout::Layout;
use crate::record::BankRecord;
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
    let root = Root::Bank { offset: source.root_offset };
    run(disk, layout, prepared, root, progress)
}
