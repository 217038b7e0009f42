//! The lab at a glance.
//!
//! Owns: the status of hosts and where guests are. Promises: a host that does not answer is told as such, and the
//! others all the same. Does not: wait.

use serde::Serialize;

use super::KvmLab;
use crate::LabError;
use crate::fabric::{FabricIds, PowerState};
use crate::settings::HostKind;

/// A lab at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LabStatus {
    /// Whether the processes that carry it run.
    pub running: bool,
    /// PID 1 of the fabric, as the machine sees it.
    pub pid: Option<i32>,
    /// Its hosts.
    pub hosts: Vec<HostStatus>,
}

/// A host at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostStatus {
    /// Its name.
    pub name: String,
    /// Its address in the fabric.
    pub address: String,
    /// How its system comes and goes.
    pub kind: HostKind,
    /// Memory that a planner may give to guests.
    pub memory_mib: u32,
    /// What its power loop last saw.
    pub power: PowerState,
    /// Whether libvirt answers.
    pub libvirt: bool,
    /// Its guests, running or not.
    pub guests: Vec<PlacedGuest>,
}

/// A guest, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlacedGuest {
    /// Its name.
    pub name: String,
    /// Its host.
    pub host: String,
    /// Its state in libvirt's words, for example `running` or `shut off`.
    pub state: String,
}

impl KvmLab {
    /// The lab at a glance.
    pub fn status(&self) -> Result<LabStatus, LabError> {
        let ids = FabricIds::running(&self.folder)?;
        let mut hosts = Vec::new();
        for host in &self.settings.hosts {
            let guests = self.guests_on(&host.name);
            hosts.push(HostStatus {
                name: host.name.clone(),
                address: host.address(),
                kind: host.kind,
                memory_mib: host.memory_mib,
                power: self.power(&host.name)?,
                libvirt: guests.is_ok(),
                guests: guests.unwrap_or_default(),
            });
        }
        Ok(LabStatus { running: ids.is_some(), pid: ids.map(|ids| ids.inner.pid), hosts })
    }

    /// The guests of a host, running or not.
    pub fn guests_on(&self, host: &str) -> Result<Vec<PlacedGuest>, LabError> {
        let text = self.virsh(host, &["list", "--all"])?;
        let one = |line: &str| {
            // Number, name, state; the state may be two words.
            let mut words = line.split_whitespace().skip(1);
            let name = words.next()?.to_owned();
            let state = words.collect::<Vec<_>>().join(" ");
            Some(PlacedGuest { name, host: host.to_owned(), state })
        };
        Ok(text.lines().filter_map(one).collect())
    }

    /// The hosts on which a guest runs: one, unless something went wrong.
    pub fn where_runs(&self, guest: &str) -> Result<Vec<String>, LabError> {
        let mut found = Vec::new();
        for host in &self.settings.hosts {
            // A host without power runs nothing.
            let guests = self.guests_on(&host.name).unwrap_or_default();
            if guests.iter().any(|one| one.name == guest && !matches!(one.state.as_str(), "shut off" | "")) {
                found.push(host.name.clone());
            }
        }
        Ok(found)
    }
}
