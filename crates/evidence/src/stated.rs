//! The invoice as it is on record.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenure_catalog::invoicing::InvoiceDraft;

/// What the seller stated. Read from the record, never computed for the export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stated {
    /// Its id.
    pub id: String,
    /// Its number; absent while it is a draft.
    pub number: Option<String>,
    /// `draft`, `issued`, `paid`, `void` or `uncollectible`.
    pub status: String,
    /// When it was issued.
    pub issued_at: Option<Timestamp>,
    /// Who sells.
    pub seller: Value,
    /// Who pays.
    pub buyer: Value,
    /// Lines, taxes and sums.
    pub sums: InvoiceDraft,
}
