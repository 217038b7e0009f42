//! Device nodes of a host.
//!
//! Owns: `/dev`. Promises: no `/dev/kvm`, which libvirt would believe in, and of the machine's disks only the host's
//! own. Does not: follow devices that come later.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::MountFlags;

use crate::LabError;
use crate::folder::{damaged, make_folder};
use crate::mounts::{bind, mount};

/// Character devices: name, major, minor.
const NODES: [(&str, u32, u32); 8] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
    ("net/tun", 10, 200),
    ("kmsg", 1, 11),
];

/// Fills `/dev` of the root at `root`; `console` is the file behind `/dev/console`.
pub(super) fn make_devices(root: &Path, console: &Path) -> Result<(), LabError> {
    let dev = root.join("dev");
    mount("tmpfs", &dev, MountFlags::NOSUID, "mode=755,size=4m")?;
    for folder in ["net", "pts", "shm", "mapper"] {
        make_folder(&dev.join(folder))?;
    }
    for (name, major, minor) in NODES {
        make_node(&dev.join(name), FileType::CharacterDevice, 0o666, major, minor)?;
    }
    mount("devpts", dev.join("pts"), MountFlags::NOSUID, "newinstance,ptmxmode=0666,mode=620")?;
    mount("tmpfs", dev.join("shm"), MountFlags::NOSUID, "mode=1777")?;
    for (name, target) in [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        let link = dev.join(name);
        symlink(target, &link).map_err(LabError::file("link", link))?;
    }
    bind(console, dev.join("console"))
}

/// Makes the nodes of `disk` and of all its partitions in the folder `dev`.
pub(super) fn make_disk_nodes(disk: &str, dev: &Path) -> Result<(), LabError> {
    make_folder(dev)?;
    let class = Path::new("/sys/class/block").join(disk);
    make_disk_node(&class, &dev.join(disk))?;
    for entry in fs::read_dir(&class).map_err(LabError::file("read", &class))? {
        let entry = entry.map_err(LabError::file("read", &class))?;
        if entry.path().join("partition").exists() {
            make_disk_node(&entry.path(), &dev.join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn make_disk_node(class: &Path, node: &Path) -> Result<(), LabError> {
    let path = class.join("dev");
    let text = fs::read_to_string(&path).map_err(LabError::file("read", &path))?;
    let numbers = text.trim().split_once(':');
    let numbers = numbers.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    let (major, minor) = numbers.ok_or_else(|| damaged(&path, "it is not a device number"))?;
    make_node(node, FileType::BlockDevice, 0o660, major, minor)
}

fn make_node(path: &Path, kind: FileType, mode: u32, major: u32, minor: u32) -> Result<(), LabError> {
    mknodat(CWD, path, kind, Mode::from_raw_mode(mode), makedev(major, minor))
        .map_err(|error| LabError::file("make the device", path)(error.into()))?;
    // mknod(2) honours the umask of whoever started the lab.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs::set_permissions(path, mode).map_err(LabError::file("set the mode of", path))
}
