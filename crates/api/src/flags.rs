//! Entitlements as flags (OpenFeature Remote Evaluation Protocol).
//!
//! A feature is a boolean flag under its id; a value is a text, number or
//! object flag under its id; a limit is an integer flag `limit.<id>`, with -1
//! for unlimited. Pure: the same facts give the same flags, wherever they are
//! evaluated.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenure_core::Quantity;
use utoipa::ToSchema;

/// The value of a limit flag that means "without limit".
pub const UNLIMITED: i64 = -1;

/// Why a flag has its value (OpenFeature's resolution reasons).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// The same for everybody on these terms: the plan decides.
    Static,
    /// Access is withheld: everything is off.
    Disabled,
}

/// The value of a flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Value {
    /// Of a feature.
    Switch(bool),
    /// Of a limit or a number.
    Number(i64),
    /// Of a text.
    Text(String),
    /// Of a list: the protocol knows objects, but no bare lists.
    List {
        /// The list.
        items: Vec<String>,
    },
}

/// One evaluated flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Evaluation {
    /// The flag.
    #[schema(example = "sso")]
    pub key: String,
    /// Its value.
    #[schema(value_type = Object, example = true)]
    pub value: Value,
    /// Why.
    pub reason: Reason,
    /// `on`, `off`, `unlimited`, `included` or `set`.
    #[schema(example = "on")]
    pub variant: String,
    /// `product` and `plan`.
    pub metadata: BTreeMap<String, String>,
}

/// Every flag at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BulkEvaluation {
    /// By key.
    pub flags: Vec<Evaluation>,
}

/// What an evaluation is asked with.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct EvaluationRequest {
    /// Accepted and not needed: the credential says whose flags these are.
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({"targetingKey": "user-1"}))]
    pub context: Option<serde_json::Value>,
}

/// Codes of the protocol's errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// The request is no JSON object.
    ParseError,
    /// The context is not what the protocol says.
    InvalidContext,
    /// No such flag.
    FlagNotFound,
    /// Something else.
    General,
}

/// An error of the protocol, which has bodies of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvaluationError {
    /// The flag, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What kind.
    pub error_code: ErrorCode,
    /// In words.
    pub error_details: String,
}

/// What flags are made of, from entitlements or from a license.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Slug of the product.
    pub product: String,
    /// Id of the plan.
    pub plan: String,
    /// Whether access is withheld.
    pub withheld: bool,
    /// Every feature of the product, and whether the plan has it.
    pub features: Vec<(String, bool)>,
    /// Every limit; `None`: unlimited.
    pub limits: Vec<(String, Option<Quantity>)>,
    /// Every value that is set.
    pub values: Vec<(String, Value)>,
}

impl Facts {
    /// One flag; `None` when there is no such flag.
    pub fn evaluate(&self, key: &str) -> Option<Evaluation> {
        if let Some(limit) = key.strip_prefix("limit.") {
            let (_, included) = self.limits.iter().find(|(id, _)| id == limit)?;
            return Some(self.limit(key.to_owned(), *included));
        }
        if let Some((_, on)) = self.features.iter().find(|(id, _)| id == key) {
            return Some(self.feature(key.to_owned(), *on));
        }
        let (_, value) = self.values.iter().find(|(id, _)| id == key)?;
        Some(self.answer(key.to_owned(), value.clone(), "set"))
    }

    /// Every flag: features, limits, values.
    pub fn evaluate_all(&self) -> BulkEvaluation {
        let features = self.features.iter().map(|(id, on)| self.feature(id.clone(), *on));
        let limits = self.limits.iter().map(|(id, max)| self.limit(format!("limit.{id}"), *max));
        // A value named like a feature is hidden by it, as when asked for alone.
        let values = self
            .values
            .iter()
            .filter(|(id, _)| self.features.iter().all(|(feature, _)| feature != id))
            .map(|(id, value)| self.answer(id.clone(), value.clone(), "set"));
        BulkEvaluation { flags: features.chain(limits).chain(values).collect() }
    }

    fn feature(&self, key: String, on: bool) -> Evaluation {
        let on = on && !self.withheld;
        self.answer(key, Value::Switch(on), if on { "on" } else { "off" })
    }

    /// Whole units: a fraction of one cannot be used up.
    fn limit(&self, key: String, included: Option<Quantity>) -> Evaluation {
        let whole = |included: Quantity| i64::try_from(included.value().trunc()).ok();
        match included {
            _ if self.withheld => self.answer(key, Value::Number(0), "off"),
            None => self.answer(key, Value::Number(UNLIMITED), "unlimited"),
            Some(max) => {
                let value = whole(max).unwrap_or(i64::MAX);
                self.answer(key, Value::Number(value), "included")
            }
        }
    }

    fn answer(&self, key: String, value: Value, variant: &str) -> Evaluation {
        let metadata = [("product", &self.product), ("plan", &self.plan)];
        Evaluation {
            key,
            value,
            reason: if self.withheld { Reason::Disabled } else { Reason::Static },
            variant: variant.to_owned(),
            metadata: metadata.map(|(name, text)| (name.to_owned(), text.clone())).into(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            product: "kg-rca".into(),
            plan: "pro".into(),
            withheld: false,
            features: vec![("sso".into(), false), ("dashboard".into(), true)],
            limits: vec![
                ("events".into(), Some("1000000.5".parse().unwrap())),
                ("seats".into(), None),
            ],
            values: vec![("solvers".into(), Value::List { items: vec!["or-tools".into()] })],
        }
    }

    #[test]
    fn features_limits_and_values_are_flags_of_their_own_kinds() {
        let facts = facts();
        assert_eq!(facts.evaluate("sso").unwrap().value, Value::Switch(false));
        assert_eq!(facts.evaluate("dashboard").unwrap().variant, "on");
        assert_eq!(facts.evaluate("limit.events").unwrap().value, Value::Number(1_000_000));
        assert_eq!(facts.evaluate("limit.seats").unwrap().value, Value::Number(UNLIMITED));
        let solvers = serde_json::to_value(facts.evaluate("solvers").unwrap()).unwrap();
        assert_eq!(solvers["value"], serde_json::json!({ "items": ["or-tools"] }));
        assert_eq!(facts.evaluate("events"), None, "a limit has its prefix");
    }

    #[test]
    fn each_flag_of_the_bulk_answer_is_what_it_is_alone() {
        let facts = facts();
        let all = facts.evaluate_all().flags;
        assert_eq!(all.len(), 5);
        for flag in all {
            assert_eq!(facts.evaluate(&flag.key), Some(flag));
        }
    }

    #[test]
    fn withheld_access_switches_everything_off() {
        let facts = Facts { withheld: true, ..facts() };
        let dashboard = facts.evaluate("dashboard").unwrap();
        assert_eq!((dashboard.value, dashboard.reason), (Value::Switch(false), Reason::Disabled));
        assert_eq!(facts.evaluate("limit.seats").unwrap().value, Value::Number(0));
    }
}
