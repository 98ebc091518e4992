//! The archive itself: entries in a fixed order, then what they digest to.

use std::io::{self, Read, Write};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use tar::{Builder, EntryType, Header};
use tenure_catalog::invoicing::InvoiceInputs;
use tenure_license::Digest;

use crate::{Error, FORMAT, Needed, Stated};

/// Compression of the archive: the default of the library.
const ZSTD_LEVEL: i32 = 3;
/// Of every entry: nothing in an archive depends on when it was written.
const MODE: u32 = 0o644;

pub(crate) const INVOICE: &str = "invoice.json";
pub(crate) const INPUTS: &str = "inputs.json";
pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const PRODUCTS: &str = "products/";
pub(crate) const USAGE: &str = "usage/";

/// What is in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// Every entry before this one, in order.
    pub entries: Vec<ManifestEntry>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestEntry {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256, in hex.
    pub sha256: String,
}

/// Writes an archive; the same evidence gives the same bytes.
pub struct Writer<W: Write> {
    tar: Builder<zstd::Encoder<'static, W>>,
    entries: Vec<ManifestEntry>,
}

impl<W: Write> Writer<W> {
    /// An archive of the invoice, its inputs and the files of the product versions, by name.
    ///
    /// # Errors
    /// Where `to` cannot be written.
    pub fn new<'t>(
        to: W,
        stated: &Stated,
        inputs: &InvoiceInputs,
        products: impl IntoIterator<Item = (&'t str, &'t str)>,
    ) -> Result<Self, Error> {
        let tar = Builder::new(zstd::Encoder::new(to, ZSTD_LEVEL)?);
        let mut writer = Self { tar, entries: Vec::new() };
        writer.json(INVOICE, stated)?;
        writer.json(INPUTS, inputs)?;
        for (version, text) in products {
            writer.put(&format!("{PRODUCTS}{version}.toml"), text.as_bytes())?;
        }
        Ok(writer)
    }

    /// The events of one meter at one cut-off, as lines by (time, hash): `events` reads them,
    /// `bytes` is their length.
    ///
    /// # Errors
    /// Where the archive cannot be written.
    pub fn usage(&mut self, of: &Needed, bytes: u64, mut events: impl Read) -> Result<(), Error> {
        let name = of.entry();
        let mut hashed = Hashed::new(&mut events);
        self.tar.append_data(&mut header(bytes), &name, &mut hashed)?;
        let sha256 = hashed.finish();
        self.entries.push(ManifestEntry { name, bytes, sha256 });
        Ok(())
    }

    /// Closes the archive.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn finish(mut self) -> Result<W, Error> {
        let entries = std::mem::take(&mut self.entries);
        self.json(MANIFEST, &Manifest { format: FORMAT.to_owned(), entries })?;
        Ok(self.tar.into_inner()?.finish()?)
    }

    fn json(&mut self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(value)
            .map_err(|source| Error::Json { entry: name.to_owned(), source })?;
        self.put(name, &text)
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let len = bytes.len() as u64;
        self.tar.append_data(&mut header(len), name, bytes)?;
        let sha256 = Digest::sha256(bytes).to_string();
        self.entries.push(ManifestEntry { name: name.to_owned(), bytes: len, sha256 });
        Ok(())
    }
}

fn header(bytes: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(MODE);
    header.set_size(bytes);
    header
}

/// Passes bytes on and digests them.
pub(crate) struct Hashed<R> {
    of: R,
    hash: digest::Context,
}

impl<R: Read> Hashed<R> {
    pub(crate) fn new(of: R) -> Self {
        Self { of, hash: digest::Context::new(&digest::SHA256) }
    }

    /// SHA-256 of what passed, in hex.
    pub(crate) fn finish(self) -> String {
        hex::encode(self.hash.finish())
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.of.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}
