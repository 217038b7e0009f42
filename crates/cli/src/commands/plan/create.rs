//! `lifeboat plan create`

use lifeboat_bundle::Rules;
use lifeboat_model::{Finding, Policy, Severity};
use lifeboat_plan::{Options, PlanError, lint, plan};

use super::show;
use crate::args::CreatePlanArgs;
use crate::commands::check;
use crate::commands::release::{load_trust, now, open_bundle, verify_to_end};
use crate::drivers;
use crate::error::{CliError, Kind, file_error};
use crate::files::replace;
use crate::policy::load;
use crate::run::Ctx;
use crate::state::PlanSource;

pub(super) fn create(ctx: &Ctx, args: &CreatePlanArgs) -> Result<(), CliError> {
    let (file, dir) = ctx.state.pool(&args.pool)?;
    let loaded = args.policy.as_deref().map(load).transpose()?;
    let (policy, policy_source) = match loaded {
        Some(loaded) => (loaded.policy, Some(loaded.source)),
        None => (Policy::default(), None),
    };
    let trust = load_trust(&args.trust)?;
    let bundle = open_bundle(&args.release, &trust, &Rules::at(now()))?;
    verify_to_end(&args.release, &bundle)?;
    let bundle_path =
        args.release.canonicalize().map_err(|source| file_error("looking at", &args.release, source))?;
    let (bundle_at, pool_id) = (bundle_path, file.id.clone());
    let source =
        PlanSource { schema: 1, bundle: bundle_at, trust: trust.to_text(), pool_id, policy: policy_source };

    let mut driver = drivers::look(&file, &dir, Some(&source))?;
    let survey = check::survey(driver.as_mut(), &file, Some(bundle.release()))?;
    let world = &survey.world;
    let options = Options {
        exclude: args.exclude.iter().cloned().collect(),
        retry: args.retry.iter().cloned().collect(),
        ..Options::default()
    };
    let made = plan(world, bundle.release(), &policy, &options).map_err(plan_error)?;
    sound(&lint(world, &made))?;
    let findings = check::of_plan(ctx, &survey, &made)?;

    let bug = |cause| CliError::new(Kind::Bug, "writing a plan as JSON").because(cause);
    let hash = if ctx.dry_run {
        made.hash().map_err(bug)?
    } else {
        let (hash, _) = ctx.state.keep_plan(&made, &source)?;
        if let Some(out) = &args.out {
            let bytes = serde_json::to_vec(&made).map_err(bug)?;
            replace(out, 0o644, |file| std::io::Write::write_all(file, &bytes))?;
        }
        hash
    };
    show::show_checked(ctx, &hash, &made, &findings)?;
    if ctx.dry_run {
        ctx.out.say("the plan was not kept (--dry-run)");
    }
    let ended = match made.blocked.len() {
        0 => {
            // A roll that goes on keeps this plan from being started, not from being made.
            let others = findings.into_iter().filter(|finding| {
                finding.code != "roll-not-ended" && !check::is_retried(finding, &args.retry)
            });
            check::refuse(&made.pool, &others.collect::<Vec<_>>())
        }
        count => {
            let hosts = if count == 1 { "1 host is".to_owned() } else { format!("{count} hosts are") };
            let each: Vec<String> =
                made.blocked.iter().map(|each| format!("{}: {}", each.host, each.reason)).collect();
            let each = crate::state::shorten(&each);
            Err(CliError::new(Kind::Blockers, format!("{hosts} blocked, nothing was changed: {each}"))
                .remedy("mend what is named beside each, or leave the host out: --exclude HOST"))
        }
    };
    ended.map_err(CliError::told)
}

fn plan_error(cause: PlanError) -> CliError {
    let (kind, remedy) = match &cause {
        PlanError::Policy(_) => (Kind::Failed, "mend the policy file"),
        PlanError::NoHosts { .. } => (Kind::Blockers, "look at the pool: lifeboat pool show POOL"),
        PlanError::UnknownHost { .. } => (Kind::NotFound, "see its hosts: lifeboat pool show POOL"),
        PlanError::CoordinatorExcluded { .. } => (Kind::Blockers, "do not exclude the coordinator"),
        PlanError::Order { .. } => (Kind::Blockers, "change order, canary or last in the policy"),
        PlanError::AbsurdMemory { .. } => (Kind::Failed, "correct the memory that the pool states"),
    };
    CliError::new(kind, "no plan was made").because(cause).remedy(remedy)
}

/// A plan that its own linter does not accept is never shown for approval.
fn sound(findings: &[Finding]) -> Result<(), CliError> {
    let blockers: Vec<String> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Blocker)
        .map(ToString::to_string)
        .collect();
    if blockers.is_empty() {
        return Ok(());
    }
    Err(CliError::new(
        Kind::Bug,
        format!("the planner made a plan that is not sound: {}", blockers.join("; ")),
    )
    .remedy("report this with the output of: lifeboat pool show -o json"))
}
