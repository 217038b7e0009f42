//! Faulty variants: each wraps the real decision, or the driver, in one mistake that was seen in the field.
//!
//! Production code has no switch for them. A variant changes what the decision sees ([`Mutant::see`]), what it said
//! ([`Mutant::twist`]), the plan it was given ([`Mutant::plan`]), or how a step is carried out; the last kind is asked
//! for by name where the step is (`machine.rs`, `driver.rs`).

use std::sync::Arc;

use lifeboat_model::{Effect, EventKind, FeatureView, HookStage, HostId, Phase, Plan, RollEnd, World};
use lifeboat_roll::{Action, HostRun, Journal, Status};

use super::scene::Scene;
use super::state::State;

/// Which mistake is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// None.
    Correct,
    /// Row 2: which features to restore is kept in memory.
    MemoryOnly,
    /// Row 3: the original value is read when the effect is carried out, and recorded with its outcome.
    ReadAtEffect,
    /// Row 4: the next host begins without waiting.
    NextWithoutWaiting,
    /// Row 5: a member begins before the coordinator.
    MemberFirst,
    /// Row 6: nobody reckoned how many hosts the pool can spare.
    NoCapacityCheck,
    /// Row 7: a guest without a target is left on its host, which goes on.
    GuestSkipped,
    /// Row 8: a failed move with nowhere to go is not given to anybody.
    MoveNowhere,
    /// The next host is written before the first was proved good (I-25).
    Unproved,
    /// A controller that was replaced acts when it wakes up.
    StaleActs,
    /// A driver that does twice what it is ordered twice.
    RunTwice,
    /// Features are restored when the last host begins.
    RestoreEarly,
    /// A guest that was shut down is not started when the roll is aborted.
    StoppedForgotten,
    /// A wave begins without its approval.
    ApprovalIgnored,
    /// A wave begins before its gate has opened.
    GateIgnored,
    /// A host begins outside of a maintenance window.
    WindowIgnored,
    /// What a person gave a feature meanwhile is not looked at.
    PersonOverwritten,
    /// A host's turn ends without the hooks of the last stage.
    PostForgotten,
    /// Features are restored while guests are moved after the last host.
    PlacedLate,
    /// The end of a reboot that a dead controller ordered is not waited for.
    RestartForgotten,
    /// A policy that a person changed is not looked at.
    PolicyIgnored,
}

impl Mutant {
    /// The plan that the roll is given.
    pub(crate) fn plan(self, plan: &Arc<Plan>) -> Arc<Plan> {
        if self != Self::NoCapacityCheck {
            return Arc::clone(plan);
        }
        let mut careless = (**plan).clone();
        careless.figures.peak_hosts_down.planned = 0;
        for step in careless.steps.iter_mut().skip(1) {
            step.wave = 2;
        }
        Arc::new(careless)
    }

    /// What the decision is shown instead of the pool; `None` for the pool itself.
    pub(crate) fn see(self, journal: &Journal, world: &World) -> Option<World> {
        match self {
            Self::GuestSkipped => Some(without_stranded(journal, world)),
            Self::PersonOverwritten => {
                let mut blind = world.clone();
                for suspended in journal.suspensions().iter().filter(|s| !s.restored) {
                    blind.set_feature(FeatureView { kind: suspended.feature, value: "off".to_owned() });
                }
                Some(blind)
            }
            Self::Correct
            | Self::MemoryOnly
            | Self::ReadAtEffect
            | Self::NextWithoutWaiting
            | Self::MemberFirst
            | Self::NoCapacityCheck
            | Self::MoveNowhere
            | Self::Unproved
            | Self::StaleActs
            | Self::RunTwice
            | Self::RestoreEarly
            | Self::StoppedForgotten
            | Self::ApprovalIgnored
            | Self::GateIgnored
            | Self::WindowIgnored
            | Self::PostForgotten
            | Self::PlacedLate
            | Self::RestartForgotten
            | Self::PolicyIgnored => None,
        }
    }

