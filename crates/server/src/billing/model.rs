//! What the server says about bills.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tenure_catalog::invoicing::DraftLine;
use tenure_core::{Currency, Money, Period, SubscriptionId, SubscriptionStatus};
use utoipa::ToSchema;

use crate::subscriptions::Subscription;

/// A bill of a period that is not over.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BillEstimate {
    /// Of which subscription.
    pub subscription_id: SubscriptionId,
    /// Slug of the product.
    #[schema(example = "kg-rca")]
    pub product: String,
    /// Id of the plan.
    #[schema(example = "pro")]
    pub plan: String,
    /// The billing period begins here.
    pub period_start: Timestamp,
    /// The billing period ends before this moment.
    pub period_end: Timestamp,
    /// Usage up to this moment is counted.
    pub as_of: Timestamp,
    /// Empty when a contract is needed first.
    pub lines: Vec<BillLine>,
    /// What the lines come to, before tax.
    pub subtotal: Money,
    /// What would be invoiced, before tax: the subtotal; in a trial, nothing.
    pub total: Money,
    /// Where the subscription is in its trial.
    pub trial: Option<Trial>,
    /// What has to be agreed on before this plan can be billed, and with whom.
    #[schema(
        example = "KG RCA Enterprise: Enterprise is priced on request; agree on it in a contract first (contact sales@kg-rca.example)."
    )]
    pub needs_contract: Option<String>,
}

/// A trial under way.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Trial {
    /// When it ends.
    pub ends_at: Option<Timestamp>,
    /// For people.
    #[schema(example = "Free trial: this is what the period would cost; nothing is charged.")]
    pub note: String,
}

/// One line of a bill.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BillLine {
    /// Id of the charge, add-on or service, `overage.<meter>` or `commitment`.
    #[schema(example = "overage.events")]
    pub charge: String,
    /// For people.
    #[schema(example = "Events, over the included 1,000,000 a day")]
    pub description: String,
    /// How many were billed, in units.
    #[schema(value_type = String, example = "34000")]
    pub quantity: Decimal,
    /// What one of them is called.
    #[schema(example = "event")]
    pub unit: String,
    /// How the amount comes about.
    #[schema(example = "(1,034,000 - 1,000,000 included) = 34,000 / 1,000 x $0.05 = $1.70")]
    pub arithmetic: String,
    /// Rounded once.
    pub amount: Money,
}

impl BillEstimate {
    pub(super) fn empty(
        subscription: &Subscription,
        currency: Currency,
        period: Period,
        now: Timestamp,
    ) -> Self {
        let trial = (subscription.status == SubscriptionStatus::Trial).then(|| Trial {
            ends_at: subscription.trial_ends_at,
            note: "Free trial: this is what the period would cost; nothing is charged.".to_owned(),
        });
        Self {
            subscription_id: subscription.id,
            product: subscription.product.clone(),
            plan: subscription.plan.clone(),
            period_start: period.start,
            period_end: period.end,
            as_of: now,
            lines: Vec::new(),
            subtotal: Money::zero(currency),
            total: Money::zero(currency),
            trial,
            needs_contract: None,
        }
    }

    pub(super) fn fill(&mut self, lines: Vec<DraftLine>, total: Money) {
        self.lines = lines
            .into_iter()
            .map(|line| BillLine {
                charge: line.charge,
                description: line.description,
                quantity: line.quantity.normalize(),
                unit: line.unit,
                arithmetic: line.arithmetic,
                amount: line.amount,
            })
            .collect();
        self.subtotal = total;
        self.total = total;
    }
}
