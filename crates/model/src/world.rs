//! A pool as it is seen now: hosts, guests, features.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    Bank, BankState, FeatureKind, FeatureView, GuestId, HostId, Mib, PoolName, ReleaseVersion, Sha256Hex,
};

/// One bank of a host as the host reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankView {
    /// What is known about its content.
    pub state: BankState,
    /// The release it holds, for people.
    pub version: Option<ReleaseVersion>,
    /// Identity of the release it holds.
    pub digest: Option<Sha256Hex>,
    /// Counter of installs; the higher one is the newer bank.
    pub updated: u32,
    /// Why it failed or is invalid.
    pub note: Option<String>,
}

impl BankView {
    /// A bank that was never written.
    #[must_use]
    pub fn empty() -> Self {
        Self { state: BankState::Empty, version: None, digest: None, updated: 0, note: None }
    }
}

/// A host as it is seen now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostView {
    /// Its name.
    pub id: HostId,
    /// Memory that guests may use.
    pub memory: Mib,
    /// Rack, room or power line that fails as one.
    pub fault_domain: Option<String>,
    /// Whether it answers.
    pub reachable: bool,
    /// Identity of its present boot; another one after every reboot.
    pub boot_id: Option<String>,
    /// The bank that booted, by the id on its kernel line.
    pub active: Option<Bank>,
    /// Both banks, A then B.
    pub banks: [BankView; 2],
    /// Identity of the running release.
    pub running: Option<Sha256Hex>,
    /// Version of the running release, for people.
    pub version: Option<ReleaseVersion>,
    /// Whether it takes no new guests.
    pub maintenance: bool,
    /// Releases that failed on this host before (I-31).
    pub failed_releases: Vec<Sha256Hex>,
    /// What it offers to guests: networks (`net:prod`), storages (`storage:nfs1`), CPU features (`cpu:avx512f`).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub offers: BTreeSet<String>,
    /// Why it waits for a reboot, in the words of the host; it is rebooted before a release is brought to it (I-03).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_reboot: Vec<String>,
}

impl HostView {
    /// One of its banks.
    #[must_use]
    pub fn bank(&self, bank: Bank) -> &BankView {
        let [a, b] = &self.banks;
        match bank {
            Bank::A => a,
            Bank::B => b,
        }
    }
}

/// Whether a guest can be moved while it runs.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Movable {
    /// It can.
    #[default]
    Yes,
    /// It cannot.
    No {
        /// Why: a pinned device, local storage, a connected CD image.
        reason: String,
    },
}

/// A guest as it is seen now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestView {
    /// Its name.
    pub id: GuestId,
    /// The host it is on.
    pub host: HostId,
    /// Memory that it takes on its host.
    pub memory: Mib,
    /// Whether it runs. One that does not run needs no move.
    pub running: bool,
    /// Whether it can be moved while it runs.
    #[serde(default)]
    pub movable: Movable,
    /// Guests with the same group must not share a host.
    #[serde(default)]
    pub keep_apart: Option<String>,
    /// What its host must offer: it can run only where `HostView::offers` has all of it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub needs: BTreeSet<String>,
}

/// Why a description of a pool contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WorldError {
    /// The form is of a newer Lifeboat.
    #[error("pool description has schema {found}; this program reads up to {known}: use a newer lifeboat")]
    Schema {
        /// Number in the form.
        found: u32,
        /// Highest number known here.
        known: u32,
    },
    /// Two hosts or two guests have one name.
    #[error("the name {name:?} is used by two {kind}s of pool {pool}")]
    Duplicate {
        /// `host` or `guest`.
        kind: &'static str,
        /// The name.
        name: String,
        /// The pool.
        pool: PoolName,
    },
    /// A guest or the coordinator's role refers to a host that is not there.
    #[error("{subject} of pool {pool} refers to host {host}, which is not in the pool")]
    UnknownHost {
        /// Who refers to it.
        subject: String,
        /// The host that is missing.
        host: HostId,
        /// The pool.
        pool: PoolName,
    },
}

