//! The real executor on a real journal file and the simulated pool.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::format_push_string, reason = "pictures for people, and time does not matter")]

mod crash;
mod laws;
mod machine;
mod pool;
mod roll;
mod sweep;
mod verbs;
