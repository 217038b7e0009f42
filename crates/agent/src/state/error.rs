//! Why saved state could not be carried or brought up.

use std::io;
use std::path::{Path, PathBuf};

use lifeboat_bank::state::StateError;
use thiserror::Error;

/// Why saved state could not be carried or brought up.
#[derive(Debug, Error)]
pub enum KeepError {
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
    /// An archive, declaration or migration cannot be used.
    #[error("using {}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: StateError,
    },
    /// A step between two versions is missing.
    #[error("the release brings no migration of the saved state from version {from} to {to}")]
    NoMigration {
        /// The version that is there.
        from: u32,
        /// The next one.
        to: u32,
    },
    /// A migration failed.
    #[error("migrating the saved state from version {from} to {to}: {reason}")]
    Migration {
        /// The version that is there.
        from: u32,
        /// The next one.
        to: u32,
        /// What went wrong.
        reason: String,
    },
    /// This machine was not booted by Lifeboat.
    #[error("which bank runs cannot be told: {reason}")]
    NoBank {
        /// Why not.
        reason: String,
    },
}

impl KeepError {
    pub(super) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source }
    }

    pub(super) fn state(path: &Path) -> impl FnOnce(StateError) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::State { path, source }
    }
}
