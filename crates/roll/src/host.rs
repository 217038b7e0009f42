//! The next step of one host on its way.

use lifeboat_model::{Bank, BankState, Effect, GuestView, HookStage, HostView, Phase};

use crate::decide::{Action, View, Want, record_phase};
use crate::guests::{self, Starts};
use crate::hooks::{self, Hooks};
use crate::journal::{EffectRun, EffectState, HostRun};
use crate::reboot;

/// Says what is next for the host of this step.
pub(crate) fn next(view: &View<'_>, step: usize) -> Vec<Action> {
    // Its own list: what a host decides must not depend on what was decided for others.
    let mut actions = Vec::new();
    look(view, step, &mut actions);
    actions
}

fn look(view: &View<'_>, step: usize, actions: &mut Vec<Action>) {
    let Some(run) = view.journal.hosts.get(step) else { return };
    let Some(host) = view.world.host(&run.host) else {
        let reason = "it is no longer in the pool; look for it, then make a new plan".to_owned();
        return actions.push(record_phase(&run.host, Phase::NeedsYou { reason }));
    };
    if let Phase::Leaving { exit } = &run.phase {
        return leave(view, run, host, exit, actions);
    }
    if !run.past_no_return() {
        if view.retreating() || run.skip {
            return retreat(view, run, host, actions);
        }
        if view.held().is_some() {
            return expire(view, run, actions);
        }
    }
    match &run.phase {
        Phase::Admitted => admitted(view, run, host, actions),
        Phase::Checked => {
            let effect = Effect::SaveState { host: run.host.clone() };
            walk(view, run, &effect, view.policy.timeouts.step, Phase::StateSaved, actions);
        }
        Phase::StateSaved => drain(view, step, run, host, actions),
        Phase::Drained => {
            if !restarted(view, run, host, actions) {
                return;
            }
            if intruder(view, run).is_none() {
                match hooks::at(view, run, HookStage::Maintenance) {
                    Hooks::Passed => {}
                    Hooks::Wait(mut next) => return actions.append(&mut next),
                    Hooks::NothingToDo(reason) => return skip(run, reason, actions),
                    Hooks::Failed(reason) => return fail(run, reason, actions),
                }
            }
            let effect = Effect::Stage { host: run.host.clone(), release: view.journal.plan.target.clone() };
            guarded(view, run, &effect, view.policy.timeouts.stage, Phase::Staged, actions);
        }
        Phase::Staged => install(view, run, host, actions),
        Phase::Installed => reboot::order(view, run, host, actions),
        Phase::Rebooted => reboot::judge(view, run, host, actions),
        Phase::Verified => {
            let effect = Effect::LeaveMaintenance { host: run.host.clone() };
            match view.want_step(&effect) {
                Want::Act(action) => actions.push(action),
                Want::Wait => {}
                Want::Done => match give_back(view, run, actions) {
                    Some(Ok(())) => actions.push(record_phase(&run.host, Phase::Committed)),
                    Some(Err(reason)) => {
                        needs_you(
                            run,
                            &format!("it runs the release; {reason}"),
                            "see to that by hand",
                            actions,
                        );
                    }
                    None => {}
                },
                Want::GaveUp { reason } => {
                    needs_you(run, &reason, "let it leave maintenance by hand", actions);
                }
            }
        }
        Phase::Pending
        | Phase::Committed
        | Phase::Leaving { .. }
        | Phase::RolledBack { .. }
        | Phase::Failed { .. }
        | Phase::Skipped { .. }
        | Phase::NeedsYou { .. } => {}
    }
}

