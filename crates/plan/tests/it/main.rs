//! The planner from outside: what it promises to the person who approves a plan, and to the roll.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod blocked;
mod changes;
mod interleaving;
mod linter;
mod pools;
mod properties;
mod ramp;
