//! Fractions without limit of size. Nothing in this crate is rounded but where a rule says so.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

/// An exact number: quantity or amount.
pub type Exact = BigRational;

/// A whole number.
pub(crate) fn whole(n: impl Into<BigInt>) -> Exact {
    Exact::from_integer(n.into())
}

/// Reads `12`, `-0.05` or `1.5e3`. Nothing else is a number.
pub fn decimal(text: &str) -> Option<Exact> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if exponent.abs() > 400 || !after.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let digits = BigInt::parse_bytes(format!("{before}{after}").as_bytes(), 10)?;
    let shift = exponent - i32::try_from(after.len()).ok()?;
    let power = whole(BigInt::from(10).pow(shift.unsigned_abs()));
    Some(if shift < 0 { whole(digits) / power } else { whole(digits) * power })
}

/// The nearest whole number; from the middle, the even one.
pub(crate) fn half_even(number: &Exact) -> BigInt {
    let below = number.floor().to_integer();
    let rest = number - whole(below.clone());
    let half = whole(1) / whole(2);
    let even = (&below % BigInt::from(2)).is_zero();
    if rest < half || (rest == half && even) { below } else { below + BigInt::one() }
}

/// Rounded to so many digits after the point, halves to even.
pub(crate) fn round_to(number: &Exact, places: u32) -> Exact {
    let power = whole(BigInt::from(10).pow(places));
    whole(half_even(&(number * &power))) / power
}

/// What is above `floor`, never less than nothing.
pub(crate) fn above(number: &Exact, floor: &Exact) -> Exact {
    let rest = number - floor;
    if rest.is_positive() { rest } else { whole(0) }
}

/// `5`, or `31/2`.
pub fn show(number: &Exact) -> String {
    number.to_string()
}

/// Reads what [`show`] wrote, and decimals.
pub fn read(text: &str) -> Option<Exact> {
    match text.split_once('/') {
        None => decimal(text),
        Some((over, under)) => {
            let under = decimal(under)?;
            if under.is_zero() { None } else { Some(decimal(over)? / under) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_to_the_even_neighbour() {
        let cases = [("0.5", 0), ("1.5", 2), ("2.5", 2), ("-0.5", 0), ("-1.5", -2), ("2.51", 3)];
        for (text, expected) in cases {
            assert_eq!(half_even(&decimal(text).unwrap()), BigInt::from(expected), "{text}");
        }
    }

    #[test]
    fn texts_are_read_exactly_or_not_at_all() {
        assert_eq!(show(&decimal("0.05").unwrap()), "1/20");
        assert_eq!(show(&decimal("1.5e3").unwrap()), "1500");
        assert_eq!(read("31/2"), decimal("15.5"));
        for text in ["", "NaN", "1.-5", "from 3", "1/0", "1e999"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
