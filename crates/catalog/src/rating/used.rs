//! Usage: metered charges with tiers, and what is charged past limits.
//!
//! The excess of each window is summed over the period and priced once
//! (SPEC 12), so a package that two days share is one package.

use jiff::Timestamp;
use rust_decimal::{Decimal, RoundingStrategy};
use tenure_core::Currency;

use super::{
    MeterUsage, Window,
    exact::{Amount, Ratio, plus, times},
    words,
};
use crate::plan::{Per, Rounding, Tier};

/// Decimals of a quantity (SPEC 12).
const QUANTITY_DECIMALS: u32 = 6;

/// An exact amount and how it came about.
#[derive(Debug, Clone)]
pub(super) struct Rated {
    pub(super) quantity: Decimal,
    pub(super) amount: Amount,
    pub(super) arithmetic: String,
}

/// What a package costs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Package {
    pub(super) price: Decimal,
    pub(super) each: Decimal,
    pub(super) rounding: Rounding,
}

impl Package {
    /// The exact price of `quantity`.
    fn of(self, quantity: Decimal) -> Option<Amount> {
        match self.rounding {
            Rounding::Exact => Amount::of(
                times(quantity, self.price)?,
                Ratio { part: Decimal::ONE, whole: self.each },
            ),
            Rounding::Up => Some(Amount::whole(times(self.packages(quantity)?, self.price)?)),
        }
    }

    /// Started packages.
    fn packages(self, quantity: Decimal) -> Option<Decimal> {
        let full = (quantity / self.each).round_dp_with_strategy(0, RoundingStrategy::ToZero);
        let rest = quantity.checked_sub(times(full, self.each)?)?;
        if rest > Decimal::ZERO { plus(full, Decimal::ONE) } else { Some(full) }
    }

    fn words(self, quantity: Decimal, currency: Currency) -> String {
        let price = words::price(self.price, currency);
        let quantity_text = words::number(quantity);
        match (self.rounding, self.each == Decimal::ONE) {
            (Rounding::Exact, true) => format!("{quantity_text} x {price}"),
            (Rounding::Exact, false) => {
                format!("{quantity_text} / {} x {price}", words::number(self.each))
            }
            (Rounding::Up, _) => {
                let packages = self.packages(quantity).unwrap_or_default();
                let each = words::number(self.each);
                format!(
                    "{quantity_text} = {} packages of {each} x {price}",
                    words::number(packages)
                )
            }
        }
    }
}

/// What is known of a limit's windows, by their starts.
pub(super) struct Windows<'a> {
    pub(super) per: Per,
    /// `None`: unlimited.
    pub(super) included: &'a dyn Fn(Timestamp) -> Option<Decimal>,
    /// The part of the window that its usage counts for.
    pub(super) share: &'a dyn Fn(Timestamp) -> Ratio,
}

/// A quantity that stood for a part of its window, with the six decimals of a quantity.
pub(super) fn in_part(quantity: Decimal, share: Ratio) -> Option<Decimal> {
    if share.is_one() {
        return Some(quantity);
    }
    let part = quantity.checked_mul(share.part)?.checked_div(share.whole)?;
    Some(part.round_dp_with_strategy(QUANTITY_DECIMALS, RoundingStrategy::MidpointAwayFromZero))
}

/// The usage past what each window includes; `None` in the outer option when
/// exact arithmetic ends, in the inner one when nothing is over.
pub(super) fn over(
    usage: &MeterUsage,
    of: &Windows<'_>,
    package: Package,
    currency: Currency,
) -> Option<Option<Rated>> {
    let mut excess = Decimal::ZERO;
    let mut windows_over: Vec<(&Window, Decimal)> = Vec::new();
    for window in &usage.windows {
        let Some(free) = (of.included)(window.start) else { continue };
        if window.quantity > free {
            let over = in_part(window.quantity.checked_sub(free)?, (of.share)(window.start))?;
            excess = plus(excess, over)?;
            windows_over.push((window, free));
        }
    }
    let amount = package.of(excess)?;
    let said = match windows_over.as_slice() {
        [] => return Some(None),
        [(window, free)] => {
            let (used, free) = (words::number(window.quantity), words::number(*free));
            let share = (of.share)(window.start);
            let part = if share.is_one() { "" } else { " for a part of the window" };
            format!("({used} - {free} included){part} = ")
        }
        many => {
            let word = if of.per == Per::Period { "window" } else { of.per.word() };
            format!("over on {} of {} {word}s: ", many.len(), usage.windows.len())
        }
    };
    let arithmetic = format!("{said}{}", package.words(excess, currency));
    Some(Some(Rated { quantity: excess, amount, arithmetic }))
}

/// All usage at one price.
pub(super) fn flat(usage: &MeterUsage, package: Package, currency: Currency) -> Option<Rated> {
    let quantity = usage.windows.iter().try_fold(Decimal::ZERO, |sum, w| plus(sum, w.quantity))?;
    let amount = package.of(quantity)?;
    Some(Rated { quantity, amount, arithmetic: package.words(quantity, currency) })
}

/// Usage in graduated tiers, which start anew in each window.
pub(super) fn graduated(usage: &MeterUsage, tiers: &[Tier], currency: Currency) -> Option<Rated> {
    let mut parts = vec![Decimal::ZERO; tiers.len()];
    let mut quantity = Decimal::ZERO;
    for window in &usage.windows {
        quantity = plus(quantity, window.quantity)?;
        for (part, slice) in parts.iter_mut().zip(split(window.quantity, tiers)) {
            *part = plus(*part, slice)?;
        }
    }
    priced(&parts, tiers, quantity, currency)
}

/// The price of `quantity` more after `after`, in graduated tiers.
pub(super) fn tiered(
    quantity: Decimal,
    after: Decimal,
    tiers: &[Tier],
    currency: Currency,
) -> Option<Rated> {
    let before = split(after, tiers);
    let all = split(plus(after, quantity)?, tiers);
    let parts: Vec<Decimal> = all.iter().zip(&before).map(|(all, before)| all - before).collect();
    priced(&parts, tiers, quantity, currency)
}

/// How much of `quantity` lies in each tier.
fn split(quantity: Decimal, tiers: &[Tier]) -> Vec<Decimal> {
    let mut reached = Decimal::ZERO;
    let slice = |tier: &Tier| {
        let end = tier.up_to.map_or(quantity, |end| end.value().min(quantity));
        let slice = (end - reached).max(Decimal::ZERO);
        reached = reached.max(end);
        slice
    };
    tiers.iter().map(slice).collect()
}

fn priced(
    parts: &[Decimal],
    tiers: &[Tier],
    quantity: Decimal,
    currency: Currency,
) -> Option<Rated> {
    let mut amount = Decimal::ZERO;
    let mut said = Vec::new();
    for (part, tier) in parts.iter().zip(tiers) {
        amount = plus(amount, times(*part, tier.price)?)?;
        if !part.is_zero() {
            said.push(format!("{} x {}", words::number(*part), words::price(tier.price, currency)));
        }
    }
    if said.is_empty() {
        said.push("0".to_owned());
    }
    Some(Rated { quantity, amount: Amount::whole(amount), arithmetic: said.join(" + ") })
}
