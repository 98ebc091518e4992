//! `/console/tenants/{tenant}/usage`: the bill so far and each meter by day.

use askama::Template;
use axum::{extract::State, response::Response};
use tenure_api::usage::MeterSummary;
use tenure_core::SubscriptionStatus;

use super::{
    bill::{self, BillCard},
    tenant::{Head, Tab, open, plan_name},
};
use crate::{
    App,
    http::Problem,
    tenants::api::PathTenant,
    usage,
    web::{
        chart::{self, Chart},
        frame::{Frame, page},
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
    bill: Option<BillCard>,
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
        subscriptions.push(Metered {
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
        limit: daily.map(|limit| limit.value()),
        tall: false,
    })
}
