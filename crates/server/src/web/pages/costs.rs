//! Cost by day and by dimension, as cards. The console's and the portal's usage
//! pages share them.

use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde::Deserialize;
use tenure_catalog::{Aggregation, Product};
use tenure_core::{SubscriptionId, TenantId};

use crate::{
    App,
    billing::days::{
        self, BillDays, BillDimension,
        model::{Apart, BillDimensionQuery, OtherCost},
    },
    http::Problem,
    web::{
        chart::{self, Chart},
        frame::SERIES,
        words,
    },
};

/// Meters whose dimensions a page shows.
const DIMENSIONS_MAX: usize = 4;
/// Charges with a colour of their own.
const COLOURED_MAX: usize = SERIES.len() - 1;

/// What a usage page is asked.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct UsageQuery {
    /// The billing period that holds this moment.
    pub(in crate::web) at: Option<Timestamp>,
    /// The dimension that meters are told apart by.
    pub(in crate::web) by: Option<String>,
}

/// A line of the sum.
pub(in crate::web) struct CostRow {
    pub(in crate::web) name: String,
    pub(in crate::web) note: &'static str,
    pub(in crate::web) amount: String,
}

/// The view model of the card.
pub(in crate::web) struct CostCard {
    pub(in crate::web) id: String,
    pub(in crate::web) period: String,
    pub(in crate::web) chart: Option<Chart>,
    pub(in crate::web) rows: Vec<CostRow>,
    pub(in crate::web) total: String,
    pub(in crate::web) what: String,
    pub(in crate::web) note: String,
    /// Queries of the periods before and after.
    pub(in crate::web) earlier: Option<String>,
    pub(in crate::web) later: Option<String>,
    /// Why there are no costs.
    pub(in crate::web) refusal: Option<String>,
}

/// Whose costs, and who looks.
pub(in crate::web) struct Whose<'a> {
    pub(in crate::web) tenant: TenantId,
    pub(in crate::web) subscription: SubscriptionId,
    pub(in crate::web) zone: &'a TimeZone,
    /// Drafts are the vendor's alone.
    pub(in crate::web) is_staff: bool,
}

/// The cost of a period by day.
pub(in crate::web) async fn card(
    app: &App,
    whose: &Whose<'_>,
    at: Option<Timestamp>,
) -> Result<CostCard, Problem> {
    let (tenant, id) = (whose.tenant, whose.subscription);
    let found = match whose.is_staff {
        true => days::by_day(app, tenant, id, at).await,
        false => days::by_day_own(app, tenant, id, at).await,
    };
    match found {
        Ok(found) => Ok(view(&found, whose, app.now())),
        // What cannot be rated is said in its place; the rest of the page stands.
        Err(problem) if is_told(&problem) => Ok(CostCard {
            id: id.to_string(),
            period: String::new(),
            chart: None,
            rows: Vec::new(),
            total: String::new(),
            what: String::new(),
            note: String::new(),
            earlier: None,
            later: None,
            refusal: Some(problem.detail),
        }),
        Err(problem) => Err(problem),
    }
}

/// Whether a page says it in its place: not rated, or no such period.
fn is_told(problem: &Problem) -> bool {
    problem.status == 409 || problem.status == 404
}

fn view(found: &BillDays, whose: &Whose<'_>, now: Timestamp) -> CostCard {
    let zone = whose.zone;
    let runs = now < found.period_end;
    let (start, end) = (words::date(found.period_start, zone), words::date(found.period_end, zone));
    let what = match &found.invoice {
        Some(invoice) => match &invoice.number {
            Some(number) => format!("Invoice {number}, before tax"),
            None => "Draft invoice, before tax".to_owned(),
        },
        None if found.is_trial => "What the trial would cost".to_owned(),
        None if runs => "So far, before tax".to_owned(),
        None => "Before tax".to_owned(),
    };
    let query = |at: Timestamp| format!("?at={at}");
    let before = Timestamp::from_second(found.period_start.as_second() - 1);
    CostCard {
        id: found.subscription_id.to_string(),
        period: format!("{start} – {end}"),
        chart: chart_of(found, runs),
        rows: rows(found),
        total: found.subtotal.display(),
        what,
        note: format!(
            "A day costs what its usage added to the bill, so days and lines add up to the cent. \
             Days of {}.",
            found.time_zone
        ),
        earlier: before.ok().filter(|_| found.has_earlier).map(query),
        later: (!runs).then(|| query(found.period_end)),
        refusal: found.needs_contract.clone(),
    }
}

fn rows(found: &BillDays) -> Vec<CostRow> {
    let mut rows: Vec<CostRow> = found
        .charges
        .iter()
        .map(|charge| CostRow {
            name: charge.description.clone(),
            note: "by usage",
            amount: charge.amount.display(),
        })
        .collect();
    rows.extend(found.apart.iter().map(|line| CostRow {
        name: line.description.clone(),
        note: match line.why {
            Apart::Flat => "whatever is used",
            Apart::Settled => "settled with this period",
            Apart::Adjustment => "corrects an earlier period",
        },
        amount: line.amount.display(),
    }));
    rows
}

