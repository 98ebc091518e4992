//! Closing billing periods: what becomes of a year of usage. Test clocks begin
//! on 1 March 2026, 0:00 UTC.

use serde_json::{Value, json};
use tenure_server::jobs;

use crate::harness::{ADMIN, EPOCH, TestServer};

/// Moves the clock and does everything that is due then.
async fn pass(test: &TestServer, to: &str) {
    test.advance_to(to);
    let done = jobs::run_due(test.app()).await.unwrap();
    assert_eq!(done.failed, 0, "at {to}");
}

async fn invoices(test: &TestServer, tenant: &str) -> Vec<Value> {
    let path = format!("/api/v1/admin/invoices?tenant={tenant}&limit=200");
    let page = test.get(ADMIN, &path).await.expect(200);
    let mut all = page["items"].as_array().unwrap().clone();
    all.reverse();
    all
}

async fn whole(test: &TestServer, invoice: &Value) -> Value {
    let (tenant, id) = (invoice["tenant_id"].as_str().unwrap(), invoice["id"].as_str().unwrap());
    test.get(ADMIN, &format!("/api/v1/admin/tenants/{tenant}/invoices/{id}")).await.expect(200)
}

fn amounts(invoice: &Value) -> Vec<(&str, &str, &str)> {
    let lines = invoice["lines"].as_array().unwrap().iter();
    let one = |line: &'_ Value| -> (*const str, *const str, *const str) {
        let text = |at: &str| line.pointer(at).unwrap().as_str().unwrap() as *const str;
        (text("/kind"), text("/charge"), text("/amount/amount"))
    };
    let _ = one;
    lines
        .map(|line| {
            let text = |at: &str| line.pointer(at).unwrap().as_str().unwrap();
            (text("/kind"), text("/charge"), text("/amount/amount"))
        })
        .collect()
}

async fn events(test: &TestServer, key: &str, time: &str, count: usize) {
    for first in (0..count).step_by(10_000) {
        let batch: Vec<Value> = (first..count.min(first + 10_000))
            .map(|n| {
                json!({ "specversion": "1.0", "id": format!("{time}-{n}"), "source": "/test",
                        "type": "event.ingested", "time": time })
            })
            .collect();
        let receipt = test.post(key, "/api/v1/usage", json!(batch)).await.expect(200);
        assert_eq!(receipt["accepted"], batch.len());
    }
}

async fn client(test: &TestServer, slug: &str, subscription: Value) -> (String, String) {
    let id = test.subscribe(slug, subscription).await;
    let path = format!("/api/v1/admin/tenants/{slug}/keys");
    let made = test.post(ADMIN, &path, json!({ "subscription": id })).await.expect(201);
    (
        format!("/api/v1/admin/tenants/{slug}/subscriptions/{id}"),
        made["api_key"].as_str().unwrap().to_owned(),
    )
}

#[tokio::test]
async fn a_year_ends_in_twelve_invoices_numbered_without_a_gap() {
    let test = TestServer::start().await;
    let (_, key) = client(&test, "acme", json!({ "plan": "pro" })).await;
    // 101,000 on 5 March: 1,000 over the 100,000 a day, at 0.05 a 1,000.
    test.advance_to("2026-03-05T12:00:00Z");
    events(&test, &key, "2026-03-05T12:00:00Z", 101_000).await;
    pass(&test, "2027-03-02T00:00:00Z").await;
    let all = invoices(&test, "acme").await;
    assert_eq!(all.len(), 12);
    let mut edge = json!(EPOCH);
    for (index, invoice) in all.iter().enumerate() {
        assert_eq!(invoice["number"], format!("INV-{:06}", index + 1), "{invoice}");
        assert_eq!(invoice["status"], "issued");
        assert_eq!(invoice["period_start"], edge, "no gap, no overlap");
        edge = invoice["period_end"].clone();
    }
    assert_eq!(edge, "2027-03-01T00:00:00Z");
    let first = whole(&test, &all[0]).await;
    assert_eq!(
        amounts(&first),
        [("charge", "base", "99.00"), ("charge", "overage.events", "0.05")]
    );
    let over = &first["lines"][1];
    assert_eq!((&over["meter"], &over["events"]), (&json!("events"), &json!(101_000)));
    assert_ne!(over["digest"], "0".repeat(32));
    assert_eq!(first["total"]["amount"], "99.05");
    assert_eq!(amounts(&whole(&test, &all[11]).await), [("charge", "base", "99.00")]);
}

