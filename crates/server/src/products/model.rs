//! What the server says about products.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenure_catalog::Product;
use tenure_core::{CatalogVersionId, ProductId, SellerId};
use utoipa::ToSchema;

/// One version of a product, ready for use.
#[derive(Debug)]
pub struct Catalog {
    /// Of the version.
    pub version_id: CatalogVersionId,
    /// Of the product.
    pub product_id: ProductId,
    /// Who sells it.
    pub seller_id: SellerId,
    /// 1, 2, ...
    pub version: i32,
    /// When it was loaded.
    pub created_at: Timestamp,
    /// What it says.
    pub product: Product,
    /// The number of each meter, by id.
    pub meters: HashMap<String, i32>,
}

/// The outcome of loading a product file.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Loaded {
    /// The product's slug.
    #[schema(example = "kg-rca")]
    pub product: String,
    /// The version that now holds for new subscriptions.
    #[schema(example = 3)]
    pub version: i32,
    /// Whether this made it; `false` when the file says what the newest version says.
    pub created: bool,
    /// What it changes, in words.
    #[schema(example = json!(["plan pro: price: $499.00 a month, was $399.00 a month"]))]
    pub changes: Vec<String>,
    /// What looks odd in the file.
    pub warnings: Vec<String>,
}

/// A product in a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProductSummary {
    /// Its id.
    pub id: ProductId,
    /// The id of its file.
    #[schema(example = "kg-rca")]
    pub slug: String,
    /// For people.
    #[schema(example = "KG RCA")]
    pub name: String,
    /// Who sells it.
    pub seller_id: SellerId,
    /// The newest version.
    #[schema(example = 3)]
    pub version: i32,
    /// Subscriptions that are not cancelled.
    #[schema(example = 12)]
    pub subscriptions: i64,
}

/// A version in a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct VersionSummary {
    /// Its id.
    pub id: CatalogVersionId,
    /// 1, 2, ...
    #[schema(example = 2)]
    pub version: i32,
    /// SHA-256 of the file, in hex.
    pub digest: String,
    /// When it was loaded.
    pub created_at: Timestamp,
    /// By whom.
    #[schema(example = "staff:admin")]
    pub created_by: String,
    /// Subscriptions pinned to it that are not cancelled.
    #[schema(example = 4)]
    pub subscriptions: i64,
}
