//! How the first host of a host class begins, and how the last hosts end.
//!
//! Owns: the turns that do not follow from the least load. Promises: as the ramp's; a guest that moved before goes to
//! upgraded hosts only, so no guest moves a third time. Does not: anything on pools where every guest can run
//! everywhere, last hosts aside.
//!
//! Guests that only hosts of one class can run have nowhere to go before a host of that class is upgraded, and that
//! host cannot be drained onto upgraded hosts either. So, as in wave 1, some guests of the first host of each class
//! land on hosts that are still old: no plan can avoid it.

use crate::layout::{Lack, Stuck};
use crate::ramp::{Ramp, TRIALS, UPGRADED, Wave};
use crate::room::{Fit, Reach, Role, Tiers};

/// For guests that have not moved yet.
const OLD_TOO: Tiers<'static> = &[
    (Role::Upgraded, Fit::Tight),
    (Role::Fresh, Fit::Tight),
    (Role::Old, Fit::Roomy),
    (Role::Staying, Fit::Roomy),
];

impl Ramp<'_, '_> {
    /// Lets one host of every set without an upgraded host join the wave.
    pub(crate) fn seed(&mut self, wave: &mut Wave) {
        let sets = self.pool.classes.sets();
        if sets == 1 {
            return;
        }
        let mut failed = vec![0; sets];
        for set in (0..sets).filter(|&set| self.room.any_upgraded_in(set)) {
            failed[set] = TRIALS;
        }
        if failed.iter().all(|&failed| failed == TRIALS) {
            return;
        }
        let hosts: Vec<usize> = self.waiting.iter().map(|rank| rank.2).collect();
        for host in hosts {
            if wave.taken.len() >= self.rules.in_flight {
                return;
            }
            let set = self.pool.classes.set_of(host);
            if failed[set] >= TRIALS || !self.is_free(host, wave) {
                continue;
            }
            match self.trial_by_old_hosts(host) {
                Ok(moves) => {
                    self.join(host, wave, moves);
                    failed[set] = TRIALS;
                }
                Err(_) => failed[set] += 1,
            }
        }
    }

    fn trial_by_old_hosts(&mut self, host: usize) -> Result<Vec<(usize, usize)>, Lack> {
        let moved: std::collections::BTreeSet<usize> =
            self.on[host].iter().copied().filter(|&guest| self.moved[guest]).collect();
        self.trial_by(
            host,
            Reach::Any,
            |ramp, guest| !ramp.moved[guest],
            |guest| if moved.contains(&guest) { UPGRADED } else { OLD_TOO },
        )
    }

    /// The last way out where guests cannot run everywhere: a wave of one host whose guests may go to old hosts.
    pub(crate) fn alone_by_old_hosts(&mut self, host: usize, wave: u32) -> bool {
        if !self.pool.classes.constrained() {
            return false;
        }
        let Ok(moves) = self.trial_by_old_hosts(host) else { return false };
        self.take_turn(host, wave, moves);
        self.end_wave(&[host]);
        true
    }

    /// The hosts that go last, each in a wave of its own from `wave` on.
    pub(crate) fn last_hosts(&mut self, mut wave: u32) {
        for &host in &self.rules.last {
            if !self.room.is_old(host) {
                continue;
            }
            if self.layout.steps.is_empty() {
                match self.try_first(host) {
                    Ok(()) => wave += 1,
                    Err(lack) => self.layout.stuck.push((host, Stuck::Guest(lack))),
                }
                continue;
            }
            match self.trial(host, Reach::Any, UPGRADED) {
                Ok(moves) => {
                    self.take_turn(host, wave, moves);
                    self.end_wave(&[host]);
                    wave += 1;
                }
                Err(_) if self.alone_by_old_hosts(host, wave) => wave += 1,
                Err(lack) => self.layout.stuck.push((host, Stuck::Guest(lack))),
            }
        }
    }
}
