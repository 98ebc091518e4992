//! What becomes known of a subscription after its last invoice. Test clocks begin on
//! 1 March 2026, 0:00 UTC; the subscriptions end on the 16th.

use reqwest::Method;
use serde_json::{Value, json};
use tenure_server::jobs;

use crate::{
    close::{amounts, client, invoices, pass, whole},
    harness::{ADMIN, EPOCH, TestServer},
    usage::{USAGE, reasons, typed},
};

const END: &str = "2026-03-16T00:00:00Z";

/// Every event costs 0.10.
async fn dear(test: &TestServer, path: &str) {
    let contract = json!({ "reason": "test", "approver": "test", "changes": {
        "limits": [{ "limit": "events", "included": "0" }],
        "prices": [{ "charge": "overage.events", "amount": "100" }] } });
    test.post(ADMIN, &format!("{path}/contracts"), contract).await.expect(201);
}

async fn send(test: &TestServer, key: &str, events: Vec<Value>) {
    let sent = events.len();
    let receipt = test.post(key, USAGE, json!(events)).await.expect(200);
    assert_eq!(receipt["accepted"], sent, "{receipt}");
}

fn many(prefix: &str, time: &str, count: usize) -> Vec<Value> {
    let one = |n| typed(&format!("{prefix}{n}"), "event.ingested", time, json!({}));
    (0..count).map(one).collect()
}

/// The same, by a producer that numbers its events.
fn numbered(time: &str, count: usize) -> Vec<Value> {
    let mut events = many("n", time, count);
    for (n, event) in events.iter_mut().enumerate() {
        event["source"] = json!("/numbers");
        event["sequence"] = json!((n + 1).to_string());
        event["sequencetype"] = json!("Integer");
    }
    events
}

fn void(id: &str, of: &str, time: &str) -> Value {
    typed(id, "tenure.void", time, json!({ "source": "/test", "id": of }))
}

async fn cancel(test: &TestServer, path: &str) {
    test.post(ADMIN, &format!("{path}/cancel"), json!({})).await.expect(200);
}

/// Twenty events on 5 March, cancelled on the 16th, billed and issued on the 17th.
async fn ended(test: &TestServer, tenant: &str) -> (String, String) {
    let (path, key) = client(test, tenant, json!({ "plan": "pro" })).await;
    dear(test, &path).await;
    test.advance_to("2026-03-05T12:00:00Z");
    send(test, &key, many("a", "2026-03-05T12:00:00Z", 20)).await;
    test.advance_to(END);
    cancel(test, &path).await;
    pass(test, "2026-03-17T00:00:00Z").await;
    let all = invoices(test, tenant).await;
    assert_eq!(all.len(), 1);
    // 99 x 15/31 = 47.90, and 20 x 0.10.
    let last = whole(test, &all[0]).await;
    let lines = [("charge", "base", "47.90"), ("charge", "overage.events", "2.00")];
    assert_eq!((amounts(&last), &last["status"]), (lines.to_vec(), &json!("issued")));
    (path, key)
}

/// The invoice can be computed again: here, and from its archive by somebody else.
async fn agrees(test: &TestServer, invoice: &Value) {
    let (tenant, id) = (invoice["tenant_id"].as_str().unwrap(), invoice["id"].as_str().unwrap());
    let path = format!("/api/v1/admin/tenants/{tenant}/invoices/{id}");
    for line in invoice["lines"].as_array().unwrap() {
        let told = test.get(ADMIN, &format!("{path}/lines/{}", line["line"])).await.expect(200);
        assert_eq!(told["agrees"], true, "{told}");
    }
    let request = test.request(Method::GET, ADMIN, &format!("{path}/evidence"));
    let archive = request.send().await.unwrap().bytes().await.unwrap();
    let report = tenure_evidence::verify(archive.as_ref()).unwrap();
    assert!(report.agrees(), "{report:?}");
}

