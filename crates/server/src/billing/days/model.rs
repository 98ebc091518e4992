//! What is said about cost by day and by dimension.

use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tenure_core::{InvoiceId, Money, SubscriptionId};
use utoipa::{IntoParams, ToSchema};

use crate::billing::invoices::InvoiceStatus;

/// Which period.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BillDaysQuery {
    /// The billing period that holds this moment; the present one when absent.
    pub at: Option<Timestamp>,
}

/// Which breakdown of which period.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BillDimensionQuery {
    /// The meter's id.
    #[param(example = "events")]
    pub meter: String,
    /// One of the meter's dimensions.
    #[param(example = "region")]
    pub by: String,
    /// The billing period that holds this moment; the present one when absent.
    pub at: Option<Timestamp>,
}

/// A billing period's cost, day by day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BillDays {
    /// Of which subscription.
    pub subscription_id: SubscriptionId,
    /// The billing period begins here.
    pub period_start: Timestamp,
    /// The billing period ends before this moment.
    pub period_end: Timestamp,
    /// Whether an earlier period was billed here.
    pub has_earlier: bool,
    /// Usage up to this moment is counted; of an invoice, when this was asked.
    pub as_of: Timestamp,
    /// Days are calendar days of this zone.
    #[schema(example = "Europe/Berlin")]
    pub time_zone: String,
    /// The invoice of the period, once there is one: the days are of its usage.
    pub invoice: Option<InvoiceOfDays>,
    /// Charges that usage is billed with, in the order of the bill.
    pub charges: Vec<ChargeOfDays>,
    /// Usage that the period bills from before the first day: of a calendar month
    /// that began earlier, or of days that are not shown.
    pub before: DayAmount,
    /// The newest 92 days, oldest first; the last may be under way.
    pub days: Vec<DayCost>,
    /// What no day caused.
    pub apart: Vec<ApartCost>,
    /// `before`, all days and `apart`: the subtotal of the bill or the invoice.
    pub subtotal: Money,
    /// In a trial nothing of it is charged.
    pub is_trial: bool,
    /// What has to be agreed on before the plan can be billed; then nothing else is said.
    pub needs_contract: Option<String>,
}

/// The invoice behind the days.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InvoiceOfDays {
    /// Its id.
    pub id: InvoiceId,
    /// Its number, once it is issued.
    #[schema(example = "ACME-000042")]
    pub number: Option<String>,
    /// Where it stands.
    pub status: InvoiceStatus,
}

/// A charge of usage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChargeOfDays {
    /// Id of the charge, or `overage.<meter>`.
    #[schema(example = "overage.queries")]
    pub charge: String,
    /// As the bill says it.
    pub description: String,
    /// What it meters.
    #[schema(example = "queries")]
    pub meter: Option<String>,
    /// Of `before` and all days.
    pub amount: Money,
}

/// What usage cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DayAmount {
    /// All charges.
    pub amount: Money,
    /// Those that are not zero.
    pub charges: Vec<ChargeAmount>,
}

/// A day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DayCost {
    /// In the zone of the answer.
    #[schema(value_type = String, format = Date)]
    pub date: Date,
    /// Its cost; negative where an average or a latest value fell.
    #[serde(flatten)]
    pub cost: DayAmount,
}

/// What one charge came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChargeAmount {
    /// Its id.
    pub charge: String,
    /// May be negative.
    pub amount: Money,
}

/// Why a line belongs to no day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Apart {
    /// Flat, by number held, or once.
    Flat,
    /// A minimum or a true-up at the end of its interval.
    Settled,
    /// A correction of an earlier period.
    Adjustment,
}

/// A line that no day caused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ApartCost {
    /// Id of the charge, add-on or service, or `commitment`.
    pub charge: String,
    /// As the bill says it.
    pub description: String,
    /// Why no day has it.
    pub why: Apart,
    /// Rounded once.
    pub amount: Money,
}

/// Usage and cost of a meter in a billing period, by one of its dimensions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BillDimension {
    /// The meter's id.
    pub meter: String,
    /// For people.
    pub name: String,
    /// What one is called.
    pub unit: String,
    /// The dimension.
    #[schema(example = "region")]
    pub by: String,
    /// The billing period begins here.
    pub period_start: Timestamp,
    /// The billing period ends before this moment.
    pub period_end: Timestamp,
    /// The 8 values with the most usage, most first.
    pub values: Vec<ValueCost>,
    /// All other values together, when there are more.
    pub other: Option<OtherCost>,
    /// Usage of the days' calendar days, all values together.
    #[schema(value_type = String)]
    pub quantity: Decimal,
    /// What the meter's charges cost on those days; values and `other` add up to it.
    pub amount: Money,
    /// The same by day, oldest first.
    pub days: Vec<DayOfDimension>,
}

/// A value of a dimension.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ValueCost {
    /// Absent: events that did not name one.
    #[schema(example = "eu-1")]
    pub value: Option<String>,
    /// In the meter's unit.
    #[schema(value_type = String, example = "34000")]
    pub quantity: Decimal,
    /// How many events.
    pub events: i64,
    /// Its share of each day's cost, by that day's usage.
    pub amount: Money,
}

/// What is left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OtherCost {
    /// How many values that is.
    pub values: i64,
    /// In the meter's unit.
    #[schema(value_type = String, example = "34000")]
    pub quantity: Decimal,
    /// How many events.
    pub events: i64,
    /// As of a value.
    pub amount: Money,
}

/// A day of a breakdown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DayOfDimension {
    /// In the tenant's zone.
    #[schema(value_type = String, format = Date)]
    pub date: Date,
    /// In the order of the values; what is left stands last.
    #[schema(value_type = Vec<String>)]
    pub quantities: Vec<Decimal>,
    /// As of the values.
    pub amounts: Vec<Money>,
}
