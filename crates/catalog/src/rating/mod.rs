//! What terms cost in a period, each line with its arithmetic.
//!
//! Owns: every rule that turns usage and quantities into money. Exact decimals
//! throughout; ONE rounding a line, halves to even, to the currency's decimals
//! (SPEC 12). Refuses: prices without a contract, windows outside the period.

mod due;
mod exact;
mod reductions;
mod used;
pub(crate) mod words;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tenure_core::{Interval, Money, MoneyError, Period};

use self::{
    due::Due,
    exact::{plus, scaled, times},
    used::{Package, Rated},
};
use crate::{
    contract::{self, NeedsContract, Terms},
    entitlements::{self, LimitNow},
    model::Product,
    plan::{Basis, Charge, Commitment, Every, Over, Part, Per, Plan, Rounding},
};

/// Most windows of one meter: 15 months of days with room to spare.
pub const WINDOWS_MAX: usize = 500;

/// Usage of one invoice period.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Each meter at most once.
    pub meters: Vec<MeterUsage>,
    /// Usage of the subscription's year that ends with this period, for limits
    /// that are trued up once a year. Empty where the period is that year.
    #[serde(default)]
    pub year: Vec<MeterUsage>,
    /// What earlier invoices of the running commitment interval already billed
    /// towards the plan's commitment.
    #[serde(default)]
    pub billed_before: Option<Money>,
}

/// Totals of one meter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterUsage {
    /// Id of the meter.
    pub meter: String,
    /// By the windows that [`crate::Plan::window`] asks for (one window for a
    /// whole period). A window belongs to the period in which it starts, cut at
    /// the subscription's start.
    pub windows: Vec<Window>,
}

/// One total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// When the window starts.
    pub start: Timestamp,
    /// In the meter's unit (GB rather than bytes), not negative.
    pub quantity: Decimal,
}

impl Usage {
    /// The same usage with one more total.
    #[must_use]
    pub fn with(mut self, meter: &str, start: Timestamp, quantity: Decimal) -> Self {
        let window = Window { start, quantity };
        match self.meters.iter_mut().find(|usage| usage.meter == meter) {
            Some(usage) => usage.windows.push(window),
            None => {
                self.meters.push(MeterUsage { meter: meter.to_owned(), windows: vec![window] });
            }
        }
        self
    }
}

/// What a period costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    /// Rated.
    pub period: Period,
    /// The plan's charges, add-ons, services, overage, commitment.
    pub lines: Vec<Line>,
    /// The sum of the lines, before tax.
    pub total: Money,
}

/// One line of a bill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Id of the charge, add-on or service, `overage.<limit>` or `commitment`.
    pub charge: String,
    /// Where it stands on the bill.
    pub part: Part,
    /// For people: `Events over the included 1,000,000 a day`.
    pub description: String,
    /// How many were billed, in units (not packages).
    pub quantity: Decimal,
    /// For people, what one of them is called.
    pub unit: String,
    /// In words: `34,000 / 1,000 x $0.05 = $1.70`.
    pub arithmetic: String,
    /// Rounded once.
    pub amount: Money,
}

