//! Carrying out a transaction, in either direction.
//!
//! Owns: the order of everything around the calls of the package manager. Promises: each effect has its record before it;
//! before the first call everything is taken back on a failure, after it the host is held until it is finished or rolled
//! back; success is what the database says at the end, not what a program returned. Does not: decide which direction.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use lifeboat_model::Finding;

use crate::boot_files;
use crate::codes::finding;
use crate::command::{Ran, Stuck, Watching, run_watched};
use crate::conffiles::{Leftover, find_leftovers};
use crate::error::{PackageError, at};
use crate::guard::Guard;
use crate::hold::Hold;
use crate::journal::{Direction, Journal, Record};
use crate::lock::DatabaseLock;
use crate::manager::{ManagerKind, fingerprint};
use crate::outcome::{Ending, Outcome, Progress, outcome};
use crate::plan::{Change, Step, TransactionPlan, WayBack};
use crate::process::Process;
use crate::quiesce::{quiesce, restore};
use crate::snapshot;

/// A step of the package manager that failed.
struct Failed(String);

/// Everything that one drive through a transaction needs.
struct Drive<'a> {
    guard: &'a Guard,
    folder: &'a Path,
    plan: TransactionPlan,
    direction: Direction,
    journal: &'a mut Journal,
    lock: Option<DatabaseLock>,
}

impl Guard {
    /// Carries out a plan. Nothing was changed when this is an error; otherwise the outcome tells.
    pub fn apply(
        &self,
        plan: &TransactionPlan,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Outcome, PackageError> {
        self.forget_ended()?;
        if let Some(current) = self.current() {
            return Err(PackageError::Open(current.id));
        }
        let blockers: Vec<String> =
            plan.blockers().map(|f| format!("[{}] {}: {}", f.code, f.subject, f.evidence)).collect();
        if !blockers.is_empty() {
            return Err(PackageError::Blocked(blockers.join("; ")));
        }
        if plan.changes.is_empty() && plan.steps.is_empty() {
            return Ok(outcome("", Ending::NothingToDo, None, Instant::now()));
        }
        let (id, folder) = self.make_folder(plan)?;
        let mut journal = self.open_journal(&folder)?;
        journal.append(&Record::Intent { plan: plan.clone() })?;
        write_whole(&self.roots.state.join("current"), &id)?;
        self.drive(&id, &folder, &mut journal, Direction::Forward, progress)
    }

    pub(crate) fn open_journal(&self, folder: &Path) -> Result<Journal, PackageError> {
        let mut journal = Journal::open(&folder.join("journal"))?;
        journal.hook.clone_from(&self.hook);
        Ok(journal)
    }

    /// Makes the transaction's folder with copies of the new packages, whose hashes are the plan's.
    pub(crate) fn make_folder(
        &self,
        plan: &TransactionPlan,
    ) -> Result<(String, std::path::PathBuf), PackageError> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_millis());
        let id = format!("{now}-{}", plan.id);
        // Folders of ended transactions: their way back ends where the next one begins.
        for entry in fs::read_dir(&self.roots.state).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                // Waste, no more.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let _ = fs::remove_file(self.roots.state.join("last"));
        let folder = self.roots.state.join(&id);
        for part in ["new", "old", "boot"] {
            let part = folder.join(part);
            fs::create_dir_all(&part).map_err(at("creating", &part))?;
        }
        for change in &plan.changes {
            let to = folder.join("new").join(change.file_name());
            fs::copy(&change.file, &to).map_err(at("copying", &change.file))?;
            fs::File::open(&to).and_then(|file| file.sync_all()).map_err(at("flushing", &to))?;
            if fingerprint(&to)?.0 != change.sha256 {
                return Err(PackageError::PlanOutdated(format!(
                    "{} is another file now",
                    change.file.display()
                )));
            }
        }
        Ok((id, folder))
    }

    /// Removes the mark of a transaction that ended.
    pub(crate) fn forget_ended(&self) -> Result<(), PackageError> {
        let Some(current) = self.current() else { return Ok(()) };
        if !current.folder.join("journal").is_file() {
            return Ok(());
        }
        let journal = Journal::open(&current.folder.join("journal"))?;
        if journal.has_ended() { self.close(&current.id) } else { Ok(()) }
    }

    fn close(&self, id: &str) -> Result<(), PackageError> {
        write_whole(&self.roots.state.join("last"), id)?;
        let path = self.roots.state.join("current");
        fs::remove_file(&path).map_err(at("removing", &path))?;
        sync_folder(&self.roots.state)
    }

    /// Goes through a transaction from wherever it is.
    pub(crate) fn drive(
        &self,
        id: &str,
        folder: &Path,
        journal: &mut Journal,
        direction: Direction,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Outcome, PackageError> {
        let begin = Instant::now();
        let plan = journal.plan().cloned().ok_or_else(|| PackageError::Unreadable {
            what: format!("the journal of {id}"),
            why: "it has no plan".to_owned(),
        })?;
        let me = Process::read(&self.roots.proc, std::process::id()).map_or(0, |process| process.start_ticks);
        let owner =
            Record::Owner { pid: std::process::id(), start_ticks: me, boot_id: self.boot_id(), direction };
        journal.append(&owner)?;
        let mut drive = Drive { guard: self, folder, plan, direction, journal, lock: None };
        if let Err(error) = drive.prepare(progress) {
            if drive.journal.has_begun() {
                // The host is between versions already: it stays held.
                return drive.pause(id, lifeboat_model::chain(&error), begin);
            }
            drive.give_up(&error, progress)?;
            self.close(id)?;
            return Err(error);
        }
        let went = match drive.steps(progress) {
            Ok(went) => went,
            Err(error) => Err(Failed(lifeboat_model::chain(&error))),
        };
        let checked = match went {
            Ok(()) => drive.verify()?,
            Err(failed) => Err(failed),
        };
        let (leftovers, mut findings) = match checked {
            Ok(found) => found,
            Err(Failed(reason)) => {
                drive.keep_boot(progress)?;
                return drive.pause(id, reason, begin);
            }
        };
        let left = drive.end(progress)?;
        if !left.is_empty() {
            let reason = format!("the packages are whole, and units are not restored: {}", left.join("; "));
            return drive.pause(id, reason, begin);
        }
        self.close(id)?;
        let ending = match direction {
            Direction::Forward => Ending::Done,
            Direction::Back => Ending::RolledBack,
        };
        findings.extend(self.status()?.findings);
        Ok(Outcome { leftovers, findings, ..outcome(id, ending, None, begin) })
    }
}

