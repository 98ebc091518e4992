//! The grant in the form that products read: `max_<limit>[_per_<calendar>]`.

use std::{collections::BTreeMap, fmt};

use rust_decimal::prelude::ToPrimitive;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, IgnoredAny, MapAccess, Visitor},
};
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entitlements {
    /// The plan's id.
    pub tier: String,
    /// The same as the license's `features`.
    pub features: Vec<String>,
    /// First response of support, in hours; `null` without support.
    pub support_sla_hours: Option<u32>,
    /// What the vendor adds for its own product. No secrets.
    pub custom_fields: BTreeMap<String, serde_json::Value>,
    /// `max_<limit>[_per_<calendar>]`. Unknown members of newer licenses without
    /// that prefix are dropped on reading.
    #[serde(flatten)]
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

/// What the members for limits begin with.
pub(super) const MAX_PREFIX: &str = "max_";

/// The name under which a limit appears in `entitlements`.
pub(crate) fn max_name(id: &str, limit: &Limit) -> String {
    let mut name = String::new();
    write_max_name(&mut name, id, limit);
    name
}

pub(super) fn write_max_name(name: &mut String, id: &str, limit: &Limit) {
    name.push_str(MAX_PREFIX);
    name.push_str(id);
    if let Some(per) = limit.per {
        name.push_str("_per_");
        name.push_str(per.word());
    }
}

fn max_members(limits: &BTreeMap<String, Limit>) -> BTreeMap<String, Cap> {
    limits.iter().map(|(id, l)| (max_name(id, l), Cap::of_quantity(l.max))).collect()
}

/// By hand, because `flatten` keeps every member twice on the way: this is most
/// of reading a license.
impl<'de> Deserialize<'de> for Entitlements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

enum Member {
    Tier,
    Features,
    Support,
    Custom,
    Max(String),
    Unknown,
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(MemberName)
    }
}

struct MemberName;

impl Visitor<'_> for MemberName {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Member, E> {
        Ok(match name {
            "tier" => Member::Tier,
            "features" => Member::Features,
            "support_sla_hours" => Member::Support,
            "custom_fields" => Member::Custom,
            max if max.starts_with(MAX_PREFIX) => Member::Max(max.to_owned()),
            _ => Member::Unknown,
        })
    }
}

impl<'de> Visitor<'de> for Members {
    type Value = Entitlements;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("struct Entitlements")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entitlements, A::Error> {
        let (mut tier, mut features, mut support, mut custom) = (None, None, None, None);
        let mut max = BTreeMap::new();
        while let Some(member) = map.next_key()? {
            match member {
                Member::Tier => once(&mut tier, "tier", map.next_value()?)?,
                Member::Features => once(&mut features, "features", map.next_value()?)?,
                Member::Support => once(&mut support, "support_sla_hours", map.next_value()?)?,
                Member::Custom => once(&mut custom, "custom_fields", map.next_value()?)?,
                Member::Max(name) => drop(max.insert(name, map.next_value()?)),
                Member::Unknown => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Entitlements {
            tier: tier.ok_or_else(|| A::Error::missing_field("tier"))?,
            features: features.ok_or_else(|| A::Error::missing_field("features"))?,
            support_sla_hours: support.flatten(),
            custom_fields: custom.unwrap_or_default(),
            max,
        })
    }
}

fn once<T, E: serde::de::Error>(
    place: &mut Option<T>,
    name: &'static str,
    value: T,
) -> Result<(), E> {
    match place.replace(value) {
        Some(_) => Err(E::duplicate_field(name)),
        None => Ok(()),
    }
}