/// A pool as it is seen now. Guests are indexed by host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WorldForm", into = "WorldForm")]
pub struct World {
    pool: PoolName,
    coordinator: Option<HostId>,
    hosts: BTreeMap<HostId, HostView>,
    guests: BTreeMap<GuestId, GuestView>,
    features: BTreeMap<FeatureKind, FeatureView>,
    on_host: BTreeMap<HostId, BTreeSet<GuestId>>,
}

#[derive(Serialize, Deserialize)]
struct WorldForm {
    schema: u32,
    pool: PoolName,
    #[serde(default)]
    coordinator: Option<HostId>,
    hosts: Vec<HostView>,
    guests: Vec<GuestView>,
    #[serde(default)]
    features: Vec<FeatureView>,
}

const WORLD_SCHEMA: u32 = 1;

impl World {
    /// Puts a pool together.
    ///
    /// # Errors
    /// [`WorldError`] if a name is used twice or a host that is referred to is missing.
    pub fn new(
        pool: PoolName,
        coordinator: Option<HostId>,
        hosts: Vec<HostView>,
        guests: Vec<GuestView>,
        features: Vec<FeatureView>,
    ) -> Result<Self, WorldError> {
        let mut world = Self {
            pool,
            coordinator: None,
            hosts: BTreeMap::new(),
            guests: BTreeMap::new(),
            features: features.into_iter().map(|feature| (feature.kind, feature)).collect(),
            on_host: BTreeMap::new(),
        };
        for host in hosts {
            if world.hosts.contains_key(&host.id) {
                return Err(world.duplicate("host", host.id.as_str()));
            }
            world.on_host.insert(host.id.clone(), BTreeSet::new());
            world.hosts.insert(host.id.clone(), host);
        }
        if let Some(host) = coordinator {
            if !world.hosts.contains_key(&host) {
                return Err(world.unknown("the coordinator", &host));
            }
            world.coordinator = Some(host);
        }
        if guests.is_sorted_by(|a, b| a.id < b.id) {
            world.take_sorted(guests)?;
            return Ok(world);
        }
        for guest in guests {
            if world.guests.contains_key(&guest.id) {
                return Err(world.duplicate("guest", guest.id.as_str()));
            }
            world.set_guest(guest)?;
        }
        Ok(world)
    }

    /// Takes over guests that are sorted by name, each once: large pools are read so, again and again.
    fn take_sorted(&mut self, guests: Vec<GuestView>) -> Result<(), WorldError> {
        let mut on_host: BTreeMap<&HostId, Vec<GuestId>> =
            self.hosts.keys().map(|host| (host, Vec::new())).collect();
        for guest in &guests {
            match on_host.get_mut(&guest.host) {
                Some(there) => there.push(guest.id.clone()),
                None => return Err(self.unknown(&format!("guest {}", guest.id), &guest.host)),
            }
        }
        let whole = |(host, there): (&HostId, Vec<GuestId>)| (host.clone(), there.into_iter().collect());
        self.on_host = on_host.into_iter().map(whole).collect();
        self.guests = guests.into_iter().map(|guest| (guest.id.clone(), guest)).collect();
        Ok(())
    }

    fn duplicate(&self, kind: &'static str, name: &str) -> WorldError {
        WorldError::Duplicate { kind, name: name.to_owned(), pool: self.pool.clone() }
    }

    fn unknown(&self, subject: &str, host: &HostId) -> WorldError {
        WorldError::UnknownHost { subject: subject.to_owned(), host: host.clone(), pool: self.pool.clone() }
    }

    /// The pool's name.
    pub fn pool(&self) -> &PoolName {
        &self.pool
    }

    /// The host on which the pool's control depends.
    pub fn coordinator(&self) -> Option<&HostId> {
        self.coordinator.as_ref()
    }

