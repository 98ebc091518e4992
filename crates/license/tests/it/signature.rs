//! Numbers that are not the signature, and keys that nobody should believe.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use tenure_license::{
    LicenseClaims, PublicKey, Signer, TrustSet,
    keys::{KEY_BITS_MAX, KEY_BITS_MIN, TrustError},
    token,
};

use crate::support::{PRODUCT, TRUSTED, b64, claims, issue, refusal, verify};

/// A genuine token in two halves: what is signed, and the signature.
fn halves(token: &str) -> (String, Vec<u8>) {
    let (message, signature) = token.rsplit_once('.').unwrap();
    (message.to_owned(), URL_SAFE_NO_PAD.decode(signature).unwrap())
}

fn modulus() -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(TRUSTED.public_key().jwk().n).unwrap()
}

/// The sum of two big-endian numbers of the same length, with its carry.
fn sum(a: &[u8], b: &[u8]) -> (bool, Vec<u8>) {
    let mut carry = 0;
    let mut digits: Vec<u8> = std::iter::zip(a, b)
        .rev()
        .map(|(a, b)| {
            let sum = u16::from(*a) + u16::from(*b) + carry;
            carry = sum >> 8;
            sum as u8
        })
        .collect();
    digits.reverse();
    (carry == 1, digits)
}

#[test]
fn only_the_signature_itself_is_one() {
    let (message, signature) = halves(&issue(&claims()));
    let n = modulus();
    let len = n.len();
    let small = |value: u8| [vec![0; len - 1], vec![value]].concat();
    let one_less = [&n[..len - 1], &[n[len - 1] - 1]].concat();
    let flipped: Vec<u8> = signature.iter().map(|byte| !byte).collect();
    let reversed: Vec<u8> = signature.iter().rev().copied().collect();
    let encoded = [&[0, 1][..], &vec![0xff; len - 3], &[0]].concat();
    for other in [
        vec![],
        vec![0],
        vec![1],
        small(0),
        small(1),
        small(2),
        one_less,
        n.clone(),
        sum(&n, &small(1)).1,
        vec![0xff; len],
        encoded,
        flipped,
        reversed,
        signature[1..].to_vec(),
        signature[..len - 1].to_vec(),
        signature[..256].to_vec(),
        [&[0][..], &signature].concat(),
        [&signature[..], &[0]].concat(),
        [&[0; 128][..], &signature].concat(),
        [&signature[..], &signature].concat(),
        vec![0; 30_000],
    ] {
        let code = refusal(&format!("{message}.{}", b64(&other)));
        assert_eq!(code, "token_bad_signature", "{} bytes", other.len());
    }
}

/// Numbers that are the signature modulo n, and shorter ways to write it.
#[test]
fn a_signature_has_one_number_and_one_length() {
    let (mut above, mut shorter) = (0, 0);
    let mut claims = claims();
    for revision in 3..2_000 {
        claims.revision = revision;
        let (message, signature) = halves(&issue(&claims));
        let (carry, same_residue) = sum(&signature, &modulus());
        if !carry && above < 8 {
            above += 1;
            assert_eq!(refusal(&format!("{message}.{}", b64(same_residue))), "token_bad_signature");
        }
        if signature[0] == 0 && shorter < 1 {
            shorter += 1;
            assert!(verify(&format!("{message}.{}", b64(&signature))).is_ok(), "as it was made");
            let code = refusal(&format!("{message}.{}", b64(&signature[1..])));
            assert_eq!(code, "token_bad_signature");
        }
        if above >= 8 && shorter >= 1 {
            return;
        }
    }
    panic!("found {above} above the modulus, {shorter} with a leading zero");
}

