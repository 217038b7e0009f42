//! What can go wrong with the store.

use std::path::PathBuf;

use lifeboat_model::{PoolName, RollId};
use thiserror::Error;

/// Why the store could not do what was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The file or its folder cannot be made or opened.
    #[error("{doing} {path}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file is no database, or its pages are damaged.
    #[error(
        "journal {path} is damaged: {reason}; keep the file, restore it from a backup, \
         or move it away; what a roll had switched off stays off then, and hosts stay in maintenance: look at them first"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// A newer program made it.
    #[error("journal {path} has form {found}; this program knows up to {known}: use a newer lifeboat")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its form.
        found: u32,
        /// Highest form known here.
        known: u32,
    },
    /// SQLite could not do it.
    #[error("{doing} in journal {path}")]
    Sql {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: rusqlite::Error,
    },
    /// An entry does not fit its place in the chain.
    #[error(
        "journal {path}, roll {roll}, event {seq}: {reason}; the journal was altered or damaged from this event on"
    )]
    Chain {
        /// The file.
        path: PathBuf,
        /// The roll.
        roll: RollId,
        /// Position of the event.
        seq: u64,
        /// What does not fit.
        reason: String,
    },
    /// The pool has a roll that has not ended.
    #[error(
        "pool {pool} is being rolled by {roll}; see `lifeboat roll status`, \
         then `lifeboat roll resume` or `lifeboat roll abort`"
    )]
    Active {
        /// The pool.
        pool: PoolName,
        /// The roll.
        roll: RollId,
    },
    /// Another process has the pool.
    #[error("pool {pool} is held by {holder} since {since}; one controller at a time may act on a pool")]
    Held {
        /// The pool.
        pool: PoolName,
        /// Who holds it.
        holder: String,
        /// Since when, as written by the holder.
        since: String,
    },
    /// No such roll.
    #[error("there is no roll {roll} in journal {path}")]
    NoRoll {
        /// The file.
        path: PathBuf,
        /// The name that was looked for.
        roll: String,
    },
}
