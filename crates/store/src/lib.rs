//! The journal on SQLite.
//!
//! Owns: rolls, their hash-chained events, what operators ordered from other processes, and the lease that keeps
//! one controller per pool. Promises: an event that was appended is on the disk (WAL, `synchronous=FULL`); events
//! of a roll have no gaps, and each holds the hash of the one before; damage is found on reading and named by
//! place. Does not: know what an event means, or decide anything.

mod chain;
mod error;
mod lease;
mod request;
mod roll;
mod schema;
mod store;

pub use chain::{Link, link_hash};
pub use error::StoreError;
pub use lease::{Holder, Lease};
pub use request::Request;
pub use roll::{RollRow, RollState};
pub use store::{Store, Tail};
