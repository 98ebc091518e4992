//! The console, pages for the vendor's staff, and the portal, pages for its
//! customers.
//!
//! Owns: signing in with a credential or key, the frame around every page, the
//! charts, the overview, and how problems look in a browser.
//! Refuses: logic of its own. A page calls the operations that the JSON API
//! calls and turns their answers into a view model, a struct a page; what it
//! changes goes through forms that carry the session's token.
//!
//! Everything works without JavaScript: `console.js` only remembers the theme
//! and copies text.

mod assets;
mod chart;
mod db;
mod errors;
mod form;
mod frame;
mod icons;
mod invoice;
mod license;
pub mod overview;
mod pages;
mod portal;
mod quota_notices;
mod session;
mod sign_in_limit;
mod upload;
mod words;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderValue, header},
    middleware,
    response::Response,
    routing::{any, get, post},
};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{App, http::Problem};
use pages::{
    actions, analytics, deployments, files, invoices, licenses, overview as start, plans, products,
    sign_in, subscription, tenant, tenants, try_file, usage,
};
use sign_in_limit::SignInLimit;

/// What the footer names.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Largest form, in bytes.
const FORM_BYTES_MAX: usize = 16 * 1024;

/// Nothing but our own files; no inline script or style, no frame around us.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Every page and asset.
pub fn routes(app: &App) -> Router<App> {
    let limit = Arc::new(SignInLimit::default());
    Router::new()
        .route("/", get(start::root))
        .route("/console", get(start::show))
        .route("/console/sign-in", get(sign_in::show).post(sign_in::submit))
        .route("/console/sign-out", post(sign_in::sign_out))
        .route("/console/tenants", get(tenants::list))
        .route("/console/tenants/{tenant}", get(subscription::summary))
        .route("/console/tenants/{tenant}/usage", get(usage::show))
        .route("/console/tenants/{tenant}/deployments", get(deployments::show))
        .route("/console/tenants/{tenant}/access", get(tenant::access))
        .route("/console/tenants/{tenant}/audit", get(tenant::audit))
        .route(
            "/console/tenants/{tenant}/suspend",
            get(actions::confirm_suspend).post(actions::suspend),
        )
        .route(
            "/console/tenants/{tenant}/resume",
            get(actions::confirm_resume).post(actions::resume),
        )
        .route(
            "/console/tenants/{tenant}/subscriptions/{subscription}/cancel",
            get(actions::confirm_cancel).post(actions::cancel),
        )
        .route("/console/tenants/{tenant}/subscriptions/{subscription}/plans", get(plans::show))
        .route(
            "/console/tenants/{tenant}/keys/new",
            get(actions::new_key).post(actions::create_key),
        )
        .route(
            "/console/tenants/{tenant}/keys/{key}/revoke",
            get(actions::confirm_revoke).post(actions::revoke_key),
        )
        .merge(license_routes())
        .merge(invoices::routes())
        .route(
            "/console/files",
            get(files::show)
                .post(files::submit)
                .layer(DefaultBodyLimit::max(upload::UPLOAD_BYTES_MAX)),
        )
        .route("/console/analytics", get(analytics::show))
        .route("/console/products", get(products::list))
        .route("/console/products/{product}", get(products::show))
        .route("/console/products/{product}/versions/{version}", get(products::source))
        .route(
            "/console/products/{product}/try",
            get(try_file::show)
                .post(try_file::submit)
                .layer(DefaultBodyLimit::max(upload::UPLOAD_BYTES_MAX)),
        )
        .route("/console/{*rest}", any(missing))
        .layer(axum::Extension(limit))
        .merge(portal::routes())
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(CatchPanicLayer::custom(|_| {
            axum::response::IntoResponse::into_response(Problem::internal("a page panicked"))
        }))
        .layer(middleware::from_fn_with_state(app.clone(), errors::as_pages))
        .layer(middleware::map_response(harden))
        .route("/assets/{name}", get(assets::serve))
}

/// A tenant's licenses.
fn license_routes() -> Router<App> {
    use licenses::{actions, convert, instances};
    let pages = Router::new()
        .route("/", get(licenses::list))
        .route("/issue", get(actions::issue).post(actions::submit_issue))
        .route("/{license}", get(licenses::show))
        .route("/{license}/file", get(licenses::file))
        .route("/{license}/renew", get(actions::renew).post(actions::submit_renew))
        .route("/{license}/convert", get(convert::show).post(convert::submit))
        .route("/{license}/revoke", get(actions::confirm_revoke).post(actions::revoke))
        .route("/{license}/key", get(actions::confirm_key).post(actions::show_key))
        .route(
            "/{license}/instances/{instance}/release",
            get(instances::release).post(instances::submit_release),
        )
        .route(
            "/{license}/instances/{instance}/restore",
            get(instances::confirm_restore).post(instances::restore),
        )
        .route("/{license}/instances/{instance}/file", get(instances::file))
        .route("/{license}/reports/{report}/receipt", get(instances::receipt));
    Router::new().nest("/console/tenants/{tenant}/licenses", pages)
}

/// A path that no page has; strangers are asked to sign in first.
async fn missing(_signed_in: session::SignedIn) -> Problem {
    Problem::not_found("page")
}

async fn wrong_method() -> Problem {
    Problem::new(
        axum::http::StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "This page cannot be used like that",
        "Go back and use the buttons of the page.",
    )
}

/// What every page tells the browser.
async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
