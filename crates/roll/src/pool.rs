//! What happens around the hosts: features first and last, stopping, the end.

use lifeboat_model::{Effect, EventKind, OnFailure, Phase, RollEnd};

use crate::decide::{Action, View, Want};
use crate::journal::{EffectRun, EffectState, Status};

/// Suspends what the plan names, before the first host. The intent holds the value that is seen now.
pub(crate) fn suspend(view: &View<'_>) -> Vec<Action> {
    if view.retreating() || view.journal.status == Status::Paused || nothing_left(view) {
        return Vec::new();
    }
    let mut actions = Vec::new();
    for &kind in &view.journal.plan.suspends {
        // The value of an earlier intent counts, not what is seen now: that may be "off" because of it.
        let ordered = view.journal.suspensions.iter().find(|s| s.feature == kind && !s.restored);
        let seen = view.world.feature(kind).filter(|feature| feature.is_on());
        let Some(original) = ordered.map(|s| &s.original).or(seen.map(|feature| &feature.value)).cloned()
        else {
            continue;
        };
        let effect = Effect::SuspendFeature { feature: kind, original };
        if let Some(restore) = restoring(view, kind) {
            // It was being restored when a person ordered to go on: that comes to its end first.
            if let Want::Act(action) = view.want(&restore, view.policy.timeouts.step) {
                actions.push(action);
            }
            continue;
        }
        match view.want(&effect, view.policy.timeouts.step) {
            Want::Act(action) => actions.push(action),
            Want::GaveUp { reason } => {
                if view.journal.halted.is_none() {
                    actions.push(Action::Record(EventKind::Halted { reason }));
                }
            }
            Want::Wait | Want::Done => {}
        }
    }
    actions
}

/// Whether hosts may be looked at: every feature that is to be off is off, or the roll is on its way back.
pub(crate) fn suspended(view: &View<'_>) -> bool {
    if view.retreating() || view.journal.status == Status::Paused || nothing_left(view) {
        return true;
    }
    view.journal.suspensions.iter().filter(|s| !s.restored).all(|s| {
        let effect = Effect::SuspendFeature { feature: s.feature, original: s.original.clone() };
        restoring(view, s.feature).is_none()
            && matches!(view.want(&effect, view.policy.timeouts.step), Want::Done)
    })
}

/// The order to restore a feature, while it has no outcome.
fn restoring(view: &View<'_>, kind: lifeboat_model::FeatureKind) -> Option<Effect> {
    let open = |run: &&EffectRun| {
        matches!(run.state, EffectState::Open { .. })
            && matches!(run.effect, Effect::RestoreFeature { feature, .. } if feature == kind)
    };
    view.journal.pool_effects.values().find(open).map(|run| run.effect.clone())
}

fn nothing_left(view: &View<'_>) -> bool {
    view.journal.pending.is_empty() && view.journal.in_flight.is_empty()
}

/// Stops the roll when more hosts failed than the policy allows.
pub(crate) fn halt(view: &View<'_>, actions: &mut Vec<Action>) {
    let allowed = match view.policy.on_failure {
        OnFailure::Stop | OnFailure::Pause => 0,
        OnFailure::Continue(hosts) => hosts,
    };
    if let Some(action) = coordinator(view) {
        return actions.push(action);
    }
    if view.journal.halted.is_some() {
        return;
    }
    if view.journal.failures <= allowed {
        return;
    }
    let failed: Vec<String> = view
        .journal
        .hosts
        .iter()
        .filter(|run| run.phase.is_failure())
        .map(|run| format!("{} {}: {}", run.host, run.phase, run.phase.reason().unwrap_or("no reason given")))
        .collect();
    actions.push(Action::Record(EventKind::Halted { reason: failed.join("; ") }));
}

/// Notes when the coordinator is lost and when it is back, and stops the roll when it is lost for too long.
fn coordinator(view: &View<'_>) -> Option<Action> {
    let host = view.world.coordinator()?.clone();
    let limit = view.policy.timeouts.reboot;
    match (view.coordinator_lost(), view.journal.coordinator_lost_since) {
        (Some(_), None) => Some(Action::Record(EventKind::CoordinatorLost { host })),
        (None, Some(_)) => Some(Action::Record(EventKind::CoordinatorBack { host })),
        (Some(lost), Some(since)) if view.now.since(since) > limit && view.journal.halted.is_none() => {
            let reason =
                format!("{lost}, and it did not for more than {limit}; bring it back before anything else");
            Some(Action::Record(EventKind::Halted { reason }))
        }
        (Some(_) | None, Some(_) | None) => None,
    }
}

/// Restores the features in reverse order and ends the roll, when no host is in flight and none will be.
pub(crate) fn finish(view: &View<'_>, actions: &mut Vec<Action>) {
    let journal = view.journal;
    if !journal.in_flight.is_empty() || (!journal.pending.is_empty() && !view.retreating()) {
        return;
    }
    if journal.status == Status::Paused && !journal.pending.is_empty() {
        return;
    }
    let mut stuck = Vec::new();
    for suspension in journal.suspensions.iter().rev().filter(|s| !s.restored) {
        // A suspension that is under way would end after the restoration, and leave the feature off.
        let suspend =
            Effect::SuspendFeature { feature: suspension.feature, original: suspension.original.clone() };
        if view.journal.effect(&suspend).is_some_and(|run| matches!(run.state, EffectState::Open { .. })) {
            if let Want::Act(action) = view.want(&suspend, view.policy.timeouts.step) {
                actions.push(action);
            }
            return;
        }
        let effect =
            Effect::RestoreFeature { feature: suspension.feature, original: suspension.original.clone() };
        match view.want(&effect, view.policy.timeouts.step) {
            // One after the other: the order is a promise.
            Want::Act(action) => return actions.push(action),
            Want::Wait => return,
            Want::Done => {}
            Want::GaveUp { reason } => stuck.push(reason),
        }
    }
    actions.push(Action::Record(EventKind::RollEnded { end: end(view, &stuck) }));
}

fn end(view: &View<'_>, stuck: &[String]) -> RollEnd {
    let journal = view.journal;
    if !stuck.is_empty() {
        let reason = format!("a feature is still off and must be restored by hand: {}", stuck.join("; "));
        return RollEnd::Stopped { reason };
    }
    if journal.status == Status::Aborting {
        return RollEnd::Aborted;
    }
    if let Some(reason) = &journal.halted {
        return RollEnd::Stopped { reason: reason.clone() };
    }
    let target = journal.plan.target.digest;
    let behind = journal.hosts.iter().filter(|run| {
        let runs = view.world.host(&run.host).is_some_and(|host| host.running == Some(target));
        !matches!(run.phase, Phase::Committed) && !runs
    });
    match u32::try_from(behind.count()).unwrap_or(u32::MAX) {
        0 => RollEnd::Completed,
        hosts => RollEnd::CompletedWithExceptions { hosts },
    }
}
