//! Each row of SPEC 5's enforcement table, as a product asks for it.

use std::collections::BTreeMap;

use tenure_core::Quantity;
use tenure_license::{
    LicenseClaims, State,
    claims::{Entitlements, Limit, Over, Per},
    enforcement::{self, Action, Decision, Enforcement, Work},
    state::{Input, evaluate},
};

use crate::support::{at, claims, verified};

const IN_FORCE: &str = "2026-06-01T00:00:00Z";

fn with(change: impl FnOnce(&mut LicenseClaims)) -> LicenseClaims {
    let mut claims = claims();
    change(&mut claims);
    let entitlements = &claims.entitlements;
    claims.entitlements = Entitlements::derive(
        &entitlements.tier,
        &claims.features,
        entitlements.support_sla_hours,
        &claims.limits,
    );
    claims
}

fn teams(max: u32, over: Over) -> LicenseClaims {
    with(|claims| {
        let unit = Some("team".to_owned());
        let limit = Limit { max: Some(max.into()), per: None, over, unit, warn_at: vec![80] };
        claims.limits.insert("teams".into(), limit);
        claims.sales_contact = Some("sales@incidentfox.example".into());
    })
}

fn ask_limit(claims: &LicenseClaims, id: &str, used: u32, more: u32) -> Decision {
    let license = verified(claims);
    let verdict = evaluate(&Input::new(&license, at(IN_FORCE)));
    enforcement::limit(claims, &verdict, id, Quantity::from(used), Quantity::from(more))
}

fn ask_feature(claims: &LicenseClaims, feature: &str) -> Decision {
    let license = verified(claims);
    let verdict = evaluate(&Input::new(&license, at(IN_FORCE)));
    enforcement::feature(claims, &verdict, feature)
}

fn ask_work(claims: &LicenseClaims, now: &str, work: Work) -> Decision {
    let license = verified(claims);
    enforcement::work(claims, &evaluate(&Input::new(&license, at(now))), work)
}

#[test]
fn the_team_past_the_limit_is_refused_with_a_way_to_more() {
    let refused = ask_limit(&teams(5, Over::Block), "teams", 5, 1);
    assert!(!refused.allowed);
    assert_eq!((refused.status, refused.code.as_str()), (402, "limit_reached"));
    assert_eq!(
        refused.message.as_deref(),
        Some("Team limit reached: 5/5. To raise it, contact sales@incidentfox.example.")
    );
    assert!(ask_limit(&teams(5, Over::Block), "teams", 2, 1).allowed);
}

#[test]
fn the_run_past_the_quota_is_refused_warned_of_or_charged_as_the_plan_says() {
    let runs = |over| {
        with(|claims| {
            let max = Some(Quantity::from(10_000u32));
            let limit = Limit {
                max,
                per: Some(Per::Month),
                over,
                unit: Some("run".into()),
                warn_at: vec![80, 100],
            };
            claims.limits.insert("agent_runs".into(), limit);
        })
    };
    let refused = ask_limit(&runs(Over::Block), "agent_runs", 10_000, 1);
    assert!(!refused.allowed);
    assert_eq!(refused.code, "quota_exceeded");
    let message = refused.message.unwrap();
    assert!(message.starts_with("Monthly quota exceeded: 10000/10000."), "{message}");

    let charged = ask_limit(&runs(Over::Charge), "agent_runs", 10_000, 1);
    assert!(charged.allowed);
    assert_eq!(
        charged.message.as_deref(),
        Some("Monthly quota exceeded: 10000/10000. More is charged.")
    );
    assert!(ask_limit(&runs(Over::TrueUp), "agent_runs", 10_000, 1).allowed);
    assert!(ask_limit(&runs(Over::Warn), "agent_runs", 10_000, 1).allowed);

    let near = ask_limit(&runs(Over::Block), "agent_runs", 7_999, 1);
    assert!(near.allowed);
    assert_eq!(near.message.as_deref(), Some("Monthly quota: 8000/10000 (80% reached)."));
    assert_eq!(ask_limit(&runs(Over::Block), "agent_runs", 7_998, 1).message, None);
}

#[test]
fn a_limit_that_the_license_does_not_name_grants_nothing() {
    let refused = ask_limit(&claims(), "clusters", 0, 1);
    assert!(!refused.allowed);
    assert!(ask_limit(&claims(), "teams", 1_000_000, 1).allowed, "unlimited");
}

#[test]
fn a_missing_feature_is_refused_with_the_status_of_the_product_file() {
    let claims = with(|claims| {
        claims.features = vec!["air_gapped".into()];
        let missing = BTreeMap::from([("github".to_owned(), 402), ("sso".to_owned(), 403)]);
        claims.enforcement = Some(Enforcement { missing, ..Enforcement::default() });
    });
    assert_eq!(ask_feature(&claims, "sso").status, 403);
    assert_eq!(ask_feature(&claims, "github").status, 402);
    assert_eq!(ask_feature(&claims, "never_heard_of").status, 403);
    assert_eq!(ask_feature(&claims, "sso").code, "feature_missing");
    assert!(ask_feature(&claims, "air_gapped").allowed);
}

#[test]
fn around_the_end_everything_works_then_new_work_stops_then_all_of_it() {
    let claims = claims();
    for (now, new, running, banner) in [
        ("2026-06-01T00:00:00Z", true, true, false),
        ("2026-12-20T00:00:00Z", true, true, true),
        ("2027-01-07T23:59:59Z", true, true, true),
        ("2027-01-08T00:00:00Z", false, true, true),
        ("2027-01-30T23:59:59Z", false, true, true),
        ("2027-01-31T00:00:00Z", false, false, true),
    ] {
        let answer = ask_work(&claims, now, Work::New);
        assert_eq!((answer.allowed, answer.banner), (new, banner), "new work at {now}");
        assert_eq!(answer.status, if new { 200 } else { 402 });
        assert_eq!(ask_work(&claims, now, Work::Running).allowed, running, "running at {now}");
        assert_eq!(answer.message.is_some(), banner, "people are told at {now}");
    }
}

#[test]
fn a_product_may_decide_that_nothing_ever_stops() {
    let claims = with(|claims| {
        claims.enforcement = Some(Enforcement {
            expiring: Action::Allow,
            grace: Action::Warn,
            restricted: Action::Banner,
            terminated: Action::Banner,
            missing: BTreeMap::new(),
        });
    });
    let late = ask_work(&claims, "2030-01-01T00:00:00Z", Work::New);
    assert!(late.allowed && late.banner);
    assert_eq!(late.code, "license_expired");
    assert_eq!(ask_work(&claims, "2026-12-20T00:00:00Z", Work::New).message, None);
    let warned = ask_work(&claims, "2027-01-02T00:00:00Z", Work::New);
    assert!(warned.message.is_some() && !warned.banner);
    assert!(State::Terminated > State::Active);
}
