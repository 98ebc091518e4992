//! Pages about costs, quotas, plans and revenue, in the console and the portal.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tenure_server::jobs;

use crate::{
    console::Browser,
    harness::{ADMIN, TestServer},
};

async fn events(test: &TestServer, key: &str, time: &str, from: usize, to: usize) {
    let one = |n: usize| {
        json!({ "specversion": "1.0", "id": format!("{time}-{n}"), "source": "/test",
            "type": "event.ingested", "time": time })
    };
    let batch: Vec<Value> = (from..to).map(one).collect();
    test.post(key, "/api/v1/usage", json!(batch)).await.expect(200);
}

async fn portal<'t>(test: &'t TestServer, key: &str) -> Browser<'t> {
    let browser = Browser::new(test);
    let answer = browser.post("/portal/sign-in", &[("key", key)]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    browser
}

/// Starter blocks at 1,000 events a day; Pro includes 100,000.
#[tokio::test]
async fn a_quota_is_told_of_at_80_and_100_percent_on_every_page_about_it() {
    let test = TestServer::start().await;
    let id = test.subscribe("acme", json!({ "plan": "starter" })).await;
    let made =
        test.post(ADMIN, "/api/v1/admin/tenants/acme/keys", json!({ "subscription": id })).await;
    let key = made.expect(201)["api_key"].as_str().unwrap().to_owned();
    test.advance_to("2026-03-05T12:00:00Z");
    let (console, portal) = (Browser::signed_in(&test, ADMIN).await, portal(&test, &key).await);
    let pages = async || {
        [
            console.get("/console/tenants/acme").await.text,
            console.get("/console/tenants/acme/usage").await.text,
            portal.get("/portal/usage").await.text,
        ]
    };
    let now = "2026-03-05T12:00:00Z";
    events(&test, &key, now, 0, 799).await;
    for page in pages().await {
        assert!(page.contains("799"), "{page}");
        assert!(!page.contains("class=\"notice"), "79 per cent: nothing to say: {page}");
    }
    let overview = console.get("/console").await.text;
    assert!(!overview.contains("daily quota"), "{overview}");

    events(&test, &key, now, 799, 800).await;
    for page in pages().await {
        assert!(page.contains("Daily quota used to 80%: 800/1,000."), "{page}");
        assert!(page.contains("More is included in Pro (100,000)."), "{page}");
    }
    let overview = console.get("/console").await.text;
    assert!(overview.contains("daily quota 800/1,000"), "{overview}");

    events(&test, &key, now, 800, 1_000).await;
    for page in pages().await {
        assert!(page.contains("Daily quota exceeded: 1,000/1,000."), "{page}");
        assert!(page.contains("notice bad"), "it blocks: {page}");
    }
    let overview = console.get("/console").await.text;
    assert!(overview.contains("daily quota 1,000/1,000; more is refused"), "{overview}");
    assert!(overview.contains("href=\"/console/tenants/acme/usage\""), "{overview}");

    // A higher limit, and a new day: nothing to say any more.
    let contract = json!({
        "reason": "test", "approver": "test",
        "changes": { "limits": [{ "limit": "events", "included": "5000" }] },
    });
    let path = format!("/api/v1/admin/tenants/acme/subscriptions/{id}/contracts");
    assert_eq!(test.post(ADMIN, &path, contract).await.status, 201);
    let overview = console.get("/console").await.text;
    assert!(!overview.contains("daily quota"), "raised: {overview}");
    for page in pages().await {
        assert!(!page.contains("class=\"notice"), "{page}");
    }
}

#[tokio::test]
async fn a_quota_of_yesterday_is_not_on_the_first_page() {
    let test = TestServer::start().await;
    let (_, key) = test.client("Acme", "starter").await;
    test.advance_to("2026-03-05T12:00:00Z");
    events(&test, &key, "2026-03-05T12:00:00Z", 0, 1_000).await;
    let console = Browser::signed_in(&test, ADMIN).await;
    assert!(console.get("/console").await.text.contains("daily quota"));
    test.advance_to("2026-03-06T00:00:00Z");
    assert!(!console.get("/console").await.text.contains("daily quota"));
}

