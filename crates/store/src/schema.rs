//! Tables of the journal, and their form number (`PRAGMA user_version`).

/// Form of the tables that this program writes.
pub(crate) const FORM: u32 = 1;

/// Form 1.
pub(crate) const TABLES: &str = "
CREATE TABLE roll (
    id        TEXT PRIMARY KEY,
    pool      TEXT NOT NULL,
    plan_hash TEXT NOT NULL,
    plan      TEXT NOT NULL,
    context   TEXT NOT NULL,
    state     TEXT NOT NULL CHECK (state IN ('active', 'stopped', 'ended')),
    created   INTEGER NOT NULL,
    -- the end of its chain: events that are missing at the end are noticed
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
