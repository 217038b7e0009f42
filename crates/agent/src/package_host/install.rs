//! Staging and installing a release, and the order to boot it.
//!
//! Owns: what the commands of a roll do here. Promises: everything that can be refused is refused before the record says
//! that a transaction begins; a transaction that cannot be ended is taken back at once, and if that fails too the host
//! is held; only one generation is ever unproven. Does not: reboot (it answers that one is due).

use std::path::Path;

use lifeboat_bundle::{Bundle, PackageIndex, Verified};
use lifeboat_device::BlockFile;
use lifeboat_model::{Bank, ReleaseRef, chain};
use lifeboat_packages::{Ending, Guard, Outcome, PackageError, Progress, Request, TransactionPlan};

use super::extract::{index_of, unpack};
use super::host::{PackageHost, PackageHostError};
use crate::commands::Refusal;
use crate::{Generations, Next, StageError, Terms, bank_of, bundle_path, open_bundle, stage};

type Tell<'a> = &'a mut dyn FnMut(&str, u64, u64);

impl PackageHost {
    fn terms(record: &Generations) -> Terms {
        Terms {
            floor: record.floor,
            // A host does not change its product line by an upgrade.
            line: record.release.as_ref().map(|running| running.name.clone()),
            packages: true,
        }
    }

    /// Brings a release to this host and verifies it.
    pub(crate) fn stage(&self, release: &ReleaseRef, progress: Tell<'_>) -> Result<String, Refusal> {
        let _work = self.work();
        let record = self.record().map_err(|error| Refusal::for_now(&error))?;
        let terms = Self::terms(&record);
        let bytes = stage(self, release, &terms, progress).map_err(|error| staged(&error))?;
        // What no host of this kind takes is refused while its guests still run elsewhere or here, and not later.
        let (bundle, index) = self.open_staged(release, &terms)?;
        drop(bundle);
        let guard = self.open_guard().map_err(|error| Refusal::for_now(&error))?;
        fits(&guard, &index)?;
        Ok(format!(
            "{release} is on the host and verified ({bytes} bytes, {} packages)",
            index.packages.len()
        ))
    }

    fn open_staged(
        &self,
        release: &ReleaseRef,
        terms: &Terms,
    ) -> Result<(Verified<Bundle<BlockFile>>, PackageIndex), Refusal> {
        let path = bundle_path(self, &release.digest);
        let bundle = open_bundle(self, &path, release, terms).map_err(|error| staged(&error))?;
        let index = index_of(&bundle).map_err(|error| staged(&error))?;
        Ok((bundle, index))
    }

    /// Installs a staged release as the next generation.
    pub(crate) fn install(
        &self,
        release: &ReleaseRef,
        retry: bool,
        progress: Tell<'_>,
    ) -> Result<String, Refusal> {
        let _work = self.work();
        let mut record = self.record().map_err(|error| Refusal::for_now(&error))?;
        if let Some(failed) = record.failure_of(&release.digest).filter(|_| !retry) {
            let reason = format!(
                "{release} failed on this host before: {}; order a retry if that cause is gone",
                failed.reason
            );
            return Err(Refusal { reason, retriable: false });
        }
        self.not_leaving(&record)?;
        if let Next::Upgraded { release: there, .. } = &record.next
            && there == release
        {
            return Ok(format!("{release} is installed already, as generation {}", record.generation + 1));
        }
        let guard = self.open_guard().map_err(|error| Refusal::for_now(&error))?;
        let terms = Self::terms(&record);
        let (bundle, index) = self.open_staged(release, &terms)?;
        fits(&guard, &index)?;
        let resumed = matches!(&record.next, Next::Installing { release: there, .. } if there == release);
        if resumed {
            // An open transaction goes on in its direction, and the rest is decided by what is installed then.
            self.end_open(&guard, progress)?;
        } else {
            record = self.clear(&guard, record, progress)?;
            self.not_leaving(&record)?;
        }
        let folder = self.unpacked(release);
        let packages = unpack(&bundle, &folder, progress).map_err(|error| staged(&error))?;
        drop(bundle);
        let request = Request { packages, old_packages: self.old_packages(), downgrade: true };
        let plan = guard.plan(&request).map_err(|error| refused("planning", &error))?;
        self.acceptable(&plan)?;
        let before = record.clone();
        if !resumed {
            record = record.with_begun(release, self.last_transaction());
            self.keep(&record).map_err(|error| Refusal::for_now(&error))?;
        }
        let ended = guard.apply(&plan, &mut told(self, progress));
        let outcome = match ended {
            Ok(outcome) => outcome,
            Err(error) if resumed => return Err(refused("installing", &error)),
            Err(error) => {
                // Nothing was changed.
                self.keep(&before).map_err(|error| Refusal::for_now(&error))?;
                return Err(refused("installing", &error));
            }
        };
        self.conclude(&record, release, &outcome, progress)?;
        Ok(format!(
            "{release} is installed as generation {}: {} packages changed in {} s; the next boot is its trial",
            record.generation + 1,
            plan.changes.len(),
            outcome.took_secs
        ))
    }

