//! Which hosts can have a turn at all.
//!
//! Owns: the reasons that lie in one host alone. Promises: every host gets exactly one standing. Does not: look for
//! room; that is the ramp's.

use lifeboat_model::{Blocked, GuestStrategy, Movable, Policy, ReleaseRef};

use crate::explain;
use crate::options::Options;
use crate::pool::{Host, Pool};
use crate::room::Role;

/// What happens to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is to be upgraded.
    Upgrade,
    /// It runs the release.
    Unchanged,
    /// The caller leaves it out.
    Excluded,
    /// It cannot be upgraded.
    Blocked,
}

/// The standing of every host, and the reasons of the blocked ones.
pub(crate) fn judge(
    pool: &Pool<'_>,
    target: &ReleaseRef,
    policy: &Policy,
    options: &Options,
) -> (Vec<Standing>, Vec<Blocked>) {
    let spare = Spare::of(pool, policy);
    let mut blocked = Vec::new();
    let standings = pool.hosts.iter().map(|host| {
        if host.view.running == Some(target.digest) {
            return Standing::Unchanged;
        }
        if options.exclude.contains(&host.view.id) {
            return Standing::Excluded;
        }
        match obstacle(pool, host, target, policy, options, spare) {
            Some(reason) => {
                blocked.push(reason);
                Standing::Blocked
            }
            None => Standing::Upgrade,
        }
    });
    (standings.collect(), blocked)
}

/// What hosts of a standing may be used for.
pub(crate) fn roles(pool: &Pool<'_>, standings: &[Standing]) -> Vec<Role> {
    let role = |(host, standing): (&Host<'_>, &Standing)| match (host.in_service, standing) {
        (false, _) => Role::None,
        (true, Standing::Upgrade) => Role::Old,
        (true, Standing::Unchanged) => Role::Upgraded,
        (true, Standing::Excluded | Standing::Blocked) => Role::Staying,
    };
    pool.hosts.iter().zip(standings).map(role).collect()
}

/// Memory that hosts out of service may have together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spare {
    /// Memory that guests do not use, in MiB.
    pub(crate) free: u64,
    /// Part of it that the policy keeps free, in MiB.
    pub(crate) reserve: u64,
}

impl Spare {
    pub(crate) fn of(pool: &Pool<'_>, policy: &Policy) -> Self {
        let free = pool.capacity().saturating_sub(pool.load());
        let hosts = u64::from(policy.reserve_hosts).saturating_mul(pool.largest());
        let share = u128::from(pool.capacity()) * u128::from(policy.reserve_percent) / 100;
        Self { free, reserve: hosts.max(u64::try_from(share).unwrap_or(u64::MAX)) }
    }

    /// What may be out of service.
    pub(crate) fn usable(self) -> u64 {
        self.free.saturating_sub(self.reserve)
    }
}

fn obstacle(
    pool: &Pool<'_>,
    host: &Host<'_>,
    target: &ReleaseRef,
    policy: &Policy,
    options: &Options,
    spare: Spare,
) -> Option<Blocked> {
    let id = &host.view.id;
    let blocked = |reason: String, remedy: String| Blocked { host: id.clone(), guest: None, reason, remedy };
    if !host.view.reachable {
        return Some(blocked(
            "the host does not answer".to_owned(),
            format!("bring {id} back, or exclude it from this plan"),
        ));
    }
    if host.view.maintenance {
        return Some(blocked(
            "the host is in maintenance already, and Lifeboat did not put it there".to_owned(),
            format!("finish the work on {id} and leave maintenance, or exclude it from this plan"),
        ));
    }
    if host.view.failed_releases.contains(&target.digest) && !options.retry.contains(id) {
        return Some(blocked(
            format!("release {target} failed on this host before"),
            format!(
                "find out why; then try again on purpose with --retry {id}, or exclude it from this plan"
            ),
        ));
    }
    let held = host.staying.iter().find_map(|&guest| holds(pool, host, guest, policy));
    let bound = || host.guests.iter().find(|&&guest| pool.classes.homebound(pool.guests[guest].class));
    if let Some(reason) = held.or_else(|| bound().map(|&guest| explain::homebound(pool, host, guest))) {
        return Some(reason);
    }
    if spare.reserve > 0 && (spare.free < spare.reserve || host.lost() > spare.usable()) {
        let (free, reserve) = (lifeboat_model::Mib(spare.free), lifeboat_model::Mib(spare.reserve));
        return Some(blocked(
            format!(
                "without this host ({}) the pool cannot keep its reserve: {free} are free in all, and the policy \
                 keeps {reserve} free",
                host.view.memory
            ),
            "lower reserve-hosts or reserve-percent in the policy, shut guests down, or add a host"
                .to_owned(),
        ));
    }
    None
}

/// Why a guest that does not move keeps its host from its turn; none if it may be down meanwhile.
fn holds(pool: &Pool<'_>, host: &Host<'_>, guest: usize, policy: &Policy) -> Option<Blocked> {
    let (strategy, guest) = (pool.guests[guest].strategy, pool.guests[guest].view);
    let rule = policy.guests.iter().position(|rule| rule.matches(&guest.id));
    let rule = rule.and_then(|at| Some((at, policy.guests.get(at)?)));
    let rule =
        rule.map(|(at, rule)| format!("rule guests.{at} of the policy (\"{}\")", rule.guests.join("\", \"")));
    let (id, name) = (&host.view.id, &guest.id);
    let cannot = match &guest.movable {
        Movable::Yes => None,
        Movable::No { reason } => Some(format!("guest {name} cannot be moved while it runs: {reason}")),
    };
    let (reason, remedy) = match (strategy, cannot, rule) {
        (GuestStrategy::StopStart | GuestStrategy::Leave, _, _) => return None,
        (GuestStrategy::Migrate, cannot, rule) => {
            let reason = cannot.unwrap_or_else(|| format!("guest {name} is not moved"));
            let why = rule.as_deref().map_or_else(String::new, |rule| format!("; {rule} wants it moved"));
            let change = match rule {
                Some(rule) => format!("change {rule} to stop-start or leave"),
                None => "let a rule say stop-start or leave".to_owned(),
            };
            (
                format!("{reason}{why}"),
                format!(
                    "remove the cause, or shut {name} down for the time of the upgrade, or {change}, or exclude {id}"
                ),
            )
        }
        (GuestStrategy::Forbid, Some(cannot), None) => (
            cannot,
            format!(
                "remove the cause, or shut {name} down for the time of the upgrade, or set immovable-guests to \
                 stop-start or leave, or exclude {id}"
            ),
        ),
        (GuestStrategy::Forbid, _, rule) => {
            let rule = rule.unwrap_or_else(|| "immovable-guests of the policy".to_owned());
            (
                format!("guest {name} runs on it, and {rule} says forbid"),
                format!(
                    "shut {name} down, or change {rule} to migrate, stop-start or leave, or exclude {id}"
                ),
            )
        }
    };
    Some(Blocked { host: id.clone(), guest: Some(name.clone()), reason, remedy })
}
