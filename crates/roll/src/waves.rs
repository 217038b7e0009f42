//! What stands between waves: maintenance windows, gates, a person's approval.
//!
//! Owns: whether the next wave may begin, and the gates that are to be asked. Promises: a host that has begun is not
//! stopped by any of them; what is waited for has a name. Does not: know clocks; a window that opens or closes is an
//! event.

use lifeboat_model::{After, Approve, Effect, EventKind, Gate, Millis, OnFailure};

use crate::admit;
use crate::decide::{Action, View, Want};
use crate::hooks;
use crate::journal::Status;

/// What keeps the hosts of a wave from beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Barrier<'p> {
    /// The windows are closed: for so long, and until so much later if they open again.
    Window(Millis, Option<Millis>),
    /// The window closes in so long, and the policy wants more.
    Margin(Millis),
    /// Hosts of this wave have not come to an end.
    Wave(u32),
    /// This gate after this wave has not opened.
    Gate(&'p Gate, u32),
    /// A person has not approved this wave.
    Approval(u32),
}

/// The lowest wave with a host that has not come to an end; none if all have.
fn lowest(view: &View<'_>) -> Option<u32> {
    let journal = view.journal;
    journal.plan.steps.get(journal.first_open()?).map(|step| step.wave)
}

/// The wave after which a barrier stands that a host of `wave` must pass.
fn behind(view: &View<'_>, wave: u32) -> Option<u32> {
    match view.policy.barriers()? {
        After::FirstWave => (wave > 1).then_some(1),
        After::EveryWave => (wave > 1).then(|| wave - 1),
    }
}

/// What keeps a host of this step's wave from beginning.
pub(crate) fn barrier<'v>(view: &View<'v>, step: usize) -> Option<Barrier<'v>> {
    if let Some(barrier) = window(view) {
        return Some(barrier);
    }
    let wave = view.journal.plan.steps.get(step)?.wave;
    let after = behind(view, wave)?;
    let lowest = lowest(view).unwrap_or(u32::MAX);
    if lowest <= after {
        return Some(Barrier::Wave(lowest));
    }
    if let Some(gate) = gates(view, after).find(|gate| !matches!(ask(view, gate, after), Want::Done)) {
        return Some(Barrier::Gate(gate, after));
    }
    approval(view, wave)
}

fn approval<'v>(view: &View<'v>, wave: u32) -> Option<Barrier<'v>> {
    let needed = match view.policy.approve {
        Approve::Plan => return None,
        Approve::FirstWave => 2,
        Approve::EveryWave => wave,
    };
    (wave > 1 && view.journal.approved < needed).then_some(Barrier::Approval(needed))
}

fn window<'v>(view: &View<'v>) -> Option<Barrier<'v>> {
    let window = view.journal.window.filter(|_| !view.policy.windows.is_empty())?;
    let left = window.until.map(|until| until.since(view.now));
    if !window.open {
        return Some(Barrier::Window(view.now.since(window.since), left));
    }
    left.filter(|left| *left < view.policy.window_margin).map(Barrier::Margin)
}

/// What is waited for that may take hours, if no host can begin because of it.
pub(crate) fn long_wait<'v>(view: &View<'v>) -> Option<Barrier<'v>> {
    if let Some(closed) = window(view) {
        return Some(closed);
    }
    let first = *view.journal.pending.first()?;
    match barrier(view, first)? {
        wait @ Barrier::Approval(_) => Some(wait),
        Barrier::Window(..) | Barrier::Margin(_) | Barrier::Wave(_) | Barrier::Gate(..) => None,
    }
}

/// The gates that stand after a wave.
fn gates<'v>(view: &View<'v>, wave: u32) -> impl Iterator<Item = &'v Gate> {
    view.policy.gates.iter().filter(move |gate| match gate.after {
        After::FirstWave => wave == 1,
        After::EveryWave => true,
    })
}

fn ask(view: &View<'_>, gate: &Gate, wave: u32) -> Want {
    let effect = Effect::RunGate { gate: gate.name.clone(), wave };
    view.want_within(&effect, hooks::NO_LIMIT, gate.attempts, gate.delay)
}

/// Asks the gates before the next wave, one after the other; a gate that stays closed stops the roll.
pub(crate) fn open_gates(view: &View<'_>, actions: &mut Vec<Action>) {
    let journal = view.journal;
    if view.policy.gates.is_empty() || admit::soaking(view).is_some() {
        return;
    }
    let Some(wave) = lowest(view) else { return };
    let Some(after) = behind(view, wave) else { return };
    // Nobody of the waves before is at work, and nobody of this one has begun: that is where the gate stands.
    let begun =
        journal.in_flight.iter().any(|&step| journal.plan.steps.get(step).is_some_and(|s| s.wave > after));
    if begun || wave <= after || window(view).is_some() {
        return;
    }
    for gate in gates(view, after) {
        match ask(view, gate, after) {
            Want::Act(action) => return actions.push(action),
            Want::Wait => return,
            Want::Done => {}
            Want::GaveUp { reason } => {
                let reason = format!("{reason}; the hosts of wave {wave} are not begun");
                return actions.push(Action::Record(match view.policy.on_failure {
                    OnFailure::Pause => EventKind::Held { reason, finish: true },
                    OnFailure::Stop | OnFailure::Continue(_) => EventKind::Halted { reason },
                }));
            }
        }
    }
}

/// The wave that a person would approve now: the next that waits for it.
pub(crate) fn to_approve(view: &View<'_>) -> Option<u32> {
    if view.journal.status != Status::Running || view.retreating() {
        return None;
    }
    let first = *view.journal.pending.first()?;
    match barrier(view, first)? {
        Barrier::Approval(wave) => Some(wave),
        Barrier::Window(..) | Barrier::Margin(_) | Barrier::Wave(_) | Barrier::Gate(..) => None,
    }
}

/// In words, for who waits.
pub(crate) fn tell(barrier: &Barrier<'_>) -> String {
    match barrier {
        Barrier::Window(gone, Some(left)) => {
            format!("the maintenance window, closed for {gone}; it opens in {left}")
        }
        Barrier::Window(gone, None) => {
            format!("the maintenance window, closed for {gone}; none opens any more: change the policy")
        }
        Barrier::Margin(left) => {
            format!("the next maintenance window: this one closes in {left}, too soon for a host")
        }
        Barrier::Wave(wave) => format!("the hosts of wave {wave} to come to their end"),
        Barrier::Gate(gate, wave) => format!("gate {} after wave {wave}", gate.name),
        Barrier::Approval(wave) => format!("a person to approve wave {wave}: lifeboat roll approve"),
    }
}
