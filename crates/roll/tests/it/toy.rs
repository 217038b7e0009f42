//! A pool of values in which every effect happens at once, and that remembers what must never happen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lifeboat_model::{
    Bank, BankState, BankView, Effect, EffectKey, Event, EventKind, FeatureKind, FeatureView, Figures,
    GuestId, GuestView, HostId, HostView, Mib, Movable, Move, OperatorVerb, Outcome, PLAN_SCHEMA, Phase,
    Plan, PlanStep, Policy, PoolName, ReleaseRef, ReleaseVersion, RollEnd, Sha256Hex, Timestamp, World,
};
use lifeboat_roll::{Action, Journal, Scope, Status, decide, waiting_on};

pub(crate) fn host(n: usize) -> HostId {
    HostId::new(format!("h{n}")).unwrap()
}

pub(crate) fn guest(n: usize) -> GuestId {
    GuestId::new(format!("g{n}")).unwrap()
}

pub(crate) fn release(serial: u64) -> ReleaseRef {
    ReleaseRef {
        name: "host".to_owned(),
        version: ReleaseVersion(serial.to_string()),
        serial,
        digest: Sha256Hex::of(&serial.to_le_bytes()),
    }
}

fn bank(state: BankState, serial: Option<u64>) -> BankView {
    let release = serial.map(release);
    BankView {
        state,
        version: release.as_ref().map(|r| r.version.clone()),
        digest: release.map(|r| r.digest),
        updated: 1,
        note: None,
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    pub(crate) falls_back: BTreeSet<HostId>,
    pub(crate) never_returns: BTreeSet<HostId>,
    pub(crate) stuck_guests: BTreeSet<GuestId>,
    /// Effects (by key) that fail once, and may be tried again.
    pub(crate) once: BTreeSet<EffectKey>,
    /// Effects (by key) that fail at every try.
    pub(crate) always: BTreeSet<EffectKey>,
    /// Hooks (by key) that have nothing to do.
    pub(crate) nothing_to_do: BTreeSet<EffectKey>,
}

/// The pool, the roll's events, and the controller's state.
pub(crate) struct Toy {
    pub(crate) world: World,
    pub(crate) plan: Arc<Plan>,
    pub(crate) events: Vec<Event>,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    pub(crate) now: Timestamp,
    /// What was ordered, in order; a crash does not undo it.
    pub(crate) done: Vec<Effect>,
    pub(crate) broken: Vec<String>,
    fence: u64,
}

/// Where a controller dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Die {
    Never,
    /// After so many events; the effect of the last intent is not ordered.
    AfterEvent(usize),
    /// After so many effects; their outcomes are not recorded.
    AfterEffect(usize),
}

/// `n` hosts, one guest on each, moving as a ramp would: the first host's guest to the last host, every other
/// guest to the host before.
pub(crate) fn pool(n: usize, policy: Policy) -> Toy {
    let hosts: Vec<HostView> = (0..n)
        .map(|i| HostView {
            id: host(i),
            memory: Mib::from_gib(64),
            fault_domain: None,
            reachable: true,
            boot_id: Some("boot-0".to_owned()),
            active: Some(Bank::A),
            banks: [bank(BankState::Good, Some(1)), bank(BankState::Empty, None)],
            running: Some(release(1).digest),
            version: Some(release(1).version),
            maintenance: false,
            failed_releases: Vec::new(),
            offers: std::collections::BTreeSet::new(),
            pending_reboot: Vec::new(),
        })
        .collect();
    let memory = Mib::from_gib(4);
    let guests: Vec<GuestView> = (0..n)
        .map(|i| GuestView {
            id: guest(i),
            host: host(i),
            memory,
            running: true,
            movable: Movable::Yes,
            keep_apart: None,
            needs: std::collections::BTreeSet::new(),
        })
        .collect();
    let moved =
        |g: usize, from: usize, to: usize| Move { guest: guest(g), from: host(from), to: host(to), memory };
    let steps = (0..n)
        .map(|i| {
            let moves = match i {
                0 => vec![moved(0, 0, n - 1)],
                _ if i == n - 1 => vec![moved(i, i, 0), moved(0, i, 0)],
                _ => vec![moved(i, i, i - 1)],
            };
            let wave = u32::try_from(i).unwrap() + 1;
            PlanStep { host: host(i), wave, moves, stops: Vec::new() }
        })
        .collect();
    let pool = PoolName::new("toy").unwrap();
    let feature = FeatureView { kind: FeatureKind::HaAdmissionControl, value: "percent:25".to_owned() };
    let world = World::new(pool.clone(), Some(host(0)), hosts, guests, vec![feature]).unwrap();
    let plan = Arc::new(Plan {
        schema: PLAN_SCHEMA,
        pool,
        target: release(2),
        policy,
        coordinator: Some(host(0)),
        suspends: vec![FeatureKind::HaAdmissionControl],
        steps,
        unchanged: Vec::new(),
        blocked: Vec::new(),
        excluded: Vec::new(),
        placement: Vec::new(),
        figures: Figures::default(),
        notes: Vec::new(),
    });
    let journal = Journal::new(Arc::clone(&plan), plan.hash().unwrap());
    Toy {
        world,
        plan,
        events: Vec::new(),
        journal,
        faults: Faults::default(),
        now: Timestamp(1_000),
        done: Vec::new(),
        broken: Vec::new(),
        fence: 0,
    }
}

