//! Whether something holds what is to be written: mounts (incident I-13), read-only file systems, immutable files, package
//! managers.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{IFlags, StatVfsMountFlags, fstatvfs, ioctl_getflags};

use super::{Blocker, RestoreError};
use crate::path::{RelPath, shown};
use crate::root::Root;

/// A mount below the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// Its place below the root.
    pub(super) at: Vec<u8>,
    /// What is mounted.
    pub(super) source: String,
    pub(super) kind: String,
}

/// Blockers of the paths that are written.
pub(super) fn check_busy(root: &Root, written: &[&RelPath]) -> Result<Vec<Blocker>, RestoreError> {
    let table = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let place = fs::canonicalize(root.path()).unwrap_or_else(|_| root.path().to_owned());
    let mounts = mounts_below(&table, &place);
    let mut blockers = Vec::new();
    let mut folders = BTreeSet::new();
    for path in written {
        let is_folder = root.folder(path).is_ok();
        if !is_folder && let Some(mount) = mounts.iter().find(|mount| mount.at == path.as_bytes()) {
            blockers.push(Blocker::new(
                "busy",
                format!(
                    "{path} is a mount point ({} of {}): replacing it would fail with \"Device or resource busy\"",
                    mount.kind, mount.source
                ),
                format!(
                    "unmount it first (umount {}), or keep the host's with --keep {path}", root.place(path).display()
                ),
            ));
        }
        let file = if is_folder { None } else { root.open_file(path).ok() };
        if file.is_some_and(|file| is_fixed(&file)) {
            blockers.push(immutable(root, path));
        }
        folders.insert(nearest_folder(root, path));
    }
    for folder in folders {
        let fd = match &folder {
            Some(path) => root.folder(path).map_err(root.error("opening", path))?,
            None => top(root)?,
        };
        let name = folder.as_ref().map_or_else(|| "the root itself".to_owned(), ToString::to_string);
        if fstatvfs(&fd).is_ok_and(|stat| stat.f_flag.contains(StatVfsMountFlags::RDONLY)) {
            blockers.push(Blocker::new(
                "read-only",
                format!("{name} is on a file system that is mounted read-only"),
                "mount it for writing (mount -o remount,rw …); the root of a Lifeboat bank is read-only by design: restore to its \
                 saved state or into another root",
            ));
        } else if let Some(path) = folder.filter(|_| is_fixed(&fd)) {
            blockers.push(immutable(root, &path));
        }
    }
    blockers.extend(package_managers(root, &fs::read_to_string("/proc/locks").unwrap_or_default()));
    blockers.sort();
    blockers.dedup();
    Ok(blockers)
}

pub(super) fn top(root: &Root) -> Result<std::os::fd::OwnedFd, RestoreError> {
    let failed = |source: rustix::io::Errno| crate::root::RootError::Open {
        path: root.path().to_owned(),
        source: source.into(),
    };
    let some = RelPath::new(b"etc").map_err(crate::root::RootError::from)?;
    root.folder_of(&some).map_err(failed).map_err(RestoreError::from)
}

/// The innermost folder on the way to a path that is there; none for the root itself.
pub(super) fn nearest_folder(root: &Root, path: &RelPath) -> Option<RelPath> {
    path.ancestors().into_iter().rev().find(|folder| root.folder(folder).is_ok())
}

fn is_fixed(fd: impl std::os::fd::AsFd) -> bool {
    ioctl_getflags(fd).is_ok_and(|flags| flags.intersects(IFlags::IMMUTABLE | IFlags::APPEND))
}

fn immutable(root: &Root, path: &RelPath) -> Blocker {
    let place = root.place(path);
    Blocker::new(
        "immutable",
        format!("{path} is marked immutable or append-only"),
        format!("chattr -i -a {}, or keep the host's with --keep {path}", place.display()),
    )
}

/// Mounts below `root`, from the table of the kernel (proc(5), mountinfo).
pub(super) fn mounts_below(table: &[u8], root: &Path) -> Vec<Mount> {
    let mut prefix = root.as_os_str().as_bytes().to_vec();
    if prefix.last() != Some(&b'/') {
        prefix.push(b'/');
    }
    let mut mounts = Vec::new();
    for line in table.split(|byte| *byte == b'\n') {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let Some(at) = fields.get(4).map(|field| unescape(field)) else { continue };
        let Some(inside) = at.strip_prefix(prefix.as_slice()).filter(|inside| !inside.is_empty()) else {
            continue;
        };
        let mut rest = fields.iter().skip_while(|field| **field != b"-").skip(1);
        let mut word = || rest.next().map(|field| shown(&unescape(field))).unwrap_or_default();
        let (kind, source) = (word(), word());
        mounts.push(Mount { at: inside.to_vec(), source, kind });
    }
    mounts
}

/// `\040` is a space.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let octal = after.first_chunk::<3>().filter(|_| *first == b'\\');
        let digits = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            out.push(byte);
            rest = after.get(3..).unwrap_or_default();
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

/// Package managers and tools for accounts that hold their lock in this root.
fn package_managers(root: &Root, locks: &str) -> Vec<Blocker> {
    const LOCKS: [&str; 5] = [
        "var/lib/dpkg/lock-frontend",
        "var/lib/dpkg/lock",
        "var/lib/rpm/.rpm.lock",
        "usr/lib/sysimage/rpm/.rpm.lock",
        "etc/.pwd.lock",
    ];
    let mut blockers = Vec::new();
    for path in LOCKS.iter().filter_map(|path| RelPath::new(path.as_bytes()).ok()) {
        let Ok(Some(stat)) = root.stat(&path) else { continue };
        let (major, minor) = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
        let key = format!("{major:02x}:{minor:02x}:{}", stat.st_ino);
        for line in locks.lines() {
            let fields: Vec<&str> = line.split_ascii_whitespace().filter(|field| *field != "->").collect();
            let (Some(pid), Some(file)) = (fields.get(4), fields.get(5)) else { continue };
            if *file == key {
                let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                let name = shown(name.trim().as_bytes());
                blockers.push(Blocker::new(
                    "locked",
                    format!("{path} is held by process {pid} ({name}), which is changing the host"),
                    "wait until it is done",
                ));
            }
        }
    }
    blockers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_below_a_root_are_found_with_their_names() {
        let table = b"22 1 0:2 / / rw - ext4 /dev/sda1 rw\n30 22 0:5 /x /srv/r\\040t/etc/hosts rw shared:1 - tmpfs none rw\n\
                      31 22 0:6 / /srv/r\\040t rw - xfs /dev/sdb rw\n32 22 0:7 / /srv/r\\040there rw - xfs x rw\nshort\n";
        let mounts = mounts_below(table, Path::new("/srv/r t"));
        assert_eq!(
            mounts,
            [Mount { at: b"etc/hosts".to_vec(), source: "none".to_owned(), kind: "tmpfs".to_owned() }]
        );
        assert_eq!(mounts_below(table, Path::new("/")).len(), 3);
    }
}
