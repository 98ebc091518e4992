//! The portal: pages for customers, opened with a license key or an API key.
//!
//! Owns: signing in, the frame around its pages, and what a key's holder sees
//! and does. Refuses: anything that the key does not open. No page takes the id
//! of a tenant, license or subscription from the address: the session says which,
//! and ids of instances and reports are looked for inside it.

mod files;
mod frame;
mod invoices;
mod license;
mod plans;
mod session;
mod sign_in;
mod usage;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{any, get, post},
};

use super::{sign_in_limit::SignInLimit, upload};
use crate::{App, http::Problem};

/// Every page of the portal.
pub(super) fn routes() -> Router<App> {
    let limit = Arc::new(SignInLimit::default());
    Router::new()
        .route("/portal", get(license::start))
        .route("/portal/sign-in", get(sign_in::show).post(sign_in::submit))
        .route("/portal/sign-out", post(sign_in::sign_out))
        .route("/portal/license.lic", get(license::file))
        .route("/portal/instances", get(license::instances))
        .route("/portal/instances/{instance}/file", get(license::instance_file))
        .route("/portal/reports", get(license::reports))
        .route("/portal/reports/{report}/receipt", get(license::receipt))
        .route(
            "/portal/files",
            get(files::show)
                .post(files::submit)
                .layer(DefaultBodyLimit::max(upload::UPLOAD_BYTES_MAX)),
        )
        .route("/portal/usage", get(usage::show))
        .route("/portal/plans", get(plans::show))
        .route("/portal/invoices", get(invoices::list))
        .route("/portal/invoices/{invoice}", get(invoices::show))
        .route("/portal/invoices/{invoice}/lines/{line}", get(invoices::line))
        .route("/portal/invoices/{invoice}/pdf", get(invoices::pdf))
        .route("/portal/invoices/{invoice}/credit-notes/{note}/pdf", get(invoices::note_pdf))
        .route("/portal/invoices/{invoice}/evidence", get(invoices::evidence))
        .route("/portal/{*rest}", any(missing))
        .layer(axum::Extension(limit))
}

/// A path that no page has; strangers are asked to sign in first.
async fn missing(_visitor: session::Visitor) -> Problem {
    Problem::not_found("page")
}
