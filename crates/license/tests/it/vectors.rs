//! The golden vectors: one file that every implementation must agree on.
//!
//! `vectors/license.json` is written from the cases below with the published
//! test keys; RS256 is deterministic, so it is the same at every writing. To
//! write it anew: `cargo test -p tenure-license -- --ignored write_the_vectors`.

use serde_json::{Value, json};
use tenure_license::{
    LicenseClaims, LicenseKey, Signer, TrustSet, file,
    state::{Contact, Input, Revocation, evaluate},
    token,
};

use crate::support::{
    FOREIGN, PRODUCT, TRUSTED, at, b64, claims, header, issue, jwks, signed, signed_with,
    signed_with_header,
};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/license.json");

/// A genuine license at several moments: name, now, floor, revoked, lease end.
fn lifetimes() -> Vec<Value> {
    let token = issue(&claims());
    let cases = [
        ("valid", json!({"now": "2026-06-01T00:00:00Z"})),
        ("expires soon", json!({"now": "2026-12-20T00:00:00Z"})),
        ("expired, full function", json!({"now": "2027-01-01T00:00:00Z"})),
        ("expired, restricted", json!({"now": "2027-01-08T00:00:00Z"})),
        ("expired for good", json!({"now": "2027-01-31T00:00:00Z"})),
        ("clock set back", json!({"now": "2026-06-01T00:00:00Z", "floor": "2027-01-02T00:00:00Z"})),
        ("clock before issue", json!({"now": "1970-01-01T00:00:00Z"})),
        ("revoked", json!({"now": "2026-06-01T00:00:00Z", "revoked_at": "2026-05-01T00:00:00Z"})),
        (
            "superseded",
            json!({"now": "2026-06-01T00:00:00Z", "superseded_at": "2026-05-01T00:00:00Z"}),
        ),
        (
            "in contact",
            json!({"now": "2026-06-30T23:59:59Z", "lease_until": "2026-06-01T00:00:00Z"}),
        ),
        (
            "out of contact",
            json!({"now": "2026-07-01T00:00:00Z", "lease_until": "2026-06-01T00:00:00Z"}),
        ),
    ];
    cases
        .into_iter()
        .map(|(name, mut case)| {
            case["name"] = json!(name);
            case["verdict"] = judge(&token, &case);
            case
        })
        .collect()
}

fn judge(token: &str, case: &Value) -> Value {
    let moment = |name: &str| case[name].as_str().map(at);
    let trust = TrustSet::from_test_jwks(PRODUCT, &jwks(&[TRUSTED.public_key()])).unwrap();
    let license = token::verify(token, &trust).unwrap();
    let revoked = moment("revoked_at").map(Revocation::Revoked);
    let superseded = moment("superseded_at").map(Revocation::Superseded);
    let verdict = evaluate(&Input {
        license: &license,
        now: moment("now").unwrap(),
        floor: moment("floor"),
        revocation: revoked.or(superseded).unwrap_or_default(),
        contact: moment("lease_until").map(Contact::LeaseUntil).unwrap_or_default(),
    });
    serde_json::to_value(verdict).unwrap()
}

