-- What exists once per installation, and what the vendor's staff sign in with.
--
-- Conventions of every migration here:
-- * ids are UUIDv7, made by the server; time is timestamptz, passed in (never now());
-- * a table with a tenant_id has forced row-level security through isolate(), keys that
--   lead with tenant_id, and composite foreign keys (their checks look past row-level
--   security, so a bare id would reveal another tenant's row);
-- * grants name the least that a role needs.

CREATE TABLE installation (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    id uuid NOT NULL,
    -- A known text sealed by the master key: another key is noticed at start.
    key_check bytea NOT NULL,
    created_at timestamptz NOT NULL,
    -- Once a clock was moved this is a test database for ever.
    test_clock boolean NOT NULL DEFAULT false,
    clock_offset_ms bigint NOT NULL DEFAULT 0 CHECK (clock_offset_ms >= 0)
);
GRANT SELECT ON installation TO tenure_auth, tenure_tenant;
GRANT SELECT, INSERT, UPDATE ON installation TO tenure_vendor;

CREATE TABLE vendor_credentials (
    id uuid PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    role text NOT NULL CHECK (role IN ('admin', 'viewer')),
    digest bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);
GRANT SELECT (id, name, role, digest, revoked_at) ON vendor_credentials TO tenure_auth;
GRANT SELECT, INSERT, UPDATE ON vendor_credentials TO tenure_vendor;

CREATE TABLE vendor_sessions (
    digest bytea PRIMARY KEY,
    credential_id uuid NOT NULL REFERENCES vendor_credentials,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
GRANT SELECT ON vendor_sessions TO tenure_auth;
GRANT SELECT, INSERT, DELETE ON vendor_sessions TO tenure_vendor;

-- Forces isolation on a tenant's table: the tenant role sees and writes the rows of
-- app.current_tenant, the vendor role reads all, everybody else (the owner too) nothing.
-- The sub-select makes PostgreSQL evaluate the setting once a statement; after a commit
-- the setting reads '' rather than NULL, hence NULLIF.
CREATE FUNCTION isolate(target regclass, tenant_column name DEFAULT 'tenant_id') RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
    mine text := format(
        '%I = (SELECT NULLIF(current_setting(''app.current_tenant'', true), '''')::uuid)',
        tenant_column);
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format('CREATE POLICY tenant_isolation ON %s TO tenure_tenant USING (%s) WITH CHECK (%s)',
        target, mine, mine);
    EXECUTE format('CREATE POLICY vendor_reads ON %s FOR SELECT TO tenure_vendor USING (true)', target);
    EXECUTE format('GRANT SELECT ON %s TO tenure_vendor', target);
END $$;
REVOKE ALL ON FUNCTION isolate(regclass, name) FROM PUBLIC;
