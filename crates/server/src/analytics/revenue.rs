//! Revenue by month: what was invoiced, and what of it each month earned.

use std::collections::BTreeMap;

use jiff::{Span, Timestamp, tz::TimeZone};
use rust_decimal::Decimal;
use tenure_core::{Currency, Money};

use super::{
    db,
    model::{MonthRevenue, Revenue, RunningEstimate},
    recurring::{self, Shape},
};
use crate::{App, http::Problem, products};

/// Months of one answer at most.
const MONTHS_MAX: u8 = 24;
/// Months when the caller does not say.
const MONTHS_DEFAULT: u8 = 12;

/// Revenue of the last months, and what is under way.
pub async fn revenue(app: &App, months: Option<u8>) -> Result<Revenue, Problem> {
    let now = app.now();
    let starts = starts(months, now)?;
    let mut tx = app.db().vendor().await?;
    let invoiced = db::invoiced_by_month(&mut tx, &starts, now).await?;
    let credited = db::credited_by_month(&mut tx, &starts).await?;
    let recognised = db::recognised_by_month(&mut tx, &starts, now).await?;
    let drafts = db::drafts(&mut tx).await?;
    let terms = db::terms_in_force(&mut tx, now).await?;
    tx.commit().await?;
    let (by_product, unpriced) = recurring(app, terms).await?;
    let mut all: BTreeMap<(i32, String), [i64; 4]> = BTreeMap::new();
    let mut add = |rows: Vec<db::MonthSum>, place: usize| {
        for row in rows {
            all.entry((row.month, row.currency)).or_default()[place] += row.minor;
        }
    };
    add(invoiced.sums, 0);
    add(credited, 1);
    add(invoiced.uncollectible, 2);
    add(recognised, 3);
    fill(&mut all, starts.len());
    let name = |month: i32| {
        let start = usize::try_from(month).ok().and_then(|month| starts.get(month));
        start.map(|start| start.to_zoned(TimeZone::UTC).strftime("%Y-%m").to_string())
    };
    let mut months = Vec::with_capacity(all.len());
    for ((month, currency), [invoiced, credited, uncollectible, recognised]) in all {
        let currency = Currency::from_code(&currency).map_err(Problem::internal)?;
        let money = |minor| Money::from_minor(minor, currency);
        months.push(MonthRevenue {
            month: name(month).unwrap_or_default(),
            invoiced: money(invoiced),
            credited: money(credited),
            uncollectible: money(uncollectible),
            recognised: money(recognised),
        });
    }
    Ok(Revenue {
        from: starts.first().copied().unwrap_or(now),
        as_of: now,
        months,
        estimates: estimates(&by_product, drafts)?,
        unpriced,
    })
}

/// A month between two that have something has nothing, and is told all the same.
fn fill(all: &mut BTreeMap<(i32, String), [i64; 4]>, starts: usize) {
    let present = i32::try_from(starts).unwrap_or(i32::MAX) - 2;
    let mut first: BTreeMap<String, i32> = BTreeMap::new();
    for (month, currency) in all.keys() {
        let known = first.entry(currency.clone()).or_insert(*month);
        *known = (*known).min(*month);
    }
    for (currency, first) in first {
        for month in first..=present {
            all.entry((month, currency.clone())).or_default();
        }
    }
}

/// The starts of the last calendar months (UTC), oldest first, and of the next.
pub(super) fn starts(months: Option<u8>, now: Timestamp) -> Result<Vec<Timestamp>, Problem> {
    let months = months.unwrap_or(MONTHS_DEFAULT);
    if !(1..=MONTHS_MAX).contains(&months) {
        return Err(Problem::field("/months", format!("Ask for 1 to {MONTHS_MAX} months.")));
    }
    let present = now.to_zoned(TimeZone::UTC).first_of_month().map_err(Problem::internal)?;
    let present = present.start_of_day().map_err(Problem::internal)?;
    let start = |back: i64| {
        let at = present.checked_sub(Span::new().months(back)).map_err(Problem::internal)?;
        Ok(at.timestamp())
    };
    (-1..i64::from(months)).rev().map(start).collect()
}

/// Recurring amounts a month, by product and code of a currency.
pub(crate) type ByProduct = BTreeMap<(String, &'static str), Decimal>;

/// What subscriptions in use bring a month, and how many have no known price.
pub(crate) async fn recurring_now(app: &App) -> Result<(ByProduct, i64), Problem> {
    let mut tx = app.db().vendor().await?;
    let terms = db::terms_in_force(&mut tx, app.now()).await?;
    tx.commit().await?;
    recurring(app, terms).await
}

async fn recurring(app: &App, terms: Vec<db::Terms>) -> Result<(ByProduct, i64), Problem> {
    let mut by_product = ByProduct::new();
    let mut unpriced = 0;
    for terms in terms {
        let catalog = products::catalog(app, terms.version).await?.in_currency(terms.currency)?;
        let product = &catalog.product;
        let shape = Shape { plan: &terms.plan, items: &terms.items, prices: &terms.prices };
        let total = recurring::monthly(product, &shape)
            .and_then(|each| each.checked_mul(Decimal::from(terms.count)));
        let of = (product.id.clone(), product.currency.code());
        let sum = by_product.entry(of).or_default();
        match total.and_then(|total| sum.checked_add(total)) {
            Some(total) => *sum = total,
            None => unpriced += terms.count,
        }
    }
    Ok((by_product, unpriced))
}

fn estimates(
    by_product: &ByProduct,
    drafts: Vec<(String, i64)>,
) -> Result<Vec<RunningEstimate>, Problem> {
    let mut all: BTreeMap<String, (Decimal, i64)> = BTreeMap::new();
    for ((_, code), amount) in by_product {
        all.entry((*code).to_owned()).or_default().0 += *amount;
    }
    for (currency, minor) in drafts {
        all.entry(currency).or_default().1 += minor;
    }
    all.into_iter()
        .map(|(code, (recurring, drafts))| {
            let currency = Currency::from_code(&code).map_err(Problem::internal)?;
            Ok(RunningEstimate {
                recurring: Money::rounded(recurring, currency).map_err(Problem::internal)?,
                drafts: Money::from_minor(drafts, currency),
            })
        })
        .collect()
}
