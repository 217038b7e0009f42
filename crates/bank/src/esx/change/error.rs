//! Why a change was refused, or did not come to its end.

use std::io;

use thiserror::Error;

use crate::esx::undo::UndoError;

/// Why a bank was not changed, or not to the end.
#[derive(Debug, Error)]
pub enum ChangeError {
    /// The disk failed.
    #[error("{doing} at byte {offset} of the disk")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// Where.
        offset: u64,
        /// The disk's error.
        #[source]
        source: io::Error,
    },
    /// The change makes no sense, or would harm the host. Nothing was written.
    #[error("{what} was refused: {why}; {remedy}")]
    Refused {
        /// What was asked for.
        what: String,
        /// Why not.
        why: String,
        /// What a person can do.
        remedy: String,
    },
    /// The FAT volume could not be read or edited. Nothing was written.
    #[error("{doing} of bank {letter}")]
    Fat {
        /// What was being done.
        doing: &'static str,
        /// The bank.
        letter: char,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What the plan rests on is not there any more. Nothing was written.
    #[error("the disk changed at byte {offset} since the plan was made; nothing was written; plan again")]
    DiskChanged {
        /// Where.
        offset: u64,
    },
    /// The undo file could not be written. Nothing was changed on the disk.
    #[error("{doing} the undo file; nothing was changed on the disk")]
    Undo {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        #[source]
        source: UndoError,
    },
    /// A file of the source bank reads differently than when the plan was made.
    #[error(
        "{name:?} of the source bank reads otherwise than when the plan was made; the target bank stays invalid; \
         check the disk, then rebuild again or undo"
    )]
    SourceChanged {
        /// The file.
        name: String,
    },
    /// The disk gave back other bytes than were written.
    #[error(
        "the disk gave back other bytes than were written, first at byte {offset}; step {step:?} is not trusted and \
         nothing further was written; replace the disk, or undo"
    )]
    ReadBack {
        /// Where.
        offset: u64,
        /// The step.
        step: &'static str,
    },
    /// After the change the loader would choose otherwise than planned.
    #[error("after the change the loader would choose {found} instead of {wanted}; undo is possible")]
    Outcome {
        /// What it would choose.
        found: String,
        /// What it should choose.
        wanted: String,
    },
    /// A write would leave the bank that may be written. This is a fault of the program; nothing was written.
    #[error("bytes {from}..{to} lie outside of the bank that may be written; nothing was written there")]
    OutsideBank {
        /// First byte.
        from: u64,
        /// Byte after the last.
        to: u64,
    },
    /// A write of a part of a sector, or twice of the same one without a flush. This is a fault of the program.
    #[error("bytes {from}..{to} cannot be written in this step; nothing was written")]
    BadWrite {
        /// First byte.
        from: u64,
        /// Byte after the last.
        to: u64,
    },
}

impl ChangeError {
    pub(super) fn refused(
        what: impl Into<String>,
        why: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::Refused { what: what.into(), why: why.into(), remedy: remedy.into() }
    }
}
