//! Plans side by side, for a terminal.

use crate::model::Product;

/// The plans of a product side by side, at most `width` columns wide.
pub fn show(product: &Product, width: u16) -> String {
    let _ = width;
    product.name.clone()
}
