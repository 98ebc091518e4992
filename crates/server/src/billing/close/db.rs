//! SQL of what was billed before.

use tenure_catalog::invoicing::{BilledLine, Committed};
use tenure_core::{Currency, InvoiceId, Money};
use tenure_tenancy::TenantTx;

use crate::{
    billing::{invoices::model::part, periods::Account},
    http::Problem,
};

/// What a period was billed, by plan and charge, corrections included; `without`
/// is an invoice that does not count.
pub(super) async fn billed(
    tx: &mut TenantTx,
    account: &Account,
    n: i32,
    without: Option<InvoiceId>,
) -> Result<Vec<BilledLine>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        r#"SELECT l.plan, l.charge, sum(l.quantity) AS "quantity!", sum(l.amount_minor)::bigint AS "amount!",
               (array_agg(l.part ORDER BY l.kind DESC, i.period_n, l.line))[1] AS "part!",
               (array_agg(l.description ORDER BY l.kind DESC, i.period_n, l.line))[1] AS "description!",
               (array_agg(l.unit ORDER BY l.kind DESC, i.period_n, l.line))[1] AS "unit!",
               (array_agg(l.invoice_id ORDER BY l.kind DESC, i.period_n, l.line))[1] AS "invoice!",
               (array_agg(l.line ORDER BY l.kind DESC, i.period_n, l.line))[1] AS "line!",
               min(i.currency) AS "currency!"
           FROM invoice_lines l JOIN invoices i ON i.tenant_id = l.tenant_id AND i.id = l.invoice_id
           WHERE l.tenant_id = $1 AND l.subscription_id = $2 AND l.period_n = $3
               AND i.status <> 'void' AND ($4::uuid IS NULL OR l.invoice_id <> $4)
           GROUP BY l.plan, l.charge ORDER BY l.plan, l.charge"#,
        tenant,
        account.subscription.id.uuid(),
        n,
        without.map(InvoiceId::uuid)
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let currency = Currency::from_code(&row.currency).map_err(Problem::internal)?;
            Ok(BilledLine {
                plan: row.plan,
                charge: row.charge,
                part: part(&row.part)?,
                description: row.description,
                unit: row.unit,
                quantity: row.quantity.normalize(),
                amount: Money::from_minor(row.amount, currency),
                invoice: InvoiceId::from_uuid(row.invoice).to_string(),
                line: row.line,
            })
        })
        .collect()
}

/// What periods before `n` were billed for plans and overage.
pub(super) async fn committed(
    tx: &mut TenantTx,
    account: &Account,
    n: i32,
    without: Option<InvoiceId>,
) -> Result<Vec<Committed>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        r#"SELECT l.period_n, p.period_start, l.plan, sum(l.amount_minor)::bigint AS "amount!",
               min(i.currency) AS "currency!"
           FROM invoice_lines l JOIN invoices i ON i.tenant_id = l.tenant_id AND i.id = l.invoice_id
           JOIN billing_periods p ON p.tenant_id = l.tenant_id AND p.subscription_id = l.subscription_id
               AND p.n = l.period_n
           WHERE l.tenant_id = $1 AND l.subscription_id = $2 AND l.period_n < $3
               AND l.part IN ('plan', 'overage') AND i.status <> 'void'
               AND ($4::uuid IS NULL OR l.invoice_id <> $4)
           GROUP BY l.period_n, p.period_start, l.plan ORDER BY l.period_n, l.plan"#,
        tenant,
        account.subscription.id.uuid(),
        n,
        without.map(InvoiceId::uuid)
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let currency = Currency::from_code(&row.currency).map_err(Problem::internal)?;
            Ok(Committed {
                n: row.period_n,
                start: row.period_start.to_jiff(),
                plan: row.plan,
                amount: Money::from_minor(row.amount, currency),
            })
        })
        .collect()
}

/// The periods that an invoice's adjustments correct.
pub(super) async fn corrected_by(
    tx: &mut TenantTx,
    invoice: InvoiceId,
) -> Result<Vec<i32>, Problem> {
    let tenant = tx.tenant().uuid();
    let numbers = sqlx::query_scalar!(
        "SELECT DISTINCT period_n FROM invoice_lines
         WHERE tenant_id = $1 AND invoice_id = $2 AND kind = 'adjustment'",
        tenant,
        invoice.uuid()
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(numbers)
}
