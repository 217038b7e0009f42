//! A pool in which effects take simulated time and are cheap to carry out.
//!
//! Owns: what an effect does to the world, and when. Promises: one seed gives one order of events. Does not: fail, or
//! touch a disk: the driver `sim` does, and is far slower than the state machine that is measured.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use lifeboat_model::{
    Bank, BankState, BankView, Effect, EffectKey, GuestView, HostId, HostView, Millis, ReleaseRef, Timestamp,
    World,
};

use crate::pools::Random;

/// What the pool tells.
pub(crate) struct News {
    pub(crate) key: EffectKey,
    pub(crate) host: Option<HostView>,
    pub(crate) guest: Option<GuestView>,
}

/// The pool behind the world that a controller sees.
pub(crate) struct Fake {
    pub(crate) now: Timestamp,
    random: Random,
    due: BinaryHeap<Reverse<(u64, u64)>>,
    open: BTreeMap<u64, Effect>,
    ordered: u64,
}

/// Gives every host a good bank A and an empty bank B.
pub(crate) fn furnish(world: &mut World) {
    let hosts: Vec<HostView> = world.hosts().cloned().collect();
    for mut host in hosts {
        host.boot_id = Some("boot-0".to_owned());
        host.active = Some(Bank::A);
        host.banks[0] =
            BankView { state: BankState::Good, digest: host.running, updated: 1, ..BankView::empty() };
        world.set_host(host);
    }
}

impl Fake {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            now: Timestamp(1_000_000),
            random: Random::new(seed),
            due: BinaryHeap::new(),
            open: BTreeMap::new(),
            ordered: 0,
        }
    }

    /// Orders an effect; it ends after a time of its kind, between half and one and a half of the usual.
    pub(crate) fn start(&mut self, effect: Effect) {
        let usual = match &effect {
            Effect::Migrate { .. } | Effect::Place { .. } => 20_000,
            Effect::Stage { .. } => 60_000,
            Effect::Install { .. } => 120_000,
            Effect::RebootInto { .. } => 300_000,
            Effect::SuspendFeature { .. }
            | Effect::RestoreFeature { .. }
            | Effect::CheckHost { .. }
            | Effect::SaveState { .. }
            | Effect::EnterMaintenance { .. }
            | Effect::StopGuest { .. }
            | Effect::StartGuest { .. }
            | Effect::Restart { .. }
            | Effect::RunHook { .. }
            | Effect::RunGate { .. }
            | Effect::Mend { .. }
            | Effect::Unmend { .. }
            | Effect::LeaveMaintenance { .. } => 2_000,
        };
        let takes = usual / 2 + self.random.below(usual);
        self.ordered += 1;
        self.due.push(Reverse((self.now.after(Millis(takes as u64)).0, self.ordered)));
        self.open.insert(self.ordered, effect);
    }

    /// Lets time pass until the next effect ends; `None` if none is open.
    pub(crate) fn poll(&mut self, world: &World, target: &ReleaseRef) -> Option<News> {
        let Reverse((at, number)) = self.due.pop()?;
        self.now = Timestamp(at);
        let effect = self.open.remove(&number)?;
        let seen = |id: &HostId, change: &dyn Fn(&mut HostView)| {
            world.host(id).cloned().map(|mut host| {
                change(&mut host);
                host
            })
        };
        let mut guest = None;
        let host = match &effect {
            Effect::SuspendFeature { .. }
            | Effect::RestoreFeature { .. }
            | Effect::CheckHost { .. }
            | Effect::SaveState { .. }
            | Effect::RunHook { .. }
            | Effect::RunGate { .. }
            | Effect::Mend { .. }
            | Effect::Unmend { .. }
            | Effect::Restart { .. }
            | Effect::Stage { .. } => None,
            Effect::StopGuest { guest: id, .. } | Effect::StartGuest { guest: id, .. } => {
                let running = matches!(effect, Effect::StartGuest { .. });
                guest = world.guest(id).cloned().map(|guest| GuestView { running, ..guest });
                None
            }
            Effect::EnterMaintenance { host } => seen(host, &|host| host.maintenance = true),
            Effect::LeaveMaintenance { host } => seen(host, &|host| host.maintenance = false),
            Effect::Migrate { guest: id, to, .. } | Effect::Place { guest: id, to, .. } => {
                guest = world.guest(id).cloned().map(|guest| GuestView { host: to.clone(), ..guest });
                None
            }
            Effect::Install { host, bank, .. } => seen(host, &|host| {
                host.banks[bank.index()] = BankView {
                    state: BankState::Upgraded,
                    digest: Some(target.digest),
                    updated: 2,
                    ..BankView::empty()
                };
            }),
            Effect::RebootInto { host, bank, .. } => seen(host, &|host| {
                host.boot_id = Some("boot-1".to_owned());
                host.active = Some(*bank);
                host.banks[bank.index()].state = BankState::Good;
                host.running = Some(target.digest);
            }),
        };
        Some(News { key: effect.key(), host, guest })
    }
}