    /// What is done instead of what was decided.
    pub(crate) fn twist(self, scene: &Scene, state: &State, journal: &Journal, actions: &mut Vec<Action>) {
        match self {
            Self::MemoryOnly => {
                let forgot = state.leader.as_ref().is_some_and(|leader| !leader.remembers);
                let restores = actions.iter().any(|action| {
                    matches!(action, Action::Perform { effect: Effect::RestoreFeature { .. }, .. })
                });
                if forgot && restores {
                    *actions = vec![Action::Record(EventKind::RollEnded { end: RollEnd::Completed })];
                }
            }
            Self::ReadAtEffect => actions.retain(|action| match action {
                Action::Perform { effect: effect @ Effect::SuspendFeature { .. }, .. } => {
                    !state.under_way.contains_key(&effect.key())
                }
                Action::Perform { .. } | Action::Record(_) => true,
            }),
            Self::NextWithoutWaiting => {
                if journal.in_flight().next().is_some() && journal.halted().is_none() {
                    admit_next(journal, actions);
                }
            }
            Self::MemberFirst => {
                for action in actions {
                    if let Action::Record(EventKind::HostPhase { host, phase: Phase::Admitted }) = action {
                        *host = scene.plan.steps[1].host.clone();
                    }
                }
            }
            Self::MoveNowhere => actions.retain(|action| {
                let Action::Record(EventKind::HostPhase { host, phase: Phase::Leaving { .. } }) = action
                else {
                    return true;
                };
                journal.host(host).is_none_or(|run| run.phase != Phase::StateSaved)
            }),
            Self::Unproved => {
                let rebooted = |run: &&HostRun| run.phase == Phase::Rebooted;
                if let (true, Some(run)) = (actions.is_empty(), journal.in_flight().find(rebooted)) {
                    actions.push(enter(&run.host, Phase::Verified));
                }
            }
            Self::PostForgotten => without_post(journal, actions),
            Self::RestartForgotten => without_restart(journal, actions),
            Self::RestoreEarly | Self::PlacedLate => {
                let pending = journal.hosts().iter().any(|run| run.phase == Phase::Pending);
                let moves = |action: &Action| match action {
                    Action::Perform { effect: Effect::Migrate { .. }, .. } => self == Self::RestoreEarly,
                    Action::Perform { effect: Effect::Place { .. }, .. } => self == Self::PlacedLate,
                    Action::Perform { .. } | Action::Record(_) => false,
                };
                let off = journal.suspensions().iter().all(|s| !s.restored);
                if let (false, true, true, Some(last)) =
                    (pending, off, actions.iter().any(moves), journal.suspensions().last())
                {
                    let effect =
                        Effect::RestoreFeature { feature: last.feature, original: last.original.clone() };
                    let at = if self == Self::PlacedLate { actions.len() } else { 0 };
                    actions.insert(at, Action::Perform { attempt: 1, effect });
                }
            }
            Self::StoppedForgotten => {
                if *journal.status() == Status::Aborting {
                    for action in actions {
                        if let Action::Perform { effect: Effect::StartGuest { host, .. }, .. } = action
                            && let Some(HostRun { phase: Phase::Leaving { exit }, .. }) = journal.host(host)
                        {
                            *action = enter(host, (**exit).clone());
                        } else if let Action::Perform { effect: Effect::StartGuest { .. }, .. } = action {
                            *action = Action::Record(EventKind::RollEnded { end: RollEnd::Aborted });
                        }
                        // Nor is it named.
                        if matches!(action, Action::Record(EventKind::Warned { .. })) {
                            *action = Action::Record(EventKind::RollEnded { end: RollEnd::Aborted });
                        }
                    }
                }
            }
            Self::ApprovalIgnored | Self::GateIgnored | Self::WindowIgnored => {
                let gate = |action: &Action| {
                    matches!(action, Action::Perform { effect: Effect::RunGate { .. }, .. })
                };
                actions.retain(|action| !gate(action));
                let idle = journal.in_flight().next().is_none();
                let begun = journal.hosts().iter().any(|run| run.phase == Phase::Committed);
                let windows = self == Self::WindowIgnored;
                if actions.is_empty() && idle && (begun || windows) && *journal.status() == Status::Running {
                    admit_next(journal, actions);
                }
            }
            Self::Correct
            | Self::NoCapacityCheck
            | Self::GuestSkipped
            | Self::StaleActs
            | Self::RunTwice
            | Self::PersonOverwritten
            | Self::PolicyIgnored => {}
        }
    }
}

fn enter(host: &HostId, phase: Phase) -> Action {
    Action::Record(EventKind::HostPhase { host: host.clone(), phase })
}

fn admit_next(journal: &Journal, actions: &mut Vec<Action>) {
    let admits = |action: &Action| {
        matches!(action, Action::Record(EventKind::HostPhase { phase: Phase::Admitted, .. }))
    };
    if journal.halted().is_none()
        && !actions.iter().any(admits)
        && let Some(next) = journal.hosts().iter().find(|run| run.phase == Phase::Pending)
    {
        actions.push(enter(&next.host, Phase::Admitted));
    }
}

/// The pool without the guests for which there is no room where the plan sends them.
fn without_stranded(journal: &Journal, world: &World) -> World {
    let mut rest = world.clone();
    for run in journal.in_flight() {
        let Some(step) = journal.plan().steps.iter().find(|step| step.host == run.host) else { continue };
        for guest in world.running_on(&run.host) {
            let planned = step.moves.iter().find(|planned| planned.guest == guest.id);
            let target = planned.and_then(|planned| world.host(&planned.to));
            let room = target.is_some_and(|to| {
                to.reachable && !to.maintenance && world.load_of(&to.id).0 + guest.memory.0 <= to.memory.0
            });
            if !room {
                rest.remove_guest(&guest.id);
            }
        }
    }
    rest
}

/// The turn ends where its last hooks were to run.
fn without_post(journal: &Journal, actions: &mut [Action]) {
    for action in actions {
        let Action::Perform {
            effect: Effect::RunHook { stage: HookStage::PostMaintenance, host, .. }, ..
        } = action
        else {
            continue;
        };
        *action = match journal.host(host).map(|run| &run.phase) {
            Some(Phase::Leaving { exit }) => enter(host, (**exit).clone()),
            _ => enter(host, Phase::Committed),
        };
    }
}

/// A roll on its way back gives a host back that may be rebooting.
fn without_restart(journal: &Journal, actions: &mut [Action]) {
    let retreats = *journal.status() == Status::Aborting || journal.halted().is_some();
    for action in actions {
        if let Action::Perform { effect: Effect::Restart { host, .. }, .. } = action
            && retreats
        {
            let exit = Box::new(Phase::Skipped { reason: "the roll was aborted".to_owned() });
            *action = enter(host, Phase::Leaving { exit });
        }
    }
}