impl Toy {
    /// Changes the plan before the first event.
    pub(crate) fn planned(mut self, change: impl FnOnce(&mut Plan)) -> Self {
        change(Arc::make_mut(&mut self.plan));
        self
    }

    /// Lets a controller work until there is nothing to do but wait; says whether the roll has ended.
    pub(crate) fn settle(&mut self) -> bool {
        let policy = |toy: &Self| Arc::clone(toy.journal.policy());
        for _ in 0..10_000 {
            let actions = decide(&self.world, &self.journal, &policy(self), Scope::All, self.now);
            if actions.is_empty() {
                return matches!(self.journal.status(), Status::Ended(_));
            }
            let mut orders = Vec::new();
            for action in actions {
                match action {
                    Action::Record(what) => self.record(what),
                    Action::Perform { attempt, effect } => {
                        let key = effect.key();
                        self.record(EventKind::Intent { key, attempt, effect: effect.clone() });
                        orders.push(effect);
                    }
                }
            }
            for effect in orders {
                let outcome = self.perform(&effect);
                self.record(EventKind::Outcome { key: effect.key(), outcome });
            }
            self.watch();
        }
        panic!("the roll came to no rest: {:?}", self.phases());
    }

    /// Positions in what was ordered, of effects with this key.
    pub(crate) fn ordered(&self, key: &str) -> Vec<usize> {
        (0..).zip(&self.done).filter(|(_, effect)| effect.key().0 == key).map(|(at, _)| at).collect()
    }

    pub(crate) fn feature(&self) -> String {
        self.world.feature(FeatureKind::HaAdmissionControl).unwrap().value.clone()
    }

    pub(crate) fn record(&mut self, what: EventKind) {
        let seq = self.events.len() as u64 + 1;
        let event = Event { schema: what.form(), seq, fence: self.fence, at: self.now, what };
        self.journal.apply(&event).unwrap();
        self.events.push(event);
    }

    pub(crate) fn order(&mut self, verb: OperatorVerb) {
        self.record(EventKind::Operator { verb, who: "test".to_owned() });
    }

    /// A new process: nothing is known but the events and the world.
    pub(crate) fn take_up(&mut self) {
        self.journal = Journal::new(Arc::clone(&self.plan), self.plan.hash().unwrap());
        for event in self.events.clone() {
            self.journal.apply(&event).unwrap();
        }
        self.fence += 1;
        if self.events.is_empty() {
            let (pool, plan) = (self.plan.pool.clone(), self.plan.hash().unwrap());
            self.record(EventKind::RollStarted { pool, plan, target: self.plan.target.clone() });
        }
        self.record(EventKind::ControllerStarted { holder: "test".to_owned() });
    }

