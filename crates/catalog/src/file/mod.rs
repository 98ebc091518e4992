//! Reading a product file: text in, a [`Product`] or every mistake out.
//!
//! Three passes, each over the whole file, so that all mistakes appear at once:
//! the TOML text, the grammar ([`check`]), then what the grammar cannot say
//! (`build` and the modules beside it: references, prices, what a model needs).

mod build;
mod charges;
mod check;
mod currencies;
mod extras;
mod limits;
mod node;
mod parts;
mod plans;
mod report;
mod running;

use toml::de::DeTable;

use self::{currencies::Currencies, node::Node, report::Report};
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
        let broken = report_syntax(&mut report, text, &errors);
        // Half-read tables would look like missing keys: the text comes first.
        if broken {
            return Err(report.finish());
        }
        let root = Node::of_table(table.get_ref(), 0..0);
        let product = read(&mut report, &root);
        let failed = report.has_errors();
        let found = report.finish();
        match product {
            Some(product) if !failed => Ok(Parsed { product, warnings: found }),
            _ => Err(found),
        }
    }
}

/// The product in its first currency, with what it is in each other.
fn read(report: &mut Report<'_>, root: &Node) -> Option<Product> {
    let currencies = Currencies::read(report, root);
    let mut read = |currency| {
        let tree = currencies.tree(report, root, currency);
        check::check(report, &tree, &Shape::Table(&FILE), "file");
        build::product(report, &tree, currency)
    };
    let mut product = read(currencies.base)?;
    product.others = currencies.others.iter().filter_map(|currency| read(*currency)).collect();
    Some(product)
}

/// Reports what is no TOML. Returns whether the rest cannot be read: after a
/// name that is used twice it can.
fn report_syntax(report: &mut Report<'_>, text: &str, errors: &[toml::de::Error]) -> bool {
    let mut broken = false;
    let mut told_until = 0;
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        if error.message() != "duplicate key" {
            broken = true;
            report.error(&span, error.message(), None);
            continue;
        }
        // Every key of a second table is a second key: the table is told once.
        if span.start < told_until {
            continue;
        }
        let name = text.get(span.clone()).unwrap_or_default();
        let before = text.get(..span.start).unwrap_or_default();
        let line = text.get(before.rfind('\n').map_or(0, |at| at + 1)..).unwrap_or_default();
        let line = line.lines().next().unwrap_or_default().trim();
        let first = text.lines().position(|other| other.trim() == line).map_or(1, |at| at + 1);
        let hint = if line.starts_with('[') {
            let after = text.get(span.start..).and_then(|rest| rest.find("\n["));
            told_until = after.map_or(text.len(), |at| span.start + at);
            format!("the first is on line {first}; rename one of the two, or join them")
        } else {
            "rename one of the two, or remove it".to_owned()
        };
        report.error(&span, format!("`{name}` is defined twice"), hint);
    }
    broken
}
