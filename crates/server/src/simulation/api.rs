//! Trying other terms on real usage.

use axum::{
    body::Body,
    extract::{Path, State},
    http::HeaderMap,
};
use tenure_core::SubscriptionId;

use super::{FileSimulation, PlanSimulation, model::SimulationQuery};
use crate::{
    App,
    http::{Json, Problem, Query},
    identity::{Admin, ApiKey, Staff},
    products,
    subscriptions::api::PathSubscription,
    tenants::api::PathTenant,
};

/// What the caller's usage would have cost on every plan
///
/// The billing periods that are over, rated as if the subscription had been on
/// each plan from the first of them on. What a plan's limits would have refused
/// is told beside its cost.
#[utoipa::path(get, path = "/api/v1/plans/simulation", tag = "Billing", operation_id = "simulateOwnPlans",
    params(SimulationQuery),
    responses((status = 200, body = PlanSimulation), (status = 422, body = Problem),
        (status = 409, body = Problem, description = "No billing period is over yet")))]
pub async fn own(
    State(app): State<App>,
    key: ApiKey,
    Query(query): Query<SimulationQuery>,
) -> Result<Json<PlanSimulation>, Problem> {
    super::plans(&app, key.0.tenant, key.0.subscription, query.periods).await.map(Json)
}

/// What a subscription's usage would have cost on every plan, for staff
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/subscriptions/{subscription}/simulation",
    tag = "Billing", operation_id = "simulatePlans",
    params(("tenant" = String, Path), ("subscription" = SubscriptionId, Path), SimulationQuery),
    responses((status = 200, body = PlanSimulation), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "No billing period is over yet"),
        (status = 422, body = Problem)))]
pub async fn plans(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    PathSubscription(id): PathSubscription,
    Query(query): Query<SimulationQuery>,
) -> Result<Json<PlanSimulation>, Problem> {
    super::plans(&app, tenant.id(), id, query.periods).await.map(Json)
}

/// What a product file would change before it is loaded
///
/// The body is the file (TOML). Subscriptions in use are rated on their present
/// terms and on those of the file, with the usage of the billing periods that
/// are over. Nothing is changed.
#[utoipa::path(post, path = "/api/v1/admin/products/{product}/simulation", tag = "Products",
    operation_id = "simulateProduct",
    params(("product" = String, Path, example = "kg-rca"), SimulationQuery),
    request_body(content = String, content_type = "application/toml"),
    responses((status = 200, body = FileSimulation), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "A meter is redefined"),
        (status = 415, body = Problem), (status = 422, body = Problem)))]
pub async fn file(
    State(app): State<App>,
    _admin: Admin,
    Path(product): Path<String>,
    Query(query): Query<SimulationQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<FileSimulation>, Problem> {
    let source = products::api::read_source(&headers, body).await?;
    super::file(&app, &product, &source, query.periods).await.map(Json)
}
