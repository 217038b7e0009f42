//! The guard: everything that is asked of this crate.
//!
//! Owns: opening it on a host, its policy, checking and planning. Promises: neither checking nor planning changes
//! anything. Does not: apply ([`crate::apply`]) or mend ([`crate::recover`]).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lifeboat_model::{Finding, Severity};
use sha2::{Digest, Sha256};

use crate::agents::{Caller, CallerKind, find_callers};
use crate::cache::find_files;
use crate::codes::finding;
use crate::conffiles::ConffileFate;
use crate::dpkg::Dpkg;
use crate::error::PackageError;
use crate::holders::{Holder, find_holders};
use crate::journal::Hook;
use crate::manager::{Installed, Manager, ManagerKind, PackageFile, hex};
use crate::plan::{Change, Request, TransactionPlan, WayBack};
use crate::roots::Roots;
use crate::rpm::Rpm;
use crate::services::{NoServices, Services, Systemctl};
use crate::snapshot::{self, SnapshotKind};
use crate::space::check_space;

/// Which side of a record of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It is about to be written.
    Before,
    /// It is on stable storage.
    After,
}

/// What is done about work without progress. Nothing that Lifeboat did not start is ever ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStuck {
    /// It is told, and waited for.
    Wait,
    /// It is told, and no longer waited for; the transaction is incomplete.
    Fail,
    /// As `Fail`, and the package manager that Lifeboat started is ended.
    KillOurs,
}

/// How patient the guard is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How long the lock of the database is waited for.
    pub lock_wait: Duration,
    /// How long a service that is at work is waited for.
    pub quiesce_wait: Duration,
    /// How long nothing may move before it is told.
    pub stuck_after: Duration,
    /// What is done then.
    pub on_stuck: OnStuck,
    /// Units that are left alone.
    pub leave: Vec<String>,
    /// A program and its first arguments that takes a lock and becomes what follows (`FILE -- COMMAND …`), see
    /// [`crate::exec_locked`]; with it rpm's lock passes from Lifeboat to rpm without a gap.
    pub trampoline: Option<Vec<OsString>>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            lock_wait: Duration::from_secs(600),
            quiesce_wait: Duration::from_secs(900),
            stuck_after: Duration::from_secs(300),
            on_stuck: OnStuck::Wait,
            leave: Vec::new(),
            trampoline: None,
        }
    }
}

/// The guard of one host's packages.
pub struct Guard {
    pub(crate) roots: Roots,
    pub(crate) manager: Box<dyn Manager>,
    pub(crate) services: Box<dyn Services>,
    pub(crate) policy: Policy,
    pub(crate) hook: Option<Hook>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard")
            .field("roots", &self.roots)
            .field("manager", &self.manager)
            .finish_non_exhaustive()
    }
}

impl Guard {
    /// Opens the guard on a host. A host with both databases is dpkg's if dpkg's has more packages in it: tools for rpm
    /// bring an empty database along.
    pub fn open(roots: Roots) -> Result<Self, PackageError> {
        let dpkg = Dpkg::find(&roots).map(|dpkg| Box::new(dpkg) as Box<dyn Manager>);
        let rpm = Rpm::find(&roots).map(|rpm| Box::new(rpm) as Box<dyn Manager>);
        let count = |manager: &dyn Manager| manager.installed().map_or(1, |all| all.len());
        let manager = match (dpkg, rpm) {
            (Some(dpkg), Some(rpm)) if count(&*rpm) > count(&*dpkg) => rpm,
            (Some(dpkg), _) => dpkg,
            (None, Some(rpm)) => rpm,
            (None, None) => return Err(PackageError::NoManager { root: roots.root }),
        };
        let services: Box<dyn Services> = match Systemctl::of_host() {
            Some(systemctl) if roots.is_host() => Box::new(systemctl),
            _ => Box::new(NoServices),
        };
        Ok(Self { roots, manager, services, policy: Policy::default(), hook: None })
    }

