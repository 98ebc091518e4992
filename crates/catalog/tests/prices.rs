//! Every number of the five price lists, asserted against the product files.
#![allow(clippy::unwrap_used)]

mod common;

use common::{at, bill, dec, month, product, qty, terms, year};
use tenure_catalog::{
    Amount, Model, Over, Per, Product, Terms, Usage, billable, contract, estimate,
    plan::{Basis, Every},
    resolve,
};

/// Amount and due date of a plan's charge.
fn price(product: &Product, plan: &str, charge: &str) -> (Amount, Every) {
    let charge = product.plan(plan).unwrap().charge(charge).unwrap();
    (charge.amount, charge.every)
}

fn exact(text: &str) -> Amount {
    Amount::exact(dec(text))
}

fn from(text: &str) -> Amount {
    Amount::From { amount: dec(text) }
}

fn included(product: &Product, plan: &str, limit: &str) -> Option<String> {
    product.plan(plan).unwrap().limit(limit).unwrap().included.map(|q| q.to_string())
}

#[test]
fn governance_prices() {
    let p = product("agent-governance");
    for (plan, amount, every, agents) in [
        ("license-starter", exact("25000"), Every::Once, Some("25")),
        ("license-professional", exact("75000"), Every::Once, Some("100")),
        ("license-enterprise", from("150000"), Every::Once, None),
        ("subscription-starter", exact("3000"), Every::Month, Some("25")),
        ("subscription-professional", exact("8000"), Every::Month, Some("100")),
        ("subscription-enterprise", from("15000"), Every::Month, None),
    ] {
        assert_eq!(price(&p, plan, "base"), (amount, every), "{plan}");
        assert_eq!(included(&p, plan, "agents").as_deref(), agents, "{plan}");
    }
    assert_eq!(price(&p, "hybrid", "license"), (exact("50000"), Every::Once));
    assert_eq!(price(&p, "hybrid", "included-support"), (exact("5000"), Every::Month));
    let cloud = &p.extra("cloud-services").unwrap().charge;
    assert_eq!((cloud.amount, cloud.every, cloud.optional), (exact("2000"), Every::Month, true));
    let support = &p.extra("support").unwrap().charge;
    assert_eq!(support.amount, Amount::Range { low: dec("5000"), high: dec("20000") });
    assert_eq!(
        price(&p, "saas-agents", "base").0,
        Amount::Range { low: dec("50"), high: dec("100") }
    );
    assert_eq!(price(&p, "saas-standard", "base"), (exact("5000"), Every::Month));
    assert_eq!(price(&p, "saas-business", "base"), (exact("15000"), Every::Month));
    assert_eq!(price(&p, "saas-enterprise", "base").0, Amount::Custom);
    let parts: Vec<&str> = p.plan("saas-usage").unwrap().charges.iter().map(|c| &*c.id).collect();
    assert_eq!(parts, ["base", "agents", "discoveries"]);
}

#[test]
fn minutes_prices() {
    let p = product("meeting-minutes");
    for (plan, amount, every, least) in [
        ("starter", "5", Every::Month, "0"),
        ("pro", "12", Every::Month, "0"),
        ("byoi", "25", Every::Month, "0"),
        ("self-hosted", "200", Every::Year, "50"),
    ] {
        let charge = p.plan(plan).unwrap().charge("base").unwrap();
        assert_eq!((charge.amount, charge.every), (exact(amount), every), "{plan}");
        let Basis::Held { allocation, minimum } = &charge.basis else { panic!("{plan}") };
        assert_eq!((allocation.as_str(), minimum.to_string().as_str()), ("users", least));
    }
    assert_eq!(price(&p, "enterprise", "base").0, Amount::Custom);
    assert_eq!(price(&p, "byoi", "data_plane"), (exact("500"), Every::Month));
    let extra = |id| {
        let charge = &p.extra(id).unwrap().charge;
        (charge.amount, charge.every)
    };
    assert_eq!(extra("premium-sla"), (exact("1000"), Every::Month));
    assert_eq!(extra("premium-support"), (exact("10000"), Every::Year));
    assert_eq!(extra("professional"), (exact("250"), Every::Once));
    assert_eq!(included(&p, "starter", "meetings").as_deref(), Some("100"));
    assert_eq!(included(&p, "pro", "meetings"), None);
    let standard = p.support_level("standard").unwrap();
    assert_eq!(standard.response.unwrap().to_string(), "48h");
    assert_eq!(p.support_level("premium").unwrap().response.unwrap().to_string(), "4h");
    let tables = &p.model(Model::Managed).unwrap().tables;
    assert_eq!(*tables, ["meetings", "meeting_minutes", "action_items", "users", "job_queue"]);
}

