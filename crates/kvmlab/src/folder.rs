//! Where things lie in the folder of a lab.
//!
//! Owns: every path in it, and replacing a small file as a whole. Promises: paths are absolute. Does not: make the
//! folder.
//!
//! ```text
//! lab.json                what the lab is
//! fabric.json             the processes that carry it
//! fabric.log              what they said
//! program, agent          the program that carries it, and the agent of its hosts
//! hosts/H/switch          on, off, cut or reset: what was last asked for
//! hosts/H/power.json      what the power loop last saw
//! hosts/H/console.log     what PID 1 of the host and its children said
//! hosts/H/run-libvirt/    /run/libvirt of the host: sockets that can be reached from outside
//! hosts/H/images/         /var/lib/libvirt/images of the host
//! hosts/H/log/            /var/log/libvirt of the host
//! hosts/H/disk.img        the host's own disk, if it boots from banks
//! hosts/H/efivars/        the variables of its firmware
//! hosts/H/state/          /var/lib/lifeboat of the host, if it has packages and an agent
//! shared/                 /srv/shared of every host: disks/ (served by NBD), serial/, iso/
//! releases/, keys/        releases of hosts that boot from banks
//! tls/, ssh/              certificates and keys, if asked for
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::LabError;

/// Larger files are not ours.
const LIMIT: u64 = 1 << 20;

/// The folder of a lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabFolder(PathBuf);

/// The folder of one host in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFolder(PathBuf);

impl LabFolder {
    /// The lab at `path`.
    pub(crate) fn new(path: &Path) -> Result<Self, LabError> {
        std::path::absolute(path).map(Self).map_err(LabError::file("look at", path))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn settings(&self) -> PathBuf {
        self.0.join("lab.json")
    }

    pub(crate) fn fabric(&self) -> PathBuf {
        self.0.join("fabric.json")
    }

    /// What the processes that carry the lab said.
    pub fn fabric_log(&self) -> PathBuf {
        self.0.join("fabric.log")
    }

    pub(crate) fn ready(&self) -> PathBuf {
        self.0.join("fabric.ready")
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.0.join("program")
    }

    /// The agent that the lab was made with, if there is one.
    pub(crate) fn agent(&self) -> PathBuf {
        self.0.join("agent")
    }

    pub(crate) fn hosts_file(&self) -> PathBuf {
        self.0.join("hosts.txt")
    }

    /// What every host sees at `/srv/shared`.
    pub fn shared(&self) -> PathBuf {
        self.0.join("shared")
    }

    pub(crate) fn releases(&self) -> PathBuf {
        self.0.join("releases")
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// Certificates, if the lab has TLS: `ca.pem`, and a folder for each host and for `client`.
    pub fn tls(&self) -> PathBuf {
        self.0.join("tls")
    }

    /// Keys, if its hosts have sshd: `id` and `id.pub` of the user, `known_hosts`, and `ssh`, which uses them.
    pub fn ssh(&self) -> PathBuf {
        self.0.join("ssh")
    }

    /// The folder of a host.
    pub fn host(&self, name: &str) -> HostFolder {
        HostFolder(self.0.join("hosts").join(name))
    }
}

impl HostFolder {
    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn switch(&self) -> PathBuf {
        self.0.join("switch")
    }

    pub(crate) fn power(&self) -> PathBuf {
        self.0.join("power.json")
    }

    pub(crate) fn order(&self) -> PathBuf {
        self.0.join("boot.json")
    }

    pub(crate) fn booted(&self) -> PathBuf {
        self.0.join("booted")
    }

    /// What PID 1 of the host and its children said, over all boots.
    pub fn console(&self) -> PathBuf {
        self.0.join("console.log")
    }

    /// What the host sees at `/run/libvirt`.
    pub fn run_libvirt(&self) -> PathBuf {
        self.0.join("run-libvirt")
    }

    /// libvirt's socket, which can be reached from outside of the lab.
    pub fn socket(&self) -> PathBuf {
        self.run_libvirt().join("libvirt-sock")
    }

    /// What the host sees at `/var/lib/libvirt/images`.
    pub fn images(&self) -> PathBuf {
        self.0.join("images")
    }

    /// What the host sees at `/var/log/libvirt`.
    pub fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// The host's own disk, if it boots from banks.
    pub fn disk(&self) -> PathBuf {
        self.0.join("disk.img")
    }

    /// What a host with packages sees at `/var/lib/lifeboat`, if the lab has an agent.
    pub(crate) fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    /// The variables of its firmware.
    pub fn variables(&self) -> PathBuf {
        self.0.join("efivars")
    }
}

/// Replaces the file at `path` as a whole.
pub(crate) fn write_whole(path: &Path, data: &[u8]) -> Result<(), LabError> {
    let beside = path.with_extension("new");
    fs::write(&beside, data).map_err(LabError::file("write", &beside))?;
    fs::rename(&beside, path).map_err(LabError::file("rename", beside))
}

/// Replaces the file at `path` with `value` as JSON.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), LabError> {
    let text = serde_json::to_vec_pretty(value).map_err(|error| damaged(path, &error.to_string()))?;
    write_whole(path, &text)
}

/// Reads JSON from the file at `path`; none if it is not there.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, LabError> {
    let Some(text) = read_small(path)? else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).map_err(|error| damaged(path, &error.to_string()))
}

/// Reads a small file; none if it is not there.
pub(crate) fn read_small(path: &Path) -> Result<Option<Vec<u8>>, LabError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > LIMIT => return Err(damaged(path, "it has more than 1 MiB")),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LabError::file("look at", path)(error)),
    }
    match fs::read(path) {
        Ok(data) => Ok(Some(data)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LabError::file("read", path)(error)),
    }
}

pub(crate) fn damaged(path: &Path, why: &str) -> LabError {
    LabError::Damaged { path: path.to_owned(), why: why.to_owned() }
}

/// Makes a folder and those above it.
pub(crate) fn make_folder(path: &Path) -> Result<(), LabError> {
    fs::create_dir_all(path).map_err(LabError::file("create", path))
}

/// A fresh random UUID, from the kernel.
pub(crate) fn random_uuid() -> Result<String, LabError> {
    // A bind mount may lie over `boot_id`, never over this one.
    let path = Path::new("/proc/sys/kernel/random/uuid");
    fs::read_to_string(path).map(|text| text.trim().to_owned()).map_err(LabError::file("read", path))
}
