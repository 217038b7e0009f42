//! What the trial steps ask of the firmware's boot variables.

use lifeboat_model::Bank;
use thiserror::Error;

use crate::finding::Finding;
use crate::record::BankRecord;

/// The boot variables as the trial steps see them. Every call that changes something reads back what it wrote.
pub trait BootControl {
    /// What the variables say now.
    ///
    /// # Errors
    /// When they cannot be read. A missing `BootCurrent` is no error.
    fn status(&mut self) -> Result<BootStatus, BootControlError>;

    /// Makes `bank` the next boot, once (`BootNext`). Its entry is created or corrected when it has to be.
    ///
    /// # Errors
    /// When the variable could not be written, or does not read back.
    fn set_next(&mut self, bank: Bank) -> Result<(), BootControlError>;

    /// Deletes `BootNext`. Nothing to delete is no error.
    ///
    /// # Errors
    /// When it is still there afterwards.
    fn clear_next(&mut self) -> Result<(), BootControlError>;

    /// Makes `bank` the first in `BootOrder`, the other bank the second; entries that are not ours keep their order
    /// behind them.
    ///
    /// # Errors
    /// When the order could not be written, or does not read back.
    fn commit(&mut self, bank: Bank) -> Result<(), BootControlError>;

    /// Has the firmware's menu tell what the banks hold. For people only: nothing is decided by it.
    ///
    /// # Errors
    /// When a text could not be written. What boots is as it was.
    fn describe(&mut self, _record: &BankRecord) -> Result<(), BootControlError> {
        Ok(())
    }
}

/// What the boot variables say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BootStatus {
    /// The bank whose entry booted this machine (`BootCurrent`); none when it is not readable or not ours.
    pub current: Option<Bank>,
    /// The bank that boots next, once (`BootNext`); none when it is not set or not ours.
    pub next: Option<Bank>,
    /// Our banks in the order in which `BootOrder` has them.
    pub order: Vec<Bank>,
    /// What is strange: entries that point elsewhere, foreign entries before ours, and the like.
    pub findings: Vec<Finding>,
}

/// A boot variable could not be read or written.
#[derive(Debug, Error)]
#[error("{doing}")]
pub struct BootControlError {
    /// What was being done to which variable.
    pub doing: String,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}