#[test]
fn dyocense_prices() {
    let p = product("dyocense");
    for (plan, amount, locations, mode, api) in [
        ("starter", exact("49"), Some("1"), "smb", false),
        ("growth", exact("199"), Some("3"), "smb", true),
        ("business", exact("499"), Some("10"), "smb", true),
        ("enterprise", from("1999"), None, "platform", true),
    ] {
        assert_eq!(price(&p, plan, "base"), (amount, Every::Month), "{plan}");
        assert_eq!(included(&p, plan, "locations").as_deref(), locations, "{plan}");
        let plan = p.plan(plan).unwrap();
        assert_eq!(plan.mode.as_deref(), Some(mode));
        assert_eq!(plan.features.iter().any(|id| id == "api_access"), api);
    }
    let at = at("2026-05-01T00:00:00Z");
    let starter = resolve(&p, &Terms::new("starter", Model::Managed, at), at).unwrap();
    let enterprise = resolve(&p, &Terms::new("enterprise", Model::Managed, at), at).unwrap();
    let solvers =
        |e: &tenure_catalog::Entitlements| serde_json::to_value(&e.values[0].value).unwrap();
    assert_eq!(solvers(&starter), serde_json::json!(["or-tools"]));
    assert_eq!(solvers(&enterprise), serde_json::json!(["or-tools", "gurobi", "highs"]));
    assert!(starter.hidden.contains(&"vector_search".to_owned()) && !starter.has("sso"));
    assert!(enterprise.has("sso") && enterprise.hidden.is_empty());
    assert_eq!(
        p.missing_message(p.feature("sso").unwrap()),
        "This feature requires Enterprise tier. Contact sales@dyocense.example"
    );
}

#[test]
fn kg_rca_prices() {
    let p = product("kg-rca");
    let over = |plan: &str, limit: &str| match &p.plan(plan).unwrap().limit(limit).unwrap().over {
        Over::Charge { price, each, .. } => format!("{price}/{each}"),
        other => format!("{other:?}"),
    };
    for (plan, amount, rate, limits) in [
        ("free", exact("0"), 100, Some(["10000", "100", "1", "10000"])),
        ("basic", exact("99"), 1_000, Some(["100000", "1000", "10", "100000"])),
        ("pro", exact("499"), 10_000, Some(["1000000", "10000", "100", "1000000"])),
        ("enterprise", Amount::Custom, 100_000, None),
    ] {
        assert_eq!(price(&p, plan, "base").0, amount, "{plan}");
        assert_eq!(p.plan(plan).unwrap().rate.unwrap().requests, rate);
        for (index, id) in ["events", "queries", "storage", "api_calls"].into_iter().enumerate() {
            assert_eq!(included(&p, plan, id).as_deref(), limits.map(|l| l[index]), "{plan} {id}");
        }
        if plan != "enterprise" {
            let per = |id| p.plan(plan).unwrap().limit(id).unwrap().per.unwrap();
            assert_eq!(
                [per("events"), per("queries"), per("api_calls")],
                [Per::Day, Per::Month, Per::Month]
            );
            assert_eq!(over(plan, "api_calls"), "Block");
        }
    }
    assert_eq!(["events", "queries", "storage"].map(|id| over("free", id)), ["Block"; 3]);
    let basic = ["events", "queries", "storage"].map(|id| over("basic", id));
    assert_eq!(basic, ["0.10/1000", "0.50/1", "2/1"]);
    assert_eq!(
        ["events", "queries", "storage"].map(|id| over("pro", id)),
        ["0.05/1000", "0.25/1", "1/1"]
    );
    assert_eq!(p.resources.iter().find(|r| r.id == "topics").unwrap().names.len(), 5);
}

#[test]
fn kg_rca_charges_the_excess_of_each_day_once() {
    let p = product("kg-rca");
    let terms = terms("pro", Model::Managed);
    let usage = Usage::default()
        .with("events", at("2026-05-03T00:00:00Z"), dec("1034000"))
        .with("events", at("2026-05-04T00:00:00Z"), dec("999999"))
        .with("storage", at("2026-05-01T00:00:00Z"), dec("100.5"));
    let bill = estimate(&p, &terms, month("2026-05"), &usage).unwrap();
    let said: Vec<&str> = bill.lines.iter().map(|line| line.arithmetic.as_str()).collect();
    assert_eq!(
        said,
        [
            "$499.00 = $499.00",
            "(1,034,000 - 1,000,000 included) = 34,000 / 1,000 x $0.05 = $1.70",
            "(100.5 - 100 included) = 0.5 x $1.00 = $0.50",
        ]
    );
    assert_eq!(bill.total.display(), "$501.20");
    let two_days = usage.with("events", at("2026-05-05T00:00:00Z"), dec("1000010"));
    let line = &estimate(&p, &terms, month("2026-05"), &two_days).unwrap().lines[1];
    assert_eq!(line.arithmetic, "over on 2 of 3 days: 34,010 / 1,000 x $0.05 = $1.70");
}

