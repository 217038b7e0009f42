//! Changes of an ESXi bank: choose, clean, rebuild, import.
//!
//! Owns: what is written, in which order, and the carrying out. Promises: a plan is a value that can be looked at before
//! anything is written; what it overwrites goes into an undo file first; only one bank can be written, by type; between
//! any two steps everything is flushed and read back; a power cut at any write leaves a disk on which the loader
//! chooses a whole bank, if it did before. Does not: decide what is foreign, check content (the caller hands the
//! verdict in), know the time, or make random bytes.

mod apply;
mod cfgedit;
mod clean;
mod error;
mod fatmap;
mod import;
mod judge;
mod plan;
mod rebuild;
mod rebuild_parts;
mod set_next;
mod target;

pub use apply::{Applied, Progress, apply};
pub use clean::{plan_clean, plan_clear_dirty, read_removed};
pub use error::ChangeError;
pub use import::{STATE_LIMIT, plan_import};
pub use judge::Content;
pub use plan::{ChangePlan, PlannedStep, SECTOR, Step};
pub(in crate::esx) use plan::{Epoch, SECTOR_LEN, Write};
pub use rebuild::{Fallback, KeepState, RebuildRequest, plan_rebuild};
pub use rebuild_parts::check_content;
pub use set_next::{NextBy, NextRequest, NextState, plan_set_next};
