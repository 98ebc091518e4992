//! SQL of invoices.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use serde_json::Value;
use tenure_core::{
    BillingAccountId, Currency, InvoiceId, Money, SellerId, SubscriptionId, TenantId,
};
use tenure_tenancy::TenantTx;

use super::model::{Filter, InvoiceStatus, InvoiceSummary};
use crate::{
    billing::{close::Rated, periods::Account},
    http::{Cursor, Problem},
    unit::Unit,
};

/// A draft to be written.
pub(super) struct NewInvoice<'a> {
    pub(super) id: InvoiceId,
    pub(super) account: &'a Account,
    pub(super) rated: &'a Rated,
    pub(super) net_days: i32,
    pub(super) drafted_at: Timestamp,
    pub(super) finalise_after: Timestamp,
}

struct Row {
    id: InvoiceId,
    tenant_id: TenantId,
    number: Option<String>,
    status: String,
    seller_id: SellerId,
    billing_account_id: BillingAccountId,
    subscription_id: SubscriptionId,
    product: String,
    period_n: i32,
    period_start: jiff_sqlx::Timestamp,
    period_end: jiff_sqlx::Timestamp,
    currency: String,
    subtotal_minor: i64,
    tax_minor: i64,
    total_minor: i64,
    credit_minor: i64,
    due_minor: Option<i64>,
    credited_minor: Option<i64>,
    net_days: i32,
    drafted_at: jiff_sqlx::Timestamp,
    finalise_after: jiff_sqlx::Timestamp,
    issued_at: Option<jiff_sqlx::Timestamp>,
    due_at: Option<jiff_sqlx::Timestamp>,
    paid_at: Option<jiff_sqlx::Timestamp>,
    closed_at: Option<jiff_sqlx::Timestamp>,
}

impl Row {
    fn summary(self) -> Result<InvoiceSummary, Problem> {
        let currency = Currency::from_code(&self.currency).map_err(Problem::internal)?;
        let money = |minor| Money::from_minor(minor, currency);
        let status = InvoiceStatus::of(&self.status);
        let open = matches!(status, InvoiceStatus::Issued | InvoiceStatus::Uncollectible);
        let due = self.due_minor.unwrap_or(0);
        let outstanding = if open { due - self.credited_minor.unwrap_or(0) } else { 0 };
        let at = |at: Option<jiff_sqlx::Timestamp>| at.map(|at| at.to_jiff());
        Ok(InvoiceSummary {
            id: self.id,
            tenant_id: self.tenant_id,
            number: self.number,
            status,
            seller_id: self.seller_id,
            billing_account_id: self.billing_account_id,
            subscription_id: self.subscription_id,
            product: self.product,
            period: self.period_n,
            period_start: self.period_start.to_jiff(),
            period_end: self.period_end.to_jiff(),
            subtotal: money(self.subtotal_minor),
            tax: money(self.tax_minor),
            total: money(self.total_minor),
            credit: money(self.credit_minor),
            due: self.due_minor.map(money),
            outstanding: money(outstanding.max(0)),
            net_days: self.net_days,
            drafted_at: self.drafted_at.to_jiff(),
            finalise_after: self.finalise_after.to_jiff(),
            issued_at: at(self.issued_at),
            due_at: at(self.due_at),
            paid_at: at(self.paid_at),
            closed_at: at(self.closed_at),
        })
    }
}

