//! The life of a license on the calendar.

use proptest::prelude::*;
use tenure_license::{
    LicenseClaims, Reason, State, Verdict,
    claims::DeploymentModel,
    state::{Contact, ExpiryPolicy, Input, Revocation, evaluate},
};

use crate::support::{IAT, at, claims, verified};

fn on(claims: &LicenseClaims, now: &str) -> Verdict {
    evaluate(&Input::new(&verified(claims), at(now)))
}

#[test]
fn a_year_of_a_license_reads_like_the_table_of_the_specification() {
    let claims = claims();
    for (now, state, code, until) in [
        ("2026-06-01T00:00:00Z", State::Active, "valid", Some("2026-12-18T00:00:00Z")),
        ("2026-12-17T23:59:59Z", State::Active, "valid", Some("2026-12-18T00:00:00Z")),
        ("2026-12-18T00:00:00Z", State::Expiring, "expires_soon", Some("2027-01-01T00:00:00Z")),
        ("2026-12-31T23:59:59Z", State::Expiring, "expires_soon", Some("2027-01-01T00:00:00Z")),
        ("2027-01-01T00:00:00Z", State::Grace, "expired_full", Some("2027-01-08T00:00:00Z")),
        ("2027-01-07T23:59:59Z", State::Grace, "expired_full", Some("2027-01-08T00:00:00Z")),
        (
            "2027-01-08T00:00:00Z",
            State::Restricted,
            "expired_restricted",
            Some("2027-01-31T00:00:00Z"),
        ),
        (
            "2027-01-30T23:59:59Z",
            State::Restricted,
            "expired_restricted",
            Some("2027-01-31T00:00:00Z"),
        ),
        ("2027-01-31T00:00:00Z", State::Terminated, "expired", None),
        ("2099-01-01T00:00:00Z", State::Terminated, "expired", None),
    ] {
        let verdict = on(&claims, now);
        assert_eq!(verdict.state, state, "{now}");
        assert_eq!(verdict.reason.code(), code, "{now}");
        assert_eq!(verdict.until, until.map(at), "{now}");
        assert_eq!(verdict.notice.is_some(), state != State::Active, "{now}");
        assert!(!verdict.clock_suspect);
    }
}

#[test]
fn the_strict_preset_ends_after_day_seven() {
    let claims = LicenseClaims { expiry_policy: ExpiryPolicy::STRICT, ..claims() };
    assert_eq!(on(&claims, "2027-01-07T23:59:59Z").state, State::Grace);
    assert_eq!(on(&claims, "2027-01-07T23:59:59Z").until, Some(at("2027-01-08T00:00:00Z")));
    assert_eq!(on(&claims, "2027-01-08T00:00:00Z").state, State::Terminated);
}

#[test]
fn a_notice_says_what_is_so_the_date_and_what_to_do() {
    let connected = claims();
    let carried = LicenseClaims { model: DeploymentModel::AirGapped, ..claims() };
    assert_eq!(
        on(&connected, "2027-01-10T00:00:00Z").notice.unwrap(),
        "The incidentfox license of Acme Corp ended on 2027-01-01 (UTC). New work is blocked; what \
         runs goes on until 2027-01-31 (UTC). Renew it in the customer portal, or ask the vendor."
    );
    assert_eq!(
        on(&carried, "2026-12-20T00:00:00Z").notice.unwrap(),
        "The incidentfox license of Acme Corp ends on 2027-01-01 (UTC). Everything keeps working \
         until then. Ask the vendor for a new .lic file and install it; no connection is needed."
    );
}

#[test]
fn a_revoked_license_ends_at_once_and_a_superseded_one_when_stated() {
    let license = verified(&claims());
    let now = at("2026-06-01T00:00:00Z");
    let later = at("2026-07-01T00:00:00Z");
    let judge = |revocation, now| evaluate(&Input { revocation, ..Input::new(&license, now) });
    let verdict = judge(Revocation::Revoked(now), now);
    assert_eq!(
        (verdict.state, verdict.reason, verdict.until),
        (State::Terminated, Reason::Revoked, None)
    );
    let verdict = judge(Revocation::Superseded(later), now);
    assert_eq!((verdict.state, verdict.until), (State::Active, Some(later)));
    let verdict = judge(Revocation::Superseded(later), later);
    assert_eq!((verdict.state, verdict.reason), (State::Restricted, Reason::Superseded));
    let verdict = judge(Revocation::Superseded(later), at("2028-01-01T00:00:00Z"));
    assert_eq!(verdict.reason, Reason::Expired, "the gravest reason wins");
}

