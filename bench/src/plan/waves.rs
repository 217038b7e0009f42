//! Host by host and in lock-step waves: what most tools do, written again for comparison.
//!
//! Owns: random and least loaded placement, and StarlingX's lists. Promises: a wave is closed before a host whose
//! guests would find no room. Does not: model what those programs do beside order and placement.

use std::collections::{BTreeMap, BTreeSet};

use super::field::{Cost, Field, overhead, send, upgrade};
use crate::pools::Random;

/// How a guest's target is chosen.
#[derive(Debug)]
pub(crate) enum Choice {
    /// Any host with room.
    Random(Random),
    /// The host with the most room; the largest guest of the drained host first.
    LeastLoaded,
}

/// Hosts in the order of their names, at most so many in one lock-step wave.
pub(crate) fn roll(field: &mut Field, at_once: usize, one_per_domain: bool, mut choice: Choice) {
    let mut waiting: BTreeSet<usize> = (0..field.hosts()).collect();
    while !waiting.is_empty() {
        let wave = next(field, &waiting, at_once, one_per_domain);
        // Those that have to wait for room come first in the next wave.
        let done = run(field, &wave, &mut choice, true);
        wave[..done].iter().for_each(|host| {
            waiting.remove(host);
        });
    }
}

/// StarlingX: hosts without guests first; every host goes into the first list that has room (at most `at_once`, and
/// at most half of the aggregate, which here is the pool) and no guest of a group of one of its guests. Lists are
/// made once, from where guests are at the beginning.
pub(crate) fn lists(field: &mut Field, at_once: usize, one_per_domain: bool) {
    struct List {
        hosts: Vec<usize>,
        groups: BTreeSet<usize>,
    }
    let most = at_once.min(field.hosts() / 2).max(1);
    let (empty, full): (Vec<usize>, Vec<usize>) =
        (0..field.hosts()).partition(|&host| field.on[host].is_empty());
    for hosts in [empty, full] {
        let mut lists: Vec<List> = Vec::new();
        for host in hosts {
            let groups: BTreeSet<usize> =
                field.on[host].iter().filter_map(|&guest| field.group[guest]).collect();
            let domain = field.domain[host];
            let found = lists.iter_mut().find(|list| {
                let same = |&other: &usize| domain.is_some() && field.domain[other] == domain;
                list.hosts.len() < most
                    && list.groups.is_disjoint(&groups)
                    && !(one_per_domain && list.hosts.iter().any(same))
            });
            match found {
                Some(list) => {
                    list.hosts.push(host);
                    list.groups.extend(groups);
                }
                None => lists.push(List { hosts: vec![host], groups }),
            }
        }
        for list in lists {
            run(field, &list.hosts, &mut Choice::LeastLoaded, false);
        }
    }
}

/// The next wave.
fn next(field: &Field, waiting: &BTreeSet<usize>, most: usize, one_per_domain: bool) -> Vec<usize> {
    let mut domains = BTreeSet::new();
    let free =
        |host: &usize| !one_per_domain || field.domain[*host].is_none_or(|domain| domains.insert(domain));
    waiting.iter().copied().filter(free).take(most).collect()
}

/// One wave: all of its hosts are closed, drained, upgraded. Says how many of them, from the first.
fn run(field: &mut Field, wave: &[usize], choice: &mut Choice, may_wait: bool) -> usize {
    for &host in wave {
        field.close(host);
    }
    let mut received = BTreeMap::<usize, u64>::new();
    let (mut slowest, mut done) = (0, 0);
    for &host in wave {
        let (placed, missing) = drain(field, host, choice);
        if missing && may_wait && done > 0 {
            placed.iter().rev().for_each(|&(guest, _)| field.unshift(guest, host));
            break;
        }
        done += 1;
        let sent: u64 = placed.iter().map(|&(guest, _)| field.size[guest]).sum();
        slowest = slowest.max(send(sent) + overhead(placed.len() as u64));
        for (guest, to) in placed {
            *received.entry(to).or_default() += field.size[guest];
        }
    }
    for &host in &wave[..done] {
        field.take_down(host);
    }
    slowest = received.values().map(|&mib| send(mib)).max().unwrap_or(0).max(slowest);
    field.cost.millis += slowest + upgrade();
    for &host in &wave[..done] {
        field.bring_up(host);
    }
    for &host in &wave[done..] {
        field.open(host);
    }
    done
}

/// Moves all guests of a host that find a target; says whether one did not.
pub(crate) fn drain(field: &mut Field, host: usize, choice: &mut Choice) -> (Vec<(usize, usize)>, bool) {
    let (mut placed, mut missing) = (Vec::new(), false);
    for guest in field.movers(host) {
        let target = match choice {
            Choice::LeastLoaded => field.roomiest(guest),
            Choice::Random(random) => any(field, guest, random),
        };
        match target {
            Some(to) => {
                field.shift(guest, to);
                placed.push((guest, to));
            }
            None => missing = true,
        }
    }
    (placed, missing)
}

fn any(field: &Field, guest: usize, random: &mut Random) -> Option<usize> {
    let tries = (0..64).map(|_| random.below(field.hosts()));
    let found = tries.into_iter().find(|&host| field.takes(host) && field.may(guest, host));
    found.or_else(|| field.roomiest(guest))
}

/// xapi's evacuation as Xen Orchestra uses it: the coordinator, then host by host, the largest guest to the host with
/// the most free memory; after the last host every guest is brought back to where it was, one at a time.
///
/// Old: the hosts in their order but the first and the last exchanged, each guest tried once. New (PR 10295): the
/// hosts in reverse order, again and again while any guest can be brought back.
///
/// The field is that after the last host, which is the same as for least loaded, serial.
pub(crate) fn restore(field: &mut Field, new: bool) {
    let mut hosts: Vec<usize> = (0..field.hosts()).collect();
    let last = hosts.len() - 1;
    if new {
        hosts.reverse();
    } else {
        hosts.swap(0, last);
    }
    let mut guests_of = vec![Vec::new(); field.hosts()];
    for guest in 0..field.guests() {
        guests_of[field.home[guest]].push(guest);
    }
    loop {
        let mut returned = 0_u64;
        for &host in &hosts {
            for &guest in &guests_of[host] {
                if field.at[guest] != host && field.may(guest, host) {
                    field.shift(guest, host);
                    field.cost.millis += send(field.size[guest]) + overhead(2);
                    returned += 1;
                }
            }
        }
        if !new || returned == 0 {
            break;
        }
    }
    field.cost.not_returned = (0..field.guests()).filter(|&g| field.at[g] != field.home[g]).count() as u64;
}

/// The cost of one way, with what it costs to spread guests evenly afterwards.
pub(crate) fn cost_of(field: &Field, way: impl FnOnce(&mut Field)) -> Cost {
    let mut field = field.clone();
    way(&mut field);
    super::even::spread(field)
}
