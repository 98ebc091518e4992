//! Slices of quotas: agents that share a limit never pass it together.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tenure_agent::{Agent, run::Used};
use tenure_api::usage::Outcome;
use tenure_core::Quantity;

use crate::{
    agents::{Customer, PRODUCT, Product, settle},
    harness::ADMIN,
};

/// Machines of the license.
const MACHINES: u32 = 3;
/// What they may use together in a month.
pub(crate) const LIMIT: u32 = 100;

/// As the product of the others, with room for three machines and a hundred runs a month.
fn product() -> String {
    let team = "instances = 1, agent_runs = { included = 1_000,";
    assert!(PRODUCT.contains(team));
    PRODUCT.replace(team, &format!("instances = {MACHINES}, agent_runs = {{ included = {LIMIT},"))
}

pub(crate) async fn customer() -> Customer {
    Customer::of(&product(), "team", "self_hosted").await
}

async fn machines(customer: &Customer) -> Vec<Arc<Agent>> {
    let mut agents = Vec::new();
    for machine in 1..=MACHINES {
        let agent = customer.start(&format!("m{machine}")).await;
        settle(&agent).await;
        agents.push(agent);
    }
    agents
}

/// Uses one run, if that is allowed.
pub(crate) async fn consume(agent: &Agent, id: &str) -> Used {
    let event = json!({ "specversion": "1.0", "id": id, "source": "/prod",
        "type": "agent.run", "time": agent.now() });
    let event = event.to_string();
    agent.consume("agent_runs", Quantity::ONE, event.as_bytes()).await.expect("an answer")
}

/// Uses runs until one is refused; how many, and the words of the refusal.
pub(crate) async fn exhaust(agent: &Agent, name: &str) -> (u32, String) {
    for n in 0..=LIMIT {
        let used = consume(agent, &format!("{name}-{n}")).await;
        if !used.decision.allowed {
            return (n, used.decision.message.expect("a reason"));
        }
    }
    panic!("{name} was never refused");
}

impl Customer {
    pub(crate) async fn quota(&self) -> Value {
        let path = format!("/api/v1/admin/tenants/acme/subscriptions/{}/quota", self.subscription);
        self.test.get(ADMIN, &path).await.expect(200)["items"][0].clone()
    }
}

