//! Every way to make a verifier believe what was not signed for it.

use aws_lc_rs::hmac;
use proptest::prelude::*;
use serde_json::json;
use tenure_license::{
    LicenseClaims, Signer, TrustSet,
    token::{self, HEADER_LEN_MAX, TOKEN_LEN_MAX},
};

use crate::support::{
    FOREIGN, TRUSTED, b64, claims, header, issue, jwks, refusal, signed, signed_with,
    signed_with_header, trust, verify,
};

fn payload() -> String {
    serde_json::to_string(&claims()).unwrap()
}

#[test]
fn an_unsigned_token_is_refused_however_it_spells_none() {
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let mut header = header();
        header["alg"] = json!(alg);
        let message = format!("{}.{}", b64(header.to_string()), b64(payload()));
        assert_eq!(refusal(&format!("{message}.")), "token_algorithm_refused", "{alg}");
    }
    let genuine = issue(&claims());
    let (message, _) = genuine.rsplit_once('.').unwrap();
    assert_eq!(refusal(&format!("{message}.")), "token_bad_signature");
}

#[test]
fn the_public_key_is_never_taken_for_a_shared_secret() {
    let public = TRUSTED.public_key();
    for secret in [public.to_pem().unwrap(), public.to_pem().unwrap().trim().into(), public.jwk().n]
    {
        for alg in ["HS256", "RS256"] {
            let mut header = header();
            header["alg"] = json!(alg);
            let message = format!("{}.{}", b64(header.to_string()), b64(payload()));
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            let tag = b64(hmac::sign(&key, message.as_bytes()));
            let code =
                if alg == "HS256" { "token_algorithm_refused" } else { "token_bad_signature" };
            assert_eq!(refusal(&format!("{message}.{tag}")), code);
        }
    }
}

#[test]
fn other_algorithms_are_refused_even_with_a_genuine_signature() {
    for alg in ["RS384", "RS512", "PS256", "ES256", "EdDSA", "rs256", "RS256 "] {
        assert_eq!(refusal(&signed_with_header("alg", json!(alg))), "token_algorithm_refused");
    }
}

#[test]
fn a_header_may_say_alg_typ_and_kid_and_nothing_else() {
    for (name, value) in [
        ("jku", json!("https://evil.example/keys")),
        ("jwk", serde_json::to_value(FOREIGN.public_key().jwk()).unwrap()),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AA")),
        ("x5t#S256", json!("AA")),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("cty", json!("JWT")),
        ("url", json!("/")),
        ("nonce", json!("1")),
        ("Alg", json!("RS256")),
        ("", json!("")),
    ] {
        assert_eq!(refusal(&signed_with_header(name, value)), "token_header_field_refused");
    }
}

#[test]
fn a_key_in_the_header_is_never_used() {
    let mut header = header();
    header["jwk"] = serde_json::to_value(FOREIGN.public_key().jwk()).unwrap();
    assert_eq!(
        refusal(&signed(&header.to_string(), &payload(), &FOREIGN)),
        "token_header_field_refused"
    );
}

#[test]
fn a_kid_must_match_exactly() {
    let kid = TRUSTED.public_key().kid();
    for wrong in [
        FOREIGN.public_key().kid().to_owned(),
        kid.to_lowercase(),
        format!("{kid} "),
        format!("{kid}\u{0}"),
        kid[1..].to_owned(),
        String::new(),
        "../../etc/passwd".into(),
        "' OR 1=1 --".into(),
    ] {
        assert_eq!(
            refusal(&signed_with_header("kid", json!(wrong))),
            "token_unknown_key",
            "{wrong}"
        );
    }
    for odd in [json!(null), json!(1), json!([kid]), json!({"kid": kid})] {
        assert_eq!(refusal(&signed_with_header("kid", odd)), "token_header_malformed");
    }
}

#[test]
fn a_foreign_key_that_names_the_trusted_one_is_found_out() {
    assert_eq!(
        refusal(&signed(&header().to_string(), &payload(), &FOREIGN)),
        "token_bad_signature"
    );
    let own = token::sign(&claims(), &*FOREIGN).unwrap();
    assert_eq!(refusal(&own), "token_unknown_key");
}

#[test]
fn a_token_of_another_kind_is_not_a_license() {
    for typ in ["tenure-lease+jwt", "tenure-receipt+jwt", "JWT", "tenure-license+JWT", ""] {
        assert_eq!(refusal(&signed_with_header("typ", json!(typ))), "token_wrong_type", "{typ}");
    }
    for aud in [json!("urn:tenure:lease"), json!(""), json!("urn:tenure:license ")] {
        assert_eq!(refusal(&signed_with("aud", aud)), "token_wrong_audience");
    }
    // Several audiences would be a token for several readers.
    assert_eq!(refusal(&signed_with("aud", json!(["urn:tenure:license"]))), "token_claims_invalid");
}

