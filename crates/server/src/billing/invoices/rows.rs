//! SQL of an invoice's lines and taxes.

use jiff_sqlx::ToSqlx;
use tenure_core::{InvoiceId, Money};
use tenure_tenancy::TenantTx;

use super::{
    model::{InvoiceLine, InvoiceSummary, InvoiceTax},
    shares,
};
use crate::{
    billing::{close::Rated, periods::Account},
    http::Problem,
};

/// The columns of lines, for one statement.
#[derive(Default)]
struct Columns {
    kinds: Vec<String>,
    periods: Vec<i32>,
    from: Vec<jiff_sqlx::Timestamp>,
    to: Vec<jiff_sqlx::Timestamp>,
    plans: Vec<String>,
    charges: Vec<String>,
    parts: Vec<String>,
    descriptions: Vec<String>,
    quantities: Vec<rust_decimal::Decimal>,
    units: Vec<String>,
    arithmetic: Vec<String>,
    amounts: Vec<i64>,
    versions: Vec<String>,
    cutoffs: Vec<i32>,
    meters: Vec<Option<String>>,
    events: Vec<i64>,
    digests: Vec<Vec<u8>>,
    cited: Vec<Option<uuid::Uuid>>,
    cited_lines: Vec<Option<i32>>,
}

impl Columns {
    fn of(rated: &Rated) -> Result<Self, Problem> {
        let mut all = Self::default();
        for line in &rated.draft.lines {
            let cites = line.cites.as_ref();
            let cited = cites.map(|cite| cite.invoice.parse::<InvoiceId>()).transpose();
            all.kinds.push(line.kind.word().to_owned());
            all.periods.push(line.n);
            all.from.push(line.from.to_sqlx());
            all.to.push(line.to.to_sqlx());
            all.plans.push(line.plan.clone());
            all.charges.push(line.charge.clone());
            all.parts.push(line.part.word().to_owned());
            all.descriptions.push(line.description.clone());
            all.quantities.push(line.quantity);
            all.units.push(line.unit.clone());
            all.arithmetic.push(line.arithmetic.clone());
            all.amounts.push(line.amount.minor());
            all.versions.push(line.version.clone());
            all.cutoffs.push(line.cutoff);
            all.meters.push(line.meter.clone());
            all.events.push(line.events);
            all.digests.push(hex::decode(&line.digest).map_err(Problem::internal)?);
            all.cited.push(cited.map_err(Problem::internal)?.map(InvoiceId::uuid));
            all.cited_lines.push(cites.map(|cite| cite.line));
        }
        Ok(all)
    }
}

