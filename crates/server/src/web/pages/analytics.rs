//! `/console/analytics`: revenue by month, top tenants, use of quotas.

use askama::Template;
use axum::{extract::State, response::Response};
use rust_decimal::Decimal;
use tenure_core::{Currency, Money};

use crate::{
    App,
    analytics::{
        self,
        model::{
            GrowingTenant, MonthRevenue, QuotaDistribution, QuotaStanding, TopQuery, TopTenant,
        },
    },
    http::Problem,
    web::{
        chart::{self, Chart},
        frame::{Bar, Frame, Section, page},
        session::SignedIn,
        words,
    },
};

/// Currencies that have charts.
const CURRENCIES_MAX: usize = 3;

/// A part of a distribution's bar.
struct Step {
    class: &'static str,
    name: &'static str,
    count: i64,
    x: String,
    width: String,
}

struct QuotaLine {
    product: String,
    plan: String,
    name: String,
    included: String,
    subscriptions: String,
    steps: Vec<Step>,
    close: String,
}

struct TopLine {
    slug: String,
    name: String,
    invoices: String,
    amount: String,
    bar: Bar,
}

struct ChangeLine {
    slug: String,
    name: String,
    before: String,
    newest: String,
    difference: String,
}

struct StandingLine {
    slug: String,
    tenant: String,
    what: String,
    used: String,
    bar: Bar,
}

#[derive(Template)]
#[template(path = "console/analytics.html")]
struct AnalyticsPage {
    frame: Frame,
    recurring: String,
    recurring_note: String,
    invoiced: String,
    drafts: String,
    credited: String,
    charts: Vec<Chart>,
    top: Vec<TopLine>,
    growing: Vec<ChangeLine>,
    falling: Vec<ChangeLine>,
    quotas: Vec<QuotaLine>,
    legend: Vec<(&'static str, &'static str)>,
    close: Vec<StandingLine>,
    below: Vec<StandingLine>,
    quotas_note: String,
}

/// `GET /console/analytics`
pub(in crate::web) async fn show(
    State(app): State<App>,
    signed_in: SignedIn,
) -> Result<Response, Problem> {
    let frame = Frame::new(&app, &signed_in, Section::Analytics).await?;
    let revenue = analytics::revenue(&app, None).await?;
    let top = analytics::top_tenants(&app, &TopQuery::default()).await?;
    let quotas = analytics::quota_use(&app, None).await?;
    let recurring: Vec<Money> = revenue.estimates.iter().map(|one| one.recurring).collect();
    let drafts: Vec<Money> = revenue.estimates.iter().map(|one| one.drafts).collect();
    let sum = |of: fn(&MonthRevenue) -> Money| totals(revenue.months.iter().map(of));
    let unpriced = match revenue.unpriced {
        0 => String::new(),
        some => format!("; {} by quote left out", words::counted(some, "subscription")),
    };
    let mut note =
        "The fullest window of each subscription that ended in the last 31 days".to_owned();
    if quotas.left_out > 0 {
        let some = words::counted(quotas.left_out, "subscription");
        note.push_str(&format!("; {some} with limits of their own left out"));
    }
    page(&AnalyticsPage {
        recurring: words::total(&recurring),
        recurring_note: format!("At recurring prices: no usage, discounts or tax{unpriced}"),
        invoiced: words::total(&sum(|month| month.invoiced)?),
        credited: words::total(&sum(|month| month.credited)?),
        drafts: words::total(&drafts),
        charts: charts(&revenue.months),
        top: top_lines(&top.by_revenue),
        growing: top.growing.iter().map(change).collect(),
        falling: top.falling.iter().map(change).collect(),
        quotas: quotas.quotas.iter().map(|quota| quota_line(&frame, quota)).collect(),
        legend: STEPS.to_vec(),
        close: quotas.close.iter().map(|one| standing(&frame, one)).collect(),
        below: quotas.below.iter().map(|one| standing(&frame, one)).collect(),
        quotas_note: note,
        frame,
    })
}

/// Sums by currency; nothing of none.
fn totals(amounts: impl Iterator<Item = Money>) -> Result<Vec<Money>, Problem> {
    let mut sums: Vec<Money> = Vec::new();
    for amount in amounts {
        match sums.iter_mut().find(|sum| sum.currency() == amount.currency()) {
            Some(sum) => *sum = sum.checked_add(amount).map_err(Problem::internal)?,
            None => sums.push(amount),
        }
    }
    Ok(sums)
}

