//! What callers may say about tax rates.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::RATES_MAX;
use crate::http::{FieldError, Problem};

/// A seller's rates.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// In the order in which invoices name them.
    pub items: Vec<Rate>,
}

/// A tax, charged on the sum of an invoice.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Of the buyer: ISO 3166, upper case.
    #[schema(example = "DE")]
    pub country: String,
    /// Only there; everywhere in the country when absent.
    pub region: Option<String>,
    /// On the invoice.
    #[schema(example = "VAT")]
    pub name: String,
    /// Between 0 and 100, at most four decimals.
    #[schema(value_type = String, example = "19")]
    pub percent: Decimal,
    /// A business with a tax id in another country than the seller's owes it itself.
    #[serde(default)]
    pub reverse_charge: bool,
}

pub(super) fn check(rates: &Rates) -> Result<(), Problem> {
    let mut errors = Vec::new();
    if rates.items.len() > RATES_MAX {
        return Err(Problem::field("/items", format!("At most {RATES_MAX} rates.")));
    }
    for (index, rate) in rates.items.iter().enumerate() {
        let mut wrong = |field: &str, detail: &str| {
            let pointer = format!("/items/{index}/{field}");
            errors.push(FieldError { detail: detail.to_owned(), pointer });
        };
        let plain = rate.country.len() == 2 && rate.country.bytes().all(|b| b.is_ascii_uppercase());
        if !plain {
            wrong("country", "A country is two capital letters, such as DE.");
        }
        if rate.name.trim().is_empty() || rate.name.chars().count() > 100 {
            wrong("name", "A name has 1 to 100 characters.");
        }
        if rate.region.as_ref().is_some_and(|region| region.chars().count() > 100) {
            wrong("region", "A region has at most 100 characters.");
        }
        let range = Decimal::ZERO..=Decimal::ONE_HUNDRED;
        if !range.contains(&rate.percent) || rate.percent.normalize().scale() > 4 {
            wrong("percent", "A rate is between 0 and 100 per cent, with at most four decimals.");
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::invalid(errors)) }
}
