//! What subscriptions may do: the plan, raised by items, changed by contracts.
#![allow(clippy::unwrap_used)]

mod common;

use common::{at, dec, product, qty, terms};
use tenure_catalog::{
    Contract, Item, Model, Over, Terms,
    contract::{ContractDiscount, Effective, ExtraFeature, LimitOverride, NegotiatedPrice},
    entitlements::Error,
    resolve,
};

const MAY: &str = "2026-05-01T00:00:00Z";
const JUNE: &str = "2026-06-01T00:00:00Z";
const JULY: &str = "2026-07-01T00:00:00Z";

fn during(from: &str, to: &str) -> Effective {
    Effective { from: at(from), to: Some(at(to)) }
}

#[test]
fn users_bought_are_the_limit_while_they_are_held() {
    let p = product("meeting-minutes");
    let mut terms = terms("pro", Model::Managed);
    let users = |terms: &Terms, when| {
        let now = resolve(&p, terms, at(when)).unwrap();
        let users = now.limit("users").unwrap();
        assert_eq!(users.over, Over::Block);
        users.included.unwrap().to_string()
    };
    assert_eq!(users(&terms, MAY), "0");
    let item = |many: &str, from: &str, to| Item {
        charge: "base".into(),
        quantity: qty(many),
        from: at(from),
        to,
    };
    terms.items = vec![item("5", MAY, None), item("3", JUNE, Some(at(JULY)))];
    assert_eq!([MAY, JUNE, JULY].map(|when| users(&terms, when)), ["5", "8", "5"]);
}

#[test]
fn a_contract_changes_limits_and_features_for_a_while() {
    let p = product("incidentfox");
    let mut terms = terms("starter", Model::SelfHosted);
    terms.contracts = vec![Contract {
        id: "C-1".into(),
        limits: vec![
            LimitOverride {
                limit: "teams".into(),
                included: Some(qty("8")),
                when: Effective::from(at(MAY)),
            },
            LimitOverride { limit: "teams".into(), included: None, when: during(JUNE, JULY) },
        ],
        features: vec![ExtraFeature { feature: "sso".into(), when: during(JUNE, JULY) }],
        ..Contract::default()
    }];
    let now = |when| resolve(&p, &terms, at(when)).unwrap();
    let teams = |when| now(when).limit("teams").unwrap().included;
    assert_eq!([MAY, JUNE, JULY].map(teams), [Some(qty("8")), None, Some(qty("8"))]);
    assert_eq!([MAY, JUNE, JULY].map(|when| now(when).has("sso")), [false, true, false]);
    assert!(
        !now(MAY).allows("teams", qty("8"), qty("1"))
            && now(MAY).allows("teams", qty("7"), qty("1"))
    );
}

#[test]
fn a_customer_may_ask_to_be_stopped_rather_than_charged() {
    let p = product("incidentfox");
    let mut terms = terms("starter", Model::SelfHosted);
    let over = |terms: &Terms| {
        resolve(&p, terms, at(MAY)).unwrap().limit("agent_runs").unwrap().over.clone()
    };
    assert!(matches!(over(&terms), Over::Charge { .. }));
    terms.hard_stops = vec!["agent_runs".into()];
    assert_eq!(over(&terms), Over::Block);
}

#[test]
fn add_ons_bring_features_and_support() {
    let p = product("agent-governance");
    let plain = terms("hybrid", Model::SelfHosted);
    assert!(!resolve(&p, &plain, at(MAY)).unwrap().has("sync"));
    let cloud = plain.with_item("cloud-services", qty("1"));
    let now = resolve(&p, &cloud, at(MAY)).unwrap();
    assert!(now.has("sync") && now.has("analytics"));
    assert_eq!((now.add_ons, now.tier.as_str()), (vec!["cloud-services".to_owned()], "HYB"));
}

#[test]
fn what_the_mode_cannot_do_is_not_granted() {
    let p = product("dyocense");
    let mut terms = terms("business", Model::Managed);
    let extra = ExtraFeature { feature: "vector_search".into(), when: Effective::from(at(MAY)) };
    terms.contracts = vec![Contract { features: vec![extra], ..Contract::default() }];
    assert!(!resolve(&p, &terms, at(MAY)).unwrap().has("vector_search"));
    terms.mode = Some("platform".into());
    assert!(resolve(&p, &terms, at(MAY)).unwrap().has("vector_search"));
    let flags: Vec<_> = p.environment_for(Model::Managed, Some("platform"));
    assert!(flags.iter().any(|variable| variable.name == "USE_NEO4J"));
    assert!(flags.iter().all(|variable| variable.name != "JWT_SECRET"));
}

#[test]
fn names_that_do_not_exist_are_refused_when_they_are_written() {
    let p = product("incidentfox");
    let refuse = |terms: Terms| resolve(&p, &terms, at(MAY)).unwrap_err();
    let start = || terms("starter", Model::SelfHosted);
    assert!(matches!(refuse(terms("gold", Model::SelfHosted)), Error::UnknownPlan { .. }));
    assert!(matches!(refuse(terms("starter", Model::AirGapped)), Error::NotSoldAs { .. }));
    assert!(matches!(refuse(start().with_item("seats", qty("1"))), Error::UnknownCharge { .. }));
    let not_with_starter = start().with_item("air-gapped-assistance", qty("1"));
    assert!(matches!(refuse(not_with_starter.clone()), Error::UnknownCharge { .. }));
    // What was given back was held with a plan before.
    let mut left = not_with_starter;
    left.items[0].to = Some(at(MAY));
    assert!(resolve(&p, &left, at(MAY)).is_ok());
    left.items[0].charge = "seats".to_owned();
    assert!(matches!(refuse(left), Error::UnknownCharge { .. }), "that never existed");
    let with = |contract| Terms { contracts: vec![contract], ..start() };
    let when = Effective::from(at(MAY));
    let price = |charge: &str| NegotiatedPrice {
        charge: charge.into(),
        amount: dec("1"),
        every: None,
        when,
    };
    resolve(
        &p,
        &with(Contract { prices: vec![price("overage.agent_runs")], ..Contract::default() }),
        at(MAY),
    )
    .unwrap();
    let unknown = with(Contract { prices: vec![price("overage.runs")], ..Contract::default() });
    assert!(matches!(refuse(unknown), Error::UnknownCharge { .. }));
    let limit = LimitOverride { limit: "team".into(), included: None, when };
    assert_eq!(
        refuse(with(Contract { limits: vec![limit], ..Contract::default() })),
        Error::UnknownLimit("team".into())
    );
}

#[test]
fn a_negotiated_discount_comes_after_the_listed_ones() {
    let p = product("incidentfox");
    let mut terms = terms("seats", Model::SelfHosted).with_item("base", qty("10"));
    terms.prepaid = true;
    let discount = ContractDiscount {
        name: "Launch partner".into(),
        percent: dec("12.5"),
        charges: Vec::new(),
        when: during(MAY, JUNE),
    };
    terms.contracts = vec![Contract { discounts: vec![discount], ..Contract::default() }];
    assert_eq!(
        common::bill(&p, &terms, "2026-05").lines[0].arithmetic,
        "10 teams x $500.00, less 20% (Annual prepayment), less 12.5% (Launch partner) = $3,500.00"
    );
    assert_eq!(common::bill(&p, &terms, "2026-06").total.display(), "$4,000.00");
}
