//! What may happen next, and what it leads to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use lifeboat_model::{
    Effect, EffectKey, EventKind, FeatureKind, FeatureView, HookStage, Outcome, RollId, Timestamp,
};
use lifeboat_roll::{Action, FoldError, Journal, Scope, Status, decide};
use stateright::{Expectation, Model, Property};

use super::act::{Act, How};
use super::driver::{self, Next};
use super::fold::Fold;
use super::mutants::Mutant;
use super::properties;
use super::scene::{START, Scene, TICK};
use super::state::{Boot, Broken, Leader, Order, Seen, Sleeper, State};
use super::watch::{listens, lose_ears, watch};

/// Why an effect fails that fails for no reason.
const LUCK: &str = "it failed";

type Decisions = HashMap<(u64, u64), Arc<Vec<Action>>>;
type Appends = HashMap<(u64, Timestamp, u64), Result<Fold, FoldError>>;

/// The model: a scene, and the mistake that is made in it.
pub(crate) struct Machine {
    pub(crate) scene: Scene,
    pub(crate) mutant: Mutant,
    /// Ends that behaviours without a crash come to; collected when `None` is given.
    pub(crate) known: Option<BTreeSet<String>>,
    pub(crate) ends: Arc<Mutex<BTreeSet<String>>>,
    /// Whether ends are compared: what went wrong is then part of a state.
    pub(crate) compare: bool,
    /// Steps of the shortest way to each broken promise.
    pub(crate) shortest: Arc<Mutex<BTreeMap<&'static str, usize>>>,
    // The same question has the same answer: `decide` and the fold are pure.
    decisions: Mutex<Decisions>,
    appends: Mutex<Appends>,
}

impl Machine {
    pub(crate) fn new(scene: Scene, mutant: Mutant) -> Self {
        Self {
            scene,
            mutant,
            known: None,
            ends: Arc::default(),
            compare: false,
            shortest: Arc::default(),
            decisions: Mutex::default(),
            appends: Mutex::default(),
        }
    }

    /// What `decide` says; the mistake is made in what it sees.
    pub(crate) fn decided(&self, fold: &Fold, seen: &Seen, now: Timestamp) -> Arc<Vec<Action>> {
        let key = (fold.key, seen.key);
        if let Some(known) = self.decisions.lock().unwrap().get(&key) {
            return Arc::clone(known);
        }
        let journal = &fold.journal;
        let shown = self.mutant.see(journal, &seen.world);
        let world = shown.as_ref().unwrap_or(&seen.world);
        let policy = match self.mutant {
            Mutant::PolicyIgnored => &journal.plan().policy,
            _ => journal.policy(),
        };
        let actions = Arc::new(decide(world, journal, policy, Scope::All, now));
        self.decisions.lock().unwrap().insert(key, Arc::clone(&actions));
        actions
    }

    /// What the controller does next; the mistake is made in what is done.
    fn next(&self, state: &State) -> Vec<Action> {
        let mut actions = (*self.decided(&state.fold, &state.seen, state.now)).clone();
        if !matches!(state.fold.journal.status(), Status::Ended(_)) {
            self.mutant.twist(&self.scene, state, &state.fold.journal, &mut actions);
        }
        actions
    }

    fn append(
        &self,
        fold: &Fold,
        kinds: &[EventKind],
        fence: u64,
        now: Timestamp,
    ) -> Result<Fold, FoldError> {
        let mut hasher = DefaultHasher::new();
        // Numbers of controllers are not part of a journal's key.
        (fold.journal.fence(), fence).hash(&mut hasher);
        format!("{kinds:?}").hash(&mut hasher);
        let key = (fold.key, now, hasher.finish());
        if let Some(known) = self.appends.lock().unwrap().get(&key) {
            return known.clone();
        }
        let result = fold.append(kinds, fence, now);
        self.appends.lock().unwrap().insert(key, result.clone());
        result
    }

