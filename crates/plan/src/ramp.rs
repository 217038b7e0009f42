//! The ramp: who is drained when, and where its guests go.
//!
//! Owns: the order of hosts, their waves and the targets of their guests. Promises: with spill 0 no guest moves more
//! than twice; no guest moves from an upgraded host to an old one; hosts of one wave do not depend on each other.
//! Does not: name reasons in words, or count.
//!
//! Wave 1 is one host whose guests may land on hosts that are still old: they move twice, and no plan can avoid it
//! while nothing is upgraded. After that a host is drained only when all its guests fit on upgraded hosts, the least
//! loaded first. Each upgraded host makes room for about 1/u hosts at load u, so the waves grow by themselves.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::layout::{Lack, LaidStep, Layout, Stuck};
use crate::pool::Pool;
use crate::room::{Fit, Role, Room, Tiers};

/// Failed trials in one wave after which the wave is closed, if it has a host. Bounds the time of a wave; what is
/// left over is tried again in the next one, when there is more room.
const TRIALS: usize = 64;

/// What the ramp has to respect.
pub(crate) struct Rules {
    /// The host that must be first, if any.
    pub(crate) first: Option<usize>,
    /// Most hosts of one wave.
    pub(crate) in_flight: usize,
    /// At most one host of a fault domain in one wave.
    pub(crate) one_per_domain: bool,
    /// Hosts of wave 2 that may place guests on old hosts.
    pub(crate) spill: usize,
}

/// The choices that may differ between two attempts on one pool.
#[derive(Clone, Copy)]
pub(crate) struct Strategy {
    /// Which old host takes a guest of the first host.
    pub(crate) old_fit: Fit,
    /// Hosts with the most memory first instead of the least loaded ones: for pools of unequal hosts in which a
    /// large host can be drained only early or makes the room that others need.
    pub(crate) large_first: bool,
}

struct Ramp<'p, 'w> {
    pool: &'p Pool<'w>,
    rules: &'p Rules,
    strategy: Strategy,
    room: Room<'p, 'w>,
    /// Guests that are on a host at this point of the plan.
    on: Vec<Vec<usize>>,
    load: Vec<u64>,
    /// Whether a guest was moved before.
    moved: Vec<bool>,
    /// Hosts whose turn has not come, by rank.
    waiting: BTreeSet<Rank>,
    /// Hosts of the wave before.
    fresh: Vec<usize>,
    /// Whether the last wave was ended by the policy and not by lack of room.
    ample: bool,
    layout: Layout,
}

/// First what a strategy puts before the load, then the load, then the index.
type Rank = (u64, u64, usize);

/// Lays out the turns of all hosts that stand on [`Role::Old`].
pub(crate) fn lay_out(pool: &Pool<'_>, roles: &[Role], rules: &Rules, strategy: Strategy) -> Layout {
    let mut ramp = Ramp {
        pool,
        rules,
        strategy,
        room: Room::new(pool, roles),
        on: pool.hosts.iter().map(|host| host.guests.clone()).collect(),
        load: pool.hosts.iter().map(|host| host.load).collect(),
        moved: vec![false; pool.guests.len()],
        waiting: BTreeSet::new(),
        fresh: Vec::new(),
        ample: false,
        layout: Layout::default(),
    };
    ramp.waiting =
        (0..pool.hosts.len()).filter(|&host| ramp.room.is_old(host)).map(|h| ramp.rank(h)).collect();
    if ramp.begin() {
        let mut wave = 2;
        while !ramp.waiting.is_empty() && (ramp.wave(wave) || ramp.one_or_reasons(wave)) {
            wave += 1;
        }
    }
    ramp.layout
}

/// Targets that do not have to be waited for, evenly loaded: the host can start while the last wave runs, and no
/// network port receives from many at once.
const SETTLED_EVENLY: Tiers<'static> = &[(Role::Upgraded, Fit::Roomy)];
const EVENLY: Tiers<'static> = &[(Role::Upgraded, Fit::Roomy), (Role::Fresh, Fit::Roomy)];
const UPGRADED: Tiers<'static> = &[(Role::Upgraded, Fit::Tight), (Role::Fresh, Fit::Tight)];

/// One way to place the guests of a host.
struct Attempt {
    tiers: Tiers<'static>,
    fresh_too: bool,
}

