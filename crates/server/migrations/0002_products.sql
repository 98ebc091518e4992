-- Who sells, what is sold, and every version of it.

CREATE TABLE sellers (
    id uuid PRIMARY KEY,
    slug text NOT NULL UNIQUE,
    name text NOT NULL,
    legal_name text NOT NULL,
    address jsonb NOT NULL DEFAULT '{}',
    tax_ids jsonb NOT NULL DEFAULT '{}',
    invoice_prefix text NOT NULL UNIQUE CHECK (invoice_prefix ~ '^[A-Z0-9]{1,10}$'),
    payment_account text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE products (
    id uuid PRIMARY KEY,
    slug text NOT NULL UNIQUE,
    name text NOT NULL,
    seller_id uuid NOT NULL REFERENCES sellers,
    api_key_prefix text NOT NULL UNIQUE,
    license_key_prefix text UNIQUE,
    created_at timestamptz NOT NULL
);

-- Immutable: no role may update or delete a row.
CREATE TABLE catalog_versions (
    id uuid PRIMARY KEY,
    product_id uuid NOT NULL REFERENCES products,
    version integer NOT NULL CHECK (version > 0),
    source text NOT NULL,
    definition jsonb NOT NULL,
    digest bytea NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    UNIQUE (product_id, version)
);

-- A meter keeps its definition for ever, even when a later version drops it: events and
-- invoices cite it by this number.
CREATE TABLE meters (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product_id uuid NOT NULL REFERENCES products,
    slug text NOT NULL,
    definition jsonb NOT NULL,
    UNIQUE (product_id, slug)
);

CREATE TABLE signing_keys (
    id uuid PRIMARY KEY,
    product_id uuid NOT NULL REFERENCES products,
    kid text NOT NULL UNIQUE,
    public_jwk jsonb NOT NULL,
    sealed_private bytea NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'retired')),
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX signing_keys_one_active ON signing_keys (product_id) WHERE status = 'active';

-- Counts customers of products that reward the first ones.
CREATE TABLE customer_numbers (
    product_id uuid PRIMARY KEY REFERENCES products,
    last integer NOT NULL CHECK (last > 0)
);
GRANT SELECT, INSERT, UPDATE ON customer_numbers TO tenure_tenant;

GRANT SELECT, INSERT, UPDATE ON sellers, products, signing_keys TO tenure_vendor;
GRANT SELECT, INSERT ON catalog_versions, meters TO tenure_vendor;
GRANT SELECT ON products, catalog_versions, meters TO tenure_tenant;
GRANT SELECT (id, product_id, kid, public_jwk, status) ON signing_keys TO tenure_tenant;
