//! Decimal arithmetic that is exact or refuses.
//!
//! A decimal has 96 bits; past them a product would be rounded silently, and
//! an invoice line has ONE rounding (SPEC 12).

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

/// `amount x ratio`; the product is exact, the quotient has 28 digits.
pub(super) fn scaled(amount: Decimal, ratio: Ratio) -> Option<Decimal> {
    if ratio.is_one() {
        return Some(amount);
    }
    times(amount, ratio.part)?.checked_div(ratio.whole)
}
