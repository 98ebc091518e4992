//! Genuine licenses by name, what they say, and what a reader makes of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tenure_core::{InstanceId, Quantity};
use tenure_license::{
    LicenseClaims,
    claims::{Binding, Cap, Customer, DeploymentModel, Edition, Entitlements, Limit, Over, Per},
    enforcement::{Action, Enforcement},
    state::ExpiryPolicy,
};
use uuid::Uuid;

use crate::support::{at, claims, header, issue, signed, verify};

/// Thumbprint of the key that the license `bound` and its lease name.
pub(super) const INSTANCE_KEY: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

/// The licenses that other cases refer to.
pub(super) fn named(name: &str) -> LicenseClaims {
    match name {
        "standard" => claims(),
        "metered" => metered(),
        "lenient" => lenient(),
        "bound" => bound(),
        "plain" => plain(),
        other => panic!("no license `{other}`"),
    }
}

pub(super) fn cases() -> Vec<Value> {
    let known = ["standard", "metered", "lenient", "bound", "plain"]
        .into_iter()
        .map(|name| (name, issue(&named(name))));
    // Claims of a newer vendor are ignored by an older reader.
    let newer =
        ("newer", signed(&header().to_string(), &newer().to_string(), &crate::support::TRUSTED));
    known
        .chain([newer])
        .map(|(name, token)| {
            let license = verify(&token).unwrap();
            let claims = license.claims();
            json!({"name": name, "token": token, "claims": claims, "reads": reads(claims)})
        })
        .collect()
}

/// What a reader makes of the claims, defaults applied: the same words in every language.
fn reads(claims: &LicenseClaims) -> Value {
    let table = claims.enforcement();
    let limits: BTreeMap<&String, Value> = claims
        .limits
        .iter()
        .map(|(id, limit)| {
            let max = limit.max.map(|max| max.value().normalize().to_string());
            let Limit { per, over, unit, warn_at, .. } = limit;
            (id, json!({"max": max, "per": per, "over": over, "unit": unit, "warn_at": warn_at}))
        })
        .collect();
    json!({
        "license": claims.license, "revision": claims.revision, "product": claims.product,
        "customer": {"id": claims.customer.id, "name": claims.customer.name, "domain": claims.customer.domain},
        "edition": claims.edition, "model": claims.model, "mode": claims.mode,
        "tier": claims.entitlements.tier, "seats": claims.seats.count(), "features": claims.features,
        "limits": limits, "values": claims.values,
        "starts": claims.starts().as_second(), "expires": claims.exp.as_second(),
        "update_until": claims.update_until.map(jiff::Timestamp::as_second),
        "offline_grace_days": claims.offline_grace_period_days,
        "phone_home_required": claims.phone_home_required,
        "enforcement": {
            "expiring": table.expiring, "grace": table.grace,
            "restricted": table.restricted, "terminated": table.terminated, "missing": table.missing,
        },
        "sales_contact": claims.sales_contact,
    })
}

fn limit(
    max: Option<&str>,
    per: Option<Per>,
    over: Over,
    unit: Option<&str>,
    warn_at: &[u32],
) -> Limit {
    let max = max.map(|max| max.parse::<Quantity>().unwrap());
    Limit { max, per, over, unit: unit.map(Into::into), warn_at: warn_at.to_vec() }
}

/// Every kind of limit, a table of missing features, somebody to ask.
fn metered() -> LicenseClaims {
    let limits = BTreeMap::from(
        [
            ("teams", limit(Some("5"), None, Over::Block, Some("team"), &[80])),
            ("users", limit(Some("20"), None, Over::Warn, None, &[])),
            ("clusters", limit(None, None, Over::Block, Some("cluster"), &[50])),
            (
                "agent_runs",
                limit(Some("10000"), Some(Per::Month), Over::Block, Some("run"), &[80, 100]),
            ),
            ("storage", limit(Some("12.5"), Some(Per::Day), Over::Charge, Some("GB"), &[80])),
            (
                "queries",
                limit(Some("1000"), Some(Per::Year), Over::TrueUp, Some("query"), &[50, 90]),
            ),
            (
                "tokens",
                limit(
                    Some("999999999999999.999999"),
                    Some(Per::Month),
                    Over::Warn,
                    Some("token"),
                    &[],
                ),
            ),
            ("exports", limit(Some("0"), Some(Per::Day), Over::Block, Some("export"), &[100])),
        ]
        .map(|(id, limit)| (id.to_owned(), limit)),
    );
    let features = ["air_gapped".to_owned(), "github".to_owned()].to_vec();
    let missing = BTreeMap::from([("webhooks".to_owned(), 402), ("sso".to_owned(), 403)]);
    LicenseClaims {
        features: features.clone(),
        entitlements: Entitlements::derive("professional", &features, Some(24), &limits),
        limits,
        enforcement: Some(Enforcement { missing, ..Enforcement::default() }),
        sales_contact: Some("sales@incidentfox.example".into()),
        phone_home_required: false,
        jti: "lic_02-3".into(),
        ..claims()
    }
}

/// A product in which nothing ever stops.
fn lenient() -> LicenseClaims {
    let table = Enforcement {
        expiring: Action::Allow,
        grace: Action::Warn,
        restricted: Action::Banner,
        terminated: Action::Banner,
        missing: BTreeMap::new(),
    };
    LicenseClaims { enforcement: Some(table), jti: "lic_03-3".into(), ..claims() }
}

/// A file for one instance without a network, which begins later than it was signed.
fn bound() -> LicenseClaims {
    let binding =
        Binding { instance: InstanceId::from_uuid(Uuid::from_u128(7)), key: INSTANCE_KEY.into() };
    LicenseClaims {
        nbf: Some(at("2026-03-01T00:00:00Z")),
        model: DeploymentModel::AirGapped,
        mode: Some("platform".into()),
        expiry_policy: ExpiryPolicy::STRICT,
        binding: Some(binding),
        receipt: Some("rcp_01".into()),
        jti: "lic_04-3".into(),
        ..claims()
    }
}

/// As little as a license can say, for a name that is not ASCII.
fn plain() -> LicenseClaims {
    let name = "Grüße & 東京 \u{1f98a}".into();
    LicenseClaims {
        customer: Customer { id: "ten_01".into(), name, domain: String::new() },
        edition: Edition::Standard,
        seats: Cap::UNLIMITED,
        features: Vec::new(),
        offline_grace_period_days: 0,
        phone_home_required: false,
        entitlements: Entitlements::derive("free", &[], None, &BTreeMap::new()),
        revision: 1,
        model: DeploymentModel::Managed,
        update_until: None,
        limits: BTreeMap::new(),
        values: BTreeMap::new(),
        supersedes: None,
        jti: "lic_05-1".into(),
        ..claims()
    }
}

fn newer() -> Value {
    let mut payload = serde_json::to_value(claims()).unwrap();
    payload["quantum"] = json!({"proof": [1, 2.5, null, true, "x"]});
    payload["entitlements"]["seats_note"] = json!("not a max_ member");
    payload["customer"]["region"] = json!("eu");
    payload["limits"]["teams"]["hint"] = json!("ask");
    payload["expiry_policy"]["soft"] = json!(true);
    payload["values"]["ratio"] = json!(0.5);
    payload
}
