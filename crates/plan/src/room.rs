//! Free memory of hosts, ordered by size.
//!
//! Owns: who has how much room, which keep-apart groups are where, and the search for a target. Promises: a search
//! and a placement cost O(log n) as long as few hosts are ruled out by a keep-apart group; a failed trial leaves no
//! trace. Does not: choose hosts to drain.

use std::collections::BTreeSet;

use crate::layout::Lack;
use crate::pool::Pool;

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

/// Where a trial may look, in this order.
pub(crate) type Tiers<'t> = &'t [(Role, Fit)];

/// Room of every host.
pub(crate) struct Room<'p, 'w> {
    pool: &'p Pool<'w>,
    free: Vec<u64>,
    groups: Vec<Vec<usize>>,
    role: Vec<Role>,
    upgraded: BTreeSet<(u64, usize)>,
    fresh: BTreeSet<(u64, usize)>,
    upgraded_total: u64,
    fresh_total: u64,
    old: BTreeSet<(u64, usize)>,
    old_total: u64,
    staying: BTreeSet<(u64, usize)>,
    staying_total: u64,
}

impl<'p, 'w> Room<'p, 'w> {
    pub(crate) fn new(pool: &'p Pool<'w>, roles: &[Role]) -> Self {
        let mut room = Self {
            pool,
            free: Vec::with_capacity(pool.hosts.len()),
            groups: Vec::with_capacity(pool.hosts.len()),
            role: vec![Role::None; pool.hosts.len()],
            upgraded: BTreeSet::new(),
            fresh: BTreeSet::new(),
            upgraded_total: 0,
            fresh_total: 0,
            old: BTreeSet::new(),
            old_total: 0,
            staying: BTreeSet::new(),
            staying_total: 0,
        };
        for host in &pool.hosts {
            room.free.push(host.memory.saturating_sub(host.load));
            room.groups.push(host.guests.iter().filter_map(|&guest| pool.guests[guest].group).collect());
        }
        for (host, &role) in roles.iter().enumerate() {
            room.put(host, role);
        }
        room
    }

    /// Whether guests of `load` MiB in all, `largest` the largest of them, could fit on upgraded hosts by sums alone.
    pub(crate) fn may_fit(&self, load: u64, largest: u64, fresh_too: bool) -> bool {
        let most = |set: &BTreeSet<(u64, usize)>| set.last().map_or(0, |&(free, _)| free);
        let (mut total, mut hole) = (self.upgraded_total, most(&self.upgraded));
        if fresh_too {
            total += self.fresh_total;
            hole = hole.max(most(&self.fresh));
        }
        load <= total && largest <= hole
    }

    /// Whether any host is upgraded.
    pub(crate) fn any_upgraded(&self) -> bool {
        !self.upgraded.is_empty() || !self.fresh.is_empty()
    }

    /// Gives a host another role.
    pub(crate) fn put(&mut self, host: usize, role: Role) {
        let entry = (self.free[host], host);
        if let Some((set, total)) = self.set(self.role[host]) {
            set.remove(&entry);
            *total -= entry.0;
        }
        self.role[host] = role;
        if let Some((set, total)) = self.set(role) {
            set.insert(entry);
            *total += entry.0;
        }
    }

    /// A host that was drained is upgraded and empty.
    pub(crate) fn put_fresh(&mut self, host: usize) {
        self.put(host, Role::None);
        self.free[host] = self.pool.hosts[host].memory;
        self.groups[host].clear();
        self.put(host, Role::Fresh);
    }

    /// Whether a host will be drained later.
    pub(crate) fn is_old(&self, host: usize) -> bool {
        self.role[host] == Role::Old
    }

    /// Finds a target for every one of `guests` and takes the room, or takes nothing and says who lacks what.
    pub(crate) fn place(&mut self, guests: &[usize], tiers: Tiers<'_>) -> Result<Vec<(usize, usize)>, Lack> {
        let mut done = Vec::with_capacity(guests.len());
        for &guest in guests {
            let target = tiers.iter().find_map(|&(role, fit)| self.find(guest, role, fit));
            if let Some(target) = target {
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

    fn find(&self, guest: usize, role: Role, fit: Fit) -> Option<usize> {
        let set = self.hosts(role)?;
        let (memory, group) = (self.pool.guests[guest].memory, self.pool.guests[guest].group);
        let allowed =
            |&(_, host): &(u64, usize)| group.is_none_or(|group| !self.groups[host].contains(&group));
        let mut enough = set.range((memory, 0)..);
        let found = match fit {
            Fit::Tight => enough.find(|&entry| allowed(entry)),
            Fit::Roomy => enough.rev().find(|&entry| allowed(entry)),
        };
        found.map(|&(_, host)| host)
    }

    fn lack(&self, guest: usize, placed: usize, tiers: Tiers<'_>) -> Lack {
        let memory = self.pool.guests[guest].memory;
        let asked = || tiers.iter().filter_map(|&(role, _)| self.hosts(role));
        let largest = asked().filter_map(|set| set.last()).max().map(|&(free, host)| (host, free));
        let kept_apart = match self.pool.guests[guest].group {
            Some(_) => asked().map(|set| set.range((memory, 0)..).count()).sum(),
            None => 0,
        };
        let upgraded_only = tiers.iter().all(|&(role, _)| matches!(role, Role::Upgraded | Role::Fresh));
        Lack { guest, largest, kept_apart, placed, upgraded_only }
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

    fn hosts(&self, role: Role) -> Option<&BTreeSet<(u64, usize)>> {
        match role {
            Role::None => None,
            Role::Upgraded => Some(&self.upgraded),
            Role::Fresh => Some(&self.fresh),
            Role::Old => Some(&self.old),
            Role::Staying => Some(&self.staying),
        }
    }

    fn set(&mut self, role: Role) -> Option<(&mut BTreeSet<(u64, usize)>, &mut u64)> {
        match role {
            Role::None => None,
            Role::Upgraded => Some((&mut self.upgraded, &mut self.upgraded_total)),
            Role::Fresh => Some((&mut self.fresh, &mut self.fresh_total)),
            Role::Old => Some((&mut self.old, &mut self.old_total)),
            Role::Staying => Some((&mut self.staying, &mut self.staying_total)),
        }
    }
}
