//! The connected life of an instance.

use std::sync::Arc;

use tenure_agent::{Agent, machine::Phase};
use tenure_license::{Reason, Signer, keys::JwkSet, token};

use crate::support::{LICENSE_KEY, Place, SIGNER, STRANGER, claims, issue, keys};

#[tokio::test]
async fn a_key_is_exchanged_for_a_license_and_the_lease_is_renewed_at_a_third() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    assert_eq!(place.vendor.book().calls("activate").len(), 1);
    let first = agent.view().state.lease.clone().unwrap();
    place.pass(&[&agent], 30, 5).await;
    let later = agent.view().state.lease.clone().unwrap();
    assert!(later.iat > first.iat, "renewed within 30 of 72 hours");
    let renewals = place.vendor.book().calls("heartbeat");
    // Five minutes, give or take a tenth, looked at every five minutes.
    assert!((200..=360).contains(&renewals.len()), "{}", renewals.len());
    let asked = renewals.iter().filter(|call| call.body.contains(r#""renew":true"#)).count();
    assert_eq!(asked, 1, "one lease was asked for");
    agent.close().await.unwrap();
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    let before = agent.view().state.clone();
    agent.close().await.unwrap();
    drop(agent);
    let agent = place.open(place.settings("a")).await;
    assert_eq!(agent.view().state.instance, before.instance);
    place.pass(&[&agent], 1, 5).await;
    let book = place.vendor.book();
    assert_eq!((book.calls("activate").len(), book.quarantined()), (1, 0));
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_bytes() {
    let place = Place::new().await;
    place.vendor.book().lose = 3;
    let agent = place.open(place.settings("a")).await;
    place.pass(&[&agent], 1, 1).await;
    assert_eq!(agent.view().word(agent.now()), "active");
    let calls = place.vendor.book().calls("activate");
    assert_eq!(calls.len(), 4);
    assert!(calls.iter().all(|call| *call == calls[0]), "byte for byte");
    assert_eq!(place.vendor.book().leases(), 1);
}

#[tokio::test]
async fn a_crash_after_a_lost_answer_repeats_the_same_bytes_too() {
    let place = Place::new().await;
    place.vendor.book().lose = 1;
    let agent = place.open(place.settings("a")).await;
    agent.step().await.unwrap();
    // No close: as after a crash.
    drop(agent);
    let agent = place.open(place.settings("a")).await;
    place.pass(&[&agent], 1, 1).await;
    let calls = place.vendor.book().calls("activate");
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0], calls[1]);
    assert_eq!(agent.view().word(agent.now()), "active");
}

#[tokio::test]
async fn a_newer_revision_comes_with_a_heartbeat() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    {
        let mut book = place.vendor.book();
        book.license.revision = 2;
        book.license.seats = tenure_license::claims::Cap::UNLIMITED;
    }
    place.pass(&[&agent], 1, 5).await;
    assert_eq!(agent.view().license.as_ref().unwrap().claims().revision, 2);
}

#[tokio::test]
async fn a_revocation_is_learned_with_the_next_heartbeat() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    place.vendor.book().revoke();
    place.pass(&[&agent], 1, 5).await;
    let verdict = agent.view().verdict(agent.now()).unwrap();
    assert_eq!(verdict.reason, Reason::Revoked);
    assert!(verdict.notice.unwrap().contains("revoked"));
}

#[tokio::test]
async fn a_server_with_another_key_is_not_believed_in_anything() {
    let place = Place::new().await;
    place.vendor.book().signer = &STRANGER;
    let agent = place.open(place.settings("a")).await;
    place.pass(&[&agent], 2, 5).await;
    let state = agent.view().state.clone();
    assert_eq!((state.license, state.lease, state.instance), (None, None, None));
    let trouble = state.trouble.unwrap();
    assert!(trouble.message.contains("token_unknown_key"), "{}", trouble.message);
    // The genuine one is believed as soon as it is back.
    place.vendor.book().signer = &SIGNER;
    place.pass(&[&agent], 1, 5).await;
    // The answer that was written down by the stranger is repeated; the vendor gives up its
    // memory of it only with a new number. Either way nothing foreign was taken.
    let state = agent.view().state.clone();
    assert!(state.license.is_none_or(|held| {
        token::verify::<tenure_license::LicenseClaims>(
            &held.token,
            &tenure_license::TrustSet::from_published_jwks(&keys()).unwrap(),
        )
        .is_ok()
    }));
}

#[tokio::test]
async fn a_license_token_is_taken_without_asking_anybody() {
    let place = Place::new().await;
    let mut settings = place.settings("a");
    settings.server = None;
    let token = issue(&claims(place.now()));
    let agent = Agent::open(settings, place.clock.clone(), Some(&token)).await.unwrap();
    assert_eq!(agent.view().word(agent.now()), "active");
    assert!(place.vendor.book().seen.is_empty());
}

#[tokio::test]
async fn what_is_not_genuine_refuses_the_start() {
    let place = Place::new().await;
    let refused = async |presented: &str| {
        Agent::open(place.settings("a"), place.clock.clone(), Some(presented))
            .await
            .err()
            .expect("refused")
            .code()
            .to_owned()
    };
    let foreign = token::sign(&claims(place.now()), &*STRANGER).unwrap();
    assert_eq!(refused(&foreign).await, "token_unknown_key");
    let typo = LICENSE_KEY.replace("ACME", "ACMF");
    assert_eq!(refused(&typo).await, "license_key_mistyped");
}

#[tokio::test]
async fn a_published_test_key_is_no_root() {
    let place = Place::new().await;
    let pem = include_str!("../../../license/vectors/test-key-trusted.pem");
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body).unwrap();
    let signer = tenure_license::MemorySigner::from_pkcs8_der(&der).unwrap();
    let mut settings = place.settings("a");
    let set = JwkSet::of_product("incidentfox", [signer.public_key()]);
    settings.keys = serde_json::to_string(&set).unwrap();
    let error = Agent::open(settings, place.clock.clone(), None).await.err().unwrap();
    assert_eq!(error.code(), "keys_test_key", "{error}");
}

#[tokio::test]
async fn a_slot_is_given_back_and_the_last_usage_goes_before() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    let local = crate::support::Local::of(&agent).await;
    local.post("/v1/usage", &crate::support::event("last", place.now())).await;
    let order = tenure_agent::local::Command::Release { reason: "moved".into() };
    agent.command(order).await.unwrap();
    assert_eq!(agent.view().state.phase, Phase::Released);
    assert_eq!(agent.view().word(agent.now()), "unlicensed");
    assert_eq!(place.vendor.book().counted.len(), 1);
    drop::<Arc<Agent>>(agent);
}
