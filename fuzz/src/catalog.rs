//! What must hold for any bytes that reach the parser of product files.

use tenure_catalog::{Product, ProductFile};

/// The product files of this repository.
pub(crate) const FILES: [&str; 5] = [
    include_str!("../../products/agent-governance/product.toml"),
    include_str!("../../products/dyocense/product.toml"),
    include_str!("../../products/incidentfox/product.toml"),
    include_str!("../../products/kg-rca/product.toml"),
    include_str!("../../products/meeting-minutes/product.toml"),
];

/// Nothing panics; a file is a product or has mistakes that can be shown, never
/// neither; and a product survives the trip through JSON, as it is stored.
pub(crate) fn product_file(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    match ProductFile::parse(text, "product.toml") {
        Ok(product) => {
            let json = serde_json::to_string(&product).expect("a product is JSON");
            let again: Product = serde_json::from_str(&json).expect("its JSON is a product");
            assert_eq!(again, product);
            true
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty(), "refused without a reason");
            for mistake in mistakes {
                assert!(!mistake.to_string().is_empty(), "a mistake that says nothing");
            }
            false
        }
    }
}
