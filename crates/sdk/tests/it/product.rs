//! A product over its life: offline, with an agent, with a server.

use std::fs;

use jiff::Timestamp;
use serde_json::json;
use tenure_core::{
    Quantity,
    clock::{Clock, ManualClock},
};
use tenure_license::file;
use tenure_sdk::{Error, License, QUEUE_MAX, Reason, Settings, State, Tenure, Work};

use crate::world::{Other, PRODUCT, VECTORS, days, keys, lease, license, revocations};

const AGENT_LICENSE: &str = "/v1/license";
const ACTIVATE: &str = "/api/v1/activate";

fn start(settings: Settings) -> Result<Tenure, Error> {
    Tenure::builder().product(PRODUCT).keys(&keys()).start(settings)
}

fn offline(license: String) -> Settings {
    Settings { license_key: Some(license), ..Settings::default() }
}

fn with_agent(other: &Other, dir: &tempfile::TempDir) -> Settings {
    let secret = dir.path().join("secret");
    fs::write(&secret, "s3cret\n").unwrap();
    let agent = Some(other.address.clone());
    Settings { agent_secret_file: Some(secret), agent, ..Settings::default() }
}

fn short_key() -> String {
    VECTORS["license_keys"]["valid"][1]["text"].as_str().unwrap().to_owned()
}

#[test]
fn a_token_a_file_and_its_path_are_the_same_license() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("product.lic");
    fs::write(&path, file::write(&license(|_| ()))).unwrap();
    for presented in
        [license(|_| ()), file::write(&license(|_| ())), path.to_str().unwrap().to_owned()]
    {
        let tenure = start(offline(presented)).unwrap();
        assert_eq!(tenure.state(), State::Active);
        assert!(tenure.allows("github") && !tenure.allows("sso"));
        assert_eq!(tenure.feature("sso").status, 403);
        assert_eq!(tenure.limit("teams", 5_u32, 1_u32).code, "limit_reached");
        assert_eq!(tenure.record("agent.run", None), None, "nowhere to send it");
    }
    let license = License::verify(PRODUCT, &keys(), &license(|_| ())).unwrap();
    assert_eq!(license.at(Timestamp::now()).state, State::Active);
}

#[test]
fn without_a_license_there_is_no_start() {
    assert_eq!(start(Settings::default()).err().unwrap().code(), "license_missing");
    assert_eq!(start(offline(short_key())).err().unwrap().code(), "license_key_needs_server");
    let forged = license(|_| ()).replacen("eyJ", "eyK", 1);
    assert!(start(offline(forged)).err().unwrap().code().starts_with("token_"));
    let test_keys = VECTORS["jwks"].to_string();
    let refused = Tenure::builder().product(PRODUCT).keys(&test_keys).start(Settings::default());
    assert_eq!(refused.err().unwrap().code(), "keys_test_key");
}

#[test]
fn an_agent_is_believed_by_its_tokens_alone() {
    let dir = tempfile::tempdir().unwrap();
    let other = Other::start(AGENT_LICENSE, json!({"license": "a.b.c", "state": "active"}));
    let refused = start(with_agent(&other, &dir)).err().unwrap();
    assert!(refused.code().starts_with("token_"), "{refused}");
    assert_eq!(other.asked()[0].1, "Bearer s3cret");
}

#[test]
fn a_signed_list_ends_a_license_and_an_older_list_does_not_bring_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let other = Other::start(AGENT_LICENSE, json!({"license": license(|_| ())}));
    let tenure = start(with_agent(&other, &dir)).unwrap();
    assert!(tenure.work(Work::New).allowed);
    let mine = json!([{"license": format!("lic_{:032x}", 1), "at": 1}]);
    for (epoch, withdrawn) in [(2, mine), (1, json!([]))] {
        let list = revocations(epoch, withdrawn);
        let answer = json!({"license": license(|_| ()), "revocations": list});
        other.answers(AGENT_LICENSE, 200, answer);
        tenure.refresh().unwrap();
        assert_eq!(tenure.verdict().reason, Reason::Revoked);
    }
    assert!(!tenure.allows("github"));
}

#[test]
fn an_agent_that_is_gone_changes_nothing_and_an_older_revision_neither() {
    let dir = tempfile::tempdir().unwrap();
    let other = Other::start(AGENT_LICENSE, json!({"license": license(|c| c.revision = 4)}));
    let tenure = start(with_agent(&other, &dir)).unwrap();
    other.answers(AGENT_LICENSE, 503, json!({}));
    assert_eq!(tenure.refresh().unwrap_err().code(), "refused");
    other.answers(AGENT_LICENSE, 200, json!({"license": license(|_| ())}));
    assert_eq!(tenure.refresh().unwrap_err().code(), "license_older");
    assert_eq!((tenure.state(), tenure.claims().revision), (State::Active, 4));
}

