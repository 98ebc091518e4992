-- Usage: a narrow table of keys that makes an event count once, the events as evidence,
-- and rollups that everything reads. All of them change in one transaction.

-- How often a subscription was closed: what is recorded now belongs to this generation.
-- No row is generation 0.
CREATE TABLE usage_generations (
    tenant_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    generation integer NOT NULL CHECK (generation > 0),
    PRIMARY KEY (tenant_id, subscription_id),
    FOREIGN KEY (tenant_id, subscription_id) REFERENCES subscriptions (tenant_id, id) ON DELETE CASCADE
);
SELECT isolate('usage_generations');
GRANT SELECT, INSERT, UPDATE, DELETE ON usage_generations TO tenure_tenant;

-- Enters a subscription's usage until the transaction ends, and tells the open generation.
-- Batches enter together; who closes it, or takes usage back, is alone. An advisory lock
-- rather than a lock on the row: it queues fairly, where a row that is always share-locked by
-- somebody is never had alone, and it writes nothing. A function, because the generation has
-- to be read by a snapshot that is taken after the wait.
CREATE FUNCTION usage_enter(subscription uuid, alone boolean) RETURNS integer
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public AS $$
DECLARE
    lock bigint := hashtextextended('tenure usage ' || subscription, 0);
BEGIN
    IF alone THEN
        PERFORM pg_advisory_xact_lock(lock);
    ELSE
        PERFORM pg_advisory_xact_lock_shared(lock);
    END IF;
    RETURN coalesce((SELECT generation FROM usage_generations
        WHERE tenant_id = (SELECT NULLIF(current_setting('app.current_tenant', true), '')::uuid)
            AND subscription_id = subscription), 0);
END $$;
REVOKE ALL ON FUNCTION usage_enter(uuid, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION usage_enter(uuid, boolean) TO tenure_tenant;

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
    generation integer NOT NULL,
    key uuid NOT NULL,
    quantity numeric(21, 6) NOT NULL,
    -- What a `unique` meter counts once.
    member text,
    -- By what the meter tells its events apart; '' when it does not.
    dimension text NOT NULL DEFAULT '',
    source text NOT NULL,
    event_id text NOT NULL
);
CREATE INDEX usage_events_by_time ON usage_events (tenant_id, subscription_id, meter_id, occurred_at);
SELECT isolate('usage_events');
GRANT SELECT, INSERT, DELETE ON usage_events TO tenure_tenant;

-- Quarter hours, because time zones are offset by 30 and 45 minutes. What a row of a closed
-- generation says never changes; an invoice reads generations up to its own.
CREATE TABLE usage_rollups (
    tenant_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    meter_id integer NOT NULL,
    bucket timestamptz NOT NULL,
    dimension text NOT NULL DEFAULT '',
    generation integer NOT NULL,
    -- false: what this generation adds to the ones before. true: instead of all before, because
    -- something was taken back (a maximum cannot be subtracted).
    whole boolean NOT NULL DEFAULT false,
    -- The lowest generation whose whole row stands instead of this one.
    replaced_in integer,
    events bigint NOT NULL,
    sum numeric NOT NULL,
    -- Of no events, these say nothing.
    max numeric(21, 6) NOT NULL,
    min numeric(21, 6) NOT NULL,
    last numeric(21, 6) NOT NULL,
    last_at timestamptz NOT NULL,
    -- The hashes of the events, XORed: the order in which they came leaves no trace.
    digest_hi bigint NOT NULL,
    digest_lo bigint NOT NULL,
    PRIMARY KEY (tenant_id, subscription_id, meter_id, bucket, dimension, generation)
);
-- Rows arrive in the order of their time: a few pages say where the last month lies.
CREATE INDEX usage_rollups_by_time ON usage_rollups USING brin (bucket) WITH (pages_per_range = 32);
SELECT isolate('usage_rollups');
GRANT SELECT, INSERT, UPDATE, DELETE ON usage_rollups TO tenure_tenant;