#[tokio::test]
async fn usage_that_comes_after_the_last_invoice_is_settled_with_the_month() {
    let test = TestServer::start().await;
    let (path, key) = ended(&test, "acme").await;
    let issued = whole(&test, &invoices(&test, "acme").await[0]).await;
    // What was used before the end is taken, in both lanes; what is dated later is not.
    test.advance_to("2026-03-18T00:00:00Z");
    send(&test, &key, many("b", "2026-03-05T13:00:00Z", 30)).await;
    let after = json!([
        typed("x", "event.ingested", END, json!({})),
        typed("y", "event.ingested", "2026-03-17T00:00:00Z", json!({})),
    ]);
    let receipt = test.post(&key, USAGE, after).await.expect(200);
    assert_eq!(reasons(&receipt), ["after_subscription"; 2]);
    pass(&test, "2026-03-18T01:00:00Z").await;
    test.advance_to("2026-03-20T00:00:00Z");
    send(&test, &key, numbered("2026-03-15T23:59:59.999999Z", 5)).await;
    pass(&test, "2026-03-31T23:00:00Z").await;
    assert_eq!(invoices(&test, "acme").await.len(), 1, "no invoice an event");
    // The bill of an ended subscription stays that of its last period.
    let bill = test.get(ADMIN, &format!("{path}/bill")).await.expect(200);
    assert_eq!((&bill["period_end"], &bill["total"]["amount"]), (&json!(END), &json!("53.40")));

    pass(&test, "2026-04-01T00:00:00Z").await;
    let drafted = &invoices(&test, "acme").await[1];
    assert_eq!(
        (&drafted["status"], &drafted["total"]["amount"]),
        (&json!("draft"), &json!("3.50"))
    );
    // It has a grace as every draft.
    send(&test, &key, many("c", "2026-03-06T00:00:00Z", 1)).await;
    pass(&test, "2026-04-02T00:00:00Z").await;
    let all = invoices(&test, "acme").await;
    assert_eq!(whole(&test, &all[0]).await, issued, "what was issued does not change");
    let settlement = whole(&test, &all[1]).await;
    assert_eq!(amounts(&settlement), [("adjustment", "overage.events", "3.60")]);
    assert_eq!(
        (&settlement["period_start"], &settlement["period_end"], &settlement["status"]),
        (&json!(END), &json!("2026-04-01T00:00:00Z"), &json!("issued"))
    );
    let line = &settlement["lines"][0];
    assert_eq!((&line["cites_invoice"], &line["cites_line"]), (&issued["id"], &json!(2)));
    assert_eq!((&line["period"], &line["events"]), (&json!(0), &json!(56)));
    agrees(&test, &settlement).await;
    // Later still is settled again; and nothing more comes of nothing.
    test.advance_to("2026-05-10T00:00:00Z");
    send(&test, &key, many("d", "2026-03-06T00:00:00Z", 2)).await;
    pass(&test, "2026-05-10T01:00:00Z").await;
    pass(&test, "2026-06-02T00:00:00Z").await;
    pass(&test, "2026-09-02T00:00:00Z").await;
    let all = invoices(&test, "acme").await;
    assert_eq!(all.len(), 3);
    let last = whole(&test, &all[2]).await;
    assert_eq!(amounts(&last), [("adjustment", "overage.events", "0.20")]);
    assert_eq!(last["period_end"], "2026-06-01T00:00:00Z");
    agrees(&test, &last).await;
}

