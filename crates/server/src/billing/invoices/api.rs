//! `/api/v1/admin/invoices` and `/api/v1/admin/tenants/{tenant}/invoices/{invoice}`.

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tenure_core::InvoiceId;

use super::{
    Filter, Invoice, InvoiceSummary,
    model::{CreditNote, NewCreditNote, Payment, Plainly},
};
use crate::{
    App,
    http::{Cursor, Json, Page, Problem, Query},
    idempotency::Keyed,
    identity::{Admin, Staff},
    tenants::api::PathTenant,
};

/// The invoice that a path names.
pub struct PathInvoice(pub InvoiceId);

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for PathInvoice {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        state: &S,
    ) -> Result<Self, Problem> {
        let missing = || Problem::not_found("invoice");
        let axum::extract::Path(all) =
            axum::extract::Path::<Vec<(String, String)>>::from_request_parts(parts, state)
                .await
                .map_err(|_| missing())?;
        let named = all.iter().find(|(name, _)| name == "invoice").ok_or_else(missing)?;
        super::parse(&named.1).map(Self)
    }
}

/// List invoices of all tenants, newest period first
#[utoipa::path(get, path = "/api/v1/admin/invoices", tag = "Billing", operation_id = "listInvoices",
    params(Filter),
    responses((status = 200, body = Page<InvoiceSummary>), (status = 400, body = Problem), (status = 422, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    _staff: Staff,
    Query(filter): Query<Filter>,
) -> Result<Json<Page<InvoiceSummary>>, Problem> {
    let cursor = Cursor::new(filter.cursor.as_deref(), filter.limit)?;
    super::list(&app, &filter, cursor).await.map(Json)
}

/// Invoices as CSV, for finance systems
///
/// One row an invoice, at most 100,000; amounts in major units.
#[utoipa::path(get, path = "/api/v1/admin/invoices.csv", tag = "Billing", operation_id = "exportInvoices",
    params(Filter),
    responses((status = 200, description = "The table", body = String, content_type = "text/csv"),
              (status = 400, body = Problem), (status = 413, body = Problem)))]
pub async fn csv(
    State(app): State<App>,
    _staff: Staff,
    Query(filter): Query<Filter>,
) -> Result<Response, Problem> {
    let text = super::csv::export(&app, &filter).await?;
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    let name = HeaderValue::from_static("attachment; filename=\"invoices.csv\"");
    headers.insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}

/// An invoice with its lines and their evidence
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/invoices/{invoice}", tag = "Billing", operation_id = "showInvoice",
    params(("tenant" = String, Path), ("invoice" = InvoiceId, Path)),
    responses((status = 200, body = Invoice), (status = 404, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    PathInvoice(id): PathInvoice,
) -> Result<Json<Invoice>, Problem> {
    super::read(&app, tenant.id(), id).await.map(Json)
}

/// Issue a draft now
///
/// Before its grace is over. It takes the seller's next number and never changes any more.
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/invoices/{invoice}/issue", tag = "Billing",
    operation_id = "issueInvoice", params(("tenant" = String, Path), ("invoice" = InvoiceId, Path)),
    request_body = Plainly,
    responses((status = 200, body = Invoice), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn issue(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathInvoice(id): PathInvoice,
    request: Keyed<Plainly>,
) -> Result<Response, Problem> {
    let server = app.clone();
    request
        .answer(&app, actor, StatusCode::OK, async move |call, _: Plainly| {
            super::issue(&server, &call, tenant.id(), id).await
        })
        .await
}

/// Note that an invoice was paid
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/invoices/{invoice}/pay", tag = "Billing",
    operation_id = "payInvoice", params(("tenant" = String, Path), ("invoice" = InvoiceId, Path)),
    request_body = Payment,
    responses((status = 200, body = Invoice), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem)))]
pub async fn pay(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathInvoice(id): PathInvoice,
    request: Keyed<Payment>,
) -> Result<Response, Problem> {
    let server = app.clone();
    request
        .answer(&app, actor, StatusCode::OK, async move |call, body: Payment| {
            super::pay(&server, &call, tenant.id(), id, body.paid_at).await
        })
        .await
}

/// Annul a draft or an unpaid invoice
///
/// Its number stays taken and credit that it used returns. Its period is not billed again.
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/invoices/{invoice}/void", tag = "Billing",
    operation_id = "voidInvoice", params(("tenant" = String, Path), ("invoice" = InvoiceId, Path)),
    request_body = Plainly,
    responses((status = 200, body = Invoice), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn void(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathInvoice(id): PathInvoice,
    request: Keyed<Plainly>,
) -> Result<Response, Problem> {
    let server = app.clone();
    request
        .answer(&app, actor, StatusCode::OK, async move |call, _: Plainly| {
            super::void(&server, &call, tenant.id(), id).await
        })
        .await
}

/// Give an invoice up
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/invoices/{invoice}/uncollectible", tag = "Billing",
    operation_id = "giveUpInvoice", params(("tenant" = String, Path), ("invoice" = InvoiceId, Path)),
    request_body = Plainly,
    responses((status = 200, body = Invoice), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn uncollectible(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathInvoice(id): PathInvoice,
    request: Keyed<Plainly>,
) -> Result<Response, Problem> {
    let server = app.clone();
    request
        .answer(&app, actor, StatusCode::OK, async move |call, _: Plainly| {
            super::uncollectible(&server, &call, tenant.id(), id).await
        })
        .await
}

/// Take back a part of an issued invoice, or all of it
///
/// First what is still to be paid gets less; what was paid already goes to the balance.
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/invoices/{invoice}/credit-notes", tag = "Billing",
    operation_id = "creditInvoice", params(("tenant" = String, Path), ("invoice" = InvoiceId, Path)),
    request_body = NewCreditNote,
    responses((status = 201, body = CreditNote), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem)))]
pub async fn credit(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathInvoice(id): PathInvoice,
    request: Keyed<NewCreditNote>,
) -> Result<Response, Problem> {
    let server = app.clone();
    request
        .answer(&app, actor, StatusCode::CREATED, async move |call, body| {
            super::notes::create(&server, &call, tenant.id(), id, body).await
        })
        .await
}
