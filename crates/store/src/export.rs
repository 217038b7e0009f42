//! A roll's journal as one text file, for an archive or another machine.
//!
//! Owns: the form `lifeboat.journal/1`: a head line, the plan, one line per event, a tail line. Promises: payloads and
//! plan are copied byte for byte, so their hashes hold; a file that was cut anywhere or has any bit flipped is
//! refused, with the line that is wrong; one line at a time is in memory, and none longer than its limit. Does not:
//! sign (whoever rewrites the whole file can make it fit), or judge whether events may follow each other.

mod read;
mod write;

pub use read::{ExportFault, ExportReader};
pub use write::Exported;

use lifeboat_model::{PoolName, RollId, Sha256Hex, Timestamp};
use serde::{Deserialize, Serialize};

/// Name and number of the form.
pub const JOURNAL_FORM: &str = "lifeboat.journal/1";

/// What an event's line begins with, up to the hash of the event before.
const PREV: &str = "{\"prev\":\"";
/// What stands between the two hashes of an event's line.
const HASH: &str = "\",\"hash\":\"";
/// What stands before the event itself.
const EVENT: &str = "\",\"event\":";

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ExportHead {
    /// [`JOURNAL_FORM`].
    pub schema: String,
    /// The roll.
    pub roll: RollId,
    /// Its pool.
    pub pool: PoolName,
    /// `active`, `stopped` or `ended`, when it was exported.
    pub state: String,
    /// When the roll was made.
    pub created: Timestamp,
    /// SHA-256 of the plan's line without its newline: what was approved.
    pub plan_hash: Sha256Hex,
    /// Where the release lay, as JSON text without anything secret.
    pub context: String,
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct TailLine {
    /// Position of the last event.
    tail: u64,
    /// Its hash; the plan's if there is none.
    hash: Sha256Hex,
    /// SHA-256 of all bytes before this line.
    sha256: Sha256Hex,
}