/// Why a period cannot be rated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A price is only a starting point.
    #[error(transparent)]
    NeedsContract(#[from] NeedsContract),
    /// The terms name what the product does not have.
    #[error(transparent)]
    Terms(#[from] entitlements::Error),
    /// Usage of a meter that the product does not have, or has listed twice.
    #[error("usage names the meter `{0}` twice, or the product does not have it")]
    UnknownMeter(String),
    /// A window of another period.
    #[error("usage of `{meter}` at {start} lies outside the period")]
    WindowOutside {
        /// Id of the meter.
        meter: String,
        /// Of the window.
        start: Timestamp,
    },
    /// Two totals of one window.
    #[error("usage of `{meter}` has the window at {start} twice")]
    WindowTwice {
        /// Id of the meter.
        meter: String,
        /// Of the window.
        start: Timestamp,
    },
    /// Totals of parts of a period where only the period's total means
    /// anything: highest values and averages cannot be added.
    #[error("usage of `{0}` cannot be added up: give one total for the whole period")]
    OneWindow(String),
    /// More windows than [`WINDOWS_MAX`].
    #[error("usage of `{0}` has more than {WINDOWS_MAX} windows")]
    TooManyWindows(String),
    /// Usage below zero.
    #[error("usage of `{0}` is negative")]
    Negative(String),
    /// No such zone.
    #[error("`{0}` is no IANA time zone")]
    UnknownZone(String),
    /// The period ends before it starts, or lies outside the calendar.
    #[error("the period is empty or outside the calendar")]
    BadPeriod,
    /// Too large for exact arithmetic.
    #[error("the amount of `{0}` is too large")]
    Overflow(String),
    /// The sum is too large.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// The bill of `period` under `terms`, for the usage given.
///
/// A charge due every month or year falls due at the start of each such
/// interval of the subscription, and is billed in the period that holds that
/// moment; what is added later, for the rest of the interval. Usage is billed
/// with the period that it lies in; a true-up and a commitment with the period
/// that ends their year.
pub fn estimate(
    product: &Product,
    terms: &Terms,
    period: Period,
    usage: &Usage,
) -> Result<Bill, Error> {
    if period.start >= period.end {
        return Err(Error::BadPeriod);
    }
    let at = period.start.max(terms.start);
    let now = entitlements::resolve(product, terms, at)?;
    contract::billable(product, terms, at)?;
    check_usage(product, usage, period)?;
    let plan = product.plan(&now.plan).ok_or(Error::BadPeriod)?;
    let zone = TimeZone::get(&terms.zone).map_err(|_| Error::UnknownZone(terms.zone.clone()))?;
    let rater = Rater { product, plan, terms, zone, period, at, usage };
    let mut lines = Vec::new();
    for charge in &plan.charges {
        lines.extend(rater.charge(charge, Part::Plan)?);
    }
    for (extras, part) in [(&product.add_ons, Part::AddOns), (&product.services, Part::Services)] {
        for extra in extras.iter().filter(|extra| extra.fits(&plan.id)) {
            lines.extend(rater.charge(&extra.charge, part)?);
        }
    }
    for limit in &now.limits {
        lines.extend(rater.overage(limit)?);
    }
    if let Some(commitment) = &plan.commitment {
        lines.extend(rater.commitment(commitment, &lines)?);
    }
    let total = Money::sum(lines.iter().map(|line| line.amount), product.currency)?;
    Ok(Bill { period, lines, total })
}

fn check_usage(product: &Product, usage: &Usage, period: Period) -> Result<(), Error> {
    for (list, bounded) in [(&usage.meters, true), (&usage.year, false)] {
        for (index, meter) in list.iter().enumerate() {
            let id = &meter.meter;
            let twice = list.iter().take(index).any(|earlier| earlier.meter == *id);
            if twice || product.meter(id).is_none() {
                return Err(Error::UnknownMeter(id.clone()));
            }
            if meter.windows.len() > WINDOWS_MAX {
                return Err(Error::TooManyWindows(id.clone()));
            }
            if meter.windows.iter().any(|window| window.quantity < Decimal::ZERO) {
                return Err(Error::Negative(id.clone()));
            }
            let outside = meter.windows.iter().find(|window| !period.contains(window.start));
            if let (true, Some(window)) = (bounded, outside) {
                return Err(Error::WindowOutside { meter: id.clone(), start: window.start });
            }
            let mut starts = BTreeSet::new();
            if let Some(window) = meter.windows.iter().find(|window| !starts.insert(window.start)) {
                return Err(Error::WindowTwice { meter: id.clone(), start: window.start });
            }
        }
    }
    Ok(())
}

/// One bill in the making.
struct Rater<'a> {
    product: &'a Product,
    plan: &'a Plan,
    terms: &'a Terms,
    zone: TimeZone,
    period: Period,
    at: Timestamp,
    usage: &'a Usage,
}

impl Rater<'_> {
    /// The line of a charge, when anything of it is due.
    fn charge(&self, charge: &Charge, part: Part) -> Result<Option<Line>, Error> {
        if let Basis::Metered { meter, each, rounding, per } = &charge.basis {
            if charge.optional && self.terms.quantity(&charge.id, self.at).is_none() {
                return Ok(None);
            }
            return self.metered(charge, part, (meter, *per), each.value(), *rounding).map(Some);
        }
        let negotiated = self.terms.negotiated(&charge.id, self.at);
        let every = match negotiated.and_then(|price| price.every) {
            Some(Interval::Month) => Every::Month,
            Some(Interval::Year) => Every::Year,
            None => charge.every,
        };
        let dues = due::due(charge, every, self.terms, &self.zone, self.period)?;
        if dues.is_empty() {
            return Ok(None);
        }
        let overflow = || Error::Overflow(charge.id.clone());
        let (mut amount, mut quantity) = (Decimal::ZERO, Decimal::ZERO);
        let mut said: Vec<String> = Vec::new();
        for due in &dues {
            let (one, words) = self.price(charge, due).ok_or_else(|| self.unpriced(charge))?;
            amount = plus(amount, one).ok_or_else(overflow)?;
            quantity = plus(quantity, due.quantity).ok_or_else(overflow)?;
            said.push(words);
        }
        let rated = Rated { quantity, amount, arithmetic: said.join(" + ") };
        let unit = self.unit(charge);
        self.line(&charge.id, part, charge.name.clone(), unit, rated).map(Some)
    }

    /// The exact price of what is due, with its arithmetic.
    fn price(&self, charge: &Charge, due: &Due) -> Option<(Decimal, String)> {
        let currency = self.product.currency;
        let negotiated = self.terms.negotiated(&charge.id, due.at).map(|price| price.amount);
        let (amount, words) = match negotiated {
            None if !charge.tiers.is_empty() => {
                let rated = used::tiered(due.quantity, &charge.tiers, currency)?;
                (rated.amount, rated.arithmetic)
            }
            _ => {
                let each = negotiated.or(charge.amount.billable())?;
                let words = words::price(each, currency);
                let counted = !matches!(charge.basis, Basis::Flat { unit: None })
                    || due.quantity != Decimal::ONE;
                let words = if counted {
                    format!("{} x {words}", words::counted(due.quantity, &self.unit(charge)))
                } else {
                    words
                };
                (times(due.quantity, each)?, words)
            }
        };
        if due.part.is_one() {
            return Some((amount, words));
        }
        let share = (due.part.part / due.part.whole * Decimal::ONE_HUNDRED).round_dp(2);
        let words = format!("{words} x {}% of the {}", share.normalize(), interval_word(charge));
        Some((scaled(amount, due.part)?, words))
    }

    fn metered(
        &self,
        charge: &Charge,
        part: Part,
        (meter, per): (&str, Per),
        each: Decimal,
        rounding: Rounding,
    ) -> Result<Line, Error> {
        let currency = self.product.currency;
        let usage = self.windows(&self.usage.meters, meter, per)?;
        let negotiated = self.terms.negotiated(&charge.id, self.at).map(|price| price.amount);
        let rated = if negotiated.is_none() && !charge.tiers.is_empty() {
            used::graduated(&usage, &charge.tiers, currency)
        } else {
            let price = negotiated.or(charge.amount.billable());
            let price = price.ok_or_else(|| self.unpriced(charge))?;
            used::flat(&usage, Package { price, each, rounding }, currency)
        };
        let rated = rated.ok_or_else(|| Error::Overflow(charge.id.clone()))?;
        self.line(&charge.id, part, charge.name.clone(), self.unit(charge), rated)
    }

    /// What is charged past a limit, when anything is over.
    fn overage(&self, limit: &LimitNow) -> Result<Option<Line>, Error> {
        let (price, each, rounding, yearly) = match &limit.over {
            Over::Charge { price, each, rounding, .. } => (price, each, *rounding, false),
            Over::TrueUp { price, each, rounding } => (price, each, *rounding, true),
            Over::Block | Over::Warn => return Ok(None),
        };
        let per = limit.per.unwrap_or(Per::Period);
        let source = match (yearly, self.year_ends()?) {
            (true, None) => return Ok(None),
            (true, Some(year)) if year != self.period => &self.usage.year,
            _ => &self.usage.meters,
        };
        let usage = self.windows(source, &limit.id, per)?;
        let id = format!("overage.{}", limit.id);
        let price = self.terms.negotiated(&id, self.at).map_or(*price, |price| price.amount);
        let package = Package { price, each: each.value(), rounding };
        let mut included: BTreeMap<Timestamp, Option<Decimal>> = BTreeMap::new();
        for window in &usage.windows {
            let at = window.start.max(self.terms.start);
            let then = entitlements::resolve(self.product, self.terms, at)?;
            let free = then.limit(&limit.id).and_then(|limit| limit.included);
            included.insert(window.start, free.map(|free| free.value()));
        }
        let free = |at| included.get(&at).copied().flatten();
        let rated = used::over(&usage, per, package, self.product.currency, free)
            .ok_or_else(|| Error::Overflow(id.clone()))?;
        let Some(rated) = rated else { return Ok(None) };
        let window = match per {
            Per::Period => String::new(),
            per => format!(" a {}", per.word()),
        };
        let free = limit.included.map(|free| words::number(free.value())).unwrap_or_default();
        let what = if yearly { "true-up over" } else { "over" };
        let text = format!("{}, {what} the included {free}{window}", limit.name);
        self.line(&id, Part::Overage, text, limit.unit.clone(), rated).map(Some)
    }

    /// What the plan's and overage lines lack to the commitment, at the end of
    /// its interval.
    fn commitment(&self, commitment: &Commitment, lines: &[Line]) -> Result<Option<Line>, Error> {
        let currency = self.product.currency;
        if self.ends(commitment.every)?.is_none() {
            return Ok(None);
        }
        let counts = |line: &&Line| matches!(line.part, Part::Plan | Part::Overage);
        let now = Money::sum(lines.iter().filter(counts).map(|line| line.amount), currency)?;
        let before = self.usage.billed_before.unwrap_or(Money::zero(currency));
        let billed = now.checked_add(before)?;
        let lacking = commitment.amount - billed.to_decimal();
        if lacking <= Decimal::ZERO {
            return Ok(None);
        }
        let least = words::price(commitment.amount, currency);
        let arithmetic = format!("{least} - {} billed", billed.display());
        let text = format!("Minimum of {least} a {}, true-up", commitment.every.word());
        let rated = Rated { quantity: Decimal::ONE, amount: lacking, arithmetic };
        self.line("commitment", Part::Commitment, text, String::new(), rated).map(Some)
    }

    /// The interval of the subscription that ends in this period, if any.
    fn ends(&self, every: Interval) -> Result<Option<Period>, Error> {
        let mut all = due::intervals(self.terms, &self.zone, every, self.period)?.into_iter();
        let ended = |end: Timestamp| self.period.start < end && end <= self.period.end;
        let last = self.terms.end;
        Ok(all
            .find(|one| ended(one.end) || last.is_some_and(|end| one.contains(end) && ended(end))))
    }

    fn year_ends(&self) -> Result<Option<Period>, Error> {
        self.ends(Interval::Year)
    }

    /// The windows of a meter; joined where the whole period is one window.
    fn windows(&self, list: &[MeterUsage], meter: &str, per: Per) -> Result<MeterUsage, Error> {
        let found = list.iter().find(|usage| usage.meter == meter);
        let mut usage = found
            .cloned()
            .unwrap_or_else(|| MeterUsage { meter: meter.to_owned(), windows: Vec::new() });
        if per != Per::Period || usage.windows.len() < 2 {
            return Ok(usage);
        }
        let additive =
            self.product.meter(meter).is_some_and(|meter| meter.aggregation.is_additive());
        if !additive {
            return Err(Error::OneWindow(meter.to_owned()));
        }
        let quantity = usage.windows.iter().try_fold(Decimal::ZERO, |sum, w| plus(sum, w.quantity));
        let quantity = quantity.ok_or_else(|| Error::Overflow(meter.to_owned()))?;
        usage.windows = vec![Window { start: self.period.start, quantity }];
        Ok(usage)
    }

    fn unit(&self, charge: &Charge) -> String {
        match &charge.basis {
            Basis::Flat { unit } => unit.clone().unwrap_or_default(),
            Basis::Held { allocation, .. } => {
                self.product.allocation(allocation).map(|held| held.one.clone()).unwrap_or_default()
            }
            Basis::Metered { meter, .. } => {
                self.product.meter(meter).map(|meter| meter.unit.clone()).unwrap_or_default()
            }
        }
    }

    /// Discounts, then the one rounding of the line.
    fn line(
        &self,
        id: &str,
        part: Part,
        description: String,
        unit: String,
        rated: Rated,
    ) -> Result<Line, Error> {
        let reductions = reductions::on(self.product, self.plan, self.terms, part, id, self.at);
        let exact = reductions::apply(rated.amount, &reductions)
            .ok_or_else(|| Error::Overflow(id.to_owned()))?;
        let amount = Money::rounded(exact, self.product.currency)?;
        let left = reductions::words(&reductions);
        let arithmetic = format!("{}{left} = {}", rated.arithmetic, words::result(amount));
        let line = Line {
            charge: id.to_owned(),
            part,
            description,
            quantity: rated.quantity,
            unit,
            arithmetic,
            amount,
        };
        Ok(line)
    }

    fn unpriced(&self, charge: &Charge) -> Error {
        if charge.amount.billable().is_some() || !charge.tiers.is_empty() {
            return Error::Overflow(charge.id.clone());
        }
        Error::NeedsContract(NeedsContract {
            product: self.product.name.clone(),
            plan: self.plan.name.clone(),
            charges: vec![charge.name.clone()],
            contact: self.product.sales_contact.clone(),
        })
    }
}

fn interval_word(charge: &Charge) -> &'static str {
    if charge.every == Every::Year { "year" } else { "month" }
}
