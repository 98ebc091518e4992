//! The machine's rules, one sentence each.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tenure_core::{InstanceId, LicenseId, SubscriptionId};
use tenure_license::{
    Digest, InstanceKey, LeaseClaims, LicenseClaims, ReceiptClaims, RevocationsClaims,
    chain::Head,
    claims::{Cap, Customer, DeploymentModel, Edition, Entitlements, Withdrawn},
    instance::{self, Proof, Purpose},
    state::{ExpiryPolicy, Revocation},
    token::{Kind, issuer},
};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::*;

const DAY: i64 = 24 * 60 * 60;
const LEASE: i64 = 9 * 60 * 60;
const CONFIGURED: Setup = Setup { activate: true, release: false };

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn key(number: u8) -> InstanceKey {
    InstanceKey::from_seed(&Zeroizing::new([number; 32]))
}

fn named(number: u128) -> InstanceId {
    InstanceId::from_uuid(Uuid::from_u128(number))
}

fn lineage(number: u128) -> LicenseId {
    LicenseId::from_uuid(Uuid::from_u128(number))
}

fn license(revision: u64) -> Taken<LicenseClaims> {
    let limits = BTreeMap::new();
    let claims = LicenseClaims {
        iss: issuer("fox"),
        sub: "ten_1".into(),
        aud: Kind::License.audience().into(),
        iat: at(-DAY + revision.cast_signed()),
        nbf: None,
        exp: at(365 * DAY),
        jti: format!("lic-{revision}"),
        customer: Customer { id: "ten_1".into(), name: "Acme".into(), domain: String::new() },
        edition: Edition::Standard,
        seats: Cap::UNLIMITED,
        features: vec![],
        offline_grace_period_days: 14,
        phone_home_required: true,
        entitlements: Entitlements::derive("pro", &[], None, &limits),
        license: lineage(1),
        revision,
        product: "fox".into(),
        subscription: SubscriptionId::from_uuid(Uuid::from_u128(2)),
        model: DeploymentModel::SelfHosted,
        mode: None,
        update_until: None,
        limits,
        values: BTreeMap::new(),
        expiry_policy: ExpiryPolicy::PRESET,
        supersedes: None,
        binding: None,
        receipt: None,
        enforcement: None,
        sales_contact: None,
    };
    Taken { token: format!("license {revision}"), claims }
}

fn lease(iat: i64, key: &InstanceKey) -> Taken<LeaseClaims> {
    let claims = LeaseClaims {
        iss: issuer("fox"),
        sub: "ten_1".into(),
        aud: Kind::Lease.audience().into(),
        iat: at(iat),
        exp: at(iat + LEASE),
        jti: format!("lse-{iat}"),
        product: "fox".into(),
        license: lineage(1),
        revision: 1,
        instance: named(1),
        key: key.public().thumbprint(),
        epoch: 0,
        heartbeat_seconds: 300,
    };
    Taken { token: format!("lease {iat}"), claims }
}

fn list(epoch: u64, of: u128) -> RevocationsClaims {
    RevocationsClaims {
        iss: issuer("fox"),
        aud: Kind::Revocations.audience().into(),
        iat: at(0),
        product: "fox".into(),
        epoch,
        withdrawn: vec![Withdrawn { license: lineage(of), below: None, at: at(0) }],
    }
}

fn receipt(through: u64) -> Taken<ReceiptClaims> {
    let claims = ReceiptClaims {
        iss: issuer("fox"),
        sub: "ten_1".into(),
        aud: Kind::Receipt.audience().into(),
        iat: at(0),
        jti: format!("rcp-{through}"),
        product: "fox".into(),
        license: lineage(1),
        instance: named(1),
        through: Head { seq: through, hash: Digest::sha256(b"entry") },
    };
    Taken { token: format!("receipt {through}"), claims }
}

fn answer(seq: u64) -> Answer {
    Answer {
        seq,
        standing: Standing::Good,
        instance: None,
        nonce: format!("n{seq}"),
        heartbeat_seconds: Some(300),
        license: None,
        lease: None,
        revocations: None,
    }
}

