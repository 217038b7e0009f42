//! What a new lab shall be.
//!
//! Owns: the options. Promises: defaults that fit two cores. Does not: check what only making the lab can show.

use std::path::{Path, PathBuf};

use crate::program::CarrierProgram;
use crate::settings::HostKind;

/// What a new lab shall be.
#[derive(Debug, Clone)]
pub struct LabOptions {
    pub(crate) folder: PathBuf,
    pub(crate) program: CarrierProgram,
    pub(crate) hosts: u8,
    pub(crate) kind: HostKind,
    pub(crate) memory_mib: u32,
    pub(crate) agent: Option<PathBuf>,
    pub(crate) tls: bool,
    pub(crate) ssh: bool,
    pub(crate) watchdog_secs: u64,
}

impl LabOptions {
    /// Three hosts with packages, in `folder`, which must not hold a lab yet.
    pub fn new(folder: impl Into<PathBuf>, program: CarrierProgram) -> Self {
        Self {
            folder: folder.into(),
            program,
            hosts: 3,
            kind: HostKind::Packages,
            memory_mib: 1024,
            agent: None,
            tls: false,
            ssh: false,
            watchdog_secs: 30,
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How many hosts: 1 to 64.
    #[must_use]
    pub fn hosts(mut self, hosts: u8) -> Self {
        self.hosts = hosts;
        self
    }

    /// How the hosts' systems come and go.
    #[must_use]
    pub fn kind(mut self, kind: HostKind) -> Self {
        self.kind = kind;
        self
    }

    /// Memory of each host that a planner may give to guests, in MiB.
    #[must_use]
    pub fn memory_mib(mut self, memory_mib: u32) -> Self {
        self.memory_mib = memory_mib;
        self
    }

    /// The agent that goes into releases of hosts that boot from banks; it need not be static here.
    #[must_use]
    pub fn agent(mut self, agent: impl Into<PathBuf>) -> Self {
        self.agent = Some(agent.into());
        self
    }

    /// libvirt over TLS too, with certificates of the lab's own authority.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// sshd on each host.
    #[must_use]
    pub fn ssh(mut self) -> Self {
        self.ssh = true;
        self
    }

    /// How long a bank on trial may take until it is blessed.
    #[must_use]
    pub fn watchdog_secs(mut self, secs: u64) -> Self {
        self.watchdog_secs = secs;
        self
    }
}
