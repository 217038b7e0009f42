//! `lifeboat roll pause|stop|skip|retry|approve|set-policy|resume|abort`
//!
//! Owns: a person's orders. Promises: a controller that is at work takes an order over at its next look; where none
//! is, this process becomes it, if the order needs one. Does not: decide what an order does.

use std::path::Path;
use std::time::{Duration, Instant};

use lifeboat_executor::Executor;
use lifeboat_model::{Approve, HostId, OperatorVerb, Phase, Timestamp};
use lifeboat_roll::Status;
use lifeboat_store::{RollRow, RollState, Store};

use super::drive::{drive, options};
use super::start::{check_release, live};
use super::{executor_error, find, open_store, store_error};
use crate::args::{HostsArgs, RollRef};
use crate::commands::check;
use crate::drivers;
use crate::error::{CliError, Kind};
use crate::run::Ctx;
use crate::state::PlanSource;

pub(super) fn pause(ctx: &Ctx, roll: &RollRef, after_host: bool) -> Result<(), CliError> {
    let store = open_store(ctx)?;
    let row = find(&store, roll)?;
    let Some(holder) = store.holder(&row.pool).filter(|_| row.state == RollState::Active) else {
        return Err(CliError::new(Kind::Conflict, format!("no controller is at work on roll {}", row.id))
            .remedy("there is nothing to pause; to go on: lifeboat roll resume"));
    };
    let (verb, what) = if after_host {
        (OperatorVerb::PauseAfterHost, "the hosts in flight come to their end, and no other begins")
    } else {
        (OperatorVerb::Pause, "it begins nothing new")
    };
    if ctx.dry_run {
        return ctx.out.text(&format!("would tell {} to pause: {what}\n", holder.name));
    }
    order(&store, &row, &verb)?;
    told(ctx, &row, &holder.name, &format!("pause: {what}"), "go on with: lifeboat roll resume")
}

/// An order that the controller at work will take over.
fn told(ctx: &Ctx, row: &RollRow, controller: &str, order: &str, then: &str) -> Result<(), CliError> {
    #[derive(serde::Serialize)]
    struct Ordered<'a> {
        roll: &'a str,
        pool: &'a str,
        controller: &'a str,
        order: &'a str,
    }
    if !ctx.out.format.is_json() {
        ctx.out.say(&format!("{controller} was told to {order}; {then}"));
        return Ok(());
    }
    let ordered = Ordered { roll: row.id.as_str(), pool: row.pool.as_str(), controller, order };
    ctx.out.object("roll-order", &ordered, row.id.as_str(), String::new)
}

pub(super) fn stop(ctx: &Ctx, roll: &RollRef) -> Result<(), CliError> {
    let store = open_store(ctx)?;
    let row = find(&store, roll)?;
    not_ended(&row)?;
    if row.state == RollState::Stopped {
        ctx.out.say(&format!("roll {} has stopped already; take it up: lifeboat roll resume", row.id));
        return Ok(());
    }
    give(ctx, store, &row, &[OperatorVerb::Stop], "stop and restore every feature")
}

pub(super) fn skip(ctx: &Ctx, args: &HostsArgs) -> Result<(), CliError> {
    about_hosts(ctx, args, "leave out", |host| OperatorVerb::Skip { host })
}

pub(super) fn retry(ctx: &Ctx, args: &HostsArgs) -> Result<(), CliError> {
    about_hosts(ctx, args, "try again", |host| OperatorVerb::Retry { host })
}

