//! `/api/v1/admin/analytics`.

use axum::extract::State;

use super::{
    QuotaUse, Revenue, TopTenants,
    model::{QuotaUseQuery, RevenueQuery, TopQuery},
};
use crate::{
    App,
    http::{Json, Problem, Query},
    identity::Staff,
};

/// Revenue by month, and what is under way
///
/// Invoiced by the month of issue; recognised: each invoice spread evenly over its
/// billing period. By currency, before tax.
#[utoipa::path(get, path = "/api/v1/admin/analytics/revenue", tag = "Analytics", operation_id = "showRevenue",
    params(RevenueQuery), responses((status = 200, body = Revenue), (status = 422, body = Problem)))]
pub async fn revenue(
    State(app): State<App>,
    _staff: Staff,
    Query(query): Query<RevenueQuery>,
) -> Result<Json<Revenue>, Problem> {
    super::revenue(&app, query.months).await.map(Json)
}

/// The tenants that bring most, and whose invoices change most
///
/// Growth compares the newest invoice of each subscription with the one before it, both
/// as an amount a month.
#[utoipa::path(get, path = "/api/v1/admin/analytics/tenants", tag = "Analytics", operation_id = "listTopTenants",
    params(TopQuery), responses((status = 200, body = TopTenants), (status = 422, body = Problem)))]
pub async fn tenants(
    State(app): State<App>,
    _staff: Staff,
    Query(query): Query<TopQuery>,
) -> Result<Json<TopTenants>, Problem> {
    super::top_tenants(&app, &query).await.map(Json)
}

/// How much of what plans include is used
///
/// Every subscription counts with its fullest window among those that ended in the last 31
/// days. Who is close may need more; who is far below may leave or take a smaller plan.
#[utoipa::path(get, path = "/api/v1/admin/analytics/quotas", tag = "Analytics", operation_id = "showQuotaUse",
    params(QuotaUseQuery),
    responses((status = 200, body = QuotaUse), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn quotas(
    State(app): State<App>,
    _staff: Staff,
    Query(query): Query<QuotaUseQuery>,
) -> Result<Json<QuotaUse>, Problem> {
    super::quota_use(&app, query.product.as_deref()).await.map(Json)
}
