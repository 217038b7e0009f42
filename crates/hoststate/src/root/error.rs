//! Why something below a root could not be read or written.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::form::FormError;
use crate::path::{PathError, RelPath};

/// Why something below a root could not be read or written.
#[derive(Debug, Error)]
pub enum RootError {
    /// The root itself.
    #[error("opening the root {}", path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The kernel is too old to hold paths below a root.
    #[error("this kernel cannot hold paths below a root (openat2(2), Linux 5.6)")]
    OldKernel,
    /// Something below it.
    #[error("{doing} {path} below {}", root.display())]
    At {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: RelPath,
        /// Below which root.
        root: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A folder on the way is a link.
    #[error("{path} below {} goes through a symbolic link, and is not touched", root.display())]
    ThroughALink {
        /// The path.
        path: RelPath,
        /// Below which root.
        root: PathBuf,
    },
    /// It changes while it is read.
    #[error("{path} below {} changes while it is read", root.display())]
    Changing {
        /// The path.
        path: RelPath,
        /// Below which root.
        root: PathBuf,
    },
    /// A name that is none.
    #[error("a name below the root cannot be used")]
    Path(#[from] PathError),
    /// The backup that is being written or read.
    #[error(transparent)]
    Form(#[from] FormError),
}
