//! The root of a host.
//!
//! Owns: the overlay, for both kinds of hosts. Promises: the machine's root is the lowest layer and is never written;
//! a bank's root is read-only as a whole, with a few writable folders over it. Does not: mount what every host has.

use std::path::{Path, PathBuf};

use rustix::mount::MountFlags;

use super::devices::make_disk_nodes;
use super::order::BankOrder;
use crate::LabError;
use crate::fabric::RUN;
use crate::folder::make_folder;
use crate::mounts::{mount, mount_from};

/// Folders of a read-only root that can be written all the same, until another release is installed.
const WRITABLE: [&str; 5] = ["etc", "var", "srv", "root", "home"];

/// Where a root was put together.
pub(super) struct Root {
    /// Its mount point.
    pub(super) path: PathBuf,
    /// Whether its writable parts are new: they need the lab's configuration files.
    pub(super) fresh: bool,
}

fn run_folder(host: &str) -> PathBuf {
    Path::new(RUN).join(host)
}

/// A root that can be written, and that outlives reboots.
pub(super) fn packages(host: &str) -> Result<Root, LabError> {
    let run = run_folder(host);
    let (path, upper, work) = (run.join("root"), run.join("upper/root"), run.join("upper/work"));
    let fresh = !upper.exists();
    for folder in [&path, &upper, &work] {
        make_folder(folder)?;
    }
    let options = format!("lowerdir=/,upperdir={},workdir={}", upper.display(), work.display());
    mount("overlay", &path, MountFlags::empty(), &options)?;
    Ok(Root { path, fresh })
}

/// The read-only root of a bank: the release's image above the machine's root.
pub(super) fn bank(host: &str, order: &BankOrder) -> Result<Root, LabError> {
    let run = run_folder(host);
    let (path, image, nodes) = (run.join("root"), run.join("image"), run.join("dev"));
    for folder in [&path, &image, &nodes] {
        make_folder(folder)?;
    }
    // Seen by this host only; the fabric's own folder stays empty.
    mount("tmpfs", &nodes, MountFlags::empty(), "mode=700,size=1m")?;
    make_disk_nodes(&order.disk, &nodes)?;
    let device = nodes.join(format!("{}p{}", order.disk, order.root));
    mount_from(&device, "erofs", &image, MountFlags::RDONLY, "")?;
    let options = format!("lowerdir={}:/", image.display());
    mount("overlay", &path, MountFlags::RDONLY, &options)?;
    let upper = run.join("upper").join(&order.install);
    let fresh = !upper.exists();
    for name in WRITABLE {
        let (lower, upper, work) = (path.join(name), upper.join(name), upper.join(format!("{name}.work")));
        if !lower.is_dir() {
            continue;
        }
        make_folder(&upper)?;
        make_folder(&work)?;
        let (lower_word, at) = (lower.display().to_string(), &lower);
        let options =
            format!("lowerdir={lower_word},upperdir={},workdir={}", upper.display(), work.display());
        mount("overlay", at, MountFlags::empty(), &options)?;
    }
    Ok(Root { path, fresh })
}
