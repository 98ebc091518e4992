//! `/api/v1/bill/days` and `/api/v1/bill/dimensions`.

use axum::extract::State;
use tenure_core::SubscriptionId;

use super::{
    BillDays, BillDimension,
    model::{BillDaysQuery, BillDimensionQuery},
};
use crate::{
    App,
    http::{Json, Problem, Query},
    identity::{ApiKey, Staff},
    subscriptions::api::PathSubscription,
    tenants::api::PathTenant,
};

/// What the caller's billing period costs, day by day
///
/// A day costs what the usage up to its end is rated with, less what the usage up
/// to its beginning is. The days, `before` and `apart` add up to the subtotal of
/// the estimated bill or, of a period that is over, of its invoice.
#[utoipa::path(get, path = "/api/v1/bill/days", tag = "Billing", operation_id = "ownBillDays",
    params(BillDaysQuery),
    responses((status = 200, body = BillDays), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn own(
    State(app): State<App>,
    key: ApiKey,
    Query(query): Query<BillDaysQuery>,
) -> Result<Json<BillDays>, Problem> {
    super::by_day_own(&app, key.0.tenant, key.0.subscription, query.at).await.map(Json)
}

/// What a subscription's billing period costs, day by day, for staff
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/subscriptions/{subscription}/bill/days",
    tag = "Billing", operation_id = "showBillDays",
    params(("tenant" = String, Path), ("subscription" = SubscriptionId, Path), BillDaysQuery),
    responses((status = 200, body = BillDays), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    PathSubscription(id): PathSubscription,
    Query(query): Query<BillDaysQuery>,
) -> Result<Json<BillDays>, Problem> {
    super::by_day(&app, tenant.id(), id, query.at).await.map(Json)
}

/// Usage and cost of a meter in the caller's billing period, by a dimension
///
/// The 8 values with the most usage, and all others together. A day's cost is shared
/// out by that day's usage, to the cent, so the values add up to it.
#[utoipa::path(get, path = "/api/v1/bill/dimensions", tag = "Billing", operation_id = "ownBillDimension",
    params(BillDimensionQuery),
    responses((status = 200, body = BillDimension), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn own_dimension(
    State(app): State<App>,
    key: ApiKey,
    Query(query): Query<BillDimensionQuery>,
) -> Result<Json<BillDimension>, Problem> {
    super::by_dimension(&app, key.0.tenant, key.0.subscription, &query).await.map(Json)
}

/// Usage and cost of a meter in a subscription's billing period, by a dimension, for staff
#[utoipa::path(get,
    path = "/api/v1/admin/tenants/{tenant}/subscriptions/{subscription}/bill/dimensions",
    tag = "Billing", operation_id = "showBillDimension",
    params(("tenant" = String, Path), ("subscription" = SubscriptionId, Path), BillDimensionQuery),
    responses((status = 200, body = BillDimension), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn show_dimension(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    PathSubscription(id): PathSubscription,
    Query(query): Query<BillDimensionQuery>,
) -> Result<Json<BillDimension>, Problem> {
    super::by_dimension(&app, tenant.id(), id, &query).await.map(Json)
}
