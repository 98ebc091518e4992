//! SQL of tenants.

use jiff_sqlx::ToSqlx;
use serde_json::{Map, Value};
use tenure_core::{TenantId, TenantStatus};
use tenure_tenancy::{TenantTx, VendorTx};

use super::model::{Tenant, TenantFilter};
use crate::{
    http::{Cursor, Problem},
    unit::Unit,
};

struct Row {
    id: TenantId,
    name: String,
    slug: String,
    status: String,
    azure_tenant_id: Option<uuid::Uuid>,
    environment: Option<String>,
    region: Option<String>,
    time_zone: String,
    customer_class: Option<String>,
    billing_customer_id: Option<String>,
    contact_email: Option<String>,
    created_at: jiff_sqlx::Timestamp,
    updated_at: jiff_sqlx::Timestamp,
}

impl From<Row> for Tenant {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            name: row.name,
            slug: row.slug,
            status: row.status.parse().unwrap_or(TenantStatus::Suspended),
            azure_tenant_id: row.azure_tenant_id,
            environment: row.environment,
            region: row.region,
            time_zone: row.time_zone,
            customer_class: row.customer_class,
            billing_customer_id: row.billing_customer_id,
            contact_email: row.contact_email,
            created_at: row.created_at.to_jiff(),
            updated_at: row.updated_at.to_jiff(),
        }
    }
}

/// Named constraints that a caller can run into.
fn refused(error: sqlx::Error) -> Problem {
    let constraint = match &error {
        sqlx::Error::Database(database) => database.constraint(),
        _ => None,
    };
    match constraint {
        Some("tenants_slug_unique") => {
            Problem::conflict("slug-taken", "Another tenant has this slug; give another one.")
        }
        Some("tenants_azure_tenant_id_unique") => Problem::conflict(
            "azure-tenant-taken",
            "Another tenant is bound to this directory (azure_tenant_id).",
        ),
        _ => error.into(),
    }
}

/// The tenant, its settings and its key: one round trip.
pub(super) async fn insert(
    tx: &mut TenantTx,
    tenant: &Tenant,
    settings: Map<String, Value>,
    sealed_key: &[u8],
) -> Result<(), Problem> {
    sqlx::query!(
        "WITH tenant AS (
             INSERT INTO tenants (id, name, slug, status, azure_tenant_id, environment, region,
                 time_zone, customer_class, billing_customer_id, contact_email, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12) RETURNING id),
         setting AS (
             INSERT INTO tenant_settings (tenant_id, settings, updated_at)
             SELECT id, $13, $12 FROM tenant)
         INSERT INTO tenant_keys (tenant_id, sealed, created_at) SELECT id, $14, $12 FROM tenant",
        tenant.id.uuid(),
        tenant.name,
        tenant.slug,
        tenant.status.word(),
        tenant.azure_tenant_id,
        tenant.environment,
        tenant.region,
        tenant.time_zone,
        tenant.customer_class,
        tenant.billing_customer_id,
        tenant.contact_email,
        tenant.created_at.to_sqlx(),
        Value::Object(settings),
        sealed_key
    )
    .execute(&mut **tx)
    .await
    .map_err(refused)?;
    Ok(())
}

pub(super) async fn update(tx: &mut TenantTx, tenant: &Tenant) -> Result<(), Problem> {
    sqlx::query!(
        "UPDATE tenants SET name = $2, status = $3, azure_tenant_id = $4, time_zone = $5,
             customer_class = $6, billing_customer_id = $7, contact_email = $8, updated_at = $9
         WHERE id = $1",
        tenant.id.uuid(),
        tenant.name,
        tenant.status.word(),
        tenant.azure_tenant_id,
        tenant.time_zone,
        tenant.customer_class,
        tenant.billing_customer_id,
        tenant.contact_email,
        tenant.updated_at.to_sqlx()
    )
    .execute(&mut **tx)
    .await
    .map_err(refused)?;
    Ok(())
}

pub(crate) async fn read(tx: &mut TenantTx) -> Result<Option<Tenant>, Problem> {
    let id = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "SELECT id, name, slug, status, azure_tenant_id, environment, region, time_zone,
             customer_class, billing_customer_id, contact_email, created_at, updated_at
         FROM tenants WHERE id = $1",
        id
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(Tenant::from))
}

