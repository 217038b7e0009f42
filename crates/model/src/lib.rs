//! The words of Lifeboat.
//!
//! Owns: ids, units, inventory, policy, releases, plans, events, findings, and their serde forms, each with a
//! schema number. Promises: no I/O, no clock, no randomness; every value that crosses a file or a wire has one
//! form, and unknown fields of newer writers are tolerated. Does not: decide anything.

mod bank;
mod hash;
pub mod io;
mod release;
mod unit;

pub use bank::{Bank, BankState};
pub use hash::Sha256Hex;
pub use release::{ReleaseRef, ReleaseVersion};
pub use unit::{Mib, Millis, Timestamp};
