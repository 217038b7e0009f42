//! Carrying a rebuild out.

use lifeboat_model::io::WriteAt;
use lifeboat_model::{Bank, ReleaseRef};

use super::RebuildError;
use super::plan::{Source, read_source};
use crate::install::{Step, copy_bank};
use crate::layout::Layout;
use crate::record::BankRecord;

/// A finished rebuild.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// The bank that was copied.
    pub from: Bank,
    /// The bank that was written; it is `upgraded`.
    pub to: Bank,
    /// The release that it holds.
    pub release: ReleaseRef,
    /// The record as it lies on the disk now.
    pub record: BankRecord,
    /// Its kernel line.
    pub kernel_line: String,
    /// Bytes written to the disk, records not counted.
    pub written: u64,
}

/// Writes bank `to` with what bank `from` holds: the source is verified, the target invalid, written, read back,
/// sealed, and at last `upgraded`. Doing it again after a cut does it whole. **The caller makes sure that `to` does not
/// run**: nothing here can know it.
///
/// The source's release may be older than what the floor of this disk allows: it is on the host already, and rebuilding
/// opens no way to anything else.
pub fn rebuild(
    disk: &mut dyn WriteAt,
    layout: &Layout,
    from: Bank,
    to: Bank,
    progress: &mut dyn FnMut(Step, u64, u64),
) -> Result<Rebuilt, RebuildError> {
    let Source { record, copy } = read_source(&*disk, layout, from, to)?;
    let note = format!("rebuilt from bank {from}; its first boot is a trial");
    let installed = copy_bank(disk, layout, to, &copy, record, &note, progress)
        .map_err(|source| RebuildError::Write { to, source })?;
    Ok(Rebuilt {
        from,
        to,
        release: copy.release,
        record: installed.record,
        kernel_line: installed.kernel_line,
        written: installed.written,
    })
}
