//! `lifeboat roll pause|resume|abort`

use lifeboat_executor::Executor;
use lifeboat_model::{HostId, OperatorVerb, Timestamp};
use lifeboat_store::{RollRow, RollState, Store};

use super::drive::{drive, options};
use super::start::{check_release, live};
use super::{executor_error, find, open_store, store_error};
use crate::args::RollRef;
use crate::drivers;
use crate::error::{CliError, Kind};
use crate::run::Ctx;
use crate::state::PlanSource;

pub(super) fn pause(ctx: &Ctx, roll: &RollRef) -> Result<(), CliError> {
    let store = open_store(ctx)?;
    let row = find(&store, roll)?;
    let Some(holder) = store.holder(&row.pool).filter(|_| row.state == RollState::Active) else {
        return Err(CliError::new(Kind::Conflict, format!("no controller is at work on roll {}", row.id))
            .remedy("there is nothing to pause; to go on: lifeboat roll resume"));
    };
    order(&store, &row, &OperatorVerb::Pause)?;
    ctx.out.say(&format!(
        "{} was told to pause: it begins nothing new; go on with: lifeboat roll resume",
        holder.name
    ));
    Ok(())
}

pub(super) fn resume(ctx: &Ctx, roll: &RollRef, retry: &[HostId], skip: &[HostId]) -> Result<(), CliError> {
    let store = open_store(ctx)?;
    let row = find(&store, roll)?;
    not_ended(&row)?;
    for host in retry.iter().chain(skip) {
        if !row.plan.steps.iter().any(|step| step.host == *host) {
            return Err(CliError::new(
                Kind::NotFound,
                format!("roll {} has no step for host {host}", row.id),
            )
            .remedy("see: lifeboat roll status"));
        }
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
        ctx.out.say(&format!("{} goes on; look on with: lifeboat roll watch", holder.name));
        return Ok(());
    }
    // A roll that a failure stopped waits for a decision about the host, not for a mere "go on".
    // Only where no host failed is there nothing to decide.
    let failed = super::show::read(&store, &row)?.0.hosts().iter().any(|run| run.phase.is_failure());
    if row.state == RollState::Active || (verbs.is_empty() && !failed) {
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
        ctx.out.say(&format!("{} was told to abort; look on with: lifeboat roll watch", holder.name));
        return Ok(());
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
    let _lease = store.lease(&row.pool, holder).map_err(store_error)?;
    store.give_up(row).map_err(store_error)?;
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
    let before: Vec<_> =
        store.events(row, 0).map_err(store_error)?.into_iter().map(|link| link.event).collect();
    let view = live(ctx, &row.id)?;
    let mut executor =
        Executor::resume(&mut store, driver.as_mut(), &row.id, options()).map_err(executor_error)?;
    for verb in verbs {
        executor.order(verb, &who()).map_err(executor_error)?;
    }
    drive(ctx, &mut executor, view, &before)
}

fn order(store: &Store, row: &RollRow, verb: &OperatorVerb) -> Result<(), CliError> {
    let now = jiff::Timestamp::now().as_millisecond();
    let now = Timestamp(u64::try_from(now).unwrap_or(0));
    store.request(&row.id, verb, &who(), now).map_err(store_error)
}

/// The person behind the order, as the system knows them.
fn who() -> String {
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
