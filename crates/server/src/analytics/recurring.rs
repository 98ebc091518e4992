//! What subscriptions bring in a month, estimated from price lists.
//!
//! It is: recurring charges and commitments of subscriptions that are active or
//! past due, at the prices of their own catalog version or of their contract, a
//! year divided by twelve. It is not: usage, one-time charges, discounts, tax,
//! trials, or plans whose price needs a quote that no contract gives.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use tenure_catalog::{Amount, Charge, Product, plan::Basis, plan::Every};
use tenure_core::Interval;

use crate::subscriptions::contracts::Price;

const MONTHS_A_YEAR: Decimal = Decimal::from_parts(12, 0, 0, false, 0);

/// The part of a subscription's terms that recurring revenue depends on.
pub(crate) struct Shape<'a> {
    pub(crate) plan: &'a str,
    /// Quantities held, by charge.
    pub(crate) items: &'a BTreeMap<String, Decimal>,
    /// Negotiated prices, oldest contract first.
    pub(crate) prices: &'a [Price],
}

/// A month of that subscription in major units; `None` where some price is
/// only a starting point.
pub(crate) fn monthly(product: &Product, shape: &Shape<'_>) -> Option<Decimal> {
    let plan = product.plan(shape.plan)?;
    let extras = product.add_ons.iter().chain(&product.services).map(|extra| &extra.charge);
    let mut sum = Decimal::ZERO;
    for charge in plan.charges.iter().chain(extras) {
        let quantity = quantity(charge, shape.items);
        if quantity.is_zero() {
            continue;
        }
        let negotiated = shape.prices.iter().rev().find(|price| price.charge == charge.id);
        let every = match (negotiated.and_then(|price| price.every), charge.every) {
            (Some(Interval::Month), _) | (None, Every::Month) => Decimal::ONE,
            (Some(Interval::Year), _) | (None, Every::Year) => MONTHS_A_YEAR,
            (None, Every::Once | Every::Usage) => continue,
        };
        let amount = match negotiated {
            Some(price) => price.amount.checked_mul(quantity)?,
            None => listed(charge, quantity)?,
        };
        sum = sum.checked_add(amount.checked_div(every)?)?;
    }
    let least = plan.commitment.as_ref().map_or(Decimal::ZERO, |least| match least.every {
        Interval::Month => least.amount,
        Interval::Year => least.amount / MONTHS_A_YEAR,
    });
    Some(sum.max(least))
}

fn quantity(charge: &Charge, items: &BTreeMap<String, Decimal>) -> Decimal {
    let held = items.get(&charge.id).copied();
    match &charge.basis {
        Basis::Metered { .. } => Decimal::ZERO,
        _ if charge.optional => held.unwrap_or_default(),
        Basis::Flat { .. } => held.unwrap_or(Decimal::ONE),
        Basis::Held { minimum, .. } => held.unwrap_or_default().max(minimum.value()),
    }
}

/// At the price list; graduated tiers price only their own part.
fn listed(charge: &Charge, quantity: Decimal) -> Option<Decimal> {
    if charge.tiers.is_empty() {
        let Amount::Exact { amount } = charge.amount else { return None };
        return amount.checked_mul(quantity);
    }
    let (mut sum, mut from) = (Decimal::ZERO, Decimal::ZERO);
    for tier in &charge.tiers {
        let end = tier.up_to.map_or(quantity, |end| end.value().min(quantity));
        let inside = (end - from).max(Decimal::ZERO);
        sum = sum.checked_add(tier.price.checked_mul(inside)?)?;
        from = from.max(end);
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use tenure_catalog::ProductFile;

    use super::*;

    fn product(name: &str) -> Product {
        let path = format!("{}/../../products/{name}/product.toml", env!("CARGO_MANIFEST_DIR"));
        let source = std::fs::read_to_string(path).unwrap();
        ProductFile::check(&source, "product.toml").unwrap().product
    }

    fn of(product: &Product, plan: &str, items: &[(&str, i64)]) -> Option<Decimal> {
        let items = items.iter().map(|(id, n)| ((*id).to_owned(), Decimal::from(*n))).collect();
        monthly(product, &Shape { plan, items: &items, prices: &[] })
    }

    #[test]
    fn a_flat_plan_brings_its_price_and_a_quoted_one_nothing_known() {
        let kg = product("kg-rca");
        assert_eq!(of(&kg, "pro", &[]), Some(Decimal::from(499)));
        assert_eq!(of(&kg, "enterprise", &[]), None);
    }

    #[test]
    fn a_contract_gives_a_quoted_plan_its_price() {
        let kg = product("kg-rca");
        let price = Price {
            charge: "base".into(),
            amount: Decimal::from(36_000),
            every: Some(Interval::Year),
        };
        let shape = Shape { plan: "enterprise", items: &BTreeMap::new(), prices: &[price] };
        assert_eq!(monthly(&kg, &shape), Some(Decimal::from(3_000)));
    }
}
