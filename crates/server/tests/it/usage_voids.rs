//! `tenure.void`, `tenure.amend`, and rollups that are made again.

use serde_json::{Value, json};
use sqlx::Row;

use crate::{
    harness::{ADMIN, TestServer, WIDGET},
    usage::{USAGE, behind, outcomes, reasons, typed},
    usage_lanes::recorded,
};

async fn server() -> TestServer {
    let test = TestServer::empty().await;
    let meters = "[meters]\nruns = { type = \"run\", sum = \"n\" }\npeak = { type = \"run\", max = \"n\" }
        people = { type = \"run\", unique = \"who\" }\nstorage = { type = \"run\", time_weighted = \"n\" }";
    test.load(&WIDGET.replace("[meters]", meters)).await;
    test
}

/// Clients, two hours before now.
async fn clients<const N: usize>(test: &TestServer, names: [&str; N]) -> [String; N] {
    let mut keys = Vec::new();
    for name in names {
        keys.push(test.client(name, "pro").await.1);
    }
    test.advance_to("2026-03-01T02:00:00Z");
    keys.try_into().unwrap()
}

fn run(n: u64) -> Value {
    let time = format!("2026-03-01T00:{:02}:00Z", n % 40);
    let mut event =
        typed(&n.to_string(), "run", &time, json!({ "n": n, "who": format!("p{}", n % 4) }));
    event["source"] = json!("/runs");
    event
}

fn numbered(n: u64) -> Value {
    let mut event = run(n);
    event["source"] = json!("/numbers");
    event["sequence"] = json!(n.to_string());
    event["sequencetype"] = json!("Integer");
    event
}

fn void(id: &str, target: Value) -> Value {
    typed(id, "tenure.void", "2026-03-01T01:00:00Z", target)
}

async fn send(test: &TestServer, key: &str, events: &[Value]) -> Value {
    test.post(key, USAGE, json!(events)).await.expect(200)
}

/// What was used, by meter; and over how many days.
async fn totals(test: &TestServer, key: &str) -> Value {
    test.get(key, "/api/v1/usage/summary?days=2").await.expect(200)["meters"].clone()
}

/// Ends the open generation, as closing a period does.
async fn close(test: &TestServer) {
    let sql = "INSERT INTO usage_generations SELECT tenant_id, id, 1 FROM subscriptions
        ON CONFLICT (tenant_id, subscription_id) DO UPDATE SET generation = usage_generations.generation + 1";
    behind(test, sql).await;
}

#[tokio::test]
async fn what_is_taken_back_counts_as_if_it_had_never_been() {
    let test = server().await;
    let [without, with] = clients(&test, ["Without", "With"]).await;
    // 7 and 23 lie in chunks, 101 is a row: of each lane.
    let gone = [7, 23, 101];
    let keep = |n: &u64| !gone.contains(n);
    let all: Vec<u64> = (1..=40).collect();
    let keyed: Vec<Value> = all.iter().copied().filter(|n| keep(n)).map(run).collect();
    send(&test, &without, &keyed).await;
    let mut other = keyed.clone();
    for event in &mut other {
        event["source"] = json!("/numbers");
    }
    send(&test, &without, &other).await;

    let everything: Vec<Value> = all.iter().copied().map(run).collect();
    send(&test, &with, &everything).await;
    let receipt = send(&test, &with, &all.iter().copied().map(numbered).collect::<Vec<_>>()).await;
    assert_eq!(receipt["accepted"], 40);
    send(&test, &with, &[run(101)]).await;
    assert_ne!(totals(&test, &with).await, totals(&test, &without).await);
    let mut voids: Vec<Value> = gone
        .iter()
        .map(|n| void(&format!("v{n}"), json!({ "source": "/runs", "id": n.to_string() })))
        .collect();
    for n in [7, 23] {
        let target = json!({ "source": "/numbers", "sequence": n.to_string() });
        voids.push(void(&format!("s{n}"), target));
    }
    assert_eq!(outcomes(&send(&test, &with, &voids).await), ["accepted"; 5]);
    assert_eq!(totals(&test, &with).await, totals(&test, &without).await);
    let digests = |tenant: &'static str| {
        let test = &test;
        async move {
            let sql = format!(
                "SELECT concat_ws(' ', meter_id, bucket, events, sum, max, min, last, last_at, digest_hi, digest_lo)
                 FROM usage_rollups WHERE tenant_id = (SELECT id FROM tenants WHERE slug = '{tenant}')
                     AND events > 0 ORDER BY 1"
            );
            behind(test, &sql).await.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>()
        }
    };
    assert_eq!(digests("with").await, digests("without").await);
    // Again, the same and another.
    assert_eq!(outcomes(&send(&test, &with, &voids).await), ["duplicate"; 5]);
    let again = void("again", json!({ "source": "/runs", "id": "7" }));
    assert_eq!(reasons(&send(&test, &with, &[again]).await), ["already_void"]);
    assert_eq!(totals(&test, &with).await, totals(&test, &without).await);
}