#[tokio::test]
async fn what_is_taken_back_after_the_end_gives_money_back() {
    let test = TestServer::start().await;
    let (path, key) = ended(&test, "acme").await;
    test.advance_to("2026-03-20T00:00:00Z");
    let amend = typed(
        "m",
        "tenure.amend",
        "2026-03-20T00:00:00Z",
        json!({
        "void": { "source": "/test", "id": "a7" },
        "event": { "type": "event.ingested", "time": "2026-03-18T00:00:00Z", "data": {} } }),
    );
    let receipt = test.post(&key, USAGE, json!([amend])).await.expect(200);
    assert_eq!(reasons(&receipt), ["after_subscription"], "nothing stands instead after the end");
    let taken = ["a3", "a4", "a5"].map(|id| void(&format!("v{id}"), id, "2026-03-20T00:00:00Z"));
    send(&test, &key, taken.to_vec()).await;
    pass(&test, "2026-03-20T01:00:00Z").await;
    pass(&test, "2026-04-02T00:00:00Z").await;
    let all = invoices(&test, "acme").await;
    let settlement = whole(&test, &all[1]).await;
    assert_eq!(amounts(&settlement), [("adjustment", "overage.events", "-0.30")]);
    assert_eq!(
        (&settlement["status"], settlement["lines"][0]["events"].clone()),
        (&json!("paid"), json!(17))
    );
    agrees(&test, &settlement).await;
    let tenant = path.split("/subscriptions").next().unwrap();
    let credits = test.get(ADMIN, &format!("{tenant}/credits")).await.expect(200);
    assert_eq!(credits["balances"][0]["balance"]["amount"], "0.30", "{credits}");
}

#[tokio::test]
async fn a_settlement_of_which_nothing_is_left_in_its_grace_is_no_invoice() {
    let test = TestServer::start().await;
    let (_, key) = ended(&test, "acme").await;
    test.advance_to("2026-03-20T00:00:00Z");
    send(&test, &key, many("late", "2026-03-05T13:00:00Z", 1)).await;
    pass(&test, "2026-03-20T01:00:00Z").await;
    pass(&test, "2026-04-01T00:00:00Z").await;
    let draft = invoices(&test, "acme").await[1].clone();
    assert_eq!(draft["status"], "draft");
    send(&test, &key, vec![void("v", "late0", "2026-04-01T00:00:00Z")]).await;
    pass(&test, "2026-04-02T00:00:00Z").await;
    assert_eq!(invoices(&test, "acme").await.len(), 1, "a draft of nothing is gone");
    pass(&test, "2026-08-02T00:00:00Z").await;
    assert_eq!(invoices(&test, "acme").await.len(), 1);
    // The next number follows the one of the last invoice.
    client(&test, "other", json!({ "plan": "pro" })).await;
    pass(&test, "2026-09-03T00:00:00Z").await;
    assert_eq!(invoices(&test, "other").await[0]["number"], "INV-000002");
}

#[tokio::test]
async fn where_nothing_is_late_nothing_is_made() {
    let test = TestServer::start().await;
    ended(&test, "acme").await;
    // An end at the moment of the beginning leaves no period at all.
    let (path, _) = client(&test, "short", json!({ "plan": "pro" })).await;
    cancel(&test, &path).await;
    for month in 4..=12 {
        pass(&test, &format!("2026-{month:02}-02T00:00:00Z")).await;
    }
    assert_eq!(invoices(&test, "acme").await.len(), 1);
    let open =
        crate::usage::behind(&test, "SELECT count(*) FROM billing_periods WHERE status = 'open'")
            .await;
    assert_eq!(sqlx::Row::get::<i64, _>(&open[0], 0), 0);
}

#[tokio::test]
async fn a_contract_that_is_entered_late_is_settled_too() {
    let test = TestServer::start().await;
    let (path, _) = ended(&test, "acme").await;
    test.advance_to("2026-03-20T00:00:00Z");
    let half = json!({ "reason": "agreed before", "approver": "cfo", "valid_from": EPOCH,
        "changes": { "discounts": [{ "name": "half", "percent": "50", "charges": ["base"] }] } });
    test.post(ADMIN, &format!("{path}/contracts"), half).await.expect(201);
    pass(&test, "2026-03-20T01:00:00Z").await;
    pass(&test, "2026-04-02T00:00:00Z").await;
    let all = invoices(&test, "acme").await;
    let settlement = whole(&test, &all[1]).await;
    assert_eq!(amounts(&settlement), [("adjustment", "base", "-23.95")]);
    agrees(&test, &settlement).await;
    pass(&test, "2026-08-02T00:00:00Z").await;
    assert_eq!(invoices(&test, "acme").await.len(), 2);
}