    /// Goes on with a transaction that nobody works on.
    fn end_open(&self, guard: &Guard, progress: Tell<'_>) -> Result<(), Refusal> {
        let status = guard.status().map_err(|error| refused("looking at the packages", &error))?;
        if status.transaction.is_none() {
            return Ok(());
        }
        let outcome =
            guard.finish(&mut told(self, progress)).map_err(|error| refused("finishing", &error))?;
        match outcome.ending {
            Ending::Done | Ending::RolledBack | Ending::NothingToDo => Ok(()),
            // It is planned anew below only if nothing is open.
            Ending::Incomplete => {
                let reason = outcome.reason.unwrap_or_default();
                self.take_back(&reason, &outcome.transaction, progress)
            }
        }
    }

    /// Makes room for another release: what is neither proven nor failed is taken back first.
    fn clear(&self, guard: &Guard, record: Generations, progress: Tell<'_>) -> Result<Generations, Refusal> {
        let cleared = match &record.next {
            Next::Empty | Next::Failed { .. } => return Ok(record),
            Next::GoingBack { .. } => record,
            Next::Trying { boot_id_before, .. } if *boot_id_before != self.boot_id => {
                let reason = "the trial of this boot is not decided".to_owned();
                return Err(Refusal { reason, retriable: true });
            }
            Next::Installing { release, before } => {
                let open = guard.status().map_err(|error| refused("looking at the packages", &error))?;
                let ended = self.last_transaction().filter(|last| Some(last) != before.as_ref());
                let next = replaced(release, open.transaction.or(ended));
                record.with_next(next)
            }
            Next::Upgraded { release, transaction, .. } | Next::Trying { release, transaction, .. } => {
                let next = replaced(release, transaction.clone());
                record.with_next(next)
            }
        };
        self.keep(&cleared).map_err(|error| Refusal::for_now(&error))?;
        match self.go_back(&cleared, progress) {
            Ok(record) => Ok(record),
            Err(error) => self.past_help(guard, &cleared, &error),
        }
    }

    /// What cannot be taken back any more, and never ran: if a person brought the packages to an end, the next release
    /// begins from what is there.
    fn past_help(
        &self,
        guard: &Guard,
        record: &Generations,
        error: &PackageHostError,
    ) -> Result<Generations, Refusal> {
        let Next::GoingBack { release, reason, boot_id: None, blamed, .. } = &record.next else {
            return Err(Refusal::for_now(error));
        };
        if guard.may_reboot().is_err() {
            return Err(Refusal::for_now(error));
        }
        self.log.line(&format!("{release} stays as it is: {}", chain(error)));
        let next = if *blamed {
            let reason = format!("{reason}; its packages stay: {}", chain(error));
            Next::Failed { release: release.clone(), reason, boot_id: None }
        } else {
            Next::Empty
        };
        let record = record.with_next(next);
        self.keep(&record).map_err(|error| Refusal::for_now(&error))?;
        Ok(record)
    }

