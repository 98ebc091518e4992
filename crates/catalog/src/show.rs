//! Plans in words, and side by side for a terminal.

use comfy_table::{ContentArrangement, Table, presets};

use crate::{
    meter::Meter,
    model::Product,
    plan::{AddOn, BASE, Basis, Charge, Every, Limit, LimitKind, Over, Per, Plan},
    price::Amount,
    rating::words,
};

/// Narrowest table that is drawn, in columns.
const WIDTH_MIN: u16 = 40;
/// Plans beside each other; more make a second table.
const PLANS_A_TABLE: usize = 5;
const AS_BOUGHT: &str = "as bought";

/// The plans of a product side by side, at most `width` columns wide (never
/// less than 40).
pub fn show(product: &Product, width: u16) -> String {
    let mut text = format!("{} ({})\n", product.name, product.id);
    if !product.summary.is_empty() {
        text.push_str(&product.summary);
        text.push('\n');
    }
    // Six plans are two tables of three, not one of five and one of one.
    let tables = product.plans.len().div_ceil(PLANS_A_TABLE).max(1);
    for plans in product.plans.chunks(product.plans.len().div_ceil(tables).max(1)) {
        text.push('\n');
        text.push_str(&table(product, plans, width.max(WIDTH_MIN)));
        text.push('\n');
    }
    for (title, extras) in [("Add-ons", &product.add_ons), ("Services", &product.services)] {
        if !extras.is_empty() {
            text.push_str(&format!("\n{title}\n"));
            extras.iter().for_each(|extra| text.push_str(&extra_line(product, extra)));
        }
    }
    if !product.discounts.is_empty() {
        text.push_str("\nDiscounts, multiplied in this order\n");
        for discount in &product.discounts {
            text.push_str(&format!("  {}: {}%\n", discount.name, discount.percent.normalize()));
        }
    }
    text
}

fn extra_line(product: &Product, extra: &AddOn) -> String {
    let plans = match extra.plans.as_slice() {
        [] => String::new(),
        ids => {
            let name = |id: &String| product.plan(id).map_or(id.clone(), |plan| plan.name.clone());
            format!(" (with {})", ids.iter().map(name).collect::<Vec<_>>().join(", "))
        }
    };
    let price = charge(product, &Charge { optional: false, ..extra.charge.clone() });
    format!("  {}: {price}{plans}\n", extra.name)
}

fn table(product: &Product, plans: &[Plan], width: u16) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width);
    let row = |title: &str, cell: &dyn Fn(&Plan) -> String| -> Vec<String> {
        std::iter::once(title.to_owned()).chain(plans.iter().map(cell)).collect()
    };
    table.set_header(row("", &|plan| plan.name.clone()));
    table.add_row(row("Price", &|plan| price(product, plan)));
    table.add_row(row("Models", &|plan| lines(plan.models.iter().map(|model| model.to_string()))));
    if plans.iter().any(|plan| plan.mode.is_some()) {
        table.add_row(row("Mode", &|plan| plan.mode.clone().unwrap_or_default()));
    }
    if plans.iter().any(|plan| plan.rate.is_some()) {
        table.add_row(row("Rate", &|plan| {
            plan.rate.map(|rate| rate.to_string()).unwrap_or_default()
        }));
    }
    let allocations = product.allocations.iter().map(|held| (&held.id, &held.name));
    let meters = product.meters.iter().map(|meter| (&meter.id, &meter.name));
    for (id, name) in allocations.chain(meters) {
        if plans.iter().any(|plan| plan.limit(id).is_some() || by_number(plan, id)) {
            table.add_row(row(name, &|plan| match plan.limit(id) {
                Some(stated) => limit(product, plan, stated),
                None if by_number(plan, id) => AS_BOUGHT.to_owned(),
                None => String::new(),
            }));
        }
    }
    table.add_row(row("Features", &|plan| {
        let named = plan.features.iter().filter_map(|id| product.feature(id));
        lines(named.map(|feature| feature.name.clone()))
    }));
    if plans.iter().any(|plan| plan.support.is_some()) {
        table.add_row(row("Support", &|plan| {
            let level = plan.support.as_ref().and_then(|id| product.support_level(id));
            level.map(|level| level.name.clone()).unwrap_or_default()
        }));
    }
    table.to_string()
}

fn lines(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join("\n")
}

/// Every price of a plan, one a line.
pub fn price(product: &Product, plan: &Plan) -> String {
    let charges = plan.charges.iter().map(|one| match one.id.as_str() {
        BASE => charge(product, one),
        _ => format!("{}: {}", one.name, charge(product, one)),
    });
    let least = plan.commitment.iter().map(|least| {
        let amount = list_price(least.amount, product.currency);
        format!("at least {amount} a {}", least.every.word())
    });
    lines(charges.chain(least))
}

