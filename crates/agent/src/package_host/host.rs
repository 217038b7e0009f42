//! A machine whose root takes packages, opened.
//!
//! Owns: the record of generations in use, the way to the guard, and the report. Promises: opening changes nothing;
//! what cannot be read is told and never taken for a fresh host. Does not: install ([`super::install`]).

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lifeboat_bundle::PackageFormat;
use lifeboat_model::agent::{AgentStatus, HostKind};
use lifeboat_model::{ReleaseRef, chain};
use lifeboat_packages::{Guard, ManagerKind, PackageError, Policy, Roots};
use thiserror::Error;

use crate::commands::Refusal;
use crate::{CopiesError, Generations, Machine, Next, StageError, read_generations, write_generations};

/// How old the look at the packages may be that a status tells of.
const FRESH: Duration = Duration::from_secs(60);

/// Why something about the packages of this host could not be done.
#[derive(Debug, Error)]
pub enum PackageHostError {
    /// The record failed.
    #[error("the record of this host's generations cannot be used")]
    Record(#[from] CopiesError),
    /// The package manager, or what guards it.
    #[error("{doing}")]
    Guard {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        #[source]
        source: PackageError,
    },
    /// The staged release cannot be used.
    #[error("the staged release cannot be used")]
    Staged(#[from] StageError),
    /// The way back is not the transaction's that has to be undone.
    #[error(
        "the way back of transaction {wanted} is gone ({found} is the last one): bring the packages to the versions \
         that you want by hand, then order the release again"
    )]
    OtherTransaction {
        /// What would have to be undone.
        wanted: String,
        /// What would be undone.
        found: String,
    },
    /// Bringing the old versions back did not come to its end.
    #[error(
        "the versions before it are not all back: {reason}; the host is held until `lifeboat-agent packages finish` \
         or `packages rollback` brings it to an end"
    )]
    NotBack {
        /// Why.
        reason: String,
    },
}

impl PackageHostError {
    pub(super) fn guard(doing: &'static str) -> impl FnOnce(PackageError) -> Self {
        move |source| Self::Guard { doing, source }
    }
}

type Maker = Arc<dyn Fn() -> Result<Guard, PackageError> + Send + Sync>;
type Hook = Arc<dyn Fn(&'static str) + Send + Sync>;

/// A host without banks.
pub struct PackageHost {
    machine: Arc<Machine>,
    maker: Maker,
    hook: Option<Hook>,
    /// Orders and the judgement of a boot come one at a time.
    work: Mutex<()>,
    /// What the packages held a reboot back for at the last look.
    looked: Mutex<Option<(Instant, Option<String>)>>,
}

impl std::fmt::Debug for PackageHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PackageHost").field("machine", &self.machine).finish_non_exhaustive()
    }
}

/// A host is a machine, and more.
impl Deref for PackageHost {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl PackageHost {
    /// The packages of this machine.
    pub fn new(machine: Arc<Machine>) -> Self {
        let roots = roots_of(&machine);
        // Asked before an upgrade can put another program in its place.
        let exe = std::env::current_exe().ok().filter(|_| roots.is_host());
        let trampoline = exe.map(|exe| vec![exe.into(), "packages".into(), "exec-locked".into()]);
        let policy = Policy { trampoline, ..Policy::default() };
        let maker = Arc::new(move || Ok(Guard::open(roots.clone())?.with_policy(policy.clone())));
        Self { machine, maker, hook: None, work: Mutex::default(), looked: Mutex::default() }
    }

    /// With another guard: other services, another policy, a hook.
    #[must_use]
    pub fn with_guard(
        mut self,
        make: impl Fn(Roots) -> Result<Guard, PackageError> + Send + Sync + 'static,
    ) -> Self {
        let roots = roots_of(&self.machine);
        self.maker = Arc::new(move || make(roots.clone()));
        self
    }

