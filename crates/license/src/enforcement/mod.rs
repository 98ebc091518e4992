//! What a state and a missing entitlement do: a table, and the answers it gives.
//!
//! Owns: [`Enforcement`], which travels inside the signed license, and the three
//! questions a product asks: may this work go on ([`work`]), is this feature
//! granted ([`feature`]), does one more fit ([`limit`]). Refuses: to do anything
//! itself. Nothing here ends a process; by default nothing that runs is stopped
//! before a license has ended for good (SPEC 12).

mod decide;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use decide::{Decision, Work, feature, limit, work};

use crate::State;

/// Status of a missing feature that the product file does not list.
pub const MISSING_DEFAULT: u16 = 403;

/// What a state does to the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing.
    Allow,
    /// A notice in the log and in answers.
    Warn,
    /// A notice on every page.
    Banner,
    /// New work is refused (402), what runs goes on; a banner too.
    BlockNew,
    /// All work is refused (402); a banner too. No process is ended.
    Block,
}

impl Action {
    /// The word of product files and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Warn => "warn",
            Self::Banner => "banner",
            Self::BlockNew => "block_new",
            Self::Block => "block",
        }
    }
}

/// The table. An active license always allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enforcement {
    /// The end is near.
    #[serde(default = "banner")]
    pub expiring: Action,
    /// It has ended, with full function.
    #[serde(default = "banner")]
    pub grace: Action,
    /// New work is to be blocked.
    #[serde(default = "block_new")]
    pub restricted: Action,
    /// Ended for good, or taken back.
    #[serde(default = "block")]
    pub terminated: Action,
    /// HTTP status of a missing feature, 402 or 403, by the feature's id;
    /// [`MISSING_DEFAULT`] where none is given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub missing: BTreeMap<String, u16>,
}

const fn banner() -> Action {
    Action::Banner
}

const fn block_new() -> Action {
    Action::BlockNew
}

const fn block() -> Action {
    Action::Block
}

impl Default for Enforcement {
    fn default() -> Self {
        Self {
            expiring: banner(),
            grace: banner(),
            restricted: block_new(),
            terminated: block(),
            missing: BTreeMap::new(),
        }
    }
}

impl Enforcement {
    /// What a state does.
    pub const fn action(&self, state: State) -> Action {
        match state {
            State::Active => Action::Allow,
            State::Expiring => self.expiring,
            State::Grace => self.grace,
            State::Restricted => self.restricted,
            State::Terminated => self.terminated,
        }
    }

    /// The status with which a missing feature is refused.
    pub fn missing(&self, feature: &str) -> u16 {
        self.missing.get(feature).copied().unwrap_or(MISSING_DEFAULT)
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        match self.missing.iter().find(|(_, status)| !matches!(status, 402 | 403)) {
            Some((feature, status)) => {
                Err(format!("enforcement.missing.{feature} is {status}; it must be 402 or 403"))
            }
            None => Ok(()),
        }
    }
}
