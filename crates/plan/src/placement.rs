//! Where guests end: what happens after the last host.
//!
//! Owns: the moves of the placements `restore` and `rebalance`, by numbers. Promises: each move fits when those before
//! it were done; only guests that the policy moves are moved, only to hosts that run the release, offer what the guest
//! needs and hold no other guest of its group; O(guests · guests of a host) at most. Does not: touch the turns of
//! hosts.

use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};

use lifeboat_model::Mib;

use crate::layout::Layout;
use crate::pool::Pool;
use crate::room::Role;

/// No host may have more of its memory used than so many per cent of the average.
pub(crate) const EVEN_PERCENT: u64 = 110;

/// Guests that are moved out of the way of others while guests are brought back; each search looks at every host.
const DETOURS: usize = 256;

/// What is moved after the last host.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    /// Guest, from, to; in an order in which each fits.
    pub(crate) moves: Vec<(usize, usize, usize)>,
    /// Guests that could not be brought back (restore).
    pub(crate) away: Vec<usize>,
    /// Hosts that keep more than their share (rebalance).
    pub(crate) uneven: Vec<usize>,
}

/// Who is where after the last turn.
pub(crate) struct After<'a, 'w> {
    pool: &'a Pool<'w>,
    at: Vec<usize>,
    load: Vec<u64>,
    groups: Vec<Vec<usize>>,
    /// Hosts that run the release and can take guests.
    ready: Vec<bool>,
}

impl<'a, 'w> After<'a, 'w> {
    pub(crate) fn new(pool: &'a Pool<'w>, roles: &[Role], layout: &Layout) -> Self {
        let mut after = Self {
            pool,
            at: pool.guests.iter().map(|guest| guest.home).collect(),
            load: vec![0; pool.hosts.len()],
            groups: vec![Vec::new(); pool.hosts.len()],
            ready: roles.iter().map(|role| *role == Role::Upgraded).collect(),
        };
        for step in &layout.steps {
            after.ready[step.host] = true;
            for &(guest, target) in &step.moves {
                after.at[guest] = target;
            }
        }
        for (guest, &host) in pool.guests.iter().zip(&after.at) {
            after.load[host] += guest.memory;
            after.groups[host].extend(guest.group);
        }
        after
    }

    fn free(&self, host: usize) -> u64 {
        self.pool.hosts[host].memory.saturating_sub(self.load[host])
    }

    fn takes(&self, guest: usize, host: usize) -> bool {
        let group = self.pool.guests[guest].group;
        self.ready[host]
            && self.free(host) >= self.pool.guests[guest].memory
            && group.is_none_or(|group| !self.groups[host].contains(&group))
            && self.serves(guest, host)
    }

    fn serves(&self, guest: usize, host: usize) -> bool {
        !self.pool.classes.constrained() || self.pool.classes.serves(self.pool.guests[guest].class, host)
    }

    fn go(&mut self, guest: usize, to: usize, placed: &mut Placed) {
        let from = std::mem::replace(&mut self.at[guest], to);
        let memory = self.pool.guests[guest].memory;
        self.load[from] -= memory;
        self.load[to] += memory;
        if let Some(group) = self.pool.guests[guest].group {
            if let Some(at) = self.groups[from].iter().position(|&there| there == group) {
                self.groups[from].swap_remove(at);
            }
            self.groups[to].push(group);
        }
        placed.moves.push((guest, from, to));
    }

    /// Guests that a turn moved away from home for good, and their memory.
    pub(crate) fn away(&self) -> (u64, Mib) {
        let guests = self.pool.guests.iter().zip(&self.at).filter(|(guest, at)| guest.home != **at);
        guests.fold((0, Mib(0)), |(count, memory), (guest, _)| (count + 1, memory + Mib(guest.memory)))
    }

    /// Brings every guest back that a turn moved.
    pub(crate) fn restore(mut self) -> Placed {
        let mut placed = Placed::default();
        let mut expected: Vec<Vec<usize>> = vec![Vec::new(); self.pool.hosts.len()];
        for (guest, facts) in self.pool.guests.iter().enumerate() {
            if self.at[guest] != facts.home {
                expected[facts.home].push(guest);
            }
        }
        for guests in &mut expected {
            guests.sort_unstable_by_key(|&guest| (Reverse(self.pool.guests[guest].memory), guest));
        }
        let mut open: VecDeque<usize> =
            (0..expected.len()).filter(|&host| !expected[host].is_empty()).collect();
        let mut queued: Vec<bool> = expected.iter().map(|guests| !guests.is_empty()).collect();
        let mut detoured = BTreeSet::new();
        loop {
            while let Some(host) = open.pop_front() {
                queued[host] = false;
                let guests = std::mem::take(&mut expected[host]);
                for guest in guests {
                    if !self.takes(guest, host) {
                        expected[host].push(guest);
                        continue;
                    }
                    let from = self.at[guest];
                    self.go(guest, host, &mut placed);
                    if !expected[from].is_empty() && !queued[from] {
                        queued[from] = true;
                        open.push_back(from);
                    }
                }
            }
            // Everybody waits for somebody: move one out of the way.
            if detoured.len() >= DETOURS {
                break;
            }
            let Some((guest, to)) = self.out_of_the_way(&expected, &detoured) else { break };
            let from = self.at[guest];
            detoured.insert(guest);
            self.go(guest, to, &mut placed);
            queued[from] = true;
            open.push_back(from);
        }
        placed.away = expected.into_iter().flatten().collect();
        placed.away.sort_unstable();
        placed
    }