fn admitted(view: &View<'_>, run: &HostRun, host: &HostView, actions: &mut Vec<Action>) {
    let target = &view.journal.plan.target;
    if host.running == Some(target.digest)
        && host.active.is_some_and(|bank| host.bank(bank).state == BankState::Good)
    {
        // One that is tried again ends what its turn had left open: maintenance, guests, the last hooks.
        let exit = Box::new(if run.retry {
            Phase::Committed
        } else {
            Phase::Skipped { reason: format!("it runs {} already", target.version) }
        });
        return actions.push(record_phase(&run.host, Phase::Leaving { exit }));
    }
    if host.maintenance && !run.retry {
        let reason = "it was put into maintenance by somebody else; nothing was changed".to_owned();
        return skip(run, reason, actions);
    }
    if reboot::on_trial(host) && view.now.since(run.since) <= view.policy.timeouts.reboot {
        return;
    }
    if let Some(reason) = unfit(view, run, host) {
        return fail(run, reason, actions);
    }
    match hooks::at(view, run, HookStage::Preflight) {
        Hooks::Passed => {}
        Hooks::Wait(mut next) => return actions.append(&mut next),
        Hooks::NothingToDo(reason) => return skip(run, reason, actions),
        Hooks::Failed(reason) => return fail(run, reason, actions),
    }
    let release = view.journal.plan.target.clone();
    let effect = Effect::CheckHost { host: run.host.clone(), release, retry: run.retry };
    walk(view, run, &effect, view.policy.timeouts.step, Phase::Checked, actions);
}

/// What the world itself tells against beginning with this host.
fn unfit(view: &View<'_>, run: &HostRun, host: &HostView) -> Option<String> {
    let target = &view.journal.plan.target;
    if !host.reachable {
        return Some("it does not answer; nothing was changed".to_owned());
    }
    let Some(active) = host.active else {
        return Some("it does not say which bank it runs from; nothing was changed".to_owned());
    };
    if !run.retry && host.failed_releases.contains(&target.digest) {
        return Some(format!(
            "release {} failed on this host before; order `roll resume --retry {}` to try it again",
            target.version, run.host
        ));
    }
    // The fall-back is never recycled while the active bank is unproven (I-25, I-26).
    let state = host.bank(active).state;
    (state != BankState::Good).then(|| {
        format!("its active bank {active} is {state}, not good: the other bank is its only way back and is not written")
    })
}

/// Orders an effect and enters the next phase when it is done.
fn walk(
    view: &View<'_>,
    run: &HostRun,
    effect: &Effect,
    limit: lifeboat_model::Millis,
    next: Phase,
    actions: &mut Vec<Action>,
) {
    match view.want(effect, limit) {
        Want::Act(action) => actions.push(action),
        Want::Wait => {}
        Want::Done => actions.push(record_phase(&run.host, next)),
        Want::GaveUp { reason } => fail(run, reason, actions),
    }
}

/// As [`walk`], for steps during which no guest may run on the host.
fn guarded(
    view: &View<'_>,
    run: &HostRun,
    effect: &Effect,
    limit: lifeboat_model::Millis,
    next: Phase,
    actions: &mut Vec<Action>,
) {
    match intruder(view, run) {
        Some(reason) if run.open().next().is_none() => leave_for_you(run, reason, actions),
        // What is under way still has its limit.
        Some(_) => expire(view, run, actions),
        None => walk(view, run, effect, limit, next, actions),
    }
}

/// A guest that runs on a host that was drained (I-23).
pub(crate) fn intruder(view: &View<'_>, run: &HostRun) -> Option<String> {
    let guest = view.world.running_on(&run.host).next()?;
    Some(format!(
        "guest {} runs on it although it was drained; move it away, then order `roll resume --retry {}`",
        guest.id, run.host
    ))
}

fn install(view: &View<'_>, run: &HostRun, host: &HostView, actions: &mut Vec<Action>) {
    let bank = run.bank.or(host.active.map(Bank::other));
    let Some(bank) = bank.filter(|bank| host.active != Some(*bank)) else {
        return fail(run, "it does not say which bank it runs from; no bank was written".to_owned(), actions);
    };
    let release = view.journal.plan.target.clone();
    let effect = Effect::Install { host: run.host.clone(), release, bank, retry: run.retry };
    guarded(view, run, &effect, view.policy.timeouts.install, Phase::Installed, actions);
}

