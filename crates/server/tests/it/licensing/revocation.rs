//! What is taken back: at once online, by signed lists elsewhere.

use serde_json::{Value, json};
use tenure_license::{
    RevocationsClaims, TrustSet, Verified,
    file::{self, FileKind},
    instance::Purpose,
    token,
};

use super::{kind, soon};
use crate::harness::{ADMIN, TestInstance, TestServer};

const LIST: &str = "/.well-known/tenure/gizmo/revocations";

async fn list(test: &TestServer) -> RevocationsClaims {
    let jwks = test.get("", "/.well-known/tenure/gizmo/jwks.json").await;
    let keys = TrustSet::from_published_jwks(&jwks.text).expect("published keys are trusted");
    let answer = test.get("", LIST).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let token = file::read_kind(FileKind::Revocations, &answer.text).expect("a list in a file");
    let list: Verified<RevocationsClaims> = token::verify(&token, &keys).expect("it verifies");
    list.into_claims()
}

#[tokio::test]
async fn a_revoked_license_is_refused_by_every_server_within_the_bound() {
    let one = TestServer::gizmo().await;
    let two = one.beside().await;
    let license = one.licensed("acme", "pro").await;
    let mut instance = TestInstance::new(1);
    instance.activate(&one, &license.key).await.expect(200);
    // Both know it well.
    for server in [&one, &two] {
        instance.beat(server, json!({})).await.expect(200);
        let body = json!({ "token": license.token });
        assert_eq!(server.post("", "/api/v1/validate", body).await.expect(200)["valid"], true);
    }
    one.post(ADMIN, &license.path("/revoke"), json!({})).await.expect(200);
    let validate = async |server: &TestServer| {
        let body = json!({ "token": license.token });
        server.post("", "/api/v1/validate", body).await.expect(200)
    };
    let now = validate(&one).await;
    assert_eq!(
        (&now["valid"], &now["status"], &now["reason"]),
        (&json!(false), &json!("terminated"), &json!("revoked")),
        "at once where it was done"
    );
    soon("the revocation", async || validate(&two).await["valid"] == false).await;
    for server in [&one, &two] {
        let beat = instance.beat(server, json!({ "renew": true })).await.expect(200);
        assert_eq!((&beat["status"], &beat["lease"]), (&json!("terminated"), &json!(null)));
        assert!(beat["revocations"].is_string(), "the list reaches whoever holds a lease: {beat}");
        let refused = instance.activate(server, &license.key).await.expect(403);
        assert_eq!(kind(&refused), "license-revoked");
    }
    let shown = one.get(ADMIN, &license.path("/instances")).await.expect(200);
    assert_eq!(shown["items"][0]["state"], "released");
}

#[tokio::test]
async fn the_answer_to_a_lost_renewal_is_not_given_once_the_license_is_revoked() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let mut instance = TestInstance::new(1);
    instance.activate(&test, &license.key).await.expect(200);
    let call = instance.call(&test, Purpose::Heartbeat, "", json!({ "renew": true }));
    assert!(test.proven(&call).await.expect(200)["lease"].is_string());
    test.post(ADMIN, &license.path("/revoke"), json!({})).await.expect(200);
    let again = test.proven(&call).await.expect(200);
    assert_eq!((&again["status"], &again["lease"]), (&json!("terminated"), &json!(null)));
}

/// The lowest number of a list signed now.
fn epoch_now(test: &TestServer) -> u64 {
    test.clock_now().as_second().unsigned_abs()
}

