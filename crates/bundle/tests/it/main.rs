//! Promises of the bundle format, one module each.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chunks;
mod damage;
mod forge;
mod golden;
mod hostile;
mod packages;
mod round_trip;
mod trust;
