//! What can be proved of a roll whose journal is damaged.
//!
//! Owns: reading every row that can still be read, by itself. Promises: a row is *proved* only if a hash that was
//! written when it was written covers its content: its own, or the one that the next row holds of it; a row that can
//! be read but not proved is *hearsay* and says why; damage is named by position; nothing is changed. Does not: know
//! what an event means, or guess what a lost row held.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lifeboat_model::{Event, Plan, PoolName, RollId, Sha256Hex};
use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension as _, Row, params};

use crate::store::{signed, unsigned};
use crate::{Store, StoreError, link_hash};

/// Positions that are asked for one by one where a range cannot be read.
const PROBES: u64 = 200_000;
/// Longest list of damages that is kept.
const NAMED: usize = 1000;

/// An event that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvaged {
    /// The event.
    pub event: Event,
    /// Why it is hearsay; none if a hash proves that it is what was written.
    pub doubt: Option<String>,
}

/// One place where the journal is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Position of the event; none if it is about the roll as such.
    pub seq: Option<u64>,
    /// What is wrong.
    pub reason: String,
}

/// What is left of a roll.
#[derive(Debug, Clone)]
pub struct Salvage {
    /// The roll.
    pub roll: RollId,
    /// Its pool.
    pub pool: PoolName,
    /// Its plan, if it is the one that was approved.
    pub plan: Option<Arc<Plan>>,
    /// The context of the roll.
    pub context: String,
    /// Every event that could be read, in the order in which they were written.
    pub events: Vec<Salvaged>,
    /// Every place that is damaged, in order. Empty: the journal is whole.
    pub damage: Vec<Damage>,
    /// Position of the last event that was written, as the roll's row has it.
    pub last: u64,
}

impl Salvage {
    /// How many events are proved.
    #[must_use]
    pub fn proved(&self) -> usize {
        self.events.iter().filter(|event| event.doubt.is_none()).count()
    }
}

/// A row as it lies there; text that is no text is read with replacement characters and so never fits its hash.
struct Raw {
    payload: String,
    prev: Option<Sha256Hex>,
    hash: Option<Sha256Hex>,
}

/// The roll's own row.
struct Head {
    pool: String,
    plan_hash: String,
    plan: String,
    context: String,
    last: u64,
    last_hash: Option<Sha256Hex>,
}

impl Store {
    /// Reads whatever can still be read of a roll.
    ///
    /// # Errors
    /// [`StoreError`] if not even the roll's own row can be read.
    pub fn salvage(&self, id: &RollId) -> Result<Salvage, StoreError> {
        let head = self.salvage_head(id)?;
        let mut damage = Vec::new();
        let mut of_roll = |reason: String| damage.push(Damage { seq: None, reason });
        let pool = PoolName::new(&head.pool).map_err(|error| StoreError::Damaged {
            path: self.path.clone(),
            reason: format!("roll {id}: {error}"),
        })?;
        let found = Sha256Hex::of(head.plan.as_bytes());
        let plan = if found.to_string() == head.plan_hash {
            serde_json::from_str::<Plan>(&head.plan).ok().map(Arc::new)
        } else {
            None
        };
        if plan.is_none() {
            of_roll(format!("the plan is not the one that was approved: its SHA-256 is {}", found.short()));
        }
        let (rows, unreadable) = self.salvage_rows(id, head.last);
        if let Some(reason) = unreadable {
            of_roll(format!("a part of the file cannot be read: {reason}"));
        }
        let start = head.plan_hash.parse().ok();
        let (events, more) = judge(&rows, start, head.last, head.last_hash);
        damage.extend(more);
        Ok(Salvage { roll: id.clone(), pool, plan, context: head.context, events, damage, last: head.last })
    }

