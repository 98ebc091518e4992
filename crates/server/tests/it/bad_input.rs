//! Requests that nobody should send: each is refused with a sentence, none with a 500.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{ADMIN, Answer, TestServer};

const TENANTS: &str = "/api/v1/admin/tenants";

async fn send(test: &TestServer, kind: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = test.request(Method::POST, ADMIN, TENANTS).header("content-type", kind);
    test.send(request.body(body)).await
}

fn is_problem(answer: &Answer, status: u16) -> &Value {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", answer.text);
    assert!(answer.json["detail"].as_str().is_some_and(|text| text.len() > 10), "{}", answer.text);
    assert!(answer.json["instance"].as_str().unwrap().starts_with("req_"), "{}", answer.text);
    &answer.json
}

#[tokio::test]
async fn bodies_that_are_not_the_json_asked_for_are_refused() {
    let test = TestServer::empty().await;
    let json = "application/json";
    is_problem(&send(&test, json, "{").await, 400);
    is_problem(&send(&test, json, "").await, 400);
    is_problem(&send(&test, json, r#"{"name": "a", "name": "b"}"#).await, 400);
    is_problem(&send(&test, json, vec![0xff, 0xfe, b'{']).await, 400);
    is_problem(
        &send(&test, json, format!("{}{}", "[".repeat(5_000), "]".repeat(5_000))).await,
        400,
    );
    is_problem(&send(&test, "text/plain", r#"{"name": "a"}"#).await, 415);
    is_problem(&send(&test, "application/x-www-form-urlencoded", "name=a").await, 415);
    let unknown = send(&test, json, r#"{"name": "a", "colour": "red"}"#).await;
    let unknown = is_problem(&unknown, 422);
    assert!(unknown["errors"][0]["detail"].as_str().unwrap().contains("colour"), "{unknown}");
    for (body, pointer) in [
        (json!({"name": 7}), "/name"),
        (json!({"name": "a", "azure_tenant_id": "no-uuid"}), "/azure_tenant_id"),
        (json!({"name": ""}), "/name"),
        (json!({"name": "a".repeat(201)}), "/name"),
        (json!({"name": "a", "slug": "No Slug"}), "/slug"),
        (json!({"name": "a", "time_zone": "Mars/Olympus"}), "/time_zone"),
        (json!({"name": "a", "contact_email": "nobody"}), "/contact_email"),
        (json!({"name": "a", "settings": []}), "/settings"),
    ] {
        let answer = send(&test, json, body.to_string()).await;
        assert_eq!(is_problem(&answer, 422)["errors"][0]["pointer"], pointer, "{body}");
    }
    for body in ["[]", "null", "7", "\"text\""] {
        is_problem(&send(&test, json, body).await, 422);
    }
    let none = test.get(ADMIN, TENANTS).await.expect(200);
    assert_eq!(none["items"], json!([]), "nothing was made of any of it");
}

#[tokio::test]
async fn text_that_postgresql_cannot_hold_is_refused() {
    let test = TestServer::empty().await;
    for body in [
        json!({"name": "a\u{0}b"}),
        json!({"name": "a", "region": "\u{0}"}),
        json!({"name": "a", "settings": {"x": "\u{0}"}}),
        json!({"name": "a", "settings": {"\u{0}": 1}}),
    ] {
        let answer = test.post(ADMIN, TENANTS, body.clone()).await;
        assert!(answer.status.is_client_error(), "{body}: {}", answer.text);
    }
    let answer = test.get(ADMIN, &format!("{TENANTS}/%00")).await;
    assert!(answer.status.is_client_error(), "{}", answer.text);
    let answer = test.get(ADMIN, &format!("{TENANTS}?q=%00")).await;
    assert!(answer.status.is_client_error(), "{}", answer.text);
}

#[tokio::test]
async fn large_bodies_are_refused_by_a_named_limit() {
    let test = TestServer::empty().await;
    let body = json!({"name": "x".repeat(300 * 1024)}).to_string();
    let problem = send(&test, "application/json", body).await;
    assert!(is_problem(&problem, 413)["detail"].as_str().unwrap().contains("262144"));
    // One that says beforehand that it is larger than anything is taken.
    let huge = vec![b'x'; tenure_server::router::REQUEST_BYTES_MAX + 1];
    let request =
        test.request(Method::POST, ADMIN, TENANTS).header("content-type", "application/json");
    if let Ok(response) = request.body(huge).send().await {
        assert_eq!(response.status(), 413);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
}

#[tokio::test]
async fn cursors_limits_and_parameters_out_of_range_are_refused() {
    let test = TestServer::empty().await;
    for (query, status) in [
        ("limit=0", 422),
        ("limit=201", 422),
        ("limit=-1", 400),
        ("limit=ten", 400),
        ("limit=99999999999", 400),
        ("cursor=garbage", 422),
        ("cursor=AAAA", 422),
        ("colour=red", 400),
        ("status=sleeping", 400),
        ("limit=1&limit=2", 400),
    ] {
        is_problem(&test.get(ADMIN, &format!("{TENANTS}?{query}")).await, status);
    }
    for query in ["before=x", "limit=0", "limit=201"] {
        let answer = test.get(ADMIN, &format!("/api/v1/admin/audit?{query}")).await;
        assert!(answer.status.is_client_error(), "{query}: {}", answer.text);
    }
    // Patterns mean themselves.
    test.post(ADMIN, TENANTS, json!({"name": "100% pure"})).await.expect(201);
    let found = test.get(ADMIN, &format!("{TENANTS}?q=%25")).await.expect(200);
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    let found = test.get(ADMIN, &format!("{TENANTS}?q=_")).await.expect(200);
    assert_eq!(found["items"], json!([]));
}

#[tokio::test]
async fn ids_that_are_none_do_not_exist() {
    let test = TestServer::start().await;
    test.client("Acme", "pro").await;
    for id in [
        "ten_",
        "ten_zz",
        "sub_01932f3ea1b27c3d9e4f5a6b7c8d9e0f",
        "TEN_01932F3EA1B27C3D9E4F5A6B7C8D9E0F",
        "..%2f..%2fetc",
        "%27%20OR%201=1",
        "a%20b",
    ] {
        is_problem(&test.get(ADMIN, &format!("{TENANTS}/{id}")).await, 404);
        let path = format!("{TENANTS}/acme/subscriptions/{id}");
        let answer = test.get(ADMIN, &path).await;
        assert_eq!(answer.status, 404, "{id}: {}", answer.text);
    }
    is_problem(&test.get(ADMIN, "/api/v1/nothing").await, 404);
    is_problem(&test.delete(ADMIN, TENANTS).await, 405);
}

#[tokio::test]
async fn idempotency_keys_have_a_shape() {
    let test = TestServer::empty().await;
    let long = "k".repeat(201);
    for key in ["", "\"\"", "a b", "a\"b", long.as_str()] {
        let request = test.request(Method::POST, ADMIN, TENANTS).header("idempotency-key", key);
        let answer = test.send(request.json(&json!({"name": "Acme"}))).await;
        is_problem(&answer, 400);
    }
    let request = test.request(Method::POST, ADMIN, TENANTS);
    let request = request
        .header("idempotency-key", reqwest::header::HeaderValue::from_bytes(b"\xff").unwrap());
    is_problem(&test.send(request.json(&json!({"name": "Acme"}))).await, 400);
}

#[tokio::test]
async fn credentials_of_odd_shapes_are_just_not_valid() {
    let test = TestServer::empty().await;
    let long = "x".repeat(5_000);
    for value in [
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "tenv_test_admin",
        "Bearer  ",
        &format!("Bearer {long}"),
    ] {
        let request = reqwest::Client::new().get(test.url(TENANTS)).header("authorization", value);
        is_problem(&test.send(request).await, 401);
    }
    // An API key header wins over the other one, and is not a vendor credential.
    let request = test.request(Method::GET, ADMIN, TENANTS).header("x-api-key", "x");
    is_problem(&test.send(request).await, 401);
}
