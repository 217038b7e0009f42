//! The check of a disk with ESXi banks: everything that is wrong, what it means for the next upgrade, and what mends
//! it.
//!
//! Owns: the judgement. Promises: nothing is written; every finding has a stable word, a weight, what it means for the
//! next upgrade, and the command that mends it if there is one; what is no damage (labels, a dirty bit) is not called
//! damage. Does not: repair.

mod config;
mod damage;
mod files;
mod options;
mod report;
mod situation;
mod space;
mod volume;

pub use damage::{BankDamage, Content, Structure};
pub use options::{BankManifest, CheckOptions, FileDigest, ReleaseSize};
pub use report::{CheckReport, check};
