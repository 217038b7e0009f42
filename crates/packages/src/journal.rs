//! The journal of one transaction: what was meant before it is done, what came of it after.
//!
//! Owns: the file `journal` of a transaction's folder. Promises: a record is on stable storage before the call returns;
//! each line carries the hash of everything before it; a torn last line is cut off and told, damage before it is an error
//! and never guessed around. Does not: decide what to do. The bytes are in `docs/formats/package-transaction.md`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::conffiles::Leftover;
use crate::manager::hex;
use crate::plan::{Step, TransactionPlan};
use crate::services::UnitState;
use crate::{Moment, SavedFile, Snapshot};

/// First word of every line; the number is the version of the form.
const MARK: &str = "LFPK1";
/// Longest file that is read: a plan of some ten thousand packages fits.
const LONGEST: u64 = 256 << 20;

/// Which way a transaction is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// To the new versions.
    Forward,
    /// To the old versions.
    Back,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Record {
    /// What is meant; the first record.
    Intent {
        /// The plan.
        plan: TransactionPlan,
    },
    /// Who works on it from here.
    Owner {
        /// The process.
        pid: u32,
        /// When it started, in ticks after the boot.
        start_ticks: u64,
        /// The boot it runs in.
        boot_id: String,
        /// Which way it goes.
        direction: Direction,
    },
    /// Rebooting is being held.
    Hold,
    /// A unit is about to be quiesced; this is how it was found.
    Quiesce {
        /// The unit.
        unit: UnitState,
    },
    /// A unit is restored.
    Restored {
        /// The unit.
        unit: String,
    },
    /// The way back of a package is kept.
    Kept {
        /// The package.
        package: String,
        /// The file in the folder `old`.
        file: String,
        /// Where it came from, for people.
        from: String,
    },
    /// Files that decide what boots are kept.
    BootSaved {
        /// The files.
        files: Vec<SavedFile>,
    },
    /// A snapshot of the root was taken.
    Snapshot {
        /// The snapshot.
        snapshot: Snapshot,
    },
    /// A step begins.
    Begin {
        /// The step.
        step: Step,
    },
    /// A step ended.
    End {
        /// Whether it did its work.
        good: bool,
        /// Exit status, for people.
        status: String,
        /// The end of what the program said.
        tail: String,
    },
    /// Every package has the version that the direction wants.
    Verified {
        /// Which way.
        direction: Direction,
        /// Configuration files that wait for a person.
        leftovers: Vec<Leftover>,
    },
    /// Nobody works on it from here, and it has not ended.
    Paused {
        /// Why.
        reason: String,
    },
    /// The transaction ended; the last record.
    Ended {
        /// Which way.
        direction: Direction,
    },
    /// The transaction was given up before its first step.
    GivenUp {
        /// Why.
        reason: String,
    },
    /// A record of a newer Lifeboat.
    #[serde(other)]
    Unknown,
}

/// A record and its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its number, from 0.
    pub seq: u64,
    /// What it says.
    pub record: Record,
}

/// Why the journal cannot be used.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The file failed.
    #[error("{doing} the transaction's journal {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A line that is not the last one is damaged.
    #[error(
        "line {line} of the transaction's journal is damaged ({why}), and {behind} lines follow it; it was left as it is"
    )]
    Damaged {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
        /// Lines behind it.
        behind: usize,
    },
    /// The file is longer than a journal may be.
    #[error("the transaction's journal has {bytes} bytes; {LONGEST} are allowed")]
    TooLong {
        /// Its length.
        bytes: u64,
    },
    /// A record cannot be put into words.
    #[error("encoding a record of the transaction's journal")]
    Encode(#[source] serde_json::Error),
}

/// What is called around every record, for tests that end the program there.
pub(crate) type Hook = std::sync::Arc<dyn Fn(u64, Moment)>;

