//! Money: whole minor units of one currency. Never floats, never mixed.

use std::fmt;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Why an amount was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The code is no ISO 4217 currency with minor units.
    #[error("`{0}` is not an ISO 4217 currency code such as USD or EUR")]
    UnknownCurrency(String),
    /// More decimals than the currency has.
    #[error("{amount} has more decimals than {currency} allows ({allowed})")]
    TooManyDecimals {
        /// As given.
        amount: Decimal,
        /// Of the amount.
        currency: Currency,
        /// The currency's exponent.
        allowed: u32,
    },
    /// Two currencies met in one sum.
    #[error("cannot add {left} and {right}: amounts of one sum share a currency")]
    Mixed {
        /// Of the left amount.
        left: Currency,
        /// Of the right amount.
        right: Currency,
    },
    /// Beyond 64-bit minor units.
    #[error("the amount is too large: at most 92 quadrillion minor units")]
    Overflow,
    /// Not a plain decimal number.
    #[error("`{0}` is not an amount: write digits with at most one point, such as 499.00")]
    NotANumber(String),
}

/// An ISO 4217 currency.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// US dollar, the currency of a product that names none.
    pub const USD: Self = Self(iso_currency::Currency::USD);

    /// The currency of a three-letter code, in upper case.
    pub fn from_code(code: &str) -> Result<Self, MoneyError> {
        iso_currency::Currency::from_code(code)
            .filter(|currency| currency.exponent().is_some())
            .map(Self)
            .ok_or_else(|| MoneyError::UnknownCurrency(code.to_owned()))
    }

    /// The three-letter code.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimals the currency has: 2 for USD, 0 for JPY.
    pub fn exponent(self) -> u32 {
        u32::from(self.0.exponent().unwrap_or(2))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::from_code(&code).map_err(D::Error::custom)
    }
}

