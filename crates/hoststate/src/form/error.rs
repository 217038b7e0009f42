//! Why a backup could not be written or read.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::path::PathError;

/// Why a backup could not be written or read.
#[derive(Debug, Error)]
pub enum FormError {
    /// A file failed.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Other bytes than those of a backup.
    #[error("{} is not a backup of a host: it does not begin as one", path.display())]
    NotABackup {
        /// The file.
        path: PathBuf,
    },
    /// Written by a later Lifeboat.
    #[error(
        "{} has form {found}, and this program knows form {known}: it was written by a later Lifeboat", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its form.
        found: u32,
        /// The highest form that is known.
        known: u32,
    },
    /// A digest is wrong, a length does not fit, or the end is missing.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where, and how it shows.
        what: String,
    },
    /// The digests are right and the content is not: it was made wrong, or to do harm.
    #[error("{} is refused: in section {section}, {what}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The section.
        section: String,
        /// What is wrong.
        what: String,
    },
    /// A path that no root has.
    #[error("a backup holds a path that is refused")]
    Path(#[from] PathError),
    /// The index or a document is not the JSON that it should be.
    #[error("{what} of {} cannot be understood", path.display())]
    Json {
        /// Which one.
        what: String,
        /// The file.
        path: PathBuf,
        /// Where it stops.
        #[source]
        source: serde_json::Error,
    },
    /// More than a backup may hold.
    #[error("more {what} than a backup may hold: at most {limit}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A section that is not in it.
    #[error("{} has no section {section}", path.display())]
    NoSection {
        /// The file.
        path: PathBuf,
        /// The section.
        section: String,
    },
}

impl FormError {
    /// Adds what was being done to which file.
    pub(crate) fn io(doing: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}
