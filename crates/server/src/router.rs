//! Every mount, in one place.

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http_body_util::Limited;
use tenure_core::RequestId;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App, analytics, billing, deployments, flags, health, http::Problem, identity, installation,
    licensing, offboarding, products, quotas, reference, simulation, subscriptions, tenants, trail,
    usage, web,
};

/// Largest body of any operation, in bytes; most have a smaller limit.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tenure",
        description = "One product definition, sold as managed SaaS, on the customer's infrastructure, \
                       self-hosted and air-gapped.\n\nErrors are RFC 9457 problem details. Operations that \
                       make something accept an `Idempotency-Key`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    modifiers(&Credentials),
    security(("bearer" = []))
)]
struct Document;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A vendor credential (`tenv_...`) or a tenant's API key."))
            .build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let header = ApiKey::Header(ApiKeyValue::new("X-API-Key"));
        components.add_security_scheme("apiKey", SecurityScheme::ApiKey(header));
    }
}

/// The JSON API with its description.
fn api() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        // Health
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        // Installation and credentials
        .routes(routes!(installation::api::read, installation::api::advance))
        .routes(routes!(identity::api::list, identity::api::create))
        .routes(routes!(identity::api::revoke))
        // Products and sellers
        .routes(routes!(products::api::list, products::api::load))
        .routes(routes!(products::api::show))
        .routes(routes!(products::api::versions))
        .routes(routes!(products::api::source))
        .routes(routes!(simulation::api::file))
        .routes(routes!(simulation::api::plans))
        .routes(routes!(simulation::api::own))
        // Analytics
        .routes(routes!(analytics::api::revenue))
        .routes(routes!(analytics::api::tenants))
        .routes(routes!(analytics::api::quotas))
        .routes(routes!(products::signing::api::jwks))
        .routes(routes!(products::signing::api::list, products::signing::api::create))
        .routes(routes!(products::signing::api::rotate))
        .routes(routes!(products::signing::api::withdraw))
        .routes(routes!(products::signing::api::export))
        .routes(routes!(products::signing::api::import))
        .routes(routes!(products::api::sellers, products::api::create_seller))
        .routes(routes!(products::api::update_seller))
        // Tenants
        .routes(routes!(tenants::api::create_client))
        .routes(routes!(tenants::api::list, tenants::api::create))
        .routes(routes!(tenants::api::show, tenants::api::update))
        .routes(routes!(tenants::api::suspend))
        .routes(routes!(tenants::api::resume))
        .routes(routes!(tenants::api::cancel))
        .routes(routes!(tenants::api::settings, tenants::api::replace_settings))
        .routes(routes!(tenants::api::units, tenants::api::create_unit))
        .routes(routes!(tenants::api::update_unit, tenants::api::delete_unit))
        .routes(routes!(tenants::api::accounts, tenants::api::create_account))
        .routes(routes!(tenants::api::update_account))
        .routes(routes!(tenants::api::own))
        // Subscriptions, contracts, entitlements, API keys
        .routes(routes!(subscriptions::api::list, subscriptions::api::create))
        .routes(routes!(subscriptions::api::show))
        .routes(routes!(subscriptions::api::activate))
        .routes(routes!(subscriptions::api::past_due))
        .routes(routes!(subscriptions::api::suspend))
        .routes(routes!(subscriptions::api::cancel))
        .routes(routes!(subscriptions::api::move_plan))
        .routes(routes!(subscriptions::api::set_item))
        .routes(routes!(subscriptions::api::contracts, subscriptions::api::create_contract))
        .routes(routes!(subscriptions::api::end_contract))
        .routes(routes!(subscriptions::api::show_entitlements))
        .routes(routes!(subscriptions::api::own_entitlements))
        .routes(routes!(subscriptions::keys_api::list, subscriptions::keys_api::create))
        .routes(routes!(subscriptions::keys_api::rotate))
        .routes(routes!(subscriptions::keys_api::revoke))
        // Export, import, deletion
        .routes(routes!(offboarding::api::export))
        .routes(routes!(offboarding::api::import))
        .routes(routes!(offboarding::api::delete))
        // Deployments and licenses
        .routes(routes!(deployments::api::list, deployments::api::create))
        .routes(routes!(deployments::api::show, deployments::api::update))
        .routes(routes!(deployments::api::retire))
        .routes(routes!(deployments::api::record_resources))
        .routes(routes!(deployments::api::env))
        .routes(routes!(licensing::api::list, licensing::api::issue))
        .routes(routes!(licensing::api::show))
        .routes(routes!(licensing::api::file))
        .routes(routes!(licensing::api::reveal))
        .routes(routes!(licensing::api::renew))
        .routes(routes!(licensing::api::revoke))
        .routes(routes!(licensing::api::convert))
        .routes(routes!(licensing::reports::api::report))
        .routes(routes!(licensing::reports::api::list))
        .routes(routes!(licensing::files::api::exchange))
        .routes(routes!(licensing::files::api::exchange_own))
        .routes(routes!(licensing::instances::api::list))
        .routes(routes!(licensing::instances::api::release))
        .routes(routes!(licensing::instances::api::restore))
        .routes(routes!(licensing::instances::api::high_water))
        .routes(routes!(licensing::instances::api::attention))
        // The license service
        .routes(routes!(licensing::service::api::activate))
        .routes(routes!(licensing::service::api::heartbeat))
        .routes(routes!(licensing::service::api::release))
        .routes(routes!(licensing::service::api::validate))
        .routes(routes!(licensing::revocation::api::published))
        // Usage, bills, flags
        .routes(routes!(usage::api::record))
        .routes(routes!(usage::api::producer))
        .routes(routes!(usage::api::own_summary))
        .routes(routes!(usage::api::summary))
        // Quotas
        .routes(routes!(quotas::api::own))
        .routes(routes!(quotas::api::show))
        .routes(routes!(quotas::api::reserve))
        .routes(routes!(quotas::api::commit))
        .routes(routes!(quotas::api::release))
        .routes(routes!(quotas::api::consume))
        .routes(routes!(quotas::slices_api::slice))
        .routes(routes!(usage::api::own_refused))
        .routes(routes!(usage::api::refused_of))
        .routes(routes!(usage::api::rebuild))
        .routes(routes!(usage::api::own_series))
        .routes(routes!(usage::api::series_of))
        .routes(routes!(billing::api::own))
        .routes(routes!(billing::api::show))
        .routes(routes!(billing::days::api::own))
        .routes(routes!(billing::days::api::show))
        .routes(routes!(billing::days::api::own_dimension))
        .routes(routes!(billing::days::api::show_dimension))
        // Invoices
        .routes(routes!(billing::invoices::api::list))
        .routes(routes!(billing::invoices::api::csv))
        .routes(routes!(billing::invoices::totals::show))
        .routes(routes!(billing::invoices::api::show))
        .routes(routes!(billing::invoices::api::issue))
        .routes(routes!(billing::invoices::api::pay))
        .routes(routes!(billing::invoices::api::void))
        .routes(routes!(billing::invoices::api::uncollectible))
        .routes(routes!(billing::invoices::api::credit))
        .routes(routes!(billing::invoices::own::list))
        .routes(routes!(billing::invoices::own::show))
        .routes(routes!(billing::invoices::pdf::api::show))
        .routes(routes!(billing::invoices::pdf::api::own))
        .routes(routes!(billing::invoices::pdf::api::note))
        .routes(routes!(billing::invoices::pdf::api::own_note))
        .routes(routes!(billing::evidence::api::explain))
        .routes(routes!(billing::evidence::api::explain_own))
        .routes(routes!(billing::evidence::api::export))
        .routes(routes!(billing::evidence::api::export_own))
        .routes(routes!(billing::credits::api::list, billing::credits::api::create))
        .routes(routes!(billing::tax::api::list, billing::tax::api::replace))
        .routes(routes!(billing::runs::api::list, billing::runs::api::start))
        .routes(routes!(billing::runs::api::show))
        .routes(routes!(flags::api::one))
        .routes(routes!(flags::api::all))
        .routes(routes!(flags::api::configuration))
        // Audit
        .routes(routes!(trail::api::vendor))
        .routes(routes!(trail::api::verify_vendor))
        .routes(routes!(trail::api::tenant))
        .routes(routes!(trail::api::verify_tenant))
}

