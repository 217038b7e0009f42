//! The pool's automatisms: off while hosts are upgraded, and back to their values whenever no host is.
//!
//! Owns: suspending, restoring, and what happens when a person changes one meanwhile. Promises: the intent of a
//! suspension holds the value that is restored; the last one suspended is the first restored; a value that a person
//! set during the roll is not overwritten silently; while nothing is done for hours (a closed window, a wave that is
//! not approved) nothing stays off. Does not: decide which features there are.

use lifeboat_model::{Effect, EventKind, FeatureKind};

use crate::decide::{Action, NO_ANSWER, View, Want};
use crate::journal::{EffectRun, EffectState, Status, Suspension};
use crate::{placement, waves};

/// Code of the warning that a feature may be switched off by an order that comes late.
const LATE: &str = "feature-late";

/// Code of the warning that a feature stays off while the roll waits.
const LEFT_OFF: &str = "feature-left-off";

/// What is to be done before hosts may be looked at; nothing to do and [`ready`] lets them.
pub(crate) fn prepare(view: &View<'_>) -> Vec<Action> {
    if let Some(touched) = touched(view) {
        return touched;
    }
    if resting(view) {
        let mut actions = Vec::new();
        let mut stuck = Vec::new();
        restore(view, &mut actions, &mut stuck);
        for (feature, reason) in stuck {
            let (code, subject) = (LEFT_OFF.to_owned(), feature.to_string());
            if !view.journal.warned(&code, &subject).any(|text| text == reason) {
                actions.push(Action::Record(EventKind::Warned { code, subject, text: reason }));
            }
        }
        return actions;
    }
    if wanted(view) { suspend(view) } else { Vec::new() }
}

/// Whether hosts may be looked at: every feature that is to be off is off, or the roll is on its way back.
pub(crate) fn ready(view: &View<'_>) -> bool {
    if resting(view) || !wanted(view) {
        return true;
    }
    kinds(view).into_iter().all(|kind| {
        let open = view.journal.suspensions.iter().find(|s| s.feature == kind && !s.restored);
        match open {
            Some(s) => {
                restoring(view, kind).is_none() && matches!(view.want_step(&suspension(s)), Want::Done)
            }
            None => !view.world.feature(kind).is_some_and(lifeboat_model::FeatureView::is_on),
        }
    })
}

/// Whether hosts are, or are about to be, worked on.
fn wanted(view: &View<'_>) -> bool {
    let journal = view.journal;
    let idle = journal.in_flight.is_empty();
    let placing = journal.committed > 0 && placement::left(journal) > 0;
    let nothing_left = idle && journal.pending.is_empty() && !placing;
    let paused = journal.status == Status::Paused || (journal.status == Status::Finishing && idle);
    !(view.retreating() || paused || nothing_left)
}

/// The roll waits for hours with nothing in flight: what protects the pool is on meanwhile.
fn resting(view: &View<'_>) -> bool {
    let journal = view.journal;
    wanted(view)
        && journal.in_flight.is_empty()
        && !journal.pending.is_empty()
        && waves::long_wait(view).is_some()
}

/// Features of the plan, then those that an earlier roll had switched off or a person has switched on meanwhile.
fn kinds(view: &View<'_>) -> Vec<FeatureKind> {
    let mut kinds = view.journal.plan.suspends.clone();
    for suspension in &view.journal.suspensions {
        if !kinds.contains(&suspension.feature) {
            kinds.push(suspension.feature);
        }
    }
    kinds
}

fn suspension(of: &Suspension) -> Effect {
    Effect::SuspendFeature { feature: of.feature, original: of.original.clone() }
}

