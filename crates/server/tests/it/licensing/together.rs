//! Heartbeats that arrive together.

use std::{future::Future, pin::Pin, task::Poll};

use serde_json::{Value, json};
use tenure_license::instance::Purpose;

use crate::harness::{ADMIN, Answer, Gizmo, ProvenCall, TestInstance, TestServer};

const MANY: u16 = 24;

async fn running() -> (TestServer, Gizmo, Vec<TestInstance>) {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "open").await;
    let mut instances: Vec<TestInstance> = (1..=MANY).map(TestInstance::new).collect();
    for instance in &mut instances {
        instance.activate(&test, &license.key).await.expect(200);
    }
    (test, license, instances)
}

/// Sends all at once; the answers in the order of the calls.
async fn at_once(test: &TestServer, calls: &[ProvenCall]) -> Vec<Answer> {
    type Asked<'a> = Pin<Box<dyn Future<Output = Answer> + 'a>>;
    let mut asked: Vec<Asked<'_>> =
        calls.iter().map(|call| Box::pin(test.proven(call)) as Asked<'_>).collect();
    let mut answers: Vec<Option<Answer>> = calls.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (one, answer) in asked.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let Poll::Ready(heard) = one.as_mut().poll(context)
            {
                *answer = Some(heard);
            }
        }
        if answers.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    answers.into_iter().flatten().collect()
}

/// What staff sees of each instance.
async fn seen(test: &TestServer, license: &Gizmo, instances: &[TestInstance]) -> Vec<Value> {
    let all = test.get(ADMIN, &license.path("/instances")).await.expect(200);
    let items = all["items"].as_array().unwrap();
    let shown = |instance: &TestInstance| {
        let id = json!(instance.id.unwrap().to_string());
        items.iter().find(|item| item["id"] == id).unwrap().clone()
    };
    instances.iter().map(shown).collect()
}

#[tokio::test]
async fn heartbeats_that_arrive_together_are_each_counted() {
    let (test, license, mut instances) = running().await;
    for round in 1..=3 {
        let call = |(n, instance): (usize, &mut TestInstance)| {
            let body = json!({ "usage_stats": { "teams": n + round }, "version": format!("{n}") });
            instance.call(&test, Purpose::Heartbeat, "", body)
        };
        let calls: Vec<ProvenCall> = instances.iter_mut().enumerate().map(call).collect();
        for (instance, answer) in instances.iter_mut().zip(at_once(&test, &calls).await) {
            let beat = answer.expect(200);
            assert_eq!(beat["status"], "active", "{beat}");
            instance.hear(&beat);
        }
        for (n, shown) in seen(&test, &license, &instances).await.iter().enumerate() {
            let told = (&shown["stats"]["teams"], &shown["version"]);
            assert_eq!(told, (&json!((n + round).to_string()), &json!(n.to_string())), "{shown}");
        }
    }
}

#[tokio::test]
async fn a_copy_among_heartbeats_that_arrive_together_is_quarantined_alone() {
    let (test, license, mut instances) = running().await;
    let mut copy = instances[5].copied(6);
    instances[5].beat(&test, json!({})).await.expect(200);
    copy.seq += 1;
    let mut calls: Vec<ProvenCall> = Vec::new();
    for (n, instance) in instances.iter_mut().enumerate() {
        let instance = if n == 5 { &mut copy } else { instance };
        calls.push(instance.call(&test, Purpose::Heartbeat, "", json!({})));
    }
    for (n, answer) in at_once(&test, &calls).await.into_iter().enumerate() {
        let expected = if n == 5 { "quarantined" } else { "active" };
        assert_eq!(answer.expect(200)["status"], expected, "instance {n}");
    }
    for (n, shown) in seen(&test, &license, &instances).await.iter().enumerate() {
        assert_eq!(shown["state"] == "quarantined", n == 5, "{shown}");
    }
}

#[tokio::test]
async fn a_call_that_arrives_several_times_at_once_is_counted_once() {
    let (test, license, mut instances) = running().await;
    let body = json!({ "usage_stats": { "teams": 2 } });
    let call = instances[0].call(&test, Purpose::Heartbeat, "", body);
    let mut nonces = Vec::new();
    for answer in at_once(&test, &vec![call; 8]).await {
        let beat = answer.expect(200);
        assert_eq!(beat["status"], "active", "{beat}");
        instances[0].hear(&beat);
        nonces.push(beat["nonce"].clone());
    }
    nonces.dedup();
    assert_eq!(nonces.len(), 1, "the same answer each time");
    assert_eq!(instances[0].beat(&test, json!({})).await.expect(200)["status"], "active");
    assert_eq!(seen(&test, &license, &instances).await[0]["state"], "held");
}

#[tokio::test]
async fn an_instance_that_somebody_holds_holds_up_nobody_else() {
    let (test, license, mut instances) = running().await;
    let mut conn = test.database.admin().await;
    let id = instances[0].id.unwrap().uuid();
    sqlx::raw_sql("BEGIN").execute(&mut conn).await.unwrap();
    #[allow(clippy::disallowed_methods, reason = "stands for a slow transaction of somebody's")]
    sqlx::query("SELECT FROM instances WHERE id = $1 FOR UPDATE")
        .bind(id)
        .execute(&mut conn)
        .await
        .unwrap();
    let held = instances[0].call(&test, Purpose::Heartbeat, "", json!({}));
    let others: Vec<ProvenCall> = instances[1..]
        .iter_mut()
        .map(|instance| instance.call(&test, Purpose::Heartbeat, "", json!({})))
        .collect();
    let answered = async {
        for answer in at_once(&test, &others).await {
            assert_eq!(answer.expect(200)["status"], "active");
        }
        // Only now may the held one go on.
        sqlx::raw_sql("ROLLBACK").execute(&mut conn).await.unwrap();
    };
    let (beat, ()) = tokio::join!(test.proven(&held), answered);
    assert_eq!(beat.expect(200)["status"], "active");
    assert_eq!(seen(&test, &license, &instances).await.len(), usize::from(MANY));
}
