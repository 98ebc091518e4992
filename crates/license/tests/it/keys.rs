//! Signing keys and trust sets.

use serde_json::json;
use tenure_license::{
    LicenseClaims, MemorySigner, PublicKey, Signer, TrustSet,
    keys::{JwkSet, KEY_BITS, PUBLISHED_TEST_KIDS, TRUST_KEYS_MAX, TrustError},
    token,
};

use crate::support::{FOREIGN, PRODUCT, TRUSTED, b64, claims, jwks};

#[test]
fn a_new_key_has_3072_bits_survives_storage_and_signs_what_its_public_half_believes() {
    let signer = MemorySigner::generate().unwrap();
    assert_eq!(signer.public_key().modulus_len() * 8, KEY_BITS);
    let stored = signer.to_pkcs8_der().unwrap();
    let again = MemorySigner::from_pkcs8_der(&stored).unwrap();
    assert_eq!(again.public_key(), signer.public_key());
    let trust = TrustSet::from_jwks(PRODUCT, &jwks(&[signer.public_key()])).unwrap();
    let token = token::sign(&claims(), &again).unwrap();
    assert_eq!(token::verify::<LicenseClaims>(&token, &trust).unwrap().claims(), &claims());
    assert!(!format!("{signer:?}").contains("PRIVATE"), "Debug shows the kid only");
}

#[test]
fn the_kid_is_the_thumbprint_of_rfc_7638() {
    // The example key of RFC 7638, section 3.1.
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let kid = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    let set = json!({"keys": [{"kty": "RSA", "alg": "RS256", "kid": kid, "n": n, "e": "AQAB"}]});
    let trust = TrustSet::from_jwks(PRODUCT, &set.to_string()).unwrap();
    assert_eq!(trust.keys().next().unwrap().kid(), kid);
}

#[test]
fn the_pem_export_reads_back() {
    let pem = TRUSTED.public_key().to_pem().unwrap();
    assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{pem}");
    let key = jsonwebtoken::DecodingKey::from_rsa_pem(pem.as_bytes());
    assert!(key.is_ok(), "a stock library reads it");
}

#[test]
fn a_stock_jwt_library_reads_our_tokens_and_the_names_of_the_specification() {
    let token = token::sign(&claims(), &*TRUSTED).unwrap();
    let pem = TRUSTED.public_key().to_pem().unwrap();
    let key = jsonwebtoken::DecodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    validation.set_audience(&["urn:tenure:license"]);
    validation.validate_exp = false;
    let read: serde_json::Value = jsonwebtoken::decode(&token, &key, &validation).unwrap().claims;
    assert_eq!(read["entitlements"]["max_teams"], -1);
    assert_eq!(read["entitlements"]["max_agent_runs_per_month"], 200_000);
    assert_eq!(read["entitlements"]["support_sla_hours"], 4);
    assert_eq!(read["customer"]["domain"], "acme.example");
    assert_eq!(read["edition"], "enterprise");
    assert_eq!(read["seats"], 500);
    assert_eq!(read["offlineGracePeriod"], 30);
    assert_eq!(read["phoneHomeRequired"], true);
    assert_eq!(read["exp"], 1_798_761_600);
}

#[test]
fn a_published_test_key_is_never_trusted() {
    assert_eq!(PUBLISHED_TEST_KIDS, [TRUSTED.public_key().kid(), FOREIGN.public_key().kid()]);
    for key in [TRUSTED.public_key(), FOREIGN.public_key()] {
        let error = TrustSet::from_jwks(PRODUCT, &jwks(&[key])).unwrap_err();
        assert_eq!(error, TrustError::TestKey(key.kid().into()));
        assert!(TrustSet::from_keys(PRODUCT, [key.clone()]).is_err());
    }
}

