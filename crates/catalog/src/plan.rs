//! What is bought: plans, charges, limits, add-ons, discounts.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tenure_core::{Interval, Quantity};

use crate::{
    deployment::{Edition, Isolation, Model},
    duration::Duration,
    model::Setting,
    price::Amount,
};

/// The id of the charge that a plan's `price` shorthand makes.
pub const BASE: &str = "base";

/// What a subscription is to. Inheritance (`extends`) is already applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Unique in the product.
    pub id: String,
    /// For people.
    pub name: String,
    /// One sentence for the pricing page.
    #[serde(default)]
    pub summary: String,
    /// In which models it is sold; never empty.
    pub models: Vec<Model>,
    /// The product's mode that it runs in.
    #[serde(default)]
    pub mode: Option<String>,
    /// How often it is invoiced.
    pub billed: Interval,
    /// Requests allowed at the gateway.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// Ids of features.
    #[serde(default)]
    pub features: Vec<String>,
    /// What the plan sets.
    #[serde(default)]
    pub values: Vec<Setting>,
    /// Id of a support level.
    #[serde(default)]
    pub support: Option<String>,
    /// On meters and allocations; what is not listed is not limited.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// What it costs; empty only when [`Plan::quoted`].
    #[serde(default)]
    pub charges: Vec<Charge>,
    /// The least that is paid in an interval, whatever was used; the difference
    /// is a true-up line (SPEC 12).
    #[serde(default)]
    pub commitment: Option<Commitment>,
    /// Length of a free trial.
    #[serde(default)]
    pub trial: Option<Duration>,
    /// Some price needs a quote before it can be billed (SPEC 12).
    #[serde(default)]
    pub quoted: bool,
    /// Not shown on the pricing page.
    #[serde(default)]
    pub hidden: bool,
    /// How tenants are kept apart, where it differs from the model's.
    #[serde(default)]
    pub isolation: Option<Isolation>,
    /// Edition of its licenses, where it differs from the product's.
    #[serde(default)]
    pub edition: Option<Edition>,
    /// The tier inside a license key: `ENT`.
    pub license_tier: String,
}

impl Plan {
    /// The limit on a meter or allocation.
    pub fn limit(&self, id: &str) -> Option<&Limit> {
        self.limits.iter().find(|limit| limit.id == id)
    }

    /// The charge of that id.
    pub fn charge(&self, id: &str) -> Option<&Charge> {
        self.charges.iter().find(|charge| charge.id == id)
    }

    /// In which windows usage of `meter` has to be totalled to rate this plan.
    pub fn window(&self, meter: &str) -> Per {
        let charged = self.charges.iter().find_map(|charge| match &charge.basis {
            Basis::Metered { meter: of, per, .. } if of == meter => Some(*per),
            _ => None,
        });
        charged.or_else(|| self.limit(meter).and_then(|limit| limit.per)).unwrap_or(Per::Period)
    }
}

/// Requests allowed in a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How many.
    pub requests: u32,
    /// Over how many seconds: 1, 60 or 3,600.
    pub seconds: u32,
}

/// The text is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a rate: write a whole number and second, minute or hour, such as 1000/minute"
)]
pub struct BadRate(String);

impl std::str::FromStr for Rate {
    type Err = BadRate;
    fn from_str(text: &str) -> Result<Self, BadRate> {
        let refuse = || BadRate(text.chars().take(40).collect());
        let (requests, word) = text.split_once('/').ok_or_else(refuse)?;
        let seconds = match word {
            "second" => 1,
            "minute" => 60,
            "hour" => 3_600,
            _ => return Err(refuse()),
        };
        let plain = !requests.is_empty() && requests.bytes().all(|byte| byte.is_ascii_digit());
        let requests = requests.parse().ok().filter(|n| plain && *n > 0).ok_or_else(refuse)?;
        Ok(Self { requests, seconds })
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = match self.seconds {
            1 => "second",
            60 => "minute",
            _ => "hour",
        };
        write!(f, "{}/{word}", self.requests)
    }
}

/// One price of a plan, add-on or service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Unique in its plan and among add-ons and services; [`BASE`] for the
    /// `price` shorthand.
    pub id: String,
    /// For people; what an invoice line says.
    pub name: String,
    /// The price of one.
    pub amount: Amount,
    /// Prices by quantity, instead of [`Charge::amount`]; graduated: each tier
    /// prices only its own part. Empty: no tiers.
    #[serde(default)]
    pub tiers: Vec<Tier>,
    /// When it is due.
    pub every: Every,
    /// What it is multiplied with.
    pub basis: Basis,
    /// Only billed when an item names it; else always.
    #[serde(default)]
    pub optional: bool,
}

/// When a charge is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    /// At the start of each month of the subscription.
    Month,
    /// At the start of each year of the subscription.
    Year,
    /// When it starts; for an item, when the item starts.
    Once,
    /// With each invoice, for the usage of its period.
    Usage,
}

/// What a charge is multiplied with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "on")]
pub enum Basis {
    /// One, or the quantity of its item.
    Flat {
        /// What one is called, where it is sold by number: `hour`.
        unit: Option<String>,
    },
    /// What is held of an allocation: the quantity of its items.
    Held {
        /// Id of the allocation.
        allocation: String,
        /// The least that is billed.
        minimum: Quantity,
    },
    /// The usage of a meter.
    Metered {
        /// Id of the meter.
        meter: String,
        /// Tiers start anew in each of these.
        per: Per,
        /// How many make one package.
        each: Quantity,
        /// What a started package costs.
        rounding: Rounding,
    },
}

