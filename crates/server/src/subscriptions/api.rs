//! `/api/v1/admin/tenants/{tenant}/subscriptions` and `/api/v1/entitlements`.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use tenure_core::{ContractId, SubscriptionId, SubscriptionStatus};
use utoipa::ToSchema;

use super::{
    NewSubscription, Subscription,
    contracts::{ContractRecord, NewContract},
    entitlements,
    items::SetItem,
};
use crate::{
    App,
    app::Resolved,
    call::Actor,
    http::{Json, PathId, Problem},
    idempotency::Keyed,
    identity::{Admin, Staff},
    licensing::{self, service::Customer},
    tenants::api::PathTenant,
};

/// Every subscription of a tenant.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Subscriptions {
    /// Newest first.
    pub items: Vec<Subscription>,
}

/// A plan to move to.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MovePlan {
    /// Id of the plan; the present one when absent, on the newest version's terms.
    #[schema(example = "enterprise")]
    pub plan: Option<String>,
}

/// Every contract of a subscription.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Contracts {
    /// Oldest first.
    pub items: Vec<ContractRecord>,
}

/// The second id of a path that names a contract behind a subscription.
pub struct PathSubscription(pub SubscriptionId);

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for PathSubscription {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        state: &S,
    ) -> Result<Self, Problem> {
        let missing = || Problem::not_found("subscription");
        let axum::extract::Path(all) =
            axum::extract::Path::<Vec<(String, String)>>::from_request_parts(parts, state)
                .await
                .map_err(|_| missing())?;
        let named = all.iter().find(|(name, _)| name == "subscription").ok_or_else(missing)?;
        named.1.parse().map(Self).map_err(|_| missing())
    }
}

