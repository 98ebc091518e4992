//! Usage: durable, once, bounded.

use serde_json::{Value, json};

use crate::support::{Local, Place, event};

#[tokio::test]
async fn an_event_counts_once_and_another_under_its_name_is_a_conflict() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    let local = Local::of(&agent).await;
    let now = place.now();
    let batch = json!([event("a", now), event("b", now), event("a", now), {"id": "c"}]);
    let (status, answer) = local.post("/v1/usage", &batch).await;
    assert_eq!(status, 200);
    let outcomes: Vec<&str> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["accepted", "accepted", "duplicate", "rejected"]);
    assert_eq!(answer["results"][3]["reason"], "unsupported_specversion");
    let mut other = event("a", now);
    other["data"] = json!({"n": 2});
    let answer = local.post("/v1/usage", &other).await.1;
    assert_eq!(
        (&answer["conflicts"], &answer["results"][0]["reason"]),
        (&json!(1), &json!("conflict"))
    );
    place.pass(&[&agent], 1, 5).await;
    assert_eq!(place.vendor.book().counted.len(), 2);
}

#[tokio::test]
async fn large_batches_become_entries_within_their_bounds_and_reports_in_pages() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    let local = Local::of(&agent).await;
    let now = place.now();
    for batch in 0..4 {
        let events: Vec<Value> = (0..1_000)
            .map(|n| {
                let mut event = event(&format!("{batch}-{n}"), now);
                event["data"]["text"] = "x\"".repeat(400).into();
                event
            })
            .collect();
        let (status, answer) = local.post("/v1/usage", &json!(events)).await;
        assert_eq!((status, &answer["accepted"]), (200, &json!(1_000)));
    }
    place.pass(&[&agent], 1, 5).await;
    assert_eq!(place.vendor.book().counted.len(), 4_000);
    assert!(place.vendor.book().calls("report").len() > 1, "in pages");
    let too_many: Vec<Value> = (0..1_001).map(|n| event(&format!("m{n}"), now)).collect();
    assert_eq!(local.post("/v1/usage", &json!(too_many)).await.0, 413);
}

#[tokio::test]
async fn a_full_spool_refuses_and_loses_nothing_and_goes_on_once_it_is_counted() {
    let place = Place::new().await;
    let mut settings = place.settings("a");
    settings.spool_max_bytes = 1024 * 1024;
    let agent = place.open(settings).await;
    agent.step().await.unwrap();
    let local = Local::of(&agent).await;
    place.vendor.book().down = true;
    let mut accepted = 0;
    let refused = loop {
        let mut event = event(&format!("e{accepted}"), place.now());
        event["data"]["text"] = "x".repeat(50_000).into();
        let (status, answer) = local.post("/v1/usage", &event).await;
        if status != 200 {
            break (status, answer);
        }
        accepted += 1;
        assert!(accepted < 100, "bounded");
    };
    assert_eq!((refused.0, &refused.1["code"]), (507, &json!("spool_full")));
    let words = refused.1["detail"].as_str().unwrap();
    assert!(words.contains("nothing that was accepted is lost"), "{words}");
    assert!(accepted >= 5, "{accepted}");
    place.vendor.book().down = false;
    place.pass(&[&agent], 1, 5).await;
    assert_eq!(place.vendor.book().counted.len(), accepted);
    // What is counted makes room.
    assert_eq!(local.post("/v1/usage", &event("next", place.now())).await.0, 200);
}

#[tokio::test]
async fn a_vendor_that_lost_reports_gets_them_again() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    let local = Local::of(&agent).await;
    local.post("/v1/usage", &event("a", place.now())).await;
    place.pass(&[&agent], 1, 5).await;
    // A restored backup: it knows the instance, and not its ledger.
    place.vendor.book().forget_reports();
    local.post("/v1/usage", &event("b", place.now())).await;
    place.pass(&[&agent], 1, 5).await;
    assert_eq!(place.vendor.book().counted.len(), 2);
    assert_eq!(local.get("/v1/sent").await["usage_to_be_forwarded"]["events"], 0);
}

#[tokio::test]
async fn counted_usage_is_kept_for_its_days_and_then_let_go() {
    let place = Place::new().await;
    let mut settings = place.settings("a");
    settings.keep_days = 2;
    let agent = place.open(settings).await;
    agent.step().await.unwrap();
    let local = Local::of(&agent).await;
    local.post("/v1/usage", &event("a", place.now())).await;
    place.pass(&[&agent], 24, 60).await;
    assert!(agent.report(true).await.unwrap().is_some(), "evidence");
    place.pass(&[&agent], 48, 60).await;
    assert!(agent.report(true).await.unwrap().is_none());
    // The chain goes on where it was.
    local.post("/v1/usage", &event("b", place.now())).await;
    place.pass(&[&agent], 1, 5).await;
    assert_eq!(place.vendor.book().counted.len(), 2);
}

#[tokio::test]
async fn names_of_counted_events_give_way_before_usage_is_refused() {
    let place = Place::new().await;
    let mut settings = place.settings("a");
    settings.spool_max_bytes = 1024 * 1024;
    let agent = place.open(settings).await;
    agent.step().await.unwrap();
    // Far more names than the spool could hold, all of them counted on the way.
    let mut sent = 0;
    for round in 0..30 {
        let now = place.now();
        let batch: Vec<Value> = (0..500).map(|n| event(&format!("{round}-{n}"), now)).collect();
        let answer = agent.take_usage(json!(batch).to_string().as_bytes()).await.unwrap();
        assert_eq!(answer.accepted, 500);
        sent += 500;
        place.forward(120);
        agent.step().await.unwrap();
    }
    assert_eq!(place.vendor.book().counted.len(), sent);
}
