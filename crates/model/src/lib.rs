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
mod fix;
mod hash;
mod id;
pub mod image;
pub mod io;
mod phase;
mod plan;
mod policy;
mod release;
mod survey;
mod unit;
mod world;

pub use bank::{Bank, BankState};
pub use chain::chain;
pub use effect::{Effect, EffectKey, Progress};
pub use event::{EVENT_SCHEMA, Event, EventKind, OperatorVerb, Outcome, RollEnd};
pub use feature::{FeatureKind, FeatureView};
pub use finding::{Finding, Severity};
pub use fix::Fix;
pub use hash::Sha256Hex;
pub use id::{GuestId, HostId, IdError, PoolName, RollId};
pub use phase::{IllegalPhase, Phase};
pub use plan::{Blocked, Bound, Figures, GuestStop, Move, PLAN_SCHEMA, Plan, PlanStep, Prices};
pub use policy::{
    After, Approve, Day, Gate, GuestRule, GuestStrategy, Hook, HookStage, InFlight, NOTHING_TO_DO, OnFailure,
    Order, Placement, Policy, PolicyError, Timeouts, Window, matches_name, minutes_of,
};
pub use release::{ReleaseRef, ReleaseVersion};
pub use survey::{
    Admission, BankFacts, Emulator, Fact, GuestFacts, HostFacts, Link, PoolFacts, ReleaseFacts, Space,
    StoragePaths, Survey, Task, TaskKind,
};
pub use unit::{Mib, Millis, Timestamp};
pub use world::{BankView, GuestView, HostView, Movable, World, WorldError};
