//! The agent's own journal: which command was begun, and how it ended.
//!
//! Owns: the file `agent.journal`: the magic `LFAGJRN1`, a version (u32 LE), then records of a length (u32 LE), the
//! CRC-32 of the payload (u32 LE) and the payload, JSON. Promises: a record is on stable storage before the call
//! returns; the first damaged record and what lies behind it are cut off when the file is opened, and told. Does
//! not: grow for ever; a file above [`COMPACT_BYTES`] is rewritten with its newest outcomes.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use lifeboat_model::agent::{AgentCommand, AgentOutcome};
use serde::{Deserialize, Serialize};
use thiserror::Error;

const MAGIC: &[u8; 8] = b"LFAGJRN1";
const VERSION: u32 = 1;
const HEAD: u64 = 12;
/// Longest payload that is believed.
const RECORD_LIMIT: usize = 64 * 1024;
/// Size from which the file is rewritten when it is opened.
pub const COMPACT_BYTES: u64 = 1 << 20;
/// Outcomes that are remembered.
const REMEMBERED: usize = 256;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum JournalEntry {
    /// The host booted.
    Boot {
        /// Identity of the boot.
        boot_id: String,
        /// What was made of it, for people.
        verdict: String,
    },
    /// A command is about to be carried out.
    Intent {
        /// Key of the command.
        key: String,
        /// The command.
        command: AgentCommand,
    },
    /// A command ended.
    Outcome {
        /// Key of the command.
        key: String,
        /// How it ended.
        outcome: AgentOutcome,
    },
    /// A record of a newer agent.
    #[serde(other)]
    Unknown,
}

/// Why the journal cannot be used.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The file failed.
    #[error("{doing} the agent's journal {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file was written by a newer agent, or is no journal.
    #[error("{} is not a journal that this agent knows ({why}); it was left as it is", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        why: String,
    },
    /// A record is longer than one may be.
    #[error("a record of the agent's journal would have {bytes} bytes; {RECORD_LIMIT} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    outcomes: VecDeque<(String, AgentOutcome)>,
    /// Keys that were begun before the file was opened, and have no outcome.
    interrupted: VecDeque<String>,
    cut: Option<String>,
}

