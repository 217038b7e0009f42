//! Rebuilding a damaged Linux bank from the other one: the same release, under its own name.
//!
//! Owns: what is copied (root image, kernel image), what is made anew (kernel line, manifest, file system), and the
//! order of the writes. Promises: the source is verified whole before the first write and is never written; the target
//! is invalid from the first write until every byte was read back; at the end it is `upgraded` and not `good`, since
//! no boot has proved it: a firmware that falls back to it puts it on trial first. Does not: rebuild a bank that runs
//! (the caller knows which does), rebuild ESXi banks, or carry saved state.

mod error;
mod plan;
mod run;

pub use error::RebuildError;
pub use plan::{RebuildPlan, plan_rebuild};
pub use run::{Rebuilt, rebuild};
