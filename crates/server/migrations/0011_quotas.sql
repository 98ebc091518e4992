-- Quotas: how much of a limit is used and held, in one row a window, so that the check
-- and the count are one thing.

CREATE TABLE quota_counters (
    tenant_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    -- Keys of the environment `test` count apart.
    environment text NOT NULL CHECK (environment IN ('live', 'test')),
    meter_id integer NOT NULL,
    window_start timestamptz NOT NULL,
    window_end timestamptz NOT NULL CHECK (window_end > window_start),
    -- The state of the subscription that `used` was counted under: another plan may count
    -- in other windows, so `used` is read anew when it changed.
    terms_at timestamptz NOT NULL,
    -- In the unit of the meter's events (bytes, not GB).
    used numeric NOT NULL,
    reserved numeric NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    -- The highest threshold, in per cent, that was announced in this window.
    told integer NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, subscription_id, environment, meter_id, window_start, window_end),
    FOREIGN KEY (tenant_id, subscription_id) REFERENCES subscriptions (tenant_id, id) ON DELETE CASCADE
) WITH (fillfactor = 60);
SELECT isolate('quota_counters');
GRANT SELECT, INSERT, UPDATE, DELETE ON quota_counters TO tenure_tenant;

CREATE TABLE quota_reservations (
    tenant_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    environment text NOT NULL CHECK (environment IN ('live', 'test')),
    -- With the source, also the name of the usage event that it becomes.
    id text NOT NULL CHECK (length(id) BETWEEN 1 AND 256),
    source text NOT NULL CHECK (length(source) BETWEEN 1 AND 512),
    meter_id integer NOT NULL,
    window_start timestamptz NOT NULL,
    window_end timestamptz NOT NULL,
    quantity numeric(21, 6) NOT NULL CHECK (quantity > 0),
    status text NOT NULL CHECK (status IN ('held', 'committed', 'released', 'expired')),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz CHECK ((ended_at IS NULL) = (status = 'held')),
    -- What was really used; of committed ones.
    committed numeric(21, 6) CHECK ((committed IS NOT NULL) = (status = 'committed')),
    PRIMARY KEY (tenant_id, subscription_id, environment, id),
    FOREIGN KEY (tenant_id, subscription_id) REFERENCES subscriptions (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX quota_reservations_held ON quota_reservations (expires_at) WHERE status = 'held';
CREATE INDEX quota_reservations_ended ON quota_reservations (ended_at) WHERE ended_at IS NOT NULL;
SELECT isolate('quota_reservations');
GRANT SELECT, INSERT, UPDATE, DELETE ON quota_reservations TO tenure_tenant;
