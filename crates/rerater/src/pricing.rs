//! From a quantity to an amount, before discounts.

use crate::exact::{Exact, whole};
use crate::product::Rate;
use crate::{Error, Result};

/// What so many cost. `line` is named when no price was agreed.
pub(crate) fn cost(rate: &Rate, quantity: &Exact, line: &str) -> Result<Exact> {
    if !rate.tiers.is_empty() {
        return Ok(tiers(&rate.tiers, quantity));
    }
    let Some(amount) = &rate.amount else {
        // SPEC 12: "from", ranges and "custom" need a contract before they can be billed.
        return Err(Error::NeedsContract(line.to_owned()));
    };
    // SPEC 12: packages `exact` (pro rata; default) or `up`.
    let packages = quantity / &rate.each;
    let packages = if rate.up { packages.ceil() } else { packages };
    Ok(packages * amount)
}

/// Graduated: "each prices only the units that lie in it" (product-file.md; SPEC 12).
fn tiers(tiers: &[(Option<Exact>, Exact)], quantity: &Exact) -> Exact {
    let mut amount = whole(0);
    let mut below = whole(0);
    for (up_to, price) in tiers {
        let top = up_to.clone().unwrap_or_else(|| quantity.clone()).min(quantity.clone());
        if top > below {
            amount += (&top - &below) * price;
            below = top;
        }
    }
    amount
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(amount: i64, each: i64, up: bool) -> Rate {
        Rate { amount: Some(whole(amount)), each: whole(each), up, tiers: Vec::new() }
    }

    #[test]
    fn a_started_package_costs_its_part_or_all_of_it() {
        let quantity = whole(1_500);
        assert_eq!(cost(&rate(10, 1_000, false), &quantity, "x").unwrap(), whole(15));
        assert_eq!(cost(&rate(10, 1_000, true), &quantity, "x").unwrap(), whole(20));
        assert_eq!(cost(&rate(10, 1_000, true), &whole(2_000), "x").unwrap(), whole(20));
    }

    #[test]
    fn a_tier_prices_the_units_inside_it_and_no_other() {
        let list = [(Some(whole(10)), whole(20)), (None, whole(15))];
        assert_eq!(tiers(&list, &whole(9)), whole(180));
        assert_eq!(tiers(&list, &whole(10)), whole(200));
        assert_eq!(tiers(&list, &whole(12)), whole(230));
    }
}
