//! `.../invoices/{invoice}/pdf` and `.../invoices/{invoice}/credit-notes/{note}/pdf`.

use axum::{
    extract::{FromRequestParts, Path, State},
    http::{header, request::Parts},
    response::{IntoResponse, Response},
};
use tenure_core::{CreditNoteId, InvoiceId};

use super::Pdf;
use crate::{
    App,
    billing::invoices::api::PathInvoice,
    http::Problem,
    identity::{ApiKey, Staff},
    tenants::api::PathTenant,
};

/// An invoice as PDF
///
/// PDF/A-2a, tagged. The same invoice is the same file, byte for byte, whatever was paid or credited
/// since; a draft says DRAFT, a void one VOID.
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/invoices/{invoice}/pdf", tag = "Billing",
    operation_id = "printInvoice", params(("tenant" = String, Path), ("invoice" = InvoiceId, Path)),
    responses((status = 200, description = "The file", body = String, content_type = "application/pdf"),
        (status = 404, body = Problem), (status = 413, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    PathInvoice(id): PathInvoice,
) -> Result<Response, Problem> {
    super::document(&app, tenant.id(), id, false).await.map(Pdf::into_response)
}

/// An invoice of the caller's tenant as PDF
#[utoipa::path(get, path = "/api/v1/invoices/{invoice}/pdf", tag = "Billing", operation_id = "printOwnInvoice",
    params(("invoice" = InvoiceId, Path)),
    responses((status = 200, description = "The file", body = String, content_type = "application/pdf"),
        (status = 404, body = Problem), (status = 413, body = Problem)))]
pub async fn own(
    State(app): State<App>,
    key: ApiKey,
    PathInvoice(id): PathInvoice,
) -> Result<Response, Problem> {
    super::document(&app, key.0.tenant, id, true).await.map(Pdf::into_response)
}

/// The credit note that a path names.
pub struct PathNote(pub CreditNoteId);

impl<S: Send + Sync> FromRequestParts<S> for PathNote {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let missing = || Problem::not_found("credit note");
        let all = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Path(all) = all.map_err(|_| missing())?;
        let named = all.iter().find(|(name, _)| name == "note").ok_or_else(missing)?;
        named.1.parse().map(Self).map_err(|_| missing())
    }
}

/// A credit note as PDF
///
/// PDF/A-2a, tagged. The same credit note is the same file, byte for byte.
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/invoices/{invoice}/credit-notes/{note}/pdf",
    tag = "Billing", operation_id = "printCreditNote",
    params(("tenant" = String, Path), ("invoice" = InvoiceId, Path), ("note" = CreditNoteId, Path)),
    responses((status = 200, description = "The file", body = String, content_type = "application/pdf"),
        (status = 404, body = Problem)))]
pub async fn note(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    PathInvoice(invoice): PathInvoice,
    PathNote(id): PathNote,
) -> Result<Response, Problem> {
    super::note_document(&app, tenant.id(), invoice, id).await.map(Pdf::into_response)
}

/// A credit note of the caller's tenant as PDF
#[utoipa::path(get, path = "/api/v1/invoices/{invoice}/credit-notes/{note}/pdf", tag = "Billing",
    operation_id = "printOwnCreditNote",
    params(("invoice" = InvoiceId, Path), ("note" = CreditNoteId, Path)),
    responses((status = 200, description = "The file", body = String, content_type = "application/pdf"),
        (status = 404, body = Problem)))]
pub async fn own_note(
    State(app): State<App>,
    key: ApiKey,
    PathInvoice(invoice): PathInvoice,
    PathNote(id): PathNote,
) -> Result<Response, Problem> {
    super::note_document(&app, key.0.tenant, invoice, id).await.map(Pdf::into_response)
}

impl IntoResponse for Pdf {
    /// Shown by a browser, and saved under its name. The policy of pages would keep a
    /// browser's own viewer from drawing it.
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, "application/pdf".to_owned()),
            (header::CONTENT_DISPOSITION, format!("inline; filename=\"{}\"", self.name)),
            (header::CACHE_CONTROL, "no-store".to_owned()),
            (header::CONTENT_SECURITY_POLICY, "frame-ancestors 'none'".to_owned()),
        ];
        (headers, self.bytes).into_response()
    }
}
