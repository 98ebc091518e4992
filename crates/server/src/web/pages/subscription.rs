//! `/console/tenants/{tenant}`: what it bought, what that allows, what it used
//! of it and what it costs so far.

use askama::Template;
use axum::{extract::State, response::Response};
use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;
use tenure_api::usage::UsageSummary;
use tenure_catalog::{
    Entitlements, Over, Per, Product, entitlements::LimitNow, plan::LimitKind,
    rating::words as rated, show,
};
use tenure_core::{SubscriptionStatus, period::billing_period_at};

use super::{
    bill::{self, BillCard},
    tenant::{Head, Opened, Tab, open, plan_name},
};
use crate::{
    App,
    http::Problem,
    products,
    subscriptions::{Subscription, contracts, contracts::ContractRecord, entitlements},
    tenants::{api::PathTenant, organisation, organisation::BillingAccount},
    usage,
    web::{
        frame::{Bar, Frame, Mark, page},
        quota_notices::{self, Held, QuotaNotice},
        session::SignedIn,
        words,
    },
};

/// Subscriptions shown in full.
const SHOWN_MAX: usize = 20;

struct Fact {
    label: &'static str,
    value: String,
    note: String,
}

struct Notice {
    tone: &'static str,
    head: String,
    text: String,
}

struct ItemRow {
    name: String,
    quantity: String,
    price: String,
    from: String,
    to: Option<String>,
}

struct LimitRow {
    name: String,
    window: String,
    used: String,
    bar: Option<Bar>,
    over: String,
    resets: String,
}

struct FeatureRow {
    name: String,
    included: bool,
}

struct ContractRow {
    id: String,
    reason: String,
    approver: String,
    runs: String,
    changes: Vec<String>,
}

struct Card {
    id: String,
    mark: Mark,
    plan: String,
    version: i32,
    model: &'static str,
    model_class: &'static str,
    mode: Option<String>,
    status: String,
    tone: &'static str,
    can_cancel: bool,
    notices: Vec<Notice>,
    quota_notices: Vec<QuotaNotice>,
    facts: Vec<Fact>,
    items: Vec<ItemRow>,
    limits: Vec<LimitRow>,
    features: Vec<FeatureRow>,
    contracts: Vec<ContractRow>,
    bill: Option<BillCard>,
}

#[derive(Template)]
#[template(path = "console/tenant-summary.html")]
struct SummaryPage {
    frame: Frame,
    head: Head,
    subscriptions: Vec<Card>,
}

/// `GET /console/tenants/{tenant}`
pub(in crate::web) async fn summary(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
) -> Result<Response, Problem> {
    let opened = open(&app, &signed_in, tenant, Tab::Summary).await?;
    let accounts = organisation::accounts(&app, opened.tenant.id).await?;
    let mut cards = Vec::new();
    for subscription in opened.subscriptions.iter().take(SHOWN_MAX) {
        cards.push(card(&app, &opened, subscription, &accounts).await?);
    }
    page(&SummaryPage { subscriptions: cards, frame: opened.frame, head: opened.head })
}

async fn card(
    app: &App,
    opened: &Opened,
    subscription: &Subscription,
    accounts: &[BillingAccount],
) -> Result<Card, Problem> {
    let tenant = opened.tenant.id;
    let (id, now) = (subscription.id, app.now());
    let zone = words::zone(&opened.tenant.time_zone);
    let catalog = products::catalog_of(app, subscription).await?;
    let product = &catalog.product;
    let resolved = entitlements::read(app, tenant, id).await?;
    let open = subscription.status != SubscriptionStatus::Cancelled;
    let usage = usage::summary(app, tenant, id, 1).await?;
    let held = Held {
        product,
        plan: &subscription.plan,
        model: subscription.model,
        zone: &zone,
        compare: format!("/console/tenants/{}/subscriptions/{id}/plans", opened.head.slug),
    };
    let limits = limits(product, &resolved.entitlements, &usage, &zone);
    Ok(Card {
        notices: notices(subscription, now, &zone),
        quota_notices: match open {
            true => quota_notices::notices(&usage, &held),
            false => Vec::new(),
        },
        bill: match open {
            true => Some(bill::card(app, tenant, id, &zone).await?),
            false => None,
        },
        facts: facts(subscription, &resolved.entitlements, accounts, now, &zone),
        items: items(product, subscription, &zone),
        features: features(product, &resolved.entitlements),
        contracts: contracts::list(app, tenant, id)
            .await?
            .into_iter()
            .map(|contract| contract_row(product, contract, &zone))
            .collect(),
        limits,
        id: id.to_string(),
        mark: opened.frame.mark(&subscription.product),
        plan: plan_name(app, subscription).await?,
        version: subscription.catalog_version,
        model: words::model(subscription.model),
        model_class: subscription.model.word(),
        mode: subscription.mode.clone(),
        status: words::title(subscription.status.word()),
        tone: words::tone(subscription.status.word()),
        can_cancel: open,
    })
}