/// Reboots a drained host that waits for a reboot, before anything is brought to it. True when there is nothing (more)
/// to reboot for.
fn restarted(view: &View<'_>, run: &HostRun, host: &HostView, actions: &mut Vec<Action>) -> bool {
    let ordered = run.effects.values().find(|done| matches!(done.effect, Effect::Restart { .. }));
    let effect = match (ordered, &host.boot_id) {
        (None, _) if host.pending_reboot.is_empty() => return true,
        // After a crash the order is repeated in its own words: the boot that it was to end may be over.
        (Some(ordered), _) => ordered.effect.clone(),
        (None, Some(boot_id)) => Effect::Restart { host: run.host.clone(), boot_id_before: boot_id.clone() },
        (None, None) => {
            if view.now.since(run.since) > view.policy.timeouts.reboot {
                let reason = "it waits for a reboot and does not tell the identity of its boot";
                needs_you(run, reason, "look at the host", actions);
            }
            return false;
        }
    };
    match (ordered.map(|run| &run.state), intruder(view, run)) {
        (Some(EffectState::Open { .. }), Some(reason)) => {
            needs_you(run, &reason, "it may have been told to reboot: look at it first", actions);
            return false;
        }
        (Some(_), Some(reason)) if ordered.is_some_and(reboot::may_come) => {
            needs_you(run, &reason, "it may have been told to reboot: look at it first", actions);
            return false;
        }
        // The guard of the next step says so.
        (None | Some(EffectState::Failed { .. } | EffectState::NothingToDo { .. }), Some(_)) => return true,
        (Some(EffectState::Done), Some(_)) | (_, None) => {}
    }
    match view.want(&effect, view.policy.timeouts.reboot) {
        Want::Act(action) => actions.push(action),
        Want::Done if host.reachable && host.pending_reboot.is_empty() => return true,
        Want::Done if host.reachable => {
            let reasons = host.pending_reboot.join("; ");
            fail(run, format!("it was rebooted and still waits for a reboot: {reasons}"), actions);
        }
        Want::Done
            if ordered.is_some_and(|done| view.now.since(done.since) > view.policy.timeouts.reboot) =>
        {
            needs_you(run, "it was rebooted and does not answer", "look at its console", actions);
        }
        Want::Wait | Want::Done => {}
        Want::GaveUp { reason } => {
            needs_you(run, &reason, "look at its console; its guests are on other hosts", actions);
        }
    }
    false
}

/// What follows when a host takes guests again: those that were shut down are started, and the last hooks run.
/// `None`: that is under way.
fn give_back(view: &View<'_>, run: &HostRun, actions: &mut Vec<Action>) -> Option<Result<(), String>> {
    let mut problems = Vec::new();
    match guests::start(view, run) {
        Starts::Done => {}
        Starts::Wait(mut next) => {
            actions.append(&mut next);
            return None;
        }
        Starts::Failed(reason) => problems.push(reason),
    }
    match hooks::at(view, run, HookStage::PostMaintenance) {
        Hooks::Passed | Hooks::NothingToDo(_) => {}
        Hooks::Wait(mut next) => {
            actions.append(&mut next);
            return None;
        }
        Hooks::Failed(reason) => problems.push(reason),
    }
    Some(if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) })
}

