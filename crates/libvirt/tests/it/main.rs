//! The crate's promises, tried on real daemons, recorded bytes and damaged ones.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod daemon;
mod ends;
mod fabric;
mod golden;
mod migration;
mod transports;
