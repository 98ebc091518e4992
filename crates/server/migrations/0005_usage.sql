-- Usage: a narrow table of keys that makes an event count once, the events as evidence,
-- and rollups that everything reads. All three change in one transaction.

CREATE TABLE usage_keys (
    tenant_id uuid NOT NULL,
    -- First 16 bytes of SHA-256 over the length-prefixed (tenant, source, id).
    key uuid NOT NULL,
    -- First 8 bytes of SHA-256 over what the event says.
    payload bigint NOT NULL,
    PRIMARY KEY (tenant_id, key)
);
SELECT isolate('usage_keys');
GRANT SELECT, INSERT, DELETE ON usage_keys TO tenure_tenant;

-- One row an event and meter that counts it.
CREATE TABLE usage_events (
    tenant_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    meter_id integer NOT NULL,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    key uuid NOT NULL,
    quantity numeric(21, 6) NOT NULL,
    -- What a `unique` meter counts once.
    member text,
    source text NOT NULL,
    event_id text NOT NULL
);
CREATE INDEX usage_events_by_time ON usage_events (tenant_id, subscription_id, meter_id, occurred_at);
SELECT isolate('usage_events');
GRANT SELECT, INSERT, DELETE ON usage_events TO tenure_tenant;

-- Quarter hours, because time zones are offset by 30 and 45 minutes.
CREATE TABLE usage_rollups (
    tenant_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    meter_id integer NOT NULL,
    bucket timestamptz NOT NULL,
    -- Bumped when a period closes: an invoice reads generations up to its own.
    generation integer NOT NULL DEFAULT 0,
    events bigint NOT NULL,
    sum numeric NOT NULL,
    max numeric(21, 6) NOT NULL,
    min numeric(21, 6) NOT NULL,
    last numeric(21, 6) NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, subscription_id, meter_id, bucket, generation)
);
-- Rows arrive in the order of their time: a few pages say where the last month lies.
CREATE INDEX usage_rollups_by_time ON usage_rollups USING brin (bucket) WITH (pages_per_range = 32);
SELECT isolate('usage_rollups');
GRANT SELECT, INSERT, UPDATE, DELETE ON usage_rollups TO tenure_tenant;
