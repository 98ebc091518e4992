//! Revocation lists and leases, genuine and not.

use serde_json::{Value, json};
use tenure_core::{InstanceId, LicenseId};
use tenure_license::{
    LeaseClaims, RevocationsClaims,
    claims::Withdrawn,
    state::Revocation,
    token::{self, Kind, Payload},
};
use uuid::Uuid;

use super::licenses::{INSTANCE_KEY, named};
use crate::support::{FOREIGN, IAT, PRODUCT, TRUSTED, at, header, issue, signed, trust};

const LICENSE: u128 = 1;
const TAKEN_BACK: &str = "2026-05-01T00:00:00Z";

fn list(epoch: u64, withdrawn: Vec<(u128, Option<u64>)>) -> RevocationsClaims {
    let entry = |(license, below)| Withdrawn {
        license: LicenseId::from_uuid(Uuid::from_u128(license)),
        below,
        at: at(TAKEN_BACK),
    };
    RevocationsClaims {
        iss: token::issuer(PRODUCT),
        aud: Kind::Revocations.audience().into(),
        iat: at("2026-05-02T00:00:00Z"),
        product: PRODUCT.into(),
        epoch,
        withdrawn: withdrawn.into_iter().map(entry).collect(),
    }
}

/// The lists by name that verdicts refer to.
pub(super) fn genuine_lists() -> Vec<(&'static str, RevocationsClaims)> {
    vec![
        ("empty", list(1, vec![])),
        ("revoked", list(4, vec![(2, None), (LICENSE, None)])),
        ("superseded below", list(5, vec![(LICENSE, Some(4))])),
        ("superseded, not this revision", list(5, vec![(LICENSE, Some(3))])),
        ("revoked and superseded", list(6, vec![(LICENSE, Some(9)), (LICENSE, None)])),
        ("another license", list(7, vec![(2, None), (3, Some(9))])),
    ]
}

/// A genuine signature of the product over a payload of a kind with one claim replaced.
fn altered<C: Payload>(claims: &C, typ: &str, name: &str, value: Value) -> String {
    let mut payload = serde_json::to_value(claims).unwrap();
    if !name.is_empty() {
        payload[name] = value;
    }
    let mut header = header();
    header["typ"] = json!(typ);
    signed(&header.to_string(), &payload.to_string(), &TRUSTED)
}

fn case<C: Payload>(name: &str, token: String, read: impl Fn(&C) -> Value) -> Value {
    match token::verify::<C>(&token, &trust()) {
        Ok(verified) => {
            let mut case = read(verified.claims());
            case["name"] = json!(name);
            case["token"] = json!(token);
            case
        }
        Err(error) => json!({"name": name, "token": token, "error": error.code()}),
    }
}

/// `of` says what the list means for the license `standard`.
pub(super) fn revocation_lists() -> Vec<Value> {
    let license = named("standard");
    let read = |claims: &RevocationsClaims| {
        let of = match claims.of(&license) {
            Revocation::None => json!(null),
            Revocation::Revoked(at) => json!({"revoked": at}),
            Revocation::Superseded(at) => json!({"superseded": at}),
        };
        json!({"epoch": claims.epoch, "iat": claims.iat.as_second(), "of": of})
    };
    let sample = list(4, vec![(LICENSE, None)]);
    let typ = Kind::Revocations.typ();
    let product = "urn:tenure:product:kg-rca";
    let genuine = genuine_lists()
        .into_iter()
        .map(|(name, list)| (name, token::sign(&list, &*TRUSTED).unwrap()));
    let attacks = [
        ("a license as a list", issue(&license)),
        ("typ of a lease", altered(&sample, Kind::Lease.typ(), "", json!(null))),
        ("aud of a license", altered(&sample, typ, "aud", json!("urn:tenure:license"))),
        ("another product", altered(&sample, typ, "iss", json!(product))),
        ("another key", token::sign(&sample, &*FOREIGN).unwrap()),
        ("epoch negative", altered(&sample, typ, "epoch", json!(-1))),
        (
            "an entry without a time",
            altered(&sample, typ, "withdrawn", json!([{"license": license.license}])),
        ),
        (
            "an entry of no license",
            altered(&sample, typ, "withdrawn", json!([{"license": "x", "at": 1}])),
        ),
    ];
    genuine.chain(attacks).map(|(name, token)| case(name, token, read)).collect()
}

pub(super) fn lease(license: u128, instance: u128) -> LeaseClaims {
    LeaseClaims {
        iss: token::issuer(PRODUCT),
        sub: "ten_01".into(),
        aud: Kind::Lease.audience().into(),
        iat: at(IAT),
        exp: at("2026-06-01T00:00:00Z"),
        jti: "lea_01".into(),
        product: PRODUCT.into(),
        license: LicenseId::from_uuid(Uuid::from_u128(license)),
        revision: 3,
        instance: InstanceId::from_uuid(Uuid::from_u128(instance)),
        key: INSTANCE_KEY.into(),
        epoch: 0,
        heartbeat_seconds: 300,
    }
}

/// `renews` names the licenses, of `standard` and `bound`, that the lease renews.
pub(super) fn leases() -> Vec<Value> {
    let read = |claims: &LeaseClaims| {
        let renews: Vec<&str> =
            ["standard", "bound"].into_iter().filter(|name| claims.renews(&named(name))).collect();
        json!({"exp": claims.exp.as_second(), "iat": claims.iat.as_second(), "renews": renews})
    };
    let good = lease(LICENSE, 7);
    let typ = Kind::Lease.typ();
    let other_key = LeaseClaims { key: "another".into(), ..good.clone() };
    let sign = |lease: &LeaseClaims| token::sign(lease, &*TRUSTED).unwrap();
    vec![
        ("valid", sign(&good)),
        ("of another instance", sign(&lease(LICENSE, 8))),
        ("of another instance's key", sign(&other_key)),
        ("of another license", sign(&lease(2, 7))),
        ("a license as a lease", issue(&named("standard"))),
        ("typ of a list", altered(&good, Kind::Revocations.typ(), "", json!(null))),
        ("aud of a license", altered(&good, typ, "aud", json!("urn:tenure:license"))),
        ("another product", altered(&good, typ, "iss", json!("urn:tenure:product:kg-rca"))),
        ("another key", token::sign(&good, &*FOREIGN).unwrap()),
        ("ends before it begins", altered(&good, typ, "exp", json!(good.iat.as_second()))),
        ("no jti", altered(&good, typ, "jti", json!(""))),
        ("instance malformed", altered(&good, typ, "instance", json!("ins_1"))),
        ("too large", "A".repeat(Kind::Lease.len_max() + 1)),
    ]
    .into_iter()
    .map(|(name, token)| case(name, token, read))
    .collect()
}
