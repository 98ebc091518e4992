//! Lines from parts: everything of one charge is added up exactly, and rounded once.

use jiff::Timestamp;
use num_traits::ToPrimitive;
use serde::{Deserialize, Serialize};

use crate::books::Books;
use crate::exact::{self, Exact, half_even, whole};
use crate::input::Span;
use crate::{Error, Result, commitment, fixed, usage};

/// An exact contribution to a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Id of the line.
    pub line: String,
    /// When it fell due, or when the window ended that it is for.
    pub at: Timestamp,
    /// It belongs to what ends at that moment rather than to what begins.
    pub closes: bool,
    /// How many.
    pub quantity: Exact,
    /// In whole units of the currency (dollars), discounts taken off.
    pub amount: Exact,
    /// How it came about, for a person.
    pub why: String,
}

/// A line of an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// `base`, the id of a charge, add-on or service, `overage.<meter>` or `commitment`.
    pub charge: String,
    /// How many, as an exact fraction: `5`, `31/2`.
    pub quantity: String,
    /// In minor units of the currency (cents), rounded once.
    pub amount: i64,
}

/// What a period costs, before taxes and credits.
#[derive(Clone, Debug, PartialEq)]
pub struct Invoice {
    /// ISO 4217.
    pub currency: String,
    /// Which period.
    pub period: Span,
    /// In the order in which the charges came up.
    pub lines: Vec<Line>,
    /// The sum of the lines, in minor units.
    pub total: i64,
    /// What the lines were added up from.
    pub parts: Vec<Part>,
}

/// All parts of a period but the commitment, which looks at them.
pub(crate) fn parts_without_commitment(books: &Books<'_>, period: Span) -> Result<Vec<Part>> {
    let mut parts = fixed::parts(books, period)?;
    parts.extend(usage::parts(books, period)?);
    Ok(parts)
}

/// The invoice of a period.
pub(crate) fn make(books: &Books<'_>, period: Span) -> Result<Invoice> {
    let mut parts = parts_without_commitment(books, period)?;
    parts.extend(commitment::parts(books, period)?);
    let currency = books.currency()?;
    let mut sums: Vec<(String, Exact, Exact)> = Vec::new();
    for part in &parts {
        match sums.iter_mut().find(|(line, ..)| *line == part.line) {
            Some((_, quantity, amount)) => {
                *quantity += &part.quantity;
                *amount += &part.amount;
            }
            None => sums.push((part.line.clone(), part.quantity.clone(), part.amount.clone())),
        }
    }
    let mut lines = Vec::new();
    let mut total: i64 = 0;
    for (charge, quantity, amount) in sums {
        if quantity == whole(0) && amount == whole(0) {
            continue;
        }
        let amount = half_even(&(amount * power(&currency))).to_i64().ok_or(Error::TooMuch)?;
        total = total.checked_add(amount).ok_or(Error::TooMuch)?;
        lines.push(Line { charge, quantity: exact::show(&quantity), amount });
    }
    Ok(Invoice { currency, period, lines, total, parts })
}

/// An amount as it stands on an invoice, in whole units of the currency.
pub(crate) fn rounded(amount: &Exact, currency: &str) -> Exact {
    let power = power(currency);
    whole(half_even(&(amount * &power))) / power
}

/// How many minor units make one: 100 cents, 1 yen, 1000 fils (ISO 4217).
fn power(currency: &str) -> Exact {
    whole(match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX"
        | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 1,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 1_000,
        _ => 100,
    })
}
