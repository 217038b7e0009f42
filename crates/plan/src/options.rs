//! What a caller may ask of the planner beside the policy, and why there may be no plan at all.
//!
//! Owns: [`Options`], [`Timing`], [`PlanError`]. Does not: hold anything that belongs into a policy file.

use std::collections::BTreeSet;

use lifeboat_model::{HostId, Mib, Millis, PolicyError, PoolName};
use thiserror::Error;

/// What is decided for one plan only.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Options {
    /// Hosts that are left as they are. They keep their guests and may take others for a while.
    pub exclude: BTreeSet<HostId>,
    /// Hosts on which the release failed before and shall be tried again.
    pub retry: BTreeSet<HostId>,
    /// The constants of the time estimate.
    pub timing: Timing,
}

/// The constants of the time estimate. They are an assumption, not a measurement of the pool.
///
/// A host with `m` MiB in `g` guests drains in `m · dirty / network + g · per_guest / migrations_per_host`; a target
/// that receives from several hosts of one wave is not faster than its own network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// What one host sends or receives in a second. Default: 1,126 MiB, the useful part of 10 GbE.
    pub network: Mib,
    /// What is sent in per cent of a guest's memory, since pages change meanwhile. Default: 120.
    pub dirty_percent: u64,
    /// Preparation and switch-over of one guest. Default: 5 s.
    pub per_guest: Millis,
    /// From an empty host to a committed one: install, reboot, checks. Default: 15 min.
    pub upgrade: Millis,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            network: Mib(1126),
            dirty_percent: 120,
            per_guest: Millis::from_secs(5),
            upgrade: Millis::from_secs(900),
        }
    }
}

impl Timing {
    /// Time to send `memory` through one network port.
    pub(crate) fn send(&self, memory: u64) -> u64 {
        memory.saturating_mul(self.dirty_percent).saturating_mul(10) / self.network.0.max(1)
    }

    /// Time to drain a host that has `guests` guests of `memory` MiB in all, `lanes` of them at a time.
    pub(crate) fn drain(&self, memory: u64, guests: u64, lanes: u32) -> u64 {
        let overhead = guests.saturating_mul(self.per_guest.0) / u64::from(lanes.max(1));
        self.send(memory).saturating_add(overhead)
    }
}

/// Why no plan could be made. A host that cannot be upgraded is no error: the plan names it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    /// The policy has a value without a meaning.
    #[error("the policy cannot be used for a plan")]
    Policy(#[from] PolicyError),
    /// There is nothing to plan for.
    #[error("pool {pool} has no hosts: add hosts to the pool before planning")]
    NoHosts {
        /// The pool.
        pool: PoolName,
    },
    /// A name given by the caller is not in the pool; perhaps it is mistyped.
    #[error("host {host}, named in {list}, is not in pool {pool}: check the name")]
    UnknownHost {
        /// The name.
        host: HostId,
        /// The pool.
        pool: PoolName,
        /// Which list of the caller has it.
        list: &'static str,
    },
    /// A size that no machine has; sums of such sizes would mean nothing.
    #[error("{subject} of pool {pool} has {memory} of memory, more than 1 EiB: correct the pool description")]
    AbsurdMemory {
        /// Host or guest.
        subject: String,
        /// The pool.
        pool: PoolName,
        /// Its memory.
        memory: Mib,
    },
    /// Members must not be upgraded before the coordinator.
    #[error(
        "host {coordinator} is the coordinator of pool {pool} and runs another release; with order coordinator-first \
         it cannot be excluded: upgrade it first, or set order = \"least-loaded-first\" if this pool's members may be \
         newer than their coordinator"
    )]
    CoordinatorExcluded {
        /// The coordinator.
        coordinator: HostId,
        /// The pool.
        pool: PoolName,
    },
    /// The policy's order cannot be kept in this pool.
    #[error("the order of the policy cannot be kept in pool {pool}: {reason}: {remedy}")]
    Order {
        /// The pool.
        pool: PoolName,
        /// Which values contradict each other or the pool.
        reason: String,
        /// What a person can do.
        remedy: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_takes_the_time_of_the_stated_formula() {
        let timing = Timing::default();
        // 538 GiB in 30 guests, two at a time: 1.2 · 538 / 1.1 s + 30 · 5 / 2 s.
        let drain = timing.drain(538 * 1024, 30, 2);
        assert!((661_000..663_000).contains(&drain), "{drain} ms");
        assert_eq!(timing.drain(0, 0, 2), 0);
        assert_eq!(timing.drain(0, 4, 0), timing.drain(0, 4, 1), "no lanes count as one");
        assert_eq!(
            Timing { network: Mib(0), ..timing }.send(1),
            1200,
            "no network counts as 1 MiB per second"
        );
    }
}
