//! Months of single events: made, dropped, and what stays exact without them.

use jiff::civil::{Date, date};
use serde_json::{Value, json};
use sqlx::Row;
use tenure_server::{
    jobs,
    usage::retention::{Upkeep, upkeep},
};

use crate::{
    harness::{ADMIN, EPOCH, TestServer, WIDGET},
    usage::{USAGE, behind, meter, outcomes, reasons, typed},
};

fn batch(prefix: &str, time: &str) -> Value {
    json!(
        (0..20)
            .map(|n| typed(&format!("{prefix}{n}"), "event.ingested", time, json!({})))
            .collect::<Vec<_>>()
    )
}

async fn kept(test: &TestServer) -> Upkeep {
    upkeep(test.app(), test.clock_now()).await.expect("upkeep")
}

async fn count(test: &TestServer, table: &str) -> i64 {
    behind(test, &format!("SELECT count(*) FROM {table}")).await[0].get(0)
}

async fn total(test: &TestServer, key: &str) -> Value {
    let path =
        "/api/v1/usage/series?meter=events&from=2026-03-01T00:00:00Z&to=2026-05-01T00:00:00Z";
    let points = test.get(key, path).await.expect(200)["points"].clone();
    let days = points.as_array().unwrap().iter().map(|point| &point["totals"][0]["events"]);
    json!(days.map(|events| events.as_i64().unwrap()).sum::<i64>())
}

fn months(all: &[(i16, i8)]) -> Vec<Date> {
    all.iter().map(|(year, month)| date(*year, *month, 1)).collect()
}

#[tokio::test]
async fn months_are_made_before_they_begin_and_take_in_what_came_too_early() {
    let test = TestServer::start().await;
    let (_, key) = test.client("Acme", "pro").await;
    test.post(&key, USAGE, batch("a", EPOCH)).await.expect(200);
    test.post(&key, USAGE, json!([typed("one", "event.ingested", EPOCH, json!({}))]))
        .await
        .expect(200);
    let done = kept(&test).await;
    assert_eq!(done.added, months(&[(2026, 3), (2026, 4), (2026, 5)]));
    assert_eq!(kept(&test).await, Upkeep::default(), "nothing is due twice");
    for (table, rows) in [
        ("usage_chunks_default", 0),
        ("usage_events_default", 0),
        ("usage_chunks_202603", 1),
        ("usage_events_202603", 1),
    ] {
        assert_eq!(count(&test, table).await, rows, "{table}");
    }
    test.advance_to("2026-04-10T00:00:00Z");
    test.post(&key, USAGE, batch("b", "2026-04-01T00:00:00Z")).await.expect(200);
    assert_eq!(count(&test, "usage_chunks_202604").await, 1, "by arrival");
    assert_eq!(kept(&test).await.added, months(&[(2026, 6)]));
    assert_eq!(total(&test, &key).await, 41);
    // A month that nobody made waits in the default, and is made later.
    test.advance_to("2026-09-01T00:00:00Z");
    test.post(&key, USAGE, batch("c", "2026-04-02T00:00:00Z")).await.expect(200);
    assert_eq!(count(&test, "usage_chunks_default").await, 1);
    kept(&test).await;
    assert_eq!(count(&test, "usage_chunks_default").await, 0);
    assert_eq!(count(&test, "usage_chunks_202609").await, 1);
    assert_eq!(total(&test, &key).await, 61);
}

#[tokio::test]
async fn a_month_is_dropped_when_it_is_old_and_closed_and_totals_stay() {
    let test = TestServer::empty().await;
    let file = WIDGET
        .replace("[meters]", "[meters]\ndisk = { type = \"disk\", time_weighted = \"bytes\" }");
    test.load(&file).await;
    let (acme, key) = test.client("Acme", "pro").await;
    kept(&test).await;
    test.post(&key, USAGE, batch("a", EPOCH)).await.expect(200);
    test.post(&key, USAGE, json!([typed("d", "disk", EPOCH, json!({ "bytes": 7 }))]))
        .await
        .expect(200);
    test.advance_to("2026-04-28T00:00:00Z");
    test.post(&key, USAGE, batch("b", "2026-04-20T00:00:00Z")).await.expect(200);
    // March ended 400 days before 5 May 2027.
    test.advance_to("2027-05-05T00:00:00Z");
    assert_eq!(kept(&test).await.open, months(&[]));
    test.advance_to("2027-05-06T00:00:00Z");
    let done = kept(&test).await;
    assert_eq!(
        (done.dropped, done.open),
        (months(&[]), months(&[(2026, 3)])),
        "nothing was closed"
    );
    behind(&test, "INSERT INTO usage_generations SELECT tenant_id, id, 2 FROM subscriptions").await;
    let done = kept(&test).await;
    assert_eq!(done.dropped, months(&[(2026, 3)]));
    assert_eq!(count(&test, "usage_chunks").await, 1, "April's");
    assert_eq!(
        count(&test, "usage_keys").await,
        20,
        "the keys of March went with the first upkeep"
    );
    assert_eq!(total(&test, &key).await, 40, "rollups stay");
    assert_eq!(
        meter(&test, &key, "disk").await["used"],
        "7",
        "what was measured last still stands"
    );
    // What comes again is too old rather than new.
    let receipt = test.post(&key, USAGE, batch("a", EPOCH)).await.expect(200);
    assert_eq!(reasons(&receipt), ["too_old"; 20]);
    let receipt = test.post(&key, USAGE, batch("b", "2026-04-20T00:00:00Z")).await.expect(200);
    assert_eq!(outcomes(&receipt), ["duplicate"; 20]);
    let path = format!("/api/v1/admin/tenants/{acme}/subscriptions");
    let id =
        test.get(ADMIN, &path).await.expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
    let refused =
        test.post(ADMIN, &format!("{path}/{id}/usage/rebuild"), json!({})).await.expect(409);
    assert_eq!(refused["type"], "urn:tenure:problem:usage-dropped");
}

