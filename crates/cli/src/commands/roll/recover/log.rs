//! The journal of a recovery: a small file of hash-chained lines in the state directory.
//!
//! Promises: an order is on the disk before it is given; a second recovery appends to the first. Does not: get read
//! by any decision; it is for people.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use lifeboat_model::{Effect, EffectKey, Event, EventKind, Outcome, RollId, Sha256Hex, Timestamp};
use lifeboat_store::link_hash;

use crate::error::{CliError, Kind, file_error};

/// An open log.
pub(super) struct RecoveryLog {
    path: PathBuf,
    file: File,
    seq: u64,
    prev: Sha256Hex,
}

impl RecoveryLog {
    /// Opens the log of a roll's recovery, and makes it if there is none.
    pub(super) fn open(path: &Path, roll: &RollId) -> Result<Self, CliError> {
        let fail = |source| file_error("opening the log of the recovery", path, source);
        if let Some(folder) = path.parent() {
            crate::state::StateDir::make_dir(folder)?;
        }
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(fail)?;
        let text = crate::files::read_text(path, "the log of the recovery", 64 << 20)?;
        // The first line follows the roll's name; a line that was cut by a crash is passed over.
        let start = Sha256Hex::of(roll.as_str().as_bytes());
        let last = text.lines().rev().find_map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).ok()?;
            let hash = value.get("hash")?.as_str()?.parse().ok()?;
            Some((value.get("event")?.get("seq")?.as_u64()?, hash))
        });
        let (seq, prev) = last.unwrap_or((0, start));
        let mut log = Self { path: path.to_owned(), file, seq, prev };
        if !text.is_empty() && !text.ends_with('\n') {
            log.write("\n")?;
        }
        Ok(log)
    }

    /// Before an order is given.
    pub(super) fn intent(&mut self, at: Timestamp, fence: u64, effect: &Effect) -> Result<(), CliError> {
        let what = EventKind::Intent { key: effect.key(), attempt: 1, effect: effect.clone() };
        self.append(at, fence, what)
    }

    /// After it ended.
    pub(super) fn outcome(
        &mut self,
        at: Timestamp,
        fence: u64,
        key: &EffectKey,
        outcome: &Outcome,
    ) -> Result<(), CliError> {
        self.append(at, fence, EventKind::Outcome { key: key.clone(), outcome: outcome.clone() })
    }

    fn append(&mut self, at: Timestamp, fence: u64, what: EventKind) -> Result<(), CliError> {
        let event = Event { schema: what.form(), seq: self.seq + 1, fence, at, what };
        let payload = serde_json::to_string(&event)
            .map_err(|cause| CliError::new(Kind::Bug, "writing an event as JSON").because(cause))?;
        let hash = link_hash(&self.prev, &payload);
        let line = format!("{{\"prev\":\"{}\",\"hash\":\"{hash}\",\"event\":{payload}}}\n", self.prev);
        self.write(&line)?;
        self.seq += 1;
        self.prev = hash;
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), CliError> {
        let done = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_all());
        done.map_err(|source| file_error("writing the log of the recovery", &self.path, source))
    }
}