#[tokio::test]
async fn what_a_void_settlement_corrected_is_settled_again() {
    let test = TestServer::start().await;
    let (_, key) = ended(&test, "acme").await;
    test.advance_to("2026-03-20T00:00:00Z");
    send(&test, &key, many("late", "2026-03-05T13:00:00Z", 10)).await;
    pass(&test, "2026-03-20T01:00:00Z").await;
    pass(&test, "2026-04-02T00:00:00Z").await;
    let first = whole(&test, &invoices(&test, "acme").await[1]).await;
    let (tenant, id) = (first["tenant_id"].as_str().unwrap(), first["id"].as_str().unwrap());
    let path = format!("/api/v1/admin/tenants/{tenant}/invoices/{id}/void");
    test.post(ADMIN, &path, json!({})).await.expect(200);
    pass(&test, "2026-04-02T02:00:00Z").await;
    pass(&test, "2026-05-02T00:00:00Z").await;
    pass(&test, "2026-08-02T00:00:00Z").await;
    let all = invoices(&test, "acme").await;
    assert_eq!(all.len(), 3);
    let again = whole(&test, &all[2]).await;
    assert_eq!(amounts(&again), amounts(&first));
    assert_eq!(again["number"], "INV-000003");
}

#[tokio::test]
async fn two_servers_settle_each_subscription_once() {
    let test = TestServer::start().await;
    let names: Vec<String> = (0..6).map(|n| format!("t{n}")).collect();
    let mut keys = Vec::new();
    for name in &names {
        let (path, key) = client(&test, name, json!({ "plan": "pro" })).await;
        dear(&test, &path).await;
        keys.push((path, key));
    }
    test.advance_to(END);
    for (path, _) in &keys {
        cancel(&test, path).await;
    }
    pass(&test, "2026-03-17T00:00:00Z").await;
    test.advance_to("2026-03-20T00:00:00Z");
    for (n, (_, key)) in keys.iter().enumerate() {
        send(&test, key, many("late", "2026-03-05T13:00:00Z", 10 + n)).await;
    }
    let other = test.beside().await;
    let both = async |to: &str, interrupted: bool| {
        for server in [&test, &other] {
            server.advance_to(to);
            // Given up at some point, as by a server that is stopped.
            let patience = std::time::Duration::from_millis(15);
            if interrupted {
                let _ = tokio::time::timeout(patience, jobs::run_due(server.app())).await;
            }
        }
        let (one, two) = tokio::join!(jobs::run_due(test.app()), jobs::run_due(other.app()));
        assert_eq!((one.unwrap().failed, two.unwrap().failed), (0, 0), "at {to}");
    };
    // A schedule that was given up runs again an hour later; so do leases that ran out.
    for day in ["2026-03-20", "2026-04-01", "2026-04-02"] {
        both(&format!("{day}T01:00:00Z"), true).await;
        both(&format!("{day}T03:00:00Z"), false).await;
    }
    both("2026-07-02T00:00:00Z", false).await;
    let mut numbers = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let all = invoices(&test, name).await;
        assert_eq!(all.len(), 2, "{name}");
        let settlement = whole(&test, &all[1]).await;
        let amount = format!("{}.{}0", (10 + n) / 10, (10 + n) % 10);
        assert_eq!(amounts(&settlement), [("adjustment", "overage.events", &*amount)]);
        numbers.extend(all.iter().map(|one| one["number"].as_str().unwrap().to_owned()));
    }
    numbers.sort();
    assert_eq!(numbers, (1..=12).map(|n| format!("INV-{n:06}")).collect::<Vec<_>>());
}
