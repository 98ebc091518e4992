//! Every way to make a verifier believe what was not signed for it.

use aws_lc_rs::hmac;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
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
    let pem = public.to_pem().unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let secrets = [
        pem.clone().into_bytes(),
        pem.trim().as_bytes().to_vec(),
        pem.replace('\n', "\r\n").into_bytes(),
        body.as_bytes().to_vec(),
        STANDARD.decode(&body).unwrap(),
        public.jwk().n.into_bytes(),
        URL_SAFE_NO_PAD.decode(public.jwk().n).unwrap(),
        jwks(&[public]).into_bytes(),
        public.kid().as_bytes().to_vec(),
        Vec::new(),
    ];
    for secret in secrets {
        for alg in ["HS256", "hs256", "RS256"] {
            let mut header = header();
            header["alg"] = json!(alg);
            let message = format!("{}.{}", b64(header.to_string()), b64(payload()));
            let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
            let tag = b64(hmac::sign(&key, message.as_bytes()));
            let code =
                if alg == "RS256" { "token_bad_signature" } else { "token_algorithm_refused" };
            assert_eq!(refusal(&format!("{message}.{tag}")), code);
        }
    }
}

#[test]
fn other_algorithms_are_refused_even_with_a_genuine_signature() {
    for alg in [
        "RS384",
        "RS512",
        "PS256",
        "ES256",
        "EdDSA",
        "HS256",
        "rs256",
        "RS256 ",
        "RS256\0",
        "RSA",
        "\u{ff32}S256",
        "R\u{405}256",
        "RS256\u{200b}",
        "",
    ] {
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
        ("\u{430}lg", json!("none")),
        ("kid ", json!("x")),
        ("kid\u{0}", json!("x")),
        ("__proto__", json!({})),
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
        "../../../../dev/null".into(),
        "/dev/null".into(),
        "file:///proc/self/environ".into(),
        "' OR 1=1 --".into(),
        "x' UNION SELECT 'AAAA".into(),
        "$(id)".into(),
        "*".into(),
        kid.replace('e', "\u{435}"),
        format!("\u{feff}{kid}"),
        format!("{kid}\n"),
        format!("{kid},{kid}"),
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
    for typ in [
        "tenure-lease+jwt",
        "tenure-receipt+jwt",
        "tenure-revocations+jwt",
        "tenure-request+jwt",
        "JWT",
        "jwt",
        "at+jwt",
        "tenure-license+JWT",
        "tenure-license",
        "application/tenure-license+jwt",
        "tenure\u{2010}license+jwt",
        "tenure-license+jwt ",
        "",
    ] {
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
    for member in [r#""kid":"x""#, r#""\u006bid":"x""#, r#""typ":"JWT""#, r#""\u0061lg":"none""#] {
        let code = refusal(&signed(&doubled(&header, member), &payload, &TRUSTED));
        assert_eq!(code, "token_header_malformed", "{member}");
    }
    let twice = signed(&header, &doubled(&payload, r#""seats":999999"#), &TRUSTED);
    assert_eq!(refusal(&twice), "token_claims_invalid");
    let nested = payload.replacen(r#""customer":{"#, r#""customer":{"name":"Evil","#, 1);
    assert_eq!(refusal(&signed(&header, &nested, &TRUSTED)), "token_claims_invalid");
    let escaped = doubled(&payload, r#""\u0073eats":999999"#);
    assert_eq!(refusal(&signed(&header, &escaped, &TRUSTED)), "token_claims_invalid");
}

#[test]
fn a_claim_that_nobody_reads_must_have_one_meaning_too() {
    let payload = payload();
    let with = |member: &str| {
        let payload = payload.replacen('{', &format!("{{{member},"), 1);
        verify(&signed(&header().to_string(), &payload, &TRUSTED))
    };
    assert!(with(r#""newer":{"a":1,"b":[{"a":2}]}"#).is_ok(), "readers ignore newer claims");
    for member in [
        r#""newer":{"a":1,"a":1}"#,
        r#""newer":[{"a":1,"\u0061":2}]"#,
        r#""newer":1,"newer":1"#,
        r#""newer":[[[[[[[[1]]]]]]]]"#,
        r#""newer":1e999"#,
        r#""newer":{"$serde_json::private::RawValue":"{}"}"#,
    ] {
        assert_eq!(with(member).unwrap_err().code(), "token_claims_invalid", "{member}");
    }
}

#[test]
fn a_header_is_as_good_in_another_spelling_when_it_is_signed_so() {
    let kid = TRUSTED.public_key().kid();
    let own = format!(r#"{{"alg":"RS256","typ":"tenure-license+jwt","kid":"{kid}"}}"#);
    for header in [
        own.clone(),
        format!(r#"{{"kid":"{kid}","typ":"tenure-license+jwt","alg":"RS256"}}"#),
        own.replace(':', " : "),
        own.replace("alg", "\\u0061lg"),
        own.replace(kid, &format!("\\u{:04x}{}", u32::from(kid.as_bytes()[0]), &kid[1..])),
    ] {
        assert!(verify(&signed(&header, &payload(), &TRUSTED)).is_ok(), "{header}");
        let genuine = issue(&claims());
        let (_, rest) = genuine.split_once('.').unwrap();
        if header != own {
            assert_eq!(refusal(&format!("{}.{rest}", b64(&header))), "token_bad_signature");
        }
    }
    for (header, code) in [
        (own.replace("RS256", "none"), "token_algorithm_refused"),
        (own.replace("license", "lease"), "token_wrong_type"),
        (own.replace(kid, FOREIGN.public_key().kid()), "token_unknown_key"),
        (own.replace(kid, &format!(r#"{kid}","kid":"{kid}"#)), "token_header_malformed"),
        (own.replace(kid, &format!(r#"{kid}","jku":"x"#)), "token_header_field_refused"),
        (own.replace(kid, ""), "token_unknown_key"),
        (own.replace('}', ""), "token_header_malformed"),
        (format!("{own}x"), "token_header_malformed"),
    ] {
        assert_eq!(refusal(&signed(&header, &payload(), &TRUSTED)), code, "{header}");
    }
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
    let deep = "[".repeat(500);
    let header = header().to_string().replacen('{', &format!(r#"{{"x":{deep}"#), 1);
    assert_eq!(refusal(&signed(&header, &payload(), &TRUSTED)), "token_header_malformed");
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
