//! The file, as others read it: `pdftotext` and `pdfinfo`, where poppler is installed.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
};

use proptest::prelude::*;
use serde_json::json;
use tenure_core::{
    BillingAccountId, CreditNoteId, Currency, InvoiceId, Money, SellerId, SubscriptionId, TenantId,
};
use tenure_license::Digest;

use super::*;
use crate::billing::invoices::{
    Invoice, InvoiceStatus, InvoiceSummary,
    model::{InvoiceLine, InvoiceTax},
};

fn at(text: &str) -> jiff::Timestamp {
    text.parse().unwrap()
}

fn eur(minor: i64) -> Money {
    Money::from_minor(minor, Currency::from_code("EUR").unwrap())
}

fn line(number: i32, description: &str) -> InvoiceLine {
    InvoiceLine {
        part: "overage".to_owned(),
        line: number,
        kind: "charge".to_owned(),
        period: 0,
        from: at("2026-02-28T23:00:00Z"),
        to: at("2026-03-31T22:00:00Z"),
        plan: "pro".to_owned(),
        charge: "overage.events".to_owned(),
        description: description.to_owned(),
        quantity: 34_000.into(),
        unit: "event".to_owned(),
        arithmetic: format!(
            "(1,034,000 - 1,000,000 included) = 34,000 / 1,000 x 0.05 EUR, row {number}"
        ),
        amount: eur(170),
        tax: eur(32),
        version: "v".to_owned(),
        cutoff: 0,
        meter: Some("events".to_owned()),
        events: 3,
        digest: "00".repeat(16),
        cites_invoice: None,
        cites_line: None,
    }
}

/// An invoice with so many lines, always the same.
fn told_of(lines: i32, status: InvoiceStatus) -> Told {
    let id = |n: u128| uuid::Uuid::from_u128(n);
    let issued = status != InvoiceStatus::Draft;
    let count = i64::from(lines);
    let summary = InvoiceSummary {
        id: InvoiceId::from_uuid(id(1)),
        tenant_id: TenantId::from_uuid(id(2)),
        number: issued.then(|| "ACME-000042".to_owned()),
        status,
        seller_id: SellerId::from_uuid(id(3)),
        billing_account_id: BillingAccountId::from_uuid(id(4)),
        subscription_id: SubscriptionId::from_uuid(id(5)),
        product: "kg-rca".to_owned(),
        period: 0,
        period_start: at("2026-02-28T23:00:00Z"),
        period_end: at("2026-03-31T22:00:00Z"),
        subtotal: eur(170 * count),
        tax: eur(32 * count),
        total: eur(202 * count),
        credit: eur(2 * count),
        due: issued.then(|| eur(200 * count)),
        outstanding: eur(0),
        net_days: 30,
        drafted_at: at("2026-03-31T22:00:05Z"),
        finalise_after: at("2026-04-01T22:00:00Z"),
        issued_at: issued.then(|| at("2026-04-01T22:00:01Z")),
        due_at: issued.then(|| at("2026-05-01T22:00:01Z")),
        paid_at: None,
        closed_at: (status == InvoiceStatus::Void).then(|| at("2026-04-10T08:00:00Z")),
    };
    let tax = InvoiceTax {
        name: "VAT".to_owned(),
        percent: 19.into(),
        note: Some("Charged where the buyer is.".to_owned()),
        base: summary.subtotal,
        amount: summary.tax,
    };
    let invoice = Invoice {
        seller: Some(json!({ "legal_name": "Ακμή & Söhne ΑΕ",
            "address": { "line1": "Am Markt 1", "postal_code": "53111", "city": "Bonn", "country": "DE" },
            "tax_ids": { "eu_vat": "DE123456789" } })),
        buyer: Some(
            json!({ "name": "Общество Ромашка", "tax_id": "RU77", "email": "pay@romashka.example" }),
        ),
        lines: (1..=lines)
            .map(|number| line(number, &format!("Events of team {number}")))
            .collect(),
        taxes: vec![tax],
        credit_notes: Vec::new(),
        summary,
    };
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let (versions, cited) = (BTreeMap::new(), BTreeMap::new());
    Told { invoice, zone, product: "KG RCA".to_owned(), versions, cited }
}