#[test]
fn contact_lost_for_longer_than_allowed_restricts_only_where_it_is_required() {
    let license = verified(&claims());
    let lease_end = at("2026-06-01T00:00:00Z");
    let judge = |contact, now| evaluate(&Input { contact, ..Input::new(&license, at(now)) });
    let lease = Contact::LeaseUntil(lease_end);
    let never = Contact::NeverSince(at("2026-03-01T00:00:00Z"));
    let verdict = judge(lease, "2026-06-30T23:59:59Z");
    assert_eq!((verdict.state, verdict.until), (State::Active, Some(at("2026-07-01T00:00:00Z"))));
    let verdict = judge(lease, "2026-07-01T00:00:00Z");
    assert_eq!((verdict.state, verdict.reason.code()), (State::Restricted, "phone_home_overdue"));
    assert!(verdict.notice.unwrap().contains("30 days"));
    assert_eq!(judge(never, "2026-03-30T00:00:00Z").state, State::Active);
    assert_eq!(judge(never, "2026-03-31T00:00:00Z").reason, Reason::PhoneHomeOverdue);
    assert_eq!(judge(Contact::NotFollowed, "2026-08-01T00:00:00Z").state, State::Active);

    let optional = verified(&LicenseClaims { phone_home_required: false, ..claims() });
    let input = Input { contact: lease, ..Input::new(&optional, at("2026-12-01T00:00:00Z")) };
    assert_eq!(evaluate(&input).state, State::Active);
}

#[test]
fn a_license_whose_time_has_not_come_waits_for_it() {
    let claims = LicenseClaims { nbf: Some(at("2026-03-01T00:00:00Z")), ..claims() };
    let verdict = on(&claims, "2026-02-01T00:00:00Z");
    assert_eq!((verdict.state, verdict.reason), (State::Restricted, Reason::NotYetValid));
    assert_eq!(on(&claims, "2026-03-01T00:00:00Z").state, State::Active);
    assert_eq!(
        on(&claims, "2026-02-28T23:56:00Z").state,
        State::Active,
        "a clock four minutes slow"
    );
}

#[test]
fn a_clock_set_back_gains_nothing_and_is_reported() {
    let license = verified(&claims());
    let floor = at("2027-02-01T00:00:00Z");
    let judge = |now| evaluate(&Input { floor: Some(floor), ..Input::new(&license, at(now)) });
    let within = judge("2027-01-31T23:55:00Z");
    assert!(!within.clock_suspect, "five minutes are tolerated");
    assert_eq!(within.state, State::Terminated, "and gain nothing either");
    let beyond = judge("2026-06-01T00:00:00Z");
    assert!(beyond.clock_suspect);
    assert_eq!((beyond.state, beyond.as_of), (State::Terminated, floor));
    assert!(beyond.notice.unwrap().contains("clock says 2026-06-01"));
    let edge = judge("2027-01-31T23:54:59Z");
    assert!(edge.clock_suspect);
}

#[test]
fn a_machine_without_a_clock_battery_starts_with_the_license_it_was_given() {
    let verdict = on(&claims(), "1970-01-01T00:00:00Z");
    assert_eq!((verdict.state, verdict.as_of), (State::Active, at(IAT)));
    assert!(verdict.clock_suspect && verdict.notice.is_some());
}

#[test]
fn the_verdict_is_readable_by_products() {
    let verdict = on(&claims(), "2027-01-02T00:00:00Z");
    let json = serde_json::to_value(&verdict).unwrap();
    assert_eq!(json["state"], "grace");
    assert_eq!(json["reason"], "expired_full");
    assert_eq!(json["until"], "2027-01-08T00:00:00Z");
    assert_eq!(json["state"], verdict.state.word());
    assert_eq!(json["reason"], verdict.reason.code());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn time_never_improves_a_state_and_until_is_exactly_when_it_changes(
        warn in 0u32..40, full in 0u32..40, more in 0u32..40,
        offsets in prop::collection::vec(0i64..800 * 86_400, 2..20),
        lease in prop::option::of(0i64..400 * 86_400), revoked in prop::option::of(0i64..400 * 86_400),
    ) {
        let day = 86_400;
        let mut claims = claims();
        claims.expiry_policy = ExpiryPolicy {
            warn_before_seconds: warn * day,
            full_until_seconds: full * day,
            restricted_until_seconds: (full + more) * day,
        };
        let license = verified(&claims);
        let start = claims.iat.as_second();
        let moment = |offset: i64| jiff::Timestamp::from_second(start + offset).unwrap();
        let input = |offset: i64| Input {
            contact: lease.map_or(Contact::NotFollowed, |end| Contact::LeaseUntil(moment(end))),
            revocation: revoked.map_or(Revocation::None, |end| Revocation::Superseded(moment(end))),
            ..Input::new(&license, moment(offset))
        };
        let mut offsets = offsets;
        offsets.sort();
        let mut worst = State::Active;
        for offset in offsets {
            let verdict = evaluate(&input(offset));
            prop_assert!(verdict.state >= worst);
            prop_assert_eq!(verdict.reason.state(), verdict.state);
            worst = verdict.state;
            if let Some(until) = verdict.until {
                let change = until.as_second() - start;
                prop_assert!(change > offset);
                prop_assert_ne!(evaluate(&input(change)).state, verdict.state);
                prop_assert_eq!(evaluate(&input(change - 1)).state, verdict.state);
            }
        }
    }
}
