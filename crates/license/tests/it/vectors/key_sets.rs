//! Key sets that are believed, and those that are not.

use serde_json::{Value, json};
use tenure_license::{
    Signer, TrustSet,
    keys::{JWKS_LEN_MAX, TRUST_KEYS_MAX},
};

use crate::support::{FOREIGN, PRODUCT, TRUSTED, b64};

/// A key that nobody has: a modulus of no known factors, whose name is right.
const N_2048: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

/// `test` says whether published test keys are allowed. `kids`: what is believed then.
pub(super) fn cases() -> Vec<Value> {
    let good = serde_json::to_value(TRUSTED.public_key().jwk()).unwrap();
    let other = serde_json::to_value(FOREIGN.public_key().jwk()).unwrap();
    let with = |name: &str, value: Value| {
        let mut odd = good.clone();
        odd[name] = value;
        json!({"keys": [other.clone(), odd]}).to_string()
    };
    let without = |name: &str| {
        let mut odd = good.clone();
        odd.as_object_mut().unwrap().remove(name);
        json!({"keys": [odd]}).to_string()
    };
    let many: Vec<_> = (0..=TRUST_KEYS_MAX).map(|_| good.clone()).collect();
    let one = json!({"keys": [good.clone()]}).to_string();
    let issued = |issuer: &str| json!({"issuer": issuer, "keys": [good.clone()]}).to_string();
    let rfc = json!({"keys": [{"kty": "RSA", "alg": "RS256", "n": N_2048, "e": "AQAB",
        "kid": "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"}]});
    let mut even = [0xff; 256];
    even[255] = 0xfe;
    [
        ("one key", true, one.clone()),
        ("two keys", true, json!({"keys": [good.clone(), other.clone()]}).to_string()),
        ("says its product", true, issued("urn:tenure:product:incidentfox")),
        ("of 2048 bits, without use", false, rfc.to_string()),
        ("a published test key", false, one.clone()),
        ("another product", true, issued("urn:tenure:product:kg-rca")),
        ("no keys", true, json!({"keys": []}).to_string()),
        ("a key twice", true, json!({"keys": [good.clone(), good.clone()]}).to_string()),
        ("too many keys", true, json!({"keys": many}).to_string()),
        ("wrong kid", true, with("kid", json!("mine"))),
        ("a shared secret", true, with("kty", json!("oct"))),
        ("an elliptic curve", true, with("kty", json!("EC"))),
        ("alg HS256", true, with("alg", json!("HS256"))),
        ("alg PS256", true, with("alg", json!("PS256"))),
        ("for encryption", true, with("use", json!("enc"))),
        ("exponent 3", true, with("e", json!("Aw"))),
        ("1024 bits", true, with("n", json!(b64([0xff; 128])))),
        ("8192 bits", true, with("n", json!(b64([0xff; 1024])))),
        ("even modulus", true, with("n", json!(b64(even)))),
        ("modulus with leading zeros", true, with("n", json!("AAAA"))),
        ("empty modulus", true, with("n", json!(""))),
        ("modulus not base64url", true, with("n", json!("not base64!"))),
        ("a private member", true, with("d", json!("c2VjcmV0"))),
        ("a member that points elsewhere", true, with("x5u", json!("https://evil.example"))),
        ("a shared secret's member", true, with("k", json!("c2VjcmV0"))),
        ("without kid", true, without("kid")),
        ("without alg", true, without("alg")),
        ("kid a number", true, with("kid", json!(1))),
        ("one more member", true, json!({"keys": [good.clone()], "more": 1}).to_string()),
        ("a list", true, json!([good.clone()]).to_string()),
        ("not JSON", true, "keys".to_owned()),
        ("keys twice", true, format!(r#"{{"keys":[],"keys":[{good}]}}"#)),
        ("too large", true, format!("{}{one}", " ".repeat(JWKS_LEN_MAX))),
    ]
    .into_iter()
    .map(|(name, test, jwks)| {
        let read = match test {
            true => TrustSet::from_test_jwks(PRODUCT, &jwks),
            false => TrustSet::from_jwks(PRODUCT, &jwks),
        };
        match read {
            Ok(set) => {
                let kids: Vec<&str> = set.keys().map(|key| key.kid()).collect();
                json!({"name": name, "test": test, "jwks": jwks, "kids": kids})
            }
            Err(error) => json!({"name": name, "test": test, "jwks": jwks, "error": error.code()}),
        }
    })
    .collect()
}
