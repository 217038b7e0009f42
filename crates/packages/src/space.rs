//! Room on each file system that a transaction writes.
//!
//! Owns: the sums. Promises: every file system is counted by itself, `/boot` with the initial RAM disks that kernels will
//! have made, and the one of the transaction's folder with both versions of every package. Does not: make room.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use lifeboat_model::Finding;
use serde::{Deserialize, Serialize};

use crate::codes::finding;
use crate::error::{PackageError, at};
use crate::manager::PackageFile;
use crate::roots::Roots;

/// Kept free for the rest of the host.
const RESERVE: u64 = 16 << 20;
/// Size of an initial RAM disk where there is none to compare with.
const INITRD: u64 = 96 << 20;
/// Each file of a package rounds up to blocks.
const BLOCK: u64 = 4096;

/// Room on one file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Where it is mounted, as the host names it.
    pub mount: String,
    /// Bytes that the transaction needs at its peak, the reserve included.
    pub needed: u64,
    /// Bytes that are free for root.
    pub free: u64,
    /// Inodes that it needs.
    pub inodes_needed: u64,
    /// Inodes that are free; none where the file system does not count them.
    pub inodes_free: Option<u64>,
}

/// What is written to one file system.
#[derive(Debug, Default)]
struct Load {
    /// What stays, new minus old.
    grown: i128,
    /// The most that was there at once.
    peak: i128,
    inodes: u64,
    place: PathBuf,
}

/// The room that `files` need; `kept` is what the transaction's folder will hold.
pub(crate) fn check_space(
    roots: &Roots,
    files: &[PackageFile],
    kept: u64,
) -> Result<(Vec<Room>, Vec<Finding>), PackageError> {
    let mut loads: BTreeMap<u64, Load> = BTreeMap::new();
    let mut places: BTreeMap<PathBuf, (u64, PathBuf)> = BTreeMap::new();
    let mut place_of = |folder: &Path| -> Result<(u64, PathBuf), PackageError> {
        if let Some(known) = places.get(folder) {
            return Ok(known.clone());
        }
        let place = existing(folder, &roots.root);
        let device = fs::metadata(&place).map_err(at("looking at", &place))?.dev();
        places.insert(folder.to_owned(), (device, place.clone()));
        Ok((device, place))
    };
    let mut put = |path: &Path, new: u64, old: u64| -> Result<(), PackageError> {
        let (device, place) = place_of(path.parent().unwrap_or(path))?;
        let load = loads.entry(device).or_default();
        load.place = place;
        // The new file stands beside the old one until the package is whole.
        load.grown += i128::from(new.div_ceil(BLOCK) * BLOCK);
        load.peak = load.peak.max(load.grown);
        load.grown -= i128::from(old.div_ceil(BLOCK) * BLOCK);
        load.inodes += u64::from(old == 0);
        Ok(())
    };
    // Written first, and there until the end.
    put(&roots.state.join("transaction"), kept, 0)?;
    for file in files {
        for (path, bytes) in &file.files {
            let path = roots.host_path(path);
            let old =
                fs::symlink_metadata(&path).map_or(0, |meta| if meta.is_file() { meta.len() } else { 0 });
            put(&path, *bytes, old)?;
        }
        if file.is_kernel() {
            // Made beside its predecessor, and renamed.
            put(&roots.host_path("/boot/initrd.new"), largest_initrd(roots).saturating_mul(2), 0)?;
        }
    }
    let mut rooms = Vec::new();
    let mut findings = Vec::new();
    for load in loads.values() {
        let room = measure(roots, load)?;
        if room.needed > room.free || room.inodes_free.is_some_and(|free| room.inodes_needed > free) {
            let evidence = format!(
                "{} bytes and {} inodes are needed, {} bytes and {} inodes are free",
                room.needed,
                room.inodes_needed,
                room.free,
                room.inodes_free.map_or_else(|| "enough".to_owned(), |free| free.to_string())
            );
            findings.push(finding("space-short", &room.mount, evidence));
        }
        rooms.push(room);
    }
    Ok((rooms, findings))
}

fn measure(roots: &Roots, load: &Load) -> Result<Room, PackageError> {
    let place = &load.place;
    let stat = rustix::fs::statvfs(place).map_err(|error| at("measuring", place)(error.into()))?;
    let needed = u64::try_from(load.peak.max(0)).unwrap_or(u64::MAX).saturating_add(RESERVE);
    Ok(Room {
        mount: roots.as_host(&mount_of(place, &roots.root)),
        needed,
        free: stat.f_bavail.saturating_mul(stat.f_frsize),
        inodes_needed: load.inodes,
        inodes_free: (stat.f_files > 0).then_some(stat.f_favail),
    })
}

/// The deepest folder above `path` that is there, symbolic links followed, never above `root`.
fn existing(path: &Path, root: &Path) -> PathBuf {
    path.ancestors()
        .find(|folder| folder.is_dir() || *folder == root)
        .map_or_else(|| root.to_owned(), Path::to_owned)
}

/// Where the file system of `place` is mounted.
fn mount_of(place: &Path, root: &Path) -> PathBuf {
    let device = |path: &Path| fs::metadata(path).map(|meta| meta.dev()).ok();
    let mut mount = place.to_owned();
    while mount != root {
        let Some(above) = mount.parent() else { break };
        if device(above) != device(&mount) {
            break;
        }
        mount = above.to_owned();
    }
    mount
}

fn largest_initrd(roots: &Roots) -> u64 {
    let entries = fs::read_dir(roots.host_path("/boot")).into_iter().flatten().flatten();
    let initrds = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("init"));
    initrds.filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len()).max().unwrap_or(INITRD)
}