    /// Whether the plan can be carried out, and taken back.
    fn acceptable(&self, plan: &TransactionPlan) -> Result<(), Refusal> {
        let blockers: Vec<String> = plan
            .blockers()
            .map(|finding| format!("[{}] {}: {}", finding.code, finding.subject, finding.evidence))
            .collect();
        if !blockers.is_empty() {
            let reason = format!("the release cannot be installed here: {}", blockers.join("; "));
            return Err(Refusal { reason, retriable: false });
        }
        let without: Vec<String> = plan
            .without_way_back()
            .map(|change| format!("{} {}", change.name, change.from.as_deref().unwrap_or_default()))
            .collect();
        if !without.is_empty() && !self.config.allow_no_way_back {
            let reason = format!(
                "there is no way back for {}: put these packages into {}, or allow it in agent.json by \
                 \"allow_no_way_back\": true",
                without.join(", "),
                self.old_folder().display()
            );
            return Err(Refusal { reason, retriable: false });
        }
        Ok(())
    }

    fn old_folder(&self) -> std::path::PathBuf {
        self.paths.state.join("packages-old")
    }

    /// Where the packages of the installed versions may lie: what a person brought, and those of earlier releases.
    fn old_packages(&self) -> Vec<std::path::PathBuf> {
        [self.old_folder(), self.kept()].into_iter().filter(|folder| folder.is_dir()).collect()
    }

    /// Keeps what the transaction came to.
    fn conclude(
        &self,
        record: &Generations,
        release: &ReleaseRef,
        outcome: &Outcome,
        progress: Tell<'_>,
    ) -> Result<(), Refusal> {
        let transaction = match outcome.ending {
            Ending::Done => Some(outcome.transaction.clone()),
            // All of it was there already: by the transaction that a crash kept from being written down, or before.
            Ending::NothingToDo | Ending::RolledBack => {
                let before = match &record.next {
                    Next::Installing { before, .. } => before.clone(),
                    _ => None,
                };
                self.last_transaction().filter(|last| Some(last) != before.as_ref())
            }
            Ending::Incomplete => {
                let reason = outcome.reason.clone().unwrap_or_default();
                return self.take_back(&reason, &outcome.transaction, progress);
            }
        };
        let next = Next::Upgraded { release: release.clone(), transaction, boot_id: self.boot_id.clone() };
        self.keep(&record.with_next(next)).map_err(|error| Refusal::for_now(&error))
    }

    /// The transaction could not be ended: the versions before it come back. Always a refusal.
    fn take_back(&self, reason: &str, transaction: &str, progress: Tell<'_>) -> Result<(), Refusal> {
        let record = self.record().map_err(|error| Refusal::for_now(&error))?;
        let Some(release) = record.next.release().cloned() else {
            return Err(Refusal { reason: reason.to_owned(), retriable: true });
        };
        let reason = format!("installing {release} failed: {reason}");
        self.log.line(&reason);
        let failed = record.with_failure(&release, Some(transaction.to_owned()), &reason, None);
        self.keep(&failed).map_err(|error| Refusal::for_now(&error))?;
        let what = match self.go_back(&failed, progress) {
            Ok(_) => "the versions before it are installed again".to_owned(),
            Err(error) => chain(&error),
        };
        Err(Refusal { reason: format!("{reason}; {what}"), retriable: false })
    }

    /// Before a reboot that is no trial.
    pub(crate) fn ready_to_reboot(&self, progress: Tell<'_>) -> Result<(), Refusal> {
        let _work = self.work();
        let record = self.record().map_err(|error| Refusal::for_now(&error))?;
        self.untried_back(record, progress)
    }

    /// Whatever boots next is what is installed: so that has to be what runs.
    fn untried_back(&self, record: Generations, progress: Tell<'_>) -> Result<(), Refusal> {
        if matches!(record.next, Next::Upgraded { .. } | Next::Trying { .. } | Next::Installing { .. }) {
            let guard = self.open_guard().map_err(|error| Refusal::for_now(&error))?;
            self.clear(&guard, record, progress)?;
        }
        Ok(())
    }

