//! Which hosts can have a turn at all.
//!
//! Owns: the reasons that lie in one host alone. Promises: every host gets exactly one standing. Does not: look for
//! room; that is the ramp's.

use lifeboat_model::{Blocked, Movable, Policy, ReleaseRef};

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
        match obstacle(pool, host, target, options, spare) {
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
        Self { free, reserve: u64::from(policy.reserve_hosts).saturating_mul(pool.largest()) }
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
            format!("find out why; then ask for a retry on {id} explicitly, or exclude it from this plan"),
        ));
    }
    for &guest in &host.guests {
        let guest = pool.guests[guest].view;
        match &guest.movable {
            Movable::Yes => {}
            Movable::No { reason } => {
                return Some(Blocked {
                    host: id.clone(),
                    guest: Some(guest.id.clone()),
                    reason: format!("guest {} cannot be moved while it runs: {reason}", guest.id),
                    remedy: format!(
                        "remove the cause, or shut {} down for the time of the upgrade, or exclude {id}",
                        guest.id
                    ),
                });
            }
        }
    }
    if spare.reserve > 0 && host.memory > spare.usable() {
        let (free, reserve) = (lifeboat_model::Mib(spare.free), lifeboat_model::Mib(spare.reserve));
        return Some(blocked(
            format!(
                "without this host ({}) the pool cannot keep its reserve: {free} are free in all, and the policy \
                 keeps {reserve} free",
                host.view.memory
            ),
            "lower reserve-hosts in the policy, shut guests down, or add a host".to_owned(),
        ));
    }
    None
}
