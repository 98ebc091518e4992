//! Tokens that nobody may believe, with the code of the refusal.

use serde_json::{Value, json};
use tenure_license::{
    Signer,
    token::{self, HEADER_LEN_MAX, TOKEN_LEN_MAX},
};

use crate::support::{
    FOREIGN, TRUSTED, b64, claims, header, issue, refusal, signed, signed_with, signed_with_header,
};

type Attack = (&'static str, String, &'static str);

pub(super) fn cases() -> Vec<Value> {
    let all = [headers(), signatures(), spellings(), json_texts(), types(), contradictions()];
    all.into_iter()
        .flatten()
        .map(|(name, token, code)| {
            let repeated = token.len() > TOKEN_LEN_MAX;
            assert_eq!(refusal(&token), code, "{name}");
            // Said, not written: the longest attack is one letter many times.
            match repeated {
                true => json!({"name": name, "token": "A", "times": token.len(), "error": code}),
                false => json!({"name": name, "token": token, "error": code}),
            }
        })
        .collect()
}

fn payload() -> String {
    serde_json::to_string(&claims()).unwrap()
}

/// A genuine signature over any payload.
fn saying(payload: impl AsRef<[u8]>) -> String {
    let message = format!("{}.{}", b64(header().to_string()), b64(payload));
    let signature = TRUSTED.sign(message.as_bytes()).unwrap();
    format!("{message}.{}", b64(signature))
}

/// A genuine signature over any header.
fn headed(header: &str) -> String {
    signed(header, &payload(), &TRUSTED)
}

