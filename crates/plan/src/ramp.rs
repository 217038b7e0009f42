//! The ramp: who is drained when, and where its guests go.
//!
//! Owns: the order of hosts, their waves and the targets of their guests. Promises: with spill 0 no guest moves more
//! than twice; no guest moves from an upgraded host to an old one; hosts of one wave do not depend on each other.
//! Does not: name reasons in words, or count.
//!
//! Wave 1 is one host whose guests may land on hosts that are still old: they move twice, and no plan can avoid it
//! while nothing is upgraded. After that a host is drained only when all its guests fit on upgraded hosts, the least
//! loaded first. Each upgraded host makes room for about 1/u hosts at load u, so the waves grow by themselves.
//!
//! Where guests cannot run on every host, each host class is a ramp of its own that lends room to the others; how the
//! first host of a class begins, and who goes last, stands in `seed`.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::layout::{Lack, LaidStep, Layout, Stuck};
use crate::pool::{Guest, Pool};
use crate::room::{Fit, Reach, Role, Room, Tiers};

/// Failed trials in one wave after which the wave is closed, if it has a host. Bounds the time of a wave; what is
/// left over is tried again in the next one, when there is more room.
pub(crate) const TRIALS: usize = 64;

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
    /// Hosts that go last, each alone, in this order.
    pub(crate) last: Vec<usize>,
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

pub(crate) struct Ramp<'p, 'w> {
    pub(crate) pool: &'p Pool<'w>,
    pub(crate) rules: &'p Rules,
    strategy: Strategy,
    pub(crate) room: Room<'p, 'w>,
    /// Guests that are on a host at this point of the plan and move when its turn comes.
    pub(crate) on: Vec<Vec<usize>>,
    /// MiB of these guests.
    load: Vec<u64>,
    /// Whether a guest was moved before.
    pub(crate) moved: Vec<bool>,
    /// Hosts whose turn has not come, by rank; without those that go last.
    pub(crate) waiting: BTreeSet<Rank>,
    /// Hosts of the wave before.
    fresh: Vec<usize>,
    /// Whether the last wave was ended by the policy and not by lack of room.
    ample: bool,
    pub(crate) layout: Layout,
}

/// The hosts of a wave while it is put together.
#[derive(Default)]
pub(crate) struct Wave {
    pub(crate) number: u32,
    pub(crate) taken: Vec<usize>,
    pub(crate) domains: BTreeSet<usize>,
    /// Whether a host takes guests in this wave, so that it cannot be drained in it.
    pub(crate) took: BTreeSet<usize>,
}

/// First what a strategy puts before the load, then the load, then the index.
pub(crate) type Rank = (u64, u64, usize);

/// Lays out the turns of all hosts that stand on [`Role::Old`].
pub(crate) fn lay_out(pool: &Pool<'_>, roles: &[Role], rules: &Rules, strategy: Strategy) -> Layout {
    let mut ramp = Ramp {
        pool,
        rules,
        strategy,
        room: Room::new(pool, roles),
        on: pool.hosts.iter().map(|host| host.guests.clone()).collect(),
        load: pool.hosts.iter().map(|host| host.moving).collect(),
        moved: vec![false; pool.guests.len()],
        waiting: BTreeSet::new(),
        fresh: Vec::new(),
        ample: false,
        layout: Layout::default(),
    };
    let last: BTreeSet<usize> = rules.last.iter().copied().collect();
    let waiting = (0..pool.hosts.len()).filter(|host| ramp.room.is_old(*host) && !last.contains(host));
    ramp.waiting = waiting.map(|host| ramp.rank(host)).collect();
    let mut wave = 1;
    if !ramp.waiting.is_empty() {
        if !ramp.begin() {
            return ramp.layout;
        }
        wave = 2;
        while !ramp.waiting.is_empty() && (ramp.wave(wave) || ramp.one_or_reasons(wave)) {
            wave += 1;
        }
    }
    ramp.last_hosts(wave);
    ramp.layout
}