    /// Runs a controller until the roll has ended or it dies. Returns whether it lived to the end.
    pub(crate) fn run(&mut self, die: Die) -> bool {
        let mut effects = 0;
        for _ in 0..10_000 {
            let policy = Arc::clone(self.journal.policy());
            let actions = decide(&self.world, &self.journal, &policy, Scope::All, self.now);
            if let Status::Ended(_) = self.journal.status() {
                return true;
            }
            if actions.is_empty() {
                for run in self.journal.in_flight() {
                    let list = waiting_on(&self.world, &self.journal, run, self.now);
                    assert!(!list.is_empty(), "{} waits without saying for what", run.host);
                }
                // Nothing to do: time passes.
                self.now = self.now.after(lifeboat_model::Millis::from_secs(30));
                continue;
            }
            let mut orders = Vec::new();
            for action in actions {
                match action {
                    Action::Record(what) => self.record(what),
                    Action::Perform { attempt, effect } => {
                        let key = effect.key();
                        self.record(EventKind::Intent { key, attempt, effect: effect.clone() });
                        orders.push(effect);
                    }
                }
                if die == Die::AfterEvent(self.events.len()) {
                    return false;
                }
            }
            for effect in orders {
                let outcome = self.perform(&effect);
                effects += 1;
                if die == Die::AfterEffect(effects) {
                    return false;
                }
                self.record(EventKind::Outcome { key: effect.key(), outcome });
                if die == Die::AfterEvent(self.events.len()) {
                    return false;
                }
            }
            self.watch();
        }
        let pool = lifeboat_roll::waiting_on_pool(&self.world, &self.journal, self.now);
        panic!("the roll came to no end: {:?} {pool:?} {:?}", self.phases(), self.events.last());
    }

    fn perform(&mut self, effect: &Effect) -> Outcome {
        self.done.push(effect.clone());
        if self.faults.once.remove(&effect.key()) || self.faults.always.contains(&effect.key()) {
            return Outcome::Failed { reason: "ordered to fail".to_owned(), retriable: true };
        }
        if self.faults.nothing_to_do.contains(&effect.key()) {
            return Outcome::NothingToDo { detail: Some("not here".to_owned()) };
        }
        let change = |world: &mut World, id: &HostId, change: &dyn Fn(&mut HostView)| {
            let mut host = world.host(id).unwrap().clone();
            change(&mut host);
            world.set_host(host);
        };
        match effect {
            Effect::SuspendFeature { feature, .. } => {
                self.world.set_feature(FeatureView { kind: *feature, value: "off".to_owned() });
            }
            Effect::RestoreFeature { feature, original } => {
                self.world.set_feature(FeatureView { kind: *feature, value: original.clone() });
            }
            Effect::CheckHost { .. }
            | Effect::SaveState { .. }
            | Effect::Stage { .. }
            | Effect::RunHook { .. }
            | Effect::RunGate { .. }
            | Effect::Mend { .. }
            | Effect::Unmend { .. } => {}
            Effect::Restart { host, boot_id_before } => {
                if self.world.running_on(host).next().is_some() {
                    self.broken.push(format!("{host} was restarted with a guest on it"));
                }
                change(&mut self.world, host, &|h| {
                    if h.boot_id.as_ref() == Some(boot_id_before) {
                        h.boot_id = Some(format!("{boot_id_before}!"));
                        h.pending_reboot.clear();
                    }
                });
            }
            Effect::StopGuest { guest, .. } | Effect::StartGuest { guest, .. } => {
                let running = matches!(effect, Effect::StartGuest { .. });
                let changed = GuestView { running, ..self.world.guest(guest).unwrap().clone() };
                self.world.set_guest(changed).unwrap();
            }
            Effect::EnterMaintenance { host } => change(&mut self.world, host, &|h| h.maintenance = true),
            Effect::LeaveMaintenance { host } => change(&mut self.world, host, &|h| h.maintenance = false),
            Effect::Migrate { guest, to, .. } | Effect::Place { guest, to, .. } => {
                if self.faults.stuck_guests.contains(guest) {
                    return Outcome::Failed { reason: "it does not converge".to_owned(), retriable: true };
                }
                let mut moved = self.world.guest(guest).unwrap().clone();
                moved.host = to.clone();
                self.world.set_guest(moved).unwrap();
            }
            Effect::Install { host, release, bank: target, .. } => {
                if self.world.host(host).unwrap().active == Some(*target) {
                    self.broken.push(format!("the active bank of {host} was written"));
                }
                let serial = release.serial;
                change(&mut self.world, host, &|h| {
                    h.banks[target.index()] = bank(BankState::Upgraded, Some(serial));
                });
            }
            Effect::RebootInto { host, bank: target, boot_id_before } => {
                self.reboot(host, *target, boot_id_before);
            }
        }
        Outcome::Done { detail: None }
    }