/// Maintenance first, so that nothing new comes; then every running guest to where the plan says.
fn drain(view: &View<'_>, step: usize, run: &HostRun, host: &HostView, actions: &mut Vec<Action>) {
    match hooks::at(view, run, HookStage::PreMaintenance) {
        Hooks::Passed => {}
        Hooks::Wait(mut next) => return actions.append(&mut next),
        Hooks::NothingToDo(reason) => return skip(run, reason, actions),
        Hooks::Failed(reason) => return fail(run, reason, actions),
    }
    let enter = Effect::EnterMaintenance { host: run.host.clone() };
    match view.want_step(&enter) {
        Want::Act(action) => return actions.push(action),
        Want::Wait => return,
        Want::GaveUp { reason } => return fail(run, reason, actions),
        Want::Done => {}
    }
    if let (false, Some(entered)) = (host.maintenance, view.journal.effect(&enter)) {
        match again(view, entered, enter, "it was taken out of maintenance") {
            Want::Act(action) => actions.push(action),
            Want::GaveUp { reason } => fail(run, reason, actions),
            Want::Wait | Want::Done => {}
        }
        return;
    }
    let mut hear = unheard(run);
    if !hear.is_empty() {
        return actions.append(&mut hear);
    }
    let stops = view.journal.plan.steps.get(step).map_or(&[][..], |step| &step.stops);
    let lanes = usize::try_from(view.policy.migrations_per_host).unwrap_or(usize::MAX);
    let mut open = run.open().count();
    let mut left = 0_usize;
    let mut problem = None;
    // Guests are shut down last, when all others have gone: they are down as short as can be.
    let stopped = |guest: &GuestView| stops.iter().find(|stop| stop.guest == guest.id);
    let movers = || view.world.running_on(&run.host).any(|guest| stopped(guest).is_none());
    let movers = !stops.is_empty() && movers();
    // Before the first move every guest is looked at, so that nothing is moved for a host that cannot be drained.
    // After it, those that come next are enough.
    let begun = run.effects.values().any(|done| matches!(done.effect, Effect::Migrate { .. }));
    for guest in view.world.running_on(&run.host) {
        left += 1;
        if begun && (open >= lanes || problem.is_some()) {
            break;
        }
        let next = match stopped(guest) {
            Some(stop) if !movers || stop.by_owner => guests::stop(view, run, stop),
            Some(_) => Ok(Want::Wait),
            None => move_guest(view, step, guest),
        };
        match next {
            Ok(Want::Act(Action::Perform { attempt, effect })) => {
                if open < lanes && problem.is_none() {
                    open += 1;
                    actions.push(Action::Perform { attempt, effect });
                }
            }
            Ok(Want::Act(Action::Record(event))) => actions.push(Action::Record(event)),
            Ok(Want::Wait | Want::Done) => {}
            Ok(Want::GaveUp { reason }) | Err(reason) => {
                problem.get_or_insert(reason);
            }
        }
    }
    if let Some(reason) = problem {
        actions.retain(|action| matches!(action, Action::Record(_)));
        if actions.is_empty() && run.open().next().is_none() {
            leave_for_you(run, reason, actions);
        }
    } else if left == 0 && run.open().next().is_none() {
        actions.push(record_phase(&run.host, Phase::Drained));
    }
    if actions.is_empty() {
        // Moves of guests that are not here any more have a limit too.
        expire(view, run, actions);
    }
}

fn move_guest(view: &View<'_>, step: usize, guest: &GuestView) -> Result<Want, String> {
    let planned = view.journal.planned(step, &guest.id).ok_or_else(|| {
        format!(
            "guest {} has no target in the plan (it came after the plan was made); \
             move it away or make a new plan",
            guest.id
        )
    })?;
    let effect =
        Effect::Migrate { guest: guest.id.clone(), from: guest.host.clone(), to: planned.to.clone() };
    let ready = view.world.host(&planned.to).is_some_and(|to| to.reachable && !to.maintenance);
    let running =
        view.journal.effect(&effect).is_some_and(|run| run.state == EffectState::Open { interrupted: false });
    if !ready && !running {
        return Err(format!(
            "guest {} has nowhere to go: {} is not reachable or is in maintenance",
            guest.id, planned.to
        ));
    }
    let want = view.want(&effect, view.policy.timeouts.migrate);
    if let (Want::Done, Some(run)) = (&want, view.journal.effect(&effect)) {
        return Ok(again(view, run, effect, "it came back"));
    }
    Ok(want)
}

