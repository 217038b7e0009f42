//! The words of Lifeboat.
//!
//! Owns: ids, units, inventory, policy, releases, plans, events, findings, and their serde forms, each with a
//! schema number. Promises: no I/O, no clock, no randomness; every value that crosses a file or a wire has one
//! form, and unknown fields of newer writers are tolerated. Does not: decide anything.

pub mod agent;
mod bank;
mod chain;
mod effect;
mod event;
mod feature;
mod finding;
mod hash;
mod id;
pub mod io;
mod phase;
mod plan;
mod policy;
mod release;
mod unit;
mod world;

pub use bank::{Bank, BankState};
pub use chain::chain;
pub use effect::{Effect, EffectKey, Progress};
pub use event::{EVENT_SCHEMA, Event, EventKind, OperatorVerb, Outcome, RollEnd};
pub use feature::{FeatureKind, FeatureView};
pub use finding::{Finding, Severity};
pub use hash::Sha256Hex;
pub use id::{GuestId, HostId, IdError, PoolName, RollId};
pub use phase::{IllegalPhase, Phase};
pub use plan::{Blocked, Bound, Figures, Move, PLAN_SCHEMA, Plan, PlanStep};
pub use policy::{InFlight, OnFailure, Order, Placement, Policy, PolicyError, Timeouts};
pub use release::{ReleaseRef, ReleaseVersion};
pub use unit::{Mib, Millis, Timestamp};
pub use world::{BankView, GuestView, HostView, Movable, World, WorldError};
