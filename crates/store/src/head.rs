//! Rolls without their plans: a look that costs nothing, also where a plan is damaged.
//!
//! Promises: no plan is read, parsed or hashed; a roll whose plan cannot be read is listed like any other. Does not:
//! say that what it lists can be carried out.

use lifeboat_model::{PoolName, RollId, Timestamp};
use rusqlite::OptionalExtension as _;

use crate::store::unsigned;
use crate::{RollState, Store, StoreError};

/// A roll without its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollHead {
    /// Its name.
    pub id: RollId,
    /// The pool.
    pub pool: PoolName,
    /// Whether it may be taken up.
    pub state: RollState,
    /// When it was made.
    pub created: Timestamp,
    /// Position of its last event.
    pub last: u64,
}

impl Store {
    /// The state of a roll and the position of its last event, by one row; what a watcher asks again and again.
    ///
    /// # Errors
    /// [`StoreError::NoRoll`] if there is none of this name.
    pub fn state(&self, id: &RollId) -> Result<(RollState, u64), StoreError> {
        let sql =
            "SELECT state, coalesce(seq, 0) FROM roll LEFT JOIN tail ON tail.roll = roll.id WHERE id = ?1";
        let read = self.db.prepare_cached(sql).and_then(|mut query| {
            query
                .query_row([id.as_str()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))
                .optional()
        });
        let Some((word, last)) = read.map_err(|source| self.sql("read a roll's state", source))? else {
            return Err(StoreError::NoRoll { path: self.path.clone(), roll: id.to_string() });
        };
        let state = RollState::of_word(&word).ok_or_else(|| self.wrong_word(id.as_str()))?;
        Ok((state, unsigned(last)))
    }

    /// All rolls without their plans, newest first.
    ///
    /// # Errors
    /// [`StoreError`] if the file cannot be read.
    pub fn heads(&self) -> Result<Vec<RollHead>, StoreError> {
        let wrong = |source| self.sql("read rolls", source);
        let sql = "SELECT id, pool, state, created, coalesce(seq, 0)
                   FROM roll LEFT JOIN tail ON tail.roll = roll.id ORDER BY created DESC, id DESC";
        let mut query = self.db.prepare_cached(sql).map_err(wrong)?;
        let mut rows = query.query([]).map_err(wrong)?;
        let mut heads = Vec::new();
        while let Some(row) = rows.next().map_err(wrong)? {
            let text = |at: usize| row.get::<_, String>(at).map_err(wrong);
            let name = text(0)?;
            let damaged = |reason: String| StoreError::Damaged {
                path: self.path.clone(),
                reason: format!("roll {name:?}: {reason}"),
            };
            heads.push(RollHead {
                id: RollId::new(&name).map_err(|error| damaged(error.to_string()))?,
                pool: PoolName::new(text(1)?).map_err(|error| damaged(error.to_string()))?,
                state: RollState::of_word(&text(2)?).ok_or_else(|| self.wrong_word(&name))?,
                created: Timestamp(unsigned(row.get(3).map_err(wrong)?)),
                last: unsigned(row.get(4).map_err(wrong)?),
            });
        }
        Ok(heads)
    }

    /// Ends a roll by its name alone: its plan or its events cannot be read. What it left in the pool stays as it is.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub fn end_unread(&self, id: &RollId) -> Result<(), StoreError> {
        let sql = "UPDATE roll SET state = 'ended' WHERE id = ?1";
        let done = self.db.execute(sql, [id.as_str()]);
        done.map(drop).map_err(|source| self.sql("end a roll that cannot be read", source))
    }

    fn wrong_word(&self, id: &str) -> StoreError {
        let reason = format!("roll {id:?}: its state is not a known word");
        StoreError::Damaged { path: self.path.clone(), reason }
    }
}
