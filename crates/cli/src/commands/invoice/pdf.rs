//! `tenure invoice pdf`.

use std::{fs::File, io::Write, path::PathBuf};

use reqwest::Method;

use super::Which;
use crate::{
    client::Client,
    error::{Error, Result},
    output,
};

/// The document, into a file that did not exist.
pub(super) async fn save(
    client: &Client,
    which: Which,
    credit_note: Option<String>,
    out: Option<PathBuf>,
) -> Result {
    let name = format!("{}.pdf", credit_note.as_ref().unwrap_or(&which.invoice));
    let (tenant, id) = which.resolve(client).await?;
    let to = out.unwrap_or_else(|| PathBuf::from(name));
    let invoice = ["tenants", &tenant, "invoices", &id];
    let note = match &credit_note {
        Some(named) => Some(note(client, &invoice, named).await?),
        None => None,
    };
    let path = match &note {
        Some(note) => [&invoice[..], &["credit-notes", note, "pdf"]].concat(),
        None => [&invoice[..], &["pdf"]].concat(),
    };
    let document = client.send(client.admin(Method::GET, &path)).await?.bytes().await?;
    let cannot = |error: std::io::Error| {
        Error::new(format!("cannot write {}: {error}", to.display()))
            .hint("name another file with --out".to_owned())
    };
    let mut file = File::create_new(&to).map_err(cannot)?;
    file.write_all(&document).map_err(cannot)?;
    file.sync_all().map_err(cannot)?;
    output::note(&format!("wrote {}", to.display()));
    Ok(())
}

/// The id of a credit note of an invoice, by its number or its id.
async fn note(client: &Client, invoice: &[&str], named: &str) -> Result<String> {
    let found = client.get(invoice).await?;
    let notes = found["credit_notes"].as_array().map_or(&[][..], Vec::as_slice);
    let wanted = notes.iter().find(|note| note["number"] == named || note["id"] == named);
    wanted.map(|note| output::text_at(note, "/id")).ok_or_else(|| {
        let error = Error::new(format!("the invoice has no credit note {named}"));
        match notes {
            [] => error,
            notes => {
                let numbers = notes.iter().map(|note| output::text_at(note, "/number"));
                error.hint(format!("it has {}", numbers.collect::<Vec<_>>().join(", ")))
            }
        }
    })
}