/// List subscriptions
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/subscriptions", tag = "Subscriptions",
    operation_id = "listSubscriptions", params(("tenant" = String, Path)),
    responses((status = 200, body = Subscriptions), (status = 404, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
) -> Result<Json<Subscriptions>, Problem> {
    Ok(Json(Subscriptions { items: super::list(&app, tenant.id()).await? }))
}

/// Sell a plan to a tenant
///
/// Also makes the first deployment, in the subscription's model.
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/subscriptions", tag = "Subscriptions",
    operation_id = "createSubscription", params(("tenant" = String, Path)),
    request_body(content = NewSubscription, example = json!({"product": "kg-rca", "plan": "pro"})),
    responses((status = 201, body = Subscription), (status = 404, body = Problem),
              (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    request: Keyed<NewSubscription>,
) -> Result<Response, Problem> {
    let (server, id) = (app.clone(), tenant.id());
    request
        .answer(&app, actor, StatusCode::CREATED, async move |call, body| {
            super::create(&server, &call, id, body).await
        })
        .await
}

/// Show a subscription
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/subscriptions/{subscription}", tag = "Subscriptions",
    operation_id = "showSubscription", params(("tenant" = String, Path), ("subscription" = SubscriptionId, Path)),
    responses((status = 200, body = Subscription), (status = 404, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    PathSubscription(id): PathSubscription,
) -> Result<Json<Subscription>, Problem> {
    super::read(&app, tenant.id(), id).await.map(Json)
}

async fn transition(
    app: App,
    actor: Actor,
    tenant: PathTenant,
    id: SubscriptionId,
    to: SubscriptionStatus,
) -> Result<Json<Subscription>, Problem> {
    let call = app.call(actor);
    super::transition(&app, &call, tenant.id(), id, to).await.map(Json)
}

/// Activate a subscription: a trial that is bought, a suspended or overdue one that is settled
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/subscriptions/{subscription}/activate",
    tag = "Subscriptions", operation_id = "activateSubscription",
    params(("tenant" = String, Path), ("subscription" = SubscriptionId, Path)),
    responses((status = 200, body = Subscription), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn activate(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathSubscription(id): PathSubscription,
) -> Result<Json<Subscription>, Problem> {
    transition(app, actor, tenant, id, SubscriptionStatus::Active).await
}

/// Note that a payment failed; the subscription stays in use
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/subscriptions/{subscription}/past-due",
    tag = "Subscriptions", operation_id = "markPastDue",
    params(("tenant" = String, Path), ("subscription" = SubscriptionId, Path)),
    responses((status = 200, body = Subscription), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn past_due(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathSubscription(id): PathSubscription,
) -> Result<Json<Subscription>, Problem> {
    transition(app, actor, tenant, id, SubscriptionStatus::PastDue).await
}

/// Withhold access from a subscription
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/subscriptions/{subscription}/suspend",
    tag = "Subscriptions", operation_id = "suspendSubscription",
    params(("tenant" = String, Path), ("subscription" = SubscriptionId, Path)),
    responses((status = 200, body = Subscription), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn suspend(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathSubscription(id): PathSubscription,
) -> Result<Json<Subscription>, Problem> {
    transition(app, actor, tenant, id, SubscriptionStatus::Suspended).await
}

/// End a subscription
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/subscriptions/{subscription}/cancel",
    tag = "Subscriptions", operation_id = "cancelSubscription",
    params(("tenant" = String, Path), ("subscription" = SubscriptionId, Path)),
    responses((status = 200, body = Subscription), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn cancel(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathSubscription(id): PathSubscription,
) -> Result<Json<Subscription>, Problem> {
    transition(app, actor, tenant, id, SubscriptionStatus::Cancelled).await
}

/// Move a subscription to another plan, or to the newest version's terms
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/subscriptions/{subscription}/move",
    tag = "Subscriptions", operation_id = "moveSubscription",
    params(("tenant" = String, Path), ("subscription" = SubscriptionId, Path)), request_body = MovePlan,
    responses((status = 200, body = Subscription), (status = 404, body = Problem),
              (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn move_plan(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathSubscription(id): PathSubscription,
    Json(body): Json<MovePlan>,
) -> Result<Json<Subscription>, Problem> {
    let call = app.call(actor);
    super::move_to_plan(&app, &call, tenant.id(), id, body.plan.as_deref()).await.map(Json)
}

/// Set how much of a charge a subscription holds, from a moment on
#[utoipa::path(put, path = "/api/v1/admin/tenants/{tenant}/subscriptions/{subscription}/items",
    tag = "Subscriptions", operation_id = "setItem",
    params(("tenant" = String, Path), ("subscription" = SubscriptionId, Path)),
    request_body(content = SetItem, example = json!({"charge": "seats", "quantity": "25"})),
    responses((status = 200, body = Subscription), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn set_item(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathSubscription(id): PathSubscription,
    request: Keyed<SetItem>,
) -> Result<Response, Problem> {
    let (server, tenant) = (app.clone(), tenant.id());
    request
        .answer(&app, actor, StatusCode::OK, async move |call, body| {
            super::items::set(&server, &call, tenant, id, body).await
        })
        .await
}

/// List a subscription's contracts
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/subscriptions/{subscription}/contracts",
    tag = "Subscriptions", operation_id = "listContracts",
    params(("tenant" = String, Path), ("subscription" = SubscriptionId, Path)),
    responses((status = 200, body = Contracts), (status = 404, body = Problem)))]
pub async fn contracts(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    PathSubscription(id): PathSubscription,
) -> Result<Json<Contracts>, Problem> {
    Ok(Json(Contracts { items: super::contracts::list(&app, tenant.id(), id).await? }))
}

/// Add a contract: negotiated prices, limits, features, discounts
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/subscriptions/{subscription}/contracts",
    tag = "Subscriptions", operation_id = "createContract",
    params(("tenant" = String, Path), ("subscription" = SubscriptionId, Path)),
    request_body(content = NewContract, example = json!({
        "reason": "Quote Q-2026-118", "approver": "cfo@vendor.example",
        "changes": {"prices": [{"charge": "base", "amount": "180000"}],
                    "limits": [{"limit": "teams", "included": "40"}]}})),
    responses((status = 201, body = ContractRecord), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn create_contract(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathSubscription(id): PathSubscription,
    request: Keyed<NewContract>,
) -> Result<Response, Problem> {
    let (server, tenant) = (app.clone(), tenant.id());
    request
        .answer(&app, actor, StatusCode::CREATED, async move |call, body| {
            super::contracts::create(&server, &call, tenant, id, body).await
        })
        .await
}

/// End a contract now
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/subscriptions/{subscription}/contracts/{contract}/end",
    tag = "Subscriptions", operation_id = "endContract",
    params(("tenant" = String, Path), ("subscription" = SubscriptionId, Path), ("contract" = ContractId, Path)),
    responses((status = 200, body = ContractRecord), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn end_contract(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathSubscription(subscription): PathSubscription,
    PathId(contract): PathId<ContractId>,
) -> Result<Json<ContractRecord>, Problem> {
    let call = app.call(actor);
    let id = tenant.id();
    super::contracts::end(&app, &call, id, subscription, contract).await.map(Json)
}

/// What a subscription may do now, for staff
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/subscriptions/{subscription}/entitlements",
    tag = "Subscriptions", operation_id = "showEntitlements",
    params(("tenant" = String, Path), ("subscription" = SubscriptionId, Path)),
    responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub async fn show_entitlements(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    PathSubscription(id): PathSubscription,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Ok(answer(&*entitlements::read(&app, tenant.id(), id).await?, &headers))
}

/// What the caller's subscription may do now
///
/// Features, limits with what happens past them, values, support, rate limit. With a license key or
/// token as the bearer also `tier` and the `max_...` of licenses (-1: unlimited).
/// Send `If-None-Match` with the last `ETag` to be told 304 while nothing changed.
/// While the tenant or its subscription is suspended or has ended, 403 with the type
/// `urn:tenure:problem:access-withheld`.
#[utoipa::path(get, path = "/api/v1/entitlements", tag = "Tenant", operation_id = "ownEntitlements",
    responses((status = 200, body = Object), (status = 304, description = "Nothing changed")))]
pub async fn own_entitlements(
    State(app): State<App>,
    customer: Customer,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let principal = match customer {
        Customer::Key(principal) => principal,
        Customer::License(holder) => {
            return licensing::service::entitlements(&app, holder, &headers).await;
        }
    };
    let resolved = entitlements::read(&app, principal.tenant, principal.subscription).await?;
    if let Some(detail) = &resolved.withheld {
        let status = StatusCode::FORBIDDEN;
        return Err(Problem::new(status, "access-withheld", "Access is withheld", detail.clone()));
    }
    Ok(answer(&resolved, &headers))
}

fn answer(resolved: &Resolved, headers: &HeaderMap) -> Response {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let tag = [(header::ETAG, resolved.etag.as_str())];
    if known.is_some_and(|known| known.split(',').any(|tag| tag.trim() == resolved.etag)) {
        return (StatusCode::NOT_MODIFIED, tag).into_response();
    }
    (tag, [(header::CONTENT_TYPE, "application/json")], resolved.body.clone()).into_response()
}