#[tokio::test]
async fn the_signed_list_names_what_was_taken_back_and_only_counts_up() {
    let test = TestServer::gizmo().await;
    assert_eq!(test.get("", LIST).await.status, 404, "nothing was taken back");
    let first = test.licensed("acme", "pro").await;
    let second = test.licensed("globex", "pro").await;
    test.post(ADMIN, &first.path("/revoke"), json!({})).await.expect(200);
    let one = list(&test).await;
    // Never behind the clock, so that a restored database does not number anew.
    assert_eq!((one.epoch, one.withdrawn.len()), (epoch_now(&test), 1));
    assert_eq!(one.withdrawn[0].license.to_string(), first.license);
    assert_eq!(one.withdrawn[0].below, None);
    let answer = test.get("", LIST).await;
    let tag = answer.header("etag").unwrap().to_owned();
    let ask = |name: &'static str, value: String| {
        test.send(test.request(reqwest::Method::GET, "", LIST).header(name, value))
    };
    assert_eq!(ask("if-none-match", tag.clone()).await.status, 304);
    let bare = ask("accept", "application/jwt".to_owned()).await;
    assert_eq!(bare.header("content-type"), Some("application/jwt"));
    assert_eq!(bare.text.split('.').count(), 3);
    assert_eq!(list(&test).await.epoch, one.epoch, "looking signs nothing");

    // Two servers see the second revocation, and one list comes of it.
    let other = test.beside().await;
    test.post(ADMIN, &second.path("/revoke"), json!({})).await.expect(200);
    soon("the second list", async || {
        let (here, there) = tokio::join!(list(&test), list(&other));
        here.epoch == one.epoch + 1 && here == there
    })
    .await;
    assert_ne!(test.get("", LIST).await.header("etag").unwrap(), tag);

    // An activation brings it; a heartbeat brings it to whoever has an older one.
    let third = test.licensed("initech", "pro").await;
    let mut instance = TestInstance::new(1);
    let made = instance.activate(&test, &third.key).await.expect(200);
    assert!(made["revocations"].is_string());
    let beat = instance.beat(&test, json!({ "epoch": one.epoch })).await.expect(200);
    assert!(beat["revocations"].is_string());
    let beat = instance.beat(&test, json!({ "epoch": one.epoch + 1 })).await.expect(200);
    assert_eq!(beat["revocations"], Value::Null);
}

#[tokio::test]
async fn an_entry_leaves_the_list_when_nothing_of_it_can_be_valid() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let other = test.licensed("globex", "pro").await;
    test.post(ADMIN, &license.path("/revoke"), json!({})).await.expect(200);
    assert_eq!(list(&test).await.withdrawn.len(), 1);
    // A year, thirty days of grace, thirty of margin.
    test.advance_to("2027-04-29T00:00:00Z");
    test.post(ADMIN, &other.path("/revoke"), json!({})).await.expect(200);
    assert_eq!(list(&test).await.withdrawn.len(), 2);
    test.advance_to("2027-05-01T00:00:00Z");
    assert_eq!(tenure_server::licensing::revocation::expire(test.app()).await.unwrap(), 2);
    let now = list(&test).await;
    assert_eq!((now.epoch, now.withdrawn.len()), (epoch_now(&test), 0));
}

#[tokio::test]
async fn what_ends_takes_its_instances_with_it_and_a_deleted_tenants_tokens_stay_revoked() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let places = format!("{}/deployments", license.tenant);
    let place = test.get(ADMIN, &places).await.expect(200)["items"][0]["id"].clone();
    let mut there = TestInstance::new(1);
    let body = json!({ "deployment_id": place });
    let call = there.call(&test, Purpose::Activate, &license.key, body.clone());
    let made = test.proven(&call).await.expect(200);
    there.hear(&made);
    let mut elsewhere = TestInstance::new(2);
    elsewhere.activate(&test, &license.key).await.expect(200);
    let retire = format!("{places}/{}/retire", place.as_str().unwrap());
    test.post(ADMIN, &retire, json!({})).await.expect(200);
    let beat = there.beat(&test, json!({ "renew": true })).await.expect(200);
    assert_eq!((&beat["status"], &beat["lease"]), (&json!("released"), &json!(null)));
    test.post(&license.key, "/api/v1/activate", body).await.expect(422);
    let beat = elsewhere.beat(&test, json!({})).await.expect(200);
    assert_eq!(beat["status"], "active");

    test.post(ADMIN, &format!("{}/cancel", license.tenant), json!({})).await.expect(200);
    let beat = elsewhere.beat(&test, json!({ "renew": true })).await.expect(200);
    assert_eq!((&beat["status"], &beat["lease"]), (&json!("terminated"), &json!(null)));
    test.delete(ADMIN, &format!("{}?confirm=acme", license.tenant)).await.expect(200);
    elsewhere.beat(&test, json!({})).await.expect(401);
    let body = json!({ "token": license.token });
    let now = test.post("", "/api/v1/validate", body).await.expect(200);
    assert_eq!((&now["valid"], &now["reason"]), (&json!(false), &json!("revoked")));
    assert_eq!(list(&test).await.withdrawn.len(), 1, "the list outlives the tenant");
    test.post(&license.key, "/api/v1/activate", json!({})).await.expect(401);
}

