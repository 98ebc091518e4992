//! Plans side by side, and what a new version may change.
#![allow(clippy::unwrap_used)]

mod common;

use tenure_catalog::{ProductFile, changes, meter::Retention, show};

#[test]
fn plans_stand_side_by_side() {
    let text: String = ["kg-rca", "incidentfox", "meeting-minutes"]
        .map(|name| show(&common::product(name), 110))
        .join("\n");
    insta::assert_snapshot!(text);
}

#[test]
fn plans_fit_the_terminal() {
    for (name, _) in common::FILES {
        for width in [0, 40, 60, 80, 132, u16::MAX] {
            let text = show(&common::product(name), width);
            let table = text.lines().filter(|line| line.starts_with(['│', '┌']));
            let widest = table.map(|line| line.chars().count()).max().unwrap_or_default();
            assert!(widest <= usize::from(width.max(60)), "{name} at {width}: {widest}");
        }
    }
}

/// kg-rca, and kg-rca with one text replaced by another.
fn edited(edits: &[(&str, &str)]) -> (tenure_catalog::Product, tenure_catalog::Product) {
    let mut text = common::FILES[3].1.to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    let new =
        ProductFile::parse(&text, "kg-rca").unwrap_or_else(|e| panic!("{}", common::drawn(&e)));
    (common::product("kg-rca"), new)
}

#[test]
fn a_new_version_says_what_it_changes() {
    let (old, new) = edited(&[
        ("price = { month = \"99\" }", "price = { month = \"129\" }"),
        ("included = 1_000_000, per = \"day\"", "included = 2_000_000, per = \"day\""),
        (
            "rate = \"10000/minute\"\nfeatures = [\"dashboard\"]",
            "rate = \"20000/minute\"\nfeatures = [\"dashboard\", \"sso\"]\ntrial = \"14d\"",
        ),
        (
            "[plans.enterprise]\n",
            "[plans.team]\nname = \"Team\"\nmodels = [\"managed\"]\nprice = { month = \"250\" }\n\n[plans.enterprise]\n",
        ),
        ("ready_in = \"30m\"", "ready_in = \"20m\""),
    ]);
    let said: Vec<String> = changes(&old, &new)
        .unwrap()
        .into_iter()
        .map(|c| format!("{}: {}", c.subject, c.text))
        .collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_version_without_changes_says_nothing() {
    for (name, _) in common::FILES {
        assert_eq!(changes(&common::product(name), &common::product(name)).unwrap(), []);
    }
}

#[test]
fn what_a_meter_counts_and_tells_apart_never_changes_and_its_metric_may() {
    let with = |text: &str| format!("type = \"rca.query\", count = true{text}");
    let refused = |text: &str| {
        let (old, new) = edited(&[("type = \"rca.query\", count = true", &with(text))]);
        changes(&old, &new).err().map(|all| all[0].text.clone()).unwrap_or_default()
    };
    assert_eq!(
        refused(", dimensions = [\"b\", \"a\"]"),
        "its list of dimensions was empty and would be a, b"
    );
    assert_eq!(
        refused(", where = { z = \"1\", kind = [\"y\", \"x\"] }"),
        "its filter was empty and would be kind = x or y, z = 1"
    );
    let (old, new) = edited(&[("billing_rca_queries_total", "rca_queries_total")]);
    assert!(changes(&old, &new).is_ok());
}

#[test]
fn how_long_single_events_are_kept_may_change_and_is_told() {
    let kept = "type = \"rca.query\", count = true, retention = \"subscription\"";
    let (old, new) = edited(&[("type = \"rca.query\", count = true", kept)]);
    let said = |old, new| -> Vec<String> {
        let all = changes(old, new).unwrap().into_iter();
        all.map(|change| format!("{}: {}", change.subject, change.text)).collect()
    };
    assert_eq!(
        said(&old, &new),
        ["meter queries: retention of single events: subscription, was standard"]
    );
    assert_eq!(
        said(&new, &old),
        ["meter queries: retention of single events: standard, was subscription"]
    );
    // What is averaged over time is kept in any case: saying so changes nothing.
    let (old, new) = edited(&[(
        "time_weighted = \"bytes\"",
        "time_weighted = \"bytes\", retention = \"subscription\"",
    )]);
    assert_eq!(said(&old, &new), Vec::<String>::new());
    let classes: Vec<_> =
        new.meters.iter().map(|meter| (meter.id.as_str(), meter.kept())).collect();
    assert!(classes.contains(&("storage", Retention::Subscription)), "{classes:?}");
    assert!(classes.contains(&("events", Retention::Standard)), "{classes:?}");
}

#[test]
fn a_meter_is_never_redefined_or_dropped() {
    let (old, new) = edited(&[
        ("type = \"event.ingested\", count = true", "type = \"event.seen\", sum = \"count\""),
        ("queries   = { name", "questions = { name"),
        ("queries   = { included = 100,", "questions = { included = 100,"),
        ("queries   = { included = 1_000,", "questions = { included = 1_000,"),
        ("queries   = { included = 10_000,", "questions = { included = 10_000,"),
        ("queries   = \"unlimited\"", "questions = \"unlimited\""),
    ]);
    let refused = changes(&old, &new).unwrap_err();
    let said: Vec<String> = refused.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(said.join("\n\n"));
}
