//! `/console`: what the vendor has, what came in, what needs a look.

use askama::Template;
use axum::{
    extract::State,
    response::{Redirect, Response},
};
use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;
use tenure_catalog::Model;

use crate::{
    App,
    http::Problem,
    web::{
        chart::{self, Chart},
        db,
        frame::{Frame, Mark, Section, page},
        overview::{self, Overview},
        session::SignedIn,
        words,
    },
};

struct Share {
    word: &'static str,
    name: &'static str,
    series: &'static str,
    count: i64,
    x: String,
    width: String,
}

struct ProductLine {
    slug: String,
    name: String,
    subscriptions: String,
    monthly: String,
}

struct Alert {
    tone: &'static str,
    badge: &'static str,
    tenant: String,
    slug: String,
    /// Below the tenant's path.
    tab: String,
    sentence: String,
    when: String,
}

struct Change {
    what: String,
    slug: Option<String>,
    whose: String,
    actor: String,
    when: String,
    datetime: String,
}

#[derive(Template)]
#[template(path = "console/overview.html")]
struct OverviewPage {
    frame: Frame,
    now: String,
    revenue: String,
    revenue_note: String,
    tenants: String,
    tenants_note: String,
    events: String,
    events_note: &'static str,
    alerts: Vec<Alert>,
    more_alerts: bool,
    alerts_note: String,
    chart: Chart,
    models: Vec<Share>,
    products: Vec<ProductLine>,
    changes: Vec<Change>,
}

#[derive(Template)]
#[template(path = "console/first-run.html")]
struct FirstRunPage {
    frame: Frame,
    has_products: bool,
}

/// `GET /`
pub(in crate::web) async fn root() -> Redirect {
    Redirect::to("/console")
}

/// `GET /console`
pub(in crate::web) async fn show(
    State(app): State<App>,
    signed_in: SignedIn,
) -> Result<Response, Problem> {
    let frame = Frame::new(&app, &signed_in, Section::Overview).await?;
    let now = app.now();
    let overview = overview::read(&app, now).await?;
    if overview.by_status.is_empty() {
        let has_products = !frame.products.is_empty();
        return page(&FirstRunPage { frame, has_products });
    }
    page(&view(frame, overview, now))
}

fn view(frame: Frame, overview: Overview, now: Timestamp) -> OverviewPage {
    let total: i64 = overview.by_status.iter().map(|count| count.count).sum();
    let states = ["active", "suspended", "cancelled"].into_iter().filter_map(|word| {
        let found = overview.by_status.iter().find(|count| count.word == word)?;
        Some(format!("{} {word}", words::number(found.count)))
    });
    let events: i64 = overview.events.iter().map(|events| events.events).sum();
    let alerts: Vec<Alert> = overview.alerts.into_iter().map(|found| alert(found, now)).collect();
    let more_alerts = i64::try_from(alerts.len()).unwrap_or(0) >= overview::ALERTS_MAX;
    OverviewPage {
        now: now.to_zoned(TimeZone::UTC).strftime("%A %-d %B %Y, %H:%M").to_string(),
        revenue: words::total(&overview.revenue),
        revenue_note: revenue_note(overview.unpriced),
        tenants: words::number(total),
        tenants_note: states.collect::<Vec<_>>().join(", "),
        events: words::number(events),
        events_note: "Once for each meter that counts one",
        alerts_note: kinds(&alerts),
        chart: events_chart(&frame.products, overview.first_day, &overview.events, events),
        models: shares(&overview.by_model),
        products: overview
            .products
            .into_iter()
            .map(|line| ProductLine {
                subscriptions: words::counted(line.subscriptions, "subscription"),
                monthly: words::total(&line.monthly),
                slug: line.slug,
                name: line.name,
            })
            .collect(),
        changes: overview.changes.into_iter().map(|found| change(found, now)).collect(),
        frame,
        alerts,
        more_alerts,
    }
}

fn revenue_note(unpriced: i64) -> String {
    let rule = "Estimate at recurring prices: no usage, discounts or tax";
    match unpriced {
        0 => rule.to_owned(),
        some => format!("{rule}; {} by quote left out", words::counted(some, "subscription")),
    }
}

fn kinds(alerts: &[Alert]) -> String {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for alert in alerts {
        match kinds.iter_mut().find(|(badge, _)| *badge == alert.badge) {
            Some((_, count)) => *count += 1,
            None => kinds.push((alert.badge, 1)),
        }
    }
    let list: Vec<String> =
        kinds.iter().map(|(badge, count)| format!("{count} {}", badge.to_lowercase())).collect();
    if list.is_empty() { "Nothing waits".to_owned() } else { list.join(", ") }
}

