//! Snapshots of the root, where the host has them.
//!
//! Owns: finding out, taking one of btrfs before a transaction, and taking it away. Promises: what cannot be taken is told.
//! Does not: go back by one unasked: that throws away everything written since; `docs/ops/packages.md` tells how.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::command::ask;
use crate::error::PackageError;
use crate::roots::Roots;

/// `f_type` of btrfs.
const BTRFS: u64 = 0x9123_683e;
/// Inode of the root of a btrfs subvolume.
const SUBVOLUME: u64 = 256;

/// Which kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotKind {
    /// A read-only subvolume of btrfs.
    Btrfs,
    /// A thin volume of LVM; found, never taken by this version.
    LvmThin,
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its kind.
    pub kind: SnapshotKind,
    /// Its place: a path of the host, or a volume.
    pub place: String,
}

/// The snapshot that can be taken for transaction `id`.
pub(crate) fn possible(roots: &Roots, id: &str) -> Option<Snapshot> {
    use std::os::unix::fs::MetadataExt;
    let stat = rustix::fs::statfs(&roots.root).ok()?;
    let kind = u64::try_from(stat.f_type).ok()? & 0xffff_ffff;
    let is_subvolume = fs::metadata(&roots.root).is_ok_and(|meta| meta.ino() == SUBVOLUME);
    if kind == BTRFS && is_subvolume {
        return Some(Snapshot { kind: SnapshotKind::Btrfs, place: format!("/.lifeboat-before-{id}") });
    }
    if !roots.is_host() {
        return None;
    }
    let mounts = fs::read_to_string(roots.proc.join("self/mounts")).unwrap_or_default();
    let device =
        mounts.lines().rfind(|line| line.split(' ').nth(1) == Some("/"))?.split(' ').next()?.to_owned();
    if !device.starts_with("/dev/mapper/") {
        return None;
    }
    let pool = ask(Command::new("lvs").args(["--noheadings", "-o", "pool_lv", &device])).ok()?;
    (!pool.trim().is_empty()).then_some(Snapshot { kind: SnapshotKind::LvmThin, place: device })
}

/// Takes it; one that is there already counts.
pub(crate) fn take(roots: &Roots, snapshot: &Snapshot) -> Result<(), PackageError> {
    let place = roots.host_path(&snapshot.place);
    if snapshot.kind != SnapshotKind::Btrfs || place.exists() {
        return Ok(());
    }
    ask(Command::new("btrfs").args(["subvolume", "snapshot", "-r"]).arg(&roots.root).arg(&place)).map(|_| ())
}

/// Takes it away again.
pub(crate) fn remove(roots: &Roots, snapshot: &Snapshot) -> Result<(), PackageError> {
    let place = roots.host_path(&snapshot.place);
    if snapshot.kind != SnapshotKind::Btrfs || !is_there(&place) {
        return Ok(());
    }
    ask(Command::new("btrfs").args(["subvolume", "delete"]).arg(&place)).map(|_| ())
}

fn is_there(place: &Path) -> bool {
    fs::symlink_metadata(place).is_ok()
}
