//! The loop.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat_hypervisor::{DriverEvent, Hypervisor};
use lifeboat_model::{
    Effect, EffectKey, Event, EventKind, FeatureKind, GuestId, HostId, Millis, OperatorVerb, Plan, Progress,
    RollEnd, RollId, Sha256Hex, Timestamp, World,
};
use lifeboat_roll::{Action, Journal, Scope, Status, decide};
use lifeboat_store::{Holder, Lease, RollRow, RollState, Store, Tail};

use crate::calendar::{Calendar, WindowNow};
use crate::commands::{Commands, command_problems};
use crate::fits::fits;
use crate::{ExecutorError, Observer, Snapshot, StepPoint, orders};

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
    /// Features that an earlier roll, whose journal was lost, had switched off: this roll restores them. They are
    /// recorded with the roll's first event, so a controller that takes up a roll that has none must name them too.
    pub adopt: Vec<Adopted>,
    /// Recorded as warnings with the roll's first event: code, subject, text.
    pub warnings: Vec<(String, String, String)>,
    /// After the first news, further ones are waited for so long by the pool's time: one durable step for many. Zero
    /// for a person who looks on.
    pub gather: Duration,
}

/// A feature that another roll switched off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// Which one.
    pub feature: FeatureKind,
    /// The value it had before that roll.
    pub original: String,
    /// That roll.
    pub from: RollId,
}

impl Options {
    /// Sensible values for a controller of this name.
    #[must_use]
    pub fn new(holder: Holder) -> Self {
        let wait = Duration::from_millis(500);
        Self {
            holder,
            wait,
            observe_every: Millis::from_secs(60),
            twice: false,
            adopt: Vec::new(),
            warnings: Vec::new(),
            gather: Duration::ZERO,
        }
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
    /// What was taken over and is not durable yet.
    noted: Vec<(Timestamp, EventKind)>,
    /// The whole pool is not read again before.
    next_look: Instant,
    /// Windows of the policy in force.
    calendar: Calendar,
    /// What they say holds until then.
    windows_hold_until: Option<Timestamp>,
    // Before the lease: what runs is ended before another controller may begin.
    commands: Commands,
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
/// An older look at the pool is no ground for a reboot, or for shutting a guest down.
const FRESH: Millis = Millis::from_secs(5);
/// While commands run, the driver is asked this often.
const SLICE: Duration = Duration::from_millis(50);
/// A look at the whole pool is not repeated before so many times its own length have passed.
const LOOKS: u32 = 20;
/// Windows are looked at at least so often, also when they said that nothing changes.
const WINDOWS: Millis = Millis::from_secs(3600);
/// After so many rounds every host in flight is looked at, whatever was heard.
const FULL_LOOK: u64 = 64;

impl<'a> Executor<'a> {
    /// Starts a roll of an approved plan.
    ///
    /// # Errors
    /// [`ExecutorError`] if the plan is not the approved one, has blocked hosts, does not fit the pool any more,
    /// if its policy names time zones or programs that are not here, or if the pool is held by another controller or
    /// has a roll that has not ended. Nothing is changed then.
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
        Calendar::new(&plan.policy)?;
        let problems = command_problems(&plan.policy);
        if let Some(first) = problems.first() {
            return Err(ExecutorError::Commands { count: problems.len(), first: first.clone() });
        }
        let lease = store.lease(&plan.pool, options.holder.clone())?;
        let world = driver.observe()?;
        fits(plan, &world)?;
        store.create_roll(id, plan, approved, context, driver.now())?;
        let row = store.roll(id)?;
        Self::take(store, driver, row, options, lease, world)
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
        let lease = store.lease(&store.roll(id)?.pool, options.holder.clone())?;
        let row = store.roll(id)?;
        if row.state == RollState::Ended {
            return Err(ExecutorError::Ended { roll: id.clone() });
        }
        let world = driver.observe()?;
        Self::take(store, driver, row, options, lease, world)
    }

    fn take(
        store: &'a mut Store,
        driver: &'a mut dyn Hypervisor,
        row: RollRow,
        options: Options,
        lease: Lease,
        world: World,
    ) -> Result<Self, ExecutorError> {
        let links = store.events(&row, 0)?;
        driver.set_fence(lease.fence);
        let journal = read(&row, links.iter().map(|link| &link.event))?;
        let (tail, observed) = (Tail::of(&row, &links, lease.fence), driver.now());
        Ok(Self {
            calendar: Calendar::new(journal.policy())?,
            windows_hold_until: None,
            noted: Vec::new(),
            next_look: Instant::now(),
            commands: Commands::default(),
            progress: BTreeMap::new(),
            _lease: lease,
            store,
            driver,
            options,
            row,
            tail,
            journal,
            world,
            observed,
        })
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
            && !self.store.requests(&self.row.id)?.iter().any(|order| orders::takes_up(&order.verb))
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
            let adopted = self.options.adopt.iter().cloned();
            first.extend(adopted.map(|Adopted { feature, original, from }| EventKind::SuspensionAdopted {
                feature,
                original,
                from,
            }));
            let warnings = self.options.warnings.iter().cloned();
            first.extend(warnings.map(|(code, subject, text)| EventKind::Warned { code, subject, text }));
            self.append(&first, None, observer)?;
            first.clear();
        }
        // An order to leave the roll to another controller was for the one before: it has come true.
        for order in self.store.requests(&self.row.id)? {
            if order.verb == OperatorVerb::HandOver {
                let event = EventKind::Operator { verb: order.verb, who: order.who };
                self.append(&[event], Some(order.id), observer)?;
            }
        }
        first.push(EventKind::ControllerStarted { holder: self.options.holder.name.clone() });
        self.append(&first, None, observer)
    }

