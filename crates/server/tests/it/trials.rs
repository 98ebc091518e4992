//! A trial ends by itself: whoever bought goes on, whoever did not has no access any more.

use serde_json::{Value, json};

use crate::harness::{ADMIN, TestServer};

const ENDED: &str = "2026-03-15T00:00:00Z";

/// A trial of fourteen days from 1 March on: the path of the subscription, and a key.
async fn trial() -> (TestServer, String, String) {
    let test = TestServer::with_product(&["meeting-minutes"]).await;
    let (tenant, key) = test
        .subscribed("Acme", json!({ "product": "meeting-minutes", "plan": "pro", "trial": true }))
        .await;
    let all = test.get(ADMIN, &format!("{tenant}/subscriptions")).await.expect(200);
    let own = &all["items"][0];
    assert_eq!((&own["status"], &own["trial_ends_at"]), (&json!("trial"), &json!(ENDED)));
    (test, format!("{tenant}/subscriptions/{}", own["id"].as_str().unwrap()), key)
}

fn event(id: &str) -> Value {
    json!([{ "specversion": "1.0", "id": id, "source": "/app", "type": "meeting.processed",
        "time": "2026-03-14T12:00:00Z" }])
}

#[tokio::test]
async fn a_trial_that_nobody_bought_ends_to_the_second() {
    let (test, path, key) = trial().await;
    test.get(&key, "/api/v1/entitlements").await.expect(200);
    test.advance_to("2026-03-14T23:59:59Z");
    test.get(&key, "/api/v1/entitlements").await.expect(200);
    test.advance_to(ENDED);
    let problem = test.get(&key, "/api/v1/entitlements").await.expect(403);
    assert_eq!(problem["type"], "urn:tenure:problem:access-withheld");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("The trial ended at 2026-03-15T00:00:00Z. To go on, contact "),
        "{detail}"
    );
    // What happened is recorded all the same, and nothing is billed for it.
    test.post(&key, "/api/v1/usage", event("1")).await.expect(200);
    let bill = test.get(&key, "/api/v1/bill").await.expect(200);
    assert_eq!(bill["total"]["amount"], "0.00");
    // Bought late: access is back at once.
    test.post(ADMIN, &format!("{path}/activate"), json!({})).await.expect(200);
    test.get(&key, "/api/v1/entitlements").await.expect(200);
}

#[tokio::test]
async fn a_trial_that_was_bought_goes_on() {
    let (test, path, key) = trial().await;
    test.advance_to("2026-03-10T00:00:00Z");
    test.post(ADMIN, &format!("{path}/activate"), json!({})).await.expect(200);
    test.advance_to("2026-03-20T00:00:00Z");
    test.get(&key, "/api/v1/entitlements").await.expect(200);
}
