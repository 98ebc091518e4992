//! Calls that are replayed, reordered, forged or made twice.

use serde_json::json;
use tenure_license::instance::Purpose;

use super::{codes, kind, trail};
use crate::harness::{ADMIN, Gizmo, ProvenCall, TestInstance, TestServer};

async fn running() -> (TestServer, Gizmo, TestInstance) {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let mut instance = TestInstance::new(1);
    instance.activate(&test, &license.key).await.expect(200);
    (test, license, instance)
}

async fn seen(test: &TestServer, license: &Gizmo) -> serde_json::Value {
    test.get(ADMIN, &license.path("/instances")).await.expect(200)["items"][0].clone()
}

#[tokio::test]
async fn a_proof_goes_with_its_body_its_purpose_and_its_key_alone() {
    let (test, license, mut instance) = running().await;
    let call =
        instance.call(&test, Purpose::Heartbeat, "", json!({ "usage_stats": { "teams": 1 } }));
    let body = ProvenCall { body: call.body.replace('1', "2"), ..call.clone() };
    let purpose = ProvenCall { path: "/api/v1/release".into(), body: "{}".into(), ..call.clone() };
    let activate =
        ProvenCall { path: "/api/v1/activate".into(), bearer: license.key.clone(), ..call.clone() };
    let (head, signature) = call.proof.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let forged =
        ProvenCall { proof: format!("{head}.{flipped}{}", &signature[1..]), ..call.clone() };
    let none = ProvenCall { proof: "eyJhbGciOiJub25lIn0.e30.".into(), ..call.clone() };
    let long = ProvenCall { proof: "x".repeat(20_000), ..call.clone() };
    for wrong in [body, purpose, activate, forged, none, long] {
        let problem = test.proven(&wrong).await;
        assert_eq!(problem.status, 401, "{}", problem.text);
        assert_eq!(kind(&problem.json), "proof-refused");
    }
    // Nothing of that was counted: the very call is still the next one.
    let before = seen(&test, &license).await;
    assert_eq!((&before["state"], &before["stats"]), (&json!("held"), &json!({})));
    assert_eq!(test.proven(&call).await.expect(200)["status"], "active");
}

#[tokio::test]
async fn an_instance_of_another_key_or_none_at_all_is_unknown() {
    let (test, license, instance) = running().await;
    let mut thief = instance.copied(2);
    let problem = thief.beat(&test, json!({})).await.expect(401);
    assert_eq!(kind(&problem), "instance-unknown");
    let mut fake = TestInstance::new(1);
    fake.id = Some("ins_01932f3ea1b27c3d9e4f5a6b7c8d9e0f".parse().unwrap());
    let nobody = fake.beat(&test, json!({})).await.expect(401);
    assert_eq!(nobody["detail"], problem["detail"]);
    let mut unnamed = TestInstance::new(1);
    unnamed.beat(&test, json!({})).await.expect(401);
    thief.release(&test).await.expect(401);
    assert_eq!(seen(&test, &license).await["state"], "held");
    // Nor does a token replace the key of an instance that has one.
    let body = json!({ "token": license.token, "instance": instance.id.unwrap().to_string() });
    test.post("", "/api/v1/heartbeat", body).await.expect(401);
}

#[tokio::test]
async fn replayed_and_reordered_calls_change_nothing() {
    let (test, license, mut instance) = running().await;
    let mut calls = Vec::new();
    for teams in 1..=4 {
        let body = json!({ "usage_stats": { "teams": teams } });
        let call = instance.call(&test, Purpose::Heartbeat, "", body);
        let answer = test.proven(&call).await.expect(200);
        instance.hear(&answer);
        calls.push(call);
    }
    for call in &calls[..3] {
        let problem = test.proven(call).await.expect(409);
        assert_eq!(kind(&problem), "stale-request");
    }
    let repeated = test.proven(&calls[3]).await.expect(200);
    assert_eq!(repeated["nonce"], instance.nonce.as_str());
    let now = seen(&test, &license).await;
    assert_eq!((&now["state"], &now["stats"]["teams"]), (&json!("held"), &json!("4")));

    // A recording that is long forgotten here is no copy of the instance.
    test.advance_to("2026-03-02T00:00:00Z");
    for _ in 0..10 {
        instance.beat(&test, json!({})).await.expect(200);
    }
    let problem = test.proven(&calls[0]).await.expect(409);
    assert_eq!(kind(&problem), "stale-request");
    assert_eq!(seen(&test, &license).await["state"], "held");
    assert_eq!(instance.beat(&test, json!({})).await.expect(200)["status"], "active");
}

#[tokio::test]
async fn a_copied_instance_is_quarantined_and_both_keep_running() {
    let (test, license, mut instance) = running().await;
    let mut copy = instance.copied(1);
    test.advance_to("2026-03-01T00:05:00Z");
    assert_eq!(instance.beat(&test, json!({})).await.expect(200)["status"], "active");
    test.advance_to("2026-03-01T00:06:00Z");
    let told = copy.beat(&test, json!({ "renew": true })).await.expect(200);
    assert_eq!((&told["status"], &told["lease"]), (&json!("quarantined"), &json!(null)));
    assert_eq!(codes(&told), ["instance_quarantined"]);
    assert_eq!(trail(&test, &license).await[0], "instance.quarantined");
    // Neither is stopped, neither gets a lease, both are told, again and again.
    for _ in 0..3 {
        for one in [&mut instance, &mut copy] {
            let told = one.beat(&test, json!({ "renew": true })).await.expect(200);
            assert_eq!((&told["status"], &told["lease"]), (&json!("quarantined"), &json!(null)));
        }
    }
    let refused = instance.activate(&test, &license.key).await.expect(409);
    assert_eq!(kind(&refused), "instance-quarantined");
    let released = instance.release(&test).await.expect(200);
    assert_eq!(released["status"], "quarantined", "the other copy still runs");
    // A new key pair is an instance of its own, in a slot of its own.
    TestInstance::new(7).activate(&test, &license.key).await.expect(200);
    let all = test.get(ADMIN, &license.path("/instances")).await.expect(200);
    assert_eq!(all["held"], 2);
}

#[tokio::test]
async fn a_copy_that_activates_is_noticed_too() {
    let (test, license, mut instance) = running().await;
    let mut copy = instance.copied(1);
    instance.activate(&test, &license.key).await.expect(200);
    // The same number with another body.
    let call = copy.call(&test, Purpose::Activate, &license.key, json!({ "name": "copy" }));
    assert_eq!(kind(&test.proven(&call).await.expect(409)), "instance-quarantined");
    assert_eq!(seen(&test, &license).await["state"], "quarantined");
}
