//! Tax: which rates hold for a buyer, and what they come to.
//!
//! A rate is charged on the sum of the invoice and rounded once; what it comes
//! to is allocated to the lines by largest remainder, so lines and invoice
//! never differ.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tenure_core::{Money, MoneyError};

/// Who pays, as far as tax asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Buyer {
    /// ISO 3166 code, upper case.
    pub country: Option<String>,
    /// State, province or the like.
    pub region: Option<String>,
    /// Registered for tax under this number.
    pub tax_id: Option<String>,
}

/// A rate that holds for an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxRate {
    /// On the invoice: `VAT DE`.
    pub name: String,
    /// Between 0 and 100.
    pub percent: Decimal,
    /// What the invoice has to say beside it.
    #[serde(default)]
    pub note: Option<String>,
}

/// Says which rates hold for a buyer. A table of the vendor's is one; a tax
/// service would be another.
pub trait TaxTable {
    /// The rates, in the order of the invoice; none where no tax is due.
    fn rates(&self, buyer: &Buyer) -> Vec<TaxRate>;
}

/// A rule of [`PlainTable`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxRule {
    /// Of the buyer.
    pub country: String,
    /// Only there; everywhere in the country when absent.
    pub region: Option<String>,
    /// On the invoice.
    pub name: String,
    /// Between 0 and 100.
    pub percent: Decimal,
    /// A business with a tax id in another country than the seller's owes the tax
    /// itself (reverse charge).
    pub reverse_charge: bool,
}

/// Rates by country and region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlainTable {
    /// The seller's country.
    pub seller_country: Option<String>,
    /// In the order of the invoice.
    pub rules: Vec<TaxRule>,
}

impl TaxTable for PlainTable {
    fn rates(&self, buyer: &Buyer) -> Vec<TaxRate> {
        let Some(country) = buyer.country.as_deref() else { return Vec::new() };
        let holds = |rule: &&TaxRule| {
            rule.country.eq_ignore_ascii_case(country)
                && rule.region.as_deref().is_none_or(|region| {
                    buyer.region.as_deref().is_some_and(|of| of.eq_ignore_ascii_case(region))
                })
        };
        let abroad =
            self.seller_country.as_deref().is_some_and(|own| !own.eq_ignore_ascii_case(country));
        let business = buyer.tax_id.as_deref().is_some_and(|id| !id.trim().is_empty());
        let rate = |rule: &TaxRule| match rule.reverse_charge && abroad && business {
            true => TaxRate {
                name: rule.name.clone(),
                percent: Decimal::ZERO,
                note: Some("Reverse charge: the recipient accounts for the tax.".to_owned()),
            },
            false => TaxRate { name: rule.name.clone(), percent: rule.percent, note: None },
        };
        self.rules.iter().filter(holds).map(rate).collect()
    }
}

/// A rate's tax on `base`, rounded once.
pub(super) fn on(base: Money, rate: &TaxRate) -> Result<Money, MoneyError> {
    let exact = base.to_decimal().checked_mul(rate.percent).ok_or(MoneyError::Overflow)?;
    Money::rounded(exact / Decimal::ONE_HUNDRED, base.currency())
}

/// Splits `total` in proportion to `shares`, in minor units, by largest
/// remainder: the parts add up to it exactly. Without any share, the first part
/// has everything.
pub fn allocate(total: i64, shares: &[i64]) -> Vec<i64> {
    let sum: i128 = shares.iter().map(|share| i128::from(*share)).sum();
    let mut parts = vec![0i64; shares.len()];
    if sum == 0 {
        if let Some(first) = parts.first_mut() {
            *first = total;
        }
        return parts;
    }
    let mut left = total;
    let mut remainders: Vec<(i128, usize)> = Vec::with_capacity(shares.len());
    for (index, share) in shares.iter().enumerate() {
        let exact = i128::from(total) * i128::from(*share);
        let part = i64::try_from(exact.div_euclid(sum)).unwrap_or(0);
        parts[index] = part;
        left -= part;
        remainders.push((exact.rem_euclid(sum), index));
    }
    // Euclidean division errs in one direction, by less than one a part.
    let step = left.signum();
    remainders.sort_by_key(|(rest, index)| (std::cmp::Reverse(*rest), *index));
    let whole = remainders.len().max(1);
    let mut at = 0;
    while left != 0 {
        parts[remainders[at % whole].1] += step;
        left -= step;
        at += 1;
    }
    parts
}
