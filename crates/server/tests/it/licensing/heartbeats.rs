//! What an instance says, and what it hears.

use serde_json::{Value, json};
use tenure_license::instance::Purpose;

use super::{codes, kind, soon, trail};
use crate::harness::{ADMIN, Gizmo, TestInstance, TestServer};

async fn running() -> (TestServer, Gizmo, TestInstance) {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let mut instance = TestInstance::new(1);
    instance.activate(&test, &license.key).await.expect(200);
    (test, license, instance)
}

#[tokio::test]
async fn a_heartbeat_is_counted_and_answered_unsigned() {
    let (test, license, mut instance) = running().await;
    test.advance_to("2026-03-01T00:05:00Z");
    let stats = json!({ "agent_runs": 12.5, "teams": 2 });
    let body = json!({ "usage_stats": stats, "revision": 1, "version": "1.2.0" });
    let beat = instance.beat(&test, body).await.expect(200);
    assert_eq!((&beat["status"], &beat["warnings"]), (&json!("active"), &json!([])));
    for unsigned in ["lease", "license_token", "revocations"] {
        assert!(beat[unsigned].is_null(), "{unsigned} brings nothing new: {beat}");
    }
    let all = test.get(ADMIN, &license.path("/instances")).await.expect(200);
    let shown = &all["items"][0];
    assert_eq!(shown["last_seen_at"], "2026-03-01T00:05:00Z");
    assert_eq!(
        (&shown["version"], &shown["stats"]["agent_runs"]),
        (&json!("1.2.0"), &json!("12.5"))
    );
    assert_eq!(trail(&test, &license).await[0], "instance.activated", "heartbeats are not audited");
}

#[tokio::test]
async fn a_lease_is_signed_when_it_is_asked_for_and_the_same_when_asked_again() {
    let (test, license, mut instance) = running().await;
    test.advance_to("2026-03-04T00:00:00Z");
    let call = instance.call(&test, Purpose::Heartbeat, "", json!({ "renew": true }));
    let first = test.proven(&call).await.expect(200);
    let again = test.proven(&call).await.expect(200);
    assert!(first["lease"].is_string());
    assert_eq!((&again["lease"], &again["nonce"]), (&first["lease"], &first["nonce"]));
    let all = test.get(ADMIN, &license.path("/instances")).await.expect(200);
    assert_eq!(all["items"][0]["held_until"], "2026-03-11T00:00:00Z");
    instance.hear(&first);
    let beat = instance.beat(&test, json!({})).await.expect(200);
    assert!(beat["lease"].is_null());
}

#[tokio::test]
async fn a_plan_change_brings_a_new_revision_with_the_next_heartbeat() {
    let (test, license, mut instance) = running().await;
    let two = test.beside().await;
    test.post(ADMIN, &license.subscription("/move"), json!({ "plan": "team" })).await.expect(200);
    let renewed = test.post(ADMIN, &license.path("/renew"), json!({})).await.expect(201);
    let beat = instance.beat(&test, json!({ "revision": 1 })).await.expect(200);
    assert_eq!(beat["license_token"], renewed["token"]);
    // On another server within the bound, and not again to whoever has it.
    let mut token = Value::Null;
    soon("the new revision", async || {
        token = instance.beat(&two, json!({ "revision": 1 })).await.expect(200)["license_token"]
            .clone();
        !token.is_null()
    })
    .await;
    assert_eq!(token, renewed["token"]);
    let beat = instance.beat(&test, json!({ "revision": 2, "usage_stats": { "teams": 6 } })).await;
    let beat = beat.expect(200);
    assert_eq!((&beat["license_token"], codes(&beat)), (&json!(null), vec![]), "fifty teams now");
}

#[tokio::test]
async fn a_suspended_subscription_renews_no_lease_and_is_no_error() {
    let (test, license, mut instance) = running().await;
    test.post(ADMIN, &license.subscription("/suspend"), json!({})).await.expect(200);
    let beat = instance.beat(&test, json!({ "renew": true })).await.expect(200);
    assert_eq!((&beat["status"], &beat["lease"]), (&json!("active"), &json!(null)));
    assert_eq!(codes(&beat), ["access_withheld"]);
    let refused = instance.activate(&test, &license.key).await.expect(403);
    assert_eq!(kind(&refused), "access-withheld");
    test.post(ADMIN, &license.subscription("/activate"), json!({})).await.expect(200);
    let beat = instance.beat(&test, json!({ "renew": true })).await.expect(200);
    assert!(beat["lease"].is_string(), "{beat}");
}

