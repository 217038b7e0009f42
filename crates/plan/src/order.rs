//! Who must be first and who goes last.
//!
//! Owns: the policy's order in terms of this pool, and its contradictions. Promises: a host that must be first is
//! never silently not the first; names that the pool does not have are refused. Does not: order the hosts between.

use lifeboat_model::{HostId, Order, Policy};

use crate::options::PlanError;
use crate::pool::Pool;
use crate::standing::Standing;

/// The host that must be first, unless it runs the release already: the coordinator, or else the canary.
pub(crate) fn first_host(
    pool: &Pool<'_>,
    policy: &Policy,
    standings: &[Standing],
) -> Result<Option<usize>, PlanError> {
    if let Some(coordinator) = coordinator_first(pool, policy, standings)? {
        return Ok(Some(coordinator));
    }
    let Some(canary) = &policy.canary else { return Ok(None) };
    let Some(index) = pool.index_of(canary) else {
        return Err(unknown(pool, canary, "canary of the policy"));
    };
    match standings[index] {
        Standing::Unchanged => Ok(None),
        Standing::Excluded if !standings.contains(&Standing::Upgrade) => Ok(None),
        Standing::Excluded => Err(PlanError::Order {
            pool: pool.name.clone(),
            reason: format!("canary {canary} is to go first and is excluded"),
            remedy: "plan without excluding it, or name another canary".to_owned(),
        }),
        Standing::Upgrade | Standing::Blocked if last(policy, pool).any(|host| host == canary) => {
            Err(PlanError::Order {
                pool: pool.name.clone(),
                reason: format!(
                    "canary {canary} is the coordinator, and order coordinator-last puts it last"
                ),
                remedy: "name another canary, or another order".to_owned(),
            })
        }
        Standing::Upgrade | Standing::Blocked => Ok(Some(index)),
    }
}

fn coordinator_first(
    pool: &Pool<'_>,
    policy: &Policy,
    standings: &[Standing],
) -> Result<Option<usize>, PlanError> {
    let (Order::CoordinatorFirst, Some(coordinator)) = (policy.order, pool.coordinator) else {
        return Ok(None);
    };
    let id = &pool.hosts[coordinator].view.id;
    let others = || standings.iter().enumerate().any(|(h, s)| h != coordinator && *s == Standing::Upgrade);
    match standings[coordinator] {
        Standing::Unchanged => Ok(None),
        Standing::Upgrade | Standing::Blocked if policy.last.contains(id) && others() => {
            Err(PlanError::Order {
                pool: pool.name.clone(),
                reason: format!(
                    "{id} is the coordinator, which order coordinator-first puts first, and `last` names it"
                ),
                remedy: format!(
                    "take {id} out of `last`, or set order = \"coordinator-last\" if this pool's members may be newer than \
                 their coordinator"
                ),
            })
        }
        Standing::Upgrade | Standing::Blocked => Ok(Some(coordinator)),
        Standing::Excluded if !standings.contains(&Standing::Upgrade) => Ok(None),
        Standing::Excluded => {
            Err(PlanError::CoordinatorExcluded { coordinator: id.clone(), pool: pool.name.clone() })
        }
    }
}

/// Hosts that go last, in their order: those that the policy names, then the coordinator if the order says so and no
/// place is named for it.
fn last<'a>(policy: &'a Policy, pool: &'a Pool<'_>) -> impl Iterator<Item = &'a HostId> {
    let coordinator = pool.coordinator.map(|host| &pool.hosts[host].view.id);
    let coordinator =
        coordinator.filter(|id| policy.order == Order::CoordinatorLast && !policy.last.contains(*id));
    policy.last.iter().chain(coordinator)
}

/// The hosts that go last, in their order.
pub(crate) fn last_hosts(pool: &Pool<'_>, policy: &Policy) -> Result<Vec<usize>, PlanError> {
    let mut hosts = Vec::new();
    for id in last(policy, pool) {
        let Some(host) = pool.index_of(id) else { return Err(unknown(pool, id, "`last` of the policy")) };
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    Ok(hosts)
}

fn unknown(pool: &Pool<'_>, host: &HostId, list: &'static str) -> PlanError {
    PlanError::UnknownHost { host: host.clone(), pool: pool.name.clone(), list }
}

/// What a person should know about the order: it is broken already, or the canary is not the first.
pub(crate) fn notes(
    pool: &Pool<'_>,
    policy: &Policy,
    standings: &[Standing],
    first: Option<usize>,
) -> Vec<String> {
    let mut notes = Vec::new();
    if let (Order::CoordinatorFirst, Some(coordinator)) = (policy.order, pool.coordinator)
        && standings[coordinator] != Standing::Unchanged
    {
        let name = &pool.hosts[coordinator].view.id;
        let ahead =
            pool.hosts.iter().zip(standings).filter(|(_, standing)| **standing == Standing::Unchanged);
        let ahead: Vec<String> = ahead.map(|(host, _)| host.view.id.to_string()).collect();
        if !ahead.is_empty() {
            let way_out = match first {
                Some(_) => format!("the way out is to upgrade {name} first, as this plan does"),
                None => format!("the way out is to upgrade {name} next: remove what blocks it"),
            };
            notes.push(format!(
                "the order is broken already: {} {} the new release before the coordinator {name}. A member that is \
                 newer than its coordinator may lose its network when it is rebooted: do not reboot it before; {way_out}",
                crate::figures::list(&ahead),
                if ahead.len() == 1 { "runs" } else { "run" },
            ));
        }
    }
    if let (Some(canary), Some(first)) = (&policy.canary, first)
        && pool.hosts[first].view.id != *canary
    {
        notes.push(format!(
            "canary {canary} is not the first host: the coordinator {} must be",
            pool.hosts[first].view.id
        ));
    }
    notes
}
