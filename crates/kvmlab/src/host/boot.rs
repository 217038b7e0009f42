//! PID 1 of a host, until it becomes init.
//!
//! Owns: the order of a boot. Promises: init starts only when everything is in place; before that a failure ends the
//! host as a panic does. Does not: return, if all goes well.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::mount::{MountFlags, UnmountFlags, unmount};
use rustix::process::{chdir, pivot_root};

use super::devices::{make_devices, make_disk_nodes};
use super::order::BootOrder;
use super::{dress, roots};
use crate::bank::PANIC_FILE;
use crate::folder::{HostFolder, make_folder, read_json, write_whole};
use crate::mounts::{bind, mount, mount_from};
use crate::settings::{HostSettings, LabSettings};
use crate::{LabError, LabFolder, tool};

/// Where the agent keeps what outlives upgrades.
pub(crate) const STATE_FOLDER: &str = "var/lib/lifeboat";

/// Boots the host `name`. Runs as PID 1 of the host's namespaces.
pub(crate) fn boot(folder: &Path, name: &str) -> Result<(), LabError> {
    let lab = LabFolder::new(folder)?;
    let settings =
        LabSettings::read(&lab)?.ok_or_else(|| LabError::NotUp { folder: lab.path().to_owned() })?;
    let host = settings.host(name)?;
    let own = lab.host(name);
    let order: BootOrder = read_json(&own.order())?.ok_or_else(|| LabError::HostOff {
        host: name.to_owned(),
        why: "there is no boot.json".to_owned(),
    })?;
    let root = match &order.bank {
        None => roots::packages(name)?,
        Some(bank) => roots::bank(name, bank)?,
    };
    if root.path.join(PANIC_FILE).exists() {
        return Err(LabError::HostOff { host: name.to_owned(), why: "this release panics".to_owned() });
    }
    mount_views(&root.path, &lab, &own, &order)?;
    if root.fresh {
        dress::dress(&root.path, &settings, host, &lab)?;
    }
    dress::write_init(&root.path, &settings)?;
    become_init(&root.path, &own, host, &order)
}

/// Everything over the root that each boot has anew.
fn mount_views(root: &Path, lab: &LabFolder, own: &HostFolder, order: &BootOrder) -> Result<(), LabError> {
    let none = MountFlags::empty();
    mount("proc", root.join("proc"), none, "")?;
    mount("sysfs", root.join("sys"), none, "")?;
    mount("tmpfs", root.join("sys/fs/cgroup"), none, "mode=755,size=1m")?;
    mount("tmpfs", root.join("run"), none, "mode=755,size=64m")?;
    mount("tmpfs", root.join("tmp"), none, "mode=1777,size=256m")?;
    let console = own.console();
    File::options().create(true).append(true).open(&console).map_err(LabError::file("create", &console))?;
    make_devices(root, &console)?;

    // As after any power cycle, nothing is left of the last boot.
    let run_libvirt = own.run_libvirt();
    empty(&run_libvirt)?;
    for (from, at) in [
        (run_libvirt, "run/libvirt"),
        (own.images(), "var/lib/libvirt/images"),
        (own.log(), "var/log/libvirt"),
        (lab.shared(), "srv/shared"),
    ] {
        make_folder(&from)?;
        bind(from, root.join(at))?;
    }
    let boot_id = root.join("run/lab-boot-id");
    write_whole(&boot_id, format!("{}\n", order.boot_id).as_bytes())?;
    bind(boot_id, root.join("proc/sys/kernel/random/boot_id"))?;

    let Some(bank) = &order.bank else {
        return if own.state().exists() { bind(own.state(), root.join(STATE_FOLDER)) } else { Ok(()) };
    };
    let line = root.join("run/lab-cmdline");
    write_whole(&line, format!("{}\n", bank.cmdline).as_bytes())?;
    bind(line, root.join("proc/cmdline"))?;
    mount("tmpfs", root.join("sys/firmware"), none, "mode=755,size=1m")?;
    let variables = root.join("sys/firmware/efi/efivars");
    make_folder(&variables)?;
    bind(own.variables(), variables)?;
    let dev = root.join("dev");
    make_disk_nodes(&bank.disk, &dev)?;
    let state = root.join(STATE_FOLDER);
    make_folder(&state)?;
    let device = dev.join(format!("{}p{}", bank.disk, bank.state));
    mount_from(&device, "ext4", state, MountFlags::NOATIME, "")
}

fn empty(folder: &Path) -> Result<(), LabError> {
    match fs::remove_dir_all(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(LabError::file("empty", folder)(error)),
    }
    make_folder(folder)
}

/// Leaves the machine's root behind and starts init.
fn become_init(
    root: &Path,
    own: &HostFolder,
    host: &HostSettings,
    order: &BootOrder,
) -> Result<(), LabError> {
    let busybox = tool::needed("busybox")?;
    rustix::system::sethostname(host.name.as_bytes())
        .map_err(|error| LabError::file("name the host", root)(error.into()))?;
    // The last word to the outside: from the next step on its folders are out of reach.
    write_whole(&root.join("run/lab-booting"), b"")?;
    let booted = File::create(own.booted()).map_err(LabError::file("create", own.booted()))?;
    chdir(root).map_err(|error| LabError::file("enter", root)(error.into()))?;
    // With the same folder for both, the old root lies over the new one, and is what `.` unmounts.
    pivot_root(".", ".").map_err(|error| LabError::file("make the root of", root)(error.into()))?;
    unmount(".", UnmountFlags::DETACH).map_err(|error| LabError::file("leave", root)(error.into()))?;
    chdir("/").map_err(|error| LabError::file("enter", root)(error.into()))?;
    if order.bank.is_some() && Path::new("/usr/bin/lifeboat-agent").exists() {
        // What it cannot bring up is told by the agent, which takes a bank on trial back for it.
        let mut agent = Command::new("/usr/bin/lifeboat-agent");
        let _ = agent.arg("bring-up-state").stdin(Stdio::null()).status();
    }
    std::io::Write::write_all(&mut &booted, order.boot_id.as_bytes())
        .map_err(LabError::file("write", own.booted()))?;
    drop(booted);
    let mut init = Command::new(busybox);
    init.arg0("init").env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    let error = init.env("HOME", "/root").env("TERM", "linux").exec();
    Err(LabError::file("start init of", root)(error))
}