/// An open journal.
pub struct Journal {
    path: PathBuf,
    file: File,
    entries: Vec<Entry>,
    chain: String,
    cut: bool,
    pub(crate) hook: Option<Hook>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("path", &self.path)
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
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
        let bytes = file.metadata().map_err(failed("measuring"))?.len();
        if bytes > LONGEST {
            return Err(JournalError::TooLong { bytes });
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed("reading"))?;
        let parsed = parse_journal(&text)?;
        let cut = parsed.good < text.len();
        if cut {
            file.set_len(parsed.good as u64).map_err(failed("cutting"))?;
            file.sync_all().map_err(failed("flushing"))?;
        }
        file.seek(SeekFrom::Start(parsed.good as u64)).map_err(failed("reading"))?;
        let journal = Self {
            path: path.to_owned(),
            file,
            entries: parsed.entries,
            chain: parsed.chain,
            cut,
            hook: None,
        };
        Ok(journal)
    }

    /// Whether a torn last line was cut off when the file was opened.
    pub fn was_cut(&self) -> bool {
        self.cut
    }

    /// All records.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Adds a record and returns when it is on stable storage.
    pub fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        let seq = self.entries.len() as u64;
        if let Some(hook) = &self.hook {
            hook(seq, Moment::Before);
        }
        let json = serde_json::to_string(record).map_err(JournalError::Encode)?;
        let hash = hash(&self.chain, seq, &json);
        let line = format!("{MARK} {seq} {hash} {json}\n");
        let failed = |doing| {
            let path = self.path.clone();
            move |source| JournalError::File { doing, path, source }
        };
        self.file.write_all(line.as_bytes()).map_err(failed("writing"))?;
        self.file.sync_all().map_err(failed("flushing"))?;
        self.chain = hash;
        self.entries.push(Entry { seq, record: record.clone() });
        if let Some(hook) = &self.hook {
            hook(seq, Moment::After);
        }
        Ok(())
    }

    /// The plan, if the intent was written.
    pub fn plan(&self) -> Option<&TransactionPlan> {
        self.entries.iter().find_map(|entry| match &entry.record {
            Record::Intent { plan } => Some(plan),
            _ => None,
        })
    }

    /// Units that were quiesced and are not restored.
    pub fn quiesced(&self) -> Vec<UnitState> {
        let mut open: Vec<UnitState> = Vec::new();
        for entry in &self.entries {
            match &entry.record {
                // The first finding counts: a resumed transaction finds what its forerunner stopped.
                Record::Quiesce { unit } if !open.iter().any(|known| known.unit == unit.unit) => {
                    open.push(unit.clone());
                }
                Record::Restored { unit } => open.retain(|known| known.unit != *unit),
                _ => {}
            }
        }
        open
    }

    /// Whether a step was begun.
    pub fn has_begun(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry.record, Record::Begin { .. }))
    }

    /// Files that decide what boots, as they were before the first step.
    pub fn boot_saved(&self) -> Option<&[SavedFile]> {
        self.entries.iter().find_map(|entry| match &entry.record {
            Record::BootSaved { files } => Some(files.as_slice()),
            _ => None,
        })
    }

    /// Whether the way back of every package that has one is kept.
    pub fn has_kept(&self, package: &str) -> bool {
        self.entries
            .iter()
            .any(|entry| matches!(&entry.record, Record::Kept { package: kept, .. } if kept == package))
    }

    /// The snapshot, if one was taken.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.entries.iter().find_map(|entry| match &entry.record {
            Record::Snapshot { snapshot } => Some(snapshot),
            _ => None,
        })
    }

    /// Whether the last record ends the transaction.
    pub fn has_ended(&self) -> bool {
        matches!(
            self.entries.last().map(|entry| &entry.record),
            Some(Record::Ended { .. } | Record::GivenUp { .. })
        )
    }

    /// Whether the last record says that nobody works on it.
    pub fn is_paused(&self) -> bool {
        matches!(self.entries.last().map(|entry| &entry.record), Some(Record::Paused { .. }))
    }

    /// Who worked on it last.
    pub fn owner(&self) -> Option<(u32, u64, &str, Direction)> {
        self.entries.iter().rev().find_map(|entry| match &entry.record {
            Record::Owner { pid, start_ticks, boot_id, direction } => {
                Some((*pid, *start_ticks, boot_id.as_str(), *direction))
            }
            _ => None,
        })
    }
}

/// What [`parse_journal`] made of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedJournal {
    /// Its records.
    pub entries: Vec<Entry>,
    /// Bytes that are whole; what lies behind them is a torn last line.
    pub good: usize,
    chain: String,
}

/// Parses a journal. A damaged last line is left out; a damaged line before others is an error.
pub fn parse_journal(bytes: &[u8]) -> Result<ParsedJournal, JournalError> {
    let mut parsed = ParsedJournal { entries: Vec::new(), good: 0, chain: String::new() };
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    for (index, line) in lines.iter().enumerate() {
        match parse_line(line, parsed.entries.len() as u64, &parsed.chain) {
            Ok((record, hash)) => {
                parsed.entries.push(Entry { seq: parsed.entries.len() as u64, record });
                parsed.chain = hash;
                parsed.good += line.len();
            }
            Err(why) => {
                let behind = lines.len() - index - 1;
                // A whole line was flushed before the next was begun: only the last can be torn by a power cut.
                if behind > 0 {
                    return Err(JournalError::Damaged { line: index + 1, why, behind });
                }
            }
        }
    }
    Ok(parsed)
}

fn parse_line(line: &[u8], seq: u64, chain: &str) -> Result<(Record, String), &'static str> {
    let line = line.strip_suffix(b"\n").ok_or("it has no end")?;
    let line = std::str::from_utf8(line).map_err(|_| "it is not text")?;
    let mut words = line.splitn(4, ' ');
    if words.next() != Some(MARK) {
        return Err("it does not begin with LFPK1");
    }
    if words.next() != Some(seq.to_string().as_str()) {
        return Err("its number is not the next one");
    }
    let told = words.next().ok_or("it has no hash")?;
    let json = words.next().ok_or("it has no record")?;
    let hash = hash(chain, seq, json);
    if hash != told {
        return Err("its hash does not fit");
    }
    Ok((serde_json::from_str(json).map_err(|_| "its record cannot be read")?, hash))
}

fn hash(chain: &str, seq: u64, json: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(format!("{chain}\n{seq}\n{json}"));
    hex(&hasher.finalize())
}
