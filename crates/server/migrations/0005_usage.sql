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

-- A partition is reached through its parent alone: it has the policies of a tenant's table,
-- and no grants.
CREATE FUNCTION isolate_partition(target regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    PERFORM isolate(target);
    EXECUTE format('REVOKE ALL ON %s FROM tenure_vendor, tenure_tenant, tenure_auth', target);
END $$;
REVOKE ALL ON FUNCTION isolate_partition(regclass) FROM PUBLIC;

-- A source sends in one lane for ever: an event that came in both would count twice.
CREATE TABLE usage_sources (
    tenant_id uuid NOT NULL,
    source text NOT NULL,
    -- Of the numbered lane: the epoch, and the last number that was settled in it. NULL: every
    -- event of the source has a key.
    epoch bigint CHECK (epoch >= 0),
    last bigint NOT NULL DEFAULT 0 CHECK (last >= 0),
    PRIMARY KEY (tenant_id, source)
);
SELECT isolate('usage_sources');
GRANT SELECT, INSERT, UPDATE, DELETE ON usage_sources TO tenure_tenant;

-- The key lane: one row an event.
CREATE TABLE usage_keys (
    tenant_id uuid NOT NULL,
    -- First 16 bytes of SHA-256 over the length-prefixed (tenant, source, id).
    key uuid NOT NULL,
    -- First 8 bytes of SHA-256 over what the event says.
    payload bigint NOT NULL,
    -- Leads to the event; and says when the key can go.
    received_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, key)
) PARTITION BY HASH (tenant_id, key);
CREATE INDEX usage_keys_by_age ON usage_keys USING brin (received_at) WITH (pages_per_range = 32);
SELECT isolate('usage_keys');
GRANT SELECT, INSERT, DELETE ON usage_keys TO tenure_tenant;
DO $$
BEGIN
    FOR n IN 0..7 LOOP
        EXECUTE format('CREATE TABLE usage_keys_%s PARTITION OF usage_keys
            FOR VALUES WITH (MODULUS 8, REMAINDER %s)', n, n);
        PERFORM isolate_partition(format('usage_keys_%s', n)::regclass);
    END LOOP;
END $$;

-- Single events: of small batches, and whatever a `time_weighted` meter measured. One row an
-- event and meter that counts it.
CREATE TABLE usage_events (
    tenant_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    -- NULL: no meter counts it.
    meter_id integer,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    generation integer NOT NULL,
    -- Names the event: its key, or what stands for its number.
    key uuid NOT NULL,
    quantity numeric(21, 6) NOT NULL,
    -- What a `unique` meter counts once.
    member text,
    -- By what the meter tells its events apart; '' when it does not.
    dimension text NOT NULL DEFAULT '',
    source text NOT NULL,
    event_id text NOT NULL,
    -- Of the numbered lane.
    epoch bigint,
    number bigint,
    payload bigint
) PARTITION BY RANGE (received_at);
CREATE INDEX usage_events_by_time ON usage_events (tenant_id, subscription_id, meter_id, occurred_at);
CREATE INDEX usage_events_by_number ON usage_events (tenant_id, source, epoch, number)
    WHERE number IS NOT NULL;
CREATE INDEX usage_events_by_arrival ON usage_events USING brin (received_at) WITH (pages_per_range = 16);
SELECT isolate('usage_events');
GRANT SELECT, INSERT, DELETE ON usage_events TO tenure_tenant;
CREATE TABLE usage_events_default PARTITION OF usage_events DEFAULT;
SELECT isolate_partition('usage_events_default');

-- Events of a batch together: a row an event would cost more than everything else.
CREATE TABLE usage_chunks (
    tenant_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    received_at timestamptz NOT NULL,
    id uuid NOT NULL,
    generation integer NOT NULL,
    -- What lies inside, so that nothing is unpacked in vain. Meters by their id in the product
    -- file; '' when no meter counts an event.
    meters text[] NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    events integer NOT NULL,
    -- Of the numbered lane: one source, one epoch.
    source text,
    epoch bigint,
    first_number bigint,
    last_number bigint,
    body bytea NOT NULL,
    PRIMARY KEY (tenant_id, received_at, id)
) PARTITION BY RANGE (received_at);
CREATE INDEX usage_chunks_by_time ON usage_chunks (tenant_id, subscription_id, last_at);
CREATE INDEX usage_chunks_by_number ON usage_chunks (tenant_id, source, epoch, last_number)
    WHERE source IS NOT NULL;
-- It is compressed already.
ALTER TABLE usage_chunks ALTER COLUMN body SET STORAGE EXTERNAL;
SELECT isolate('usage_chunks');
GRANT SELECT, INSERT, DELETE ON usage_chunks TO tenure_tenant;
CREATE TABLE usage_chunks_default PARTITION OF usage_chunks DEFAULT;
SELECT isolate_partition('usage_chunks_default');

-- Events taken back. The event stays; whoever counts looks here too.
CREATE TABLE usage_voids (
    tenant_id uuid NOT NULL,
    -- The name of the event that was taken back: an event is taken back once.
    key uuid NOT NULL,
    subscription_id uuid NOT NULL,
    generation integer NOT NULL,
    occurred_at timestamptz NOT NULL,
    voided_at timestamptz NOT NULL,
    -- The event that says so.
    source text NOT NULL,
    event_id text NOT NULL,
    PRIMARY KEY (tenant_id, key)
);
CREATE INDEX usage_voids_by_time ON usage_voids (tenant_id, subscription_id, occurred_at);
SELECT isolate('usage_voids');
GRANT SELECT, INSERT, DELETE ON usage_voids TO tenure_tenant;

-- The newest events that were refused for what they say: usage is never dropped silently.
CREATE TABLE usage_refused (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    refused_at timestamptz NOT NULL,
    -- As far as it could be read.
    source text,
    event_id text,
    event_type text,
    event_time text,
    reason text NOT NULL,
    detail text NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
SELECT isolate('usage_refused');
GRANT SELECT, INSERT, DELETE ON usage_refused TO tenure_tenant;

CREATE TABLE usage_refused_counts (
    tenant_id uuid NOT NULL,
    reason text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (tenant_id, reason)
);
SELECT isolate('usage_refused_counts');
GRANT SELECT, INSERT, UPDATE, DELETE ON usage_refused_counts TO tenure_tenant;

-- What a `unique` meter counted in each bucket.
CREATE TABLE usage_members (
    tenant_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    meter_id integer NOT NULL,
    bucket timestamptz NOT NULL,
    dimension text NOT NULL DEFAULT '',
    generation integer NOT NULL,
    member text NOT NULL,
    -- As of the rollup.
    replaced_in integer,
    PRIMARY KEY (tenant_id, subscription_id, meter_id, bucket, dimension, generation, member)
);
SELECT isolate('usage_members');
GRANT SELECT, INSERT, UPDATE, DELETE ON usage_members TO tenure_tenant;

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
    -- With a scale of its own, so that the order of additions leaves no trace either.
    sum numeric(38, 6) NOT NULL,
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
