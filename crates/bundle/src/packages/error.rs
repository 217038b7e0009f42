//! Why packages cannot be a release, or are none.
//!
//! Owns: [`PackagesError`]. Promises: each variant names the package or the place. Does not: print.

use std::io;

use thiserror::Error;

use super::index::{MAX_PACKAGES_INDEX, PACKAGES_SCHEMA};

/// Why an archive of packages cannot be made or taken.
#[derive(Debug, Error)]
pub enum PackagesError {
    /// The index is not JSON of its form.
    #[error("the index of the packages is not JSON of the form {PACKAGES_SCHEMA}")]
    Json(#[source] serde_json::Error),
    /// Another form.
    #[error(
        "the index of the packages has the form {found:?}, this lifeboat reads {PACKAGES_SCHEMA}; use a newer lifeboat for it"
    )]
    Schema {
        /// What it says it is.
        found: String,
    },
    /// The index has another spelling than a writer gives it.
    #[error("the index of the packages is not in its canonical form")]
    NotCanonical,
    /// The index is longer than any.
    #[error("the index of the packages has {bytes} bytes; at most {MAX_PACKAGES_INDEX} are possible")]
    IndexTooLong {
        /// Its length.
        bytes: u64,
    },
    /// A text of a package has characters or a length that it must not have.
    #[error("{field} {value:?} of a package is not allowed: {rule}")]
    Text {
        /// Which field.
        field: &'static str,
        /// Its value, cut to 100 characters.
        value: String,
        /// What is allowed.
        rule: &'static str,
    },
    /// The list of packages is impossible.
    #[error("the list of packages is impossible: {rule} ({what})")]
    List {
        /// Where.
        what: String,
        /// What would be right.
        rule: &'static str,
    },
    /// The archive is not what its index says.
    #[error("the archive of packages is not what its index says at {place}: {what}")]
    Archive {
        /// Which entry.
        place: String,
        /// What is wrong.
        what: &'static str,
    },
    /// Another length than the index gives.
    #[error("the archive of packages has {found} bytes, its index makes {wanted}")]
    Length {
        /// Bytes that are there.
        found: u64,
        /// Bytes by the index.
        wanted: u64,
    },
    /// A package has another digest than its index says.
    #[error("{file} is not the package of the index: its SHA-256 is another one; was it changed meanwhile?")]
    Altered {
        /// Its file name.
        file: String,
    },
    /// The archive could not be read.
    #[error("reading the archive of packages at {place}")]
    Read {
        /// Which entry.
        place: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A package could not be written.
    #[error("writing {file}")]
    Write {
        /// Its file name.
        file: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}
