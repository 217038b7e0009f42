//! The state of a roll: a fold of its events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lifeboat_model::{
    Bank, Effect, EffectKey, FeatureKind, GuestId, HostId, Move, OnFailure, Phase, Plan, Policy, RollEnd,
    Sha256Hex, Timestamp,
};

/// How an effect stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EffectState {
    /// Ordered, not ended.
    Open {
        /// The controller that ordered it is gone: look at the world and order it again.
        interrupted: bool,
    },
    /// Ended well.
    Done,
    /// A hook said that nothing is to be done here.
    NothingToDo {
        /// What it said.
        reason: String,
    },
    /// Ended badly.
    Failed {
        /// Why.
        reason: String,
        /// Whether another try may help.
        retriable: bool,
    },
}

/// One effect of this roll, with all its tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectRun {
    /// What was ordered, as the intent has it.
    pub effect: Effect,
    /// The latest try, from 1.
    pub attempt: u32,
    /// When it entered its state.
    pub since: Timestamp,
    /// How it stands.
    pub state: EffectState,
}

/// One host in this roll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRun {
    /// The host.
    pub host: HostId,
    /// Where it stands.
    pub phase: Phase,
    /// Since when.
    pub since: Timestamp,
    /// A person ordered another try, also of a release that failed here.
    pub retry: bool,
    /// A person ordered to leave it out.
    pub skip: bool,
    /// The bank that is written and tried, once that was decided.
    pub bank: Option<Bank>,
    /// The boot that ended with the order to reboot.
    pub boot_id_before: Option<String>,
    /// Guests that this roll shut down on it and has not started again, and since when.
    pub stopped: BTreeMap<GuestId, Timestamp>,
    /// A hook was ordered that prepares it, and the hooks of the last stage have not ended that: perhaps in an earlier turn.
    pub prepared: bool,
    /// Its effects since it was admitted.
    pub effects: BTreeMap<EffectKey, EffectRun>,
}

/// A feature that this roll switched off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspension {
    /// Which one.
    pub feature: FeatureKind,
    /// The value it had when the intent was written.
    pub original: String,
    /// Since when.
    pub since: Timestamp,
    /// It has its value again, or keeps another one that somebody gave it.
    pub restored: bool,
    /// The value that somebody gave it meanwhile and that it keeps.
    pub kept: Option<String>,
    /// Somebody has switched it on meanwhile: the value that it had before that. `original` is the newer one.
    pub before_touch: Option<String>,
}

/// What the maintenance windows say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowState {
    /// Whether hosts may begin.
    pub open: bool,
    /// Since when.
    pub since: Timestamp,
    /// Until when; none if it does not change any more.
    pub until: Option<Timestamp>,
}

/// Something that went other than planned, while the roll went on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// When.
    pub at: Timestamp,
    /// Stable code.
    pub code: String,
    /// Whom or what it is about.
    pub subject: String,
    /// What happened.
    pub text: String,
}

/// Where the roll as a whole stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It goes on.
    Running,
    /// A person ordered a pause, or the roll waits for one's decision: see [`Journal::held`].
    Paused,
    /// As `Paused`, but hosts in flight come to their end first.
    Finishing,
    /// A person ordered the end; what can be undone is being undone.
    Aborting,
    /// It has ended. [`RollEnd::Stopped`] can be taken up again.
    Ended(RollEnd),
}

/// What the plan says of one step, prepared for quick questions.
#[derive(Debug, Clone)]
pub(crate) struct StepLinks {
    /// Steps that must be committed before this one may begin: they take its guests.
    pub(crate) after: Vec<usize>,
    /// Steps that wait for this one.
    pub(crate) before: Vec<usize>,
    /// Later steps whose hosts take guests of this one while they are still old.
    pub(crate) old_targets: Vec<usize>,
    /// Earlier steps that move guests onto this host while it is still old.
    pub(crate) givers: Vec<usize>,
    /// Positions of its moves, by guest.
    pub(crate) moves: Vec<usize>,
}