/// Targets that do not have to be waited for, evenly loaded: the host can start while the last wave runs, and no
/// network port receives from many at once.
const SETTLED_EVENLY: Tiers<'static> = &[(Role::Upgraded, Fit::Roomy)];
const EVENLY: Tiers<'static> = &[(Role::Upgraded, Fit::Roomy), (Role::Fresh, Fit::Roomy)];
pub(crate) const UPGRADED: Tiers<'static> = &[(Role::Upgraded, Fit::Tight), (Role::Fresh, Fit::Tight)];

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
                    let last = self.rules.last.iter().copied().filter(|&host| self.room.is_old(host));
                    let others = others.chain(last);
                    self.layout.stuck.extend(others.map(|host| (host, Stuck::First(first))));
                    false
                }
            };
        }
        let hosts: Vec<usize> = self.waiting.iter().map(|rank| rank.2).collect();
        // A host whose guests all end where they go is a better first than one whose guests move twice.
        if self.room.any_upgraded() {
            for &host in &hosts {
                if self.may_fit(host, true)
                    && let Ok(moves) = self.trial(host, Reach::Any, UPGRADED)
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

    pub(crate) fn try_first(&mut self, host: usize) -> Result<(), Lack> {
        let fit = self.strategy.old_fit;
        let tiers = [
            (Role::Upgraded, Fit::Tight),
            (Role::Fresh, Fit::Tight),
            (Role::Old, fit),
            (Role::Staying, Fit::Roomy),
        ];
        let moves = self.trial(host, Reach::Any, &tiers)?;
        self.take_turn(host, 1, moves);
        self.end_wave(&[host]);
        Ok(())
    }

    /// One wave. False if no waiting host could be drained.
    fn wave(&mut self, number: u32) -> bool {
        let mut wave = Wave { number, ..Wave::default() };
        self.seed(&mut wave);
        let attempts = if self.ample { AMPLE } else { SCARCE };
        let sets = self.pool.classes.sets();
        let mut failed = vec![[0; AMPLE.len()]; sets];
        let waiting = std::mem::take(&mut self.waiting);
        for &(_, load, host) in &waiting {
            if wave.taken.len() >= self.rules.in_flight {
                break;
            }
            if !self.room.may_fit(load, 0, true) {
                if self.strategy.large_first {
                    continue;
                }
                break;
            }
            let failed = &mut failed[self.pool.classes.set_of(host)];
            if failed[attempts.len() - 1] >= TRIALS && !wave.taken.is_empty() {
                if sets == 1 {
                    break;
                }
                continue;
            }
            if !self.is_free(host, &wave) || !self.may_fit(host, true) {
                continue;
            }
            let mut placed = None;
            for (attempt, failed) in attempts.iter().zip(failed) {
                if (*failed < TRIALS || wave.taken.is_empty()) && self.may_fit(host, attempt.fresh_too) {
                    placed = self.trial(host, Reach::Modest, attempt.tiers).ok();
                    if placed.is_some() {
                        break;
                    }
                    *failed += 1;
                }
            }
            if let Some(moves) = placed {
                self.join(host, &mut wave, moves);
            }
        }
        self.waiting = waiting;
        if number == 2 {
            self.spill(&mut wave);
        }
        self.ample = wave.taken.len() >= self.rules.in_flight;
        self.end_wave(&wave.taken);
        !wave.taken.is_empty()
    }

    /// Lets further hosts of the second wave move guests onto old hosts: more moves, but the ramp grows faster.
    fn spill(&mut self, wave: &mut Wave) {
        // Tight: the fewer hosts take guests, the more remain that can be drained in this wave.
        let tiers = [(Role::Upgraded, Fit::Tight), (Role::Fresh, Fit::Tight), (Role::Old, Fit::Tight)];
        let hosts: Vec<usize> = self.waiting.iter().map(|rank| rank.2).collect();
        let (mut spilled, mut failed) = (0, 0);
        for host in hosts {
            if spilled >= self.rules.spill || wave.taken.len() >= self.rules.in_flight || failed >= TRIALS {
                break;
            }
            if !self.is_free(host, wave) {
                continue;
            }
            // Guests that moved before get the upgraded hosts before others, so that spilling hardly ever moves one
            // a third time.
            let moved = |ramp: &Self, guest: usize| !ramp.moved[guest];
            match self.trial_by(host, Reach::Any, moved, |_| &tiers) {
                Ok(moves) => {
                    self.join(host, wave, moves);
                    spilled += 1;
                }
                Err(_) => failed += 1,
            }
        }
    }

    /// Whether a host may be drained in this wave, by the policy and by what the wave has done.
    pub(crate) fn is_free(&self, host: usize, wave: &Wave) -> bool {
        // A host that takes guests in this very wave cannot be drained in it; one that was taken takes none.
        !wave.took.contains(&host) && self.room.is_old(host) && self.domain_is_free(host, &wave.domains)
    }

    /// A host joins a wave.
    pub(crate) fn join(&mut self, host: usize, wave: &mut Wave, moves: Vec<(usize, usize)>) {
        wave.domains.extend(self.pool.hosts[host].domain);
        wave.took.extend(moves.iter().map(|&(_, target)| target).filter(|&target| self.room.is_old(target)));
        wave.taken.push(host);
        self.take_turn(host, wave.number, moves);
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

    /// Takes room for all guests of a host, or changes nothing. Guests that few hosts can run come first, then the
    /// largest.
    pub(crate) fn trial(
        &mut self,
        host: usize,
        reach: Reach,
        tiers: Tiers<'_>,
    ) -> Result<Vec<(usize, usize)>, Lack> {
        self.trial_by(host, reach, |_, _| false, |_| tiers)
    }

    /// As [`Ramp::trial`]; guests for which `later` is false come before all others, and each has its own tiers.
    pub(crate) fn trial_by<'t>(
        &mut self,
        host: usize,
        reach: Reach,
        later: impl Fn(&Self, usize) -> bool,
        tiers: impl Fn(usize) -> Tiers<'t>,
    ) -> Result<Vec<(usize, usize)>, Lack> {
        let mut guests = self.on[host].clone();
        guests.sort_unstable_by_key(|&guest| {
            let Guest { class, memory, .. } = self.pool.guests[guest];
            let choices = self.pool.classes.served(class).count_ones();
            (later(self, guest), choices, Reverse(memory), guest)
        });
        let was_old = self.room.is_old(host);
        self.room.put(host, Role::None);
        let placed = self.room.place(host, &guests, reach, tiers);
        if placed.is_err() && was_old {
            self.room.put(host, Role::Old);
        }
        placed
    }

    pub(crate) fn take_turn(&mut self, host: usize, wave: u32, moves: Vec<(usize, usize)>) {
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
    pub(crate) fn end_wave(&mut self, taken: &[usize]) {
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
    /// all others, so guests are spread in another way, and which guests fit together depends on that; and guests
    /// may go to hosts that are scarce.
    fn one_or_reasons(&mut self, wave: u32) -> bool {
        let hosts: Vec<usize> = self.waiting.iter().map(|rank| rank.2).collect();
        let mut stuck = Vec::with_capacity(hosts.len());
        for &host in &hosts {
            match self.trial(host, Reach::Any, UPGRADED) {
                Ok(moves) => {
                    self.take_turn(host, wave, moves);
                    self.end_wave(&[host]);
                    return true;
                }
                Err(lack) => stuck.push((host, Stuck::Guest(lack))),
            }
        }
        if hosts.into_iter().any(|host| self.alone_by_old_hosts(host, wave)) {
            return true;
        }
        self.layout.stuck = stuck;
        false
    }
}
