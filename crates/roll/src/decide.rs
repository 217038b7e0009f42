//! The decision: what is to be recorded or ordered next.

use std::collections::BTreeSet;

use lifeboat_model::{Effect, EffectKey, EventKind, Millis, Outcome, Phase, Policy, Timestamp, World};

use crate::journal::{EffectRun, EffectState, Journal, Status};
use crate::{admit, features, hooks, host, placement, pool};

/// What the executor is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Append this to the journal.
    Record(EventKind),
    /// Append the intent to the journal, then order the effect.
    Perform {
        /// Which try this is, from 1.
        attempt: u32,
        /// What is ordered.
        effect: Effect,
    },
}

/// Which hosts are looked at.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// All that are in flight: needed at least now and then, since time limits pass without an event.
    All,
    /// Only these steps of the plan: the ones that changed ([`Journal::take_touched`]).
    Steps(&'a BTreeSet<usize>),
}

/// Looks at the world and the journal and says what is next. Call it again with what it said applied, until it
/// says nothing: then wait for an event, or until time has passed.
///
/// The policy is that of the plan; it is an argument of its own because a person may change it during a roll.
#[must_use]
pub fn decide(
    world: &World,
    journal: &Journal,
    policy: &Policy,
    scope: Scope<'_>,
    now: Timestamp,
) -> Vec<Action> {
    if matches!(journal.status, Status::Ended(_)) || journal.started.is_none() {
        return Vec::new();
    }
    let view = View::new(world, journal, policy, now, matches!(scope, Scope::All));
    if let Some(actions) = hooks::preflight(&view) {
        return actions;
    }
    let mut actions = features::prepare(&view);
    if !actions.is_empty() || !features::ready(&view) {
        return actions;
    }
    match scope {
        Scope::All => {
            for &step in &journal.in_flight {
                actions.append(&mut host::next(&view, step));
            }
        }
        Scope::Steps(steps) => {
            for &step in steps.intersection(&journal.in_flight) {
                actions.append(&mut host::next(&view, step));
            }
        }
    }
    if actions.is_empty() {
        pool::halt(&view, &mut actions);
    }
    if actions.is_empty() {
        admit::next(&view, &mut actions);
    }
    if actions.is_empty() && pool::over(&view) && placement::next(&view, &mut actions) {
        pool::finish(&view, &mut actions);
    }
    actions
}

/// Everything a decision may look at.
pub(crate) struct View<'a> {
    pub(crate) world: &'a World,
    pub(crate) journal: &'a Journal,
    pub(crate) policy: &'a Policy,
    pub(crate) now: Timestamp,
    /// Whether every host is looked at; otherwise what cannot have changed since is taken as it was.
    pub(crate) full: bool,
    /// Why nothing is begun while the coordinator does not answer.
    lost: Option<String>,
}

/// How an effect that is wanted stands.
pub(crate) enum Want {
    /// Order it, or record its end: see the action.
    Act(Action),
    /// It is under way, or its next try is not due.
    Wait,
    /// It is done.
    Done,
    /// It failed for good.
    GaveUp {
        /// Why.
        reason: String,
    },
}

impl<'a> View<'a> {
    pub(crate) fn new(
        world: &'a World,
        journal: &'a Journal,
        policy: &'a Policy,
        now: Timestamp,
        full: bool,
    ) -> Self {
        Self { world, journal, policy, now, full, lost: lost(world, journal) }
    }
}

/// The coordinator does not answer, and not because this roll is rebooting it.
fn lost(world: &World, journal: &Journal) -> Option<String> {
    let coordinator = world.coordinator()?;
    if world.host(coordinator).is_none_or(|host| host.reachable) {
        return None;
    }
    let ours = journal.host(coordinator).is_some_and(|run| run.past_no_return() && run.phase.in_flight());
    (!ours).then(|| format!("coordinator {coordinator} does not answer; nothing is begun without it"))
}

impl View<'_> {
    /// Whether the roll keeps its hands off everything that can still be left undone, and why.
    pub(crate) fn held(&self) -> Option<String> {
        match self.journal.status {
            Status::Paused => {
                let reason = self.journal.held.as_deref();
                return Some(match reason {
                    Some(reason) => format!("a person: {reason}"),
                    None => "the roll is paused".to_owned(),
                });
            }
            Status::Running | Status::Finishing | Status::Aborting | Status::Ended(_) => {}
        }
        self.coordinator_lost()
    }

    /// The coordinator does not answer, and not because this roll is rebooting it.
    pub(crate) fn coordinator_lost(&self) -> Option<String> {
        self.lost.clone()
    }

    /// The roll begins no further host and takes back those that can be taken back.
    pub(crate) fn retreating(&self) -> bool {
        self.journal.halted.is_some() || self.journal.status == Status::Aborting
    }

    /// What to do about a quick effect that is wanted.
    pub(crate) fn want_step(&self, effect: &Effect) -> Want {
        self.want(effect, self.policy.timeouts.step)
    }

    /// What to do about an effect that is wanted. `limit` is the time one try may take.
    pub(crate) fn want(&self, effect: &Effect, limit: Millis) -> Want {
        self.want_within(effect, limit, self.policy.attempts, self.policy.retry_delay)
    }

    /// As [`View::want`], with so many tries in all and this pause between them.
    pub(crate) fn want_within(&self, effect: &Effect, limit: Millis, attempts: u32, delay: Millis) -> Want {
        let Some(run) = self.journal.effect(effect) else {
            return Want::Act(Action::Perform { attempt: 1, effect: effect.clone() });
        };
        match &run.state {
            EffectState::Done | EffectState::NothingToDo { .. } => Want::Done,
            // The intent's own words are ordered again: they hold the original values.
            EffectState::Open { interrupted: true } => {
                Want::Act(Action::Perform { attempt: run.attempt, effect: run.effect.clone() })
            }
            EffectState::Open { interrupted: false } => self.wait(run, limit),
            EffectState::Failed { reason, retriable } => {
                if !retriable || run.attempt >= attempts {
                    let tries = if run.attempt > 1 {
                        format!(" (tried {} times)", run.attempt)
                    } else {
                        String::new()
                    };
                    Want::GaveUp { reason: format!("{}: {reason}{tries}", run.effect) }
                } else if self.now.since(run.since) >= delay {
                    Want::Act(Action::Perform { attempt: run.attempt + 1, effect: effect.clone() })
                } else {
                    Want::Wait
                }
            }
        }
    }

    fn wait(&self, run: &EffectRun, limit: Millis) -> Want {
        if self.now.since(run.since) <= limit {
            return Want::Wait;
        }
        let reason = format!("{NO_ANSWER} {limit}");
        Want::Act(record_outcome(run.effect.key(), Outcome::Failed { reason, retriable: false }))
    }
}

/// How the reason begins of an order whose time was over.
pub(crate) const NO_ANSWER: &str = "no answer within";

pub(crate) fn record_outcome(key: EffectKey, outcome: Outcome) -> Action {
    Action::Record(EventKind::Outcome { key, outcome })
}

pub(crate) fn record_phase(host: &lifeboat_model::HostId, phase: Phase) -> Action {
    Action::Record(EventKind::HostPhase { host: host.clone(), phase })
}