/// A roll as its events tell it.
#[derive(Debug, Clone)]
pub struct Journal {
    pub(crate) plan: Arc<Plan>,
    pub(crate) plan_hash: Sha256Hex,
    pub(crate) index: BTreeMap<HostId, usize>,
    pub(crate) links: Arc<Vec<StepLinks>>,
    pub(crate) hosts: Vec<HostRun>,
    pub(crate) unmet: Vec<usize>,
    pub(crate) status: Status,
    pub(crate) halted: Option<String>,
    pub(crate) failures: u32,
    pub(crate) committed: usize,
    pub(crate) first_committed: Option<Timestamp>,
    pub(crate) in_flight: BTreeSet<usize>,
    pub(crate) pending: BTreeSet<usize>,
    /// Steps that a person ordered to leave out.
    pub(crate) skips: BTreeSet<usize>,
    /// Steps of the first wave, in order: nothing is begun beside them.
    pub(crate) first_wave: Vec<usize>,
    pub(crate) pool_effects: BTreeMap<EffectKey, EffectRun>,
    pub(crate) suspensions: Vec<Suspension>,
    pub(crate) last_seq: u64,
    pub(crate) fence: u64,
    pub(crate) started: Option<Timestamp>,
    pub(crate) last_at: Timestamp,
    pub(crate) coordinator_lost_since: Option<Timestamp>,
    pub(crate) holder: Option<String>,
    pub(crate) touched: BTreeSet<usize>,
    /// The policy that is in force: the plan's until a person changes it.
    pub(crate) policy: Arc<Policy>,
    pub(crate) held: Option<String>,
    pub(crate) window: Option<WindowState>,
    /// Waves up to this one are approved.
    pub(crate) approved: u32,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) handed_over: bool,
    /// A person ordered the end: whatever happens, nothing is upgraded any more.
    pub(crate) aborted: bool,
    /// Steps of hosts that a person is to look at, and of those that were left at that.
    pub(crate) out: BTreeSet<usize>,
    /// Moves after the last host.
    pub(crate) placements: BTreeMap<EffectKey, EffectRun>,
    /// Those of them that have not ended.
    pub(crate) placing: BTreeSet<EffectKey>,
    /// Guests whose move after the last host is not done.
    pub(crate) unplaced: BTreeSet<GuestId>,
    /// So many of the plan's moves after the last host, from the first on, have ended.
    pub(crate) placed: usize,
}

impl Journal {
    /// A roll before its first event.
    #[must_use]
    pub fn new(plan: Arc<Plan>, plan_hash: Sha256Hex) -> Self {
        let index: BTreeMap<HostId, usize> =
            plan.steps.iter().enumerate().map(|(at, step)| (step.host.clone(), at)).collect();
        let links = link(&plan, &index);
        let unmet = links.iter().map(|step| step.after.len()).collect();
        let hosts = plan.steps.iter().map(|step| HostRun::new(step.host.clone())).collect();
        Self {
            plan_hash,
            unmet,
            hosts,
            status: Status::Running,
            halted: None,
            failures: 0,
            committed: 0,
            first_committed: None,
            in_flight: BTreeSet::new(),
            pending: (0..links.len()).collect(),
            skips: BTreeSet::new(),
            first_wave: (0..).zip(&plan.steps).filter(|(_, step)| step.wave <= 1).map(|(at, _)| at).collect(),
            pool_effects: BTreeMap::new(),
            suspensions: Vec::new(),
            last_seq: 0,
            fence: 0,
            started: None,
            last_at: Timestamp(0),
            coordinator_lost_since: None,
            holder: None,
            touched: BTreeSet::new(),
            policy: Arc::new(plan.policy.clone()),
            held: None,
            window: None,
            approved: 0,
            warnings: Vec::new(),
            handed_over: false,
            aborted: false,
            out: BTreeSet::new(),
            placements: BTreeMap::new(),
            placing: BTreeSet::new(),
            unplaced: BTreeSet::new(),
            placed: 0,
            links: Arc::new(links),
            index,
            plan,
        }
    }

    /// The plan that is carried out.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The policy that is in force: the plan's until a person changes it.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// What the roll waits for a person's decision about.
    pub fn held(&self) -> Option<&str> {
        self.held.as_deref()
    }

