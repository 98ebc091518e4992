//! The archive itself: `manifest.json`, its proof, and one NDJSON file a table,
//! in a zstd-compressed tar.
//!
//! Everything is read strictly in that order. The manifest is proved with the
//! export key before anything else is looked at; it names the size, row count
//! and SHA-256 of every file that may follow, so nothing else is written to
//! disk, however the archive unpacks.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Seek, Write},
};

use aws_lc_rs::digest;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenure_core::TenantId;
use uuid::Uuid;

use super::{ExportKey, ROWS_MAX, UNPACKED_BYTES_MAX, tables};
use crate::http::Problem;

/// What the manifest calls itself.
const FORMAT: &str = "tenure-tenant";
/// Raised when an older server could misread an archive.
const VERSION: u32 = 1;
const MANIFEST: &str = "manifest.json";
const PROOF: &str = "manifest.hmac";
const MANIFEST_BYTES_MAX: u64 = 8 * 1024 * 1024;
const PROOF_BYTES_MAX: u64 = 256;
/// Compression is for size on the wire; higher levels cost more than they save.
const ZSTD_LEVEL: i32 = 3;
/// 2^24 bytes: what unpacking may take of memory.
const ZSTD_WINDOW_LOG_MAX: u32 = 24;
const COPY_BYTES: usize = 64 * 1024;

/// What an archive holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) format: String,
    pub(super) version: u32,
    pub(super) installation: Uuid,
    pub(super) exported_at: Timestamp,
    pub(super) tenant: TenantId,
    pub(super) products: Vec<ProductRef>,
    pub(super) tables: Vec<TableFile>,
}

/// A product that rows refer to: how another installation finds its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProductRef {
    pub(super) id: Uuid,
    pub(super) slug: String,
    pub(super) versions: Vec<VersionRef>,
    pub(super) meters: Vec<MeterRef>,
}

/// A catalog version, known elsewhere by the hash of its file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VersionRef {
    pub(super) id: Uuid,
    pub(super) version: i32,
    pub(super) sha256: String,
}

/// A meter, known elsewhere by its slug.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MeterRef {
    pub(super) id: i32,
    pub(super) slug: String,
}

/// A table's file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TableFile {
    pub(super) name: String,
    pub(super) file: String,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl Manifest {
    pub(super) fn new(
        installation: Uuid,
        exported_at: Timestamp,
        tenant: TenantId,
        products: Vec<ProductRef>,
    ) -> Self {
        let format = FORMAT.to_owned();
        let tables = Vec::new();
        Self { format, version: VERSION, installation, exported_at, tenant, products, tables }
    }

    fn check(&self) -> Result<(), Problem> {
        if self.format != FORMAT || self.version != VERSION {
            return Err(refused(format!(
                "It is `{}` version {}; this server reads `{FORMAT}` version {VERSION}. Import it with \
                 the version of Tenure that made it, or a newer one.",
                self.format, self.version
            )));
        }
        let mut last = None;
        for file in &self.tables {
            let place = tables::TABLES.iter().position(|table| table.name == file.name);
            let known = place.filter(|at| tables::TABLES[*at].file() == file.file);
            if known.is_none() || known <= last {
                let name = &file.name;
                return Err(refused(format!(
                    "The table `{name}` is unknown here or out of its order. A newer version of Tenure \
                     may have made this archive."
                )));
            }
            last = known;
        }
        let (rows, bytes) = self.tables.iter().fold((0u64, 0u64), |(rows, bytes), file| {
            (rows.saturating_add(file.rows), bytes.saturating_add(file.bytes))
        });
        if rows > ROWS_MAX || bytes > UNPACKED_BYTES_MAX {
            return Err(too_large());
        }
        Ok(())
    }
}

pub(super) fn too_large() -> Problem {
    Problem::too_large(format!(
        "An archive holds at most {ROWS_MAX} rows and {UNPACKED_BYTES_MAX} bytes, unpacked."
    ))
}

/// 422: the archive is not what it should be.
pub(super) fn refused(detail: impl Into<String>) -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "archive-refused",
        "The archive cannot be imported",
        detail,
    )
}

