//! Where and how a product runs: models, modes, resources, environment and
//! license policy.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{duration::Duration, model::Setting};

/// Who operates a deployment and where its data lives (SPEC 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// The vendor runs it, on the vendor's infrastructure.
    Managed,
    /// The vendor runs it, on the customer's database, storage, vault and LLM.
    Byoi,
    /// The customer runs it, connected.
    SelfHosted,
    /// The customer runs it, without a network.
    AirGapped,
}

impl Model {
    /// In the order of price lists.
    pub const ALL: [Self; 4] = [Self::Managed, Self::Byoi, Self::SelfHosted, Self::AirGapped];

    /// The word of files and APIs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Managed => "managed",
            Self::Byoi => "byoi",
            Self::SelfHosted => "self_hosted",
            Self::AirGapped => "air_gapped",
        }
    }

    /// Whether the product is started by a license there.
    pub const fn is_licensed(self) -> bool {
        matches!(self, Self::SelfHosted | Self::AirGapped)
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The text names no model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a deployment model: managed, byoi, self_hosted or air_gapped")]
pub struct UnknownModel(String);

impl FromStr for Model {
    type Err = UnknownModel;
    fn from_str(text: &str) -> Result<Self, UnknownModel> {
        Self::ALL
            .into_iter()
            .find(|model| model.word() == text)
            .ok_or_else(|| UnknownModel(text.chars().take(40).collect()))
    }
}

/// How one model of the product is sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelTerms {
    /// Which.
    pub model: Model,
    /// For people: who it is for.
    #[serde(default)]
    pub summary: String,
    /// Soonest time to being in use, where a range was given.
    #[serde(default)]
    pub ready_from: Option<Duration>,
    /// Latest time to being in use.
    #[serde(default)]
    pub ready_in: Option<Duration>,
    /// How tenants are kept apart; present where the vendor operates.
    #[serde(default)]
    pub isolation: Option<Isolation>,
    /// Tables that carry a tenant column, for [`Isolation::SharedTables`].
    #[serde(default)]
    pub tables: Vec<String>,
    /// Who answers for what.
    pub responsibility: Responsibility,
}

/// How tenants are kept apart (SPEC 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Rows, under row-level security.
    SharedTables,
    /// A schema a tenant.
    Schema,
    /// A database a tenant.
    Database,
}

/// The responsibility matrix of a model (SPEC 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Responsibility {
    /// The product itself.
    pub software: Party,
    /// Machines, network, database.
    pub infrastructure: Party,
    /// Hardening, keys, monitoring.
    pub security: Party,
    /// Laws and certificates.
    pub compliance: Party,
    /// Answering users.
    pub support: Party,
}

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// Who sells.
    Vendor,
    /// Who bought.
    Customer,
    /// Both.
    Shared,
}

/// A way in which the product runs, such as `smb` and `platform` (SPEC 1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mode {
    /// How plans refer to it.
    pub id: String,
    /// For people.
    pub name: String,
    /// Environment variables that switch it on, in file order.
    #[serde(default)]
    pub flags: Vec<Flag>,
    /// Resources that it needs.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Features and values that its user interface hides.
    #[serde(default)]
    pub hides: Vec<String>,
    /// What the mode sets.
    #[serde(default)]
    pub values: Vec<Setting>,
    /// Soonest time to being in use, where a range was given.
    #[serde(default)]
    pub ready_from: Option<Duration>,
    /// Latest time to being in use.
    #[serde(default)]
    pub ready_in: Option<Duration>,
    /// Longest time that a change into this mode takes.
    #[serde(default)]
    pub upgrade_within: Option<Duration>,
}

impl Mode {
    /// The flags as environment variables.
    pub fn variables(&self) -> impl Iterator<Item = Variable> {
        self.flags.iter().map(|flag| Variable {
            name: flag.name.clone(),
            source: Source::Literal { value: flag.value.clone() },
            models: Vec::new(),
            modes: vec![self.id.clone()],
        })
    }
}

/// One environment variable of a mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    /// `USE_NEO4J`
    pub name: String,
    /// `true`
    pub value: String,
}

/// Something that a deployment needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// How the environment and modes refer to it.
    pub id: String,
    /// The driver: `postgres.database`, `kafka.topics`, ...
    pub kind: String,
    /// For people.
    pub name: String,
    /// Where it is needed.
    pub models: Vec<Model>,
    /// In which modes; empty: in every mode.
    #[serde(default)]
    pub modes: Vec<String>,
    /// Names to make, with placeholders such as `{tenant}`.
    #[serde(default)]
    pub names: Vec<String>,
    /// What the customer must grant, as the driver checks it (SPEC 4).
    #[serde(default)]
    pub permissions: Vec<String>,
    /// What has to be known about it: `url`, `endpoint`, `deployment`.
    #[serde(default)]
    pub fields: Vec<String>,
    /// Those of the fields that are secrets.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// Absent, the product goes on with less.
    #[serde(default)]
    pub optional: bool,
}