    /// What the maintenance windows say; none if the policy has none.
    pub fn window(&self) -> Option<WindowState> {
        self.window
    }

    /// Waves up to this one were approved by a person, beyond what the plan's approval covers.
    pub fn approved(&self) -> u32 {
        self.approved
    }

    /// More hosts have failed than the policy allows: a person decides about them before the roll goes on.
    pub fn stopped_by_failure(&self) -> bool {
        let allowed = match self.policy.on_failure {
            OnFailure::Stop | OnFailure::Pause => 0,
            OnFailure::Continue(hosts) => hosts,
        };
        self.failures > allowed
    }

    /// A person ordered the end of the roll.
    pub fn aborted(&self) -> bool {
        self.aborted
    }

    /// What went other than planned, while the roll went on.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The texts of the warnings with this code about this subject.
    pub(crate) fn warned<'a>(&'a self, code: &'a str, subject: &'a str) -> impl Iterator<Item = &'a str> {
        self.warnings.iter().filter(move |w| w.code == code && w.subject == subject).map(|w| w.text.as_str())
    }

    /// The first step of the plan whose host is not done.
    pub(crate) fn first_open(&self) -> Option<usize> {
        [self.pending.first(), self.in_flight.first()].into_iter().flatten().min().copied()
    }

    /// A person ordered this controller to leave the roll to another one.
    pub fn handed_over(&self) -> bool {
        self.handed_over
    }

    /// Guests that this roll shut down and has not started again: where, and since when.
    pub fn stopped_guests(&self) -> impl Iterator<Item = (&HostId, &GuestId, Timestamp)> {
        let of = |run: &'_ HostRun| run.stopped.len();
        self.hosts
            .iter()
            .filter(move |run| of(run) > 0)
            .flat_map(|run| run.stopped.iter().map(move |(guest, since)| (&run.host, guest, *since)))
    }

    /// Where the roll as a whole stands.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Why no further host is started, after a failure.
    pub fn halted(&self) -> Option<&str> {
        self.halted.as_deref()
    }

    /// The hosts in the order of the plan.
    pub fn hosts(&self) -> &[HostRun] {
        &self.hosts
    }

    /// One host; `None` if the plan has no step for it.
    pub fn host(&self, id: &HostId) -> Option<&HostRun> {
        self.index.get(id).and_then(|&at| self.hosts.get(at))
    }

    /// Hosts that are out of service or about to be.
    pub fn in_flight(&self) -> impl Iterator<Item = &HostRun> {
        self.in_flight.iter().filter_map(|&at| self.hosts.get(at))
    }

    /// How many hosts came to the end that everybody wants.
    pub fn committed(&self) -> usize {
        self.committed
    }

    /// Features that this roll switched off, in that order.
    pub fn suspensions(&self) -> &[Suspension] {
        &self.suspensions
    }

    /// Position of the last event.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Whether a feature is off by this roll's order now: not before it is, and not after somebody switched it on.
    pub fn is_suspended(&self, suspension: &Suspension) -> bool {
        let (feature, original) = (suspension.feature, suspension.original.clone());
        let effect = Effect::SuspendFeature { feature, original };
        !suspension.restored && self.effect(&effect).is_some()
    }

    /// When the first event was written.
    pub fn started(&self) -> Option<Timestamp> {
        self.started
    }

    /// When the last event was written.
    pub fn last_at(&self) -> Timestamp {
        self.last_at
    }

    /// The controller that took the roll up last.
    pub fn holder(&self) -> Option<&str> {
        self.holder.as_deref()
    }

    /// Fencing number of that controller.
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// Tells that something is seen anew of this host, so that the next narrow look includes it.
    pub fn touch(&mut self, host: &HostId) {
        if let Some(&at) = self.index.get(host) {
            self.touched.insert(at);
        }
    }

    /// Puts hosts back that [`Journal::take_touched`] gave.
    pub fn touch_all(&mut self, steps: &BTreeSet<usize>) {
        self.touched.extend(steps);
    }

    /// Hosts that changed since the last call. A narrow [`crate::Scope`] for [`crate::decide()`].
    pub fn take_touched(&mut self) -> BTreeSet<usize> {
        std::mem::take(&mut self.touched)
    }

    /// Whether an effect was ordered and has not ended.
    pub fn is_open(&self, key: &EffectKey) -> bool {
        let host = key.0.split_once('/').and_then(|(host, _)| HostId::new(host).ok());
        let of_host = host.and_then(|host| self.host(&host)).and_then(|run| run.effects.get(key));
        let run = of_host.or_else(|| self.pool_effects.get(key)).or_else(|| self.placements.get(key));
        run.is_some_and(|run| matches!(run.state, EffectState::Open { .. }))
    }

    /// One effect of a host or of the pool.
    pub(crate) fn effect(&self, effect: &Effect) -> Option<&EffectRun> {
        let key = effect.key();
        match effect.host() {
            Some(host) => self.host(host).and_then(|run| run.effects.get(&key)),
            None => self.pool_effects.get(&key).or_else(|| self.placements.get(&key)),
        }
    }
}

