//! Slices of quotas, without a network and through an SDK.

use serde_json::{Value, json};
use tenure_core::clock::ManualClock;

use crate::{
    copies::copy,
    support::{Local, PRODUCT, Place, event, keys},
};

async fn consume(local: &Local, place: &Place, id: &str) -> Value {
    let body = json!({ "quantity": "1", "event": event(id, place.now()) });
    let (status, answer) = local.post("/v1/quota/agent_runs/consume", &body).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test]
async fn a_slice_is_used_without_a_network_until_its_end_and_then_the_table_is_followed() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    place.vendor.book().slices = vec![2, 2];
    let local = Local::of(&agent).await;
    assert_eq!(consume(&local, &place, "1").await["left"], "1");
    place.vendor.book().down = true;
    let second = consume(&local, &place, "2").await;
    assert_eq!((&second["allowed"], &second["left"]), (&json!(true), &json!("0")), "no network");
    let third = consume(&local, &place, "3").await;
    assert_eq!((&third["allowed"], &third["status"]), (&json!(false), &json!(402)), "{third}");
    assert_eq!(third["code"], "quota_exceeded");
    let words = third["message"].as_str().unwrap();
    assert!(words.starts_with("Monthly quota exceeded: 0/3."), "{words}");
    assert!(words.contains("the license service gave none"), "{words}");
    // What is recorded already is not refused, and takes nothing.
    assert_eq!(consume(&local, &place, "2").await["outcome"], "duplicate");

    place.vendor.book().down = false;
    place.forward(6);
    assert_eq!(consume(&local, &place, "3").await["allowed"], true, "there again");
    place.vendor.book().down = true;
    // The slice has ended, though something is left of it.
    place.forward(3_601);
    assert_eq!(consume(&local, &place, "4").await["allowed"], false);
    place.vendor.book().down = false;
    place.forward(6);
    let over = consume(&local, &place, "4").await;
    let words = over["message"].as_str().unwrap();
    assert!(words.starts_with("Monthly quota exceeded: 3/3."), "the vendor's words: {words}");
    place.pass(&[&agent], 1, 5).await;
    let counted = place.vendor.book().counted.clone();
    assert_eq!(counted.len(), 3, "what was allowed is what is recorded: {counted:?}");
}

#[tokio::test]
async fn what_is_refused_leaves_nothing_and_what_is_allowed_survives_the_process() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    place.vendor.book().slices = vec![2];
    let local = Local::of(&agent).await;
    assert_eq!(consume(&local, &place, "1").await["allowed"], true);
    let name = event("1", place.now());
    let mut other = name.clone();
    other["data"] = json!({ "n": 7 });
    let body = json!({ "event": other });
    let (status, problem) = local.post("/v1/quota/agent_runs/consume", &body).await;
    assert_eq!((status, &problem["code"]), (409, &json!("taking_conflict")));
    assert_eq!(local.get("/v1/sent").await["usage_to_be_forwarded"]["events"], 1);
    // What is on its disk at this moment is what a start after a crash finds.
    copy(&place.temp.path().join("a"), &place.temp.path().join("b"));
    let agent = place.open(place.settings("b")).await;
    let local = Local::of(&agent).await;
    let quotas = local.get("/v1/quota").await;
    assert_eq!(quotas["quotas"][0]["slices"][0]["left"], "1", "{quotas}");
    assert_eq!(consume(&local, &place, "1").await["outcome"], "duplicate");
    assert_eq!(consume(&local, &place, "2").await["allowed"], true);
    assert_eq!(consume(&local, &place, "3").await["allowed"], false);
}

#[tokio::test]
async fn a_limit_that_warns_is_recorded_past_it_and_an_unknown_one_grants_nothing() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    let local = Local::of(&agent).await;
    let body = json!({ "event": event("1", place.now()) });
    let (_, unknown) = local.post("/v1/quota/nothing/consume", &body).await;
    assert_eq!((&unknown["allowed"], &unknown["code"]), (&json!(false), &json!("limit_reached")));
    assert_eq!(local.get("/v1/sent").await["usage_to_be_forwarded"]["events"], 0);
    let (status, _) = local.post("/v1/quota/agent_runs/consume", &json!({ "event": 3 })).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn without_a_server_the_license_is_the_limit_of_this_machine() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    agent.close().await.unwrap();
    copy(&place.temp.path().join("a"), &place.temp.path().join("b"));
    let mut settings = place.settings("b");
    settings.server = None;
    let agent = place.open(settings).await;
    let local = Local::of(&agent).await;
    for id in ["1", "2", "3"] {
        assert_eq!(consume(&local, &place, id).await["allowed"], true);
    }
    let over = consume(&local, &place, "4").await;
    assert!(over["message"].as_str().unwrap().starts_with("Monthly quota exceeded: 3/3"), "{over}");
    assert_eq!(local.get("/v1/sent").await["usage_to_be_forwarded"]["events"], 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_sdk_is_licensed_by_a_real_agent_records_and_uses_a_quota() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    place.vendor.book().slices = vec![2];
    let local = Local::of(&agent).await;
    let secret = place.temp.path().join("a/local-secret");
    let settings = tenure_sdk::Settings {
        agent: Some(local.base.clone()),
        agent_secret_file: Some(secret),
        source: Some("/product".into()),
        ..tenure_sdk::Settings::default()
    };
    let clock = ManualClock::new(place.now());
    let used = tokio::task::spawn_blocking(move || {
        let tenure = tenure_sdk::Tenure::builder()
            .product(PRODUCT)
            .keys(&keys())
            .clock(clock)
            .start(settings)
            .expect("licensed");
        assert_eq!(tenure.state(), tenure_sdk::State::Active);
        assert_eq!(tenure.claims().revision, 1);
        tenure.record("agent.run", None).expect("recorded");
        tenure.flush().expect("taken");
        tenure.consume("agent_runs", 1_u32, "agent.run", None, Some("run-17")).expect("an answer")
    });
    let used = used.await.unwrap();
    assert!(used.allowed, "{used:?}");
    place.pass(&[&agent], 1, 5).await;
    assert_eq!(place.vendor.book().counted.len(), 2);
}
