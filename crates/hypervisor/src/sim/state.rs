//! The state of a simulated pool, and its file `sim.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use lifeboat_model::{
    Bank, Effect, EffectKey, FeatureKind, FeatureView, GuestId, GuestView, HostId, HostView, Mib, Movable,
    PoolName, ReleaseRef, ReleaseVersion, Sha256Hex, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::banks::HostBanks;
use super::clock::Anchor;
use super::condition::Condition;
use super::conditions::Conditions;
use super::faults::Faults;
use super::kernel::SimKernel;
use super::spec::SimSpec;
use crate::DriverError;

/// Number of the form of `sim.json` that is written here.
pub(super) const SCHEMA: u32 = 1;
/// Name of the file in the pool's folder.
pub(super) const FILE: &str = "sim.json";

/// Everything that a simulated pool remembers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SimState {
    pub(super) schema: u32,
    pub(super) pool: PoolName,
    pub(super) spec: SimSpec,
    pub(super) now: Timestamp,
    pub(super) anchor: Option<Anchor>,
    pub(super) coordinator: Option<HostId>,
    pub(super) hosts: BTreeMap<HostId, Host>,
    pub(super) guests: BTreeMap<GuestId, Guest>,
    pub(super) features: BTreeMap<FeatureKind, String>,
    pub(super) releases: Vec<Offered>,
    /// Public keys of those who may sign releases, one in a line.
    pub(super) trusted_keys: String,
    pub(super) faults: Faults,
    #[serde(default)]
    pub(super) conditions: Conditions,
    /// Copies of what remedies removed, to be put back.
    #[serde(default)]
    pub(super) kept: Vec<Condition>,
    /// Guests that HA starts elsewhere: when, and the number in the queue.
    #[serde(default)]
    pub(super) restarts: BTreeMap<GuestId, (Timestamp, u64)>,
    /// Orders from the inbox that were carried out and may still lie there.
    #[serde(default)]
    pub(super) taken: BTreeSet<String>,
    pub(super) jobs: BTreeMap<EffectKey, Job>,
    pub(super) seq: u64,
    pub(super) lost: Vec<LostGuest>,
}

/// A release that hosts can fetch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Offered {
    pub(super) release: ReleaseRef,
    /// What its boots do, for pools without disks; with disks the bytes say it.
    pub(super) kernel: Option<SimKernel>,
    /// Its bundle, relative to the pool's folder.
    pub(super) bundle: Option<String>,
    /// Bytes that it takes until it is installed; 0 if its bytes do not exist.
    #[serde(default)]
    pub(super) staged_bytes: u64,
    /// Bytes that it takes in a bank; 0 if its bytes do not exist.
    #[serde(default)]
    pub(super) bank_bytes: u64,
}

impl Offered {
    /// A release of a pool without disks.
    pub(super) fn of_values(release: ReleaseRef, kernel: SimKernel) -> Self {
        Self { release, kernel: Some(kernel), bundle: None, staged_bytes: 0, bank_bytes: 0 }
    }
}

/// An effect at work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) effect: Effect,
    pub(super) began: Timestamp,
    /// When it ends; none if something else ends it, or nothing.
    pub(super) due: Option<Timestamp>,
    pub(super) seq: u64,
    /// Whether a controller that lives waits for its outcome.
    #[serde(skip)]
    pub(super) owned: bool,
    #[serde(skip)]
    pub(super) reports: u32,
}

/// What a host's power and boot are doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Power {
    /// It runs, and its boot is judged.
    Up,
    /// It runs on trial; its health checks are judged at `due`.
    Settling { due: Timestamp, seq: u64 },
    /// Firmware decides at `due`.
    Booting { due: Timestamp, seq: u64 },
    /// It panicked or hangs and is reset at `due`.
    Stuck { due: Timestamp, seq: u64 },
    /// It does not come back without a hand.
    Dead { reason: String },
    /// It runs, but found no network, since its coordinator runs something older (I-11).
    Alone { reason: String },
}

/// One host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Host {
    pub(super) memory: Mib,
    pub(super) fault_domain: Option<String>,
    pub(super) power: Power,
    /// Number of times that firmware has run.
    pub(super) boots: u32,
    pub(super) boot_id: String,
    pub(super) active: Bank,
    pub(super) running: ReleaseRef,
    pub(super) watchdog: bool,
    /// Boots since the host was last up: a loop ends here.
    pub(super) cycles: u32,
    pub(super) maintenance: bool,
    pub(super) staged: Option<Sha256Hex>,
    /// The version that saved the host's state last.
    pub(super) saved_by: Option<ReleaseVersion>,
    /// When power management looks whether it is still idle, and the number in the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) idle: Option<(Timestamp, u64)>,
    pub(super) banks: HostBanks,
}