fn about_hosts(
    ctx: &Ctx,
    args: &HostsArgs,
    what: &str,
    verb: impl Fn(HostId) -> OperatorVerb,
) -> Result<(), CliError> {
    let store = open_store(ctx)?;
    let row = find(&store, &RollRef { roll: args.roll.clone() })?;
    not_ended(&row)?;
    has_steps(&row, args.hosts.iter())?;
    let journal = super::show::read(&store, &row)?.0;
    for host in &args.hosts {
        let Some(run) = journal.host(host) else { continue };
        let pending = matches!(run.phase, Phase::Pending) && what == "try again";
        if pending || matches!(run.phase, Phase::Committed) {
            let told = format!("host {host} is {}: there is nothing to {what}", run.phase);
            return Err(CliError::new(Kind::Conflict, told).remedy("see: lifeboat roll status"));
        }
    }
    let names: Vec<&str> = args.hosts.iter().map(HostId::as_str).collect();
    let mut verbs: Vec<OperatorVerb> = args.hosts.iter().cloned().map(verb).collect();
    // A roll that was interrupted goes on with what was going on.
    if row.state == RollState::Active && store.holder(&row.pool).is_none() {
        verbs.push(OperatorVerb::Resume);
    }
    give(ctx, store, &row, &verbs, &format!("{what} {}", names.join(", ")))
}

pub(super) fn approve(ctx: &Ctx, roll: &RollRef, wave: Option<u32>) -> Result<(), CliError> {
    let store = open_store(ctx)?;
    let row = find(&store, roll)?;
    not_ended(&row)?;
    let journal = super::show::read(&store, &row)?.0;
    let last = row.plan.steps.last().map_or(0, |step| step.wave);
    let needed = match journal.policy().approve {
        Approve::Plan => None,
        Approve::FirstWave => (journal.approved() < 2).then_some(2),
        Approve::EveryWave => {
            let open =
                journal.hosts().iter().zip(&row.plan.steps).filter(|(run, _)| run.phase == Phase::Pending);
            open.map(|(_, step)| step.wave).find(|wave| *wave > 1 && *wave > journal.approved())
        }
    };
    let wave = match (wave, needed) {
        (Some(wave), _) if wave > last => {
            return Err(CliError::usage(format!(
                "the plan has {last} waves, so wave {wave} cannot be approved"
            )));
        }
        (Some(wave), _) | (None, Some(wave)) => wave,
        (None, None) => {
            let what = format!("no wave of roll {} waits for an approval", row.id);
            return Err(
                CliError::new(Kind::Conflict, what).remedy("see what it waits for: lifeboat roll status")
            );
        }
    };
    let hosts = row.plan.steps.iter().filter(|step| step.wave == wave).map(|step| step.host.to_string());
    let hosts = crate::state::shorten(&hosts.collect::<Vec<_>>());
    if row.state == RollState::Stopped {
        let what = format!("roll {} has stopped; an approval does not take it up", row.id);
        return Err(CliError::new(Kind::Conflict, what).remedy(
            "see why: lifeboat roll status; take it up: lifeboat roll resume, with --retry or --skip for a host that failed",
        ));
    }
    let mut verbs = vec![OperatorVerb::Approve { wave }];
    // What waits for a person for another reason is not decided by an approval.
    if store.holder(&row.pool).is_none() && journal.held().is_none() && *journal.status() == Status::Running {
        verbs.push(OperatorVerb::Resume);
    }
    give(ctx, store, &row, &verbs, &format!("begin wave {wave}: {hosts}"))
}

pub(super) fn set_policy(ctx: &Ctx, roll: &RollRef, file: &Path) -> Result<(), CliError> {
    let policy = crate::policy::load(file)?.policy;
    let store = open_store(ctx)?;
    let row = find(&store, roll)?;
    not_ended(&row)?;
    let bound = row.plan.policy.bound_to_plan(&policy);
    if !bound.is_empty() {
        let what = format!(
            "{} cannot change while roll {} goes on: its plan is bound to it",
            bound.join(", "),
            row.id
        );
        let remedy =
            "keep the plan's value in the file, or make a new plan with this policy: lifeboat plan create";
        return Err(CliError::new(Kind::Conflict, what).remedy(remedy));
    }
    let verb = OperatorVerb::SetPolicy { policy: Box::new(policy) };
    if ctx.dry_run || store.holder(&row.pool).is_some() {
        return give(ctx, store, &row, &[verb], "go on by the new policy");
    }
    // Nobody is at work: the order waits for the next controller.
    order(&store, &row, &verb)?;
    ctx.out
        .say(&format!("roll {} goes on by the new policy when it is taken up: lifeboat roll resume", row.id));
    Ok(())
}

