//! Whether the plan still fits the pool.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_model::{GuestId, HostId, Plan, Severity};

use super::catalogue::Page;
use super::found::{Found, count, names};
use super::pool::Pool;
use super::run::Check;

pub(super) const CHECK: Check =
    Check { name: "plan", title: "the plan covers the pool as it is now", pages: &[BLOCKED, OUTDATED], run };

const BLOCKED: Page = Page {
    code: "plan-host-blocked",
    title: "the plan has no turn for a host",
    severity: Severity::Blocker,
    looks_at: "hosts that the planner could not give a turn, with its reason",
    means: "A plan with a blocked host is not started: a host is never forgotten silently.",
    remedy: "Mend what the finding names and make the plan anew, or leave the host out: `lifeboat plan create POOL \
             --exclude HOST`.",
    undo: "",
    incidents: &["I-23"],
};

const OUTDATED: Page = Page {
    code: "plan-outdated",
    title: "the pool has changed since the plan was made",
    severity: Severity::Blocker,
    looks_at: "hosts and running guests of the pool against those of the plan",
    means: "The plan says nothing about what is new, and its figures are not true any more. It would not be started.",
    remedy: "Make the plan anew: `lifeboat plan create POOL`. `lifeboat plan diff OLD NEW` shows what it changes.",
    undo: "",
    incidents: &[],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    let Some(plan) = pool.ground.plan else { return };
    for blocked in &plan.blocked {
        found.add(&BLOCKED, &blocked.host, blocked.reason.clone(), blocked.remedy.clone());
    }
    outdated(pool, plan, found);
}

fn outdated(pool: &Pool<'_>, plan: &Plan, found: &mut Found) {
    let steps = plan.steps.iter().map(|step| &step.host);
    let blocked = plan.blocked.iter().map(|blocked| &blocked.host);
    let planned: BTreeSet<&HostId> =
        steps.chain(blocked).chain(&plan.unchanged).chain(&plan.excluded).collect();
    let mut reasons = Vec::new();
    let gone: Vec<&HostId> = planned.iter().copied().filter(|host| pool.host(host).is_none()).collect();
    if !gone.is_empty() {
        reasons.push(format!("{} of the plan left the pool: {}", count(gone.len(), "host"), names(gone)));
    }
    let new: Vec<&HostId> =
        pool.hosts.iter().map(|host| &host.view.id).filter(|host| !planned.contains(host)).collect();
    if !new.is_empty() {
        reasons.push(format!("{} of the pool not in the plan: {}", count(new.len(), "host"), names(new)));
    }
    let cared: BTreeMap<&HostId, BTreeSet<&GuestId>> = plan
        .steps
        .iter()
        .map(|step| {
            let moves = step.moves.iter().map(|planned| &planned.guest);
            (&step.host, moves.chain(step.stops.iter().map(|stop| &stop.guest)).collect())
        })
        .collect();
    let forgotten: Vec<&GuestId> = pool
        .guests
        .iter()
        .filter(|guest| cared.get(&guest.view.host).is_some_and(|guests| !guests.contains(&guest.view.id)))
        .map(|guest| &guest.view.id)
        .collect();
    if !forgotten.is_empty() {
        let (number, list) = (count(forgotten.len(), "running guest"), names(forgotten));
        reasons.push(format!("{number} on hosts with a turn, of which the plan says nothing: {list}"));
    }
    if plan.pool != *pool.ground.survey.world.pool() {
        reasons.push(format!("it is a plan for pool {}", plan.pool));
    }
    let changed = plan.policy.bound_to_plan(pool.ground.policy);
    if !changed.is_empty() {
        reasons.push(format!("it was made with another policy: {} differ", names(changed)));
    }
    if !reasons.is_empty() {
        let remedy = format!("make the plan anew: lifeboat plan create {}", pool.name());
        found.add(&OUTDATED, pool.name(), reasons.join("; "), remedy);
    }
}