/// Tokens that nobody may believe, with the code of the refusal.
fn attacks() -> Vec<(&'static str, String, &'static str)> {
    let payload = serde_json::to_string(&claims()).unwrap();
    let genuine = issue(&claims());
    let parts: Vec<&str> = genuine.split('.').collect();
    let unsigned = |alg: &str| {
        let mut header = header();
        header["alg"] = json!(alg);
        format!("{}.{}.", b64(header.to_string()), b64(&payload))
    };
    let edited = payload.replace(r#""seats":500"#, r#""seats":-1"#);
    let twice = payload.replacen('{', r#"{"seats":-1,"#, 1);
    let foreign_jwk = serde_json::to_value(FOREIGN.public_key().jwk()).unwrap();
    let header = header().to_string();
    vec![
        ("alg none", unsigned("none"), "token_algorithm_refused"),
        ("alg HS256", unsigned("HS256"), "token_algorithm_refused"),
        ("alg PS256", signed_with_header("alg", json!("PS256")), "token_algorithm_refused"),
        (
            "header jku",
            signed_with_header("jku", json!("https://evil.example")),
            "token_header_field_refused",
        ),
        ("header jwk", signed_with_header("jwk", foreign_jwk), "token_header_field_refused"),
        (
            "header x5u",
            signed_with_header("x5u", json!("https://evil.example")),
            "token_header_field_refused",
        ),
        ("header x5c", signed_with_header("x5c", json!(["MIIB"])), "token_header_field_refused"),
        ("header crit", signed_with_header("crit", json!(["exp"])), "token_header_field_refused"),
        ("header b64", signed_with_header("b64", json!(false)), "token_header_field_refused"),
        ("header zip", signed_with_header("zip", json!("DEF")), "token_header_field_refused"),
        (
            "header kid twice",
            signed(&header.replacen('{', r#"{"kid":"x","#, 1), &payload, &TRUSTED),
            "token_header_malformed",
        ),
        ("unknown kid", signed_with_header("kid", json!("nobody")), "token_unknown_key"),
        ("foreign key", token::sign(&claims(), &*FOREIGN).unwrap(), "token_unknown_key"),
        (
            "foreign key under a trusted kid",
            signed(&header, &payload, &FOREIGN),
            "token_bad_signature",
        ),
        (
            "edited claims",
            format!("{}.{}.{}", parts[0], b64(edited), parts[2]),
            "token_bad_signature",
        ),
        ("no signature", format!("{}.{}.", parts[0], parts[1]), "token_bad_signature"),
        (
            "a lease as a license",
            signed_with_header("typ", json!("tenure-lease+jwt")),
            "token_wrong_type",
        ),
        ("wrong audience", signed_with("aud", json!("urn:tenure:lease")), "token_wrong_audience"),
        (
            "wrong product",
            signed_with("iss", json!("urn:tenure:product:kg-rca")),
            "token_wrong_issuer",
        ),
        ("claim twice", signed(&header, &twice, &TRUSTED), "token_claims_invalid"),
        ("contradicting limits", signed_with("limits", json!({})), "token_claims_invalid"),
        ("padding", format!("{genuine}=="), "token_encoding"),
        ("blank", format!("{}.{} .{}", parts[0], parts[1], parts[2]), "token_bad_signature"),
        ("two parts", format!("{}.{}", parts[0], parts[1]), "token_malformed"),
        ("four parts", format!("{genuine}.{}", parts[2]), "token_malformed"),
        ("too large", "A".repeat(token::TOKEN_LEN_MAX + 1), "token_too_large"),
    ]
}

fn license_keys() -> Value {
    let key = LicenseKey::issue("IFOX", "ENT", "acme", *b"tenurekeys").unwrap();
    let text = key.expose();
    let last = text.chars().last().unwrap();
    let wrong = format!("{}{}", &text[..text.len() - 1], if last == '0' { '1' } else { '0' });
    json!({
        "valid": [text, text.to_lowercase(), text.replace('-', " - "), text.replace('0', "O")],
        "mistyped": [wrong, text.replace("ACME", "ACNE"), text.replace("IFOX", "FIOX")],
    })
}

fn vectors() -> String {
    let refused: Vec<Value> = attacks()
        .into_iter()
        .map(|(name, token, code)| match token.len() {
            // Said, not written: the longest attack is one letter many times.
            len if len > token::TOKEN_LEN_MAX => {
                json!({"name": name, "token": "A", "times": len, "error": code})
            }
            _ => json!({"name": name, "token": token, "error": code}),
        })
        .collect();
    let all = json!({
        "about": "Golden vectors for readers of Tenure licenses. The keys are published test keys: never trust them.",
        "product": PRODUCT,
        "jwks": serde_json::from_str::<Value>(&jwks(&[TRUSTED.public_key()])).unwrap(),
        "token": issue(&claims()),
        "claims": claims(),
        "file": file::write(&issue(&claims())),
        "license_keys": license_keys(),
        "verdicts": lifetimes(),
        "refused": refused,
    });
    serde_json::to_string_pretty(&all).unwrap() + "\n"
}

#[test]
fn the_vectors_in_the_repository_hold() {
    let read: Value = serde_json::from_str(&std::fs::read_to_string(PATH).unwrap()).unwrap();
    let trust = TrustSet::from_test_jwks(PRODUCT, &read["jwks"].to_string()).unwrap();
    for case in read["verdicts"].as_array().unwrap() {
        assert_eq!(
            judge(read["token"].as_str().unwrap(), case),
            case["verdict"],
            "{}",
            case["name"]
        );
    }
    for case in read["refused"].as_array().unwrap() {
        let times = case["times"].as_u64().unwrap_or(1) as usize;
        let token = case["token"].as_str().unwrap().repeat(times);
        let error = token::verify::<LicenseClaims>(&token, &trust).expect_err("refused");
        assert_eq!(error.code(), case["error"], "{}", case["name"]);
    }
    let token = file::read(read["file"].as_str().unwrap()).unwrap();
    let license = token::verify::<LicenseClaims>(&token, &trust).unwrap();
    assert_eq!(serde_json::to_value(license.claims()).unwrap(), read["claims"]);
    for key in read["license_keys"]["valid"].as_array().unwrap() {
        assert!(LicenseKey::parse(key.as_str().unwrap()).is_ok(), "{key}");
    }
    for key in read["license_keys"]["mistyped"].as_array().unwrap() {
        let error = LicenseKey::parse(key.as_str().unwrap()).unwrap_err();
        assert_eq!(error.code(), "license_key_mistyped", "{key}");
    }
}

#[test]
fn the_vectors_are_what_this_code_writes() {
    let committed = std::fs::read_to_string(PATH).unwrap();
    assert!(committed == vectors(), "vectors/license.json differs; see the top of this file");
}

#[test]
#[ignore = "writes vectors/license.json"]
fn write_the_vectors() {
    std::fs::write(PATH, vectors()).unwrap();
}
