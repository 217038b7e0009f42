//! The loop.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_hypervisor::{DriverEvent, Hypervisor};
use lifeboat_model::{
    Effect, EffectKey, Event, EventKind, GuestId, Millis, OperatorVerb, Plan, Progress, RollEnd, RollId,
    Sha256Hex, Timestamp, World,
};
use lifeboat_roll::{Action, Journal, Scope, Status, decide};
use lifeboat_store::{Holder, Lease, RollRow, Store, Tail};

use crate::{ExecutorError, Observer, Snapshot, StepPoint};

/// How the loop runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who this controller is, for the lease and the journal.
    pub holder: Holder,
    /// Longest wait for news before time limits and orders are looked at again.
    pub wait: Duration,
    /// After so long the whole pool is read afresh.
    pub observe_every: Millis,
    /// Orders every effect twice: the test that effects are idempotent.
    pub twice: bool,
}

impl Options {
    /// Sensible values for a controller of this name.
    #[must_use]
    pub fn new(holder: Holder) -> Self {
        let wait = Duration::from_millis(500);
        Self { holder, wait, observe_every: Millis::from_secs(60), twice: false }
    }
}

/// A controller of one roll.
pub struct Executor<'a> {
    store: &'a mut Store,
    driver: &'a mut dyn Hypervisor,
    options: Options,
    row: RollRow,
    tail: Tail,
    journal: Journal,
    world: World,
    observed: Timestamp,
    progress: BTreeMap<EffectKey, Progress>,
    _lease: Lease,
}

impl std::fmt::Debug for Executor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor")
            .field("roll", &self.row.id)
            .field("tail", &self.tail)
            .finish_non_exhaustive()
    }
}

/// A roll that is decided over more often than this without coming to rest has a fault.
const RESTLESS: usize = 100_000;
/// An older look at the pool is no ground for a reboot.
const FRESH: Millis = Millis::from_secs(5);
/// After so many rounds every host in flight is looked at, whatever was heard.
const FULL_LOOK: u64 = 64;

impl<'a> Executor<'a> {
    /// Starts a roll of an approved plan.
    ///
    /// # Errors
    /// [`ExecutorError`] if the plan is not the approved one, has blocked hosts, does not fit the pool any more,
    /// or if the pool is held by another controller or has a roll that has not ended. Nothing is changed then.
    pub fn start(
        store: &'a mut Store,
        driver: &'a mut dyn Hypervisor,
        id: &RollId,
        plan: &Plan,
        approved: &Sha256Hex,
        context: &str,
        options: Options,
    ) -> Result<Self, ExecutorError> {
        let found = plan
            .hash()
            .map_err(|_| ExecutorError::Stale { reason: "the plan has no JSON form".to_owned() })?;
        if found != *approved {
            return Err(ExecutorError::NotApproved { found, approved: *approved });
        }
        if let Some(first) = plan.blocked.first() {
            let first = format!("{}: {}", first.host, first.reason);
            return Err(ExecutorError::Blocked { count: plan.blocked.len(), first });
        }
        let lease = store.lease(&plan.pool, options.holder.clone())?;
        let world = driver.observe()?;
        fits(plan, &world)?;
        store.create_roll(id, plan, approved, context, driver.now())?;
        Self::take(store, driver, id, options, lease, world)
    }

    /// Takes a roll up again, whatever state it was left in.
    ///
    /// # Errors
    /// [`ExecutorError`] if it has ended, its journal is damaged, or another controller has the pool.
    pub fn resume(
        store: &'a mut Store,
        driver: &'a mut dyn Hypervisor,
        id: &RollId,
        options: Options,
    ) -> Result<Self, ExecutorError> {
        let row = store.roll(id)?;
        let lease = store.lease(&row.pool, options.holder.clone())?;
        if store.roll(id)?.state == lifeboat_store::RollState::Ended {
            return Err(ExecutorError::Ended { roll: id.clone() });
        }
        let world = driver.observe()?;
        Self::take(store, driver, id, options, lease, world)
    }

