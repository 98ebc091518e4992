//! What the server says about products.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenure_catalog::{Meter, Product};
use tenure_core::{CatalogVersionId, Currency, ProductId, SellerId};
use utoipa::ToSchema;

use crate::http::Problem;

/// One version of a product, ready for use.
#[derive(Debug, Clone)]
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
    /// What it says, in one currency.
    pub product: Product,
    /// The number of each meter, by id.
    pub meters: HashMap<String, i32>,
    /// The same version in the other currencies that it is sold in.
    pub(super) others: Vec<Arc<Catalog>>,
}

impl Catalog {
    /// The same version with another text: `product` in its first currency, and in the others.
    pub(crate) fn with(&self, product: Product) -> Self {
        let plain = |product: Product| Self { product, others: Vec::new(), ..self.clone() };
        let others = product.others.iter().map(|other| Arc::new(plain(other.clone()))).collect();
        Self { others, ..plain(product) }
    }

    /// As it is sold in `currency`; 422 where it is not.
    pub(crate) fn in_currency(self: &Arc<Self>, currency: Currency) -> Result<Arc<Self>, Problem> {
        let found = std::iter::once(self).chain(&self.others);
        let found = found.into_iter().find(|catalog| catalog.product.currency == currency);
        found.cloned().ok_or_else(|| {
            let sold: Vec<String> =
                self.product.currencies().map(|currency| currency.to_string()).collect();
            let detail = format!(
                "{} is not sold in {currency}, but in {}.",
                self.product.name,
                sold.join(", ")
            );
            Problem::field("/currency", detail)
        })
    }

    /// The meter that a caller names.
    ///
    /// # Errors
    /// 422 with those that there are.
    pub(crate) fn meter(&self, id: &str) -> Result<&Meter, Problem> {
        self.product.meter(id).ok_or_else(|| {
            let known: Vec<&str> =
                self.product.meters.iter().map(|meter| meter.id.as_str()).collect();
            let detail = format!("There is no meter `{id}`; there are: {}.", known.join(", "));
            Problem::field("/meter", detail)
        })
    }

    /// The number of a meter in rows of usage.
    pub(crate) fn meter_id(&self, meter: &str) -> Result<i32, Problem> {
        let number = self.meters.get(meter).copied();
        number.ok_or_else(|| Problem::internal(format!("the meter {meter} has no number")))
    }
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
