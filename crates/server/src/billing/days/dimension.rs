//! A meter's usage and cost in a period, by one of its dimensions.
//!
//! Prices know meters, not dimensions. So each day's cost is shared out by the usage
//! of that day, to the cent: the values add up to what the days cost.

use rust_decimal::Decimal;
use tenure_catalog::{
    Meter,
    invoicing::days::{Charged, shares},
};
use tenure_core::{Currency, Money, Period, SubscriptionId, TenantId};
use tenure_tenancy::TenantTx;

use super::{
    Rated,
    model::{BillDimension, BillDimensionQuery, DayOfDimension, OtherCost, ValueCost},
    rate,
    read::{self, Case},
};
use crate::{
    App,
    http::Problem,
    usage::{
        dimensions::{self, Breakdown, Cell},
        windows::{Asked, Metered, windows},
    },
};

/// Usage and cost of a meter in a billing period, by a dimension.
pub async fn by_dimension(
    app: &App,
    tenant: TenantId,
    subscription: SubscriptionId,
    query: &BillDimensionQuery,
) -> Result<BillDimension, Problem> {
    let now = app.now();
    let (mut tx, case) = read::open(app, tenant, subscription, query.at, now).await?;
    let catalog = case.account.present_catalog()?;
    let of = Metered { subscription, catalog };
    let meter = catalog.meter(&query.meter)?;
    dimensions::check(meter, &query.by)?;
    let rated = rate(&mut tx, &case, now).await?;
    let Some(whole) = stretch(&rated.days) else {
        let nothing = Breakdown { values: Vec::new(), others: 0, rows: Vec::new() };
        return told(&case, (meter, &query.by), &rated, nothing, Decimal::ZERO);
    };
    let mut stretches = rated.days.clone();
    stretches.push(whole);
    let found = dimensions::breakdown(
        &mut tx,
        of,
        (meter, &query.by),
        (whole, &stretches),
        case.inputs.cutoff,
    )
    .await?;
    let total = total(&mut tx, &case, of, (meter, whole), &found, now).await?;
    tx.commit().await?;
    told(&case, (meter, &query.by), &rated, found, total)
}

/// From the first day to the last.
fn stretch(days: &[Period]) -> Option<Period> {
    Some(Period { start: days.first()?.start, end: days.last()?.end })
}

/// All values together: a sum where they can be added, else read as one.
async fn total(
    tx: &mut TenantTx,
    case: &Case,
    of: Metered<'_>,
    (meter, whole): (&Meter, Period),
    found: &Breakdown,
    now: jiff::Timestamp,
) -> Result<Decimal, Problem> {
    if meter.aggregation.is_additive() {
        let cells = found.rows.last().map_or(&[][..], Vec::as_slice);
        return Ok(cells.iter().map(|cell| cell.quantity).sum::<Decimal>().normalize());
    }
    let asked = [Asked { meter, windows: vec![whole] }];
    let totals = windows(tx, of, &asked, now, Some(case.inputs.cutoff)).await?;
    Ok(totals.into_iter().flatten().next().map(|total| total.quantity).unwrap_or_default())
}

fn told(
    case: &Case,
    (meter, by): (&Meter, &str),
    rated: &Rated,
    mut found: Breakdown,
    quantity: Decimal,
) -> Result<BillDimension, Problem> {
    let currency = case.account.present_catalog()?.product.currency;
    let width = found.values.len() + 1;
    let whole = found.rows.pop().unwrap_or_else(|| vec![Cell::default(); width]);
    let mut amounts = vec![Money::zero(currency); width];
    let mut days = Vec::with_capacity(rated.days.len());
    for ((day, charged), cells) in rated.days.iter().zip(&rated.costs.days).zip(&found.rows) {
        let cost = cost(case, charged, &meter.id, currency)?;
        let quantities: Vec<Decimal> = cells.iter().map(|cell| cell.quantity).collect();
        let parts = shares(cost, &quantities);
        for (sum, part) in amounts.iter_mut().zip(&parts) {
            *sum = sum.checked_add(*part).map_err(Problem::internal)?;
        }
        let date = day.start.to_zoned(rated.zone.clone()).date();
        days.push(DayOfDimension { date, quantities, amounts: parts });
    }
    let amount = Money::sum(amounts.iter().copied(), currency).map_err(Problem::internal)?;
    let (other, left) = (amounts.pop(), whole.last().copied().unwrap_or_default());
    let other = other.filter(|other| found.others > 0 || !other.is_zero()).map(|amount| {
        OtherCost { values: found.others, quantity: left.quantity, events: left.events, amount }
    });
    let values = found.values.into_iter().zip(whole).zip(amounts);
    Ok(BillDimension {
        meter: meter.id.clone(),
        name: meter.name.clone(),
        unit: meter.unit.clone(),
        by: by.to_owned(),
        period_start: case.inputs.period.start,
        period_end: case.inputs.period.end,
        values: values
            .map(|((value, cell), amount)| ValueCost {
                value,
                quantity: cell.quantity,
                events: cell.events,
                amount,
            })
            .collect(),
        other,
        quantity,
        amount,
        days,
    })
}

/// What the charges of a meter cost on a day.
fn cost(case: &Case, charged: &Charged, meter: &str, currency: Currency) -> Result<Money, Problem> {
    let Ok(lines) = &case.lines else { return Ok(Money::zero(currency)) };
    let of_meter = |charge: &str| {
        lines.iter().any(|line| line.charge == charge && line.meter.as_deref() == Some(meter))
    };
    let own = charged.iter().filter(|(charge, _)| of_meter(charge)).map(|(_, amount)| *amount);
    Money::sum(own, currency).map_err(Problem::internal)
}
