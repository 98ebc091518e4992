//! Invoices as CSV (RFC 4180), for finance systems: one row an invoice.

use jiff::Timestamp;
use tenure_core::Money;

use super::{Filter, InvoiceSummary, db};
use crate::{
    App,
    http::{Cursor, Problem},
};

/// Rows at most; narrow the dates for more.
pub const ROWS_MAX: usize = 100_000;
/// Rows read at once.
const PAGE: u16 = 1_000;

const HEADER: &str = "number,status,tenant,product,subscription,issued_at,due_at,paid_at,period_start,\
                      period_end,currency,subtotal,tax,total,credit,due,outstanding\r\n";

/// All invoices that the filter means, newest period first.
pub async fn export(app: &App, filter: &Filter) -> Result<String, Problem> {
    let mut text = HEADER.to_owned();
    let mut cursor = Cursor { after: None, limit: PAGE };
    let mut count = 0;
    loop {
        let mut tx = app.db().vendor().await?;
        let mut rows = db::list(&mut tx, filter, None, cursor).await?;
        tx.commit().await?;
        let more = rows.len() > usize::from(PAGE);
        rows.truncate(usize::from(PAGE));
        count += rows.len();
        if count > ROWS_MAX {
            let detail = format!("More than {ROWS_MAX} invoices: narrow `from` and `to`.");
            return Err(Problem::too_large(detail));
        }
        for invoice in &rows {
            row(&mut text, invoice);
        }
        match rows.last() {
            Some(last) if more => cursor.after = Some(last.id.uuid()),
            _ => return Ok(text),
        }
    }
}

fn row(text: &mut String, invoice: &InvoiceSummary) {
    let at = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    let amount = |money: Money| money.to_decimal().to_string();
    let fields = [
        invoice.number.clone().unwrap_or_default(),
        invoice.status.word().to_owned(),
        invoice.tenant_id.to_string(),
        invoice.product.clone(),
        invoice.subscription_id.to_string(),
        at(invoice.issued_at),
        at(invoice.due_at),
        at(invoice.paid_at),
        at(Some(invoice.period_start)),
        at(Some(invoice.period_end)),
        invoice.total.currency().code().to_owned(),
        amount(invoice.subtotal),
        amount(invoice.tax),
        amount(invoice.total),
        amount(invoice.credit),
        invoice.due.map(amount).unwrap_or_default(),
        amount(invoice.outstanding),
    ];
    // Ids, words, numbers and dates: none holds a comma, a quote or a line break, or
    // begins a formula but a negative number.
    text.push_str(&fields.join(","));
    text.push_str("\r\n");
}
