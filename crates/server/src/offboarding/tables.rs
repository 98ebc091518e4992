//! Which tables an archive holds, in the order in which they can be written
//! (what is referred to comes first), and which of their columns cannot travel
//! as they are.
//!
//! A test compares this list with the database's catalog: a new table of
//! tenants is entered here, or the build is red.

/// A table of tenants.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Names the tenant.
    pub tenant_column: &'static str,
    /// The order of its rows in the archive.
    pub order: &'static str,
    /// Columns that need care; all others travel as they are.
    pub columns: &'static [(&'static str, Care)],
}

/// What a column needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// Sealed by the vault for a place: travels under the export key.
    Sealed(Sealed),
    /// A digest keyed by the installation: stays behind.
    Digest,
    /// Id of a product: another in each installation.
    Product,
    /// Id of a catalog version.
    CatalogVersion,
    /// Number of a meter.
    Meter,
    /// Bytes that mean the same everywhere: hashes, and what the tenant's key encrypts.
    Portable,
}

/// For which place a secret was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealed {
    /// The tenant's own key.
    TenantKey,
    /// A row of `sealed_secrets`: (owner, field, version) are its columns.
    Secret,
    /// The key string of a license.
    LicenseKey,
}

const fn plain(name: &'static str, order: &'static str) -> Table {
    Table { name, tenant_column: "tenant_id", order, columns: &[] }
}

const fn table(
    name: &'static str,
    order: &'static str,
    columns: &'static [(&'static str, Care)],
) -> Table {
    Table { name, tenant_column: "tenant_id", order, columns }
}

/// Everything that belongs to a tenant.
pub const TABLES: &[Table] = &[
    Table { name: "tenants", tenant_column: "id", order: "id", columns: &[] },
    plain("tenant_settings", "tenant_id"),
    table("tenant_keys", "tenant_id", &[("sealed", Care::Sealed(Sealed::TenantKey))]),
    plain("billing_accounts", "id"),
    plain("units", "id"),
    table(
        "subscriptions",
        "id",
        &[("product_id", Care::Product), ("catalog_version_id", Care::CatalogVersion)],
    ),
    table(
        "subscription_terms",
        "subscription_id, seq",
        &[("catalog_version_id", Care::CatalogVersion)],
    ),
    plain("subscription_items", "id"),
    plain("contracts", "id"),
    plain("deployments", "id"),
    table("sealed_secrets", "owner_id, field", &[("sealed", Care::Sealed(Sealed::Secret))]),
    table("api_keys", "id", &[("digest", Care::Digest)]),
    table(
        "licenses",
        "id",
        &[("key_digest", Care::Digest), ("sealed_key", Care::Sealed(Sealed::LicenseKey))],
    ),
    plain("license_revisions", "license_id, revision"),
    table(
        "instances",
        "id",
        &[
            ("public_key", Care::Portable),
            ("recent", Care::Portable),
            ("ledger_hash", Care::Portable),
        ],
    ),
    plain("license_high_water", "license_id, month, stat"),
    table("usage_reports", "id", &[("digest", Care::Portable), ("through_hash", Care::Portable)]),
    plain("license_requests", "instance_id, jti"),
    plain("usage_generations", "subscription_id"),
    plain("usage_sources", "source"),
    plain("usage_keys", "key"),
    table("usage_events", "occurred_at, key, meter_id", &[("meter_id", Care::Meter)]),
    table("usage_chunks", "received_at, id", &[("body", Care::Portable)]),
    plain("usage_voids", "key"),
    plain("usage_refused", "id"),
    plain("usage_refused_counts", "reason"),
    table(
        "usage_members",
        "subscription_id, meter_id, bucket, dimension, generation, member",
        &[("meter_id", Care::Meter)],
    ),
    table(
        "usage_rollups",
        "subscription_id, meter_id, bucket, dimension, generation",
        &[("meter_id", Care::Meter)],
    ),
    table("billing_periods", "subscription_id, n", &[("terms_digest", Care::Portable)]),
    // Invoices name seller and product version as they were where they were issued.
    plain("invoices", "id"),
    table("invoice_lines", "invoice_id, line", &[("digest", Care::Portable)]),
    plain("invoice_taxes", "invoice_id, n"),
    plain("credit_notes", "id"),
    plain("credit_entries", "billing_account_id, seq"),
    table("audit_log", "seq", &[("body", Care::Portable), ("hash", Care::Portable)]),
    table("audit_heads", "tenant_id", &[("hash", Care::Portable)]),
];

/// Tables that name a tenant and stay behind, each with the reason.
pub const LEFT_BEHIND: &[(&str, &str)] = &[
    ("outbox", "messages between the processes of one installation; they expire within days"),
    ("idempotency_keys", "answers to requests sent here; they may show secrets once"),
    ("portal_sessions", "browsers signed in here; they end within a day"),
];

/// What a deletion keeps, each with the reason. All other rows go.
pub const KEPT: &[(&str, &str)] = &[
    ("tenants", "an empty tombstone, so that the id is never given again"),
    ("audit_log", "the chain still verifies; its bodies cannot be read once the key is gone"),
    ("audit_heads", "the end of the chain"),
    ("invoices", "the seller's books: issued ones, with the payer's name and address; drafts go"),
    ("invoice_lines", "of issued invoices"),
    ("invoice_taxes", "of issued invoices"),
    ("credit_notes", "the seller's books"),
    ("credit_entries", "the seller's books: amounts and the numbers of invoices"),
    ("outbox", "tells other processes of the deletion; ids only, and expires within days"),
];

/// The table of that name.
pub fn find(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

impl Table {
    /// Its file in the archive.
    pub fn file(&self) -> String {
        format!("tables/{}.ndjson", self.name)
    }

    /// The columns that need `care`.
    pub fn needing(&self, care: impl Fn(Care) -> bool) -> impl Iterator<Item = &'static str> {
        self.columns.iter().filter(move |(_, needed)| care(*needed)).map(|(name, _)| *name)
    }
}
