//! The immutable, reviewable result of planning.

use serde::{Deserialize, Serialize};

use crate::{FeatureKind, GuestId, HostId, Mib, Millis, Policy, PoolName, ReleaseRef, Sha256Hex};

/// Number of the plan form that this program writes.
pub const PLAN_SCHEMA: u32 = 1;

/// One guest goes from one host to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The guest.
    pub guest: GuestId,
    /// Where it is when its host's turn comes.
    pub from: HostId,
    /// Where it goes.
    pub to: HostId,
    /// Its memory.
    pub memory: Mib,
}

/// One host's turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStep {
    /// The host.
    pub host: HostId,
    /// Hosts of one wave may be out of service at the same time; from 1. Wave 1 is a single host.
    pub wave: u32,
    /// Where each of its guests goes.
    pub moves: Vec<Move>,
    /// Guests that do not move: what happens to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stops: Vec<GuestStop>,
}

/// A guest that is down while its host is upgraded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestStop {
    /// The guest.
    pub guest: GuestId,
    /// Its memory.
    pub memory: Mib,
    /// The roll waits for its owner to shut it down or move it, and does not start it; otherwise the roll shuts it
    /// down just before the upgrade and starts it just after.
    #[serde(default)]
    pub by_owner: bool,
}

/// A host that cannot be upgraded as things are, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// The host.
    pub host: HostId,
    /// The guest that has nowhere to go, if it is that.
    pub guest: Option<GuestId>,
    /// Why, with the figures.
    pub reason: String,
    /// What a person can do.
    pub remedy: String,
}

/// A planned figure beside the best that any plan could reach.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound<T> {
    /// What this plan costs.
    pub planned: T,
    /// What no plan can go below.
    pub bound: T,
}

/// What a plan costs.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Moves of guests.
    pub moves: Bound<u64>,
    /// Memory that is moved.
    pub moved: Bound<Mib>,
    /// Time from the first to the last host, by the stated formula.
    pub makespan: Bound<Millis>,
    /// Most hosts out of service at the same time; the bound is 1.
    pub peak_hosts_down: Bound<u32>,
    /// Most capacity out of service at the same time.
    pub peak_unavailable: Bound<Mib>,
    /// Most moves of one guest.
    pub most_moves_of_a_guest: u32,
    /// Number of waves.
    pub waves: u32,
    /// Waves (first, last) in which the loss of the largest remaining host could not be covered; none if empty.
    pub no_failover: Vec<(u32, u32)>,
    /// What the placements would cost on top of `keep`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<Prices>,
}

/// What bringing guests back, or spreading them evenly, costs on top of leaving them where the roll put them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prices {
    /// Moves and memory to spread guests evenly after the last host.
    pub rebalance: (u64, Mib),
    /// Moves and memory to bring every guest back to where it was.
    pub restore: (u64, Mib),
}

/// A plan. It is never changed; another plan has another hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Form of this plan.
    pub schema: u32,
    /// The pool.
    pub pool: PoolName,
    /// What the hosts shall run.
    pub target: ReleaseRef,
    /// The policy it was made with.
    pub policy: Policy,
    /// The pool's coordinator.
    pub coordinator: Option<HostId>,
    /// Features that are suspended before the first host and restored after the last, in this order.
    pub suspends: Vec<FeatureKind>,
    /// The hosts in their order.
    pub steps: Vec<PlanStep>,
    /// Hosts that run the release already.
    pub unchanged: Vec<HostId>,
    /// Hosts that cannot be upgraded as things are. A plan with any is not started unless they are excluded.
    pub blocked: Vec<Blocked>,
    /// Hosts that were left out on request and run another release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<HostId>,
    /// Moves after the last host, for the policy's placement. Each is tried on its own, and a failure of one is a
    /// warning: the upgrade is judged without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placement: Vec<Move>,
    /// What it costs.
    pub figures: Figures,
    /// What a person should know before approving it.
    pub notes: Vec<String>,
}

impl Plan {
    /// The hash by which a person approves it: SHA-256 of its JSON form.
    ///
    /// # Errors
    /// The serializer's error; a plan made by the planner always has a JSON form.
    pub fn hash(&self) -> Result<Sha256Hex, serde_json::Error> {
        Ok(Sha256Hex::of(&serde_json::to_vec(self)?))
    }
}