impl Journal {
    /// Opens the journal at `path`, or makes one.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let failed = |doing| move |source| JournalError::File { doing, path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed("opening"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed("reading"))?;
        if (bytes.len() as u64) < HEAD {
            // Also a file whose head was cut by a power failure: nothing can be in it.
            bytes = head();
            file.set_len(0).map_err(failed("cutting"))?;
            file.seek(SeekFrom::Start(0)).map_err(failed("writing"))?;
            file.write_all(&bytes).map_err(failed("writing"))?;
            file.sync_all().map_err(failed("flushing"))?;
        }
        check_head(&bytes).map_err(|why| JournalError::Foreign { path: path.to_owned(), why })?;
        let (entries, good, cut) = scan(&bytes);
        file.set_len(good).map_err(failed("cutting"))?;
        file.seek(SeekFrom::Start(good)).map_err(failed("reading"))?;
        let (outcomes, interrupted) = (VecDeque::new(), VecDeque::new());
        let mut journal = Self { path: path.to_owned(), file, outcomes, interrupted, cut };
        for entry in entries {
            if let JournalEntry::Intent { key, .. } = &entry {
                journal.interrupted.retain(|known| known != key);
                journal.interrupted.push_back(key.clone());
                if journal.interrupted.len() > REMEMBERED {
                    journal.interrupted.pop_front();
                }
            }
            journal.remember(&entry);
        }
        if good > COMPACT_BYTES {
            journal.compact()?;
        }
        Ok(journal)
    }

    /// What was cut off when the file was opened, for people.
    pub fn cut(&self) -> Option<&str> {
        self.cut.as_deref()
    }

    /// How the command with this key ended, if it did.
    pub fn outcome(&self, key: &str) -> Option<&AgentOutcome> {
        self.outcomes.iter().rev().find(|(known, _)| known == key).map(|(_, outcome)| outcome)
    }

    /// Whether the command with this key was begun by an earlier run of the agent and came to no end.
    pub fn interrupted(&self, key: &str) -> bool {
        self.interrupted.iter().any(|known| known == key)
    }

    /// Adds a record and returns when it is on stable storage.
    pub fn append(&mut self, entry: &JournalEntry) -> Result<(), JournalError> {
        let record = encode(entry)?;
        let failed = |doing| {
            let path = self.path.clone();
            move |source| JournalError::File { doing, path, source }
        };
        self.file.write_all(&record).map_err(failed("writing"))?;
        self.file.sync_data().map_err(failed("flushing"))?;
        self.remember(entry);
        Ok(())
    }

    fn remember(&mut self, entry: &JournalEntry) {
        if let JournalEntry::Outcome { key, outcome } = entry {
            self.interrupted.retain(|known| known != key);
            self.outcomes.push_back((key.clone(), outcome.clone()));
            if self.outcomes.len() > REMEMBERED {
                self.outcomes.pop_front();
            }
        }
    }

    /// Writes the remembered outcomes beside the file and takes its place.
    fn compact(&mut self) -> Result<(), JournalError> {
        let beside = self.path.with_extension("journal.new");
        let failed = |doing| {
            let path = beside.clone();
            move |source| JournalError::File { doing, path, source }
        };
        let mut bytes = head();
        for key in &self.interrupted {
            bytes.extend(encode(&JournalEntry::Intent { key: key.clone(), command: AgentCommand::Status })?);
        }
        for (key, outcome) in &self.outcomes {
            bytes.extend(encode(&JournalEntry::Outcome { key: key.clone(), outcome: outcome.clone() })?);
        }
        let mut file = File::create(&beside).map_err(failed("creating"))?;
        file.write_all(&bytes).map_err(failed("writing"))?;
        file.sync_all().map_err(failed("flushing"))?;
        fs::rename(&beside, &self.path).map_err(failed("renaming"))?;
        // Otherwise a power cut could bring the old file back, without what was appended to the new one.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new(".")));
        folder.and_then(|folder| folder.sync_all()).map_err(failed("flushing the folder of"))?;
        self.file = file;
        Ok(())
    }
}

fn head() -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes
}

fn check_head(bytes: &[u8]) -> Result<(), String> {
    if bytes.get(..8) != Some(MAGIC) {
        return Err("it does not begin with LFAGJRN1".to_owned());
    }
    match le_u32(bytes, 8) {
        Some(VERSION) => Ok(()),
        other => Err(format!("its version is {other:?}, known is {VERSION}")),
    }
}

fn encode(entry: &JournalEntry) -> Result<Vec<u8>, JournalError> {
    let payload = serde_json::to_vec(entry).unwrap_or_default();
    let bytes = payload.len();
    let length = u32::try_from(bytes).ok().filter(|_| bytes <= RECORD_LIMIT);
    let length = length.ok_or(JournalError::TooLong { bytes })?;
    let mut record = length.to_le_bytes().to_vec();
    record.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
    record.extend_from_slice(&payload);
    Ok(record)
}

/// Good records, where they end, and what is wrong behind that.
fn scan(bytes: &[u8]) -> (Vec<JournalEntry>, u64, Option<String>) {
    let mut entries = Vec::new();
    let mut at = usize::try_from(HEAD).unwrap_or(usize::MAX);
    while at < bytes.len() {
        let Some(entry) = record_at(bytes, at) else {
            let lost = bytes.len() - at;
            let cut = format!("the last {lost} bytes of the agent's journal were damaged and are cut off");
            return (entries, at as u64, Some(cut));
        };
        at += entry.1;
        entries.push(entry.0);
    }
    (entries, at as u64, None)
}

