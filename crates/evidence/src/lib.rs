//! Evidence of an invoice: everything it was computed from, in one file that
//! somebody else can verify with no database and no network.
//!
//! An archive (tar, zstd) holds, in this order:
//!
//! | entry | what |
//! |---|---|
//! | `invoice.json` | the invoice as it is on record ([`Stated`]) |
//! | `inputs.json` | terms, totals, earlier amounts and tax rates ([`InvoiceInputs`]) |
//! | `products/<version>.toml` | the product files whose prices hold |
//! | `usage/<meter>.<cutoff>.ndjson` | the single events, by (time, hash) ([`Event`]) |
//! | `manifest.json` | the digest of every entry before it ([`Manifest`]) |
//!
//! [`verify`] adds the events up again, compares the totals with the inputs,
//! and computes the invoice from the inputs with the same pure function that
//! made it ([`tenure_catalog::invoicing::draft`]).
//!
//! Owns: the format, the sums of single events, the comparison. Refuses: other
//! entries, another order, and more than the named limits.
//!
//! [`InvoiceInputs`]: tenure_catalog::invoicing::InvoiceInputs

mod archive;
mod event;
mod needed;
mod report;
mod stated;
mod totals;
mod verify;

pub use self::{
    archive::{Manifest, Writer},
    event::Event,
    needed::{Needed, needed},
    report::{Check, Report},
    stated::Stated,
    totals::Sums,
    verify::verify,
};

/// The format that is written.
pub const FORMAT: &str = "tenure-evidence/1";
/// Largest text of an entry that is read whole, in bytes.
pub const TEXT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Largest archive when unpacked, in bytes.
pub const UNPACKED_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;
/// Longest line of an event, in bytes.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// Entries at most.
pub const ENTRIES_MAX: usize = 2_000;

/// Why an archive cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It is not such an archive.
    #[error("this is no evidence archive: {0}")]
    Malformed(String),
    /// An entry is no JSON of its form.
    #[error("`{entry}` cannot be read: {source}")]
    Json {
        /// Which.
        entry: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Larger than a named limit.
    #[error("the archive is larger than what is read: {0}")]
    TooLarge(String),
    /// A product file in it is not one.
    #[error("the product file `{0}` cannot be read: {1}")]
    Product(String, String),
}
