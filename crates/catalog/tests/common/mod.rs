//! The five product files, and short ways to terms and usage.
#![allow(dead_code, unreachable_pub)]

use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;
use tenure_catalog::{Bill, Diagnostic, Model, Product, ProductFile, Terms, Usage, estimate};
use tenure_core::{Interval, Period, Quantity, money::parse_decimal, period::billing_period};

/// Name and text of each file.
pub const FILES: [(&str, &str); 5] = [
    ("agent-governance", include_str!("../../../../products/agent-governance/product.toml")),
    ("meeting-minutes", include_str!("../../../../products/meeting-minutes/product.toml")),
    ("dyocense", include_str!("../../../../products/dyocense/product.toml")),
    ("kg-rca", include_str!("../../../../products/kg-rca/product.toml")),
    ("incidentfox", include_str!("../../../../products/incidentfox/product.toml")),
];

pub fn product(name: &str) -> Product {
    let (_, text) = FILES.iter().find(|(known, _)| *known == name).expect("a known file");
    ProductFile::parse(text, name).unwrap_or_else(|found| panic!("{}", drawn(&found)))
}

pub fn drawn(found: &[Diagnostic]) -> String {
    found.iter().map(|found| format!("{found}\n\n")).collect()
}

/// Subscriptions of these tests begin on 1 May 2026, in UTC.
pub fn terms(plan: &str, model: Model) -> Terms {
    Terms::new(plan, model, at("2026-05-01T00:00:00Z"))
}

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn dec(text: &str) -> Decimal {
    parse_decimal(text).unwrap()
}

pub fn qty(text: &str) -> Quantity {
    text.parse().unwrap()
}

/// The month that starts with `2026-05`.
pub fn month(text: &str) -> Period {
    period(text, Interval::Month)
}

/// The year that starts with that month.
pub fn year(text: &str) -> Period {
    period(text, Interval::Year)
}

fn period(text: &str, interval: Interval) -> Period {
    billing_period(at(&format!("{text}-01T00:00:00Z")), &TimeZone::UTC, interval, 0).unwrap()
}

/// The bill of a month without usage.
pub fn bill(product: &Product, terms: &Terms, text: &str) -> Bill {
    estimate(product, terms, month(text), &Usage::default()).unwrap()
}
