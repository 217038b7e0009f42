//! What holds at every moment of every roll: the properties that a roll is trusted for.
//!
//! The observer looks at what the controller believes (journal and world) at every event and every rest;
//! [`World`][lifeboat_model::World] and lives of the real pool are looked at between two controllers and at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use lifeboat_executor::{Observer, Snapshot, StepPoint};
use lifeboat_hypervisor::Hypervisor as _;
use lifeboat_hypervisor::sim::SimPool;
use lifeboat_model::{
    Effect, Event, EventKind, FeatureKind, GuestId, HostId, Mib, Order, Phase, Plan, RollEnd, World,
};
use lifeboat_roll::{Status, waiting_on, waiting_on_pool};

/// Looks on and dies when it is told to.
#[derive(Debug)]
pub(crate) struct Lawful {
    /// Dies at this moment of these, counted from 1; lives if 0.
    pub(crate) dies_at: usize,
    /// Only moments of this kind count.
    pub(crate) kind: Option<StepPoint>,
    /// Moments seen.
    pub(crate) seen: usize,
    /// Leaves after so many rests.
    pub(crate) patience: usize,
    /// Rests seen.
    pub(crate) rests: usize,
    /// Most hosts that any policy in force allowed so far.
    pub(crate) allowed: usize,
    /// Effects that were ordered, by their kind.
    pub(crate) ordered: BTreeSet<&'static str>,
    /// What the roll waits for, at the last rest.
    pub(crate) waits: Vec<String>,
    /// It died.
    pub(crate) died: bool,
    /// Leaves when the roll has waited for an approval for a while; the rests of which it has.
    pub(crate) approvals: Option<usize>,
}

impl Lawful {
    pub(crate) fn new(dies_at: usize, kind: Option<StepPoint>) -> Self {
        Self {
            dies_at,
            kind,
            seen: 0,
            patience: usize::MAX,
            rests: 0,
            allowed: 0,
            ordered: BTreeSet::new(),
            waits: Vec::new(),
            died: false,
            approvals: None,
        }
    }

    fn look(&mut self, snapshot: Snapshot<'_>) {
        let (journal, world) = (snapshot.journal, snapshot.world);
        self.allowed = self.allowed.max(journal.policy().in_flight_of(world.hosts().len()));
        // 3: at most K in flight, one while none is proved good, one of a fault domain.
        let flying: Vec<_> = journal.in_flight().collect();
        assert!(flying.len() <= self.allowed, "{} in flight, {} allowed", flying.len(), self.allowed);
        if journal.committed() == 0 {
            assert!(flying.len() <= 1, "{} in flight before one was proved good", flying.len());
        }
        if journal.policy().one_per_fault_domain {
            let mut domains = BTreeSet::new();
            for run in &flying {
                let domain = world.host(&run.host).and_then(|host| host.fault_domain.as_ref());
                assert!(
                    domain.is_none_or(|domain| domains.insert(domain)),
                    "two of one fault domain in flight"
                );
            }
        }
        // 4: no host holds more than it has.
        for host in world.hosts() {
            assert!(world.load_of(&host.id) <= host.memory, "{} is overfull", host.id);
        }
    }
}

impl Observer for Lawful {
    fn appended(&mut self, events: &[Event], snapshot: Snapshot<'_>) {
        let (journal, world) = (snapshot.journal, snapshot.world);
        for event in events {
            // 9: what is written carries the number of the controller that holds the pool.
            assert_eq!(event.fence, journal.fence());
            match &event.what {
                EventKind::Intent { effect, .. } => {
                    self.ordered.insert(kind(effect));
                    lawful(effect, snapshot);
                }
                // 5: the coordinator goes first and alone.
                EventKind::HostPhase { host, phase: Phase::Admitted } => {
                    let plan = journal.plan();
                    let first =
                        plan.coordinator.as_ref().filter(|_| plan.policy.order == Order::CoordinatorFirst);
                    if let Some(first) = first.filter(|first| *first != host)
                        && let Some(run) = journal.host(first)
                    {
                        let good = world.host(first).is_some_and(|at| at.running == Some(plan.target.digest));
                        assert!(good || run.phase == Phase::Committed, "{host} before the coordinator");
                    }
                }
                EventKind::RollEnded { end } => ended(end, snapshot),
                _ => {}
            }
        }
        self.look(snapshot);
    }

