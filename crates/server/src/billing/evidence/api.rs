//! Explaining lines, and archives.

use axum::{
    body::Body,
    extract::{FromRequestParts, Path, State},
    http::{HeaderValue, header, request::Parts},
    response::{IntoResponse, Response},
};
use tenure_core::InvoiceId;
use tokio_util::io::ReaderStream;

use super::{Explanation, export::Archive, model::ExplainQuery};
use crate::{
    App,
    billing::invoices::api::PathInvoice,
    http::{Json, Problem, Query},
    identity::{ApiKey, Staff},
    tenants::api::PathTenant,
};

const SEND_BYTES: usize = 64 * 1024;

/// The invoice and the line of a path.
pub struct PathLine(pub(crate) InvoiceId, pub(crate) usize);

impl<S: Send + Sync> FromRequestParts<S> for PathLine {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let missing = || Problem::not_found("line");
        let all = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Path(all) = all.map_err(|_| missing())?;
        let named = |name: &str| all.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        let invoice = named("invoice").and_then(|text| text.parse().ok());
        let line = named("line").and_then(|text| text.parse().ok());
        Ok(Self(invoice.ok_or_else(missing)?, line.ok_or_else(missing)?))
    }
}

/// What a line of an invoice is made of
///
/// Its prices, its totals and the single events behind them. The totals are
/// added up again from the events and the line is computed again from them;
/// `agrees` says whether that is what the invoice states.
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/invoices/{invoice}/lines/{line}", tag = "Billing",
    operation_id = "explainLine",
    params(("tenant" = String, Path), ("invoice" = InvoiceId, Path), ("line" = usize, Path), ExplainQuery),
    responses((status = 200, body = Explanation), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn explain(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    PathLine(invoice, line): PathLine,
    Query(query): Query<ExplainQuery>,
) -> Result<Json<Explanation>, Problem> {
    super::explain(&app, tenant.id(), invoice, line, &query, false).await.map(Json)
}

/// What a line of an invoice of the caller's tenant is made of
#[utoipa::path(get, path = "/api/v1/invoices/{invoice}/lines/{line}", tag = "Billing", operation_id = "explainOwnLine",
    params(("invoice" = InvoiceId, Path), ("line" = usize, Path), ExplainQuery),
    responses((status = 200, body = Explanation), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn explain_own(
    State(app): State<App>,
    key: ApiKey,
    PathLine(invoice, line): PathLine,
    Query(query): Query<ExplainQuery>,
) -> Result<Json<Explanation>, Problem> {
    super::explain(&app, key.0.tenant, invoice, line, &query, true).await.map(Json)
}

/// The evidence of an invoice, as an archive
///
/// Terms, product files, totals and every single event (tar, zstd): whoever has
/// it computes the invoice again with `tenure invoice verify`, with no database.
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/invoices/{invoice}/evidence", tag = "Billing",
    operation_id = "exportEvidence", params(("tenant" = String, Path), ("invoice" = InvoiceId, Path)),
    responses((status = 200, body = String, content_type = "application/zstd"),
        (status = 404, body = Problem), (status = 503, body = Problem)))]
pub async fn export(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    PathInvoice(invoice): PathInvoice,
) -> Result<Response, Problem> {
    sent(super::export(&app, tenant.id(), invoice, false).await?)
}

/// The evidence of an invoice of the caller's tenant, as an archive
#[utoipa::path(get, path = "/api/v1/invoices/{invoice}/evidence", tag = "Billing", operation_id = "exportOwnEvidence",
    params(("invoice" = InvoiceId, Path)),
    responses((status = 200, body = String, content_type = "application/zstd"),
        (status = 404, body = Problem), (status = 503, body = Problem)))]
pub async fn export_own(
    State(app): State<App>,
    key: ApiKey,
    PathInvoice(invoice): PathInvoice,
) -> Result<Response, Problem> {
    sent(super::export(&app, key.0.tenant, invoice, true).await?)
}

/// The archive as the answer, to be saved.
pub(crate) fn sent(archive: Archive) -> Result<Response, Problem> {
    let file = tokio::fs::File::from_std(archive.file);
    let stream = ReaderStream::with_capacity(file, SEND_BYTES);
    let mut response = Body::from_stream(stream).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zstd"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(archive.bytes));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let disposition = format!("attachment; filename=\"{}\"", archive.name);
    let disposition = HeaderValue::from_str(&disposition).map_err(Problem::internal)?;
    headers.insert(header::CONTENT_DISPOSITION, disposition);
    Ok(response)
}
