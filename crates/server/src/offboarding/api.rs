//! `/api/v1/admin/tenants/{tenant}/export`, `/api/v1/admin/imports` and the
//! deletion of a tenant.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use http_body_util::BodyExt;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;
use utoipa::IntoParams;

use super::{ARCHIVE_BYTES_MAX, DeletionReport, ExportKey, ImportReport};
use crate::{
    App,
    http::{Json, Problem, Query},
    identity::Admin,
    tenants::api::PathTenant,
};

/// Where archives are sent to; the router lets larger bodies pass here.
pub const IMPORTS: &str = "/api/v1/admin/imports";
/// The media type of archives.
const ZSTD: &str = "application/zstd";
const KEY_HEADER: &str = "tenure-export-key";
const SEND_BYTES: usize = 64 * 1024;

/// Export a tenant
///
/// Everything that belongs to the tenant, from one moment, as one archive (tar, zstd): `manifest.json`,
/// its proof, and a file of JSON lines a table. Secrets in it are encrypted under the key in the header
/// `Tenure-Export-Key`, which is shown this once: keep it apart from the archive.
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/export", tag = "Offboarding", operation_id = "exportTenant",
    params(("tenant" = String, Path)),
    responses((status = 200, description = "The archive", body = String, content_type = "application/zstd",
               headers(("Tenure-Export-Key" = String, description = "64 hex digits; shown this once"))),
              (status = 404, body = Problem), (status = 413, body = Problem), (status = 503, body = Problem)))]
pub async fn export(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
) -> Result<Response, Problem> {
    let call = app.call(actor);
    let export = super::export(&app, &call, tenant.id()).await?;
    let file = tokio::fs::File::from_std(export.file);
    let mut response =
        Body::from_stream(ReaderStream::with_capacity(file, SEND_BYTES)).into_response();
    let text = |text: &str| HeaderValue::from_str(text).map_err(Problem::internal);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(ZSTD));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(export.bytes));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let disposition = format!("attachment; filename=\"{}\"", export.name);
    headers.insert(header::CONTENT_DISPOSITION, text(&disposition)?);
    headers.insert(KEY_HEADER, text(export.key.expose())?);
    Ok(response)
}

/// Import a tenant
///
/// The body is an archive of another installation (or of this one, before the tenant was deleted
/// there), the header `Tenure-Export-Key` its key. All or nothing: ids stay, secrets are sealed anew,
/// API keys are issued anew. Sent twice, the second is refused with 409.
#[utoipa::path(post, path = "/api/v1/admin/imports", tag = "Offboarding", operation_id = "importTenant",
    params(("Tenure-Export-Key" = String, Header, description = "64 hex digits, as the export showed them")),
    request_body(content = String, content_type = "application/zstd", description = "The archive"),
    responses((status = 201, body = ImportReport), (status = 400, body = Problem), (status = 409, body = Problem),
              (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem),
              (status = 503, body = Problem)))]
pub async fn import(
    State(app): State<App>,
    Admin(actor): Admin,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<ImportReport>), Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if kind.is_none_or(|kind| !kind.eq_ignore_ascii_case(ZSTD)) {
        let detail = "Send the archive as it was exported, with `Content-Type: application/zstd`.";
        return Err(Problem::unsupported_media_type(detail));
    }
    let key = headers.get(KEY_HEADER).and_then(|value| value.to_str().ok());
    let key = key.and_then(ExportKey::parse).ok_or_else(|| {
        Problem::bad_request(
            "Send the archive's key, 64 hex digits, in the header `Tenure-Export-Key`.",
        )
    })?;
    let file = receive(body).await?;
    let call = app.call(actor);
    let report = super::import(&app, &call, key, file).await?;
    Ok((StatusCode::CREATED, Json(report)))
}

/// The body, in an unnamed temporary file.
async fn receive(mut body: Body) -> Result<std::fs::File, Problem> {
    let file = tempfile::tempfile().map_err(Problem::internal)?;
    let mut file = tokio::fs::File::from_std(file);
    let mut bytes = 0u64;
    while let Some(frame) = body.frame().await {
        let broken = |_| Problem::bad_request("The body ended before it was complete.");
        let Ok(chunk) = frame.map_err(broken)?.into_data() else { continue };
        bytes += chunk.len() as u64;
        if bytes > ARCHIVE_BYTES_MAX {
            let detail = format!("An archive has at most {ARCHIVE_BYTES_MAX} bytes.");
            return Err(Problem::too_large(detail));
        }
        file.write_all(&chunk).await.map_err(Problem::internal)?;
    }
    file.flush().await.map_err(Problem::internal)?;
    let mut file = file.into_std().await;
    std::io::Seek::rewind(&mut file).map_err(Problem::internal)?;
    Ok(file)
}

/// How a deletion is confirmed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Confirmation {
    /// The tenant's slug, again.
    #[param(example = "acme-corp")]
    pub confirm: String,
}

/// Delete a tenant that has left
///
/// Erases everything but an empty tombstone and the audit chain, whose key is destroyed. Cannot be undone;
/// the tenant has to be cancelled before.
#[utoipa::path(delete, path = "/api/v1/admin/tenants/{tenant}", tag = "Offboarding", operation_id = "deleteTenant",
    params(("tenant" = String, Path), Confirmation),
    responses((status = 200, body = DeletionReport), (status = 400, body = Problem), (status = 404, body = Problem),
              (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn delete(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    Query(query): Query<Confirmation>,
) -> Result<Json<DeletionReport>, Problem> {
    let call = app.call(actor);
    super::delete(&app, &call, tenant.id(), &query.confirm).await.map(Json)
}
