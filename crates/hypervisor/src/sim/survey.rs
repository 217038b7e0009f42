//! What checks see of a simulated pool beyond its world.
//!
//! Promises: everything is told that the pool is simulated with, from its state, its conditions and, where there are
//! disks, from their bytes. A host that does not answer is not known. Does not: judge.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_model::{
    Admission, Bank, BankFacts, BankState, Fact, FeatureKind, GuestFacts, HostFacts, HostId, PoolFacts,
    ReleaseFacts, ReleaseRef, Space, Survey, Task, World,
};

use super::condition::{GuestCondition, SimPlace, SimTask};
use super::pool::SimPool;
use super::release::SIM_ARCH;
use super::state::{Host, Offered};
use crate::release::bundle_facts;

/// What every bank has that no condition says otherwise of.
const LOADER: &str = "sim-loader 1.0";
/// Bytes that a host's own state takes at most.
const STATE_BYTES: u64 = 64 * 1024;

impl SimPool {
    pub(super) fn look_closely(&self, world: World, release: Option<&ReleaseRef>) -> Survey {
        let offered = release.and_then(|release| self.state.offered(&release.digest));
        let hosts = self
            .state
            .hosts
            .iter()
            .filter(|(_, host)| host.is_up())
            .map(|(id, host)| (id.clone(), self.host_facts(id, host, release, offered)))
            .collect();
        let at = crate::Hypervisor::now(self);
        let guests = self
            .state
            .conditions
            .guests()
            .map(|id| (id.clone(), guest_facts(self.state.conditions.guest(id))))
            .filter(|(_, facts)| *facts != GuestFacts::default())
            .collect();
        let release = offered.map(|offered| self.release_facts(offered));
        Survey { world, at, hosts, guests, guests_known: true, pool: self.pool_facts(), release }
    }

    fn host_facts(
        &self,
        id: &HostId,
        host: &Host,
        release: Option<&ReleaseRef>,
        offered: Option<&Offered>,
    ) -> HostFacts {
        let conditions = &self.state.conditions;
        let bank = |bank: Bank| {
            let known = conditions.loader(id, bank).unwrap_or(LOADER);
            let written = host.banks.state(bank) != BankState::Empty;
            BankFacts {
                loader: written.then(|| known.to_owned()),
                foreign: conditions.foreign(id, bank),
                damage: self.damage_of(id, bank),
                not_writable: conditions.ghost(id, bank),
            }
        };
        let newer = release.is_some_and(|release| self.state.is_newer(release.serial))
            || self.state.is_newer(host.running.serial);
        HostFacts {
            pending_reboot: Fact::Known(conditions.pending_reboot(id)),
            clock_offset_ms: Fact::Known(conditions.clock(id)),
            spaces: Fact::Known(self.spaces(id, host, release, offered)),
            banks: Fact::Known(Bank::BOTH.map(bank)),
            networks: Fact::Known(conditions.networks(id)),
            storages: Fact::Known(conditions.storages(id)),
            offers_after: Fact::Known(conditions.offers(id, newer)),
            machine: Fact::Known(SIM_ARCH.to_owned()),
            emulator: None,
        }
    }

    fn spaces(
        &self,
        id: &HostId,
        host: &Host,
        release: Option<&ReleaseRef>,
        offered: Option<&Offered>,
    ) -> Vec<Space> {
        let volumes = self.volume_bytes();
        // A release that was not offered yet is taken for as large as its volumes.
        let bytes = |known: u64| if release.is_none() { 0 } else { known };
        let staged = bytes(offered.map_or(volumes, |offered| self.staged_bytes(offered)));
        let installed = bytes(offered.map_or(volumes, |offered| self.bank_bytes(offered)));
        let state = self.state.spec.sizes.state << 20;
        let places = [
            (SimPlace::Staging, 4 * volumes, staged),
            (SimPlace::Bank(host.active.other()), volumes, installed),
            (SimPlace::State, state, bytes(STATE_BYTES)),
        ];
        places
            .into_iter()
            .map(|(place, all, needed)| {
                let free = self.state.conditions.space(id, place).unwrap_or(all);
                Space { place: place.to_string(), free, needed }
            })
            .collect()
    }

    fn pool_facts(&self) -> PoolFacts {
        let task =
            |(kind, what): (SimTask, &str)| Task { kind: kind.kind(), what: what.to_owned(), since: None };
        let floor = |(id, host): (&HostId, &Host)| (id.clone(), host.banks.floor());
        PoolFacts {
            tasks: Fact::Known(self.state.conditions.tasks().map(task).collect()),
            admission: self.admission(),
            serial_floor: self.state.hosts.iter().map(floor).collect::<BTreeMap<_, _>>(),
        }
    }

    /// What admission control keeps free: by condition, or by the setting of the feature if that is a share.
    fn admission(&self) -> Fact<Option<Admission>> {
        if let Some(hosts) = self.state.conditions.admission() {
            return Fact::Known(Some(Admission { hosts }));
        }
        let kind = FeatureKind::HaAdmissionControl;
        let Some(value) = self.state.features.get(&kind).filter(|_| self.is_on(kind)) else {
            return Fact::Known(None);
        };
        let share = value.strip_prefix("reserve ").and_then(|rest| rest.strip_suffix(" %"));
        match share.and_then(|share| share.parse::<usize>().ok()).filter(|share| *share <= 100) {
            Some(share) => {
                let hosts = (self.state.hosts.len() * share).div_ceil(100);
                Fact::Known(Some(Admission { hosts: u32::try_from(hosts).unwrap_or(u32::MAX) }))
            }
            None => Fact::Unknown,
        }
    }

    fn release_facts(&self, offered: &Offered) -> ReleaseFacts {
        let release = offered.release.clone();
        match (self.kept_bundle(offered), &self.trust) {
            (Some(path), Some(trust)) => bundle_facts(release, &path, trust),
            // Values have no signature; what is offered is taken.
            _ => ReleaseFacts {
                serial: Some(release.serial),
                release,
                signed_by: Some("nobody: this pool has no disks".to_owned()),
                expires: None,
                machines: BTreeSet::new(),
            },
        }
    }
}

fn guest_facts<'a>(conditions: impl Iterator<Item = &'a GuestCondition>) -> GuestFacts {
    let mut facts = GuestFacts::default();
    for condition in conditions {
        match condition {
            GuestCondition::Media { image } => facts.media = Some(image.clone()),
            GuestCondition::Device { device } => facts.device = Some(device.clone()),
            GuestCondition::LocalDisk { disk } => facts.local_disk = Some(disk.clone()),
            GuestCondition::AutoStart => facts.auto_start = true,
            GuestCondition::FaultTolerant => facts.fault_tolerant = true,
            GuestCondition::Needs { .. } => {}
        }
    }
    facts
}
