//! What happens around the hosts: stopping, the end.

use lifeboat_model::{EventKind, OnFailure, Phase, RollEnd};

use crate::decide::{Action, View};
use crate::features;
use crate::guests::{self, Starts};
use crate::journal::Status;

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
    if view.journal.failures <= allowed || view.journal.held.is_some() {
        return;
    }
    let failed: Vec<String> = view
        .journal
        .hosts
        .iter()
        .filter(|run| run.phase.is_failure())
        .map(|run| format!("{} {}: {}", run.host, run.phase, run.phase.reason().unwrap_or("no reason given")))
        .collect();
    let reason = failed.join("; ");
    let pause = view.policy.on_failure == OnFailure::Pause && !view.retreating();
    actions.push(Action::Record(if pause {
        let reason =
            format!("{reason}; `roll resume` goes on without it, `roll resume --retry HOST` tries it again");
        EventKind::Held { reason, finish: true }
    } else {
        EventKind::Halted { reason }
    }));
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

/// Whether no host is in flight and none will be.
pub(crate) fn over(view: &View<'_>) -> bool {
    let journal = view.journal;
    if !journal.in_flight.is_empty() || (!journal.pending.is_empty() && !view.retreating()) {
        return false;
    }
    // What a person is to decide about may be that a host is tried again.
    let asked = journal.held.is_some() && !view.retreating();
    let paused = matches!(journal.status, Status::Paused | Status::Finishing) && !journal.pending.is_empty();
    !(asked || paused)
}

/// Restores the features in reverse order and ends the roll.
pub(crate) fn finish(view: &View<'_>, actions: &mut Vec<Action>) {
    if !started(view, actions) {
        return;
    }
    let mut stuck = Vec::new();
    if !features::restore(view, actions, &mut stuck) {
        return;
    }
    let stuck: Vec<String> = stuck.into_iter().map(|(_, reason)| reason).collect();
    let told = |guest: &str| view.journal.warned(LEFT_DOWN, guest).next().is_some();
    let runs = |guest: &lifeboat_model::GuestId| view.world.guest(guest).is_some_and(|guest| guest.running);
    let down = view.journal.stopped_guests().filter(|(_, guest, _)| !told(guest.as_str()) && !runs(guest));
    actions.extend(down.map(|(host, guest, _)| {
        let text = format!("this roll shut it down on {host} and could not start it again; start it by hand");
        let (code, subject) = (LEFT_DOWN.to_owned(), guest.to_string());
        Action::Record(EventKind::Warned { code, subject, text })
    }));
    actions.push(Action::Record(EventKind::RollEnded { end: end(view, &stuck) }));
}

/// Guests that a host's turn had shut down and that were not started with it, since the host did not serve then or was
/// tried again: true when nothing more can be done for them.
fn started(view: &View<'_>, actions: &mut Vec<Action>) -> bool {
    for run in view.journal.hosts.iter().filter(|run| !run.stopped.is_empty()) {
        if !view.world.host(&run.host).is_some_and(|host| host.reachable && !host.maintenance) {
            continue;
        }
        if let Starts::Wait(mut next) = guests::start(view, run) {
            actions.append(&mut next);
            return false;
        }
    }
    true
}

/// Code of the warning that names a guest which was not started again.
pub(crate) const LEFT_DOWN: &str = "guest-left-down";

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
