//! SQL of export, import and deletion.
//!
//! Whole tables are read and written by name. Names come from the constant list
//! in [`super::tables`] and from the database's catalog, never from a request;
//! only here is SQL put together at run time.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Row as _};
use tenure_core::{ApiKeyId, CatalogVersionId, ProductId, TenantId};
use tenure_tenancy::{TenantTx, VendorTx};
use uuid::Uuid;

use super::{
    BATCH_ROWS,
    archive::{MeterRef, ProductRef, VersionRef, refused},
    tables::Table,
};
use crate::http::Problem;

/// Settles one deletion's note at a time.
const NOTE_LOCK: i64 = 7_305;

async fn run(tx: &mut TenantTx, sql: String) -> Result<u64, sqlx::Error> {
    #[allow(clippy::disallowed_methods, reason = "table names cannot be parameters")]
    let query = sqlx::raw_sql(AssertSqlSafe(sql));
    Ok(query.execute(&mut **tx).await?.rows_affected())
}

/// Begins reading the tenant's rows of a table.
pub(super) async fn open(tx: &mut TenantTx, table: &Table) -> Result<(), Problem> {
    let (name, column, order) = (table.name, table.tenant_column, table.order);
    let tenant = tx.tenant().uuid();
    let sql = format!(
        "DECLARE departing NO SCROLL CURSOR FOR SELECT to_jsonb(t)::text FROM {name} t \
         WHERE t.{column} = '{tenant}' ORDER BY {order}"
    );
    run(tx, sql).await?;
    Ok(())
}

