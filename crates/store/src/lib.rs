//! The journal on SQLite.
//!
//! Owns: rolls, their hash-chained events, what operators ordered from other processes, the lease that keeps
//! one controller per pool, the text form of a journal for other machines, and what can be proved of a damaged one. Promises: an event that was appended is on the disk (WAL, `synchronous=FULL`); events
//! of a roll have no gaps, and each holds the hash of the one before; damage is found on reading and named by
//! place. Does not: know what an event means, or decide anything.

mod chain;
mod error;
mod export;
mod head;
mod lease;
mod remedy;
mod request;
mod roll;
mod salvage;
mod schema;
mod store;

pub use chain::{Link, link_hash};
pub use error::StoreError;
pub use export::{ExportFault, ExportHead, ExportReader, Exported, JOURNAL_FORM};
pub use head::RollHead;
pub use lease::{Holder, Lease};
pub use remedy::{NewRemedy, Remedy, RemedyState};
pub use request::Request;
pub use roll::{RollRow, RollState};
pub use salvage::{Damage, Salvage, Salvaged};
pub use store::{Store, Tail};
