//! What a boot means: which bank runs, and what the record expected.

use lifeboat_model::{Bank, BankState};

use crate::record::BankRecord;

/// What the boot that just happened means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootVerdict {
    /// No trial is open and the running bank is good: nothing to do.
    Steady,
    /// The bank under trial runs: check health, then bless it or fail it.
    OnTrial {
        /// The running bank.
        bank: Bank,
    },
    /// A trial is open, and the other bank runs: the trial did not come to its end. Mark it failed.
    FellBack {
        /// The bank that was tried.
        tried: Bank,
    },
    /// The running bank is not one that should run: it is not good and no trial of it is open. Reboot into the good
    /// bank, or ask a person.
    Unexpected {
        /// The running bank.
        running: Bank,
        /// What the record says of it.
        state: BankState,
    },
}

/// Judges a boot by the id of the running bank, taken from the kernel line, and by the record. Nothing else counts:
/// variables that a loader leaves behind may still name the bank that failed.
#[must_use]
pub fn judge_boot(record: &BankRecord, running: Bank) -> BootVerdict {
    let state = record.bank(running).state;
    let other = running.other();
    match (state, record.bank(other).state) {
        (BankState::Trying, _) => BootVerdict::OnTrial { bank: running },
        (_, BankState::Trying) => BootVerdict::FellBack { tried: other },
        (BankState::Good, _) => BootVerdict::Steady,
        (BankState::Empty | BankState::Invalid | BankState::Upgraded | BankState::Failed, _) => {
            BootVerdict::Unexpected { running, state }
        }
    }
}
