//! Usage of agents in the numbered lane: once, at no key an event, also when data
//! directories are copied and restored.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tenure_agent::Agent;

use crate::{
    agents::{Customer, PRODUCT, Product, copy, days, settle},
    harness::ADMIN,
};

impl Customer {
    /// An API key of the subscription.
    pub(crate) async fn api_key(&self) -> String {
        let body = json!({ "subscription": self.subscription });
        let key = self.test.post(ADMIN, "/api/v1/admin/tenants/acme/keys", body).await.expect(201);
        key["api_key"].as_str().unwrap().to_owned()
    }

    async fn producer(&self, key: &str, ledger: &str) -> Value {
        let source = format!("urn:tenure:ledger:{ledger}%23/prod-1");
        let path = format!("/api/v1/usage/producers?source={source}");
        self.test.get(key, &path).await.expect(200)
    }
}

fn key_of(agent: &Agent) -> String {
    agent.view().state.key.clone().expect("a key")
}

/// Gives a stopped agent's directory free, and copies it.
async fn stopped_and_copied(customer: &Customer, agent: Arc<Agent>, name: &str) {
    agent.stop();
    agent.close().await.unwrap();
    drop(agent);
    copy(&customer.dir.path().join("prod-1"), &customer.dir.path().join(name));
}

#[tokio::test]
async fn an_agents_usage_is_numbered_and_costs_no_key_an_event() {
    let customer = Customer::of(PRODUCT, "enterprise", "self_hosted").await;
    let key = customer.api_key().await;
    let agent = customer.start("prod-1").await;
    settle(&agent).await;
    let product = Product::beside(&agent).await;
    product.run(0..700, agent.now()).await;
    // An event that its own agent takes and the server cannot count uses up its number.
    let unknown = json!({ "specversion": "1.0", "id": "other", "source": "/prod-1",
        "type": "nobody.counts.this", "time": agent.now(), "sequencetype": 7 });
    assert_eq!(product.post("/v1/usage", unknown).await["accepted"], 1);
    product.run(700..710, agent.now()).await;
    customer.pass(SignedDuration::from_mins(2));
    settle(&agent).await;
    assert_eq!(customer.used().await, "710");
    let producer = customer.producer(&key, &key_of(&agent)).await;
    assert_eq!(producer["numbered"], true, "{producer}");
    assert_eq!((&producer["epoch"], &producer["last"]), (&json!(0), &json!(711)), "{producer}");
}

#[tokio::test]
async fn copies_with_shared_and_different_usage_under_the_same_numbers_count_each_event_once() {
    let customer = Customer::of(PRODUCT, "enterprise", "self_hosted").await;
    let api_key = customer.api_key().await;
    let agent = customer.start("prod-1").await;
    settle(&agent).await;
    let product = Product::beside(&agent).await;
    product.run(0..20, agent.now()).await;
    customer.pass(SignedDuration::from_mins(2));
    settle(&agent).await;
    assert_eq!(customer.used().await, "20");
    // In both ledgers, and not yet told.
    product.run(20..30, agent.now()).await;
    drop(product);
    let ledger = key_of(&agent);
    stopped_and_copied(&customer, agent, "copy").await;

    let (one, two) = (customer.start("prod-1").await, customer.start("copy").await);
    let (at_one, at_two) = (Product::beside(&one).await, Product::beside(&two).await);
    // The same numbers for other events; and a few that the product hands to both.
    let at = one.now();
    at_one.run(30..40, at).await;
    at_two.run(35..60, at).await;
    // One name for two events is a conflict, as everywhere: the first one counts.
    at_two.run(32..33, at.checked_sub(SignedDuration::from_secs(9)).unwrap()).await;
    for _ in 0..8 {
        customer.pass(SignedDuration::from_mins(30));
        settle(&one).await;
        settle(&two).await;
    }
    customer.pass(days(8));
    settle(&one).await;
    settle(&two).await;
    assert_ne!(key_of(&one), key_of(&two));
    assert_eq!(customer.used().await, "60");
    let producer = customer.producer(&api_key, &ledger).await;
    assert!(producer["epoch"].as_i64().unwrap() >= 1, "its numbers say nothing now: {producer}");

    // Both go on, each under numbers of its own.
    at_one.run(60..70, one.now()).await;
    at_two.run(70..75, two.now()).await;
    customer.pass(SignedDuration::from_mins(5));
    settle(&one).await;
    settle(&two).await;
    assert_eq!(customer.used().await, "75");
}

#[tokio::test]
async fn an_agent_restored_from_an_older_copy_loses_nothing_that_it_takes_in_again() {
    let customer = Customer::of(PRODUCT, "enterprise", "self_hosted").await;
    let agent = customer.start("prod-1").await;
    settle(&agent).await;
    let product = Product::beside(&agent).await;
    product.run(0..10, agent.now()).await;
    customer.pass(SignedDuration::from_mins(2));
    settle(&agent).await;
    drop(product);
    stopped_and_copied(&customer, agent, "backup").await;

    let agent = customer.start("prod-1").await;
    let product = Product::beside(&agent).await;
    let at = agent.now();
    product.run(10..20, at).await;
    customer.pass(SignedDuration::from_mins(2));
    settle(&agent).await;
    assert_eq!(customer.used().await, "20");
    agent.stop();
    agent.close().await.unwrap();
    drop((product, agent));

    // The product had no answer for the last five, and hands them over again after the restore.
    let agent = customer.start("backup").await;
    let product = Product::beside(&agent).await;
    product.run(15..25, at).await;
    for _ in 0..8 {
        customer.pass(SignedDuration::from_mins(30));
        settle(&agent).await;
    }
    customer.pass(days(8));
    settle(&agent).await;
    assert_eq!(customer.used().await, "25");
}

#[tokio::test]
async fn an_event_that_an_agent_brought_is_taken_back_by_its_products_name_for_it() {
    let customer = Customer::of(PRODUCT, "enterprise", "self_hosted").await;
    let key = customer.api_key().await;
    let agent = customer.start("prod-1").await;
    settle(&agent).await;
    let product = Product::beside(&agent).await;
    // Many lie in a chunk, a few in rows.
    for runs in [0..40, 40..43] {
        product.run(runs, agent.now()).await;
        customer.pass(SignedDuration::from_mins(2));
        settle(&agent).await;
    }
    assert_eq!(customer.used().await, "43");
    let void = |id: &str, of: &str| {
        json!({ "specversion": "1.0", "id": id, "source": "/ops", "type": "tenure.void",
            "time": agent.now(), "data": { "source": "/prod-1", "id": of } })
    };
    let usage = "/api/v1/usage";
    let send = async |event: Value| customer.test.post(&key, usage, event).await.expect(200);
    for (id, of) in [("v1", "run-7"), ("v2", "run-41")] {
        assert_eq!(send(void(id, of)).await["accepted"], 1, "{of}");
    }
    assert_eq!(customer.used().await, "41");
    let again = send(void("v3", "run-7")).await;
    assert_eq!(again["results"][0]["reason"], "already_void", "{again}");
    let nobody = send(void("v4", "run-999")).await;
    assert_eq!(nobody["results"][0]["reason"], "unknown_event", "{nobody}");
    // And through the agent itself.
    assert_eq!(product.post("/v1/usage", void("v5", "run-8")).await["accepted"], 1);
    customer.pass(SignedDuration::from_mins(2));
    settle(&agent).await;
    assert_eq!(customer.used().await, "40");
}