    fn take(
        store: &'a mut Store,
        driver: &'a mut dyn Hypervisor,
        id: &RollId,
        options: Options,
        lease: Lease,
        world: World,
    ) -> Result<Self, ExecutorError> {
        let row = store.roll(id)?;
        let links = store.events(&row, 0)?;
        let tail = Tail::of(&row, &links, lease.fence);
        let journal = read(&row, links.iter().map(|link| &link.event))?;
        let observed = driver.now();
        let progress = BTreeMap::new();
        Ok(Self { store, driver, options, row, tail, journal, world, observed, progress, _lease: lease })
    }

    /// The roll as its events tell it.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The pool as it was seen last.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The roll's name.
    pub fn roll(&self) -> &RollId {
        &self.row.id
    }

    /// The roll at this moment.
    pub fn snapshot(&self) -> Snapshot<'_> {
        Snapshot {
            roll: &self.row.id,
            journal: &self.journal,
            world: &self.world,
            progress: &self.progress,
            now: self.driver.now(),
        }
    }

    /// Leaves a person's order, which is taken over when the roll runs.
    ///
    /// # Errors
    /// [`ExecutorError::Store`] if it cannot be written.
    pub fn order(&mut self, verb: &OperatorVerb, who: &str) -> Result<(), ExecutorError> {
        Ok(self.store.request(&self.row.id, verb, who, self.driver.now())?)
    }

    /// Runs until the roll has ended.
    ///
    /// # Errors
    /// [`ExecutorError`] if this controller cannot go on; the roll can be resumed.
    pub fn run(&mut self, observer: &mut dyn Observer) -> Result<RollEnd, ExecutorError> {
        // A roll that a failure stopped waits for a person's decision: an order to try again, skip, or go on.
        if let Status::Ended(end) = self.journal.status()
            && self.store.requests(&self.row.id)?.iter().all(|order| order.verb == OperatorVerb::Pause)
        {
            return Ok(end.clone());
        }
        self.open(observer)?;
        // Looking at every host in flight is dear in a large pool. It is needed at first, after orders, when nothing
        // was heard (time limits pass without an event), and now and then; otherwise only hosts that changed are.
        let mut quiet = true;
        let mut round = 0_u64;
        loop {
            let ordered = self.take_orders(observer)?;
            self.settle(quiet || ordered || round.is_multiple_of(FULL_LOOK), observer)?;
            round += 1;
            if let Status::Ended(end) = self.journal.status() {
                return Ok(end.clone());
            }
            if observer.waiting(self.snapshot()).is_break() {
                return Err(ExecutorError::Left { roll: self.row.id.clone() });
            }
            quiet = self.listen(observer)?;
        }
    }

    /// The first events of this controller.
    fn open(&mut self, observer: &mut dyn Observer) -> Result<(), ExecutorError> {
        let mut first = Vec::new();
        if self.journal.started().is_none() {
            first.push(EventKind::RollStarted {
                pool: self.row.pool.clone(),
                plan: self.row.plan_hash,
                target: self.row.plan.target.clone(),
            });
        }
        first.push(EventKind::ControllerStarted { holder: self.options.holder.name.clone() });
        self.append(&first, None, observer)
    }

    /// Takes a person's orders over; says whether there were any.
    fn take_orders(&mut self, observer: &mut dyn Observer) -> Result<bool, ExecutorError> {
        let orders = self.store.requests(&self.row.id)?;
        let any = !orders.is_empty();
        for order in orders {
            let event = EventKind::Operator { verb: order.verb, who: order.who };
            self.append(&[event], Some(order.id), observer)?;
        }
        Ok(any)
    }

    /// Decides until there is nothing to do but wait; looks at every host in flight first if asked to.
    fn settle(&mut self, everything: bool, observer: &mut dyn Observer) -> Result<(), ExecutorError> {
        let (mut everything, mut looked) = (everything, false);
        for _ in 0..RESTLESS {
            let touched = self.journal.take_touched();
            let scope = if everything { Scope::All } else { Scope::Steps(&touched) };
            let now = self.driver.now();
            let actions = decide(&self.world, &self.journal, &self.journal.policy().clone(), scope, now);
            if actions.is_empty() {
                return Ok(());
            }
            // A host is rebooted on what is seen now, not on what was heard some time ago.
            let reboots =
                |action: &Action| matches!(action, Action::Perform { effect: Effect::RebootInto { .. }, .. });
            if !looked && actions.iter().any(reboots) && now.since(self.observed) > FRESH {
                self.look()?;
                // Once: the clock of a simulated pool may run faster than it can be looked at.
                looked = true;
                everything = true;
                continue;
            }
            everything = false;
            self.act(actions, observer)?;
        }
        Err(ExecutorError::Restless { roll: self.row.id.clone(), rounds: RESTLESS })
    }

    /// Intents and records first, in one durable step; then the effects.
    fn act(&mut self, actions: Vec<Action>, observer: &mut dyn Observer) -> Result<(), ExecutorError> {
        let mut kinds = Vec::with_capacity(actions.len());
        let mut effects = Vec::new();
        for action in actions {
            match action {
                Action::Record(kind) => kinds.push(kind),
                Action::Perform { attempt, effect } => {
                    kinds.push(EventKind::Intent { key: effect.key(), attempt, effect: effect.clone() });
                    effects.push(effect);
                }
            }
        }
        self.append(&kinds, None, observer)?;
        for effect in effects {
            self.perform(&effect, observer)?;
        }
        Ok(())
    }

    fn perform(&mut self, effect: &Effect, observer: &mut dyn Observer) -> Result<(), ExecutorError> {
        self.may_go_on(observer, StepPoint::BeforeEffect)?;
        let key = effect.key();
        self.driver.start(&key, effect)?;
        if self.options.twice {
            self.driver.start(&key, effect)?;
        }
        self.may_go_on(observer, StepPoint::AfterEffect)
    }

    /// Reads the whole pool afresh.
    fn look(&mut self) -> Result<(), ExecutorError> {
        self.world = self.driver.observe()?;
        self.observed = self.driver.now();
        Ok(())
    }

    /// Waits for news and takes them over; says whether all hosts are to be looked at, because there were none or
    /// because the whole pool was read afresh.
    fn listen(&mut self, observer: &mut dyn Observer) -> Result<bool, ExecutorError> {
        let mut quiet = false;
        if self.driver.now().since(self.observed) >= self.options.observe_every {
            self.look()?;
            quiet = true;
        }
        let news = self.driver.poll(self.options.wait)?;
        quiet |= news.is_empty();
        self.may_go_on(observer, StepPoint::AfterPoll)?;
        let mut outcomes = Vec::new();
        for event in news {
            match event {
                DriverEvent::Outcome { key, outcome } => {
                    self.progress.remove(&key);
                    // The outcome of an order that a time limit ended before, or of the second of two orders.
                    if self.journal.is_open(&key) && !outcomes.iter().any(|kind| is_outcome(kind, &key)) {
                        outcomes.push(EventKind::Outcome { key, outcome });
                    }
                }
                DriverEvent::Host(host) => {
                    self.journal.touch(&host.id);
                    self.world.set_host(*host);
                }
                DriverEvent::Guest(guest) => {
                    self.touch_host_of(&guest.id);
                    self.journal.touch(&guest.host);
                    self.world.set_guest(guest).map_err(lifeboat_hypervisor::DriverError::World)?;
                }
                DriverEvent::GuestGone(guest) => {
                    self.touch_host_of(&guest);
                    self.world.remove_guest(&guest);
                }
                DriverEvent::Feature(feature) => self.world.set_feature(feature),
                DriverEvent::Progress { key, progress } => {
                    self.progress.insert(key, progress);
                }
            }
        }
        self.append(&outcomes, None, observer)?;
        Ok(quiet)
    }

    /// The host that a guest was on so far is to be looked at.
    fn touch_host_of(&mut self, guest: &GuestId) {
        if let Some(before) = self.world.guest(guest) {
            self.journal.touch(&before.host);
        }
    }

    fn append(
        &mut self,
        kinds: &[EventKind],
        request: Option<i64>,
        observer: &mut dyn Observer,
    ) -> Result<(), ExecutorError> {
        if kinds.is_empty() {
            return Ok(());
        }
        self.may_go_on(observer, StepPoint::BeforeAppend)?;
        let at = self.driver.now();
        // Legality first: an event that cannot follow must not become durable. If the store then fails, this
        // controller ends, and what its memory knows too much is forgotten with it.
        for (what, seq) in kinds.iter().zip(self.tail.seq + 1..) {
            let event = Event { schema: what.form(), seq, fence: self.tail.fence, at, what: what.clone() };
            let roll = self.row.id.clone();
            self.journal.apply(&event).map_err(|source| ExecutorError::Fold { roll, source })?;
        }
        let events = self.store.append(&self.row, &mut self.tail, kinds, at, request)?;
        observer.appended(&events, self.snapshot());
        self.may_go_on(observer, StepPoint::AfterAppend)
    }

    fn may_go_on(&self, observer: &mut dyn Observer, point: StepPoint) -> Result<(), ExecutorError> {
        match observer.step(point) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ExecutorError::Left { roll: self.row.id.clone() }),
        }
    }
}