/// A price of a list: whole amounts go without decimals.
fn list_price(amount: rust_decimal::Decimal, currency: tenure_core::Currency) -> String {
    if amount.fract().is_zero() {
        let decimals = format!(".{}", "0".repeat(currency.exponent() as usize));
        return words::price(amount, currency).replacen(&decimals, "", 1);
    }
    words::price(amount, currency)
}

/// Whether the plan sells the allocation by number.
fn by_number(plan: &Plan, id: &str) -> bool {
    let sells = |basis: &Basis| matches!(basis, Basis::Held { allocation, .. } if allocation == id);
    plan.charges.iter().any(|charge| sells(&charge.basis))
}

/// `$12 per user a month, at least 50`
pub fn charge(product: &Product, charge: &Charge) -> String {
    let money = |amount| list_price(amount, product.currency);
    let of = match &charge.basis {
        Basis::Flat { unit } => unit.as_ref().map(|unit| format!(" per {unit}")),
        Basis::Held { allocation, .. } => {
            product.allocation(allocation).map(|held| format!(" per {}", held.one))
        }
        Basis::Metered { meter, each, .. } => {
            product.meter(meter).map(|meter| package(each.value(), meter))
        }
    }
    .unwrap_or_default();
    let amount = match charge.amount {
        _ if !charge.tiers.is_empty() => {
            let tier = |tier: &crate::plan::Tier| match tier.up_to {
                Some(end) => format!("{} up to {}", money(tier.price), words::number(end.value())),
                None => format!("then {}", money(tier.price)),
            };
            charge.tiers.iter().map(tier).collect::<Vec<_>>().join(", ")
        }
        Amount::Exact { amount } => money(amount),
        Amount::From { amount } => format!("from {}", money(amount)),
        Amount::Range { low, high } => format!("{}-{}", money(low), money(high)),
        Amount::Custom => "custom".to_owned(),
    };
    let every = match charge.every {
        _ if charge.amount == Amount::Custom => "",
        Every::Month => " a month",
        Every::Year => " a year",
        Every::Once if matches!(charge.basis, Basis::Flat { unit: Some(_) }) => "",
        Every::Once => " once",
        Every::Usage => "",
    };
    let least = match &charge.basis {
        Basis::Held { minimum, .. } if !minimum.value().is_zero() => {
            format!(", at least {}", words::number(minimum.value()))
        }
        _ => String::new(),
    };
    let optional = if charge.optional { " (option)" } else { "" };
    format!("{amount}{of}{every}{least}{optional}")
}

fn package(each: rust_decimal::Decimal, meter: &Meter) -> String {
    if each == rust_decimal::Decimal::ONE {
        return format!(" per {}", meter.unit);
    }
    format!(" per {}", words::counted(each, &meter.unit))
}

/// `1,000,000 a day, then $0.05 per 1,000 events`
pub fn limit(product: &Product, plan: &Plan, limit: &Limit) -> String {
    let Some(included) = limit.included else { return "unlimited".to_owned() };
    let sold = by_number(plan, &limit.id);
    let number = match (sold, included.value().is_zero()) {
        (true, true) => AS_BOUGHT.to_owned(),
        (true, false) => format!("{} and as bought", words::number(included.value())),
        (false, _) => match product.meter(&limit.id) {
            // Counted things are named by the row; gigabytes are not.
            Some(meter) if !meter.aggregation.is_additive() => {
                words::counted(included.value(), &meter.unit)
            }
            _ => words::number(included.value()),
        },
    };
    let window = match limit.per {
        Some(per @ (Per::Day | Per::Month)) => format!(" a {}", per.word()),
        _ => String::new(),
    };
    let priced = |price, each: tenure_core::Quantity| {
        let of = product.meter(&limit.id).map(|meter| package(each.value(), meter));
        format!("{}{}", list_price(price, product.currency), of.unwrap_or_default())
    };
    let over = match &limit.over {
        Over::Block if limit.kind == LimitKind::Allocation => String::new(),
        Over::Block => ", then blocked".to_owned(),
        Over::Warn => ", then a warning".to_owned(),
        Over::Charge { price, each, .. } => format!(", then {}", priced(*price, *each)),
        Over::TrueUp { price, each, .. } => {
            format!(", then {}, trued up yearly", priced(*price, *each))
        }
    };
    format!("{number}{window}{over}")
}
