//! Reading a product file: text in, a [`Product`] or every mistake out.

use crate::{diagnostic::Diagnostic, model::Product};

/// Largest product file, in bytes.
pub const FILE_BYTES_MAX: usize = 512 * 1024;

/// The reader of product files.
#[derive(Debug, Clone, Copy)]
pub struct ProductFile;

/// A file without errors.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// What it says.
    pub product: Product,
    /// What looks odd in it.
    pub warnings: Vec<Diagnostic>,
}

impl ProductFile {
    /// The product, or every mistake (warnings among them) in file order.
    pub fn parse(text: &str, file_name: &str) -> Result<Product, Vec<Diagnostic>> {
        Self::check(text, file_name).map(|parsed| parsed.product)
    }

    /// As [`Self::parse`], with the warnings of a file that is accepted.
    pub fn check(text: &str, file_name: &str) -> Result<Parsed, Vec<Diagnostic>> {
        let _ = (text, file_name);
        Err(Vec::new())
    }
}