/// Writes the lines and taxes of a draft.
pub(super) async fn insert(
    tx: &mut TenantTx,
    id: InvoiceId,
    account: &Account,
    rated: &Rated,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    let c = Columns::of(rated)?;
    sqlx::query!(
        r#"INSERT INTO invoice_lines (tenant_id, invoice_id, line, kind, subscription_id, period_n,
               service_from, service_to, plan, charge, part, description, quantity, unit, arithmetic,
               amount_minor, tax_minor, version, cutoff, meter, events, digest, cites_invoice, cites_line)
           SELECT $1, $2, w.line, w.kind, $3, w.period, w.service_from, w.service_to, w.plan, w.charge,
               w.part, w.description, w.quantity, w.unit, w.arithmetic, w.amount, w.tax, w.version,
               w.cutoff, w.meter, w.events, w.digest, w.cited, w.cited_line
           FROM unnest($4::text[], $5::integer[], $6::timestamptz[], $7::timestamptz[], $8::text[],
               $9::text[], $10::text[], $11::text[], $12::numeric[], $13::text[], $14::text[],
               $15::bigint[], $16::bigint[], $17::text[], $18::integer[], $19::text[], $20::bigint[],
               $21::bytea[], $22::uuid[], $23::integer[]) WITH ORDINALITY
               AS w (kind, period, service_from, service_to, plan, charge, part, description, quantity,
                   unit, arithmetic, amount, tax, version, cutoff, meter, events, digest, cited,
                   cited_line, line)"#,
        tenant,
        id.uuid(),
        account.subscription.id.uuid(),
        &c.kinds,
        &c.periods,
        &c.from as &[jiff_sqlx::Timestamp],
        &c.to as &[jiff_sqlx::Timestamp],
        &c.plans,
        &c.charges,
        &c.parts,
        &c.descriptions,
        &c.quantities,
        &c.units,
        &c.arithmetic,
        &c.amounts,
        &shares(rated),
        &c.versions,
        &c.cutoffs,
        &c.meters as &[Option<String>],
        &c.events,
        &c.digests,
        &c.cited as &[Option<uuid::Uuid>],
        &c.cited_lines as &[Option<i32>]
    )
    .execute(&mut **tx)
    .await?;
    for (index, tax) in rated.draft.taxes.iter().enumerate() {
        sqlx::query!(
            "INSERT INTO invoice_taxes (tenant_id, invoice_id, n, name, percent, note, base_minor, amount_minor)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            tenant,
            id.uuid(),
            i32::try_from(index + 1).unwrap_or(i32::MAX),
            tax.rate.name,
            tax.rate.percent,
            tax.rate.note,
            tax.base.minor(),
            tax.amount.minor()
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Takes the lines and taxes of a draft away.
pub(super) async fn remove(tx: &mut TenantTx, id: InvoiceId) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "WITH taxes AS (DELETE FROM invoice_taxes WHERE tenant_id = $1 AND invoice_id = $2)
         DELETE FROM invoice_lines WHERE tenant_id = $1 AND invoice_id = $2",
        tenant,
        id.uuid()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Takes the lines and taxes of all drafts away.
pub(super) async fn remove_drafts(tx: &mut TenantTx) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "WITH drafts AS (SELECT id FROM invoices WHERE tenant_id = $1 AND number IS NULL),
         taxes AS (DELETE FROM invoice_taxes WHERE tenant_id = $1
             AND invoice_id IN (SELECT id FROM drafts))
         DELETE FROM invoice_lines WHERE tenant_id = $1 AND invoice_id IN (SELECT id FROM drafts)",
        tenant
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn lines(
    tx: &mut TenantTx,
    of: &InvoiceSummary,
) -> Result<Vec<InvoiceLine>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT line, kind, period_n, service_from, service_to, plan, charge, part, description,
             quantity, unit, arithmetic, amount_minor, tax_minor, version, cutoff, meter, events,
             digest, cites_invoice, cites_line
         FROM invoice_lines WHERE tenant_id = $1 AND invoice_id = $2 ORDER BY line",
        tenant,
        of.id.uuid()
    )
    .fetch_all(&mut **tx)
    .await?;
    let currency = of.total.currency();
    let lines = rows.into_iter().map(|row| InvoiceLine {
        line: row.line,
        kind: row.kind,
        period: row.period_n,
        from: row.service_from.to_jiff(),
        to: row.service_to.to_jiff(),
        plan: row.plan,
        charge: row.charge,
        part: row.part,
        description: row.description,
        quantity: row.quantity.normalize(),
        unit: row.unit,
        arithmetic: row.arithmetic,
        amount: Money::from_minor(row.amount_minor, currency),
        tax: Money::from_minor(row.tax_minor, currency),
        version: row.version,
        cutoff: row.cutoff,
        meter: row.meter,
        events: row.events,
        digest: hex::encode(row.digest),
        cites_invoice: row.cites_invoice,
        cites_line: row.cites_line,
    });
    Ok(lines.collect())
}

pub(super) async fn taxes(
    tx: &mut TenantTx,
    of: &InvoiceSummary,
) -> Result<Vec<InvoiceTax>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT name, percent, note, base_minor, amount_minor FROM invoice_taxes
         WHERE tenant_id = $1 AND invoice_id = $2 ORDER BY n",
        tenant,
        of.id.uuid()
    )
    .fetch_all(&mut **tx)
    .await?;
    let currency = of.total.currency();
    let taxes = rows.into_iter().map(|row| InvoiceTax {
        name: row.name,
        percent: row.percent.normalize(),
        note: row.note,
        base: Money::from_minor(row.base_minor, currency),
        amount: Money::from_minor(row.amount_minor, currency),
    });
    Ok(taxes.collect())
}
