//! The planner from outside: what it promises to the person who approves a plan, and to the roll.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod blocked;
mod changes;
mod checks;
mod checks_guests;
mod checks_hosts;
mod checks_pool;
mod checks_properties;
mod checks_scene;
mod first_and_last;
mod interleaving;
mod linter;
mod needs;
mod placement;
mod pools;
mod properties;
mod ramp;
mod strategies;
