//! What a host waits for: always an answer, never a shrug.

use lifeboat_model::{Effect, Phase, Timestamp, World};

use crate::admit;
use crate::decide::View;
use crate::journal::{EffectRun, EffectState, HostRun, Journal, Status};
use crate::reboot::{self, Judgement};

/// What this host waits for, most important first; empty if it has come to an end.
#[must_use]
pub fn waiting_on(world: &World, journal: &Journal, run: &HostRun, now: Timestamp) -> Vec<String> {
    let view = View { world, journal, policy: &journal.plan.policy, now };
    match &run.phase {
        Phase::Committed
        | Phase::RolledBack { .. }
        | Phase::Failed { .. }
        | Phase::Skipped { .. }
        | Phase::NeedsYou { .. } => Vec::new(),
        Phase::Pending => pending(&view, run),
        Phase::Rebooted => match world.host(&run.host).map(|host| reboot::judgement(&view, run, host)) {
            Some(Judgement::Wait(what)) => vec![what],
            Some(Judgement::Good | Judgement::FellBack(_) | Judgement::Wrong(_)) => {
                vec!["the roll's next look".to_owned()]
            }
            None => vec!["the host to be in the pool".to_owned()],
        },
        Phase::Admitted
        | Phase::Checked
        | Phase::StateSaved
        | Phase::Drained
        | Phase::Staged
        | Phase::Installed
        | Phase::Verified
        | Phase::Leaving { .. } => {
            let mut list: Vec<String> =
                run.effects.values().filter_map(|effect| open(&view, effect)).collect();
            if list.is_empty()
                && !run.past_no_return()
                && let Some(held) = view.held()
            {
                list.push(held);
            }
            if list.is_empty() {
                list.push("the roll's next look".to_owned());
            }
            list
        }
    }
}

fn pending(view: &View<'_>, run: &HostRun) -> Vec<String> {
    if let Status::Ended(_) = view.journal.status {
        return vec!["the roll to be taken up again".to_owned()];
    }
    if let Some(reason) = &view.journal.halted {
        return vec![format!("a person: the roll stopped ({reason})")];
    }
    if let Some(held) = view.held() {
        return vec![held];
    }
    let step = view.journal.index.get(&run.host).copied();
    vec![step.and_then(|step| admit::why_not(view, step)).unwrap_or_else(|| "its turn".to_owned())]
}

fn open(view: &View<'_>, run: &EffectRun) -> Option<String> {
    let gone = view.now.since(run.since);
    match &run.state {
        EffectState::Done | EffectState::NothingToDo { .. } => None,
        EffectState::Open { interrupted: false } => Some(match &run.effect {
            Effect::Migrate { guest, to, .. } => format!("guest {guest} to reach {to}, for {gone}"),
            effect => format!("{effect}, for {gone}"),
        }),
        EffectState::Open { interrupted: true } => {
            Some(format!("{}: interrupted, to be looked at again", run.effect))
        }
        EffectState::Failed { reason, retriable } => {
            let again = *retriable && run.attempt < view.policy.attempts;
            again.then(|| format!("the next try of: {} (try {} failed: {reason})", run.effect, run.attempt))
        }
    }
}

/// What the roll as a whole waits for, if it is not about a host.
#[must_use]
pub fn waiting_on_pool(world: &World, journal: &Journal, now: Timestamp) -> Vec<String> {
    let view = View { world, journal, policy: &journal.plan.policy, now };
    let mut list: Vec<String> = view.held().into_iter().collect();
    list.extend(journal.pool_effects.values().filter_map(|run| open(&view, run)));
    list
}