#[test]
fn the_same_key_with_another_padding_or_digest_does_not_sign_licenses() {
    let pem = include_str!("../../vectors/test-key-trusted.pem");
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let pair = RsaKeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap();
    let (message, _) = halves(&issue(&claims()));
    let encodings: [&'static dyn RsaEncoding; 3] =
        [&RSA_PSS_SHA256, &RSA_PKCS1_SHA384, &RSA_PKCS1_SHA512];
    for encoding in encodings {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
        assert_eq!(refusal(&format!("{message}.{}", b64(signature))), "token_bad_signature");
    }
}

fn trusting(member: &str, value: Value) -> TrustError {
    let mut key = serde_json::to_value(TRUSTED.public_key().jwk()).unwrap();
    key[member] = value;
    TrustSet::from_test_jwks(PRODUCT, &json!({"keys": [key]}).to_string()).unwrap_err()
}

#[test]
fn no_exponent_but_65537_is_believed() {
    // 1, 3, 17, 0, 65537 with a leading zero, with padding, as a number; -1 in spirit.
    for e in ["AQ", "Aw", "EQ", "AA", "AAEAAQ", "AQAB==", "aqab", "AQAC", "", "_____w"] {
        assert_eq!(trusting("e", json!(e)).code(), "keys_unusable_key", "{e}");
    }
    for e in [json!(65_537), json!(null), json!(["AQAB"])] {
        assert_eq!(trusting("e", e).code(), "keys_malformed");
    }
}

#[test]
fn a_modulus_of_another_size_or_shape_is_not_believed() {
    let n = modulus();
    let odd = |bits: usize| {
        let mut n = vec![0xff; bits / 8];
        n[0] = 0x80;
        n
    };
    for (n, what) in [
        (vec![], "nothing"),
        (vec![3], "three"),
        (odd(512), "512 bits"),
        (odd(1_024), "1024 bits"),
        (odd(KEY_BITS_MIN - 8), "just too small"),
        (odd(KEY_BITS_MAX + 8), "just too large"),
        (odd(16_384), "16384 bits"),
        ([&[0][..], &n].concat(), "a leading zero"),
        ([&n[..n.len() - 1], &[0]].concat(), "even"),
        (vec![0; 384], "zero"),
    ] {
        assert_eq!(trusting("n", json!(b64(&n))).code(), "keys_unusable_key", "{what}");
        assert!(PublicKey::from_modulus(&n).is_err(), "{what}");
    }
    assert_eq!(trusting("n", json!(b64(odd(3_072)))).code(), "keys_wrong_kid");
    for spelling in [format!("{}=", b64(&n)), format!(" {}", b64(&n)), STANDARD.encode(&n) + "="] {
        assert_eq!(trusting("n", json!(spelling)).code(), "keys_malformed");
    }
}

#[test]
fn a_private_key_or_a_shared_secret_among_the_public_keys_is_noticed() {
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "key_ops", "x5c", "x5u", "jku"] {
        assert_eq!(trusting(member, json!("c2VjcmV0")).code(), "keys_malformed", "{member}");
    }
    for (member, value, code) in [
        ("kty", "oct", "keys_not_rs256"),
        ("kty", "rsa", "keys_not_rs256"),
        ("kty", "EC", "keys_not_rs256"),
        ("alg", "none", "keys_not_rs256"),
        ("alg", "HS256", "keys_not_rs256"),
        ("alg", "RS256 ", "keys_not_rs256"),
        ("kid", "", "keys_wrong_kid"),
        ("kid", "../keys", "keys_wrong_kid"),
    ] {
        assert_eq!(trusting(member, json!(value)).code(), code, "{member}: {value}");
    }
    let key = serde_json::to_string(&TRUSTED.public_key().jwk()).unwrap();
    let twice = key.replacen('{', r#"{"\u006e":"AAAA","#, 1);
    let set = format!(r#"{{"keys":[{twice}]}}"#);
    assert_eq!(TrustSet::from_test_jwks(PRODUCT, &set).unwrap_err().code(), "keys_malformed");
    let deep = format!(r#"{{"keys":{}{}}}"#, "[".repeat(9), "]".repeat(9));
    assert_eq!(TrustSet::from_test_jwks(PRODUCT, &deep).unwrap_err().code(), "keys_malformed");
}

#[test]
fn a_token_under_a_key_of_another_product_is_not_believed() {
    let other = tenure_license::MemorySigner::generate().unwrap();
    let trust = TrustSet::from_keys("kg-rca", [other.public_key().clone()]).unwrap();
    let error = token::verify::<LicenseClaims>(&issue(&claims()), &trust).unwrap_err();
    assert_eq!(error.code(), "token_unknown_key");
    // Signed by that product's own key, yet about this product.
    let strayed = token::sign(&claims(), &other).unwrap();
    let error = token::verify::<LicenseClaims>(&strayed, &trust).unwrap_err();
    assert_eq!(error.code(), "token_wrong_issuer");
}

#[test]
fn what_a_token_says_is_read_without_belief_only_by_who_asks_for_that() {
    let token = issue(&claims());
    assert_eq!(token::unverified::<LicenseClaims>(&token), Some(claims()));
    let (message, mut signature) = halves(&token);
    signature[9] ^= 1;
    let forged = format!("{message}.{}", b64(&signature));
    assert_eq!(token::unverified::<LicenseClaims>(&forged), Some(claims()), "nothing is checked");
    assert_eq!(verify(&forged).unwrap_err().code(), "token_bad_signature");

    let long = format!("{message}.{}", "A".repeat(token::Kind::Revocations.len_max()));
    for nothing in ["", "a.b", "a.b.c", "a.!.c", &message, &format!("{token}.x"), &long] {
        assert_eq!(
            token::unverified::<Value>(nothing),
            None,
            "{}",
            &nothing[..nothing.len().min(9)]
        );
    }
}
