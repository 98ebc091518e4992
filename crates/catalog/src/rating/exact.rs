//! Decimal arithmetic that is exact or refuses.
//!
//! A decimal has 96 bits; past them a product would be rounded silently, and
//! an invoice line has ONE rounding (SPEC 12).

use std::collections::BTreeMap;

use rust_decimal::Decimal;

/// `left x right`, or `None` when the exact result needs more than 96 bits.
pub(super) fn times(left: Decimal, right: Decimal) -> Option<Decimal> {
    let (left, right) = (left.normalize(), right.normalize());
    if left.is_zero() || right.is_zero() {
        return Some(Decimal::ZERO);
    }
    let product = left.checked_mul(right)?;
    (product.scale() == left.scale() + right.scale()).then_some(product)
}

/// `left + right`, or `None` when the exact result needs more than 96 bits.
pub(super) fn plus(left: Decimal, right: Decimal) -> Option<Decimal> {
    let (left, right) = (left.normalize(), right.normalize());
    if left.is_zero() || right.is_zero() {
        return Some(left + right);
    }
    let sum = left.checked_add(right)?;
    (sum.scale() == left.scale().max(right.scale())).then_some(sum)
}

/// An exact fraction: a part of an interval, a part of a package.
///
/// The division comes last, at 28 digits: a quotient that is not a half of a
/// cent stays on its side of it, for denominators are small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ratio {
    pub(super) part: Decimal,
    pub(super) whole: Decimal,
}

impl Ratio {
    pub(super) const ONE: Self = Self { part: Decimal::ONE, whole: Decimal::ONE };

    pub(super) fn is_one(self) -> bool {
        self.part == self.whole
    }
}

/// An exact amount as a sum of fractions, one a denominator: it is divided, at
/// 28 digits, only when nothing is left to multiply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Amount(BTreeMap<Decimal, Decimal>);

impl Amount {
    /// `amount x ratio`.
    pub(super) fn of(amount: Decimal, ratio: Ratio) -> Option<Self> {
        if ratio.is_one() {
            return Some(Self(BTreeMap::from([(Decimal::ONE, amount)])));
        }
        Some(Self(BTreeMap::from([(ratio.whole, times(amount, ratio.part)?)])))
    }

    /// A whole amount.
    pub(super) fn whole(amount: Decimal) -> Self {
        Self(BTreeMap::from([(Decimal::ONE, amount)]))
    }

    /// The sum of both.
    pub(super) fn plus(mut self, other: Self) -> Option<Self> {
        for (whole, part) in other.0 {
            let sum = self.0.entry(whole).or_default();
            *sum = plus(*sum, part)?;
        }
        Some(self)
    }

    /// The amount, `factor` times.
    pub(super) fn times(mut self, factor: Decimal) -> Option<Self> {
        for part in self.0.values_mut() {
            *part = times(*part, factor)?;
        }
        Some(self)
    }

    /// The quotients, added.
    pub(super) fn value(&self) -> Option<Decimal> {
        self.0.iter().try_fold(Decimal::ZERO, |sum, (whole, part)| {
            sum.checked_add(part.checked_div(*whole)?)
        })
    }
}