/// `calls` are kept as long as the subscription, `events` by the month.
async fn classes() -> TestServer {
    let test = TestServer::empty().await;
    let calls = "[meters]\ncalls = { type = \"call\", count = true, retention = \"subscription\" }";
    let limit = |meter: &str| {
        format!("{meter} = {{ included = 5, per = \"period\", over = {{ price = \"1\" }} }}")
    };
    let plan = |id: &str, limits: String| {
        format!(
            "[plans.{id}]\nname = \"{id}\"\nmodels = [\"managed\"]\nprice = {{ month = \"10\" }}\n\
             limits = {{ {limits} }}\n"
        )
    };
    let both = format!("{}, {}", limit("calls"), limit("events"));
    let plans = [plan("calls", limit("calls")), plan("both", both)].concat();
    test.load(&format!("{}\n{plans}", WIDGET.replace("[meters]", calls))).await;
    test
}

/// The paths of a subscription and of its first invoice.
async fn first_invoice(test: &TestServer, tenant: &str) -> (String, Value) {
    let path = format!("/api/v1/admin/tenants/{tenant}");
    let subscription = subscription_of(test, tenant).await;
    let page = test.get(ADMIN, &format!("/api/v1/admin/invoices?tenant={tenant}&limit=200")).await;
    let page = page.expect(200);
    let id = page["items"].as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned();
    let invoice = test.get(ADMIN, &format!("{path}/invoices/{id}")).await.expect(200);
    (subscription, invoice)
}

/// What explaining the line of a charge says.
async fn explained(test: &TestServer, tenant: &str, invoice: &Value, charge: &str) -> Value {
    let lines = invoice["lines"].as_array().unwrap();
    let line = &lines.iter().find(|line| line["charge"] == charge).unwrap()["line"];
    let id = invoice["id"].as_str().unwrap();
    let path = format!("/api/v1/admin/tenants/{tenant}/invoices/{id}/lines/{line}");
    test.get(ADMIN, &path).await.expect(200)
}

#[tokio::test]
async fn a_meter_that_is_kept_leads_back_to_its_events_after_its_month_was_dropped() {
    let test = classes().await;
    kept(&test).await;
    // Periods begin inside a quarter hour.
    test.advance_to("2026-03-01T10:07:30Z");
    let (both, both_key) = test.client("Both", "both").await;
    let (calls, calls_key) = test.client("Calls", "calls").await;
    let at = "2026-03-01T10:07:30Z";
    let many = |kind: &str| -> Value {
        (0..20).map(|n| typed(&format!("{kind}{n}"), kind, at, json!({}))).collect()
    };
    test.post(&both_key, USAGE, many("event.ingested")).await.expect(200);
    for key in [&both_key, &calls_key] {
        test.post(key, USAGE, many("call")).await.expect(200);
    }
    for to in ["2026-04-03T00:00:00Z", "2027-05-06T00:00:00Z"] {
        test.advance_to(to);
        assert_eq!(jobs::run_due(test.app()).await.unwrap().failed, 0);
    }
    // The jobs did it, or this does.
    kept(&test).await;
    assert_eq!(count(&test, "usage_dropped_months").await, 1);
    assert_eq!(count(&test, "usage_chunks").await, 0);
    assert_eq!(count(&test, "usage_events_kept").await, 40);

    let (both_path, invoice) = first_invoice(&test, &both).await;
    let line = explained(&test, &both, &invoice, "overage.calls").await;
    assert_eq!((&line["agrees"], &line["usage"]["gone"]), (&json!(true), &Value::Null), "{line}");
    assert_eq!(line["usage"]["events"].as_array().unwrap().len(), 20);
    let line = explained(&test, &both, &invoice, "overage.events").await;
    assert_eq!(line["agrees"], false, "{line}");
    assert_eq!(line["usage"]["events"], json!([]));
    let why =
        "Single events of `events` are kept 400 days; those of this time are gone. Totals stand.";
    assert_eq!(line["usage"]["gone"], why);
    // The amount is computed all the same.
    assert_eq!(line["computed"], line["amount"]);

    // Days of that period need what was used inside a quarter hour.
    let days = "/api/v1/bill/days?at=2026-03-02T00:00:00Z";
    let refused = test.get(&both_key, days).await.expect(409);
    assert_eq!(refused["type"], "urn:tenure:problem:usage-dropped");
    let told = test.get(&calls_key, days).await.expect(200);
    assert_eq!(told["subtotal"]["amount"], "25.00", "{told}");

    // Totals of what is kept can be made again, those of what is gone stay.
    let rebuild = |path: &str| format!("{path}/usage/rebuild");
    let refused = test.post(ADMIN, &rebuild(&both_path), json!({})).await.expect(409);
    assert!(refused["detail"].as_str().unwrap().contains("(events)"), "{refused}");
    let (calls_path, invoice) = first_invoice(&test, &calls).await;
    let report = test.post(ADMIN, &rebuild(&calls_path), json!({})).await.expect(200);
    assert_eq!((&report["rollups"], &report["differing"]), (&json!(1), &json!(0)));
    let line = explained(&test, &calls, &invoice, "overage.calls").await;
    assert_eq!(line["agrees"], true);
}

