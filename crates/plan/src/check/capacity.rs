//! Whether each host can be emptied, with the arithmetic.

use lifeboat_model::{Order, Severity};

use super::catalogue::Page;
use super::found::{Found, count};
use super::pool::{Figures, Pool, mib};
use super::run::Check;

pub(super) const CHECK: Check = Check {
    name: "capacity",
    title: "every host can be emptied, and the reserve is kept",
    pages: &[NO_ROOM, FIRST, RESERVE, FAILOVER],
    run,
};

const NO_ROOM: Page = Page {
    code: "no-room-to-empty-host",
    title: "the other hosts have no room for the guests of a host",
    severity: Severity::Blocker,
    looks_at: "every host with a turn: memory of its guests that are to be moved, against the free memory of all other \
               hosts in service less the reserve of the policy",
    means: "The host cannot be emptied, so it is not upgraded: a host is never rebooted with a guest on it.",
    remedy: "Shut guests down, add a host, bring one back into service, lower `reserve-hosts` or `reserve-percent`, or \
             let guests be down while their host is upgraded: `strategy = \"stop-start\"`.",
    undo: "Start the guests again, or set the reserve back, when the roll has ended.",
    incidents: &["I-01", "I-23"],
};

const FIRST: Page = Page {
    code: "coordinator-guest-without-room",
    title: "a guest of the coordinator fits into the free memory of no other host",
    severity: Severity::Blocker,
    looks_at: "with `order = \"coordinator-first\"`: the guests of the coordinator that are to be moved, each against the \
               free memory of every other host in service as it is now",
    means: "The coordinator goes first, so no other host has been emptied by then. It cannot be emptied, and every \
            member waits for it.",
    remedy: "Move a guest of another host aside until one host has room for it, shut the guest down, or let it be down \
             while its host is upgraded: `strategy = \"stop-start\"`.",
    undo: "Start the guest again, or move the other one back, when the roll has ended.",
    incidents: &["I-11", "I-23"],
};

const RESERVE: Page = Page {
    code: "reserve-not-kept",
    title: "the pool has less free memory than the policy's reserve",
    severity: Severity::Blocker,
    looks_at: "free memory of the hosts in service, against `reserve-hosts` times the largest hosts and \
               `reserve-percent` of all memory; the larger of the two counts",
    means: "No host may be taken out of service: the reserve is not there even with all of them.",
    remedy: "Lower `reserve-hosts` or `reserve-percent`, shut guests down, or add a host.",
    undo: "Set the reserve back, or start the guests again, when the roll has ended.",
    incidents: &["I-01"],
};

const FAILOVER: Page = Page {
    code: "no-failover-capacity",
    title: "while a host is upgraded, the loss of another one cannot be covered",
    severity: Severity::Warning,
    looks_at: "memory of the hosts in service less that of the two largest, against the load. With n equal hosts this \
               needs a load of at most (n−2)/n: 33 % of 3 hosts, 50 % of 4, 75 % of 8",
    means: "If a host is lost while another one is being upgraded, some of its guests find no room and stay down until \
            one of the two is back.",
    remedy: "Shut down what is not needed for the time of the roll, or add a host; or accept it and be within reach. \
             The plan says in which waves it is so.",
    undo: "Start the guests again when the roll has ended.",
    incidents: &["I-01"],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    if !pool.hosts.iter().any(|host| host.turn) {
        return;
    }
    let figures = pool.figures();
    let mut reserve = pool.reserve(&figures);
    if figures.free < reserve {
        let policy = pool.ground.policy;
        found.add(
            &RESERVE,
            pool.name(),
            format!(
                "{} in service have {}, guests use {}: {} are free, {} are to be kept free (reserve-hosts = {}, \
                 reserve-percent = {})",
                count(figures.hosts, "host"),
                mib(figures.memory),
                mib(figures.load),
                mib(figures.free),
                mib(reserve),
                policy.reserve_hosts,
                policy.reserve_percent
            ),
            "lower the reserve in the policy, shut guests down, or add a host",
        );
        // Said once; what follows is what remains without it.
        reserve = 0;
    }
    no_room(pool, &figures, reserve, found);
    first(pool, found);
    failover(pool, &figures, found);
}

/// The guests of the host that goes first: no room is made for them by others.
fn first(pool: &Pool<'_>, found: &mut Found) {
    let coordinator = pool.ground.survey.world.coordinator().and_then(|id| pool.host(id));
    let Some(coordinator) = coordinator.filter(|host| host.turn && host.in_service) else { return };
    if pool.ground.policy.order != Order::CoordinatorFirst {
        return;
    }
    let others = pool.in_service().filter(|host| host.view.id != coordinator.view.id);
    let Some(roomiest) = others.max_by_key(|host| host.free()) else { return };
    let guests = pool.guests.iter().filter(|guest| guest.moves() && guest.view.host == coordinator.view.id);
    for guest in guests.filter(|guest| guest.view.memory.0 > roomiest.free()) {
        let name = &guest.view.id;
        found.add(
            &FIRST,
            name,
            format!(
                "it runs on coordinator {} and needs {}; the largest free room is {} on {}: {} are missing",
                coordinator.name(),
                guest.view.memory,
                mib(roomiest.free()),
                roomiest.name(),
                mib(guest.view.memory.0.saturating_sub(roomiest.free()))
            ),
            format!(
                "move guests of {} aside, shut {name} down, or give {name} strategy = \"stop-start\" in the policy",
                roomiest.name()
            ),
        );
    }
}

fn no_room(pool: &Pool<'_>, figures: &Figures, reserve: u64, found: &mut Found) {
    for host in pool.hosts.iter().filter(|host| host.turn && host.in_service && host.moving > 0) {
        let elsewhere = figures.free.saturating_sub(host.free());
        let usable = elsewhere.saturating_sub(reserve);
        if host.moving <= usable {
            continue;
        }
        let name = host.name();
        let kept =
            if reserve > 0 { format!(", of which {} are the reserve", mib(reserve)) } else { String::new() };
        found.add(
            &NO_ROOM,
            name,
            format!(
                "its guests need {} elsewhere; the other {} in service have {} free{kept}: {} are missing",
                mib(host.moving),
                count(figures.hosts.saturating_sub(1), "host"),
                mib(elsewhere),
                mib(host.moving - usable)
            ),
            format!(
                "shut guests of {name} down, add a host{}, or give guests of {name} strategy = \"stop-start\"",
                if reserve > 0 { ", lower the reserve in the policy" } else { "" }
            ),
        );
    }
}

fn failover(pool: &Pool<'_>, figures: &Figures, found: &mut Found) {
    let left = figures.memory.saturating_sub(figures.of_largest(2));
    if figures.load <= left {
        return;
    }
    let hosts = figures.hosts;
    let percent = |part: u64| u128::from(part) * 100 / u128::from(figures.memory.max(1));
    found.add(
        &FAILOVER,
        pool.name(),
        format!(
            "guests use {} of {} ({} %); with the two largest of {} gone {} remain ({} %). {hosts} equal hosts need \
             a load of at most {} %",
            mib(figures.load),
            mib(figures.memory),
            percent(figures.load),
            count(hosts, "host"),
            mib(left),
            percent(left),
            hosts.saturating_sub(2) * 100 / hosts.max(1)
        ),
        "shut down what is not needed for the time of the roll, or add a host, or accept it and be within reach",
    );
}
