//! Whether guests that must not share a host can be kept apart with a host less.

use std::collections::BTreeMap;

use lifeboat_model::Severity;

use super::catalogue::Page;
use super::found::{Found, count, names};
use super::pool::{Guest, Pool};
use super::run::Check;

pub(super) const CHECK: Check = Check {
    name: "keep-apart",
    title: "guests that must not share a host can be kept apart",
    pages: &[NO_ROOM, BROKEN],
    run,
};

const NO_ROOM: Page = Page {
    code: "keep-apart-without-room",
    title: "a group of guests that must not share a host needs more hosts than remain",
    severity: Severity::Blocker,
    looks_at: "groups of running guests that must not share a host, against the hosts in service less the one that is \
               being upgraded",
    means: "When the host of one of them is to be emptied, every other host has another guest of its group: it has \
            nowhere to go, and its host is not upgraded.",
    remedy: "Relax the rule for the time of the roll, shut one guest of the group down, add a host, or let the guests \
             be down while their hosts are upgraded: `strategy = \"stop-start\"`.",
    undo: "Set the rule again, or start the guest, when the roll has ended.",
    incidents: &["I-23"],
};

const BROKEN: Page = Page {
    code: "keep-apart-broken",
    title: "guests that must not share a host share one",
    severity: Severity::Warning,
    looks_at: "groups of running guests that must not share a host",
    means: "The rule is broken already: the loss of one host takes more than one of them.",
    remedy: "Move one of them. The roll keeps them apart once their host has been emptied.",
    undo: "",
    incidents: &[],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    let mut groups: BTreeMap<&str, BTreeMap<usize, Vec<&Guest<'_>>>> = BTreeMap::new();
    for guest in &pool.guests {
        if let Some(group) = guest.view.keep_apart.as_deref() {
            groups.entry(group).or_default().entry(guest.host).or_default().push(guest);
        }
    }
    let in_service = pool.in_service().count();
    for (group, by_host) in groups {
        for (&host, guests) in by_host.iter().filter(|(_, guests)| guests.len() > 1) {
            let Some(host) = pool.hosts.get(host) else { continue };
            let list = names(guests.iter().map(|guest| &guest.view.id));
            found.add(
                &BROKEN,
                format!("group {group}"),
                format!("{} share host {}: {list}", count(guests.len(), "guest"), host.name()),
                "move all but one of them to other hosts",
            );
        }
        without_room(pool, group, &by_host, in_service, found);
    }
}

/// Says so once for a group, with the host for which most is missing.
fn without_room(
    pool: &Pool<'_>,
    group: &str,
    by_host: &BTreeMap<usize, Vec<&Guest<'_>>>,
    in_service: usize,
    found: &mut Found,
) {
    let is_in_service = |host: &usize| pool.hosts.get(*host).is_some_and(|host| host.in_service);
    let taken = by_host.keys().filter(|host| is_in_service(host)).count();
    let stuck = by_host.iter().filter_map(|(index, guests)| {
        let host = pool.hosts.get(*index).filter(|host| host.turn && host.in_service)?;
        let moving = guests.iter().filter(|guest| guest.moves()).count();
        // Hosts in service that are not this one and have no guest of the group.
        let open = in_service.saturating_sub(taken);
        (moving > open).then(|| (moving - open, host, open, moving))
    });
    let stuck: Vec<_> = stuck.collect();
    let Some(&(_, worst, open, moving)) = stuck.iter().max_by_key(|(missing, ..)| *missing) else { return };
    let guests: usize = by_host.values().map(Vec::len).sum();
    found.add(
        &NO_ROOM,
        format!("group {group}"),
        format!(
            "{} on {} of {in_service} hosts in service; when {} is emptied {} for {}. Hosts that cannot be emptied: {}",
            count(guests, "running guest"),
            by_host.len(),
            worst.name(),
            if open == 0 { "no host is left".to_owned() } else { format!("{} left", count(open, "host")) },
            count(moving, "guest"),
            names(stuck.iter().map(|(_, host, ..)| host.name()))
        ),
        format!("relax the rule of {group} for the roll, shut one of its guests down, or add a host"),
    );
}
