//! How a person wants a pool to be rolled.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Millis;

/// Which host goes first.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The coordinator first and alone (XenServer: a member upgraded before it loses its network, I-11).
    #[default]
    CoordinatorFirst,
    /// No host is special; the least loaded one begins.
    LeastLoadedFirst,
}

/// Where guests end.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// Guests stay where the roll put them: the fewest moves.
    #[default]
    Keep,
}

/// How many hosts may be out of service at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InFlight {
    /// So many hosts.
    Hosts(u32),
    /// So many per cent of the pool's hosts, rounded down, at least one.
    Percent(u32),
}

/// What happens after a host failed or fell back.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// No further host is started; those past their point of no return come to their end.
    #[default]
    Stop,
    /// Go on until more than so many hosts have failed.
    Continue(u32),
}

/// Limits of every wait, in milliseconds. None is endless.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Timeouts {
    /// Check, saving of state, entering or leaving maintenance.
    pub step: Millis,
    /// One migration of one guest.
    pub migrate: Millis,
    /// Bringing the release to the host.
    pub stage: Millis,
    /// Writing and verifying the alternate bank.
    pub install: Millis,
    /// From the order to reboot until the host is back and judged.
    pub reboot: Millis,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            step: Millis::from_secs(300),
            migrate: Millis::from_secs(3600),
            stage: Millis::from_secs(3600),
            install: Millis::from_secs(3600),
            reboot: Millis::from_secs(2700),
        }
    }
}

/// The policy of a roll. Every value has a default that is safe for a small pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    /// Which host goes first.
    pub order: Order,
    /// How many hosts may be out of service at once.
    pub max_in_flight: InFlight,
    /// At most one host of a fault domain is out of service at once.
    pub one_per_fault_domain: bool,
    /// Memory kept free for the loss of so many of the largest hosts while the roll goes on.
    pub reserve_hosts: u32,
    /// Hosts of the second generation that may move guests onto hosts that are still old: more moves, less time.
    pub spill: u32,
    /// Where guests end.
    pub placement: Placement,
    /// What happens after a host failed or fell back.
    pub on_failure: OnFailure,
    /// How often a step that failed and may be repeated is tried in all.
    pub attempts: u32,
    /// Pause before a step is tried again.
    pub retry_delay: Millis,
    /// Migrations away from one host at the same time.
    pub migrations_per_host: u32,
    /// Wait after the first host, before the others may begin.
    pub soak: Millis,
    /// Limits of every wait.
    pub timeouts: Timeouts,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            order: Order::default(),
            max_in_flight: InFlight::Hosts(1),
            one_per_fault_domain: true,
            reserve_hosts: 0,
            spill: 0,
            placement: Placement::default(),
            on_failure: OnFailure::default(),
            attempts: 3,
            retry_delay: Millis::from_secs(10),
            migrations_per_host: 2,
            soak: Millis(0),
            timeouts: Timeouts::default(),
        }
    }
}

/// Why a policy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// A number is outside of what has a meaning.
    #[error("policy value {key} = {value} is outside {allowed}")]
    OutOfRange {
        /// Name of the value as written in the file.
        key: &'static str,
        /// What was found.
        value: u64,
        /// What has a meaning.
        allowed: &'static str,
    },
}

impl Policy {
    /// Checks every value that has a range.
    ///
    /// # Errors
    /// [`PolicyError::OutOfRange`] with the first value that has no meaning.
    pub fn validate(&self) -> Result<(), PolicyError> {
        let in_flight = match self.max_in_flight {
            InFlight::Hosts(hosts) => ("max-in-flight.hosts", hosts, hosts >= 1, "1 and more"),
            InFlight::Percent(percent) => {
                ("max-in-flight.percent", percent, (1..=50).contains(&percent), "1 to 50")
            }
        };
        let attempts = ("attempts", self.attempts, (1..=20).contains(&self.attempts), "1 to 20");
        let lanes = self.migrations_per_host;
        let lanes = ("migrations-per-host", lanes, (1..=64).contains(&lanes), "1 to 64");
        for (key, value, good, allowed) in [in_flight, attempts, lanes] {
            if !good {
                return Err(PolicyError::OutOfRange { key, value: u64::from(value), allowed });
            }
        }
        let limits = [
            ("timeouts.step", self.timeouts.step),
            ("timeouts.migrate", self.timeouts.migrate),
            ("timeouts.stage", self.timeouts.stage),
            ("timeouts.install", self.timeouts.install),
            ("timeouts.reboot", self.timeouts.reboot),
        ];
        for (key, limit) in limits {
            if limit.0 == 0 {
                return Err(PolicyError::OutOfRange { key, value: 0, allowed: "1 ms and more" });
            }
        }
        Ok(())
    }

    /// How many of `hosts` may be out of service at once; at least one.
    #[must_use]
    pub fn in_flight_of(&self, hosts: usize) -> usize {
        match self.max_in_flight {
            InFlight::Hosts(count) => usize::try_from(count).unwrap_or(usize::MAX).max(1),
            InFlight::Percent(percent) => {
                (hosts.saturating_mul(usize::try_from(percent).unwrap_or(0)) / 100).max(1)
            }
        }
    }
}

impl fmt::Display for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosts(hosts) => write!(f, "{hosts}"),
            Self::Percent(percent) => write!(f, "{percent} %"),
        }
    }
}

impl fmt::Display for OnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stop => f.write_str("stop"),
            Self::Continue(hosts) => write!(f, "continue up to {hosts} failed hosts"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_policy_is_valid_and_moves_one_host_at_a_time() {
        let policy = Policy::default();
        assert_eq!(policy.validate(), Ok(()));
        assert_eq!(policy.in_flight_of(10_000), 1);
    }

    #[test]
    fn half_of_the_pool_is_the_most_that_may_be_out_of_service() {
        let policy = Policy { max_in_flight: InFlight::Percent(60), ..Policy::default() };
        assert!(policy.validate().is_err());
        let policy = Policy { max_in_flight: InFlight::Percent(10), ..Policy::default() };
        assert_eq!((policy.in_flight_of(3), policy.in_flight_of(100)), (1, 10));
    }

    #[test]
    fn a_wait_without_a_limit_is_refused() {
        let timeouts = Timeouts { reboot: Millis(0), ..Timeouts::default() };
        assert!(Policy { timeouts, ..Policy::default() }.validate().is_err());
    }
}
