//! The two lanes in which an event counts once, and what stays the same whichever way events come.

use serde_json::{Value, json};
use sqlx::Row;

use crate::{
    harness::{TestServer, WIDGET},
    usage::{USAGE, behind, meter, outcomes, reasons},
};

/// A product with a meter of every kind.
fn product() -> String {
    WIDGET.replace(
        "[meters]",
        r#"[meters]
runs = { type = "run", sum = "n" }
peak = { type = "run", max = "n" }
gauge = { type = "run", last = "n" }
people = { type = "run", unique = "who" }
storage = { type = "stored", time_weighted = "bytes" }"#,
    )
}

async fn server() -> TestServer {
    let test = TestServer::empty().await;
    test.load(&product()).await;
    test
}

/// Clients, an hour before now.
async fn clients<const N: usize>(test: &TestServer, names: [&str; N]) -> [String; N] {
    let mut keys = Vec::new();
    for name in names {
        keys.push(test.client(name, "pro").await.1);
    }
    test.advance_to("2026-03-01T01:00:00Z");
    keys.try_into().unwrap()
}

/// The n-th event of a producer.
fn run(source: &str, n: u64) -> Value {
    let minute = (n * 7) % 50;
    let second = (n * 13) % 60;
    let kind = if n % 5 == 4 { "stored" } else { "run" };
    json!({
        "specversion": "1.0", "id": format!("run-{n}"), "source": source, "type": kind,
        "time": format!("2026-03-01T00:{minute:02}:{second:02}.{:06}Z", n * 101),
        "data": { "n": format!("{}.{:02}", n % 17, n % 100), "who": format!("p{}", n % 9),
            "bytes": n * 1_000 },
    })
}

/// The same, numbered.
fn numbered(source: &str, n: u64, epoch: u64) -> Value {
    let mut event = run(source, n);
    event["sequence"] = json!(n.to_string());
    event["sequencetype"] = json!("Integer");
    event["epoch"] = json!(epoch.to_string());
    event
}

/// The same numbers at every run of the test, in an order that looks like none.
fn shuffled<T>(mut all: Vec<T>, seed: u64) -> Vec<T> {
    let mut state = seed;
    for last in (1..all.len()).rev() {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        all.swap(last, (state >> 33) as usize % (last + 1));
    }
    all
}

/// Everything that totals of a tenant come from, as text.
pub async fn recorded(test: &TestServer, tenant: &str) -> Vec<String> {
    let sql = format!(
        "WITH mine AS (SELECT id FROM tenants WHERE slug = '{tenant}')
         SELECT concat_ws(' ', m.slug, r.bucket AT TIME ZONE 'UTC', r.dimension, r.generation, r.whole,
             r.replaced_in, r.events, r.sum, r.max, r.min, r.last, r.last_at AT TIME ZONE 'UTC',
             r.digest_hi, r.digest_lo)
         FROM usage_rollups r JOIN meters m ON m.id = r.meter_id
         WHERE r.tenant_id = (SELECT id FROM mine)
         UNION ALL
         SELECT concat_ws(' ', 'member', m.slug, r.bucket AT TIME ZONE 'UTC', r.dimension, r.generation,
             r.replaced_in, r.member)
         FROM usage_members r JOIN meters m ON m.id = r.meter_id
         WHERE r.tenant_id = (SELECT id FROM mine)
         ORDER BY 1"
    );
    behind(test, &sql).await.iter().map(|row| row.get(0)).collect()
}

/// What the API says was used.
async fn totals(test: &TestServer, key: &str) -> Value {
    test.get(key, "/api/v1/usage/summary?days=2").await.expect(200)["meters"].clone()
}

async fn producer(test: &TestServer, key: &str, source: &str) -> Value {
    test.get(key, &format!("/api/v1/usage/producers?source={source}")).await.expect(200)
}

#[tokio::test]
async fn numbered_events_count_once_in_order_and_without_gaps() {
    let test = server().await;
    let [key] = clients(&test, ["Acme"]).await;
    let send = async |events: Vec<Value>| test.post(&key, USAGE, json!(events)).await.expect(200);
    let some = |numbers: std::ops::RangeInclusive<u64>| {
        numbers.map(|n| numbered("/p", n, 0)).collect::<Vec<_>>()
    };
    assert_eq!(send(some(1..=3)).await["accepted"], 3);
    // A gap stops the source, and says where to go on.
    let receipt = send(some(5..=6)).await;
    assert_eq!(reasons(&receipt), ["sequence_gap", "sequence_gap"]);
    let detail = receipt["results"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("in epoch 0 is 4"), "{detail}");
    // Sent again, and in another order within one batch.
    let receipt = send(shuffled(some(1..=40), 3)).await;
    assert_eq!((&receipt["accepted"], &receipt["duplicates"]), (&json!(37), &json!(3)));
    assert_eq!(send(some(1..=40)).await["duplicates"], 40, "of rows and of a chunk");
    let said = producer(&test, &key, "/p").await;
    assert_eq!(said, json!({ "source": "/p", "numbered": true, "epoch": 0, "last": 40 }));
    // The same number with other content, of a row and of a chunk.
    for n in [2, 33] {
        let mut other = numbered("/p", n, 0);
        other["data"]["n"] = json!("5");
        let receipt = send(vec![other]).await;
        assert_eq!(
            (outcomes(&receipt), reasons(&receipt)),
            (vec!["conflict"], vec!["number_reused"])
        );
        let mut other = numbered("/p", n, 0);
        other["id"] = json!("another");
        assert_eq!(outcomes(&send(vec![other]).await), ["conflict"]);
    }
    assert_eq!(meter(&test, &key, "runs").await["used"], "246.48");
}

