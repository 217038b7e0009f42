//! The real executor on a real journal file and the simulated pool.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod crash;
mod pool;
mod roll;
