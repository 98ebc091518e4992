//! Invoices as PDF: PDF/A-2a, tagged, the same bytes whenever it is asked for.
//!
//! Owns: setting an invoice on sheets and writing the file. Refuses: the clock (the
//! file's date is the one of the invoice) and anything that happens to an issued
//! invoice later, but that it becomes void.

pub mod api;
mod below;
mod font;
mod layout;
mod paper;
mod write;

use tenure_core::{InvoiceId, TenantId};

use super::told::{Told, told};
use crate::{App, http::Problem};

/// Lines at most: more than any product file comes to.
pub const LINES_MAX: usize = 10_000;

/// A PDF, ready to be sent.
pub struct Pdf {
    /// The file.
    pub bytes: Vec<u8>,
    /// What to call it.
    pub name: String,
}

/// An invoice as PDF; `issued_only` for the tenant, for whom drafts do not exist.
///
/// # Errors
/// 404 for an unknown invoice, 413 for one with more than [`LINES_MAX`] lines.
pub async fn document(
    app: &App,
    tenant: TenantId,
    id: InvoiceId,
    issued_only: bool,
) -> Result<Pdf, Problem> {
    let told = told(app, tenant, id, issued_only).await?;
    if told.invoice.lines.len() > LINES_MAX {
        let detail = format!("An invoice of more than {LINES_MAX} lines is not made a PDF.");
        return Err(Problem::too_large(detail));
    }
    let number = told.invoice.summary.number.clone();
    let name = format!("{}.pdf", number.unwrap_or_else(|| format!("draft-{id}")));
    let bytes = tokio::task::spawn_blocking(move || print(&told)).await;
    let bytes = bytes.map_err(Problem::internal)?.map_err(Problem::internal)?;
    Ok(Pdf { bytes, name })
}

/// The file.
fn print(told: &Told) -> Result<Vec<u8>, write::Error> {
    write::file(layout::lay_out(told), &about(told))
}

/// What the file says of itself.
fn about(told: &Told) -> write::About {
    let summary = &told.invoice.summary;
    write::About {
        title: layout::title(told),
        author: super::words::seller(told.seller()).name,
        id: summary.id.to_string(),
        at: summary.issued_at.unwrap_or(summary.drafted_at),
    }
}

#[cfg(test)]
mod tests;
