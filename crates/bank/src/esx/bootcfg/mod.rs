//! `boot.cfg` of an ESXi bank: read as loosely as the loader reads it, written as strictly as it can be written.
//!
//! Owns: the grammar of the loader (measured, ESXi 9.0 level), each looseness of it that changes the answer as a
//! *trap*, the one byte that the loader rewrites, and our own writing of the file. Promises: what the loader would
//! read is what [`BootCfg::values`] says; a file that [`write_strict`] made has no trap and holds every line that it
//! does not own; hostile bytes cost time and memory in proportion to [`MAX_CFG`]. Does not: choose a bank
//! (`esx::select`), or touch a disk.

mod digit;
mod keys;
mod number;
mod read;
mod trap;
mod traps;
mod write;

pub use digit::{STATE_LIMIT, StateDigit, StatePatch};
pub use keys::Key;
pub use number::{Number, NumberError};
pub use read::{BootCfg, CfgError, CfgLine, LineKind, MAX_CFG, Module, Refusal, Values};
pub use trap::{Trap, TrapEffect};
pub use write::{CfgChanges, CfgWriteError, QuickBoot, write_strict};

#[cfg(test)]
mod tests;
