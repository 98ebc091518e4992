//! `tenure license verify`: no network, no database.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use tenure_core::{LicenseId, SubscriptionId};
use tenure_license::{
    LicenseClaims, MemorySigner, PublicKey, Signer,
    claims::{Cap, Customer, DeploymentModel, Edition, Entitlements, Limit, Over, Per},
    file,
    keys::JwkSet,
    state::ExpiryPolicy,
    token::{self, Kind},
};

use crate::support::{run, stderr, stdout};

const PRODUCT: &str = "incidentfox";

/// A license file for 2026, the keys it verifies with, and those of somebody else.
struct Files {
    _dir: tempfile::TempDir,
    license: PathBuf,
    keys: PathBuf,
    foreign: PathBuf,
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn claims() -> LicenseClaims {
    let features = vec!["sso".to_owned(), "air_gapped".to_owned()];
    let runs = Limit {
        max: Some(200_000u32.into()),
        per: Some(Per::Month),
        over: Over::TrueUp,
        unit: None,
        warn_at: vec![],
    };
    let limits = BTreeMap::from([
        (
            "teams".to_owned(),
            Limit { max: None, per: None, over: Over::Block, unit: None, warn_at: vec![] },
        ),
        ("agent_runs".to_owned(), runs),
    ]);
    LicenseClaims {
        iss: token::issuer(PRODUCT),
        sub: "ten_01".into(),
        aud: Kind::License.audience().into(),
        iat: at("2026-01-01T00:00:00Z"),
        nbf: None,
        exp: at("2027-01-01T00:00:00Z"),
        jti: "lic_01-1".into(),
        customer: Customer { id: "ten_01".into(), name: "Acme Corp".into(), domain: String::new() },
        edition: Edition::Enterprise,
        seats: Cap::UNLIMITED,
        features: features.clone(),
        offline_grace_period_days: 30,
        phone_home_required: false,
        entitlements: Entitlements::derive("enterprise", &features, Some(4), &limits),
        license: LicenseId::from_uuid("00000000-0000-0000-0000-000000000001".parse().unwrap()),
        revision: 1,
        product: PRODUCT.into(),
        subscription: SubscriptionId::from_uuid(
            "00000000-0000-0000-0000-000000000002".parse().unwrap(),
        ),
        model: DeploymentModel::AirGapped,
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

fn published(key: &PublicKey) -> String {
    serde_json::to_string(&JwkSet::of_product(PRODUCT, [key])).unwrap()
}

impl Files {
    fn write() -> Self {
        let (ours, theirs) = (MemorySigner::generate().unwrap(), MemorySigner::generate().unwrap());
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        Self {
            license: write("acme.lic", file::write(&token::sign(&claims(), &ours).unwrap())),
            keys: write("jwks.json", published(ours.public_key())),
            foreign: write("foreign.json", published(theirs.public_key())),
            _dir: dir,
        }
    }

    fn verify(&self, keys: &Path, more: &[&str]) -> std::process::Output {
        let (license, keys) = (self.license.to_str().unwrap(), keys.to_str().unwrap());
        run(&[&["license", "verify", license, "--keys", keys], more].concat())
    }
}

#[test]
fn a_genuine_license_is_told_with_its_entitlements_and_state() {
    let files = Files::write();
    let output = files.verify(&files.keys, &["--now", "2026-06-01"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = stdout(&output);
    let signed = said.lines().filter(|line| !line.starts_with("Signed by"));
    insta::assert_snapshot!("verified", signed.collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_license_in_its_grace_time_is_accepted_with_a_notice_and_later_refused() {
    let files = Files::write();
    let grace = files.verify(&files.keys, &["--now", "2027-01-03"]);
    assert_eq!(grace.status.code(), Some(0));
    assert!(stdout(&grace).contains("grace (expired_full)"), "{}", stdout(&grace));
    let over = files.verify(&files.keys, &["--now", "2027-06-01"]);
    assert_eq!(over.status.code(), Some(1));
    assert!(stdout(&over).contains("terminated (expired)"));
    assert!(stderr(&over).contains("genuine, but terminated"), "{}", stderr(&over));
}

#[test]
fn a_forged_license_is_refused() {
    let files = Files::write();
    let foreign = files.verify(&files.foreign, &[]);
    assert_eq!(foreign.status.code(), Some(1));
    assert!(stderr(&foreign).contains("token_unknown_key"), "{}", stderr(&foreign));

    let text = std::fs::read_to_string(&files.license).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let middle = lines.len() - 3;
    let changed = if lines[middle].starts_with('A') { "B" } else { "A" };
    lines[middle].replace_range(0..1, changed);
    std::fs::write(&files.license, lines.join("\n") + "\n").unwrap();
    let forged = files.verify(&files.keys, &["--json"]);
    assert_eq!(forged.status.code(), Some(1));
    let verdict: serde_json::Value = serde_json::from_slice(&forged.stdout).unwrap();
    assert_eq!(
        (&verdict["valid"], &verdict["code"]),
        (&false.into(), &"token_bad_signature".into())
    );
}

#[test]
fn what_is_no_license_is_told_apart() {
    let files = Files::write();
    std::fs::write(&files.license, "hello\n").unwrap();
    let output = files.verify(&files.keys, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("error: "), "{}", stderr(&output));
}
