-- Who holds a license where it runs, what they reported, and what was taken back.

-- A lineage goes on when its subscription moves to a model that the vendor operates.
ALTER TABLE licenses DROP CONSTRAINT licenses_model_check;
ALTER TABLE licenses ADD CONSTRAINT licenses_model_check
    CHECK (model IN ('managed', 'byoi', 'self_hosted', 'air_gapped'));
-- A license is found by its key before its tenant is known.
GRANT SELECT (tenant_id, id, subscription_id, key_digest, status, revision, model) ON licenses TO tenure_auth;
CREATE POLICY auth_looks_up ON licenses FOR SELECT TO tenure_auth USING (true);

-- A running process that holds a license. Heartbeats change only columns without an index,
-- so the row is updated in its page.
CREATE TABLE instances (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    license_id uuid NOT NULL,
    deployment_id uuid,
    -- Ed25519; NULL for a simple client without a key pair, which is known by `identity` instead.
    public_key bytea CHECK (length(public_key) = 32),
    identity text CHECK (length(identity) BETWEEN 1 AND 300),
    name text NOT NULL DEFAULT '' CHECK (length(name) <= 200),
    k8s_cluster_uid text CHECK (length(k8s_cluster_uid) <= 100),
    version text CHECK (length(version) <= 100),
    status text NOT NULL CHECK (status IN ('active', 'quarantined', 'released')),
    -- Whether it holds a file rather than leases.
    offline boolean NOT NULL DEFAULT false,
    -- The number of its last call, and the digests of the last eight, 32 bytes each.
    seq bigint NOT NULL DEFAULT 0 CHECK (seq >= 0),
    recent bytea NOT NULL DEFAULT '' CHECK (length(recent) % 32 = 0 AND length(recent) <= 256),
    stats jsonb NOT NULL DEFAULT '{}',
    -- When they last became others.
    stats_at timestamptz,
    -- The lease or file in its hands, and the number of the call that it answered: asked
    -- again with that call, it is given again.
    lease text,
    lease_seq bigint,
    -- Its end: the slot is held until then.
    held_until timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    -- The end of its usage ledger, as far as it was counted.
    ledger_seq bigint NOT NULL DEFAULT 0 CHECK (ledger_seq >= 0),
    ledger_hash bytea CHECK (length(ledger_hash) = 32),
    created_at timestamptz NOT NULL,
    quarantined_at timestamptz,
    released_at timestamptz,
    -- Given back with its own signature: the slot is free, the token about until its end.
    returned boolean NOT NULL DEFAULT false,
    -- Freed by staff before its end: counts neither as held nor as handed over.
    forced boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, id),
    CHECK ((public_key IS NULL) <> (identity IS NULL)),
    FOREIGN KEY (tenant_id, license_id) REFERENCES licenses (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, deployment_id) REFERENCES deployments (tenant_id, id)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX instances_key_unique ON instances (tenant_id, license_id, public_key)
    WHERE public_key IS NOT NULL;
CREATE UNIQUE INDEX instances_identity_unique ON instances (tenant_id, license_id, identity)
    WHERE identity IS NOT NULL;
SELECT isolate('instances');
GRANT SELECT, INSERT, UPDATE, DELETE ON instances TO tenure_tenant;
REVOKE SELECT ON instances FROM tenure_vendor;
GRANT SELECT (tenant_id, id, license_id, deployment_id, public_key, identity, name, k8s_cluster_uid,
    version, status, offline, seq, stats, stats_at, held_until, last_seen_at, ledger_seq, ledger_hash,
    created_at, quarantined_at, released_at, returned, forced) ON instances TO tenure_vendor;
-- What staff has to look at; heartbeats change none of its columns.
CREATE INDEX instances_quarantined ON instances (id) WHERE status = 'quarantined';
-- An instance names its own id, before its tenant is known.
CREATE UNIQUE INDEX instances_by_id ON instances (id);
GRANT SELECT (tenant_id, id, license_id, public_key, identity) ON instances TO tenure_auth;
CREATE POLICY auth_looks_up ON instances FOR SELECT TO tenure_auth USING (true);