/// What was invoiced and what was recognised, of each currency.
fn charts(months: &[MonthRevenue]) -> Vec<Chart> {
    let mut currencies: Vec<Currency> = Vec::new();
    for month in months {
        if !currencies.contains(&month.invoiced.currency()) {
            currencies.push(month.invoiced.currency());
        }
    }
    let mut charts = Vec::new();
    for currency in currencies.into_iter().take(CURRENCIES_MAX) {
        let own: Vec<&MonthRevenue> =
            months.iter().filter(|month| month.invoiced.currency() == currency).collect();
        for (name, note, class, of) in [
            ("Invoiced", "by the month of issue", "s1", invoiced as fn(&MonthRevenue) -> Money),
            ("Recognised", "spread over billing periods", "s2", recognised),
        ] {
            let days = own.iter().map(|month| chart::Day {
                label: month.month.clone(),
                values: vec![of(month).to_decimal()],
            });
            charts.push(Chart::new(chart::Data {
                title: format!("{name}, {}", currency.code()),
                note: note.to_owned(),
                unit: currency.code().to_owned(),
                each: "month",
                series: vec![chart::Series { name: name.to_owned(), class }],
                days: days.collect(),
                limit: None,
                tall: false,
                currency: Some(currency),
                is_running: true,
            }));
        }
    }
    charts
}

fn invoiced(month: &MonthRevenue) -> Money {
    month.invoiced
}

fn recognised(month: &MonthRevenue) -> Money {
    month.recognised
}

/// `part` of `whole` in whole per cent.
fn share(part: Decimal, whole: Decimal) -> u32 {
    let share = part.checked_mul(Decimal::ONE_HUNDRED).and_then(|part| part.checked_div(whole));
    share.and_then(|share| u32::try_from(share.round()).ok()).unwrap_or(0)
}

fn top_lines(top: &[TopTenant]) -> Vec<TopLine> {
    let most = |currency: Currency| {
        let of = top.iter().filter(|tenant| tenant.invoiced.currency() == currency);
        of.map(|tenant| tenant.invoiced.to_decimal()).max().unwrap_or_default()
    };
    let line = |tenant: &TopTenant| {
        let width = share(tenant.invoiced.to_decimal(), most(tenant.invoiced.currency()));
        TopLine {
            slug: tenant.slug.clone(),
            name: tenant.name.clone(),
            invoices: words::counted(tenant.invoices, "invoice"),
            amount: tenant.invoiced.display(),
            bar: Bar { width: width.min(100), percent: width, tone: "" },
        }
    };
    top.iter().map(line).collect()
}

fn change(tenant: &GrowingTenant) -> ChangeLine {
    let sign = if tenant.difference.minor() > 0 { "+" } else { "" };
    ChangeLine {
        slug: tenant.slug.clone(),
        name: tenant.name.clone(),
        before: tenant.before.display(),
        newest: tenant.newest.display(),
        difference: format!("{sign}{}", tenant.difference.display()),
    }
}

/// Class and name of each step, the emptiest first.
const STEPS: [(&str, &str); 6] = [
    ("u0", "Nothing used"),
    ("u1", "Below 20%"),
    ("u2", "20 to 50%"),
    ("u3", "50 to 80%"),
    ("u4", "80 to 100%"),
    ("u5", "All, or past it"),
];

fn quota_line(frame: &Frame, quota: &QuotaDistribution) -> QuotaLine {
    let counts =
        [quota.unused, quota.below_20, quota.below_50, quota.below_80, quota.below_100, quota.past];
    let percent = |count: i64| {
        let part = Decimal::from(count) * Decimal::ONE_HUNDRED;
        part.checked_div(Decimal::from(quota.subscriptions)).unwrap_or_default().round_dp(2)
    };
    let mut x = Decimal::ZERO;
    let mut steps = Vec::with_capacity(counts.len());
    for ((class, name), count) in STEPS.into_iter().zip(counts) {
        let width = percent(count);
        steps.push(Step { class, name, count, x: format!("{x}%"), width: format!("{width}%") });
        x += width;
    }
    let per = match quota.per.as_str() {
        "period" => "billing period",
        other => other,
    };
    QuotaLine {
        product: frame.mark(&quota.product).name,
        plan: words::title(&quota.plan),
        name: quota.name.clone(),
        included: format!("{} a {per}", words::number(quota.included)),
        subscriptions: words::number(quota.subscriptions),
        close: words::number(quota.below_100 + quota.past),
        steps,
    }
}

fn standing(frame: &Frame, one: &QuotaStanding) -> StandingLine {
    let product = frame.mark(&one.product).name;
    StandingLine {
        slug: one.slug.clone(),
        tenant: one.tenant.clone(),
        what: format!("{product} {}, {}", words::title(&one.plan), one.name),
        used: format!("{} of {}", words::number(one.used.round_dp(2)), words::number(one.included)),
        bar: Bar::new(u32::try_from(one.percent).unwrap_or(u32::MAX)),
    }
}
