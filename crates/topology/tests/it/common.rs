//! Words that the tests share.

use std::path::{Path, PathBuf};

use lifeboat_topology::{MemTree, Topology, Tree, probe_tree, read_linux};

/// A folder or file of real machines beside the repository; none if it is not there, with the reason printed.
pub(crate) fn samples(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: dumps of real machines are not beside the repository ({name})");
    None
}

/// Says why something is not tested; fails where everything must be.
pub(crate) fn skipped(reason: &str) {
    println!("skipped: {reason}");
    assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "a required peer is missing: {reason}");
}

pub(crate) fn linux(tree: &dyn Tree) -> Topology {
    read_linux(tree).unwrap()
}

/// A machine of the probes.
pub(crate) fn probe(name: &str) -> Option<Topology> {
    let file = samples("storage-topology/machines")?.join(name);
    Some(linux(&probe_tree(&std::fs::read(file).unwrap()).unwrap()))
}

/// The dump of the machine with LVM over loop devices, unpacked into a folder that vanishes.
pub(crate) fn simple_lvm() -> Option<tempfile::TempDir> {
    let packed = samples("storage-topology/lsblk/dumps/simple-lvm.tar.xz")?;
    let folder = tempfile::tempdir().unwrap();
    let tar = std::process::Command::new("tar").arg("-xJf").arg(packed).arg("-C").arg(folder.path()).status();
    match tar {
        Ok(status) if status.success() => Some(folder),
        Ok(_) | Err(_) => {
            skipped("tar with xz is needed to unpack the dump");
            None
        }
    }
}

/// Size of a file of bytes in sectors, as sysfs writes it.
pub(crate) fn sectors(bytes: u64) -> String {
    format!("{}\n", bytes / 512)
}

/// A disk in a tree, under this folder of `sys/devices`.
pub(crate) fn disk(tree: &mut MemTree, dir: &str, name: &str, number: &str, bytes: u64) {
    let place = format!("sys/devices/{dir}/block/{name}");
    tree.file(format!("{place}/size"), sectors(bytes));
    tree.file(format!("{place}/dev"), format!("{number}\n"));
    tree.link(format!("sys/block/{name}"), format!("../devices/{dir}/block/{name}"));
}
