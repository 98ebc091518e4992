//! What a license grants, and that it cannot contradict itself.

use std::collections::BTreeMap;

use serde_json::json;
use tenure_license::{
    LicenseClaims,
    claims::{Cap, Entitlements, FEATURES_MAX, Limit, Over, Per},
    presented::Presented,
    token::{self, IssueError},
};

use crate::support::{EXP, TRUSTED, at, claims, issue, signed_with, verify};

#[test]
fn a_license_says_what_it_grants() {
    let license = verify(&issue(&claims())).unwrap();
    let license = license.claims();
    assert!(license.has_feature("sso") && !license.has_feature("ss"));
    assert_eq!(license.limit("teams").unwrap().max, None);
    assert_eq!(license.entitlements.max["max_agent_runs_per_month"], Cap::of(200_000).unwrap());
    assert!(license.entitlements.max["max_teams"].allows_more_than(u64::MAX));
    assert!(license.covers_release(at(EXP)));
    assert!(!license.covers_release(at("2027-01-01T00:00:01Z")));
}

#[test]
fn fractions_of_a_limit_are_never_rounded_up_for_products_that_read_integers() {
    let limits = BTreeMap::from([(
        "storage".to_owned(),
        Limit {
            max: Some("99.999999".parse().unwrap()),
            per: None,
            over: Over::Charge,
            unit: None,
            warn_at: vec![],
        },
    )]);
    let entitlements = Entitlements::derive("pro", &[], None, &limits);
    assert_eq!(entitlements.max["max_storage"], Cap::of(99).unwrap());
}

#[test]
fn a_bound_is_minus_one_or_a_count() {
    assert_eq!(serde_json::to_string(&Cap::UNLIMITED).unwrap(), "-1");
    for wrong in ["-2", "1.5", "\"5\"", "9007199254740992", "null"] {
        assert!(serde_json::from_str::<Cap>(wrong).is_err(), "{wrong}");
    }
    assert!(!Cap::of(5).unwrap().allows_more_than(5));
}

#[test]
fn claims_that_contradict_themselves_are_not_signed() {
    let contradictions: [fn(&mut LicenseClaims); 14] = [
        |c| c.sub = "ten_02".into(),
        |c| c.iss = token::issuer("kg-rca"),
        |c| c.aud = "urn:tenure:lease".into(),
        |c| c.exp = c.iat,
        |c| c.nbf = Some(c.exp),
        |c| c.revision = 0,
        |c| c.supersedes.as_mut().unwrap().revision = 3,
        |c| c.features.push("custom_mcps".into()),
        |c| c.entitlements.features.clear(),
        |c| c.limits.clear(),
        |c| c.customer.name.clear(),
        |c| c.customer.name = "Acme\u{1b}[31m".into(),
        |c| c.expiry_policy.full_until_seconds = u32::MAX,
        |c| c.offline_grace_period_days = u32::MAX,
    ];
    for (index, contradict) in contradictions.into_iter().enumerate() {
        let mut claims = claims();
        contradict(&mut claims);
        let error = token::sign(&claims, &*TRUSTED).unwrap_err();
        assert!(matches!(error, IssueError::Claims(_)), "{index}: {error}");
    }
}

#[test]
fn everything_in_a_license_has_a_limit() {
    let mut many = claims();
    many.features = (0..=FEATURES_MAX).map(|n| format!("feature-{n}")).collect();
    many.entitlements.features = many.features.clone();
    let error = token::sign(&many, &*TRUSTED).unwrap_err();
    assert!(error.to_string().contains("128"), "{error}");
    let mut large = claims();
    large.values.insert("text".into(), json!("x".repeat(token::TOKEN_LEN_MAX)));
    assert_eq!(token::sign(&large, &*TRUSTED).unwrap_err().code(), "issue_too_large");
    let mut deep = claims();
    let nested = (0..20).fold(json!(1), |inner, _| json!([inner]));
    deep.entitlements.custom_fields.insert("deep".into(), nested);
    assert_eq!(token::sign(&deep, &*TRUSTED).unwrap_err().code(), "issue_claims_invalid");
}

#[test]
fn two_limits_never_share_a_name_in_entitlements() {
    let mut clash = claims();
    let limit =
        |per| Limit { max: Some(1.into()), per, over: Over::Block, unit: None, warn_at: vec![] };
    clash.limits = BTreeMap::from([
        ("runs_per_day".to_owned(), limit(None)),
        ("runs".to_owned(), limit(Some(Per::Day))),
    ]);
    clash.entitlements = Entitlements::derive("enterprise", &clash.features, None, &clash.limits);
    assert!(token::sign(&clash, &*TRUSTED).is_err());
}

#[test]
fn a_reader_ignores_claims_of_a_newer_vendor() {
    let token = signed_with("watermark", json!({"seq": 12}));
    assert_eq!(verify(&token).unwrap().claims(), &claims());
    let mut newer = serde_json::to_value(claims().entitlements).unwrap();
    newer["add_ons"] = json!(["training"]);
    let token = signed_with("entitlements", newer);
    assert_eq!(verify(&token).unwrap().claims(), &claims());
}

#[test]
fn license_key_may_hold_the_short_key_the_token_or_a_file() {
    let token = issue(&claims());
    for text in [token.clone(), format!("{token}\n"), tenure_license::file::write(&token)] {
        let Presented::Token(read) = Presented::read(&text).unwrap() else { panic!("{text}") };
        assert_eq!(read, token);
    }
    let key = tenure_license::LicenseKey::issue("IFOX", "ENT", "acme", [1; 10]).unwrap();
    assert!(matches!(Presented::read(key.expose()).unwrap(), Presented::Key(read) if read == key));
    assert_eq!(Presented::read("IFOX-ENT").unwrap_err().code(), "license_key_malformed");
    for file in ["-----BEGIN X", "\n-----BEGIN TENURE LICENSE-----\n", "To: a.b\n-----BEGIN X"] {
        assert_eq!(Presented::read(file).unwrap_err().code(), "file_no_begin", "{file}");
    }
}
