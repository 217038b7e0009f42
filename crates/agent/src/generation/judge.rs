//! What a boot means for the packages.
//!
//! Owns: the table from the next generation's state and the identity of the boot to what follows. Promises: total; the
//! same record and the same boot give the same verdict. Does not: act.

use super::record::{Generations, Next};

/// Longest row of starts of the agent in one boot that a trial may need.
pub const MOST_STARTS: u32 = 3;

/// What is to be done in a boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageVerdict {
    /// Nothing.
    Steady,
    /// A transaction was interrupted: it is finished or rolled back when that is ordered, and no reboot before.
    Interrupted,
    /// The trial was ordered, and the boot before it still runs: it never began.
    NeverBegan {
        /// The record without the order.
        record: Box<Generations>,
    },
    /// The boot is the trial: the record is kept, then the checks run.
    Trial {
        /// The record with this boot as the trial.
        record: Box<Generations>,
    },
    /// The trial is lost: the record is kept, then the versions before it are brought back.
    Lost {
        /// The record with the failure.
        record: Box<Generations>,
    },
    /// Bringing the versions back was interrupted: it goes on.
    GoBack {
        /// The record with this boot as the one that has to end.
        record: Box<Generations>,
    },
    /// The versions are back, and the failed boot still runs: it has to end.
    Leave {
        /// Why it failed.
        reason: String,
    },
}

/// Judges boot `boot_id`.
pub fn judge_packages(record: &Generations, boot_id: &str) -> PackageVerdict {
    match &record.next {
        Next::Installing { .. } => PackageVerdict::Interrupted,
        Next::Upgraded { boot_id: installed, .. } if installed == boot_id => PackageVerdict::Steady,
        // Nobody ordered this boot; what is installed runs all the same, and so it is the trial.
        Next::Upgraded { release, transaction, boot_id: installed } => {
            let next = Next::Trying {
                release: release.clone(),
                transaction: transaction.clone(),
                boot_id_before: installed.clone(),
                boot_id: Some(boot_id.to_owned()),
                starts: 1,
            };
            PackageVerdict::Trial { record: Box::new(record.with_next(next)) }
        }
        Next::Trying { release, transaction, boot_id_before, .. } if boot_id_before == boot_id => {
            let next = Next::Upgraded {
                release: release.clone(),
                transaction: transaction.clone(),
                boot_id: boot_id.to_owned(),
            };
            PackageVerdict::NeverBegan { record: Box::new(record.with_next(next)) }
        }
        Next::Trying { release, transaction, boot_id_before, boot_id: trial, starts } => {
            let lost = |reason: &str| {
                let transaction = transaction.clone();
                let record = record.with_failure(release, transaction, reason, Some(boot_id.to_owned()));
                PackageVerdict::Lost { record: Box::new(record) }
            };
            if trial.as_deref().is_some_and(|trial| trial != boot_id) {
                return lost("it did not come to the end of its trial (panic, hang, reset or power cut)");
            }
            if *starts >= MOST_STARTS {
                return lost("the agent was started again and again in its trial");
            }
            let next = Next::Trying {
                release: release.clone(),
                transaction: transaction.clone(),
                boot_id_before: boot_id_before.clone(),
                boot_id: Some(boot_id.to_owned()),
                starts: starts.saturating_add(1),
            };
            PackageVerdict::Trial { record: Box::new(record.with_next(next)) }
        }
        Next::GoingBack { boot_id: None, .. } => PackageVerdict::GoBack { record: Box::new(record.clone()) },
        Next::GoingBack { release, transaction, reason, boot_id: Some(_), blamed } => {
            // What failed may have been booted once more before it was all taken back.
            let next = Next::GoingBack {
                release: release.clone(),
                transaction: transaction.clone(),
                reason: reason.clone(),
                boot_id: Some(boot_id.to_owned()),
                blamed: *blamed,
            };
            PackageVerdict::GoBack { record: Box::new(record.with_next(next)) }
        }
        Next::Failed { reason, boot_id: Some(trial), .. } if trial == boot_id => {
            PackageVerdict::Leave { reason: reason.clone() }
        }
        Next::Empty | Next::Failed { .. } => PackageVerdict::Steady,
    }
}
