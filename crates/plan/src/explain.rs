//! Why a host has no turn, in words with the figures.
//!
//! Owns: the text of [`Blocked`] for lack of room. Does not: decide.

use lifeboat_model::{Blocked, Mib};

use crate::layout::{Lack, Layout, Stuck};
use crate::pool::Pool;

/// Names of the hosts without a turn and their reasons, in the order of names.
pub(crate) fn stuck(pool: &Pool<'_>, layout: &Layout) -> Vec<Blocked> {
    let mut hosts = layout.stuck.clone();
    hosts.sort_unstable_by_key(|&(host, _)| host);
    let blocked = hosts.into_iter().map(|(host, stuck)| match stuck {
        Stuck::Guest(lack) => without_target(pool, host, lack),
        Stuck::Coordinator(first) => after_coordinator(pool, host, first),
    });
    blocked.collect()
}

/// A member that waits for a coordinator that cannot be upgraded.
pub(crate) fn after_coordinator(pool: &Pool<'_>, host: usize, coordinator: usize) -> Blocked {
    let name = &pool.hosts[coordinator].view.id;
    Blocked {
        host: pool.hosts[host].view.id.clone(),
        guest: None,
        reason: format!("the coordinator {name} must be upgraded first, and it is blocked"),
        remedy: format!("remove what blocks {name}"),
    }
}

fn without_target(pool: &Pool<'_>, host: usize, lack: Lack) -> Blocked {
    let guest = pool.guests[lack.guest].view;
    let kind = if lack.upgraded_only { "an upgraded host" } else { "another host" };
    let after = match lack.placed {
        0 => String::new(),
        1 => " once another guest of this host has its target".to_owned(),
        count => format!(" once {count} other guests of this host have their targets"),
    };
    let need = format!("guest {} needs {}", guest.id, guest.memory);
    let (reason, remedy) = match (lack.largest, guest.keep_apart.as_deref(), lack.kept_apart) {
        (None, _, _) => (
            format!("{need}, and there is no host that could take it"),
            "bring another host into service".to_owned(),
        ),
        (Some(_), Some(group), count) if count > 0 => (
            format!(
                "{need}, but on every host with room for it ({count}) is another guest of group {group}{after}"
            ),
            format!("relax the rule that keeps {group} apart, shut {} down, or add a host", guest.id),
        ),
        (Some((target, free)), _, _) => (
            format!(
                "{need}; the largest free room on {kind} is {} on {}{after}",
                Mib(free),
                pool.hosts[target].view.id
            ),
            format!("free memory, shut {} down, or add a host", guest.id),
        ),
    };
    Blocked { host: pool.hosts[host].view.id.clone(), guest: Some(guest.id.clone()), reason, remedy }
}