/// Writes an archive into an unnamed temporary file, which is gone with the
/// handle, also when the process dies. Returns it rewound, with its length.
pub(super) fn pack(
    manifest: &Manifest,
    key: &ExportKey,
    files: Vec<File>,
) -> io::Result<(File, u64)> {
    let text = serde_json::to_vec_pretty(manifest)?;
    let proof = key.prove(&text);
    let mtime = u64::try_from(manifest.exported_at.as_second()).unwrap_or(0);
    let encoder = zstd::Encoder::new(tempfile::tempfile()?, ZSTD_LEVEL)?;
    let mut archive = tar::Builder::new(encoder);
    append(&mut archive, MANIFEST, text.len() as u64, mtime, text.as_slice())?;
    append(&mut archive, PROOF, proof.len() as u64, mtime, proof.as_bytes())?;
    for (entry, mut file) in manifest.tables.iter().zip(files) {
        file.rewind()?;
        append(&mut archive, &entry.file, entry.bytes, mtime, file)?;
    }
    let mut file = archive.into_inner()?.finish()?;
    let length = file.stream_position()?;
    file.rewind()?;
    Ok((file, length))
}

fn append<W: Write>(
    archive: &mut tar::Builder<W>,
    path: &str,
    size: u64,
    mtime: u64,
    content: impl Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o600);
    header.set_mtime(mtime);
    archive.append_data(&mut header, path, content)
}

/// An archive whose every byte was checked.
pub(super) struct Unpacked {
    pub(super) manifest: Manifest,
    files: HashMap<String, File>,
}

impl Unpacked {
    /// The rows of a table, from the first.
    pub(super) fn take(&mut self, table: &str) -> Option<File> {
        self.files.remove(table)
    }
}

/// Reads an archive into unnamed temporary files. Blocks.
pub(super) fn unpack(archive: File, key: &ExportKey) -> Result<Unpacked, Problem> {
    let mut decoder = zstd::Decoder::new(archive).map_err(unreadable)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(unreadable)?;
    let mut archive = tar::Archive::new(decoder);
    // Raw: an extension (a long name, a link) is an entry of its own, and refused as such.
    let mut entries = archive.entries().map_err(unreadable)?.raw(true);
    let text = small(entries.next(), MANIFEST, MANIFEST_BYTES_MAX)?;
    let proof = small(entries.next(), PROOF, PROOF_BYTES_MAX)?;
    if !key.proves(&text, &String::from_utf8_lossy(&proof)) {
        return Err(refused(
            "The header Tenure-Export-Key does not hold the key of this archive, or the archive was changed.",
        ));
    }
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|error| refused(format!("Its manifest cannot be read: {error}.")))?;
    manifest.check()?;
    let mut files = HashMap::new();
    for expected in &manifest.tables {
        let entry = next(entries.next(), &expected.file)?;
        files.insert(expected.name.clone(), spool(entry, expected)?);
    }
    if entries.next().is_some() {
        return Err(refused("It holds more files than its manifest names."));
    }
    Ok(Unpacked { manifest, files })
}

fn unreadable(error: io::Error) -> Problem {
    refused(format!("It is not a zstd-compressed tar archive, or is incomplete: {error}."))
}

type Entry<'a> = tar::Entry<'a, zstd::Decoder<'static, io::BufReader<File>>>;

fn next<'a>(entry: Option<io::Result<Entry<'a>>>, name: &str) -> Result<Entry<'a>, Problem> {
    let missing = || refused(format!("The file {name} is not where it should be."));
    let entry = entry.ok_or_else(missing)?.map_err(unreadable)?;
    let plain = entry.header().entry_type() == tar::EntryType::Regular;
    if !plain || &*entry.path_bytes() != name.as_bytes() {
        return Err(missing());
    }
    Ok(entry)
}

fn small(
    entry: Option<io::Result<Entry<'_>>>,
    name: &str,
    bytes_max: u64,
) -> Result<Vec<u8>, Problem> {
    let entry = next(entry, name)?;
    let mut content = Vec::new();
    entry.take(bytes_max + 1).read_to_end(&mut content).map_err(unreadable)?;
    if content.len() as u64 > bytes_max {
        return Err(refused(format!("The file {name} is larger than {bytes_max} bytes.")));
    }
    Ok(content)
}

fn spool(mut entry: Entry<'_>, expected: &TableFile) -> Result<File, Problem> {
    let wrong = || refused(format!("The file {} is not what the manifest says.", expected.file));
    if entry.size() != expected.bytes {
        return Err(wrong());
    }
    let mut file = tempfile::tempfile().map_err(Problem::internal)?;
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0u8; COPY_BYTES];
    let (mut rows, mut bytes) = (0u64, 0u64);
    loop {
        let read = entry.read(&mut buffer).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        let chunk = &buffer[..read];
        hash.update(chunk);
        bytes += read as u64;
        rows += chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
        file.write_all(chunk).map_err(Problem::internal)?;
    }
    let same = hex::encode(hash.finish()) == expected.sha256;
    if !same || bytes != expected.bytes || rows != expected.rows {
        return Err(wrong());
    }
    file.rewind().map_err(Problem::internal)?;
    Ok(file)
}
