//! What is left of an amount after the discounts that hold for it.

use jiff::Timestamp;

use crate::Result;
use crate::books::{Books, Stretch, read_number};
use crate::exact::{Exact, whole};
use crate::product::{Discount, Kind};

/// The factor that an amount of this line and kind is multiplied with, at a moment of a stretch.
/// "Discounts multiply in the listed order" (SPEC 12), "then come those of the contract"
/// (product-file.md).
pub(crate) fn factor(
    books: &Books<'_>,
    stretch: &Stretch<'_>,
    kind: Kind,
    line: &str,
    at: Timestamp,
) -> Result<Exact> {
    let mut holding = Vec::new();
    for discount in &books.product(stretch)?.discounts {
        if discount.on.contains(&kind) && holds(books, stretch, discount, at)? {
            holding.push(discount);
        }
    }
    // `term_years`: "of several, the longest counts".
    let longest = holding.iter().filter_map(|d| d.term_years).max();
    holding.retain(|d| d.term_years.is_none() || d.term_years == longest);
    // `volume`: "of several, the highest counts".
    let least = |d: &Discount| d.volume.as_ref().map(|(_, least)| least.clone());
    let highest = holding.iter().filter_map(|d| least(d)).max();
    holding.retain(|d| d.volume.is_none() || least(d) == highest);

    let mut factor = whole(1);
    for discount in holding {
        factor *= (whole(100) - &discount.percent) / whole(100);
    }
    for agreed in stretch.contracts.iter().flat_map(|c| &c.discounts) {
        let named = if agreed.charges.is_empty() {
            matches!(kind, Kind::Plan | Kind::Addons)
        } else {
            agreed.charges.iter().any(|c| c == line)
        };
        if named {
            factor *= (whole(100) - read_number(&agreed.percent)?) / whole(100);
        }
    }
    Ok(factor)
}

/// "Every condition given must hold." (product-file.md, discount)
fn holds(
    books: &Books<'_>,
    stretch: &Stretch<'_>,
    discount: &Discount,
    at: Timestamp,
) -> Result<bool> {
    let terms = stretch.terms;
    let volume = match &discount.volume {
        None => true,
        Some((of, least)) => held(books, stretch, of, at)? >= *least,
    };
    Ok(volume
        && discount.plans.as_ref().is_none_or(|plans| plans.contains(&terms.plan))
        && discount.term_years.is_none_or(|years| i64::from(terms.term_years) >= years)
        && (!discount.prepaid || terms.prepaid)
        && discount.customers.as_ref().is_none_or(|classes| {
            terms.customer_class.as_ref().is_some_and(|class| classes.contains(class))
        })
        && discount.first_customers.is_none_or(|first| {
            terms.customer_number.is_some_and(|number| i64::from(number) <= first)
        }))
}

/// How many of an allocation are held, whether the items name it or a charge that is by it.
fn held(
    books: &Books<'_>,
    stretch: &Stretch<'_>,
    allocation: &str,
    at: Timestamp,
) -> Result<Exact> {
    let plan = books.plan(stretch)?;
    let mut names = vec![allocation];
    let by_it = plan.prices.iter().filter(|p| p.per.as_deref() == Some(allocation) && !p.optional);
    names.extend(by_it.map(|p| p.line.as_str()));
    books.held(&names, at)
}
