//! Reading the form, strictly: every byte is accounted for.

use std::io::{self, BufRead, Read as _};

use lifeboat_model::{Event, Plan, Sha256Hex};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::{EVENT, ExportHead, HASH, JOURNAL_FORM, PREV, TailLine};
use crate::{Link, link_hash};

/// Longest head, event and tail line in bytes; an event may hold a whole policy.
const LINE: u64 = 16 << 20;
/// Longest plan in bytes: far above 10,000 hosts with 400,000 moves.
const PLAN: u64 = 512 << 20;

/// Why an exported journal is not whole.
#[derive(Debug, Error)]
pub enum ExportFault {
    /// It cannot be read.
    #[error("line {line}")]
    Read {
        /// The line, from 1.
        line: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The first line is not the head of a form that is known.
    #[error("line 1: {reason}")]
    Head {
        /// What is wrong.
        reason: String,
    },
    /// The plan is not the one that was approved.
    #[error("line 2, the plan: {reason}")]
    Plan {
        /// What is wrong.
        reason: String,
    },
    /// The first event that does not fit.
    #[error("line {line}, event {seq}: {reason}")]
    Event {
        /// The line.
        line: u64,
        /// Position of the event.
        seq: u64,
        /// What is wrong.
        reason: String,
    },
    /// The end is missing or does not fit what stands before it.
    #[error("line {line}, the tail: {reason}")]
    Tail {
        /// The line.
        line: u64,
        /// What is wrong.
        reason: String,
    },
}

impl ExportFault {
    /// Position of the first event that is damaged, if it is an event.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        match self {
            Self::Event { seq, .. } => Some(*seq),
            // The first event stands in line 3.
            Self::Read { line, .. } => line.checked_sub(2).filter(|&seq| seq > 0),
            Self::Head { .. } | Self::Plan { .. } | Self::Tail { .. } => None,
        }
    }
}

/// Reads an exported journal, event by event.
#[derive(Debug)]
pub struct ExportReader<R> {
    from: R,
    hash: Sha256,
    line: u64,
    seq: u64,
    tail: Sha256Hex,
    head: ExportHead,
    plan: Plan,
    ended: bool,
}

impl<R: BufRead> ExportReader<R> {
    /// Reads and checks head and plan.
    ///
    /// # Errors
    /// [`ExportFault`] if they are not whole.
    pub fn open(mut from: R) -> Result<Self, ExportFault> {
        let mut hash = Sha256::new();
        let first = line(&mut from, &mut hash, 1, LINE)?;
        let wrong = |reason: String| ExportFault::Head { reason };
        let Some(first) = first else { return Err(wrong("the file is empty".to_owned())) };
        let head: ExportHead = serde_json::from_str(&first)
            .map_err(|error| wrong(format!("it is not the head of an exported journal: {error}")))?;
        if head.schema != JOURNAL_FORM {
            let found: String = head.schema.chars().take(64).collect();
            return Err(wrong(format!("its form is {found:?}; this program reads {JOURNAL_FORM:?}")));
        }
        if serde_json::to_string(&head).ok().as_deref() != Some(first.as_str()) {
            return Err(wrong("it is not written as an export writes it: it was altered".to_owned()));
        }
        let text = line(&mut from, &mut hash, 2, PLAN)?;
        let wrong = |reason: String| ExportFault::Plan { reason };
        let Some(text) = text else { return Err(wrong("it is missing: the file was cut".to_owned())) };
        let found = Sha256Hex::of(text.as_bytes());
        if found != head.plan_hash {
            return Err(wrong(format!("its SHA-256 is {found}, not that of the head: one was altered")));
        }
        let plan: Plan = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if plan.pool != head.pool {
            return Err(ExportFault::Head {
                reason: format!("it names pool {}, the plan is for pool {}", head.pool, plan.pool),
            });
        }
        let tail = head.plan_hash;
        Ok(Self { from, hash, line: 2, seq: 0, tail, head, plan, ended: false })
    }

    /// The head.
    pub fn head(&self) -> &ExportHead {
        &self.head
    }

    /// The plan as it was approved.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Hash of the last event that was read; of the plan before the first.
    pub fn tail(&self) -> Sha256Hex {
        self.tail
    }

