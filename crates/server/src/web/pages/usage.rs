//! `/console/tenants/{tenant}/usage`: quotas, the bill so far, its cost by day and
//! by dimension, and each meter by day.

use askama::Template;
use axum::{extract::State, response::Response};
use tenure_api::usage::MeterSummary;
use tenure_core::SubscriptionStatus;

use super::{
    bill::{self, BillCard},
    costs::{self, CostCard, DimensionCard, UsageQuery, Whose},
    tenant::{Head, Tab, open, plan_name},
};
use crate::{
    App,
    http::{Problem, Query},
    products,
    tenants::api::PathTenant,
    usage,
    web::{
        chart::{self, Chart},
        frame::{Frame, page},
        quota_notices::{self, Held, QuotaNotice, QuotaRow},
        session::SignedIn,
        words,
    },
};

/// Days that a chart shows.
const DAYS: u16 = 30;
/// Subscriptions shown.
const SHOWN_MAX: usize = 20;

struct Metered {
    title: String,
    zone: String,
    id: String,
    quota_notices: Vec<QuotaNotice>,
    quotas: Vec<QuotaRow>,
    bill: Option<BillCard>,
    cost: CostCard,
    dimensions: Vec<DimensionCard>,
    charts: Vec<Chart>,
}

#[derive(Template)]
#[template(path = "console/tenant-usage.html")]
struct UsagePage {
    frame: Frame,
    head: Head,
    subscriptions: Vec<Metered>,
}

/// `GET /console/tenants/{tenant}/usage`
pub(in crate::web) async fn show(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
    Query(query): Query<UsageQuery>,
) -> Result<Response, Problem> {
    let opened = open(&app, &signed_in, tenant, Tab::Usage).await?;
    let tenant = opened.tenant.id;
    let zone = words::zone(&opened.tenant.time_zone);
    let mut subscriptions = Vec::new();
    for subscription in opened.subscriptions.iter().take(SHOWN_MAX) {
        let found = usage::summary(&app, tenant, subscription.id, DAYS).await?;
        let open = subscription.status != SubscriptionStatus::Cancelled;
        let bill = match open {
            true => Some(bill::card(&app, tenant, subscription.id, &zone).await?),
            false => None,
        };
        let plan = plan_name(&app, subscription).await?;
        let catalog = products::catalog(&app, subscription.catalog_version_id).await?;
        let held = Held {
            product: &catalog.product,
            plan: &subscription.plan,
            model: subscription.model,
            zone: &zone,
            compare: format!(
                "/console/tenants/{}/subscriptions/{}/plans",
                opened.head.slug, subscription.id
            ),
        };
        let whose = Whose { tenant, subscription: subscription.id, zone: &zone, is_staff: true };
        subscriptions.push(Metered {
            id: subscription.id.to_string(),
            quota_notices: match open {
                true => quota_notices::notices(&found, &held),
                false => Vec::new(),
            },
            quotas: quota_notices::rows(&found, &zone),
            cost: costs::card(&app, &whose, query.at).await?,
            dimensions: costs::dimensions(&app, &whose, &catalog.product, &query).await?,
            title: format!("{} {plan}", opened.frame.mark(&subscription.product).name),
            zone: found.time_zone,
            bill,
            charts: found.meters.into_iter().map(meter_chart).collect(),
        });
    }
    page(&UsagePage { subscriptions, frame: opened.frame, head: opened.head })
}

/// A meter by day.
pub(in crate::web) fn meter_chart(meter: MeterSummary) -> Chart {
    let window = match meter.window.per.as_str() {
        "day" => "today",
        "month" => "this calendar month",
        _ => "this billing period",
    };
    let used = words::number(meter.used.round_dp(2));
    let note = match meter.limit {
        Some(limit) => format!("{used} of {} {window}", words::number(limit.value())),
        None => format!("{used} {window}, unlimited"),
    };
    let daily = meter.limit.filter(|_| meter.window.per == "day");
    let days = meter.daily.iter().map(|day| chart::Day {
        label: day.date.strftime("%-d %b").to_string(),
        values: vec![day.quantity],
    });
    Chart::new(chart::Data {
        note,
        days: days.collect(),
        series: vec![chart::Series { name: meter.name.clone(), class: "s1" }],
        title: meter.name,
        unit: meter.unit,
        each: "day",
        limit: daily.map(|limit| limit.value()),
        tall: false,
        currency: None,
        is_running: true,
    })
}