fn is_outcome(kind: &EventKind, of: &EffectKey) -> bool {
    matches!(kind, EventKind::Outcome { key, .. } if key == of)
}

/// The state of a roll from its events.
fn read<'e>(row: &RollRow, events: impl Iterator<Item = &'e Event>) -> Result<Journal, ExecutorError> {
    let mut journal = Journal::new(Arc::clone(&row.plan), row.plan_hash);
    for event in events {
        journal.apply(event).map_err(|source| ExecutorError::Fold { roll: row.id.clone(), source })?;
    }
    Ok(journal)
}

/// A plan is for the pool as it was seen: the same coordinator, its hosts, its guests where it found them.
fn fits(plan: &Plan, world: &World) -> Result<(), ExecutorError> {
    let stale = |reason: String| Err(ExecutorError::Stale { reason });
    if *world.pool() != plan.pool {
        return stale(format!("the plan is for pool {}, this is {}", plan.pool, world.pool()));
    }
    if world.coordinator() != plan.coordinator.as_ref() {
        let now = world.coordinator().map_or_else(|| "none".to_owned(), ToString::to_string);
        return stale(format!("the coordinator is now {now}"));
    }
    if let Some(on) =
        world.features().find(|feature| feature.is_on() && !plan.suspends.contains(&feature.kind))
    {
        return stale(format!("{} was switched on", on.kind));
    }
    let mut place = BTreeMap::new();
    for step in &plan.steps {
        match world.host(&step.host) {
            None => return stale(format!("host {} is no longer in the pool", step.host)),
            Some(host) if !host.reachable => return stale(format!("host {} does not answer", step.host)),
            Some(host) if host.maintenance => {
                return stale(format!("host {} was put into maintenance", step.host));
            }
            Some(_) => {}
        }
        if let Some(lost) = step.moves.iter().find(|planned| world.host(&planned.to).is_none()) {
            return stale(format!("host {}, which was to take guest {}, is gone", lost.to, lost.guest));
        }
        let mut expected = std::collections::BTreeSet::new();
        for planned in &step.moves {
            let Some(guest) = world.guest(&planned.guest) else {
                return stale(format!("guest {} is gone", planned.guest));
            };
            let from = place.get(&planned.guest).copied().unwrap_or(&guest.host);
            if *from != planned.from {
                return stale(format!(
                    "guest {} is on {}, not on {}",
                    planned.guest, guest.host, planned.from
                ));
            }
            expected.insert(&planned.guest);
            place.insert(&planned.guest, &planned.to);
        }
        let stranger = world.running_on(&step.host).find(|guest| {
            !expected.contains(&guest.id) && place.get(&guest.id).is_none_or(|now| *now == &step.host)
        });
        if let Some(guest) = stranger {
            return stale(format!("guest {} runs on {} and has no target in the plan", guest.id, step.host));
        }
    }
    Ok(())
}
