//! The conditions of a pool, by host and by guest.
//!
//! Owns: finding what is true of one host or guest without looking at all others, and what follows for capabilities.
//! Promises: its form in `sim.json` is a plain list of texts. Does not: tell the controller; the pool does.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_model::{Bank, GuestId, HostId, Link, Movable, StoragePaths};
use serde::{Deserialize, Serialize};

use super::condition::{Condition, GuestCondition, HostCondition, SimPlace, SimTask};

/// All conditions.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(from = "Vec<Condition>", into = "Vec<Condition>")]
pub(super) struct Conditions {
    hosts: BTreeMap<HostId, BTreeSet<HostCondition>>,
    guests: BTreeMap<GuestId, BTreeSet<GuestCondition>>,
    tasks: BTreeSet<(SimTask, String)>,
    admission: Option<u32>,
    /// Networks that some condition names: every host has them unless it is said otherwise.
    networks: BTreeSet<String>,
    /// Storages that some condition names, with their paths: every host has them unless it is said otherwise.
    storages: BTreeMap<String, u32>,
}

const NET: &str = "net:";
const STORAGE: &str = "storage:";

/// Two conditions of one host that exclude each other: the later one replaces the earlier one.
fn same_matter(a: &HostCondition, b: &HostCondition) -> bool {
    use HostCondition as C;
    match (a, b) {
        (C::Clock { .. }, C::Clock { .. }) => true,
        (C::Space { place: a, .. }, C::Space { place: b, .. }) => a == b,
        (C::Loader { bank: a, .. }, C::Loader { bank: b, .. }) => a == b,
        (C::StoragePaths { storage: a, .. }, C::StoragePaths { storage: b, .. }) => a == b,
        (a, b) => a == b,
    }
}

impl Conditions {
    /// Adds one; says whether that changed anything.
    pub(super) fn set(&mut self, condition: Condition) -> bool {
        let changed = self.insert(condition);
        if changed {
            self.learn_names();
        }
        changed
    }

    fn insert(&mut self, condition: Condition) -> bool {
        match condition {
            Condition::Host(host, condition) => {
                let there = self.hosts.entry(host).or_default();
                if there.contains(&condition) {
                    false
                } else {
                    there.retain(|other| !same_matter(other, &condition));
                    there.insert(condition)
                }
            }
            Condition::Guest(guest, condition) => {
                let there = self.guests.entry(guest).or_default();
                // One drive, one image.
                if matches!(condition, GuestCondition::Media { .. }) && !there.contains(&condition) {
                    there.retain(|other| !matches!(other, GuestCondition::Media { .. }));
                }
                there.insert(condition)
            }
            Condition::Task { kind, what } => self.tasks.insert((kind, what)),
            Condition::Admission { hosts } => self.admission.replace(hosts) != Some(hosts),
        }
    }

    /// Removes one; says whether it was there.
    pub(super) fn clear(&mut self, condition: &Condition) -> bool {
        let changed = match condition {
            Condition::Host(host, condition) => {
                self.hosts.get_mut(host).is_some_and(|there| there.remove(condition))
            }
            Condition::Guest(guest, condition) => {
                self.guests.get_mut(guest).is_some_and(|there| there.remove(condition))
            }
            Condition::Task { kind, what } => self.tasks.remove(&(*kind, what.clone())),
            Condition::Admission { hosts } => self.admission.take_if(|there| there == hosts).is_some(),
        };
        if changed {
            self.learn_names();
        }
        changed
    }

