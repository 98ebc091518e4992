//! `tenure invoice explain`, `export` and `verify`.

use std::{
    fs::File,
    io::{BufReader, Write},
    path::{Path, PathBuf},
};

use reqwest::Method;
use serde_json::Value;
use tenure_evidence::Report;

use super::Which;
use crate::{
    client::Client,
    error::{Error, Result},
    output,
};

/// One line, back to its events.
pub(super) async fn explain(client: &Client, which: Which, line: usize, json: bool) -> Result {
    let (tenant, id) = which.resolve(client).await?;
    let number = line.to_string();
    let found = client.get(&["tenants", &tenant, "invoices", &id, "lines", &number]).await?;
    if json {
        output::json(&found);
        return Ok(());
    }
    output::show(
        false,
        &found,
        &[
            ("Line", "/description"),
            ("Plan", "/plan"),
            ("For the time from", "/from"),
            ("to", "/to"),
            ("How it comes about", "/arithmetic"),
            ("Amount stated", "/amount/amount"),
            ("Amount computed", "/computed/amount"),
            ("Price version", "/version"),
            ("Counted up to generation", "/cutoff"),
        ],
    );
    let usage = &found["usage"];
    let windows: Vec<Vec<String>> =
        usage["windows"].as_array().into_iter().flatten().map(window).collect();
    if !windows.is_empty() {
        output::line("");
        let header = ["from", "to", "quantity", "events", "digest", "the events agree"];
        output::line(&output::table(&header, windows));
    }
    let events: Vec<Vec<String>> =
        usage["events"].as_array().into_iter().flatten().map(event).collect();
    if !events.is_empty() {
        output::line("");
        output::line(&output::table(&["time", "source", "id", "quantity"], events));
        if usage["next_cursor"].is_string() {
            output::note("there are more events: tenure invoice export writes all of them");
        }
    }
    if let Some(gone) = usage["gone"].as_str() {
        output::note(gone);
    }
    match found["agrees"].as_bool() {
        Some(true) => Ok(()),
        _ => Err(Error::new("what was computed is not what the invoice states".to_owned())),
    }
}

fn window(one: &Value) -> Vec<String> {
    let agrees = if one["agrees"] == true { "yes" } else { "NO" };
    vec![
        output::text(&one["start"]),
        output::text(&one["end"]),
        output::text(&one["quantity"]),
        output::text(&one["events"]),
        output::text(&one["digest"]),
        agrees.to_owned(),
    ]
}

fn event(one: &Value) -> Vec<String> {
    ["time", "source", "id", "quantity"].map(|name| output::text(&one[name])).to_vec()
}

/// The archive, into a file that did not exist.
pub(super) async fn export(client: &Client, which: Which, to: Option<PathBuf>) -> Result {
    let name = format!("{}-evidence.tar.zst", which.invoice);
    let (tenant, id) = which.resolve(client).await?;
    let to = to.unwrap_or_else(|| PathBuf::from(name));
    let path = ["tenants", &tenant, "invoices", &id, "evidence"];
    let mut response = client.send(client.admin(Method::GET, &path)).await?;
    let cannot = |error: std::io::Error| {
        Error::new(format!("cannot write {}: {error}", to.display()))
            .hint("name another file with --to".to_owned())
    };
    let mut file = File::create_new(&to).map_err(cannot)?;
    while let Some(part) = response.chunk().await? {
        file.write_all(&part).map_err(cannot)?;
    }
    file.sync_all().map_err(cannot)?;
    output::note(&format!("wrote {}; verify it: tenure invoice verify {0}", to.display()));
    Ok(())
}

/// Computes the invoice again from the archive alone.
pub(super) fn verify(archive: &Path, json: bool) -> Result {
    let cannot = |error: &dyn std::fmt::Display| {
        Error::new(format!("cannot read {}: {error}", archive.display()))
    };
    let file = File::open(archive).map_err(|error| cannot(&error))?;
    let report: Report =
        tenure_evidence::verify(BufReader::new(file)).map_err(|error| cannot(&error))?;
    if json {
        output::json(&serde_json::to_value(&report).unwrap_or_default());
    } else {
        tell(&report);
    }
    match report.agrees() {
        true => Ok(()),
        false => Err(Error::new(format!("{} does not agree with its evidence", report.invoice))),
    }
}

fn tell(report: &Report) {
    let computed = report.computed_total.clone().unwrap_or_else(|| "nothing".to_owned());
    output::record(&[
        ("Invoice".to_owned(), report.invoice.clone()),
        ("Total stated".to_owned(), report.stated_total.clone()),
        ("Total computed".to_owned(), computed),
        ("Events added up".to_owned(), report.events.to_string()),
    ]);
    output::line("");
    let row = |check: &tenure_evidence::Check| {
        let agrees = if check.agrees { "yes" } else { "NO" };
        vec![check.what.clone(), agrees.to_owned(), check.found.clone()]
    };
    let rows = report.checks.iter().map(row).collect();
    output::line(&output::table(&["what", "agrees", "found"], rows));
}