impl Drive<'_> {
    /// Everything before the first step.
    fn prepare(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(), PackageError> {
        let guard = self.guard;
        let mut say = |text: String| progress(Progress::Note { text });
        let reason = format!("packages are being changed ({})", self.plan.id);
        Hold::new(&guard.roots, &*guard.services).place(&reason)?;
        self.journal.append(&Record::Hold)?;
        let callers = guard.callers();
        quiesce(&guard.roots, &*guard.services, &callers, self.journal, guard.policy.quiesce_wait, &mut say)?;
        let kind = guard.manager.kind();
        let database = guard.manager.database().to_owned();
        self.lock = Some(DatabaseLock::take(&guard.roots, kind, &database, &guard.policy, &mut say)?);
        if !self.journal.has_begun() {
            self.check_versions()?;
            self.keep_old(&mut say)?;
            if self.journal.boot_saved().is_none() {
                let files = boot_files::save(&guard.roots, &self.folder.join("boot"))?;
                self.journal.append(&Record::BootSaved { files })?;
            }
            if let (Some(wanted), None) = (self.plan.snapshot.clone(), self.journal.snapshot()) {
                snapshot::take(&guard.roots, &wanted)?;
                say(format!("the root before this is kept in {}", wanted.place));
                self.journal.append(&Record::Snapshot { snapshot: wanted })?;
            }
        }
        self.free_boot()
    }

    /// The plan still fits: every package has the version that it starts from.
    fn check_versions(&self) -> Result<(), PackageError> {
        let installed = self.guard.installed()?;
        for change in &self.plan.changes {
            if self.guard.manager.is_beside(&change.name) {
                continue;
            }
            let same =
                |package: &&crate::Installed| package.name == change.name && package.arch == change.arch;
            let now = installed.iter().find(same).map(|package| package.version.as_str());
            if now != change.from.as_deref() {
                let words = |version: Option<&str>| version.unwrap_or("nothing").to_owned();
                let why = format!(
                    "{} has {}, the plan starts from {}",
                    change.name,
                    words(now),
                    words(change.from.as_deref())
                );
                return Err(PackageError::PlanOutdated(why));
            }
        }
        Ok(())
    }

    fn keep_old(&mut self, say: &mut dyn FnMut(String)) -> Result<(), PackageError> {
        let old = self.folder.join("old");
        for change in self.plan.changes.clone() {
            if self.journal.has_kept(&change.name) {
                continue;
            }
            let to = old.join(old_file_name(self.guard.manager.kind(), &change));
            let from = match &change.back {
                WayBack::File { path } => {
                    fs::copy(path, &to).map_err(at("copying", path))?;
                    path.display().to_string()
                }
                WayBack::Rebuilt { .. } => {
                    let made = self.guard.manager.rebuild(&change.name, &change.arch, &old)?;
                    fs::rename(&made, &to).map_err(at("renaming", &made))?;
                    "rebuilt from the installed files".to_owned()
                }
                WayBack::Remove | WayBack::None { .. } => continue,
            };
            fs::File::open(&to).and_then(|file| file.sync_all()).map_err(at("flushing", &to))?;
            let file = to.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            say(format!("the way back of {} is kept: {from}", change.name));
            self.journal.append(&Record::Kept { package: change.name.clone(), file, from })?;
        }
        sync_folder(&old)
    }

    /// All steps of the direction, each cut down to what is left of it.
    fn steps(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<Result<(), Failed>, PackageError> {
        let steps = match self.direction {
            Direction::Forward => self.plan.steps.clone(),
            Direction::Back => self.guard.manager.order_back(&self.plan.changes, &self.folder.join("old"))?,
        };
        let of = steps.len();
        for (index, step) in steps.into_iter().enumerate() {
            let Some(command) = self.guard.manager.command(&step, self.folder, &self.plan.changes)? else {
                continue;
            };
            progress(Progress::Step { number: index + 1, of, step: step.clone() });
            self.journal.append(&Record::Begin { step: step.clone() })?;
            let ran = self.run(command, &step, progress)?;
            self.journal.append(&Record::End {
                good: ran.good,
                status: ran.status.clone(),
                tail: ran.tail.clone(),
            })?;
            if !ran.good {
                return Ok(Err(Failed(format!(
                    "step {} of {of} ended with {}: {}",
                    index + 1,
                    ran.status,
                    ran.tail
                ))));
            }
        }
        Ok(Ok(()))
    }

    /// Runs one call, again while somebody else was quicker with the lock.
    fn run(
        &mut self,
        command: Command,
        step: &Step,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Ran, PackageError> {
        let begin = Instant::now();
        let mut command = Some(command);
        loop {
            let call = match command.take() {
                Some(command) => command,
                None => match self.guard.manager.command(step, self.folder, &self.plan.changes)? {
                    Some(command) => command,
                    None => {
                        return Ok(Ran {
                            good: true,
                            status: "nothing left to do".to_owned(),
                            tail: String::new(),
                        });
                    }
                },
            };
            let ran = self.run_once(call, progress)?;
            let busy = ["transaction lock on", "lock was locked by another process"];
            let is_busy = !ran.good && busy.iter().any(|words| ran.tail.contains(words));
            if !is_busy || begin.elapsed() > self.guard.policy.lock_wait {
                return Ok(ran);
            }
            progress(Progress::Note { text: "somebody else has the lock; trying again".to_owned() });
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn run_once(
        &mut self,
        mut command: Command,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Ran, PackageError> {
        let guard = self.guard;
        let is_rpm = guard.manager.kind() == ManagerKind::Rpm;
        let mut heir = false;
        if is_rpm
            && let Some((program, arguments)) =
                guard.policy.trampoline.as_deref().and_then(<[_]>::split_first)
        {
            let mut through = Command::new(program);
            through.args(arguments).arg(guard.manager.database().join(".rpm.lock")).arg("--");
            through.arg(command.get_program()).args(command.get_args()).env("LC_ALL", "C");
            command = through;
            heir = true;
        }
        let log = self.folder.join("steps.log");
        let mut stuck = |stuck: &Stuck| progress(Progress::Stuck { stuck: stuck.clone() });
        let policy = &guard.policy;
        let mut watching = Watching {
            roots: &guard.roots,
            limit: policy.stuck_after,
            on_stuck: policy.on_stuck,
            stuck: &mut stuck,
        };
        let lock = &mut self.lock;
        if is_rpm
            && !heir
            && let Some(lock) = lock.as_mut()
        {
            lock.hand_over(&guard.roots, None);
        }
        let mut started = |pid: u32| {
            if heir && let Some(lock) = lock.as_mut() {
                lock.hand_over(&guard.roots, Some(pid));
            }
            Ok(())
        };
        let ran = run_watched(command, &log, &mut watching, &mut started)?;
        if is_rpm && let Some(lock) = self.lock.as_mut() {
            lock.take_back(policy.lock_wait)?;
        }
        Ok(ran)
    }

    /// What the database says at the end.
    #[expect(
        clippy::type_complexity,
        reason = "leftovers and findings, or the reason, or an error of looking"
    )]
    fn verify(&mut self) -> Result<Result<(Vec<Leftover>, Vec<Finding>), Failed>, PackageError> {
        let manager = &self.guard.manager;
        let installed = manager.installed()?;
        for change in &self.plan.changes {
            let same =
                |package: &&crate::Installed| package.name == change.name && package.arch == change.arch;
            let there: Vec<_> = installed.iter().filter(same).collect();
            let wanted = match self.direction {
                Direction::Forward => Some(change.to.as_str()),
                Direction::Back => change.from.as_deref(),
            };
            let good = match wanted {
                Some(version) => there.iter().any(|package| package.version == version && package.whole),
                None => !there.iter().any(|package| package.version == change.to),
            };
            if !good {
                let has: Vec<String> =
                    there.iter().map(|package| format!("{} {}", package.version, package.state)).collect();
                let why = format!(
                    "{} should be {}, and is {}",
                    change.name,
                    wanted.unwrap_or("gone"),
                    if has.is_empty() { "not there".to_owned() } else { has.join(", ") }
                );
                return Ok(Err(Failed(why)));
            }
        }
        if let Some(defect) = manager.audit()?.first() {
            return Ok(Err(Failed(format!("{}: {}", defect.subject, defect.evidence))));
        }
        let (leftovers, findings) = self.leftovers()?;
        self.journal.append(&Record::Verified { direction: self.direction, leftovers: leftovers.clone() })?;
        Ok(Ok((leftovers, findings)))
    }

    fn leftovers(&self) -> Result<(Vec<Leftover>, Vec<Finding>), PackageError> {
        let begun = fs::metadata(self.folder.join("new")).and_then(|meta| meta.modified()).ok();
        let begun = begun.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let begun = begun.and_then(|time| i64::try_from(time.as_secs()).ok()).unwrap_or(0);
        let mut found = Vec::new();
        for change in &self.plan.changes {
            let file = self.guard.manager.inspect(&self.folder.join("new").join(change.file_name()))?;
            let endings = self.guard.manager.leftover_endings();
            found.extend(find_leftovers(&self.guard.roots, &file.conffiles, endings, begun));
        }
        let findings = found.iter().map(|left| {
            let when = if left.new { "appeared in this transaction" } else { "was there before" };
            finding("conffile-changed", &left.path, format!("it {when}"))
        });
        let findings = findings.collect();
        Ok((found, findings))
    }

    /// Everything after the last step; units that could not be restored.
    fn end(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<Vec<String>, PackageError> {
        let guard = self.guard;
        let mut say = |text: String| progress(Progress::Note { text });
        if self.direction == Direction::Back
            && let Some(files) = self.journal.boot_saved()
        {
            let changed = boot_files::put_back(&guard.roots, files, &self.folder.join("boot"))?;
            if !changed.is_empty() {
                say(format!("what boots is as before: {}", changed.join(", ")));
            }
        }
        self.lock = None;
        let left = restore(&*guard.services, self.journal, &mut say)?;
        if left.is_empty() {
            Hold::new(&guard.roots, &*guard.services).lift()?;
            self.journal.append(&Record::Ended { direction: self.direction })?;
        }
        Ok(left)
    }

    /// Leaves the transaction open, with nobody at work on it.
    fn pause(&mut self, id: &str, reason: String, begin: Instant) -> Result<Outcome, PackageError> {
        self.lock = None;
        self.journal.append(&Record::Paused { reason: reason.clone() })?;
        Ok(outcome(id, Ending::Incomplete, Some(reason), begin))
    }

    /// Takes back what [`Drive::prepare`] did.
    fn give_up(
        &mut self,
        error: &PackageError,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), PackageError> {
        let mut say = |text: String| progress(Progress::Note { text });
        self.lock = None;
        restore(&*self.guard.services, self.journal, &mut say)?;
        if let Some(taken) = self.journal.snapshot() {
            snapshot::remove(&self.guard.roots, taken)?;
        }
        Hold::new(&self.guard.roots, &*self.guard.services).lift()?;
        self.journal.append(&Record::GivenUp { reason: lifeboat_model::chain(error) })?;
        Ok(())
    }

    /// The host is incomplete: it shall boot what it booted before. What the steps made of it is kept aside.
    fn keep_boot(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(), PackageError> {
        let roots = &self.guard.roots;
        let Some(before) = self.journal.boot_saved() else { return Ok(()) };
        let after = self.folder.join("boot-after");
        let made = boot_files::save(roots, &after)?;
        let changed = boot_files::put_back(roots, before, &self.folder.join("boot"))?;
        if !changed.is_empty() {
            let list = serde_json::to_string(&made).unwrap_or_default();
            write_whole(&after.join("list"), &list)?;
            progress(Progress::Note {
                text: format!("the host boots what it booted before: {}", changed.join(", ")),
            });
        }
        Ok(())
    }

    /// Takes [`Drive::keep_boot`] back before steps go on.
    fn free_boot(&self) -> Result<(), PackageError> {
        let after = self.folder.join("boot-after");
        let list = after.join("list");
        let Ok(text) = fs::read_to_string(&list) else { return Ok(()) };
        let made: Vec<crate::SavedFile> = serde_json::from_str(&text).unwrap_or_default();
        if self.direction == Direction::Forward {
            boot_files::put_back(&self.guard.roots, &made, &after)?;
        }
        fs::remove_file(&list).map_err(at("removing", &list))
    }
}

/// File name of the old version in the folder `old`.
fn old_file_name(kind: ManagerKind, change: &Change) -> String {
    let version = change.from.as_deref().unwrap_or_default().replace(':', "%3a");
    match kind {
        ManagerKind::Dpkg => format!("{}_{version}_{}.deb", change.name, change.arch),
        ManagerKind::Rpm => format!("{}-{version}.{}.rpm", change.name, change.arch),
    }
}

/// Writes a file whole: beside, flushed, renamed.
pub(crate) fn write_whole(path: &Path, text: &str) -> Result<(), PackageError> {
    let beside = path.with_extension("new");
    fs::write(&beside, text).map_err(at("writing", &beside))?;
    fs::File::open(&beside).and_then(|file| file.sync_all()).map_err(at("flushing", &beside))?;
    fs::rename(&beside, path).map_err(at("renaming", &beside))?;
    path.parent().map_or(Ok(()), sync_folder)
}

fn sync_folder(folder: &Path) -> Result<(), PackageError> {
    fs::File::open(folder).and_then(|file| file.sync_all()).map_err(at("flushing", folder))
}
