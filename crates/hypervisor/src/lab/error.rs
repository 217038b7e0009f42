//! What can go wrong in the lab.
//!
//! Owns: the error of every module below `lab`. Promises: each text names what, where, why, and what to do.

use std::io;
use std::path::PathBuf;

use lifeboat_model::Bank;

/// Why the lab could not do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// A file or folder could not be used.
    #[error("{doing} {}: {source}", path.display())]
    File {
        /// What was being done, for example `write`.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A program that the lab needs is not installed.
    #[error("{program} was not found; install it: apt-get install {package}")]
    MissingTool {
        /// The program.
        program: String,
        /// The Debian package that brings it.
        package: &'static str,
    },
    /// A file that the lab needs is not installed.
    #[error("{} was not found; install it: apt-get install {package}", path.display())]
    MissingFile {
        /// The file.
        path: PathBuf,
        /// The Debian package that brings it.
        package: &'static str,
    },
    /// A program ran and failed.
    #[error("{program} failed while it should {purpose} ({status}): {output}")]
    Tool {
        /// The program.
        program: String,
        /// What it was run for.
        purpose: String,
        /// Its exit status.
        status: String,
        /// The end of what it printed.
        output: String,
    },
    /// No kernel is in the cache and none could be fetched.
    #[error(
        "no kernel for the lab in {}: {why}. With network: run apt-get update and try again. Without: put a \
         linux-image-…-amd64 .deb into that folder",
        cache.display()
    )]
    NoKernel {
        /// The cache folder.
        cache: PathBuf,
        /// Why it could not be fetched.
        why: String,
    },
    /// The kernel package lacks a module.
    #[error("kernel {version} has no module {module}, which a lab host needs")]
    NoModule {
        /// Version of the kernel.
        version: String,
        /// The module.
        module: String,
    },
    /// The static agent could not be found.
    #[error("the static lifeboat-agent was not found at {}; build it: {remedy}", path.display())]
    NoAgent {
        /// Where it was looked for.
        path: PathBuf,
        /// The command that builds it.
        remedy: &'static str,
    },
    /// The agent would not run on a machine of the lab.
    #[error("the agent {} cannot be used: {why}; build it: {remedy}", path.display())]
    UnusableAgent {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: &'static str,
        /// The command that builds it.
        remedy: &'static str,
    },
    /// A file of the lab does not have the form that it should.
    #[error("{} is damaged: {why}; `lifeboat lab down` removes the lab, then `lifeboat lab up` makes a new one", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A lab is already there.
    #[error("a lab is already up in {}; see `lifeboat lab status`, or remove it with `lifeboat lab down`", folder.display())]
    AlreadyUp {
        /// Its folder.
        folder: PathBuf,
    },
    /// There is no lab.
    #[error("no lab is up in {}; start one with `lifeboat lab up`", folder.display())]
    NotUp {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// The lab has no such host.
    #[error("the lab has no host {host:?}; its hosts are {known}")]
    UnknownHost {
        /// The name that was given.
        host: String,
        /// The names there are.
        known: String,
    },
    /// The port for the agents could not be opened.
    #[error("listen for agents on 127.0.0.1:{port}: {source}; another `lifeboat` may be using this lab")]
    Listen {
        /// The port.
        port: u16,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The disk of a host could not be made or filled.
    #[error("prepare bank {bank} of {host}: {why}")]
    Disk {
        /// The host.
        host: String,
        /// The bank.
        bank: Bank,
        /// Why not.
        why: String,
    },
    /// A release could not be made.
    #[error("make the lab release {release}: {why}")]
    Release {
        /// The release.
        release: String,
        /// Why not.
        why: String,
    },
    /// A machine did not start or answer.
    #[error("machine {host}: {why}")]
    Machine {
        /// The host.
        host: String,
        /// What happened.
        why: String,
    },
    /// A wait came to its deadline.
    #[error("{host} did not {what} within {secs} s; its console is in {}", console.display())]
    Deadline {
        /// The host.
        host: String,
        /// What was waited for.
        what: String,
        /// How long.
        secs: u64,
        /// Where its console is kept.
        console: PathBuf,
    },
}

impl LabError {
    /// For `map_err`: `doing` at `path`.
    pub(crate) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }
}