    /// Takes a person's orders over; says whether there were any.
    fn take_orders(&mut self, observer: &mut dyn Observer) -> Result<bool, ExecutorError> {
        let orders = self.store.requests(&self.row.id)?;
        let any = !orders.is_empty();
        for order in orders {
            let event = orders::event(&self.journal.plan().policy, order.verb, order.who);
            self.append(std::slice::from_ref(&event), Some(order.id), observer)?;
            let EventKind::Operator { verb, .. } = event else { continue };
            if verb == OperatorVerb::HandOver {
                return Err(ExecutorError::Left { roll: self.row.id.clone() });
            }
            if let OperatorVerb::SetPolicy { policy } = verb {
                self.calendar = Calendar::new(&policy)?;
                self.windows_hold_until = None;
            }
        }
        Ok(any)
    }

    /// Records what the windows say, where that is new.
    fn look_at_windows(&mut self, observer: &mut dyn Observer) -> Result<(), ExecutorError> {
        let now = self.driver.now();
        let known = self.journal.window();
        if self.windows_hold_until.is_some_and(|until| now < until)
            || (self.calendar.is_empty() && known.is_none_or(|known| known.open && known.until.is_none()))
        {
            return Ok(());
        }
        let state = self.calendar.state(now);
        let soon = now.after(WINDOWS);
        self.windows_hold_until = Some(state.until().map_or(soon, |until| until.min(soon)));
        let event = match state {
            WindowNow::Open { until } => EventKind::WindowOpened { until },
            WindowNow::Closed { until } => EventKind::WindowClosed { until },
        };
        let open = matches!(state, WindowNow::Open { .. });
        if known.is_some_and(|known| known.open == open && known.until == state.until()) {
            return Ok(());
        }
        self.append(&[event], None, observer)
    }

