-- Browsers in which customers signed in, with a license key or an API key.

CREATE TABLE portal_sessions (
    tenant_id uuid NOT NULL,
    -- Keyed digest of the cookie.
    digest bytea NOT NULL CHECK (length(digest) = 32),
    -- What it was opened with: one of both.
    license_id uuid,
    api_key_id uuid,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, digest),
    CHECK ((license_id IS NULL) <> (api_key_id IS NULL)),
    FOREIGN KEY (tenant_id, license_id) REFERENCES licenses (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, api_key_id) REFERENCES api_keys (tenant_id, id) ON DELETE CASCADE
);
SELECT isolate('portal_sessions');
GRANT SELECT, INSERT, DELETE ON portal_sessions TO tenure_tenant;
REVOKE SELECT ON portal_sessions FROM tenure_vendor;
-- A cookie names its session before the tenant is known.
CREATE INDEX portal_sessions_by_digest ON portal_sessions (digest);
GRANT SELECT ON portal_sessions TO tenure_auth;
CREATE POLICY auth_looks_up ON portal_sessions FOR SELECT TO tenure_auth USING (true);