    fn reboot(&mut self, id: &HostId, target: Bank, before: &str) {
        if self.world.running_on(id).next().is_some() {
            self.broken.push(format!("{id} was rebooted with a guest on it"));
        }
        let mut host = self.world.host(id).unwrap().clone();
        if host.boot_id.as_deref() != Some(before) {
            return;
        }
        host.boot_id = Some(format!("{before}+"));
        if self.faults.never_returns.contains(id) {
            host.reachable = false;
        } else if self.faults.falls_back.contains(id) {
            let failed = &mut host.banks[target.index()];
            failed.state = BankState::Failed;
            failed.note = Some("kernel panic".to_owned());
            host.failed_releases.push(release(2).digest);
        } else {
            host.banks[target.index()].state = BankState::Good;
            host.active = Some(target);
            host.running = host.banks[target.index()].digest;
            host.version.clone_from(&host.banks[target.index()].version);
        }
        self.world.set_host(host);
    }

    /// Promises that hold at every moment.
    fn watch(&mut self) {
        let limit = self.plan.policy.in_flight_of(self.plan.steps.len());
        let flying = self.journal.in_flight().count();
        if flying > limit {
            self.broken.push(format!("{flying} hosts in flight, {limit} allowed"));
        }
        let first = self.journal.hosts()[0].phase.clone();
        let others = self.journal.hosts()[1..].iter().any(|run| run.phase.in_flight());
        if others && !matches!(first, Phase::Committed) && !first.is_failure() {
            self.broken.push("a member was begun before the coordinator was done".to_owned());
        }
        let features_off = self.world.feature(FeatureKind::HaAdmissionControl).unwrap().value == "off";
        if flying > 0 && !features_off && self.journal.halted().is_none() {
            self.broken.push("a host is in flight while a feature is on".to_owned());
        }
    }

    pub(crate) fn phases(&self) -> BTreeMap<String, &'static str> {
        self.journal.hosts().iter().map(|run| (run.host.to_string(), run.phase.word())).collect()
    }

    pub(crate) fn end(&self) -> RollEnd {
        match self.journal.status() {
            Status::Ended(end) => end.clone(),
            other => panic!("the roll has not ended: {other:?}"),
        }
    }

    /// What a person sees at the end, without times and counts of tries.
    pub(crate) fn outcome(&self) -> String {
        let hosts: Vec<String> = self
            .journal
            .hosts()
            .iter()
            .map(|run| format!("{} {} {}", run.host, run.phase, run.phase.reason().unwrap_or("")))
            .collect();
        let guests: Vec<String> =
            self.world.guests().map(|g| format!("{} on {} {}", g.id, g.host, g.running)).collect();
        let ha = &self.world.feature(FeatureKind::HaAdmissionControl).unwrap().value;
        let service: Vec<bool> = self.world.hosts().map(|h| h.maintenance).collect();
        format!("{:?} {hosts:?} {guests:?} {ha} {service:?}", self.end())
    }

    pub(crate) fn assert_kept(&self) {
        assert_eq!(self.broken, Vec::<String>::new());
        assert_eq!(self.world.feature(FeatureKind::HaAdmissionControl).unwrap().value, "percent:25");
        assert_eq!(self.world.guests().len(), self.plan.steps.len());
    }
}
