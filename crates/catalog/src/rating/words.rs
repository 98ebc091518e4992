//! Numbers as an invoice writes them.

use rust_decimal::Decimal;
use tenure_core::{Currency, Money};

/// `1,034,000.5`
pub fn number(value: Decimal) -> String {
    let plain = value.normalize().to_string();
    let (sign, digits) = plain.strip_prefix('-').map_or(("", &*plain), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(w, f)| (w, Some(f)));
    let mut text = String::from(sign);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if let Some(fraction) = fraction {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// `$0.05`, `$0.000012`, `25.00 EUR`: all its decimals, and no fewer than the
/// currency has.
pub fn price(amount: Decimal, currency: Currency) -> String {
    let mut amount = amount.normalize();
    if amount.scale() < currency.exponent() {
        amount.rescale(currency.exponent());
    }
    let plain = amount.to_string();
    let decimals = plain.split_once('.').map_or("", |(_, decimals)| decimals);
    let whole = number(amount.trunc());
    let digits = if decimals.is_empty() { whole } else { format!("{whole}.{decimals}") };
    if currency == Currency::USD { format!("${digits}") } else { format!("{digits} {currency}") }
}

/// What stands behind the last `=`.
pub(super) fn result(amount: Money) -> String {
    amount.display()
}

/// `1 agent`, `3 agents`; names with capitals or spaces stay as they are.
pub fn counted(value: Decimal, unit: &str) -> String {
    let plain = value == Decimal::ONE
        || unit.is_empty()
        || !unit.ends_with(|last: char| last.is_ascii_lowercase())
        || unit.ends_with('s');
    let plural = if plain { unit.to_owned() } else { plural(unit) };
    format!("{} {plural}", number(value)).trim_end().to_owned()
}

fn plural(unit: &str) -> String {
    match unit.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ => format!("{unit}s"),
    }
}
