//! The point of no return, and the judgement after it.

use lifeboat_model::{Bank, BankState, Effect, HostView, Phase, ReleaseRef};

use crate::decide::{Action, NO_ANSWER, View, Want, record_phase};
use crate::host::{fail, intruder, needs_you};
use crate::journal::{EffectRun, EffectState, HostRun};

/// Orders the reboot into the bank that was written. Never with a guest on the host (I-23).
pub(crate) fn order(view: &View<'_>, run: &HostRun, host: &HostView, actions: &mut Vec<Action>) {
    let ordered = run.effects.values().find(|done| matches!(done.effect, Effect::RebootInto { .. }));
    let effect = if let Some(ordered) = ordered {
        // After a crash the order is repeated in its own words: the boot that it was to end may be over.
        ordered.effect.clone()
    } else {
        if let Some(reason) = intruder(view, run) {
            let exit = Box::new(Phase::NeedsYou { reason });
            return actions.push(record_phase(&run.host, Phase::Leaving { exit }));
        }
        let (Some(bank), Some(boot_id_before)) = (run.bank, host.boot_id.clone()) else {
            return fail(
                run,
                "it does not tell the identity of its boot; it was not rebooted".to_owned(),
                actions,
            );
        };
        if host.active == Some(bank) {
            return fail(run, format!("it runs from bank {bank} already; it was not rebooted"), actions);
        }
        Effect::RebootInto { host: run.host.clone(), bank, boot_id_before }
    };
    match view.want(&effect, view.policy.timeouts.reboot) {
        Want::Act(Action::Record(_)) => {
            let limit = view.policy.timeouts.reboot;
            let reason =
                format!("the order to reboot had no answer within {limit}, and may still be carried out");
            needs_you(run, &reason, "see that it does not reboot any more before it takes guests", actions);
        }
        Want::Act(action) => match intruder(view, run).filter(|_| !boot_is_over(run, host)) {
            Some(reason) => {
                needs_you(run, &reason, "it may have been told to reboot: look at it first", actions);
            }
            None => actions.push(action),
        },
        // The order was given and its boot is over: a driver may answer only when the host is back.
        Want::Wait if boot_is_over(run, host) => actions.push(record_phase(&run.host, Phase::Rebooted)),
        Want::Wait => {}
        Want::Done => actions.push(record_phase(&run.host, Phase::Rebooted)),
        Want::GaveUp { reason } => {
            let same = host.boot_id.as_ref() == run.boot_id_before.as_ref() && host.reachable;
            if same {
                fail(run, reason, actions);
            } else {
                // Whatever was answered: it did reboot, so it is judged by what it runs.
                actions.push(record_phase(&run.host, Phase::Rebooted));
            }
        }
    }
}

/// Its agent has not judged yet the bank that it booted: that is waited for.
pub(crate) fn on_trial(host: &HostView) -> bool {
    let judged = |bank: Bank| !matches!(host.bank(bank).state, BankState::Upgraded | BankState::Trying);
    host.reachable && host.active.is_some_and(|bank| !judged(bank))
}

/// An order to reboot that had no answer in time: it may still be carried out.
pub(crate) fn may_come(order: &EffectRun) -> bool {
    matches!(order.effect, Effect::RebootInto { .. } | Effect::Restart { .. })
        && matches!(&order.state, EffectState::Failed { reason, .. } if reason.starts_with(NO_ANSWER))
}

pub(crate) fn boot_is_over(run: &HostRun, host: &HostView) -> bool {
    !host.reachable || (host.boot_id.is_some() && host.boot_id != run.boot_id_before)
}

/// What the world says of a host that was told to reboot.
pub(crate) enum Judgement {
    /// Too early to tell, and what is missing.
    Wait(String),
    /// It runs the release from the expected bank, blessed.
    Good,
    /// It is back in its old bank.
    FellBack(String),
    /// It runs from the expected bank, but not what was installed.
    Wrong(String),
}

pub(crate) fn judgement(view: &View<'_>, run: &HostRun, host: &HostView) -> Judgement {
    let target = &view.journal.plan.target;
    if !host.reachable {
        return Judgement::Wait("its return from the reboot".to_owned());
    }
    if host.boot_id.is_none() || host.boot_id == run.boot_id_before {
        return Judgement::Wait("the end of its old boot".to_owned());
    }
    let (Some(expected), Some(active)) = (run.bank, host.active) else {
        return Judgement::Wait("word of the bank that it booted".to_owned());
    };
    if active != expected {
        return Judgement::FellBack(fell_back(host, expected, active, target));
    }
    match host.bank(active).state {
        BankState::Good => {}
        BankState::Upgraded | BankState::Trying => {
            return Judgement::Wait("its health checks".to_owned());
        }
        BankState::Failed => {
            return Judgement::Wait("its reboot into the old bank: its health checks failed".to_owned());
        }
        state @ (BankState::Empty | BankState::Invalid) => {
            return Judgement::Wrong(format!("it runs from bank {active}, whose record says {state}"));
        }
    }
    if host.running == Some(target.digest) {
        Judgement::Good
    } else {
        let found =
            host.version.as_ref().map_or_else(|| "an unknown release".to_owned(), ToString::to_string);
        Judgement::Wrong(format!("it runs {found} from bank {active}, not {}", target.version))
    }
}

fn fell_back(host: &HostView, expected: Bank, active: Bank, target: &ReleaseRef) -> String {
    let bank = host.bank(expected);
    let left = match bank.state {
        // A bank that was tried is neither: what the install said was not so (I-24).
        BankState::Empty | BankState::Good if bank.digest != Some(target.digest) => {
            let holds = bank.version.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
            format!(
                "bank {expected} holds {holds}, not {}, although its install ended with \"done\"",
                target.version
            )
        }
        BankState::Empty
        | BankState::Good
        | BankState::Invalid
        | BankState::Upgraded
        | BankState::Trying
        | BankState::Failed => {
            let note = bank.note.as_deref().unwrap_or("no reason was recorded");
            format!("bank {expected} was tried and left: {note}")
        }
    };
    format!("{left}; it runs from bank {active} again")
}

/// Takes the judgement over, or gives up waiting.
pub(crate) fn judge(view: &View<'_>, run: &HostRun, host: &HostView, actions: &mut Vec<Action>) {
    match judgement(view, run, host) {
        Judgement::Good => actions.push(record_phase(&run.host, Phase::Verified)),
        Judgement::FellBack(reason) => {
            let exit = Box::new(Phase::RolledBack { reason });
            actions.push(record_phase(&run.host, Phase::Leaving { exit }));
        }
        Judgement::Wrong(reason) => {
            needs_you(run, &reason, "look at the host before anything else is done to it", actions);
        }
        Judgement::Wait(what) => {
            // A controller that died may have left an order that never reached the host.
            let ordered = run.effects.values().find(|done| matches!(done.effect, Effect::RebootInto { .. }));
            if let Some(ordered) = ordered.filter(|_| !boot_is_over(run, host))
                && let Want::Act(action @ Action::Perform { .. }) =
                    view.want(&ordered.effect, view.policy.timeouts.reboot)
            {
                return match intruder(view, run) {
                    Some(reason) => {
                        needs_you(run, &reason, "it may have been told to reboot: look at it first", actions);
                    }
                    None => actions.push(action),
                };
            }
            let limit = view.policy.timeouts.reboot;
            if view.now.since(run.since) > limit {
                let reason = format!("it was rebooted and waited for {what} for more than {limit}");
                let remedy = "look at its console; its guests are on other hosts and it stays in maintenance";
                needs_you(run, &reason, remedy, actions);
            }
        }
    }
}
