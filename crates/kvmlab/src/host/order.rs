//! What the power loop tells a host that it boots: `boot.json`.
//!
//! Owns: the form of the file. Promises: a boot is described in full before it begins. Does not: choose a bank.

use lifeboat_model::Bank;
use serde::{Deserialize, Serialize};

/// One boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BootOrder {
    /// Identity of this boot.
    pub(crate) boot_id: String,
    /// For a host that boots from banks: what the firmware chose.
    pub(crate) bank: Option<BankOrder>,
}

/// What the firmware chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BankOrder {
    /// The bank.
    pub(crate) bank: Bank,
    /// Name of the disk as the kernel has it, for example `loop3`.
    pub(crate) disk: String,
    /// Number of the partition with the root.
    pub(crate) root: u32,
    /// Number of the partition with the state.
    pub(crate) state: u32,
    /// Kernel line.
    pub(crate) cmdline: String,
    /// Names the writable parts of this install: another release in the same bank begins with fresh ones.
    pub(crate) install: String,
}
