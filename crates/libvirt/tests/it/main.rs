//! The crate's promises, tried on real daemons, recorded bytes and damaged ones.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bytes;
mod daemon;
mod damage;
mod ends;
mod fabric;
mod facts;
mod golden;
mod migration;
mod transports;
mod uris;
