//! How long a plan takes, by the stated formula.
//!
//! Owns: the estimate. Promises: it starts steps by the same rules as the roll (crate documentation). Does not: model
//! CPU, NUMA, storage, failures; a port that receives from several hosts is modelled per wave only.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::bound::Ground;
use crate::options::Timing;

/// Milliseconds from the first drain to the last commit.
pub(crate) fn estimate(ground: &Ground<'_, '_>, timing: &Timing, in_flight: usize) -> u64 {
    let durations = durations(ground, timing);
    let (mut open, dependents) = dependencies(ground);
    let steps = &ground.layout.steps;
    let domain = |step: usize| {
        let domain = ground.pool.hosts[steps[step].host].domain;
        if ground.rules.one_per_domain { domain } else { None }
    };
    let domains = ground.pool.hosts.iter().filter_map(|host| host.domain).max().map_or(0, |last| last + 1);
    let mut busy = vec![false; domains];
    let mut parked: Vec<Vec<usize>> = vec![Vec::new(); domains];
    let mut ready: BinaryHeap<Reverse<usize>> =
        (0..steps.len()).filter(|&s| open[s] == 0).map(Reverse).collect();
    let mut running: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut now = 0;
    loop {
        while running.len() < in_flight
            && let Some(Reverse(step)) = ready.pop()
        {
            match domain(step) {
                Some(domain) if busy[domain] => parked[domain].push(step),
                Some(domain) => {
                    busy[domain] = true;
                    running.push(Reverse((now + durations[step], step)));
                }
                None => running.push(Reverse((now + durations[step], step))),
            }
        }
        let Some(Reverse((end, step))) = running.pop() else { return now };
        now = end;
        if let Some(domain) = domain(step) {
            busy[domain] = false;
            ready.extend(parked[domain].drain(..).map(Reverse));
        }
        for &next in &dependents[step] {
            open[next] -= 1;
            if open[next] == 0 {
                ready.push(Reverse(next));
            }
        }
    }
}

/// Drain and upgrade of every step; the first one includes the soak.
fn durations(ground: &Ground<'_, '_>, timing: &Timing) -> Vec<u64> {
    let steps = &ground.layout.steps;
    let memory = |guest: usize| ground.pool.guests[guest].memory;
    let mut durations = Vec::with_capacity(steps.len());
    let mut received = vec![0_u64; ground.pool.hosts.len()];
    for wave in steps.chunk_by(|a, b| a.wave == b.wave) {
        for &(guest, target) in wave.iter().flat_map(|step| &step.moves) {
            received[target] += memory(guest);
        }
        for step in wave {
            let sent = step.moves.iter().map(|&(guest, _)| memory(guest)).sum();
            let lanes = ground.policy.migrations_per_host;
            let send = timing.drain(sent, step.moves.len() as u64, lanes);
            let receive =
                step.moves.iter().map(|&(_, target)| timing.send(received[target])).max().unwrap_or(0);
            durations.push(send.max(receive) + timing.upgrade.0);
        }
        for &(_, target) in wave.iter().flat_map(|step| &step.moves) {
            received[target] = 0;
        }
    }
    if let [first, _, ..] = durations.as_mut_slice() {
        *first += ground.policy.soak.0;
    }
    durations
}

/// How many steps each step waits for, and which wait for it.
fn dependencies(ground: &Ground<'_, '_>) -> (Vec<usize>, Vec<Vec<usize>>) {
    let steps = &ground.layout.steps;
    let mut step_of = vec![usize::MAX; ground.pool.hosts.len()];
    for (index, step) in steps.iter().enumerate() {
        step_of[step.host] = index;
    }
    let mut pairs = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        if ground.rules.last.contains(&step.host) {
            // Everything before; what stands before another last host follows from that one.
            let previous = index.checked_sub(1).filter(|&at| ground.rules.last.contains(&steps[at].host));
            pairs.extend((previous.unwrap_or(0)..index).map(|before| (before, index)));
        } else if index > 0 {
            pairs.push((0, index));
        }
        let mut last = usize::MAX;
        for &(_, target) in &step.moves {
            let other = step_of[target];
            if other == usize::MAX || other == last {
                continue;
            }
            last = other;
            pairs.push(if other < index { (other, index) } else { (index, other) });
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    let mut open = vec![0; steps.len()];
    let mut dependents = vec![Vec::new(); steps.len()];
    for (before, after) in pairs {
        open[after] += 1;
        dependents[before].push(after);
    }
    (open, dependents)
}

/// Time of the moves after the last host: the busiest port decides.
pub(crate) fn placement(ground: &Ground<'_, '_>, timing: &Timing, moves: &[(usize, usize, usize)]) -> u64 {
    let hosts = ground.pool.hosts.len();
    let (mut sent, mut guests, mut received) = (vec![0_u64; hosts], vec![0_u64; hosts], vec![0_u64; hosts]);
    for &(guest, from, to) in moves {
        let memory = ground.pool.guests[guest].memory;
        sent[from] += memory;
        guests[from] += 1;
        received[to] += memory;
    }
    let lanes = ground.policy.migrations_per_host;
    let busy =
        (0..hosts).map(|host| timing.drain(sent[host], guests[host], lanes).max(timing.send(received[host])));
    busy.max().unwrap_or(0)
}