fn alert(found: db::Alert, now: Timestamp) -> Alert {
    let what = &found.what;
    let on = words::date(found.at, &TimeZone::UTC);
    let (tone, badge, sentence) = match found.kind.as_str() {
        "suspended" if what.is_empty() => (
            "bad",
            "Suspended",
            "Its entitlements are refused and its flags are off; nothing is lost.".to_owned(),
        ),
        "suspended" => ("bad", "Suspended", format!("{what}: the subscription is suspended.")),
        "quarantined" => ("bad", "Quarantined", format!("A copy of {} was found.", instance(what))),
        "revoked" => (
            "warn",
            "Revoked",
            format!("{what}: leases given before it was revoked run until {on} at the latest."),
        ),
        "silent" => {
            ("warn", "Silent", format!("{} has not called since its lease ended.", instance(what)))
        }
        "past_due" => ("warn", "Past due", format!("{what}: a payment failed.")),
        "license" if found.at <= now => ("bad", "License", format!("{what} ended on {on}.")),
        "license" => ("warn", "License", format!("{what} ends on {on}.")),
        "blocked" => ("bad", "Quota", format!("{what}; more is refused until {on}.")),
        "over" => ("warn", "Quota", format!("{what}; it goes on, and begins anew on {on}.")),
        "near" => ("info", "Quota", format!("{what}, until {on}.")),
        "trial" => ("info", "Trial", format!("{what}: the trial ends on {on}.")),
        _ => ("warn", "Pending", format!("{what}: the deployment is not ready yet.")),
    };
    let tab = match (found.license, found.kind.as_str()) {
        (Some(license), _) => format!("/licenses/{license}"),
        (None, "pending") => "/deployments".to_owned(),
        (None, "blocked" | "over" | "near") => "/usage".to_owned(),
        (None, _) => String::new(),
    };
    let when = words::distance(found.at, now);
    Alert { tone, badge, tab, sentence, when, tenant: found.tenant, slug: found.slug }
}

/// What people call it, or what it is.
fn instance(name: &str) -> &str {
    if name.is_empty() { "An instance without a name" } else { name }
}

fn change(found: overview::Change, now: Timestamp) -> Change {
    let (whose, slug) = match found.tenant {
        Some((name, slug)) => (name, Some(slug)),
        None => ("Vendor".to_owned(), None),
    };
    Change {
        what: words::action(&found.entry.action),
        whose,
        slug,
        actor: found.entry.actor.map_or_else(|| "unknown".to_owned(), |actor| words::actor(&actor)),
        when: words::distance(found.entry.at, now),
        datetime: found.entry.at.to_string(),
    }
}

fn shares(counts: &[db::Count]) -> Vec<Share> {
    let of = |model: Model| {
        counts.iter().find(|count| count.word == model.word()).map_or(0, |count| count.count)
    };
    let total = Model::ALL.into_iter().map(of).sum::<i64>().max(1) as f64;
    let mut x = 0.0;
    Model::ALL
        .into_iter()
        .zip(["s1", "s2", "s3", "s4"])
        .map(|(model, series)| {
            let width = of(model) as f64 / total * 100.0;
            let share = Share {
                word: model.word(),
                name: words::model(model),
                series,
                count: of(model),
                x: format!("{x:.2}%"),
                width: format!("{width:.2}%"),
            };
            x += width;
            share
        })
        .collect()
}

fn events_chart(products: &[Mark], first_day: i64, events: &[db::Events], total: i64) -> Chart {
    let sum =
        |slug: &str| -> i64 { events.iter().filter(|e| e.product == slug).map(|e| e.events).sum() };
    let mut marks: Vec<&Mark> = products.iter().filter(|mark| sum(&mark.slug) > 0).collect();
    // The largest at the bottom, where it is easiest to read.
    marks.sort_by_key(|mark| std::cmp::Reverse(sum(&mark.slug)));
    let days = (first_day..first_day + overview::DAYS).map(|day| chart::Day {
        label: Timestamp::from_second(day * 86_400)
            .map(|at| at.to_zoned(TimeZone::UTC).strftime("%-d %b").to_string())
            .unwrap_or_default(),
        values: marks
            .iter()
            .map(|mark| {
                let on = events.iter().find(|e| e.day == day && e.product == mark.slug);
                Decimal::from(on.map_or(0, |e| e.events))
            })
            .collect(),
    });
    Chart::new(chart::Data {
        title: "Metered events by product".to_owned(),
        note: format!("{} in 30 days", words::number(total)),
        unit: "event".to_owned(),
        each: "day",
        days: days.collect(),
        series: marks
            .iter()
            .map(|mark| chart::Series { name: mark.name.clone(), class: mark.series })
            .collect(),
        limit: None,
        tall: true,
        currency: None,
        is_running: true,
    })
}
