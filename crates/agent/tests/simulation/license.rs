//! Licenses of the simulation: signed once, for RSA is slow, and then only looked up.

use std::{collections::BTreeMap, sync::LazyLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use tenure_core::{LicenseId, SubscriptionId};
use tenure_license::{
    LicenseClaims, MemorySigner, Signer, TrustSet, Verified,
    claims::{Cap, Customer, DeploymentModel, Edition, Entitlements},
    keys::JwkSet,
    state::ExpiryPolicy,
    token::{self, Kind},
};
use uuid::Uuid;

pub(crate) const PRODUCT: &str = "incidentfox";
pub(crate) const DAY: i64 = 24 * 60 * 60;
/// Revisions that a history may have.
pub(crate) const REVISIONS_MAX: u64 = 12;
/// Days of offline grace, as a history may have them.
pub(crate) const GRACE_DAYS: [u32; 2] = [0, 1];

/// A moment of the simulation, in seconds from its beginning.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// The second of a moment.
pub(crate) fn second(at: Timestamp) -> i64 {
    at.as_second() - 1_800_000_000
}

pub(crate) fn lineage() -> LicenseId {
    LicenseId::from_uuid(Uuid::from_u128(1))
}

/// A revision of the license.
pub(crate) fn license(grace: usize, revision: u64) -> &'static Verified<LicenseClaims> {
    &LICENSES[grace][usize::try_from(revision).unwrap() - 1]
}

static LICENSES: LazyLock<Vec<Vec<Verified<LicenseClaims>>>> = LazyLock::new(|| {
    let pem = include_str!("../../../license/vectors/test-key-trusted.pem");
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let signer = MemorySigner::from_pkcs8_der(&STANDARD.decode(body).unwrap()).unwrap();
    let set: JwkSet = [signer.public_key()].into_iter().collect();
    let jwks = serde_json::to_string(&set).unwrap();
    let trust = TrustSet::from_test_jwks(PRODUCT, &jwks).unwrap();
    let signed = |grace_days, revision| {
        let token = token::sign(&claims(grace_days, revision), &signer).unwrap();
        token::verify(&token, &trust).unwrap()
    };
    GRACE_DAYS
        .iter()
        .map(|days| (1..=REVISIONS_MAX).map(|revision| signed(*days, revision)).collect())
        .collect()
});

fn claims(grace_days: u32, revision: u64) -> LicenseClaims {
    let limits = BTreeMap::new();
    LicenseClaims {
        iss: token::issuer(PRODUCT),
        sub: "ten_01".into(),
        aud: Kind::License.audience().into(),
        iat: at(-DAY),
        nbf: None,
        exp: at(3_650 * DAY),
        jti: format!("lic_01-{revision}"),
        customer: Customer { id: "ten_01".into(), name: "Acme".into(), domain: String::new() },
        edition: Edition::Standard,
        seats: Cap::UNLIMITED,
        features: vec![],
        offline_grace_period_days: grace_days,
        phone_home_required: true,
        entitlements: Entitlements::derive("pro", &[], None, &limits),
        license: lineage(),
        revision,
        product: PRODUCT.into(),
        subscription: SubscriptionId::from_uuid(Uuid::from_u128(2)),
        model: DeploymentModel::SelfHosted,
        mode: None,
        update_until: None,
        limits,
        values: BTreeMap::new(),
        expiry_policy: ExpiryPolicy::PRESET,
        supersedes: None,
        binding: None,
        receipt: None,
        enforcement: None,
        sales_contact: None,
    }
}
