//! `/portal/invoices`: what the customer was billed, for whoever has an API key.
//! Drafts are the vendor's alone; what the period has come to so far is an estimate.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::Deserialize;
use tenure_core::Money;

use super::{
    frame::{Frame, Section},
    session::KeyUser,
};
use crate::{
    App,
    billing::{
        self,
        evidence::{self, api::PathLine},
        invoices::{
            self, InvoiceSummary,
            api::PathInvoice,
            pdf::{self, api::PathNote},
            told,
        },
    },
    http::{Cursor, Problem, Query},
    identity::Principal,
    products::{self, Catalog},
    subscriptions,
    web::{
        frame::page,
        invoice::{
            InvoiceRow,
            document::{Document, title},
            explained::Explained,
        },
        pages::invoices::show::Events,
        words,
    },
};

/// What the paths of invoices begin with.
const BASE: &str = "/portal/invoices";
/// Invoices a page.
const ROWS: u16 = 25;

/// Which page.
#[derive(Deserialize)]
pub(super) struct Part {
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "portal/invoices.html")]
struct InvoicesPage {
    frame: Frame,
    plan: String,
    so_far: String,
    so_far_note: String,
    open: String,
    open_note: String,
    rows: Vec<InvoiceRow>,
    first_page: bool,
    next_page: Option<String>,
}

/// The catalog of the key's subscription, and what people call its plan.
async fn catalog(app: &App, key: &Principal) -> Result<(std::sync::Arc<Catalog>, String), Problem> {
    let subscription = subscriptions::read(app, key.tenant, key.subscription).await?;
    let catalog = products::catalog(app, subscription.catalog_version_id).await?;
    let plan = catalog.product.plan(&subscription.plan).map(|plan| plan.name.clone());
    Ok((catalog, plan.unwrap_or(subscription.plan)))
}

/// `GET /portal/invoices`
pub(super) async fn list(
    State(app): State<App>,
    KeyUser { visitor, key }: KeyUser,
    Query(part): Query<Part>,
) -> Result<Response, Problem> {
    let (tenant, now) = (visitor.tenant.id, app.now());
    let zone = words::zone(&visitor.tenant.time_zone);
    let (catalog, plan) = catalog(&app, &key).await?;
    let cursor = Cursor::new(part.cursor.as_deref(), Some(ROWS))?;
    let found = invoices::list_own(&app, tenant, cursor).await?;
    let product = &catalog.product;
    let row = |invoice: &InvoiceSummary| {
        let name = if invoice.product == product.id { &product.name } else { &invoice.product };
        InvoiceRow::new(invoice, name.clone(), Some(BASE), now, &zone)
    };
    let rows = found.items.iter().map(row).collect();
    let (so_far, so_far_note) = so_far(&app, &key).await?;
    let (open, mut open_note) = open(&found.items, now);
    if cursor.after.is_some() || found.next_cursor.is_some() {
        open_note.push_str(", of those on this page");
    }
    page(&InvoicesPage {
        frame: Frame::new(&visitor, &catalog.product, Section::Invoices),
        plan,
        so_far,
        so_far_note,
        open,
        open_note,
        rows,
        first_page: cursor.after.is_none(),
        next_page: found.next_cursor,
    })
}

/// The estimate of the present period, where the plan has a price.
async fn so_far(app: &App, key: &Principal) -> Result<(String, String), Problem> {
    match billing::estimate(app, key.tenant, key.subscription).await {
        Ok(bill) if bill.needs_contract.is_none() => {
            Ok((bill.total.display(), "before tax; see how it adds up".to_owned()))
        }
        Ok(_) => Ok(("–".to_owned(), "the price has to be agreed on first".to_owned())),
        Err(problem) if problem.status == 409 => {
            Ok(("–".to_owned(), "cannot be estimated now".to_owned()))
        }
        Err(problem) => Err(problem),
    }
}