/// While room decides how many hosts a wave has: fill hosts up, keep large holes whole.
const SCARCE: &[Attempt] = &[Attempt { tiers: UPGRADED, fresh_too: true }];
/// While the policy decides: time counts.
const AMPLE: &[Attempt] = &[
    Attempt { tiers: SETTLED_EVENLY, fresh_too: false },
    Attempt { tiers: EVENLY, fresh_too: true },
    Attempt { tiers: UPGRADED, fresh_too: true },
];

impl Ramp<'_, '_> {
    fn rank(&self, host: usize) -> Rank {
        let before = if self.strategy.large_first { u64::MAX - self.pool.hosts[host].memory } else { 0 };
        (before, self.load[host], host)
    }

    /// Wave 1. False if no host can begin.
    fn begin(&mut self) -> bool {
        if let Some(first) = self.rules.first {
            return match self.try_first(first) {
                Ok(()) => true,
                Err(lack) => {
                    self.layout.stuck.push((first, Stuck::Guest(lack)));
                    let others = self.waiting.iter().map(|rank| rank.2).filter(|&host| host != first);
                    self.layout.stuck.extend(others.map(|host| (host, Stuck::Coordinator(first))));
                    false
                }
            };
        }
        let hosts: Vec<usize> = self.waiting.iter().map(|rank| rank.2).collect();
        // A host whose guests all end where they go is a better first than one whose guests move twice.
        if self.room.any_upgraded() {
            for &host in &hosts {
                if self.may_fit(host, true)
                    && let Ok(moves) = self.trial(host, UPGRADED, false)
                {
                    self.take_turn(host, 1, moves);
                    self.end_wave(&[host]);
                    return true;
                }
            }
        }
        let mut stuck = Vec::new();
        for &host in &hosts {
            match self.try_first(host) {
                Ok(()) => return true,
                Err(lack) => stuck.push((host, Stuck::Guest(lack))),
            }
        }
        self.layout.stuck = stuck;
        false
    }

    fn try_first(&mut self, host: usize) -> Result<(), Lack> {
        let fit = self.strategy.old_fit;
        let tiers = [
            (Role::Upgraded, Fit::Tight),
            (Role::Fresh, Fit::Tight),
            (Role::Old, fit),
            (Role::Staying, Fit::Roomy),
        ];
        let moves = self.trial(host, &tiers, false)?;
        self.take_turn(host, 1, moves);
        self.end_wave(&[host]);
        Ok(())
    }

    /// One wave. False if no waiting host could be drained.
    fn wave(&mut self, wave: u32) -> bool {
        let mut taken = Vec::new();
        let mut domains = BTreeSet::new();
        let attempts = if self.ample { AMPLE } else { SCARCE };
        let mut failed = [0; AMPLE.len()];
        let waiting = std::mem::take(&mut self.waiting);
        for &(_, load, host) in &waiting {
            let hopeless = failed[attempts.len() - 1] >= TRIALS && !taken.is_empty();
            if taken.len() >= self.rules.in_flight || hopeless {
                break;
            }
            if !self.room.may_fit(load, 0, true) {
                if self.strategy.large_first {
                    continue;
                }
                break;
            }
            if !self.domain_is_free(host, &domains) || !self.may_fit(host, true) {
                continue;
            }
            let mut placed = None;
            for (attempt, failed) in attempts.iter().zip(&mut failed) {
                if (*failed < TRIALS || taken.is_empty()) && self.may_fit(host, attempt.fresh_too) {
                    placed = self.trial(host, attempt.tiers, false).ok();
                    if placed.is_some() {
                        break;
                    }
                    *failed += 1;
                }
            }
            if let Some(moves) = placed {
                domains.extend(self.pool.hosts[host].domain);
                self.take_turn(host, wave, moves);
                taken.push(host);
            }
        }
        self.waiting = waiting;
        if wave == 2 {
            self.spill(wave, &mut taken, &mut domains);
        }
        self.ample = taken.len() >= self.rules.in_flight;
        self.end_wave(&taken);
        !taken.is_empty()
    }