    /// Decides until there is nothing to do but wait; looks at every host in flight first if asked to. What was heard
    /// and what follows from it becomes durable in one step; only then is anything ordered.
    fn settle(&mut self, everything: bool, observer: &mut dyn Observer) -> Result<(), ExecutorError> {
        let mut everything = everything;
        let mut looked = BTreeSet::new();
        let mut effects = Vec::new();
        for _ in 0..RESTLESS {
            self.look_at_windows(observer)?;
            let touched = self.journal.take_touched();
            let scope = if everything { Scope::All } else { Scope::Steps(&touched) };
            let now = self.driver.now();
            let policy = Arc::clone(self.journal.policy());
            let actions = decide(&self.world, &self.journal, &policy, scope, now);
            if actions.is_empty() {
                self.flush(None, observer)?;
                return effects.into_iter().try_for_each(|(attempt, effect)| {
                    let effect: Effect = effect;
                    self.perform(attempt, &effect, observer)
                });
            }
            let stale = now.since(self.observed) > FRESH;
            let hosts: BTreeSet<HostId> = actions.iter().filter_map(wants_a_fresh_look).cloned().collect();
            if stale && !hosts.is_subset(&looked) {
                // What the narrow look was to decide over is looked at again with it.
                self.journal.touch_all(&touched);
                self.look_afresh(&hosts)?;
                looked.extend(hosts);
                continue;
            }
            everything = false;
            for action in actions {
                let kind = match action {
                    Action::Record(kind) => kind,
                    Action::Perform { attempt, effect } => {
                        let kind = EventKind::Intent { key: effect.key(), attempt, effect: effect.clone() };
                        effects.push((attempt, effect));
                        kind
                    }
                };
                self.note(kind)?;
            }
        }
        Err(ExecutorError::Restless { roll: self.row.id.clone(), rounds: RESTLESS })
    }

    fn perform(
        &mut self,
        attempt: u32,
        effect: &Effect,
        observer: &mut dyn Observer,
    ) -> Result<(), ExecutorError> {
        self.may_go_on(observer, StepPoint::BeforeEffect)?;
        let key = effect.key();
        for _ in 0..if self.options.twice { 2 } else { 1 } {
            if effect.is_command() {
                self.commands.start(self.row.id.as_str(), &self.journal, attempt, effect);
            } else {
                self.driver.start(&key, effect)?;
            }
        }
        self.may_go_on(observer, StepPoint::AfterEffect)
    }

    /// Reads the whole pool afresh.
    fn look(&mut self) -> Result<(), ExecutorError> {
        let begun = Instant::now();
        self.world = self.driver.observe()?;
        self.observed = self.driver.now();
        self.next_look = Instant::now() + begun.elapsed() * LOOKS;
        Ok(())
    }

    /// Reads these hosts afresh: a host is rebooted on what is seen now, not on what was heard some time ago, and a
    /// guest that is about to be shut down may have been moved away by hand.
    fn look_afresh(&mut self, hosts: &BTreeSet<HostId>) -> Result<(), ExecutorError> {
        let looks = self.driver.look_at(hosts)?;
        let seen: BTreeSet<&GuestId> =
            looks.iter().flat_map(|look| &look.guests).map(|guest| &guest.id).collect();
        let left =
            hosts.iter().flat_map(|host| self.world.guests_on(host)).any(|guest| !seen.contains(&guest.id));
        if left || looks.len() < hosts.len() {
            // Where a guest or a host went, only the whole pool tells.
            return self.look();
        }
        for look in looks {
            self.journal.touch(&look.host.id);
            self.world.set_host(look.host);
            for guest in look.guests {
                self.touch_host_of(&guest.id);
                self.world.set_guest(guest).map_err(lifeboat_hypervisor::DriverError::World)?;
            }
        }
        Ok(())
    }

    /// Waits for news and takes them over; says whether all hosts are to be looked at, because there were none or
    /// because the whole pool was read afresh.
    fn listen(&mut self, observer: &mut dyn Observer) -> Result<bool, ExecutorError> {
        let mut quiet = false;
        let due = self.driver.now().since(self.observed) >= self.options.observe_every;
        if due && Instant::now() >= self.next_look {
            self.look()?;
            quiet = true;
        }
        let (news, mut outcomes) = self.hear()?;
        quiet |= news.is_empty() && outcomes.is_empty();
        self.may_go_on(observer, StepPoint::AfterPoll)?;
        let mut stale = false;
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
                    // On a host that joined a moment ago: only the whole pool tells.
                    stale |= self.world.set_guest(guest).is_err();
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
        if stale {
            self.look()?;
            quiet = true;
        }
        outcomes.into_iter().try_for_each(|outcome| self.note(outcome))?;
        Ok(quiet)
    }

