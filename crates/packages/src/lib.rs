//! Guarded updates of hosts that stay package-based: Debian's dpkg, and rpm.
//!
//! Owns: who holds the package database and what it waits in, the programs that call the package manager, transactions
//! of packages with a durable journal, what an update of others left incomplete, and the hold on rebooting until that is
//! mended. Promises: nothing is changed before it was checked and written down; what was quiesced is restored, also after
//! a crash; a host in the middle of a transaction is not rebooted by Lifeboat, nor by an ordinary `systemctl reboot`; no
//! process that Lifeboat did not start is ever ended. Does not: choose releases, resolve dependencies (apt and rpm do),
//! or reboot.
//!
//! The way in is [`Guard`].

mod agents;
mod apply;
mod boot_files;
mod cache;
mod codes;
mod command;
mod conffiles;
mod dpkg;
mod error;
mod guard;
mod hold;
mod holders;
mod journal;
mod lock;
mod manager;
mod outcome;
mod plan;
mod proc_locks;
mod process;
mod quiesce;
mod reboot_need;
mod recover;
mod roots;
mod rpm;
mod services;
mod snapshot;
mod space;
mod status;
mod watch;

pub use agents::{Caller, CallerKind, find_callers};
pub use boot_files::SavedFile;
pub use codes::{CODES, Code};
pub use command::{Ran, Stuck};
pub use conffiles::{Conffile, ConffileFate, Leftover};
pub use dpkg::{Stanza, parse_status};
pub use error::PackageError;
pub use guard::{Guard, Moment, OnStuck, Policy};
pub use hold::Held;
pub use holders::{Holder, How, Touch, Waiting, find_holders};
pub use journal::{Direction, Entry, Journal, JournalError, Record, parse_journal};
pub use lock::exec_locked;
pub use manager::{Defect, Installed, ManagerKind, PackageFile};
pub use outcome::{Ending, Outcome, Progress};
pub use plan::{Change, Request, Step, TransactionPlan, WayBack};
pub use proc_locks::{FileLock, LockKind, LockMode, parse_locks};
pub use process::{Process, RunState};
pub use reboot_need::{RebootNeed, compare_versions};
pub use roots::Roots;
pub use services::{NoServices, Services, Systemctl, UnitState};
pub use snapshot::{Snapshot, SnapshotKind};
pub use space::Room;
pub use status::{HostState, Status, may_reboot};
pub use watch::DatabaseWatch;