    /// Calls `hook` before and after every record of generations; a test ends the program there.
    #[must_use]
    pub fn with_hook(mut self, hook: impl Fn(&'static str) + Send + Sync + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// The machine under it.
    pub fn machine(&self) -> &Arc<Machine> {
        &self.machine
    }

    pub(super) fn work(&self) -> MutexGuard<'_, ()> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn open_guard(&self) -> Result<Guard, PackageHostError> {
        (self.maker)().map_err(PackageHostError::guard("opening the package database"))
    }

    /// The record as it is on disk.
    pub fn record(&self) -> Result<Generations, PackageHostError> {
        Ok(read_generations(&self.paths.state)?.0)
    }

    pub(super) fn keep(&self, record: &Generations) -> Result<(), PackageHostError> {
        let tell = |moment| {
            if let Some(hook) = &self.hook {
                hook(moment);
            }
        };
        tell("before a record");
        write_generations(&self.paths.state, record)?;
        tell("after a record");
        Ok(())
    }

    /// The last transaction that ended, as the guard keeps it.
    pub(super) fn last_transaction(&self) -> Option<String> {
        let text = fs::read_to_string(self.paths.state.join("packages/last")).ok()?;
        Some(text.trim().to_owned()).filter(|id| !id.is_empty())
    }

    /// Packages of a release, unpacked; not where transactions lie, whose folders come and go.
    pub(super) fn unpacked(&self, release: &ReleaseRef) -> PathBuf {
        self.paths.state.join("packages-staged").join(release.digest.to_string())
    }

    /// Packages of the releases that run, for the way back of the next one.
    pub(super) fn kept(&self) -> PathBuf {
        self.paths.state.join("packages-kept")
    }

    pub(super) fn format(guard: &Guard) -> PackageFormat {
        match guard.kind() {
            ManagerKind::Dpkg => PackageFormat::Deb,
            ManagerKind::Rpm => PackageFormat::Rpm,
        }
    }

    /// Why this host must not be rebooted now, looked at afresh.
    pub(crate) fn held_now(&self) -> Option<String> {
        let packages = match self.open_guard() {
            Ok(guard) => guard.may_reboot().err().map(|held| held.to_string()),
            // A host without a package database has no half-installed packages.
            Err(PackageHostError::Guard { source: PackageError::NoManager { .. }, .. }) => None,
            Err(error) => Some(format!("its packages cannot be looked at: {}", chain(&error))),
        };
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), packages.clone()));
        both(self.machine.held(), packages)
    }

    /// The same, from the last look if that is fresh and no transaction is open.
    fn held_lately(&self) -> Option<String> {
        let open = self.paths.state.join("packages/current").exists();
        let known = self.looked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some((at, packages)) if !open && packages.is_none() && at.elapsed() < FRESH => {
                self.machine.held()
            }
            Some(_) | None => self.held_now(),
        }
    }

    /// The host as it is now. A record that cannot be read leaves both generations without a report.
    pub fn status(&self) -> AgentStatus {
        let mut status =
            AgentStatus { kind: HostKind::Packages, held: self.held_lately(), ..self.machine.status() };
        let (record, trouble) = match read_generations(&self.paths.state) {
            Ok(read) => read,
            Err(error) => {
                status.notes.push(chain(&error));
                return status;
            }
        };
        status.notes.extend(trouble);
        let boot = &self.boot_id;
        status.active = record.active(boot);
        if let Some(running) = record.running(boot) {
            status.version = running.version.to_string();
            status.digest = Some(running.digest);
        }
        status.banks = record.banks();
        status.floor = record.floor;
        status.failed = record.failed.iter().map(|failed| failed.digest).collect();
        status.on_trial = record.on_trial(boot);
        status
    }

    /// Refuses what needs a reboot first.
    pub(super) fn not_leaving(&self, record: &Generations) -> Result<(), Refusal> {
        match &record.next {
            Next::Failed { release, boot_id: Some(boot), .. } if *boot == self.boot_id => Err(Refusal {
                reason: format!(
                    "the boot in which {release} failed has not ended: the host is about to reboot"
                ),
                retriable: true,
            }),
            _ => Ok(()),
        }
    }
}

fn both(one: Option<String>, other: Option<String>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) => Some(format!("{one}; {other}")),
        (one, other) => one.or(other),
    }
}

fn roots_of(machine: &Machine) -> Roots {
    let root = machine.config.package_root.as_deref().unwrap_or(Path::new("/"));
    Roots { proc: machine.paths.proc.clone(), state: machine.paths.state.join("packages"), ..Roots::at(root) }
}
