//! Without a network: files there and back.

use std::sync::Arc;

use jiff::SignedDuration;
use tenure_agent::{Agent, machine::Phase};
use tenure_core::{InstanceId, LicenseId};
use tenure_license::{
    LicenseClaims,
    claims::{Binding, DeploymentModel},
    file::{self, FileKind},
    instance::{self, Request, RequestKind, Return},
    ledger,
};
use uuid::Uuid;

use crate::support::{LICENSE_KEY, Local, Place, claims, count, event, issue};

async fn air_gapped(place: &Place, dir: &str) -> Arc<Agent> {
    let mut settings = place.settings(dir);
    settings.server = None;
    Agent::open(settings, place.clock.clone(), Some(&LICENSE_KEY)).await.unwrap()
}

async fn request(agent: &Agent) -> Request {
    let text = agent.request().await.unwrap();
    let token = file::read_kind(FileKind::Request, &text).unwrap();
    instance::verify::<Request>(&token).unwrap().into_claims()
}

/// The vendor's answer: a license bound to who asked.
fn answer(place: &Place, request: &Request, revision: u64) -> String {
    let mut claims = claims(place.now());
    claims.model = DeploymentModel::AirGapped;
    claims.phone_home_required = false;
    claims.revision = revision;
    let instance = request.instance.unwrap_or_else(|| InstanceId::from_uuid(Uuid::now_v7()));
    claims.binding = Some(Binding { instance, key: request.key.thumbprint() });
    file::write(&issue(&claims))
}

#[tokio::test]
async fn a_license_goes_round_by_files_for_a_year_and_is_given_back() {
    let place = Place::new().await;
    let agent = air_gapped(&place, "a").await;
    let local = Local::of(&agent).await;
    let asked = request(&agent).await;
    assert_eq!(asked.kind, RequestKind::Activation);
    assert_eq!(asked.license_key.as_deref(), Some(LICENSE_KEY.as_str()));

    let first = answer(&place, &asked, 1);
    assert!(agent.install(&first).await.unwrap().changed);
    assert_eq!(agent.view().word(agent.now()), "active");
    assert!(!agent.install(&first).await.unwrap().changed, "twice does no harm");

    // Usage, its report, its receipt.
    local.post("/v1/usage", &event("a", agent.now())).await;
    place.pass(&[&agent], 24, 60).await;
    let report = agent.report(false).await.unwrap().unwrap();
    assert_eq!((report.first, report.through), (1, 1));
    let receipt = {
        let mut book = place.vendor.book();
        let (_, counted) = count(&mut book, &report.text);
        let (_, again) = count(&mut book, &report.text);
        assert_eq!(book.counted.len(), 1, "imported any number of times, counted once");
        assert_eq!(again["duplicates"], 1);
        file::write_kind(FileKind::Receipt, counted["receipt"].as_str().unwrap())
    };
    assert_eq!(agent.install(&receipt).await.unwrap().kind, "receipt");
    assert!(agent.report(false).await.unwrap().is_none(), "nothing is left to report");
    local.post("/v1/usage", &event("b", agent.now())).await;
    let next = agent.report(false).await.unwrap().unwrap();
    let head = ledger::read(&next.text).unwrap().head.into_claims();
    assert_eq!(head.after.unwrap().seq, 1);
    assert!(head.receipt.is_some(), "the receipt is cited");

    // Renewal: a higher revision by the same way; the lower one is not taken any more.
    let asked = request(&agent).await;
    assert_eq!((asked.kind, asked.ledger.unwrap().seq), (RequestKind::Renewal, 2));
    place.forward(350 * 24 * 3600);
    assert!(agent.install(&answer(&place, &asked, 2)).await.unwrap().changed);
    assert_eq!(agent.install(&first).await.unwrap_err().code(), "license_older");

    // Return.
    let text = agent.give_back().await.unwrap();
    let token = file::read_kind(FileKind::Return, &text).unwrap();
    let given = instance::verify::<Return>(&token).unwrap().into_claims();
    assert_eq!(given.ledger.unwrap().seq, 2);
    assert_eq!(agent.view().state.phase, Phase::Released);
    assert_eq!(agent.give_back().await.unwrap(), text, "the same file again");
    assert_eq!(
        agent.install(&answer(&place, &asked, 3)).await.unwrap_err().code(),
        "instance_released"
    );
    assert!(agent.report(false).await.unwrap().is_some(), "the last usage can still be reported");
    assert!(place.vendor.book().seen.is_empty(), "not one message was sent");
}

#[tokio::test]
async fn what_is_not_meant_for_this_instance_is_not_taken() {
    let place = Place::new().await;
    let (one, other) = (air_gapped(&place, "a").await, air_gapped(&place, "b").await);
    let refused = async |text: &str| one.install(text).await.unwrap_err().code().to_owned();
    let for_other = answer(&place, &request(&other).await, 1);
    assert_eq!(refused(&for_other).await, "token_of_other_instance");
    assert_eq!(refused(&one.request().await.unwrap()).await, "file_of_instance");
    assert_eq!(refused("hello").await, "file_unknown");
    let mut foreign = claims(one.now());
    foreign.iat = one.now();
    let foreign = tenure_license::token::sign(&foreign, &*crate::support::STRANGER).unwrap();
    assert_eq!(refused(&file::write(&foreign)).await, "token_unknown_key");
    assert_eq!(one.view().word(one.now()), "unlicensed");
}