#[test]
fn a_license_of_another_product_is_refused_even_under_a_shared_key() {
    let set = jwks(&[TRUSTED.public_key()]);
    let other = TrustSet::from_test_jwks("kg-rca", &set).unwrap();
    let error = token::verify::<LicenseClaims>(&issue(&claims()), &other).unwrap_err();
    assert_eq!(error.code(), "token_wrong_issuer");
    assert_eq!(
        refusal(&signed_with("iss", json!("urn:tenure:product:kg-rca"))),
        "token_wrong_issuer"
    );
    assert_eq!(refusal(&signed_with("product", json!("kg-rca"))), "token_wrong_issuer");
}

#[test]
fn a_json_key_given_twice_is_refused_though_the_signature_is_genuine() {
    let payload = payload();
    let header = header().to_string();
    let doubled = |json: &str, member: &str| json.replacen('{', &format!("{{{member},"), 1);
    let twice = signed(&doubled(&header, r#""alg":"RS256""#), &payload, &TRUSTED);
    assert_eq!(refusal(&twice), "token_header_malformed");
    let twice = signed(&header, &doubled(&payload, r#""seats":999999"#), &TRUSTED);
    assert_eq!(refusal(&twice), "token_claims_invalid");
    let nested = payload.replacen(r#""customer":{"#, r#""customer":{"name":"Evil","#, 1);
    assert_eq!(refusal(&signed(&header, &nested, &TRUSTED)), "token_claims_invalid");
    let escaped = doubled(&payload, r#""\u0073eats":999999"#);
    assert_eq!(refusal(&signed(&header, &escaped, &TRUSTED)), "token_claims_invalid");
}

#[test]
fn claims_must_be_whole_and_well_typed() {
    for (name, value) in [
        ("exp", json!("2099-01-01")),
        ("exp", json!(4_000_000_000.5)),
        ("exp", json!(i64::MAX)),
        ("exp", json!(null)),
        ("seats", json!(-2)),
        ("revision", json!(-1)),
        ("license", json!("lic_1")),
        ("model", json!("everywhere")),
        ("entitlements", json!({})),
        ("limits", json!({"teams": {"max": "5", "over": "block"}})),
        ("sub", json!("ten_02")),
    ] {
        assert_eq!(refusal(&signed_with(name, value)), "token_claims_invalid", "{name}");
    }
    for payload in ["", "null", "[]", "{}", "{} {}", "\u{feff}{}", "[[[[[[[[[[[[1]]]]]]]]]]]]"] {
        let code = refusal(&signed(&header().to_string(), payload, &TRUSTED));
        assert_eq!(code, "token_claims_invalid", "{payload}");
    }
}

#[test]
fn entitlements_cannot_be_transplanted_between_two_genuine_licenses() {
    let mut small = claims();
    small.seats = tenure_license::claims::Cap::of(1).unwrap();
    small.jti = "lic_02-1".into();
    let (large, small) = (issue(&claims()), issue(&small));
    let [large, small] = [&large, &small].map(|token| token.split('.').collect::<Vec<_>>());
    assert_eq!(large[0], small[0], "the same header");
    let mixed = format!("{}.{}.{}", small[0], large[1], small[2]);
    assert_eq!(refusal(&mixed), "token_bad_signature");
}

#[test]
fn a_token_has_one_spelling() {
    let token = issue(&claims());
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    for other in [
        format!("{token}="),
        format!("{token}\n"),
        format!(" {token}"),
        format!("{token}."),
        format!(".{token}"),
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}=.{signature}"),
        format!("{header}.{payload}.{}", signature.replace(['-', '_'], "+")),
        format!("{header}.{payload}.{}", &signature[..signature.len() - 1]),
        format!("{header}.{payload}.AAAA{signature}"),
        format!("{header}.{payload}"),
        format!("{header}..{signature}"),
        format!("{header}.{payload}.{signature}.{signature}"),
        token.replace('.', ","),
        String::new(),
        "..".into(),
    ] {
        assert!(verify(&other).is_err(), "{other}");
    }
}

#[test]
fn oversized_tokens_and_headers_are_refused_before_they_are_read() {
    assert_eq!(refusal(&"A".repeat(TOKEN_LEN_MAX + 1)), "token_too_large");
    let long = signed_with_header("kid", json!("k".repeat(HEADER_LEN_MAX)));
    assert_eq!(refusal(&long), "token_header_malformed");
}

#[test]
fn every_other_character_anywhere_in_header_and_signature_is_refused() {
    let token = issue(&claims());
    let trust = trust();
    let header_end = token.find('.').unwrap();
    let signature_start = token.rfind('.').unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=";
    let last = token.len() - 1;
    // Each place of the header; of the signature a sample, and its very end,
    // where trailing bits would hide.
    let places = (0..=header_end).chain((signature_start..last).step_by(16)).chain([last]);
    for place in places {
        for c in alphabet.bytes() {
            let mut bytes = token.clone().into_bytes();
            if std::mem::replace(&mut bytes[place], c) != c {
                let changed = String::from_utf8(bytes).unwrap();
                assert!(token::verify::<LicenseClaims>(&changed, &trust).is_err(), "{changed}");
            }
        }
    }
}

/// One way to change a token.
#[derive(Debug, Clone)]
enum Mutation {
    Flip(prop::sample::Index, u8),
    Replace(prop::sample::Index, char),
    Insert(prop::sample::Index, char),
    Delete(prop::sample::Index, usize),
    Swap(prop::sample::Index, prop::sample::Index),
    Truncate(prop::sample::Index),
    Copy(prop::sample::Index, prop::sample::Index, usize),
    Splice(prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    use prop::sample::Index;
    let base64 = prop::sample::select(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
            .chars()
            .collect::<Vec<_>>(),
    );
    prop_oneof![
        (any::<Index>(), 0u8..7).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (any::<Index>(), base64.clone()).prop_map(|(at, c)| Mutation::Replace(at, c)),
        (any::<Index>(), any::<char>()).prop_map(|(at, c)| Mutation::Replace(at, c)),
        (any::<Index>(), base64).prop_map(|(at, c)| Mutation::Insert(at, c)),
        (any::<Index>(), 1usize..9).prop_map(|(at, len)| Mutation::Delete(at, len)),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Mutation::Swap(a, b)),
        any::<Index>().prop_map(Mutation::Truncate),
        (any::<Index>(), any::<Index>(), 1usize..64).prop_map(|(a, b, n)| Mutation::Copy(a, b, n)),
        any::<Index>().prop_map(Mutation::Splice),
    ]
}

fn apply(token: Vec<u8>, other: &[u8], mutation: &Mutation) -> Vec<u8> {
    let mut bytes = token;
    let len = bytes.len();
    if len == 0 {
        return b"x".to_vec();
    }
    let spelled = |c: &char| c.to_string().into_bytes();
    match mutation {
        Mutation::Flip(at, bit) => bytes[at.index(len)] ^= 1 << bit,
        Mutation::Replace(at, c) => {
            let at = at.index(len);
            bytes.splice(at..=at, spelled(c));
        }
        Mutation::Insert(at, c) => {
            let at = at.index(len + 1);
            bytes.splice(at..at, spelled(c));
        }
        Mutation::Delete(at, count) => {
            let at = at.index(len);
            bytes.drain(at..(at + count).min(len));
        }
        Mutation::Swap(a, b) => bytes.swap(a.index(len), b.index(len)),
        Mutation::Truncate(at) => bytes.truncate(at.index(len)),
        Mutation::Copy(from, to, count) => {
            let (from, to) = (from.index(len), to.index(len));
            let count = (*count).min(len - from.max(to));
            bytes.copy_within(from..from + count, to);
        }
        Mutation::Splice(at) => {
            let at = at.index(len);
            bytes.truncate(at);
            bytes.extend(other.iter().skip(at));
        }
    }
    bytes
}

/// Twenty thousand changed tokens a run; a few seconds without optimisation.
const MUTATIONS: u32 = 20_000;

#[test]
fn no_token_that_differs_from_an_issued_one_is_ever_accepted() {
    let mut renewed = claims();
    renewed.revision += 1;
    renewed.seats = tenure_license::claims::Cap::UNLIMITED;
    let issued = [issue(&claims()), issue(&renewed)];
    let trust = trust();
    let config = ProptestConfig { cases: MUTATIONS, ..ProptestConfig::default() };
    proptest!(config, |(mutations in prop::collection::vec(mutation(), 1..4))| {
        let [license, other] = issued.each_ref().map(String::as_bytes);
        let changed = mutations.iter().fold(license.to_vec(), |t, m| apply(t, other, m));
        let changed = String::from_utf8_lossy(&changed).into_owned();
        // A splice at the very start is the other license, whole and genuine.
        prop_assume!(!issued.contains(&changed));
        prop_assert!(token::verify::<LicenseClaims>(&changed, &trust).is_err());
    });
}
