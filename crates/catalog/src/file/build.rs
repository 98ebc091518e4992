//! The product as a whole: its head, the ids that everything refers to, and
//! what each deployment model needs.

use tenure_core::{Currency, slug};

use super::{
    extras,
    node::{Entry, Node},
    parts, plans,
    report::{Report, suggest},
    running,
};
use crate::{
    deployment::{License, Model},
    grammar::MODEL_WORDS,
    model::{Product, in_mode},
};

/// The ids of a file by what they name, for references and suggestions.
pub(super) struct Ids<'a> {
    pub(super) root: &'a Node,
    pub(super) currency: Currency,
}

impl<'a> Ids<'a> {
    /// The ids in one table of the file.
    pub(super) fn of(&self, table: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let entries = self.root.get(table).map(Node::entries).unwrap_or_default();
        entries.iter().map(|entry| entry.key.as_str())
    }

    pub(super) fn has(&self, table: &str, id: &str) -> bool {
        self.of(table).any(|known| known == id)
    }

    /// Reports a reference to what is not there; returns whether it is.
    pub(super) fn refer(&self, report: &mut Report<'_>, node: &Node, table: &str) -> bool {
        let Some(id) = node.text() else { return false };
        if self.has(table, id) {
            return true;
        }
        let noun = NOUNS.iter().find(|(name, _)| *name == table).map_or(table, |(_, noun)| noun);
        let hint = suggest(id, self.of(table))
            .unwrap_or_else(|| format!("declare it under [{table}] first"));
        report.error(&node.span, format!("there is no {noun} `{id}`"), hint);
        false
    }

    /// Reports every unknown reference in the list under `key`.
    pub(super) fn refer_all(
        &self,
        report: &mut Report<'_>,
        node: &Node,
        key: &str,
        table: &str,
    ) -> Vec<String> {
        let list = node.get(key).map(Node::list).unwrap_or_default();
        for (at, item) in list.iter().enumerate() {
            if self.refer(report, item, table)
                && list.iter().take(at).any(|earlier| earlier.text() == item.text())
            {
                report.warn(
                    &item.span,
                    format!("`{}` is listed twice", item.text().unwrap_or_default()),
                    None,
                );
            }
        }
        node.texts(key)
    }
}

const NOUNS: &[(&str, &str)] = &[
    ("meters", "meter"),
    ("allocations", "allocation"),
    ("features", "feature"),
    ("values", "value"),
    ("support", "support level"),
    ("models", "model"),
    ("modes", "mode"),
    ("plans", "plan"),
    ("resources", "resource"),
];

/// `agent_runs` becomes `Agent runs`.
pub(super) fn titled(id: &str) -> String {
    let spaced = id.replace(['_', '-'], " ");
    let mut letters = spaced.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// `users` becomes `user`; good enough for a name that a file may override.
pub(super) fn singular(id: &str) -> String {
    let spaced = id.replace(['_', '-'], " ");
    match spaced.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => spaced.strip_suffix('s').unwrap_or(&spaced).to_owned(),
    }
}

/// The models listed under `key` that are words of the grammar.
pub(super) fn models(node: &Node, key: &str) -> Vec<Model> {
    let mut models: Vec<Model> =
        node.texts(key).iter().filter_map(|word| word.parse().ok()).collect();
    models.dedup();
    models
}

/// The product, when the head can be read at all; the report says whether it
/// is good.
pub(super) fn product(report: &mut Report<'_>, root: &Node, currency: Currency) -> Option<Product> {
    let head = root.get("product")?;
    let ids = Ids { root, currency };
    prefixes(report, head);
    one_namespace(report, &ids);
    let (features, values) = (parts::features(report, &ids), parts::values(root));
    let product = Product {
        id: head.text_of("id").unwrap_or_default(),
        name: head.text_of("name").unwrap_or_default(),
        summary: head.text_of("summary").unwrap_or_default(),
        currency,
        others: Vec::new(),
        sales_contact: head.text_of("sales_contact").unwrap_or_default(),
        api_key_prefix: head.text_of("api_key_prefix").unwrap_or_default(),
        license_key_prefix: head.text_of("license_key_prefix"),
        meters: parts::meters(report, root),
        allocations: parts::allocations(root),
        features,
        values,
        support: parts::support(root),
        models: running::models(report, root),
        modes: running::modes(report, &ids),
        plans: plans::plans(report, &ids),
        add_ons: extras::add_ons(report, &ids, "addons"),
        services: extras::add_ons(report, &ids, "services"),
        discounts: extras::discounts(report, &ids),
        resources: running::resources(report, &ids),
        environment: running::environment(report, &ids),
        license: root
            .get("license")
            .map_or_else(License::default, |node| running::license(report, node)),
    };
    needs_of_models(report, &ids, &product);
    features_of_modes(report, &ids, &product);
    // Beside a mistyped name, its right spelling would look unused.
    if !report.has_errors() {
        unused(report, &ids, &product);
    }
    Some(product)
}

