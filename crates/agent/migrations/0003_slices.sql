-- Slices of quotas that several instances share: what this one may use without asking.
CREATE TABLE slice (
    id        TEXT NOT NULL PRIMARY KEY,
    quota     TEXT NOT NULL,
    -- '0' while the answer is waited for: asked for again under its name it is one slice.
    quantity  TEXT NOT NULL,
    used      TEXT NOT NULL,
    -- Not to be used from then on; 0 while it is asked for or given back.
    until     INTEGER NOT NULL,
    last_used INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX slice_quota ON slice (quota);
