//! What this crate promises: over dumps of real machines, over this machine, and over what was made to deceive.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;
mod findings;
mod hostile;
mod live;
mod names;
mod nodedev;
mod results;
mod san;
