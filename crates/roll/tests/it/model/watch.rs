//! What may not be begun, and is; and what is lost with a controller.

use std::sync::Arc;

use lifeboat_model::{Approve, Effect, EffectKey, EventKind, HookStage, HostId, Outcome, Phase};
use lifeboat_roll::{EffectState, HostRun, Journal};

use super::state::State;

/// Whether a living controller waits for this end.
pub(crate) fn listens(state: &State, key: &EffectKey) -> bool {
    state.leader.is_some() && state.fold.journal.is_open(key)
}

/// The end of an order is told to the controller that gave it, and to no other.
pub(crate) fn lose_ears(state: &mut State) {
    state.news.clear();
    for order in state.under_way.values_mut() {
        order.mine = false;
    }
    // Commands end with the controller that runs them.
    state.under_way.retain(|_, order| !order.effect.is_command());
    state.crashed = true;
}

/// What may not be begun, and is.
pub(crate) fn watch(state: &mut State, kinds: &[EventKind]) {
    let journal = Arc::clone(&state.fold.journal);
    for kind in kinds {
        match kind {
            EventKind::Intent { effect, .. } => preflight(state, &journal, effect),
            EventKind::Outcome { key, outcome } => heard(state, key, outcome),
            EventKind::HostPhase { host, phase } => tidy(state, &journal, host, phase),
            _ => {}
        }
        let EventKind::HostPhase { host, phase: Phase::Admitted } = kind else { continue };
        let windows = !journal.policy().windows.is_empty();
        state.broken.outside_window |= windows && journal.window().is_some_and(|window| !window.open);
        state.broken.unapproved |= !approved(state, &journal, host);
        let last = &journal.policy().last;
        let waits = |run: &HostRun| run.phase == Phase::Pending && !last.contains(&run.host);
        state.broken.last_too_early |= last.contains(host) && journal.hosts().iter().any(waits);
    }
}

fn approved(state: &State, journal: &Journal, host: &HostId) -> bool {
    let wave = journal.plan().steps.iter().find(|step| step.host == *host).map_or(1, |step| step.wave);
    let needed = match journal.policy().approve {
        Approve::Plan => 1,
        Approve::FirstWave => wave.min(2),
        Approve::EveryWave => wave,
    };
    let gates = wave <= 1 || journal.policy().gates.is_empty() || state.gate_opened;
    (needed <= 1 || journal.approved() >= needed) && gates
}

/// Nothing is begun before all preflight hooks have passed. A host that a person takes up again may be asked in its
/// own turn.
fn preflight(state: &mut State, journal: &Journal, effect: &Effect) {
    let asked = journal.policy().hooks.iter().any(|hook| hook.stage == HookStage::Preflight);
    let begins = match effect {
        Effect::SuspendFeature { .. }
        | Effect::CheckHost { .. }
        | Effect::SaveState { .. }
        | Effect::EnterMaintenance { .. }
        | Effect::Migrate { .. }
        | Effect::StopGuest { .. }
        | Effect::Stage { .. }
        | Effect::Install { .. }
        | Effect::Restart { .. }
        | Effect::RebootInto { .. } => true,
        Effect::RunHook { stage, .. } => {
            matches!(stage, HookStage::PreMaintenance | HookStage::Maintenance)
        }
        Effect::RestoreFeature { .. }
        | Effect::LeaveMaintenance { .. }
        | Effect::StartGuest { .. }
        | Effect::Place { .. }
        | Effect::RunGate { .. }
        | Effect::Mend { .. }
        | Effect::Unmend { .. } => false,
    };
    let waits = |run: &HostRun| {
        run.phase == Phase::Pending && !run.skip && !run.retry && !state.passed.contains(&run.host)
    };
    state.broken.before_preflight |= asked && begins && journal.hosts().iter().any(waits);
}

fn heard(state: &mut State, key: &EffectKey, outcome: &Outcome) {
    let Some((host, hook)) = key.0.split_once('/') else { return };
    if !hook.starts_with("hook/preflight/") {
        return;
    }
    let Ok(host) = HostId::new(host) else { return };
    match outcome {
        Outcome::Done { .. } | Outcome::NothingToDo { .. } => state.passed.insert(host),
        Outcome::Failed { .. } => state.passed.remove(&host),
    };
}

/// A host whose turn is over: what a hook had prepared on it was ended by the last stage. A person may be asked to see
/// to it; where the last stage did not run at all, the next turn has to do it.
fn tidy(state: &mut State, journal: &Journal, host: &HostId, phase: &Phase) {
    let turn = journal.host(host).is_some_and(|run| run.phase.in_flight());
    if !turn || phase.in_flight() || !state.prepared.contains(host) {
        return;
    }
    let tried = |run: &HostRun| {
        run.effects.values().any(|done| {
            matches!(done.effect, Effect::RunHook { stage: HookStage::PostMaintenance, .. })
                && matches!(done.state, EffectState::Failed { .. })
        })
    };
    if !matches!(phase, Phase::NeedsYou { .. }) {
        state.broken.untidy = true;
    } else if journal.host(host).is_some_and(tried) {
        state.prepared.remove(host);
    }
}
