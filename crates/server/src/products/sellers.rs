//! Sellers: the legal entities that invoice, each with a number series.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenure_core::{SellerId, slug};
use tenure_tenancy::VendorTx;
use utoipa::ToSchema;

use super::db;
use crate::{
    App,
    call::Call,
    http::Problem,
    idempotency,
    trail::{self, Change},
};

/// Sellers at most.
const SELLERS_MAX: i64 = 50;

/// A legal entity that invoices.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Seller {
    /// Its id.
    pub id: SellerId,
    /// Readable and unique.
    #[schema(example = "acme-software")]
    pub slug: String,
    /// For people.
    #[schema(example = "Acme Software")]
    pub name: String,
    /// On invoices.
    #[schema(example = "Acme Software Inc.")]
    pub legal_name: String,
    /// On invoices: `line1`, `city`, `postal_code`, `country`, ...
    #[schema(value_type = Object)]
    pub address: Value,
    /// On invoices, by kind: `{"eu_vat": "DE123"}`.
    #[schema(value_type = Object)]
    pub tax_ids: Value,
    /// Begins every invoice number of its series; never changes.
    #[schema(example = "ACME")]
    pub invoice_prefix: String,
    /// Its account at the payment provider.
    pub payment_account: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl From<db::SellerRow> for Seller {
    fn from(row: db::SellerRow) -> Self {
        Self {
            id: row.id,
            slug: row.slug,
            name: row.name,
            legal_name: row.legal_name,
            address: row.address,
            tax_ids: row.tax_ids,
            invoice_prefix: row.invoice_prefix,
            payment_account: row.payment_account,
            created_at: row.created_at.to_jiff(),
            updated_at: row.updated_at.to_jiff(),
        }
    }
}

/// A seller to be made or changed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SellerInput {
    /// For people.
    #[schema(example = "Acme Software")]
    pub name: String,
    /// On invoices.
    #[schema(example = "Acme Software Inc.")]
    pub legal_name: String,
    /// On invoices.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub address: serde_json::Map<String, Value>,
    /// On invoices, by kind.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub tax_ids: serde_json::Map<String, Value>,
    /// Begins every invoice number: 1 to 10 capitals and digits. Only when made.
    #[schema(example = "ACME")]
    pub invoice_prefix: Option<String>,
    /// Its account at the payment provider.
    pub payment_account: Option<String>,
}

/// The first seller, made when the first product comes.
pub(super) async fn default(
    app: &App,
    tx: &mut VendorTx,
    call: &Call,
) -> Result<SellerId, Problem> {
    if let Some(first) = db::sellers(tx, 1).await?.into_iter().next() {
        return Ok(first.id);
    }
    let seller = Seller {
        id: SellerId::new(call.now),
        slug: "vendor".to_owned(),
        name: "Vendor".to_owned(),
        legal_name: "Vendor (set the legal name before invoicing)".to_owned(),
        address: json!({}),
        tax_ids: json!({}),
        invoice_prefix: "INV".to_owned(),
        payment_account: None,
        created_at: call.now,
        updated_at: call.now,
    };
    db::upsert_seller(tx, &seller).await?;
    let change = Change::created("seller.created", seller.id, &seller);
    trail::record(app, tx, call, change).await?;
    Ok(seller.id)
}

/// Every seller.
pub async fn list(app: &App) -> Result<Vec<Seller>, Problem> {
    let mut tx = app.db().vendor().await?;
    let rows = db::sellers(&mut tx, SELLERS_MAX).await?;
    tx.commit().await?;
    Ok(rows.into_iter().map(Seller::from).collect())
}

/// Makes a seller.
pub async fn create(app: &App, call: &Call, input: SellerInput) -> Result<Seller, Problem> {
    let slug = slug::slugify(&input.name)
        .ok_or_else(|| Problem::field("/name", "A name needs letters or digits."))?;
    let prefix = input.invoice_prefix.clone().unwrap_or_default();
    let plain = prefix.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if prefix.is_empty() || prefix.len() > 10 || !plain {
        let detail = "An invoice prefix has 1 to 10 capital letters and digits.";
        return Err(Problem::field("/invoice_prefix", detail));
    }
    let seller = Seller {
        id: SellerId::new(call.now),
        slug,
        name: input.name,
        legal_name: input.legal_name,
        address: Value::Object(input.address),
        tax_ids: Value::Object(input.tax_ids),
        invoice_prefix: prefix,
        payment_account: input.payment_account,
        created_at: call.now,
        updated_at: call.now,
    };
    let mut tx = app.db().vendor().await?;
    if i64::try_from(db::sellers(&mut tx, SELLERS_MAX).await?.len()).unwrap_or(0) >= SELLERS_MAX {
        let detail = format!("There are {SELLERS_MAX} sellers already.");
        return Err(Problem::conflict("too-many-sellers", detail));
    }
    db::upsert_seller(&mut tx, &seller).await?;
    let change = Change::created("seller.created", seller.id, &seller);
    trail::record(app, &mut tx, call, change).await?;
    idempotency::remember(app, &mut tx, call, axum::http::StatusCode::CREATED, &seller).await?;
    tx.commit().await?;
    Ok(seller)
}

/// Changes what invoices say of a seller. The number series stays.
pub async fn update(
    app: &App,
    call: &Call,
    id: SellerId,
    input: SellerInput,
) -> Result<Seller, Problem> {
    let mut tx = app.db().vendor().await?;
    let rows = db::sellers(&mut tx, SELLERS_MAX).await?;
    let before = rows
        .into_iter()
        .map(Seller::from)
        .find(|seller| seller.id == id)
        .ok_or_else(|| Problem::not_found("seller"))?;
    if input.invoice_prefix.as_ref().is_some_and(|prefix| *prefix != before.invoice_prefix) {
        let detail = "The invoice prefix never changes: numbers already issued carry it.";
        return Err(Problem::field("/invoice_prefix", detail));
    }
    let after = Seller {
        name: input.name,
        legal_name: input.legal_name,
        address: Value::Object(input.address),
        tax_ids: Value::Object(input.tax_ids),
        payment_account: input.payment_account,
        updated_at: call.now,
        ..before.clone()
    };
    db::upsert_seller(&mut tx, &after).await?;
    let change = Change::updated("seller.changed", id, &before, &after);
    trail::record(app, &mut tx, call, change).await?;
    tx.commit().await?;
    Ok(after)
}
