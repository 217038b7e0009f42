//! Bringing back the versions before a release.
//!
//! Owns: the end of a generation that is not to be. Promises: only the transaction of that generation is undone; done
//! twice it is done once; the record says "failed" only when the versions are back. Does not: decide that it has to be.

use lifeboat_packages::{Ending, PackageError};

use super::extract::remove;
use super::host::{PackageHost, PackageHostError};
use super::install::told;
use crate::{Generations, Next};

impl PackageHost {
    /// Undoes the transaction of a generation that is going back; the record after it.
    pub(super) fn go_back(
        &self,
        record: &Generations,
        progress: &mut dyn FnMut(&str, u64, u64),
    ) -> Result<Generations, PackageHostError> {
        let Next::GoingBack { release, transaction, reason, boot_id, blamed } = &record.next else {
            return Ok(record.clone());
        };
        if let Some(transaction) = transaction {
            self.undo(transaction, progress)?;
        }
        let next = if *blamed {
            Next::Failed { release: release.clone(), reason: reason.clone(), boot_id: boot_id.clone() }
        } else {
            Next::Empty
        };
        let after = record.with_next(next);
        remove(&self.unpacked(release))?;
        self.keep(&after)?;
        self.log.line(&format!("the versions before {release} are installed again"));
        Ok(after)
    }

    fn undo(&self, wanted: &str, progress: &mut dyn FnMut(&str, u64, u64)) -> Result<(), PackageHostError> {
        let guard = self.open_guard()?;
        let failed = PackageHostError::guard;
        let open = guard.status().map_err(failed("looking at the packages"))?.transaction;
        let found = open.or_else(|| self.last_transaction());
        if found.as_deref() != Some(wanted) {
            let found = found.unwrap_or_else(|| "none".to_owned());
            return Err(PackageHostError::OtherTransaction { wanted: wanted.to_owned(), found });
        }
        match guard.rollback(&mut told(self, progress)) {
            Ok(outcome) => match outcome.ending {
                Ending::RolledBack | Ending::NothingToDo => Ok(()),
                Ending::Incomplete | Ending::Done => {
                    Err(PackageHostError::NotBack { reason: outcome.reason.unwrap_or_default() })
                }
            },
            // It was undone before, and only the record did not learn of it.
            Err(PackageError::NothingOpen) => Ok(()),
            Err(error) => Err(failed("bringing back the versions before it")(error)),
        }
    }
}
