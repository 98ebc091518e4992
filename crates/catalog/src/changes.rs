//! What a new version of a product file changes, in words, and what it must
//! not change.

use crate::model::Product;

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

/// What `new` changes. Refused when it redefines or drops a meter, for a
/// meter's definition never changes under its id (DESIGN "What is pinned").
pub fn changes(old: &Product, new: &Product) -> Result<Vec<Change>, Vec<Refusal>> {
    let _ = (old, new);
    Ok(Vec::new())
}