fn headers() -> Vec<Attack> {
    let unsigned = |alg: &str| {
        let mut header = header();
        header["alg"] = json!(alg);
        format!("{}.{}.", b64(header.to_string()), b64(payload()))
    };
    let foreign_jwk = serde_json::to_value(FOREIGN.public_key().jwk()).unwrap();
    let header = header().to_string();
    let kid = TRUSTED.public_key().kid();
    let refused = "token_header_field_refused";
    let malformed = "token_header_malformed";
    vec![
        ("alg none", unsigned("none"), "token_algorithm_refused"),
        ("alg HS256", unsigned("HS256"), "token_algorithm_refused"),
        ("alg PS256", signed_with_header("alg", json!("PS256")), "token_algorithm_refused"),
        ("alg rs256", signed_with_header("alg", json!("rs256")), "token_algorithm_refused"),
        ("alg null", signed_with_header("alg", json!(null)), malformed),
        ("header jku", signed_with_header("jku", json!("https://evil.example")), refused),
        ("header jwk", signed_with_header("jwk", foreign_jwk), refused),
        ("header x5u", signed_with_header("x5u", json!("https://evil.example")), refused),
        ("header x5c", signed_with_header("x5c", json!(["MIIB"])), refused),
        ("header crit", signed_with_header("crit", json!(["exp"])), refused),
        ("header b64", signed_with_header("b64", json!(false)), refused),
        ("header zip", signed_with_header("zip", json!("DEF")), refused),
        ("header Alg", signed_with_header("Alg", json!("RS256")), refused),
        ("header without kid", headed(r#"{"alg":"RS256","typ":"tenure-license+jwt"}"#), malformed),
        ("header kid twice", headed(&header.replacen('{', r#"{"kid":"x","#, 1)), malformed),
        ("header kid a number", signed_with_header("kid", json!(1)), malformed),
        ("header a list", headed("[]"), malformed),
        ("header not JSON", headed("alg=RS256"), malformed),
        ("header with something after it", headed(&format!("{header} 1")), malformed),
        (
            "header too long",
            signed_with_header("kid", json!("k".repeat(HEADER_LEN_MAX))),
            malformed,
        ),
        ("unknown kid", signed_with_header("kid", json!("nobody")), "token_unknown_key"),
        (
            "kid in lower case",
            signed_with_header("kid", json!(kid.to_lowercase())),
            "token_unknown_key",
        ),
        (
            "a lease as a license",
            signed_with_header("typ", json!("tenure-lease+jwt")),
            "token_wrong_type",
        ),
        ("typ JWT", signed_with_header("typ", json!("JWT")), "token_wrong_type"),
        ("wrong audience", signed_with("aud", json!("urn:tenure:lease")), "token_wrong_audience"),
        (
            "several audiences",
            signed_with("aud", json!(["urn:tenure:license"])),
            "token_claims_invalid",
        ),
        (
            "wrong issuer",
            signed_with("iss", json!("urn:tenure:product:kg-rca")),
            "token_wrong_issuer",
        ),
        ("wrong product", signed_with("product", json!("kg-rca")), "token_wrong_issuer"),
    ]
}

fn signatures() -> Vec<Attack> {
    let genuine = issue(&claims());
    let parts: Vec<&str> = genuine.split('.').collect();
    let edited = payload().replace(r#""seats":500"#, r#""seats":-1"#);
    let header = header().to_string();
    let bad = "token_bad_signature";
    vec![
        ("foreign key", token::sign(&claims(), &*FOREIGN).unwrap(), "token_unknown_key"),
        ("foreign key under a trusted kid", signed(&header, &payload(), &FOREIGN), bad),
        ("edited claims", format!("{}.{}.{}", parts[0], b64(edited), parts[2]), bad),
        ("no signature", format!("{}.{}.", parts[0], parts[1]), bad),
        ("signature cut", format!("{}.{}.{}", parts[0], parts[1], &parts[2][..508]), bad),
        ("signature doubled", format!("{genuine}{}", parts[2]), bad),
        ("signature of zeros", format!("{}.{}.{}", parts[0], parts[1], "A".repeat(512)), bad),
    ]
}

fn spellings() -> Vec<Attack> {
    let genuine = issue(&claims());
    let parts: Vec<&str> = genuine.split('.').collect();
    let [header, payload, signature] = [parts[0], parts[1], parts[2]];
    vec![
        ("padding", format!("{genuine}=="), "token_encoding"),
        (
            "standard base64",
            format!("{header}.{payload}.{}", signature.replace('_', "/").replace('-', "+")),
            "token_encoding",
        ),
        (
            "line break in the signature",
            format!("{header}.{payload}.{}\n{}", &signature[..64], &signature[64..]),
            "token_encoding",
        ),
        ("line break after it", format!("{genuine}\n"), "token_encoding"),
        ("header padded", format!("{header}=.{payload}.{signature}"), "token_encoding"),
        ("header not ASCII", format!("é{header}.{payload}.{signature}"), "token_encoding"),
        ("blank", format!("{header}.{payload} .{signature}"), "token_bad_signature"),
        ("two parts", format!("{header}.{payload}"), "token_malformed"),
        ("four parts", format!("{genuine}.{signature}"), "token_malformed"),
        ("one part", header.to_owned(), "token_malformed"),
        ("empty", String::new(), "token_malformed"),
        ("only dots", "..".to_owned(), "token_header_malformed"),
        ("too large", "A".repeat(TOKEN_LEN_MAX + 1), "token_too_large"),
    ]
}

fn json_texts() -> Vec<Attack> {
    let payload = payload();
    let with = |member: &str| saying(payload.replacen('{', &format!("{{{member},"), 1));
    let nested = payload.replacen(r#""customer":{"#, r#""customer":{"name":"Evil","#, 1);
    let code = "token_claims_invalid";
    let mut not_utf8 = payload.clone().into_bytes();
    let place = payload.find("Acme Corp").unwrap();
    not_utf8[place] = 0xff;
    vec![
        ("claim twice", with(r#""seats":-1"#), code),
        ("claim twice, once escaped", with(r#""\u0073eats":-1"#), code),
        ("claim twice, deeper", saying(nested), code),
        ("claim twice in an unknown claim", with(r#""x":{"a":1,"a":1}"#), code),
        ("too deep", with(r#""x":[[[[[[[[1]]]]]]]]"#), code),
        ("very deep", with(&format!(r#""x":{}{}"#, "[".repeat(5_000), "]".repeat(5_000))), code),
        ("not a number", with(r#""x":NaN"#), code),
        ("leading zero", with(r#""x":01"#), code),
        ("lone surrogate", with(r#""x":"\ud800""#), code),
        ("control character", with("\"x\":\"\n\""), code),
        ("not UTF-8", saying(not_utf8), code),
        ("byte order mark", saying(format!("\u{feff}{payload}")), code),
        ("two documents", saying(format!("{payload}{{}}")), code),
        ("trailing comma", saying(payload.replacen("\"sub\"", ",\"sub\"", 1)), code),
        ("no document", saying(""), code),
        ("a list", saying("[]"), code),
        ("null", saying("null"), code),
        ("nothing said", saying("{}"), code),
    ]
}

/// Claims of the wrong kind.
fn types() -> Vec<Attack> {
    let changed = |change: fn(&mut Value)| {
        let mut payload = serde_json::to_value(claims()).unwrap();
        change(&mut payload);
        saying(payload.to_string())
    };
    let code = "token_claims_invalid";
    vec![
        ("exp a text", signed_with("exp", json!("2099-01-01")), code),
        ("exp a fraction", signed_with("exp", json!(4_000_000_000.5)), code),
        (
            "exp written as a fraction",
            saying(payload().replace("1798761600", "1798761600.0")),
            code,
        ),
        ("exp beyond all time", signed_with("exp", json!(i64::MAX)), code),
        ("exp null", signed_with("exp", json!(null)), code),
        ("seats below -1", signed_with("seats", json!(-2)), code),
        ("seats beyond what every reader holds", signed_with("seats", json!(1_u64 << 53)), code),
        ("seats a fraction", saying(payload().replace(r#""seats":500"#, r#""seats":5e2"#)), code),
        ("revision 0", signed_with("revision", json!(0)), code),
        ("revision negative", signed_with("revision", json!(-1)), code),
        ("license id malformed", signed_with("license", json!("lic_1")), code),
        (
            "license id of another kind",
            signed_with("license", json!("sub_00000000000000000000000000000001")),
            code,
        ),
        (
            "license id in capitals",
            signed_with("license", json!("lic_0000000000000000000000000000000A")),
            code,
        ),
        ("unknown model", signed_with("model", json!("everywhere")), code),
        ("unknown edition", signed_with("edition", json!("gold")), code),
        ("phoneHomeRequired a text", signed_with("phoneHomeRequired", json!("true")), code),
        ("features a text", signed_with("features", json!("sso")), code),
        ("entitlements empty", signed_with("entitlements", json!({})), code),
        ("no customer", changed(|p| drop(p.as_object_mut().unwrap().remove("customer"))), code),
        (
            "no expiry policy",
            changed(|p| drop(p.as_object_mut().unwrap().remove("expiry_policy"))),
            code,
        ),
        (
            "a limit as a number",
            changed(|p| p["limits"]["agent_runs"]["max"] = json!(200_000)),
            code,
        ),
        (
            "a limit with an exponent",
            changed(|p| p["limits"]["agent_runs"]["max"] = json!("2e5")),
            code,
        ),
        (
            "a limit below zero",
            changed(|p| p["limits"]["agent_runs"]["max"] = json!("-200000")),
            code,
        ),
        (
            "a limit of too many digits",
            changed(|p| p["limits"]["agent_runs"]["max"] = json!("200000.0000001")),
            code,
        ),
        (
            "unknown word past a limit",
            changed(|p| p["limits"]["teams"]["over"] = json!("sell")),
            code,
        ),
        ("unknown calendar", changed(|p| p["limits"]["agent_runs"]["per"] = json!("week")), code),
        ("warning negative", changed(|p| p["limits"]["teams"]["warn_at"] = json!([-1])), code),
        ("unknown action", signed_with("enforcement", json!({"grace": "explode"})), code),
    ]
}

/// Claims that contradict themselves, or say too much.
fn contradictions() -> Vec<Attack> {
    let changed = |change: fn(&mut Value)| {
        let mut payload = serde_json::to_value(claims()).unwrap();
        change(&mut payload);
        saying(payload.to_string())
    };
    let code = "token_claims_invalid";
    vec![
        ("limits and entitlements differ", signed_with("limits", json!({})), code),
        (
            "a larger max_ member",
            changed(|p| p["entitlements"]["max_agent_runs_per_month"] = json!(-1)),
            code,
        ),
        ("one more max_ member", changed(|p| p["entitlements"]["max_clusters"] = json!(5)), code),
        ("features differ", changed(|p| p["features"] = json!(["sso"])), code),
        (
            "a feature twice",
            changed(|p| {
                p["features"] = json!(["sso", "sso"]);
                p["entitlements"]["features"] = json!(["sso", "sso"]);
            }),
            code,
        ),
        ("sub is another customer", signed_with("sub", json!("ten_02")), code),
        ("ends before it starts", signed_with("nbf", json!(1_798_761_600)), code),
        ("signed after its end", signed_with("iat", json!(1_798_761_600)), code),
        ("signed before 1970", signed_with("iat", json!(-1)), code),
        ("no jti", signed_with("jti", json!("")), code),
        ("jti too long", signed_with("jti", json!("j".repeat(257))), code),
        (
            "control character in a name",
            changed(|p| p["customer"]["name"] = json!("Acme\u{85}Corp")),
            code,
        ),
        ("grace of eleven years", signed_with("offlineGracePeriod", json!(4_000)), code),
        (
            "policy out of order",
            changed(|p| p["expiry_policy"]["full_until_seconds"] = json!(2_592_001)),
            code,
        ),
        (
            "policy of a century",
            changed(|p| p["expiry_policy"]["restricted_until_seconds"] = json!(3_155_760_000_u64)),
            code,
        ),
        ("supersedes itself", changed(|p| p["supersedes"]["revision"] = json!(3)), code),
        (
            "a missing feature answered with 404",
            signed_with("enforcement", json!({"missing": {"sso": 404}})),
            code,
        ),
        (
            "too many warnings",
            changed(|p| p["limits"]["teams"]["warn_at"] = json!([1, 2, 3, 4, 5, 6, 7, 8, 9])),
            code,
        ),
        (
            "too many values",
            changed(|p| {
                let many = (0..129).map(|n| (format!("v{n}"), json!(n))).collect();
                p["values"] = Value::Object(many);
            }),
            code,
        ),
    ]
}
