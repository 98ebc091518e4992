//! `/api/v1/quota`.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tenure_api::quota::{
    CommitReservation, Consume, Consumed, NewReservation, Quotas, Reservation,
};
use tenure_core::SubscriptionId;
use tenure_license::Environment;

use super::ID_LEN_MAX;
use crate::{
    App,
    http::{Json, Problem},
    identity::{ApiKey, Staff},
    subscriptions::api::PathSubscription,
    tenants::api::PathTenant,
};

/// What may still be used
///
/// Every limit that is consumed, in its present window: recorded, held by
/// reservations, left.
#[utoipa::path(get, path = "/api/v1/quota", tag = "Quotas", operation_id = "ownQuotas",
    responses((status = 200, body = Quotas)))]
pub async fn own(State(app): State<App>, key: ApiKey) -> Result<Json<Quotas>, Problem> {
    let of = &key.0;
    super::list(&app, of.tenant, of.subscription, of.environment).await.map(Json)
}

/// What a subscription may still use, for staff
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/subscriptions/{subscription}/quota", tag = "Quotas",
    operation_id = "showQuotas",
    params(("tenant" = String, Path), ("subscription" = SubscriptionId, Path)),
    responses((status = 200, body = Quotas), (status = 404, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    PathSubscription(id): PathSubscription,
) -> Result<Json<Quotas>, Problem> {
    super::list(&app, tenant.id(), id, Environment::Live).await.map(Json)
}

/// Hold a part of a quota
///
/// Before something is begun that will be used: the part is taken from what is
/// left, until it is committed, released, or runs out. Where the plan blocks at
/// the limit and too little is left, the answer is 429 with when the quota
/// begins anew. Asking again under one `id` holds one part.
///
/// Parts held under a key of the environment `test` count apart from real ones.
#[utoipa::path(post, path = "/api/v1/quota/reservations", tag = "Quotas", operation_id = "reserveQuota",
    request_body = NewReservation,
    responses((status = 201, body = Reservation), (status = 403, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem),
        (status = 429, body = Problem, description = "The quota is used up")))]
pub async fn reserve(
    State(app): State<App>,
    key: ApiKey,
    Json(new): Json<NewReservation>,
) -> Result<Response, Problem> {
    let held = super::reserve(&app, &key.0, new).await?;
    Ok((StatusCode::CREATED, Json(held)).into_response())
}

/// Record what was held as used
///
/// A usage event under the reservation's source and id is recorded and the part
/// is given back, in one transaction. Again, the answer is the same. What was
/// really used may be less or more than what was held.
#[utoipa::path(post, path = "/api/v1/quota/reservations/{reservation}/commit", tag = "Quotas",
    operation_id = "commitReservation", params(("reservation" = String, Path)),
    request_body = CommitReservation,
    responses((status = 200, body = Reservation), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "It was released or ran out"),
        (status = 422, body = Problem)))]
pub async fn commit(
    State(app): State<App>,
    key: ApiKey,
    Path(id): Path<String>,
    Json(done): Json<CommitReservation>,
) -> Result<Json<Reservation>, Problem> {
    super::commit(&app, &key.0, known(&id)?, done).await.map(Json)
}

/// Give back what was held
///
/// One that was released or ran out stays so.
#[utoipa::path(delete, path = "/api/v1/quota/reservations/{reservation}", tag = "Quotas",
    operation_id = "releaseReservation", params(("reservation" = String, Path)),
    responses((status = 200, body = Reservation), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "It was used")))]
pub async fn release(
    State(app): State<App>,
    key: ApiKey,
    Path(id): Path<String>,
) -> Result<Json<Reservation>, Problem> {
    super::release(&app, &key.0, known(&id)?).await.map(Json)
}

/// Record usage where the quota allows it
///
/// Check and record in one step: the event is recorded and counted, or the
/// answer is 429 and nothing is. An event counts once: sent again, it is
/// answered `duplicate`.
#[utoipa::path(post, path = "/api/v1/quota/consume", tag = "Quotas", operation_id = "consumeQuota",
    request_body = Consume,
    responses((status = 200, body = Consumed), (status = 403, body = Problem),
        (status = 422, body = Problem),
        (status = 429, body = Problem, description = "The quota is used up")))]
pub async fn consume(
    State(app): State<App>,
    key: ApiKey,
    Json(asked): Json<Consume>,
) -> Result<Json<Consumed>, Problem> {
    super::consume(&app, &key.0, asked).await.map(Json)
}

/// An id that could be one.
fn known(id: &str) -> Result<&str, Problem> {
    let fits = !id.is_empty() && id.len() <= ID_LEN_MAX && !id.contains('\0');
    fits.then_some(id).ok_or_else(|| Problem::not_found("reservation"))
}
