//! `/api/v1/quota/slices`.

use axum::{body::Body, extract::State};
use tenure_api::slices::Sliced;
use tenure_license::instance::STATEMENT_LEN_MAX;

use crate::{
    App,
    http::{Json, Problem, read_body},
};

/// Hand a part of a quota to an instance
///
/// The body is a statement that the instance signed (tenure-slice+jwt): which meter, how much it
/// needs at least, and what it gives back. The part is held for an hour at most, and what the
/// instance reports as used of it moves from what is held to what is used. The same slice asked
/// for again is one slice. It needs no credential: only the instance's key could have signed it.
#[utoipa::path(post, path = "/api/v1/quota/slices", tag = "Quotas", operation_id = "sliceQuota", security(()),
    request_body(content = String, content_type = "text/plain"),
    responses((status = 200, body = Sliced), (status = 403, body = Problem),
        (status = 404, body = Problem, description = "No instance has this key"),
        (status = 409, body = Problem, description = "The instance holds no lease, or the slice has ended"),
        (status = 413, body = Problem), (status = 422, body = Problem),
        (status = 429, body = Problem, description = "The quota is used up")))]
pub async fn slice(State(app): State<App>, body: Body) -> Result<Json<Sliced>, Problem> {
    let body = read_body(body, STATEMENT_LEN_MAX).await?;
    let statement = std::str::from_utf8(&body)
        .map_err(|_| Problem::bad_request("A signed statement is UTF-8 text."))?;
    super::slices::exchange(&app, statement).await.map(Json)
}
