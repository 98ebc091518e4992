//! Offline verification beside the bare RSA verification of the crypto library,
//! of the same token under the same key, in one run: `scripts/bench`.
//!
//! Both sides take turns in short rounds, so that a busy machine slows both. No
//! side keeps anything from one verification to the next.

#![allow(clippy::print_stdout, reason = "the figures go to standard output")]

use std::{
    collections::BTreeMap,
    hint::black_box,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use tenure_core::{LicenseId, Quantity, SubscriptionId};
use tenure_license::{
    LicenseClaims, MemorySigner, Signer, TrustSet,
    claims::{Cap, Customer, DeploymentModel, Edition, Entitlements, Limit, Over, Per, Supersedes},
    state::ExpiryPolicy,
    token::{self, Kind},
};
use uuid::Uuid;

const PRODUCT: &str = "incidentfox";
const ROUNDS: usize = 2_000;
const ROUND: u32 = 10;
const RATIO_MIN: f64 = 0.8;

fn main() {
    let signer = MemorySigner::generate().expect("a key");
    let trust = TrustSet::from_keys(PRODUCT, [signer.public_key().clone()]).expect("a trust set");
    let testing = std::env::args().any(|argument| argument == "--test");
    for (name, features, limits) in
        [("of 3 features, 2 limits", 3, 2), ("of 15 features, 10 limits", 15, 10)]
    {
        compare(name, &claims(features, limits), &signer, &trust, testing);
    }
}

/// Both in turn; `testing` only wants to know that this compiles and runs.
fn compare(
    name: &str,
    claims: &LicenseClaims,
    signer: &MemorySigner,
    trust: &TrustSet,
    testing: bool,
) {
    let token = token::sign(claims, signer).expect("a token");
    let (message, signature) = token.rsplit_once('.').expect("a signature");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let key = trust.key(signer.public_key().kid()).expect("the key");
    let bare = || assert!(key.verifies(black_box(message.as_bytes()), black_box(&signature)));
    let ours = || {
        let verified = token::verify::<LicenseClaims>(black_box(&token), trust);
        assert!(black_box(verified).is_ok());
    };
    if testing {
        bare();
        return ours();
    }
    round(bare);
    round(ours);
    let mut times: Vec<(Duration, Duration)> =
        (0..ROUNDS).map(|_| (round(bare), round(ours))).collect();
    times.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    let median = times[ROUNDS / 2];
    println!(
        "{:<28} {:>22}   bare RSA-{} {:.0} /s, ratio {:.2} (at least {RATIO_MIN})",
        "offline verification",
        format!("{:.0} /s", rate(median.1)),
        signer.public_key().modulus_len() * 8,
        rate(median.0),
        ratio(&median),
    );
    println!(
        "{:<28} {:>22}   a license {name}: {} bytes",
        "",
        format!("{:.1} us beside RSA", micros(median.1) - micros(median.0)),
        token.len(),
    );
}

fn round(verify: impl Fn()) -> Duration {
    let began = Instant::now();
    (0..ROUND).for_each(|_| verify());
    began.elapsed()
}

fn rate(round: Duration) -> f64 {
    f64::from(ROUND) / round.as_secs_f64()
}

fn micros(round: Duration) -> f64 {
    1e6 / rate(round)
}

fn ratio((bare, ours): &(Duration, Duration)) -> f64 {
    bare.as_secs_f64() / ours.as_secs_f64()
}

/// An enterprise license with so many features and limits.
fn claims(features_count: usize, limits_count: usize) -> LicenseClaims {
    let limit = |(id, max, per): (&str, Option<u32>, Option<Per>)| {
        let over = if per.is_some() { Over::TrueUp } else { Over::Block };
        let unit = Some(id.trim_end_matches('s').to_owned());
        let max = max.map(Quantity::from);
        (id.to_owned(), Limit { max, per, over, unit, warn_at: vec![80, 100] })
    };
    let limits: BTreeMap<String, Limit> = [
        ("teams", None, None),
        ("agents", Some(40), None),
        ("integrations", Some(25), None),
        ("environments", Some(12), None),
        ("clusters", Some(8), None),
        ("agent_runs", Some(200_000), Some(Per::Month)),
        ("investigations", Some(5_000), Some(Per::Month)),
        ("reports", Some(1_000), Some(Per::Month)),
        ("exports", Some(100), Some(Per::Day)),
        ("retention_days", Some(365), None),
    ]
    .map(limit)
    .into_iter()
    .take(limits_count)
    .collect();
    let features: Vec<String> = [
        "sso",
        "scim",
        "audit_log",
        "air_gapped",
        "github",
        "gitlab",
        "slack",
        "pagerduty",
        "datadog",
        "custom_agents",
        "custom_roles",
        "private_models",
        "priority_queue",
        "data_residency",
        "support_portal",
    ]
    .into_iter()
    .take(features_count)
    .map(str::to_owned)
    .collect();
    let moment = |text: &str| text.parse().expect("a timestamp");
    let customer = "ten_019b7a4c5d6e7f80912a3b4c5d6e7f80";
    let license = LicenseId::from_uuid(Uuid::from_u128(0x019b_7a4c_5d6e_7f80_912a_3b4c_5d6e_7f81));
    LicenseClaims {
        iss: token::issuer(PRODUCT),
        sub: customer.into(),
        aud: Kind::License.audience().into(),
        iat: moment("2026-01-01T00:00:00Z"),
        nbf: None,
        exp: moment("2027-01-01T00:00:00Z"),
        jti: format!("{license}-3"),
        customer: Customer {
            id: customer.into(),
            name: "Acme Corporation".into(),
            domain: "acme.example".into(),
        },
        edition: Edition::Enterprise,
        seats: Cap::of(500).expect("a bound"),
        features: features.clone(),
        offline_grace_period_days: 30,
        phone_home_required: true,
        entitlements: Entitlements::derive("enterprise", &features, Some(4), &limits),
        license,
        revision: 3,
        product: PRODUCT.into(),
        subscription: SubscriptionId::from_uuid(Uuid::from_u128(
            0x019b_7a4c_5d6e_7f80_912a_3b4c_5d6e_7f82,
        )),
        model: DeploymentModel::SelfHosted,
        mode: Some("standard".into()),
        update_until: Some(moment("2027-01-01T00:00:00Z")),
        limits,
        values: BTreeMap::from([("rate".to_owned(), json!("10000/minute"))]),
        expiry_policy: ExpiryPolicy::PRESET,
        supersedes: Some(Supersedes { revision: 2, at: moment("2026-06-01T00:00:00Z") }),
        binding: None,
        receipt: None,
        enforcement: None,
        sales_contact: Some("sales@vendor.example".into()),
    }
}
