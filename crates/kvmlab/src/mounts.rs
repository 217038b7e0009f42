//! Mounts, with errors that say what and where.
//!
//! Owns: thin wrappers of mount(2). Promises: nothing is mounted outside of the caller's mount namespace. Does not:
//! unmount; namespaces do that when they end.

use std::ffi::CString;
use std::fs::{self, File};
use std::path::Path;

use rustix::mount::{MountFlags, mount_bind};

use crate::LabError;

/// Mounts a file system that has no device.
pub(crate) fn mount(
    fstype: &str,
    at: impl AsRef<Path>,
    flags: MountFlags,
    options: &str,
) -> Result<(), LabError> {
    mount_from(Path::new(fstype), fstype, at, flags, options)
}

/// Mounts `source`.
pub(crate) fn mount_from(
    source: &Path,
    fstype: &str,
    at: impl AsRef<Path>,
    flags: MountFlags,
    options: &str,
) -> Result<(), LabError> {
    let at = at.as_ref();
    let failed = |source: std::io::Error| LabError::Mount {
        what: format!("{fstype} with {options:?}"),
        path: at.to_owned(),
        source,
    };
    let data = CString::new(options).map_err(|error| failed(error.into()))?;
    rustix::mount::mount(source, at, fstype, flags, Some(data.as_c_str()))
        .map_err(|error| failed(error.into()))
}

/// Shows `from` at `at`. A file that is not there is made, so that it can be covered.
pub(crate) fn bind(from: impl AsRef<Path>, at: impl AsRef<Path>) -> Result<(), LabError> {
    let (from, at) = (from.as_ref(), at.as_ref());
    if !at.exists() {
        if from.is_dir() {
            fs::create_dir_all(at).map_err(LabError::file("create", at))?;
        } else {
            File::create(at).map_err(LabError::file("create", at))?;
        }
    }
    mount_bind(from, at).map_err(|error| LabError::Mount {
        what: from.display().to_string(),
        path: at.to_owned(),
        source: error.into(),
    })
}
