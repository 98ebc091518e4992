//! Closing billing periods: what becomes of a year of usage. Test clocks begin
//! on 1 March 2026, 0:00 UTC.

use serde_json::{Value, json};
use tenure_server::jobs;

use crate::harness::{ADMIN, EPOCH, TestServer};

/// Moves the clock and does everything that is due then.
pub async fn pass(test: &TestServer, to: &str) {
    test.advance_to(to);
    let done = jobs::run_due(test.app()).await.unwrap();
    assert_eq!(done.failed, 0, "at {to}");
}

pub async fn invoices(test: &TestServer, tenant: &str) -> Vec<Value> {
    let path = format!("/api/v1/admin/invoices?tenant={tenant}&limit=200");
    let page = test.get(ADMIN, &path).await.expect(200);
    let mut all = page["items"].as_array().unwrap().clone();
    all.reverse();
    all
}

pub async fn whole(test: &TestServer, invoice: &Value) -> Value {
    let (tenant, id) = (invoice["tenant_id"].as_str().unwrap(), invoice["id"].as_str().unwrap());
    test.get(ADMIN, &format!("/api/v1/admin/tenants/{tenant}/invoices/{id}")).await.expect(200)
}

fn numbers(invoices: &[Value]) -> Vec<String> {
    let mut all: Vec<String> =
        invoices.iter().map(|one| one["number"].as_str().unwrap().to_owned()).collect();
    all.sort();
    all
}

pub fn amounts(invoice: &Value) -> Vec<(&str, &str, &str)> {
    let lines = invoice["lines"].as_array().unwrap().iter();
    lines
        .map(|line| {
            let text = |at: &str| line.pointer(at).unwrap().as_str().unwrap();
            (text("/kind"), text("/charge"), text("/amount/amount"))
        })
        .collect()
}

async fn events(test: &TestServer, key: &str, time: &str, count: usize) {
    sent(test, key, "event.ingested", time, count).await;
}

async fn queries(test: &TestServer, key: &str, time: &str, count: usize) {
    sent(test, key, "rca.query", time, count).await;
}

async fn sent(test: &TestServer, key: &str, kind: &str, time: &str, count: usize) {
    for first in (0..count).step_by(10_000) {
        let batch: Vec<Value> = (first..count.min(first + 10_000))
            .map(|n| {
                json!({ "specversion": "1.0", "id": format!("{time}-{n}"), "source": "/test",
                        "type": kind, "time": time })
            })
            .collect();
        let receipt = test.post(key, "/api/v1/usage", json!(batch)).await.expect(200);
        assert_eq!(receipt["accepted"], batch.len());
    }
}

