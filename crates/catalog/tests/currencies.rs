//! A price list in several currencies: each is a product of its own, and none is guessed.
#![allow(clippy::unwrap_used)]

use rust_decimal::Decimal;
use tenure_catalog::{
    Product, ProductFile, Terms, Usage, changes, estimate,
    rating::{MeterUsage, Window},
};
use tenure_core::{Currency, Period};

const FILE: &str = r#"
[product]
id = "gadget"
name = "Gadget"
currency = "USD"
currencies = ["EUR", "JPY"]
sales_contact = "sales@example.com"
api_key_prefix = "gad"

[models.managed]
isolation = "shared_tables"
responsibility = { software = "vendor", infrastructure = "vendor", security = "vendor", compliance = "vendor", support = "vendor" }

[meters]
calls = { type = "call", count = true }

[allocations]
seats = "Seats"

[plans.free]
name = "Free"
models = ["managed"]
price = { month = "0" }
[plans.free.limits]
calls = { included = 10, per = "month" }

[plans.team]
name = "Team"
models = ["managed"]
price = { month = { USD = "12", EUR = "11", JPY = "1800" }, per = "seats" }
commitment = { month = { USD = "20", EUR = "18", JPY = "3000" } }
[plans.team.limits]
calls = { included = 100, per = "month", over = { price = { USD = "0.10", EUR = "0.09", JPY = "15" } } }

[plans.large]
name = "Large"
models = ["managed"]
price = "custom"
[plans.large.limits]
calls = { included = "unlimited" }
"#;

fn parsed(text: &str) -> Product {
    ProductFile::parse(text, "product.toml").unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

fn mistakes(text: &str) -> Vec<String> {
    let found = ProductFile::parse(text, "product.toml").unwrap_err();
    found
        .into_iter()
        .map(|one| format!("{} ({})", one.message, one.hint.unwrap_or_default()))
        .collect()
}

fn currency(code: &str) -> Currency {
    Currency::from_code(code).unwrap()
}

/// March 2026 with 150 calls and three seats.
fn bill(product: &Product) -> Vec<String> {
    let start = "2026-03-01T00:00:00Z".parse().unwrap();
    let period = Period { start, end: "2026-04-01T00:00:00Z".parse().unwrap() };
    let plan = product.plan("team").unwrap();
    let mut terms = Terms::new("team".to_owned(), plan.models[0], start);
    terms.items = vec![tenure_catalog::Item {
        charge: plan.charges[0].id.clone(),
        quantity: tenure_core::Quantity::new(Decimal::from(3)).unwrap(),
        from: start,
        to: None,
    }];
    let windows = vec![Window { start, quantity: Decimal::from(150) }];
    let usage = Usage {
        meters: vec![MeterUsage { meter: "calls".to_owned(), windows }],
        ..Usage::default()
    };
    let bill = estimate(product, &terms, period, &usage).unwrap();
    bill.lines.iter().map(|line| line.amount.display()).collect()
}

#[test]
fn each_currency_has_its_own_prices_and_everything_else_in_common() {
    let product = parsed(FILE);
    let codes: Vec<String> = product.currencies().map(|one| one.to_string()).collect();
    assert_eq!(codes, ["USD", "EUR", "JPY"]);
    // 3 x 12 + 50 x 0.10; 3 x 11 + 50 x 0.09; 3 x 1,800 + 50 x 15.
    assert_eq!(bill(&product), ["$36.00", "$5.00"]);
    assert_eq!(bill(product.in_currency(currency("EUR")).unwrap()), ["33.00 EUR", "4.50 EUR"]);
    assert_eq!(bill(product.in_currency(currency("JPY")).unwrap()), ["5,400 JPY", "750 JPY"]);
    assert!(product.in_currency(currency("GBP")).is_none());
    let euro = product.in_currency(currency("EUR")).unwrap();
    assert_eq!((&euro.meters, &euro.allocations), (&product.meters, &product.allocations));
}

#[test]
fn a_price_that_is_missing_in_a_currency_is_a_mistake_and_never_converted() {
    let plain = FILE.replace(r#"{ USD = "12", EUR = "11", JPY = "1800" }"#, r#""12""#);
    let found = mistakes(&plain);
    assert_eq!(
        found,
        [
            "`12` is in USD alone, and the product is sold in EUR too (write { USD = \"12\", EUR = \"...\" })",
            "`12` is in USD alone, and the product is sold in JPY too (write { USD = \"12\", JPY = \"...\" })",
        ]
    );
    let missing = FILE.replace(r#"EUR = "11", "#, "");
    assert_eq!(mistakes(&missing), ["there is no price in EUR (add EUR = \"...\")"]);
    let unknown = FILE.replace(r#"EUR = "11", "#, r#"EUR = "11", EUX = "1", "#);
    assert!(
        mistakes(&unknown)[0].starts_with("the product is not sold in EUX"),
        "{:?}",
        mistakes(&unknown)
    );
    // Yen have no decimals.
    let sen = FILE.replace(r#"JPY = "3000""#, r#"JPY = "3000.5""#);
    assert!(mistakes(&sen)[0].contains("too many decimals: JPY has 0"), "{:?}", mistakes(&sen));
    let nowhere = FILE.replace(r#"currencies = ["EUR", "JPY"]"#, r#"currencies = ["EUR", "XXZ"]"#);
    assert!(!mistakes(&nowhere).is_empty());
}

#[test]
fn a_new_version_may_add_a_currency_and_change_one_but_not_drop_one() {
    let old = parsed(FILE);
    let dearer = parsed(&FILE.replace(r#"EUR = "11""#, r#"EUR = "12""#));
    let found: Vec<String> = changes(&old, &dearer)
        .unwrap()
        .iter()
        .map(|change| format!("{}: {}", change.subject, change.text))
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("plan team in EUR") && found[0].contains("12"), "{found:?}");
    let fewer = FILE.replace(r#"["EUR", "JPY"]"#, r#"["EUR"]"#);
    let fewer: String = fewer
        .lines()
        .map(|line| {
            let mut line = line.to_owned();
            while let Some(at) = line.find(", JPY = ") {
                let end = at + line[at..].find(" }").unwrap();
                line.replace_range(at..end, "");
            }
            line + "\n"
        })
        .collect();
    let fewer = parsed(&fewer);
    assert!(changes(&old, &fewer).unwrap_err()[0].text.contains("would not be sold in JPY"));
    let all = changes(&fewer, &old).unwrap();
    assert!(all.iter().any(|change| change.text == "sold in JPY too"), "{all:?}");
}
