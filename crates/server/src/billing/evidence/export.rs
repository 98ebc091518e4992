//! The archive of an invoice.

use std::{
    fs::File,
    io::{self, BufReader, Seek, SeekFrom, Write},
};

use tenure_core::{CatalogVersionId, InvoiceId, TenantId};
use tenure_evidence::{Needed, Writer};

use super::{Case, EVENTS_AT_ONCE, db, event};
use crate::{App, http::Problem, offboarding::admit, usage::raw::RawEvent};

/// An archive, ready to be sent.
pub struct Archive {
    /// At its beginning; it has no name and is gone when it is closed.
    pub file: File,
    /// Its size.
    pub bytes: u64,
    /// What to call it.
    pub name: String,
}

/// Everything that the invoice was computed from, events included.
///
/// # Errors
/// 404 for an unknown invoice, 503 while other archives are made.
pub async fn export(
    app: &App,
    tenant: TenantId,
    id: InvoiceId,
    issued_only: bool,
) -> Result<Archive, Problem> {
    let _admitted = admit(app)?;
    let case = Case::read(app, tenant, id, issued_only).await?;
    let mut products = Vec::new();
    let mut tx = app.db().vendor().await?;
    for name in case.catalogs.keys() {
        let version: CatalogVersionId = name.parse().map_err(Problem::internal)?;
        let source = db::source(&mut tx, version).await?;
        products.push((name.clone(), source.ok_or_else(|| Problem::not_found("version"))?));
    }
    tx.commit().await?;
    let mut usage = Vec::new();
    for needed in case.needed()? {
        let (file, bytes) = events(app, tenant, &case, &needed).await?;
        if bytes > 0 {
            usage.push((needed, file, bytes));
        }
    }
    let number = case.stated.number.clone().unwrap_or_else(|| case.stated.id.clone());
    let written = tokio::task::spawn_blocking(move || write(&case, &products, usage)).await;
    let (file, bytes) = written.map_err(Problem::internal)?.map_err(Problem::internal)?;
    Ok(Archive { file, bytes, name: format!("{number}-evidence.tar.zst") })
}

/// The events as lines, in a file that has no name.
async fn events(
    app: &App,
    tenant: TenantId,
    case: &Case,
    needed: &Needed,
) -> Result<(File, u64), Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let mut file = tempfile::tempfile().map_err(Problem::internal)?;
    let mut bytes = 0u64;
    let mut cursor = None;
    loop {
        let page = case.events(&mut tx, needed, cursor, EVENTS_AT_ONCE).await?;
        cursor = page.last().map(RawEvent::cursor);
        let is_last = page.len() < EVENTS_AT_ONCE;
        let lines = lines(page)?;
        bytes += lines.len() as u64;
        file = tokio::task::spawn_blocking(move || file.write_all(&lines).map(|()| file))
            .await
            .map_err(Problem::internal)?
            .map_err(Problem::internal)?;
        if is_last {
            break;
        }
    }
    tx.commit().await?;
    file.seek(SeekFrom::Start(0)).map_err(Problem::internal)?;
    Ok((file, bytes))
}

fn lines(page: Vec<RawEvent>) -> Result<Vec<u8>, Problem> {
    let mut lines = Vec::new();
    for raw in page {
        serde_json::to_writer(&mut lines, &event(raw)).map_err(Problem::internal)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

fn write(
    case: &Case,
    products: &[(String, String)],
    usage: Vec<(Needed, File, u64)>,
) -> Result<(File, u64), tenure_evidence::Error> {
    let files = products.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let mut writer = Writer::new(tempfile::tempfile()?, &case.stated, &case.inputs, files)?;
    for (needed, file, bytes) in usage {
        writer.usage(&needed, bytes, BufReader::new(file))?;
    }
    let mut file = writer.finish()?;
    let bytes = file.stream_position()?;
    file.seek(io::SeekFrom::Start(0))?;
    Ok((file, bytes))
}
