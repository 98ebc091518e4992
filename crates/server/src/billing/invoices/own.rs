//! `/api/v1/invoices`: what the caller's tenant was billed.

use axum::extract::State;
use tenure_core::InvoiceId;

use super::{Invoice, InvoiceSummary, api::PathInvoice};
use crate::{
    App,
    http::{Json, Page, PageQuery, Problem, Query},
    identity::ApiKey,
};

/// The invoices of the caller's tenant, newest period first
#[utoipa::path(get, path = "/api/v1/invoices", tag = "Billing", operation_id = "ownInvoices",
    params(PageQuery),
    responses((status = 200, body = Page<InvoiceSummary>), (status = 422, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    key: ApiKey,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<InvoiceSummary>>, Problem> {
    super::list_own(&app, key.0.tenant, query.cursor()?).await.map(Json)
}

/// An invoice of the caller's tenant, with its lines and their evidence
#[utoipa::path(get, path = "/api/v1/invoices/{invoice}", tag = "Billing", operation_id = "ownInvoice",
    params(("invoice" = InvoiceId, Path)),
    responses((status = 200, body = Invoice), (status = 404, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    key: ApiKey,
    PathInvoice(id): PathInvoice,
) -> Result<Json<Invoice>, Problem> {
    super::read_own(&app, key.0.tenant, id).await.map(Json)
}
