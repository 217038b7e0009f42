//! What others do, written again for comparison.
//!
//! Owns: two simple ways to roll a pool that plan host by host. They are re-implementations of the idea, not the
//! programs themselves. Promises: the same pools and the same time formula as for Lifeboat's plan. Does not: model
//! what those programs do beside placement.

use std::collections::BTreeSet;

use lifeboat_model::World;
use lifeboat_plan::Timing;

use crate::pools::Random;

/// How a guest's target is chosen.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Choice {
    /// Any host with room.
    Random,
    /// The host with the most room; the largest guest of the drained host first.
    LeastLoaded,
}

/// What a way of rolling costs.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) moves: u64,
    pub(crate) mib: u64,
    pub(crate) most_moves: u32,
    pub(crate) millis: u64,
    /// Guests that found no room when their host was drained.
    pub(crate) without_target: u64,
}

/// Hosts in the order of their names, `at_once` of them in one lock-step wave.
pub(crate) fn roll(world: &World, at_once: usize, choice: Choice, seed: u64) -> Cost {
    let mut random = Random::new(seed);
    let mut sizes = Vec::new();
    let (mut on, mut free, mut by_free) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (index, host) in world.hosts().enumerate() {
        let mut guests = Vec::new();
        for guest in world.running_on(&host.id) {
            guests.push(sizes.len());
            sizes.push(guest.memory.0);
        }
        on.push(guests);
        free.push(host.memory.0.saturating_sub(world.load_of(&host.id).0));
        by_free.insert((free[index], index));
    }
    let memory: Vec<u64> = world.hosts().map(|host| host.memory.0).collect();
    let mut moves_of = vec![0_u32; sizes.len()];
    let mut cost = Cost::default();
    let hosts: Vec<usize> = (0..memory.len()).collect();
    for wave in hosts.chunks(at_once) {
        for &host in wave {
            by_free.remove(&(free[host], host));
        }
        let mut sent = vec![(0_u64, 0_u64); wave.len()];
        let mut received = std::collections::BTreeMap::<usize, u64>::new();
        for (&host, sent) in wave.iter().zip(&mut sent) {
            let mut guests = std::mem::take(&mut on[host]);
            guests.sort_unstable_by_key(|&guest| std::cmp::Reverse(sizes[guest]));
            for guest in guests {
                let size = sizes[guest];
                let found = match choice {
                    Choice::LeastLoaded => by_free.last().filter(|entry| entry.0 >= size).copied(),
                    Choice::Random => random_host(&mut random, &by_free, &free, size),
                };
                let Some((room, target)) = found else {
                    cost.without_target += 1;
                    continue;
                };
                by_free.remove(&(room, target));
                free[target] -= size;
                by_free.insert((free[target], target));
                on[target].push(guest);
                moves_of[guest] += 1;
                *received.entry(target).or_default() += size;
                *sent = (sent.0 + size, sent.1 + 1);
                cost.moves += 1;
                cost.mib += size;
            }
        }
        cost.millis += wave_millis(&sent, &received);
        for &host in wave {
            free[host] = memory[host];
            by_free.insert((free[host], host));
        }
    }
    cost.most_moves = moves_of.into_iter().max().unwrap_or(0);
    cost
}

fn random_host(
    random: &mut Random,
    by_free: &BTreeSet<(u64, usize)>,
    free: &[u64],
    size: u64,
) -> Option<(u64, usize)> {
    for _ in 0..64 {
        let host = random.below(free.len());
        if free[host] >= size && by_free.contains(&(free[host], host)) {
            return Some((free[host], host));
        }
    }
    by_free.last().filter(|entry| entry.0 >= size).copied()
}

/// The formula of [`Timing`]: the slowest sender or receiver of the wave, then the upgrade.
fn wave_millis(sent: &[(u64, u64)], received: &std::collections::BTreeMap<usize, u64>) -> u64 {
    let timing = Timing::default();
    let send = |mib: u64| mib * timing.dirty_percent * 10 / timing.network.0;
    let drains = sent.iter().map(|&(mib, guests)| send(mib) + guests * timing.per_guest.0 / 2);
    let slowest = drains.chain(received.values().map(|&mib| send(mib))).max().unwrap_or(0);
    slowest + timing.upgrade.0
}
