//! Tenants and subscriptions from beginning to end: states, trials, moves, the
//! version that terms are pinned to, items and contracts.

use serde_json::{Value, json};
use tenure_core::{SubscriptionStatus, TenantStatus};

use crate::harness::{ADMIN, TestServer, WIDGET};

const BASE: &str = "/api/v1/admin/tenants/acme";

/// The product with a trial and a charge by the seat.
fn with_seats() -> String {
    WIDGET.replace(
        "[plans.starter]\nname = \"Starter\"",
        "[plans.starter]\nname = \"Starter\"\ntrial = \"14d\"",
    )
}

async fn subscribe(test: &TestServer, extra: Value) -> Value {
    let mut body = json!({"product": "widget", "plan": "starter"});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    test.post(ADMIN, &format!("{BASE}/subscriptions"), body).await.expect(201)
}

fn path(subscription: &Value) -> String {
    format!("{BASE}/subscriptions/{}", subscription["id"].as_str().unwrap())
}

async fn tenant(test: &TestServer) {
    test.post(ADMIN, "/api/v1/admin/tenants", json!({"name": "Acme"})).await.expect(201);
}

#[tokio::test]
async fn a_tenant_goes_only_where_its_state_allows() {
    let way = |to: TenantStatus| match to {
        TenantStatus::Active => "resume",
        TenantStatus::Suspended => "suspend",
        TenantStatus::Cancelled => "cancel",
        TenantStatus::Deleted => "?confirm=acme",
    };
    for from in [TenantStatus::Active, TenantStatus::Suspended, TenantStatus::Cancelled] {
        for to in TenantStatus::ALL.iter().copied() {
            let test = TestServer::empty().await;
            tenant(&test).await;
            if from != TenantStatus::Active {
                let path = format!("{BASE}/{}", way(from));
                test.post(ADMIN, &path, json!({})).await.expect(200);
            }
            let answer = match to {
                TenantStatus::Deleted => test.delete(ADMIN, &format!("{BASE}{}", way(to))).await,
                _ => test.post(ADMIN, &format!("{BASE}/{}", way(to)), json!({})).await,
            };
            let legal = from.next().contains(&to);
            assert_eq!(answer.status.as_u16(), if legal { 200 } else { 409 }, "{from} -> {to}");
            let now = test.get(ADMIN, BASE).await;
            match (legal, to) {
                (true, TenantStatus::Deleted) => assert_eq!(now.status, 404),
                (true, _) => assert_eq!(now.json["status"], to.word()),
                (false, _) => assert_eq!(now.json["status"], from.word(), "nothing changed"),
            }
        }
    }
}

/// A subscription in that state, by the shortest way.
async fn in_state(test: &TestServer, state: SubscriptionStatus) -> String {
    let made = subscribe(test, json!({"trial": state == SubscriptionStatus::Trial})).await;
    let path = path(&made);
    let step = match state {
        SubscriptionStatus::Trial | SubscriptionStatus::Active => return path,
        SubscriptionStatus::PastDue => "past-due",
        SubscriptionStatus::Suspended => "suspend",
        SubscriptionStatus::Cancelled => "cancel",
    };
    test.post(ADMIN, &format!("{path}/{step}"), json!({})).await.expect(200);
    path
}

#[tokio::test]
async fn a_subscription_goes_only_where_its_state_allows() {
    let test = TestServer::empty().await;
    test.load(&with_seats()).await;
    tenant(&test).await;
    for from in SubscriptionStatus::ALL.iter().copied() {
        for (step, to) in [
            ("activate", SubscriptionStatus::Active),
            ("past-due", SubscriptionStatus::PastDue),
            ("suspend", SubscriptionStatus::Suspended),
            ("cancel", SubscriptionStatus::Cancelled),
        ] {
            let path = in_state(&test, from).await;
            let answer = test.post(ADMIN, &format!("{path}/{step}"), json!({})).await;
            let legal = from.next().contains(&to);
            assert_eq!(answer.status.as_u16(), if legal { 200 } else { 409 }, "{from} -> {to}");
            let now = test.get(ADMIN, &path).await.expect(200);
            assert_eq!(now["status"], if legal { to.word() } else { from.word() });
            if !legal {
                let detail = answer.json["detail"].as_str().unwrap();
                assert!(detail.contains("it can become"), "{detail}");
            }
        }
    }
}

