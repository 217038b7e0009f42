//! The store: opening it, rolls, events, orders.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lifeboat_model::{Event, EventKind, OperatorVerb, Plan, PoolName, RollId, Sha256Hex, Timestamp};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};

use crate::chain::{Link, link_hash};
use crate::lease::{Holder, Lease};
use crate::schema::{FORM, FROM_1, TABLES};
use crate::{Request, RollRow, RollState, StoreError};

/// The journal of all rolls of this installation: one file, readable with `sqlite3`.
#[derive(Debug)]
pub struct Store {
    pub(crate) path: PathBuf,
    pub(crate) db: Connection,
}

impl Store {
    /// Opens the journal, and makes it if there is none.
    ///
    /// # Errors
    /// [`StoreError`] if the file cannot be made, is no journal, is damaged, or is of a newer program.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            let failed = |source| StoreError::File { doing: "make folder", path: folder.to_owned(), source };
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let wrong = |source| sort(path, "open", source);
        let db = Connection::open(path).map_err(wrong)?;
        db.busy_timeout(Duration::from_secs(10)).map_err(wrong)?;
        let mut store = Self { path: path.to_owned(), db };
        // Looked at before anything is set: a file of something else is left as it is.
        store.known()?;
        store.db.pragma_update(None, "journal_mode", "WAL").map_err(wrong)?;
        store.db.pragma_update(None, "synchronous", "FULL").map_err(wrong)?;
        store.db.pragma_update(None, "foreign_keys", "ON").map_err(wrong)?;
        store.prepare()?;
        Ok(store)
    }

    /// Whether the file is new, or a journal of a form that is known.
    fn known(&self) -> Result<(), StoreError> {
        let wrong = |source| self.sql("read the form", source);
        let found: u32 = self.db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(wrong)?;
        if found > FORM {
            return Err(StoreError::Newer { path: self.path.clone(), found, known: FORM });
        }
        let sql = "SELECT count(*) FROM sqlite_schema";
        let tables: u32 = self.db.query_row(sql, [], |row| row.get(0)).map_err(wrong)?;
        if found == 0 && tables > 0 {
            let reason = "it is a database of something else".to_owned();
            return Err(StoreError::Damaged { path: self.path.clone(), reason });
        }
        Ok(())
    }

    /// Looks at every page, before a roll is entrusted to the file.
    fn whole(&self) -> Result<(), StoreError> {
        let wrong = |source| self.sql("check the pages", source);
        let said: String = self.db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(wrong)?;
        if said == "ok" { Ok(()) } else { Err(StoreError::Damaged { path: self.path.clone(), reason: said }) }
    }

    fn prepare(&mut self) -> Result<(), StoreError> {
        let path = self.path.clone();
        let wrong = |source| sort(&path, "read the form", source);
        let change =
            self.db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(wrong)?;
        let found: u32 = change.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(wrong)?;
        if found == 0 {
            change.execute_batch(TABLES).map_err(wrong)?;
        }
        if found < 2 {
            if found > 0 {
                idle(&path, &change)?;
            }
            change.execute_batch(FROM_1).map_err(wrong)?;
            change.pragma_update(None, "user_version", FORM).map_err(wrong)?;
        }
        change.commit().map_err(wrong)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the right to act on a pool, until the lease is dropped or the process ends.
    ///
    /// # Errors
    /// [`StoreError::Held`] with its holder if another process has it.
    pub fn lease(&self, pool: &PoolName, holder: Holder) -> Result<Lease, StoreError> {
        Lease::take(&self.path, pool, holder, || {
            let sql = "INSERT INTO fence (pool, value) VALUES (?1, 1)
                       ON CONFLICT (pool) DO UPDATE SET value = value + 1 RETURNING value";
            let fence = self.db.query_row(sql, [pool.as_str()], |row| row.get::<_, i64>(0));
            fence.map(unsigned).map_err(|source| self.sql("raise the fence", source))
        })
    }

    /// Who acts on a pool now.
    pub fn holder(&self, pool: &PoolName) -> Option<Holder> {
        Lease::look(&self.path, pool)
    }

    /// Makes a roll. Its first events must follow.
    ///
    /// # Errors
    /// [`StoreError::Active`] if the pool has a roll that has not ended.
    pub fn create_roll(
        &mut self,
        id: &RollId,
        plan: &Plan,
        plan_hash: &Sha256Hex,
        context: &str,
        created: Timestamp,
    ) -> Result<(), StoreError> {
        self.whole()?;
        let text = serde_json::to_string(plan).map_err(|error| StoreError::Damaged {
            path: self.path.clone(),
            reason: format!("the plan has no JSON form: {error}"),
        })?;
        let values =
            params![id.as_str(), plan.pool.as_str(), plan_hash.to_string(), text, context, signed(created.0)];
        let make = "INSERT INTO roll (id, pool, plan_hash, plan, context, state, created)
                    VALUES (?1, ?2, ?3, ?4, ?5, 'active', ?6)";
        let begin = "INSERT INTO tail (roll, seq, hash) VALUES (?1, 0, ?2)";
        // A new roll takes the place of one that a failure stopped: that one cannot be taken up again.
        let replace = "UPDATE roll SET state = 'ended' WHERE pool = ?1 AND state = 'stopped'";
        let done = self.db.transaction().and_then(|change| {
            change.execute(make, values)?;
            change.execute(begin, params![id.as_str(), plan_hash.to_string()])?;
            change.execute(replace, [plan.pool.as_str()])?;
            change.commit()
        });
        done.map_err(|source| self.active_or(&plan.pool, "make a roll", source))
    }

    /// Ends a roll whose journal cannot be read, without looking at it. What it left in the pool stays as it is.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub fn give_up(&self, roll: &RollRow) -> Result<(), StoreError> {
        let sql = "UPDATE roll SET state = 'ended' WHERE id = ?1";
        let done = self.db.execute(sql, [roll.id.as_str()]);
        done.map(drop).map_err(|source| self.sql("give a roll up", source))
    }

    /// All rolls, newest first. One that has ended and whose plan cannot be read stands in nobody's way: it is passed
    /// over here, listed by [`Store::heads`], and named by [`Store::roll`].
    ///
    /// # Errors
    /// [`StoreError`] if the file cannot be read.
    pub fn rolls(&self) -> Result<Vec<RollRow>, StoreError> {
        let sql = "SELECT id, pool, plan_hash, plan, context, state, created FROM roll ORDER BY created DESC, id DESC";
        let wrong = |source| self.sql("read rolls", source);
        let mut query = self.db.prepare(sql).map_err(wrong)?;
        let rows = query
            .query_map([], |row| Ok((row.get::<_, String>(5).unwrap_or_default(), self.roll_row(row))))
            .map_err(wrong)?;
        let mut rolls = Vec::new();
        for row in rows {
            let (state, roll) = row.map_err(wrong)?;
            match roll {
                Err(StoreError::Damaged { .. }) if state == RollState::Ended.word() => {}
                roll => rolls.push(roll?),
            }
        }
        Ok(rolls)
    }

    /// One roll.
    ///
    /// # Errors
    /// [`StoreError::NoRoll`] if there is none of this name.
    pub fn roll(&self, id: &RollId) -> Result<RollRow, StoreError> {
        let sql = "SELECT id, pool, plan_hash, plan, context, state, created FROM roll WHERE id = ?1";
        let found = self.db.query_row(sql, [id.as_str()], |row| Ok(self.roll_row(row))).optional();
        match found.map_err(|source| self.sql("read a roll", source))? {
            Some(row) => row,
            None => Err(StoreError::NoRoll { path: self.path.clone(), roll: id.to_string() }),
        }
    }

    fn roll_row(&self, row: &Row<'_>) -> Result<RollRow, StoreError> {
        let wrong = |source| self.sql("read a roll", source);
        let text = |at: usize| row.get::<_, String>(at).map_err(wrong);
        let damaged = |what: &str| StoreError::Damaged {
            path: self.path.clone(),
            reason: format!("roll {:?}: {what}", row.get::<_, String>(0).unwrap_or_default()),
        };
        let plan_text = text(3)?;
        let plan: Plan = serde_json::from_str(&plan_text).map_err(|e| damaged(&format!("plan: {e}")))?;
        let plan_hash: Sha256Hex = text(2)?.parse().map_err(|e: String| damaged(&e))?;
        // Of the text as it was approved: a newer program may have fields that an older plan does not.
        if Sha256Hex::of(plan_text.as_bytes()) != plan_hash {
            return Err(damaged("the plan is not the one that was approved: its hash differs"));
        }
        Ok(RollRow {
            id: RollId::new(text(0)?).map_err(|e| damaged(&e.to_string()))?,
            pool: PoolName::new(text(1)?).map_err(|e| damaged(&e.to_string()))?,
            plan_hash,
            plan: Arc::new(plan),
            context: text(4)?,
            state: RollState::of_word(&text(5)?).ok_or_else(|| damaged("its state is not a known word"))?,
            created: Timestamp(unsigned(row.get(6).map_err(wrong)?)),
        })
    }

    /// Events of a roll after position `after`, in order, each checked against the chain.
    ///
    /// # Errors
    /// [`StoreError::Chain`] with the position of the first event that does not fit.
    pub fn events(&self, roll: &RollRow, after: u64) -> Result<Vec<Link>, StoreError> {
        let wrong = |source| self.sql("read events", source);
        // One reading transaction: a controller may be appending.
        let still = self.db.unchecked_transaction().map_err(wrong)?;
        let sql = "SELECT seq, hash FROM tail WHERE roll = ?1";
        let (last, last_hash): (i64, String) = still
            .query_row(sql, [roll.id.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .map_err(wrong)?
            .unwrap_or_default();
        let sql = "SELECT seq, payload, prev, hash FROM event WHERE roll = ?1 AND seq >= ?2 ORDER BY seq";
        let mut query = still.prepare_cached(sql).map_err(wrong)?;
        let mut rows = query.query(params![roll.id.as_str(), signed(after)]).map_err(wrong)?;
        let mut expected = after.max(1);
        let mut prev = if after == 0 { Some(roll.plan_hash) } else { None };
        let mut links = Vec::new();
        while let Some(row) = rows.next().map_err(wrong)? {
            let seq = unsigned(row.get(0).map_err(wrong)?);
            let chain = |reason: &str| StoreError::Chain {
                path: self.path.clone(),
                roll: roll.id.clone(),
                seq: expected,
                reason: reason.to_owned(),
            };
            let text = |at: usize| row.get::<_, String>(at).map_err(wrong);
            let payload = text(1)?;
            let of = |text: String| text.parse::<Sha256Hex>().map_err(|e| chain(&e));
            let (before, hash) = (of(text(2)?)?, of(text(3)?)?);
            if seq != expected {
                return Err(chain(&format!("it is missing; the next one found is {seq}")));
            }
            if prev.is_some_and(|prev| prev != before) {
                return Err(chain("it does not follow the event before: the hashes differ"));
            }
            if link_hash(&before, &payload) != hash {
                return Err(chain("its content is not what was written: its hash differs"));
            }
            let event: Event = serde_json::from_str(&payload).map_err(|e| chain(&e.to_string()))?;
            if event.seq != seq {
                return Err(chain("it stands at another position than it says"));
            }
            prev = Some(hash);
            expected += 1;
            if seq > after {
                links.push(Link { event, prev: before, hash });
            }
        }
        let same = prev.is_none_or(|hash| hash.to_string() == last_hash);
        if expected != unsigned(last) + 1 || !same {
            let reason = format!("it is missing; event {last} was the last that was written");
            let (path, roll) = (self.path.clone(), roll.id.clone());
            return Err(StoreError::Chain { path, roll, seq: expected, reason });
        }
        Ok(links)
    }

    /// Appends events to a roll, in one transaction; returns when they are on the disk.
    ///
    /// `tail` is the last link that the caller knows; `request` is the operator's order that these events take
    /// over, which is removed with the same transaction.
    ///
    /// # Errors
    /// [`StoreError::Chain`] if somebody else appended meanwhile; nothing is written then.
    pub fn append(
        &mut self,
        roll: &RollRow,
        tail: &mut Tail,
        kinds: &[EventKind],
        at: Timestamp,
        request: Option<i64>,
    ) -> Result<Vec<Event>, StoreError> {
        let entries: Vec<_> = kinds.iter().map(|what| (at, what.clone())).collect();
        self.append_timed(roll, tail, &entries, request)
    }

    /// As [`Store::append`], for events of different times.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn append_timed(
        &mut self,
        roll: &RollRow,
        tail: &mut Tail,
        entries: &[(Timestamp, EventKind)],
        request: Option<i64>,
    ) -> Result<Vec<Event>, StoreError> {
        let path = self.path.clone();
        let wrong = |source| sort(&path, "append events", source);
        let change =
            self.db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(wrong)?;
        let mut next = tail.clone();
        let mut events = Vec::with_capacity(entries.len());
        for (at, what) in entries {
            let at = *at;
            let event =
                Event { schema: what.form(), seq: next.seq + 1, fence: next.fence, at, what: what.clone() };
            let payload = serde_json::to_string(&event).map_err(|error| StoreError::Damaged {
                path: path.clone(),
                reason: format!("an event has no JSON form: {error}"),
            })?;
            let hash = link_hash(&next.hash, &payload);
            let sql = "INSERT INTO event (roll, seq, at, kind, host, payload, prev, hash)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
            let values = params![
                roll.id.as_str(),
                signed(event.seq),
                signed(at.0),
                what.word(),
                what.host(),
                payload,
                next.hash.to_string(),
                hash.to_string()
            ];
            let inserted = change.prepare_cached(sql).map_err(wrong)?.execute(values);
            if let Err(source) = inserted {
                if source.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) {
                    let reason = "another controller appended to this roll".to_owned();
                    return Err(StoreError::Chain { path, roll: roll.id.clone(), seq: event.seq, reason });
                }
                return Err(wrong(source));
            }
            if let Some(state) = RollState::after(what) {
                let sql = "UPDATE roll SET state = ?2 WHERE id = ?1";
                if let Err(source) = change.execute(sql, params![roll.id.as_str(), state.word()]) {
                    drop(change);
                    return Err(self.active_or(&roll.pool, "take the roll up", source));
                }
            }
            next = Tail { seq: event.seq, hash, fence: next.fence };
            events.push(event);
        }
        let sql = "UPDATE tail SET seq = ?2, hash = ?3 WHERE roll = ?1";
        let values = params![roll.id.as_str(), signed(next.seq), next.hash.to_string()];
        change.prepare_cached(sql).and_then(|mut query| query.execute(values)).map_err(wrong)?;
        if let Some(id) = request {
            change.execute("DELETE FROM request WHERE id = ?1", [id]).map_err(wrong)?;
        }
        change.commit().map_err(wrong)?;
        *tail = next;
        Ok(events)
    }

    /// Leaves an order for the controller of a roll.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub fn request(
        &self,
        roll: &RollId,
        verb: &OperatorVerb,
        who: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let verb = serde_json::to_string(verb).map_err(|error| StoreError::Damaged {
            path: self.path.clone(),
            reason: format!("an order has no JSON form: {error}"),
        })?;
        let sql = "INSERT INTO request (roll, verb, who, at) VALUES (?1, ?2, ?3, ?4)";
        let done = self.db.execute(sql, params![roll.as_str(), verb, who, signed(at.0)]);
        done.map(drop).map_err(|source| self.sql("leave an order", source))
    }

    /// Takes back orders of one kind that the controller has not taken over.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be removed.
    pub fn withdraw(&self, roll: &RollId, verb: &OperatorVerb) -> Result<(), StoreError> {
        for order in self.requests(roll)?.iter().filter(|order| order.verb == *verb) {
            let done = self.db.execute("DELETE FROM request WHERE id = ?1", [order.id]);
            done.map_err(|source| self.sql("take an order back", source))?;
        }
        Ok(())
    }

    /// Orders that the controller has not taken over, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    pub fn requests(&self, roll: &RollId) -> Result<Vec<Request>, StoreError> {
        let wrong = |source| self.sql("read orders", source);
        let sql = "SELECT id, verb, who FROM request WHERE roll = ?1 ORDER BY id";
        let mut query = self.db.prepare_cached(sql).map_err(wrong)?;
        let rows = query
            .query_map([roll.as_str()], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
            })
            .map_err(wrong)?;
        let mut requests = Vec::new();
        for row in rows {
            let (id, verb, who) = row.map_err(wrong)?;
            let verb = serde_json::from_str(&verb).map_err(|error| StoreError::Damaged {
                path: self.path.clone(),
                reason: format!("order {id}: {error}"),
            })?;
            requests.push(Request { id, verb, who });
        }
        Ok(requests)
    }

    fn active_or(&self, pool: &PoolName, doing: &'static str, source: rusqlite::Error) -> StoreError {
        if source.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) {
            let sql = "SELECT id FROM roll WHERE pool = ?1 AND state = 'active'";
            let other = self.db.query_row(sql, [pool.as_str()], |row| row.get::<_, String>(0));
            if let Some(roll) = other.ok().and_then(|id| RollId::new(id).ok()) {
                return StoreError::Active { pool: pool.clone(), roll };
            }
        }
        self.sql(doing, source)
    }

    pub(crate) fn sql(&self, doing: &'static str, source: rusqlite::Error) -> StoreError {
        sort(&self.path, doing, source)
    }
}

