//! Promises of lifeboat-hoststate.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod backup;
mod damage;
mod hosts;
mod incidents;
mod killed;
mod restore;
