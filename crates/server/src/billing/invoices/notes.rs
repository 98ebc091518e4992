//! Credit notes: what is taken back of an issued invoice. First what is still to
//! be paid gets less; what was paid already goes to the balance.

use axum::http::StatusCode;
use jiff_sqlx::ToSqlx;
use tenure_catalog::invoicing::tax::allocate;
use tenure_core::{CreditNoteId, InvoiceId, Money, TenantId};
use tenure_tenancy::TenantTx;

use super::{
    InvoiceStatus, InvoiceSummary, db,
    model::{CreditNote, NewCreditNote},
    states::{illegal, record},
};
use crate::{
    App,
    billing::credits::{self, Entry},
    call::Call,
    http::Problem,
    idempotency,
    trail::{self, Change},
};

/// Takes back a part of an invoice, or all of it.
pub async fn create(
    app: &App,
    call: &Call,
    tenant: TenantId,
    id: InvoiceId,
    new: NewCreditNote,
) -> Result<CreditNote, Problem> {
    let reason = new.reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > 2_000 {
        return Err(Problem::field("/reason", "Give 1 to 2000 characters."));
    }
    let mut tx = app.db().tenant(tenant).await?;
    let before = db::lock(&mut tx, id).await?;
    if !matches!(before.status, InvoiceStatus::Issued | InvoiceStatus::Paid) {
        return Err(illegal(&before, "credited"));
    }
    let (amount, tax) = amount_of(&mut tx, &before, &new).await?;
    let less = amount.minor().min(before.outstanding.minor());
    let to_balance = Money::from_minor(amount.minor() - less, amount.currency());
    let note = CreditNote {
        id: CreditNoteId::new(call.now),
        number: String::new(),
        invoice_id: id,
        amount,
        tax,
        to_balance,
        reason,
        created_at: call.now,
    };
    let number = insert(&mut tx, &before, &note).await?;
    let note = CreditNote { number, ..note };
    if !to_balance.is_zero() {
        let account = before.billing_account_id;
        credits::lock(&mut tx, account, amount.currency()).await?;
        let text = note.number.clone();
        let entry = Entry {
            account,
            amount: to_balance,
            kind: "credit_note",
            invoice: Some(id),
            note: text,
        };
        credits::add(&mut tx, entry, call.now).await?;
    }
    trail::record(app, &mut tx, call, Change::created("credit_note.created", note.id, &note))
        .await?;
    let after = db::find(&mut tx, id).await?.ok_or_else(|| Problem::not_found("invoice"))?;
    if after.status == InvoiceStatus::Issued && after.outstanding.is_zero() {
        db::set_status(&mut tx, id, InvoiceStatus::Paid, call.now).await?;
        let paid = db::find(&mut tx, id).await?.ok_or_else(|| Problem::not_found("invoice"))?;
        record(app, &mut tx, call, "invoice.paid", &after, &paid).await?;
    }
    idempotency::remember(app, &mut tx, call, StatusCode::CREATED, &note).await?;
    tx.commit().await?;
    Ok(note)
}

/// The amount and the tax in it: the invoice's tax is taken back in proportion,
/// and with the last part the last of it.
async fn amount_of(
    tx: &mut TenantTx,
    invoice: &InvoiceSummary,
    new: &NewCreditNote,
) -> Result<(Money, Money), Problem> {
    let earlier = of(tx, invoice).await?;
    let given: i64 = earlier.iter().map(|note| note.amount.minor()).sum();
    let given_tax: i64 = earlier.iter().map(|note| note.tax.minor()).sum();
    let (total, currency) = (invoice.total.minor(), invoice.total.currency());
    let left = total - given;
    let amount = match new.amount {
        Some(amount) => Money::exact(amount, currency)
            .map_err(|error| Problem::field("/amount", format!("{error}.")))?,
        None => Money::from_minor(left, currency),
    };
    if amount.minor() <= 0 || amount.minor() > left {
        let left = Money::from_minor(left.max(0), currency).display();
        return Err(Problem::field(
            "/amount",
            format!("Between nothing and what is left of the invoice, {left}."),
        ));
    }
    let so_far = given + amount.minor();
    let tax_so_far = allocate(invoice.tax.minor(), &[so_far, total - so_far])[0];
    let tax = (tax_so_far - given_tax).clamp(0, amount.minor());
    Ok((amount, Money::from_minor(tax, currency)))
}

async fn insert(
    tx: &mut TenantTx,
    invoice: &InvoiceSummary,
    note: &CreditNote,
) -> Result<String, Problem> {
    let tenant = tx.tenant().uuid();
    let number = sqlx::query_scalar!(
        "INSERT INTO credit_notes (tenant_id, id, invoice_id, seller_id, number, amount_minor, tax_minor,
             currency, reason, to_balance_minor, created_at)
         VALUES ($1, $2, $3, $4, '', $5, $6, $7, $8, $9, $10) RETURNING number",
        tenant,
        note.id.uuid(),
        invoice.id.uuid(),
        invoice.seller_id.uuid(),
        note.amount.minor(),
        note.tax.minor(),
        note.amount.currency().code(),
        note.reason,
        note.to_balance.minor(),
        note.created_at.to_sqlx()
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(number)
}

/// The credit notes of an invoice, oldest first.
pub(super) async fn of(
    tx: &mut TenantTx,
    invoice: &InvoiceSummary,
) -> Result<Vec<CreditNote>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT id, number, invoice_id, amount_minor, tax_minor, to_balance_minor, reason, created_at
         FROM credit_notes WHERE tenant_id = $1 AND invoice_id = $2 ORDER BY id",
        tenant,
        invoice.id.uuid()
    )
    .fetch_all(&mut **tx)
    .await?;
    let currency = invoice.total.currency();
    let notes = rows.into_iter().map(|row| CreditNote {
        id: row.id,
        number: row.number,
        invoice_id: row.invoice_id,
        amount: Money::from_minor(row.amount_minor, currency),
        tax: Money::from_minor(row.tax_minor, currency),
        to_balance: Money::from_minor(row.to_balance_minor, currency),
        reason: row.reason,
        created_at: row.created_at.to_jiff(),
    });
    Ok(notes.collect())
}