    fn salvage_head(&self, id: &RollId) -> Result<Head, StoreError> {
        let sql = "SELECT pool, plan_hash, plan, context, coalesce(seq, 0), coalesce(hash, '')
                   FROM roll LEFT JOIN tail ON tail.roll = roll.id WHERE id = ?1";
        let read = |row: &Row<'_>| {
            Ok(Head {
                pool: text(row, 0)?,
                plan_hash: text(row, 1)?,
                plan: text(row, 2)?,
                context: text(row, 3)?,
                last: unsigned(row.get(4)?),
                last_hash: text(row, 5)?.parse().ok(),
            })
        };
        let found = self.db.query_row(sql, [id.as_str()], read).optional();
        found
            .map_err(|source| self.sql("read a roll", source))?
            .ok_or_else(|| StoreError::NoRoll { path: self.path.clone(), roll: id.to_string() })
    }

    /// All rows that can be read: from the front, from the back, and one by one between them.
    fn salvage_rows(&self, id: &RollId, last: u64) -> (BTreeMap<u64, Raw>, Option<String>) {
        let mut rows = BTreeMap::new();
        let mut trouble = None;
        for order in ["ASC", "DESC"] {
            let sql =
                format!("SELECT seq, payload, prev, hash FROM event WHERE roll = ?1 ORDER BY seq {order}");
            let read = self.db.prepare(&sql).and_then(|mut query| {
                let mut found = query.query([id.as_str()])?;
                while let Some(row) = found.next()? {
                    rows.insert(unsigned(row.get(0)?), raw(row)?);
                }
                Ok(())
            });
            match read {
                Ok(()) => return (rows, trouble),
                Err(error) => trouble = Some(error.to_string()),
            }
        }
        let missing: Vec<u64> = (1..=last.min(PROBES)).filter(|seq| !rows.contains_key(seq)).collect();
        for seq in missing {
            let sql = "SELECT seq, payload, prev, hash FROM event WHERE roll = ?1 AND seq = ?2";
            let read = self
                .db
                .prepare_cached(sql)
                .and_then(|mut query| query.query_row(params![id.as_str(), signed(seq)], raw));
            if let Ok(row) = read {
                rows.insert(seq, row);
            }
        }
        (rows, trouble)
    }

    /// Copies the journal's file and its write-ahead log as they are, bytes and damage included, while nobody writes.
    /// Returns the names of the copies.
    ///
    /// # Errors
    /// [`StoreError::File`] if a copy cannot be made; one that is there is not overwritten.
    pub fn keep_copy(&self, suffix: &str) -> Result<Vec<PathBuf>, StoreError> {
        // Keeps others from writing while the bytes are copied. A file that is too damaged for a lock is copied anyway.
        let locked = self.db.execute_batch("BEGIN IMMEDIATE").is_ok();
        let mut kept = Vec::new();
        let mut result = Ok(());
        for part in ["", "-wal"] {
            let from = with_suffix(&self.path, part);
            let to = with_suffix(&self.path, &format!(".{suffix}{part}"));
            if !from.exists() {
                continue;
            }
            result = copy_new(&from, &to);
            if result.is_err() {
                break;
            }
            kept.push(to);
        }
        if locked {
            // The transaction changed nothing; one that cannot be rolled back ends with the connection.
            drop(self.db.execute_batch("ROLLBACK"));
        }
        result.map(|()| kept)
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn copy_new(from: &Path, to: &Path) -> Result<(), StoreError> {
    let failed =
        |source| StoreError::File { doing: "keep a copy of the journal as", path: to.to_owned(), source };
    let target = std::fs::OpenOptions::new().write(true).create_new(true).open(to).map_err(failed)?;
    // By another process: closing a file of the journal here would end all locks that SQLite has on it in this one
    // (POSIX, fcntl: "all locks are removed when any file descriptor for that file is closed").
    let copied = std::process::Command::new("cp").arg("--").arg(from).arg(to).status().map_err(failed)?;
    if !copied.success() {
        return Err(failed(std::io::Error::other(format!("cp ended with {copied}"))));
    }
    target.sync_all().map_err(failed)
}

fn text(row: &Row<'_>, at: usize) -> rusqlite::Result<String> {
    Ok(match row.get_ref(at)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Null | ValueRef::Real(_) => String::new(),
    })
}

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok(Raw { payload: text(row, 1)?, prev: text(row, 2)?.parse().ok(), hash: text(row, 3)?.parse().ok() })
}