/// An effect that was done, and is not so any more: somebody else has a hand in it.
pub(crate) fn again(view: &View<'_>, run: &EffectRun, effect: Effect, what: &str) -> Want {
    if view.now.since(run.since) < view.policy.retry_delay {
        Want::Wait
    } else if run.attempt < view.policy.attempts {
        Want::Act(Action::Perform { attempt: run.attempt + 1, effect })
    } else {
        let reason = format!("{effect}: {what} {} times; somebody or something else moves it", run.attempt);
        Want::GaveUp { reason }
    }
}

/// Takes a host back that has not passed its point of no return.
fn retreat(view: &View<'_>, run: &HostRun, host: &HostView, actions: &mut Vec<Action>) {
    // What a dead controller ordered may be under way: its end is heard before its undoing is ordered.
    if let Some(mut hear) = guests::stopping(view, run) {
        return actions.append(&mut hear);
    }
    let enter = Effect::EnterMaintenance { host: run.host.clone() };
    if let Some(EffectRun { state: EffectState::Open { interrupted: true }, attempt, .. }) =
        view.journal.effect(&enter)
    {
        return actions.push(Action::Perform { attempt: *attempt, effect: enter });
    }
    // A reboot is not ordered again to hear its end when a guest has come meanwhile.
    let rebooting = |done: &EffectRun| {
        matches!(done.effect, Effect::Restart { .. }) && done.state == EffectState::Open { interrupted: true }
    };
    if let (true, Some(reason)) = (run.effects.values().any(rebooting), intruder(view, run)) {
        return needs_you(run, &reason, "it may have been told to reboot: look at it first", actions);
    }
    let mut hear = unheard(run);
    if !hear.is_empty() {
        return actions.append(&mut hear);
    }
    expire(view, run, actions);
    if !actions.is_empty() || run.open().next().is_some() {
        return;
    }
    if let Some(lost) = run.effects.values().find(|done| reboot::may_come(done)) {
        if matches!(lost.effect, Effect::RebootInto { .. }) && reboot::boot_is_over(run, host) {
            return actions.push(record_phase(&run.host, Phase::Rebooted));
        }
        let reason = "an order to reboot it had no answer in time and may still be carried out";
        return needs_you(
            run,
            reason,
            "see that it does not reboot any more before it takes guests",
            actions,
        );
    }
    let exit = if run.skip {
        Phase::Skipped { reason: "left out by a person's order".to_owned() }
    } else if view.journal.status == crate::journal::Status::Aborting {
        Phase::Skipped { reason: "the roll was aborted before its point of no return".to_owned() }
    } else {
        Phase::Pending
    };
    actions.push(record_phase(&run.host, Phase::Leaving { exit: Box::new(exit) }));
}

/// Moves, shutdowns, starts and reboots that a dead controller ordered. They may be under way, also when the guest is not here any
/// more: they are ordered again to hear their end, before anything is said of the host.
fn unheard(run: &HostRun) -> Vec<Action> {
    let moves = |done: &&EffectRun| {
        matches!(
            done.effect,
            Effect::Migrate { .. }
                | Effect::StopGuest { .. }
                | Effect::StartGuest { .. }
                | Effect::Restart { .. }
        ) && done.state == EffectState::Open { interrupted: true }
    };
    let again = |done: &EffectRun| Action::Perform { attempt: done.attempt, effect: done.effect.clone() };
    run.effects.values().filter(moves).map(again).collect()
}

