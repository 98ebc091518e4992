-- What an agent keeps. One writer; every commit reaches the disk (synchronous=FULL).

-- Names and values that fit nowhere else.
CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The state of the license and of the conversation with the license service: one row.
CREATE TABLE state (
    one     INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL,
    json    TEXT NOT NULL
) STRICT;

-- A ledger is the hash chain of one instance key. A new key begins a new ledger.
CREATE TABLE ledger (
    id            INTEGER NOT NULL PRIMARY KEY,
    key           TEXT NOT NULL UNIQUE,
    head_seq      INTEGER NOT NULL DEFAULT 0,
    head_hash     BLOB,
    -- Up to here a signed receipt says that the usage is counted.
    counted_seq   INTEGER NOT NULL DEFAULT 0,
    counted_hash  BLOB,
    receipt       TEXT,
    -- Up to here entries were counted and let go of.
    pruned_seq    INTEGER NOT NULL DEFAULT 0,
    pruned_hash   BLOB,
    CHECK (counted_seq <= head_seq)
) STRICT;

CREATE TABLE entry (
    ledger  INTEGER NOT NULL REFERENCES ledger (id),
    seq     INTEGER NOT NULL,
    hash    BLOB NOT NULL,
    content TEXT NOT NULL,
    at      INTEGER NOT NULL,
    events  INTEGER NOT NULL,
    UNIQUE (ledger, seq)
) STRICT;

-- Names of events that were taken in, so that each counts once.
CREATE TABLE event (
    key     BLOB NOT NULL PRIMARY KEY,
    payload BLOB NOT NULL,
    at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX event_at ON event (at);

-- Local quota slices: what was taken in a calendar window, and each taking.
CREATE TABLE counter (
    quota        TEXT NOT NULL,
    window_start INTEGER NOT NULL,
    used         TEXT NOT NULL,
    PRIMARY KEY (quota, window_start)
) STRICT, WITHOUT ROWID;

CREATE TABLE taking (
    quota    TEXT NOT NULL,
    id       TEXT NOT NULL,
    quantity TEXT NOT NULL,
    answer   TEXT NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (quota, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX taking_at ON taking (at);

-- The last messages that left this machine.
CREATE TABLE sent (
    id      INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    what    TEXT NOT NULL,
    place   TEXT NOT NULL,
    bytes   INTEGER NOT NULL,
    body    TEXT NOT NULL,
    outcome TEXT NOT NULL
) STRICT;
