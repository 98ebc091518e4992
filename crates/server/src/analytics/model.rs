//! What analytics say.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tenure_core::{Money, SubscriptionId, TenantId};
use utoipa::{IntoParams, ToSchema};

/// How far back.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RevenueQuery {
    /// Calendar months (UTC), the present one included, 1 to 24; 12 when absent.
    #[param(minimum = 1, maximum = 24)]
    pub months: Option<u8>,
}

/// Whose, and how far back.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TopQuery {
    /// Calendar months (UTC) whose invoices count, the present one included, 1 to 24; 12 when absent.
    #[param(minimum = 1, maximum = 24)]
    pub months: Option<u8>,
    /// Tenants of each list and currency, 1 to 50; 10 when absent.
    #[param(minimum = 1, maximum = 50)]
    pub limit: Option<u8>,
}

/// Whose quotas.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct QuotaUseQuery {
    /// Slug of a product; all when absent.
    #[param(example = "kg-rca")]
    pub product: Option<String>,
}

/// Revenue by month, and what is under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Revenue {
    /// The first month begins here.
    pub from: Timestamp,
    /// Invoices issued before this moment count.
    pub as_of: Timestamp,
    /// By month, then by currency; all before tax.
    pub months: Vec<MonthRevenue>,
    /// By currency.
    pub estimates: Vec<RunningEstimate>,
    /// Subscriptions without a known price: by quote, and no contract gives one.
    pub unpriced: i64,
}

/// A month in one currency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MonthRevenue {
    /// The month (UTC).
    #[schema(example = "2026-10")]
    pub month: String,
    /// Invoices issued in it, void ones left out.
    pub invoiced: Money,
    /// Credit notes made in it.
    pub credited: Money,
    /// Of what was invoiced in it: written off since.
    pub uncollectible: Money,
    /// Issued invoices, each spread evenly over its billing period: the part of this month.
    pub recognised: Money,
}

/// What is under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunningEstimate {
    /// What subscriptions in use bring a month at recurring prices: no usage, discounts or tax.
    pub recurring: Money,
    /// Drafts that are not issued yet, before tax.
    pub drafts: Money,
}

/// Who brings most, and whose invoices change most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TopTenants {
    /// Invoices issued from here on count.
    pub from: Timestamp,
    /// By what was invoiced, before tax.
    pub by_revenue: Vec<TopTenant>,
    /// The largest growth first.
    pub growing: Vec<GrowingTenant>,
    /// The largest fall first.
    pub falling: Vec<GrowingTenant>,
}

/// What a tenant brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TopTenant {
    /// Its id.
    pub tenant_id: TenantId,
    /// Readable and unique.
    pub slug: String,
    /// For people.
    pub name: String,
    /// Invoices that count.
    pub invoices: i64,
    /// Their subtotals.
    pub invoiced: Money,
}

/// How a tenant's invoices change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GrowingTenant {
    /// Its id.
    pub tenant_id: TenantId,
    /// Readable and unique.
    pub slug: String,
    /// For people.
    pub name: String,
    /// The newest invoice of each subscription, as an amount a month.
    pub newest: Money,
    /// The one before it, likewise.
    pub before: Money,
    /// Newest less before.
    pub difference: Money,
}

/// How much of what plans include is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QuotaUse {
    /// Windows that ended from here on count, the fullest of each subscription.
    pub from: Timestamp,
    /// Up to this moment.
    pub as_of: Timestamp,
    /// By product, plan and meter.
    pub quotas: Vec<QuotaDistribution>,
    /// Subscriptions by the fullest of their quotas: the 20 fullest, from 80 per cent on.
    pub close: Vec<QuotaStanding>,
    /// Likewise: the 20 that use something of a quota, and less than 20 per cent of every one.
    pub below: Vec<QuotaStanding>,
    /// Subscriptions whose limits are their own (a contract, an add-on that raises one):
    /// no plan's distribution counts them.
    pub left_out: i64,
    /// There are more quotas than are told.
    pub truncated: bool,
}

/// A quota of a plan over its subscriptions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QuotaDistribution {
    /// Slug of the product.
    #[schema(example = "kg-rca")]
    pub product: String,
    /// Id of the plan.
    #[schema(example = "basic")]
    pub plan: String,
    /// Of the meter.
    #[schema(example = "queries")]
    pub meter: String,
    /// For people.
    #[schema(example = "Queries")]
    pub name: String,
    /// `day`, `month` or `period`.
    #[schema(example = "month")]
    pub per: String,
    /// Included in each window, in the meter's unit.
    #[schema(value_type = String, example = "1000")]
    pub included: Decimal,
    /// Subscriptions on the plan that were in use all the time.
    pub subscriptions: i64,
    /// Nothing was used.
    pub unused: i64,
    /// Something, and less than 20 per cent.
    pub below_20: i64,
    /// From 20 to below 50 per cent.
    pub below_50: i64,
    /// From 50 to below 80 per cent.
    pub below_80: i64,
    /// From 80 to below 100 per cent.
    pub below_100: i64,
    /// All of it, or more.
    pub past: i64,
}

/// One subscription's use of a quota.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QuotaStanding {
    /// Whose.
    pub tenant_id: TenantId,
    /// Readable and unique.
    pub slug: String,
    /// For people.
    pub tenant: String,
    /// Which subscription.
    pub subscription_id: SubscriptionId,
    /// Slug of the product.
    pub product: String,
    /// Id of the plan.
    pub plan: String,
    /// Of the meter.
    pub meter: String,
    /// For people.
    pub name: String,
    /// In the fullest window, in the meter's unit.
    #[schema(value_type = String, example = "930")]
    pub used: Decimal,
    /// Included in each window.
    #[schema(value_type = String, example = "1000")]
    pub included: Decimal,
    /// Whole per cent, rounded down.
    #[schema(example = 93)]
    pub percent: i64,
}
