//! `lifeboat check run`

use lifeboat_bundle::Rules;
use lifeboat_hypervisor::Hypervisor;
use lifeboat_model::{Finding, Policy, PoolName, ReleaseRef, Timestamp};
use serde::Serialize;

use super::codes::{Ignore, known};
use super::look::{look, rolls, store_if_there, survey};
use super::mend::{Mended, Mender};
use super::report::{Blind, Counts, Filter, Report, Told};
use super::show;
use crate::args::RunCheckArgs;
use crate::commands::ask;
use crate::commands::release::{load_trust, now, open_bundle, verify_to_end};
use crate::drivers;
use crate::error::{CliError, Kind, file_error};
use crate::policy::load;
use crate::run::Ctx;
use crate::state::{PlanSource, PoolFile};

#[derive(Serialize)]
struct Shown<'r> {
    pool: &'r PoolName,
    release: Option<&'r ReleaseRef>,
    at: Timestamp,
    checks: usize,
    unknown: &'r [Blind],
    findings: &'r [Told],
    counts: Counts,
    /// What `--fix` did, or would do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remedies: Vec<Mended>,
}

/// What is looked at.
struct Ground<'a> {
    pool: &'a PoolFile,
    release: Option<ReleaseRef>,
    policy: Policy,
    filter: Filter<'a>,
}

pub(super) fn run(ctx: &Ctx, args: &RunCheckArgs) -> Result<(), CliError> {
    known(args.only.iter().map(String::as_str))?;
    known(args.fix.iter().flatten().map(String::as_str))?;
    let ignore = args.ignore.iter().map(|text| Ignore::of(text)).collect::<Result<Vec<_>, _>>()?;
    let (pool, dir) = ctx.state.pool(&args.pool)?;
    let policy = match &args.policy {
        Some(path) => load(path)?.policy,
        None => Policy::default(),
    };
    let offered = offered(args, &pool)?;
    // Who only looks needs no lock: a roll may run meanwhile.
    let open = if args.fix.is_none() { drivers::look } else { drivers::open };
    let mut driver = open(&pool, &dir, offered.as_ref().map(|(source, _)| source))?;
    let ground = Ground {
        pool: &pool,
        release: offered.map(|(_, release)| release),
        policy,
        filter: Filter { only: &args.only, ignore, reason: args.reason.as_deref().unwrap_or_default() },
    };
    match &args.fix {
        None => {
            let (at, report) = all(ctx, driver.as_mut(), &ground)?;
            tell(ctx, &ground, at, &report, Vec::new())
        }
        Some(codes) => fix(ctx, driver.as_mut(), &ground, codes),
    }
}

/// The release that was named, once its signature is good.
fn offered(args: &RunCheckArgs, pool: &PoolFile) -> Result<Option<(PlanSource, ReleaseRef)>, CliError> {
    let Some(path) = &args.release else { return Ok(None) };
    let trust = load_trust(&args.trust)?;
    let bundle = open_bundle(path, &trust, &Rules::at(now()))?;
    verify_to_end(path, &bundle)?;
    let full = path.canonicalize().map_err(|source| file_error("looking at", path, source))?;
    let pool_id = pool.id.clone();
    let source = PlanSource { schema: 1, bundle: full, trust: trust.to_text(), pool_id, policy: None };
    Ok(Some((source, bundle.release().clone())))
}

/// Runs all checks.
fn all(ctx: &Ctx, driver: &mut dyn Hypervisor, ground: &Ground<'_>) -> Result<(Timestamp, Report), CliError> {
    let survey = survey(driver, ground.pool, ground.release.as_ref())?;
    let rolls = rolls(store_if_there(ctx)?.as_ref(), &ground.pool.name)?;
    Ok((survey.at, Report::of(look(&survey, &ground.policy, None, &rolls), &ground.filter)))
}

/// Shows a report, and gives the end of the command.
fn tell(
    ctx: &Ctx,
    ground: &Ground<'_>,
    at: Timestamp,
    report: &Report,
    remedies: Vec<Mended>,
) -> Result<(), CliError> {
    let pool = &ground.pool.name;
    let failed = remedies.iter().filter(|mended| mended.failed()).count();
    let shown = Shown {
        pool,
        release: ground.release.as_ref(),
        at,
        checks: report.checks,
        unknown: &report.unknown,
        findings: &report.findings,
        counts: report.counts,
        remedies,
    };
    ctx.out.object("check", &shown, pool.as_str(), || show::report(ctx, pool.as_str(), report))?;
    let verdict = if failed > 0 {
        let what = if failed == 1 { "1 remedy".to_owned() } else { format!("{failed} remedies") };
        Err(CliError::new(Kind::Failed, format!("pool {pool}: {what} could not be carried out"))
            .remedy(format!("see why: lifeboat check fixes {pool}")))
    } else {
        report.verdict(pool.as_str())
    };
    verdict.map_err(CliError::told)
}

fn fix(
    ctx: &Ctx,
    driver: &mut dyn Hypervisor,
    ground: &Ground<'_>,
    codes: &[String],
) -> Result<(), CliError> {
    let pool = &ground.pool.name;
    let (at, report) = all(ctx, driver, ground)?;
    let open = super::remedies::open(ctx, pool)?;
    let wanted: Vec<&Finding> = report
        .counted()
        .filter(|finding| finding.fix.is_some() && (codes.is_empty() || codes.contains(&finding.code)))
        .collect();
    let mut plan: Vec<String> =
        open.iter().map(|remedy| format!("take up what was interrupted: {}", remedy.fix)).collect();
    plan.extend(wanted.iter().filter_map(|finding| {
        let fix = finding.fix.as_ref()?;
        Some(format!("{fix}{}", show::undo_of(fix)))
    }));
    if plan.is_empty() {
        ctx.out.say("there is nothing that a program can mend");
        return tell(ctx, ground, at, &report, Vec::new());
    }
    if ctx.dry_run {
        ctx.out.say(&format!("would do in pool {pool}:\n  {}", plan.join("\n  ")));
        let would = wanted.iter().filter_map(|finding| Mended::planned(finding)).collect();
        return tell(ctx, ground, at, &report, would);
    }
    if !ctx.out.format.is_json() {
        ctx.out.text(&(show::report(ctx, pool.as_str(), &report) + "\n"))?;
    }
    ask(ctx, &format!("This is done in pool {pool}:\n  {}", plan.join("\n  ")))?;
    let mut mender = Mender::take(ctx, driver, ground.pool)?;
    let mut done = mender.take_up()?;
    let mut seen = std::collections::BTreeSet::new();
    for finding in wanted {
        // Two findings may have one remedy.
        if let Some(fix) = &finding.fix
            && seen.insert(fix.key())
        {
            done.push(mender.mend(&finding.code, &finding.subject, fix)?);
        }
    }
    drop(mender);
    for mended in &done {
        ctx.out.say(&mended.line());
    }
    if !ctx.out.format.is_json() {
        ctx.out.text("\nafter the remedies:\n\n")?;
    }
    let (at, report) = all(ctx, driver, ground)?;
    tell(ctx, ground, at, &report, done)
}