fn notices(subscription: &Subscription, now: Timestamp, zone: &TimeZone) -> Vec<Notice> {
    let mut notices = Vec::new();
    if subscription.status == SubscriptionStatus::Cancelled {
        return notices;
    }
    if let Some(at) = subscription.trial_ends_at
        && subscription.status == SubscriptionStatus::Trial
    {
        notices.push(Notice {
            tone: "info",
            head: format!("The trial ends on {}.", words::date(at, zone)),
            text: format!("That is {}.", words::distance(at, now)),
        });
    }
    notices
}

fn facts(
    subscription: &Subscription,
    now_entitled: &Entitlements,
    accounts: &[BillingAccount],
    now: Timestamp,
    zone: &TimeZone,
) -> Vec<Fact> {
    let mut facts = Vec::new();
    let at = subscription.cancelled_at.unwrap_or(now).max(subscription.anchor);
    if let Ok((_, period)) = billing_period_at(subscription.anchor, zone, subscription.interval, at)
    {
        facts.push(Fact {
            label: "Billing period",
            value: format!(
                "{} – {}",
                words::date(period.start, zone),
                words::date(period.end, zone)
            ),
            note: format!("billed each {}", subscription.interval.word()),
        });
    }
    if let Some(account) = accounts.iter().find(|one| one.id == subscription.billing_account_id) {
        facts.push(Fact {
            label: "Billing account",
            value: account.name.clone(),
            note: format!("{}, net {} days", account.currency, account.net_days),
        });
    }
    let years = words::counted(subscription.term_years, "year");
    facts.push(Fact {
        label: "Term",
        value: years,
        note: if subscription.prepaid { "paid a year ahead".into() } else { String::new() },
    });
    if let Some(support) = &now_entitled.support {
        let note = support.response.map(|time| format!("first answer within {}", time.words()));
        facts.push(Fact {
            label: "Support",
            value: support.name.clone(),
            note: note.unwrap_or_default(),
        });
    }
    if let Some(rate) = now_entitled.rate {
        let window = match rate.seconds {
            1 => "second",
            60 => "minute",
            _ => "hour",
        };
        facts.push(Fact {
            label: "Requests",
            value: format!("{} a {window}", words::number(rate.requests)),
            note: String::new(),
        });
    }
    if let Some(at) = subscription.cancelled_at {
        facts.push(Fact { label: "Ended", value: words::date(at, zone), note: String::new() });
    }
    facts
}

fn items(product: &Product, subscription: &Subscription, zone: &TimeZone) -> Vec<ItemRow> {
    let plan = product.plan(&subscription.plan);
    let row = |item: &crate::subscriptions::Item| {
        let charge = plan.and_then(|plan| product.charge(plan, &item.charge));
        let name = product.extra(&item.charge).map(|extra| &extra.name);
        ItemRow {
            name: name
                .or(charge.map(|charge| &charge.name))
                .map_or_else(|| item.charge.clone(), |name| name.clone()),
            quantity: words::number(item.quantity.value()),
            price: charge.map_or_else(String::new, |charge| show::charge(product, charge)),
            from: words::date(item.from, zone),
            to: item.to.map(|at| words::date(at, zone)),
        }
    };
    subscription.items.iter().map(row).collect()
}

