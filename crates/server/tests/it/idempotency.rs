//! `Idempotency-Key`.

use reqwest::Method;
use serde_json::json;

use crate::harness::{ADMIN, Answer, TestServer};

async fn create(test: &TestServer, key: &str, name: &str) -> Answer {
    let request = test
        .request(Method::POST, ADMIN, "/admin/clients")
        .header("idempotency-key", key)
        .json(&json!({ "name": name, "plan": "pro" }));
    test.send(request).await
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer_and_makes_nothing() {
    let test = TestServer::start().await;
    let first = create(&test, "\"k-1\"", "Acme").await;
    let again = create(&test, "k-1", "Acme").await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.expect(201), again.expect(201));
    let tenants = test.get(ADMIN, "/api/v1/admin/tenants").await.expect(200);
    assert_eq!(tenants["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_used_for_another_request_is_refused() {
    let test = TestServer::start().await;
    create(&test, "k-1", "Acme").await.expect(201);
    let problem = create(&test, "k-1", "Globex").await.expect(422);
    assert_eq!(problem["type"], "urn:tenure:problem:idempotency-key-reused");
}

#[tokio::test]
async fn many_at_once_make_one_client_and_get_one_answer() {
    let test = TestServer::start().await;
    let eight = (0..8).map(|_| create(&test, "k-1", "Acme"));
    let mut answers = Vec::new();
    for answer in futures_join(eight).await {
        answers.push(answer.expect(201));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
}

async fn futures_join<F: Future<Output = Answer>>(all: impl Iterator<Item = F>) -> Vec<Answer> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|context| {
        let mut index = 0;
        while index < all.len() {
            match all[index].as_mut().poll(context) {
                std::task::Poll::Ready(answer) => {
                    done.push(answer);
                    drop(all.swap_remove(index));
                }
                std::task::Poll::Pending => index += 1,
            }
        }
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}
