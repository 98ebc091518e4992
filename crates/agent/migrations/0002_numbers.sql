-- The last number that a ledger gave to an event of a source: events are numbered from 1 without
-- gaps, in the transaction that enters them.
CREATE TABLE numbered (
    ledger INTEGER NOT NULL REFERENCES ledger (id),
    source TEXT NOT NULL,
    last   INTEGER NOT NULL CHECK (last > 0),
    PRIMARY KEY (ledger, source)
) STRICT, WITHOUT ROWID;