#[test]
fn a_key_set_with_anything_odd_in_it_is_refused_as_a_whole() {
    let good = serde_json::to_value(TRUSTED.public_key().jwk()).unwrap();
    let other = serde_json::to_value(FOREIGN.public_key().jwk()).unwrap();
    let with = |name: &str, value: serde_json::Value| {
        let mut odd = good.clone();
        odd[name] = value;
        json!({"keys": [other.clone(), odd]})
    };
    let small = PublicKey::from_modulus(&[0xff; 128]).unwrap_err();
    assert!(small.to_string().contains("1024"), "{small}");
    let many: Vec<_> = (0..=TRUST_KEYS_MAX).map(|_| good.clone()).collect();
    for (set, code) in [
        (json!({"keys": []}), "keys_empty"),
        (json!({"keys": [good.clone(), good.clone()]}), "keys_duplicate"),
        (json!({"keys": many}), "keys_too_many"),
        (with("kid", json!("mine")), "keys_wrong_kid"),
        (with("kty", json!("oct")), "keys_not_rs256"),
        (with("alg", json!("HS256")), "keys_not_rs256"),
        (with("alg", json!("PS256")), "keys_not_rs256"),
        (with("use", json!("enc")), "keys_not_rs256"),
        (with("e", json!("Aw")), "keys_unusable_key"),
        (with("n", json!(b64([0xff; 128]))), "keys_unusable_key"),
        (with("n", json!(b64([0xff; 1024]))), "keys_unusable_key"),
        (with("n", json!("AAAA")), "keys_unusable_key"),
        (with("n", json!("not base64!")), "keys_malformed"),
        (with("d", json!("c2VjcmV0")), "keys_malformed"),
        (with("x5u", json!("https://evil.example")), "keys_malformed"),
        (json!({"keys": [good.clone()], "more": 1}), "keys_malformed"),
        (json!([good.clone()]), "keys_malformed"),
    ] {
        let error = TrustSet::from_test_jwks(PRODUCT, &set.to_string()).unwrap_err();
        assert_eq!(error.code(), code, "{error}: {set}");
    }
    let twice = format!(r#"{{"keys":[],"keys":[{good}]}}"#);
    assert_eq!(TrustSet::from_test_jwks(PRODUCT, &twice).unwrap_err().code(), "keys_malformed");
    let huge = format!("{}{}", " ".repeat(40_000), json!({"keys": [good]}));
    assert_eq!(TrustSet::from_test_jwks(PRODUCT, &huge).unwrap_err().code(), "keys_too_large");
}

#[test]
fn during_a_rotation_tokens_of_both_keys_are_believed() {
    let set = jwks(&[TRUSTED.public_key(), FOREIGN.public_key()]);
    let trust = TrustSet::from_test_jwks(PRODUCT, &set).unwrap();
    for signer in [&*TRUSTED, &*FOREIGN] {
        let token = token::sign(&claims(), signer).unwrap();
        let verified = token::verify::<LicenseClaims>(&token, &trust).unwrap();
        assert_eq!(verified.kid(), signer.public_key().kid());
    }
    let published: JwkSet = serde_json::from_str(&set).unwrap();
    assert_eq!(trust.to_jwk_set().keys, published.keys);
}

#[test]
fn a_published_key_set_says_whose_it_is() {
    let signer = MemorySigner::generate().unwrap();
    let set = JwkSet::of_product(PRODUCT, [signer.public_key()]);
    let set = serde_json::to_string(&set).unwrap();
    let trust = TrustSet::from_published_jwks(&set).unwrap();
    assert_eq!(trust.product(), PRODUCT);
    assert_eq!(serde_json::to_string(&trust.to_jwk_set()).unwrap(), set);
    assert!(TrustSet::from_jwks(PRODUCT, &set).is_ok());
    let other = TrustSet::from_jwks("kg-rca", &set).unwrap_err();
    assert_eq!(other.code(), "keys_wrong_issuer");
    let silent = jwks(&[signer.public_key()]);
    assert_eq!(TrustSet::from_published_jwks(&silent).unwrap_err().code(), "keys_no_issuer");
    let published =
        jwks(&[TRUSTED.public_key()]).replacen('{', r#"{"issuer":"urn:tenure:product:x","#, 1);
    assert_eq!(TrustSet::from_published_jwks(&published).unwrap_err().code(), "keys_test_key");
}