/// What a program of poppler says of the file; `None` where it is not installed.
fn poppler(program: &str, arguments: &[&str], file: &[u8]) -> Option<String> {
    let mut command = Command::new(program);
    let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().ok()?;
    let mut input = child.stdin.take().unwrap();
    let file = file.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&file));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{program} refuses the file");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// The text of the file, blanks and line breaks as one blank.
fn text(file: &[u8]) -> Option<String> {
    let text = poppler("pdftotext", &["-layout", "-", "-"], file);
    if text.is_none() {
        println!("left out: install poppler-utils (scripts/test does)");
    }
    text.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A credit note of [`told_of`]'s invoice.
fn note_of(amount: i64, tax: i64, to_balance: i64, reason: &str) -> CreditNote {
    CreditNote {
        id: CreditNoteId::from_uuid(uuid::Uuid::from_u128(6)),
        number: "ACME-CN-000007".to_owned(),
        invoice_id: InvoiceId::from_uuid(uuid::Uuid::from_u128(1)),
        amount: eur(amount),
        tax: eur(tax),
        to_balance: eur(to_balance),
        reason: reason.to_owned(),
        created_at: at("2026-04-11T09:30:00Z"),
    }
}

#[test]
fn the_text_of_the_file_is_the_text_of_the_invoice() {
    let told = told_of(3, InvoiceStatus::Issued);
    let Some(text) = text(&print(&told).unwrap()) else { return };
    for said in [
        "ACME-000042",
        "Ακμή & Söhne ΑΕ",
        "EU VAT DE123456789",
        "Общество Ромашка",
        "1 Mar 2026 to 31 Mar 2026",
        "6.00 EUR due on 2 May 2026",
        "Events of team 1",
        "Events of team 3",
        "row 2",
        "34,000 events",
        "VAT 19% on 5.10 EUR",
        "6.06 EUR",
        "Credit used -0.06 EUR",
        "Charged where the buyer is.",
        "Page 1 of 1",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!text.contains("DRAFT") && !text.contains("VOID"));
}

#[test]
fn three_hundred_lines_flow_over_sheets_with_their_heads_repeated() {
    let told = told_of(300, InvoiceStatus::Issued);
    let file = print(&told).unwrap();
    let sheets = layout::lay_out(&told).sheets.len();
    assert!(sheets > 8, "{sheets}");
    let Some(text) = text(&file) else { return };
    for number in 1..=300 {
        assert!(text.contains(&format!("Events of team {number} ")), "{number}");
        assert!(text.contains(&format!("row {number} ")), "{number}");
    }
    assert_eq!(text.matches("What, and how its amount comes about").count(), sheets);
    assert!(text.contains(&format!("Page {sheets} of {sheets}")));
    assert!(text.contains("606.00 EUR"), "the total");
}

#[test]
fn nothing_stands_outside_its_sheet() {
    let mut told = told_of(40, InvoiceStatus::Draft);
    told.invoice.lines[3].description = "Donaudampfschifffahrts".repeat(40);
    told.invoice.lines[5].arithmetic = "1 + ".repeat(1_500);
    told.invoice.lines[7].unit = "unit of something with a very long name indeed".to_owned();
    let paper = layout::lay_out(&told);
    for sheet in &paper.sheets {
        for mark in &sheet.marks {
            if let paper::Mark::Text { x, y, style, run, .. } = mark {
                let end = x + run.width * style.size;
                assert!(*x >= paper::LEFT - 0.1 && end <= paper::RIGHT + 0.1, "{}", run.text);
                assert!(*y > 0.0 && *y < paper::HEIGHT - 20.0, "{}", run.text);
            }
        }
    }
    print(&told).unwrap();
}

#[test]
fn drafts_and_void_invoices_say_so() {
    let draft = text(&print(&told_of(1, InvoiceStatus::Draft)).unwrap());
    let void = text(&print(&told_of(1, InvoiceStatus::Void)).unwrap());
    let (Some(draft), Some(void)) = (draft, void) else { return };
    assert!(draft.contains("DRAFT: not issued") && !draft.contains("ACME-000042"), "{draft}");
    assert!(
        void.contains("VOID: annulled on 10 Apr 2026") && void.contains("ACME-000042"),
        "{void}"
    );
}

#[test]
fn what_was_paid_and_credited_later_changes_no_byte() {
    let issued = print(&told_of(3, InvoiceStatus::Issued)).unwrap();
    let mut later = told_of(3, InvoiceStatus::Paid);
    later.invoice.summary.paid_at = Some(at("2026-04-20T00:00:00Z"));
    later.invoice.summary.outstanding = eur(77);
    assert_eq!(print(&later).unwrap(), issued);
    assert_ne!(print(&told_of(3, InvoiceStatus::Void)).unwrap(), issued);
}

/// Customers keep what they were sent and compare: another digest means that every invoice
/// that was ever issued would come out as another file. See `docs/adr/0011-invoices-as-pdf.md`.
#[test]
fn the_bytes_are_those_of_the_releases_before() {
    let digest = Digest::sha256(&print(&told_of(12, InvoiceStatus::Issued)).unwrap());
    assert_eq!(digest.to_string(), DIGEST);
}

const DIGEST: &str = "c30e8b799caf1aa5834f773cc4315f72b9249af18ec66be8e1f8f2245eca1622";

#[test]
fn the_file_is_an_archivable_tagged_document() {
    let file = print(&told_of(3, InvoiceStatus::Issued)).unwrap();
    let read = String::from_utf8_lossy(&file);
    assert!(read.contains("<pdfaid:part>2</pdfaid:part>"), "PDF/A-2");
    assert!(read.contains("<pdfaid:conformance>A</pdfaid:conformance>"), "level A");
    let Some(info) = poppler("pdfinfo", &["-"], &file) else { return };
    assert!(info.contains("Tagged:          yes"), "{info}");
    assert!(info.contains("Title:           Invoice ACME-000042"), "{info}");
    let Some(structure) = poppler("pdfinfo", &["-struct-text", "-"], &file) else { return };
    for said in ["H1", "Table", "THead", "TH", "TD", "Events of team 2"] {
        assert!(structure.contains(said), "{said}: {structure}");
    }
}

#[test]
fn a_credit_note_says_of_which_invoice_how_much_why_and_where_it_went() {
    let told = told_of(3, InvoiceStatus::Paid);
    let note = note_of(500, 79, 200, "Outage on 3 March");
    let file = print_note(&told, &note).unwrap();
    let read = String::from_utf8_lossy(&file);
    assert!(read.contains("<pdfaid:part>2</pdfaid:part>"), "PDF/A-2");
    assert!(read.contains("<pdfaid:conformance>A</pdfaid:conformance>"), "level A");
    let Some(said_in) = text(&file) else { return };
    for said in [
        "Credit note ACME-CN-000007",
        "5.00 EUR credited for invoice ACME-000042",
        "Ακμή & Söhne ΑΕ",
        "Credited to",
        "Общество Ромашка",
        "Issued 11 Apr 2026",
        "Invoice ACME-000042",
        "of 2 Apr 2026",
        "1 Outage on 3 March 4.21 EUR",
        "Of invoice ACME-000042, over 6.06 EUR",
        "Subtotal 4.21 EUR",
        "VAT 19% 0.79 EUR",
        "Total credited 5.00 EUR",
        "Less to be paid on the invoice 3.00 EUR",
        "Put on the balance 2.00 EUR",
        "Charged where the buyer is.",
        "Page 1 of 1",
    ] {
        assert!(said_in.contains(said), "{said}: {said_in}");
    }
    // Without tax there is no part of it, and what did not go anywhere is not mentioned.
    let plain = print_note(&told, &note_of(500, 0, 500, "Sorry")).unwrap();
    let Some(plain) = text(&plain) else { return };
    assert!(plain.contains("Total credited 5.00 EUR Put on the balance 5.00 EUR"), "{plain}");
    assert!(!plain.contains("Subtotal") && !plain.contains("Less to be paid"), "{plain}");
}

#[test]
fn what_happens_to_the_invoice_changes_no_byte_of_its_credit_note() {
    let note = note_of(500, 79, 200, "Outage");
    let first = print_note(&told_of(3, InvoiceStatus::Issued), &note).unwrap();
    let mut later = told_of(3, InvoiceStatus::Uncollectible);
    later.invoice.summary.closed_at = Some(at("2026-08-20T00:00:00Z"));
    later.invoice.credit_notes = vec![note.clone(), note_of(1, 0, 0, "More")];
    assert_eq!(print_note(&later, &note).unwrap(), first);
}

#[test]
fn a_long_reason_flows_over_sheets() {
    let told = told_of(1, InvoiceStatus::Issued);
    let note = note_of(500, 79, 0, &"WWWW ".repeat(400));
    let sheets = note::lay_out(&told, &note).sheets.len();
    assert!(sheets > 1);
    let Some(text) = text(&print_note(&told, &note).unwrap()) else { return };
    assert_eq!(text.matches("WWWW").count(), 400);
    assert!(text.contains(&format!("Page {sheets} of {sheets}")), "{text}");
    assert!(text.contains("Credit note ACME-CN-000007, continued"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Names are what people type: whatever it is, there is a document.
    #[test]
    fn any_text_is_printed(name in any::<String>(), text in any::<String>(), lines in 0..4) {
        let mut told = told_of(lines, InvoiceStatus::Issued);
        told.invoice.buyer = Some(json!({ "name": name, "address": { "line1": text.clone() } }));
        for line in &mut told.invoice.lines {
            line.description.clone_from(&text);
        }
        prop_assert!(print(&told).is_ok());
        prop_assert!(print_note(&told, &note_of(5, 1, 2, &text)).is_ok());
    }
}

/// Documents of every kind, with texts that are hard: `scripts/full/pdf` has them validated by a
/// program that is not ours.
#[test]
#[ignore = "writes files for scripts/full/pdf"]
#[allow(clippy::disallowed_methods, reason = "the folder is the script's to name")]
fn documents_for_another_validator() {
    let dir = std::env::var("TENURE_PDF_DIR").expect("TENURE_PDF_DIR names a folder");
    let write = |name: &str, file: Vec<u8>| {
        std::fs::write(std::path::Path::new(&dir).join(name), file).unwrap();
    };
    write("one-line.pdf", print(&told_of(1, InvoiceStatus::Issued)).unwrap());
    write("no-line.pdf", print(&told_of(0, InvoiceStatus::Issued)).unwrap());
    write("many-sheets.pdf", print(&told_of(300, InvoiceStatus::Issued)).unwrap());
    write("draft.pdf", print(&told_of(40, InvoiceStatus::Draft)).unwrap());
    write("void.pdf", print(&told_of(3, InvoiceStatus::Void)).unwrap());
    let mut odd = told_of(2, InvoiceStatus::Paid);
    odd.invoice.buyer =
        Some(json!({ "name": "株式会社 \u{e001}\u{200b}\u{202e}\u{0} e\u{301} ﬁ 👩‍👩‍👧",
        "address": { "line1": "\u{ad}\t\u{feff}", "city": "Ω Ж ß é €" } }));
    odd.invoice.lines[0].description = "Donaudampfschifffahrts".repeat(40);
    odd.invoice.lines[1].description = " ".to_owned();
    odd.invoice.lines[1].arithmetic = "1 + ".repeat(1_500);
    write("odd-texts.pdf", print(&odd).unwrap());
    let told = told_of(3, InvoiceStatus::Issued);
    write("credit-note.pdf", print_note(&told, &note_of(500, 79, 200, "Outage")).unwrap());
    let long = note_of(500, 0, 0, &"Wörter und Κείμενο ".repeat(100));
    write("credit-note-sheets.pdf", print_note(&told, &long).unwrap());
}
