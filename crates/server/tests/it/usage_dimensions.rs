//! Filters, dimensions, series, and counters for Prometheus.

use serde_json::{Value, json};

use crate::{
    harness::{EPOCH, TestServer, WIDGET},
    usage::{USAGE, behind, meter, outcomes, reasons, typed},
};

const METERS: &str = r#"[meters]
runs = { type = "run", sum = "n", dimensions = ["region", "tier"], metric = "widget_runs_total" }
eu = { type = "run", sum = "n", where = { region = "eu" } }
paid = { type = "run", count = true, where = { tier = ["gold", "silver"], region = "us" } }
people = { type = "run", unique = "who", dimensions = ["region"] }
disk = { type = "disk", time_weighted = "bytes", dimensions = ["region"], metric = "widget_disk_bytes" }"#;

async fn server() -> (TestServer, String) {
    let test = TestServer::empty().await;
    test.load(&WIDGET.replace("[meters]", METERS)).await;
    let (_, key) = test.client("Acme", "pro").await;
    (test, key)
}

fn run(id: &str, time: &str, n: u64, data: Value) -> Value {
    let mut event = typed(id, "run", time, data);
    event["data"]["n"] = json!(n);
    event
}

#[tokio::test]
async fn a_filter_decides_which_events_a_meter_counts() {
    let (test, key) = server().await;
    let batch = json!([
        run("a", EPOCH, 1, json!({ "region": "eu", "tier": "gold", "who": "x" })),
        run("b", EPOCH, 2, json!({ "region": "us", "tier": "gold", "who": "x" })),
        run("c", EPOCH, 4, json!({ "region": "us", "tier": "none", "who": "y" })),
        run("d", EPOCH, 8, json!({ "region": ["eu"], "who": "y" })),
        run("e", EPOCH, 16, json!({ "who": "z" })),
        run("f", EPOCH, 32, json!({ "region": "x".repeat(65), "who": "z" })),
    ]);
    let receipt = test.post(&key, USAGE, batch).await.expect(200);
    assert_eq!(reasons(&receipt), ["", "", "", "", "", "too_long"]);
    for (id, used) in [("runs", "31"), ("eu", "1"), ("paid", "1"), ("people", "3")] {
        assert_eq!(meter(&test, &key, id).await["used"], used, "{id}");
    }
}

#[tokio::test]
async fn a_series_tells_totals_apart() {
    let (test, key) = server().await;
    test.advance_to("2026-03-03T12:00:00Z");
    let mut batch = vec![
        run("1", "2026-03-01T10:00:00Z", 5, json!({ "region": "eu", "tier": "a", "who": "x" })),
        run("2", "2026-03-01T23:59:59Z", 7, json!({ "region": "eu", "tier": "b", "who": "x" })),
        run("3", "2026-03-03T00:00:00Z", 1, json!({ "region": "us", "who": "y" })),
        run("4", "2026-03-03T11:00:00Z", 2, json!({ "who": "y" })),
    ];
    batch.extend((10..40).map(|n: u32| {
        run(
            &n.to_string(),
            "2026-03-02T08:00:00Z",
            1,
            json!({ "region": "us", "who": n.to_string() }),
        )
    }));
    assert_eq!(test.post(&key, USAGE, json!(batch)).await.expect(200)["accepted"], 34);
    let series = async |query: &str| test.get(&key, &format!("/api/v1/usage/series?{query}")).await;
    let days = "from=2026-03-01T00:00:00Z&to=2026-03-03T12:00:00Z";
    let seen = series(&format!("meter=runs&by=region&{days}")).await.expect(200);
    let totals: Vec<&Value> =
        seen["points"].as_array().unwrap().iter().map(|point| &point["totals"]).collect();
    assert_eq!(
        totals,
        [
            &json!([{ "value": "eu", "quantity": "12", "events": 2 }]),
            &json!([{ "value": "us", "quantity": "30", "events": 30 }]),
            &json!([{ "value": "us", "quantity": "1", "events": 1 }, { "quantity": "2", "events": 1 }]),
        ]
    );
    let seen = series(&format!("meter=people&by=region&{days}")).await.expect(200);
    assert_eq!(
        seen["points"][0]["totals"],
        json!([{ "value": "eu", "quantity": "1", "events": 2 }])
    );
    assert_eq!(seen["points"][1]["totals"][0]["quantity"], "30");
    let seen = series(&format!("meter=runs&{days}")).await.expect(200);
    assert_eq!(seen["points"][2]["totals"], json!([{ "quantity": "3", "events": 2 }]));
    let hours = "from=2026-03-01T10:30:00Z&to=2026-03-01T12:00:00Z&every=hour";
    let seen = series(&format!("meter=runs&by=tier&{hours}")).await.expect(200);
    let points = seen["points"].as_array().unwrap();
    assert_eq!((points.len(), &points[0]["start"]), (2, &json!("2026-03-01T10:00:00Z")));
    assert_eq!(points[0]["totals"][0]["value"], "a");
    for (query, pointer) in [
        ("meter=nothing", "/meter"),
        ("meter=eu&by=region", "/by"),
        ("meter=disk&by=region", "/by"),
        ("meter=runs&every=hour&from=2026-01-01T00:00:00Z", "/from"),
    ] {
        let problem = series(query).await.expect(422);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{query}");
    }
}

