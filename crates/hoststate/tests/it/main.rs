//! Promises of lifeboat-hoststate.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::format_push_string, reason = "texts of tests are short")]

mod backup;
mod damage;
mod hosts;
mod incidents;
mod killed;
mod restore;