#[test]
fn incidentfox_prices() {
    let p = product("incidentfox");
    for (plan, amount, teams, runs) in [
        ("starter", exact("25000"), Some("5"), Some("10000")),
        ("professional", exact("75000"), Some("20"), Some("50000")),
        ("enterprise", from("200000"), None, Some("200000")),
        ("enterprise-plus", Amount::Custom, None, None),
    ] {
        assert_eq!(price(&p, plan, "base"), (amount, Every::Year), "{plan}");
        assert_eq!(included(&p, plan, "teams").as_deref(), teams, "{plan}");
        assert_eq!(included(&p, plan, "agent_runs").as_deref(), runs, "{plan}");
    }
    for plan in ["starter", "professional"] {
        let limit = p.plan(plan).unwrap().limit("agent_runs").unwrap();
        assert_eq!(limit.warn_at, [80, 100]);
        let Over::Charge { price, hard_stop: true, .. } = limit.over else { panic!("{plan}") };
        assert_eq!(price, dec("0.50"));
    }
    let over = &p.plan("enterprise").unwrap().limit("agent_runs").unwrap().over;
    assert!(matches!(over, Over::TrueUp { price, .. } if *price == dec("0.50")));
    let tiers = &p.plan("consumption").unwrap().charge("runs").unwrap().tiers;
    let tiers: Vec<_> = tiers.iter().map(|t| (t.up_to.map(|q| q.to_string()), t.price)).collect();
    let tier = |end: &str, price: &str| (Some(end.to_owned()), dec(price));
    assert_eq!(tiers, [tier("10000", "1.00"), tier("50000", "0.75"), (None, dec("0.50"))]);
    for (service, amount, every) in [
        ("custom-mcp", "15000", Every::Once),
        ("custom-agent", "25000", Every::Once),
        ("air-gapped-assistance", "10000", Every::Once),
        ("training", "20000", Every::Year),
    ] {
        let charge = &p.extra(service).unwrap().charge;
        assert_eq!((charge.amount, charge.every), (exact(amount), every), "{service}");
    }
    let features = |plan: &str| p.plan(plan).unwrap().features.join(" ");
    assert_eq!(features("starter"), "slack github basic_tools");
    assert_eq!(features("professional"), "slack github basic_tools pagerduty datadog grafana sso");
    assert!(features("enterprise").ends_with("air_gapped custom_mcps approval_workflows sla"));
    assert_eq!(
        (p.feature("sso").unwrap().missing, p.feature("github").unwrap().missing),
        (403, 402)
    );
}

#[test]
fn incidentfox_support_table() {
    let p = product("incidentfox");
    let row = |id: &str| {
        let s = p.support_level(id).unwrap();
        let length = |d: Option<tenure_catalog::duration::Duration>| {
            d.map(|d| d.to_string()).unwrap_or_default()
        };
        let on_call = serde_json::to_value(s.on_call).unwrap();
        format!(
            "{} {}{} {} {}",
            length(s.response),
            length(s.resolution),
            length(s.resolution_severity_1),
            s.channels.join("+"),
            on_call.as_str().unwrap()
        )
    };
    assert_eq!(row("starter"), "48h 5bd email no");
    assert_eq!(row("professional"), "24h 3bd email+shared_slack no");
    assert_eq!(row("enterprise"), "4h 1bd dedicated_slack severity 1");
    assert_eq!(row("enterprise-plus"), "1h 4h dedicated_slack+phone 24/7");
}

#[test]
fn incidentfox_consumption_is_graduated_with_a_yearly_minimum() {
    let p = product("incidentfox");
    let terms = terms("consumption", Model::SelfHosted);
    let used =
        |text: &str| Usage::default().with("agent_runs", at("2026-05-01T00:00:00Z"), dec(text));
    let first = estimate(&p, &terms, month("2026-05"), &used("60000")).unwrap();
    assert_eq!(
        first.lines[0].arithmetic,
        "10,000 x $1.00 + 40,000 x $0.75 + 10,000 x $0.50 = $45,000.00"
    );
    assert_eq!(first.lines.len(), 1, "the minimum is due when its year ends");
    let whole = estimate(&p, &terms, year("2026-05"), &used("4000")).unwrap();
    assert_eq!(whole.lines[1].arithmetic, "$10,000.00 - $4,000.00 billed = $6,000.00");
    assert_eq!(whole.total.display(), "$10,000.00");
}

