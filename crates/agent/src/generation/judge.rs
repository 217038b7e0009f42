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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use lifeboat_model::{BankState, ReleaseRef, ReleaseVersion, Sha256Hex};

    use super::*;

    fn release() -> ReleaseRef {
        let version = ReleaseVersion("2".to_owned());
        ReleaseRef { name: "kvm".to_owned(), version, serial: 2, digest: Sha256Hex::of(b"2") }
    }

    fn with(next: Next) -> Generations {
        Generations::first().with_begun(&release(), None).with_next(next)
    }

    fn upgraded(boot_id: &str) -> Next {
        Next::Upgraded { release: release(), transaction: None, boot_id: boot_id.to_owned() }
    }

    fn trying(trial: Option<&str>, starts: u32) -> Next {
        Next::Trying {
            release: release(),
            transaction: None,
            boot_id_before: "old".to_owned(),
            boot_id: trial.map(str::to_owned),
            starts,
        }
    }

    fn trial_of(verdict: PackageVerdict) -> Generations {
        let PackageVerdict::Trial { record } = verdict else { unreachable!("{verdict:?}") };
        *record
    }

    #[test]
    fn an_order_to_reboot_leads_through_one_boot_to_a_blessing_or_to_a_loss() {
        let ordered = with(trying(None, 0));
        let never = judge_packages(&ordered, "old");
        assert!(
            matches!(&never, PackageVerdict::NeverBegan { record } if record.next == upgraded("old")),
            "{never:?}"
        );
        let first = trial_of(judge_packages(&ordered, "new"));
        assert_eq!(first.next, trying(Some("new"), 1));
        assert!(first.on_trial("new") && !first.on_trial("old"));
        // The agent may be started again in the trial, but not for ever; the boot may not.
        let second = trial_of(judge_packages(&first, "new"));
        let third = trial_of(judge_packages(&second, "new"));
        for (record, boot) in [(&third, "new"), (&first, "newer")] {
            let PackageVerdict::Lost { record } = judge_packages(record, boot) else {
                unreachable!("{boot}")
            };
            assert!(record.failure_of(&release().digest).is_some() && record.next.runs_in(boot));
        }
        let blessed = first.with_blessed(&release());
        assert_eq!(judge_packages(&blessed, "new"), PackageVerdict::Steady);
        assert_eq!((blessed.generation, blessed.floor, blessed.updated), (1, 2, 1));
    }

    #[test]
    fn what_was_installed_is_on_trial_in_every_other_boot() {
        assert_eq!(judge_packages(&with(upgraded("old")), "old"), PackageVerdict::Steady);
        let record = trial_of(judge_packages(&with(upgraded("old")), "new"));
        assert_eq!(record.next, trying(Some("new"), 1));
    }

    #[test]
    fn a_boot_that_failed_ends_and_no_other_one() {
        let failed =
            with(trying(Some("new"), 1)).with_failure(&release(), None, "why", Some("new".to_owned()));
        let PackageVerdict::GoBack { record } = judge_packages(&failed, "newer") else { unreachable!() };
        assert!(record.next.runs_in("newer"), "what failed was booted once more, and that boot ends too");
        let reason = "why".to_owned();
        let back = Next::Failed { release: release(), reason, boot_id: Some("new".to_owned()) };
        let back = failed.with_next(back);
        let leave = PackageVerdict::Leave { reason: "why".to_owned() };
        assert_eq!(judge_packages(&back, "new"), leave);
        assert_eq!(judge_packages(&back, "newer"), PackageVerdict::Steady);
        assert_eq!(judge_packages(&with(Next::Empty), "new"), PackageVerdict::Steady);
        let begun = Generations::first().with_begun(&release(), None);
        assert_eq!(judge_packages(&begun, "new"), PackageVerdict::Interrupted);
        // A failed install that never ran does not end the boot that serves.
        let never = with(upgraded("old")).with_failure(&release(), None, "why", None);
        assert!(
            matches!(judge_packages(&never, "old"), PackageVerdict::GoBack { record } if *record == never)
        );
    }

    #[test]
    fn generations_alternate_between_the_banks_and_reports_are_in_their_order() {
        let mut record = Generations::first();
        for number in 0..4_u64 {
            let banks = record.banks();
            assert_eq!(banks.iter().map(|bank| bank.bank.index()).collect::<Vec<_>>(), [0, 1]);
            let good = banks.iter().find(|bank| bank.state == BankState::Good).unwrap();
            assert_eq!((good.bank, record.active("boot")), (crate::bank_of(number), crate::bank_of(number)));
            record = record.with_begun(&release(), None).with_blessed(&release());
        }
    }
}
