//! How a person wants a pool to be rolled.
//!
//! Owns: every value of a policy, its default and its range. Promises: a policy that says nothing is safe for a small
//! pool; what a newer program added is left out of the written form where it has its default, so that older plans
//! keep their hash. Does not: read files.

mod check;
mod command;
mod guests;
mod window;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use check::PolicyError;
pub use command::{After, Gate, Hook, HookStage, NOTHING_TO_DO};
pub use guests::{GuestRule, GuestStrategy, matches_name};
pub use window::{Day, Window, minutes_of};

use crate::{GuestId, HostId, Millis};

/// Which host goes first.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The coordinator first and alone (XenServer: a member upgraded before it loses its network, I-11).
    #[default]
    CoordinatorFirst,
    /// The coordinator last (Ganeti: the master is the way back until all others are good).
    CoordinatorLast,
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
    /// After the last host guests are moved until no host has much more load than the others.
    Rebalance,
    /// After the last host every guest is moved back to where it was.
    Restore,
}

/// When a person must say that the roll may go on.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approve {
    /// Approving the plan approves all of it.
    #[default]
    Plan,
    /// Once more after the first wave.
    FirstWave,
    /// After every wave but the last.
    EveryWave,
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
    /// As `stop`, but what is suspended stays so and hosts in flight come to their end: a person says what is next.
    Pause,
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
    /// Shutting a guest down or starting it.
    #[serde(skip_serializing_if = "is_default_guest")]
    pub guest: Millis,
    /// Until the owner of a guest with strategy `leave` has shut it down or moved it.
    #[serde(skip_serializing_if = "is_default_owner")]
    pub owner: Millis,
}

const GUEST: Millis = Millis::from_secs(600);
const OWNER: Millis = Millis::from_secs(86_400);

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_default_guest(limit: &Millis) -> bool {
    *limit == GUEST
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_default_owner(limit: &Millis) -> bool {
    *limit == OWNER
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            step: Millis::from_secs(300),
            migrate: Millis::from_secs(3600),
            stage: Millis::from_secs(3600),
            install: Millis::from_secs(3600),
            reboot: Millis::from_secs(2700),
            guest: GUEST,
            owner: OWNER,
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
    /// The host that goes first where the coordinator does not have to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<HostId>,
    /// Hosts that go last, in this order: the one that this controller runs on, for example.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last: Vec<HostId>,
    /// Memory kept free, in per cent of the pool's; the larger of this and `reserve_hosts` counts.
    #[serde(skip_serializing_if = "is_default")]
    pub reserve_percent: u32,
    /// What happens to guests, by name; the first rule that matches counts, `migrate` if none does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub guests: Vec<GuestRule>,
    /// What happens to guests that no rule names and that cannot be moved while they run.
    #[serde(skip_serializing_if = "is_forbid")]
    pub immovable_guests: GuestStrategy,
    /// When a person must say that the roll may go on.
    #[serde(skip_serializing_if = "is_default")]
    pub approve: Approve,
    /// When hosts may begin. Empty: always.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// A host begins only if its window stays open for so long.
    #[serde(skip_serializing_if = "is_default")]
    pub window_margin: Millis,
    /// Commands around hosts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
    /// Commands between waves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_forbid(strategy: &GuestStrategy) -> bool {
    *strategy == GuestStrategy::Forbid
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
            canary: None,
            last: Vec::new(),
            reserve_percent: 0,
            guests: Vec::new(),
            immovable_guests: GuestStrategy::Forbid,
            approve: Approve::default(),
            windows: Vec::new(),
            window_margin: Millis(0),
            hooks: Vec::new(),
            gates: Vec::new(),
        }
    }
}

impl Policy {
    /// What happens to a guest, and whether a rule names it. `movable` is whether it can be moved while it runs.
    #[must_use]
    pub fn strategy_of(&self, guest: &GuestId, movable: bool) -> GuestStrategy {
        match self.guests.iter().find(|rule| rule.matches(guest)) {
            Some(rule) => rule.strategy,
            None if movable => GuestStrategy::Migrate,
            None => self.immovable_guests,
        }
    }

    /// Hooks of one stage that run for a host, in the order of the file.
    pub fn hooks_for<'p>(&'p self, stage: HookStage, host: &'p HostId) -> impl Iterator<Item = &'p Hook> {
        self.hooks.iter().filter(move |hook| hook.stage == stage && hook.is_for(host))
    }

    /// Whether a barrier stands after every wave, only after the first, or nowhere.
    #[must_use]
    pub fn barriers(&self) -> Option<After> {
        let every = self.approve == Approve::EveryWave
            || self.gates.iter().any(|gate| gate.after == After::EveryWave);
        let first = self.approve == Approve::FirstWave || !self.gates.is_empty();
        if every { Some(After::EveryWave) } else { first.then_some(After::FirstWave) }
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
            Self::Pause => f.write_str("pause"),
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
