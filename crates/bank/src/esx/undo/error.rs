//! Why an undo file could not be written, read or carried out.

use std::io;

use thiserror::Error;

/// Why something about an undo file failed.
#[derive(Debug, Error)]
pub enum UndoError {
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
    /// The undo file itself could not be read or written.
    #[error("{doing} at byte {offset} of the undo file")]
    File {
        /// What was being done.
        doing: &'static str,
        /// Where.
        offset: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The file is none of ours.
    #[error("this is no undo file: it does not begin with the mark of one")]
    NotUndo,
    /// The file was written by a newer Lifeboat.
    #[error(
        "the undo file has version {found}, and this program reads version {known}; use a newer Lifeboat"
    )]
    Newer {
        /// Its version.
        found: u32,
        /// What is read here.
        known: u32,
    },
    /// The file is cut off or damaged.
    #[error(
        "the undo file is not whole: {reason}; nothing was written; use another copy of it. A file that was cut while \
         it was written belongs to a change that never began"
    )]
    Damaged {
        /// What does not fit.
        reason: String,
    },
    /// The change would need an undo file that no reader would take.
    #[error("the change needs an undo file with {what}; at most {limit} are allowed")]
    TooLarge {
        /// What is too much of.
        what: String,
        /// The limit.
        limit: u64,
    },
    /// The disk has no partition table, so that nobody can say which disk it is.
    #[error("the disk has no partition table that could be read, so its identity is not known")]
    NoTable,
    /// The file belongs to another disk.
    #[error("the undo file belongs to {wanted}, and this is {found}; nothing was written")]
    OtherDisk {
        /// The disk by the file.
        wanted: String,
        /// This disk.
        found: String,
    },
    /// The partition table has no such bank.
    #[error(
        "the undo file is about partition {partition} at byte {offset}, which is not on this disk any more; nothing was \
         written"
    )]
    NoPlace {
        /// Its number by the file.
        partition: u32,
        /// Its first byte by the file.
        offset: u64,
    },
    /// The disk was changed since.
    #[error(
        "{count} sectors of bank {letter} hold neither what the change wrote nor what was there before, the first at \
         byte {first} of the disk: somebody changed them since; nothing was written. With force they are overwritten \
         by what was there before the change"
    )]
    Changed {
        /// The bank.
        letter: char,
        /// How many.
        count: u64,
        /// The first.
        first: u64,
    },
    /// The disk gave back other bytes than were written.
    #[error("the disk gave back other bytes than were written, at byte {offset}; replace the disk")]
    ReadBack {
        /// Where.
        offset: u64,
    },
}
