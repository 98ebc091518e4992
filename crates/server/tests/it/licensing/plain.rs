//! SPEC 5's plain flow: a product without a key pair.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use super::{codes, kind};
use crate::harness::{ADMIN, TestServer};

#[tokio::test]
async fn a_product_activates_validates_and_says_what_it_counts() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let tenant = test.get(ADMIN, &license.tenant).await.expect(200);
    let body = json!({ "customer_id": tenant["id"], "k8s_cluster_uid": "7c1d1c5e-5e0e-4d53" });
    let made = test.post(&license.key, "/api/v1/activate", body.clone()).await.expect(200);
    assert_eq!(made["license_token"], license.token.as_str());
    assert_eq!(made["status"], "active");
    assert_eq!(made["entitlements"]["tier"], "pro");
    assert_eq!(made["entitlements"]["max_teams"], 5);
    assert_eq!(made["entitlements"]["max_runs_per_month"], 1_000);
    assert_eq!(made["entitlements"]["features"], json!(["sso"]));
    assert_eq!(made["entitlements"]["add_ons"], json!([]));
    assert!(made["lease"].is_null(), "nothing to bind one to: {made}");

    let valid = json!({ "token": made["license_token"] });
    let valid = test.post("", "/api/v1/validate", valid).await.expect(200);
    assert_eq!((&valid["valid"], &valid["reason"]), (&json!(true), &json!("valid")));
    assert_eq!(valid["expiry"], "2027-03-01T00:00:00Z");
    assert_eq!(valid["entitlements"], made["entitlements"]);
    let read: tenure_api::licensing::Validation = serde_json::from_value(valid.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), valid, "as clients read it");

    let stats = json!({ "agent_runs": 1_200, "teams": 5, "users": 31 });
    let beat = json!({ "token": made["license_token"], "usage_stats": stats });
    let beat = test.post("", "/api/v1/heartbeat", beat).await.expect(200);
    assert_eq!((&beat["status"], &beat["heartbeat_seconds"]), (&json!("active"), &json!(300)));
    let told: Vec<&str> = beat["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| warning["message"].as_str().unwrap())
        .collect();
    assert!(told.iter().any(|text| text.starts_with("Team limit reached: 5/5.")), "{told:?}");
    assert!(
        told.iter().any(|text| text.starts_with("Monthly quota exceeded: 1200/1000.")),
        "{told:?}"
    );

    // The same place again is the same instance; its slot is held, not a second one.
    let again = test.post(&license.key, "/api/v1/activate", body).await.expect(200);
    assert_eq!(again["instance"], made["instance"]);
    let all = test.get(ADMIN, &license.path("/instances")).await.expect(200);
    assert_eq!((&all["held"], &all["max"]), (&json!(1), &json!(3)));
    assert_eq!(all["items"][0]["stats"]["teams"], "5");
    assert_eq!(all["items"][0]["held_until"], "2026-03-08T00:00:00Z");
}

#[tokio::test]
async fn the_header_of_a_genuine_token_vouches_for_no_other() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let parts: Vec<&str> = license.token.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    let with = |payload: &str| format!("{header}.{payload}.{signature}");
    let elsewhere = URL_SAFE_NO_PAD.encode(br#"{"product":"elsewhere"}"#);
    let forged = URL_SAFE_NO_PAD.encode(br#"{"product":"gizmo"}"#);
    let attempts = [
        (with(payload), "valid"),
        (with(&forged), "token_bad_signature"),
        (with(&elsewhere), "token_wrong_issuer"),
        (with(&payload[..40]), "token_malformed"),
        (with(payload), "valid"),
    ];
    // The same before the header was seen with a genuine token as after.
    for (token, reason) in attempts[1..4].iter().chain(&attempts) {
        let answer = test.post("", "/api/v1/validate", json!({ "token": token })).await.expect(200);
        assert_eq!(answer["reason"], *reason, "{answer}");
    }
}

#[tokio::test]
async fn entitlements_answer_an_api_key_a_license_key_and_a_license_token() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let body = json!({ "subscription": license.subscription });
    let made = test.post(ADMIN, &format!("{}/keys", license.tenant), body).await.expect(201);
    let api_key = made["api_key"].as_str().unwrap();
    let own = test.get(api_key, "/api/v1/entitlements").await.expect(200);
    for credential in [&license.key, &license.token] {
        let answer = test.get(credential, "/api/v1/entitlements").await;
        let tag = answer.header("etag").unwrap().to_owned();
        let held = answer.expect(200);
        assert_eq!((&held["max_teams"], &held["max_runs_per_month"]), (&json!(5), &json!(1_000)));
        assert_eq!((&held["features"], &held["add_ons"]), (&own["features"], &own["add_ons"]));
        assert_eq!(held["limits"], own["limits"]);
        let request = test.request(reqwest::Method::GET, credential, "/api/v1/entitlements");
        assert_eq!(test.send(request.header("if-none-match", tag)).await.status, 304);
    }
    test.post(ADMIN, &license.path("/revoke"), json!({})).await.expect(200);
    test.get(&license.key, "/api/v1/entitlements").await.expect(401);
    test.get(&license.token, "/api/v1/entitlements").await.expect(401);
    test.get(api_key, "/api/v1/entitlements").await.expect(200);
}

