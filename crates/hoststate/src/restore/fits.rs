//! Whether what is to be written fits: space, owners, attributes.

use std::collections::BTreeMap;

use rustix::fs::{Mode, OFlags, XattrFlags, fstat, fstatvfs, openat};

use super::busy::{nearest_folder, top};
use super::{Blocker, RestoreError};
use crate::form::{Entry, Kind};
use crate::path::{RelPath, shown};
use crate::root::Root;

/// What is needed of one file system.
#[derive(Debug, Default, Clone, Copy)]
struct Need {
    bytes: u64,
    files: u64,
}

/// Blockers of the entries that are written; `work` is the space that the files of the restore take.
pub(super) fn check_fit(root: &Root, written: &[&Entry], work: u64) -> Result<Vec<Blocker>, RestoreError> {
    let mut needs: BTreeMap<u64, (Option<RelPath>, Need)> = BTreeMap::new();
    let mut blockers = Vec::new();
    let mut tried: BTreeMap<(u64, Vec<u8>), bool> = BTreeMap::new();
    let mut folders: BTreeMap<Option<RelPath>, Option<RelPath>> = BTreeMap::new();
    let nearest = |path: &RelPath, folders: &mut BTreeMap<Option<RelPath>, Option<RelPath>>| {
        folders.entry(path.parent()).or_insert_with(|| nearest_folder(root, path)).clone()
    };
    let me = rustix::process::geteuid();
    for entry in written {
        let folder = nearest(&entry.path, &mut folders);
        let fd = open(root, folder.as_ref())?;
        let dev = fstat(&fd).map_or(0, |stat| stat.st_dev);
        let need = &mut needs.entry(dev).or_insert_with(|| (folder.clone(), Need::default())).1;
        need.files += 1;
        // A new file is whole before the old one goes.
        need.bytes += match entry.kind {
            Kind::File { len } => len.div_ceil(4096) * 4096,
            _ => 4096,
        };
        if !me.is_root() && entry.meta.uid != me.as_raw() {
            blockers.push(Blocker::new(
                "not-root",
                format!(
                    "{} belongs to user {}, and only root can give files away",
                    entry.path, entry.meta.uid
                ),
                "run it as root, for example with sudo",
            ));
        }
        for xattr in &entry.xattrs {
            let can = tried
                .entry((dev, xattr.name.clone()))
                .or_insert_with(|| can_set(&fd, &xattr.name, &xattr.value));
            if !*can {
                blockers.push(Blocker::new(
                    "no-attributes",
                    format!(
                        "{} has attribute {}, which the file system of the target does not take",
                        entry.path,
                        shown(&xattr.name)
                    ),
                    format!("restore to a file system that takes it, or leave it with --keep {}", entry.path),
                ));
            }
        }
    }
    let state = RelPath::new(super::WORK_FOLDER.as_bytes()).map_err(crate::root::RootError::from)?;
    let folder = nearest_folder(root, &state);
    let fd = open(root, folder.as_ref())?;
    let dev = fstat(&fd).map_or(0, |stat| stat.st_dev);
    needs.entry(dev).or_insert_with(|| (folder, Need::default())).1.bytes += work;
    for (folder, need) in needs.values() {
        let fd = open(root, folder.as_ref())?;
        let Ok(stat) = fstatvfs(&fd) else { continue };
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        let name = folder.as_ref().map_or_else(|| "the root".to_owned(), ToString::to_string);
        if need.bytes > free {
            blockers.push(Blocker::new(
                "no-space",
                format!("the file system of {name} has {free} bytes free, and {} are needed", need.bytes),
                "free space, then run it again",
            ));
        }
        // File systems without a fixed table tell 0 of 0.
        if stat.f_files > 0 && need.files > stat.f_favail {
            blockers.push(Blocker::new(
                "no-space",
                format!(
                    "the file system of {name} can take {} more files, and {} are needed",
                    stat.f_favail, need.files
                ),
                "remove files, then run it again",
            ));
        }
    }
    blockers.sort();
    blockers.dedup();
    Ok(blockers)
}

fn open(root: &Root, folder: Option<&RelPath>) -> Result<std::os::fd::OwnedFd, RestoreError> {
    match folder {
        Some(path) => Ok(root.folder(path).map_err(root.error("opening", path))?),
        None => top(root),
    }
}

/// Tries it on a file without a name, of which nothing stays.
fn can_set(folder: &std::os::fd::OwnedFd, name: &[u8], value: &[u8]) -> bool {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match openat(folder, ".", flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => {
            // The default list of a folder cannot be set on a file.
            let name = if name == b"system.posix_acl_default" { b"system.posix_acl_access" } else { name };
            rustix::fs::fsetxattr(&file, name, value, XattrFlags::empty()).is_ok()
        }
        // Without such files it is found out by doing.
        Err(_) => true,
    }
}