fn prefixes(report: &mut Report<'_>, head: &Node) {
    if let Some((node, id)) = head.get("id").and_then(|node| Some((node, node.text()?)))
        && !slug::is_slug(id)
    {
        let hint = slug::slugify(id).map(|slug| format!("write \"{slug}\""));
        report.error(
            &node.span,
            format!("`{id}` is no product id: lower-case letters, digits and dashes"),
            hint,
        );
    }
    let well_formed = |text: &str, least: usize, letter: fn(&u8) -> bool| {
        (least..=12).contains(&text.len())
            && text.as_bytes().first().is_some_and(letter)
            && text.as_bytes().iter().all(|b| letter(b) || b.is_ascii_digit())
    };
    if let Some((node, text)) = head.get("api_key_prefix").and_then(|n| Some((n, n.text()?)))
        && !well_formed(text, 1, u8::is_ascii_lowercase)
    {
        let hint =
            "1 to 12 lower-case letters and digits, starting with a letter: kg makes kg_live_...";
        report.error(&node.span, format!("`{text}` is no API key prefix"), hint.to_owned());
    }
    if let Some((node, text)) = head.get("license_key_prefix").and_then(|n| Some((n, n.text()?)))
        && !well_formed(text, 2, u8::is_ascii_uppercase)
    {
        let hint = "2 to 12 upper-case letters and digits, starting with a letter: ACME makes ACME-ENT-...";
        report.error(&node.span, format!("`{text}` is no license key prefix"), hint.to_owned());
    }
}

/// Limits name meters and allocations alike, and items name add-ons and
/// services alike: each pair shares its ids.
fn one_namespace(report: &mut Report<'_>, ids: &Ids<'_>) {
    for (left, right) in [("meters", "allocations"), ("features", "values"), ("addons", "services")]
    {
        let entries = ids.root.get(right).map(Node::entries).unwrap_or_default();
        for Entry { key, key_span, .. } in entries {
            if ids.has(left, key) {
                let message = format!("`{key}` is already used under [{left}]");
                report.error(key_span, message, format!("{left} and {right} share their ids"));
            }
        }
    }
}

/// A model is only sold with what it needs (SPEC 1, 4, 5).
fn needs_of_models(report: &mut Report<'_>, ids: &Ids<'_>, product: &Product) {
    let entries = ids.root.get("models").map(Node::entries).unwrap_or_default();
    for Entry { key, key_span, node } in entries {
        if !MODEL_WORDS.contains(&key.as_str()) {
            continue;
        }
        let Ok(model) = key.parse::<Model>() else { continue };
        let mut need = |missing: bool, what: &str, hint: &str| {
            if missing {
                report.error(key_span, format!("{key} needs {what}"), hint.to_owned());
            }
        };
        match model {
            Model::Managed => need(
                node.get("isolation").is_none(),
                "`isolation`",
                "say how tenants are kept apart: \"shared_tables\", \"schema\" or \"database\"",
            ),
            Model::Byoi => need(
                !product.resources.iter().any(|resource| resource.models.contains(&model)),
                "a resource that the customer brings",
                "add [resources.database] with kind = \"postgres.database\" and models = [\"byoi\"]",
            ),
            Model::SelfHosted | Model::AirGapped => {
                need(
                    product.license_key_prefix.is_none(),
                    "`license_key_prefix` under [product]",
                    "add license_key_prefix = \"ACME\"; it starts every license key",
                );
                need(
                    ids.root.get("license").is_none(),
                    "a [license] table",
                    "add [license] with expiry = \"standard\"",
                );
            }
        }
    }
}

/// A plan does not promise what its mode cannot do.
fn features_of_modes(report: &mut Report<'_>, ids: &Ids<'_>, product: &Product) {
    let entries = ids.root.get("plans").map(Node::entries).unwrap_or_default();
    for Entry { key, node, .. } in entries {
        let mode = product.plan(key).and_then(|plan| plan.mode.as_deref());
        for listed in node.get("features").map(Node::list).unwrap_or_default() {
            let feature = listed.text().and_then(|id| product.feature(id));
            let Some(feature) = feature.filter(|feature| !in_mode(&feature.modes, mode)) else {
                continue;
            };
            let message = format!(
                "feature `{}` does not work in mode {}",
                feature.id,
                mode.unwrap_or("none")
            );
            report.error(
                &listed.span,
                message,
                format!("it works in: {}", feature.modes.join(", ")),
            );
        }
    }
}

fn unused(report: &mut Report<'_>, ids: &Ids<'_>, product: &Product) {
    let entries = |table| ids.root.get(table).map(Node::entries).unwrap_or_default();
    for Entry { key, key_span, .. } in entries("features") {
        let sold = product.plans.iter().any(|plan| plan.features.contains(key))
            || product
                .add_ons
                .iter()
                .chain(&product.services)
                .any(|extra| extra.features.contains(key));
        if !sold {
            let hint = "list it in a plan's features, or remove it".to_owned();
            report.warn(key_span, format!("no plan has the feature `{key}`"), hint);
        }
    }
    for Entry { key, key_span, .. } in entries("models") {
        if !product.plans.iter().any(|plan| plan.models.iter().any(|model| model.word() == key)) {
            let hint = format!("list it in a plan's models, or remove [models.{key}]");
            report.warn(key_span, format!("no plan is sold as {key}"), hint);
        }
    }
    for Entry { key, key_span, .. } in entries("support") {
        let sold = product.plans.iter().any(|plan| plan.support.as_ref() == Some(key))
            || product
                .add_ons
                .iter()
                .chain(&product.services)
                .any(|extra| extra.support.as_ref() == Some(key));
        if !sold {
            report.warn(key_span, format!("no plan has the support level `{key}`"), None);
        }
    }
}
