//! Reading a product file: text in, a [`Product`] or every mistake out.
//!
//! Three passes, each over the whole file, so that all mistakes appear at once:
//! the TOML text, the grammar ([`check`]), then what the grammar cannot say
//! (`build`, `plans`, `parts`: references, prices, what a model needs).

mod build;
mod charges;
mod check;
mod node;
mod parts;
mod plans;
mod report;

use toml::de::DeTable;

use self::{node::Node, report::Report};
use crate::{
    diagnostic::Diagnostic,
    grammar::{FILE, Shape},
    model::Product,
};

/// Largest product file, in bytes.
const FILE_BYTES_MAX: usize = 512 * 1024;

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
    ///
    /// Files of more than 512 KiB are refused unread.
    pub fn parse(text: &str, file_name: &str) -> Result<Product, Vec<Diagnostic>> {
        Self::check(text, file_name).map(|parsed| parsed.product)
    }

    /// As [`Self::parse`], with the warnings of a file that is accepted.
    pub fn check(text: &str, file_name: &str) -> Result<Parsed, Vec<Diagnostic>> {
        let mut report = Report::new(file_name, text);
        if text.len() > FILE_BYTES_MAX {
            report.error(
                &(0..0),
                format!("the file has {} bytes: at most {FILE_BYTES_MAX}", text.len()),
                None,
            );
            return Err(report.finish());
        }
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            report_syntax(&mut report, error);
        }
        let root = Node::of_table(table.get_ref(), 0..0);
        // Half-read tables would look like missing keys: the text comes first.
        if !errors.is_empty() {
            return Err(report.finish());
        }
        check::check(&mut report, &root, &Shape::Table(&FILE), "file");
        let product = build::product(&mut report, &root);
        let failed = report.has_errors();
        let found = report.finish();
        match product {
            Some(product) if !failed => Ok(Parsed { product, warnings: found }),
            _ => Err(found),
        }
    }
}

fn report_syntax(report: &mut Report<'_>, error: &toml::de::Error) {
    let span = error.span().unwrap_or(0..0);
    let message = error.message();
    let hint = message
        .contains("duplicate key")
        .then(|| "an id is used once: rename one of the two, or join them".to_owned());
    report.error(&span, message, hint);
}
