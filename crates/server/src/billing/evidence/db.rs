//! SQL of evidence: an invoice as it is on record.

use tenure_catalog::{
    invoicing::{Cite, DraftLine, InvoiceDraft, InvoiceInputs, LineKind, TaxLine, TaxRate},
    plan::Part,
};
use tenure_core::{Currency, InvoiceId, Money, SubscriptionId};
use tenure_evidence::Stated;
use tenure_tenancy::TenantTx;

use crate::http::Problem;

pub(super) struct Found {
    pub(super) stated: Stated,
    pub(super) inputs: InvoiceInputs,
    pub(super) subscription: SubscriptionId,
}

/// The invoice as its rows state it; nothing of it is computed.
pub(super) async fn stated(tx: &mut TenantTx, id: InvoiceId) -> Result<Option<Found>, Problem> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query!(
        r#"SELECT status, number, seller, buyer, issued_at, currency, subtotal_minor, tax_minor,
               total_minor, inputs, subscription_id AS "subscription_id: SubscriptionId"
           FROM invoices WHERE tenant_id = $1 AND id = $2"#,
        tenant,
        id.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let currency = Currency::from_code(&row.currency).map_err(Problem::internal)?;
    let inputs: InvoiceInputs = serde_json::from_value(row.inputs).map_err(Problem::internal)?;
    let money = |minor| Money::from_minor(minor, currency);
    let sums = InvoiceDraft {
        lines: lines(tx, id, currency).await?,
        subtotal: money(row.subtotal_minor),
        taxes: taxes(tx, id, currency).await?,
        tax: money(row.tax_minor),
        total: money(row.total_minor),
    };
    let stated = Stated {
        id: id.to_string(),
        number: row.number,
        status: row.status,
        issued_at: row.issued_at.map(|at| at.to_jiff()),
        seller: row.seller.unwrap_or_default(),
        buyer: row.buyer.unwrap_or_default(),
        sums,
    };
    Ok(Some(Found { stated, inputs, subscription: row.subscription_id }))
}

async fn lines(
    tx: &mut TenantTx,
    id: InvoiceId,
    currency: Currency,
) -> Result<Vec<DraftLine>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        r#"SELECT kind, period_n, service_from, service_to, plan, charge, part, description, quantity,
               unit, arithmetic, amount_minor, version, cutoff, meter, events, digest,
               cites_invoice AS "cites_invoice: InvoiceId", cites_line
           FROM invoice_lines WHERE tenant_id = $1 AND invoice_id = $2 ORDER BY line"#,
        tenant,
        id.uuid()
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let part = serde_json::Value::String(row.part);
        let part: Part = serde_json::from_value(part).map_err(Problem::internal)?;
        let cited = row.cites_invoice.zip(row.cites_line);
        all.push(DraftLine {
            kind: match row.kind.as_str() {
                "adjustment" => LineKind::Adjustment,
                _ => LineKind::Charge,
            },
            n: row.period_n,
            from: row.service_from.to_jiff(),
            to: row.service_to.to_jiff(),
            plan: row.plan,
            charge: row.charge,
            part,
            description: row.description,
            quantity: row.quantity.normalize(),
            unit: row.unit,
            arithmetic: row.arithmetic,
            amount: Money::from_minor(row.amount_minor, currency),
            version: row.version,
            cutoff: row.cutoff,
            meter: row.meter,
            events: row.events,
            digest: hex::encode(row.digest),
            cites: cited.map(|(invoice, line)| Cite { invoice: invoice.to_string(), line }),
        });
    }
    Ok(all)
}

async fn taxes(
    tx: &mut TenantTx,
    id: InvoiceId,
    currency: Currency,
) -> Result<Vec<TaxLine>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT name, percent, note, base_minor, amount_minor FROM invoice_taxes
         WHERE tenant_id = $1 AND invoice_id = $2 ORDER BY n",
        tenant,
        id.uuid()
    )
    .fetch_all(&mut **tx)
    .await?;
    let taxes = rows.into_iter().map(|row| TaxLine {
        rate: TaxRate { name: row.name, percent: row.percent.normalize(), note: row.note },
        base: Money::from_minor(row.base_minor, currency),
        amount: Money::from_minor(row.amount_minor, currency),
    });
    Ok(taxes.collect())
}

/// The file of a product version, by its id.
pub(super) async fn source(
    tx: &mut tenure_tenancy::VendorTx,
    version: tenure_core::CatalogVersionId,
) -> Result<Option<String>, Problem> {
    let sql =
        sqlx::query_scalar!("SELECT source FROM catalog_versions WHERE id = $1", version.uuid());
    Ok(sql.fetch_optional(&mut **tx).await?)
}