/// The next rows; none at the end.
pub(super) async fn fetch(tx: &mut TenantTx) -> Result<Vec<String>, Problem> {
    #[allow(clippy::disallowed_methods, reason = "FETCH takes no parameters")]
    let query = sqlx::raw_sql(AssertSqlSafe(format!("FETCH {BATCH_ROWS} FROM departing")));
    let rows = query.fetch_all(&mut **tx).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

pub(super) async fn close(tx: &mut TenantTx) -> Result<(), Problem> {
    run(tx, "CLOSE departing".to_owned()).await?;
    Ok(())
}

pub(super) async fn installation(tx: &mut TenantTx) -> Result<Uuid, Problem> {
    Ok(sqlx::query_scalar!("SELECT id FROM installation").fetch_one(&mut **tx).await?)
}

/// The products that the tenant's rows refer to.
pub(super) async fn products(tx: &mut TenantTx) -> Result<Vec<ProductRef>, Problem> {
    let tenant = tx.tenant().uuid();
    let versions = sqlx::query!(
        "SELECT DISTINCT p.id AS product, p.slug, v.id, v.version, v.digest
         FROM subscriptions s JOIN catalog_versions v ON v.id = s.catalog_version_id
         JOIN products p ON p.id = v.product_id WHERE s.tenant_id = $1 ORDER BY p.id, v.version",
        tenant
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut products: Vec<ProductRef> = Vec::new();
    for row in versions {
        if products.last().is_none_or(|last| last.id != row.product.uuid()) {
            let meters = meters(tx, row.product.uuid()).await?;
            let versions = Vec::new();
            products.push(ProductRef { id: row.product.uuid(), slug: row.slug, versions, meters });
        }
        let version =
            VersionRef { id: row.id.uuid(), version: row.version, sha256: hex::encode(row.digest) };
        if let Some(last) = products.last_mut() {
            last.versions.push(version);
        }
    }
    Ok(products)
}

pub(super) async fn meters(tx: &mut TenantTx, product: Uuid) -> Result<Vec<MeterRef>, Problem> {
    let meters = sqlx::query_as!(
        MeterRef,
        "SELECT id, slug FROM meters WHERE product_id = $1 ORDER BY id",
        product
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(meters)
}

pub(super) async fn product_by_slug(
    tx: &mut TenantTx,
    slug: &str,
) -> Result<Option<Uuid>, Problem> {
    let id = sqlx::query_scalar!("SELECT id FROM products WHERE slug = $1", slug)
        .fetch_optional(&mut **tx)
        .await?;
    Ok(id.map(ProductId::uuid))
}

pub(super) async fn version_by_digest(
    tx: &mut TenantTx,
    product: Uuid,
    digest: &[u8],
) -> Result<Option<Uuid>, Problem> {
    let id = sqlx::query_scalar!(
        "SELECT id FROM catalog_versions WHERE product_id = $1 AND digest = $2
         ORDER BY version DESC LIMIT 1",
        product,
        digest
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(id.map(CatalogVersionId::uuid))
}

/// Whether the id is in use, by a tombstone too.
pub(super) async fn exists(tx: &mut TenantTx) -> Result<bool, Problem> {
    let tenant = tx.tenant().uuid();
    let exists = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM tenants WHERE id = $1) AS "exists!""#,
        tenant
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(exists)
}

/// Units come in any order; their tree is checked by [`constraints_hold`].
pub(super) async fn defer_constraints(tx: &mut TenantTx) -> Result<(), Problem> {
    run(tx, "SET CONSTRAINTS ALL DEFERRED".to_owned()).await?;
    Ok(())
}

pub(super) async fn constraints_hold(tx: &mut TenantTx) -> Result<(), Problem> {
    run(tx, "SET CONSTRAINTS ALL IMMEDIATE".to_owned())
        .await
        .map_err(|error| unfit("units", error))?;
    Ok(())
}

/// The columns that can be written.
pub(super) async fn columns(tx: &mut TenantTx, table: &Table) -> Result<String, Problem> {
    let names = sqlx::query_scalar!(
        r#"SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS "names!"
           FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0
             AND NOT attisdropped AND attgenerated = ''"#,
        table.name
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(names)
}

/// Writes rows. Row-level security refuses those of another tenant.
pub(super) async fn insert(
    tx: &mut TenantTx,
    table: &Table,
    columns: &str,
    rows: &[String],
) -> Result<(), Problem> {
    let name = table.name;
    let sql = format!(
        "INSERT INTO {name} ({columns}) \
         SELECT {columns} FROM jsonb_populate_recordset(NULL::{name}, $1::text::jsonb)"
    );
    let array = format!("[{}]", rows.join(","));
    #[allow(clippy::disallowed_methods, reason = "table names cannot be parameters")]
    let query = sqlx::query(AssertSqlSafe(sql)).bind(array);
    query.execute(&mut **tx).await.map_err(|error| unfit(name, error))?;
    Ok(())
}

/// Rows that the schema refuses are the archive's fault, not the server's.
fn unfit(table: &str, error: sqlx::Error) -> Problem {
    let code = match &error {
        sqlx::Error::Database(database) => database.code().unwrap_or_default().into_owned(),
        _ => return error.into(),
    };
    let constraint = error.as_database_error().and_then(|database| database.constraint());
    match (code.as_str(), constraint) {
        ("23505", Some("tenants_slug_unique")) => Problem::conflict(
            "slug-taken",
            "Another tenant took the slug meanwhile; send the archive again.",
        ),
        ("23505", Some("tenants_azure_tenant_id_unique")) => Problem::conflict(
            "azure-tenant-taken",
            "Another tenant here is bound to the same directory (azure_tenant_id). Unbind it first.",
        ),
        ("23505", _) => Problem::conflict(
            "id-taken",
            format!("A row of {table} has an id that is in use here."),
        ),
        _ if code.starts_with("22") || code.starts_with("23") || code == "42501" => {
            tracing::debug!(%error, table, "an archive's row was refused");
            refused(format!("A row of {table} does not fit the schema, or is another tenant's."))
        }
        _ => error.into(),
    }
}

pub(super) async fn replace_key(
    tx: &mut TenantTx,
    old: Uuid,
    new: ApiKeyId,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE api_keys SET replaced_by = $3 WHERE tenant_id = $1 AND id = $2",
        tenant,
        old,
        new.uuid()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Deletes the tenant's rows of a table. Returns how many.
pub(super) async fn erase(
    tx: &mut TenantTx,
    table: &str,
    tenant_column: &str,
) -> Result<u64, Problem> {
    let tenant = tx.tenant().uuid();
    Ok(run(tx, format!("DELETE FROM {table} WHERE {tenant_column} = '{tenant}'")).await?)
}

pub(super) async fn chain_head(tx: &mut TenantTx) -> Result<Option<(i64, Vec<u8>)>, Problem> {
    let tenant = tx.tenant().uuid();
    let head = sqlx::query!("SELECT seq, hash FROM audit_heads WHERE tenant_id = $1", tenant)
        .fetch_optional(&mut **tx)
        .await?;
    Ok(head.map(|head| (head.seq, head.hash)))
}

/// Leaves nothing of a tenant's row but that there was one.
pub(super) async fn entomb(
    tx: &mut TenantTx,
    report: &Value,
    now: Timestamp,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE tenants SET name = 'deleted', slug = 'deleted-' || id::text, status = 'deleted',
             azure_tenant_id = NULL, environment = NULL, region = NULL, time_zone = 'UTC',
             customer_class = NULL, billing_customer_id = NULL, contact_email = NULL,
             updated_at = $2, deletion = $3
         WHERE id = $1",
        tenant,
        now.to_sqlx(),
        report
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Deletions that the vendor's trail does not tell of yet.
pub(super) async fn unnoted(
    tx: &mut VendorTx,
    action: &str,
    limit: i64,
) -> Result<Vec<(TenantId, Value)>, Problem> {
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", NOTE_LOCK).fetch_one(&mut **tx).await?;
    let rows = sqlx::query!(
        r#"SELECT t.id, t.deletion AS "deletion!" FROM tenants t
           WHERE t.status = 'deleted' AND t.deletion IS NOT NULL AND NOT EXISTS (
               SELECT FROM audit_log a
               WHERE a.tenant_id = '00000000-0000-0000-0000-000000000000'
                 AND a.action = $1 AND a.target = t.deletion ->> 'tenant')
           ORDER BY t.id LIMIT $2"#,
        action,
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.deletion)).collect())
}