#[test]
fn incidentfox_seats_are_a_fifth_less_when_prepaid() {
    let p = product("incidentfox");
    let mut terms = terms("seats", Model::SelfHosted).with_item("base", qty("12"));
    assert_eq!(bill(&p, &terms, "2026-05").total.display(), "$6,000.00");
    terms.prepaid = true;
    let bill = bill(&p, &terms, "2026-05");
    assert_eq!(
        bill.lines[0].arithmetic,
        "12 teams x $500.00, less 20% (Annual prepayment) = $4,800.00"
    );
    let now = resolve(&p, &terms, terms.start).unwrap();
    assert_eq!(now.limit("teams").unwrap().included, Some(qty("12")));
}

#[test]
fn minutes_self_hosted_bills_fifty_users_at_least() {
    let p = product("meeting-minutes");
    let few = terms("self-hosted", Model::SelfHosted).with_item("base", qty("12"));
    assert_eq!(bill(&p, &few, "2026-05").total.display(), "$10,000.00");
    assert_eq!(bill(&p, &few, "2026-06").total.display(), "$0.00", "a year is billed once");
    let limit = resolve(&p, &few, few.start).unwrap();
    let users = limit.limit("users").unwrap();
    assert_eq!((users.included, &users.over), (Some(qty("50")), &Over::Warn));
    let many = terms("self-hosted", Model::SelfHosted)
        .with_item("base", qty("80"))
        .with_item("premium-support", qty("1"));
    assert_eq!(bill(&p, &many, "2026-05").total.display(), "$26,000.00");
    assert_eq!(resolve(&p, &many, many.start).unwrap().support.unwrap().id, "premium");
}

#[test]
fn minutes_byoi_bills_users_data_plane_and_options() {
    let p = product("meeting-minutes");
    let terms = terms("byoi", Model::Byoi)
        .with_item("base", qty("40"))
        .with_item("premium-sla", qty("1"))
        .with_item("professional", qty("3"));
    let bill = bill(&p, &terms, "2026-05");
    let amounts: Vec<String> = bill.lines.iter().map(|line| line.amount.display()).collect();
    assert_eq!(amounts, ["$1,000.00", "$500.00", "$1,000.00", "$750.00"]);
}

#[test]
fn prices_on_request_need_a_contract() {
    let p = product("dyocense");
    let mut terms = terms("enterprise", Model::Managed);
    let refused = billable(&p, &terms, terms.start).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Dyocense Enterprise: Enterprise is priced on request; agree on it in a contract first (contact sales@dyocense.example)"
    );
    assert!(estimate(&p, &terms, month("2026-05"), &Usage::default()).is_err());
    let price = contract::NegotiatedPrice {
        charge: "base".into(),
        amount: dec("2450"),
        every: None,
        when: contract::Effective::from(terms.start),
    };
    terms.contracts.push(contract::Contract { prices: vec![price], ..Default::default() });
    billable(&p, &terms, terms.start).unwrap();
    assert_eq!(bill(&p, &terms, "2026-05").total.display(), "$2,450.00");
}

#[test]
fn an_enterprise_trues_up_when_its_year_ends() {
    let p = product("incidentfox");
    let mut terms = terms("enterprise", Model::SelfHosted);
    let price = contract::NegotiatedPrice {
        charge: "base".into(),
        amount: dec("210000"),
        every: None,
        when: contract::Effective::from(terms.start),
    };
    terms.contracts.push(contract::Contract { prices: vec![price], ..Default::default() });
    let usage = Usage::default()
        .with("agent_runs", at("2026-05-01T00:00:00Z"), dec("200100"))
        .with("agent_runs", at("2026-06-01T00:00:00Z"), dec("150000"))
        .with("agent_runs", at("2026-07-01T00:00:00Z"), dec("200020"));
    let bill = estimate(&p, &terms, year("2026-05"), &usage).unwrap();
    assert_eq!(bill.lines[1].arithmetic, "over on 2 of 3 months: 120 x $0.50 = $60.00");
    assert_eq!(bill.total.display(), "$210,060.00");
}

#[test]
fn minutes_discounts_multiply_in_the_listed_order() {
    let p = product("meeting-minutes");
    let listed: Vec<String> =
        p.discounts.iter().map(|d| format!("{} {}", d.id, d.percent)).collect();
    assert_eq!(listed, ["two-years 10", "three-years 15", "nonprofit 50", "early-adopter 20"]);
    let mut terms = terms("pro", Model::Managed).with_item("base", qty("10"));
    terms.term_years = 3;
    terms.customer_class = Some("education".into());
    terms.customer_number = Some(10);
    assert_eq!(
        bill(&p, &terms, "2026-05").lines[0].arithmetic,
        "10 users x $12.00, less 15% (Three years), less 50% (Non-profit and education), \
         less 20% (Early adopter) = $40.80"
    );
    terms.customer_number = Some(11);
    assert_eq!(bill(&p, &terms, "2026-05").total.display(), "$51.00");
}
