//! Why something about packages could not be done.
//!
//! Owns: [`PackageError`] and the helper that names the file. Promises: each variant says what was being done to what, and
//! what a person can do where that is not plain. Does not: print.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::{JournalError, Stuck};

/// Why a step failed.
#[derive(Debug, Error)]
pub enum PackageError {
    /// A file failed.
    #[error("{doing} {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A program could not be started.
    #[error("starting {program}: is it installed?")]
    Start {
        /// The program.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A program ended badly.
    #[error("{program} ended with {status}: {tail}")]
    Program {
        /// The program and its first arguments.
        program: String,
        /// Exit code or signal.
        status: String,
        /// The end of what it said.
        tail: String,
    },
    /// Something that a package manager wrote could not be understood.
    #[error("reading {what}: {why}")]
    Unreadable {
        /// What was read.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// No package manager is known here.
    #[error("no package database in {}: neither var/lib/dpkg/status nor an rpm database", root.display())]
    NoManager {
        /// Where was looked.
        root: PathBuf,
    },
    /// The database is held by somebody else.
    #[error(
        "the package database stayed held for {waited_secs} s: {holders}; wait for it, or end it by hand"
    )]
    Held {
        /// How long was waited.
        waited_secs: u64,
        /// Who holds it, for people.
        holders: String,
    },
    /// Work stopped making progress.
    #[error("no progress: {0}")]
    Stuck(Stuck),
    /// A unit does not come to rest.
    #[error("{unit} is still at work after {waited_secs} s; nothing was changed, try again when it is done")]
    Busy {
        /// The unit.
        unit: String,
        /// How long was waited.
        waited_secs: u64,
    },
    /// The plan no longer fits the host.
    #[error("the host changed since the plan was made: {0}; make a new plan")]
    PlanOutdated(String),
    /// The plan has blockers.
    #[error("the plan has blockers: {0}")]
    Blocked(String),
    /// A transaction is open.
    #[error("transaction {0} is not ended; `packages finish` or `packages rollback` ends it")]
    Open(String),
    /// Nothing to finish or roll back.
    #[error("no transaction is open and the database is whole: there is nothing to do")]
    NothingOpen,
    /// There is no way back.
    #[error("no way back for {0}: the old packages are not kept; `packages finish` goes forward")]
    NoWayBack(String),
    /// Another process works on the transaction.
    #[error("process {pid} works on transaction {id}; wait for it")]
    AtWork {
        /// That process.
        pid: u32,
        /// The transaction.
        id: String,
    },
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A service manager said no.
    #[error("{doing} unit {unit}: {why}")]
    Unit {
        /// What was being done.
        doing: &'static str,
        /// The unit.
        unit: String,
        /// Its answer.
        why: String,
    },
}

/// Names the file of an I/O error.
pub(crate) fn at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PackageError {
    let path = path.to_owned();
    move |source| PackageError::File { doing, path, source }
}
