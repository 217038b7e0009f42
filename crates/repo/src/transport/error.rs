//! Why a file could not be had or put.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a file could not be had or put. `at` is the file's place for people, without credentials.
#[derive(Debug, Error)]
pub enum TransportError {
    /// No such file.
    #[error("{at} is not there; check the address")]
    NotFound {
        /// Which file.
        at: String,
    },
    /// The server wants other credentials.
    #[error("{at} is refused (HTTP status {status}{said}); check the credentials and what they may do")]
    Denied {
        /// Which file.
        at: String,
        /// HTTP status.
        status: u16,
        /// What the server said, with a leading separator, or nothing.
        said: String,
    },
    /// The server gives only whole files.
    #[error("the server of {at} gives no parts of files; let it answer range requests (HTTP status 206)")]
    NoRanges {
        /// Which file.
        at: String,
    },
    /// More bytes than the file may have.
    #[error("{at} is longer than the {limit} bytes that it may have; it is not what it should be")]
    TooLong {
        /// Which file.
        at: String,
        /// Bytes that it may have.
        limit: u64,
    },
    /// An answer that does not fit the question.
    #[error("the answer for {at} makes no sense: {what}")]
    BadAnswer {
        /// Which file.
        at: String,
        /// What is wrong with it.
        what: String,
    },
    /// The server says that it cannot.
    #[error("{at} failed: HTTP status {status}{said}; try again later")]
    Status {
        /// Which file.
        at: String,
        /// HTTP status.
        status: u16,
        /// What the server said, with a leading separator, or nothing.
        said: String,
    },
    /// The connection could not be made, or broke again and again.
    #[error(
        "the connection for {at} failed {tries} times without progress; try again, what is there already is kept"
    )]
    Network {
        /// Which file.
        at: String,
        /// How many times in a row.
        tries: u32,
        /// The last failure.
        #[source]
        source: io::Error,
    },
    /// The place can only be read.
    #[error("{at} can only be read; push to its directory, its bucket or its registry")]
    ReadOnly {
        /// Which place.
        at: String,
    },
    /// Too long for one upload.
    #[error(
        "{at} would have {len} bytes; at most {max} can be put in one piece; build the release with smaller packs"
    )]
    TooLongToPut {
        /// Which file.
        at: String,
        /// Its length.
        len: u64,
        /// The limit.
        max: u64,
    },
    /// A local file or directory.
    #[error("{doing} {}", path.display())]
    Local {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// What is needed to reach the place cannot be used.
    #[error("{what}")]
    Setup {
        /// What is wrong, and what to do.
        what: String,
    },
}

impl TransportError {
    /// Whether the file is just not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    pub(crate) fn local(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Local { doing, path, source }
    }
}
