//! Discounts: which hold, and what they leave of an amount.

use jiff::Timestamp;
use rust_decimal::Decimal;

use super::exact::Amount;
use crate::{
    contract::Terms,
    model::Product,
    plan::{Basis, Discount, Part, Plan},
};

/// One discount of a line.
#[derive(Debug, Clone)]
pub(super) struct Reduction {
    pub(super) name: String,
    pub(super) percent: Decimal,
}

/// The discounts on `charge` at `at`: the product's in listed order, then the
/// contracts' (SPEC 12: discounts multiply in the listed order).
pub(super) fn on(
    product: &Product,
    plan: &Plan,
    terms: &Terms,
    part: Part,
    charge: &str,
    at: Timestamp,
) -> Vec<Reduction> {
    let eligible: Vec<&Discount> = product
        .discounts
        .iter()
        .filter(|discount| discount.reduces.contains(&part) && holds(discount, plan, terms, at))
        .collect();
    let listed = eligible
        .iter()
        .filter(|discount| is_best(discount, &eligible))
        .map(|discount| Reduction { name: discount.name.clone(), percent: discount.percent });
    let negotiated = terms
        .contracts
        .iter()
        .flat_map(|contract| &contract.discounts)
        .filter(|discount| discount.when.holds(at))
        .filter(|discount| {
            let usual = matches!(part, Part::Plan | Part::AddOns);
            (discount.charges.is_empty() && usual) || discount.charges.iter().any(|id| id == charge)
        })
        .map(|discount| Reduction { name: discount.name.clone(), percent: discount.percent });
    listed.chain(negotiated).collect()
}

fn holds(discount: &Discount, plan: &Plan, terms: &Terms, at: Timestamp) -> bool {
    let for_plan = discount.plans.is_empty() || discount.plans.contains(&plan.id);
    let class =
        || terms.customer_class.as_ref().is_some_and(|class| discount.customers.contains(class));
    for_plan
        && discount.term_years.is_none_or(|years| terms.term_years >= years)
        && (!discount.prepaid || terms.prepaid)
        && (discount.customers.is_empty() || class())
        && discount
            .first_customers
            .is_none_or(|first| terms.customer_number.is_some_and(|number| number <= first))
        && discount.volume.as_ref().is_none_or(|volume| {
            held(plan, terms, &volume.allocation, at) >= volume.at_least.value()
        })
}

/// How many of an allocation are paid for by number.
fn held(plan: &Plan, terms: &Terms, allocation: &str, at: Timestamp) -> Decimal {
    let quantity = |charge: &crate::Charge| match &charge.basis {
        Basis::Held { allocation: of, minimum } if of == allocation => {
            terms.quantity(&charge.id, at).unwrap_or_default().max(minimum.value())
        }
        _ => Decimal::ZERO,
    };
    plan.charges.iter().map(quantity).sum()
}

/// Of several terms, the longest counts; of several volumes, the highest.
fn is_best(discount: &Discount, eligible: &[&Discount]) -> bool {
    let longest = eligible.iter().filter_map(|other| other.term_years).max();
    let highest = eligible
        .iter()
        .filter_map(|other| other.volume.as_ref())
        .filter(|other| {
            discount.volume.as_ref().is_some_and(|own| own.allocation == other.allocation)
        })
        .map(|volume| volume.at_least)
        .max();
    (discount.term_years.is_none() || discount.term_years == longest)
        && discount.volume.as_ref().is_none_or(|volume| Some(volume.at_least) == highest)
}

/// What the reductions leave of `amount`, exactly.
pub(super) fn apply(amount: Amount, reductions: &[Reduction]) -> Option<Amount> {
    reductions.iter().try_fold(amount, |amount, reduction| {
        amount.times((Decimal::ONE_HUNDRED - reduction.percent) / Decimal::ONE_HUNDRED)
    })
}

/// `, less 20% (Annual prepayment)` for each; empty without any.
pub(super) fn words(reductions: &[Reduction]) -> String {
    let each = |reduction: &Reduction| {
        format!(", less {}% ({})", reduction.percent.normalize(), reduction.name)
    };
    reductions.iter().map(each).collect()
}
