//! Promises of the agent on hosts without banks, with the real dpkg and the real rpm in roots of their own.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::exit, reason = "a child tells by its exit code that a reboot is due")]

mod lab;
mod packages_kill;
mod packages_release;
mod packages_trial;