    /// With another service manager.
    #[must_use]
    pub fn with_services(mut self, services: Box<dyn Services>) -> Self {
        self.services = services;
        self
    }

    /// With another policy.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Calls `hook` around every record of a journal; a test ends the program there.
    #[must_use]
    pub fn with_hook(mut self, hook: impl Fn(u64, Moment) + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// Which package manager this host has.
    pub fn kind(&self) -> ManagerKind {
        self.manager.kind()
    }

    /// All packages.
    pub fn installed(&self) -> Result<Vec<Installed>, PackageError> {
        self.manager.installed()
    }

    /// Who touches the database.
    #[must_use]
    pub fn holders(&self) -> Vec<Holder> {
        find_holders(&self.roots)
    }

    /// What calls the package manager by itself; units that the policy leaves alone are marked so.
    #[must_use]
    pub fn callers(&self) -> Vec<Caller> {
        let mut callers = find_callers(&self.roots, &*self.services);
        for caller in &mut callers {
            caller.quiesced &= !self.policy.leave.contains(&caller.name);
        }
        callers
    }

    /// Everything that a person should know before an update, without one at hand.
    pub fn check(&self) -> Result<Vec<Finding>, PackageError> {
        let mut findings = self.status()?.findings;
        findings.extend(self.holder_findings(&self.holders()));
        findings.extend(self.callers().iter().map(caller_finding));
        Ok(findings)
    }

    /// Plans an update.
    pub fn plan(&self, request: &Request) -> Result<TransactionPlan, PackageError> {
        let mut findings = self.status()?.findings;
        findings.extend(self.holder_findings(&self.holders()));
        let installed = self.installed()?;
        let mut files: Vec<PackageFile> = Vec::new();
        let mut changes: Vec<Change> = Vec::new();
        let mut seen = BTreeSet::new();
        for path in self.package_files(request) {
            let file = self.manager.inspect(&path)?;
            if !seen.insert((file.name.clone(), file.arch.clone())) {
                findings.push(finding("package-not-closed", &file.name, "it is among the packages twice"));
                continue;
            }
            if let Some(change) = self.change(&file, &installed, request, &mut findings)? {
                changes.push(change);
                files.push(file);
            }
        }
        let (steps, not_closed) =
            if files.is_empty() { (Vec::new(), Vec::new()) } else { self.manager.order(&files)? };
        findings.extend(not_closed);
        let (room, short) = check_space(&self.roots, &files, self.kept(&changes)?)?;
        findings.extend(short);
        let mut conffiles = Vec::new();
        for file in &files {
            conffiles.extend(self.manager.changed_conffiles(file)?);
        }
        for conffile in conffiles.iter().filter(|conffile| conffile.fate == ConffileFate::KeptNewBeside) {
            let evidence = format!("{} was changed here; it is kept", conffile.path);
            findings.push(finding("conffile-changed", &conffile.package, evidence));
        }
        changes.sort_by(|left, right| (&left.name, &left.arch).cmp(&(&right.name, &right.arch)));
        let id = id_of(&changes);
        let possible = snapshot::possible(&self.roots, &id);
        if possible.as_ref().is_some_and(|snapshot| snapshot.kind == SnapshotKind::LvmThin) {
            findings.push(finding(
                "snapshot-unavailable",
                "the root",
                "it is a thin volume of LVM, which this version does not snapshot",
            ));
        }
        let callers = self.callers();
        findings.extend(callers.iter().map(caller_finding));
        Ok(TransactionPlan {
            schema: TransactionPlan::SCHEMA.to_owned(),
            id,
            manager: self.kind(),
            changes,
            steps,
            room,
            conffiles,
            callers,
            snapshot: possible.filter(|snapshot| snapshot.kind == SnapshotKind::Btrfs),
            findings,
        })
    }

    fn package_files(&self, request: &Request) -> Vec<PathBuf> {
        let ending = self.manager.ending();
        let expand =
            |path: &PathBuf| if path.is_dir() { find_files(path, "", ending) } else { vec![path.clone()] };
        let mut files: Vec<PathBuf> = request.packages.iter().flat_map(expand).collect();
        files.sort();
        files.dedup();
        files
    }

    /// What `file` changes; none when it changes nothing.
    fn change(
        &self,
        file: &PackageFile,
        installed: &[Installed],
        request: &Request,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<Change>, PackageError> {
        let same = |package: &&Installed| package.name == file.name && package.arch == file.arch;
        let mut there = installed.iter().filter(same);
        let beside = self.manager.is_beside(&file.name);
        if installed.iter().filter(same).any(|package| package.version == file.version && package.whole) {
            findings.push(finding("package-unwanted", &file.name, format!("{} is installed", file.version)));
            return Ok(None);
        }
        let from = if beside { None } else { there.next() };
        let mut back = WayBack::Remove;
        if let Some(from) = from {
            if self.manager.is_newer(&from.version, &file.version)? {
                let mut older = finding(
                    "package-downgrade",
                    &file.name,
                    format!("{} is installed, {} is given", from.version, file.version),
                );
                if !request.downgrade {
                    older.severity = Severity::Blocker;
                    "Leave it out, or allow it with --downgrade".clone_into(&mut older.remedy);
                }
                findings.push(older);
            }
            back = self.manager.way_back(&from.name, &from.arch, &from.version, &request.old_packages)?;
            match &back {
                WayBack::None { why } => {
                    findings.push(finding("no-way-back", &file.name, format!("{}: {why}", from.version)));
                }
                WayBack::Rebuilt { changed } if !changed.is_empty() => {
                    findings.push(finding("way-back-changed", &file.name, changed.join(", ")));
                }
                WayBack::Rebuilt { .. } | WayBack::File { .. } | WayBack::Remove => {}
            }
        }
        Ok(Some(Change {
            name: file.name.clone(),
            arch: file.arch.clone(),
            from: from.map(|from| from.version.clone()),
            to: file.version.clone(),
            file: std::path::absolute(&file.path).unwrap_or_else(|_| file.path.clone()),
            sha256: file.sha256.clone(),
            bytes: file.bytes,
            back,
        }))
    }

    /// Bytes that the transaction's folder will hold.
    fn kept(&self, changes: &[Change]) -> Result<u64, PackageError> {
        let mut sum = 0_u64;
        for change in changes {
            let old = match &change.back {
                WayBack::File { path } => size(path),
                // A rebuilt package stands beside the tree that it is built from for a moment.
                WayBack::Rebuilt { .. } => {
                    let paths = self.manager.paths_of(&change.name, &change.arch)?;
                    paths.iter().map(|path| size(&self.roots.host_path(path))).sum::<u64>().saturating_mul(2)
                }
                WayBack::Remove | WayBack::None { .. } => 0,
            };
            sum = sum.saturating_add(change.bytes).saturating_add(old);
        }
        Ok(sum)
    }
}

fn size(path: &Path) -> u64 {
    std::fs::symlink_metadata(path).map_or(0, |meta| if meta.is_file() { meta.len() } else { 0 })
}

fn caller_finding(caller: &Caller) -> Finding {
    let what = match (caller.kind, caller.quiesced) {
        (CallerKind::Unit, true) => "it is stopped for a transaction and restored after it",
        (CallerKind::Unit, false) => "it cannot be stopped from here",
        (CallerKind::Cron | CallerKind::Process, _) => "it is not stopped; it meets the lock",
    };
    finding("package-caller", &caller.name, format!("{}; {what}", caller.why))
}

/// Identity of a set of changes.
fn id_of(changes: &[Change]) -> String {
    let mut hasher = Sha256::new();
    for change in changes {
        let from = change.from.as_deref().unwrap_or_default();
        hasher
            .update(format!("{}\n{}\n{from}\n{}\n{}\n", change.name, change.arch, change.to, change.sha256));
    }
    hasher.finalize().get(..8).map(hex).unwrap_or_default()
}