    /// Appends to the journal of a state, and looks whether that may be.
    pub(crate) fn record(&self, state: &mut State, kinds: &[EventKind]) {
        if kinds.is_empty() {
            return;
        }
        watch(state, kinds);
        match self.append(&state.fold, kinds, state.fence, state.now) {
            Ok(fold) => state.fold = fold,
            Err(_) => state.broken.unrecordable = true,
        }
    }

    fn take_up(&self, state: &mut State) {
        lose_ears(state);
        state.fence += 1;
        state.leader = Some(Leader::default());
        self.record(state, &[EventKind::ControllerStarted { holder: "model".to_owned() }]);
    }

    fn act(&self, state: &mut State, actions: Vec<Action>) {
        let mut kinds = Vec::new();
        let mut hand = Vec::new();
        for action in actions {
            match action {
                Action::Record(kind) => kinds.push(kind),
                Action::Perform { attempt, effect } => {
                    let suspends = matches!(effect, Effect::SuspendFeature { .. });
                    if let (true, Some(leader)) = (suspends, &mut state.leader) {
                        leader.remembers = true;
                    }
                    if !(suspends && self.mutant == Mutant::ReadAtEffect) {
                        kinds.push(EventKind::Intent { key: effect.key(), attempt, effect: effect.clone() });
                    }
                    hand.push(effect);
                }
            }
        }
        self.record(state, &kinds);
        if let Some(leader) = &mut state.leader {
            leader.hand = hand;
        }
    }

    /// Gives an order to the driver. One that is under way under this name already is joined, not begun again.
    fn order(&self, state: &mut State, effect: Effect, mine: bool) {
        let late = state.left.slow < self.scene.budget.slow;
        match &effect {
            Effect::RestoreFeature { .. } => {
                let placed = |order: &Order| matches!(order.effect, Effect::Place { .. });
                state.broken.restored_early |= !late && state.under_way.values().any(placed);
            }
            Effect::LeaveMaintenance { host } => state.broken.left_early |= !late && state.restarts(host),
            Effect::RunHook { stage: HookStage::PreMaintenance | HookStage::Maintenance, host, .. } => {
                state.prepared.insert(host.clone());
            }
            _ => {}
        }
        if matches!(effect, Effect::Migrate { .. } | Effect::Place { .. }) {
            let on = |kind: &FeatureKind| {
                state.world().feature(*kind).is_some_and(FeatureView::is_on)
                    && !state.given.contains_key(kind)
            };
            state.broken.moved_while_on |= !late && self.scene.plan.suspends.iter().any(on);
        }
        // What is so already ends at once, as an order of a driver does that looks before it begins.
        let done = self.mutant != Mutant::RunTwice && driver::is_done(state, &effect);
        let key = effect.key();
        let joined = state.under_way.get(&key).is_some_and(|order| order.mine);
        let begun = state.under_way.insert(key.clone(), Order { effect, mine: mine || joined }).is_some();
        if done && !begun {
            self.end(state, &key, How::Well);
        }
    }

    fn end(&self, state: &mut State, key: &EffectKey, how: How) {
        let Some(Order { effect, mine }) = state.under_way.remove(key) else { return };
        let outcome = match how {
            How::Well if is_reboot(&effect) && !driver::is_done(state, &effect) => {
                // Its end is told when the host is back.
                driver::carry_out(state, &self.scene, self.mutant, &effect);
                state.under_way.insert(key.clone(), Order { effect, mine });
                return;
            }
            How::Nothing => Outcome::NothingToDo { detail: Some(LUCK.to_owned()) },
            How::Well if self.mutant == Mutant::ReadAtEffect => return self.end_late_read(state, &effect),
            How::Well => driver::carry_out(state, &self.scene, self.mutant, &effect),
            How::Again | How::Firm => {
                Outcome::Failed { reason: LUCK.to_owned(), retriable: how == How::Again }
            }
        };
        if let (How::Well | How::Nothing, Effect::RunHook { stage: HookStage::PostMaintenance, host, .. }) =
            (how, &effect)
        {
            state.prepared.remove(host);
        }
        if !(mine && listens(state, key)) {
            return;
        }
        // Between its append and its last order a controller hears nothing.
        let busy = state.leader.as_ref().is_some_and(|leader| !leader.hand.is_empty());
        if self.scene.late_news || busy {
            state.news.insert(key.clone(), outcome);
        } else {
            self.hear(state, key, outcome);
        }
    }

