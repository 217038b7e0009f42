//! A controller for tests: it orders effects, folds what the driver tells, and compares it with the pool.

use std::time::Duration;

use lifeboat_hypervisor::sim::{Behaviour, ClockMode, SimKernel, SimPool, SimSpec};
use lifeboat_hypervisor::{DriverEvent, Hypervisor};
use lifeboat_model::{
    Bank, Effect, GuestId, HostId, HostView, Millis, Outcome, ReleaseRef, ReleaseVersion, Sha256Hex, World,
};

pub(crate) fn host(name: &str) -> HostId {
    HostId::new(name).unwrap()
}

pub(crate) fn guest(name: &str) -> GuestId {
    GuestId::new(name).unwrap()
}

pub(crate) fn release(serial: u64) -> ReleaseRef {
    ReleaseRef {
        name: "sim-host".to_owned(),
        version: ReleaseVersion(format!("{serial}.0")),
        serial,
        digest: Sha256Hex::of(format!("release {serial}").as_bytes()),
    }
}

/// A pool in memory that is offered release 2 with this behaviour.
pub(crate) fn memory_pool(behaviour: Behaviour) -> SimPool {
    let spec = SimSpec::in_memory(4, 12);
    let mut pool = SimPool::in_memory(&spec, release(1), ClockMode::Virtual).unwrap();
    pool.offer_release(release(2), SimKernel::always(behaviour)).unwrap();
    pool
}

/// The controller.
pub(crate) struct Controller {
    pub(crate) pool: SimPool,
    pub(crate) world: World,
    /// Every effect is started so many times before its end is awaited.
    pub(crate) starts: u32,
    /// The longest single wait.
    pub(crate) longest_wait: Duration,
}

impl Controller {
    pub(crate) fn new(mut pool: SimPool) -> Self {
        let world = pool.observe().unwrap();
        Self { pool, world, starts: 1, longest_wait: Duration::MAX }
    }

    pub(crate) fn start(&mut self, effect: &Effect) {
        for _ in 0..self.starts {
            self.pool.start(&effect.key(), effect).unwrap();
        }
    }

    /// Takes over events until an outcome of `effect` comes or `limit` of the pool's time has passed.
    pub(crate) fn wait(&mut self, effect: &Effect, limit: Millis) -> Option<Outcome> {
        let end = self.pool.now().after(limit);
        let mut found = None;
        while found.is_none() && self.pool.now() < end {
            // A scaled clock really waits, so no single wait may be long.
            let wait = end.since(self.pool.now()).duration().min(self.longest_wait);
            for event in self.pool.poll(wait).unwrap() {
                match event {
                    DriverEvent::Outcome { key, outcome } if key == effect.key() => found = Some(outcome),
                    DriverEvent::Outcome { .. } | DriverEvent::Progress { .. } => {}
                    DriverEvent::Host(host) => self.world.set_host(*host),
                    DriverEvent::Guest(guest) => self.world.set_guest(guest).unwrap(),
                    DriverEvent::GuestGone(guest) => self.world.remove_guest(&guest),
                    DriverEvent::Feature(feature) => self.world.set_feature(feature),
                }
            }
        }
        found
    }

    /// Orders an effect and gives its outcome, which must come within a day.
    pub(crate) fn run(&mut self, effect: &Effect) -> Outcome {
        self.start(effect);
        let outcome = self.wait(effect, Millis::from_secs(86_400));
        outcome.unwrap_or_else(|| panic!("no outcome of {effect}"))
    }

    /// Orders an effect that must be done.
    pub(crate) fn done(&mut self, effect: &Effect) -> String {
        match self.run(effect) {
            Outcome::Done { detail } => detail.unwrap_or_default(),
            Outcome::Failed { reason, .. } => panic!("{effect} failed: {reason}"),
            Outcome::NothingToDo { detail } => panic!("{effect} is no hook: {detail:?}"),
        }
    }

    /// Orders an effect that must fail, and gives the reason and whether another try may help.
    pub(crate) fn fails(&mut self, effect: &Effect) -> (String, bool) {
        match self.run(effect) {
            Outcome::Done { detail } => panic!("{effect} was done: {detail:?}"),
            Outcome::Failed { reason, retriable } => (reason, retriable),
            Outcome::NothingToDo { detail } => panic!("{effect} is no hook: {detail:?}"),
        }
    }

    pub(crate) fn host(&self, id: &HostId) -> HostView {
        self.world.host(id).unwrap().clone()
    }

    /// Moves every guest of a host to the others, wherever there is room.
    pub(crate) fn drain(&mut self, from: &HostId) {
        for effect in self.moves_off(from) {
            self.done(&effect);
        }
    }

    /// Moves that empty a host: each guest to the host with the most room.
    pub(crate) fn moves_off(&self, from: &HostId) -> Vec<Effect> {
        let mut world = self.world.clone();
        let guests: Vec<_> = world.running_on(from).cloned().collect();
        let mut moves = Vec::new();
        for guest in guests {
            let room = |host: &&HostView| host.memory.saturating_sub(world.load_of(&host.id));
            let to = world.hosts().filter(|host| host.id != *from && !host.maintenance).max_by_key(room);
            let to = to.unwrap().id.clone();
            moves.push(Effect::Migrate { guest: guest.id.clone(), from: from.clone(), to: to.clone() });
            world.set_guest(lifeboat_model::GuestView { host: to, ..guest }).unwrap();
        }
        moves
    }

    /// All effects of a host's turn except the moves, in their order, for a host in its present state.
    pub(crate) fn turn(&self, id: &HostId, release: &ReleaseRef) -> Vec<Effect> {
        let (host, view) = (id.clone(), self.host(id));
        let bank = view.active.map_or(Bank::A, Bank::other);
        let (release, retry) = (release.clone(), false);
        vec![
            Effect::CheckHost { host: host.clone(), release: release.clone(), retry },
            Effect::SaveState { host: host.clone() },
            Effect::EnterMaintenance { host: host.clone() },
            Effect::Stage { host: host.clone(), release: release.clone() },
            Effect::Install { host: host.clone(), release, bank, retry },
            Effect::RebootInto { host: host.clone(), bank, boot_id_before: view.boot_id.unwrap_or_default() },
            Effect::LeaveMaintenance { host },
        ]
    }

    /// A whole turn; every effect must be done.
    pub(crate) fn whole_turn(&mut self, id: &HostId, release: &ReleaseRef) {
        for effect in self.turn(id, release) {
            if matches!(effect, Effect::Stage { .. }) {
                self.drain(id);
            }
            self.done(&effect);
        }
        self.assert_harmless();
    }

    /// No guest was lost or started anew, and what was told is what is there.
    pub(crate) fn assert_harmless(&mut self) {
        assert_eq!(self.pool.guests_lost(), []);
        for (id, life) in self.pool.guest_lives() {
            assert!(!life.lost && life.restarts == 0, "guest {id}: {life:?}");
        }
        for event in self.pool.poll(Duration::ZERO).unwrap() {
            assert!(!matches!(event, DriverEvent::Outcome { .. }), "an outcome came twice: {event:?}");
        }
        assert_eq!(self.pool.observe().unwrap(), self.world);
    }
}
