//! Checks of the order that the policy asks for.
//!
//! Owns: who is first and who is last. Does not: look at guests.

use lifeboat_model::{Finding, HostId, Order, Plan, World};

use super::{blocker, codes};

/// All findings about the order.
pub(super) fn check(world: &World, plan: &Plan, findings: &mut Vec<Finding>) {
    check_first(world, plan, findings);
    check_last(world, plan, findings);
}

fn check_first(world: &World, plan: &Plan, findings: &mut Vec<Finding>) {
    let Some(first) = plan.steps.first() else { return };
    let current =
        |host: &HostId| world.host(host).is_some_and(|host| host.running == Some(plan.target.digest));
    if plan.policy.order == Order::CoordinatorFirst
        && let Some(coordinator) = world.coordinator()
        && !current(coordinator)
    {
        if first.host != *coordinator {
            let evidence = format!(
                "the first host is {}, and the coordinator {coordinator} runs an older release",
                first.host
            );
            findings.push(blocker(codes::COORDINATOR_FIRST, coordinator.as_str(), evidence));
        }
        return;
    }
    let Some(canary) = &plan.policy.canary else { return };
    if !current(canary) && first.host != *canary {
        let evidence = format!("the first host is {}, and the policy names {canary} as canary", first.host);
        findings.push(blocker(codes::CANARY_FIRST, canary.as_str(), evidence));
    }
}

/// The hosts that go last stand at the end, in the order of the policy, each in a wave of its own.
fn check_last(world: &World, plan: &Plan, findings: &mut Vec<Finding>) {
    let coordinator = match (plan.policy.order, world.coordinator()) {
        (Order::CoordinatorLast, Some(coordinator)) if !plan.policy.last.contains(coordinator) => {
            Some(coordinator)
        }
        (Order::CoordinatorLast | Order::CoordinatorFirst | Order::LeastLoadedFirst, _) => None,
    };
    let mut wanted: Vec<&HostId> = Vec::new();
    for host in plan.policy.last.iter().chain(coordinator) {
        if !wanted.contains(&host) && plan.steps.iter().any(|step| step.host == *host) {
            wanted.push(host);
        }
    }
    let begin = plan.steps.len().saturating_sub(wanted.len());
    for (at, host) in wanted.into_iter().enumerate() {
        let code = if Some(host) == coordinator { codes::COORDINATOR_LAST } else { codes::LAST };
        let place = plan.steps.iter().position(|step| step.host == *host);
        if place != Some(begin + at) {
            let evidence = format!(
                "it is host {} of {}, and the policy wants it to be host {}",
                place.map_or(0, |place| place + 1),
                plan.steps.len(),
                begin + at + 1
            );
            findings.push(blocker(code, host.as_str(), evidence));
            continue;
        }
        let wave = plan.steps.get(begin + at).map(|step| step.wave);
        if plan.steps.iter().filter(|step| Some(step.wave) == wave).count() > 1 {
            let evidence = "another host has its turn in the same wave".to_owned();
            findings.push(blocker(code, host.as_str(), evidence));
        }
    }
}