pub(crate) fn number(quota: &Value, field: &str) -> u32 {
    quota[field].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn machines_use_one_limit_up_together_and_not_more() {
    let customer = customer().await;
    let agents = machines(&customer).await;
    let mut allowed = 0;
    for (index, agent) in agents.iter().enumerate() {
        allowed += exhaust(agent, &format!("a{index}")).await.0;
        assert!(number(&customer.quota().await, "reserved") <= LIMIT);
    }
    assert_eq!(allowed, LIMIT);
    // The same run again is the same run, also when nothing is left.
    let again = consume(&agents[0], "a0-0").await;
    assert!(again.decision.allowed);
    assert_eq!(again.outcome, Some(Outcome::Duplicate));
    customer.pass(SignedDuration::from_mins(2));
    for agent in &agents {
        settle(agent).await;
    }
    let quota = customer.quota().await;
    assert_eq!((number(&quota, "used"), number(&quota, "reserved")), (LIMIT, 0), "{quota}");
    let (none, words) = exhaust(&agents[0], "late").await;
    assert!(none == 0 && words.starts_with("Monthly quota exceeded: 100/100."), "{none} {words}");
    assert_eq!(customer.used().await, "100");
}

#[tokio::test]
async fn a_slice_is_small_enough_to_leave_something_and_large_enough_to_ask_seldom() {
    let customer = customer().await;
    let agents = machines(&customer).await;
    assert!(consume(&agents[0], "one").await.decision.allowed);
    assert_eq!(number(&customer.quota().await, "reserved"), 25);
    let product = Product::beside(&agents[0]).await;
    let asked = |sent: &Value| {
        let sent = sent["sent"].as_array().unwrap();
        sent.iter().filter(|message| message["what"] == "slice").count()
    };
    for n in 0..10 {
        assert!(consume(&agents[0], &format!("n{n}")).await.decision.allowed);
    }
    assert_eq!(asked(&product.get("/v1/sent").await), 1, "no message a use");
    for n in 10..20 {
        assert!(consume(&agents[0], &format!("n{n}")).await.decision.allowed);
    }
    // Little is left: the loop asks for the next before the product has to wait.
    settle(&agents[0]).await;
    assert_eq!(asked(&product.get("/v1/sent").await), 2);
}

#[tokio::test]
async fn what_a_dead_machine_held_is_free_when_its_slice_ends() {
    let customer = customer().await;
    let agents = machines(&customer).await;
    assert!(consume(&agents[0], "only").await.decision.allowed);
    let dead = agents[0].view().state.instance.expect("an instance");
    let (first, _) = exhaust(&agents[1], "before").await;
    assert_eq!(first, LIMIT - 25, "{dead} holds a quarter");
    customer.pass(SignedDuration::from_mins(76));
    settle(&agents[1]).await;
    let (second, _) = exhaust(&agents[1], "after").await;
    assert_eq!(second, 25);
    // It comes back: what it used happened, and is counted.
    settle(&agents[0]).await;
    customer.pass(SignedDuration::from_mins(2));
    settle(&agents[0]).await;
    settle(&agents[1]).await;
    assert_eq!(customer.used().await, "101");
}

#[tokio::test]
async fn a_slice_that_nobody_uses_is_given_back() {
    let customer = customer().await;
    let agents = machines(&customer).await;
    assert!(consume(&agents[0], "only").await.decision.allowed);
    customer.pass(SignedDuration::from_mins(16));
    settle(&agents[0]).await;
    let quota = customer.quota().await;
    assert_eq!((number(&quota, "used"), number(&quota, "reserved")), (1, 0), "{quota}");
}

#[tokio::test]
async fn who_holds_no_lease_gets_no_slice_and_nobody_signs_for_another() {
    let customer = customer().await;
    let agents = machines(&customer).await;
    let path = "/api/v1/quota/slices";
    let send = async |text: &str| {
        customer.test.post_bytes("", path, "text/plain", text.as_bytes().to_vec()).await
    };
    send("a.b.c").await.expect(422);
    let report = agents[0].request().await.unwrap();
    send(&report).await.expect(422);
    let suspend =
        format!("/api/v1/admin/tenants/acme/subscriptions/{}/suspend", customer.subscription);
    customer.test.post(ADMIN, &suspend, json!({})).await.expect(200);
    let used = consume(&agents[0], "one").await;
    assert!(!used.decision.allowed);
    let words = used.decision.message.unwrap();
    assert!(words.contains("Access is withheld"), "{words}");
}

/// A number from a seed, the same everywhere.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Stopped without a word, and started again from what is on its disk.
pub(crate) async fn crashed(customer: &Customer, agent: Arc<Agent>, machine: &str) -> Arc<Agent> {
    agent.stop();
    drop(agent);
    for _ in 0..10_000 {
        if let Ok(agent) = customer.try_start(machine).await {
            return agent;
        }
        tokio::task::yield_now().await;
    }
    customer.start(machine).await
}

/// Machines use, report, crash and idle in an order drawn from a seed. Whatever that order is,
/// what is recorded and what is held never exceed the limit, and what was allowed is what is
/// recorded.
async fn history(seed: u64) {
    let customer = customer().await;
    let mut agents = machines(&customer).await;
    let mut draw = Draw(seed);
    let mut allowed = 0;
    for step in 0..60 {
        let one = usize::try_from(draw.below(MACHINES.into())).unwrap();
        match draw.below(10) {
            0..=5 => {
                for n in 0..=draw.below(6) {
                    let used = consume(&agents[one], &format!("{one}-{step}-{n}")).await;
                    allowed += u32::from(used.decision.allowed);
                }
            }
            6 => settle(&agents[one]).await,
            7 => {
                let agent = agents.remove(one);
                let again = crashed(&customer, agent, &format!("m{}", one + 1)).await;
                agents.insert(one, again);
            }
            _ => {
                // Not so long that a slice ends before its usage could be told.
                customer
                    .pass(SignedDuration::from_mins(i64::try_from(1 + draw.below(40)).unwrap()));
                for agent in &agents {
                    settle(agent).await;
                }
            }
        }
        let quota = customer.quota().await;
        let (used, reserved) = (number(&quota, "used"), number(&quota, "reserved"));
        assert!(used + reserved <= LIMIT, "seed {seed}, step {step}: {quota}");
        assert!(allowed <= LIMIT, "seed {seed}, step {step}: {allowed}");
    }
    customer.pass(SignedDuration::from_mins(2));
    for agent in &agents {
        settle(agent).await;
    }
    assert_eq!(customer.used().await, allowed.to_string(), "seed {seed}");
}

#[tokio::test]
async fn in_any_order_what_is_held_and_what_is_recorded_stay_within_the_limit() {
    for seed in 1..=4 {
        history(seed).await;
    }
}
