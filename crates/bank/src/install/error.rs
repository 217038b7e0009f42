//! Why an install was refused or failed.

use std::io;

use lifeboat_model::{Bank, BankState, Sha256Hex};
use thiserror::Error;

use crate::fat::{FatReadError, FatWriteError};
use crate::manifest::ManifestError;
use crate::record::RecordError;
use crate::uki::UkiError;

/// Why an install was refused (nothing was written) or failed (the target bank is invalid, the other as before).
#[derive(Debug, Error)]
pub enum InstallError {
    /// Refused: the running system would be overwritten.
    #[error("bank {bank} is not written: it is the active bank")]
    TargetIsActive {
        /// The bank.
        bank: Bank,
    },
    /// Refused: the bank that runs is not proved good, so the other is the only way back.
    #[error(
        "bank {target} is not written: the active bank {active} is {state}, not good, and {target} may be the only \
         way back; bless bank {active} first"
    )]
    ActiveNotGood {
        /// The active bank.
        active: Bank,
        /// The bank that would have been written.
        target: Bank,
        /// State of the active bank.
        state: BankState,
    },
    /// Refused: older than what this host has accepted.
    #[error("release with serial {serial} is older than this host allows (lowest: {floor})")]
    Downgrade {
        /// Serial of the release.
        serial: u64,
        /// Lowest serial allowed.
        floor: u64,
    },
    /// Refused: it failed here before.
    #[error(
        "release {digest} failed on this host before ({reason}); it is installed only on an explicit retry"
    )]
    FailedBefore {
        /// The release.
        digest: Sha256Hex,
        /// What happened then.
        reason: String,
    },
    /// Refused: a part does not fit.
    #[error("the {what} of {bytes} bytes does not fit bank {bank}: {capacity} bytes are there")]
    TooLarge {
        /// Root image or boot volume content.
        what: &'static str,
        /// The bank.
        bank: Bank,
        /// Its size.
        bytes: u64,
        /// The space.
        capacity: u64,
    },
    /// Refused: the release's words cannot stand on a kernel line.
    #[error("the release's {what} cannot stand on a kernel line: {reason}")]
    BadKernelLine {
        /// Version or options.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Refused: the hash tree cannot be that of the root image.
    #[error("the hash tree of the root image is not where it should be: {reason}")]
    BadVerity {
        /// What is wrong.
        reason: String,
    },
    /// Refused: the disk has something installed already.
    #[error("bank {bank} is {state}, so this disk is not new; install into its alternate bank instead")]
    NotNew {
        /// The bank.
        bank: Bank,
        /// Its state.
        state: BankState,
    },
    /// Refused: the counter of installs is at its end.
    #[error("the counter of installs on this disk is at its end ({0}); partition the disk anew", u32::MAX)]
    CounterSpent,
    /// The kernel image could not be built. Nothing was written.
    #[error("building the unified kernel image")]
    Uki {
        /// The cause.
        #[source]
        source: UkiError,
    },
    /// The boot volume could not be planned. Nothing was written.
    #[error("planning the boot volume of bank {bank}")]
    Fat {
        /// The bank.
        bank: Bank,
        /// The cause.
        #[source]
        source: FatWriteError,
    },
    /// The manifest could not be made. Nothing was written.
    #[error("making the bank's manifest")]
    Manifest {
        /// The cause.
        #[source]
        source: ManifestError,
    },
    /// The record could not be read or written.
    #[error("{doing}")]
    Record {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        #[source]
        source: RecordError,
    },
    /// The disk failed.
    #[error("{doing} of bank {bank} at byte {offset} of the disk")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The bank.
        bank: Bank,
        /// Where.
        offset: u64,
        /// The disk's error.
        #[source]
        source: io::Error,
    },
    /// The source of the root image failed.
    #[error("reading the release's root image at byte {at}")]
    Source {
        /// Bytes read before.
        at: u64,
        /// Its error.
        #[source]
        source: io::Error,
    },
    /// The source ended early or goes on.
    #[error("the release's root image should have {wanted} bytes and {}", if *got < *wanted { format!("ends after {got}") } else { "has more".to_owned() })]
    SourceLength {
        /// By the manifest.
        wanted: u64,
        /// Bytes that came, or more than wanted.
        got: u64,
    },
    /// The source gave other bytes than the manifest promises.
    #[error("the release's root image has digest {got}, and its manifest says {wanted}")]
    SourceDigest {
        /// By the manifest.
        wanted: Sha256Hex,
        /// What came.
        got: Sha256Hex,
    },
    /// The disk gave back other bytes than were written.
    #[error(
        "the {what} of bank {bank} reads back differently from what was written, {place}; the disk cannot be trusted"
    )]
    ReadBack {
        /// Root image, boot volume, boot sector.
        what: &'static str,
        /// The bank.
        bank: Bank,
        /// Where, or the two digests.
        place: String,
    },
    /// The finished volume could not be read by our own reader.
    #[error("reading the finished boot volume of bank {bank}")]
    Finished {
        /// The bank.
        bank: Bank,
        /// The cause.
        #[source]
        source: FatReadError,
    },
}