impl Journal {
    /// Where the plan sends a guest of this step.
    pub(crate) fn planned(&self, step: usize, guest: &GuestId) -> Option<&Move> {
        let moves = &self.plan.steps.get(step)?.moves;
        let by_guest = &self.links.get(step)?.moves;
        let at = by_guest.partition_point(|&at| moves.get(at).is_some_and(|planned| planned.guest < *guest));
        by_guest.get(at).and_then(|&at| moves.get(at)).filter(|planned| planned.guest == *guest)
    }
}

impl HostRun {
    pub(crate) fn new(host: HostId) -> Self {
        Self {
            host,
            phase: Phase::Pending,
            since: Timestamp(0),
            retry: false,
            skip: false,
            bank: None,
            boot_id_before: None,
            stopped: BTreeMap::new(),
            prepared: false,
            effects: BTreeMap::new(),
        }
    }

    /// The order to reboot was given: from here the host goes forward.
    #[must_use]
    pub fn past_no_return(&self) -> bool {
        let ordered = self.effects.values().any(|run| {
            matches!(run.effect, Effect::RebootInto { .. })
                && !matches!(run.state, EffectState::Failed { .. })
        });
        ordered || matches!(self.phase, Phase::Rebooted | Phase::Verified)
    }

    /// Forgets effects that have ended: what is wanted next is ordered anew.
    pub(crate) fn forget_ended(&mut self) {
        self.effects.retain(|_, run| matches!(run.state, EffectState::Open { .. }));
    }

    /// Effects that were ordered by a living controller and have not ended.
    pub fn open(&self) -> impl Iterator<Item = &EffectRun> {
        self.effects.values().filter(|run| run.state == EffectState::Open { interrupted: false })
    }
}

fn link(plan: &Plan, index: &BTreeMap<HostId, usize>) -> Vec<StepLinks> {
    let mut links: Vec<StepLinks> = plan
        .steps
        .iter()
        .map(|_| StepLinks {
            after: Vec::new(),
            before: Vec::new(),
            old_targets: Vec::new(),
            givers: Vec::new(),
            moves: Vec::new(),
        })
        .collect();
    for (at, step) in plan.steps.iter().enumerate() {
        if let Some(entry) = links.get_mut(at) {
            entry.moves = (0..step.moves.len()).collect();
            entry.moves.sort_by_key(|&planned| step.moves.get(planned).map(|planned| &planned.guest));
        }
        let targets: BTreeSet<usize> =
            step.moves.iter().filter_map(|guest| index.get(&guest.to).copied()).collect();
        for target in targets {
            if target < at {
                if let Some(entry) = links.get_mut(at) {
                    entry.after.push(target);
                }
                if let Some(entry) = links.get_mut(target) {
                    entry.before.push(at);
                }
            } else {
                if let Some(entry) = links.get_mut(at) {
                    entry.old_targets.push(target);
                }
                if let Some(entry) = links.get_mut(target) {
                    entry.givers.push(at);
                }
            }
        }
    }
    links
}