/// Suspends before the first host. The intent holds the value that is seen now.
fn suspend(view: &View<'_>) -> Vec<Action> {
    let mut actions = Vec::new();
    for kind in kinds(view) {
        // The value of an earlier intent counts, not what is seen now: that may be "off" because of it.
        let ordered = view.journal.suspensions.iter().find(|s| s.feature == kind && !s.restored);
        let seen = view.world.feature(kind).filter(|feature| feature.is_on());
        let Some(original) = ordered.map(|s| &s.original).or(seen.map(|feature| &feature.value)).cloned()
        else {
            continue;
        };
        if let Some(restore) = restoring(view, kind) {
            // It was being restored when a person ordered to go on: that comes to its end first.
            if let Want::Act(action) = view.want_step(&restore) {
                actions.push(action);
            }
            continue;
        }
        let effect = Effect::SuspendFeature { feature: kind, original };
        match view.want_step(&effect) {
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

/// The order to restore a feature, while it has no outcome.
fn restoring(view: &View<'_>, kind: FeatureKind) -> Option<Effect> {
    let open = |run: &&EffectRun| {
        matches!(run.state, EffectState::Open { .. })
            && matches!(run.effect, Effect::RestoreFeature { feature, .. } if feature == kind)
    };
    view.journal.pool_effects.values().find(open).map(|run| run.effect.clone())
}

/// A feature that is off by this roll's order and is seen on: somebody else has switched it on.
fn touched(view: &View<'_>) -> Option<Vec<Action>> {
    let journal = view.journal;
    if let Some(touched) = switched_on(view) {
        return Some(touched);
    }
    for s in journal.suspensions.iter().filter(|s| !s.restored) {
        let Some(seen) = view.world.feature(s.feature).filter(|feature| feature.is_on()) else { continue };
        let suspended = journal.effect(&suspension(s)).map(|run| &run.state);
        let restore = journal
            .pool_effects
            .values()
            .find(|run| matches!(run.effect, Effect::RestoreFeature { feature, .. } if feature == s.feature));
        if let Some(restore) = restore {
            // The roll was taken up again before its end was heard, or after it was told to have failed: what is seen
            // counts.
            let ended =
                matches!(restore.state, EffectState::Failed { .. } | EffectState::Open { interrupted: true });
            if wanted(view) && !resting(view) && ended {
                return Some(on_again(s, &seen.value));
            }
            continue;
        }
        let event = EventKind::FeatureTouched { feature: s.feature, value: seen.value.clone() };
        match suspended {
            // Taken over from an earlier roll, and not suspended by this one yet: the newer value is restored.
            // So is one that was not carried out yet: its order would hold a value that is out of date.
            None | Some(EffectState::Open { interrupted: true } | EffectState::Failed { .. })
                if seen.value != s.original =>
            {
                return Some(vec![Action::Record(event)]);
            }
            Some(EffectState::Done) if view.retreating() => {}
            // A person has the roll in hand already.
            Some(EffectState::Done) if !wanted(view) => return Some(vec![Action::Record(event)]),
            Some(EffectState::Done) => {
                let reason = format!(
                    "somebody set {} to {} while this roll has it suspended; `roll resume` suspends it again, and {} \
                     is restored at the end",
                    s.feature, seen.value, seen.value
                );
                let held = EventKind::Held { reason, finish: false };
                return Some(vec![Action::Record(event), Action::Record(held)]);
            }
            None
            | Some(EffectState::Open { .. } | EffectState::Failed { .. } | EffectState::NothingToDo { .. }) =>
                {}
        }
    }
    None
}

/// A feature whose restoration this roll has ordered is on: with its own value it is suspended anew, with another one
/// a person decides.
fn on_again(s: &Suspension, value: &str) -> Vec<Action> {
    let touched = EventKind::FeatureTouched { feature: s.feature, value: value.to_owned() };
    let mut actions = vec![Action::Record(touched)];
    if value != s.original {
        let reason = format!(
            "somebody set {} to {value} while this roll was restoring it; `roll resume` suspends it again, and {value} \
             is restored at the end",
            s.feature
        );
        actions.push(Action::Record(EventKind::Held { reason, finish: false }));
    }
    actions
}

/// A feature that was off when the plan was made, and that somebody has switched on.
fn switched_on(view: &View<'_>) -> Option<Vec<Action>> {
    if !wanted(view) || resting(view) {
        return None;
    }
    let kinds = kinds(view);
    let seen = view.world.features().find(|seen| seen.is_on() && !kinds.contains(&seen.kind))?;
    let (feature, value) = (seen.kind, seen.value.clone());
    let reason = format!(
        "somebody switched {feature} on ({value}), which the plan did not reckon with; `roll resume` suspends it until \
         the end"
    );
    let held = EventKind::Held { reason, finish: false };
    Some(vec![Action::Record(EventKind::FeatureTouched { feature, value }), Action::Record(held)])
}

/// The warning about an order to suspend that had no answer in time: it may be carried out after all, when the feature
/// has been restored.
fn late(view: &View<'_>, s: &Suspension, state: &EffectState) -> Option<Action> {
    let EffectState::Failed { reason, .. } = state else { return None };
    let (code, subject) = (LATE.to_owned(), s.feature.to_string());
    let told = view.journal.warned(&code, &subject).next().is_some();
    (reason.starts_with(NO_ANSWER) && !told).then(|| {
        let text = format!(
            "the order to switch {} off had {reason} and may still be carried out; see that it stays at {}",
            s.feature, s.original
        );
        Action::Record(EventKind::Warned { code, subject, text })
    })
}

/// Restores in reverse order, one after the other. True when nothing is left to be done; `stuck` says what could
/// not be.
pub(crate) fn restore(
    view: &View<'_>,
    actions: &mut Vec<Action>,
    stuck: &mut Vec<(FeatureKind, String)>,
) -> bool {
    for s in view.journal.suspensions.iter().rev().filter(|s| !s.restored) {
        let suspend = suspension(s);
        let ordered = view.journal.effect(&suspend).map(|run| &run.state);
        // A suspension that is under way would end after the restoration, and leave the feature off.
        if matches!(ordered, Some(EffectState::Open { .. })) {
            if let Want::Act(action) = view.want_step(&suspend) {
                actions.push(action);
            }
            return false;
        }
        if let Some(warning) = ordered.and_then(|state| late(view, s, state)) {
            actions.push(warning);
            return false;
        }
        let effect = Effect::RestoreFeature { feature: s.feature, original: s.original.clone() };
        let begun = view
            .journal
            .effect(&effect)
            .is_some_and(|run| run.state == EffectState::Open { interrupted: false });
        let seen =
            view.world.feature(s.feature).filter(|feature| feature.is_on() && feature.value != s.original);
        if let (Some(seen), false, Some(EffectState::Done)) = (seen, begun, ordered) {
            let (feature, value, original) = (s.feature, seen.value.clone(), s.original.clone());
            actions.push(Action::Record(EventKind::FeatureKept { feature, value, original }));
            return false;
        }
        match view.want_step(&effect) {
            // One after the other: the order is a promise.
            Want::Act(action) => {
                actions.push(action);
                return false;
            }
            Want::Wait => return false,
            Want::Done => {}
            Want::GaveUp { reason } => stuck.push((s.feature, reason)),
        }
    }
    true
}
