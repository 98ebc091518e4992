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
pub(super) async fn save(client: &Client, which: Which, out: Option<PathBuf>) -> Result {
    let name = format!("{}.pdf", which.invoice);
    let (tenant, id) = which.resolve(client).await?;
    let to = out.unwrap_or_else(|| PathBuf::from(name));
    let path = ["tenants", &tenant, "invoices", &id, "pdf"];
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
