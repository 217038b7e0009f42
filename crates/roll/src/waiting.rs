//! What a host waits for: always an answer, never a shrug.

use lifeboat_model::{Effect, GuestStop, Phase, RollEnd, Timestamp, World};

use crate::admit;
use crate::decide::View;
use crate::journal::{EffectRun, EffectState, HostRun, Journal, Status};
use crate::reboot::{self, Judgement};
use crate::{guests, placement, waves};

/// What this host waits for, most important first; empty if it has come to an end.
#[must_use]
pub fn waiting_on(world: &World, journal: &Journal, run: &HostRun, now: Timestamp) -> Vec<String> {
    let view = View::new(world, journal, &journal.policy, now, true);
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
            list.extend(owners(&view, run));
            let judged = world.host(&run.host).is_none_or(|host| !reboot::on_trial(host));
            if matches!(run.phase, Phase::Admitted) && !judged {
                list.push("its health checks".to_owned());
            }
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

/// Guests of a host that is being drained which are left to their owners.
fn owners(view: &View<'_>, run: &HostRun) -> Vec<String> {
    let step = view.journal.index.get(&run.host).and_then(|&at| view.journal.plan.steps.get(at));
    let Some(step) = step.filter(|_| matches!(run.phase, Phase::StateSaved)) else { return Vec::new() };
    let left = |stop: &&GuestStop| {
        stop.by_owner
            && view.world.guest(&stop.guest).is_some_and(|guest| guest.running && guest.host == run.host)
    };
    let limit = view.policy.timeouts.owner;
    let gone = view.now.since(guests::entered(view, run));
    let tell = |stop: &GuestStop| {
        format!("the owner of guest {} to shut it down or move it, for {gone} of {limit}", stop.guest)
    };
    step.stops.iter().filter(left).map(tell).collect()
}

fn pending(view: &View<'_>, run: &HostRun) -> Vec<String> {
    match &view.journal.status {
        Status::Ended(RollEnd::Stopped { .. }) => return vec!["the roll to be taken up again".to_owned()],
        Status::Ended(_) => return Vec::new(),
        Status::Running | Status::Paused | Status::Finishing | Status::Aborting => {}
    }
    if let Some(reason) = &view.journal.halted {
        return vec![format!("a person: the roll stopped ({reason})")];
    }
    if let Some(held) = view.held() {
        return vec![held];
    }
    if view.journal.status == Status::Finishing {
        return vec![match view.journal.held() {
            Some(reason) => format!("a person: {reason}"),
            None => "the roll pauses after the hosts in flight".to_owned(),
        }];
    }
    let own: Vec<String> = run.effects.values().filter_map(|effect| open(view, effect)).collect();
    if !own.is_empty() {
        return own;
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
    let view = View::new(world, journal, &journal.policy, now, true);
    if matches!(journal.status, Status::Ended(_)) {
        return Vec::new();
    }
    let mut list: Vec<String> = view.held().into_iter().collect();
    if list.is_empty()
        && let Some(reason) = journal.held()
    {
        list.push(format!("a person: {reason}"));
    }
    list.extend(journal.pool_effects.values().filter_map(|run| open(&view, run)));
    let idle = journal.in_flight.is_empty() && !view.retreating();
    if let (true, Some(wait)) = (idle, waves::long_wait(&view)) {
        list.push(waves::tell(&wait));
    }
    let left = placement::left(journal);
    if left > 0 && journal.in_flight.is_empty() && journal.pending.is_empty() {
        list.push(format!("{left} moves of guests after the last host"));
    }
    list
}

/// The wave that waits for a person's approval and for nothing else.
#[must_use]
pub fn to_approve(world: &World, journal: &Journal, now: Timestamp) -> Option<u32> {
    waves::to_approve(&View::new(world, journal, &journal.policy, now, true))
}
