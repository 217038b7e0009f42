//! Moves after the last host, for the policy's placement.
//!
//! Owns: which move is next. Promises: they are tried in the order of the plan; one that fails is a warning and does
//! not make the upgrade a failure (I-33); no guest goes back to a host with the old release; features stay suspended
//! until the last move has ended. Does not: plan them.

use std::collections::BTreeMap;

use lifeboat_model::{Effect, EventKind, HostId, Mib, Move};

use crate::decide::{Action, View, Want};
use crate::journal::{EffectState, Journal, Status};

/// Moves that are looked at beyond the first that has not ended.
const AHEAD: usize = 256;

/// Orders the next moves. True when nothing is left to be done.
pub(crate) fn next(view: &View<'_>, actions: &mut Vec<Action>) -> bool {
    let journal = view.journal;
    let moves = &journal.plan.placement;
    if moves.is_empty() || journal.committed == 0 || view.retreating() {
        // What is under way comes to its end before features are restored.
        return hear_out(view, actions);
    }
    if view.held().is_some() || journal.status != Status::Running {
        // A pause keeps nothing back when nothing is left.
        return hear_out(view, actions) && left(journal) == 0;
    }
    let lanes = usize::try_from(view.policy.migrations_per_host).unwrap_or(usize::MAX);
    let mut at_work: BTreeMap<&HostId, usize> = BTreeMap::new();
    let mut coming: BTreeMap<&HostId, Mib> = BTreeMap::new();
    for run in journal.placing.iter().filter_map(|key| journal.placements.get(key)) {
        let Some((guest, from, to)) = run.effect.migration() else { continue };
        *coming.entry(to).or_default() +=
            view.world.guest(guest).map(|guest| guest.memory).unwrap_or_default();
        // One that a dead controller ordered is ordered again: it must not stand in its own way.
        if run.state == (EffectState::Open { interrupted: false }) {
            *at_work.entry(from).or_default() += 1;
            *at_work.entry(to).or_default() += 1;
        }
    }
    let mut over = true;
    for planned in moves.iter().skip(journal.placed).take(AHEAD) {
        match look(view, planned, &coming) {
            Step::Over => {}
            Step::Wait => over = false,
            Step::Warn(action) => {
                actions.push(action);
                over = false;
            }
            Step::Order(action) => {
                over = false;
                let busy = |host: &HostId| at_work.get(host).is_some_and(|&work| work >= lanes);
                if !busy(&planned.from) && !busy(&planned.to) {
                    *at_work.entry(&planned.from).or_default() += 1;
                    *at_work.entry(&planned.to).or_default() += 1;
                    *coming.entry(&planned.to).or_default() += planned.memory;
                    actions.push(action);
                }
            }
        }
    }
    over && journal.placed + AHEAD >= moves.len()
}

enum Step {
    /// It has ended, well or not.
    Over,
    /// It is under way, its next try is not due, or its room is not free yet.
    Wait,
    /// Say that it will not be done.
    Warn(Action),
    /// Order it.
    Order(Action),
}

fn look(view: &View<'_>, planned: &Move, coming: &BTreeMap<&HostId, Mib>) -> Step {
    let journal = view.journal;
    if journal.unplaced.contains(&planned.guest) {
        return Step::Over;
    }
    let warn = |code: &str, text: String| {
        let (code, subject) = (code.to_owned(), planned.guest.to_string());
        Step::Warn(Action::Record(EventKind::Warned { code, subject, text }))
    };
    let key =
        Effect::Place { guest: planned.guest.clone(), from: planned.from.clone(), to: planned.to.clone() }
            .key();
    let ordered = journal.placements.get(&key);
    let effect = match ordered {
        Some(run) => run.effect.clone(),
        None => match fresh(view, planned, coming) {
            Ok(effect) => effect,
            Err(Unfit::Now) => return Step::Wait,
            Err(Unfit::ForGood(text)) => return warn("placement-skipped", text),
        },
    };
    match view.want(&effect, view.policy.timeouts.migrate) {
        Want::Act(action) => Step::Order(action),
        Want::Wait => Step::Wait,
        Want::Done => Step::Over,
        Want::GaveUp { reason } => warn("placement-failed", reason),
    }
}

/// Why a move cannot be ordered.
enum Unfit {
    /// There is no room yet.
    Now,
    /// It will not be done.
    ForGood(String),
}

/// A move that was not ordered before, from where the guest is now.
fn fresh(view: &View<'_>, planned: &Move, coming: &BTreeMap<&HostId, Mib>) -> Result<Effect, Unfit> {
    let journal = view.journal;
    let for_good = |text: String| Err(Unfit::ForGood(text));
    let Some(guest) = view.world.guest(&planned.guest).filter(|guest| guest.running) else {
        return for_good("it does not run any more".to_owned());
    };
    let Some(target) = view.world.host(&planned.to).filter(|to| to.reachable && !to.maintenance) else {
        return for_good(format!("{} does not take guests", planned.to));
    };
    let release = Some(journal.plan.target.digest);
    let upgraded = view.world.host(&guest.host).is_some_and(|host| host.running == release);
    if upgraded && target.running != release {
        return for_good(format!("{} runs an older release", planned.to));
    }
    let used = view.world.load_of(&planned.to) + coming.get(&planned.to).copied().unwrap_or_default();
    if guest.host != planned.to && used + guest.memory > target.memory {
        if !journal.placing.is_empty() || !coming.is_empty() {
            return Err(Unfit::Now);
        }
        return for_good(format!("{} has no room for it any more", planned.to));
    }
    let (from, to) = (guest.host.clone(), planned.to.clone());
    Ok(Effect::Place { guest: planned.guest.clone(), from, to })
}

/// Waits for moves that are under way; true when there are none.
fn hear_out(view: &View<'_>, actions: &mut Vec<Action>) -> bool {
    let mut none = true;
    for run in view.journal.placing.iter().filter_map(|key| view.journal.placements.get(key)) {
        none = false;
        if let Want::Act(action) = view.want(&run.effect, view.policy.timeouts.migrate) {
            actions.push(action);
        }
    }
    none
}

/// Moves that have not ended, for who waits.
pub(crate) fn left(journal: &Journal) -> usize {
    journal.plan.placement.len().saturating_sub(journal.placed)
}