/// Bars by charge; none where no usage was charged.
fn chart_of(found: &BillDays, runs: bool) -> Option<Chart> {
    let currency = found.subtotal.currency();
    let mut charges: Vec<_> = found.charges.iter().collect();
    charges.sort_by_key(|charge| std::cmp::Reverse(charge.amount.minor()));
    let own: Vec<&str> =
        charges.iter().take(COLOURED_MAX).map(|charge| charge.charge.as_str()).collect();
    if own.is_empty() || found.days.is_empty() {
        return None;
    }
    let has_more = charges.len() > own.len();
    let mut series: Vec<chart::Series> = charges
        .iter()
        .zip(SERIES)
        .take(own.len())
        .map(|(charge, class)| chart::Series { name: charge.description.clone(), class })
        .collect();
    if has_more {
        series
            .push(chart::Series { name: "Other charges".to_owned(), class: SERIES[COLOURED_MAX] });
    }
    let days = found.days.iter().map(|day| {
        let of = |id: &str| {
            let charge = day.cost.charges.iter().find(|charge| charge.charge == id);
            charge.map_or(Decimal::ZERO, |charge| charge.amount.to_decimal())
        };
        let mut values: Vec<Decimal> = own.iter().map(|id| of(id)).collect();
        if has_more {
            values.push(day.cost.amount.to_decimal() - values.iter().sum::<Decimal>());
        }
        chart::Day { label: day.date.strftime("%-d %b").to_string(), values }
    });
    let used = found.days.iter().map(|day| day.cost.amount.to_decimal()).sum::<Decimal>();
    let used = tenure_core::Money::rounded(used, currency).ok()?;
    let before = match found.before.amount.is_zero() {
        true => String::new(),
        false => format!(", and {} before them", found.before.amount.display()),
    };
    Some(Chart::new(chart::Data {
        title: format!("Cost of usage, {}", currency.code()),
        note: format!("{} on these days{before}", used.display()),
        unit: currency.code().to_owned(),
        each: "day",
        series,
        days: days.collect(),
        limit: None,
        tall: false,
        currency: Some(currency),
        is_running: runs,
    }))
}

/// A value of a dimension.
pub(in crate::web) struct ValueRow {
    pub(in crate::web) name: String,
    pub(in crate::web) series: &'static str,
    pub(in crate::web) quantity: String,
    /// Of the bar, in per cent.
    pub(in crate::web) width: u32,
    pub(in crate::web) share: String,
    pub(in crate::web) amount: String,
}

/// A link that tells meters apart by another dimension.
pub(in crate::web) struct ByLink {
    pub(in crate::web) name: String,
    pub(in crate::web) query: String,
    pub(in crate::web) is_current: bool,
}

/// A meter, told apart.
pub(in crate::web) struct DimensionCard {
    pub(in crate::web) id: String,
    pub(in crate::web) title: String,
    pub(in crate::web) by: String,
    pub(in crate::web) links: Vec<ByLink>,
    pub(in crate::web) rows: Vec<ValueRow>,
    pub(in crate::web) quantity: String,
    pub(in crate::web) amount: String,
}

/// Every meter with dimensions, each by the one that was asked for, or its first.
pub(in crate::web) async fn dimensions(
    app: &App,
    whose: &Whose<'_>,
    product: &Product,
    query: &UsageQuery,
) -> Result<Vec<DimensionCard>, Problem> {
    let told = |meter: &&tenure_catalog::Meter| {
        !meter.dimensions.is_empty()
            && !matches!(meter.aggregation, Aggregation::TimeWeighted { .. })
    };
    let mut cards = Vec::new();
    for meter in product.meters.iter().filter(told).take(DIMENSIONS_MAX) {
        let asked = query.by.as_deref().filter(|by| meter.dimensions.iter().any(|one| one == by));
        let by = asked.unwrap_or(&meter.dimensions[0]).to_owned();
        let links = meter.dimensions.iter().map(|name| ByLink {
            query: link(name, query.at),
            is_current: *name == by,
            name: words::title(name),
        });
        let links = if meter.dimensions.len() > 1 { links.collect() } else { Vec::new() };
        let asked = BillDimensionQuery { meter: meter.id.clone(), by, at: query.at };
        let found = days::by_dimension(app, whose.tenant, whose.subscription, &asked).await;
        match found {
            Ok(found) => cards.push(dimension_view(&found, whose, links)),
            Err(problem) if is_told(&problem) => {}
            Err(problem) => return Err(problem),
        }
    }
    Ok(cards)
}

fn link(by: &str, at: Option<Timestamp>) -> String {
    match at {
        Some(at) => format!("?by={by}&at={at}"),
        None => format!("?by={by}"),
    }
}

fn dimension_view(found: &BillDimension, whose: &Whose<'_>, links: Vec<ByLink>) -> DimensionCard {
    let listed = found.values.iter().map(|value| value.quantity);
    let all: Decimal = listed.chain(found.other.iter().map(|other| other.quantity)).sum();
    let row = |name: String, series, quantity: Decimal, amount: &tenure_core::Money| {
        let share = quantity.checked_mul(Decimal::ONE_HUNDRED).and_then(|q| q.checked_div(all));
        let share = share.unwrap_or_default();
        ValueRow {
            name,
            series,
            quantity: words::number(quantity.round_dp(2)),
            width: share.round().to_u32().unwrap_or(0).min(100),
            share: format!("{}%", share.round_dp(1).normalize()),
            amount: amount.display(),
        }
    };
    let mut rows: Vec<ValueRow> = found
        .values
        .iter()
        .map(|value| {
            let name = value.value.clone().unwrap_or_else(|| "Not named".to_owned());
            row(name, "s1", value.quantity, &value.amount)
        })
        .collect();
    if let Some(OtherCost { values, quantity, amount, .. }) = &found.other {
        let name = format!("{}, together", words::counted(*values, "other"));
        rows.push(row(name, "s5", *quantity, amount));
    }
    DimensionCard {
        id: format!("{}-{}", whose.subscription, found.meter),
        title: found.name.clone(),
        by: words::title(&found.by).to_lowercase(),
        links,
        rows,
        quantity: words::counted(found.quantity.round_dp(2), &found.unit),
        amount: found.amount.display(),
    }
}