/// The description of the API (OpenAPI 3.1).
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = api().into_openapi();
    reference::complete(&mut document);
    document
}

/// Everything the server answers.
pub fn router(app: App) -> Router {
    let (api, mut document) = api().split_for_parts();
    reference::complete(&mut document);
    let text = document.to_pretty_json().unwrap_or_default();
    let page = reference::page(&serde_json::from_str(&text).unwrap_or_default());
    let text: axum::body::Bytes = text.into();
    let document = move || async move { ([(header::CONTENT_TYPE, "application/json")], text) };
    let page: axum::body::Bytes = page.into();
    let page = move || async move { ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page) };
    api.route("/openapi.json", axum::routing::get(document))
        .route("/docs/api", axum::routing::get(page))
        .merge(web::routes(&app))
        .fallback(|| async { Problem::not_found("operation") })
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(|_| Problem::internal("a handler panicked").into_response()))
        .layer(middleware::from_fn(limit_body))
        .layer(middleware::from_fn_with_state(app.clone(), finish))
        .with_state(app)
}

/// Refuses bodies that say they are too large, and cuts those that do not say.
async fn limit_body(request: Request, next: Next) -> Response {
    let limit = match request.uri().path() {
        offboarding::api::IMPORTS => usize::try_from(offboarding::ARCHIVE_BYTES_MAX),
        _ => Ok(REQUEST_BYTES_MAX),
    };
    let limit = limit.unwrap_or(usize::MAX);
    let said = request.headers().get(header::CONTENT_LENGTH);
    let said = said.and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    if said.is_some_and(|length: usize| length > limit) {
        let detail = format!("The body is larger than {limit} bytes.");
        return Problem::too_large(detail).into_response();
    }
    next.run(request.map(|body| axum::body::Body::new(Limited::new(body, limit)))).await
}

async fn method_not_allowed() -> Problem {
    Problem::new(
        axum::http::StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "This operation has another method",
        "See /openapi.json for the methods of each path.",
    )
}

/// Gives every request an id, counts it, and writes the id into problems.
async fn finish(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let id = RequestId::new(app.now());
    request.extensions_mut().insert(id);
    let mut response = next.run(request).await;
    app.metrics()
        .requests
        .get_or_create(&health::StatusClass { class: response.status().as_u16() / 100 })
        .inc();
    if let Some(mut problem) = response.extensions_mut().remove::<Problem>() {
        problem.instance = Some(id.to_string());
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = axum::body::Body::from(body);
    }
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}
