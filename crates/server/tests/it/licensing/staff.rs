//! What staff sees of instances, and does with them.

use serde_json::json;

use super::trail;
use crate::harness::{ADMIN, TestInstance, TestServer};

#[tokio::test]
async fn staff_takes_a_slot_at_its_end_or_by_force() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let mut held = Vec::new();
    for n in 0..3 {
        let mut instance = TestInstance::new(n);
        instance.activate(&test, &license.key).await.expect(200);
        held.push(instance);
    }
    let release = |n: usize| {
        let id = held[n].id.unwrap();
        license.path(&format!("/instances/{id}/release"))
    };
    let reason = json!({ "reason": "machine lost, ticket 4711" });
    let freed = test.post(ADMIN, &release(0), reason.clone()).await.expect(200);
    assert_eq!((&freed["state"], &freed["slot"]), (&json!("released"), &json!("held")));
    TestInstance::new(9).activate(&test, &license.key).await.expect(409);
    let force = json!({ "reason": "machine burnt", "force": true });
    let freed = test.post(ADMIN, &release(0), force.clone()).await.expect(200);
    assert_eq!(freed["slot"], "free");
    TestInstance::new(9).activate(&test, &license.key).await.expect(200);
    let all = test.get(ADMIN, &license.path("/instances?limit=2")).await.expect(200);
    assert_eq!((&all["held"], all["items"].as_array().unwrap().len()), (&json!(3), 2));
    let next = all["next_cursor"].as_str().unwrap();
    let rest =
        test.get(ADMIN, &license.path(&format!("/instances?cursor={next}"))).await.expect(200);
    assert_eq!(rest["items"].as_array().unwrap().len(), 2);
    let told = trail(&test, &license).await;
    assert_eq!(told.iter().filter(|action| *action == "instance.released").count(), 2);
    test.post(ADMIN, &release(1), json!({ "reason": " " })).await.expect(422);
    let nobody = license.path("/instances/ins_01932f3ea1b27c3d9e4f5a6b7c8d9e0f/release");
    test.post(ADMIN, &nobody, reason.clone()).await.expect(404);
    // Another tenant's instance does not exist here.
    let other = test.licensed("globex", "pro").await;
    let foreign = other.path(&format!("/instances/{}/release", held[1].id.unwrap()));
    test.post(ADMIN, &foreign, reason).await.expect(404);
}

#[tokio::test]
async fn a_quarantine_is_listed_and_can_be_lifted() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let mut instance = TestInstance::new(1);
    instance.activate(&test, &license.key).await.expect(200);
    let mut copy = instance.copied(1);
    let list = "/api/v1/admin/instances?status=quarantined";
    let empty = test.get(ADMIN, list).await.expect(200);
    assert_eq!(empty["items"], json!([]));
    instance.beat(&test, json!({})).await.expect(200);
    copy.beat(&test, json!({ "renew": true })).await.expect(200);
    let listed = test.get(ADMIN, list).await.expect(200);
    let id = instance.id.unwrap().to_string();
    assert_eq!(listed["items"][0]["id"], id.as_str());
    let tenant = test.get(ADMIN, &license.tenant).await.expect(200);
    assert_eq!(listed["items"][0]["tenant"], tenant["id"]);

    let restore = license.path(&format!("/instances/{id}/restore"));
    let lifted = test.post(ADMIN, &restore, json!({})).await.expect(200);
    assert_eq!(lifted["state"], "held");
    test.post(ADMIN, &restore, json!({})).await.expect(409);
    assert_eq!(trail(&test, &license).await[0], "instance.restored");
    // With one copy gone the other goes on.
    for _ in 0..3 {
        let beat = instance.beat(&test, json!({ "renew": true })).await.expect(200);
        assert_eq!(beat["status"], "active");
        assert!(beat["lease"].is_string());
    }
    // With both still there it is noticed again.
    let beat = copy.beat(&test, json!({})).await.expect(200);
    assert_eq!(beat["status"], "quarantined");
}

#[tokio::test]
async fn an_instance_that_was_not_heard_of_for_a_day_is_silent() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let (mut one, mut two) = (TestInstance::new(1), TestInstance::new(2));
    one.activate(&test, &license.key).await.expect(200);
    two.activate(&test, &license.key).await.expect(200);
    test.advance_to("2026-03-02T00:00:01Z");
    two.beat(&test, json!({})).await.expect(200);
    let list = "/api/v1/admin/instances?status=silent";
    let silent = test.get(ADMIN, list).await.expect(200);
    let ids: Vec<&str> =
        silent["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [one.id.unwrap().to_string()]);
    test.get(ADMIN, "/api/v1/admin/instances").await.expect(400);
    test.get(ADMIN, "/api/v1/admin/instances?status=held").await.expect(400);
}

#[tokio::test]
async fn instances_move_with_their_tenant_and_their_calls_are_counted_anew() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let mut instance = TestInstance::new(1);
    instance.activate(&test, &license.key).await.expect(200);
    instance.beat(&test, json!({ "usage_stats": { "teams": 2 } })).await.expect(200);
    let path = format!("{}/export", license.tenant);
    let response = test.request(reqwest::Method::GET, ADMIN, &path).send().await.unwrap();
    let key = response.headers()["tenure-export-key"].to_str().unwrap().to_owned();
    let archive = response.bytes().await.unwrap();

    let other = TestServer::gizmo().await;
    let request = other.request(reqwest::Method::POST, ADMIN, "/api/v1/admin/imports");
    let request = request
        .header("content-type", "application/zstd")
        .header("tenure-export-key", key)
        .body(archive);
    let made = other.send(request).await.expect(201);
    assert_eq!(made["rows"]["instances"], 1);
    // Its license is signed by the other installation until it is renewed here.
    instance.activate(&other, &license.key).await.expect(409);
    other.post(ADMIN, &license.path("/renew"), json!({})).await.expect(201);
    let beat = instance.beat(&other, json!({ "revision": 1 })).await.expect(200);
    assert_eq!(beat["status"], "active", "it is no copy of itself: {beat}");
    assert!(beat["license_token"].is_string());
    assert_eq!(instance.beat(&other, json!({})).await.expect(200)["status"], "active");
}
