//! `tenure product check|show|schema`: no server needed.

use crate::support::{repository, run, stderr, stdout};

const BROKEN: &str = r#"[product]
id = "demo"
name = "Demo"
api_key_prefix = "dm"

[meters]
runs = { type = "agent.run", count = true }

[plans.pro]
name = "Pro"
modles = ["managed"]
price = { month = "9.999" }
limits = { rums = { included = 10, per = "month", over = "block" } }
"#;

#[test]
fn every_mistake_is_shown_at_once_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("product.toml"), BROKEN).unwrap();
    let output = crate::support::tenure(&["product", "check", "product.toml"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output), "");
    insta::assert_snapshot!("broken_file", stderr(&output));
}

#[test]
fn findings_are_json_for_scripts() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("product.toml");
    std::fs::write(&file, BROKEN).unwrap();
    let output = run(&["product", "check", "--json", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found[0]["ok"], false);
    let unknown = found[0]["findings"].as_array().unwrap();
    assert!(unknown.iter().any(|one| one["line"] == 11 && one["column"] == 1), "{found:#}");
}

#[test]
fn the_five_products_are_without_mistakes_and_can_be_shown() {
    for product in ["agent-governance", "meeting-minutes", "dyocense", "kg-rca", "incidentfox"] {
        let file = repository(&format!("products/{product}/product.toml"));
        let output = run(&["product", "check", file.to_str().unwrap()]);
        assert!(output.status.success(), "{}", stderr(&output));
        let output = run(&["product", "show", file.to_str().unwrap()]);
        assert!(output.status.success() && stdout(&output).contains("Price"), "{product}");
    }
}

#[test]
fn the_schema_is_json() {
    let schema: serde_json::Value =
        serde_json::from_str(&stdout(&run(&["product", "schema"]))).unwrap();
    assert_eq!(schema["type"], "object");
}

#[test]
fn wrong_usage_exits_with_2_and_a_missing_file_with_1() {
    assert_eq!(run(&["product", "chekc"]).status.code(), Some(2));
    assert_eq!(run(&["tenant", "list", "--limit", "0"]).status.code(), Some(2));
    let output = run(&["product", "check", "no-such-file.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("error: no-such-file.toml: "), "{}", stderr(&output));
}

#[test]
fn a_server_that_is_away_is_an_error_with_a_way_out() {
    let url = format!("http://127.0.0.1:{}", crate::support::free_port());
    let output = run(&["tenant", "list", "--url", &url, "--token", "x"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("Connection refused") && said.contains("hint: "), "{said}");
}