    /// Bad luck that nobody heard of is none: the order is given again.
    fn hear(&self, state: &mut State, key: &EffectKey, outcome: Outcome) {
        if let (true, Outcome::Failed { retriable, reason }) = (self.compare, &outcome)
            && reason == LUCK
        {
            state.luck.push(format!("{} failed, again: {retriable}", key.0));
            state.luck.sort();
        }
        if self.compare && matches!(outcome, Outcome::NothingToDo { .. }) {
            state.luck.push(format!("{} had nothing to do", key.0));
            state.luck.sort();
        }
        self.record(state, &[EventKind::Outcome { key: key.clone(), outcome }]);
    }

    /// Row 3: no intent; the value is read now and recorded with the outcome.
    fn end_late_read(&self, state: &mut State, effect: &Effect) {
        let read = match effect {
            Effect::SuspendFeature { feature, .. } => {
                let original = state.world().feature(*feature).map(|seen| seen.value.clone());
                Some((*feature, original.unwrap_or_default()))
            }
            _ => None,
        };
        let outcome = driver::carry_out(state, &self.scene, self.mutant, effect);
        if let Some((feature, original)) = read {
            if state.leader.as_ref().is_some_and(|leader| leader.remembers) {
                let from = RollId::new("model").unwrap();
                self.record(state, &[EventKind::SuspensionAdopted { feature, original, from }]);
            }
        } else if listens(state, &effect.key()) {
            self.record(state, &[EventKind::Outcome { key: effect.key(), outcome }]);
        }
    }

    fn wake(&self, state: &mut State) {
        let Some(mut sleeper) = state.sleeper.take() else { return };
        if sleeper.fence == state.fence && state.leader.is_none() {
            // Nobody took over: it just goes on.
            state.leader = Some(sleeper.leader);
            return;
        }
        if !sleeper.leader.hand.is_empty() && (self.scene.late_orders || self.mutant == Mutant::StaleActs) {
            let effect = sleeper.leader.hand.remove(0);
            state.broken.stale_acted |= self.mutant == Mutant::StaleActs;
            self.order(state, effect, false);
            state.sleeper = Some(sleeper);
            return;
        }
        if !sleeper.leader.hand.is_empty() {
            return;
        }
        let actions = (*self.decided(&sleeper.fold, &sleeper.seen, state.now)).clone();
        if self.mutant == Mutant::StaleActs {
            let leader = state.leader.take();
            self.act(state, actions);
            let hand = state.leader.take().map(|leader| leader.hand).unwrap_or_default();
            state.leader = leader;
            for effect in hand {
                self.order(state, effect, false);
            }
            state.broken.stale_acted = true;
            return;
        }
        // Its next append carries its old number, and is refused: it ends.
        let kinds: Vec<EventKind> = actions
            .into_iter()
            .map(|action| match action {
                Action::Record(kind) => kind,
                Action::Perform { attempt, effect } => {
                    EventKind::Intent { key: effect.key(), attempt, effect }
                }
            })
            .collect();
        if !kinds.is_empty() && self.append(&state.fold, &kinds, sleeper.fence, state.now).is_ok() {
            state.broken.stale_acted = true;
        }
    }

    /// Whether the clock must move for anything to happen.
    pub(crate) fn needs_time(&self, state: &State) -> bool {
        if !self.next(state).is_empty() {
            return false;
        }
        let later = State { fold: state.fold.older(), now: state.now.after(TICK), ..state.clone() };
        !self.next(&later).is_empty()
    }

