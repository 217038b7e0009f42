//! Why a restore was refused or stopped.

use std::path::PathBuf;

use serde::Serialize;
use thiserror::Error;

use crate::backup::BackupError;
use crate::form::FormError;
use crate::path::RelPath;
use crate::root::RootError;

/// Something that stands in the way of a restore.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Blocker {
    /// Stable word for programs: see `docs/ops/host-state.md`.
    pub code: &'static str,
    /// What it is, with names.
    pub what: String,
    /// What a person can do.
    pub remedy: String,
}

impl Blocker {
    pub(super) fn new(code: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code, what: what.into(), remedy: remedy.into() }
    }
}

/// Why a restore was refused or stopped.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// Something below the root.
    #[error(transparent)]
    Root(#[from] RootError),
    /// A backup, or a file of the restore.
    #[error(transparent)]
    Form(#[from] FormError),
    /// The present state could not be read.
    #[error("reading the present state")]
    Present(#[from] BackupError),
    /// Nothing was written.
    #[error("{} in the way of the restore; nothing was written", things(.0.len()))]
    Blocked(Vec<Blocker>),
    /// An earlier restore is half done.
    #[error("a restore that began at {time} was left half done")]
    Unfinished {
        /// When it began.
        time: String,
    },
    /// No restore to finish.
    #[error("no restore of {} was left half done", root.display())]
    NothingToResume {
        /// The root.
        root: PathBuf,
    },
    /// No restore to take back.
    #[error("there is no restore of {} that could be taken back", root.display())]
    NothingToUndo {
        /// The root.
        root: PathBuf,
    },
    /// Another process restores.
    #[error("another restore of {} is at work", root.display())]
    Locked {
        /// The root.
        root: PathBuf,
    },
    /// Somebody changed files meanwhile.
    #[error("{} changed meanwhile, and would be overwritten", paths(.0))]
    Changed(Vec<RelPath>),
    /// The files of a restore are not those that its journal names.
    #[error("the {what} file of the restore is not the one that its journal names")]
    OtherFile {
        /// `redo` or `undo`.
        what: &'static str,
    },
    /// The journal.
    #[error("the journal of the restore, {}, is damaged in line {line}", path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// It stopped in the middle.
    #[error("the restore stopped in the middle, at {at}")]
    Stopped {
        /// What was being done.
        at: String,
        /// Why.
        #[source]
        source: Box<RestoreError>,
    },
}

fn things(count: usize) -> String {
    if count == 1 { "one thing stands".to_owned() } else { format!("{count} things stand") }
}

fn paths(list: &[RelPath]) -> String {
    const SHOWN: usize = 5;
    let mut text: Vec<String> = list.iter().take(SHOWN).map(ToString::to_string).collect();
    if list.len() > SHOWN {
        text.push(format!("and {} more", list.len() - SHOWN));
    }
    text.join(", ")
}
