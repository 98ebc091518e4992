//! What a new version of a product file changes, in words, and what it must
//! not change.
//!
//! Owns: the comparison of two versions. Refuses: a meter that is redefined or
//! dropped, another currency, another product id.

use tenure_core::Currency;

use crate::{meter::Meter, model::Product, plan::Plan, rating::words, show};

/// One difference, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it is about: `plan pro`, `meter events`.
    pub subject: String,
    /// What happened: `price: $499.00 a month, was $399.00 a month`.
    pub text: String,
}

/// A difference that would change what existing subscriptions mean.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject}: {text}\nhint: {hint}")]
pub struct Refusal {
    /// What it is about.
    pub subject: String,
    /// Why it is refused.
    pub text: String,
    /// The way out.
    pub hint: String,
}

/// What `new` changes, subject by subject in the order of the file. Refused
/// when it redefines or drops a meter, for a meter's definition never changes
/// under its id (DESIGN "What is pinned").
pub fn changes(old: &Product, new: &Product) -> Result<Vec<Change>, Vec<Refusal>> {
    let refusals = refusals(old, new);
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let mut found = Vec::new();
    head(old, new, &mut found);
    let lists = [
        ("meter", ids(&old.meters, |m| &m.id), ids(&new.meters, |m| &m.id)),
        ("allocation", ids(&old.allocations, |a| &a.id), ids(&new.allocations, |a| &a.id)),
        ("feature", ids(&old.features, |f| &f.id), ids(&new.features, |f| &f.id)),
        ("value", ids(&old.values, |v| &v.id), ids(&new.values, |v| &v.id)),
        ("support level", ids(&old.support, |s| &s.id), ids(&new.support, |s| &s.id)),
        ("mode", ids(&old.modes, |m| &m.id), ids(&new.modes, |m| &m.id)),
        ("plan", ids(&old.plans, |p| &p.id), ids(&new.plans, |p| &p.id)),
        ("add-on", ids(&old.add_ons, |a| &a.id), ids(&new.add_ons, |a| &a.id)),
        ("service", ids(&old.services, |s| &s.id), ids(&new.services, |s| &s.id)),
        ("discount", ids(&old.discounts, |d| &d.id), ids(&new.discounts, |d| &d.id)),
        ("resource", ids(&old.resources, |r| &r.id), ids(&new.resources, |r| &r.id)),
    ];
    for (noun, before, after) in lists {
        come_and_gone(noun, &before, &after, &mut found);
    }
    for plan in &new.plans {
        if let Some(before) = old.plan(&plan.id) {
            plan_changes((old, before), (new, plan), &mut found);
        }
    }
    extras(old, new, &mut found);
    others(old, new, &mut found);
    currencies(old, new, &mut found);
    Ok(found)
}

/// Prices of other currencies: what changes in each beside what changes in all.
fn currencies(old: &Product, new: &Product, found: &mut Vec<Change>) {
    let mut own = Vec::new();
    for after in &new.others {
        let currency = after.currency;
        match old.in_currency(currency) {
            None => own.push(Change {
                subject: "product".to_owned(),
                text: format!("sold in {currency} too"),
            }),
            Some(before) => {
                let all = changes(before, after).unwrap_or_default();
                own.extend(all.into_iter().filter(|change| !found.contains(change)).map(
                    |change| Change {
                        subject: format!("{} in {currency}", change.subject),
                        ..change
                    },
                ));
            }
        }
    }
    found.extend(own);
}

fn ids<T>(list: &[T], id: impl Fn(&T) -> &String) -> Vec<String> {
    list.iter().map(|entry| id(entry).clone()).collect()
}