    /// One host.
    pub fn host(&self, id: &HostId) -> Option<&HostView> {
        self.hosts.get(id)
    }

    /// One guest.
    pub fn guest(&self, id: &GuestId) -> Option<&GuestView> {
        self.guests.get(id)
    }

    /// One feature.
    pub fn feature(&self, kind: FeatureKind) -> Option<&FeatureView> {
        self.features.get(&kind)
    }

    /// All hosts by name.
    pub fn hosts(&self) -> impl ExactSizeIterator<Item = &HostView> {
        self.hosts.values()
    }

    /// All guests by name.
    pub fn guests(&self) -> impl ExactSizeIterator<Item = &GuestView> {
        self.guests.values()
    }

    /// All features.
    pub fn features(&self) -> impl ExactSizeIterator<Item = &FeatureView> {
        self.features.values()
    }

    /// Guests on one host, running or not, by name.
    pub fn guests_on(&self, host: &HostId) -> impl Iterator<Item = &GuestView> {
        self.on_host.get(host).into_iter().flatten().filter_map(|id| self.guests.get(id))
    }

    /// Guests that run on one host.
    pub fn running_on(&self, host: &HostId) -> impl Iterator<Item = &GuestView> {
        self.guests_on(host).filter(|guest| guest.running)
    }

    /// Memory of the guests that run on one host.
    pub fn load_of(&self, host: &HostId) -> Mib {
        self.running_on(host).map(|guest| guest.memory).sum()
    }

    /// What a host lacks that a guest needs; `None` if the guest could run there, as far as that goes.
    pub fn lacks<'w>(&'w self, guest: &'w GuestView, host: &HostView) -> Option<&'w str> {
        guest.needs.iter().find(|need| !host.offers.contains(*need)).map(String::as_str)
    }

    /// Takes over what is now seen of a host. A host that was not there before joins the pool.
    pub fn set_host(&mut self, host: HostView) {
        self.on_host.entry(host.id.clone()).or_default();
        self.hosts.insert(host.id.clone(), host);
    }

    /// Takes over what is now seen of a feature.
    pub fn set_feature(&mut self, feature: FeatureView) {
        self.features.insert(feature.kind, feature);
    }

    /// Takes over what is now seen of a guest, wherever it was before.
    ///
    /// # Errors
    /// [`WorldError::UnknownHost`] if its host is not in the pool; nothing is changed then.
    pub fn set_guest(&mut self, guest: GuestView) -> Result<(), WorldError> {
        if !self.hosts.contains_key(&guest.host) {
            return Err(self.unknown(&format!("guest {}", guest.id), &guest.host));
        }
        self.remove_guest(&guest.id);
        self.on_host.entry(guest.host.clone()).or_default().insert(guest.id.clone());
        self.guests.insert(guest.id.clone(), guest);
        Ok(())
    }

    /// Forgets a guest that is gone.
    pub fn remove_guest(&mut self, id: &GuestId) {
        if let Some(old) = self.guests.remove(id)
            && let Some(there) = self.on_host.get_mut(&old.host)
        {
            there.remove(id);
        }
    }
}

impl TryFrom<WorldForm> for World {
    type Error = WorldError;

    fn try_from(form: WorldForm) -> Result<Self, WorldError> {
        if form.schema > WORLD_SCHEMA {
            return Err(WorldError::Schema { found: form.schema, known: WORLD_SCHEMA });
        }
        Self::new(form.pool, form.coordinator, form.hosts, form.guests, form.features)
    }
}

impl From<World> for WorldForm {
    fn from(world: World) -> Self {
        Self {
            schema: WORLD_SCHEMA,
            pool: world.pool,
            coordinator: world.coordinator,
            hosts: world.hosts.into_values().collect(),
            guests: world.guests.into_values().collect(),
            features: world.features.into_values().collect(),
        }
    }
}
