//! FAT volumes (Microsoft FAT specification of 2000, version 1.03).
//!
//! Owns: a formatter that fills a fresh FAT16 or FAT32 volume with a small tree, and one that plans a fresh bank volume
//! of ESXi around files of any size; a reader of FAT12, FAT16 and FAT32; a doctor that finds everything that is wrong
//! with one; the few changes in place that are safe. Promises: volumes and changes are lists of writes, boot sectors
//! come last; the reader gives a whole file or an error, and the doctor every finding, in bounded time and memory,
//! whatever the bytes are. Does not: write, or repair what can be rebuilt.

mod bank_format;
mod bank_plan;
mod edit;
mod examine;
mod format;
mod geometry;
mod names;
mod read;
mod report;
mod tree;

pub use bank_format::{BANK_MAGIC, BankFormat, PlannedFile};
pub use bank_plan::{BankPlan, BankPlanError};
pub use edit::{Edit, FatEditError, clear_dirty, remove, restore_first_fat};
pub use examine::examine;
pub use format::{FatFile, FatImage, FatPiece, FatWriteError, MAX_VOLUME, MIN_VOLUME};
pub use read::{Extent, FatEntry, FatReadError, FatVolume, FileSpan};
pub use report::{FatCode, FatCopy, FatFinding, FatKind, FatNode, FatReport, FatSeverity, FatTime};