/// A variable of a deployment's environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// `DATABASE_URL`
    pub name: String,
    /// Where its value comes from.
    pub source: Source,
    /// In which models; empty: in all that are sold.
    #[serde(default)]
    pub models: Vec<Model>,
    /// In which modes; empty: in every mode.
    #[serde(default)]
    pub modes: Vec<String>,
}

/// Where the value of a variable comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "source")]
pub enum Source {
    /// Written in the file; may hold placeholders such as `{tenant}`.
    Literal {
        /// The text.
        value: String,
    },
    /// A secret, rendered as a reference and never as a value.
    Secret {
        /// Its name in the secret store.
        name: String,
    },
    /// The license key (or the license file where there is no network).
    License,
    /// A field of a resource.
    Resource {
        /// Id of the resource.
        id: String,
        /// One of its fields.
        field: String,
    },
}

/// How licenses behave (SPEC 5 and 12).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct License {
    /// Of plans that name none.
    pub edition: Edition,
    /// What happens around the end.
    pub expiry: Expiry,
    /// For how many days the license governs after its lease ended.
    pub offline_grace_days: u32,
    /// Whether a license that was not renewed in time is restricted.
    pub phone_home_required: bool,
    /// Time between heartbeats.
    pub heartbeat: Duration,
    /// How long a lease covers.
    pub lease: Duration,
    /// How long an offline license file runs.
    pub offline_term: Duration,
    /// What each state does.
    #[serde(default)]
    pub states: States,
    /// Per cent of instances let in beyond a limit that does not block.
    #[serde(default)]
    pub overage_percent: u32,
}

/// What a state of a license does to the product (SPEC 5, enforcement).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateAction {
    /// Nothing.
    Allow,
    /// A notice in logs and answers.
    Warn,
    /// A notice on every page.
    Banner,
    /// New work is refused.
    BlockNew,
    /// All work is refused.
    Block,
}

impl StateAction {
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        Some(match word {
            "allow" => Self::Allow,
            "warn" => Self::Warn,
            "banner" => Self::Banner,
            "block_new" => Self::BlockNew,
            "block" => Self::Block,
            _ => return None,
        })
    }
}

/// The action of each state but `active`, which allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct States {
    /// The end is near.
    pub expiring: StateAction,
    /// It has ended, with full function.
    pub grace: StateAction,
    /// Full function is over.
    pub restricted: StateAction,
    /// Ended for good, or taken back.
    pub terminated: StateAction,
}

impl Default for States {
    fn default() -> Self {
        Self {
            expiring: StateAction::Banner,
            grace: StateAction::Banner,
            restricted: StateAction::BlockNew,
            terminated: StateAction::Block,
        }
    }
}

impl Default for License {
    fn default() -> Self {
        Self {
            edition: Edition::Standard,
            expiry: Expiry::default(),
            offline_grace_days: 14,
            phone_home_required: false,
            heartbeat: Duration::minutes(5),
            lease: Duration::days(7),
            offline_term: Duration::days(365),
            states: States::default(),
            overage_percent: 0,
        }
    }
}

/// The edition claim of a license (SPEC 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edition {
    /// The usual one.
    Standard,
    /// For enterprises.
    Enterprise,
    /// For government.
    Government,
}

impl Edition {
    /// The word of files and claims.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Enterprise => "enterprise",
            Self::Government => "government",
        }
    }
}

/// What happens around the end of a license; all lengths in days, counted from
/// the day of expiry (SPEC 12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expiry {
    /// Notices start this many days before.
    pub warn_before_days: u32,
    /// Everything works, with a notice, until this many days after.
    pub full_until_days: u32,
    /// New work is blocked and the rest goes on until this many days after;
    /// then everything is blocked. Equal to `full_until_days` in the strict
    /// preset.
    pub restricted_until_days: u32,
}

impl Expiry {
    /// Blocked right after the days of grace.
    pub const STRICT: Self =
        Self { warn_before_days: 14, full_until_days: 7, restricted_until_days: 7 };
}

impl Default for Expiry {
    fn default() -> Self {
        Self { warn_before_days: 14, full_until_days: 7, restricted_until_days: 30 }
    }
}
