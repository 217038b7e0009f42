//! Disks and releases of a new lab.
//!
//! Owns: making them, and letting go of the devices of a lab that is gone. Promises: a device is let go of only if it
//! shows a disk of this lab. Does not: start anything.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use lifeboat_bundle::inspect;
use lifeboat_model::chain;

use super::disk::HostDisk;
use super::release::{ReleaseSpec, bundle_path, make_bundle, read_trust};
use crate::folder::{damaged, make_folder};
use crate::{LabError, LabFolder, LabSettings, tool};

/// Makes the lab's releases and the disks of its hosts, with release 1 in bank A.
pub(crate) fn make_hosts(
    folder: &LabFolder,
    settings: &LabSettings,
    agent: Option<&Path>,
    tell: &mut dyn FnMut(&str),
) -> Result<(), LabError> {
    make_folder(&folder.releases())?;
    let (_, trust) = read_trust(folder)?;
    let mut largest = 0;
    for spec in ReleaseSpec::all() {
        let (made, path) = make_bundle(folder, &spec, agent)?;
        let file = fs::File::open(&path).map_err(LabError::file("open", &path))?;
        let info = inspect(file, None).map_err(|error| damaged(&path, &chain(&error)))?;
        largest = info.totals.len.max(largest);
        tell(&format!("release {made} built and signed"));
    }
    for host in &settings.hosts {
        // Room for a release of the lab's user that brings more.
        HostDisk::make(host, &folder.host(&host.name), &bundle_path(folder, "1"), &trust, largest * 2)?;
        tell(&format!("{} has release 1 in bank A", host.name));
    }
    Ok(())
}

/// Lets go of loop devices that still show disks of this lab. The kernel does it by itself when the last mount of a
/// host is gone, a moment after its last process.
pub(crate) fn release_disks(folder: &LabFolder, settings: &LabSettings) -> Result<(), LabError> {
    for host in &settings.hosts {
        let disk = folder.host(&host.name).disk();
        if !disk.exists() {
            continue;
        }
        let begin = Instant::now();
        loop {
            let mut list = Command::new(tool::needed("losetup")?);
            list.args(["--noheadings", "--output", "NAME", "--associated"]).arg(&disk);
            let devices = tool::run(&mut list, "list the devices of a lab")?;
            let Some(device) = devices.lines().next() else { break };
            if begin.elapsed() > Duration::from_secs(10) {
                let mut detach = Command::new(tool::needed("losetup")?);
                tool::run(detach.args(["--detach", device.trim()]), "let go of the disk of a host")?;
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}
