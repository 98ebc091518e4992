//! What a vendor reads when a product file is wrong.
#![allow(clippy::unwrap_used)]

mod common;

use proptest::prelude::*;
use tenure_catalog::ProductFile;

const HEAD: &str = r#"[product]
id = "acme"
name = "Acme"
sales_contact = "sales@acme.example"
api_key_prefix = "acme"

[models.managed]
isolation = "schema"
responsibility = { software = "vendor", infrastructure = "vendor", security = "vendor", compliance = "vendor", support = "vendor" }

[meters]
events = { type = "event", count = true }

[allocations]
teams = { name = "Teams", one = "team" }

[features]
sso = "Single sign-on"

"#;

/// Everything that is said about `HEAD` and `rest`, warnings included.
fn said(rest: &str) -> String {
    let text = format!("{HEAD}{rest}");
    match ProductFile::check(&text, "acme/product.toml") {
        Ok(parsed) => format!("accepted\n\n{}", common::drawn(&parsed.warnings)),
        Err(found) => common::drawn(&found),
    }
}

macro_rules! shows {
    ($($name:ident: $text:expr;)+) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(said($text));
        }
    )+};
}

shows! {
    meters_and_how_long_their_events_are_kept: r#"[plans.pro]
name = "Pro"
models = ["managed"]
price = "custom"

[meters.good]
type = "run"
count = true
retention = "subscription"

[meters.level]
type = "run"
time_weighted = "n"
retention = "standard"

[meters.bad]
type = "run"
time_weighted = "n"
retention = "forever"
"#;
    meters_with_filters_and_dimensions: r#"[plans.pro]
name = "Pro"
models = ["managed"]
price = "custom"

[meters.good]
type = "run"
count = true
dimensions = ["region", "Tier"]
where = { userKind = ["a", "b"], region = "eu" }
metric = "runs_total"

[meters.bad]
type = "run"
unique = "who"
dimensions = ["a", "a", "b", "c", "d", "", "e"]
where = { "no field" = "x", empty = [], number = 5 }
metric = "runs"

[meters.named]
type = "run"
sum = "n"
metric = "runs_sum"

[meters.reserved]
type = "run"
last = "n"
metric = "tenure_runs"

[meters.unnamed]
type = "run"
last = "n"
metric = "Runs per day"
"#;
    a_text_that_is_no_toml: "[plans.pro\nname = Pro\n";
    two_plans_with_one_id: "[plans.pro]\nname = \"A\"\nprice = \"custom\"\nmodels = [\"managed\"]\n\n[plans.pro]\nname = \"B\"\n";
    unknown_keys_and_wrong_kinds: r#"[plans.pro]
name = 5
model = ["managed"]
models = "managed"
features = ["sso"]
price = { month = 499 }
limits = { teams = -1, events = { included = 5, evry = "day", over = { price = 0.05 } } }
colour = "red"
"#;
    amounts_that_are_none: r#"[plans.pro]
name = "Pro"
models = ["managed"]
features = ["sso"]
price = { month = "$1,499" }
[plans.pro.charges]
cents  = { month = "4.999" }
fine   = { meter = "events", price = "0.0000000000001" }
good   = { meter = "events", price = "0.000000000001" }
range  = { year = "100-50" }
when   = { price = "5" }
twice  = { month = "5", year = "50" }
"#;
    a_price_that_does_not_say_when: "[plans.pro]\nname = \"Pro\"\nmodels = [\"managed\"]\nfeatures = [\"sso\"]\nprice = \"499\"\n";
    references_to_nothing: r#"[support.gold]
[plans.pro]
name = "Pro"
models = ["managed", "byoi"]
mode = "platform"
support = "golden"
features = ["ssso"]
price = { month = "1", per = "team" }
limits = { event = 5, seats = 3 }
[addons.extra]
name = "Extra"
price = { month = "1" }
plans = ["por"]
raises = { teems = 1 }
"#;
    inheritance_in_a_circle: r#"[plans.a]
name = "A"
extends = "b"
features = ["sso"]
price = "custom"
[plans.b]
name = "B"
extends = "a"
price = "custom"
[plans.c]
name = "C"
extends = "aa"
price = "custom"
"#;
    models_without_what_they_need: r#"[models.byoi]
responsibility = { software = "vendor", infrastructure = "customer", security = "shared", compliance = "shared", support = "vendor" }
[models.self_hosted]
[models.hybrid]
[plans.pro]
name = "Pro"
models = ["managed", "byoi", "self_hosted"]
features = ["sso"]
price = "custom"
"#;
    lengths_rates_and_licenses: r#"[license]
expiry = { warn_before = "14", full_until = "40d", restricted_until = "30d" }
offline_grace = "36h"
heartbeat = "5bd"
[plans.pro]
name = "Pro"
models = ["managed"]
features = ["sso"]
trial = "two weeks"
rate = "100/min"
price = "custom"
"#;
    odd_limits: r#"[plans.pro]
name = "Pro"
models = ["managed"]
features = ["sso"]
price = { month = "1" }
charges = { events = { meter = "events", price = "1" } }
[plans.pro.limits]
teams = { included = 5, per = "day", over = { price = "1" } }
events = { over = { price = "1", true_up = "2" }, warn_at = [100, 80] }
"#;
    resources_and_environment: r#"[resources.database]
kind = "postgres"
models = ["managed"]
names = ["{tennant}_db"]
fields = ["url"]
secrets = ["uri"]
[environment]
DATABASE_URL = { from = "database.uri" }
other = "x"
BOTH = { value = "1", license = true }
[plans.pro]
name = "Pro"
models = ["managed"]
features = ["sso"]
price = "custom"
"#;
    a_feature_that_no_plan_has_is_a_warning: "[plans.pro]\nname = \"Pro\"\nmodels = [\"managed\"]\nprice = { month = \"1\" }\n";
    meters_that_do_not_say_how: r#"[meters.a]
type = "a"
[meters.b]
type = "b"
sum = "x"
max = "y"
[plans.pro]
name = "Pro"
models = ["managed"]
features = ["sso"]
price = "custom"
"#;
}

