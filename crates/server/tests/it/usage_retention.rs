//! Months of single events: made, dropped, and what stays exact without them.

use jiff::civil::{Date, date};
use serde_json::{Value, json};
use sqlx::Row;
use tenure_server::usage::retention::{Upkeep, upkeep};

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
