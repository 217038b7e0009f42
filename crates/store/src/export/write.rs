//! Writing the form.

use std::io::{self, Write};

use lifeboat_model::Sha256Hex;
use rusqlite::params;
use sha2::{Digest as _, Sha256};

use super::{EVENT, ExportHead, HASH, JOURNAL_FORM, PREV, TailLine};
use crate::store::unsigned;
use crate::{RollRow, Store, StoreError, link_hash};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Events.
    pub events: u64,
    /// Hash of the last one; of the plan if there is none.
    pub tail: Sha256Hex,
    /// Bytes in all.
    pub bytes: u64,
}

/// Counts and hashes what goes through.
struct Counted<'w> {
    out: &'w mut dyn Write,
    hash: Sha256,
    bytes: u64,
}

impl Counted<'_> {
    fn put(&mut self, parts: &[&str]) -> io::Result<()> {
        for part in parts {
            self.out.write_all(part.as_bytes())?;
            self.hash.update(part.as_bytes());
            self.bytes += part.len() as u64;
        }
        Ok(())
    }
}

impl Store {
    /// Writes a roll's journal as text. Every event is checked against the chain on the way: a damaged journal is not
    /// exported. `context` is what may be told of the roll's context.
    ///
    /// # Errors
    /// [`StoreError::Chain`] with the first event that does not fit; [`StoreError::File`] if it cannot be written.
    pub fn export(&self, roll: &RollRow, context: &str, out: &mut dyn Write) -> Result<Exported, StoreError> {
        let wrong = |source| self.sql("export events", source);
        let written =
            |source| StoreError::File { doing: "write the export of", path: self.path.clone(), source };
        let json = |error: serde_json::Error| written(io::Error::other(error));
        let still = self.db.unchecked_transaction().map_err(wrong)?;
        let sql = "SELECT state, plan, seq, hash FROM roll JOIN tail ON tail.roll = roll.id WHERE id = ?1";
        let (state, plan, last, last_hash): (String, String, i64, String) = still
            .query_row(sql, [roll.id.as_str()], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .map_err(wrong)?;
        let head = ExportHead {
            schema: JOURNAL_FORM.to_owned(),
            roll: roll.id.clone(),
            pool: roll.pool.clone(),
            state,
            created: roll.created,
            plan_hash: roll.plan_hash,
            context: context.to_owned(),
        };
        let mut file = Counted { out, hash: Sha256::new(), bytes: 0 };
        let head = serde_json::to_string(&head).map_err(json)?;
        file.put(&[&head, "\n", &plan, "\n"]).map_err(written)?;
        let chain = |seq: u64, reason: String| StoreError::Chain {
            path: self.path.clone(),
            roll: roll.id.clone(),
            seq,
            reason,
        };
        let sql = "SELECT seq, payload, prev, hash FROM event WHERE roll = ?1 ORDER BY seq";
        let mut query = still.prepare(sql).map_err(wrong)?;
        let mut rows = query.query(params![roll.id.as_str()]).map_err(wrong)?;
        let (mut seq, mut tail) = (0_u64, roll.plan_hash);
        while let Some(row) = rows.next().map_err(wrong)? {
            seq += 1;
            let found = unsigned(row.get(0).map_err(wrong)?);
            if found != seq {
                return Err(chain(seq, format!("it is missing; the next one found is {found}")));
            }
            let text = |at: usize| row.get::<_, String>(at).map_err(wrong);
            let (payload, prev, hash) = (text(1)?, text(2)?, text(3)?);
            if prev != tail.to_string() {
                return Err(chain(seq, "it does not follow the event before: the hashes differ".to_owned()));
            }
            tail = link_hash(&tail, &payload);
            if hash != tail.to_string() {
                return Err(chain(seq, "its content is not what was written: its hash differs".to_owned()));
            }
            file.put(&[PREV, &prev, HASH, &hash, EVENT, &payload, "}\n"]).map_err(written)?;
        }
        if seq != unsigned(last) || tail.to_string() != last_hash {
            let reason = format!("it is missing; event {last} was the last that was written");
            return Err(chain(seq + 1, reason));
        }
        let sha256 = Sha256Hex(file.hash.clone().finalize().into());
        let line = serde_json::to_string(&TailLine { tail: seq, hash: tail, sha256 }).map_err(json)?;
        file.put(&[&line, "\n"]).map_err(written)?;
        file.out.flush().map_err(written)?;
        Ok(Exported { events: seq, tail, bytes: file.bytes })
    }
}