/// Gives orders to the controller that is at work, or becomes it.
fn give(ctx: &Ctx, store: Store, row: &RollRow, verbs: &[OperatorVerb], what: &str) -> Result<(), CliError> {
    let holder = store.holder(&row.pool);
    if ctx.dry_run {
        let who = holder.map_or_else(|| "this process".to_owned(), |holder| holder.name);
        return ctx.out.text(&format!("would order {who}, roll {} of pool {}: {what}\n", row.id, row.pool));
    }
    if let Some(holder) = holder {
        verbs.iter().try_for_each(|verb| order(&store, row, verb))?;
        return told(ctx, row, &holder.name, what, "look on with: lifeboat roll watch");
    }
    let stops = verbs.contains(&OperatorVerb::Stop);
    match take_up(ctx, store, row, verbs) {
        // It is what was asked for.
        Err(error) if stops && matches!(error.kind(), Kind::PartlyDone | Kind::NeedsPerson) => Ok(()),
        other => other,
    }
}

/// Every host must be in the plan.
fn has_steps<'h>(row: &RollRow, mut hosts: impl Iterator<Item = &'h HostId>) -> Result<(), CliError> {
    match hosts.find(|host| !row.plan.steps.iter().any(|step| step.host == **host)) {
        None => Ok(()),
        Some(host) => {
            Err(CliError::new(Kind::NotFound, format!("roll {} has no step for host {host}", row.id))
                .remedy("see: lifeboat roll status"))
        }
    }
}

