//! New pools: the state in which they begin, and pools in memory.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_model::{Bank, GuestView, HostId, ReleaseRef, World};

use super::banks::HostBanks;
use super::clock::ClockMode;
use super::conditions::Conditions;
use super::faults::Faults;
use super::kernel::SimKernel;
use super::pool::SimPool;
use super::prng::Prng;
use super::spec::SimSpec;
use super::state::{Guest, GuestLife, Host, Offered, Power, SCHEMA, SimState};
use super::values::ValueBanks;
use crate::DriverError;

impl SimPool {
    /// A pool without disks and without files; every host runs `release` from bank A.
    ///
    /// # Errors
    /// [`DriverError`] if the description contradicts itself.
    pub fn in_memory(spec: &SimSpec, release: ReleaseRef, mode: ClockMode) -> Result<Self, DriverError> {
        let inventory = spec.inventory()?;
        Self::in_memory_of(spec, &inventory, release, mode)
    }

    /// A pool without disks and without files that has the hosts, guests and features of `inventory`. Banks and
    /// boots are made anew: every host is up and runs `release` from bank A.
    ///
    /// # Errors
    /// [`DriverError`] if the inventory contradicts itself.
    pub fn in_memory_of(
        spec: &SimSpec,
        inventory: &World,
        release: ReleaseRef,
        mode: ClockMode,
    ) -> Result<Self, DriverError> {
        let spec = SimSpec { disks: false, ..spec.clone() };
        let kernel = SimKernel::default();
        let banks = |_: &HostId| Ok(HostBanks::Values(ValueBanks::new(&release, kernel.clone())));
        let mut state = new_state(&spec, inventory, &release, banks)?;
        state.releases.push(Offered::of_values(release, kernel));
        let mut pool = Self::running(None, state, mode);
        pool.begin_with(&spec.conditions)?;
        Ok(pool)
    }
}

/// The state of a new pool: every host up, running `release` from bank A.
pub(super) fn new_state(
    spec: &SimSpec,
    inventory: &World,
    release: &ReleaseRef,
    mut banks: impl FnMut(&HostId) -> Result<HostBanks, DriverError>,
) -> Result<SimState, DriverError> {
    let mut hosts = BTreeMap::new();
    for view in inventory.hosts() {
        let host = Host {
            memory: view.memory,
            fault_domain: view.fault_domain.clone(),
            power: Power::Up,
            boots: 0,
            boot_id: boot_id(spec.seed, &view.id, 0),
            active: Bank::A,
            running: release.clone(),
            watchdog: false,
            cycles: 0,
            maintenance: view.maintenance,
            staged: None,
            saved_by: None,
            idle: None,
            banks: banks(&view.id)?,
        };
        hosts.insert(view.id.clone(), host);
    }
    let guest = |view: &GuestView| Guest {
        host: view.host.clone(),
        memory: view.memory,
        running: view.running,
        movable: view.movable.clone(),
        keep_apart: view.keep_apart.clone(),
        life: GuestLife::default(),
    };
    Ok(SimState {
        schema: SCHEMA,
        pool: inventory.pool().clone(),
        // The conditions have a place of their own.
        spec: SimSpec { conditions: Vec::new(), ..spec.clone() },
        now: spec.start,
        anchor: None,
        coordinator: inventory.coordinator().cloned(),
        hosts,
        guests: inventory.guests().map(|view| (view.id.clone(), guest(view))).collect(),
        features: inventory.features().map(|feature| (feature.kind, feature.value.clone())).collect(),
        releases: Vec::new(),
        trusted_keys: String::new(),
        faults: Faults::default(),
        conditions: Conditions::default(),
        kept: Vec::new(),
        restarts: BTreeMap::new(),
        taken: BTreeSet::new(),
        jobs: BTreeMap::new(),
        seq: 0,
        lost: Vec::new(),
    })
}

/// Identity of a boot: a GUID as the kernel makes one, but the same for the same seed, host and count.
pub(super) fn boot_id(seed: u64, host: &HostId, boots: u32) -> String {
    let random = Prng::named(seed, &format!("boot/{host}/{boots}")).bytes16();
    lifeboat_bank::guid::Guid::from_random(random).to_string()
}