#[test]
fn a_quota_is_used_and_recorded_in_one_call() {
    const CONSUME: &str = "/v1/quota/agent_runs/consume";
    let dir = tempfile::tempdir().unwrap();
    let other = Other::start(AGENT_LICENSE, json!({"license": license(|_| ())}));
    let tenure = start(with_agent(&other, &dir)).unwrap();
    let granted =
        json!({"allowed": true, "status": 200, "code": "ok", "message": null, "banner": false});
    other.answers(CONSUME, 200, granted);
    let data = Some(json!({"runs": "1"}));
    let used = tenure.consume("agent_runs", 1_u32, "agent.run", data, Some("run-17"));
    assert!(used.unwrap().allowed);
    let asked = other.asked().pop().unwrap();
    assert_eq!((&*asked.0, &asked.2["quantity"]), (CONSUME, &json!("1")));
    assert_eq!(asked.2["event"]["id"], "run-17");
    assert_eq!(asked.2["event"]["type"], "agent.run");
    let words = "Monthly quota exceeded: 3/3.";
    let refused = json!({"allowed": false, "status": 402, "code": "quota_exceeded",
        "message": words, "banner": false});
    other.answers(CONSUME, 200, refused);
    let half: Quantity = "0.5".parse().unwrap();
    let used = tenure.consume("agent_runs", half, "agent.run", None, None).unwrap();
    assert_eq!((used.allowed, used.status, used.message.as_deref()), (false, 402, Some(words)));
    let alone = start(offline(license(|_| ()))).unwrap();
    let none = alone.consume("agent_runs", 1_u32, "agent.run", None, None);
    assert_eq!(none.unwrap_err().code(), "agent_missing");
}

#[test]
fn contact_is_followed_through_leases_of_this_license_alone() {
    let dir = tempfile::tempdir().unwrap();
    let token = license(|claims| {
        claims.phone_home_required = true;
        claims.offline_grace_period_days = 1;
    });
    let answer = |lease: String| json!({"license": token, "lease": lease});
    let other = Other::start(AGENT_LICENSE, answer(lease(days(-2), 1)));
    let tenure = start(with_agent(&other, &dir)).unwrap();
    assert_eq!(tenure.verdict().reason, Reason::PhoneHomeOverdue);
    other.answers(AGENT_LICENSE, 200, answer(lease(days(1), 2)));
    tenure.refresh().unwrap();
    assert_eq!(tenure.verdict().reason, Reason::PhoneHomeOverdue);
    other.answers(AGENT_LICENSE, 200, answer(lease(days(1), 1)));
    tenure.refresh().unwrap();
    assert_eq!(tenure.verdict().reason, Reason::Valid);
}

#[test]
fn a_short_key_is_exchanged_and_the_license_outlives_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let other = Other::start(ACTIVATE, json!({"license_token": license(|_| ())}));
    let settings = || Settings {
        server: Some(other.address.clone()),
        state_file: Some(dir.path().join("state.json")),
        ..offline(short_key())
    };
    let tenure = start(settings()).unwrap();
    assert_eq!(other.asked()[0].2["license_key"], VECTORS["license_keys"]["valid"][0]["text"]);
    let validation = json!({"valid": false, "status": "terminated", "reason": "revoked"});
    other.answers("/api/v1/validate", 200, validation);
    tenure.refresh().unwrap();
    assert_eq!(tenure.verdict().reason, Reason::Revoked);
    other.answers(ACTIVATE, 500, json!({}));
    assert_eq!(start(settings()).unwrap().state(), State::Active);
}

struct Moved(std::sync::Arc<ManualClock>, std::sync::Arc<std::sync::atomic::AtomicI64>);

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        let back = self.1.load(std::sync::atomic::Ordering::Relaxed);
        Timestamp::from_second(self.0.now().as_second() - back).unwrap()
    }
}

#[test]
fn a_clock_set_back_gains_nothing_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let clock = std::sync::Arc::new(ManualClock::new(days(0)));
    let back = std::sync::Arc::default();
    let token = license(|_| ());
    let run = || {
        let moved = Moved(clock.clone(), std::sync::Arc::clone(&back));
        let state_file = Some(dir.path().join("state.json"));
        let settings = Settings { state_file, ..offline(token.clone()) };
        Tenure::builder().product(PRODUCT).keys(&keys()).clock(moved).start(settings).unwrap()
    };
    let tenure = run();
    assert_eq!(tenure.state(), State::Active);
    clock.advance_to(days(700));
    assert_eq!(tenure.state(), State::Terminated, "judged anew when its time is over");
    back.store(700 * 86_400, std::sync::atomic::Ordering::Relaxed);
    let verdict = tenure.verdict();
    assert!(verdict.clock_suspect && verdict.state == State::Terminated);
    assert_eq!(run().state(), State::Terminated);
}

#[test]
fn usage_keeps_its_ids_until_it_is_taken_and_the_queue_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let other = Other::start(AGENT_LICENSE, json!({"license": license(|_| ())}));
    let tenure = start(with_agent(&other, &dir)).unwrap();
    let ids: Vec<_> =
        (0..3).map(|n| tenure.record("agent.run", Some(json!({"runs": n}))).unwrap()).collect();
    other.answers("/v1/usage", 503, json!({}));
    assert_eq!(tenure.flush().unwrap_err().code(), "refused");
    other.answers("/v1/usage", 200, json!({"results": [{"outcome": "rejected"}]}));
    tenure.flush().unwrap();
    assert_eq!(tenure.usage_standing(), (0, 1));
    let sent = other.asked().into_iter().filter(|(path, ..)| path == "/v1/usage");
    let sent: Vec<Vec<String>> = sent
        .map(|(_, _, events)| {
            let events = events.as_array().unwrap();
            events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
        })
        .collect();
    assert!(sent.len() >= 2 && sent.iter().all(|batch| *batch == ids), "{sent:?}");
    other.answers("/v1/usage", 503, json!({}));
    let recorded = (0..=QUEUE_MAX).filter(|_| tenure.record("agent.run", None).is_some()).count();
    assert_eq!(recorded, QUEUE_MAX);
}
