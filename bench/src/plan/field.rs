//! A pool as numbers, on which every way of rolling is played.
//!
//! Owns: who is where, who has how much room, and the counting. Promises: no host is ever overfull, no rule of
//! placement is broken, and both are the same for every way that is compared. Does not: choose an order.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_model::{GuestView, Movable, World};
use lifeboat_plan::Timing;

/// What a way of rolling costs.
#[derive(Debug, Default, Clone)]
pub(crate) struct Cost {
    pub(crate) moves: u64,
    /// MiB moved.
    pub(crate) mib: u64,
    pub(crate) most_moves: u32,
    pub(crate) millis: u64,
    pub(crate) peak_down: usize,
    /// Least memory to spare at any time, in MiB; below 0 if guests had nowhere to run.
    pub(crate) headroom: i64,
    /// Guests that found no room, or were not given any, when their host's turn came.
    pub(crate) without_target: u64,
    /// Moves from an upgraded host to an old one.
    pub(crate) backward: u64,
    /// Guests that were to be brought back and were not.
    pub(crate) not_returned: u64,
    /// Guests that are down while their host is.
    pub(crate) stopped: u64,
    /// Moves after the last host until no host has more than 1.10 times the average load.
    pub(crate) even_moves: u64,
    pub(crate) even_mib: u64,
    /// Hosts for which that cannot be reached.
    pub(crate) uneven: u64,
    /// Seconds that the way took to be found, where that is a program's own.
    pub(crate) think: Option<f64>,
}

/// Hosts and guests by number.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) memory: Vec<u64>,
    pub(crate) size: Vec<u64>,
    pub(crate) at: Vec<usize>,
    pub(crate) home: Vec<usize>,
    pub(crate) on: Vec<BTreeSet<usize>>,
    pub(crate) fixed: Vec<bool>,
    pub(crate) domain: Vec<Option<usize>>,
    pub(crate) group: Vec<Option<usize>>,
    free: Vec<u64>,
    needs: Vec<u32>,
    offers: Vec<u32>,
    /// Members of a keep-apart group on a host.
    members: BTreeMap<(usize, usize), u32>,
    /// Hosts that take guests, by room.
    by_free: BTreeSet<(u64, usize)>,
    upgraded: Vec<bool>,
    moves_of: Vec<u32>,
    down: usize,
    down_mib: u64,
    load: u64,
    pub(crate) cost: Cost,
}

/// The pool and the numbers of its names.
pub(crate) struct Names<'w> {
    pub(crate) host: BTreeMap<&'w str, usize>,
    pub(crate) guest: BTreeMap<&'w str, usize>,
}

impl Field {
    pub(crate) fn new(world: &World) -> (Self, Names<'_>) {
        let (mut bits, mut groups, mut domains) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut mask = |words: &BTreeSet<String>| {
            words.iter().fold(0_u32, |mask, word| {
                let next = bits.len();
                mask | 1 << *bits.entry(word.clone()).or_insert(next)
            })
        };
        let mut names = Names { host: BTreeMap::new(), guest: BTreeMap::new() };
        let mut field = Self {
            memory: Vec::new(),
            size: Vec::new(),
            at: Vec::new(),
            home: Vec::new(),
            on: Vec::new(),
            fixed: Vec::new(),
            domain: Vec::new(),
            group: Vec::new(),
            free: Vec::new(),
            needs: Vec::new(),
            offers: Vec::new(),
            members: BTreeMap::new(),
            by_free: BTreeSet::new(),
            upgraded: Vec::new(),
            moves_of: Vec::new(),
            down: 0,
            down_mib: 0,
            load: 0,
            cost: Cost::default(),
        };
        for (index, host) in world.hosts().enumerate() {
            names.host.insert(host.id.as_str(), index);
            field.memory.push(host.memory.0);
            field.free.push(host.memory.0);
            field.on.push(BTreeSet::new());
            field.offers.push(mask(&host.offers));
            field.upgraded.push(false);
            let next = domains.len();
            field.domain.push(host.fault_domain.as_ref().map(|word| *domains.entry(word).or_insert(next)));
        }
        for guest in world.guests().filter(|guest| guest.running) {
            let Some(&host) = names.host.get(guest.host.as_str()) else { continue };
            let number = field.size.len();
            names.guest.insert(guest.id.as_str(), number);
            field.needs.push(mask(&guest.needs));
            let next = groups.len();
            field.group.push(guest.keep_apart.as_ref().map(|word| *groups.entry(word).or_insert(next)));
            field.add(guest, number, host);
        }
        field.by_free = field.free.iter().copied().zip(0..).collect();
        let spare = field.memory.iter().sum::<u64>().saturating_sub(field.load);
        field.cost.headroom = i64::try_from(spare).unwrap_or(i64::MAX);
        (field, names)
    }

    fn add(&mut self, guest: &GuestView, number: usize, host: usize) {
        self.size.push(guest.memory.0);
        self.at.push(host);
        self.home.push(host);
        self.fixed.push(guest.movable != Movable::Yes);
        self.moves_of.push(0);
        self.load += guest.memory.0;
        self.on[host].insert(number);
        self.free[host] = self.free[host].saturating_sub(guest.memory.0);
        if let Some(group) = self.group[number] {
            *self.members.entry((host, group)).or_default() += 1;
        }
    }

