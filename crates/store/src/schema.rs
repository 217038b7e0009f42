//! Tables of the journal, and their form number (`PRAGMA user_version`).

/// Form of the tables that this program writes.
pub(crate) const FORM: u32 = 2;

/// What a file of form 1 lacks.
pub(crate) const FROM_1: &str = "
CREATE TABLE remedy (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    pool    TEXT NOT NULL,
    -- code and subject of the finding
    code    TEXT NOT NULL,
    subject TEXT NOT NULL,
    fix     TEXT NOT NULL,
    state   TEXT NOT NULL,
    reason  TEXT,
    ordered INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    who     TEXT NOT NULL,
    roll    TEXT
) STRICT;
CREATE INDEX remedies_of_a_pool ON remedy (pool);
-- the end of each roll's chain: events that are missing at the end are noticed. It is a row of its own, since it is
-- written with every event, and the row of a roll holds its plan, which may have many megabytes
CREATE TABLE tail (
    roll TEXT PRIMARY KEY REFERENCES roll (id),
    seq  INTEGER NOT NULL,
    hash TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO tail (roll, seq, hash) SELECT id, tail_seq, tail_hash FROM roll;
ALTER TABLE roll DROP COLUMN tail_seq;
ALTER TABLE roll DROP COLUMN tail_hash;
";

/// Form 1; [`FROM_1`] completes it.
pub(crate) const TABLES: &str = "
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
