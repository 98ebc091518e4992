//! What the server says about credit.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tenure_core::{BillingAccountId, InvoiceId, Money};
use utoipa::ToSchema;

/// Credit of a tenant.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Credits {
    /// Of each account that ever had credit.
    pub balances: Vec<Balance>,
    /// Newest first, at most 200.
    pub entries: Vec<CreditEntry>,
}

/// What an account has.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Balance {
    /// Whose.
    pub billing_account_id: BillingAccountId,
    /// Never below zero.
    pub balance: Money,
}

/// A change of a balance.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreditEntry {
    /// Whose.
    pub billing_account_id: BillingAccountId,
    /// Its number, from 1.
    pub seq: i32,
    /// `prepayment`, `grant`, `refund`, `applied`, `carried`, `credit_note` or `returned`.
    #[schema(example = "prepayment")]
    pub kind: String,
    /// Negative where credit was used.
    pub amount: Money,
    /// After it.
    pub balance: Money,
    /// Where it was used or came from.
    pub invoice_id: Option<InvoiceId>,
    /// For people.
    pub note: String,
    /// When.
    pub created_at: Timestamp,
}

/// Why credit is added or taken by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CreditKind {
    /// Paid ahead.
    Prepayment,
    /// Given.
    Grant,
    /// Paid back to the customer: less credit.
    Refund,
}

impl CreditKind {
    /// The word of API and database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Prepayment => "prepayment",
            Self::Grant => "grant",
            Self::Refund => "refund",
        }
    }
}

/// Credit to be added or paid back.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCredit {
    /// Whose; the tenant's only account when absent.
    pub billing_account: Option<BillingAccountId>,
    /// Above zero, in major units of the account's currency.
    #[schema(value_type = String, example = "12000")]
    pub amount: Decimal,
    /// Why.
    pub kind: CreditKind,
    /// For whoever reads it in a year.
    #[schema(example = "Annual prepayment, PO 4711")]
    pub note: String,
}
