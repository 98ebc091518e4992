//! The test keys, a plausible license, and a way to sign anything at all.

use std::{collections::BTreeMap, sync::LazyLock};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tenure_core::{LicenseId, SubscriptionId};
use tenure_license::{
    LicenseClaims, MemorySigner, PublicKey, Signer, TrustSet, Verified,
    claims::{Cap, Customer, DeploymentModel, Edition, Entitlements, Limit, Over, Per, Supersedes},
    keys::JwkSet,
    state::ExpiryPolicy,
    token::{self, Kind},
};
use uuid::Uuid;

pub(crate) const PRODUCT: &str = "incidentfox";
/// The license runs for 2026.
pub(crate) const IAT: &str = "2026-01-01T00:00:00Z";
pub(crate) const EXP: &str = "2027-01-01T00:00:00Z";

pub(crate) static TRUSTED: LazyLock<MemorySigner> =
    LazyLock::new(|| read_pem(include_str!("../../vectors/test-key-trusted.pem")));
pub(crate) static FOREIGN: LazyLock<MemorySigner> =
    LazyLock::new(|| read_pem(include_str!("../../vectors/test-key-foreign.pem")));

fn read_pem(pem: &str) -> MemorySigner {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    MemorySigner::from_pkcs8_der(&STANDARD.decode(body).unwrap()).unwrap()
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn jwks(keys: &[&PublicKey]) -> String {
    serde_json::to_string(&keys.iter().copied().collect::<JwkSet>()).unwrap()
}

pub(crate) fn trust() -> TrustSet {
    TrustSet::from_test_jwks(PRODUCT, &jwks(&[TRUSTED.public_key()])).unwrap()
}

/// incidentfox Enterprise for Acme, on its own machines, for 2026.
pub(crate) fn claims() -> LicenseClaims {
    let features = ["sso".to_owned(), "air_gapped".to_owned(), "github".to_owned()].to_vec();
    let limit = |max: Option<u32>, per, over, unit: &str| Limit {
        max: max.map(Into::into),
        per,
        over,
        unit: Some(unit.to_owned()),
        warn_at: vec![80, 100],
    };
    let limits = BTreeMap::from([
        ("teams".to_owned(), limit(None, None, Over::Block, "team")),
        ("agent_runs".to_owned(), limit(Some(200_000), Some(Per::Month), Over::TrueUp, "run")),
    ]);
    LicenseClaims {
        iss: token::issuer(PRODUCT),
        sub: "ten_01".into(),
        aud: Kind::License.audience().into(),
        iat: at(IAT),
        nbf: None,
        exp: at(EXP),
        jti: "lic_01-3".into(),
        customer: Customer {
            id: "ten_01".into(),
            name: "Acme Corp".into(),
            domain: "acme.example".into(),
        },
        edition: Edition::Enterprise,
        seats: Cap::of(500).unwrap(),
        features: features.clone(),
        offline_grace_period_days: 30,
        phone_home_required: true,
        entitlements: Entitlements::derive("enterprise", &features, Some(4), &limits),
        license: LicenseId::from_uuid(Uuid::from_u128(1)),
        revision: 3,
        product: PRODUCT.into(),
        subscription: SubscriptionId::from_uuid(Uuid::from_u128(2)),
        model: DeploymentModel::SelfHosted,
        mode: None,
        update_until: Some(at(EXP)),
        limits,
        values: BTreeMap::from([("rate".to_owned(), json!("10000/minute"))]),
        expiry_policy: ExpiryPolicy::PRESET,
        supersedes: Some(Supersedes { revision: 2, at: at(IAT) }),
        binding: None,
        receipt: None,
        enforcement: None,
        sales_contact: None,
    }
}

pub(crate) fn issue(claims: &LicenseClaims) -> String {
    token::sign(claims, &*TRUSTED).unwrap()
}

pub(crate) fn verify(token: &str) -> Result<Verified<LicenseClaims>, token::Error> {
    token::verify(token, &trust())
}

pub(crate) fn verified(claims: &LicenseClaims) -> Verified<LicenseClaims> {
    verify(&issue(claims)).unwrap()
}

/// The error code of a token that must not be believed.
pub(crate) fn refusal(token: &str) -> &'static str {
    verify(token).expect_err("the token must not be believed").code()
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn header() -> Value {
    json!({"alg": "RS256", "typ": "tenure-license+jwt", "kid": TRUSTED.public_key().kid()})
}

/// A genuine signature over any header and any payload: what an insider could
/// make, or a careless other program with the same key.
pub(crate) fn signed(header: &str, payload: &str, signer: &MemorySigner) -> String {
    let message = format!("{}.{}", b64(header), b64(payload));
    let signature = signer.sign(message.as_bytes()).unwrap();
    format!("{message}.{}", b64(signature))
}

/// The license's claims with one of them replaced, genuinely signed.
pub(crate) fn signed_with(name: &str, value: Value) -> String {
    let mut payload = serde_json::to_value(claims()).unwrap();
    payload[name] = value;
    signed(&header().to_string(), &payload.to_string(), &TRUSTED)
}

/// The license with one more header field, genuinely signed.
pub(crate) fn signed_with_header(name: &str, value: Value) -> String {
    let mut header = header();
    header[name] = value;
    let payload = serde_json::to_string(&claims()).unwrap();
    signed(&header.to_string(), &payload, &TRUSTED)
}