#[tokio::test]
async fn costs_by_day_lead_from_one_period_to_the_other() {
    let test = TestServer::start().await;
    let (_, key) = test.client("Acme", "pro").await;
    test.advance_to("2026-03-05T12:00:00Z");
    test.advance_to("2026-04-10T00:00:00Z");
    jobs::run_due(test.app()).await.unwrap();
    let portal = portal(&test, &key).await;
    let page = portal.get("/portal/usage").await.text;
    assert!(page.contains("Cost by day") && page.contains("So far, before tax"), "{page}");
    let earlier = crate::console::between(&page, "href=\"?at=", "\">Earlier period");
    let page = portal.get(&format!("/portal/usage?at={earlier}")).await.text;
    assert!(page.contains("Invoice INV-000001, before tax"), "{page}");
    assert!(!page.contains("Earlier period") && page.contains("Later period"), "{page}");
    assert_eq!(portal.get("/portal/usage?at=x").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn plans_are_compared_and_a_file_is_tried_before_it_is_loaded() {
    let test = TestServer::start().await;
    let (client, key) = test.client("Acme", "pro").await;
    let console = Browser::signed_in(&test, ADMIN).await;
    let list = test.get(ADMIN, &format!("/api/v1/admin/tenants/{client}/subscriptions")).await;
    let id = list.expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/console/tenants/{client}/subscriptions/{id}/plans");
    let page = console.get(&path).await.text;
    assert!(page.contains("Nothing to compare yet"), "{page}");
    let portal = portal(&test, &key).await;
    assert!(portal.get("/portal/plans").await.text.contains("Nothing to compare yet"));

    test.advance_to("2026-03-05T12:00:00Z");
    events(&test, &key, "2026-03-05T12:00:00Z", 0, 1_500).await;
    test.advance_to("2026-04-02T00:00:00Z");
    // Sessions ended meanwhile.
    let console = Browser::signed_in(&test, ADMIN).await;
    let portal = self::portal(&test, &key).await;
    for page in [console.get(&path).await.text, portal.get("/portal/plans").await.text] {
        // Starter: 10 instead of 99, and 500 events would have been refused.
        assert!(page.contains("$10.00") && page.contains("-$89.00"), "{page}");
        assert!(page.contains("500 events would have been refused, in 1 window"), "{page}");
    }
    let file =
        crate::harness::WIDGET.replace("price = { month = \"99\" }", "price = { month = \"89\" }");
    let form = console.get("/console/products/widget/try").await.text;
    let token = crate::console::between(&form, "name=\"form_token\" value=\"", "\"");
    let tried = console.upload("/console/products/widget/try", token, file.as_bytes()).await;
    assert_eq!(tried.status, StatusCode::OK, "{}", tried.text);
    assert!(tried.text.contains("-$10.00") && tried.text.contains("Acme"), "{}", tried.text);
    let wrong = console.upload("/console/products/widget/try", token, b"nonsense").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", wrong.text);
    assert!(wrong.text.contains("The file cannot be tried"));
    let versions = test.get(ADMIN, "/api/v1/admin/products/widget/versions").await.expect(200);
    assert_eq!(versions["items"].as_array().unwrap().len(), 1, "nothing was loaded");
}

#[tokio::test]
async fn the_analytics_page_shows_revenue_and_says_what_it_lacks() {
    let test = TestServer::start().await;
    let console = Browser::signed_in(&test, ADMIN).await;
    assert!(console.get("/console/analytics").await.text.contains("No invoice yet"));
    test.client("Acme", "pro").await;
    test.advance_to("2026-04-02T00:00:00Z");
    jobs::run_due(test.app()).await.unwrap();
    let console = Browser::signed_in(&test, ADMIN).await;
    let page = console.get("/console/analytics").await.text;
    assert!(page.contains("Invoiced, USD") && page.contains("Recognised, USD"), "{page}");
    assert!(page.contains("Acme") && page.contains("$99.00"), "{page}");
    let stranger = Browser::new(&test).get("/console/analytics").await;
    assert_eq!(stranger.status, StatusCode::SEE_OTHER);
}