#[tokio::test]
async fn a_new_epoch_begins_at_one_and_an_old_one_is_over() {
    let test = server().await;
    let [key] = clients(&test, ["Acme"]).await;
    let send = async |events: Vec<Value>| test.post(&key, USAGE, json!(events)).await.expect(200);
    send(vec![numbered("/p", 1, 0), numbered("/p", 2, 0)]).await;
    let mut first = numbered("/p", 1, 7);
    first["id"] = json!("of the new epoch");
    assert_eq!(reasons(&send(vec![numbered("/p", 3, 7)]).await), ["sequence_gap"]);
    let receipt = send(vec![first.clone(), numbered("/p", 3, 0)]).await;
    assert_eq!(outcomes(&receipt), ["accepted", "accepted"], "3 of the old epoch goes before");
    let receipt = send(vec![numbered("/p", 4, 0), first]).await;
    assert_eq!((reasons(&receipt), outcomes(&receipt)[1]), (vec!["stale_epoch", ""], "duplicate"));
    assert_eq!(producer(&test, &key, "/p").await["epoch"], 7);
    test.get(&key, "/api/v1/usage/producers?source=/nobody").await.expect(404);
    for (name, value) in
        [("sequence", "0"), ("sequence", "-1"), ("sequence", "1e3"), ("epoch", "x")]
    {
        let mut bad = numbered("/q", 1, 0);
        bad[name] = json!(value);
        assert_eq!(reasons(&send(vec![bad]).await), ["bad_sequence"], "{name} {value}");
    }
    // Without the type that says it counts by one, a sequence is any other extension.
    let mut other = numbered("/r", 9, 0);
    other.as_object_mut().unwrap().remove("sequencetype");
    assert_eq!(outcomes(&send(vec![other]).await), ["accepted"]);
    assert_eq!(producer(&test, &key, "/r").await["numbered"], false);
}

#[tokio::test]
async fn a_refused_event_uses_up_its_number_and_is_never_called_a_duplicate() {
    let test = server().await;
    let [key] = clients(&test, ["Acme"]).await;
    let send = async |events: Vec<Value>| test.post(&key, USAGE, json!(events)).await.expect(200);
    let mut ahead = numbered("/p", 2, 0);
    ahead["time"] = json!("2026-03-01T02:00:00Z");
    let receipt = send(vec![numbered("/p", 1, 0), ahead.clone(), numbered("/p", 3, 0)]).await;
    assert_eq!(reasons(&receipt), ["", "in_future", ""]);
    test.advance_to("2026-03-01T02:00:00Z");
    let receipt = send(vec![ahead.clone()]).await;
    assert_eq!((outcomes(&receipt), reasons(&receipt)), (vec!["rejected"], vec!["number_used"]));
    ahead["sequence"] = json!("4");
    assert_eq!(outcomes(&send(vec![ahead]).await), ["accepted"]);
}

#[tokio::test]
async fn a_source_keeps_its_lane() {
    let test = server().await;
    let [key] = clients(&test, ["Acme"]).await;
    let send = async |events: Vec<Value>| test.post(&key, USAGE, json!(events)).await.expect(200);
    send(vec![numbered("/numbers", 1, 0), run("/keys", 1)]).await;
    let receipt = send(vec![run("/numbers", 1), numbered("/keys", 1, 0), run("/keys", 2)]).await;
    assert_eq!(reasons(&receipt), ["other_lane", "other_lane", ""]);
    assert_eq!(meter(&test, &key, "runs").await["used"], "4.04");
}

/// Sends what is left of a numbered producer until everything is settled, by both servers at once.
async fn in_disorder(one: &TestServer, two: &TestServer, key: &str, all: &[Value], seed: u64) {
    let batches: Vec<&[Value]> = all.chunks(23).collect();
    let order = shuffled((0..batches.len()).chain(0..batches.len()).collect(), seed);
    for pair in order.chunks(2) {
        let body = |at: usize| json!(shuffled(batches[at].to_vec(), seed + at as u64));
        let (first, last) = (body(pair[0]), body(pair[pair.len() - 1]));
        let (a, b) = tokio::join!(one.post(key, USAGE, first), two.post(key, USAGE, last));
        a.expect(200);
        b.expect(200);
    }
    for batch in batches {
        let receipt = two.post(key, USAGE, json!(batch)).await.expect(200);
        assert_eq!(receipt["rejected"], 0, "{receipt}");
    }
}