pub(super) async fn insert(tx: &mut TenantTx, new: &NewInvoice<'_>) -> Result<(), Problem> {
    let (rated, draft) = (new.rated, &new.rated.draft);
    let catalog = new.account.present_catalog()?;
    let inputs = serde_json::to_value(&rated.inputs).map_err(Problem::internal)?;
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "INSERT INTO invoices (tenant_id, id, status, seller_id, billing_account_id, subscription_id,
             product, period_n, period_start, period_end, generation, currency, subtotal_minor,
             tax_minor, total_minor, net_days, inputs, drafted_at, finalise_after)
         VALUES ($1, $2, 'draft', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        tenant,
        new.id.uuid(),
        catalog.seller_id.uuid(),
        new.account.subscription.billing_account_id.uuid(),
        new.account.subscription.id.uuid(),
        catalog.product.id,
        rated.row.n,
        rated.row.period.start.to_sqlx(),
        rated.row.period.end.to_sqlx(),
        rated.generation,
        rated.inputs.currency.code(),
        draft.subtotal.minor(),
        draft.tax.minor(),
        draft.total.minor(),
        new.net_days,
        inputs,
        new.drafted_at.to_sqlx(),
        new.finalise_after.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What a draft says is replaced: it was rated again.
pub(super) async fn redraft(
    tx: &mut TenantTx,
    id: InvoiceId,
    rated: &Rated,
) -> Result<(), Problem> {
    let draft = &rated.draft;
    let inputs = serde_json::to_value(&rated.inputs).map_err(Problem::internal)?;
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE invoices SET generation = $3, subtotal_minor = $4, tax_minor = $5, total_minor = $6,
             inputs = $7 WHERE tenant_id = $1 AND id = $2 AND status = 'draft'",
        tenant,
        id.uuid(),
        rated.generation,
        draft.subtotal.minor(),
        draft.tax.minor(),
        draft.total.minor(),
        inputs
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The drafts of a subscription whose grace is over, up to this one, by period.
pub(super) async fn due_up_to(
    tx: &mut TenantTx,
    id: InvoiceId,
    now: Timestamp,
) -> Result<Vec<InvoiceId>, Problem> {
    let tenant = tx.tenant().uuid();
    let ids = sqlx::query_scalar!(
        "SELECT d.id FROM invoices i JOIN invoices d ON d.tenant_id = i.tenant_id
             AND d.subscription_id = i.subscription_id AND d.period_n <= i.period_n
         WHERE i.tenant_id = $1 AND i.id = $2 AND d.status = 'draft' AND d.finalise_after <= $3
         ORDER BY d.period_n",
        tenant,
        id.uuid(),
        now.to_sqlx()
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(ids)
}

/// Takes a draft away, once its lines are gone.
pub(super) async fn remove_draft(tx: &mut TenantTx, id: InvoiceId) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "DELETE FROM invoices WHERE tenant_id = $1 AND id = $2 AND status = 'draft'",
        tenant,
        id.uuid()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Takes all drafts away, once their lines are gone.
pub(super) async fn remove_drafts(tx: &mut TenantTx) -> Result<u64, Problem> {
    let tenant = tx.tenant().uuid();
    let done = sqlx::query!("DELETE FROM invoices WHERE tenant_id = $1 AND number IS NULL", tenant)
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected())
}

pub(crate) async fn find(
    tx: &mut impl Unit,
    id: InvoiceId,
) -> Result<Option<InvoiceSummary>, Problem> {
    let row = sqlx::query_as!(
        Row,
        "SELECT i.id, i.tenant_id, i.number, i.status, i.seller_id, i.billing_account_id,
             i.subscription_id, i.product, i.period_n, i.period_start, i.period_end, i.currency,
             i.subtotal_minor, i.tax_minor, i.total_minor, i.credit_minor, i.due_minor,
             (SELECT sum(c.amount_minor)::bigint FROM credit_notes c
              WHERE c.tenant_id = i.tenant_id AND c.invoice_id = i.id) AS credited_minor,
             i.net_days, i.drafted_at, i.finalise_after, i.issued_at, i.due_at, i.paid_at, i.closed_at
         FROM invoices i WHERE i.id = $1",
        id.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    row.map(Row::summary).transpose()
}

/// The invoice, and nobody else changes it until the unit of work ends.
pub(super) async fn lock(tx: &mut TenantTx, id: InvoiceId) -> Result<InvoiceSummary, Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "SELECT id FROM invoices WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
        tenant,
        id.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    find(tx, id).await?.ok_or_else(|| Problem::not_found("invoice"))
}

/// Seller and buyer as they were when it was issued.
pub(super) struct Parties {
    pub(super) seller: Option<Value>,
    pub(super) buyer: Option<Value>,
}

pub(super) async fn parties(tx: &mut TenantTx, id: InvoiceId) -> Result<Parties, Problem> {
    let tenant = tx.tenant().uuid();
    let parties = sqlx::query_as!(
        Parties,
        "SELECT seller, buyer FROM invoices WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.uuid()
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(parties)
}

/// Who sells, for the invoice.
pub(super) async fn seller(tx: &mut TenantTx, id: SellerId) -> Result<Value, Problem> {
    let seller = sqlx::query_scalar!(
        r#"SELECT jsonb_build_object('name', name, 'legal_name', legal_name, 'address', address,
               'tax_ids', tax_ids) AS "seller!" FROM sellers WHERE id = $1"#,
        id.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    seller.ok_or_else(|| {
        Problem::conflict("no-seller", "The invoice's seller is not one of this installation.")
    })
}

/// What issuing adds to a draft.
pub(super) struct Issued {
    pub(super) seller: Value,
    pub(super) buyer: Value,
    pub(super) credit_minor: i64,
    pub(super) due_minor: i64,
    pub(super) issued_at: Timestamp,
    pub(super) due_at: Timestamp,
}

/// Issues a draft. The database gives it the seller's next number.
pub(super) async fn issue(
    tx: &mut TenantTx,
    id: InvoiceId,
    issued: &Issued,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE invoices SET status = 'issued', seller = $3, buyer = $4, credit_minor = $5,
             due_minor = $6, issued_at = $7, due_at = $8
         WHERE tenant_id = $1 AND id = $2 AND status = 'draft'",
        tenant,
        id.uuid(),
        issued.seller,
        issued.buyer,
        issued.credit_minor,
        issued.due_minor,
        issued.issued_at.to_sqlx(),
        issued.due_at.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn set_status(
    tx: &mut TenantTx,
    id: InvoiceId,
    status: InvoiceStatus,
    at: Timestamp,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE invoices SET status = $3,
             paid_at = CASE $3 WHEN 'paid' THEN $4::timestamptz ELSE paid_at END,
             closed_at = CASE WHEN $3 IN ('void', 'uncollectible') THEN $4::timestamptz ELSE closed_at END
         WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.uuid(),
        status.word(),
        at.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Periods that a void invoice had corrected are looked at again at the next close.
pub(super) async fn forget_corrections(tx: &mut TenantTx, id: InvoiceId) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE billing_periods p SET terms_digest = NULL FROM invoice_lines l
         WHERE l.tenant_id = $1 AND l.invoice_id = $2 AND l.kind = 'adjustment'
           AND p.tenant_id = l.tenant_id AND p.subscription_id = l.subscription_id AND p.n = l.period_n",
        tenant,
        id.uuid()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn list(
    tx: &mut impl Unit,
    filter: &Filter,
    tenant: Option<TenantId>,
    cursor: Cursor,
) -> Result<Vec<InvoiceSummary>, Problem> {
    let named = filter.tenant.as_deref().and_then(|text| text.parse::<TenantId>().ok());
    let slug = filter.tenant.as_deref().filter(|_| named.is_none());
    let seller = filter.seller();
    let rows = sqlx::query_as!(
        Row,
        "SELECT i.id, i.tenant_id, i.number, i.status, i.seller_id, i.billing_account_id,
             i.subscription_id, i.product, i.period_n, i.period_start, i.period_end, i.currency,
             i.subtotal_minor, i.tax_minor, i.total_minor, i.credit_minor, i.due_minor,
             (SELECT sum(c.amount_minor)::bigint FROM credit_notes c
              WHERE c.tenant_id = i.tenant_id AND c.invoice_id = i.id) AS credited_minor,
             i.net_days, i.drafted_at, i.finalise_after, i.issued_at, i.due_at, i.paid_at, i.closed_at
         FROM invoices i
         WHERE ($1::uuid IS NULL OR i.id < $1)
           AND ($2::uuid IS NULL OR i.tenant_id = $2)
           AND ($3::text IS NULL OR i.tenant_id IN (SELECT t.id FROM tenants t WHERE t.slug = $3))
           AND ($4::text IS NULL OR i.status = $4)
           AND ($5::text IS NULL OR i.product = $5)
           AND ($6::timestamptz IS NULL OR i.period_end >= $6)
           AND ($7::timestamptz IS NULL OR i.period_end < $7)
           AND ($8::boolean IS NULL OR (i.number IS NOT NULL) = $8)
           AND ($10::uuid IS NULL OR i.seller_id = $10)
           AND ($11::text IS NULL OR i.seller_id IN (SELECT s.id FROM sellers s WHERE s.slug = $11))
         ORDER BY i.id DESC LIMIT $9",
        cursor.after,
        tenant.or(named).map(TenantId::uuid),
        slug,
        filter.status.map(InvoiceStatus::word),
        filter.product,
        filter.from.map(|at| at.to_sqlx()) as _,
        filter.to.map(|at| at.to_sqlx()) as _,
        filter.issued,
        cursor.fetch(),
        seller.0.map(SellerId::uuid),
        seller.1
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter().map(Row::summary).collect()
}