/// What is still to be paid of some invoices, by currency, and how much of it is late.
fn open(invoices: &[InvoiceSummary], now: Timestamp) -> (String, String) {
    let mut sums: Vec<Money> = Vec::new();
    let owed: Vec<&InvoiceSummary> =
        invoices.iter().filter(|invoice| !invoice.outstanding.is_zero()).collect();
    for invoice in &owed {
        let amount = invoice.outstanding;
        match sums.iter_mut().find(|sum| sum.currency() == amount.currency()) {
            Some(sum) => *sum = sum.checked_add(amount).unwrap_or(*sum),
            None => sums.push(amount),
        }
    }
    let late = owed.iter().filter(|one| one.due_at.is_some_and(|at| at < now)).count() as u64;
    let note = match (owed.len(), late) {
        (0, _) => "nothing is open".to_owned(),
        (open, 0) => words::counted(open as u64, "invoice"),
        (open, late) => format!("{}, {late} overdue", words::counted(open as u64, "invoice")),
    };
    (words::total(&sums), note)
}

#[derive(Template)]
#[template(path = "portal/invoice.html")]
struct InvoicePage {
    frame: Frame,
    doc: Document,
}

/// `GET /portal/invoices/{invoice}`
pub(super) async fn show(
    State(app): State<App>,
    KeyUser { visitor, key }: KeyUser,
    PathInvoice(id): PathInvoice,
) -> Result<Response, Problem> {
    let told = told::told(&app, visitor.tenant.id, id, true).await?;
    let (catalog, _) = catalog(&app, &key).await?;
    page(&InvoicePage {
        frame: Frame::new(&visitor, &catalog.product, Section::Invoices),
        doc: Document::new(&told, BASE, app.now()),
    })
}

#[derive(Template)]
#[template(path = "portal/invoice-line.html")]
struct LinePage {
    frame: Frame,
    crumbs: Vec<(String, String)>,
    path: String,
    staff: bool,
    line: Explained,
}

/// `GET /portal/invoices/{invoice}/lines/{line}`
pub(super) async fn line(
    State(app): State<App>,
    KeyUser { visitor, key }: KeyUser,
    PathLine(id, number): PathLine,
    Query(events): Query<Events>,
) -> Result<Response, Problem> {
    let tenant = visitor.tenant.id;
    let told = told::told(&app, tenant, id, true).await?;
    let found = evidence::explain(&app, tenant, id, number, &events.query(), true).await?;
    let (catalog, _) = catalog(&app, &key).await?;
    page(&LinePage {
        frame: Frame::new(&visitor, &catalog.product, Section::Invoices),
        crumbs: vec![
            (BASE.to_owned(), "Invoices".to_owned()),
            (format!("{BASE}/{id}"), title(&told.invoice.summary)),
        ],
        path: format!("{BASE}/{id}/lines/{number}"),
        staff: false,
        line: Explained::new(&told, found, BASE, events.events.is_some()),
    })
}

/// `GET /portal/invoices/{invoice}/pdf`
pub(super) async fn pdf(
    State(app): State<App>,
    KeyUser { visitor, .. }: KeyUser,
    PathInvoice(id): PathInvoice,
) -> Result<Response, Problem> {
    pdf::document(&app, visitor.tenant.id, id, true).await.map(IntoResponse::into_response)
}

/// `GET /portal/invoices/{invoice}/credit-notes/{note}/pdf`
pub(super) async fn note_pdf(
    State(app): State<App>,
    KeyUser { visitor, .. }: KeyUser,
    PathInvoice(id): PathInvoice,
    PathNote(note): PathNote,
) -> Result<Response, Problem> {
    pdf::note_document(&app, visitor.tenant.id, id, note).await.map(IntoResponse::into_response)
}

/// `GET /portal/invoices/{invoice}/evidence`
pub(super) async fn evidence(
    State(app): State<App>,
    KeyUser { visitor, .. }: KeyUser,
    PathInvoice(id): PathInvoice,
) -> Result<Response, Problem> {
    evidence::api::sent(evidence::export(&app, visitor.tenant.id, id, true).await?)
}
