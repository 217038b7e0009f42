//! Remedies that were carried out, or are about to be.
//!
//! Owns: one row for each remedy: what it is, why, by whom, and how far it came. Promises: a remedy's intent is on the
//! disk before [`Store::intend_fix`] returns, so that one whose controller died is found again; a row is never removed.
//! Does not: carry anything out, or know what takes a remedy back.

use lifeboat_model::{Fix, PoolName, RollId, Timestamp};
use rusqlite::{Row, params};

use crate::store::{signed, unsigned};
use crate::{Store, StoreError};

/// How far a remedy came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemedyState {
    /// It is about to be carried out, or was when its controller died.
    Intent,
    /// It was carried out, and stands.
    Done,
    /// It could not be carried out.
    Failed,
    /// It is about to be taken back, or was when its controller died.
    UndoIntent,
    /// It was taken back.
    Undone,
    /// It could not be taken back; it stands.
    UndoFailed,
    /// It was given up: a newer row for the same remedy has its place.
    Replaced,
}

impl RemedyState {
    const ALL: [Self; 7] = [
        Self::Intent,
        Self::Done,
        Self::Failed,
        Self::UndoIntent,
        Self::Undone,
        Self::UndoFailed,
        Self::Replaced,
    ];

    /// The word in the file and for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::UndoIntent => "undo-intent",
            Self::Undone => "undone",
            Self::UndoFailed => "undo-failed",
            Self::Replaced => "replaced",
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Whether a controller died in the middle of it.
    #[must_use]
    pub fn is_open(self) -> bool {
        match self {
            Self::Intent | Self::UndoIntent => true,
            Self::Done | Self::Failed | Self::Undone | Self::UndoFailed | Self::Replaced => false,
        }
    }

    /// Whether the pool is, or may be, otherwise than it was because of it.
    #[must_use]
    pub fn may_stand(self) -> bool {
        match self {
            Self::Intent | Self::Done | Self::UndoIntent | Self::UndoFailed => true,
            Self::Failed | Self::Undone | Self::Replaced => false,
        }
    }
}

/// One remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// Its number in this journal.
    pub id: u64,
    /// The pool.
    pub pool: PoolName,
    /// Code of the finding that it is for.
    pub code: String,
    /// Subject of that finding.
    pub subject: String,
    /// What is done.
    pub fix: Fix,
    /// How far it came.
    pub state: RemedyState,
    /// Why it failed, if it did.
    pub reason: Option<String>,
    /// When it was ordered.
    pub ordered: Timestamp,
    /// When its state changed last.
    pub changed: Timestamp,
    /// Who ordered it.
    pub who: String,
    /// The roll that it was made for; none if it was made before one was started.
    pub roll: Option<RollId>,
}

/// What is to be written down about a remedy before it is carried out.
#[derive(Debug, Clone, Copy)]
pub struct NewRemedy<'a> {
    /// The pool.
    pub pool: &'a PoolName,
    /// Code of the finding.
    pub code: &'a str,
    /// Subject of the finding.
    pub subject: &'a str,
    /// What is to be done.
    pub fix: &'a Fix,
    /// Who ordered it.
    pub who: &'a str,
    /// When.
    pub at: Timestamp,
}

const COLUMNS: &str = "id, pool, code, subject, fix, state, reason, ordered, changed, who, roll";

impl Store {
    /// Writes down that a remedy is about to be carried out, and returns when that is on the disk. An open row for the
    /// same remedy is taken up instead: its number is given.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written; nothing must be done then.
    pub fn intend_fix(&mut self, new: &NewRemedy<'_>) -> Result<u64, StoreError> {
        let older = self.remedies(new.pool)?.into_iter().find(|old| {
            old.fix.key() == new.fix.key()
                && matches!(old.state, RemedyState::Intent | RemedyState::Done | RemedyState::UndoFailed)
                // Other files of the same bank have a copy and an undo of their own.
                && (old.fix == *new.fix || !matches!(new.fix, Fix::CleanBank { .. }))
        });
        let wrong = |source| self.sql("write a remedy", source);
        let text = serde_json::to_string(new.fix).map_err(|error| StoreError::Damaged {
            path: self.path.clone(),
            reason: format!("a remedy has no JSON form: {error}"),
        })?;
        let still = self.db.unchecked_transaction().map_err(wrong)?;
        if let Some(old) = &older {
            if old.state == RemedyState::Intent && old.fix == *new.fix {
                return Ok(old.id);
            }
            // The finding came back, or differs: the older row keeps what is known, the new one stands.
            let sql = "UPDATE remedy SET state = 'replaced', changed = ?2 WHERE id = ?1";
            still.execute(sql, params![signed(old.id), signed(new.at.0)]).map_err(wrong)?;
        }
        let sql = "INSERT INTO remedy (pool, code, subject, fix, state, ordered, changed, who)
                   VALUES (?1, ?2, ?3, ?4, 'intent', ?5, ?5, ?6)";
        let values = params![new.pool.as_str(), new.code, new.subject, text, signed(new.at.0), new.who];
        still.execute(sql, values).map_err(wrong)?;
        let id = still.last_insert_rowid();
        still.commit().map_err(wrong)?;
        Ok(unsigned(id))
    }

