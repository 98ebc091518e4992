//! `/api/v1/bill`.

use axum::extract::State;
use tenure_core::SubscriptionId;

use super::BillEstimate;
use crate::{
    App,
    http::{Json, Problem},
    identity::{ApiKey, Staff},
    subscriptions::api::PathSubscription,
    tenants::api::PathTenant,
};

/// The estimated bill of the caller's present billing period
///
/// Each line shows its arithmetic. A plan whose price has to be agreed on first
/// has no lines and says so in `needs_contract`; in a trial, the lines say what
/// the period would cost and the total is zero.
#[utoipa::path(get, path = "/api/v1/bill", tag = "Billing", operation_id = "ownBill",
    responses((status = 200, body = BillEstimate), (status = 409, body = Problem)))]
pub async fn own(State(app): State<App>, key: ApiKey) -> Result<Json<BillEstimate>, Problem> {
    super::estimate(&app, key.0.tenant, key.0.subscription).await.map(Json)
}

/// The estimated bill of a subscription's present billing period, for staff
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/subscriptions/{subscription}/bill", tag = "Billing",
    operation_id = "showBill",
    params(("tenant" = String, Path), ("subscription" = SubscriptionId, Path)),
    responses((status = 200, body = BillEstimate), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    PathSubscription(id): PathSubscription,
) -> Result<Json<BillEstimate>, Problem> {
    super::estimate(&app, tenant.id(), id).await.map(Json)
}
