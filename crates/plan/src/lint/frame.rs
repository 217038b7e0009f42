//! Checks of a plan that need no replay: names, lists, waves, policy.
//!
//! Owns: the checks on hosts and waves. Does not: follow guests.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_model::{FeatureView, Finding, HostId, PLAN_SCHEMA, Plan, PlanStep, Severity, World};

use super::{blocker, codes, finding};

/// All findings about lists, waves and policy.
pub(super) fn check(world: &World, plan: &Plan) -> Vec<Finding> {
    let mut findings = Vec::new();
    if plan.pool != *world.pool()
        || plan.coordinator.as_ref() != world.coordinator()
        || plan.schema > PLAN_SCHEMA
    {
        findings.push(blocker(
            codes::OTHER_POOL,
            plan.pool.as_str(),
            format!(
                "the plan is for pool {} (schema {}), the pool is {}",
                plan.pool,
                plan.schema,
                world.pool()
            ),
        ));
    }
    check_hosts(world, plan, &mut findings);
    check_waves(world, plan, &mut findings);
    check_suspends(world, plan, &mut findings);
    findings
}

fn check_hosts(world: &World, plan: &Plan, findings: &mut Vec<Finding>) {
    let mut named: BTreeSet<&HostId> = BTreeSet::new();
    let steps = plan.steps.iter().map(|step| &step.host);
    let blocked = plan.blocked.iter().map(|blocked| &blocked.host);
    for host in steps.chain(&plan.unchanged).chain(&plan.excluded).chain(blocked) {
        if world.host(host).is_none() {
            findings.push(blocker(codes::UNKNOWN_HOST, host.as_str(), "it is not in the pool".to_owned()));
        }
        if !named.insert(host) {
            findings.push(blocker(codes::HOST_TWICE, host.as_str(), "the plan names it twice".to_owned()));
        }
    }
    for host in world.hosts() {
        if !named.contains(&host.id) {
            let evidence = "it has no turn, and no list says why".to_owned();
            findings.push(finding(codes::HOST_NOT_IN_PLAN, Severity::Note, host.id.as_str(), evidence));
        }
    }
    let runs_target =
        |host: &HostId| world.host(host).is_some_and(|host| host.running == Some(plan.target.digest));
    for step in &plan.steps {
        let Some(host) = world.host(&step.host) else { continue };
        let unfit = if !host.reachable {
            "it does not answer"
        } else if host.maintenance {
            "it is in maintenance"
        } else if runs_target(&step.host) {
            "it runs the release already"
        } else {
            continue;
        };
        findings.push(blocker(codes::HOST_UNFIT, step.host.as_str(), unfit.to_owned()));
    }
    for host in plan.unchanged.iter().filter(|host| !runs_target(host)) {
        let evidence = format!("it is said to run {}, and does not", plan.target);
        findings.push(blocker(codes::NOT_UNCHANGED, host.as_str(), evidence));
    }
    for host in plan.excluded.iter().filter(|host| runs_target(host)) {
        let evidence = format!("it is said to be left out on another release, and runs {}", plan.target);
        findings.push(blocker(codes::NOT_EXCLUDED, host.as_str(), evidence));
    }
}

fn check_waves(world: &World, plan: &Plan, findings: &mut Vec<Finding>) {
    let allowed = plan.policy.in_flight_of(world.hosts().len());
    let mut expected = 1;
    for wave in plan.steps.chunk_by(|a, b| a.wave == b.wave) {
        let number = wave.first().map_or(0, |step| step.wave);
        let subject = format!("wave {number}");
        if number != expected || (number == 1 && wave.len() > 1) {
            let evidence = format!("{} hosts stand where wave {expected} is expected", wave.len());
            findings.push(blocker(codes::WAVE_ORDER, &subject, evidence));
        }
        expected = number.saturating_add(1);
        if wave.len() > allowed {
            let evidence = format!("{} hosts; the policy allows {allowed} out of service", wave.len());
            findings.push(blocker(codes::TOO_MANY_DOWN, &subject, evidence));
        }
        check_domains(world, plan, wave, &subject, findings);
    }
    check_reserve(world, plan, findings);
}

fn check_domains(world: &World, plan: &Plan, wave: &[PlanStep], subject: &str, findings: &mut Vec<Finding>) {
    if !plan.policy.one_per_fault_domain {
        return;
    }
    let mut domains: BTreeMap<&str, &HostId> = BTreeMap::new();
    for step in wave {
        let Some(domain) = world.host(&step.host).and_then(|host| host.fault_domain.as_deref()) else {
            continue;
        };
        if let Some(other) = domains.insert(domain, &step.host) {
            let evidence = format!("{} and {other} are both in fault domain {domain}", step.host);
            findings.push(blocker(codes::FAULT_DOMAIN, subject, evidence));
        }
    }
}

/// The roll may have any `peak` hosts down at once, whatever their waves: the largest must leave the reserve. A guest
/// that is down with its host needs no room meanwhile.
fn check_reserve(world: &World, plan: &Plan, findings: &mut Vec<Finding>) {
    let serving = || world.hosts().filter(|host| host.reachable && !host.maintenance);
    let largest = serving().map(|host| host.memory.0).max().unwrap_or(0);
    let capacity: u64 = serving().map(|host| host.memory.0).sum();
    let share = u128::from(capacity) * u128::from(plan.policy.reserve_percent) / 100;
    let hosts = u64::from(plan.policy.reserve_hosts).saturating_mul(largest);
    let reserve = hosts.max(u64::try_from(share).unwrap_or(u64::MAX));
    if reserve == 0 || plan.steps.is_empty() {
        return;
    }
    let load: u64 = serving().map(|host| world.load_of(&host.id).0).sum();
    let size = |step: &PlanStep| {
        let kept = step.stops.iter().fold(0, |kept: u64, stop| kept.saturating_add(stop.memory.0));
        Some(world.host(&step.host)?.memory.0.saturating_sub(kept))
    };
    let mut sizes: Vec<u64> = plan.steps.iter().filter_map(size).collect();
    sizes.sort_unstable();
    let peak = plan.steps.chunk_by(|a, b| a.wave == b.wave).map(<[_]>::len).max().unwrap_or(0);
    let down: u64 = sizes.iter().rev().take(peak).sum();
    if capacity.saturating_sub(down) < load.saturating_add(reserve) {
        let evidence = format!(
            "with {peak} hosts ({down} MiB) out of service {} MiB remain for a load of {load} MiB and a reserve of \
             {reserve} MiB",
            capacity.saturating_sub(down)
        );
        findings.push(blocker(codes::RESERVE, "pool", evidence));
    }
}

fn check_suspends(world: &World, plan: &Plan, findings: &mut Vec<Finding>) {
    if plan.steps.is_empty() {
        return;
    }
    for feature in
        world.features().filter(|feature| feature.is_on() && !plan.suspends.contains(&feature.kind))
    {
        let evidence = "it is on and the plan does not suspend it".to_owned();
        findings.push(blocker(codes::SUSPENDS, feature.kind.word(), evidence));
    }
    for kind in plan.suspends.iter().filter(|kind| !world.feature(**kind).is_some_and(FeatureView::is_on)) {
        findings.push(blocker(codes::SUSPENDS, kind.word(), "it is off and the plan suspends it".to_owned()));
    }
}
