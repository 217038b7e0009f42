//! `lifeboat roll start`

use std::io::{IsTerminal as _, Write as _};

use lifeboat_executor::{Adopted, Executor};
use lifeboat_model::{Plan, RollId};

use super::drive::{board_path, drive, options};
use lifeboat_store::{RollState, Store};

use super::{executor_error, open_store, store_error};
use crate::args::StartArgs;
use crate::commands::check;
use crate::drivers;
use crate::error::{CliError, Kind};
use crate::run::Ctx;
use crate::state::{PlanSource, StateDir};
use crate::view::{LiveView, Style};

pub(super) fn run(ctx: &Ctx, args: &StartArgs) -> Result<(), CliError> {
    let stored = ctx.state.plan(&args.plan, false)?;
    let source = ctx.state.plan_source(&stored.hash)?;
    let (pool, dir) = ctx.state.pool(stored.plan.pool.as_str())?;
    if !args.retry.is_empty() {
        let unknown =
            args.retry.iter().find(|host| !stored.plan.steps.iter().any(|step| step.host == **host));
        if let Some(host) = unknown {
            return Err(CliError::new(Kind::NotFound, format!("the plan has no step for host {host}"))
                .remedy(format!("make a plan that has one: lifeboat plan create … --retry {host}")));
        }
    }
    source.check_pool(&pool)?;
    check_release(&source, &stored.plan)?;
    if ctx.state.database().exists() {
        not_rolling(&open_store(ctx)?, &stored.plan)?;
    }
    if ctx.dry_run {
        return ctx.out.text(&format!(
            "would carry out plan {}\n{}",
            stored.hash.short(),
            summary(&stored.plan)
        ));
    }
    confirm(ctx, &stored.plan, &format!("carry out plan {}", stored.hash.short()))?;
    let mut driver = drivers::open(&pool, &dir, Some(&source))?;
    let mut store = open_store(ctx)?;
    settled(&store, &stored.plan)?;
    let mut options = options(stored.plan.steps.len());
    match &args.adopt {
        None => nothing_left_off(&store, &stored.plan)?,
        Some(old) => {
            // By its name alone: its plan may be what is damaged.
            let old = super::recover::find_id(&store, &crate::args::RollRef { roll: Some(old.clone()) })?;
            let adopted = super::salvaged::adoptable(&store, &old)?;
            options.adopt = adopted
                .into_iter()
                .map(|(feature, original, from)| Adopted { feature, original, from })
                .collect();
        }
    }
    match check::before_roll(ctx, driver.as_mut(), &stored.plan, &stored.plan.policy, &args.retry, &store) {
        Err(found) if args.despite_findings && found.kind() == Kind::Blockers => {
            ctx.out.say(&format!("started all the same, by --despite-findings: {}", found.line()));
            let who = super::control::who();
            let text = format!("{who} started the roll despite what the checks found: {}", found.line());
            options.warnings.push((
                "started-despite-findings".to_owned(),
                stored.plan.pool.to_string(),
                text,
            ));
        }
        other => other?,
    }
    let id = new_roll_id()?;
    let context = serde_json::to_string(&source)
        .map_err(|cause| CliError::new(Kind::Bug, "writing the source of a plan").because(cause))?;
    let view = live(ctx, &id)?;
    let plan = &stored.plan;
    let mut executor =
        Executor::start(&mut store, driver.as_mut(), &id, plan, &stored.hash, &context, options)
            .map_err(executor_error)?;
    for host in &args.retry {
        let verb = lifeboat_model::OperatorVerb::Retry { host: host.clone() };
        executor.order(&verb, "roll start --retry").map_err(executor_error)?;
    }
    let ended = drive(ctx, &mut executor, view);
    drop(executor);
    check::take_back(ctx, &store, driver.as_mut(), &pool).and(ended)
}

/// The bundle must be the release that was planned, whatever lies at its path now.
pub(super) fn check_release(source: &PlanSource, plan: &Plan) -> Result<(), CliError> {
    let trust = lifeboat_bundle::TrustStore::parse(&source.trust)
        .map_err(|cause| CliError::new(Kind::Failed, "the trusted keys of the plan").because(cause))?;
    let rules = lifeboat_bundle::Rules::at(crate::commands::release::now());
    let bundle = crate::commands::release::open_bundle(&source.bundle, &trust, &rules)?;
    if bundle.release().digest == plan.target.digest {
        return Ok(());
    }
    let what =
        format!("{} holds {}, not the planned {}", source.bundle.display(), bundle.release(), plan.target);
    Err(CliError::new(Kind::Verification, what).remedy("put the planned bundle back, or make a new plan"))
}

