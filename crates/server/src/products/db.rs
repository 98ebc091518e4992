//! SQL of products.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use serde_json::Value;
use tenure_catalog::Product;
use tenure_core::{CatalogVersionId, ProductId, SellerId};
use tenure_tenancy::VendorTx;

use super::model::{Catalog, ProductSummary, VersionSummary};
use crate::http::Problem;

pub(super) struct VersionRow {
    pub(super) id: CatalogVersionId,
    pub(super) product_id: ProductId,
    pub(super) seller_id: SellerId,
    pub(super) version: i32,
    pub(super) definition: Value,
    pub(super) created_at: jiff_sqlx::Timestamp,
}

pub(super) struct MeterRow {
    pub(super) id: i32,
    pub(super) slug: String,
    pub(super) definition: Value,
}

impl VersionRow {
    pub(super) fn product(&self) -> Result<Product, Problem> {
        serde_json::from_value(self.definition.clone()).map_err(Problem::internal)
    }

    pub(super) fn catalog(self, meters: Vec<MeterRow>) -> Result<Catalog, Problem> {
        let product = serde_json::from_value(self.definition).map_err(Problem::internal)?;
        let plain = Catalog {
            version_id: self.id,
            product_id: self.product_id,
            seller_id: self.seller_id,
            version: self.version,
            created_at: self.created_at.to_jiff(),
            product,
            meters: meters.into_iter().map(|m| (m.slug, m.id)).collect::<HashMap<_, _>>(),
            others: Vec::new(),
        };
        Ok(plain.with(plain.product.clone()))
    }
}

/// Loading is rare: one at a time keeps version numbers and prefixes simple.
pub(super) async fn lock_loading(tx: &mut VendorTx) -> Result<(), Problem> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('tenure product load'))")
        .execute(&mut **tx)
        .await?;
    Ok(())
}

pub(super) async fn count(tx: &mut VendorTx) -> Result<i64, Problem> {
    let count = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM products"#)
        .fetch_one(&mut **tx)
        .await?;
    Ok(count)
}

fn refused(error: sqlx::Error) -> Problem {
    let constraint = match &error {
        sqlx::Error::Database(database) => database.constraint(),
        _ => None,
    };
    match constraint {
        Some("products_api_key_prefix_key") => Problem::conflict(
            "prefix-taken",
            "Another product has this api_key_prefix; keys must tell products apart.",
        ),
        Some("products_license_key_prefix_key") => Problem::conflict(
            "prefix-taken",
            "Another product has this license_key_prefix; keys must tell products apart.",
        ),
        _ => error.into(),
    }
}

pub(super) async fn insert_product(
    tx: &mut VendorTx,
    id: ProductId,
    product: &Product,
    seller: SellerId,
    now: Timestamp,
) -> Result<(), Problem> {
    sqlx::query!(
        "INSERT INTO products (id, slug, name, seller_id, api_key_prefix, license_key_prefix, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        id.uuid(),
        product.id,
        product.name,
        seller.uuid(),
        product.api_key_prefix,
        product.license_key_prefix,
        now.to_sqlx()
    )
    .execute(&mut **tx)
    .await
    .map_err(refused)?;
    Ok(())
}

pub(super) async fn update_product(
    tx: &mut VendorTx,
    id: ProductId,
    product: &Product,
) -> Result<(), Problem> {
    sqlx::query!(
        "UPDATE products SET name = $2, api_key_prefix = $3, license_key_prefix = $4 WHERE id = $1",
        id.uuid(),
        product.name,
        product.api_key_prefix,
        product.license_key_prefix
    )
    .execute(&mut **tx)
    .await
    .map_err(refused)?;
    Ok(())
}

pub(super) struct NewVersion<'a> {
    pub(super) id: CatalogVersionId,
    pub(super) product_id: ProductId,
    pub(super) version: i32,
    pub(super) source: &'a str,
    pub(super) definition: &'a Value,
    pub(super) digest: &'a [u8],
    pub(super) created_by: &'a str,
}