fn limits(
    product: &Product,
    entitled: &Entitlements,
    usage: &UsageSummary,
    zone: &TimeZone,
) -> Vec<LimitRow> {
    entitled
        .limits
        .iter()
        .map(|limit| {
            let meter = usage.meters.iter().find(|meter| meter.meter == limit.id);
            let included = limit.included.map(|included| words::number(included.value()));
            let most = included.unwrap_or_else(|| "unlimited".to_owned());
            let used = match meter {
                Some(meter) => format!("{} of {most}", words::number(meter.used.round_dp(2))),
                None if limit.included.is_none() => "Unlimited".to_owned(),
                None => format!("Up to {most}"),
            };
            let percent = meter.and_then(|meter| meter.percent);
            LimitRow {
                name: limit.name.clone(),
                window: window(limit),
                used,
                bar: percent.map(|share| Bar::new(u32::try_from(share).unwrap_or(u32::MAX))),
                over: over(product, limit),
                resets: match meter {
                    Some(meter) => words::date(meter.window.resets_at, zone),
                    None => "–".to_owned(),
                },
            }
        })
        .collect()
}

fn window(limit: &LimitNow) -> String {
    let unit = rated::counted(Decimal::TWO, &limit.unit);
    let unit = unit.trim_start_matches("2 ");
    match (limit.kind, limit.per) {
        (LimitKind::Allocation, _) => format!("{unit} held"),
        (_, Some(Per::Day)) => format!("{unit} a day"),
        (_, Some(Per::Month)) => format!("{unit} a calendar month"),
        (_, Some(Per::Period) | None) => format!("{unit} a billing period"),
    }
}

/// What happens past a limit.
fn over(product: &Product, limit: &LimitNow) -> String {
    let price = |price, each: tenure_core::Quantity| {
        let price = rated::price(price, product.currency);
        let package = if each == tenure_core::Quantity::ONE {
            limit.unit.clone()
        } else {
            rated::counted(each.value(), &limit.unit)
        };
        format!("{price} for each {package}")
    };
    match &limit.over {
        _ if limit.included.is_none() => "Unlimited".to_owned(),
        Over::Block => "Refused".to_owned(),
        Over::Warn => "Goes on, with a warning".to_owned(),
        Over::Charge { price: amount, each, .. } => format!("Charged: {}", price(*amount, *each)),
        Over::TrueUp { price: amount, each, .. } => {
            format!("Settled once a year: {}", price(*amount, *each))
        }
    }
}

fn features(product: &Product, entitled: &Entitlements) -> Vec<FeatureRow> {
    let row = |feature: &tenure_catalog::model::Feature| FeatureRow {
        name: feature.name.clone(),
        included: entitled.has(&feature.id),
    };
    let mut rows: Vec<FeatureRow> = product.features.iter().map(row).collect();
    rows.sort_by_key(|row| !row.included);
    rows
}

fn contract_row(product: &Product, contract: ContractRecord, zone: &TimeZone) -> ContractRow {
    let changes = contract.changes;
    let prices = changes.prices.iter().map(|price| {
        let every = price.every.map_or_else(String::new, |every| format!(" a {}", every.word()));
        format!("{}: {}{every}", price.charge, rated::price(price.amount, product.currency))
    });
    let limits = changes.limits.iter().map(|limit| match limit.included {
        Some(included) => format!("{}: {}", limit.limit, words::number(included.value())),
        None => format!("{}: unlimited", limit.limit),
    });
    let features = changes
        .features
        .iter()
        .map(|id| format!("With {}", product.feature(id).map_or(id, |feature| &feature.name)));
    let values = changes.values.keys().map(|id| format!("{id} changed"));
    let discounts = changes
        .discounts
        .iter()
        .map(|discount| format!("{} −{}%", discount.name, discount.percent.normalize()));
    ContractRow {
        changes: prices.chain(limits).chain(features).chain(values).chain(discounts).collect(),
        id: contract.id.to_string(),
        reason: contract.reason,
        approver: contract.approver,
        runs: match contract.valid_to {
            Some(to) => {
                format!("{} – {}", words::date(contract.valid_from, zone), words::date(to, zone))
            }
            None => format!("from {}", words::date(contract.valid_from, zone)),
        },
    }
}
