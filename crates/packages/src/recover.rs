//! Ending what did not end: forward, back, or what others left.
//!
//! Owns: finish, rollback, and placing the hold again after a boot. Promises: a transaction goes on in the direction it
//! had; what a living process works on is left to it. Does not: guess around a damaged journal.

use std::fs;
use std::time::Instant;

use crate::apply::write_whole;
use crate::error::PackageError;
use crate::guard::Guard;
use crate::hold::Hold;
use crate::journal::{Direction, Journal, Record};
use crate::outcome::{Ending, Outcome, Progress, outcome};
use crate::plan::{TransactionPlan, WayBack};
use crate::status::{Current, HostState};

impl Guard {
    /// Goes on with the open transaction, in its direction; without one, mends what others left.
    pub fn finish(&self, progress: &mut dyn FnMut(Progress)) -> Result<Outcome, PackageError> {
        self.forget_ended()?;
        let Some(current) = self.current() else { return self.mend(progress) };
        let mut journal = self.take_over(&current)?;
        let direction = journal.owner().map_or(Direction::Forward, |(_, _, _, direction)| direction);
        self.drive(&current.id, &current.folder, &mut journal, direction, progress)
    }

    /// Goes back to the versions before the open transaction, or before the last one that ended.
    pub fn rollback(&self, progress: &mut dyn FnMut(Progress)) -> Result<Outcome, PackageError> {
        self.forget_ended()?;
        let (current, is_open) = match self.current() {
            Some(current) => (current, true),
            None => (self.last().ok_or(PackageError::NothingOpen)?, false),
        };
        let mut journal = self.take_over(&current)?;
        self.check_way_back(&journal)?;
        if !is_open {
            let went = matches!(
                journal.entries().last().map(|entry| &entry.record),
                Some(Record::Ended { direction: Direction::Forward })
            );
            if !went {
                return Err(PackageError::NothingOpen);
            }
            write_whole(&self.roots.state.join("current"), &current.id)?;
        }
        self.drive(&current.id, &current.folder, &mut journal, Direction::Back, progress)
    }

    /// Places the hold again if the host is incomplete, for the start of a boot; tells whether it is held.
    pub fn hold_if_incomplete(&self) -> Result<bool, PackageError> {
        let status = self.status()?;
        if status.state == HostState::Incomplete {
            Hold::new(&self.roots, &*self.services).place("packages are half-installed")?;
            return Ok(true);
        }
        let hold = Hold::new(&self.roots, &*self.services);
        if status.state != HostState::InTransaction
            && hold.is_placed().is_some()
            && status.transaction.is_none()
        {
            // Somebody mended it by hand.
            hold.lift()?;
        }
        Ok(status.state == HostState::InTransaction)
    }

    fn take_over(&self, current: &Current) -> Result<Journal, PackageError> {
        let journal = self.open_journal(&current.folder)?;
        if let Some(pid) = self.worker(&journal) {
            return Err(PackageError::AtWork { pid, id: current.id.clone() });
        }
        Ok(journal)
    }

    fn last(&self) -> Option<Current> {
        let id = fs::read_to_string(self.roots.state.join("last")).ok()?.trim().to_owned();
        let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let folder = self.roots.state.join(&id);
        (plain && folder.join("journal").is_file()).then_some(Current { id, folder })
    }

    /// Every package that changed has a way back; one that is still as before needs none.
    fn check_way_back(&self, journal: &Journal) -> Result<(), PackageError> {
        let installed = self.installed()?;
        let mut without = Vec::new();
        for change in journal.plan().map(|plan| plan.changes.as_slice()).unwrap_or_default() {
            let as_before = installed.iter().any(|package| {
                package.name == change.name
                    && package.arch == change.arch
                    && package.whole
                    && Some(&package.version) == change.from.as_ref()
            });
            let kept = matches!(change.back, WayBack::Remove) || journal.has_kept(&change.name);
            if !as_before && !kept {
                without.push(change.name.clone());
            }
        }
        if without.is_empty() { Ok(()) } else { Err(PackageError::NoWayBack(without.join(", "))) }
    }

    /// Mends what is between two states though no transaction of Lifeboat is open.
    fn mend(&self, progress: &mut dyn FnMut(Progress)) -> Result<Outcome, PackageError> {
        if self.manager.audit()?.is_empty() {
            Hold::new(&self.roots, &*self.services).lift()?;
            return Ok(outcome("", Ending::NothingToDo, None, Instant::now()));
        }
        let mut plan = TransactionPlan {
            schema: TransactionPlan::SCHEMA.to_owned(),
            id: "mend".to_owned(),
            manager: self.kind(),
            changes: Vec::new(),
            steps: Vec::new(),
            room: Vec::new(),
            conffiles: Vec::new(),
            callers: self.callers(),
            snapshot: None,
            findings: Vec::new(),
        };
        let (id, folder) = self.make_folder(&plan)?;
        plan.steps = self.manager.mend(&folder.join("new"))?;
        let mut journal = self.open_journal(&folder)?;
        journal.append(&Record::Intent { plan })?;
        write_whole(&self.roots.state.join("current"), &id)?;
        self.drive(&id, &folder, &mut journal, Direction::Forward, progress)
    }
}