fn record_at(bytes: &[u8], at: usize) -> Option<(JournalEntry, usize)> {
    let length = usize::try_from(le_u32(bytes, at)?).ok().filter(|length| *length <= RECORD_LIMIT)?;
    let payload = bytes.get(at + 8..)?.get(..length)?;
    if crc32fast::hash(payload) != le_u32(bytes, at + 4)? {
        return None;
    }
    // Whole, and yet not understood: a newer agent wrote it.
    Some((serde_json::from_slice(payload).unwrap_or(JournalEntry::Unknown), 8 + length))
}

fn le_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let four: [u8; 4] = bytes.get(at..)?.get(..4)?.try_into().ok()?;
    Some(u32::from_le_bytes(four))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn outcome(key: &str) -> JournalEntry {
        let outcome = AgentOutcome::Done { detail: format!("did {key}") };
        JournalEntry::Outcome { key: key.to_owned(), outcome }
    }

    #[test]
    fn whatever_is_cut_off_the_whole_records_before_it_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.journal");
        let mut journal = Journal::open(&path).unwrap();
        journal.append(&outcome("one")).unwrap();
        let first = fs::metadata(&path).unwrap().len();
        journal.append(&outcome("two")).unwrap();
        drop(journal);
        let whole = fs::read(&path).unwrap();
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let mut journal = Journal::open(&path).unwrap();
            assert_eq!(journal.outcome("one").is_some(), length as u64 >= first, "cut to {length}");
            assert_eq!(journal.outcome("two").is_some(), length == whole.len(), "cut to {length}");
            journal.append(&outcome("three")).unwrap();
            drop(journal);
            assert!(Journal::open(&path).unwrap().outcome("three").is_some(), "cut to {length}");
        }
    }

    #[test]
    fn a_flipped_bit_never_becomes_an_outcome() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.journal");
        Journal::open(&path).unwrap().append(&outcome("one")).unwrap();
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[at / 8] ^= 1 << (at % 8);
            fs::write(&path, &bytes).unwrap();
            match Journal::open(&path) {
                Ok(journal) => assert_eq!(journal.outcome("one"), None, "bit {at}"),
                Err(error) => {
                    assert!(at < 96, "bit {at}: {error}");
                    assert_eq!(fs::read(&path).unwrap(), bytes, "a foreign file is left alone");
                }
            }
        }
    }

    #[test]
    fn what_was_begun_and_not_ended_is_known_to_the_next_run_and_newer_records_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.journal");
        let mut journal = Journal::open(&path).unwrap();
        for key in ["one", "two"] {
            let intent = JournalEntry::Intent { key: key.to_owned(), command: AgentCommand::SaveState };
            journal.append(&intent).unwrap();
            assert!(!journal.interrupted(key), "it is at work, not interrupted");
        }
        journal.append(&outcome("one")).unwrap();
        drop(journal);
        let payload = br#"{"kind":"intent","key":"x","command":{"of_a_newer_agent":{}}}"#;
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
        bytes.extend(crc32fast::hash(payload).to_le_bytes());
        bytes.extend(payload);
        fs::write(&path, &bytes).unwrap();
        let mut journal = Journal::open(&path).unwrap();
        assert_eq!(journal.cut(), None);
        assert!(journal.interrupted("two") && !journal.interrupted("one"));
        journal.append(&outcome("two")).unwrap();
        assert!(!journal.interrupted("two"));
    }

    #[test]
    fn a_long_journal_is_rewritten_and_keeps_its_newest_outcomes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.journal");
        drop(Journal::open(&path).unwrap());
        let mut bytes = head();
        let mut number = 0;
        while bytes.len() as u64 <= COMPACT_BYTES {
            number += 1;
            bytes.extend(encode(&outcome(&format!("command {number}"))).unwrap());
        }
        fs::write(&path, &bytes).unwrap();
        let mut journal = Journal::open(&path).unwrap();
        journal.append(&outcome("last")).unwrap();
        drop(journal);
        assert!(fs::metadata(&path).unwrap().len() < 64 * 1024);
        let journal = Journal::open(&path).unwrap();
        assert!(journal.outcome("last").is_some());
        assert!(journal.outcome(&format!("command {number}")).is_some());
        assert!(journal.outcome("command 1").is_none());
    }
}
