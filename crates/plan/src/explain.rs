//! Why a host has no turn, in words with the figures.
//!
//! Owns: the text of [`Blocked`] for lack of room or of what a guest needs. Does not: decide.

use lifeboat_model::{Blocked, Mib};

use crate::layout::{Lack, Layout, Stuck};
use crate::pool::{Host, Pool};

/// Names of the hosts without a turn and their reasons, in the order of names.
pub(crate) fn stuck(pool: &Pool<'_>, layout: &Layout) -> Vec<Blocked> {
    let mut hosts = layout.stuck.clone();
    hosts.sort_unstable_by_key(|&(host, _)| host);
    let blocked = hosts.into_iter().map(|(host, stuck)| match stuck {
        Stuck::Guest(lack) => without_target(pool, host, lack),
        Stuck::First(first) => after_first(pool, host, first),
    });
    blocked.collect()
}

/// A host that waits for a coordinator or canary that cannot be upgraded.
pub(crate) fn after_first(pool: &Pool<'_>, host: usize, first: usize) -> Blocked {
    let name = &pool.hosts[first].view.id;
    let (kind, other) = if pool.coordinator == Some(first) {
        ("coordinator", String::new())
    } else {
        ("canary", ", or name another canary in the policy".to_owned())
    };
    Blocked {
        host: pool.hosts[host].view.id.clone(),
        guest: None,
        reason: format!("the {kind} {name} must be upgraded first, and it is blocked"),
        remedy: format!("remove what blocks {name}{other}"),
    }
}

/// A guest that moves, and that no host but its own can run.
pub(crate) fn homebound(pool: &Pool<'_>, host: &Host<'_>, guest: usize) -> Blocked {
    let guest = pool.guests[guest].view;
    let others = || pool.hosts.iter().filter(|other| other.in_service && other.view.id != host.view.id);
    let nowhere = |need: &&String| !others().any(|other| other.view.offers.contains(*need));
    let missing: Vec<&str> = guest.needs.iter().filter(nowhere).map(String::as_str).collect();
    let reason = if missing.is_empty() {
        let all: Vec<&str> = guest.needs.iter().map(String::as_str).collect();
        format!(
            "guest {} needs {}; of {} other hosts in service none offers all of it",
            guest.id,
            all.join(" and "),
            others().count()
        )
    } else {
        format!(
            "guest {} needs {}; of {} other hosts in service none offers it",
            guest.id,
            missing.join(" and "),
            others().count()
        )
    };
    Blocked {
        host: host.view.id.clone(),
        guest: Some(guest.id.clone()),
        reason,
        remedy: format!(
            "give another host what {id} needs, or set the strategy of {id} to stop-start, or exclude {}",
            host.view.id,
            id = guest.id
        ),
    }
}

fn without_target(pool: &Pool<'_>, host: usize, lack: Lack) -> Blocked {
    let Lack { guest, largest, asked, with_room, kept_apart, placed, upgraded_only } = lack;
    let class = pool.guests[guest].class;
    let guest = pool.guests[guest].view;
    let kind = if upgraded_only { "an upgraded host" } else { "another host" };
    let after = match placed {
        0 => String::new(),
        1 => " once another guest of this host has its target".to_owned(),
        count => format!(" once {count} other guests of this host have their targets"),
    };
    let need = format!("guest {} needs {}", guest.id, guest.memory);
    let blocked = |reason: String, remedy: String| Blocked {
        host: pool.hosts[host].view.id.clone(),
        guest: Some(guest.id.clone()),
        reason,
        remedy,
    };
    if kept_apart > 0
        && let Some(group) = guest.keep_apart.as_deref()
    {
        let reason = format!(
            "{need}, but on every host with room for it ({kept_apart}) is another guest of group {group}{after}"
        );
        let remedy =
            format!("relax the rule that keeps {group} apart, shut {} down, or add a host", guest.id);
        return blocked(reason, remedy);
    }
    // What the guest needs and not all hosts offer: none if it could run everywhere.
    let wanted = pool.classes.wanted(class).join(" and ");
    if wanted.is_empty() {
        return match largest {
            None => blocked(
                format!("{need}, and there is no host that could take it"),
                "bring another host into service".to_owned(),
            ),
            Some((target, free)) => blocked(
                format!(
                    "{need}; the largest free room on {kind} is {} on {}{after}",
                    Mib(free),
                    pool.hosts[target].view.id
                ),
                format!("free memory, shut {} down, or add a host", guest.id),
            ),
        };
    }
    let kinds = if upgraded_only { "upgraded hosts" } else { "hosts" };
    let of = if with_room > 0 {
        format!("of {with_room} {kinds} with room none offers it")
    } else {
        format!("of {asked} {kinds} none has room and offers it")
    };
    let best = largest.map_or_else(String::new, |(target, free)| {
        let name = &pool.hosts[target].view.id;
        format!("; the largest free room where it is offered is {} on {name}", Mib(free))
    });
    blocked(
        format!("{need} and {wanted}; {of}{best}{after}"),
        format!(
            "free memory on a host that offers {wanted}, give another host {wanted}, or set the strategy of {} to \
             stop-start",
            guest.id
        ),
    )
}
