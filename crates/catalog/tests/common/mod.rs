//! The five product files, and short ways to terms and usage.
#![allow(dead_code, unreachable_pub)]

use tenure_catalog::{Diagnostic, Product, ProductFile};

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