/// Records the end of effects whose time is over, and orders nothing.
fn expire(view: &View<'_>, run: &HostRun, actions: &mut Vec<Action>) {
    for open in run.open() {
        let limits = &view.policy.timeouts;
        let limit = match open.effect {
            Effect::Migrate { .. } => limits.migrate,
            Effect::Stage { .. } => limits.stage,
            Effect::Install { .. } => limits.install,
            Effect::RebootInto { .. } | Effect::Restart { .. } => limits.reboot,
            Effect::SuspendFeature { .. }
            | Effect::RestoreFeature { .. }
            | Effect::CheckHost { .. }
            | Effect::SaveState { .. }
            | Effect::EnterMaintenance { .. }
            | Effect::Place { .. }
            | Effect::Mend { .. }
            | Effect::Unmend { .. }
            | Effect::LeaveMaintenance { .. } => limits.step,
            Effect::RunHook { .. } | Effect::RunGate { .. } => hooks::NO_LIMIT,
            Effect::StopGuest { .. } | Effect::StartGuest { .. } => limits.guest,
        };
        if let Want::Act(action @ Action::Record(_)) = view.want(&open.effect, limit) {
            actions.push(action);
        }
    }
}

/// Gives the host back to the pool, then lets it take its last phase.
fn leave(view: &View<'_>, run: &HostRun, host: &HostView, exit: &Phase, actions: &mut Vec<Action>) {
    if let Some(mut hear) = guests::stopping(view, run) {
        return actions.append(&mut hear);
    }
    let enter = Effect::EnterMaintenance { host: run.host.clone() };
    let entered = view.journal.effect(&enter).is_some() || (host.maintenance && run.retry);
    if !entered {
        return leave_with(view, run, exit, actions);
    }
    let effect = Effect::LeaveMaintenance { host: run.host.clone() };
    match view.want_step(&effect) {
        Want::Act(action) => actions.push(action),
        Want::Wait => {}
        Want::Done => leave_with(view, run, exit, actions),
        Want::GaveUp { reason } => {
            let before = exit.reason().map(|reason| format!("{reason}; ")).unwrap_or_default();
            needs_you(run, &format!("{before}{reason}"), "let it leave maintenance by hand", actions);
        }
    }
}

/// The last phase of a host that is given back; what its turn had begun is ended first.
fn leave_with(view: &View<'_>, run: &HostRun, exit: &Phase, actions: &mut Vec<Action>) {
    let ends_well = matches!(exit, Phase::Committed);
    if run.stopped.is_empty() && !run.prepared && !ends_well {
        return actions.push(record_phase(&run.host, exit.clone()));
    }
    match give_back(view, run, actions) {
        Some(Ok(())) => actions.push(record_phase(&run.host, exit.clone())),
        Some(Err(reason)) => {
            let before = exit.reason().map(|reason| format!("{reason}; ")).unwrap_or_default();
            needs_you(run, &format!("{before}{reason}"), "see to that by hand", actions);
        }
        None => {}
    }
}

/// A hook said that nothing is to be done on this host.
fn skip(run: &HostRun, reason: String, actions: &mut Vec<Action>) {
    let exit = Box::new(Phase::Skipped { reason });
    actions.push(record_phase(&run.host, Phase::Leaving { exit }));
}

pub(crate) fn fail(run: &HostRun, reason: String, actions: &mut Vec<Action>) {
    let exit = Box::new(Phase::Failed { reason });
    actions.push(record_phase(&run.host, Phase::Leaving { exit }));
}

fn leave_for_you(run: &HostRun, reason: String, actions: &mut Vec<Action>) {
    let exit = Box::new(Phase::NeedsYou { reason });
    actions.push(record_phase(&run.host, Phase::Leaving { exit }));
}

pub(crate) fn needs_you(run: &HostRun, reason: &str, remedy: &str, actions: &mut Vec<Action>) {
    let down = guests::left_down(run).map(|down| format!("; {down}")).unwrap_or_default();
    let reason = format!("{reason}; {remedy}{down}");
    actions.push(record_phase(&run.host, Phase::NeedsYou { reason }));
}