#[tokio::test]
async fn a_trial_ends_on_its_day_and_is_only_given_where_the_plan_has_one() {
    let test = TestServer::empty().await;
    test.load(&with_seats()).await;
    tenant(&test).await;
    let trial = subscribe(&test, json!({"trial": true})).await;
    assert_eq!(trial["status"], "trial");
    assert_eq!(trial["trial_ends_at"], "2026-03-15T00:00:00Z");
    let bought =
        test.post(ADMIN, &format!("{}/activate", path(&trial)), json!({})).await.expect(200);
    assert_eq!(bought["status"], "active");
    let none = json!({"product": "widget", "plan": "pro", "trial": true});
    let problem = test.post(ADMIN, &format!("{BASE}/subscriptions"), none).await.expect(422);
    assert_eq!(problem["errors"][0]["pointer"], "/trial");
}

#[tokio::test]
async fn cancelling_a_tenant_ends_what_it_has_and_starts_nothing_new() {
    let test = TestServer::empty().await;
    test.load(&with_seats()).await;
    tenant(&test).await;
    let one = subscribe(&test, json!({})).await;
    let two = subscribe(&test, json!({"plan": "pro"})).await;
    test.post(ADMIN, &format!("{BASE}/cancel"), json!({})).await.expect(200);
    for subscription in [one, two] {
        let now = test.get(ADMIN, &path(&subscription)).await.expect(200);
        assert_eq!(
            (&now["status"], &now["cancelled_at"]),
            (&json!("cancelled"), &json!("2026-03-01T00:00:00Z"))
        );
        test.post(ADMIN, &format!("{}/move", path(&subscription)), json!({"plan": "pro"}))
            .await
            .expect(409);
        let item = json!({"charge": "base", "quantity": "2"});
        let answer = test.put(ADMIN, &format!("{}/items", path(&subscription)), item).await;
        assert!(answer.status.is_client_error(), "{}", answer.text);
    }
    let more = json!({"product": "widget", "plan": "pro"});
    test.post(ADMIN, &format!("{BASE}/subscriptions"), more).await.expect(409);
}

/// What the subscription's limit on events includes.
async fn included(test: &TestServer, subscription: &Value) -> Value {
    let path = format!("{}/entitlements", path(subscription));
    let entitlements = test.get(ADMIN, &path).await.expect(200);
    let limits = &entitlements["limits"];
    let limit = match limits.as_array() {
        Some(all) => all.iter().find(|limit| limit["id"] == "events" || limit["limit"] == "events"),
        None => limits.get("events"),
    };
    limit.unwrap_or_else(|| panic!("{entitlements}"))["included"].clone()
}

#[tokio::test]
async fn a_subscription_keeps_the_terms_it_was_sold_until_it_is_moved() {
    let test = TestServer::start().await;
    tenant(&test).await;
    let old = subscribe(&test, json!({})).await;
    let before = included(&test, &old).await;

    // The same file again makes no version.
    let same = test.load(WIDGET).await.json;
    assert_eq!((&same["created"], &same["version"]), (&json!(false), &json!(1)));
    let changed = WIDGET
        .replace("included = 1_000,", "included = 2_000,")
        .replace("month = \"10\"", "month = \"12\"");
    let loaded = test.load(&changed).await.json;
    assert_eq!((&loaded["created"], &loaded["version"]), (&json!(true), &json!(2)));
    assert!(!loaded["changes"].as_array().unwrap().is_empty(), "{loaded}");

    assert_eq!(included(&test, &old).await, before);
    assert_eq!(test.get(ADMIN, &path(&old)).await.expect(200)["catalog_version"], 1);
    let new = subscribe(&test, json!({})).await;
    assert_eq!(new["catalog_version"], 2);
    assert_ne!(included(&test, &new).await, before);
    // Moving to its own plan puts it on the newest terms.
    let moved = test.post(ADMIN, &format!("{}/move", path(&old)), json!({})).await.expect(200);
    assert_eq!((&moved["plan"], &moved["catalog_version"]), (&json!("starter"), &json!(2)));
    assert_eq!(included(&test, &old).await, included(&test, &new).await);

    let other =
        test.post(ADMIN, &format!("{}/move", path(&old)), json!({"plan": "pro"})).await.expect(200);
    assert_eq!(other["plan"], "pro");
    let unknown = json!({"plan": "gold"});
    let problem = test.post(ADMIN, &format!("{}/move", path(&old)), unknown).await.expect(422);
    assert_eq!(problem["errors"][0]["pointer"], "/plan");
}