fn refusals(old: &Product, new: &Product) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let mut refuse = |subject: String, text: String, hint: String| {
        refusals.push(Refusal { subject, text, hint });
    };
    if old.id != new.id {
        refuse(
            "product".to_owned(),
            format!("the id was `{}` and would be `{}`", old.id, new.id),
            "load the file as a product of its own".to_owned(),
        );
    }
    if old.currency != new.currency {
        refuse(
            "product".to_owned(),
            format!("the currency was {} and would be {}", old.currency, new.currency),
            "list the new one under `currencies`, and leave `currency` as it is".to_owned(),
        );
    }
    let gone = |currency: &Currency| new.in_currency(*currency).is_none();
    for currency in old.others.iter().map(|other| other.currency).filter(gone) {
        refuse(
            "product".to_owned(),
            format!(
                "it would not be sold in {currency} any more, and subscriptions are billed in it"
            ),
            format!(
                "keep `{currency}` under `currencies`; hide the plans that are not sold any more"
            ),
        );
    }
    for meter in &old.meters {
        let way_out = format!(
            "leave `{0}` as it is and give the new way of counting a new id, e.g. {0}_v2, with new plans limiting it",
            meter.id
        );
        match new.meter(&meter.id) {
            None => refuse(
                format!("meter {}", meter.id),
                "it would be dropped, and subscriptions are billed by it".to_owned(),
                format!("keep `{}` in the file; a plan need not mention it", meter.id),
            ),
            Some(now) => {
                for text in redefined(meter, now) {
                    refuse(format!("meter {}", meter.id), text, way_out.clone());
                }
            }
        }
    }
    for held in old.allocations.iter().filter(|held| new.allocation(&held.id).is_none()) {
        refuse(
            format!("allocation {}", held.id),
            "it would be dropped, and subscriptions hold it".to_owned(),
            format!("keep `{}` in the file; a plan need not mention it", held.id),
        );
    }
    refusals
}