fn not_rolling(store: &Store, plan: &Plan) -> Result<(), CliError> {
    let rolls = store.rolls().map_err(store_error)?;
    let Some(row) = rolls.iter().find(|row| row.pool == plan.pool && row.state == RollState::Active) else {
        return Ok(());
    };
    let (how, remedy) = match store.holder(&row.pool) {
        Some(holder) => (format!("is being carried out by {}", holder.name), "look on: lifeboat roll watch"),
        None => ("was interrupted".to_owned(), "take it up: lifeboat roll resume"),
    };
    Err(CliError::new(Kind::Conflict, format!("roll {} of pool {} {how}", row.id, row.pool)).remedy(remedy))
}

/// What a recovered roll left off, and whose value nobody knows, is not forgotten by the next.
fn settled(store: &Store, plan: &Plan) -> Result<(), CliError> {
    let heads = store.heads().map_err(store_error)?;
    let Some(last) = heads.iter().find(|head| head.pool == plan.pool) else { return Ok(()) };
    let Some(first) = super::salvaged::unsettled(store, &last.id).into_iter().next() else { return Ok(()) };
    let what = format!(
        "roll {}, whose journal was lost, left {first} switched off, and its value before is not proved",
        last.id
    );
    Err(CliError::new(Kind::Conflict, what).remedy(format!(
        "look the value up and name it: lifeboat roll recover {} --value {first}='VALUE'",
        last.id
    )))
}

/// A new roll takes the place of one that stopped; what that one left switched off must not be forgotten.
fn nothing_left_off(store: &Store, plan: &Plan) -> Result<(), CliError> {
    let heads = store.heads().map_err(store_error)?;
    if let Some(last) = heads.iter().find(|head| head.pool == plan.pool)
        && let Ok(left) = super::salvaged::adoptable(store, &last.id)
        && !left.is_empty()
    {
        let names: Vec<String> =
            left.iter().map(|(kind, value, _)| format!("{kind} (was {value})")).collect();
        return Err(CliError::new(
            Kind::Conflict,
            format!(
                "roll {}, whose journal was lost, left something switched off: {}",
                last.id,
                names.join(", ")
            ),
        )
        .remedy(format!(
            "let this roll restore it: add --adopt {}; or restore it now: lifeboat roll recover {} --restore",
            last.id, last.id
        )));
    }
    let rolls = store.rolls().map_err(store_error)?;
    let stopped = rolls.iter().find(|row| row.pool == plan.pool && row.state == RollState::Stopped);
    let Some(row) = stopped else { return Ok(()) };
    let off = super::suspended(store, row)?;
    if off.is_empty() {
        return Ok(());
    }
    Err(CliError::new(
        Kind::Conflict,
        format!("roll {} left something switched off: {}", row.id, off.join("; ")),
    )
    .remedy(format!("restore it first: lifeboat roll abort {}", row.id)))
}

/// The view that fits this output, publishing the roll's board.
pub(crate) fn live(ctx: &Ctx, roll: &RollId) -> Result<LiveView, CliError> {
    let path = board_path(ctx, roll);
    if let Some(folder) = path.parent() {
        StateDir::make_dir(folder)?;
    }
    Ok(LiveView::new(Style::fitting(&ctx.out), &ctx.out, ctx.verbose, Some(path)))
}

/// A name that sorts by time and is not used twice: `roll-20261120-2315-3f9c`.
pub(crate) fn new_roll_id() -> Result<RollId, CliError> {
    let mut random = [0_u8; 2];
    getrandom::fill(&mut random)
        .map_err(|error| CliError::new(Kind::Failed, format!("random bytes from the kernel: {error}")))?;
    let [a, b] = random;
    let time = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
    RollId::new(format!("roll-{time}-{a:02x}{b:02x}"))
        .map_err(|error| CliError::usage("a roll's name").because(error))
}

/// A plan in three lines.
pub(crate) fn summary(plan: &Plan) -> String {
    let figures = &plan.figures;
    format!(
        "pool {}, {} hosts in {} waves to {} {}, {} moves of guests (no plan can do with fewer than {}), about {}\n",
        plan.pool,
        plan.steps.len(),
        figures.waves,
        plan.target.name,
        plan.target.version,
        figures.moves.planned,
        figures.moves.bound,
        figures.makespan.planned,
    )
}

/// Asks a person on a terminal. A script is not asked: giving the hash was its approval.
fn confirm(ctx: &Ctx, plan: &Plan, what: &str) -> Result<(), CliError> {
    if ctx.yes || !std::io::stdin().is_terminal() || ctx.out.format.is_json() {
        return Ok(());
    }
    let mut stderr = std::io::stderr().lock();
    let asked = write!(stderr, "{}{what}? [y/N] ", summary(plan)).and_then(|()| stderr.flush());
    drop(stderr);
    let mut answer = String::new();
    if asked.is_ok()
        && std::io::stdin().read_line(&mut answer).is_ok()
        && matches!(answer.trim(), "y" | "Y" | "yes")
    {
        return Ok(());
    }
    Err(CliError::new(Kind::Failed, "not approved; nothing was changed").remedy("answer y, or give --yes"))
}
