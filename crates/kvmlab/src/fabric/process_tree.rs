//! PID 1 of the fabric.
//!
//! Owns: the order in which the fabric is set up. Promises: nothing of the machine is changed: mounts, network and
//! names belong to the namespaces of this process. Does not: return, while all goes well.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, MountPropagationFlags, mount_change};

use super::carrier::FabricIds;
use super::network::{make_bridge, plug_in};
use super::supervisor::Supervisor;
use crate::folder::{read_json, write_whole};
use crate::mounts::{bind, mount};
use crate::settings::LabSettings;
use crate::{LabError, LabFolder};

/// Folder of the fabric's own things, on its private `/run`.
pub(crate) const RUN: &str = "/run/lifeboat-kvmlab";

/// Most that the writable root of one host may take from the machine's memory.
const UPPER_LIMIT: &str = "size=2g,mode=755";

/// Sets up the fabric and supervises it. Runs as PID 1 of fresh mount, network, PID and IPC namespaces.
pub(crate) fn run(folder: &Path) -> Result<(), LabError> {
    let folder = LabFolder::new(folder)?;
    let settings =
        LabSettings::read(&folder)?.ok_or_else(|| LabError::NotUp { folder: folder.path().to_owned() })?;
    wait_until_written_down(&folder, &settings.id)?;
    let root = Path::new("/");
    mount_change(root, MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).map_err(|error| {
        LabError::Mount { what: "private".to_owned(), path: root.into(), source: error.into() }
    })?;
    mount("tmpfs", "/run", MountFlags::empty(), "mode=755")?;
    mount("sysfs", "/sys", MountFlags::empty(), "")?;
    let hosts = folder.hosts_file();
    write_whole(&hosts, settings.hosts_file().as_bytes())?;
    bind(&hosts, "/etc/hosts")?;
    make_bridge()?;
    for host in &settings.hosts {
        plug_in(host)?;
        let upper = Path::new(RUN).join(&host.name).join("upper");
        fs::create_dir_all(&upper).map_err(LabError::file("create", &upper))?;
        mount("tmpfs", &upper, MountFlags::empty(), UPPER_LIMIT)?;
    }
    let supervisor = Supervisor::new(folder, settings)?;
    supervisor.run()
}

/// A fabric that nobody has written down could never be ended: it ends itself.
fn wait_until_written_down(folder: &LabFolder, lab: &str) -> Result<(), LabError> {
    let begin = Instant::now();
    while read_json::<FabricIds>(&folder.fabric())?.is_none_or(|ids| ids.lab != lab) {
        if begin.elapsed() > Duration::from_secs(20) {
            return Err(LabError::Deadline {
                what: "being written down in fabric.json".to_owned(),
                secs: 20,
                look: "the command that started the lab has ended before".to_owned(),
            });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