    /// A guest that is not at home, on a host that others want to come back to, and a third host with room for it.
    fn out_of_the_way(&self, expected: &[Vec<usize>], before: &BTreeSet<usize>) -> Option<(usize, usize)> {
        expected.iter().flatten().filter(|&guest| !before.contains(guest)).find_map(|&guest| {
            let (at, home) = (self.at[guest], self.pool.guests[guest].home);
            if expected[at].is_empty() {
                return None;
            }
            let third = |&host: &usize| host != at && host != home && self.takes(guest, host);
            let to =
                (0..self.load.len()).filter(third).max_by_key(|&host| (self.free(host), Reverse(host)))?;
            Some((guest, to))
        })
    }

    /// Moves guests from hosts with more than [`EVEN_PERCENT`] of the average load to the emptiest ones. Each move is
    /// the smallest one that is enough, or the largest one that is possible: few moves.
    pub(crate) fn rebalance(mut self) -> Placed {
        let mut placed = Placed::default();
        let ready = || (0..self.ready.len()).filter(|&host| self.ready[host]);
        let memory: u128 = ready().map(|host| u128::from(self.pool.hosts[host].memory)).sum();
        let load: u128 = ready().map(|host| u128::from(self.load[host])).sum();
        let limit = |host: usize| {
            let own = u128::from(self.pool.hosts[host].memory);
            let share = load * u128::from(EVEN_PERCENT) * own / (100 * memory.max(1));
            u64::try_from(share.min(own)).unwrap_or(u64::MAX)
        };
        let limits: Vec<u64> = (0..self.ready.len()).map(limit).collect();
        let mut over: Vec<usize> = ready().filter(|&host| self.load[host] > limits[host]).collect();
        over.sort_by_key(|&host| (Reverse(self.load[host] - limits[host]), host));
        let mut slack: Vec<BTreeSet<(u64, usize)>> = vec![BTreeSet::new(); self.pool.classes.sets()];
        for host in ready().filter(|&host| self.load[host] < limits[host]) {
            slack[self.pool.classes.set_of(host)].insert((limits[host] - self.load[host], host));
        }
        let mut on: Vec<Vec<usize>> = vec![Vec::new(); self.ready.len()];
        let mut is_over = vec![false; self.ready.len()];
        for &host in &over {
            is_over[host] = true;
        }
        for (guest, &host) in self.at.iter().enumerate() {
            let facts = &self.pool.guests[guest];
            if is_over[host] && facts.moves && facts.memory > 0 {
                on[host].push(guest);
            }
        }
        for host in over {
            let mut guests = std::mem::take(&mut on[host]);
            guests.sort_unstable_by_key(|&guest| (self.pool.guests[guest].memory, guest));
            while self.load[host] > limits[host] && !guests.is_empty() {
                let excess = self.load[host] - limits[host];
                let enough = guests.partition_point(|&guest| self.pool.guests[guest].memory < excess);
                // A guest that finds no place now finds none later: the others only get fuller.
                let guest = guests.remove(enough.min(guests.len() - 1));
                let Some((room, to)) = self.emptiest(guest, &slack) else { continue };
                let memory = self.pool.guests[guest].memory;
                self.go(guest, to, &mut placed);
                let set = &mut slack[self.pool.classes.set_of(to)];
                set.remove(&(room, to));
                if room > memory {
                    set.insert((room - memory, to));
                }
            }
            if self.load[host] > limits[host] {
                placed.uneven.push(host);
            }
        }
        placed.uneven.sort_unstable();
        placed
    }

    /// The host with the most room below its share that can take a guest, and that room.
    fn emptiest(&self, guest: usize, slack: &[BTreeSet<(u64, usize)>]) -> Option<(u64, usize)> {
        let facts = &self.pool.guests[guest];
        let served = self.pool.classes.served(facts.class);
        let able = slack.iter().enumerate().filter(|(set, _)| served >> set & 1 == 1).map(|(_, hosts)| hosts);
        let best = |hosts: &BTreeSet<(u64, usize)>| {
            hosts.range((facts.memory, 0)..).rev().find(|&&(_, host)| self.takes(guest, host)).copied()
        };
        able.filter_map(best).max_by_key(|&(room, host)| (room, Reverse(host)))
    }
}