    /// Whether nothing but a person can make anything happen any more.
    pub(crate) fn at_rest(&self, state: &State) -> bool {
        let idle = state.leader.as_ref().is_some_and(|leader| leader.hand.is_empty());
        idle && state.news.is_empty()
            && !state.busy()
            && self.next(state).is_empty()
            && !self.needs_time(state)
    }
}

fn is_reboot(effect: &Effect) -> bool {
    matches!(effect, Effect::Restart { .. })
}

/// Whether the command may say that nothing is to be done on its host. After the release it is too late for that.
fn has_a_way_out(effect: &Effect) -> bool {
    matches!(effect, Effect::RunHook { stage, .. } if *stage != HookStage::PostMaintenance)
}

impl Model for Machine {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        let plan = self.mutant.plan(&self.scene.plan);
        let hash = plan.hash().unwrap();
        let fold = Fold::new(Journal::new(Arc::clone(&plan), hash), START);
        let mut state = State {
            seen: Seen::new(self.scene.world.clone()),
            fold,
            leader: Some(Leader::default()),
            sleeper: None,
            fence: 1,
            under_way: BTreeMap::new(),
            news: BTreeMap::new(),
            boots: BTreeMap::new(),
            left: self.scene.budget,
            given: BTreeMap::new(),
            luck: Vec::new(),
            crashed: false,
            gate_opened: false,
            prepared: BTreeSet::new(),
            passed: BTreeSet::new(),
            broken: Broken::default(),
            now: START,
            steps: 0,
        };
        let started =
            EventKind::RollStarted { pool: plan.pool.clone(), plan: hash, target: plan.target.clone() };
        let first = [started, EventKind::ControllerStarted { holder: "model".to_owned() }];
        state.fold = state.fold.append(&first, 1, START).unwrap();
        if !plan.policy.windows.is_empty() {
            self.record(&mut state, &[EventKind::WindowOpened { until: None }]);
        }
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Act>) {
        let left = &state.left;
        let journal = &state.fold.journal;
        let ended = matches!(journal.status(), Status::Ended(_));
        if state.broken != Broken::default() || self.mutant != Mutant::Correct {
            self.note(state);
        }
        if state.broken != Broken::default() {
            return;
        }
        if let Some(leader) = &state.leader {
            if !leader.hand.is_empty() {
                actions.push(Act::Give);
            } else if !ended {
                if !self.next(state).is_empty() {
                    actions.push(Act::Decide);
                }
                self.time(state, actions);
            }
            if leader.hand.is_empty() {
                self.persons(state, ended, actions);
            }
            if left.crashes > 0 && !ended {
                actions.push(Act::Crash);
            }
            let between = leader.hand.is_empty() || self.scene.late_orders;
            if left.sleeps > 0 && state.sleeper.is_none() && between && !ended {
                actions.push(Act::Sleep);
            }
        } else {
            actions.push(Act::Restart);
        }
        if state.sleeper.is_some() {
            actions.push(Act::Wake);
        }
        if state.leader.as_ref().is_some_and(|leader| leader.hand.is_empty()) {
            actions.extend(state.news.keys().cloned().map(Act::Hear));
        }
        for (key, order) in &state.under_way {
            // A host that is down tells nothing.
            if let Effect::Restart { host, .. } = &order.effect
                && state.boots.contains_key(host)
            {
                continue;
            }
            actions.push(Act::End(key.clone(), How::Well));
            if (self.scene.may_fail)(&order.effect) && order.mine && listens(state, key) {
                if left.again > 0 {
                    actions.push(Act::End(key.clone(), How::Again));
                }
                if left.firm > 0 {
                    actions.push(Act::End(key.clone(), How::Firm));
                }
                if left.nothing > 0 && has_a_way_out(&order.effect) {
                    actions.push(Act::End(key.clone(), How::Nothing));
                }
            }
        }
        for (host, boot) in &state.boots {
            let good = match boot {
                Boot::Down(_) if self.scene.trial => Next::Trial,
                Boot::Down(_) | Boot::Trying(_) | Boot::Again => Next::Good,
                Boot::Gone => continue,
            };
            actions.push(Act::Boot(host.clone(), good));
            if left.back > 0 && *boot != Boot::Again {
                actions.push(Act::Boot(host.clone(), Next::Back));
            }
            if left.gone > 0 {
                actions.push(Act::Boot(host.clone(), Next::Gone));
            }
        }
    }

    fn next_state(&self, last: &State, action: Act) -> Option<State> {
        let mut state = last.clone();
        state.steps += 1;
        match action {
            Act::Decide => {
                let actions = self.next(&state);
                self.act(&mut state, actions);
            }
            Act::Give => {
                let effect = state.leader.as_mut()?.hand.remove(0);
                self.order(&mut state, effect, true);
            }
            Act::End(key, how) => {
                match how {
                    How::Well => {}
                    How::Again => state.left.again -= 1,
                    How::Firm => state.left.firm -= 1,
                    How::Nothing => state.left.nothing -= 1,
                }
                if how == How::Well
                    && matches!(state.under_way.get(&key), Some(Order { effect: Effect::RunGate { .. }, .. }))
                {
                    state.gate_opened = true;
                }
                self.end(&mut state, &key, how);
            }
            Act::Hear(key) => {
                let outcome = state.news.remove(&key)?;
                if listens(&state, &key) {
                    self.hear(&mut state, &key, outcome);
                }
            }
            Act::Boot(host, next) => {
                match next {
                    Next::Good | Next::Trial => {}
                    Next::Back => state.left.back -= 1,
                    Next::Gone => state.left.gone -= 1,
                }
                if self.compare && matches!(next, Next::Back | Next::Gone) {
                    state.luck.push(format!("{host} {next:?}"));
                    state.luck.sort();
                }
                driver::boot(&mut state, &host, next);
            }
            Act::Crash => {
                state.left.crashes -= 1;
                state.leader = None;
                lose_ears(&mut state);
            }
            Act::Restart => self.take_up(&mut state),
            Act::Sleep => {
                state.left.sleeps -= 1;
                let leader = state.leader.take()?;
                let (fold, seen) = (state.fold.clone(), state.seen.clone());
                state.sleeper = Some(Box::new(Sleeper { leader, fold, seen, fence: state.fence }));
            }
            Act::Wake => self.wake(&mut state),
            Act::Tick => {
                if state.busy() {
                    state.left.slow = state.left.slow.checked_sub(1)?;
                }
                state.now = state.now.after(TICK);
                state.fold = state.fold.older();
            }
            Act::Verb(at) => self.verb(&mut state, at),
            Act::Touch(kind, at) => {
                state.left.touches -= 1;
                let value = self.scene.values[at].to_owned();
                let mut world = state.world().clone();
                world.set_feature(FeatureView { kind, value: value.clone() });
                state.given.insert(kind, value);
                state.seen = Seen::new(world);
            }
            Act::Stray(host) => Self::bring_stray(&mut state, &host),
            Act::Window(open) => {
                state.left.windows -= 1;
                let event = if open {
                    EventKind::WindowOpened { until: None }
                } else {
                    EventKind::WindowClosed { until: None }
                };
                self.record(&mut state, &[event]);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

impl Machine {
    /// The checker keeps the last way to a broken promise that it came by; the shortest is wanted.
    fn note(&self, state: &State) {
        for property in self.properties() {
            if property.expectation == Expectation::Always && !(property.condition)(self, state) {
                let mut shortest = self.shortest.lock().unwrap();
                let steps = shortest.entry(property.name).or_insert(state.steps);
                *steps = state.steps.min(*steps);
            }
        }
    }
}