fn redefined(old: &Meter, new: &Meter) -> Vec<String> {
    let differ = |what: &str, before: String, after: String| {
        (before != after).then(|| format!("its {what} was {before} and would be {after}"))
    };
    let field = |meter: &Meter| meter.aggregation.field().unwrap_or("none").to_owned();
    [
        differ("event type", old.event_type.clone(), new.event_type.clone()),
        differ("aggregation", old.aggregation.word().to_owned(), new.aggregation.word().to_owned()),
        differ("field", field(old), field(new)),
        differ("unit", old.unit.clone(), new.unit.clone()),
        differ("divide_by", old.divide_by.to_string(), new.divide_by.to_string()),
        differ("list of dimensions", listed(&old.dimensions), listed(&new.dimensions)),
        differ("filter", filter(old), filter(new)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn listed(texts: &[String]) -> String {
    if texts.is_empty() { "empty".to_owned() } else { texts.join(", ") }
}

fn filter(meter: &Meter) -> String {
    let parts: Vec<String> = meter
        .only
        .iter()
        .map(|(field, texts)| format!("{field} = {}", texts.join(" or ")))
        .collect();
    listed(&parts)
}

fn note(found: &mut Vec<Change>, subject: &str, text: impl Into<String>) {
    found.push(Change { subject: subject.to_owned(), text: text.into() });
}

fn differ(found: &mut Vec<Change>, subject: &str, what: &str, old: &str, new: &str) {
    let shown =
        |text: &str| if text.is_empty() { "nothing".to_owned() } else { text.replace('\n', ", ") };
    if old != new {
        note(found, subject, format!("{what}: {}, was {}", shown(new), shown(old)));
    }
}

fn head(old: &Product, new: &Product, found: &mut Vec<Change>) {
    let subject = "product";
    differ(found, subject, "name", &old.name, &new.name);
    differ(found, subject, "summary", &old.summary, &new.summary);
    differ(found, subject, "sales contact", &old.sales_contact, &new.sales_contact);
    differ(found, subject, "API key prefix", &old.api_key_prefix, &new.api_key_prefix);
    let prefix = |product: &Product| product.license_key_prefix.clone().unwrap_or_default();
    differ(found, subject, "license key prefix", &prefix(old), &prefix(new));
    let models = |product: &Product| {
        product.models.iter().map(|terms| terms.model.word()).collect::<Vec<_>>().join(", ")
    };
    differ(found, subject, "models", &models(old), &models(new));
}

fn come_and_gone(noun: &str, old: &[String], new: &[String], found: &mut Vec<Change>) {
    for id in new.iter().filter(|id| !old.contains(id)) {
        note(found, &format!("{noun} {id}"), "added");
    }
    for id in old.iter().filter(|id| !new.contains(id)) {
        let text = if noun == "plan" {
            "no longer sold; subscriptions to it keep their terms"
        } else {
            "removed"
        };
        note(found, &format!("{noun} {id}"), text);
    }
}

fn plan_changes(
    (old_product, old): (&Product, &Plan),
    (new_product, new): (&Product, &Plan),
    found: &mut Vec<Change>,
) {
    let subject = format!("plan {}", new.id);
    let mut say = |what: &str, before: String, after: String| {
        differ(found, &subject, what, &before, &after);
    };
    say("name", old.name.clone(), new.name.clone());
    say("price", show::price(old_product, old), show::price(new_product, new));
    let models = |plan: &Plan| plan.models.iter().map(|m| m.word()).collect::<Vec<_>>().join(", ");
    say("models", models(old), models(new));
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    say("mode", text(&old.mode), text(&new.mode));
    say("support", text(&old.support), text(&new.support));
    let rate = |plan: &Plan| plan.rate.map(|rate| rate.to_string()).unwrap_or_default();
    say("rate", rate(old), rate(new));
    let trial = |plan: &Plan| plan.trial.map(|trial| trial.words()).unwrap_or_default();
    say("trial", trial(old), trial(new));
    let all: Vec<&String> = new.limits.iter().chain(&old.limits).map(|limit| &limit.id).collect();
    for (index, id) in all.iter().enumerate() {
        if all[..index].contains(id) {
            continue;
        }
        let words = |product: &Product, plan: &Plan| {
            plan.limit(id)
                .map_or("not limited".to_owned(), |limit| show::limit(product, plan, limit))
        };
        say(&format!("limit on {id}"), words(old_product, old), words(new_product, new));
    }
    for feature in new.features.iter().filter(|id| !old.features.contains(id)) {
        note(found, &subject, format!("feature {feature} added"));
    }
    for feature in old.features.iter().filter(|id| !new.features.contains(id)) {
        note(found, &subject, format!("feature {feature} removed"));
    }
    // Whatever has no words of its own is still a change.
    let (mut rest, mut same) = (old.clone(), new.clone());
    for plan in [&mut rest, &mut same] {
        plan.name.clear();
        plan.charges.clear();
        plan.commitment = None;
        plan.models.clear();
        plan.mode = None;
        plan.support = None;
        plan.rate = None;
        plan.trial = None;
        plan.limits.clear();
        plan.features.clear();
        plan.quoted = false;
    }
    if rest != same {
        note(
            found,
            &subject,
            "other terms changed (summary, values, billing, isolation, edition or tier)",
        );
    }
    if old.limits != new.limits && show_limits(old_product, old) == show_limits(new_product, new) {
        note(found, &subject, "warnings or hard stops of limits changed");
    }
}

fn show_limits(product: &Product, plan: &Plan) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = plan
        .limits
        .iter()
        .map(|limit| (limit.id.clone(), show::limit(product, plan, limit)))
        .collect();
    all.sort();
    all
}

fn extras(old: &Product, new: &Product, found: &mut Vec<Change>) {
    for extra in new.add_ons.iter().chain(&new.services) {
        let Some(before) = old.extra(&extra.id) else { continue };
        let subject = format!("add-on or service {}", extra.id);
        let (was, is) = (show::charge(old, &before.charge), show::charge(new, &extra.charge));
        differ(found, &subject, "price", &was, &is);
        if was == is && before != extra {
            note(found, &subject, "its terms changed");
        }
    }
    for discount in &new.discounts {
        let Some(before) = old.discounts.iter().find(|before| before.id == discount.id) else {
            continue;
        };
        let subject = format!("discount {}", discount.id);
        let (was, is) = (words::number(before.percent), words::number(discount.percent));
        differ(found, &subject, "per cent", &was, &is);
        if was == is && before != discount {
            note(found, &subject, "its conditions changed");
        }
    }
}

/// Parts that follow the newest version (DESIGN): named, not spelled out.
fn others(old: &Product, new: &Product, found: &mut Vec<Change>) {
    for meter in &new.meters {
        let Some(was) = old.meter(&meter.id) else { continue };
        let words = |meter: &Meter| meter.kept().word().to_owned();
        let (subject, what) = (format!("meter {}", meter.id), "retention of single events");
        differ(found, &subject, what, &words(was), &words(meter));
    }
    let mut say = |changed: bool, what: &str| {
        if changed {
            note(found, what, "changed");
        }
    };
    for feature in &new.features {
        say(
            old.feature(&feature.id).is_some_and(|was| was != feature),
            &format!("feature {}", feature.id),
        );
    }
    for level in &new.support {
        say(
            old.support_level(&level.id).is_some_and(|was| was != level),
            &format!("support level {}", level.id),
        );
    }
    for terms in &new.models {
        say(
            old.model(terms.model).is_some_and(|was| was != terms),
            &format!("model {}", terms.model),
        );
    }
    for mode in &new.modes {
        say(old.mode(&mode.id).is_some_and(|was| was != mode), &format!("mode {}", mode.id));
    }
    for resource in &new.resources {
        let was = old.resources.iter().find(|was| was.id == resource.id);
        say(was.is_some_and(|was| was != resource), &format!("resource {}", resource.id));
    }
    say(old.environment != new.environment, "environment");
    say(old.license != new.license, "license");
}