#[tokio::test]
async fn a_meter_whose_class_was_changed_counts_as_kept_where_it_always_was() {
    let test = classes().await;
    kept(&test).await;
    let (old, old_key) = test.client("Old", "calls").await;
    let at = EPOCH;
    let call = |n: usize| typed(&format!("c{n}"), "call", at, json!({}));
    let calls = |from: usize| -> Value { (from..from + 20).map(call).collect() };
    test.post(&old_key, USAGE, calls(0)).await.expect(200);
    // From the next version on, they are kept by the month: for who is moved to it, and who comes.
    let source = behind(&test, "SELECT source FROM catalog_versions").await[0].get::<String, _>(0);
    test.load(&source.replace(", retention = \"subscription\"", "")).await;
    let (_, new_key) = test.client("New", "calls").await;
    test.post(&new_key, USAGE, calls(0)).await.expect(200);
    assert_eq!(count(&test, "usage_events_kept").await, 20);
    test.post(&old_key, USAGE, calls(20)).await.expect(200);
    assert_eq!(count(&test, "usage_events_kept").await, 40, "it is on the version before");
    let path = subscription_of(&test, &old).await;
    test.post(ADMIN, &format!("{path}/move"), json!({ "plan": "calls" })).await.expect(200);
    test.post(&old_key, USAGE, calls(40)).await.expect(200);
    assert_eq!(count(&test, "usage_events_kept").await, 40);
    assert_eq!(count(&test, "usage_chunks").await, 2);
    test.advance_to("2027-05-06T00:00:00Z");
    assert_eq!(jobs::run_due(test.app()).await.unwrap().failed, 0);
    kept(&test).await;
    assert_eq!(count(&test, "usage_chunks").await, 0);
    let refused = test.post(ADMIN, &format!("{path}/usage/rebuild"), json!({})).await.expect(409);
    assert!(refused["detail"].as_str().unwrap().contains("(calls)"), "{refused}");
}

/// The path of a tenant's only subscription.
async fn subscription_of(test: &TestServer, tenant: &str) -> String {
    let path = format!("/api/v1/admin/tenants/{tenant}/subscriptions");
    let list = test.get(ADMIN, &path).await.expect(200);
    format!("{path}/{}", list["items"][0]["id"].as_str().unwrap())
}

#[tokio::test]
async fn the_functions_of_the_owner_do_nothing_else() {
    let test = TestServer::start().await;
    kept(&test).await;
    for sql in [
        "SELECT usage_add_month('2026-03-02')",
        "SELECT usage_add_month(NULL)",
        "SELECT usage_add_month('1999-12-01')",
        "SELECT usage_drop_month('2026-03-15', '2030-01-01Z')",
        "SELECT usage_drop_month('2026-03-01', '2027-05-05Z')",
        "SELECT usage_drop_month('2026-03-01', NULL)",
    ] {
        let mut tx = test.app().db().vendor().await.unwrap();
        let refused = sqlx::raw_sql(sql).execute(&mut *tx).await.unwrap_err();
        let code = refused.as_database_error().and_then(|error| error.code()).unwrap().into_owned();
        assert_eq!(code, "22023", "{sql}");
    }
    let tenant = tenure_core::TenantId::from_uuid(uuid::Uuid::now_v7());
    for sql in [
        "SELECT usage_add_month('2027-03-01')",
        "SELECT usage_drop_month('2026-03-01', '2030-01-01Z')",
        "SELECT usage_waiting_months()",
    ] {
        let mut tx = test.app().db().tenant(tenant).await.unwrap();
        let refused = sqlx::raw_sql(sql).execute(&mut *tx).await.unwrap_err();
        let code = refused.as_database_error().and_then(|error| error.code()).unwrap().into_owned();
        assert_eq!(code, "42501", "{sql}");
    }
}
