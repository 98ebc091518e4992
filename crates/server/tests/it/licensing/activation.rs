//! Key pairs for leases, and slots.

use serde_json::json;
use tenure_license::{LeaseClaims, TrustSet, instance::Purpose, token};

use super::{codes, kind, trail};
use crate::harness::{ADMIN, TestInstance, TestServer, all_at_once};

async fn keys(test: &TestServer) -> TrustSet {
    let jwks = test.get("", "/.well-known/tenure/gizmo/jwks.json").await;
    TrustSet::from_published_jwks(&jwks.text).expect("published keys are trusted")
}

#[tokio::test]
async fn an_instance_with_a_key_pair_gets_a_lease_that_the_published_keys_verify() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let mut instance = TestInstance::new(1);
    let made = instance.activate(&test, &license.key).await.expect(200);
    let lease = token::verify::<LeaseClaims>(made["lease"].as_str().unwrap(), &keys(&test).await);
    let lease = lease.expect("the lease verifies").into_claims();
    assert_eq!(lease.key, instance.key.public().thumbprint());
    assert_eq!(Some(lease.instance), instance.id);
    assert_eq!(lease.exp.to_string(), "2026-03-08T00:00:00Z", "seven days");
    assert_eq!((lease.revision, lease.epoch, lease.heartbeat_seconds), (1, 0, 300));
    assert_eq!(lease.license.to_string(), license.license);
    assert_eq!(trail(&test, &license).await[0], "instance.activated");
}

#[tokio::test]
async fn a_lost_answer_is_given_again_with_the_same_lease() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let two = test.beside().await;
    let mut instance = TestInstance::new(1);
    let call = instance.call(&test, Purpose::Activate, &license.key, json!({}));
    let first = test.proven(&call).await.expect(200);
    for server in [&test, &two, &test] {
        let again = server.proven(&call).await.expect(200);
        assert_eq!(again["lease"], first["lease"], "byte for byte");
        assert_eq!((&again["instance"], &again["nonce"]), (&first["instance"], &first["nonce"]));
    }
    instance.hear(&first);
    // The next call renews the same instance.
    let next = instance.activate(&test, &license.key).await.expect(200);
    assert_eq!(next["instance"], first["instance"]);
    assert_ne!(next["lease"], first["lease"]);
    let all = test.get(ADMIN, &license.path("/instances")).await.expect(200);
    assert_eq!((&all["held"], all["items"].as_array().unwrap().len()), (&json!(1), 1));
    let activated = trail(&test, &license).await;
    let count = activated.iter().filter(|action| *action == "instance.activated").count();
    assert_eq!(count, 1, "renewals are not audited");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_instances_at_once_on_two_servers_never_hold_more_than_three_slots() {
    let one = TestServer::gizmo().await;
    let two = one.beside().await;
    let license = one.licensed("acme", "pro").await;
    let (one, two) = (&one, &two);
    let calls = (0..20u16).map(|n| {
        let mut instance = TestInstance::new(n);
        let call = instance.call(one, Purpose::Activate, &license.key, json!({}));
        async move { if n % 2 == 0 { one.proven(&call).await } else { two.proven(&call).await } }
    });
    let mut granted = 0;
    for answer in all_at_once(calls).await {
        match answer.status.as_u16() {
            200 => granted += 1,
            409 => assert_eq!(kind(&answer.json), "no-free-slot", "{}", answer.text),
            status => panic!("{status}: {}", answer.text),
        }
    }
    assert_eq!(granted, 3);
    let all = one.get(ADMIN, &license.path("/instances")).await.expect(200);
    assert_eq!((&all["held"], &all["max"], &all["cap"]), (&json!(3), &json!(3), &json!(3)));
}

#[tokio::test]
async fn one_more_than_was_bought_is_let_in_and_said_where_the_plan_does_not_block() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "team").await;
    for n in 0..5 {
        let made = TestInstance::new(n).activate(&test, &license.key).await.expect(200);
        assert_eq!(codes(&made), [""; 0]);
    }
    let made = TestInstance::new(5).activate(&test, &license.key).await.expect(200);
    assert_eq!(codes(&made), ["instances_overage"]);
    assert_eq!(trail(&test, &license).await[..2], ["instance.overage", "instance.activated"]);
    let full = TestInstance::new(6).activate(&test, &license.key).await;
    assert!(full.json["detail"].as_str().unwrap().contains("6/5"), "{}", full.text);
    full.expect(409);
}

#[tokio::test]
async fn a_slot_given_back_is_free_at_once_and_a_loop_of_that_is_refused() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let mut held = Vec::new();
    for n in 0..3 {
        let mut instance = TestInstance::new(n);
        instance.activate(&test, &license.key).await.expect(200);
        held.push(instance);
    }
    // Each of the three may move once within a lease.
    for (n, mut instance) in held.drain(..).enumerate() {
        let call = instance.call(&test, Purpose::Release, "", json!({ "reason": "moved" }));
        assert_eq!(test.proven(&call).await.expect(200)["status"], "released");
        assert_eq!(test.proven(&call).await.expect(200)["status"], "released", "idempotent");
        let mut next = TestInstance::new(100 + n as u16);
        next.activate(&test, &license.key).await.expect(200);
        if n == 2 {
            next.release(&test).await.expect(200);
        }
    }
    let refused = TestInstance::new(200).activate(&test, &license.key).await.expect(409);
    assert_eq!(kind(&refused), "no-free-slot");
    assert!(refused["detail"].as_str().unwrap().contains("given back"), "{refused}");
    test.advance_to("2026-03-08T00:00:00Z");
    TestInstance::new(200).activate(&test, &license.key).await.expect(200);
}

#[tokio::test]
async fn an_instance_that_was_released_activates_again_with_its_key_if_a_slot_is_free() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let mut instance = TestInstance::new(1);
    let first = instance.activate(&test, &license.key).await.expect(200);
    instance.release(&test).await.expect(200);
    let beat = instance.beat(&test, json!({ "renew": true })).await.expect(200);
    assert_eq!((&beat["status"], &beat["lease"]), (&json!("released"), &json!(null)));
    let again = instance.activate(&test, &license.key).await.expect(200);
    assert_eq!(again["instance"], first["instance"]);
    let beat = instance.beat(&test, json!({})).await.expect(200);
    assert_eq!(beat["status"], "active");
    // Past its lease the slot is anybody's; it takes one again while there is one.
    test.advance_to("2026-03-20T00:00:00Z");
    let all = test.get(ADMIN, &license.path("/instances")).await.expect(200);
    assert_eq!((&all["held"], &all["items"][0]["state"]), (&json!(0), &json!("ended")));
    let beat = instance.beat(&test, json!({ "renew": true })).await.expect(200);
    assert!(beat["lease"].is_string(), "{beat}");
    test.advance_to("2026-04-20T00:00:00Z");
    for n in 10..13 {
        TestInstance::new(n).activate(&test, &license.key).await.expect(200);
    }
    let beat = instance.beat(&test, json!({ "renew": true })).await.expect(200);
    assert_eq!((&beat["lease"], codes(&beat)), (&json!(null), vec!["no_free_slot"]));
}

#[tokio::test]
async fn activations_of_one_license_are_bounded_and_told_when_to_come_back() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let mut refused = None;
    for _ in 0..90 {
        let answer = test.post(&license.key, "/api/v1/activate", json!({})).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a bound");
    assert!(refused.header("retry-after").is_some());
    let other = test.licensed("globex", "pro").await;
    test.post(&other.key, "/api/v1/activate", json!({})).await.expect(200);
}
