//! The roll keeps its promises, in a pool of values, under failures and crashes anywhere.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod crash;
mod model;
mod moments;
mod order;
mod policy;
mod toy;
