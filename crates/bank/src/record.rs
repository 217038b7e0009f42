//! The bank record: what is known of both banks, once per disk in two copies.
//!
//! Owns: its form (block of 4096 bytes, see `codec`), its two places, the order in which they are written. Promises:
//! at every moment, also between any two writes, one copy is valid if one was before; damage is told from a newer
//! version. Does not: decide which transition is allowed ([`crate::ops`], [`crate::install`]).

mod codec;
mod place;

use std::io;

use lifeboat_model::{Bank, BankState, ReleaseRef, Sha256Hex};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use codec::{RECORD_VERSION, decode_record, encode_record};
pub use place::{CopyState, RecordRead, read_record, write_record};

/// Most failed releases that are remembered; the oldest goes first.
pub const FAILED_LIMIT: usize = 16;
/// Longest note of a bank in bytes.
pub const NOTE_LIMIT: usize = 200;
/// Longest reason of a failed release in bytes.
pub const REASON_LIMIT: usize = 60;

/// What is known of both banks of a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankRecord {
    /// Both banks; see [`BankRecord::bank`].
    pub banks: Banks,
    /// Lowest serial that may be installed (rollback protection). Raised by blessing, never lowered.
    #[serde(default)]
    pub floor: u64,
    /// Releases that failed on this host, oldest first; refused without an explicit retry.
    #[serde(default)]
    pub failed: Vec<FailedRelease>,
}

/// One entry for each bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Banks {
    /// Bank A.
    #[serde(rename = "A")]
    pub a: BankEntry,
    /// Bank B.
    #[serde(rename = "B")]
    pub b: BankEntry,
}

/// What is known of one bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankEntry {
    /// How far its content may be trusted.
    pub state: BankState,
    /// The release in it; while the state is invalid, the one whose install began.
    #[serde(default)]
    pub release: Option<ReleaseRef>,
    /// Counter of installs on this disk: the bank with the larger one was written last. 0: never.
    #[serde(default)]
    pub updated: u32,
    /// Digest of the unified kernel image.
    #[serde(default)]
    pub boot_sha256: Option<Sha256Hex>,
    /// Bytes of the unified kernel image.
    #[serde(default)]
    pub boot_len: u64,
    /// Digest of the root image.
    #[serde(default)]
    pub root_sha256: Option<Sha256Hex>,
    /// Bytes of the root image.
    #[serde(default)]
    pub root_len: u64,
    /// Why it failed or is invalid, for people.
    #[serde(default)]
    pub note: Option<String>,
}

/// A release that failed on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRelease {
    /// Identity of the release.
    pub digest: Sha256Hex,
    /// What happened, for people.
    pub reason: String,
}

impl BankEntry {
    /// A bank in which nothing was ever installed.
    #[must_use]
    pub fn empty() -> Self {
        Self::without_content(BankState::Empty)
    }

    /// A bank of which only the state is known.
    #[must_use]
    pub fn without_content(state: BankState) -> Self {
        Self {
            state,
            release: None,
            updated: 0,
            boot_sha256: None,
            boot_len: 0,
            root_sha256: None,
            root_len: 0,
            note: None,
        }
    }
}

impl BankRecord {
    /// The record of a disk on which nothing was installed.
    #[must_use]
    pub fn empty() -> Self {
        let banks = Banks { a: BankEntry::empty(), b: BankEntry::empty() };
        Self { banks, floor: 0, failed: Vec::new() }
    }

    /// What is known of `bank`.
    #[must_use]
    pub fn bank(&self, bank: Bank) -> &BankEntry {
        match bank {
            Bank::A => &self.banks.a,
            Bank::B => &self.banks.b,
        }
    }

    /// What is known of `bank`, to be changed.
    pub fn bank_mut(&mut self, bank: Bank) -> &mut BankEntry {
        match bank {
            Bank::A => &mut self.banks.a,
            Bank::B => &mut self.banks.b,
        }
    }

    /// The bank whose trial is open, if exactly one is.
    #[must_use]
    pub fn on_trial(&self) -> Option<Bank> {
        let trying = |bank: &Bank| self.bank(*bank).state == BankState::Trying;
        match [Bank::A, Bank::B].map(|bank| trying(&bank)) {
            [true, false] => Some(Bank::A),
            [false, true] => Some(Bank::B),
            [true, true] | [false, false] => None,
        }
    }

    /// The counter of the next install; none when it would wrap.
    #[must_use]
    pub fn next_updated(&self) -> Option<u32> {
        self.banks.a.updated.max(self.banks.b.updated).checked_add(1)
    }

    /// Why this release failed on this host, if it did.
    #[must_use]
    pub fn failure_of(&self, digest: &Sha256Hex) -> Option<&FailedRelease> {
        self.failed.iter().find(|failed| failed.digest == *digest)
    }

    /// Remembers that a release failed. An older word about the same release is replaced.
    pub fn remember_failure(&mut self, digest: Sha256Hex, reason: &str) {
        self.failed.retain(|failed| failed.digest != digest);
        self.failed.push(FailedRelease { digest, reason: one_line(reason, REASON_LIMIT) });
        let surplus = self.failed.len().saturating_sub(FAILED_LIMIT);
        self.failed.drain(..surplus);
    }

    /// Forgets that a release failed: it was blessed after an explicit retry.
    pub fn forget_failure(&mut self, digest: &Sha256Hex) {
        self.failed.retain(|failed| failed.digest != *digest);
    }
}

/// `text` on one line and cut to `limit` bytes, so that the record keeps its size.
pub(crate) fn one_line(text: &str, limit: usize) -> String {
    let mut out = String::new();
    for character in text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if out.len() + character.len_utf8() > limit {
            break;
        }
        out.push(character);
    }
    out
}

/// Why the bank record could not be read or written.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The disk failed.
    #[error("{doing} copy {copy} of the bank record")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The bank beside whose root the copy lies.
        copy: Bank,
        /// The disk's error.
        #[source]
        source: io::Error,
    },
    /// Neither copy is valid.
    #[error("no valid bank record: copy A {a}; copy B {b}; it can be rebuilt from what the banks hold")]
    NoValidCopy {
        /// What is wrong with the copy in bank A.
        a: String,
        /// What is wrong with the copy in bank B.
        b: String,
    },
    /// A copy is whole and of a version that is not known here. It is not overwritten.
    #[error("the bank record has version {found}; this program knows {RECORD_VERSION}: use a newer Lifeboat")]
    Newer {
        /// The version.
        found: u32,
    },
    /// The record would not fit its block.
    #[error("the bank record would have {bytes} bytes of 4096; a release's name or version is too long")]
    TooLarge {
        /// The size it would have.
        bytes: usize,
    },
    /// The record could not be brought into its form.
    #[error("encoding the bank record")]
    Encode {
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// The sequence number cannot grow.
    #[error("the sequence number of the bank record is at its end; partition the disk anew")]
    SequenceSpent,
}
