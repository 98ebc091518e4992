//! Which plans include more of a meter: the way out of a quota that is used up.

use rust_decimal::Decimal;
use tenure_catalog::{Model, Plan, Product};

/// Plans named at most.
pub(crate) const PLANS_MAX: usize = 3;

/// A plan that includes more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MorePlan {
    /// For people.
    pub(crate) name: String,
    /// `None`: unlimited.
    pub(crate) included: Option<Decimal>,
}

/// The plans on sale in `model`, other than `own`, that include more than `limit`,
/// in the product's order.
pub(crate) fn plans_with_more(
    product: &Product,
    (model, own): (Model, &str),
    meter: &str,
    limit: Decimal,
) -> Vec<MorePlan> {
    let sold = |plan: &&Plan| plan.id != own && !plan.hidden && plan.models.contains(&model);
    let more = |plan: &Plan| {
        let name = plan.name.clone();
        match plan.limit(meter).map(|limit| limit.included) {
            None | Some(None) => Some(MorePlan { name, included: None }),
            Some(Some(included)) if included.value() > limit => {
                Some(MorePlan { name, included: Some(included.value()) })
            }
            Some(Some(_)) => None,
        }
    };
    product.plans.iter().filter(sold).filter_map(more).take(PLANS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use tenure_catalog::ProductFile;

    use super::*;

    #[test]
    fn only_plans_that_include_more_and_are_sold_are_named() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../products/kg-rca/product.toml");
        let source = std::fs::read_to_string(path).unwrap();
        let product = ProductFile::check(&source, "product.toml").unwrap().product;
        let of = |own: &str, limit: i64| {
            let own = (Model::Managed, own);
            plans_with_more(&product, own, "queries", limit.into())
                .into_iter()
                .map(|plan| (plan.name, plan.included))
                .collect::<Vec<_>>()
        };
        let (pro, open) =
            (("Pro".to_owned(), Some(10_000.into())), ("Enterprise".to_owned(), None));
        assert_eq!(of("basic", 1_000), [pro, open.clone()]);
        assert_eq!(of("pro", 10_000), [open]);
        assert!(of("enterprise", 10_000_000).is_empty());
    }
}
