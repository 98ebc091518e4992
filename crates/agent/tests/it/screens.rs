//! What people read.

use clap::CommandFactory;
use jiff::SignedDuration;
use tenure_agent::commands::{Cli, Status, render, sends};
use tenure_license::{Digest, chain::Head};
use uuid::Uuid;

use crate::support::{Place, at};

fn status(agent: &tenure_agent::Agent) -> Status {
    let mut view = (*agent.view()).clone();
    // Random in every run.
    view.state.key = Some("4Zq9-thumbprint".into());
    view.state.instance = Some(tenure_core::InstanceId::from_uuid(Uuid::from_u128(7)));
    let now = agent.now();
    let ledger = tenure_agent::store::LedgerRow {
        id: 1,
        key: "4Zq9-thumbprint".into(),
        head: Some(Head { seq: 1204, hash: Digest::sha256(b"") }),
        counted: Some(Head { seq: 1200, hash: Digest::sha256(b"") }),
        receipt: None,
        pruned: None,
    };
    Status {
        now,
        running: true,
        product: "incidentfox".into(),
        server: Some("https://license.incidentfox.example".into()),
        contact: now.checked_sub(SignedDuration::from_mins(4)).ok(),
        ledger: Some(ledger),
        unreported: tenure_agent::store::Unreported {
            entries: 4,
            events: 31,
            since: Some(at("2026-03-01T11:58:00Z")),
        },
        used_bytes: 12_582_912,
        used_bytes_max: 1_073_741_824,
        notices: view.notices(now, &[]),
        view,
    }
}

#[tokio::test]
async fn the_status_of_an_active_license() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    insta::assert_snapshot!(render(&status(&agent)));
}

#[tokio::test]
async fn the_status_out_of_contact_and_past_the_end() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    place.vendor.book().down = true;
    place.pass(&[&agent], 24 * 370, 24 * 60).await;
    let mut status = status(&agent);
    status.contact = Some(at("2026-03-01T12:00:00Z"));
    insta::assert_snapshot!(render(&status));
}

#[tokio::test]
async fn the_status_before_the_first_license() {
    let place = Place::new().await;
    let agent = place.open(place.settings("a")).await;
    let mut status = status(&agent);
    status.view.state.instance = None;
    status.server = None;
    insta::assert_snapshot!(render(&status));
}

#[tokio::test]
async fn what_is_sent_in_plain_words() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    place.forward(400);
    agent.step().await.unwrap();
    let sent: Vec<tenure_agent::store::Sent> = agent.sent().await.unwrap();
    insta::assert_snapshot!(sends("https://license.incidentfox.example", &sent));
}

#[test]
fn help_of_every_command() {
    let mut cli = Cli::command();
    let mut text = cli.render_long_help().to_string();
    let mut waiting: Vec<(String, clap::Command)> =
        cli.get_subcommands().map(|sub| (sub.get_name().to_owned(), sub.clone())).collect();
    while !waiting.is_empty() {
        let (name, mut command) = waiting.remove(0);
        if name.ends_with("help") {
            continue;
        }
        // The options of every command were shown above.
        let about = command.render_help().to_string();
        let about = about.split("\n\nOptions of every command:").next().unwrap_or_default();
        text.push_str(&format!("\n\n=== {name}\n{about}"));
        let below = command
            .get_subcommands()
            .map(|sub| (format!("{name} {}", sub.get_name()), sub.clone()))
            .collect::<Vec<_>>();
        waiting.splice(0..0, below);
    }
    insta::assert_snapshot!(text);
}
