//! The typed product: what a product file says, and nothing else.
//!
//! Every list keeps the order of the file. Stored as JSON; decimals are
//! strings, durations and amounts have one spelling, so equal products have
//! equal JSON.

use serde::{Deserialize, Serialize};
use tenure_core::Currency;

use crate::{
    deployment::{Isolation, License, Mode, Model, ModelTerms, Resource, Variable},
    duration::Duration,
    meter::{Allocation, Meter},
    plan::{AddOn, Charge, Discount, Plan},
};

/// A product, as one version of its file defines it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// A slug, unique at a vendor.
    pub id: String,
    /// For people.
    pub name: String,
    /// One sentence for the pricing page.
    #[serde(default)]
    pub summary: String,
    /// Of every amount in it.
    pub currency: Currency,
    /// The same product in the other currencies that it is sold in; each has none of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Product>,
    /// Shown where a feature is missing or a price needs a quote.
    pub sales_contact: String,
    /// `kg` makes keys `kg_live_...` and `kg_test_...`.
    pub api_key_prefix: String,
    /// `IFOX` makes license keys `IFOX-ENT-ACME-...`; present where a
    /// self-hosted or air-gapped model is sold.
    #[serde(default)]
    pub license_key_prefix: Option<String>,
    /// Consumed.
    #[serde(default)]
    pub meters: Vec<Meter>,
    /// Held.
    #[serde(default)]
    pub allocations: Vec<Allocation>,
    /// What can be on or off.
    #[serde(default)]
    pub features: Vec<Feature>,
    /// What can be set to a text, number or list.
    #[serde(default)]
    pub values: Vec<ValueKind>,
    /// Levels of support.
    #[serde(default)]
    pub support: Vec<Support>,
    /// The deployment models sold (SPEC 1).
    pub models: Vec<ModelTerms>,
    /// Modes inside the product (SPEC 1); most products have none.
    #[serde(default)]
    pub modes: Vec<Mode>,
    /// What is bought.
    pub plans: Vec<Plan>,
    /// Optional, beside a plan.
    #[serde(default)]
    pub add_ons: Vec<AddOn>,
    /// Work sold once or a year: training, professional services.
    #[serde(default)]
    pub services: Vec<AddOn>,
    /// In the order in which they multiply (SPEC 12).
    #[serde(default)]
    pub discounts: Vec<Discount>,
    /// What a deployment needs.
    #[serde(default)]
    pub resources: Vec<Resource>,
    /// What a deployment's environment holds.
    #[serde(default)]
    pub environment: Vec<Variable>,
    /// How licenses of this product behave.
    #[serde(default)]
    pub license: License,
}

/// Something that a subscription has or lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    /// How plans refer to it.
    pub id: String,
    /// For people.
    pub name: String,
    /// The HTTP status when it is missing: 402 (buy it) or 403 (not in this
    /// tier), SPEC 5.
    pub missing: u16,
    /// Works only in these modes; empty: in every mode.
    #[serde(default)]
    pub modes: Vec<String>,
}

/// A setting that plans or modes give a value to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueKind {
    /// How plans refer to it.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it may hold.
    #[serde(rename = "type")]
    pub kind: ValueType,
}

/// What a value may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueType {
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// Texts.
    List,
}

/// A value that is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
    /// Texts.
    List(Vec<String>),
}

/// A value under the id of its [`ValueKind`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Of the [`ValueKind`].
    pub id: String,
    /// What it is set to.
    pub value: Value,
}

/// A level of support (SPEC 6 and 9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Support {
    /// How plans refer to it.
    pub id: String,
    /// For people.
    pub name: String,
    /// Time to a first answer.
    #[serde(default)]
    pub response: Option<Duration>,
    /// Time to a solution.
    #[serde(default)]
    pub resolution: Option<Duration>,
    /// Time to a solution of the gravest kind of incident, severity 1.
    #[serde(default)]
    pub resolution_severity_1: Option<Duration>,
    /// `email`, `ticket`, `phone`, `shared_slack`, ...
    #[serde(default)]
    pub channels: Vec<String>,
    /// `9-5` or `24/7`.
    #[serde(default)]
    pub hours: Option<String>,
    /// When an engineer is called out.
    #[serde(default)]
    pub on_call: OnCall,
    /// How often updates come: `quarterly`, `monthly`.
    #[serde(default)]
    pub updates: Option<String>,
    /// What else it includes, in words.
    #[serde(default)]
    pub includes: Vec<String>,
}

