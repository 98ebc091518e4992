//! The list: filters, totals, the table for finance, how far the present run is.

use askama::Template;
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::Deserialize;
use tenure_core::Money;
use uuid::Uuid;

use super::{amounts, runs::RunRow};
use crate::{
    App,
    billing::{
        invoices::{self, Filter, InvoiceStatus, InvoiceSummary, totals, totals::InvoiceTotal},
        runs,
    },
    http::{Cursor, Problem, Query},
    products::sellers,
    web::{
        db,
        frame::{Frame, Section, page},
        invoice::InvoiceRow,
        session::{SignedIn, encode},
        words,
    },
};

/// Invoices a page.
const ROWS: u16 = 25;

/// The states in the order in which an invoice goes through them.
const STATES: [InvoiceStatus; 5] = [
    InvoiceStatus::Draft,
    InvoiceStatus::Issued,
    InvoiceStatus::Paid,
    InvoiceStatus::Void,
    InvoiceStatus::Uncollectible,
];

/// The filters of the page; fields of a form are empty where nothing was chosen.
#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::web) struct Filters {
    #[serde(default)]
    tenant: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    product: String,
    #[serde(default)]
    seller: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    cursor: String,
}

struct Choice {
    value: String,
    text: String,
    chosen: bool,
}

struct Select {
    name: &'static str,
    label: &'static str,
    every: &'static str,
    options: Vec<Choice>,
}

struct Applied {
    text: String,
    without: String,
}

/// A sum, and the list that it is of.
struct Stat {
    label: &'static str,
    path: String,
    amount: String,
    note: String,
}

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
    let first = Filters { cursor: String::new(), ..filters.clone() };
    let next = found.next_cursor.map(|cursor| Filters { cursor, ..filters.clone() }.address());
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

fn given(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The first moment of a day in UTC; of `to`, of the day after it, which is included.
fn edge(name: &str, text: &str, days_on: i64) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = given(text) else { return Ok(None) };
    let wrong = || Problem::field(&format!("/{name}"), "A day looks like 2027-03-01.");
    let day: Date = text.parse().map_err(|_| wrong())?;
    let day = day.checked_add(jiff::Span::new().days(days_on)).map_err(|_| wrong())?;
    Ok(Some(day.to_zoned(TimeZone::UTC).map_err(|_| wrong())?.timestamp()))
}

impl Filters {
    fn status(&self) -> Option<InvoiceStatus> {
        STATES.into_iter().find(|state| state.word() == self.status)
    }

    fn filter(&self) -> Result<Filter, Problem> {
        Ok(Filter {
            status: self.status(),
            tenant: given(&self.tenant),
            product: given(&self.product),
            seller: given(&self.seller),
            from: edge("from", &self.from, 0)?,
            to: edge("to", &self.to, 1)?,
            ..Filter::default()
        })
    }

    fn query(&self, path: &str) -> String {
        let pairs = [
            ("tenant", &self.tenant),
            ("status", &self.status),
            ("product", &self.product),
            ("seller", &self.seller),
            ("from", &self.from),
            ("to", &self.to),
            ("cursor", &self.cursor),
        ];
        let given = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        let pairs: Vec<String> =
            given.map(|(name, value)| format!("{name}={}", encode(value))).collect();
        if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
    }

    fn address(&self) -> String {
        self.query("/console/invoices")
    }

    /// What is there in each state, whatever state the list shows.
    fn stats(&self, sums: &[InvoiceTotal]) -> Vec<Stat> {
        let shown: [(&'static str, InvoiceStatus, bool); 4] = [
            ("Drafts", InvoiceStatus::Draft, false),
            ("To be paid", InvoiceStatus::Issued, true),
            ("Paid", InvoiceStatus::Paid, false),
            ("Given up", InvoiceStatus::Uncollectible, true),
        ];
        let stat = |(label, status, open): (&'static str, InvoiceStatus, bool)| {
            let of = || sums.iter().filter(|sum| sum.status == status);
            let all: Vec<Money> =
                of().map(|sum| if open { sum.outstanding } else { sum.total }).collect();
            let rest = Self { cursor: String::new(), ..self.clone() };
            Stat {
                label,
                path: Self { status: status.word().to_owned(), ..rest }.address(),
                amount: amounts(&all),
                note: words::counted(of().map(|sum| sum.count).sum::<i64>(), "invoice"),
            }
        };
        shown.into_iter().map(stat).collect()
    }

    fn applied(&self, frame: &Frame) -> Vec<Applied> {
        let rest = || Self { cursor: String::new(), ..self.clone() };
        let all = [
            ("Tenant", self.tenant.clone(), Self { tenant: String::new(), ..rest() }),
            ("Status", words::title(&self.status), Self { status: String::new(), ..rest() }),
            ("Product", frame.mark(&self.product).name, Self { product: String::new(), ..rest() }),
            ("Seller", self.seller.clone(), Self { seller: String::new(), ..rest() }),
            ("Period ends from", self.from.clone(), Self { from: String::new(), ..rest() }),
            ("Period ends by", self.to.clone(), Self { to: String::new(), ..rest() }),
        ];
        let applied = all.into_iter().filter(|(_, value, _)| !value.is_empty());
        let applied = applied.map(|(label, value, without)| Applied {
            text: format!("{label}: {value}"),
            without: without.address(),
        });
        applied.collect()
    }

    async fn selects(&self, app: &App, frame: &Frame) -> Result<Vec<Select>, Problem> {
        let option = |value: &str, text: &str, chosen: &str| Choice {
            value: value.to_owned(),
            text: text.to_owned(),
            chosen: value == chosen,
        };
        let states =
            STATES.map(|state| option(state.word(), &words::title(state.word()), &self.status));
        let products =
            frame.products.iter().map(|mark| option(&mark.slug, &mark.name, &self.product));
        let mut selects = vec![
            Select {
                name: "status",
                label: "Status",
                every: "Every status",
                options: states.into(),
            },
            Select {
                name: "product",
                label: "Product",
                every: "Every product",
                options: products.collect(),
            },
        ];
        let sellers = sellers::list(app).await?;
        if sellers.len() > 1 {
            let options = sellers.iter().map(|one| option(&one.slug, &one.name, &self.seller));
            let options = options.collect();
            selects.push(Select {
                name: "seller",
                label: "Seller",
                every: "Every seller",
                options,
            });
        }
        Ok(selects)
    }
}
