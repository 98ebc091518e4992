//! `/portal/plans`: what the caller's usage would have cost on each plan.

use askama::Template;
use axum::{extract::State, response::Response};

use super::{
    frame::{Frame, Section},
    session::KeyUser,
};
use crate::{
    App,
    http::Problem,
    products, subscriptions,
    web::{
        frame::page,
        pages::plans::{self, Comparison},
        words,
    },
};

#[derive(Template)]
#[template(path = "portal/plans.html")]
struct PlansPage {
    frame: Frame,
    contact: String,
    comparison: Comparison,
}

/// `GET /portal/plans`
pub(super) async fn show(
    State(app): State<App>,
    KeyUser { visitor, key }: KeyUser,
) -> Result<Response, Problem> {
    let (tenant, id) = (visitor.tenant.id, key.subscription);
    let subscription = subscriptions::read(&app, tenant, id).await?;
    let catalog = products::catalog(&app, subscription.catalog_version_id).await?;
    let product = &catalog.product;
    let zone = words::zone(&visitor.tenant.time_zone);
    page(&PlansPage {
        frame: Frame::new(&visitor, product, Section::Plans),
        contact: product.sales_contact.clone(),
        comparison: plans::comparison(&app, tenant, id, product, &zone).await?,
    })
}
