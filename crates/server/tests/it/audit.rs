//! The trail: every change leaves who, what, before and after; a chain that
//! shows what was done to it.

use serde_json::{Value, json};

use crate::harness::{ADMIN, TestServer};

const BASE: &str = "/api/v1/admin/tenants/acme";

/// The newest entry of the tenant's trail.
async fn newest(test: &TestServer, path: &str) -> Value {
    let trail = test.get(ADMIN, &format!("{path}/audit?limit=1")).await.expect(200);
    trail["items"][0].clone()
}

#[tokio::test]
async fn every_change_of_a_tenant_leaves_an_entry() {
    let test = TestServer::start().await;
    test.client("Acme", "pro").await;
    let all = test.get(ADMIN, &format!("{BASE}/subscriptions")).await.expect(200);
    let sub = format!("{BASE}/subscriptions/{}", all["items"][0]["id"].as_str().unwrap());
    let unit = json!({"kind": "team", "name": "Platform"});
    let unit = test.post(ADMIN, &format!("{BASE}/units"), unit).await.expect(201);
    let unit = format!("{BASE}/units/{}", unit["id"].as_str().unwrap());
    let account = json!({"name": "Acme Ltd"});
    let account = test.post(ADMIN, &format!("{BASE}/billing-accounts"), account).await.expect(201);
    let account = format!("{BASE}/billing-accounts/{}", account["id"].as_str().unwrap());
    let contract = json!({"reason": "Quote 7", "approver": "cfo@widget.example",
        "changes": {"limits": [{"limit": "events", "included": "5"}]}});
    let contract = test.post(ADMIN, &format!("{sub}/contracts"), contract).await.expect(201);
    let contract = format!("{sub}/contracts/{}", contract["id"].as_str().unwrap());
    let key = json!({"subscription": all["items"][0]["id"]});
    let key = test.post(ADMIN, &format!("{BASE}/keys"), key).await.expect(201);
    let key = format!("{BASE}/keys/{}", key["key"]["id"].as_str().unwrap());
    let second = json!({"product": "widget", "plan": "starter"});

    test.advance_to("2026-03-02T00:00:00Z");

    // In the order of a tenant's life: method, path, body, the action, whether it had a before.
    let changes: Vec<(&str, String, Value, &str, bool)> = vec![
        ("PATCH", BASE.into(), json!({"name": "Acme Inc"}), "tenant.changed", true),
        ("PUT", format!("{BASE}/settings"), json!({"a": 1}), "tenant.settings_changed", true),
        ("PATCH", unit.clone(), json!({"name": "Core"}), "unit.changed", true),
        ("DELETE", unit, Value::Null, "unit.deleted", true),
        ("PUT", account, json!({"name": "Acme GmbH"}), "billing_account.changed", true),
        ("POST", format!("{key}/rotate"), json!({}), "api_key.rotated", true),
        ("DELETE", key, Value::Null, "api_key.revoked", true),
        ("POST", format!("{contract}/end"), json!({}), "contract.ended", true),
        ("POST", format!("{sub}/move"), json!({"plan": "starter"}), "subscription.moved", true),
        ("POST", format!("{sub}/past-due"), json!({}), "subscription.past_due", true),
        ("POST", format!("{sub}/suspend"), json!({}), "subscription.suspended", true),
        ("POST", format!("{sub}/activate"), json!({}), "subscription.active", true),
        ("POST", format!("{sub}/cancel"), json!({}), "subscription.cancelled", true),
        ("POST", format!("{BASE}/subscriptions"), second, "subscription.created", false),
        ("POST", format!("{BASE}/suspend"), json!({}), "tenant.suspended", true),
        ("POST", format!("{BASE}/resume"), json!({}), "tenant.resumed", true),
        ("GET", format!("{BASE}/export"), Value::Null, "tenant.exported", false),
        ("POST", format!("{BASE}/cancel"), json!({}), "tenant.cancelled", true),
    ];
    let mut last = newest(&test, BASE).await["seq"].as_i64().unwrap();
    for (method, path, body, action, had_before) in changes {
        let request = test.request(method.parse().unwrap(), ADMIN, &path);
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = test.send(request).await;
        assert!(answer.status.is_success(), "{method} {path}: {}", answer.text);
        let entry = newest(&test, BASE).await;
        assert_eq!(entry["action"], action, "{method} {path}");
        let seq = entry["seq"].as_i64().unwrap();
        assert!(seq > last, "{action}: an entry of its own");
        assert_eq!(entry["actor"], "staff:admin", "{action}");
        assert_eq!(!entry["before"].is_null(), had_before, "{action}: {entry}");
        assert!(entry["target"].as_str().is_some_and(|id| id.contains('_')), "{action}: {entry}");
        assert_ne!(entry["before"], entry["after"], "{action}");
        last = seq;
    }
    let verified = test.get(ADMIN, &format!("{BASE}/audit/verify")).await.expect(200);
    assert_eq!((&verified["intact"], &verified["entries"]), (&json!(true), &json!(last)));
}

