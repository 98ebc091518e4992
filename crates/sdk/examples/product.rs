//! A product that is licensed. Run: `LICENSE_KEY=... cargo run --example product keys.json`
#![allow(clippy::print_stdout, reason = "an example says what it finds")]

use tenure_sdk::{Tenure, Work};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A product ships this text inside itself (`include_str!`): whoever may replace it may sign.
    let keys = std::fs::read_to_string(std::env::args().nth(1).ok_or("name the key set")?)?;
    let tenure = Tenure::builder().product("incidentfox").keys(&keys).from_env()?;

    println!("licensed to {}: {}", tenure.claims().customer.name, tenure.state().word());
    for decision in
        [tenure.work(Work::New), tenure.feature("sso"), tenure.limit("teams", 4_u32, 1_u32)]
    {
        println!("{} {} {}", decision.status, decision.code, decision.message.unwrap_or_default());
    }
    if tenure.work(Work::New).allowed {
        tenure.record("agent.run", Some(serde_json::json!({"runs": "1"})));
    }
    Ok(tenure.flush()?)
}
