//! The planner of Lifeboat: order, placement, lower bounds, linter, diff.
//!
//! Owns: the way from a pool as it is seen now to a plan that a person can review. Promises: no I/O, no clock, no
//! randomness; the same input gives the same plan, byte for byte; every plan it makes passes [`lint()`].
//! Does not: act, or decide what happens after an event (that is the roll).
//!
//! # What the roll may rely on
//! The steps of a plan are listed in wave order. Wave 1 is one host; nothing else starts before it is committed and
//! the soak is over. After that a step may start as soon as
//! 1. every target of its moves that stands earlier in the steps is committed,
//! 2. every earlier step that moves a guest onto this host has drained,
//! 3. fewer than `figures.peak_hosts_down.planned` hosts are out of service, and none of its fault domain if the
//!    policy says so,
//! 4. for a host that goes last by the policy (`last`, or the coordinator with order `coordinator-last`): every step
//!    before it is committed.
//!
//! A guest of [`PlanStep::stops`](lifeboat_model::PlanStep) is down while its host is upgraded. Room for it is kept on
//! that host throughout. The moves of [`Plan::placement`](lifeboat_model::Plan) follow after the last step, one after
//! the other: each fits when those before it were done.
//!
//! Targets that stand later in the steps, or in no step, are hosts that run the old release still. A host that was
//! upgraded only gains guests, and a host that is old only gains guests until its turn; so the load of a target never
//! exceeds what it is after all moves of the plan onto it, whatever the order in which steps end. The linter checks
//! each of these rules.

mod bound;
pub mod check;
mod class;
mod diff;
mod explain;
mod figures;
mod layout;
mod lint;
mod makespan;
mod options;
mod order;
mod placement;
mod planner;
mod policy_diff;
mod pool;
mod ramp;
mod room;
mod seed;
mod standing;

pub use diff::{FigureChange, MoveChange, PlanDiff, diff};
pub use lint::{codes, lint};
pub use options::{Options, PlanError, Timing};
pub use planner::plan;
