//! `/console/tenants/{tenant}/invoices`: a tenant's invoices, and its credit.

use askama::Template;
use axum::{extract::State, response::Response};
use serde::Deserialize;

use super::base;
use crate::{
    App,
    billing::{
        credits::{self, CreditEntry},
        invoices::{self, Filter},
    },
    http::{Cursor, Problem, Query},
    tenants::api::PathTenant,
    web::{
        frame::{Frame, page},
        invoice::InvoiceRow,
        pages::tenant::{Head, Tab, open},
        session::SignedIn,
        words,
    },
};

/// Invoices a page.
const ROWS: u16 = 25;
/// Entries of the balance that are shown.
const ENTRIES_SHOWN: usize = 20;

struct EntryRow {
    when: String,
    kind: String,
    note: String,
    amount: String,
    balance: String,
    path: Option<String>,
}

/// Which page.
#[derive(Deserialize)]
pub(in crate::web) struct Part {
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "console/tenant-invoices.html")]
struct TenantInvoicesPage {
    frame: Frame,
    head: Head,
    rows: Vec<InvoiceRow>,
    first_page: bool,
    next_page: Option<String>,
    balance: String,
    entries: Vec<EntryRow>,
}

/// `GET /console/tenants/{tenant}/invoices`
pub(in crate::web) async fn list(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
    Query(part): Query<Part>,
) -> Result<Response, Problem> {
    let opened = open(&app, &signed_in, tenant, Tab::Invoices).await?;
    let id = opened.tenant.id;
    let zone = words::zone(&opened.tenant.time_zone);
    let filter = Filter { tenant: Some(id.to_string()), ..Filter::default() };
    let cursor = Cursor::new(part.cursor.as_deref(), Some(ROWS))?;
    let found = invoices::list(&app, &filter, cursor).await?;
    let credit = credits::read(&app, id).await?;
    let base = base(&opened.tenant);
    let now = app.now();
    let rows = found.items.iter().map(|invoice| {
        let product = opened.frame.mark(&invoice.product).name;
        InvoiceRow::new(invoice, product, Some(&base), now, &zone)
    });
    let balances: Vec<_> = credit.balances.iter().map(|one| one.balance).collect();
    let entry = |entry: CreditEntry| EntryRow {
        when: words::date(entry.created_at, &zone),
        kind: words::title(&entry.kind),
        note: entry.note,
        amount: entry.amount.display(),
        balance: entry.balance.display(),
        path: entry.invoice_id.map(|id| format!("{base}/{id}")),
    };
    page(&TenantInvoicesPage {
        rows: rows.collect(),
        first_page: cursor.after.is_none(),
        next_page: found.next_cursor,
        balance: super::amounts(&balances),
        entries: credit.entries.into_iter().take(ENTRIES_SHOWN).map(entry).collect(),
        frame: opened.frame,
        head: opened.head,
    })
}
