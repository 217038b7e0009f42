//! Checks as part of planning and of starting a roll.

use lifeboat_hypervisor::Hypervisor;
use lifeboat_model::{Finding, HostId, Plan, Policy, PoolName, Severity, Survey};
use lifeboat_plan::check::Looked;
use lifeboat_store::Store;

use super::look::{look, rolls, store_if_there};
use super::show;
use crate::error::{CliError, Kind};
use crate::run::Ctx;

/// What the checks say about a plan that was just made: warnings and blockers that the plan does not tell itself.
pub(crate) fn of_plan(ctx: &Ctx, survey: &Survey, plan: &Plan) -> Result<Vec<Finding>, CliError> {
    let rolls = rolls(store_if_there(ctx)?.as_ref(), &plan.pool)?;
    let checked = look(survey, &plan.policy, Some(plan), &rolls);
    let mut findings: Vec<Finding> = checked.into_iter().flat_map(|check| check.findings).collect();
    findings.retain(|finding| finding.severity > Severity::Note && !in_plan(finding, plan));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Ok(findings)
}

/// Whether the plan itself says the same: a blocked host with its remedy, or a feature that is suspended.
fn in_plan(finding: &Finding, plan: &Plan) -> bool {
    let suspended = |finding: &Finding| {
        plan.suspends.iter().any(|kind| finding.code.strip_suffix("-on") == Some(&kind.to_string()))
    };
    if finding.code == "plan-host-blocked" || (finding.severity == Severity::Warning && suspended(finding)) {
        return true;
    }
    // A remedy that a program can carry out is worth telling again.
    finding.fix.is_none()
        && plan.blocked.iter().any(|blocked| {
            let guest = blocked.guest.as_ref().map(lifeboat_model::GuestId::as_str);
            guest.unwrap_or(blocked.host.as_str()) == finding.subject
        })
}

/// Looks at the pool once more when a plan was approved, before anything is suspended. Warnings go to standard error.
/// `driver` must know the release of the plan. `retry`: hosts on which a person tries it again although it failed.
///
/// # Errors
/// Kind blockers with every blocker; nothing was changed.
pub(crate) fn before_roll(
    ctx: &Ctx,
    driver: &mut dyn Hypervisor,
    plan: &Plan,
    policy: &Policy,
    retry: &[HostId],
    store: &Store,
) -> Result<(), CliError> {
    let pool: &PoolName = &plan.pool;
    let survey = driver.survey(Some(&plan.target)).map_err(|cause| {
        CliError::new(Kind::Unreachable, format!("pool {pool} cannot be looked at"))
            .because(cause)
            .remedy("nothing was changed; when the pool answers, start again")
    })?;
    let checked = look(&survey, policy, Some(plan), &rolls(Some(store), pool)?);
    let unknown = checked.iter().filter(|check| check.looked != Looked::Yes).count();
    let mut findings: Vec<Finding> = checked.into_iter().flat_map(|check| check.findings).collect();
    findings.retain(|finding| finding.severity > Severity::Note && !in_plan(finding, plan));
    findings.retain(|finding| !is_retried(finding, retry));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    if !findings.is_empty() && !ctx.out.format.is_json() {
        ctx.out.say(show::findings(ctx, &findings).trim_end());
    }
    if unknown > 0 && ctx.verbose > 0 {
        ctx.out.say(&format!("{unknown} checks could not look at everything: lifeboat check run {pool}"));
    }
    refuse(pool, &findings)
}

/// Whether a release is to be tried again on purpose where it failed (I-31).
pub(crate) fn is_retried(finding: &Finding, retry: &[HostId]) -> bool {
    finding.code == "release-failed-before" && retry.iter().any(|host| host.as_str() == finding.subject)
}

/// The error that blockers make.
pub(crate) fn refuse(pool: &PoolName, findings: &[Finding]) -> Result<(), CliError> {
    let blockers: Vec<String> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Blocker)
        .map(|finding| format!("{} {}", finding.code, finding.subject))
        .collect();
    if blockers.is_empty() {
        return Ok(());
    }
    let count =
        if blockers.len() == 1 { "1 blocker".to_owned() } else { format!("{} blockers", blockers.len()) };
    Err(CliError::new(
        Kind::Blockers,
        format!("the checks found {count}, nothing was changed: {}", crate::state::shorten(&blockers)),
    )
    .remedy(format!("mend what is named above; what a program can mend: lifeboat check run {pool} --fix")))
}
