//! Turns each charge, limit and commitment of a plan into a line of a bill.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;
use tenure_core::{Interval, Money, Period};

use super::{
    Error, Line, MeterUsage, Usage, Window,
    due::{self, Due},
    exact::{Amount, Ratio, plus, times},
    reductions, settled,
    used::{self, Package, Rated},
    windows, words,
};
use crate::{
    contract::{NeedsContract, Terms},
    entitlements::{self, LimitNow},
    meter::Aggregation,
    model::Product,
    plan::{Basis, Charge, Commitment, Every, Over, Part, Per, Plan, Rounding},
};

/// One bill in the making.
pub(super) struct Rater<'a> {
    pub(super) product: &'a Product,
    pub(super) plan: &'a Plan,
    pub(super) terms: &'a Terms,
    pub(super) zone: TimeZone,
    pub(super) period: Period,
    /// When prices and limits of the whole period are read: its start, or the
    /// start of the terms.
    pub(super) at: Timestamp,
    pub(super) usage: &'a Usage,
}

impl Rater<'_> {
    /// The line of a charge, when anything of it is due.
    pub(super) fn charge(&self, charge: &Charge, part: Part) -> Result<Option<Line>, Error> {
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
        let (mut amount, mut quantity) = (Amount::default(), Decimal::ZERO);
        let mut said: Vec<String> = Vec::new();
        for due in &dues {
            let (one, words) = self.price(charge, due).ok_or_else(|| self.unpriced(charge))?;
            amount = amount.plus(one).ok_or_else(overflow)?;
            quantity = plus(quantity, due.quantity).ok_or_else(overflow)?;
            said.push(words);
        }
        let rated = Rated { quantity, amount, arithmetic: said.join(" + ") };
        let unit = self.unit(charge);
        self.line(&charge.id, part, charge.name.clone(), unit, rated).map(Some)
    }

    /// The exact price of what is due, with its arithmetic.
    fn price(&self, charge: &Charge, due: &Due) -> Option<(Amount, String)> {
        let currency = self.product.currency;
        let negotiated = self.terms.negotiated(&charge.id, due.at).map(|price| price.amount);
        let (amount, words) = match negotiated {
            None if !charge.tiers.is_empty() => {
                let rated = used::tiered(due.quantity, due.after, &charge.tiers, currency)?;
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
                (Amount::whole(times(due.quantity, each)?), words)
            }
        };
        if due.part.is_one() {
            return Some((amount, words));
        }
        let words = format!("{words}{}", share_words(due.part, interval_word(charge)));
        Some((Amount::of(amount.value()?, due.part)?, words))
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
        let mut usage = self.windows(&self.usage.meters, meter, per)?;
        for window in &mut usage.windows {
            let share = self.share(meter, per, window.start)?;
            window.quantity = used::in_part(window.quantity, share)
                .ok_or_else(|| Error::Overflow(charge.id.clone()))?;
        }
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
    pub(super) fn overage(&self, limit: &LimitNow) -> Result<Option<Line>, Error> {
        let (price, each, rounding, yearly) = match &limit.over {
            Over::Charge { price, each, rounding, .. } => (price, each, *rounding, false),
            Over::TrueUp { price, each, rounding } => (price, each, *rounding, true),
            Over::Block | Over::Warn => return Ok(None),
        };
        let per = limit.per.unwrap_or(Per::Period);
        let source = match yearly {
            true if self.settled(Interval::Year)?.is_none() => return Ok(None),
            true if settled::year_apart(self.terms, self.period)?.is_some() => &self.usage.year,
            _ => &self.usage.meters,
        };
        let usage = self.windows(source, &limit.id, per)?;
        let id = format!("overage.{}", limit.id);
        let price = self.terms.negotiated(&id, self.at).map_or(*price, |price| price.amount);
        let package = Package { price, each: each.value(), rounding };
        let mut included: BTreeMap<Timestamp, Option<Decimal>> = BTreeMap::new();
        let mut shares: BTreeMap<Timestamp, Ratio> = BTreeMap::new();
        for window in &usage.windows {
            let at = window.start.max(self.terms.start);
            let then = entitlements::resolve(self.product, self.terms, at)?;
            let free = then.limit(&limit.id).and_then(|limit| limit.included);
            included.insert(window.start, free.map(|free| free.value()));
            shares.insert(window.start, self.share(&limit.id, per, window.start)?);
        }
        let of = used::Windows {
            per,
            included: &|at| included.get(&at).copied().flatten(),
            share: &|at| shares.get(&at).copied().unwrap_or(Ratio::ONE),
        };
        let rated = used::over(&usage, &of, package, self.product.currency)
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
    pub(super) fn commitment(
        &self,
        commitment: &Commitment,
        lines: &[Line],
    ) -> Result<Option<Line>, Error> {
        let currency = self.product.currency;
        let Some(interval) = self.settled(commitment.every)? else { return Ok(None) };
        let counts = |line: &&Line| matches!(line.part, Part::Plan | Part::Overage);
        let now = Money::sum(lines.iter().filter(counts).map(|line| line.amount), currency)?;
        let before = self.usage.billed_before.unwrap_or(Money::zero(currency));
        let billed = now.checked_add(before)?;
        let overflow = || Error::Overflow("commitment".to_owned());
        let part = settled::part(self.terms, interval);
        let lacking = Amount::of(commitment.amount, part)
            .and_then(|least| least.plus(Amount::whole(-billed.to_decimal())))
            .ok_or_else(overflow)?;
        if lacking.value().ok_or_else(overflow)? <= Decimal::ZERO {
            return Ok(None);
        }
        let least = words::price(commitment.amount, currency);
        let share = share_words(part, commitment.every.word());
        let arithmetic = format!("{least}{share} - {} billed", billed.display());
        let text = format!("Minimum of {least} a {}, true-up", commitment.every.word());
        let rated = Rated { quantity: Decimal::ONE, amount: lacking, arithmetic };
        self.line("commitment", Part::Commitment, text, String::new(), rated).map(Some)
    }

    fn settled(&self, every: Interval) -> Result<Option<Period>, Error> {
        settled::interval(self.terms, &self.zone, every, self.period)
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

    /// The part of its whole window that a level stood for; of what is counted, all.
    fn share(&self, meter: &str, per: Per, start: Timestamp) -> Result<Ratio, Error> {
        let meter = self.product.meter(meter).map(|meter| &meter.aggregation);
        match meter {
            Some(Aggregation::TimeWeighted { .. }) => {
                let zone = windows::zone(self.terms)?;
                windows::share(self.terms, per, start, &zone, self.period)
            }
            _ => Ok(Ratio::ONE),
        }
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
            .and_then(|exact| exact.value())
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

/// ` x 51.61% of the month`; empty for all of it.
fn share_words(part: Ratio, interval: &str) -> String {
    if part.is_one() {
        return String::new();
    }
    let share = (part.part / part.whole * Decimal::ONE_HUNDRED).round_dp(2);
    format!(" x {}% of the {interval}", share.normalize())
}

fn interval_word(charge: &Charge) -> &'static str {
    if charge.every == Every::Year { "year" } else { "month" }
}