/// A part of a graduated price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// The last unit inside; `None`: without end.
    pub up_to: Option<Quantity>,
    /// For each unit inside.
    pub price: Decimal,
}

/// The least that is paid in an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commitment {
    /// Major units of the product's currency.
    pub amount: Decimal,
    /// In each.
    pub every: Interval,
}

/// How much of a meter or allocation is included, and what happens past it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Id of the meter or allocation.
    pub id: String,
    /// Which of both.
    pub kind: LimitKind,
    /// `None`: unlimited. On an allocation that is sold by number, what comes
    /// on top of the number bought.
    pub included: Option<Quantity>,
    /// The window that the number holds for; `None` on allocations.
    #[serde(default)]
    pub per: Option<Per>,
    /// Past it.
    pub over: Over,
    /// Per cent of the limit at which people are told, rising.
    #[serde(default)]
    pub warn_at: Vec<u32>,
}

/// What a limit is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// Consumed.
    Meter,
    /// Held.
    Allocation,
}

/// The window of a limit (SPEC 12: days and months are the calendar's, in the
/// tenant's zone).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// A calendar day.
    Day,
    /// A calendar month.
    Month,
    /// The invoice period.
    Period,
}

impl Per {
    /// The word of files.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Period => "period",
        }
    }
}

/// What happens past a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "then")]
pub enum Over {
    /// Refused.
    Block,
    /// Allowed, and said.
    Warn,
    /// Allowed and charged with each invoice.
    Charge {
        /// What a package costs.
        price: Decimal,
        /// How many make a package.
        each: Quantity,
        /// What a started package costs.
        rounding: Rounding,
        /// The customer may ask to be blocked instead.
        hard_stop: bool,
    },
    /// Allowed and charged once a year.
    TrueUp {
        /// What a package costs.
        price: Decimal,
        /// How many make a package.
        each: Quantity,
        /// What a started package costs.
        rounding: Rounding,
    },
}

impl Over {
    /// The word of API and database.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Warn => "warn",
            Self::Charge { .. } => "charge",
            Self::TrueUp { .. } => "true_up",
        }
    }
}

/// What a started package costs (SPEC 12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Its part.
    #[default]
    Exact,
    /// All of it.
    Up,
}

/// An optional charge beside a plan, and what it brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddOn {
    /// How items name it.
    pub id: String,
    /// For people.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub summary: String,
    /// Plans that it can be added to; empty: all.
    #[serde(default)]
    pub plans: Vec<String>,
    /// Always optional; its id is the add-on's.
    pub charge: Charge,
    /// Features that it brings.
    #[serde(default)]
    pub features: Vec<String>,
    /// Support level that it brings.
    #[serde(default)]
    pub support: Option<String>,
    /// What one of it adds to limits.
    #[serde(default)]
    pub raises: Vec<Raise>,
}

impl AddOn {
    /// Whether it can be added to the plan of that id.
    pub fn fits(&self, plan: &str) -> bool {
        self.plans.is_empty() || self.plans.iter().any(|listed| listed == plan)
    }
}

/// What one of an add-on adds to a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raise {
    /// Id of the meter or allocation.
    pub limit: String,
    /// How much more.
    pub by: Quantity,
}

/// A reduction of the listed prices. Every condition given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discount {
    /// For records.
    pub id: String,
    /// For people.
    pub name: String,
    /// Between 0 and 100.
    pub percent: Decimal,
    /// Plans that it holds for; empty: all.
    #[serde(default)]
    pub plans: Vec<String>,
    /// What it reduces.
    #[serde(default)]
    pub reduces: Vec<Part>,
    /// A term of at least so many years; of several that hold, only the one
    /// with the longest term counts.
    #[serde(default)]
    pub term_years: Option<u32>,
    /// Paid a year ahead.
    #[serde(default)]
    pub prepaid: bool,
    /// Customers of one of these classes: `nonprofit`, `education`.
    #[serde(default)]
    pub customers: Vec<String>,
    /// Only the first so many customers of the product.
    #[serde(default)]
    pub first_customers: Option<u32>,
    /// At least so many held of an allocation.
    #[serde(default)]
    pub volume: Option<Volume>,
}

/// The condition of a volume discount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Id of the allocation.
    pub allocation: String,
    /// The least number held; of several that hold, only the one with the
    /// highest number counts.
    pub at_least: Quantity,
}

/// A part of a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The plan's charges.
    Plan,
    /// Add-ons.
    AddOns,
    /// Services.
    Services,
    /// What is charged past limits.
    Overage,
    /// What a commitment lacks.
    Commitment,
}

impl Part {
    /// All of them, in the order in which they stand on a bill.
    pub const ALL: [Self; 5] =
        [Self::Plan, Self::AddOns, Self::Services, Self::Overage, Self::Commitment];

    /// The word of API and database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::AddOns => "add_ons",
            Self::Services => "services",
            Self::Overage => "overage",
            Self::Commitment => "commitment",
        }
    }

    /// The part of that word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.word() == word)
    }
}