#[test]
fn prefixes_and_ids_are_checked() {
    let text = HEAD
        .replace(
            "id = \"acme\"",
            "id = \"Acme Inc\"\nlicense_key_prefix = \"acme\"\ncurrency = \"EURO\"",
        )
        .replace("api_key_prefix = \"acme\"", "api_key_prefix = \"Acme_\"")
        .replace("events = {", "Events = {");
    let rest = "[plans.pro]\nname = \"Pro\"\nmodels = [\"managed\"]\nfeatures = [\"sso\"]\nprice = \"custom\"\n";
    let found = ProductFile::parse(&format!("{text}{rest}"), "acme/product.toml").unwrap_err();
    insta::assert_snapshot!(common::drawn(&found));
}

#[test]
fn an_empty_file_and_a_huge_one_are_refused() {
    let empty = ProductFile::parse("", "empty.toml").unwrap_err();
    assert_eq!(empty.len(), 3, "{}", common::drawn(&empty));
    let huge = ProductFile::parse(&"#".repeat(600_000), "huge.toml").unwrap_err();
    assert!(huge[0].message.contains("at most"), "{}", huge[0].message);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Damaged files are refused or accepted, never a panic, and every mistake
    /// can be drawn.
    #[test]
    fn a_damaged_file_is_answered(
        file in 0usize..5, at in 0.0f64..1.0, drop in 0usize..30,
        insert in prop::sample::select(vec!["", "\"", "]", "{", "x = 1\n", "ü", "\u{0}", "[plans.pro]\n", "= ", "99999999999999999999", "-1", "\r\n", "\t"]),
    ) {
        let text = common::FILES[file].1;
        let floor = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        let from = floor((text.len() as f64 * at) as usize);
        let to = floor(from + drop).max(from);
        let damaged = format!("{}{insert}{}", &text[..from], &text[to..]);
        if let Err(found) = ProductFile::parse(&damaged, "damaged.toml") {
            prop_assert!(!found.is_empty());
            let drawn = common::drawn(&found);
            prop_assert!(drawn.contains("damaged.toml:"));
        }
    }
}