    /// Nothing if a reboot is due; otherwise what the boot came to.
    pub(crate) fn reboot_into(
        &self,
        bank: Bank,
        boot_id_before: &str,
        progress: Tell<'_>,
    ) -> Result<Option<String>, Refusal> {
        let _work = self.work();
        let record = self.record().map_err(|error| Refusal::for_now(&error))?;
        let active = record.active(&self.boot_id);
        if self.boot_id != boot_id_before {
            return Ok(Some(format!("the host booted generation {active}; {bank} was asked for")));
        }
        if let Some(why) = self.held_now() {
            let reason = format!("the host is held back from rebooting: {why}");
            return Err(Refusal { reason, retriable: true });
        }
        if bank == active {
            return self.untried_back(record, progress).map(|()| None);
        }
        let next = match &record.next {
            Next::Upgraded { release, transaction, .. } | Next::Trying { release, transaction, .. } => {
                Next::Trying {
                    release: release.clone(),
                    transaction: transaction.clone(),
                    boot_id_before: self.boot_id.clone(),
                    boot_id: None,
                    starts: 0,
                }
            }
            Next::Empty | Next::Installing { .. } | Next::GoingBack { .. } | Next::Failed { .. } => {
                let (number, state) = (record.generation + 1, record.next.state());
                let bank = bank_of(number);
                let reason =
                    format!("generation {number} ({bank}) is {state}: only an installed one is tried");
                return Err(Refusal { reason, retriable: false });
            }
        };
        self.keep(&record.with_next(next)).map_err(|error| Refusal::for_now(&error))?;
        Ok(None)
    }
}

/// What is taken back without being blamed.
fn replaced(release: &ReleaseRef, transaction: Option<String>) -> Next {
    Next::GoingBack {
        release: release.clone(),
        transaction,
        reason: format!("{release} was replaced before it was tried"),
        boot_id: None,
        blamed: false,
    }
}

/// Whether packages of this kind are this host's.
fn fits(guard: &Guard, index: &PackageIndex) -> Result<(), Refusal> {
    let reason = if PackageHost::format(guard) != index.format {
        format!("the release holds packages of the kind {}, this host has others", index.format.word())
    } else if !index.remove.is_empty() {
        format!(
            "the release removes packages ({}), which this agent does not do: remove them by hand, or use a newer agent",
            index.remove.join(", ")
        )
    } else {
        return Ok(());
    };
    Err(Refusal { reason, retriable: false })
}

fn staged(error: &StageError) -> Refusal {
    Refusal { retriable: error.may_pass(), reason: chain(error) }
}

fn refused(doing: &str, error: &PackageError) -> Refusal {
    // Others work, or a file system said no: that may be otherwise at the next try.
    let retriable = matches!(
        error,
        PackageError::Held { .. }
            | PackageError::Busy { .. }
            | PackageError::Stuck(_)
            | PackageError::AtWork { .. }
            | PackageError::File { .. }
            | PackageError::PlanOutdated(_)
    );
    Refusal { reason: format!("{doing} the packages of this host: {}", chain(error)), retriable }
}

/// The guard's progress in the words of commands.
pub(super) fn told<'a>(
    host: &'a PackageHost,
    progress: &'a mut (dyn FnMut(&str, u64, u64) + 'a),
) -> impl FnMut(Progress) + 'a {
    move |event| match event {
        Progress::Note { text } => host.log.line(&text),
        Progress::Step { number, of, .. } => {
            progress("installing packages", number as u64, of as u64);
        }
        Progress::Stuck { stuck } => {
            host.note(format!("the package manager makes no progress: {stuck}"));
        }
    }
}

/// Where the packages of a transaction lie.
pub(super) fn packages_of(state: &Path, transaction: &str) -> std::path::PathBuf {
    state.join("packages").join(transaction).join("new")
}
