-- The registry of customers and what belongs to one as an organisation.

CREATE TABLE tenants (
    id uuid PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    slug text NOT NULL CONSTRAINT tenants_slug_unique UNIQUE,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'cancelled', 'deleted')),
    azure_tenant_id uuid CONSTRAINT tenants_azure_tenant_id_unique UNIQUE,
    environment text,
    region text,
    time_zone text NOT NULL DEFAULT 'UTC',
    customer_class text,
    billing_customer_id text,
    contact_email text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    -- What the deletion of this tenant found and did; the rest of the row is then empty.
    deletion jsonb CHECK (deletion IS NULL OR status = 'deleted')
);
SELECT isolate('tenants', 'id');
GRANT SELECT, INSERT, UPDATE ON tenants TO tenure_tenant;
CREATE INDEX tenants_name_search ON tenants (lower(name) text_pattern_ops);

CREATE TABLE tenant_settings (
    tenant_id uuid PRIMARY KEY REFERENCES tenants,
    settings jsonb NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL
);
SELECT isolate('tenant_settings');
GRANT SELECT, INSERT, UPDATE, DELETE ON tenant_settings TO tenure_tenant;

-- The key that personal data of this tenant is sealed under, itself sealed by the master
-- key. Destroying the row makes that data unreadable wherever copies of it are.
CREATE TABLE tenant_keys (
    tenant_id uuid PRIMARY KEY REFERENCES tenants,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL
);
SELECT isolate('tenant_keys');
GRANT SELECT, INSERT, DELETE ON tenant_keys TO tenure_tenant;

CREATE TABLE billing_accounts (
    tenant_id uuid NOT NULL REFERENCES tenants,
    id uuid NOT NULL,
    name text NOT NULL,
    email text,
    address jsonb NOT NULL DEFAULT '{}',
    tax_id text,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    net_days integer NOT NULL DEFAULT 30 CHECK (net_days BETWEEN 0 AND 180),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
SELECT isolate('billing_accounts');
GRANT SELECT, INSERT, UPDATE, DELETE ON billing_accounts TO tenure_tenant;

-- Business units and teams: a tree inside the tenant.
CREATE TABLE units (
    tenant_id uuid NOT NULL REFERENCES tenants,
    id uuid NOT NULL,
    parent_id uuid,
    kind text NOT NULL CHECK (kind IN ('business_unit', 'team')),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT units_parent FOREIGN KEY (tenant_id, parent_id) REFERENCES units (tenant_id, id)
        -- An import brings children before their parents.
        DEFERRABLE INITIALLY IMMEDIATE
);
CREATE UNIQUE INDEX units_name_unique ON units (tenant_id, parent_id, lower(name)) NULLS NOT DISTINCT;
SELECT isolate('units');
GRANT SELECT, INSERT, UPDATE, DELETE ON units TO tenure_tenant;
