//! Quantities of usage: exact decimals within stated bounds.

use std::{fmt, str::FromStr};

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Visitor};

use crate::money::parse_decimal;

/// Most digits before the point (SPEC 12).
pub const WHOLE_DIGITS_MAX: u32 = 15;
/// Most digits after the point (SPEC 12).
pub const FRACTION_DIGITS_MAX: u32 = 6;

/// Why a quantity was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a plain decimal.
    #[error("`{0}` is not a quantity: write a plain decimal such as 12 or 0.5")]
    NotANumber(String),
    /// Below zero.
    #[error("a quantity cannot be negative; to take usage back, void its event")]
    Negative,
    /// Outside the stated digits.
    #[error(
        "a quantity has at most {WHOLE_DIGITS_MAX} digits before and {FRACTION_DIGITS_MAX} after the point"
    )]
    TooManyDigits,
}

/// A non-negative decimal with at most 15 digits before and 6 after the point.
///
/// As JSON: a string (`"12.5"`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Quantity(Decimal);

impl Quantity {
    /// None of it.
    pub const ZERO: Self = Self(Decimal::ZERO);
    /// One of it.
    pub const ONE: Self = Self(Decimal::ONE);

    /// The quantity, if it is within bounds.
    pub fn new(value: Decimal) -> Result<Self, QuantityError> {
        if value.is_sign_negative() && !value.is_zero() {
            return Err(QuantityError::Negative);
        }
        let value = value.normalize();
        let bound = Decimal::from(10u64.pow(WHOLE_DIGITS_MAX));
        if value.scale() > FRACTION_DIGITS_MAX || value >= bound {
            return Err(QuantityError::TooManyDigits);
        }
        Ok(Self(value))
    }

    /// The decimal.
    pub const fn value(self) -> Decimal {
        self.0
    }
}

impl From<u32> for Quantity {
    fn from(value: u32) -> Self {
        Self(Decimal::from(value))
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        // The usual case, a whole number: licenses are read on a hot path.
        let whole = (1..=WHOLE_DIGITS_MAX as usize).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit());
        if whole && let Ok(value) = text.parse::<u64>() {
            return Ok(Self(Decimal::from(value)));
        }
        match parse_decimal(text) {
            Ok(value) => Self::new(value),
            Err(_) if text.len() > 28 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') => {
                Err(QuantityError::TooManyDigits)
            }
            Err(_) => Err(QuantityError::NotANumber(text.chars().take(60).collect())),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text)
    }
}

/// Reads a quantity without keeping its text.
struct Text;

impl Visitor<'_> for Text {
    type Value = Quantity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Quantity, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Quantity {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some(r"^\d{1,15}(\.\d{1,6})?$"))
            .examples(["12.5"])
            .into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Quantity {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bounds_are_fifteen_and_six_digits() {
        assert!("999999999999999.999999".parse::<Quantity>().is_ok());
        assert_eq!("1000000000000000".parse::<Quantity>(), Err(QuantityError::TooManyDigits));
        assert_eq!("0.0000001".parse::<Quantity>(), Err(QuantityError::TooManyDigits));
        assert_eq!("9".repeat(40).parse::<Quantity>(), Err(QuantityError::TooManyDigits));
        assert_eq!("-1".parse::<Quantity>(), Err(QuantityError::Negative));
        assert!(matches!("NaN".parse::<Quantity>(), Err(QuantityError::NotANumber(_))));
        assert!(matches!("1e3".parse::<Quantity>(), Err(QuantityError::NotANumber(_))));
    }

    #[test]
    fn a_whole_number_is_the_same_quantity_however_it_is_written() {
        for (text, same) in [("5", "5.0"), ("007", "7"), ("0", "0.000000"), ("0", "-0")] {
            let [a, b] = [text, same].map(|text| text.parse::<Quantity>().unwrap());
            assert_eq!((a, a.to_string()), (b, b.to_string().replace("-0", "0")), "{text} {same}");
        }
        assert_eq!("999999999999999".parse::<Quantity>().unwrap().to_string(), "999999999999999");
    }

    proptest! {
        #[test]
        fn every_quantity_reads_back(mantissa in 0u64..1_000_000_000_000_000, scale in 0u32..=6) {
            let quantity = Quantity::new(Decimal::new(mantissa as i64, scale)).unwrap();
            prop_assert_eq!(quantity.to_string().parse::<Quantity>().unwrap(), quantity);
        }
    }
}
