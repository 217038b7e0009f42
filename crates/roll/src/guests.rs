//! Guests that are down while their host is upgraded.
//!
//! Owns: shutting them down just before, starting them just after. Promises: what this roll shut down it starts again,
//! whatever end its host comes to, or names it; a shutdown that is under way has ended before the start is ordered, and a
//! start before the next shutdown.
//! Does not: choose them; the plan does.

use lifeboat_model::{Effect, GuestId, GuestStop};

use crate::decide::{Action, View, Want};
use crate::journal::{EffectState, HostRun};

/// How the guests of a host stand that are to be started.
pub(crate) enum Starts {
    /// All run, or there are none.
    Done,
    /// Order this, or wait if it is empty.
    Wait(Vec<Action>),
    /// These could not be started, and why.
    Failed(String),
}

/// What to do about a running guest that the plan stops. An error is why the host cannot go on.
pub(crate) fn stop(view: &View<'_>, run: &HostRun, stop: &GuestStop) -> Result<Want, String> {
    if stop.by_owner {
        let limit = view.policy.timeouts.owner;
        let since = entered(view, run);
        if view.now.since(since) > limit {
            return Err(format!(
                "guest {} was left to its owner, who did not shut it down or move it within {limit}",
                stop.guest
            ));
        }
        return Ok(Want::Wait);
    }
    // A start that an earlier turn left is heard first: its end would be taken for the end of what follows.
    let start = Effect::StartGuest { guest: stop.guest.clone(), host: run.host.clone() };
    if view.journal.effect(&start).is_some_and(|run| matches!(run.state, EffectState::Open { .. })) {
        return Ok(match view.want(&start, view.policy.timeouts.guest) {
            Want::Act(action) => Want::Act(action),
            Want::Wait | Want::Done | Want::GaveUp { .. } => Want::Wait,
        });
    }
    let effect = Effect::StopGuest { guest: stop.guest.clone(), host: run.host.clone() };
    Ok(match view.want(&effect, view.policy.timeouts.guest) {
        // It was shut down, and somebody started it again.
        Want::Done => match view.journal.effect(&effect) {
            Some(done) => crate::host::again(view, done, effect, "it was started again by somebody"),
            None => Want::Wait,
        },
        want @ (Want::Act(_) | Want::Wait | Want::GaveUp { .. }) => want,
    })
}

/// Since when the host is in maintenance by this roll's order.
pub(crate) fn entered(view: &View<'_>, run: &HostRun) -> lifeboat_model::Timestamp {
    let enter = Effect::EnterMaintenance { host: run.host.clone() };
    view.journal.effect(&enter).map_or(run.since, |done| done.since)
}

/// Shutdowns that a dead controller ordered, or that have not ended: to be heard before guests are started.
/// `None` if there are none.
pub(crate) fn stopping(view: &View<'_>, run: &HostRun) -> Option<Vec<Action>> {
    let mut open = false;
    let mut actions = Vec::new();
    for stop in run.effects.values().filter(|done| matches!(done.effect, Effect::StopGuest { .. })) {
        if let EffectState::Open { .. } = stop.state {
            open = true;
            if let Want::Act(action) = view.want(&stop.effect, view.policy.timeouts.guest) {
                actions.push(action);
            }
        }
    }
    open.then_some(actions)
}

/// Starts what this roll shut down on a host that serves again.
pub(crate) fn start(view: &View<'_>, run: &HostRun) -> Starts {
    if let Some(actions) = stopping(view, run) {
        return Starts::Wait(actions);
    }
    let (mut actions, mut waits, mut failed) = (Vec::new(), false, Vec::new());
    let lanes = usize::try_from(view.policy.migrations_per_host).unwrap_or(usize::MAX);
    for guest in run.stopped.keys() {
        let effect = Effect::StartGuest { guest: guest.clone(), host: run.host.clone() };
        if run.open().count() + actions.len() >= lanes {
            waits = true;
            break;
        }
        match view.want(&effect, view.policy.timeouts.guest) {
            Want::Act(action) => actions.push(action),
            Want::Wait => waits = true,
            // Its outcome takes it off the list: this is the moment before.
            Want::Done => {}
            Want::GaveUp { reason } => failed.push(reason),
        }
    }
    if waits || !actions.is_empty() {
        Starts::Wait(actions)
    } else if failed.is_empty() {
        Starts::Done
    } else {
        Starts::Failed(failed.join("; "))
    }
}

/// Names guests that stay down, for the reason of a host that cannot be mended by this roll.
pub(crate) fn left_down(run: &HostRun) -> Option<String> {
    if run.stopped.is_empty() {
        return None;
    }
    let names: Vec<&str> = run.stopped.keys().map(GuestId::as_str).collect();
    Some(format!("shut down for the upgrade and not started again: {}", names.join(", ")))
}