#[tokio::test]
async fn validation_says_what_a_token_is_worth_and_never_fails_on_a_forged_one() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let validate = async |token: &str| {
        test.post("", "/api/v1/validate", json!({ "token": token })).await.expect(200)
    };
    let (head, signature) = license.token.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let mut instance = TestInstance::new(1);
    let made = instance.activate(&test, &license.key).await.expect(200);
    for (forged, reason) in [
        ("".to_owned(), "token_malformed"),
        ("a.b.c".to_owned(), "token_malformed"),
        ("eyJhbGciOiJub25lIn0.eyJwcm9kdWN0IjoiZ2l6bW8ifQ.".to_owned(), "token_algorithm_refused"),
        ("eyJhbGciOiJub25lIn0.eyJwcm9kdWN0Ijoibm9uZSJ9.".to_owned(), "token_wrong_issuer"),
        (format!("{head}.{flipped}{}", &signature[1..]), "token_bad_signature"),
        (made["lease"].as_str().unwrap().to_owned(), "token_wrong_type"),
    ] {
        let answer = validate(&forged).await;
        assert_eq!((&answer["valid"], &answer["status"]), (&json!(false), &json!("invalid")));
        assert_eq!(answer["reason"], reason, "{forged}");
        assert!(answer["entitlements"].is_null());
    }
    let answer = validate(&license.token).await;
    assert_eq!((&answer["valid"], &answer["revision"]), (&json!(true), &json!(1)));
    assert_eq!(answer["entitlements"]["max_teams"], 5);
    test.advance_to("2027-02-20T00:00:00Z");
    let answer = validate(&license.token).await;
    assert_eq!((&answer["valid"], &answer["status"]), (&json!(true), &json!("expiring")));
    assert!(answer["notice"].as_str().unwrap().contains("2027-03-01"), "{answer}");
    test.advance_to("2027-03-31T00:00:00Z");
    let answer = validate(&license.token).await;
    assert_eq!((&answer["valid"], &answer["reason"]), (&json!(false), &json!("expired")));
}

#[tokio::test]
async fn a_list_that_is_full_stays_as_it_is_and_online_every_revocation_holds() {
    let test = TestServer::gizmo().await;
    let first = test.licensed("acme", "pro").await;
    let second = test.licensed("globex", "pro").await;
    test.post(ADMIN, &first.path("/revoke"), json!({})).await.expect(200);
    let known = list(&test).await.epoch;
    let mut admin = test.database.admin().await;
    sqlx::raw_sql(
        "INSERT INTO license_withdrawals (product_id, license_id, withdrawn_at, forget_after)
         SELECT p.id, gen_random_uuid(), '2026-03-01T00:00:00Z', '2027-03-01T00:00:00Z'
         FROM products p, generate_series(1, 8000) WHERE p.slug = 'gizmo'",
    )
    .execute(&mut admin)
    .await
    .unwrap();
    test.post(ADMIN, &second.path("/revoke"), json!({})).await.expect(200);
    let now = list(&test).await;
    assert_eq!((now.epoch, now.withdrawn.len()), (known, 1), "better old than without an entry");
    let body = json!({ "token": second.token });
    let answer = test.post("", "/api/v1/validate", body).await.expect(200);
    assert_eq!(answer["reason"], "revoked");
    // Space again: everything is on the next list.
    sqlx::raw_sql("DELETE FROM license_withdrawals WHERE forget_after = '2027-03-01T00:00:00Z'")
        .execute(&mut admin)
        .await
        .unwrap();
    test.app().forget_everything();
    let now = list(&test).await;
    assert_eq!((now.epoch, now.withdrawn.len()), (known + 1, 2));
}
