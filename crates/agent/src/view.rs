//! What is held, as the local API and the command line look at it.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenure_api::{
    flags::{Facts, Value},
    licensing::Warning,
};
use tenure_license::{
    LicenseClaims, Verdict, Verified,
    enforcement::{self, Action, Decision, Work},
};

use crate::{
    agent::Inner,
    machine::{self, Phase, State},
};

/// The word for having no license.
pub const UNLICENSED: &str = "unlicensed";

/// A look at the agent, as it was when its state was last written down.
#[derive(Debug, Clone)]
pub struct View {
    /// Everything that it remembers.
    pub state: State,
    /// The license, verified.
    pub license: Option<Arc<Verified<LicenseClaims>>>,
    /// The newest revocation list, as it came.
    pub revocations: Option<String>,
    /// What is wrong with the time floor.
    pub floor_note: Option<String>,
    /// Whether it could activate by itself.
    pub has_license_key: bool,
}

/// Something that people should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Stable.
    pub code: String,
    /// In a sentence.
    pub message: String,
    /// Whether it belongs on every page.
    pub banner: bool,
}

impl View {
    pub(crate) fn of(inner: &Inner) -> Self {
        Self {
            state: inner.state.clone(),
            license: inner.license.clone(),
            revocations: inner.revocations.clone(),
            floor_note: inner.floor_note.clone(),
            has_license_key: inner.license_key.is_some(),
        }
    }

    /// What the license is worth at `now`; none without one.
    pub fn verdict(&self, now: Timestamp) -> Option<Verdict> {
        self.license.as_ref().map(|license| machine::verdict(&self.state, license, now))
    }

    /// The state in a word: `active`, ..., or [`UNLICENSED`].
    pub fn word(&self, now: Timestamp) -> &'static str {
        self.verdict(now).map_or(UNLICENSED, |verdict| verdict.state.word())
    }

    /// Whether work of a kind may go on.
    pub fn work(&self, now: Timestamp, work: Work) -> Decision {
        self.ask(now, |claims, verdict| enforcement::work(claims, verdict, work))
    }

    /// Asks a question of the license; without one nothing new is granted.
    pub fn ask(
        &self,
        now: Timestamp,
        question: impl FnOnce(&LicenseClaims, &Verdict) -> Decision,
    ) -> Decision {
        match (&self.license, self.verdict(now)) {
            (Some(license), Some(verdict)) => question(license.claims(), &verdict),
            _ => Decision {
                allowed: false,
                status: 402,
                code: "license_missing".into(),
                message: Some(self.why_unlicensed()),
                banner: true,
            },
        }
    }

    /// Why there is no license, and what to do.
    pub fn why_unlicensed(&self) -> String {
        if self.state.phase == Phase::Released {
            return "This installation has given its license back and is finished.".into();
        }
        match &self.state.trouble {
            Some(trouble) => format!("There is no license yet: {}", trouble.message),
            None if self.has_license_key => "There is no license yet: it is being fetched.".into(),
            None => {
                "There is no license: set LICENSE_KEY, run `tenure-agent activate`, or install \
                     a .lic file."
                    .into()
            }
        }
    }

    /// What people should know, the gravest first.
    pub fn notices(&self, now: Timestamp, warnings: &[Warning]) -> Vec<Notice> {
        let mut notices = Vec::new();
        match (&self.license, self.verdict(now)) {
            (Some(license), Some(verdict)) => {
                let action = license.claims().enforcement().action(verdict.state);
                notices.extend(verdict.notice.map(|message| Notice {
                    code: format!("license_{}", verdict.reason.code()),
                    message,
                    banner: action >= Action::Banner,
                }));
            }
            _ => notices.push(Notice {
                code: "license_missing".into(),
                message: self.why_unlicensed(),
                banner: true,
            }),
        }
        let quiet = |code: &str, message: &str| Notice {
            code: code.into(),
            message: message.into(),
            banner: false,
        };
        if self.license.is_some() {
            let trouble = self.state.trouble.as_ref();
            notices.extend(trouble.map(|trouble| quiet(&trouble.code, &trouble.message)));
        }
        notices.extend(self.floor_note.iter().map(|note| quiet("floor_copy", note)));
        notices.extend(warnings.iter().map(|warning| quiet(&warning.code, &warning.message)));
        notices
    }

    /// What the flags are made of; the same function as the server's evaluates them.
    pub fn facts(&self, now: Timestamp) -> Option<Facts> {
        let license = self.license.as_ref()?;
        let claims = license.claims();
        let withheld = !self.work(now, Work::Running).allowed;
        // A license lists what is granted. What the product has beside it is known
        // only where the table names it as missing.
        let table = claims.enforcement();
        let missing = table.missing.keys().filter(|id| !claims.has_feature(id));
        let granted = claims.features.iter().map(|id| (id.clone(), true));
        Some(Facts {
            product: claims.product.clone(),
            plan: claims.entitlements.tier.clone(),
            withheld,
            features: granted.chain(missing.map(|id| (id.clone(), false))).collect(),
            limits: claims.limits.iter().map(|(id, limit)| (id.clone(), limit.max)).collect(),
            values: claims
                .values
                .iter()
                .filter_map(|(id, set)| Some((id.clone(), value(set)?)))
                .collect(),
        })
    }
}

fn value(set: &serde_json::Value) -> Option<Value> {
    match set {
        serde_json::Value::Bool(on) => Some(Value::Switch(*on)),
        serde_json::Value::Number(number) => number.as_i64().map(Value::Number),
        serde_json::Value::String(text) => Some(Value::Text(text.clone())),
        serde_json::Value::Array(items) => Some(Value::List {
            items: items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        }),
        _ => None,
    }
}
