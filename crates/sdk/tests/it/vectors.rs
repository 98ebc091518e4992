//! The golden vectors, asked through the SDK. What is below it (lists, leases, key strings) is held
//! to them by `tenure-license`, which writes them.

use serde_json::Value;
use tenure_core::clock::ManualClock;
use tenure_sdk::{Error, Quantity, Settings, Tenure, Work};

use crate::world::{PRODUCT, VECTORS};

fn cases(name: &str) -> impl Iterator<Item = &'static Value> {
    VECTORS[name].as_array().unwrap().iter()
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_else(|| panic!("{name} in {case}"))
}

fn start(presented: String, now: &str) -> Result<Tenure, Error> {
    let settings = Settings { license_key: Some(presented), ..Settings::default() };
    Tenure::builder()
        .product(PRODUCT)
        .keys(&VECTORS["jwks"].to_string())
        .allow_test_keys()
        .clock(ManualClock::new(now.parse().unwrap()))
        .start(settings)
}

fn licensed(name: &Value, now: &str) -> Tenure {
    let case = cases("licenses").find(|case| case["name"] == *name).unwrap();
    start(text(case, "token").to_owned(), now).unwrap()
}

const NOW: &str = "2026-06-01T00:00:00Z";

#[test]
fn every_attack_is_refused_for_its_reason() {
    assert_eq!(VECTORS["version"], 2);
    // A text without a dot is taken for a short key, and one that is trimmed is another text.
    for case in cases("refused").filter(|case| text(case, "token").trim_ascii().contains('.')) {
        let token = text(case, "token");
        if token != token.trim_ascii() {
            continue;
        }
        let error = start(token.to_owned(), NOW).err().unwrap_or_else(|| panic!("{case}"));
        assert_eq!(error.code(), case["error"], "{}", case["name"]);
    }
}

#[test]
fn files_and_presented_values_start_a_product_or_are_refused() {
    for case in cases("files").filter(|case| text(case, "text").contains("-----BEGIN")) {
        match start(text(case, "text").to_owned(), NOW) {
            Ok(tenure) => assert_eq!(tenure.claims().revision, 3, "{}", case["name"]),
            Err(error) => assert_eq!(error.code(), case["error"], "{}", case["name"]),
        }
    }
    for case in cases("presented") {
        let code = start(text(case, "text").to_owned(), NOW).err().map(|error| error.code());
        let expected = match (&case["error"], &case["key"]) {
            (Value::String(code), _) => Some(code.as_str()),
            (_, Value::String(_)) => Some("license_key_needs_server"),
            _ => None,
        };
        assert_eq!(code, expected, "{}", case["name"]);
    }
}

#[test]
fn verdicts_that_need_a_clock_alone() {
    let beside = ["floor", "revocations", "lease_until", "held_since"];
    let alone = |case: &&Value| beside.iter().all(|name| case[*name].is_null());
    for case in cases("verdicts").filter(alone) {
        let verdict = licensed(&case["license"], text(case, "now")).verdict();
        assert_eq!(serde_json::to_value(verdict).unwrap(), case["verdict"], "{}", case["name"]);
    }
}

#[test]
fn decisions() {
    for case in cases("decisions") {
        let tenure = licensed(&case["license"], text(case, "now"));
        let ask = &case["ask"];
        let amount = |name| text(ask, name).parse::<Quantity>().unwrap();
        let decision = if let Some(feature) = ask["feature"].as_str() {
            assert_eq!(tenure.allows(feature), case["decision"]["allowed"], "{}", case["name"]);
            tenure.feature(feature)
        } else if let Some(limit) = ask["limit"].as_str() {
            tenure.limit(limit, amount("used"), amount("more"))
        } else {
            tenure.work(serde_json::from_value::<Work>(ask["work"].clone()).unwrap())
        };
        assert_eq!(serde_json::to_value(decision).unwrap(), case["decision"], "{}", case["name"]);
    }
}
