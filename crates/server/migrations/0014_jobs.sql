-- Work that is done once, whoever does it: a queue with leases, and how far a month close is.

CREATE TABLE billing_runs (
    id uuid PRIMARY KEY,
    -- One a day: closing is asked for again and again, and goes on where it was.
    day date NOT NULL UNIQUE,
    started_at timestamptz NOT NULL,
    finished_at timestamptz
);
GRANT SELECT, INSERT, UPDATE, DELETE ON billing_runs TO tenure_vendor;

-- Payloads hold ids only.
CREATE TABLE jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (length(kind) BETWEEN 1 AND 100),
    -- A thing is queued once.
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 200),
    payload jsonb NOT NULL,
    run_id uuid REFERENCES billing_runs ON DELETE SET NULL,
    status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'done', 'failed')),
    -- Not before; while leased, when another may take it.
    due_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    -- Raised with every lease: who holds an older one cannot finish the job any more.
    epoch integer NOT NULL DEFAULT 0,
    error text,
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    UNIQUE (kind, key)
);
CREATE INDEX jobs_ready ON jobs (due_at) WHERE status = 'queued';
CREATE INDEX jobs_by_run ON jobs (run_id, status);
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE status <> 'queued';
GRANT SELECT, INSERT, UPDATE, DELETE ON jobs TO tenure_vendor;

-- When each schedule ran last, over all processes.
CREATE TABLE schedules (
    name text PRIMARY KEY,
    ran_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON schedules TO tenure_vendor;
