//! Why something in the lab did not work.
//!
//! Owns: the one error type of this crate. Promises: each variant says what was being done to what, and what a person
//! can do about it. Does not: print.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why something in the lab did not work.
#[derive(Debug, Error)]
pub enum LabError {
    /// A file or folder could not be used.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A mount in a namespace of the lab failed.
    #[error("cannot mount {what} at {}", path.display())]
    Mount {
        /// What was to be mounted.
        what: String,
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A program of somebody else is missing.
    #[error("{program} is not installed; install the package {package}")]
    MissingTool {
        /// The program.
        program: String,
        /// The package that brings it.
        package: &'static str,
    },
    /// A program of somebody else failed.
    #[error("{program} could not {purpose} ({status}): {output}")]
    Tool {
        /// The program.
        program: String,
        /// What it was for.
        purpose: String,
        /// How it ended.
        status: String,
        /// The end of what it said.
        output: String,
    },
    /// QEMU loses guest writes in migrations.
    #[error(
        "{found} is too old: before version 9 it loses guest writes in live migrations without KVM; {remedy}"
    )]
    OldQemu {
        /// What was found.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Namespaces need root.
    #[error("a lab of namespaces needs root; run it as root")]
    NotRoot,
    /// The folder cannot hold a lab.
    #[error("{} cannot hold a lab: {why}", folder.display())]
    BadFolder {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        why: String,
    },
    /// The folder holds a lab already.
    #[error("{} holds a lab already; end it first, or take another folder", folder.display())]
    AlreadyUp {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder holds no lab.
    #[error("{} holds no lab; make one first", folder.display())]
    NotUp {
        /// The folder.
        folder: PathBuf,
    },
    /// The files are there, the processes are not.
    #[error("the lab in {} does not run any more (the machine was restarted, or it was killed); end it and make it anew", folder.display())]
    NotRunning {
        /// The folder.
        folder: PathBuf,
    },
    /// A file of the lab cannot be understood.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// What was asked for cannot be.
    #[error("{what} is not possible: {why}")]
    Refused {
        /// What was asked for.
        what: String,
        /// Why not.
        why: String,
    },
    /// There is no such host.
    #[error("the lab has no host {host}; its hosts are {known}")]
    UnknownHost {
        /// What was asked for.
        host: String,
        /// What there is.
        known: String,
    },
    /// A host is off.
    #[error("{host} is not running: {why}")]
    HostOff {
        /// The host.
        host: String,
        /// What is known.
        why: String,
    },
    /// Something did not happen in time.
    #[error("{what} did not happen within {secs} s; {look}")]
    Deadline {
        /// What was waited for.
        what: String,
        /// How long.
        secs: u64,
        /// Where to look.
        look: String,
    },
    /// The disk of a host could not be made, read or written.
    #[error("the disk of {host}: {why}")]
    Disk {
        /// The host.
        host: String,
        /// What went wrong.
        why: String,
    },
    /// A release could not be built.
    #[error("release {release}: {why}")]
    Release {
        /// Its version.
        release: String,
        /// What went wrong.
        why: String,
    },
    /// The program that carries the lab was not found.
    #[error("the program that carries the lab was not found: {why}")]
    NoProgram {
        /// Where was looked.
        why: String,
    },
}

impl LabError {
    /// For `map_err`: an error of `doing` something to `path`.
    pub(crate) fn file(doing: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::File { doing, path, source }
    }
}