impl Host {
    /// It runs and can be spoken to.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.power, Power::Up | Power::Settling { .. })
    }

    /// The host as a controller sees it.
    fn view(&self, id: &HostId, offers: BTreeSet<String>, pending_reboot: Vec<String>) -> HostView {
        let up = self.is_up();
        let (banks, failed_releases) = self.banks.views();
        HostView {
            id: id.clone(),
            memory: self.memory,
            fault_domain: self.fault_domain.clone(),
            reachable: up,
            boot_id: up.then(|| self.boot_id.clone()),
            active: up.then_some(self.active),
            banks,
            running: up.then_some(self.running.digest),
            version: up.then(|| self.running.version.clone()),
            maintenance: self.maintenance,
            failed_releases,
            offers,
            pending_reboot,
        }
    }
}

/// One guest. A guest has one host at any time, so it cannot run twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Guest {
    pub(super) host: HostId,
    pub(super) memory: Mib,
    pub(super) running: bool,
    pub(super) movable: Movable,
    pub(super) keep_apart: Option<String>,
    pub(super) life: GuestLife,
}

/// What a guest went through: the proof that a roll was harmless.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestLife {
    /// Times it was moved while it ran.
    pub moves: u32,
    /// Migrations that failed; it went on where it was.
    pub failed_moves: u32,
    /// Times it was shut down by order.
    #[serde(default)]
    pub stops: u32,
    /// Times it was started anew.
    pub restarts: u32,
    /// Its host went down under it.
    pub lost: bool,
}

/// A guest whose host went down under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostGuest {
    /// The guest.
    pub guest: GuestId,
    /// Where it ran.
    pub host: HostId,
    /// When.
    pub at: Timestamp,
}

impl SimState {
    /// A feature as a controller sees it.
    pub(super) fn feature(&self, kind: FeatureKind) -> Option<FeatureView> {
        self.features.get(&kind).map(|value| FeatureView { kind, value: value.clone() })
    }

    /// A host as a controller sees it.
    pub(super) fn host_view(&self, id: &HostId, host: &Host) -> HostView {
        host.view(id, self.offers(id, host), self.conditions.pending_reboot(id))
    }

    /// What a host offers to guests now.
    pub(super) fn offers(&self, id: &HostId, host: &Host) -> BTreeSet<String> {
        self.conditions.offers(id, self.is_newer(host.running.serial))
    }

    /// Whether a release is newer than the pool's first.
    pub(super) fn is_newer(&self, serial: u64) -> bool {
        self.releases.iter().any(|offered| offered.release.serial < serial)
    }

    /// A guest as a controller sees it.
    pub(super) fn guest_view(&self, id: &GuestId, guest: &Guest) -> GuestView {
        GuestView {
            id: id.clone(),
            host: guest.host.clone(),
            memory: guest.memory,
            running: guest.running,
            movable: self.movable(id, guest),
            keep_apart: guest.keep_apart.clone(),
            needs: self.conditions.needs(id),
        }
    }

    /// Whether a guest can be moved while it runs.
    pub(super) fn movable(&self, id: &GuestId, guest: &Guest) -> Movable {
        match &guest.movable {
            Movable::Yes => self.conditions.movable(id),
            Movable::No { reason } => Movable::No { reason: reason.clone() },
        }
    }

    /// A release that is offered.
    pub(super) fn offered(&self, digest: &Sha256Hex) -> Option<&Offered> {
        self.releases.iter().find(|offered| offered.release.digest == *digest)
    }

    /// Writes the file: into a new one, to stable storage, then in place of the old one.
    pub(super) fn write(&self, dir: &Path) -> Result<(), DriverError> {
        let bytes = serde_json::to_vec(self).map_err(|error| damaged(dir, error.to_string()))?;
        write_durably(dir, FILE, &bytes)
    }

    /// Reads the file.
    pub(super) fn read(dir: &Path) -> Result<Self, DriverError> {
        #[derive(Deserialize)]
        struct Head {
            schema: u32,
        }
        let path = dir.join(FILE);
        let file = |source| DriverError::File { doing: "reading", path: path.display().to_string(), source };
        let bytes = fs::read(&path).map_err(file)?;
        let head: Head = serde_json::from_slice(&bytes).map_err(|error| damaged(dir, error.to_string()))?;
        if head.schema != SCHEMA {
            let reason = format!("its schema is {}, and this program knows {SCHEMA}", head.schema);
            return Err(damaged(dir, reason));
        }
        serde_json::from_slice(&bytes).map_err(|error| damaged(dir, error.to_string()))
    }
}

fn damaged(dir: &Path, reason: String) -> DriverError {
    DriverError::Damaged {
        path: dir.join(FILE).display().to_string(),
        reason,
        remedy: "make the simulated pool anew, or use the Lifeboat that made it".to_owned(),
    }
}

/// Replaces `dir/name` so that after a crash the old or the new content is there, whole.
pub(super) fn write_durably(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), DriverError> {
    let path = dir.join(name);
    let new = dir.join(format!("{name}.new"));
    let write = || {
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|source| DriverError::File { doing: "writing", path: path.display().to_string(), source })
}
