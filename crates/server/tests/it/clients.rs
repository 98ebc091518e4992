//! `POST /admin/clients`.

use serde_json::json;

use crate::harness::{ADMIN, TestServer};

#[tokio::test]
async fn a_client_is_ready_with_a_key_that_opens_its_entitlements() {
    let test = TestServer::start().await;
    let body = json!({
        "name": "Acme", "plan": "pro", "environment": "prod", "region": "us-east-1",
    });
    let made = test.post(ADMIN, "/admin/clients", body).await.expect(201);
    assert_eq!(made["client_id"], "acme-prod-us-east-1");
    assert!(made["api_key"].as_str().unwrap().starts_with("wg_live_"), "{made}");
    assert_eq!(made["created_at"], "2026-03-01T00:00:00Z");

    let key = made["api_key"].as_str().unwrap();
    let entitlements = test.get(key, "/api/v1/entitlements").await.expect(200);
    assert_eq!(entitlements["plan"], "pro");
    assert_eq!(entitlements["features"], json!(["sso"]));
    let tenant = test.get(key, "/api/v1/tenant").await.expect(200);
    assert_eq!(tenant["slug"], "acme-prod-us-east-1");
}

#[tokio::test]
async fn two_clients_of_one_name_get_ids_of_their_own() {
    let test = TestServer::start().await;
    let (first, _) = test.client("Acme Corp", "starter").await;
    let (second, _) = test.client("Acme Corp", "starter").await;
    assert_eq!((first.as_str(), second.as_str()), ("acme-corp", "acme-corp-2"));
}

#[tokio::test]
async fn an_unknown_plan_is_refused_with_the_plans_there_are() {
    let test = TestServer::start().await;
    let body = json!({ "name": "Acme", "plan": "gold" });
    let problem = test.post(ADMIN, "/admin/clients", body).await.expect(422);
    assert_eq!(problem["errors"][0]["pointer"], "/plan");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("starter, pro"), "{detail}");
    let none = test.get(ADMIN, "/api/v1/admin/tenants").await.expect(200);
    assert_eq!(none["items"], json!([]), "nothing was half made");
}
