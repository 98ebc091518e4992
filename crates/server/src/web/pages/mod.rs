//! The pages: short handlers and the view model of each.

pub(super) mod actions;
pub(super) mod analytics;
pub(super) mod bill;
pub(super) mod costs;
pub(super) mod deployments;
pub(super) mod files;
pub(super) mod invoices;
pub(super) mod licenses;
pub(super) mod overview;
pub(super) mod plans;
pub(super) mod products;
pub(super) mod sign_in;
mod signing_keys;
pub(super) mod subscription;
pub(super) mod tenant;
pub(super) mod tenants;
pub(super) mod try_file;
pub(super) mod usage;

use super::{frame::Mark, words};
use tenure_catalog::Model;

/// What a tenant is subscribed to, in a line.
struct Bought {
    mark: Mark,
    plan: String,
    model: &'static str,
    model_class: &'static str,
}

impl Bought {
    fn new(mark: Mark, plan: String, model: Model) -> Self {
        Self { mark, plan, model: words::model(model), model_class: model.word() }
    }
}

/// The class and the name of each model.
fn models<'a>(models: impl IntoIterator<Item = &'a Model>) -> Vec<(&'static str, &'static str)> {
    models.into_iter().map(|model| (model.word(), words::model(*model))).collect()
}