    /// Removes the conditions of a host that `gone` says; says whether there were any.
    pub(super) fn clear_host(&mut self, host: &HostId, gone: impl Fn(&HostCondition) -> bool) -> bool {
        let Some(there) = self.hosts.get_mut(host) else { return false };
        let before = there.len();
        there.retain(|condition| !gone(condition));
        let changed = there.len() != before;
        if changed {
            self.learn_names();
        }
        changed
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Condition> {
        let hosts = self.hosts.iter().flat_map(|(host, there)| {
            there.iter().map(|condition| Condition::Host(host.clone(), condition.clone()))
        });
        let guests = self.guests.iter().flat_map(|(guest, there)| {
            there.iter().map(|condition| Condition::Guest(guest.clone(), condition.clone()))
        });
        let tasks = self.tasks.iter().map(|(kind, what)| Condition::Task { kind: *kind, what: what.clone() });
        let admission = self.admission.map(|hosts| Condition::Admission { hosts });
        hosts.chain(guests).chain(tasks).chain(admission).collect()
    }

    fn learn_names(&mut self) {
        use HostCondition as C;
        let (mut networks, mut storages) = (BTreeSet::new(), BTreeMap::new());
        for condition in self.hosts.values().flatten() {
            match condition {
                C::NetworkDown { network } | C::NoNetwork { network } => {
                    networks.insert(network.clone());
                }
                C::StoragePaths { storage, paths, .. } => {
                    let most: &mut u32 = storages.entry(storage.clone()).or_default();
                    *most = (*most).max(*paths);
                }
                C::PendingReboot { .. }
                | C::Clock { .. }
                | C::Space { .. }
                | C::ForeignFile { .. }
                | C::Ghost { .. }
                | C::Damage { .. }
                | C::Loader { .. }
                | C::Offers { .. }
                | C::Gains { .. }
                | C::Drops { .. }
                | C::Unguarded
                | C::Unreachable
                | C::Maintenance
                | C::RunsNewer => {}
            }
        }
        for condition in self.guests.values().flatten() {
            if let GuestCondition::Needs { capability } = condition {
                if let Some(network) = capability.strip_prefix(NET) {
                    networks.insert(network.to_owned());
                } else if let Some(storage) = capability.strip_prefix(STORAGE) {
                    storages.entry(storage.to_owned()).or_insert(1);
                }
            }
        }
        (self.networks, self.storages) = (networks, storages);
    }

    fn host(&self, host: &HostId) -> impl Iterator<Item = &HostCondition> {
        self.hosts.get(host).into_iter().flatten()
    }

    /// What is said of a guest.
    pub(super) fn guest(&self, guest: &GuestId) -> impl Iterator<Item = &GuestCondition> {
        self.guests.get(guest).into_iter().flatten()
    }

    /// Guests of which something is said.
    pub(super) fn guests(&self) -> impl Iterator<Item = &GuestId> {
        self.guests.iter().filter(|(_, there)| !there.is_empty()).map(|(guest, _)| guest)
    }

    /// What goes on in the pool.
    pub(super) fn tasks(&self) -> impl Iterator<Item = (SimTask, &str)> {
        self.tasks.iter().map(|(kind, what)| (*kind, what.as_str()))
    }

    /// What admission control keeps free.
    pub(super) fn admission(&self) -> Option<u32> {
        self.admission
    }

    /// Why a host waits for a reboot.
    pub(super) fn pending_reboot(&self, host: &HostId) -> Vec<String> {
        let reason = |condition: &HostCondition| {
            if let HostCondition::PendingReboot { reason } = condition { Some(reason.clone()) } else { None }
        };
        self.host(host).filter_map(reason).collect()
    }

    /// How wrong a host's clock is.
    pub(super) fn clock(&self, host: &HostId) -> i64 {
        let offset = |condition: &HostCondition| {
            if let HostCondition::Clock { offset_ms } = condition { Some(*offset_ms) } else { None }
        };
        self.host(host).find_map(offset).unwrap_or_default()
    }

    /// Bytes that are free in a place, if a condition says so.
    pub(super) fn space(&self, host: &HostId, place: SimPlace) -> Option<u64> {
        self.host(host).find_map(|condition| {
            if let HostCondition::Space { place: there, free } = condition
                && *there == place
            {
                Some(*free)
            } else {
                None
            }
        })
    }

    /// Foreign files in a bank.
    pub(super) fn foreign(&self, host: &HostId, bank: Bank) -> Vec<String> {
        let path = |condition: &HostCondition| {
            if let HostCondition::ForeignFile { bank: there, path } = condition
                && *there == bank
            {
                Some(path.clone())
            } else {
                None
            }
        };
        self.host(host).filter_map(path).collect()
    }

    /// What is damaged in a bank.
    pub(super) fn damage(&self, host: &HostId, bank: Bank) -> Vec<String> {
        let words = |condition: &HostCondition| {
            if let HostCondition::Damage { bank: there, words } = condition
                && *there == bank
            {
                Some(words.clone())
            } else {
                None
            }
        };
        self.host(host).filter_map(words).collect()
    }

    /// Why a bank cannot be cleared, in the words of the system that refuses.
    pub(super) fn ghost(&self, host: &HostId, bank: Bank) -> Option<String> {
        self.host(host).any(|condition| *condition == HostCondition::Ghost { bank }).then(|| {
            format!(
                "clearing bank {bank} failed: [Errno 9] Bad file descriptor: 'bank-{bank}/state.0000007f'"
            )
        })
    }

    /// The loader that a bank has instead of the pool's.
    pub(super) fn loader(&self, host: &HostId, bank: Bank) -> Option<&str> {
        self.host(host).find_map(|condition| {
            if let HostCondition::Loader { bank: there, version } = condition
                && *there == bank
            {
                Some(version.as_str())
            } else {
                None
            }
        })
    }

    /// Whether a host's agent does whatever it is told.
    pub(super) fn unguarded(&self, host: &HostId) -> bool {
        self.host(host).any(|condition| *condition == HostCondition::Unguarded)
    }

    /// A host's networks.
    pub(super) fn networks(&self, host: &HostId) -> Vec<Link> {
        let mut links = Vec::new();
        for name in &self.networks {
            let is = |condition: HostCondition| self.host(host).any(|there| *there == condition);
            if !is(HostCondition::NoNetwork { network: name.clone() }) {
                let up = !is(HostCondition::NetworkDown { network: name.clone() });
                links.push(Link { name: name.clone(), up });
            }
        }
        links
    }

    /// A host's storages.
    pub(super) fn storages(&self, host: &HostId) -> Vec<StoragePaths> {
        let one = |(name, all): (&String, &u32)| {
            let said = self.host(host).find_map(|condition| {
                if let HostCondition::StoragePaths { storage, alive, paths } = condition
                    && storage == name
                {
                    Some((*alive, *paths))
                } else {
                    None
                }
            });
            let (alive, paths) = said.unwrap_or((*all, *all));
            StoragePaths { name: name.clone(), paths, alive }
        };
        self.storages.iter().map(one).collect()
    }

    /// What a host offers to guests; `newer`: while it runs a newer release than the pool's first.
    pub(super) fn offers(&self, host: &HostId, newer: bool) -> BTreeSet<String> {
        if self.hosts.is_empty() && self.networks.is_empty() && self.storages.is_empty() {
            return BTreeSet::new();
        }
        let up = self.networks(host).into_iter().filter(|link| link.up);
        let mut offers: BTreeSet<String> = up.map(|link| format!("{NET}{}", link.name)).collect();
        let storages = self.storages(host).into_iter().filter(|storage| storage.alive > 0);
        offers.extend(storages.map(|storage| format!("{STORAGE}{}", storage.name)));
        for condition in self.host(host) {
            if let HostCondition::Offers { capability } = condition {
                offers.insert(capability.clone());
            }
        }
        for condition in self.host(host).filter(|_| newer) {
            if let HostCondition::Gains { capability } = condition {
                offers.insert(capability.clone());
            }
        }
        for condition in self.host(host).filter(|_| newer) {
            if let HostCondition::Drops { capability } = condition {
                offers.remove(capability);
            }
        }
        offers
    }

    /// What a guest needs from its host.
    pub(super) fn needs(&self, guest: &GuestId) -> BTreeSet<String> {
        let need = |condition: &GuestCondition| {
            if let GuestCondition::Needs { capability } = condition { Some(capability.clone()) } else { None }
        };
        self.guest(guest).filter_map(need).collect()
    }

    /// Whether a guest can be moved while it runs.
    pub(super) fn movable(&self, guest: &GuestId) -> Movable {
        let reason = self.guest(guest).find_map(|condition| match condition {
            GuestCondition::Media { image } => Some(format!("the CD image {image} is connected")),
            GuestCondition::Device { device } => Some(format!("it has the device {device} of its host")),
            GuestCondition::LocalDisk { disk } => Some(format!("its disk {disk} is on its host only")),
            GuestCondition::AutoStart | GuestCondition::FaultTolerant | GuestCondition::Needs { .. } => None,
        });
        reason.map_or(Movable::Yes, |reason| Movable::No { reason })
    }
}

impl From<Vec<Condition>> for Conditions {
    fn from(all: Vec<Condition>) -> Self {
        let mut conditions = Self::default();
        for condition in all {
            conditions.insert(condition);
        }
        conditions.learn_names();
        conditions
    }
}

impl From<Conditions> for Vec<Condition> {
    fn from(conditions: Conditions) -> Self {
        conditions.all()
    }
}
