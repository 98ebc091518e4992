//! `/portal/usage`: what the subscription of an API key used, and what it costs
//! so far.

use askama::Template;
use axum::{extract::State, response::Response};

use super::{
    frame::{Frame, Section},
    session::KeyUser,
};
use crate::{
    App,
    http::Problem,
    products, subscriptions, usage,
    web::{
        chart::Chart,
        frame::page,
        pages::{
            bill::{self, BillCard},
            usage::meter_chart,
        },
        words,
    },
};

/// Days that a chart shows.
const DAYS: u16 = 30;

#[derive(Template)]
#[template(path = "portal/usage.html")]
struct UsagePage {
    frame: Frame,
    plan: String,
    model: &'static str,
    model_class: &'static str,
    zone: String,
    bill: BillCard,
    charts: Vec<Chart>,
}

/// `GET /portal/usage`
pub(super) async fn show(
    State(app): State<App>,
    KeyUser { visitor, key }: KeyUser,
) -> Result<Response, Problem> {
    let (tenant, id) = (visitor.tenant.id, key.subscription);
    let subscription = subscriptions::read(&app, tenant, id).await?;
    let catalog = products::catalog_of(&app, &subscription).await?;
    let product = &catalog.product;
    let used = usage::summary(&app, tenant, id, DAYS).await?;
    let zone = words::zone(&visitor.tenant.time_zone);
    let plan = product.plan(&subscription.plan);
    page(&UsagePage {
        frame: Frame::new(&visitor, product, Section::Usage),
        plan: plan.map_or_else(|| subscription.plan.clone(), |plan| plan.name.clone()),
        model: words::model(subscription.model),
        model_class: subscription.model.word(),
        zone: used.time_zone,
        bill: bill::card(&app, tenant, id, &zone).await?,
        charts: used.meters.into_iter().map(meter_chart).collect(),
    })
}
