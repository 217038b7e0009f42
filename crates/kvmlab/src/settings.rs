//! What a lab is: `lab.json`.
//!
//! Owns: the form of the file and the addresses of hosts. Promises: what was written by another version of the form is
//! refused. Does not: hold anything that changes while the lab runs.

use serde::{Deserialize, Serialize};

use crate::folder::{damaged, read_json, write_json};
use crate::{LabError, LabFolder};

/// Number of the form of `lab.json`.
const SCHEMA: u32 = 1;

/// Address of the fabric itself: where a controller listens, and where disks are served by NBD.
pub const FABRIC_ADDRESS: &str = "10.77.0.254";

/// Port of the NBD server on [`FABRIC_ADDRESS`].
pub const NBD_PORT: u16 = 10_809;

/// Port on [`FABRIC_ADDRESS`] where the agents of hosts expect their controller.
pub const CONTROLLER_PORT: u16 = 7443;

/// How a host's system comes and goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostKind {
    /// A root that can be written, with package databases of its own, above the machine's root.
    Packages,
    /// A disk with Lifeboat's banks: a read-only root for each, and firmware that chooses.
    Banks,
}

/// The file `lab.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabSettings {
    /// Number of the form.
    pub schema: u32,
    /// Random identity.
    pub id: String,
    /// Words that the program takes before its own.
    pub program_args: Vec<String>,
    /// The hosts.
    pub hosts: Vec<HostSettings>,
    /// libvirt over TLS too.
    pub tls: bool,
    /// sshd on each host.
    pub ssh: bool,
    /// How long a bank on trial may take until it is blessed, in seconds: the hosts' watchdog.
    pub watchdog_secs: u64,
}

/// One host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSettings {
    /// `h1`, `h2`…
    pub name: String,
    /// 1, 2…
    pub number: u8,
    /// How its system comes and goes.
    pub kind: HostKind,
    /// Memory that a planner may give to guests. Nothing enforces it: every host reports the whole machine.
    pub memory_mib: u32,
    /// What libvirt reports as the identity of the machine.
    pub uuid: String,
}

impl HostSettings {
    /// Its address in the fabric.
    pub fn address(&self) -> String {
        format!("10.77.0.{}", 10 + u32::from(self.number))
    }

    /// Its machine id, as in `/etc/machine-id`.
    pub(crate) fn machine_id(&self) -> String {
        self.uuid.chars().filter(|c| *c != '-').rev().collect()
    }
}

impl LabSettings {
    /// Settings of a new lab.
    pub(crate) fn new(id: String, program_args: Vec<String>, hosts: Vec<HostSettings>) -> Self {
        Self { schema: SCHEMA, id, program_args, hosts, tls: false, ssh: false, watchdog_secs: 30 }
    }

    /// Reads the settings of a lab; none if there is no lab.
    pub(crate) fn read(folder: &LabFolder) -> Result<Option<Self>, LabError> {
        let path = folder.settings();
        let settings: Option<Self> = read_json(&path)?;
        match settings {
            Some(settings) if settings.schema != SCHEMA => {
                Err(damaged(&path, &format!("its schema is {}, known is {SCHEMA}", settings.schema)))
            }
            settings => Ok(settings),
        }
    }

    /// Writes the settings of a lab.
    pub(crate) fn write(&self, folder: &LabFolder) -> Result<(), LabError> {
        write_json(&folder.settings(), self)
    }

    /// The settings of one host.
    pub fn host(&self, name: &str) -> Result<&HostSettings, LabError> {
        self.hosts.iter().find(|host| host.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.hosts.iter().map(|host| host.name.as_str()).collect();
            LabError::UnknownHost { host: name.to_owned(), known: known.join(", ") }
        })
    }

    /// The hosts file of the fabric and of every host.
    pub(crate) fn hosts_file(&self) -> String {
        let mut text = format!("127.0.0.1 localhost\n{FABRIC_ADDRESS} fabric controller\n");
        for host in &self.hosts {
            text.extend([&host.address(), " ", &host.name, "\n"]);
        }
        text
    }
}