#[tokio::test]
async fn only_what_was_counted_can_be_taken_back() {
    let test = server().await;
    let [acme, globex] = clients(&test, ["Acme", "Globex"]).await;
    send(&test, &globex, &[run(1)]).await;
    let of = |id: &str, target: Value| void(id, target);
    let early = of("v", json!({ "source": "/runs", "id": "1" }));
    let receipt = send(&test, &acme, std::slice::from_ref(&early)).await;
    assert_eq!(reasons(&receipt), ["unknown_event"], "another tenant's event is nobody's");
    // The name is not used up: what it takes back may still come.
    assert_eq!(outcomes(&send(&test, &acme, &[run(1), early]).await), ["accepted", "accepted"]);
    let receipt = send(&test, &acme, &[of("w", json!({ "source": "/test", "id": "v" }))]).await;
    assert_eq!(reasons(&receipt), ["not_counted"], "a void is not taken back");
    let bad = [
        json!({ "source": "/runs" }),
        json!({ "source": "/runs", "id": "1", "sequence": "1" }),
        json!({ "source": "/runs", "id": 1 }),
        json!(null),
        json!({ "source": "/runs", "id": "1", "reason": "typo" }),
    ];
    for (n, data) in bad.into_iter().enumerate() {
        assert_eq!(reasons(&send(&test, &acme, &[of(&format!("b{n}"), data)]).await), ["bad_data"]);
    }
    // Two of one batch that name the same event.
    let twice = ["x", "y"].map(|id| of(id, json!({ "source": "/runs", "id": "2" })));
    let batch = [twice[0].clone(), run(2), twice[1].clone()];
    assert_eq!(reasons(&send(&test, &acme, &batch).await), ["", "", "already_void"]);
}

#[tokio::test]
async fn an_amendment_puts_another_event_in_the_place_of_one() {
    let test = server().await;
    let [acme, plain] = clients(&test, ["Acme", "Plain"]).await;
    send(&test, &acme, &(1..=20).map(run).collect::<Vec<_>>()).await;
    let instead = json!({ "type": "run", "time": "2026-03-01T00:33:00Z", "data": { "n": "2.5", "who": "new" } });
    let amend = json!({ "void": { "source": "/runs", "id": "5" }, "event": instead });
    let amend = typed("fix", "tenure.amend", "2026-03-01T01:00:00Z", amend);
    assert_eq!(outcomes(&send(&test, &acme, std::slice::from_ref(&amend)).await), ["accepted"]);
    assert_eq!(outcomes(&send(&test, &acme, std::slice::from_ref(&amend)).await), ["duplicate"]);
    let mut same: Vec<Value> = (1..=20).filter(|n| *n != 5).map(run).collect();
    same.push(typed("fix", "run", "2026-03-01T00:33:00Z", json!({ "n": "2.5", "who": "new" })));
    send(&test, &plain, &same).await;
    assert_eq!(totals(&test, &acme).await, totals(&test, &plain).await);
    // What it put there can be taken back in turn, by its own name.
    let back = void("back", json!({ "source": "/test", "id": "fix" }));
    assert_eq!(outcomes(&send(&test, &acme, &[back]).await), ["accepted"]);
    let back = void("back", json!({ "source": "/test", "id": "fix" }));
    assert_eq!(outcomes(&send(&test, &plain, &[back]).await), ["accepted"]);
    assert_eq!(totals(&test, &acme).await, totals(&test, &plain).await);
    // An amendment that cannot be recorded takes nothing back.
    let mut bad = amend;
    (bad["id"], bad["data"]["void"]["id"]) = (json!("bad"), json!("6"));
    bad["data"]["event"]["data"]["n"] = json!("-1");
    assert_eq!(reasons(&send(&test, &acme, &[bad]).await), ["bad_quantity"]);
    assert_eq!(totals(&test, &acme).await, totals(&test, &plain).await);
}