/// When an engineer is called out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum OnCall {
    /// Never.
    #[default]
    #[serde(rename = "no")]
    No,
    /// For severity 1.
    #[serde(rename = "severity 1")]
    Severity1,
    /// At any hour.
    #[serde(rename = "24/7")]
    Always,
}

impl Product {
    /// The plan of that id.
    pub fn plan(&self, id: &str) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.id == id)
    }

    /// The meter of that id.
    pub fn meter(&self, id: &str) -> Option<&Meter> {
        self.meters.iter().find(|meter| meter.id == id)
    }

    /// The meters that a CloudEvents `type` feeds; several may read one event.
    pub fn meters_of<'a>(&'a self, event_type: &'a str) -> impl Iterator<Item = &'a Meter> {
        self.meters.iter().filter(move |meter| meter.event_type == event_type)
    }

    /// The allocation of that id.
    pub fn allocation(&self, id: &str) -> Option<&Allocation> {
        self.allocations.iter().find(|allocation| allocation.id == id)
    }

    /// The feature of that id.
    pub fn feature(&self, id: &str) -> Option<&Feature> {
        self.features.iter().find(|feature| feature.id == id)
    }

    /// The kind of value of that id.
    pub fn value(&self, id: &str) -> Option<&ValueKind> {
        self.values.iter().find(|value| value.id == id)
    }

    /// The support level of that id.
    pub fn support_level(&self, id: &str) -> Option<&Support> {
        self.support.iter().find(|support| support.id == id)
    }

    /// The terms of a model, where it is sold.
    pub fn model(&self, model: Model) -> Option<&ModelTerms> {
        self.models.iter().find(|terms| terms.model == model)
    }

    /// How tenants of `plan` are kept apart where the vendor operates.
    pub fn isolation(&self, plan: &Plan) -> Option<Isolation> {
        plan.isolation.or_else(|| self.model(Model::Managed).and_then(|terms| terms.isolation))
    }

    /// The mode of that id.
    pub fn mode(&self, id: &str) -> Option<&Mode> {
        self.modes.iter().find(|mode| mode.id == id)
    }

    /// The product as it is sold in `currency`.
    pub fn in_currency(&self, currency: Currency) -> Option<&Self> {
        std::iter::once(self).chain(&self.others).find(|product| product.currency == currency)
    }

    /// Every currency that it is sold in, its own first.
    pub fn currencies(&self) -> impl Iterator<Item = Currency> {
        std::iter::once(self).chain(&self.others).map(|product| product.currency)
    }

    /// The add-on or service of that id.
    pub fn extra(&self, id: &str) -> Option<&AddOn> {
        self.add_ons.iter().chain(&self.services).find(|extra| extra.id == id)
    }

    /// The charge that an item names: of the plan, an add-on or a service.
    pub fn charge<'a>(&'a self, plan: &'a Plan, id: &str) -> Option<&'a Charge> {
        plan.charges
            .iter()
            .find(|charge| charge.id == id)
            .or_else(|| self.extra(id).map(|extra| &extra.charge))
    }

    /// What a deployment in `model` and `mode` needs, in file order.
    pub fn resources_for<'a>(
        &'a self,
        model: Model,
        mode: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Resource> {
        self.resources.iter().filter(move |resource| {
            resource.models.contains(&model) && in_mode(&resource.modes, mode)
        })
    }

    /// The environment of a deployment in `model` and `mode`: the variables of
    /// the file, then the flags of the mode, in file order.
    pub fn environment_for(&self, model: Model, mode: Option<&str>) -> Vec<Variable> {
        let listed = self
            .environment
            .iter()
            .filter(|variable| variable.models.is_empty() || variable.models.contains(&model))
            .filter(|variable| in_mode(&variable.modes, mode))
            .cloned();
        let flags = mode.and_then(|mode| self.mode(mode)).into_iter().flat_map(Mode::variables);
        listed.chain(flags).collect()
    }

    /// What an API answers when `feature` is missing (SPEC 1).
    pub fn missing_message(&self, feature: &Feature) -> String {
        let tier = self
            .plans
            .iter()
            .find(|plan| !plan.hidden && plan.features.contains(&feature.id))
            .map_or("Enterprise", |plan| &plan.name);
        format!("This feature requires {tier} tier. Contact {}", self.sales_contact)
    }
}

/// An empty list of modes means every mode.
pub(crate) fn in_mode(modes: &[String], mode: Option<&str>) -> bool {
    modes.is_empty() || mode.is_some_and(|mode| modes.iter().any(|listed| listed == mode))
}