#[tokio::test]
async fn a_meter_is_never_redefined_under_its_name() {
    let test = TestServer::start().await;
    let redefined =
        WIDGET.replace("type = \"event.ingested\", count", "type = \"event.stored\", count");
    let load = |source: String| {
        let request = test.request(reqwest::Method::POST, ADMIN, "/api/v1/admin/products");
        test.send(request.header("content-type", "application/toml").body(source))
    };
    let problem = load(redefined.clone()).await.expect(409);
    assert_eq!(problem["type"], "urn:tenure:problem:meter-redefined");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("events") && detail.contains("_v2"), "the way out is named: {detail}");
    // Not by way of a version without it either.
    let without = WIDGET
        .replace(
            "events = { type = \"event.ingested\", count = true }",
            "views = { type = \"page.viewed\", count = true }",
        )
        .replace("events = {", "views = {");
    let problem = load(without).await.expect(409);
    assert!(problem["detail"].as_str().unwrap().contains("keep `events`"), "{problem}");
    load(WIDGET.to_owned()).await.expect(200);
}

#[tokio::test]
async fn contracts_hold_from_day_to_day_and_end_when_they_are_ended() {
    let test = TestServer::start().await;
    tenant(&test).await;
    let subscription = subscribe(&test, json!({})).await;
    let plain = included(&test, &subscription).await;
    let contracts = format!("{}/contracts", path(&subscription));
    let contract = |limit: &str| {
        json!({"reason": "Quote 7", "approver": "cfo@widget.example",
            "changes": {"limits": [{"limit": limit, "included": "777"}]}})
    };
    let wrong = test.post(ADMIN, &contracts, contract("teleports")).await.expect(422);
    assert!(wrong["detail"].as_str().unwrap().contains("teleports"), "{wrong}");
    let mut unreasoned = contract("events");
    unreasoned["reason"] = json!("");
    test.post(ADMIN, &contracts, unreasoned).await.expect(422);

    let made = test.post(ADMIN, &contracts, contract("events")).await.expect(201);
    let with = included(&test, &subscription).await;
    assert_ne!(with, plain, "{with}");
    test.advance_to("2026-03-10T00:00:00Z");
    let end = format!("{contracts}/{}/end", made["id"].as_str().unwrap());
    test.post(ADMIN, &end, json!({})).await.expect(200);
    assert_eq!(included(&test, &subscription).await, plain);
    test.post(ADMIN, &end, json!({})).await.expect(409);
}

#[tokio::test]
async fn a_suspended_tenant_takes_no_new_subscription_until_it_is_resumed() {
    let test = TestServer::start().await;
    tenant(&test).await;
    test.post(ADMIN, &format!("{BASE}/suspend"), json!({})).await.expect(200);
    let body = json!({"product": "widget", "plan": "pro"});
    let path = format!("{BASE}/subscriptions");
    test.post(ADMIN, &path, body.clone()).await.expect(409);
    test.post(ADMIN, &format!("{BASE}/resume"), json!({})).await.expect(200);
    test.post(ADMIN, &path, body).await.expect(201);
}

#[tokio::test]
async fn a_suspended_tenants_key_is_told_that_access_is_withheld_until_it_is_resumed() {
    let test = TestServer::start().await;
    let (client, key) = test.client("Acme", "pro").await;
    test.get(&key, "/api/v1/entitlements").await.expect(200);
    let path = format!("/api/v1/admin/tenants/{client}");
    test.post(ADMIN, &format!("{path}/suspend"), json!({})).await.expect(200);
    let problem = test.get(&key, "/api/v1/entitlements").await.expect(403);
    assert_eq!(problem["type"], "urn:tenure:problem:access-withheld");
    assert!(problem["detail"].as_str().unwrap().contains("sales@widget.example"), "{problem}");
    test.post(ADMIN, &format!("{path}/resume"), json!({})).await.expect(200);
    test.get(&key, "/api/v1/entitlements").await.expect(200);
}

#[tokio::test]
async fn an_add_on_that_the_next_plan_does_not_take_ends_with_the_plan() {
    let test = TestServer::with_product(&["agent-governance"]).await;
    let items = json!([{ "charge": "cloud-services", "quantity": "1" }]);
    let body = json!({ "product": "agent-governance", "plan": "hybrid", "items": items });
    let id = test.subscribe("acme", body).await;
    let path = format!("/api/v1/admin/tenants/acme/subscriptions/{id}");
    test.advance_to("2026-03-10T00:00:00Z");
    let to = json!({ "plan": "license-starter" });
    let moved = test.post(ADMIN, &format!("{path}/move"), to).await.expect(200);
    let items = moved["items"].as_array().unwrap();
    let item = items.iter().find(|item| item["charge"] == "cloud-services").unwrap();
    assert_eq!(item["to"], "2026-03-10T00:00:00Z", "{moved}");
}
