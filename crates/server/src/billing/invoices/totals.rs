//! What invoices come to, by status and currency.

use axum::extract::State;
use jiff_sqlx::ToSqlx;
use serde::{Deserialize, Serialize};
use tenure_core::{Currency, Money, SellerId, TenantId};
use utoipa::ToSchema;

use super::{Filter, InvoiceStatus};
use crate::{
    App,
    http::{Json, Problem, Query},
    identity::Staff,
};

/// Sums of invoices.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct InvoiceTotals {
    /// One a status and currency that has any invoice.
    pub items: Vec<InvoiceTotal>,
}

/// The sum of the invoices in one status and currency.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct InvoiceTotal {
    /// Their state.
    pub status: InvoiceStatus,
    /// How many.
    #[schema(example = 12)]
    pub count: i64,
    /// Of their totals, with tax.
    pub total: Money,
    /// What is still to be paid of them.
    pub outstanding: Money,
}

/// What invoices come to, by status and currency
///
/// Of those that the filter means; `cursor` and `limit` have no meaning here.
#[utoipa::path(get, path = "/api/v1/admin/invoices/totals", tag = "Billing", operation_id = "sumInvoices",
    params(Filter), responses((status = 200, body = InvoiceTotals), (status = 400, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    _staff: Staff,
    Query(filter): Query<Filter>,
) -> Result<Json<InvoiceTotals>, Problem> {
    read(&app, &filter).await.map(Json)
}

/// Adds them up.
pub async fn read(app: &App, filter: &Filter) -> Result<InvoiceTotals, Problem> {
    let tenant = filter.tenant.as_deref().and_then(|text| text.parse::<TenantId>().ok());
    let slug = filter.tenant.as_deref().filter(|_| tenant.is_none());
    let seller = filter.seller();
    let mut tx = app.db().vendor().await?;
    let rows = sqlx::query!(
        r#"SELECT i.status, i.currency, count(*) AS "count!", sum(i.total_minor)::bigint AS "total!",
               coalesce(sum(greatest(i.due_minor - coalesce(c.credited, 0), 0))
                   FILTER (WHERE i.status IN ('issued', 'uncollectible')), 0)::bigint AS "outstanding!"
           FROM invoices i LEFT JOIN (
               SELECT n.tenant_id, n.invoice_id, sum(n.amount_minor) AS credited
               FROM credit_notes n GROUP BY n.tenant_id, n.invoice_id) c
               ON c.tenant_id = i.tenant_id AND c.invoice_id = i.id
           WHERE ($1::uuid IS NULL OR i.tenant_id = $1)
             AND ($2::text IS NULL OR i.tenant_id IN (SELECT t.id FROM tenants t WHERE t.slug = $2))
             AND ($3::text IS NULL OR i.status = $3)
             AND ($4::text IS NULL OR i.product = $4)
             AND ($5::timestamptz IS NULL OR i.period_end >= $5)
             AND ($6::timestamptz IS NULL OR i.period_end < $6)
             AND ($7::boolean IS NULL OR (i.number IS NOT NULL) = $7)
             AND ($8::uuid IS NULL OR i.seller_id = $8)
             AND ($9::text IS NULL OR i.seller_id IN (SELECT s.id FROM sellers s WHERE s.slug = $9))
           GROUP BY i.status, i.currency ORDER BY i.status, i.currency"#,
        tenant.map(TenantId::uuid),
        slug,
        filter.status.map(InvoiceStatus::word),
        filter.product,
        filter.from.map(|at| at.to_sqlx()) as _,
        filter.to.map(|at| at.to_sqlx()) as _,
        filter.issued,
        seller.0.map(SellerId::uuid),
        seller.1
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    let total = |currency: &str, minor| {
        let currency = Currency::from_code(currency).map_err(Problem::internal)?;
        Ok::<_, Problem>(Money::from_minor(minor, currency))
    };
    let items = rows.into_iter().map(|row| {
        Ok(InvoiceTotal {
            status: InvoiceStatus::of(&row.status),
            count: row.count,
            total: total(&row.currency, row.total)?,
            outstanding: total(&row.currency, row.outstanding)?,
        })
    });
    Ok(InvoiceTotals { items: items.collect::<Result<_, Problem>>()? })
}
