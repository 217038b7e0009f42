//! Free memory of hosts, ordered by size.
//!
//! Owns: who has how much room, which keep-apart groups are where, and the search for a target. Promises: a search
//! and a placement cost O(log n) for each host class that can run the guest, as long as few hosts are ruled out by a
//! keep-apart group; a failed trial leaves no trace; no guest goes where something is lacking that it needs. Does
//! not: choose hosts to drain.

use std::collections::BTreeSet;

use crate::layout::Lack;
use crate::pool::{Guest, Pool};

/// What a host may be used for as a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Takes nothing: it is being upgraded, or is out of service.
    None,
    /// Runs the release: guests end here.
    Upgraded,
    /// As [`Role::Upgraded`], but only since the wave before: who moves guests here must wait for that wave.
    Fresh,
    /// Runs the old release and will be drained later: a guest placed here moves twice.
    Old,
    /// Runs the old release and stays so: excluded or blocked.
    Staying,
}

/// Which of the hosts with room enough is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// The one with the least room: keeps large holes whole.
    Tight,
    /// The one with the most room: keeps loads even.
    Roomy,
}

/// Which host classes a guest may use, when there are several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// That of the host it comes from, and those that fewer guests can use: scarce hosts stay free for those who
    /// need them.
    Modest,
    /// All, the modest ones first.
    Any,
}

/// Where a trial may look, in this order.
pub(crate) type Tiers<'t> = &'t [(Role, Fit)];

/// Hosts of one role: a set of free room for each set of [`Classes`](crate::class::Classes).
#[derive(Debug, Clone)]
struct Shelf {
    sets: Vec<BTreeSet<(u64, usize)>>,
    total: u64,
}

impl Shelf {
    fn largest(&self) -> u64 {
        self.sets.iter().filter_map(BTreeSet::last).map(|&(free, _)| free).max().unwrap_or(0)
    }

    fn is_empty(&self) -> bool {
        self.sets.iter().all(BTreeSet::is_empty)
    }

    fn hosts(&self) -> impl Iterator<Item = &(u64, usize)> {
        self.sets.iter().flatten()
    }
}

/// Room of every host.
pub(crate) struct Room<'p, 'w> {
    pool: &'p Pool<'w>,
    free: Vec<u64>,
    groups: Vec<Vec<usize>>,
    role: Vec<Role>,
    upgraded: Shelf,
    fresh: Shelf,
    old: Shelf,
    staying: Shelf,
}

impl<'p, 'w> Room<'p, 'w> {
    pub(crate) fn new(pool: &'p Pool<'w>, roles: &[Role]) -> Self {
        let shelf = Shelf { sets: vec![BTreeSet::new(); pool.classes.sets()], total: 0 };
        let mut room = Self {
            pool,
            free: Vec::with_capacity(pool.hosts.len()),
            groups: Vec::with_capacity(pool.hosts.len()),
            role: vec![Role::None; pool.hosts.len()],
            upgraded: shelf.clone(),
            fresh: shelf.clone(),
            old: shelf.clone(),
            staying: shelf,
        };
        for host in &pool.hosts {
            room.free.push(host.memory.saturating_sub(host.load));
            let guests = host.guests.iter().chain(&host.staying);
            room.groups.push(guests.filter_map(|&guest| pool.guests[guest].group).collect());
        }
        for (host, &role) in roles.iter().enumerate() {
            room.put(host, role);
        }
        room
    }

    /// Whether guests of `load` MiB in all, `largest` the largest of them, could fit on upgraded hosts by sums alone.
    pub(crate) fn may_fit(&self, load: u64, largest: u64, fresh_too: bool) -> bool {
        let (mut total, mut hole) = (self.upgraded.total, self.upgraded.largest());
        if fresh_too {
            total += self.fresh.total;
            hole = hole.max(self.fresh.largest());
        }
        load <= total && largest <= hole
    }

    /// Whether any host is upgraded.
    pub(crate) fn any_upgraded(&self) -> bool {
        !self.upgraded.is_empty() || !self.fresh.is_empty()
    }

    /// Whether any host of a set is upgraded.
    pub(crate) fn any_upgraded_in(&self, set: usize) -> bool {
        [&self.upgraded, &self.fresh]
            .iter()
            .any(|shelf| shelf.sets.get(set).is_some_and(|set| !set.is_empty()))
    }

    /// Gives a host another role.
    pub(crate) fn put(&mut self, host: usize, role: Role) {
        let (entry, set) = ((self.free[host], host), self.pool.classes.set_of(host));
        if let Some(shelf) = self.shelf_mut(self.role[host]) {
            shelf.sets[set].remove(&entry);
            shelf.total -= entry.0;
        }
        self.role[host] = role;
        if let Some(shelf) = self.shelf_mut(role) {
            shelf.sets[set].insert(entry);
            shelf.total += entry.0;
        }
    }

    /// A host that was drained is upgraded, and empty but for the guests that were down meanwhile.
    pub(crate) fn put_fresh(&mut self, host: usize) {
        self.put(host, Role::None);
        let pool = self.pool;
        self.free[host] = pool.hosts[host].lost();
        self.groups[host].clear();
        let stayed = pool.hosts[host].staying.iter();
        self.groups[host].extend(stayed.filter_map(|&guest| pool.guests[guest].group));
        self.put(host, Role::Fresh);
    }

    /// Whether a host will be drained later.
    pub(crate) fn is_old(&self, host: usize) -> bool {
        self.role[host] == Role::Old
    }

