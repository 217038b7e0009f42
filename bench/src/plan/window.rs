//! A window of K hosts that slides: as soon as one host is done the next one begins, least loaded placement.
//!
//! Owns: the small simulation of time. Promises: a host that finds no room waits until another is done. Does not:
//! model a port that receives from many other than by a queue.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::field::{Field, overhead, send, upgrade};
use super::waves::{Choice, drain};

/// Rolls the pool; hosts in the order of their names.
pub(crate) fn roll(field: &mut Field, at_once: usize, one_per_domain: bool) {
    let mut waiting: BTreeSet<usize> = (0..field.hosts()).collect();
    let mut running: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut domains = BTreeSet::new();
    // Until when a port receives.
    let mut port = vec![0_u64; field.hosts()];
    let mut now = 0;
    loop {
        let mut blocked = false;
        while running.len() < at_once && !blocked {
            let free = |host: &usize| {
                !one_per_domain || field.domain[*host].is_none_or(|domain| !domains.contains(&domain))
            };
            let Some(host) = waiting.iter().copied().find(free) else { break };
            field.close(host);
            let (placed, missing) = drain(field, host, &mut Choice::LeastLoaded);
            if missing && !running.is_empty() {
                placed.iter().rev().for_each(|&(guest, _)| field.unshift(guest, host));
                field.open(host);
                blocked = true;
                continue;
            }
            waiting.remove(&host);
            domains.extend(field.domain[host]);
            let sent = placed.iter().map(|&(guest, _)| field.size[guest]).sum();
            let mut end = now + send(sent) + overhead(placed.len() as u64);
            for (guest, to) in placed {
                port[to] = port[to].max(now) + send(field.size[guest]);
                end = end.max(port[to]);
            }
            field.take_down(host);
            running.push(Reverse((end + upgrade(), host)));
        }
        let Some(Reverse((end, host))) = running.pop() else { break };
        now = end;
        if let Some(domain) = field.domain[host] {
            domains.remove(&domain);
        }
        field.bring_up(host);
    }
    field.cost.millis = now;
}