#[tokio::test]
async fn a_closed_generation_never_changes_and_everything_can_be_made_again() {
    let test = server().await;
    let [acme] = clients(&test, ["Acme"]).await;
    send(&test, &acme, &(1..=30).map(run).collect::<Vec<_>>()).await;
    send(&test, &acme, &(1..=25).map(numbered).collect::<Vec<_>>()).await;
    send(&test, &acme, &[void("v3", json!({ "source": "/runs", "id": "3" }))]).await;
    let closed = |all: Vec<String>| -> Vec<String> {
        all.into_iter().filter(|row| row.contains(" 0 f ") || row.contains(" 0 t ")).collect()
    };
    let counted = "SELECT string_agg(concat_ws(' ', meter_id, bucket, generation, whole, events, sum, max, min, last,
            digest_hi, digest_lo), E'\\n' ORDER BY meter_id, bucket) FROM usage_rollups WHERE generation = 0";
    let before: String = behind(&test, counted).await[0].get(0);
    close(&test).await;
    // Late usage, and usage of the closed generation that is taken back, of each lane.
    send(&test, &acme, &(31..=60).map(run).collect::<Vec<_>>()).await;
    let voids = [
        void("v8", json!({ "source": "/runs", "id": "8" })),
        void("v9", json!({ "source": "/numbers", "sequence": "9", "epoch": "0" })),
        void("v40", json!({ "source": "/runs", "id": "40" })),
    ];
    assert_eq!(outcomes(&send(&test, &acme, &voids).await), ["accepted"; 3]);
    send(&test, &acme, &[run(70), numbered(26)]).await;
    close(&test).await;
    send(&test, &acme, &[run(71), void("v71", json!({ "source": "/runs", "id": "10" }))]).await;
    assert_eq!(behind(&test, counted).await[0].get::<String, _>(0), before);
    // 1..=30 + 1..=25 - 3, + 31..=60 - 8 - 9 - 40 + 70 + 26, + 71 - 10.
    let runs = &totals(&test, &acme).await[0];
    assert_eq!((&runs["meter"], &runs["used"]), (&json!("runs"), &json!("2252")));

    let all = recorded(&test, "acme").await;
    assert!(!closed(all.clone()).is_empty());
    let path = "/api/v1/admin/tenants/acme/subscriptions";
    let id = test.get(ADMIN, path).await.expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
    let rebuild = format!("{path}/{id}/usage/rebuild");
    let report = test.post(ADMIN, &rebuild, json!({})).await.expect(200);
    assert_eq!(report["differing"], 0, "{report}");
    assert_eq!(recorded(&test, "acme").await, all);
    behind(
        &test,
        "UPDATE usage_rollups SET sum = sum + 1 WHERE ctid = (SELECT min(ctid) FROM usage_rollups)",
    )
    .await;
    behind(&test, "DELETE FROM usage_members").await;
    let report = test.post(ADMIN, &rebuild, json!({})).await.expect(200);
    assert_eq!(report["differing"], 1, "{report}");
    assert_eq!(recorded(&test, "acme").await, all);
    behind(&test, "TRUNCATE usage_rollups, usage_members").await;
    test.post(ADMIN, &rebuild, json!({})).await.expect(200);
    assert_eq!(recorded(&test, "acme").await, all);
}