    pub(crate) fn hosts(&self) -> usize {
        self.memory.len()
    }

    pub(crate) fn guests(&self) -> usize {
        self.size.len()
    }

    pub(crate) fn load(&self) -> u64 {
        self.load
    }

    pub(crate) fn load_of(&self, host: usize) -> u64 {
        self.memory[host] - self.free[host]
    }

    /// Whether a guest may be put on a host, room and all.
    pub(crate) fn may(&self, guest: usize, host: usize) -> bool {
        self.free[host] >= self.size[guest] && self.suits(guest, host)
    }

    fn suits(&self, guest: usize, host: usize) -> bool {
        let apart = |group| self.members.get(&(host, group)).is_none_or(|&members| members == 0);
        self.needs[guest] & !self.offers[host] == 0 && self.group[guest].is_none_or(apart)
    }

    /// Whether a host takes guests.
    pub(crate) fn takes(&self, host: usize) -> bool {
        self.by_free.contains(&(self.free[host], host))
    }

    /// The host with the most room that a guest may be put on.
    pub(crate) fn roomiest(&self, guest: usize) -> Option<usize> {
        let size = self.size[guest];
        let enough = self.by_free.iter().rev().take_while(|entry| entry.0 >= size);
        enough.map(|entry| entry.1).find(|&host| self.suits(guest, host))
    }

    /// The guests of a host that move, the largest first.
    pub(crate) fn movers(&self, host: usize) -> Vec<usize> {
        let mut guests: Vec<usize> =
            self.on[host].iter().copied().filter(|&guest| !self.fixed[guest]).collect();
        guests.sort_by_key(|&guest| (std::cmp::Reverse(self.size[guest]), guest));
        guests
    }

    /// A host takes no more guests.
    pub(crate) fn close(&mut self, host: usize) {
        self.by_free.remove(&(self.free[host], host));
    }

    /// A host takes guests again.
    pub(crate) fn open(&mut self, host: usize) {
        self.by_free.insert((self.free[host], host));
    }

    /// A closed host goes down. Guests that are still there and could have moved had no target.
    pub(crate) fn take_down(&mut self, host: usize) {
        let left = self.on[host].iter().filter(|&&guest| !self.fixed[guest]).count();
        self.cost.without_target += left as u64;
        self.cost.stopped += (self.on[host].len() - left) as u64;
        self.down += 1;
        self.down_mib += self.memory[host];
        self.cost.peak_down = self.cost.peak_down.max(self.down);
        let all: u64 = self.memory.iter().sum();
        let spare = i64::try_from(all - self.down_mib).unwrap_or(i64::MAX)
            - i64::try_from(self.load).unwrap_or(i64::MAX);
        self.cost.headroom = self.cost.headroom.min(spare);
    }

    /// A host is upgraded and takes guests.
    pub(crate) fn bring_up(&mut self, host: usize) {
        self.down -= 1;
        self.down_mib -= self.memory[host];
        self.upgraded[host] = true;
        self.open(host);
    }

    /// Moves a guest, and counts.
    pub(crate) fn shift(&mut self, guest: usize, to: usize) {
        let from = self.at[guest];
        if self.upgraded[from] && !self.upgraded[to] {
            self.cost.backward += 1;
        }
        self.put(guest, to);
        self.moves_of[guest] += 1;
        self.cost.most_moves = self.cost.most_moves.max(self.moves_of[guest]);
        self.cost.moves += 1;
        self.cost.mib += self.size[guest];
    }

    /// Takes a counted move back, as if it had not been.
    pub(crate) fn unshift(&mut self, guest: usize, back: usize) {
        self.put(guest, back);
        self.moves_of[guest] -= 1;
        self.cost.moves -= 1;
        self.cost.mib -= self.size[guest];
    }

    /// Puts a guest elsewhere without counting.
    pub(crate) fn put(&mut self, guest: usize, to: usize) {
        let (from, size) = (self.at[guest], self.size[guest]);
        for (host, grows) in [(from, true), (to, false)] {
            let taking = self.by_free.remove(&(self.free[host], host));
            self.free[host] = if grows { self.free[host] + size } else { self.free[host] - size };
            if taking {
                self.open(host);
            }
        }
        if let Some(group) = self.group[guest] {
            if let Some(members) = self.members.get_mut(&(from, group)) {
                *members -= 1;
            }
            *self.members.entry((to, group)).or_default() += 1;
        }
        self.on[from].remove(&guest);
        self.on[to].insert(guest);
        self.at[guest] = to;
    }
}

/// Milliseconds to send so much through one port.
pub(crate) fn send(mib: u64) -> u64 {
    let timing = Timing::default();
    mib * timing.dirty_percent * 10 / timing.network.0
}

/// Milliseconds for the fixed part of so many guests on two lanes.
pub(crate) fn overhead(guests: u64) -> u64 {
    guests * Timing::default().per_guest.0 / 2
}

/// Milliseconds from an empty host to an upgraded one.
pub(crate) fn upgrade() -> u64 {
    Timing::default().upgrade.0
}
