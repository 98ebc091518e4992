//! The list, with what it comes to, its table for finance, and how far the present run is.

use askama::Template;
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::{
    filters::{Applied, Filters, Select, Stat},
    runs::RunRow,
};
use crate::{
    App,
    billing::{
        invoices::{self, Filter, InvoiceSummary, totals},
        runs,
    },
    http::{Cursor, Problem, Query},
    web::{
        db,
        frame::{Frame, Section, page},
        invoice::InvoiceRow,
        session::SignedIn,
        words,
    },
};

/// Invoices a page.
const ROWS: u16 = 25;

struct Row {
    invoice: InvoiceRow,
    tenant: String,
    /// Of the tenant's page; none when its record is gone.
    slug: Option<String>,
}

#[derive(Template)]
#[template(path = "console/invoices.html")]
struct InvoicesPage {
    frame: Frame,
    first_run: bool,
    stats: Vec<Stat>,
    run: Option<RunRow>,
    tenant: String,
    from: String,
    to: String,
    selects: Vec<Select>,
    applied: Vec<Applied>,
    csv: String,
    rows: Vec<Row>,
    paged: bool,
    first_page: Option<String>,
    next_page: Option<String>,
}

/// `GET /console/invoices`
pub(in crate::web) async fn list(
    State(app): State<App>,
    signed_in: SignedIn,
    Query(filters): Query<Filters>,
) -> Result<Response, Problem> {
    let frame = Frame::new(&app, &signed_in, Section::Invoices).await?;
    let filter = filters.filter()?;
    let cursor = Cursor::new(Some(filters.cursor.as_str()), Some(ROWS))?;
    let found = invoices::list(&app, &filter, cursor).await?;
    let every = Filter { status: None, ..filter };
    let sums = totals::read(&app, &every).await?.items;
    let applied = filters.applied(&frame);
    let first_run = found.items.is_empty() && applied.is_empty() && cursor.after.is_none();
    let newest = runs::newest(&app, 1).await?.into_iter().next();
    let first = filters.on_page(String::new());
    let next = found.next_cursor.map(|cursor| filters.on_page(cursor).address());
    page(&InvoicesPage {
        first_run,
        stats: filters.stats(&sums),
        run: newest.map(|run| RunRow::new(run, app.now())),
        selects: filters.selects(&app, &frame).await?,
        csv: first.query("/console/invoices.csv"),
        rows: rows(&app, &frame, found.items).await?,
        paged: next.is_some() || !filters.cursor.is_empty(),
        first_page: (!filters.cursor.is_empty()).then(|| first.address()),
        next_page: next,
        tenant: filters.tenant,
        from: filters.from,
        to: filters.to,
        applied,
        frame,
    })
}

/// `GET /console/invoices.csv`
pub(in crate::web) async fn csv(
    State(app): State<App>,
    _signed_in: SignedIn,
    Query(filters): Query<Filters>,
) -> Result<Response, Problem> {
    let text = invoices::csv::export(&app, &filters.filter()?).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"invoices.csv\""),
    ];
    Ok((headers, text).into_response())
}

async fn rows(app: &App, frame: &Frame, found: Vec<InvoiceSummary>) -> Result<Vec<Row>, Problem> {
    let ids: Vec<Uuid> = found.iter().map(|invoice| invoice.tenant_id.uuid()).collect();
    let mut tx = app.db().vendor().await?;
    let whose = db::whose(&mut tx, &ids).await?;
    tx.commit().await?;
    let now = app.now();
    let row = |invoice: InvoiceSummary| {
        let of = whose.iter().find(|one| one.id == invoice.tenant_id);
        let open = of.filter(|one| !one.deleted);
        let base = open.map(|one| format!("/console/tenants/{}/invoices", one.slug));
        let zone = of.map_or(TimeZone::UTC, |one| words::zone(&one.zone));
        let product = frame.mark(&invoice.product).name;
        Row {
            invoice: InvoiceRow::new(&invoice, product, base.as_deref(), now, &zone),
            tenant: of.map_or_else(|| invoice.tenant_id.to_string(), |one| one.name.clone()),
            slug: open.map(|one| one.slug.clone()),
        }
    };
    Ok(found.into_iter().map(row).collect())
}
