//! `/.well-known/tenure/{product}/revocations`.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use tenure_license::file::{self, FileKind};

use crate::{App, http::Problem};

/// The media type of a bare token.
const JWT: &str = "application/jwt";

/// What was taken back of a product, as a signed list
///
/// No credential needed: carry it to where there is no network. As a file (`TENURE REVOCATIONS`), or
/// as the bare token with `Accept: application/jwt`. Send `If-None-Match` with the last `ETag` to be
/// told 304 while nothing changed. 404 while nothing was ever taken back.
#[utoipa::path(get, path = "/.well-known/tenure/{product}/revocations", tag = "Licensing",
    operation_id = "revocationList", security(()), params(("product" = String, Path, example = "incidentfox")),
    responses((status = 200, body = String, content_type = "text/plain",
               example = "-----BEGIN TENURE REVOCATIONS-----\neyJhbGciOiJSUzI1NiIsInR5cCI6InRlbnVyZS1yZXZvY2F0aW9ucytq...\n-----END TENURE REVOCATIONS-----\n"),
              (status = 304, description = "Nothing changed"), (status = 404, body = Problem)))]
pub async fn published(
    State(app): State<App>,
    Path(product): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let list = super::published(&app, &product).await?;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let bare = text(header::ACCEPT).is_some_and(|accept| accept.contains(JWT));
    let form = if bare { "jwt" } else { "file" };
    let tag = format!("\"{}-{form}\"", list.claims.epoch);
    let common = [
        (header::ETAG, tag.clone()),
        (header::CACHE_CONTROL, "public, max-age=60".to_owned()),
        (header::VARY, "accept".to_owned()),
    ];
    let known = text(header::IF_NONE_MATCH);
    if known.is_some_and(|known| known.split(',').any(|known| known.trim() == tag)) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let (kind, body) = match bare {
        true => (JWT, list.token.clone()),
        false => {
            ("text/plain; charset=utf-8", file::write_kind(FileKind::Revocations, &list.token))
        }
    };
    Ok((common, [(header::CONTENT_TYPE, kind)], body).into_response())
}
