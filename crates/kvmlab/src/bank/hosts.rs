//! placeholder
use crate::{LabError, LabFolder, LabSettings};
use std::path::Path;
pub(crate) fn make_hosts(
    _f: &LabFolder,
    _s: &LabSettings,
    _a: Option<&Path>,
    _t: &mut dyn FnMut(&str),
) -> Result<(), LabError> {
    Ok(())
}
pub(crate) fn release_disks(_f: &LabFolder, _s: &LabSettings) -> Result<(), LabError> {
    Ok(())
}
