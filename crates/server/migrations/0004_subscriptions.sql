-- What a tenant bought, where it runs, and the keys that act for it.

CREATE TABLE subscriptions (
    tenant_id uuid NOT NULL REFERENCES tenants,
    id uuid NOT NULL,
    product_id uuid NOT NULL REFERENCES products,
    -- The version whose commercial terms (charges, limits, discounts) are pinned.
    catalog_version_id uuid NOT NULL REFERENCES catalog_versions,
    plan text NOT NULL,
    model text NOT NULL CHECK (model IN ('managed', 'byoi', 'self_hosted', 'air_gapped')),
    mode text,
    status text NOT NULL CHECK (status IN ('trial', 'active', 'past_due', 'suspended', 'cancelled')),
    billing_account_id uuid NOT NULL,
    -- Period n is computed from this moment, in the tenant's time zone.
    anchor timestamptz NOT NULL,
    interval text NOT NULL CHECK (interval IN ('month', 'year')),
    term_years integer NOT NULL DEFAULT 1 CHECK (term_years BETWEEN 1 AND 10),
    prepaid boolean NOT NULL DEFAULT false,
    -- Limits where the customer asked to be blocked rather than charged.
    hard_stops text[] NOT NULL DEFAULT '{}',
    -- The n-th customer of the product: early adopters have a discount.
    customer_number integer CHECK (customer_number > 0),
    trial_ends_at timestamptz,
    cancelled_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, billing_account_id) REFERENCES billing_accounts (tenant_id, id)
);
CREATE INDEX subscriptions_by_product ON subscriptions (product_id, status);
SELECT isolate('subscriptions');
GRANT SELECT, INSERT, UPDATE, DELETE ON subscriptions TO tenure_tenant;

CREATE TABLE subscription_items (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    charge text NOT NULL,
    quantity numeric(21, 6) NOT NULL CHECK (quantity >= 0),
    valid_from timestamptz NOT NULL,
    valid_to timestamptz CHECK (valid_to > valid_from),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, subscription_id) REFERENCES subscriptions (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX subscription_items_by_subscription ON subscription_items (tenant_id, subscription_id, charge);
SELECT isolate('subscription_items');
GRANT SELECT, INSERT, UPDATE, DELETE ON subscription_items TO tenure_tenant;

CREATE TABLE contracts (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    terms jsonb NOT NULL,
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 2000),
    approver text NOT NULL CHECK (length(approver) BETWEEN 1 AND 200),
    valid_from timestamptz NOT NULL,
    valid_to timestamptz CHECK (valid_to > valid_from),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, subscription_id) REFERENCES subscriptions (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX contracts_by_subscription ON contracts (tenant_id, subscription_id, valid_from);
SELECT isolate('contracts');
GRANT SELECT, INSERT, UPDATE, DELETE ON contracts TO tenure_tenant;

CREATE TABLE deployments (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    model text NOT NULL CHECK (model IN ('managed', 'byoi', 'self_hosted', 'air_gapped')),
    mode text,
    environment text NOT NULL CHECK (environment IN ('live', 'test')),
    region text,
    release text,
    status text NOT NULL CHECK (status IN ('pending', 'ready', 'retired')),
    -- What BYOI says of the customer's resources; secrets are in sealed_secrets.
    resource_profile jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, subscription_id) REFERENCES subscriptions (tenant_id, id) ON DELETE CASCADE
);
-- A retired deployment gives its name back.
CREATE UNIQUE INDEX deployments_name_unique ON deployments (tenant_id, subscription_id, lower(name))
    WHERE status <> 'retired';
SELECT isolate('deployments');
GRANT SELECT, INSERT, UPDATE, DELETE ON deployments TO tenure_tenant;

-- Secrets of a tenant. The row's identity is bound into the ciphertext, so one that is
-- copied to another row, field or tenant does not open.
CREATE TABLE sealed_secrets (
    tenant_id uuid NOT NULL REFERENCES tenants,
    owner_id uuid NOT NULL,
    field text NOT NULL CHECK (length(field) BETWEEN 1 AND 200),
    version integer NOT NULL CHECK (version > 0),
    -- NULL once cleared. The row stays, so that versions never repeat.
    sealed bytea,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, owner_id, field)
);
SELECT isolate('sealed_secrets');
GRANT SELECT, INSERT, UPDATE, DELETE ON sealed_secrets TO tenure_tenant;
REVOKE SELECT ON sealed_secrets FROM tenure_vendor;
GRANT SELECT (tenant_id, owner_id, field, version, created_at) ON sealed_secrets TO tenure_vendor;

CREATE TABLE api_keys (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    environment text NOT NULL CHECK (environment IN ('live', 'test')),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    -- What may be shown: everything before the secret, which is only kept as an HMAC.
    hint text NOT NULL,
    digest bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    replaced_by uuid,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, subscription_id) REFERENCES subscriptions (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX api_keys_by_subscription ON api_keys (tenant_id, subscription_id);
SELECT isolate('api_keys');
GRANT SELECT, INSERT, UPDATE, DELETE ON api_keys TO tenure_tenant;
-- A key names its own id, before its tenant is known.
CREATE UNIQUE INDEX api_keys_by_id ON api_keys (id);
GRANT SELECT (tenant_id, id, subscription_id, environment, digest, expires_at, revoked_at)
    ON api_keys TO tenure_auth;
CREATE POLICY auth_looks_up ON api_keys FOR SELECT TO tenure_auth USING (true);

CREATE TABLE licenses (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    -- Without one it covers every deployment of the subscription in its model.
    deployment_id uuid,
    model text NOT NULL CHECK (model IN ('self_hosted', 'air_gapped')),
    -- An HMAC of the license key's canonical text; the key itself is sealed, because a
    -- customer may ask for it again.
    key_digest bytea NOT NULL CONSTRAINT licenses_key_digest_unique UNIQUE,
    key_hint text NOT NULL,
    sealed_key bytea NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'revoked')),
    revision integer NOT NULL CHECK (revision > 0),
    created_at timestamptz NOT NULL,
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, subscription_id) REFERENCES subscriptions (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, deployment_id) REFERENCES deployments (tenant_id, id)
);
CREATE INDEX licenses_by_subscription ON licenses (tenant_id, subscription_id);
SELECT isolate('licenses');
GRANT SELECT, INSERT, UPDATE, DELETE ON licenses TO tenure_tenant;
REVOKE SELECT ON licenses FROM tenure_vendor;
GRANT SELECT (tenant_id, id, subscription_id, deployment_id, model, key_hint, status, revision,
    created_at, revoked_at) ON licenses TO tenure_vendor;

CREATE TABLE license_revisions (
    tenant_id uuid NOT NULL,
    license_id uuid NOT NULL,
    revision integer NOT NULL CHECK (revision > 0),
    kid text NOT NULL,
    claims jsonb NOT NULL,
    token text NOT NULL,
    issued_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, license_id, revision),
    FOREIGN KEY (tenant_id, license_id) REFERENCES licenses (tenant_id, id) ON DELETE CASCADE
);
SELECT isolate('license_revisions');
GRANT SELECT, INSERT, DELETE ON license_revisions TO tenure_tenant;
-- A token is worth as much as the license key.
REVOKE SELECT ON license_revisions FROM tenure_vendor;
GRANT SELECT (tenant_id, license_id, revision, kid, claims, issued_at, expires_at)
    ON license_revisions TO tenure_vendor;
