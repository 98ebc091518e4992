//! What a billing period costs, day by day and by dimension.
//!
//! A day costs what usage up to its end is rated with, less what usage up to its
//! beginning is: the days, what was used before them, and what no day caused come to
//! the subtotal of the estimate or the invoice, to the cent. Of an invoice, its own
//! inputs are read, so its days stay as they were when it was issued.
//!
//! Owns: which period is asked about, the totals that days take, and sharing a
//! day's cost out among the values of a dimension. Refuses: rates of its own
//! ([`tenure_catalog::invoicing::days`] has the rule).

pub mod api;
mod db;
mod dimension;
pub mod model;
mod read;

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use tenure_catalog::{
    invoicing::{
        DraftLine, LineKind,
        days::{self, Charged, DayCosts},
    },
    plan::Part,
};
use tenure_core::{Currency, Money, Period, SubscriptionId, TenantId};
use tenure_tenancy::TenantTx;

pub use self::{
    dimension::by_dimension,
    model::{BillDays, BillDimension},
};
use self::{
    model::{Apart, ApartCost, ChargeAmount, ChargeOfDays, DayAmount, DayCost},
    read::Case,
};
use crate::{App, billing::close, http::Problem};

/// Days of one answer at most, the newest: each is rated on its own.
pub const DAYS_MAX: usize = 92;

/// The cost of the period that holds `at` (the present one when absent), by day.
pub async fn by_day(
    app: &App,
    tenant: TenantId,
    subscription: SubscriptionId,
    at: Option<Timestamp>,
) -> Result<BillDays, Problem> {
    let now = app.now();
    let (mut tx, case) = read::open(app, tenant, subscription, at, now).await?;
    let rated = rate(&mut tx, &case, now).await?;
    tx.commit().await?;
    told(&case, rated, now)
}

/// As [`by_day`], for the tenant: a draft is not told of.
pub async fn by_day_own(
    app: &App,
    tenant: TenantId,
    subscription: SubscriptionId,
    at: Option<Timestamp>,
) -> Result<BillDays, Problem> {
    let mut told = by_day(app, tenant, subscription, at).await?;
    told.invoice = told.invoice.filter(|invoice| invoice.number.is_some());
    Ok(told)
}

/// The days and what each costs; nothing where a contract is missing.
struct Rated {
    zone: TimeZone,
    days: Vec<Period>,
    costs: DayCosts,
}

async fn rate(tx: &mut TenantTx, case: &Case, now: Timestamp) -> Result<Rated, Problem> {
    let zone = TimeZone::get(case.zone()).map_err(Problem::internal)?;
    let inputs = &case.inputs;
    let mut all = days::days(inputs.period, &zone, now).map_err(close::cannot_invoice)?;
    all.drain(..all.len().saturating_sub(DAYS_MAX));
    let Ok(lines) = &case.lines else {
        let costs = DayCosts { before: Charged::new(), days: vec![], apart: Vec::new() };
        return Ok(Rated { zone, days: Vec::new(), costs });
    };
    let used = read::used(tx, case, days::parts(inputs, &all), now).await?;
    let costs = days::by_day(inputs, lines, &all, &used, &case.versions());
    Ok(Rated { zone, days: all, costs: costs.map_err(close::cannot_invoice)? })
}

fn told(case: &Case, rated: Rated, now: Timestamp) -> Result<BillDays, Problem> {
    let currency = case.account.present_catalog()?.product.currency;
    let (lines, needs_contract) = match &case.lines {
        Ok(lines) => (lines.as_slice(), None),
        Err(missing) => (&[][..], Some(missing.clone())),
    };
    let before = amount(&rated.costs.before, currency)?;
    let mut all = Vec::with_capacity(rated.days.len());
    for (day, charged) in rated.days.iter().zip(&rated.costs.days) {
        let date = day.start.to_zoned(rated.zone.clone()).date();
        all.push(DayCost { date, cost: amount(charged, currency)? });
    }
    let subtotal = Money::sum(lines.iter().map(|line| line.amount), currency);
    let apart = rated.costs.apart.iter().map(apart);
    Ok(BillDays {
        subscription_id: case.account.subscription.id,
        period_start: case.inputs.period.start,
        period_end: case.inputs.period.end,
        has_earlier: case.inputs.n > 0,
        as_of: now,
        time_zone: case.zone().to_owned(),
        invoice: case.invoice.clone(),
        charges: charges(lines, &rated.costs, currency)?,
        before,
        days: all,
        apart: apart.collect(),
        subtotal: subtotal.map_err(|error| close::cannot_invoice(error.into()))?,
        is_trial: case.is_trial,
        needs_contract,
    })
}

fn amount(charged: &Charged, currency: Currency) -> Result<DayAmount, Problem> {
    let sum = Money::sum(charged.values().copied(), currency).map_err(Problem::internal)?;
    let charges = charged
        .iter()
        .map(|(charge, amount)| ChargeAmount { charge: charge.clone(), amount: *amount });
    Ok(DayAmount { amount: sum, charges: charges.collect() })
}

/// The charges that days have, in the order of the bill.
fn charges(
    lines: &[DraftLine],
    costs: &DayCosts,
    currency: Currency,
) -> Result<Vec<ChargeOfDays>, Problem> {
    let mut sums: BTreeMap<&str, Money> = BTreeMap::new();
    for charged in std::iter::once(&costs.before).chain(&costs.days) {
        for (charge, amount) in charged {
            let sum = sums.entry(charge).or_insert(Money::zero(currency));
            *sum = sum.checked_add(*amount).map_err(Problem::internal)?;
        }
    }
    let mut all: Vec<ChargeOfDays> = Vec::new();
    for line in lines.iter().filter(|line| line.kind == LineKind::Charge) {
        let Some(amount) = sums.remove(line.charge.as_str()) else { continue };
        all.push(ChargeOfDays {
            charge: line.charge.clone(),
            description: line.description.clone(),
            meter: line.meter.clone(),
            amount,
        });
    }
    Ok(all)
}

fn apart(line: &DraftLine) -> ApartCost {
    let why = match (line.kind, line.part) {
        (LineKind::Adjustment, _) => Apart::Adjustment,
        (_, Part::Commitment) => Apart::Settled,
        _ if line.meter.is_some() => Apart::Settled,
        _ => Apart::Flat,
    };
    ApartCost {
        charge: line.charge.clone(),
        description: line.description.clone(),
        why,
        amount: line.amount,
    }
}