-- The most of each statistic that a license reported at once in a UTC month.
CREATE TABLE license_high_water (
    tenant_id uuid NOT NULL,
    license_id uuid NOT NULL,
    stat text NOT NULL CHECK (length(stat) BETWEEN 1 AND 100),
    month date NOT NULL,
    value numeric(21, 6) NOT NULL,
    reached_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, license_id, stat, month),
    FOREIGN KEY (tenant_id, license_id) REFERENCES licenses (tenant_id, id) ON DELETE CASCADE
);
SELECT isolate('license_high_water');
GRANT SELECT, INSERT, UPDATE, DELETE ON license_high_water TO tenure_tenant;

-- Usage reports that were imported; the same report again finds its row here.
CREATE TABLE usage_reports (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    license_id uuid NOT NULL,
    instance_id uuid NOT NULL,
    -- SHA-256 of the report.
    digest bytea NOT NULL CHECK (length(digest) = 32),
    origin text NOT NULL CHECK (origin IN ('online', 'file')),
    after_seq bigint NOT NULL,
    through_seq bigint NOT NULL,
    through_hash bytea NOT NULL CHECK (length(through_hash) = 32),
    accepted bigint NOT NULL,
    duplicates bigint NOT NULL,
    rejected bigint NOT NULL,
    -- Events that could not be counted, with their reasons; the first of them.
    findings jsonb NOT NULL DEFAULT '[]',
    receipt text NOT NULL,
    imported_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT usage_reports_digest_unique UNIQUE (tenant_id, digest),
    FOREIGN KEY (tenant_id, license_id) REFERENCES licenses (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, instance_id) REFERENCES instances (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX usage_reports_by_license ON usage_reports (tenant_id, license_id, id);
SELECT isolate('usage_reports');
GRANT SELECT, INSERT, DELETE ON usage_reports TO tenure_tenant;

-- Request files that were answered; the same request again gets the same file.
CREATE TABLE license_requests (
    tenant_id uuid NOT NULL,
    instance_id uuid NOT NULL,
    jti text NOT NULL CHECK (length(jti) BETWEEN 1 AND 100),
    license_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('activation', 'renewal')),
    token text NOT NULL,
    answered_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, instance_id, jti),
    FOREIGN KEY (tenant_id, license_id) REFERENCES licenses (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, instance_id) REFERENCES instances (tenant_id, id) ON DELETE CASCADE
);
SELECT isolate('license_requests');
GRANT SELECT, INSERT, DELETE ON license_requests TO tenure_tenant;
REVOKE SELECT ON license_requests FROM tenure_vendor;
GRANT SELECT (tenant_id, instance_id, jti, license_id, kind, answered_at) ON license_requests TO tenure_vendor;

-- What was taken back, for the signed lists. It outlives the tenant: a deleted customer's
-- files stay revoked. It holds no personal data.
CREATE TABLE license_withdrawals (
    product_id uuid NOT NULL REFERENCES products,
    license_id uuid NOT NULL,
    -- Only revisions lower than this; 0: the whole license.
    below_revision integer NOT NULL DEFAULT 0 CHECK (below_revision >= 0),
    withdrawn_at timestamptz NOT NULL,
    -- Past this moment nothing of it can be valid any more, and it leaves the list.
    forget_after timestamptz NOT NULL
);
CREATE INDEX license_withdrawals_by_product ON license_withdrawals (product_id, forget_after);
GRANT INSERT ON license_withdrawals TO tenure_tenant;
GRANT SELECT, DELETE ON license_withdrawals TO tenure_vendor;

-- The newest signed list of each product.
CREATE TABLE revocation_lists (
    product_id uuid PRIMARY KEY REFERENCES products,
    epoch bigint NOT NULL CHECK (epoch > 0),
    -- SHA-256 over what it says, to notice that nothing changed.
    content bytea NOT NULL,
    token text NOT NULL,
    signed_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON revocation_lists TO tenure_vendor;
