//! `/portal/usage`: what the subscription of an API key used, how its quotas stand,
//! and what it costs, by day and by dimension.

use askama::Template;
use axum::{extract::State, response::Response};

use super::{
    frame::{Frame, Section},
    session::KeyUser,
};
use crate::{
    App,
    http::{Problem, Query},
    products, subscriptions, usage,
    web::{
        chart::Chart,
        frame::page,
        pages::{
            bill::{self, BillCard},
            costs::{self, CostCard, DimensionCard, UsageQuery, Whose},
            usage::meter_chart,
        },
        quota_notices::{self, Held, QuotaNotice, QuotaRow},
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
    quota_notices: Vec<QuotaNotice>,
    quotas_id: String,
    quotas: Vec<QuotaRow>,
    bill: BillCard,
    cost: CostCard,
    dimensions: Vec<DimensionCard>,
    charts: Vec<Chart>,
}

/// `GET /portal/usage`
pub(super) async fn show(
    State(app): State<App>,
    KeyUser { visitor, key }: KeyUser,
    Query(query): Query<UsageQuery>,
) -> Result<Response, Problem> {
    let (tenant, id) = (visitor.tenant.id, key.subscription);
    let subscription = subscriptions::read(&app, tenant, id).await?;
    let catalog = products::catalog_of(&app, &subscription).await?;
    let product = &catalog.product;
    let used = usage::summary(&app, tenant, id, DAYS).await?;
    let zone = words::zone(&visitor.tenant.time_zone);
    let plan = product.plan(&subscription.plan);
    let held = Held {
        product,
        plan: &subscription.plan,
        model: subscription.model,
        zone: &zone,
        compare: "/portal/plans".to_owned(),
    };
    let whose = Whose { tenant, subscription: id, zone: &zone, is_staff: false };
    page(&UsagePage {
        quota_notices: quota_notices::notices(&used, &held),
        quotas_id: id.to_string(),
        quotas: quota_notices::rows(&used, &zone),
        cost: costs::card(&app, &whose, query.at).await?,
        dimensions: costs::dimensions(&app, &whose, product, &query).await?,
        frame: Frame::new(&visitor, product, Section::Usage),
        plan: plan.map_or_else(|| subscription.plan.clone(), |plan| plan.name.clone()),
        model: words::model(subscription.model),
        model_class: subscription.model.word(),
        zone: used.time_zone,
        bill: bill::card(&app, tenant, id, &zone).await?,
        charts: used.meters.into_iter().map(meter_chart).collect(),
    })
}
