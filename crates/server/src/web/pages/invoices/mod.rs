//! `/console/invoices`: invoices of all tenants, and each of them.

pub(in crate::web) mod actions;
pub(in crate::web) mod credit;
mod filters;
mod list;
pub(in crate::web) mod runs;
pub(in crate::web) mod show;
mod tenant;

pub(in crate::web) use list::{csv, list};
pub(in crate::web) use tenant::list as of_tenant;

use axum::{Router, routing::get};

use tenure_core::InvoiceId;

use crate::{App, tenants::Tenant, web::words};

/// Every page about invoices for staff.
pub(in crate::web) fn routes() -> Router<App> {
    let of_tenant_routes = Router::new()
        .route("/invoices", get(of_tenant))
        .route("/invoices/{invoice}", get(show::show))
        .route("/invoices/{invoice}/pdf", get(show::pdf))
        .route("/invoices/{invoice}/credit-notes/{note}/pdf", get(show::note_pdf))
        .route("/invoices/{invoice}/evidence", get(show::evidence))
        .route("/invoices/{invoice}/lines/{line}", get(show::line))
        .route("/invoices/{invoice}/{step}", get(actions::ask).post(actions::act))
        .route("/credits/new", get(credit::ask).post(credit::add));
    Router::new()
        .route("/console/invoices", get(list))
        .route("/console/invoices.csv", get(csv))
        .route("/console/invoices/runs", get(runs::list))
        .route("/console/invoices/close", get(runs::ask).post(runs::start))
        .nest("/console/tenants/{tenant}", of_tenant_routes)
}

/// What the paths of a tenant's invoices begin with.
fn base(tenant: &Tenant) -> String {
    format!("/console/tenants/{}/invoices", tenant.slug)
}

/// What stands above a page of one invoice.
fn crumbs(tenant: &Tenant, invoice: Option<(InvoiceId, String)>) -> Vec<(String, String)> {
    let mut crumbs = vec![
        ("/console/invoices".to_owned(), "Invoices".to_owned()),
        (base(tenant), tenant.name.clone()),
    ];
    crumbs.extend(invoice.map(|(id, title)| (format!("{}/{id}", base(tenant)), title)));
    crumbs
}

/// Amounts in several currencies, one after the other.
fn amounts(all: &[tenure_core::Money]) -> String {
    words::total(all)
}