pub(super) async fn insert_version(
    tx: &mut VendorTx,
    row: NewVersion<'_>,
    now: Timestamp,
) -> Result<(), Problem> {
    sqlx::query!(
        "INSERT INTO catalog_versions
             (id, product_id, version, source, definition, digest, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        row.id.uuid(),
        row.product_id.uuid(),
        row.version,
        row.source,
        row.definition,
        row.digest,
        now.to_sqlx(),
        row.created_by
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn insert_meter_if_new(
    tx: &mut VendorTx,
    product: ProductId,
    slug: &str,
    definition: &Value,
) -> Result<(), Problem> {
    sqlx::query!(
        "INSERT INTO meters (product_id, slug, definition) VALUES ($1, $2, $3)
         ON CONFLICT (product_id, slug) DO NOTHING",
        product.uuid(),
        slug,
        definition
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn meters(
    tx: &mut VendorTx,
    product: ProductId,
) -> Result<Vec<MeterRow>, Problem> {
    let rows = sqlx::query_as!(
        MeterRow,
        "SELECT id, slug, definition FROM meters WHERE product_id = $1",
        product.uuid()
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}

pub(super) async fn latest_by_slug(
    tx: &mut VendorTx,
    slug: &str,
) -> Result<Option<VersionRow>, Problem> {
    let row = sqlx::query_as!(
        VersionRow,
        "SELECT v.id, v.product_id, p.seller_id, v.version, v.definition, v.created_at
         FROM catalog_versions v JOIN products p ON p.id = v.product_id
         WHERE p.slug = $1 ORDER BY v.version DESC LIMIT 1",
        slug
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row)
}

pub(super) async fn latest_by_id(
    tx: &mut VendorTx,
    id: ProductId,
) -> Result<Option<VersionRow>, Problem> {
    let row = sqlx::query_as!(
        VersionRow,
        "SELECT v.id, v.product_id, p.seller_id, v.version, v.definition, v.created_at
         FROM catalog_versions v JOIN products p ON p.id = v.product_id
         WHERE p.id = $1 ORDER BY v.version DESC LIMIT 1",
        id.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row)
}

pub(super) async fn version(
    tx: &mut VendorTx,
    id: CatalogVersionId,
) -> Result<Option<VersionRow>, Problem> {
    let row = sqlx::query_as!(
        VersionRow,
        "SELECT v.id, v.product_id, p.seller_id, v.version, v.definition, v.created_at
         FROM catalog_versions v JOIN products p ON p.id = v.product_id WHERE v.id = $1",
        id.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row)
}

pub(super) async fn source(
    tx: &mut VendorTx,
    slug: &str,
    version: i32,
) -> Result<Option<String>, Problem> {
    let source = sqlx::query_scalar!(
        "SELECT v.source FROM catalog_versions v JOIN products p ON p.id = v.product_id
         WHERE p.slug = $1 AND v.version = $2",
        slug,
        version
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(source)
}

pub(super) async fn list(tx: &mut VendorTx, limit: i64) -> Result<Vec<ProductSummary>, Problem> {
    let rows = sqlx::query_as!(
        ProductSummary,
        r#"SELECT p.id, p.slug, p.name, p.seller_id,
               (SELECT max(version) FROM catalog_versions v WHERE v.product_id = p.id) AS "version!",
               (SELECT count(*) FROM subscriptions s
                WHERE s.product_id = p.id AND s.status <> 'cancelled') AS "subscriptions!"
           FROM products p ORDER BY p.name LIMIT $1"#,
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}

pub(super) async fn versions(
    tx: &mut VendorTx,
    product: ProductId,
    limit: i64,
) -> Result<Vec<VersionSummary>, Problem> {
    let rows = sqlx::query!(
        r#"SELECT id, version, digest, created_at, created_by,
               (SELECT count(*) FROM subscriptions s
                WHERE s.catalog_version_id = v.id AND s.status <> 'cancelled') AS "subscriptions!"
           FROM catalog_versions v WHERE product_id = $1 ORDER BY version DESC LIMIT $2"#,
        product.uuid(),
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| VersionSummary {
            id: row.id,
            version: row.version,
            digest: hex::encode(row.digest),
            created_at: row.created_at.to_jiff(),
            created_by: row.created_by,
            subscriptions: row.subscriptions,
        })
        .collect())
}

pub(super) struct SellerRow {
    pub(super) id: SellerId,
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) legal_name: String,
    pub(super) address: Value,
    pub(super) tax_ids: Value,
    pub(super) invoice_prefix: String,
    pub(super) payment_account: Option<String>,
    pub(super) created_at: jiff_sqlx::Timestamp,
    pub(super) updated_at: jiff_sqlx::Timestamp,
}

pub(super) async fn sellers(tx: &mut VendorTx, limit: i64) -> Result<Vec<SellerRow>, Problem> {
    let rows = sqlx::query_as!(
        SellerRow,
        "SELECT id, slug, name, legal_name, address, tax_ids, invoice_prefix, payment_account,
             created_at, updated_at FROM sellers ORDER BY id LIMIT $1",
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}

pub(super) async fn upsert_seller(
    tx: &mut VendorTx,
    seller: &super::sellers::Seller,
) -> Result<(), Problem> {
    sqlx::query!(
        "INSERT INTO sellers (id, slug, name, legal_name, address, tax_ids, invoice_prefix,
             payment_account, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (id) DO UPDATE SET name = $3, legal_name = $4, address = $5, tax_ids = $6,
             payment_account = $8, updated_at = $10",
        seller.id.uuid(),
        seller.slug,
        seller.name,
        seller.legal_name,
        seller.address,
        seller.tax_ids,
        seller.invoice_prefix,
        seller.payment_account,
        seller.created_at.to_sqlx(),
        seller.updated_at.to_sqlx()
    )
    .execute(&mut **tx)
    .await
    .map_err(|error| match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => Problem::conflict(
            "seller-taken",
            "Another seller has this slug or invoice_prefix; number series must not mix.",
        ),
        _ => error.into(),
    })?;
    Ok(())
}