#[tokio::test]
async fn mistakes_in_a_key_are_told_apart() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let other = test.licensed("globex", "pro").await;
    let activate = async |key: &str| {
        let body = json!({ "license_key": key });
        test.post("", "/api/v1/activate", body).await
    };
    let last = license.key.pop_last();
    let mistyped = activate(&last).await.expect(422);
    assert_eq!(kind(&mistyped), "license-key-mistyped");
    assert_eq!(kind(&activate("GZMO-PRO-ACME").await.expect(422)), "license-key-malformed");

    let random = tenure_license::LicenseKey::issue("GZMO", "PRO", "acme", [3; 10]).unwrap();
    assert_eq!(kind(&activate(random.expose()).await.expect(401)), "license-key-unknown");
    let forged = format!("{}A", &license.token[..license.token.len() - 1]);
    let forged = if forged == license.token { forged.replace('A', "B") } else { forged };
    assert_eq!(kind(&activate(&forged).await.expect(401)), "license-token-refused");
    assert_eq!(activate(&license.token).await.status, 200, "the token is as good as the key");
    assert_eq!(activate(&license.key.to_lowercase()).await.status, 200);

    let theirs = test.get(ADMIN, &other.tenant).await.expect(200);
    let body = json!({ "license_key": license.key, "customer_id": theirs["id"] });
    assert_eq!(kind(&test.post("", "/api/v1/activate", body).await.expect(403)), "other-customer");
    let nowhere = json!({ "deployment_id": "dep_01932f3ea1b27c3d9e4f5a6b7c8d9e0f" });
    let problem = test.post(&license.key, "/api/v1/activate", nowhere).await.expect(422);
    assert_eq!(problem["errors"][0]["pointer"], "/deployment_id");

    test.post(ADMIN, &license.path("/revoke"), json!({})).await.expect(200);
    assert_eq!(kind(&activate(&license.key).await.expect(403)), "license-revoked");
    assert_eq!(kind(&activate(&license.token).await.expect(403)), "license-revoked");
    test.post("", "/api/v1/activate", json!({})).await.expect(401);
    test.post(ADMIN, "/api/v1/activate", json!({})).await.expect(403);
}

trait PopLast {
    fn pop_last(&self) -> String;
}

impl PopLast for String {
    /// The key with its last character typed wrong.
    fn pop_last(&self) -> String {
        let wrong = if self.ends_with('7') { '8' } else { '7' };
        format!("{}{wrong}", &self[..self.len() - 1])
    }
}

#[tokio::test]
async fn simple_clients_hold_a_slot_for_one_lease_length_from_their_last_contact() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let mut last = json!(null);
    for cluster in ["a", "b", "c"] {
        let body = json!({ "k8s_cluster_uid": cluster });
        last = test.post(&license.key, "/api/v1/activate", body).await.expect(200);
    }
    let fourth = json!({ "k8s_cluster_uid": "d" });
    let full = test.post(&license.key, "/api/v1/activate", fourth.clone()).await;
    assert_eq!(full.header("retry-after"), Some("604800"));
    assert_eq!(kind(&full.expect(409)), "no-free-slot");

    test.advance_to("2026-03-05T00:00:00Z");
    let beat = json!({ "token": license.token, "instance": last["instance"] });
    test.post("", "/api/v1/heartbeat", beat.clone()).await.expect(200);
    let unnamed = json!({ "token": license.token });
    let unnamed = test.post("", "/api/v1/heartbeat", unnamed).await.expect(200);
    assert_eq!(codes(&unnamed), ["instance_unnamed"]);
    test.advance_to("2026-03-08T00:00:00Z");
    let all = test.get(ADMIN, &license.path("/instances")).await.expect(200);
    assert_eq!(all["held"], 1, "two were silent for a lease length");
    test.post(&license.key, "/api/v1/activate", fourth).await.expect(200);

    // Another's id, and one that nobody has, are answered alike.
    let other = test.licensed("globex", "pro").await;
    let body = json!({ "token": other.token, "instance": last["instance"] });
    let foreign = test.post("", "/api/v1/heartbeat", body).await.expect(401);
    let body = json!({ "token": other.token, "instance": "ins_01932f3ea1b27c3d9e4f5a6b7c8d9e0f" });
    let nobody = test.post("", "/api/v1/heartbeat", body).await.expect(401);
    assert_eq!(foreign["detail"], nobody["detail"]);
}

#[tokio::test]
async fn what_is_counted_is_bounded_and_named() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "open").await;
    let beat = async |stats: serde_json::Value| {
        let body = json!({ "token": license.token, "usage_stats": stats });
        test.post("", "/api/v1/heartbeat", body).await
    };
    beat(json!({ "Teams": 1 })).await.expect(422);
    beat(json!({ "teams": -1 })).await.expect(422);
    beat(json!({ "teams": 1_000_000_000_000_000_000u64 })).await.expect(422);
    let many: serde_json::Map<_, _> = (0..65).map(|n| (format!("s{n}"), json!(n))).collect();
    beat(json!(many)).await.expect(422);
    let large = json!({ "token": "x".repeat(100_000) });
    test.post("", "/api/v1/heartbeat", large.clone()).await.expect(413);
    test.post("", "/api/v1/validate", large.clone()).await.expect(413);
    test.post("", "/api/v1/activate", json!({ "license_key": "x".repeat(100_000) }))
        .await
        .expect(413);
}