/// Judges every row by itself and by its neighbours.
fn judge(
    rows: &BTreeMap<u64, Raw>,
    start: Option<Sha256Hex>,
    last: u64,
    last_hash: Option<Sha256Hex>,
) -> (Vec<Salvaged>, Vec<Damage>) {
    let mut damage = Vec::new();
    let mut events: BTreeMap<u64, Salvaged> = BTreeMap::new();
    let mut named = |seq: u64, reason: String| {
        if damage.len() < NAMED {
            damage.push(Damage { seq: Some(seq), reason });
        }
    };
    let mut expected = 1;
    let mut before = start;
    let mut in_order = rows.iter().peekable();
    while let Some((&place, row)) = in_order.next() {
        if place > expected {
            named(expected, missing(expected, place - 1));
            // What stood before it is gone; the gap is named once.
            before = row.prev;
        }
        expected = place.saturating_add(1);
        // What the rows beside it say of it, if they are the ones that stood there.
        let after = match in_order.peek() {
            Some((next, follower)) if **next == place + 1 => follower.prev,
            Some(_) => None,
            None => last_hash.filter(|_| place == last),
        };
        let proof = proof(row, before, after);
        if proof != Proof::Chain {
            named(place, proof.word().to_owned());
        }
        before = if proof == Proof::Neighbour { after.or(row.hash) } else { row.hash };
        let Ok(event) = serde_json::from_str::<Event>(&row.payload) else {
            named(place, "its content cannot be read any more".to_owned());
            continue;
        };
        let mut doubt = (!proof.proves()).then(|| proof.word().to_owned());
        if event.seq != place {
            named(place, format!("it says that it is event {}", event.seq));
            if doubt.is_some() {
                doubt =
                    Some(format!("it stands at position {place} and says that it is event {}", event.seq));
            }
        }
        // Two rows that say the same position: the proved one counts.
        let better = events.get(&event.seq).is_none_or(|other| other.doubt.is_some() && doubt.is_none());
        if better {
            events.insert(event.seq, Salvaged { event, doubt });
        }
    }
    if expected <= last {
        named(expected, missing(expected, last));
    }
    (events.into_values().collect(), damage)
}

fn missing(from: u64, to: u64) -> String {
    if from == to { "it is missing".to_owned() } else { format!("events {from} to {to} are missing") }
}

/// What a row's hashes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// It is what was written, and it follows the row before.
    Chain,
    /// It is what was written; the row before it is not the one that stood there, or is damaged itself.
    Alone,
    /// It is what was written, as a neighbour proves; its own hashes are damaged.
    Neighbour,
    /// Nothing proves it.
    None,
}

impl Proof {
    fn proves(self) -> bool {
        match self {
            Self::Chain | Self::Alone | Self::Neighbour => true,
            Self::None => false,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Chain => "it is whole",
            Self::Alone => "it is whole, but does not follow the event before",
            Self::Neighbour => "its hashes are damaged; its content is proved by the event beside it",
            Self::None => "its content is not what was written: its hash differs",
        }
    }
}

fn proof(row: &Raw, before: Option<Sha256Hex>, after: Option<Sha256Hex>) -> Proof {
    let own = row.prev.map(|prev| link_hash(&prev, &row.payload));
    if own.is_some() && own == row.hash {
        return if row.prev == before { Proof::Chain } else { Proof::Alone };
    }
    // Its own `prev` with the hash that the next row keeps of it; or the other way round.
    let proved = (own.is_some() && own == after)
        || before.is_some_and(|before| {
            let by_before = link_hash(&before, &row.payload);
            row.hash == Some(by_before) || after == Some(by_before)
        });
    if proved { Proof::Neighbour } else { Proof::None }
}
