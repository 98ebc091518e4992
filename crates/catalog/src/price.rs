//! What a price list may say where a number is expected: an exact amount,
//! `from 1999`, `50-100`, or `custom`.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tenure_core::money::{MoneyError, parse_decimal};

/// Most digits after the point of a unit price.
pub const UNIT_PRICE_DECIMALS_MAX: u32 = 12;
/// Most digits before the point of any price.
pub const PRICE_WHOLE_DIGITS_MAX: u32 = 12;

/// A price per unit in the product's currency, in major units.
///
/// Only [`Amount::Exact`] can be billed; the others need a contract (SPEC 12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Amount {
    /// `"499"`
    Exact {
        /// Major units.
        amount: Decimal,
    },
    /// `"from 1999"`
    From {
        /// The lowest price shown.
        amount: Decimal,
    },
    /// `"50-100"`
    Range {
        /// The lowest price shown.
        low: Decimal,
        /// The highest price shown.
        high: Decimal,
    },
    /// `"custom"`
    Custom,
}

/// Why a price was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAmount {
    /// Not one of the four forms.
    #[error("{0}")]
    NotANumber(#[from] MoneyError),
    /// Below zero.
    #[error("`{0}` is negative; a price list only has prices of zero or more")]
    Negative(String),
    /// The second bound is not above the first.
    #[error("the range `{0}` does not rise")]
    Falling(String),
    /// More digits before the point than money can hold safely.
    #[error("`{0}` is too large: at most {PRICE_WHOLE_DIGITS_MAX} digits before the point")]
    TooLarge(String),
}

impl Amount {
    /// An exact amount in major units.
    pub const fn exact(amount: Decimal) -> Self {
        Self::Exact { amount }
    }

    /// Reads one of the four forms.
    pub fn parse(text: &str) -> Result<Self, BadAmount> {
        if text == "custom" {
            return Ok(Self::Custom);
        }
        if let Some(rest) = text.strip_prefix("from ") {
            return Ok(Self::From { amount: plain(rest)? });
        }
        match text.split_once('-') {
            Some((low, high)) if !low.is_empty() => {
                let (low, high) = (plain(low.trim_end())?, plain(high.trim_start())?);
                if low < high {
                    Ok(Self::Range { low, high })
                } else {
                    Err(BadAmount::Falling(text.to_owned()))
                }
            }
            _ => Ok(Self::Exact { amount: plain(text)? }),
        }
    }

    /// The amount that can be billed without a contract.
    pub const fn billable(self) -> Option<Decimal> {
        match self {
            Self::Exact { amount } => Some(amount),
            _ => None,
        }
    }

    /// Every number in it, for checks.
    pub fn numbers(self) -> Vec<Decimal> {
        match self {
            Self::Exact { amount } | Self::From { amount } => vec![amount],
            Self::Range { low, high } => vec![low, high],
            Self::Custom => Vec::new(),
        }
    }
}

fn plain(text: &str) -> Result<Decimal, BadAmount> {
    let amount = parse_decimal(text)?;
    if amount.is_sign_negative() {
        return Err(BadAmount::Negative(text.to_owned()));
    }
    if amount >= Decimal::from(10u64.pow(PRICE_WHOLE_DIGITS_MAX)) {
        return Err(BadAmount::TooLarge(text.to_owned()));
    }
    Ok(amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_forms_are_read_and_nothing_else() {
        let dec = |text| parse_decimal(text).unwrap();
        assert_eq!(Amount::parse("499").unwrap(), Amount::exact(dec("499")));
        assert_eq!(Amount::parse("from 1999").unwrap(), Amount::From { amount: dec("1999") });
        assert_eq!(
            Amount::parse("50-100").unwrap(),
            Amount::Range { low: dec("50"), high: dec("100") }
        );
        assert_eq!(Amount::parse("custom").unwrap(), Amount::Custom);
        for text in ["", "-5", "100-50", "1,000", "$5", "from", "from x", "5e3", "Custom", "1-2-3"]
        {
            assert!(Amount::parse(text).is_err(), "{text}");
        }
    }
}