/// The end of a roll's chain, as its controller knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// Position of the last event; 0 before the first.
    pub seq: u64,
    /// Hash of the last event; of the plan before the first.
    pub hash: Sha256Hex,
    /// Fencing number that the next events get.
    pub fence: u64,
}

impl Tail {
    /// The end of these links, for a controller with this fencing number.
    #[must_use]
    pub fn of(roll: &RollRow, links: &[Link], fence: u64) -> Self {
        match links.last() {
            Some(link) => Self { seq: link.event.seq, hash: link.hash, fence },
            None => Self { seq: 0, hash: roll.plan_hash, fence },
        }
    }
}

/// A controller of an older program would not find its tables any more: the form is changed only while none is at work.
fn idle(path: &Path, db: &Connection) -> Result<(), StoreError> {
    let wrong = |source| sort(path, "read the form", source);
    let mut query = db.prepare("SELECT pool FROM fence").map_err(wrong)?;
    let mut pools = query.query([]).map_err(wrong)?;
    while let Some(row) = pools.next().map_err(wrong)? {
        let Ok(pool) = PoolName::new(row.get::<_, String>(0).map_err(wrong)?) else { continue };
        if let Some(holder) = Lease::look(path, &pool) {
            return Err(StoreError::Held { pool, holder: holder.name, since: holder.since });
        }
    }
    Ok(())
}

/// Damage is told apart from trouble.
fn sort(path: &Path, doing: &'static str, source: rusqlite::Error) -> StoreError {
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            StoreError::Damaged { path: path.to_owned(), reason: source.to_string() }
        }
        Some(_) | None => StoreError::Sql { doing, path: path.to_owned(), source },
    }
}

/// SQLite's integers are signed; ours never leave the positive half.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
