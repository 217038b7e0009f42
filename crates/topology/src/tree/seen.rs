//! The one way to look at a tree of files.
//!
//! Owns: [`Tree`] and its errors. Promises to its readers: paths are relative to the root (`sys/block/sda`), hold no
//! `.` or `..`, and no call follows a link in the last place. Does not: resolve links (that is `view`).

use std::io;

use thiserror::Error;

/// A tree of files under one root: a machine's own, a dump, or one that an agent reads for us.
pub trait Tree {
    /// Names in a folder, in any order. Names that are not UTF-8 are left out.
    fn read_dir(&self, path: &str) -> Result<Vec<String>, TreeError>;

    /// Content of a file. More than `limit` bytes is an error, and no more than that is read.
    fn read_file(&self, path: &str, limit: usize) -> Result<Vec<u8>, TreeError>;

    /// Where a link points; none if something else is there.
    fn read_link(&self, path: &str) -> Result<Option<String>, TreeError>;
}

/// Why a look was not possible.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TreeError {
    /// Nothing is there.
    #[error("nothing is there")]
    NotFound,
    /// It is not what was asked for: a folder, a regular file.
    #[error("it is not {0}")]
    NotA(&'static str),
    /// It is longer than such a file can be.
    #[error("it is longer than {limit} bytes")]
    TooLong {
        /// Most bytes that were wanted.
        limit: usize,
    },
    /// A link does not name a place in UTF-8.
    #[error("a link names a place that is not UTF-8")]
    NotText,
    /// The system said no.
    #[error("reading")]
    Io(#[source] io::Error),
}

impl From<io::Error> for TreeError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::NotADirectory => Self::NotA("a folder"),
            _ => Self::Io(error),
        }
    }
}