fn fresh() -> State {
    let mut state = State::default();
    adopt(&mut state, key(1).public());
    state
}

/// Activated at second 0, with a lease of nine hours.
fn active() -> State {
    let mut state = fresh();
    prepare(&mut state, CallKind::Activate, "{}".into(), &key(1), at(0)).unwrap();
    let activated = Answer {
        instance: Some(named(1)),
        license: Some(license(1)),
        lease: Some(lease(0, &key(1))),
        ..answer(1)
    };
    answered(&mut state, activated, at(0)).unwrap();
    state
}

fn beat(state: &mut State, renew: bool, now: i64) -> u64 {
    let kind = CallKind::Heartbeat { renew };
    prepare(state, kind, format!(r#"{{"at":{now}}}"#), &key(1), at(now)).unwrap().seq
}

fn silence() -> Failure {
    Failure::NoAnswer { message: "no route".into(), retry_after: None }
}

fn due(state: &State, from: i64, jitter: u64) -> i64 {
    let mut now = from;
    loop {
        match next(state, at(now), &CONFIGURED, jitter) {
            Step::Send(_) => return now,
            Step::Wait { until } => now = until.as_second() - at(0).as_second(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_fresh_installation_activates_once_a_license_key_is_configured() {
    let state = fresh();
    assert_eq!(next(&state, at(0), &CONFIGURED, 7), Step::Send(CallKind::Activate));
    let unset = next(&state, at(0), &Setup::default(), 7);
    assert_eq!(unset, Step::Wait { until: at(i64::from(WAIT_SECONDS_MAX)) });
}

#[test]
fn the_first_call_has_number_one_and_a_proof_of_its_body() {
    let mut state = fresh();
    let call = prepare(&mut state, CallKind::Activate, "{}".into(), &key(1), at(0)).unwrap();
    let proof = instance::verify::<Proof>(&call.proof).unwrap().into_claims();
    assert_eq!((proof.seq, proof.purpose, proof.instance), (1, Purpose::Activate, None));
    assert_eq!(proof.body, Digest::sha256(b"{}"));
}

#[test]
fn nothing_else_is_written_down_before_an_answer() {
    let mut state = active();
    let seq = beat(&mut state, false, 300);
    let again = prepare(&mut state, CallKind::Release, "{}".into(), &key(1), at(301));
    assert_eq!(again.unwrap_err(), CallError::Outstanding(seq));
}

#[test]
fn an_unanswered_call_survives_a_restart_byte_for_byte() {
    let mut state = active();
    beat(&mut state, false, 300);
    let saved = serde_json::to_string(&state).unwrap();
    let loaded: State = serde_json::from_str(&saved).unwrap();
    assert_eq!(loaded, state);
    let step = next(&loaded, at(9_000), &CONFIGURED, 3);
    assert_eq!(step, Step::Send(CallKind::Heartbeat { renew: false }));
}

#[test]
fn an_activation_brings_a_name_a_license_and_a_lease() {
    let state = active();
    assert_eq!((state.phase, state.instance), (Phase::Active, Some(named(1))));
    assert_eq!(state.license.as_ref().unwrap().revision, 1);
    assert_eq!(state.lease.as_ref().unwrap().renew_at, at(LEASE / 3));
    assert_eq!(state.nonce, "n1");
}

#[test]
fn heartbeats_come_every_five_minutes_give_or_take_a_tenth() {
    let state = active();
    assert_eq!(due(&state, 0, 0), 270);
    assert_eq!(due(&state, 0, 60), 330);
    assert_eq!(due(&state, 0, 61), 270);
}

#[test]
fn a_lease_is_renewed_after_a_third_of_its_length() {
    let mut state = active();
    state.heartbeat_seconds = Some(86_400);
    assert_eq!(due(&state, 0, 0), LEASE / 3);
    assert_eq!(due(&state, 0, 600), LEASE / 3 + 600);
    let step = next(&state, at(LEASE / 3), &CONFIGURED, 0);
    assert_eq!(step, Step::Send(CallKind::Heartbeat { renew: true }));
}

#[test]
fn a_clock_that_is_wrong_by_years_renews_at_the_same_pace() {
    let mut state = fresh();
    prepare(&mut state, CallKind::Activate, "{}".into(), &key(1), at(900 * DAY)).unwrap();
    let activated = Answer {
        instance: Some(named(1)),
        license: Some(license(1)),
        lease: Some(lease(0, &key(1))),
        heartbeat_seconds: Some(86_400),
        ..answer(1)
    };
    answered(&mut state, activated, at(900 * DAY)).unwrap();
    assert_eq!(due(&state, 900 * DAY, 0), 900 * DAY + LEASE / 3);
}

#[test]
fn an_old_heartbeat_that_gets_through_is_followed_by_a_renewal_at_once() {
    let mut state = active();
    state.heartbeat_seconds = Some(86_400);
    let seq = beat(&mut state, false, 300);
    answered(&mut state, Answer { heartbeat_seconds: None, ..answer(seq) }, at(LEASE)).unwrap();
    let step = next(&state, at(LEASE), &CONFIGURED, 0);
    assert_eq!(step, Step::Send(CallKind::Heartbeat { renew: true }));
}

#[test]
fn a_vendor_who_gives_no_lease_is_asked_again_with_the_next_heartbeat() {
    let mut state = active();
    let seq = beat(&mut state, true, LEASE / 2);
    answered(&mut state, answer(seq), at(LEASE / 2)).unwrap();
    assert_eq!(due(&state, LEASE / 2, 0), LEASE / 2 + 270);
}

#[test]
fn a_clock_that_is_set_back_puts_no_call_off() {
    let state = active();
    assert!(matches!(next(&state, at(10), &CONFIGURED, 0), Step::Wait { .. }));
    let step = next(&state, at(-10 * DAY), &CONFIGURED, 0);
    assert_eq!(step, Step::Send(CallKind::Heartbeat { renew: true }));
}

#[test]
fn failures_are_retried_ever_more_slowly_and_never_given_up() {
    let mut state = active();
    let seq = beat(&mut state, false, 300);
    let mut waits = Vec::new();
    for _ in 0..40 {
        failed(&mut state, seq, silence(), at(300));
        waits.push(due(&state, 300, u64::MAX - 1) - 300);
    }
    let bounds = i64::from(BACKOFF_SECONDS_MIN)..=i64::from(BACKOFF_SECONDS_MAX);
    assert!(waits.iter().all(|wait| bounds.contains(wait)), "{waits:?}");
    let longest = (0..2_000).map(|jitter| due(&state, 300, jitter) - 300).max();
    assert_eq!(longest, Some(i64::from(BACKOFF_SECONDS_MAX)));
}

#[test]
fn an_outage_changes_nothing_but_the_trouble_that_people_see() {
    let before = active();
    let mut state = before.clone();
    let seq = beat(&mut state, false, 300);
    failed(&mut state, seq, silence(), at(301));
    failed(&mut state, seq, silence(), at(400));
    assert_eq!(state.license, before.license);
    assert_eq!(state.lease, before.lease);
    assert_eq!(state.phase, Phase::Active);
    let trouble = state.trouble.clone().unwrap();
    assert_eq!((trouble.code.as_str(), trouble.since), ("vendor_unreachable", at(301)));
    answered(&mut state, answer(seq), at(500)).unwrap();
    assert_eq!(state.trouble, None);
}

#[test]
fn retry_after_is_honoured_within_an_hour() {
    let mut state = active();
    let seq = beat(&mut state, false, 300);
    failed(&mut state, seq, Failure::Busy { retry_after: Some(1_800) }, at(300));
    assert_eq!(due(&state, 300, 0), 2_100);
    failed(&mut state, seq, Failure::Busy { retry_after: Some(u32::MAX) }, at(300));
    assert_eq!(due(&state, 300, 0), 300 + i64::from(RETRY_AFTER_SECONDS_MAX));
}

#[test]
fn without_a_free_slot_it_waits_in_line_with_the_same_call() {
    let mut state = fresh();
    prepare(&mut state, CallKind::Activate, "{}".into(), &key(1), at(0)).unwrap();
    let call = state.outstanding.clone();
    let full = Failure::NoFreeSlot { retry_after: Some(60), message: "full".into() };
    failed(&mut state, 1, full, at(0));
    assert_eq!(state.outstanding, call);
    assert_eq!(due(&state, 0, 0), 60);
}

#[test]
fn a_denial_is_retried_slowly_and_said() {
    let mut state = active();
    let seq = beat(&mut state, false, 300);
    let denied = Failure::Denied { code: "license_revoked".into(), message: "Revoked.".into() };
    failed(&mut state, seq, denied, at(300));
    assert!(due(&state, 300, 0) >= 300 + i64::from(SLOW_SECONDS_MIN));
    assert_eq!(state.trouble.as_ref().unwrap().code, "license_revoked");
    assert!(state.license.is_some() && state.lease.is_some());
}

#[test]
fn bytes_that_are_never_accepted_are_given_up_without_using_their_number_again() {
    let mut state = active();
    let seq = beat(&mut state, false, 300);
    let refused = Failure::Refused { code: "bad_body".into(), message: "Bad.".into() };
    failed(&mut state, seq, refused, at(300));
    assert_eq!(state.outstanding, None);
    assert_eq!(beat(&mut state, false, 700), seq + 2, "ahead of all that may be remembered");
}

#[test]
fn an_answer_that_came_twice_or_late_changes_nothing() {
    let mut state = active();
    let seq = beat(&mut state, false, 300);
    answered(&mut state, answer(seq), at(301)).unwrap();
    let before = state.clone();
    let late = Answer { standing: Standing::Quarantined, ..answer(seq) };
    assert_eq!(answered(&mut state, late, at(400)), None);
    failed(&mut state, seq, silence(), at(400));
    assert_eq!(state, before);
}

#[test]
fn a_lease_of_somebody_else_is_refused_and_reported() {
    let mut state = active();
    let held = state.lease.clone();
    let foreign = |change: fn(&mut LeaseClaims)| {
        let mut lease = lease(600, &key(1));
        change(&mut lease.claims);
        lease
    };
    for (lease, code) in [
        (lease(600, &key(2)), "token_of_other_instance"),
        (foreign(|claims| claims.instance = named(9)), "token_of_other_instance"),
        (foreign(|claims| claims.license = lineage(9)), "token_of_other_license"),
        (lease(-600, &key(1)), "lease_older"),
    ] {
        let seq = beat(&mut state, true, 600);
        let events = answered(&mut state, Answer { lease: Some(lease), ..answer(seq) }, at(600));
        assert!(matches!(events.unwrap()[..], [Event::Refused(_)]));
        assert_eq!(state.trouble.as_ref().unwrap().code, code);
        assert_eq!(state.lease, held);
    }
}

#[test]
fn the_same_lease_again_is_no_news() {
    let mut state = active();
    let seq = beat(&mut state, true, 600);
    let again = Answer { lease: Some(lease(0, &key(1))), ..answer(seq) };
    assert_eq!(answered(&mut state, again, at(600)), Some(vec![]));
}

#[test]
fn a_higher_revision_governs_and_a_lower_one_never_again() {
    let mut state = active();
    assert_eq!(take_license(&mut state, license(3), false, at(10)), Ok(true));
    let lower = take_license(&mut state, license(2), false, at(20));
    assert_eq!(lower, Err(Refusal::OlderRevision { held: 3, found: 2 }));
    assert_eq!(take_license(&mut state, license(3), false, at(30)), Ok(false));
    assert_eq!(state.license.as_ref().unwrap().since, at(0), "held since the first revision");
}

#[test]
fn a_heartbeat_cannot_bring_another_license_and_a_file_can() {
    let mut state = active();
    let other = || {
        let mut other = license(1);
        other.claims.license = lineage(7);
        other
    };
    let refused = take_license(&mut state, other(), false, at(10));
    assert_eq!(refused, Err(Refusal::OtherLicense("license")));
    assert_eq!(take_license(&mut state, other(), true, at(10)), Ok(true));
}

#[test]
fn a_license_bound_to_another_instance_is_refused() {
    let mut state = active();
    let mut bound = license(2);
    let key = key(2).public().thumbprint();
    bound.claims.binding = Some(tenure_license::claims::Binding { instance: named(2), key });
    let refused = take_license(&mut state, bound, true, at(10));
    assert_eq!(refused, Err(Refusal::OtherInstance("license")));
}

#[test]
fn a_lower_revocation_list_is_never_believed_after_a_higher_one() {
    let mut state = active();
    assert_eq!(take_revocations(&mut state, list(4, 1)), Ok(true));
    let lower = take_revocations(&mut state, list(3, 99));
    assert_eq!(lower, Err(Refusal::OlderList { held: 4, found: 3 }));
    let held = state.revocations.as_ref().unwrap();
    assert_eq!(held.list.of(&license(1).claims), Revocation::Revoked(at(0)));
}

#[test]
fn another_license_needs_the_revocation_list_again() {
    let mut state = active();
    take_revocations(&mut state, list(4, 7)).unwrap();
    assert_eq!(state.epoch(), 4);
    let mut other = license(1);
    other.claims.license = lineage(7);
    take_license(&mut state, other, true, at(10)).unwrap();
    assert_eq!(state.epoch(), 0, "asks for the list");
    assert_eq!(take_revocations(&mut state, list(4, 7)), Ok(true));
    assert_eq!(state.revocations.as_ref().unwrap().list.withdrawn.len(), 1);
}

#[test]
fn the_floor_only_rises() {
    let mut state = active();
    assert_eq!(state.floor, Some(at(0)));
    beat(&mut state, true, 600);
    assert_eq!(state.floor, Some(at(600)));
    answered(&mut state, Answer { lease: Some(lease(900, &key(1))), ..answer(2) }, at(-DAY));
    assert_eq!(state.floor, Some(at(900)), "the vendor's signature, not the clock");
    raise_floor(&mut state, at(-DAY));
    assert_eq!(state.floor, Some(at(900)));
}

#[test]
fn a_copy_makes_a_new_key_pair_and_keeps_license_lease_and_floor() {
    let mut state = active();
    take_receipt(&mut state, receipt(5)).unwrap();
    let seq = beat(&mut state, true, 600);
    let told = Answer { standing: Standing::of("quarantined", &[]), ..answer(seq) };
    assert_eq!(answered(&mut state, told, at(600)), Some(vec![Event::Quarantined]));
    assert_eq!(next(&state, at(600), &CONFIGURED, 0), Step::NewKey);
    let (license, lease, floor) = (state.license.clone(), state.lease.clone(), state.floor);
    adopt(&mut state, key(2).public());
    assert_eq!((state.phase, state.seq, state.instance), (Phase::Fresh, 0, None));
    assert_eq!((&state.license, &state.lease, state.floor), (&license, &lease, floor));
    assert_eq!(report_after(&state), None, "the ledger is told from its beginning");
    assert_eq!(due(&state, 600, 0), 600 + i64::from(BACKOFF_SECONDS_MIN));
}

#[test]
fn a_copy_is_found_by_a_late_call_and_by_a_forked_ledger_too() {
    let mut state = active();
    let seq = beat(&mut state, true, 600);
    failed(&mut state, seq, Failure::Late, at(600));
    assert_eq!(next(&state, at(600), &CONFIGURED, 0), Step::NewKey);
    let mut state = active();
    ledger_forked(&mut state, at(600));
    assert_eq!(next(&state, at(600), &CONFIGURED, 0), Step::NewKey);
}

#[test]
fn a_vendor_who_sends_every_key_pair_away_is_asked_ever_more_slowly() {
    let mut state = active();
    let mut waits = Vec::new();
    for number in 2..20 {
        state.quarantine();
        adopt(&mut state, key(number).public());
        waits.push(due(&state, 0, u64::from(u32::MAX)));
    }
    assert!(waits.iter().any(|wait| *wait > 60), "{waits:?}");
}

#[test]
fn an_unknown_instance_activates_afresh_but_not_at_the_first_word() {
    let mut state = active();
    let seq = beat(&mut state, true, 600);
    failed(&mut state, seq, Failure::UnknownInstance, at(600));
    failed(&mut state, seq, Failure::UnknownInstance, at(700));
    assert_eq!(state.phase, Phase::Active);
    failed(&mut state, seq, Failure::UnknownInstance, at(800));
    assert_eq!(next(&state, at(800), &CONFIGURED, 0), Step::NewKey);
}

#[test]
fn a_release_goes_out_before_anything_else_and_ends_it_all() {
    let mut state = active();
    let leave = Setup { activate: true, release: true };
    assert_eq!(next(&state, at(1), &leave, 0), Step::Send(CallKind::Release));
    let seq = prepare(&mut state, CallKind::Release, "{}".into(), &key(1), at(1)).unwrap().seq;
    let told = Answer { standing: Standing::of("released", &[]), ..answer(seq) };
    assert_eq!(answered(&mut state, told, at(2)), Some(vec![Event::Released]));
    assert_eq!(next(&state, at(3), &leave, 0), Step::Stop);
    assert_eq!((state.license, state.lease), (None, None));
}

#[test]
fn a_release_by_a_copy_or_by_staff_stops_nobody_else() {
    let mut state = active();
    let seq = beat(&mut state, true, 600);
    let told = Answer { standing: Standing::Released, ..answer(seq) };
    assert_eq!(answered(&mut state, told, at(600)), Some(vec![Event::Quarantined]));
    assert_eq!(next(&state, at(600), &CONFIGURED, 0), Step::NewKey);
    assert!(state.license.is_some() && state.lease.is_some());
}

#[test]
fn who_is_to_release_and_holds_no_slot_just_stops() {
    let leave = Setup { activate: true, release: true };
    assert_eq!(next(&fresh(), at(0), &leave, 0), Step::Stop);
    let mut state = active();
    state.quarantine();
    assert_eq!(next(&state, at(0), &leave, 0), Step::Stop);
    stop(&mut state);
    assert_eq!((state.phase, &state.license), (Phase::Released, &None));
}

#[test]
fn an_activation_in_doubt_is_settled_before_it_stops() {
    let leave = Setup { activate: true, release: true };
    let mut state = fresh();
    prepare(&mut state, CallKind::Activate, "{}".into(), &key(1), at(0)).unwrap();
    failed(&mut state, 1, silence(), at(0));
    assert_eq!(next(&state, at(9_000), &leave, 0), Step::Send(CallKind::Activate));
    failed(&mut state, 1, Failure::NoFreeSlot { retry_after: None, message: "full".into() }, at(0));
    assert_eq!(next(&state, at(9_000), &leave, 0), Step::Stop);
}

#[test]
fn a_receipt_moves_the_beginning_of_the_next_report_and_never_back() {
    let mut state = active();
    assert_eq!(take_receipt(&mut state, receipt(5)), Ok(true));
    assert_eq!(take_receipt(&mut state, receipt(4)), Err(Refusal::OlderReceipt));
    assert_eq!(report_after(&state).unwrap().seq, 5);
    let mut foreign = receipt(9);
    foreign.claims.instance = named(4);
    assert_eq!(take_receipt(&mut state, foreign), Err(Refusal::OtherInstance("receipt")));
}

#[test]
fn the_wrong_key_pair_signs_nothing() {
    let mut state = active();
    let wrong = prepare(&mut state, CallKind::Release, "{}".into(), &key(2), at(1));
    assert_eq!(wrong.unwrap_err(), CallError::OtherKey);
}