    /// Lets further hosts of the second wave move guests onto old hosts: more moves, but the ramp grows faster.
    fn spill(&mut self, wave: u32, taken: &mut Vec<usize>, domains: &mut BTreeSet<usize>) {
        // Tight: the fewer hosts take guests, the more remain that can be drained in this wave.
        let tiers = [(Role::Upgraded, Fit::Tight), (Role::Fresh, Fit::Tight), (Role::Old, Fit::Tight)];
        let hosts: Vec<usize> = self.waiting.iter().map(|rank| rank.2).collect();
        let guests: Vec<usize> = hosts.iter().map(|&host| self.on[host].len()).collect();
        let (mut spilled, mut failed) = (0, 0);
        for (host, guests) in hosts.into_iter().zip(guests) {
            if spilled >= self.rules.spill || taken.len() >= self.rules.in_flight || failed >= TRIALS {
                break;
            }
            // A host that took guests in this very wave cannot be drained in it.
            if taken.contains(&host) || self.on[host].len() != guests || !self.domain_is_free(host, domains) {
                continue;
            }
            match self.trial(host, &tiers, true) {
                Ok(moves) => {
                    domains.extend(self.pool.hosts[host].domain);
                    self.take_turn(host, wave, moves);
                    taken.push(host);
                    spilled += 1;
                }
                Err(_) => failed += 1,
            }
        }
    }

    fn domain_is_free(&self, host: usize, domains: &BTreeSet<usize>) -> bool {
        !self.rules.one_per_domain
            || self.pool.hosts[host].domain.is_none_or(|domain| !domains.contains(&domain))
    }

    /// Cheap necessary conditions for all guests of a host to fit on upgraded hosts.
    fn may_fit(&self, host: usize, fresh_too: bool) -> bool {
        let largest = self.on[host].iter().map(|&guest| self.pool.guests[guest].memory).max().unwrap_or(0);
        self.room.may_fit(self.load[host], largest, fresh_too)
    }

    /// Takes room for all guests of a host, the largest first, or changes nothing.
    ///
    /// `moved_first`: guests that moved before get the upgraded hosts before others, so that spilling hardly ever
    /// moves one a third time.
    fn trial(
        &mut self,
        host: usize,
        tiers: Tiers<'_>,
        moved_first: bool,
    ) -> Result<Vec<(usize, usize)>, Lack> {
        let mut guests = self.on[host].clone();
        guests.sort_unstable_by_key(|&guest| {
            (moved_first && !self.moved[guest], Reverse(self.pool.guests[guest].memory), guest)
        });
        let was_old = self.room.is_old(host);
        self.room.put(host, Role::None);
        let placed = self.room.place(&guests, tiers);
        if placed.is_err() && was_old {
            self.room.put(host, Role::Old);
        }
        placed
    }

    fn take_turn(&mut self, host: usize, wave: u32, moves: Vec<(usize, usize)>) {
        for &(guest, target) in &moves {
            let rank = self.rank(target);
            self.on[target].push(guest);
            self.load[target] += self.pool.guests[guest].memory;
            self.moved[guest] = true;
            if self.waiting.remove(&rank) {
                self.waiting.insert(self.rank(target));
            }
        }
        self.layout.steps.push(LaidStep { host, wave, moves });
    }

    /// The hosts of a wave are committed: they are room for the next one.
    fn end_wave(&mut self, taken: &[usize]) {
        for host in std::mem::take(&mut self.fresh) {
            self.room.put(host, Role::Upgraded);
        }
        self.fresh = taken.to_vec();
        for &host in taken {
            let rank = self.rank(host);
            self.waiting.remove(&rank);
            self.on[host].clear();
            self.load[host] = 0;
            self.room.put_fresh(host);
        }
    }

    /// After a wave without a host: the first host that fits is a wave of its own, else every host that is left gets
    /// its reason and the answer is false.
    ///
    /// A host may fit here though it did not in the wave: the hosts of the wave before are no longer filled after
    /// all others, so guests are spread in another way, and which guests fit together depends on that.
    fn one_or_reasons(&mut self, wave: u32) -> bool {
        let hosts: Vec<usize> = self.waiting.iter().map(|rank| rank.2).collect();
        let mut stuck = Vec::with_capacity(hosts.len());
        for host in hosts {
            match self.trial(host, UPGRADED, false) {
                Ok(moves) => {
                    self.take_turn(host, wave, moves);
                    self.end_wave(&[host]);
                    return true;
                }
                Err(lack) => stuck.push((host, Stuck::Guest(lack))),
            }
        }
        self.layout.stuck = stuck;
        false
    }
}