    /// Changes how far a remedy came, and returns when that is on the disk.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub fn set_fix(
        &mut self,
        id: u64,
        state: RemedyState,
        reason: Option<&str>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE remedy SET state = ?2, reason = ?3, changed = ?4 WHERE id = ?1";
        let done = self.db.execute(sql, params![signed(id), state.word(), reason, signed(at.0)]);
        done.map(drop).map_err(|source| self.sql("write a remedy", source))
    }

    /// Binds the remedies of a pool that stand and are bound to no roll to this one.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub fn bind_fixes(&self, pool: &PoolName, roll: &RollId) -> Result<(), StoreError> {
        let sql = "UPDATE remedy SET roll = ?2
                   WHERE pool = ?1 AND roll IS NULL AND state IN ('intent', 'done', 'undo-failed')";
        let done = self.db.execute(sql, params![pool.as_str(), roll.as_str()]);
        done.map(drop).map_err(|source| self.sql("bind remedies to a roll", source))
    }

    /// All remedies of a pool, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    pub fn remedies(&self, pool: &PoolName) -> Result<Vec<Remedy>, StoreError> {
        let wrong = |source| self.sql("read remedies", source);
        let sql = format!("SELECT {COLUMNS} FROM remedy WHERE pool = ?1 ORDER BY id");
        let mut query = self.db.prepare_cached(&sql).map_err(wrong)?;
        let mut rows = query.query([pool.as_str()]).map_err(wrong)?;
        let mut remedies = Vec::new();
        while let Some(row) = rows.next().map_err(wrong)? {
            remedies.push(self.remedy_row(row)?);
        }
        Ok(remedies)
    }

    fn remedy_row(&self, row: &Row<'_>) -> Result<Remedy, StoreError> {
        let wrong = |source| self.sql("read remedies", source);
        let id = unsigned(row.get(0).map_err(wrong)?);
        let damaged = |what: String| StoreError::Damaged {
            path: self.path.clone(),
            reason: format!("remedy {id}: {what}"),
        };
        let text = |at: usize| row.get::<_, String>(at).map_err(wrong);
        let time = |at: usize| Ok(Timestamp(unsigned(row.get(at).map_err(wrong)?)));
        let roll: Option<String> = row.get(10).map_err(wrong)?;
        let word = text(5)?;
        Ok(Remedy {
            id,
            pool: PoolName::new(text(1)?).map_err(|error| damaged(error.to_string()))?,
            code: text(2)?,
            subject: text(3)?,
            fix: serde_json::from_str(&text(4)?).map_err(|error| damaged(error.to_string()))?,
            state: RemedyState::of_word(&word)
                .ok_or_else(|| damaged(format!("its state {word:?} is not a known word")))?,
            reason: row.get(6).map_err(wrong)?,
            ordered: time(7)?,
            changed: time(8)?,
            who: text(9)?,
            roll: roll.map(RollId::new).transpose().map_err(|error| damaged(error.to_string()))?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use lifeboat_model::GuestId;

    use super::*;

    fn fix(guest: &str) -> Fix {
        Fix::EjectMedia { guest: GuestId::new(guest).unwrap(), image: "boot.iso".to_owned() }
    }

    fn intend(store: &mut Store, fix: &Fix, at: u64) -> u64 {
        let pool = PoolName::new("p").unwrap();
        let at = Timestamp(at);
        let new = NewRemedy { pool: &pool, code: "guest-media", subject: "g1", fix, who: "anna", at };
        store.intend_fix(&new).unwrap()
    }

    #[test]
    fn an_intent_is_there_after_the_controller_died_and_is_taken_up_not_doubled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j.db");
        let pool = PoolName::new("p").unwrap();
        let mut store = Store::open(&path).unwrap();
        let id = intend(&mut store, &fix("g1"), 1);
        drop(store);
        let mut store = Store::open(&path).unwrap();
        let found = store.remedies(&pool).unwrap();
        assert_eq!((found.len(), found[0].state, found[0].fix.clone()), (1, RemedyState::Intent, fix("g1")));
        assert!(found[0].state.is_open() && found[0].state.may_stand());
        assert_eq!(intend(&mut store, &fix("g1"), 2), id);
        assert_ne!(intend(&mut store, &fix("g2"), 3), id);
        store.set_fix(id, RemedyState::Done, None, Timestamp(4)).unwrap();
        let roll = RollId::new("r1").unwrap();
        store.bind_fixes(&pool, &roll).unwrap();
        let found = store.remedies(&pool).unwrap();
        assert_eq!(
            (found[0].state, found[0].changed, &found[0].roll),
            (RemedyState::Done, Timestamp(4), &Some(roll))
        );
        assert!(store.remedies(&PoolName::new("q").unwrap()).unwrap().is_empty());
    }

    #[test]
    fn a_finding_that_came_back_gets_a_row_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(&dir.path().join("j.db")).unwrap();
        let first = intend(&mut store, &fix("g1"), 1);
        store.set_fix(first, RemedyState::Done, None, Timestamp(2)).unwrap();
        let second = intend(&mut store, &fix("g1"), 3);
        assert_ne!(first, second);
        let found = store.remedies(&PoolName::new("p").unwrap()).unwrap();
        assert_eq!(found[0].state, RemedyState::Replaced);
        assert_eq!(found.iter().filter(|remedy| remedy.state.may_stand()).count(), 1);
    }

    #[test]
    fn a_damaged_row_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(&dir.path().join("j.db")).unwrap();
        intend(&mut store, &fix("g1"), 1);
        store.db.execute("UPDATE remedy SET fix = '{\"fix\":\"magic\"}'", []).unwrap();
        let error = store.remedies(&PoolName::new("p").unwrap()).unwrap_err();
        assert!(error.to_string().contains("remedy 1"), "{error}");
    }

    #[test]
    fn a_journal_of_form_1_is_taken_over_with_everything_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j.db");
        let old = rusqlite::Connection::open(&path).unwrap();
        old.execute_batch(FORM_1).unwrap();
        old.execute("INSERT INTO fence (pool, value) VALUES ('p', 41)", []).unwrap();
        let roll = "INSERT INTO roll VALUES ('r1', 'p', 'h', '{}', '{}', 'ended', 1, 7, 'tail')";
        old.execute(roll, []).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        drop(old);
        let mut store = Store::open(&path).unwrap();
        let form: u32 = store.db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(form, crate::schema::FORM);
        let heads = store.heads().unwrap();
        assert_eq!((heads.len(), heads[0].last), (1, 7));
        intend(&mut store, &fix("g1"), 1);
        let holder = crate::Holder { name: "t".to_owned(), since: String::new() };
        let pool = PoolName::new("p").unwrap();
        assert_eq!(store.lease(&pool, holder).unwrap().fence, 42);
        drop(store);
        assert_eq!(Store::open(&path).unwrap().remedies(&pool).unwrap().len(), 1);
    }

    /// The tables as the first program made them.
    const FORM_1: &str = "
CREATE TABLE roll (
    id        TEXT PRIMARY KEY,
    pool      TEXT NOT NULL,
    plan_hash TEXT NOT NULL,
    plan      TEXT NOT NULL,
    context   TEXT NOT NULL,
    state     TEXT NOT NULL CHECK (state IN ('active', 'stopped', 'ended')),
    created   INTEGER NOT NULL,
    tail_seq  INTEGER NOT NULL,
    tail_hash TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_active_roll_per_pool ON roll (pool) WHERE state = 'active';
CREATE TABLE event (
    roll    TEXT NOT NULL REFERENCES roll (id),
    seq     INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    host    TEXT,
    payload TEXT NOT NULL,
    prev    TEXT NOT NULL,
    hash    TEXT NOT NULL,
    PRIMARY KEY (roll, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE request (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    roll TEXT NOT NULL REFERENCES roll (id),
    verb TEXT NOT NULL,
    who  TEXT NOT NULL,
    at   INTEGER NOT NULL
) STRICT;
CREATE TABLE fence (
    pool  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;
";
}