#[tokio::test]
async fn usage_in_the_grace_is_on_the_invoice_and_what_comes_later_corrects_it() {
    let test = TestServer::start().await;
    let (_, key) = client(&test, "acme", json!({ "plan": "pro" })).await;
    test.advance_to("2026-03-20T00:00:00Z");
    events(&test, &key, "2026-03-10T12:00:00Z", 100_000).await;
    pass(&test, "2026-04-01T00:00:00Z").await;
    let draft = &invoices(&test, "acme").await[0];
    assert_eq!((&draft["status"], &draft["number"]), (&json!("draft"), &Value::Null));
    assert_eq!(draft["total"]["amount"], "99.00");
    // In the grace: 10,000 more on that day, 0.50.
    events(&test, &key, "2026-03-10T13:00:00Z", 10_000).await;
    pass(&test, "2026-04-02T00:00:00Z").await;
    let issued = whole(&test, &invoices(&test, "acme").await[0]).await;
    assert_eq!(
        (&issued["status"], &issued["total"]["amount"]),
        (&json!("issued"), &json!("99.50"))
    );
    // After it: 5,000 more, 0.25. The invoice stays, the next one corrects it.
    events(&test, &key, "2026-03-10T14:00:00Z", 5_000).await;
    pass(&test, "2026-05-02T00:00:00Z").await;
    let all = invoices(&test, "acme").await;
    assert_eq!(whole(&test, &all[0]).await, issued, "what was issued does not change");
    let april = whole(&test, &all[1]).await;
    assert_eq!(
        amounts(&april),
        [("charge", "base", "99.00"), ("adjustment", "overage.events", "0.25")]
    );
    let line = &april["lines"][1];
    assert_eq!((&line["cites_invoice"], &line["cites_line"]), (&issued["id"], &json!(2)));
    assert_eq!((&line["period"], &line["events"]), (&json!(0), &json!(115_000)));
    // Nothing more came: nothing more is corrected.
    pass(&test, "2026-06-02T00:00:00Z").await;
    let may = whole(&test, &invoices(&test, "acme").await[2]).await;
    assert_eq!(amounts(&may), [("charge", "base", "99.00")]);
}

#[tokio::test]
async fn moves_seats_and_a_cancellation_cut_the_month() {
    let test = TestServer::with_product(&["kg-rca", "meeting-minutes"]).await;
    let (path, _) = client(&test, "acme", json!({ "product": "kg-rca", "plan": "basic" })).await;
    // April has 30 days.
    pass(&test, "2026-04-02T00:00:00Z").await;
    test.advance_to("2026-04-11T00:00:00Z");
    test.post(ADMIN, &format!("{path}/move"), json!({ "plan": "pro" })).await.expect(200);
    pass(&test, "2026-05-02T00:00:00Z").await;
    let april = whole(&test, &invoices(&test, "acme").await[1]).await;
    // 99 x 10/30 = 33.00 and 499 x 20/30 = 332.67.
    assert_eq!(amounts(&april), [("charge", "base", "33.00"), ("charge", "base", "332.67")]);
    // Cancelled after 15 of the 31 days of May: 499 x 15/31 = 241.45; billed at once.
    test.advance_to("2026-05-16T00:00:00Z");
    test.post(ADMIN, &format!("{path}/cancel"), json!({})).await.expect(200);
    pass(&test, "2026-05-17T00:00:00Z").await;
    let may = whole(&test, &invoices(&test, "acme").await[2]).await;
    assert_eq!(amounts(&may), [("charge", "base", "241.45")]);
    assert_eq!(may["period_end"], "2026-05-16T00:00:00Z");
    pass(&test, "2027-01-01T00:00:00Z").await;
    assert_eq!(invoices(&test, "acme").await.len(), 3, "nothing is billed after the end");
}

#[tokio::test]
async fn seats_that_are_added_are_billed_for_the_rest_of_the_month() {
    let test = TestServer::with_product(&["meeting-minutes"]).await;
    let items = json!([{ "charge": "base", "quantity": "10" }]);
    let body = json!({ "product": "meeting-minutes", "plan": "starter", "items": items });
    let (path, _) = client(&test, "acme", body).await;
    pass(&test, "2026-04-16T00:00:00Z").await;
    let five_more = json!({ "charge": "base", "quantity": "15" });
    test.put(ADMIN, &format!("{path}/items"), five_more).await.expect(200);
    pass(&test, "2026-05-02T00:00:00Z").await;
    let april = whole(&test, &invoices(&test, "acme").await[1]).await;
    // (10 x 5 + 5 x 5 x 15/30) less 20% (early adopter) = 50.00.
    assert_eq!(april["total"]["amount"], "50.00", "{april}");
    // Seats that are entered late, from a day of April on, are corrected with May.
    let late = json!({ "charge": "base", "quantity": "16", "from": "2026-04-16T00:00:00Z" });
    test.put(ADMIN, &format!("{path}/items"), late).await.expect(200);
    pass(&test, "2026-06-02T00:00:00Z").await;
    let may = whole(&test, &invoices(&test, "acme").await[2]).await;
    // 16 x 5 less 20% = 64.00; one seat more for half of April, 2.00.
    assert_eq!(amounts(&may), [("charge", "base", "64.00"), ("adjustment", "base", "2.00")]);
}