/// The tenant, and nobody else changes it until this unit of work ends.
pub(crate) async fn lock(tx: &mut TenantTx) -> Result<Option<Tenant>, Problem> {
    let id = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "SELECT id, name, slug, status, azure_tenant_id, environment, region, time_zone,
             customer_class, billing_customer_id, contact_email, created_at, updated_at
         FROM tenants WHERE id = $1 FOR UPDATE",
        id
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(Tenant::from))
}

pub(super) async fn by_id(tx: &mut VendorTx, id: TenantId) -> Result<Option<Tenant>, Problem> {
    let row = sqlx::query_as!(
        Row,
        "SELECT id, name, slug, status, azure_tenant_id, environment, region, time_zone,
             customer_class, billing_customer_id, contact_email, created_at, updated_at
         FROM tenants WHERE id = $1",
        id.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(Tenant::from))
}

pub(super) async fn by_slug(tx: &mut VendorTx, slug: &str) -> Result<Option<Tenant>, Problem> {
    let row = sqlx::query_as!(
        Row,
        "SELECT id, name, slug, status, azure_tenant_id, environment, region, time_zone,
             customer_class, billing_customer_id, contact_email, created_at, updated_at
         FROM tenants WHERE slug = $1",
        slug
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(Tenant::from))
}

pub(super) async fn slugs_like(tx: &mut VendorTx, base: &str) -> Result<Vec<String>, Problem> {
    let slugs = sqlx::query_scalar!(
        "SELECT slug FROM tenants WHERE slug = $1 OR slug LIKE $1 || '-%' LIMIT 10000",
        base
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(slugs)
}

pub(super) async fn list(
    tx: &mut VendorTx,
    filter: &TenantFilter,
    cursor: Cursor,
) -> Result<Vec<Tenant>, Problem> {
    let words = filter.q.as_deref().map(str::trim).filter(|q| !q.is_empty());
    let pattern = words.map(|q| format!("%{}%", escape_like(&q.to_lowercase())));
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, name, slug, status, azure_tenant_id, environment, region, time_zone,
             customer_class, billing_customer_id, contact_email, created_at, updated_at
         FROM tenants t
         WHERE ($1::uuid IS NULL OR id < $1)
           AND ($2::text IS NULL OR lower(name) LIKE $2 OR slug LIKE $2)
           AND (CASE WHEN $3::text IS NULL THEN status <> 'deleted' ELSE status = $3 END)
           AND (($4::text IS NULL AND $5::text IS NULL AND $6::text IS NULL) OR EXISTS (
                SELECT FROM subscriptions s JOIN products p ON p.id = s.product_id
                WHERE s.tenant_id = t.id AND s.status <> 'cancelled'
                  AND ($4::text IS NULL OR p.slug = $4)
                  AND ($5::text IS NULL OR s.plan = $5)
                  AND ($6::text IS NULL OR s.model = $6)))
         ORDER BY id DESC LIMIT $7",
        cursor.after,
        pattern,
        filter.status.map(TenantStatus::word),
        filter.product,
        filter.plan,
        filter.model,
        cursor.fetch()
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(Tenant::from).collect())
}

/// A search text that means itself, not a pattern.
fn escape_like(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

pub(super) async fn sealed_key(
    tx: &mut impl Unit,
    tenant: TenantId,
) -> Result<Option<Vec<u8>>, Problem> {
    let sealed =
        sqlx::query_scalar!("SELECT sealed FROM tenant_keys WHERE tenant_id = $1", tenant.uuid())
            .fetch_optional(&mut **tx)
            .await?;
    Ok(sealed)
}

pub(super) async fn settings(tx: &mut TenantTx) -> Result<Option<Value>, Problem> {
    let tenant = tx.tenant().uuid();
    let settings =
        sqlx::query_scalar!("SELECT settings FROM tenant_settings WHERE tenant_id = $1", tenant)
            .fetch_optional(&mut **tx)
            .await?;
    Ok(settings)
}

pub(super) async fn replace_settings(
    tx: &mut TenantTx,
    settings: &Value,
    now: jiff::Timestamp,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "INSERT INTO tenant_settings (tenant_id, settings, updated_at) VALUES ($1, $2, $3)
         ON CONFLICT (tenant_id) DO UPDATE SET settings = $2, updated_at = $3",
        tenant,
        settings,
        now.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
