//! The five product files of this repository are accepted without a warning.
#![allow(clippy::unwrap_used)]

use tenure_catalog::ProductFile;

mod common;

#[test]
fn every_product_file_is_accepted_without_a_warning() {
    for (name, text) in common::FILES {
        match ProductFile::check(text, name) {
            Ok(parsed) => {
                assert!(parsed.warnings.is_empty(), "{name}: {}", common::drawn(&parsed.warnings));
                assert_eq!(parsed.product.id, name);
            }
            Err(found) => panic!("{}", common::drawn(&found)),
        }
    }
}

#[test]
fn a_product_survives_the_trip_through_json() {
    for (name, _) in common::FILES {
        let product = common::product(name);
        let json = serde_json::to_string(&product).unwrap();
        assert_eq!(serde_json::from_str::<tenure_catalog::Product>(&json).unwrap(), product);
    }
}