#[tokio::test]
async fn limits_warn_and_the_most_of_a_month_is_kept() {
    let (test, license, mut instance) = running().await;
    let deployments = format!("{}/deployments", license.tenant);
    let all = test.get(ADMIN, &deployments).await.expect(200);
    let first = all["items"][0]["id"].clone();
    let body = json!({ "subscription": license.subscription, "name": "eu" });
    let second = test.post(ADMIN, &deployments, body).await.expect(201)["id"].clone();
    let mut others = [TestInstance::new(2), TestInstance::new(3)];
    for (instance, place) in others.iter_mut().zip([&first, &second]) {
        let body = json!({ "deployment_id": place });
        let call = instance.call(&test, Purpose::Activate, &license.key, body);
        let answer = test.proven(&call).await.expect(200);
        instance.hear(&answer);
    }
    let mark = async |stat: &str| {
        let all = test.get(ADMIN, &license.path("/high-water")).await.expect(200);
        let items = all["items"].as_array().unwrap().clone();
        let of = |mark: &&Value| mark["stat"] == stat && mark["month"] == "2026-03-01";
        items.iter().find(of).map(|mark| mark["value"].as_str().unwrap().to_owned())
    };
    assert_eq!(mark("teams").await, None);
    instance
        .beat(&test, json!({ "usage_stats": { "teams": 4, "unheard_of": 9 } }))
        .await
        .expect(200);
    assert_eq!(mark("teams").await.as_deref(), Some("4"));
    assert_eq!(mark("unheard_of").await, None, "only what the product counts");
    // Deployments are added up; replicas of one count once, by the newest report.
    others[0].beat(&test, json!({ "usage_stats": { "teams": 3 } })).await.expect(200);
    others[1].beat(&test, json!({ "usage_stats": { "teams": 2 } })).await.expect(200);
    assert_eq!(mark("teams").await.as_deref(), Some("9"));
    let beat = instance.beat(&test, json!({ "usage_stats": { "teams": 1 } })).await.expect(200);
    assert_eq!(codes(&beat), [""; 0]);
    assert_eq!(mark("teams").await.as_deref(), Some("9"), "a mark never falls");
    // Another month begins at nothing: what was counted last month is not counted in this one.
    test.advance_to("2026-04-01T00:00:00Z");
    let all = test.get(ADMIN, &license.path("/high-water")).await.expect(200);
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "{all}");
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_and_nothing_is_refused() {
    let (test, _, mut instance) = running().await;
    instance.seq += 1;
    let at = |minutes: i64| test.app().now() + jiff::SignedDuration::from_mins(minutes);
    let send = async |instance: &TestInstance, minutes| {
        let proof = instance.proof(Purpose::Heartbeat, instance.seq, "{}", at(minutes));
        let path = "/api/v1/heartbeat".to_owned();
        let call =
            crate::harness::ProvenCall { path, bearer: String::new(), proof, body: "{}".into() };
        test.proven(&call).await.expect(200)
    };
    let beat = send(&instance, -6).await;
    assert_eq!(codes(&beat), ["clock_skew"]);
    assert!(
        beat["warnings"][0]["message"].as_str().unwrap().contains("6 minutes behind"),
        "{beat}"
    );
    instance.hear(&beat);
    instance.seq += 1;
    let beat = send(&instance, 4).await;
    assert_eq!(codes(&beat), [""; 0]);
}

#[tokio::test]
async fn a_server_that_lost_some_calls_goes_on_with_the_next() {
    let (test, license, mut instance) = running().await;
    // As after a restored backup: the instance is ahead.
    instance.seq += 7;
    instance.nonce = "of an answer that the server forgot".to_owned();
    let beat = instance.beat(&test, json!({})).await.expect(200);
    assert_eq!(beat["status"], "active");
    let beat = instance.beat(&test, json!({})).await.expect(200);
    assert_eq!(beat["status"], "active");
    let path = license.path("/instances");
    assert_eq!(test.get(ADMIN, &path).await.expect(200)["items"][0]["state"], "held");
}

#[tokio::test]
async fn heartbeats_go_on_when_the_servers_take_turns() {
    let (one, _, mut instance) = running().await;
    let two = one.beside().await;
    for turn in 0..12 {
        let server = if turn % 2 == 0 { &two } else { &one };
        let beat =
            instance.beat(server, json!({ "usage_stats": { "teams": turn } })).await.expect(200);
        assert_eq!(beat["status"], "active", "turn {turn}");
    }
}
