//! Why saved state could not be written, read, or understood.

use std::io;

use thiserror::Error;

/// Why saved state could not be written, read, or understood.
#[derive(Debug, Error)]
pub enum StateError {
    /// Writing failed.
    #[error("writing the saved state")]
    Write {
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Reading failed, or the archive ends early.
    #[error("reading the saved state at byte {at}")]
    Read {
        /// Bytes read before.
        at: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The place that takes an entry failed.
    #[error("unpacking {path:?} of the saved state")]
    Unpack {
        /// The entry.
        path: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Not an archive of ours.
    #[error("this is no saved state of Lifeboat: its first bytes are others")]
    NotAnArchive,
    /// Written by a newer Lifeboat.
    #[error("the saved state has form {found}; this program knows {known}: use a newer one")]
    Newer {
        /// Its form.
        found: u32,
        /// The form that is known.
        known: u32,
    },
    /// A field has a value that it cannot have.
    #[error("the saved state is damaged: {reason}")]
    Damaged {
        /// What is wrong, and where.
        reason: String,
    },
    /// More than is kept.
    #[error("the saved state has more than {limit} {what}")]
    TooLarge {
        /// Entries or bytes.
        what: &'static str,
        /// The most.
        limit: u64,
    },
    /// A path that could leave its tree, or is too long.
    #[error("{path:?} is no path of a saved state: {reason}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A declaration or a migration cannot be understood.
    #[error("{what} cannot be understood")]
    Json {
        /// Which file.
        what: &'static str,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A declaration or a migration has another schema.
    #[error("{what} has schema {found}; 1 is known")]
    Schema {
        /// Which file.
        what: &'static str,
        /// Its schema.
        found: u32,
    },
}