    /// Finds a target for every one of `guests` of host `from` and takes the room, or takes nothing and says who
    /// lacks what. `tiers` tells where a guest may go.
    pub(crate) fn place<'t>(
        &mut self,
        from: usize,
        guests: &[usize],
        reach: Reach,
        tiers: impl Fn(usize) -> Tiers<'t>,
    ) -> Result<Vec<(usize, usize)>, Lack> {
        let own = self.pool.classes.set_of(from);
        let mut done = Vec::with_capacity(guests.len());
        for &guest in guests {
            let tiers = tiers(guest);
            if let Some(target) = self.search(guest, own, reach, tiers) {
                self.take(guest, target);
                done.push((guest, target));
            } else {
                let lack = self.lack(guest, done.len(), tiers);
                for (guest, target) in done {
                    self.give_back(guest, target);
                }
                return Err(lack);
            }
        }
        Ok(done)
    }

    fn search(&self, guest: usize, own: usize, reach: Reach, tiers: Tiers<'_>) -> Option<usize> {
        let classes = &self.pool.classes;
        let served = classes.served(self.pool.guests[guest].class);
        let modest = served & classes.modest(own);
        let found = tiers.iter().find_map(|&(role, fit)| self.find(guest, own, modest, role, fit));
        match reach {
            Reach::Any if found.is_none() && served != modest => {
                tiers.iter().find_map(|&(role, fit)| self.find(guest, own, served & !modest, role, fit))
            }
            Reach::Any | Reach::Modest => found,
        }
    }

    /// A host of a role in the sets of `mask`: in its own set first, then where few others can go.
    fn find(&self, guest: usize, own: usize, mask: u64, role: Role, fit: Fit) -> Option<usize> {
        let shelf = self.shelf(role)?;
        let others = self.pool.classes.by_worth().iter().copied().filter(|&set| set != own);
        let mut sets = std::iter::once(own).chain(others).filter(|&set| mask >> set & 1 == 1);
        sets.find_map(|set| self.find_in(&shelf.sets[set], guest, fit))
    }

    fn find_in(&self, set: &BTreeSet<(u64, usize)>, guest: usize, fit: Fit) -> Option<usize> {
        let Guest { memory, group, class, .. } = self.pool.guests[guest];
        let ask = self.pool.classes.must_ask(class);
        let allowed = |&(_, host): &(u64, usize)| {
            group.is_none_or(|group| !self.groups[host].contains(&group))
                && (!ask || self.pool.classes.serves(class, host))
        };
        let mut enough = set.range((memory, 0)..);
        let found = match fit {
            Fit::Tight => enough.find(|&entry| allowed(entry)),
            Fit::Roomy => enough.rev().find(|&entry| allowed(entry)),
        };
        found.map(|&(_, host)| host)
    }

    fn lack(&self, guest: usize, placed: usize, tiers: Tiers<'_>) -> Lack {
        let Guest { memory, group, class, .. } = self.pool.guests[guest];
        let constrained = self.pool.classes.constrained();
        let serves = |host: usize| !constrained || self.pool.classes.serves(class, host);
        let asked = || tiers.iter().filter_map(|&(role, _)| self.shelf(role));
        let upgraded_only = tiers.iter().all(|&(role, _)| matches!(role, Role::Upgraded | Role::Fresh));
        let mut lack =
            Lack { guest, largest: None, with_room: 0, kept_apart: 0, asked: 0, placed, upgraded_only };
        if constrained || group.is_some() {
            for &(free, host) in asked().flat_map(Shelf::hosts) {
                lack.asked += 1;
                lack.with_room += usize::from(free >= memory);
                lack.kept_apart += usize::from(group.is_some() && free >= memory && serves(host));
                if serves(host) && lack.largest.is_none_or(|(_, most)| free > most) {
                    lack.largest = Some((host, free));
                }
            }
        } else {
            let largest = asked().flat_map(|shelf| &shelf.sets).filter_map(BTreeSet::last).max();
            lack.largest = largest.map(|&(free, host)| (host, free));
        }
        lack
    }

    fn take(&mut self, guest: usize, target: usize) {
        let role = self.role[target];
        self.put(target, Role::None);
        self.free[target] -= self.pool.guests[guest].memory;
        self.groups[target].extend(self.pool.guests[guest].group);
        self.put(target, role);
    }

    fn give_back(&mut self, guest: usize, target: usize) {
        let role = self.role[target];
        self.put(target, Role::None);
        self.free[target] += self.pool.guests[guest].memory;
        if let Some(group) = self.pool.guests[guest].group
            && let Some(at) = self.groups[target].iter().rposition(|&there| there == group)
        {
            self.groups[target].swap_remove(at);
        }
        self.put(target, role);
    }

    fn shelf(&self, role: Role) -> Option<&Shelf> {
        match role {
            Role::None => None,
            Role::Upgraded => Some(&self.upgraded),
            Role::Fresh => Some(&self.fresh),
            Role::Old => Some(&self.old),
            Role::Staying => Some(&self.staying),
        }
    }

    fn shelf_mut(&mut self, role: Role) -> Option<&mut Shelf> {
        match role {
            Role::None => None,
            Role::Upgraded => Some(&mut self.upgraded),
            Role::Fresh => Some(&mut self.fresh),
            Role::Old => Some(&mut self.old),
            Role::Staying => Some(&mut self.staying),
        }
    }
}
