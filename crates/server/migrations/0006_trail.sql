-- What happened (audit), what others must hear of (outbox), what was already answered
-- (idempotency).

-- A chain a tenant, and one of the vendor under the nil UUID. The body is ciphertext under
-- the tenant's key: the chain stays verifiable after that key is destroyed.
CREATE TABLE audit_log (
    tenant_id uuid NOT NULL,
    seq bigint NOT NULL CHECK (seq > 0),
    at timestamptz NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    body bytea NOT NULL,
    hash bytea NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (tenant_id, seq)
);
-- The newest entries of every chain, for the console.
CREATE INDEX audit_log_by_time ON audit_log (at);
SELECT isolate('audit_log');
GRANT SELECT, INSERT ON audit_log TO tenure_tenant;
CREATE POLICY vendor_chain ON audit_log FOR INSERT TO tenure_vendor
    WITH CHECK (tenant_id = '00000000-0000-0000-0000-000000000000');
GRANT INSERT ON audit_log TO tenure_vendor;

-- The end of each chain; locked while a link is added, so that links form one line.
CREATE TABLE audit_heads (
    tenant_id uuid PRIMARY KEY,
    seq bigint NOT NULL,
    hash bytea NOT NULL
);
SELECT isolate('audit_heads');
GRANT SELECT, INSERT, UPDATE ON audit_heads TO tenure_tenant;
CREATE POLICY vendor_head ON audit_heads FOR ALL TO tenure_vendor
    USING (tenant_id = '00000000-0000-0000-0000-000000000000')
    WITH CHECK (tenant_id = '00000000-0000-0000-0000-000000000000');
GRANT INSERT, UPDATE ON audit_heads TO tenure_vendor;

-- A reader keeps the snapshot of its last look and asks for what was not visible in it, because
-- sequence values do not follow commit order. Nobody is notified at commit: that takes a lock
-- that every writer of the server would wait for; readers poll (docs/adr/0004).
CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    tenant_id uuid,
    topic text NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX outbox_by_transaction ON outbox (xid);
ALTER TABLE outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE outbox FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON outbox FOR INSERT TO tenure_tenant
    WITH CHECK (tenant_id = (SELECT NULLIF(current_setting('app.current_tenant', true), '')::uuid));
CREATE POLICY vendor_relays ON outbox TO tenure_vendor USING (true) WITH CHECK (tenant_id IS NULL);
GRANT INSERT (tenant_id, topic, payload, created_at) ON outbox TO tenure_tenant, tenure_vendor;
GRANT SELECT, DELETE ON outbox TO tenure_vendor;

-- The answer given to a request that carried an Idempotency-Key, sealed, because answers
-- may show a secret once.
CREATE TABLE idempotency_keys (
    scope uuid NOT NULL,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 200),
    tenant_id uuid,
    request_digest bytea NOT NULL,
    status smallint NOT NULL,
    sealed_response bytea NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT idempotency_keys_unique PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
CREATE INDEX idempotency_keys_by_tenant ON idempotency_keys (tenant_id);
ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON idempotency_keys TO tenure_tenant
    USING (tenant_id = (SELECT NULLIF(current_setting('app.current_tenant', true), '')::uuid))
    WITH CHECK (tenant_id = (SELECT NULLIF(current_setting('app.current_tenant', true), '')::uuid));
CREATE POLICY vendor_reads ON idempotency_keys FOR SELECT TO tenure_vendor USING (true);
CREATE POLICY vendor_writes ON idempotency_keys FOR INSERT TO tenure_vendor WITH CHECK (tenant_id IS NULL);
CREATE POLICY vendor_expires ON idempotency_keys FOR DELETE TO tenure_vendor USING (true);
GRANT SELECT, INSERT, DELETE ON idempotency_keys TO tenure_tenant, tenure_vendor;
