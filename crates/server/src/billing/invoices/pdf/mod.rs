//! Invoices and credit notes as PDF: PDF/A-2a, tagged, the same bytes whenever it is asked for.
//!
//! Owns: setting a document on sheets and writing the file. Refuses: the clock (the
//! file's date is the one of the document) and anything that happens to an issued
//! invoice later, but that it becomes void.

pub mod api;
mod font;
mod frame;
mod layout;
mod note;
mod paper;
mod write;

use tenure_core::{CreditNoteId, InvoiceId, TenantId};

use super::{
    model::CreditNote,
    told::{Told, told},
};
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
    made(name, move || print(&told)).await
}

/// A credit note of an invoice as PDF. Only what was issued has any, so drafts have none for anybody.
///
/// # Errors
/// 404 for an unknown invoice, and for a credit note that is not one of its own.
pub async fn note_document(
    app: &App,
    tenant: TenantId,
    invoice: InvoiceId,
    id: CreditNoteId,
) -> Result<Pdf, Problem> {
    let told = told(app, tenant, invoice, true).await?;
    let note = told.invoice.credit_notes.iter().find(|note| note.id == id).cloned();
    let note = note.ok_or_else(|| Problem::not_found("credit note"))?;
    made(format!("{}.pdf", note.number), move || print_note(&told, &note)).await
}

/// Made on a thread beside the requests: it takes some milliseconds a sheet.
async fn made(
    name: String,
    print: impl FnOnce() -> Result<Vec<u8>, write::Error> + Send + 'static,
) -> Result<Pdf, Problem> {
    let bytes = tokio::task::spawn_blocking(print).await;
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

/// The file of a credit note.
fn print_note(told: &Told, note: &CreditNote) -> Result<Vec<u8>, write::Error> {
    let about = write::About {
        title: note::title(note),
        author: super::words::seller(told.seller()).name,
        id: note.id.to_string(),
        at: note.created_at,
    };
    write::file(note::lay_out(told, note), &about)
}

#[cfg(test)]
mod tests;
