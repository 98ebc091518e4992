//! Licenses at moments, and what they are worth there.

use serde_json::{Value, json};
use tenure_license::state::{Contact, Input, Revocation, evaluate};

use super::{licenses::named, others::genuine_lists};
use crate::support::{at, verified};

const JUNE: &str = "2026-06-01T00:00:00Z";

pub(super) fn cases() -> Vec<Value> {
    let mut cases = vec![];
    let mut add = |name: &str, license: &str, case: Value| {
        let mut case = case;
        case["name"] = json!(name);
        case["license"] = json!(license);
        case["verdict"] = judge(&case);
        cases.push(case);
    };
    for (name, now) in [
        ("valid", JUNE),
        ("the last second before the warning", "2026-12-17T23:59:59Z"),
        ("expires soon", "2026-12-18T00:00:00Z"),
        ("the last second", "2026-12-31T23:59:59Z"),
        ("expired, full function", "2027-01-01T00:00:00Z"),
        ("the last second of full function", "2027-01-07T23:59:59Z"),
        ("expired, restricted", "2027-01-08T00:00:00Z"),
        ("expired for good", "2027-01-31T00:00:00Z"),
        ("long expired", "2099-01-01T00:00:00Z"),
        ("clock before issue", "1970-01-01T00:00:00Z"),
        ("clock four minutes slow", "2025-12-31T23:56:00Z"),
        ("clock six minutes slow", "2025-12-31T23:54:00Z"),
    ] {
        add(name, "standard", json!({"now": now}));
    }
    for (name, now, floor) in [
        ("clock set back", JUNE, "2027-01-02T00:00:00Z"),
        ("clock five minutes behind", "2027-01-31T23:55:00Z", "2027-02-01T00:00:00Z"),
        ("clock five minutes and a second behind", "2027-01-31T23:54:59Z", "2027-02-01T00:00:00Z"),
        ("floor behind the clock", JUNE, "2026-05-01T00:00:00Z"),
        ("floor before issue", JUNE, "2020-01-01T00:00:00Z"),
    ] {
        add(name, "standard", json!({"now": now, "floor": floor}));
    }
    for (name, now, revocations) in [
        ("nothing taken back", JUNE, "empty"),
        ("revoked", JUNE, "revoked"),
        ("revoked later", "2026-04-30T23:59:59Z", "revoked"),
        ("superseded", JUNE, "superseded below"),
        ("superseded and expired for good", "2027-03-01T00:00:00Z", "superseded below"),
        ("superseded in grace", "2027-01-02T00:00:00Z", "superseded below"),
        ("an older revision superseded", JUNE, "superseded, not this revision"),
        ("revoked and superseded", JUNE, "revoked and superseded"),
        ("another license revoked", JUNE, "another license"),
    ] {
        add(name, "standard", json!({"now": now, "revocations": revocations}));
    }
    for (name, now) in
        [("in contact", "2026-06-30T23:59:59Z"), ("out of contact", "2026-07-01T00:00:00Z")]
    {
        add(name, "standard", json!({"now": now, "lease_until": JUNE}));
    }
    for (name, now) in [
        ("new, never in contact", "2026-03-30T23:59:59Z"),
        ("never in contact", "2026-03-31T00:00:00Z"),
    ] {
        add(name, "standard", json!({"now": now, "held_since": "2026-03-01T00:00:00Z"}));
    }
    add(
        "contact is not required",
        "metered",
        json!({"now": "2026-12-01T00:00:00Z", "lease_until": JUNE}),
    );
    add(
        "out of contact and superseded",
        "standard",
        json!({
        "now": "2026-08-01T00:00:00Z", "lease_until": JUNE, "revocations": "superseded below"}),
    );
    for (name, now) in [
        ("its time has not come", "2026-02-01T00:00:00Z"),
        ("its time has nearly come", "2026-02-28T23:55:00Z"),
        ("its time has come", "2026-03-01T00:00:00Z"),
        ("without a network, expires soon", "2026-12-20T00:00:00Z"),
        ("strict, full function", "2027-01-07T23:59:59Z"),
        ("strict, over", "2027-01-08T00:00:00Z"),
    ] {
        add(name, "bound", json!({"now": now}));
    }
    add("a name that is not ASCII", "plain", json!({"now": "2027-01-02T00:00:00Z"}));
    cases
}

pub(super) fn judge(case: &Value) -> Value {
    let moment = |name: &str| case[name].as_str().map(at);
    let claims = named(case["license"].as_str().unwrap());
    let license = verified(&claims);
    let lists = genuine_lists();
    let list = case["revocations"].as_str().map(|name| {
        lists.iter().find(|(other, _)| *other == name).map(|(_, list)| list.of(&claims)).unwrap()
    });
    let lease = moment("lease_until").map(Contact::LeaseUntil);
    let held = moment("held_since").map(Contact::NeverSince);
    let verdict = evaluate(&Input {
        license: &license,
        now: moment("now").unwrap(),
        floor: moment("floor"),
        revocation: list.unwrap_or(Revocation::None),
        contact: lease.or(held).unwrap_or_default(),
    });
    serde_json::to_value(verdict).unwrap()
}
