//! What checks look at before a roll: more than a roll itself needs to know.
//!
//! Owns: facts about hosts, guests and the pool, each of which a driver may not know. Promises: what is not known is
//! said to be so ([`Fact::Unknown`]) and never taken for good. Does not: judge.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{GuestId, HostId, ReleaseRef, Timestamp, World};

/// Something that a driver may not be able to tell.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact<T> {
    /// It was seen.
    Known(T),
    /// This driver cannot see it, or the host did not answer.
    #[default]
    Unknown,
}

impl<T> Fact<T> {
    /// What was seen.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown => None,
        }
    }
}

/// A place that is written during an upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// What it is: `bank B`, `/tmp`, `state`.
    pub place: String,
    /// Bytes free.
    pub free: u64,
    /// Bytes that the release needs there; 0 if no release was named.
    pub needed: u64,
}

/// A bank, as far as a check looks into it.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankFacts {
    /// Name and version of the loader in it.
    pub loader: Option<String>,
    /// Files that its manifest does not name.
    pub foreign: Vec<String>,
    /// What is damaged, in words.
    pub damage: Vec<String>,
    /// Why it cannot be written, in the words of the system that refused.
    pub not_writable: Option<String>,
}

/// A network as a host has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Name of the network in the pool.
    pub name: String,
    /// Whether it carries traffic.
    pub up: bool,
}

/// A storage as a host has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoragePaths {
    /// Name of the storage in the pool.
    pub name: String,
    /// Paths that there should be.
    pub paths: u32,
    /// Paths that work.
    pub alive: u32,
}

/// The program that runs a host's guests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emulator {
    /// Its name: `QEMU`.
    pub name: String,
    /// Its version: major, minor, patch.
    pub version: (u32, u32, u32),
    /// Guests that run without the processor's own virtualization, by interpretation; by name.
    pub interpreted: Vec<GuestId>,
}

/// What is known of a host beyond what a roll looks at.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostFacts {
    /// Why it waits for a reboot; empty if it does not.
    pub pending_reboot: Fact<Vec<String>>,
    /// Its clock less the controller's, in milliseconds.
    pub clock_offset_ms: Fact<i64>,
    /// Every place that is written during an upgrade.
    pub spaces: Fact<Vec<Space>>,
    /// Both banks, A then B.
    pub banks: Fact<[BankFacts; 2]>,
    /// Its networks.
    pub networks: Fact<Vec<Link>>,
    /// Its storages.
    pub storages: Fact<Vec<StoragePaths>>,
    /// What it will offer to guests when it runs the release, as `HostView::offers` is now.
    pub offers_after: Fact<BTreeSet<String>>,
    /// Kind of machine it is, in the words of [`ReleaseFacts::machines`].
    pub machine: Fact<String>,
    /// The program that runs its guests; none if the driver's kind of host has no such thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emulator: Option<Emulator>,
}

/// What is known of a guest beyond what a roll looks at.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GuestFacts {
    /// A CD image or floppy that is connected from outside of the shared storage.
    pub media: Option<String>,
    /// A device of its host that it has for itself.
    pub device: Option<String>,
    /// A disk that only its host has.
    pub local_disk: Option<String>,
    /// It has a second copy in lock step.
    pub fault_tolerant: bool,
    /// It starts with its host.
    pub auto_start: bool,
}

/// Kind of something that goes on in the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// A backup.
    Backup,
    /// Moving, starting, snapshotting or deleting a guest.
    Guest,
    /// Work on a host, by somebody else.
    Host,
    /// A roll of another tool.
    Roll,
}

/// Something that goes on in the pool and that this controller did not begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// What kind.
    pub kind: TaskKind,
    /// What it does to what.
    pub what: String,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// What HA's admission control keeps free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// Hosts whose loss it wants to be covered.
    pub hosts: u32,
}

/// The release as the pool's driver judges it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseFacts {
    /// Which.
    pub release: ReleaseRef,
    /// Who signed it, by a key that is trusted; none if its signature was not accepted.
    pub signed_by: Option<String>,
    /// Its serial number: a release with a lower one is older.
    pub serial: Option<u64>,
    /// After this time it is not installed any more.
    pub expires: Option<Timestamp>,
    /// Kinds of machine it is for; empty: any.
    pub machines: BTreeSet<String>,
}

/// What is known of a pool beyond what a roll looks at.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolFacts {
    /// What goes on in it.
    pub tasks: Fact<Vec<Task>>,
    /// What its admission control keeps free; none if it has none.
    pub admission: Fact<Option<Admission>>,
    /// Highest serial number of a release that each host has accepted.
    pub serial_floor: BTreeMap<HostId, u64>,
}

/// A pool with everything that a driver can tell about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// The pool as a roll sees it.
    pub world: World,
    /// When it was taken.
    pub at: Timestamp,
    /// Hosts without an entry are not known beyond the world.
    pub hosts: BTreeMap<HostId, HostFacts>,
    /// Guests without an entry have nothing to tell.
    pub guests: BTreeMap<GuestId, GuestFacts>,
    /// Whether the driver can tell the facts of guests at all.
    pub guests_known: bool,
    /// The pool.
    pub pool: PoolFacts,
    /// The release that is to come, if one was named.
    pub release: Option<ReleaseFacts>,
}

impl Survey {
    /// A survey of a driver that knows nothing beyond the world.
    #[must_use]
    pub fn of_world(world: World, at: Timestamp) -> Self {
        Self {
            world,
            at,
            hosts: BTreeMap::new(),
            guests: BTreeMap::new(),
            guests_known: false,
            pool: PoolFacts::default(),
            release: None,
        }
    }
}
