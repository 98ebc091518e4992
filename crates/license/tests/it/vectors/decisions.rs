//! The questions of a product, and the answers.

use serde_json::{Value, json};
use tenure_license::{
    enforcement::{self, Work},
    state::{Input, evaluate},
};

use super::licenses::named;
use crate::support::{at, verified};

const IN_FORCE: &str = "2026-06-01T00:00:00Z";

/// A moment of each state.
const MOMENTS: [(&str, &str); 5] = [
    ("active", IN_FORCE),
    ("expiring", "2026-12-20T00:00:00Z"),
    ("grace", "2027-01-02T00:00:00Z"),
    ("restricted", "2027-01-10T00:00:00Z"),
    ("terminated", "2027-02-01T00:00:00Z"),
];

pub(super) fn cases() -> Vec<Value> {
    let mut cases = vec![];
    let mut add = |name: String, license: &str, now: &str, ask: Value| {
        let decision = decide(license, now, &ask);
        cases.push(
            json!({"name": name, "license": license, "now": now, "ask": ask, "decision": decision}),
        );
    };
    for license in ["standard", "lenient"] {
        for (state, now) in MOMENTS {
            for work in ["new", "running"] {
                add(
                    format!("{license}: {work} work when {state}"),
                    license,
                    now,
                    json!({"work": work}),
                );
            }
            add(
                format!("{license}: a feature when {state}"),
                license,
                now,
                json!({"feature": "sso"}),
            );
        }
    }
    for (state, now) in MOMENTS {
        add(
            format!("near a limit when {state}"),
            "metered",
            now,
            json!({"limit": "teams", "used": "3", "more": "1"}),
        );
        add(
            format!("past a limit when {state}"),
            "metered",
            now,
            json!({"limit": "queries", "used": "1000", "more": "1"}),
        );
        add(
            format!("a missing feature when {state}"),
            "metered",
            now,
            json!({"feature": "webhooks"}),
        );
    }
    add("the clock is suspect".into(), "standard", "1970-01-01T00:00:00Z", json!({"work": "new"}));
    for feature in ["air_gapped", "webhooks", "sso", "never_heard_of", ""] {
        add(format!("feature `{feature}`"), "metered", IN_FORCE, json!({"feature": feature}));
    }
    add("nobody to ask".into(), "plain", IN_FORCE, json!({"feature": "sso"}));
    add(
        "no limits at all".into(),
        "plain",
        IN_FORCE,
        json!({"limit": "teams", "used": "0", "more": "1"}),
    );
    for (limit, used, more) in [
        ("teams", "2", "1"),
        ("teams", "3", "1"),
        ("teams", "4", "1"),
        ("teams", "5", "1"),
        ("teams", "5", "0"),
        ("teams", "0", "6"),
        ("users", "20", "1"),
        ("users", "20", "0"),
        ("clusters", "999999999999999", "1"),
        ("agent_runs", "7998", "1"),
        ("agent_runs", "7999", "1"),
        ("agent_runs", "9999", "1"),
        ("agent_runs", "10000", "1"),
        ("agent_runs", "10000.000000", "0.000001"),
        ("storage", "9.999999", "0.000001"),
        ("storage", "9.999998", "0.000001"),
        ("storage", "12.50", "0.000001"),
        ("storage", "12.25", "0.25"),
        ("queries", "899", "1"),
        ("queries", "500", "0"),
        ("queries", "1000", "250"),
        ("tokens", "999999999999999.999999", "0"),
        ("tokens", "999999999999999.999999", "0.000001"),
        ("tokens", "999999999999999.999999", "999999999999999.999999"),
        ("exports", "0", "0"),
        ("exports", "0", "1"),
        ("unknown", "0", "1"),
    ] {
        let ask = json!({"limit": limit, "used": used, "more": more});
        add(format!("{used} {limit} and {more} more"), "metered", IN_FORCE, ask);
    }
    cases
}

fn decide(license: &str, now: &str, ask: &Value) -> Value {
    let claims = named(license);
    let verified = verified(&claims);
    let verdict = evaluate(&Input::new(&verified, at(now)));
    let text = |name: &str| ask[name].as_str();
    let decision = if let Some(feature) = text("feature") {
        enforcement::feature(&claims, &verdict, feature)
    } else if let Some(limit) = text("limit") {
        let amount = |name| text(name).unwrap().parse().unwrap();
        enforcement::limit(&claims, &verdict, limit, amount("used"), amount("more"))
    } else {
        let work = if text("work") == Some("new") { Work::New } else { Work::Running };
        enforcement::work(&claims, &verdict, work)
    };
    serde_json::to_value(decision).unwrap()
}