    /// The next event; none after the tail, which is checked then.
    ///
    /// # Errors
    /// [`ExportFault`] with the first line that does not fit.
    pub fn next_link(&mut self) -> Result<Option<Link>, ExportFault> {
        if self.ended {
            return Ok(None);
        }
        // The tail holds the hash of all bytes before it.
        let before = self.hash.clone();
        self.line += 1;
        let number = self.line;
        let Some(text) = line(&mut self.from, &mut self.hash, number, LINE)? else {
            let reason = format!("it is missing: the file was cut after event {}", self.seq);
            return Err(ExportFault::Tail { line: number, reason });
        };
        if !text.starts_with(PREV) && text.starts_with("{\"tail\"") {
            self.end(&text, before)?;
            return Ok(None);
        }
        let seq = self.seq + 1;
        let wrong = |reason: String| ExportFault::Event { line: number, seq, reason };
        let (prev, hash, payload) = parts(&text)
            .ok_or_else(|| wrong("the line is not written as an export writes an event".to_owned()))?;
        if prev != self.tail {
            return Err(wrong("it does not follow the line before: the hashes differ".to_owned()));
        }
        if link_hash(&prev, payload) != hash {
            return Err(wrong("its content is not what was written: its hash differs".to_owned()));
        }
        let event: Event = serde_json::from_str(payload).map_err(|error| wrong(error.to_string()))?;
        if event.seq != seq {
            return Err(wrong(format!("it says that it is event {}", event.seq)));
        }
        self.seq = seq;
        self.tail = hash;
        Ok(Some(Link { event, prev, hash }))
    }

    fn end(&mut self, text: &str, before: Sha256) -> Result<(), ExportFault> {
        let number = self.line;
        let wrong = |reason: String| ExportFault::Tail { line: number, reason };
        let tail: TailLine = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        if tail.tail != self.seq || tail.hash != self.tail {
            return Err(wrong(format!(
                "it says that event {} was the last, with hash {}; the file has {} events, the last with hash {}",
                tail.tail,
                tail.hash.short(),
                self.seq,
                self.tail.short()
            )));
        }
        if serde_json::to_string(&tail).ok().as_deref() != Some(text) {
            return Err(wrong("it is not written as an export writes it: it was altered".to_owned()));
        }
        let found = Sha256Hex(before.finalize().into());
        if tail.sha256 != found {
            return Err(wrong(format!(
                "plan and events are whole, but the file's SHA-256 is {found}, not {}: head or tail was altered",
                tail.sha256
            )));
        }
        let mut more = [0_u8; 1];
        let more =
            self.from.read(&mut more).map_err(|source| ExportFault::Read { line: number + 1, source })?;
        if more > 0 {
            return Err(wrong("something was added after it".to_owned()));
        }
        self.ended = true;
        Ok(())
    }
}

/// The two hashes and the event's own text of an event's line.
fn parts(text: &str) -> Option<(Sha256Hex, Sha256Hex, &str)> {
    let rest = text.strip_prefix(PREV)?;
    let (prev, rest) = rest.split_at_checked(64)?;
    let rest = rest.strip_prefix(HASH)?;
    let (hash, rest) = rest.split_at_checked(64)?;
    let payload = rest.strip_prefix(EVENT)?.strip_suffix('}')?;
    Some((prev.parse().ok()?, hash.parse().ok()?, payload))
}

/// One line without its newline; none at the end. A line without newline is a cut one.
fn line(
    from: &mut impl BufRead,
    hash: &mut Sha256,
    number: u64,
    limit: u64,
) -> Result<Option<String>, ExportFault> {
    let failed = |source| ExportFault::Read { line: number, source };
    let wrong = |what: String| failed(io::Error::new(io::ErrorKind::InvalidData, what));
    let mut bytes = Vec::new();
    from.take(limit + 1).read_until(b'\n', &mut bytes).map_err(failed)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.len() as u64 > limit {
        return Err(wrong(format!("it is longer than {limit} bytes")));
    }
    hash.update(&bytes);
    if bytes.pop() != Some(b'\n') {
        return Err(wrong("it was cut: its end is missing".to_owned()));
    }
    String::from_utf8(bytes).map(Some).map_err(|error| wrong(format!("it is not text: {error}")))
}