/// Asks the controller that is at work to leave, and waits until it has.
fn ask_to_leave(ctx: &Ctx, store: &Store, row: &RollRow) -> Result<(), CliError> {
    let Some(holder) = store.holder(&row.pool) else { return Ok(()) };
    order(store, row, &OperatorVerb::HandOver)?;
    ctx.out.say(&format!("{} was asked to leave roll {} to this process", holder.name, row.id));
    let patience = Duration::from_secs(30);
    let since = Instant::now();
    while since.elapsed() < patience {
        if store.holder(&row.pool).is_none() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    // It must not leave later, when nobody is there to go on.
    store.withdraw(&row.id, &OperatorVerb::HandOver).map_err(store_error)?;
    let what = format!("{} did not leave roll {} within {} s", holder.name, row.id, patience.as_secs());
    Err(CliError::new(Kind::Conflict, what).remedy(
        "it hangs or was stopped: end that process (its name holds the machine and the process number), then: lifeboat \
         roll resume",
    ))
}

pub(super) fn resume(
    ctx: &Ctx,
    roll: &RollRef,
    retry: &[HostId],
    skip: &[HostId],
    take_over: bool,
) -> Result<(), CliError> {
    let store = open_store(ctx)?;
    let row = find(&store, roll)?;
    not_ended(&row)?;
    has_steps(&row, retry.iter().chain(skip))?;
    if take_over && !ctx.dry_run {
        ask_to_leave(ctx, &store, &row)?;
    }
    if ctx.dry_run {
        return ctx.out.text(&format!("would take up roll {} of pool {}\n", row.id, row.pool));
    }
    let verbs = retry.iter().map(|host| OperatorVerb::Retry { host: host.clone() });
    let mut verbs: Vec<OperatorVerb> =
        verbs.chain(skip.iter().map(|host| OperatorVerb::Skip { host: host.clone() })).collect();
    if let Some(holder) = store.holder(&row.pool) {
        verbs.push(OperatorVerb::Resume);
        verbs.iter().try_for_each(|verb| order(&store, &row, verb))?;
        return told(ctx, &row, &holder.name, "go on", "look on with: lifeboat roll watch");
    }
    // A roll that a failure stopped waits for a decision about the host, not for a mere "go on".
    // Only where no more hosts failed than the policy allows is there nothing to decide.
    let undecided = super::show::read(&store, &row)?.0.stopped_by_failure();
    if row.state == RollState::Active || !undecided {
        verbs.push(OperatorVerb::Resume);
    }
    take_up(ctx, store, &row, &verbs)
}

pub(super) fn abort(ctx: &Ctx, roll: &RollRef, give_up: bool) -> Result<(), CliError> {
    let store = open_store(ctx)?;
    let row = find(&store, roll)?;
    not_ended(&row)?;
    if give_up {
        return forget(ctx, &store, &row);
    }
    if ctx.dry_run {
        return ctx.out.text(&format!("would abort roll {} of pool {}\n", row.id, row.pool));
    }
    if let Some(holder) = store.holder(&row.pool) {
        order(&store, &row, &OperatorVerb::Abort)?;
        return told(ctx, &row, &holder.name, "abort", "look on with: lifeboat roll watch");
    }
    match take_up(ctx, store, &row, &[OperatorVerb::Abort]) {
        // It is what was asked for.
        Err(error) if error.kind() == Kind::PartlyDone => Ok(()),
        other => other,
    }
}

/// Ends a roll whose journal cannot be read. Says what is to be looked at by hand.
fn forget(ctx: &Ctx, store: &Store, row: &RollRow) -> Result<(), CliError> {
    if ctx.dry_run {
        return ctx.out.text(&format!("would give roll {} of pool {} up\n", row.id, row.pool));
    }
    let holder = super::drive::holder();
    let lease = store.lease(&row.pool, holder).map_err(store_error)?;
    store.give_up(row).map_err(store_error)?;
    drop(lease);
    // Remedies that were made for the roll end with it.
    if let Ok((pool, dir)) = ctx.state.pool(row.pool.as_str())
        && let Ok(mut driver) = drivers::open(&pool, &dir, None)
    {
        check::take_back(ctx, store, driver.as_mut(), &pool)?;
    }
    let names: Vec<String> = row.plan.suspends.iter().map(ToString::to_string).collect();
    let features = if names.is_empty() { "no feature".to_owned() } else { names.join(", ") };
    ctx.out.say(&format!(
        "roll {} is given up; nothing was restored. Look at the pool: it was to suspend {features}, and hosts may be in \
         maintenance (lifeboat pool show {})",
        row.id, row.pool
    ));
    Ok(())
}

/// Becomes the controller of a roll that has none.
fn take_up(ctx: &Ctx, mut store: Store, row: &RollRow, verbs: &[OperatorVerb]) -> Result<(), CliError> {
    let source: PlanSource = serde_json::from_str(&row.context).map_err(|cause| {
        CliError::new(Kind::Failed, format!("roll {} does not say where its release lies", row.id))
            .because(cause)
            .remedy("make a new plan: lifeboat plan create")
    })?;
    let (pool, dir) = ctx.state.pool(row.pool.as_str())?;
    source.check_pool(&pool)?;
    check_release(&source, &row.plan)?;
    let mut driver = drivers::open(&pool, &dir, Some(&source))?;
    let mut view = live(ctx, &row.id)?;
    // Not kept: the journal of a large pool is large, and the controller reads it once more.
    view.replay(store.events(row, 0).map_err(store_error)?.iter().map(|link| &link.event));
    let mut executor = Executor::resume(&mut store, driver.as_mut(), &row.id, options(row.plan.steps.len()))
        .map_err(executor_error)?;
    for verb in verbs {
        executor.order(verb, &who()).map_err(executor_error)?;
    }
    let ended = drive(ctx, &mut executor, view);
    drop(executor);
    check::take_back(ctx, &store, driver.as_mut(), &pool).and(ended)
}

fn order(store: &Store, row: &RollRow, verb: &OperatorVerb) -> Result<(), CliError> {
    let now = jiff::Timestamp::now().as_millisecond();
    let now = Timestamp(u64::try_from(now).unwrap_or(0));
    store.request(&row.id, verb, &who(), now).map_err(store_error)
}

/// The person behind the order, as the system knows them.
pub(crate) fn who() -> String {
    let user = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_default();
    if user.is_empty() { format!("uid {}", rustix::process::geteuid().as_raw()) } else { user }
}

fn not_ended(row: &RollRow) -> Result<(), CliError> {
    if row.state == RollState::Ended {
        return Err(CliError::new(Kind::Conflict, format!("roll {} has ended", row.id))
            .remedy("see how: lifeboat roll status; to go on: lifeboat plan create"));
    }
    Ok(())
}