#[tokio::test]
async fn every_change_of_the_vendor_leaves_an_entry() {
    let test = TestServer::start().await;
    let newest = || async { newest(&test, "/api/v1/admin").await };
    assert_eq!(newest().await["action"], "product.version_loaded");
    let viewer = json!({"name": "looker", "role": "viewer"});
    let made = test.post(ADMIN, "/api/v1/admin/credentials", viewer).await.expect(201);
    let entry = newest().await;
    assert_eq!(entry["action"], "credential.created");
    assert!(
        !entry.to_string().contains(made["token"].as_str().unwrap()),
        "a token is in the trail"
    );
    let id = made["credential"]["id"].as_str().unwrap();
    test.delete(ADMIN, &format!("/api/v1/admin/credentials/{id}")).await.expect(200);
    assert_eq!(newest().await["action"], "credential.revoked");
    let verified = test.get(ADMIN, "/api/v1/admin/audit/verify").await.expect(200);
    assert_eq!(verified["intact"], true);
}

#[tokio::test]
async fn a_refused_change_leaves_none() {
    let test = TestServer::start().await;
    test.client("Acme", "pro").await;
    let before = newest(&test, BASE).await;
    test.post(ADMIN, &format!("{BASE}/resume"), json!({})).await.expect(409);
    test.patch(ADMIN, BASE, json!({"time_zone": "Mars/Olympus"})).await.expect(422);
    assert_eq!(newest(&test, BASE).await, before);
}

#[tokio::test]
async fn a_key_shown_once_is_not_in_the_trail() {
    let test = TestServer::start().await;
    let (_, key) = test.client("Acme", "pro").await;
    let trail = test.get(ADMIN, &format!("{BASE}/audit")).await;
    assert!(!trail.text.contains(&key));
}

#[tokio::test]
async fn what_is_done_to_the_chain_is_found() {
    let harm = [
        ("UPDATE audit_log SET target = 'ten_x' WHERE seq = 2 AND $", "edited"),
        ("UPDATE audit_log SET at = at + interval '1 hour' WHERE seq = 2 AND $", "edited"),
        ("UPDATE audit_log SET body = body || '\\x00' WHERE seq = 2 AND $", "edited"),
        ("DELETE FROM audit_log WHERE seq = 2 AND $", ""),
        ("DELETE FROM audit_log WHERE seq = (SELECT max(seq) FROM audit_log WHERE $) AND $", "end"),
        ("DELETE FROM audit_log WHERE $", "end"),
    ];
    for (sql, word) in harm {
        let test = TestServer::start().await;
        test.client("Acme", "pro").await;
        for name in ["One", "Two", "Three"] {
            test.patch(ADMIN, BASE, json!({ "name": name })).await.expect(200);
        }
        let path = format!("{BASE}/audit/verify");
        assert_eq!(test.get(ADMIN, &path).await.expect(200)["intact"], true);
        let mut admin = test.database.admin().await;
        let sql = sql.replace('$', "tenant_id = (SELECT id FROM tenants)");
        let done =
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql.clone())).execute(&mut admin).await.unwrap();
        assert!(done.rows_affected() >= 1, "{sql}");
        let found = test.get(ADMIN, &path).await.expect(200);
        assert_eq!(found["intact"], false, "{sql}: {found}");
        assert!(found["finding"].as_str().unwrap().contains(word), "{sql}: {found}");
    }
}