pub async fn client(test: &TestServer, slug: &str, subscription: Value) -> (String, String) {
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
    assert_eq!(numbers(&all), (1..=12).map(|n| format!("INV-{n:06}")).collect::<Vec<_>>());
    for invoice in &all {
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
    // The estimate says what the invoice will say.
    let bill = test.get(ADMIN, &format!("{path}/bill")).await.expect(200);
    assert_eq!(bill["total"]["amount"], "365.67");
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
async fn seats_of_one_plan_do_not_multiply_the_flat_price_of_another() {
    let test = TestServer::with_product(&["incidentfox"]).await;
    let items = json!([{ "charge": "base", "quantity": "12" }]);
    let body = json!({ "product": "incidentfox", "plan": "seats", "items": items });
    let (path, _) = client(&test, "acme", body).await;
    pass(&test, "2026-04-02T00:00:00Z").await;
    let march = whole(&test, &invoices(&test, "acme").await[0]).await;
    assert_eq!(amounts(&march), [("charge", "base", "6000.00")], "12 teams at 500");
    let bill = async |plan: &str| {
        test.post(ADMIN, &format!("{path}/move"), json!({ "plan": plan })).await.expect(200);
        let bill = test.get(ADMIN, &format!("{path}/bill")).await.expect(200);
        let lines = bill["lines"].as_array().unwrap().clone();
        lines.last().unwrap()["arithmetic"].as_str().unwrap().to_owned()
    };
    let flat = bill("professional").await;
    assert!(flat.starts_with("$75,000.00 x"), "{flat}");
    test.advance_to("2026-04-03T00:00:00Z");
    let seats = bill("seats").await;
    assert!(seats.starts_with("1 team x $500.00"), "{seats}");
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

/// Every event is billed: nothing is included.
async fn bill_every_event(test: &TestServer, path: &str) {
    let contract = json!({ "reason": "test", "approver": "test",
        "changes": { "limits": [{ "limit": "events", "included": "0" }] } });
    test.post(ADMIN, &format!("{path}/contracts"), contract).await.expect(201);
}

/// How many events all lines of all invoices name.
async fn billed_events(test: &TestServer, tenant: &str) -> i64 {
    let mut sum = 0;
    for invoice in invoices(test, tenant).await {
        let invoice = whole(test, &invoice).await;
        let lines = invoice["lines"].as_array().unwrap().iter();
        sum += lines
            .filter(|line| line["kind"] == "charge")
            .map(|line| line["events"].as_i64().unwrap())
            .sum::<i64>();
    }
    sum
}

#[tokio::test]
async fn anchors_from_28_to_31_come_back_in_every_zone_and_leap_year() {
    let test = TestServer::start().await;
    let zones = ["Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns", "UTC"];
    for (zone, day) in zones.into_iter().zip([28i8, 29, 30, 31]) {
        let tenant = format!("t{day}");
        let body = json!({ "name": tenant, "time_zone": zone });
        test.post(ADMIN, "/api/v1/admin/tenants", body).await.expect(201);
        let local = jiff::civil::date(2026, 1, day).at(0, 30, 0, 0);
        let start = local.in_tz(zone).unwrap().timestamp().to_string();
        let body = json!({ "plan": "pro", "starts_at": start, "billed_from": start });
        let path = format!("/api/v1/admin/tenants/{tenant}/subscriptions");
        test.post(ADMIN, &path, body).await.expect(201);
    }
    pass(&test, "2028-04-05T00:00:00Z").await;
    for (zone, day) in zones.into_iter().zip([28i8, 29, 30, 31]) {
        let all = invoices(&test, &format!("t{day}")).await;
        assert_eq!(all.len(), 26, "{zone}");
        let mut edge = None;
        for invoice in &all {
            let start = &invoice["period_start"];
            assert_eq!(edge.as_ref().unwrap_or(start), start, "no gap, no overlap");
            edge = Some(invoice["period_end"].clone());
            let start: jiff::Timestamp = start.as_str().unwrap().parse().unwrap();
            let local = start.in_tz(zone).unwrap();
            assert_eq!(local.day(), day.min(local.days_in_month()), "{zone} {local}");
            assert_eq!(local.time(), jiff::civil::time(0, 30, 0, 0), "{zone} {local}");
            assert_eq!(invoice["total"]["amount"], "99.00");
        }
    }
}

#[tokio::test]
async fn a_tenant_that_changes_its_zone_is_billed_for_every_event_once() {
    let test = TestServer::start().await;
    let (path, key) = client(&test, "acme", json!({ "plan": "pro" })).await;
    bill_every_event(&test, &path).await;
    let zones = ["Asia/Kathmandu", "America/St_Johns", "UTC"];
    let mut sent = 0;
    for (month, zone) in (3..).zip(zones) {
        test.advance_to(&format!("2026-{month:02}-20T00:00:00Z"));
        let to = json!({ "time_zone": zone });
        test.patch(ADMIN, "/api/v1/admin/tenants/acme", to).await.expect(200);
        // Around the edge of the period, on both sides of every midnight.
        test.advance_to(&format!("2026-{:02}-02T12:00:00Z", month + 1));
        for hour in 0..48 {
            let edge: jiff::Timestamp =
                format!("2026-{:02}-01T00:00:00Z", month + 1).parse().unwrap();
            let at = edge + jiff::SignedDuration::from_mins(60 * (hour - 24) + 7);
            events(&test, &key, &at.to_string(), 1).await;
            sent += 1;
        }
        jobs::run_due(test.app()).await.unwrap();
    }
    pass(&test, "2026-09-01T12:00:00Z").await;
    assert_eq!(billed_events(&test, "acme").await, sent);
    let all = invoices(&test, "acme").await;
    assert_eq!(all[3]["period_start"], "2026-06-01T00:00:00Z", "periods stay where they began");
}

#[tokio::test]
async fn two_servers_and_interrupted_runs_close_each_period_once() {
    let test = TestServer::start().await;
    let mut keys = Vec::new();
    for n in 0..8 {
        let (path, key) = client(&test, &format!("t{n}"), json!({ "plan": "pro" })).await;
        bill_every_event(&test, &path).await;
        keys.push(key);
    }
    test.advance_to("2026-03-05T12:00:00Z");
    for (n, key) in keys.iter().enumerate() {
        events(&test, key, "2026-03-05T12:00:00Z", 10 + n).await;
    }
    let other = test.beside().await;
    // Interrupted at many points: whoever held a job is gone, with its transaction.
    let to = "2026-09-02T00:00:00Z";
    test.advance_to(to);
    other.advance_to(to);
    for _ in 0..12 {
        for server in [&test, &other] {
            let patience = std::time::Duration::from_millis(40);
            let _ = tokio::time::timeout(patience, jobs::run_due(server.app())).await;
        }
    }
    // The leases of the dead run out; both servers go on at once.
    test.advance_to("2026-09-02T01:00:00Z");
    other.advance_to("2026-09-02T01:00:00Z");
    let (one, two) = tokio::join!(jobs::run_due(test.app()), jobs::run_due(other.app()));
    assert_eq!((one.unwrap().failed, two.unwrap().failed), (0, 0));
    let mut all = Vec::new();
    for n in 0..8 {
        let own = invoices(&test, &format!("t{n}")).await;
        assert_eq!(own.len(), 6, "t{n}");
        let march = whole(&test, &own[0]).await;
        assert_eq!(march["lines"][1]["events"], json!(10 + n), "{march}");
        for later in &own[1..] {
            assert_eq!(amounts(&whole(&test, later).await), [("charge", "base", "99.00")]);
        }
        all.extend(own);
    }
    assert_eq!(numbers(&all), (1..=48).map(|n| format!("INV-{n:06}")).collect::<Vec<_>>());
    let runs = test.get(ADMIN, "/api/v1/admin/billing/runs").await.expect(200);
    let run = &runs["items"][0];
    assert!(run["finished_at"].is_string(), "{run}");
    assert_eq!((&run["done"], &run["failed"]), (&run["total"], &json!(0)));
}

#[tokio::test]
async fn what_cannot_be_billed_is_named_and_billed_once_it_can() {
    let test = TestServer::with_product(&["kg-rca"]).await;
    let body = json!({ "product": "kg-rca", "plan": "enterprise" });
    let (path, _) = client(&test, "acme", body).await;
    client(&test, "globex", json!({ "product": "kg-rca", "plan": "pro" })).await;
    test.advance_to("2026-04-02T00:00:00Z");
    let done = jobs::run_due(test.app()).await.unwrap();
    assert_eq!((done.finished, done.failed), (2, 1), "closed and issued, and one that failed");
    let runs = test.get(ADMIN, "/api/v1/admin/billing/runs").await.expect(200);
    let failure = &runs["items"][0]["failures"][0];
    assert!(failure["detail"].as_str().unwrap().contains("agree on it in a contract"), "{failure}");
    assert_eq!(invoices(&test, "acme").await.len(), 0);
    // A price is agreed on; a run by hand tries again at once.
    let contract = json!({ "reason": "Quote", "approver": "cfo", "valid_from": EPOCH,
        "changes": { "prices": [{ "charge": "base", "amount": "4000", "every": "month" }] } });
    test.post(ADMIN, &format!("{path}/contracts"), contract).await.expect(201);
    let run = test.post(ADMIN, "/api/v1/admin/billing/runs", json!({})).await.expect(202);
    jobs::run_due(test.app()).await.unwrap();
    assert_eq!(invoices(&test, "acme").await[0]["total"]["amount"], "4000.00");
    let path = format!("/api/v1/admin/billing/runs/{}", run["id"].as_str().unwrap());
    let run = test.get(ADMIN, &path).await.expect(200);
    assert_eq!((&run["failed"], &run["failures"]), (&json!(0), &json!([])));
}

#[tokio::test]
async fn every_line_is_led_back_to_its_events_and_the_archive_verifies() {
    let test = TestServer::with_product(&["kg-rca"]).await;
    let (_, key) = client(&test, "acme", json!({ "product": "kg-rca", "plan": "basic" })).await;
    test.advance_to("2026-03-05T14:00:00Z");
    // In chunks and as single rows: 1,203 in the month, 203 over at 0.50.
    queries(&test, &key, "2026-03-05T12:00:00Z", 1_200).await;
    queries(&test, &key, "2026-03-05T11:00:00Z", 3).await;
    pass(&test, "2026-04-03T00:00:00Z").await;
    let invoice = whole(&test, &invoices(&test, "acme").await[0]).await;
    let path = format!("/api/v1/admin/tenants/acme/invoices/{}", invoice["id"].as_str().unwrap());
    for line in 1..=invoice["lines"].as_array().unwrap().len() {
        let found = test.get(ADMIN, &format!("{path}/lines/{line}")).await.expect(200);
        assert_eq!(found["agrees"], true, "{found}");
        assert_eq!(found["computed"], invoice["lines"][line - 1]["amount"]);
    }
    let over = test.get(ADMIN, &format!("{path}/lines/2?limit=1000")).await.expect(200);
    let usage = &over["usage"];
    assert_eq!(usage["events"].as_array().unwrap().len(), 1_000);
    assert_eq!(usage["events"][0]["time"], "2026-03-05T11:00:00Z");
    let next = usage["next_cursor"].as_str().unwrap();
    let page = test.get(ADMIN, &format!("{path}/lines/2?limit=10&cursor={next}")).await.expect(200);
    assert_ne!(page["usage"]["events"][0]["id"], usage["events"][0]["id"]);
    test.get(ADMIN, &format!("{path}/lines/3")).await.expect(404);
    test.get(ADMIN, &format!("{path}/lines/2?cursor=nonsense")).await.expect(422);

    let own = format!("/api/v1/invoices/{}", invoice["id"].as_str().unwrap());
    test.get(&key, &format!("{own}/lines/2")).await.expect(200);
    let request = test.request(reqwest::Method::GET, &key, &format!("{own}/evidence"));
    let archive = request.send().await.unwrap().bytes().await.unwrap();
    let report = tenure_evidence::verify(archive.as_ref()).unwrap();
    assert!(report.agrees(), "{report:#?}");
    assert_eq!((report.invoice.as_str(), report.events), ("INV-000001", 1_203));

    // Usage that comes late changes nothing of it.
    queries(&test, &key, "2026-03-05T13:00:00Z", 10).await;
    let again = test.get(ADMIN, &format!("{path}/lines/2")).await.expect(200);
    assert_eq!((&again["agrees"], &again["usage"]["windows"]), (&json!(true), &usage["windows"]));
}
