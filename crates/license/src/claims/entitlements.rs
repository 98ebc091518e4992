//! The grant in the form that products read: `max_<limit>[_per_<calendar>]`.

use std::{collections::BTreeMap, fmt};

use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use tenure_core::Quantity;

use super::Limit;

/// A count with an upper bound, or none. As JSON: an integer, -1 for unlimited
/// (SPEC 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap(Option<u64>);

impl Cap {
    /// No bound: -1.
    pub const UNLIMITED: Self = Self(None);
    /// Largest bound: what every JSON reader holds exactly, 2^53 - 1 (RFC 8259, section 6).
    pub const COUNT_MAX: u64 = (1 << 53) - 1;

    /// A bound, at most [`Self::COUNT_MAX`].
    pub const fn of(count: u64) -> Option<Self> {
        if count > Self::COUNT_MAX { None } else { Some(Self(Some(count))) }
    }

    /// The whole part of a quantity; never more than was granted. `None` is unlimited.
    pub fn of_quantity(max: Option<Quantity>) -> Self {
        Self(max.map(|q| q.value().floor().to_u64().unwrap_or(u64::MAX).min(Self::COUNT_MAX)))
    }

    /// The bound, or `None` for unlimited.
    pub const fn count(self) -> Option<u64> {
        self.0
    }

    /// Whether one more fits on top of `held`.
    pub fn allows_more_than(self, held: u64) -> bool {
        self.0.is_none_or(|max| held < max)
    }
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(count) => fmt::Display::fmt(&count, f),
            None => f.write_str("unlimited"),
        }
    }
}

impl Serialize for Cap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let signed = self.0.map_or(-1, |count| i64::try_from(count).unwrap_or(i64::MAX));
        serializer.serialize_i64(signed)
    }
}

impl<'de> Deserialize<'de> for Cap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match i64::deserialize(deserializer)? {
            -1 => Ok(Self::UNLIMITED),
            count => u64::try_from(count)
                .ok()
                .and_then(Self::of)
                .ok_or_else(|| D::Error::custom("a bound is -1 or a count up to 2^53 - 1")),
        }
    }
}

/// SPEC 5 `entitlements`: tier, features, support, and a member for each limit,
/// such as `max_teams` and `max_agent_runs_per_month`.
///
/// Built by [`Entitlements::derive`] and never by hand, so that it cannot say
/// anything else than `limits` does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entitlements {
    /// The plan's id.
    pub tier: String,
    /// The same as the license's `features`.
    pub features: Vec<String>,
    /// First response of support, in hours; `null` without support.
    pub support_sla_hours: Option<u32>,
    /// What the vendor adds for its own product. No secrets.
    #[serde(default)]
    pub custom_fields: BTreeMap<String, serde_json::Value>,
    /// `max_<limit>[_per_<calendar>]`. Unknown members of newer licenses without
    /// that prefix are dropped on reading.
    #[serde(flatten, deserialize_with = "only_max")]
    pub max: BTreeMap<String, Cap>,
}

impl Entitlements {
    /// The readable form of a grant.
    pub fn derive(
        tier: &str,
        features: &[String],
        support_sla_hours: Option<u32>,
        limits: &BTreeMap<String, Limit>,
    ) -> Self {
        Self {
            tier: tier.into(),
            features: features.to_vec(),
            support_sla_hours,
            custom_fields: BTreeMap::new(),
            max: max_members(limits),
        }
    }
}

/// The name under which a limit appears in `entitlements`.
pub(crate) fn max_name(id: &str, limit: &Limit) -> String {
    match limit.per {
        Some(per) => format!("max_{id}_per_{}", per.word()),
        None => format!("max_{id}"),
    }
}

pub(super) fn max_members(limits: &BTreeMap<String, Limit>) -> BTreeMap<String, Cap> {
    limits.iter().map(|(id, l)| (max_name(id, l), Cap::of_quantity(l.max))).collect()
}

fn only_max<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Cap>, D::Error> {
    let all = BTreeMap::<String, serde_json::Value>::deserialize(deserializer)?;
    all.into_iter()
        .filter(|(name, _)| name.starts_with("max_"))
        .map(|(name, value)| Ok((name, Cap::deserialize(value).map_err(D::Error::custom)?)))
        .collect()
}
