//! Commands of the policy around a host.
//!
//! Owns: which hook is next at a stage, and what its end means. Promises: one after the other, in the order of the
//! policy; preflight hooks of all hosts have passed before anything is suspended or moved, and all that failed are
//! named at once; a host whose turn had begun with a hook ends it with its post-maintenance hooks, however it ends.
//! Does not: run commands.

use lifeboat_model::{Effect, EventKind, Hook, HookStage, Millis, Phase};

use crate::decide::{Action, View, Want, record_phase};
use crate::journal::{EffectState, HostRun, Status};

/// How the hooks of one stage stand for one host.
pub(crate) enum Hooks {
    /// All have passed, or there are none.
    Passed,
    /// Order this, or wait if it is empty.
    Wait(Vec<Action>),
    /// A hook said that nothing is to be done on this host, and which and why.
    NothingToDo(String),
    /// One failed for good.
    Failed(String),
}

/// Preflight hooks at the same time.
const PREFLIGHTS: usize = 8;

/// Looks at the hooks of a stage.
pub(crate) fn at(view: &View<'_>, run: &HostRun, stage: HookStage) -> Hooks {
    for hook in view.policy.hooks_for(stage, &run.host) {
        let effect = effect(hook, run);
        match view.want(&effect, NO_LIMIT) {
            Want::Act(action) => return Hooks::Wait(vec![action]),
            Want::Wait => return Hooks::Wait(Vec::new()),
            Want::GaveUp { reason } => return Hooks::Failed(reason),
            Want::Done => {
                if let Some(EffectState::NothingToDo { reason }) =
                    view.journal.effect(&effect).map(|run| &run.state)
                {
                    let said = if reason.is_empty() { String::new() } else { format!(": {reason}") };
                    return Hooks::NothingToDo(format!(
                        "{stage} hook {} has nothing to do here{said}",
                        hook.name
                    ));
                }
            }
        }
    }
    Hooks::Passed
}

fn effect(hook: &Hook, run: &HostRun) -> Effect {
    Effect::RunHook { hook: hook.name.clone(), stage: hook.stage, host: run.host.clone() }
}

/// Whoever runs a command ends it after its own limit, by real time, and says so; the pool's time may be another.
pub(crate) const NO_LIMIT: Millis = Millis(u64::MAX);

/// The preflight hooks of every host that waits. `None` when all have passed: then hosts may be looked at.
pub(crate) fn preflight(view: &View<'_>) -> Option<Vec<Action>> {
    let journal = view.journal;
    let asked = view.policy.hooks.iter().any(|hook| hook.stage == HookStage::Preflight);
    let nothing_begun = journal.in_flight.is_empty() && journal.suspensions.iter().all(|s| s.restored);
    if !asked || !nothing_begun || view.retreating() || journal.status != Status::Running {
        return None;
    }
    let (mut actions, mut open, mut failed) = (Vec::new(), 0_usize, Vec::new());
    for run in journal.pending.iter().filter_map(|&step| journal.hosts.get(step)).filter(|run| !run.skip) {
        if open >= PREFLIGHTS {
            break;
        }
        match at(view, run, HookStage::Preflight) {
            Hooks::Passed => {}
            Hooks::Wait(mut next) => {
                open += 1;
                actions.append(&mut next);
            }
            Hooks::NothingToDo(reason) => actions.push(record_phase(&run.host, Phase::Skipped { reason })),
            Hooks::Failed(reason) => failed.push(reason),
        }
    }
    if open == 0 && actions.is_empty() && !failed.is_empty() {
        let reason = format!("nothing was begun: {}", failed.join("; "));
        actions.push(Action::Record(EventKind::Halted { reason }));
    }
    (open > 0 || !actions.is_empty()).then_some(actions)
}
