//! Leaving, moving and being forgotten: a tenant's data as one archive, its
//! return in another installation, and its erasure.
//!
//! Owns: the archive's format, which table travels and how its secrets do, the
//! import in one transaction, and deletion with its report.
//! Refuses: an archive that was changed, that is larger than the limits below,
//! or that names products this installation does not sell; importing over a
//! tenant that exists; deleting a tenant that still is a customer.
//!
//! Nothing secret leaves in clear: secrets are opened and encrypted anew under a
//! key that is made for one export and shown once. Digests (of API keys, of
//! license keys) stay behind, because they are keyed by this installation.

pub mod api;
mod archive;
mod db;
mod deletion;
mod export;
mod export_key;
mod import;
mod rows;
pub mod tables;

use tokio::sync::SemaphorePermit;

pub use deletion::{DeletionReport, delete, note_deletions};
pub use export::{Export, export};
pub use export_key::ExportKey;
pub use import::{ImportReport, ImportedKey, import};

use crate::{App, http::Problem};

/// Largest archive, in bytes.
pub const ARCHIVE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// Largest content of an archive, unpacked, in bytes.
pub const UNPACKED_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;
/// Rows in an archive at most.
pub const ROWS_MAX: u64 = 50_000_000;
/// Longest row, in bytes of JSON.
pub const ROW_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Rows read or written at once.
const BATCH_ROWS: usize = 200;
/// Exports and imports under way at once in one process; each holds a connection.
pub const UNDER_WAY_MAX: usize = 2;

/// Room for one more export or import, or for something as large.
pub(crate) fn admit(app: &App) -> Result<SemaphorePermit<'_>, Problem> {
    app.archives().try_acquire().map_err(|_| {
        Problem::unavailable("Other exports or imports are under way; try again shortly.")
    })
}