#[tokio::test]
async fn a_request_without_anything_to_go_by_says_what_to_do() {
    let place = Place::new().await;
    let mut settings = place.settings("a");
    settings.server = None;
    let agent = Agent::open(settings, place.clock.clone(), None).await.unwrap();
    assert_eq!(agent.request().await.unwrap_err().code(), "request_without_license");
}

#[tokio::test]
async fn a_revocation_list_is_carried_by_hand_and_outlives_a_change_of_license() {
    let place = Place::new().await;
    let agent = air_gapped(&place, "a").await;
    let asked = request(&agent).await;
    place.vendor.book().revoke();
    let list = place.vendor.book().revocations.clone().unwrap();
    let text = tenure_license::token::sign(&list, &*crate::support::SIGNER).unwrap();
    // The list comes first, the license that it names afterwards.
    agent.install(&file::write_kind(FileKind::Revocations, &text)).await.unwrap();
    agent.install(&answer(&place, &asked, 1)).await.unwrap();
    assert_eq!(agent.view().word(agent.now()), "terminated");
}

#[tokio::test]
async fn a_year_without_a_network_ends_with_the_license_and_a_clock_set_back_gains_nothing() {
    let place = Place::new().await;
    let agent = air_gapped(&place, "a").await;
    let asked = request(&agent).await;
    agent.install(&answer(&place, &asked, 1)).await.unwrap();
    place.pass(&[&agent], 24 * 340, 24 * 60).await;
    assert_eq!(agent.view().word(agent.now()), "active");
    place.pass(&[&agent], 24 * 60, 24 * 60).await;
    assert_eq!(agent.view().word(agent.now()), "terminated");
    let back = agent.now().checked_sub(SignedDuration::from_hours(24 * 200)).unwrap();
    let verdict = agent.view().verdict(back).unwrap();
    assert_eq!(verdict.state.word(), "terminated");
    assert!(verdict.clock_suspect);
}

#[tokio::test]
async fn a_license_of_another_lineage_may_be_installed_by_hand() {
    let place = Place::new().await;
    let agent = air_gapped(&place, "a").await;
    let mut claims: LicenseClaims = claims(agent.now());
    agent.install(&file::write(&issue(&claims))).await.unwrap();
    claims.license = LicenseId::from_uuid(Uuid::from_u128(9));
    assert!(agent.install(&file::write(&issue(&claims))).await.unwrap().changed);
}

#[tokio::test]
async fn a_finished_installation_does_not_begin_again() {
    let place = Place::new().await;
    let agent = air_gapped(&place, "a").await;
    agent.install(&answer(&place, &request(&agent).await, 1)).await.unwrap();
    agent.give_back().await.unwrap();
    let again = agent.activate(&issue(&claims(agent.now()))).await;
    assert_eq!(again.unwrap_err().code(), "instance_released");
    agent.step().await.unwrap();
    assert_eq!(agent.view().word(agent.now()), "unlicensed");
}

#[tokio::test]
async fn a_request_with_a_new_key_pair_makes_one_and_keeps_license_and_usage() {
    let place = Place::new().await;
    let agent = air_gapped(&place, "a").await;
    let local = Local::of(&agent).await;
    let first = request(&agent).await;
    agent.install(&answer(&place, &first, 1)).await.unwrap();
    local.post("/v1/usage", &event("a", agent.now())).await;
    place.forward(3600);

    let with_new_key = async || {
        let text = agent.request_with_new_key().await.unwrap();
        let token = file::read_kind(FileKind::Request, &text).unwrap();
        instance::verify::<Request>(&token).unwrap().into_claims()
    };
    let asked = with_new_key().await;
    assert_ne!(asked.key, first.key);
    assert_eq!((asked.kind, asked.instance), (RequestKind::Activation, None), "another instance");
    assert_eq!(asked.license_key.as_deref(), Some(LICENSE_KEY.as_str()));
    assert_eq!(agent.view().word(agent.now()), "active", "nothing is stopped meanwhile");
    assert_eq!(with_new_key().await.key, asked.key, "asked again, the same pair");
    assert_eq!(request(&agent).await.key, asked.key);

    assert!(agent.install(&answer(&place, &asked, 1)).await.unwrap().changed);
    let report = agent.report(false).await.unwrap().unwrap();
    let head = ledger::read(&report.text).unwrap().head.into_claims();
    assert_eq!((head.key, report.through), (asked.key, 1), "usage went over with it");
    assert_eq!(request(&agent).await.kind, RequestKind::Renewal);
    assert_ne!(with_new_key().await.key, asked.key, "and once more, another");

    agent.install(&answer(&place, &request(&agent).await, 1)).await.unwrap();
    agent.give_back().await.unwrap();
    let finished = agent.request_with_new_key().await.unwrap_err();
    assert_eq!(finished.code(), "instance_released");
}