/// An amount in whole minor units (cents for USD).
///
/// As JSON: `{"amount": "499.00", "currency": "USD"}`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// An amount of `minor` units.
    pub const fn from_minor(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing, in `currency`.
    pub const fn zero(currency: Currency) -> Self {
        Self::from_minor(0, currency)
    }

    /// The amount that `amount` says exactly; refuses decimals the currency lacks.
    pub fn exact(amount: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        let allowed = currency.exponent();
        if amount.normalize().scale() > allowed {
            return Err(MoneyError::TooManyDecimals { amount, currency, allowed });
        }
        Self::rounded(amount, currency)
    }

    /// The nearest amount, halves to even: the one rounding of an invoice line
    /// (SPEC: one rounding a line).
    pub fn rounded(amount: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        let places = currency.exponent();
        let mut scaled =
            amount.round_dp_with_strategy(places, RoundingStrategy::MidpointNearestEven);
        scaled.rescale(places);
        if scaled.scale() != places {
            return Err(MoneyError::Overflow);
        }
        let minor = i64::try_from(scaled.mantissa()).map_err(|_| MoneyError::Overflow)?;
        Ok(Self { minor, currency })
    }

    /// Whole minor units.
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// The amount in major units, with the currency's decimals.
    pub fn to_decimal(self) -> Decimal {
        Decimal::new(self.minor, self.currency.exponent())
    }

    /// Whether nothing is owed.
    pub const fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// The sum; refuses two currencies and overflow.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::Mixed { left: self.currency, right: other.currency });
        }
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, currency: self.currency })
    }

    /// The negative amount.
    pub fn checked_neg(self) -> Result<Self, MoneyError> {
        let minor = self.minor.checked_neg().ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, currency: self.currency })
    }

    /// The sum of amounts that are all in `currency`.
    pub fn sum(
        amounts: impl IntoIterator<Item = Self>,
        currency: Currency,
    ) -> Result<Self, MoneyError> {
        amounts.into_iter().try_fold(Self::zero(currency), Self::checked_add)
    }

    /// For people: `$1,234.50`, or `1,234.50 EUR` for other currencies.
    pub fn display(self) -> String {
        let plain = self.to_decimal().abs().to_string();
        let (whole, fraction) = plain.split_once('.').map_or((&*plain, ""), |(w, f)| (w, f));
        let mut grouped = String::with_capacity(plain.len() + 8);
        for (index, digit) in whole.chars().enumerate() {
            if index > 0 && (whole.len() - index) % 3 == 0 {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        if !fraction.is_empty() {
            grouped.push('.');
            grouped.push_str(fraction);
        }
        let sign = if self.minor < 0 { "-" } else { "" };
        if self.currency == Currency::USD {
            format!("{sign}${grouped}")
        } else {
            format!("{sign}{grouped} {}", self.currency)
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.to_decimal(), self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Currency {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^[A-Z]{3}$"))
            .examples(["USD"])
            .into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Currency {}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Money {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::{ObjectBuilder, schema::Type};
        ObjectBuilder::new()
            .property(
                "amount",
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .pattern(Some(r"^-?\d+(\.\d+)?$"))
                    .examples(["499.00"]),
            )
            .property("currency", Currency::schema())
            .required("amount")
            .required("currency")
            .into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Money {}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    amount: Decimal,
    currency: Currency,
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire { amount: self.to_decimal(), currency: self.currency }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        Self::exact(wire.amount, wire.currency).map_err(D::Error::custom)
    }
}

/// Reads a plain decimal: digits, at most one point, an optional leading minus.
/// Refuses exponents, signs of plus, blanks, NaN and what 96 bits cannot hold.
pub fn parse_decimal(text: &str) -> Result<Decimal, MoneyError> {
    let refuse = || MoneyError::NotANumber(text.chars().take(60).collect());
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').map_or((digits, "0"), |(w, f)| (w, f));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !plain(whole) || !plain(fraction) {
        return Err(refuse());
    }
    Decimal::from_str_exact(text).map_err(|_| refuse())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usd(text: &str) -> Money {
        Money::exact(parse_decimal(text).unwrap(), Currency::USD).unwrap()
    }

    #[test]
    fn halves_round_to_even() {
        let round = |text| Money::rounded(parse_decimal(text).unwrap(), Currency::USD).unwrap();
        assert_eq!(round("0.125").minor(), 12);
        assert_eq!(round("0.135").minor(), 14);
        assert_eq!(round("-0.125").minor(), -12);
    }

    #[test]
    fn a_currency_without_cents_refuses_cents() {
        let yen = Currency::from_code("JPY").unwrap();
        assert!(Money::exact(parse_decimal("1.5").unwrap(), yen).is_err());
        assert_eq!(Money::exact(parse_decimal("1.0").unwrap(), yen).unwrap().minor(), 1);
    }

    #[test]
    fn people_read_thousands_with_commas() {
        assert_eq!(usd("1234567.5").display(), "$1,234,567.50");
        assert_eq!(usd("-999").display(), "-$999.00");
    }

    #[test]
    fn json_is_a_decimal_string_and_a_code() {
        let json = serde_json::to_string(&usd("499")).unwrap();
        assert_eq!(json, r#"{"amount":"499.00","currency":"USD"}"#);
        assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), usd("499"));
    }

    #[test]
    fn odd_numbers_are_refused() {
        for text in ["", ".", "1.", ".5", "+1", "1e3", "NaN", "inf", " 1", "1_0", "٣", "--1"] {
            assert!(parse_decimal(text).is_err(), "{text}");
        }
        assert!(parse_decimal(&"9".repeat(40)).is_err());
    }

    proptest! {
        #[test]
        fn minor_units_survive_the_trip_through_decimals(minor: i64) {
            let money = Money::from_minor(minor, Currency::USD);
            prop_assert_eq!(Money::exact(money.to_decimal(), Currency::USD).unwrap(), money);
        }

        #[test]
        fn rounding_errs_by_at_most_half_a_cent(mantissa in -10i64.pow(15)..10i64.pow(15), scale in 0u32..9) {
            let exact = Decimal::new(mantissa, scale);
            let rounded = Money::rounded(exact, Currency::USD).unwrap().to_decimal();
            prop_assert!((exact - rounded).abs() <= Decimal::new(5, 3));
        }
    }
}
