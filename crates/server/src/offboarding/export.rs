//! A tenant's data as one archive, read from one snapshot in bounded memory.

use aws_lc_rs::digest;
use std::fs::File;
use tenure_core::TenantId;
use tenure_tenancy::TenantTx;
use tokio::io::AsyncWriteExt;

use super::{
    ExportKey, ROWS_MAX, UNPACKED_BYTES_MAX, admit,
    archive::{self, Manifest, TableFile},
    db, rows,
    tables::{Care, TABLES, Table},
};
use crate::{
    App,
    call::Call,
    http::Problem,
    tenants,
    trail::{self, Change},
};

/// An archive that is ready to be sent.
pub struct Export {
    /// The archive, from its first byte; gone with the handle.
    pub file: File,
    /// Its length.
    pub bytes: u64,
    /// What to call it.
    pub name: String,
    /// Opens its secrets. Shown once.
    pub key: ExportKey,
}

/// Writes a tenant's data into an archive.
pub async fn export(app: &App, call: &Call, tenant: TenantId) -> Result<Export, Problem> {
    let _permit = admit()?;
    let key = ExportKey::random()?;
    note(app, call, tenant).await?;
    let mut tx = app.db().tenant_snapshot(tenant).await?;
    let of = tenants::db::read(&mut tx).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let installation = db::installation(&mut tx).await?;
    let products = db::products(&mut tx).await?;
    let mut manifest = Manifest::new(installation, call.now, tenant, products);
    let mut files = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let (file, entry) = spool(app, &mut tx, &key, table).await?;
        files.push(file);
        manifest.tables.push(entry);
        let total = |of: fn(&TableFile) -> u64| manifest.tables.iter().map(of).sum::<u64>();
        if total(|file| file.rows) > ROWS_MAX || total(|file| file.bytes) > UNPACKED_BYTES_MAX {
            return Err(archive::too_large());
        }
    }
    tx.commit().await?;
    let packed = tokio::task::spawn_blocking(move || {
        archive::pack(&manifest, &key, files).map(|(file, bytes)| (file, bytes, key))
    });
    let (file, bytes, key) = packed.await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    let name = format!("{}-{}.tar.zst", of.slug, call.now.strftime("%Y%m%dT%H%M%SZ"));
    Ok(Export { file, bytes, name, key })
}

/// Secrets leave: the tenant's trail says so, and the archive holds that entry.
async fn note(app: &App, call: &Call, tenant: TenantId) -> Result<(), Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let change = Change::created("tenant.exported", tenant, &serde_json::json!({ "at": call.now }));
    trail::record(app, &mut tx, call, change).await?;
    tx.commit().await?;
    Ok(())
}

async fn spool(
    app: &App,
    tx: &mut TenantTx,
    key: &ExportKey,
    table: &Table,
) -> Result<(File, TableFile), Problem> {
    let tenant = tx.tenant().uuid();
    let careful =
        table.needing(|care| matches!(care, Care::Sealed(_) | Care::Digest)).next().is_some();
    let mut file = tokio::fs::File::from_std(tempfile::tempfile().map_err(Problem::internal)?);
    let mut hash = digest::Context::new(&digest::SHA256);
    let (mut count, mut bytes) = (0u64, 0u64);
    db::open(tx, table).await?;
    loop {
        let batch = db::fetch(tx).await?;
        if batch.is_empty() {
            break;
        }
        let mut chunk = String::new();
        for line in &batch {
            if careful {
                let mut row = rows::Row::parse(table, line)?;
                rows::depart(app, key, table, tenant, &mut row)?;
                chunk.push_str(&row.text()?);
            } else {
                chunk.push_str(line);
            }
            chunk.push('\n');
        }
        count += batch.len() as u64;
        bytes += chunk.len() as u64;
        hash.update(chunk.as_bytes());
        file.write_all(chunk.as_bytes()).await.map_err(Problem::internal)?;
        if bytes > UNPACKED_BYTES_MAX {
            return Err(archive::too_large());
        }
    }
    db::close(tx).await?;
    file.flush().await.map_err(Problem::internal)?;
    let entry = TableFile {
        name: table.name.to_owned(),
        file: table.file(),
        rows: count,
        bytes,
        sha256: hex::encode(hash.finish()),
    };
    Ok((file.into_std().await, entry))
}