#[tokio::test]
async fn whichever_way_and_lane_events_come_the_totals_and_digests_are_the_same() {
    let one = server().await;
    let two = one.beside().await;
    let [plain, shuffle, number, mixed] =
        clients(&one, ["Plain", "Shuffle", "Number", "Mixed"]).await;
    two.advance_to("2026-03-01T01:00:00Z");
    let sources = ["/a", "/b", "/c"];
    let count = 90;
    let all = |lane: fn(&str, u64) -> Value| -> Vec<Vec<Value>> {
        sources.iter().map(|source| (1..=count).map(|n| lane(source, n)).collect()).collect()
    };
    let keyed = all(run);
    let numbers = all(|source, n| numbered(source, n, 2));

    let receipt = one.post(&plain, USAGE, json!(keyed.concat())).await.expect(200);
    assert_eq!(receipt["accepted"], 270, "{receipt}");
    in_disorder(&one, &two, &shuffle, &shuffled(keyed.concat(), 11), 5).await;
    in_disorder(&one, &two, &number, &numbers.concat(), 17).await;
    // Both lanes in every batch, one event at a time for one of the sources.
    for event in &keyed[2] {
        two.post(&mixed, USAGE, event.clone()).await.expect(200);
    }
    let both: Vec<Value> =
        numbers[0].iter().zip(&keyed[1]).flat_map(|(a, b)| [a.clone(), b.clone()]).collect();
    in_disorder(&one, &two, &mixed, &both, 23).await;

    let expected = recorded(&one, "plain").await;
    assert!(expected.len() > 20, "{expected:?}");
    let said = totals(&one, &plain).await;
    for (tenant, key) in [("shuffle", &shuffle), ("number", &number), ("mixed", &mixed)] {
        assert_eq!(recorded(&one, tenant).await, expected, "{tenant}");
        assert_eq!(totals(&two, key).await, said, "{tenant}");
    }
}

#[tokio::test]
async fn a_connection_that_dies_in_the_middle_leaves_nothing() {
    let test = server().await;
    let [key] = clients(&test, ["Acme"]).await;
    let fault = "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
        CREATE TRIGGER die AFTER INSERT ON usage_rollups EXECUTE FUNCTION die();";
    behind(&test, fault).await;
    let batch: Vec<Value> = (1..=30).flat_map(|n| [numbered("/p", n, 0), run("/q", n)]).collect();
    let answer = test.post(&key, USAGE, json!(batch)).await;
    assert!(answer.status.is_server_error(), "{}", answer.text);
    behind(&test, "DROP TRIGGER die ON usage_rollups").await;
    let left = "SELECT (SELECT count(*) FROM usage_keys) + (SELECT count(*) FROM usage_chunks)
        + (SELECT count(*) FROM usage_events) + (SELECT count(*) FROM usage_sources)
        + (SELECT count(*) FROM usage_members) + (SELECT count(*) FROM usage_rollups)";
    assert_eq!(behind(&test, left).await[0].get::<i64, _>(0), 0);
    let receipt = test.post(&key, USAGE, json!(batch)).await.expect(200);
    assert_eq!(receipt["accepted"], 60, "nothing of the first try stood in the way");
}

#[tokio::test]
async fn a_window_that_begins_inside_a_quarter_hour_is_exact_over_chunks() {
    let test = TestServer::empty().await;
    test.load(&product()).await;
    test.advance_to("2026-03-01T10:07:30Z");
    let (_, key) = test.client("Acme", "pro").await;
    test.advance_to("2026-04-01T12:00:00Z");
    // The second billing period begins at 10:07:30: every other event lies before it.
    let events: Vec<Value> = (0..40u64)
        .map(|n| {
            let time = format!("2026-04-01T10:07:{:02}Z", 10 + n);
            json!({ "specversion": "1.0", "id": n.to_string(), "source": "/s", "type": "run",
                "time": time, "data": { "n": 1, "who": (n / 4).to_string() } })
        })
        .collect();
    assert_eq!(test.post(&key, USAGE, json!(events)).await.expect(200)["accepted"], 40);
    for (id, used) in [("runs", "20"), ("people", "5"), ("peak", "1")] {
        assert_eq!(meter(&test, &key, id).await["used"], used, "{id}");
    }
    let chunks = behind(&test, "SELECT count(*) FROM usage_chunks").await[0].get::<i64, _>(0);
    assert_eq!(chunks, 1);
}
