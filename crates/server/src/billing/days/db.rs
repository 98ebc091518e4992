//! SQL of cost by day: which period holds a moment, and what its invoice says.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use serde_json::Value;
use tenure_core::{InvoiceId, Period, SubscriptionId};
use tenure_tenancy::TenantTx;

use crate::http::Problem;

/// A closed period.
pub(super) struct Closed {
    pub(super) n: i32,
    pub(super) before: Option<Period>,
    pub(super) period: Period,
    pub(super) generation: i32,
}

/// The closed period that holds `at`.
pub(super) async fn closed_at(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    at: Timestamp,
) -> Result<Option<Closed>, Problem> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query!(
        r#"SELECT p.n, p.period_start, p.period_end, p.generation AS "generation!",
               b.period_start AS "before_start?", b.period_end AS "before_end?"
           FROM billing_periods p LEFT JOIN billing_periods b ON b.tenant_id = p.tenant_id
               AND b.subscription_id = p.subscription_id AND b.n = p.after
           WHERE p.tenant_id = $1 AND p.subscription_id = $2 AND p.status = 'closed'
               AND p.period_start <= $3 AND p.period_end > $3"#,
        tenant,
        subscription.uuid(),
        at.to_sqlx()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| {
        let before = row.before_start.zip(row.before_end);
        Closed {
            n: row.n,
            before: before
                .map(|(start, end)| Period { start: start.to_jiff(), end: end.to_jiff() }),
            period: Period { start: row.period_start.to_jiff(), end: row.period_end.to_jiff() },
            generation: row.generation,
        }
    }))
}

/// The invoice of a period, as far as days need it.
pub(super) struct Invoiced {
    pub(super) id: InvoiceId,
    pub(super) number: Option<String>,
    pub(super) status: String,
    pub(super) inputs: Value,
}

pub(super) async fn invoice_of(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    n: i32,
) -> Result<Option<Invoiced>, Problem> {
    let tenant = tx.tenant().uuid();
    let found = sqlx::query_as!(
        Invoiced,
        r#"SELECT id AS "id: InvoiceId", number, status, inputs FROM invoices
           WHERE tenant_id = $1 AND subscription_id = $2 AND period_n = $3"#,
        tenant,
        subscription.uuid(),
        n
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(found)
}
