//! A boot disk as a whole: both banks by identity, for showing and for opening.
//!
//! Owns: opening a disk with its layout and record, rebuilding a lost record, the report of `bank show`. Promises:
//! reports print banks by identity, never by role; a record that was rebuilt is said to be. Does not: find devices,
//! or know which bank runs (the kernel line of the running system does).

mod open;
mod rebuild;
mod report;

pub use open::{BankDisk, DiskError};
pub use rebuild::{load_record, rebuild_record};
pub use report::{BankReport, DiskReport};