    /// News of the driver.
    fn gathered(&mut self) -> Result<Vec<DriverEvent>, ExecutorError> {
        let mut news = self.driver.poll(self.options.wait)?;
        if news.is_empty() || self.options.gather.is_zero() {
            return Ok(news);
        }
        let gather = Millis(u64::try_from(self.options.gather.as_millis()).unwrap_or(u64::MAX));
        let until = self.driver.now().after(gather);
        while self.driver.now() < until {
            let left = Duration::from_millis(until.since(self.driver.now()).0);
            let more = self.driver.poll(left)?;
            if more.is_empty() {
                break;
            }
            news.extend(more);
        }
        Ok(news)
    }

    /// Waits for the driver and for commands. Commands take real time, a driver's time may be another: while one runs,
    /// the driver is only asked and not waited for, so that a simulated pool does not run away from a real program.
    fn hear(&mut self) -> Result<(Vec<DriverEvent>, Vec<EventKind>), ExecutorError> {
        if !self.commands.any() {
            return Ok((self.gathered()?, Vec::new()));
        }
        let until = Instant::now() + self.options.wait;
        loop {
            let heard = self.commands.wait(SLICE.min(self.options.wait));
            let news = self.driver.poll(Duration::ZERO)?;
            if !heard.is_empty() || !news.is_empty() || Instant::now() >= until {
                let ended = heard.outcomes.into_iter().filter(|(key, _)| self.journal.is_open(key));
                let outcomes = ended.map(|(key, outcome)| EventKind::Outcome { key, outcome });
                return Ok((news, heard.warnings.into_iter().chain(outcomes).collect()));
            }
        }
    }

    /// The host that a guest was on so far is to be looked at.
    fn touch_host_of(&mut self, guest: &GuestId) {
        if let Some(before) = self.world.guest(guest) {
            self.journal.touch(&before.host);
        }
    }

    /// Takes an event over; it becomes durable with the next [`Executor::flush`], and nothing is ordered before that.
    fn note(&mut self, what: EventKind) -> Result<(), ExecutorError> {
        let at = self.driver.now();
        let seq = self.tail.seq + self.noted.len() as u64 + 1;
        let event = Event { schema: what.form(), seq, fence: self.tail.fence, at, what };
        // Legality first: an event that cannot follow must not become durable. If the store then fails, this
        // controller ends, and what its memory knows too much is forgotten with it.
        let roll = &self.row.id;
        self.journal.apply(&event).map_err(|source| ExecutorError::Fold { roll: roll.clone(), source })?;
        self.noted.push((at, event.what));
        Ok(())
    }

    /// Makes durable what was taken over. `request` is the operator's order that the last event takes over.
    fn flush(&mut self, request: Option<i64>, observer: &mut dyn Observer) -> Result<(), ExecutorError> {
        if self.noted.is_empty() {
            return Ok(());
        }
        self.may_go_on(observer, StepPoint::BeforeAppend)?;
        let events = self.store.append_timed(&self.row, &mut self.tail, &self.noted, request)?;
        self.noted.clear();
        if self.commands.any() {
            self.commands.forget_all_but(|key| self.journal.is_open(key));
        }
        observer.appended(&events, self.snapshot());
        self.may_go_on(observer, StepPoint::AfterAppend)
    }

    fn append(
        &mut self,
        kinds: &[EventKind],
        request: Option<i64>,
        observer: &mut dyn Observer,
    ) -> Result<(), ExecutorError> {
        kinds.iter().try_for_each(|kind| self.note(kind.clone()))?;
        self.flush(request, observer)
    }

    fn may_go_on(&self, observer: &mut dyn Observer, point: StepPoint) -> Result<(), ExecutorError> {
        match observer.step(point) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ExecutorError::Left { roll: self.row.id.clone() }),
        }
    }
}

/// The host that must be seen as it is now before this is ordered.
fn wants_a_fresh_look(action: &Action) -> Option<&HostId> {
    match action {
        Action::Perform {
            effect:
                Effect::RebootInto { host, .. } | Effect::Restart { host, .. } | Effect::StopGuest { host, .. },
            ..
        } => Some(host),
        Action::Perform { .. } | Action::Record(_) => None,
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
