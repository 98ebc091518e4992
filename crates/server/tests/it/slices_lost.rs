//! Slices of quotas on a network that loses answers: asked for again, it is the same slice.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use jiff::SignedDuration;
use tenure_agent::Agent;
use tenure_license::instance::{self, SliceRequest};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};

use crate::{
    agents::{Customer, settle},
    slices::{LIMIT, consume, crashed, customer, exhaust, number},
};

const SLICES: &str = "/api/v1/quota/slices";
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The first slice of an untouched limit: a quarter.
const FIRST: u32 = LIMIT / 4;

/// What becomes of the next answers to requests for slices, once the vendor has given them.
#[derive(Clone, Copy)]
enum Fate {
    /// The connection ends without them.
    Lost,
    /// They do not come.
    Held,
}

struct Way {
    vendor: String,
    http: reqwest::Client,
    fates: Mutex<Vec<Fate>>,
    /// The name of every slice asked for, when the vendor has answered.
    answered: mpsc::UnboundedSender<String>,
}

/// Between a machine and the vendor.
struct Network {
    base: String,
    way: Arc<Way>,
    answered: mpsc::UnboundedReceiver<String>,
    served: JoinHandle<std::io::Result<()>>,
}

impl Drop for Network {
    fn drop(&mut self) {
        self.served.abort();
    }
}

impl Network {
    async fn before(customer: &Customer) -> Self {
        let (told, answered) = mpsc::unbounded_channel();
        let way = Arc::new(Way {
            vendor: customer.test.url(""),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            fates: Mutex::default(),
            answered: told,
        });
        let router = Router::new().fallback(carry).with_state(way.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let served = tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base, way, answered, served }
    }

    fn next(&self, fates: &[Fate]) {
        self.way.fates.lock().unwrap().extend(fates);
    }

    /// The names asked for until now.
    fn names(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.answered.try_recv().ok()).collect()
    }
}

async fn carry(State(way): State<Arc<Way>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, BODY_BYTES_MAX).await.unwrap();
    let path = head.uri.path_and_query().unwrap().as_str();
    let mut onward = way.http.request(head.method.clone(), format!("{}{path}", way.vendor));
    for name in ["authorization", "content-type", "tenure-proof"] {
        if let Some(value) = head.headers.get(name) {
            onward = onward.header(name, value);
        }
    }
    let answer = onward.body(body.clone()).send().await.unwrap();
    let (status, bytes) = (answer.status(), answer.bytes().await.unwrap());
    if path == SLICES {
        let text = std::str::from_utf8(&body).unwrap();
        let asked = instance::verify::<SliceRequest>(text).unwrap().into_claims().ask;
        if let Some(asked) = asked {
            let fate = way.fates.lock().unwrap().pop();
            way.answered.send(asked.slice).unwrap();
            match fate {
                Some(Fate::Lost) => std::panic::resume_unwind(Box::new("lost")),
                Some(Fate::Held) => std::future::pending::<()>().await,
                None => {}
            }
        }
    }
    (status, bytes).into_response()
}

/// All of the limit can be used, and nothing of it twice: one was used before.
async fn all_is_used_once(customer: &Customer, agent: &Agent) {
    let (more, words) = exhaust(agent, "more").await;
    assert_eq!(1 + more, LIMIT, "{words}");
    customer.pass(SignedDuration::from_mins(2));
    settle(agent).await;
    let quota = customer.quota().await;
    assert_eq!((number(&quota, "used"), number(&quota, "reserved")), (LIMIT, 0), "{quota}");
    assert_eq!(customer.used().await, LIMIT.to_string());
}

#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_again_and_is_the_same_slice() {
    let customer = customer().await;
    let mut network = Network::before(&customer).await;
    let agent = customer.start_through("m1", &network.base).await;
    settle(&agent).await;
    network.next(&[Fate::Lost; 3]);
    for attempt in 1..=3 {
        let used = consume(&agent, "one").await;
        assert!(!used.decision.allowed, "no slice came: {used:?}");
        let words = used.decision.message.unwrap();
        assert!(words.contains("the license service gave none"), "{words}");
        let quota = customer.quota().await;
        // The vendor handed it out, once.
        assert_eq!(number(&quota, "reserved"), FIRST, "after {attempt}: {quota}");
        customer.pass(SignedDuration::from_secs(6));
    }
    let used = consume(&agent, "one").await;
    assert!(used.decision.allowed, "{used:?}");
    assert_eq!(used.left.map(|left| left.to_string()).as_deref(), Some("24"));
    let quota = customer.quota().await;
    assert_eq!((number(&quota, "used"), number(&quota, "reserved")), (0, FIRST), "{quota}");
    let names = network.names();
    assert_eq!((names.len(), names.into_iter().collect::<BTreeSet<_>>().len()), (4, 1));
    all_is_used_once(&customer, &agent).await;
}

#[tokio::test]
async fn a_restart_between_asking_and_the_answer_gets_the_same_slice() {
    let customer = customer().await;
    let mut network = Network::before(&customer).await;
    let agent = customer.start_through("m1", &network.base).await;
    settle(&agent).await;
    network.next(&[Fate::Held]);
    let asking = tokio::spawn({
        let agent = agent.clone();
        async move { consume(&agent, "one").await }
    });
    let name = network.answered.recv().await.unwrap();
    // The vendor has answered, and the machine goes down before it hears of it.
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    assert_eq!(number(&customer.quota().await, "reserved"), FIRST);
    let agent = crashed(&customer, agent, "m1").await;
    let used = consume(&agent, "one").await;
    assert!(used.decision.allowed, "{used:?}");
    let quota = customer.quota().await;
    assert_eq!((number(&quota, "used"), number(&quota, "reserved")), (0, FIRST), "{name}: {quota}");
    all_is_used_once(&customer, &agent).await;
}