    fn waiting(&mut self, snapshot: Snapshot<'_>) -> ControlFlow<()> {
        self.look(snapshot);
        // 10: whatever is not over says what it waits for.
        self.waits.clear();
        for run in snapshot.journal.in_flight() {
            let waits = waiting_on(snapshot.world, snapshot.journal, run, snapshot.now);
            assert!(!waits.is_empty(), "{} ({}) waits without saying for what", run.host, run.phase);
            self.waits.extend(waits.into_iter().map(|wait| format!("{}: {wait}", run.host)));
        }
        self.waits.extend(waiting_on_pool(snapshot.world, snapshot.journal, snapshot.now));
        let pending = snapshot.journal.hosts().iter().filter(|run| run.phase == Phase::Pending);
        for run in pending {
            let waits = waiting_on(snapshot.world, snapshot.journal, run, snapshot.now);
            self.waits.extend(waits.into_iter().map(|wait| format!("{}: {wait}", run.host)));
        }
        assert!(
            !self.waits.is_empty(),
            "the roll waits without saying for what: {:?}",
            snapshot.journal.status()
        );
        self.rests += 1;
        if let (Some(rests), true) =
            (&mut self.approvals, self.waits.iter().any(|wait| wait.contains("approve wave")))
        {
            *rests += 1;
            if *rests > 40 {
                return ControlFlow::Break(());
            }
        }
        if self.rests > self.patience { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn step(&mut self, point: StepPoint) -> ControlFlow<()> {
        if self.kind.is_none_or(|kind| kind == point) {
            self.seen += 1;
        }
        if self.dies_at > 0 && self.seen >= self.dies_at {
            self.died = true;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// What holds when an effect is about to be ordered.
fn lawful(effect: &Effect, snapshot: Snapshot<'_>) {
    let (journal, world) = (snapshot.journal, snapshot.world);
    match effect {
        // 2: never with a guest on it, as far as the controller can see.
        Effect::RebootInto { host, boot_id_before, .. } => {
            let same = world.host(host).and_then(|at| at.boot_id.as_ref()) == Some(boot_id_before);
            let guests = world.running_on(host).count();
            assert!(!same || guests == 0, "{host} is told to reboot with {guests} guests on it");
        }
        // 8: the way back is never written, and no second bank before the first was proved good.
        Effect::Install { host, bank, .. } => {
            assert_ne!(world.host(host).and_then(|at| at.active), Some(*bank), "{host}: the active bank");
            if journal.committed() == 0 {
                assert_eq!(journal.in_flight().count(), 1, "a second bank before the first was proved good");
            }
        }
        // Only what the plan says is shut down.
        Effect::StopGuest { guest, host } => {
            assert!(stops(journal.plan()).contains(guest), "{guest} on {host} is shut down without a rule");
        }
        Effect::Migrate { .. }
        | Effect::SuspendFeature { .. }
        | Effect::RestoreFeature { .. }
        | Effect::CheckHost { .. }
        | Effect::SaveState { .. }
        | Effect::EnterMaintenance { .. }
        | Effect::LeaveMaintenance { .. }
        | Effect::Stage { .. }
        | Effect::StartGuest { .. }
        | Effect::Place { .. }
        | Effect::RunHook { .. }
        | Effect::RunGate { .. } => {}
        Effect::Mend { .. } | Effect::Unmend { .. } | Effect::Restart { .. } => {
            panic!("a roll orders no remedies")
        }
    }
}

/// What holds when a roll has ended, in the controller's eyes.
fn ended(end: &RollEnd, snapshot: Snapshot<'_>) {
    let journal = snapshot.journal;
    assert!(matches!(journal.status(), Status::Ended(_)));
    assert_eq!(journal.in_flight().count(), 0, "{end:?} with hosts in flight");
    for suspension in journal.suspensions() {
        assert!(suspension.restored, "{end:?}, and {} is still off", suspension.feature);
    }
    // What was shut down runs again, or is named.
    for (host, guest, _) in journal.stopped_guests() {
        let named = journal.warnings().iter().any(|warning| warning.subject == guest.as_str());
        assert!(named, "{end:?}: {guest} was shut down on {host}, and nobody says so");
    }
    if *end == RollEnd::Completed {
        assert!(journal.hosts().iter().all(|run| {
            let target = journal.plan().target.digest;
            run.phase == Phase::Committed
                || snapshot.world.host(&run.host).is_some_and(|host| host.running == Some(target))
        }));
    }
}

/// Guests that the plan shuts down and starts again.
pub(crate) fn stops(plan: &Plan) -> BTreeSet<GuestId> {
    let stops = plan.steps.iter().flat_map(|step| &step.stops);
    stops.filter(|stop| !stop.by_owner).map(|stop| stop.guest.clone()).collect()
}

/// What holds for the pool itself at any time, whatever a controller believes.
pub(crate) fn unharmed(pool: &mut SimPool, plan: &Plan) -> World {
    // 1, 2: no guest went down with its host, none was started that nobody had shut down.
    assert!(pool.guests_lost().is_empty(), "{:?}", pool.guests_lost());
    let stops = stops(plan);
    for (id, life) in pool.guest_lives() {
        assert!(!life.lost, "{id}: {life:?}");
        assert!(life.restarts <= life.stops, "{id} was started while it ran: {life:?}");
        assert!(life.stops == 0 || stops.contains(id), "{id} was shut down: {life:?}");
    }
    let world = pool.observe().unwrap();
    // 4: as the pool itself counts.
    for host in world.hosts() {
        assert!(world.load_of(&host.id) <= host.memory, "{} is overfull", host.id);
    }
    world
}

/// Memory in service beyond what guests use.
pub(crate) fn free(world: &World) -> i128 {
    let serving: Mib = world.hosts().filter(|h| h.reachable && !h.maintenance).map(|h| h.memory).sum();
    let used: Mib = world.guests().filter(|guest| guest.running).map(|guest| guest.memory).sum();
    i128::from(serving.0) - i128::from(used.0)
}

/// What holds when a roll has ended: features have the values that they had, or that a person gave them last; hosts
/// serve, but those that a person was asked to look at; guests run.
pub(crate) fn restored(
    pool: &mut SimPool,
    plan: &Plan,
    before: &World,
    touched: &BTreeMap<FeatureKind, String>,
    asked: &BTreeSet<HostId>,
) {
    let world = unharmed(pool, plan);
    for feature in before.features() {
        let expected = touched.get(&feature.kind).unwrap_or(&feature.value);
        let found = world.feature(feature.kind).map(|found| found.value.clone()).unwrap_or_default();
        assert_eq!(found, *expected, "{}", feature.kind);
    }
    for host in world.hosts().filter(|host| !asked.contains(&host.id)) {
        assert!(!host.maintenance, "{} is left in maintenance", host.id);
    }
    for guest in before.guests().filter(|guest| guest.running) {
        let now = world.guest(&guest.id).unwrap();
        assert!(now.running || asked.contains(&now.host), "{} does not run", guest.id);
    }
}

/// The word of an effect's kind.
pub(crate) fn kind(effect: &Effect) -> &'static str {
    match effect {
        Effect::SuspendFeature { .. } => "suspend",
        Effect::RestoreFeature { .. } => "restore",
        Effect::CheckHost { .. } => "check",
        Effect::SaveState { .. } => "save-state",
        Effect::EnterMaintenance { .. } => "enter-maintenance",
        Effect::LeaveMaintenance { .. } => "leave-maintenance",
        Effect::Migrate { .. } => "migrate",
        Effect::Stage { .. } => "stage",
        Effect::Install { .. } => "install",
        Effect::RebootInto { .. } => "reboot",
        Effect::StopGuest { .. } => "stop-guest",
        Effect::StartGuest { .. } => "start-guest",
        Effect::Place { .. } => "place",
        Effect::RunHook { .. } => "hook",
        Effect::RunGate { .. } => "gate",
        Effect::Restart { .. } => "restart",
        Effect::Mend { .. } => "mend",
        Effect::Unmend { .. } => "unmend",
    }
}