#[tokio::test]
async fn prometheus_sees_usage_by_client_as_it_comes() {
    let (test, key) = server().await;
    let (_, other) = test.client("Globex", "pro").await;
    let disk =
        |id: &str, time: &str, bytes: u64| typed(id, "disk", time, json!({ "bytes": bytes }));
    let batch = json!([
        run("a", EPOCH, 5, json!({ "who": "x" })),
        run("b", EPOCH, 7, json!({ "who": "x" })),
        disk("c", "2026-03-01T00:02:00Z", 300),
        disk("d", "2026-03-01T00:01:00Z", 200),
    ]);
    test.post(&key, USAGE, batch.clone()).await.expect(200);
    assert_eq!(outcomes(&test.post(&key, USAGE, batch).await.expect(200)), ["duplicate"; 4]);
    test.post(&other, USAGE, json!([disk("e", EPOCH, 1)])).await.expect(200);
    let text = test.get("", "/metrics").await.text;
    for line in [
        "# TYPE billing_events_ingested counter",
        "billing_events_ingested_total{client_id=\"acme\"} 4",
        "billing_events_ingested_total{client_id=\"globex\"} 1",
        "# TYPE widget_runs counter",
        "widget_runs_total{client_id=\"acme\"} 12",
        "# TYPE widget_disk_bytes gauge",
        "widget_disk_bytes{client_id=\"acme\"} 300",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[tokio::test]
async fn totals_by_dimension_can_be_taken_back_and_made_again() {
    let (test, key) = server().await;
    let regions = ["eu", "us", "eu"];
    let batch: Vec<Value> = (0..30)
        .map(|n| {
            run(&n.to_string(), EPOCH, 1, json!({ "region": regions[n % 3], "who": n.to_string() }))
        })
        .collect();
    test.post(&key, USAGE, json!(batch)).await.expect(200);
    let void = typed("v", "tenure.void", EPOCH, json!({ "source": "/test", "id": "4" }));
    test.post(&key, USAGE, json!([void])).await.expect(200);
    let path = "/api/v1/usage/series?meter=runs&by=region&from=2026-03-01T00:00:00Z&to=2026-03-01T01:00:00Z";
    let totals = test.get(&key, path).await.expect(200)["points"][0]["totals"].clone();
    let expected = json!([
        { "value": "eu", "quantity": "20", "events": 20 },
        { "value": "us", "quantity": "9", "events": 9 }
    ]);
    assert_eq!(totals, expected);
    let whole =
        "SELECT string_agg(dimension, ' ' ORDER BY dimension) FROM usage_rollups WHERE whole";
    let whole: String = sqlx::Row::get(&behind(&test, whole).await[0], 0);
    // Of each meter that counted it, only the dimension that held it is made anew.
    assert_eq!(whole, r#"{"region":"us"} {"region":"us"}"#);
}
