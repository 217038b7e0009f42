//! Why a bank was not rebuilt.

use lifeboat_model::{Bank, BankState};
use thiserror::Error;

use crate::fat::FatReadError;
use crate::install::InstallError;
use crate::record::RecordError;
use crate::uki::UkiError;

/// Why a rebuild was refused (nothing was written) or failed (the target is invalid, the source as before).
#[derive(Debug, Error)]
pub enum RebuildError {
    /// Refused: one bank twice.
    #[error("bank {bank} cannot be rebuilt from itself; name the other bank as its source")]
    Same {
        /// The bank.
        bank: Bank,
    },
    /// Refused: the source was never proved.
    #[error("bank {from} is {state}, not good: what was never proved is not copied")]
    SourceNotGood {
        /// The source.
        from: Bank,
        /// Its state.
        state: BankState,
    },
    /// Refused: the source is damaged, too.
    #[error("bank {from} is not whole, so nothing is rebuilt from it: {reason}")]
    SourceDamaged {
        /// The source.
        from: Bank,
        /// What was found.
        reason: String,
    },
    /// Refused: the verdict of a trial would be lost.
    #[error("bank {to} is on trial; let the host boot, so that the trial is decided, then rebuild")]
    OnTrial {
        /// The target.
        to: Bank,
    },
    /// The record could not be read.
    #[error("reading the bank record before the rebuild")]
    Record {
        /// The cause.
        #[source]
        source: RecordError,
    },
    /// The source's boot volume could not be read.
    #[error("reading the kernel image of bank {from}")]
    Read {
        /// The source.
        from: Bank,
        /// The cause.
        #[source]
        source: FatReadError,
    },
    /// The source's kernel image could not be given the target's kernel line. Nothing was written.
    #[error("giving the kernel image of bank {from} the name of bank {to}")]
    Relabel {
        /// The source.
        from: Bank,
        /// The target.
        to: Bank,
        /// The cause.
        #[source]
        source: UkiError,
    },
    /// Refused: the source's kernel line is not that of a bank.
    #[error("the kernel line of bank {from} does not name it as it should: {reason}")]
    Line {
        /// The source.
        from: Bank,
        /// What is wrong.
        reason: String,
    },
    /// The writing was refused or failed.
    #[error("writing bank {to}")]
    Write {
        /// The target.
        to: Bank,
        /// The cause.
        #[source]
        source: InstallError,
    },
}
