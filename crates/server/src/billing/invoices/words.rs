//! How documents and pages say what stands on an invoice.

use jiff::{Timestamp, ToSpan, civil::Time, tz::TimeZone};
use serde_json::Value;
use tenure_catalog::rating::words;
use tenure_core::Money;

use super::{
    InvoiceStatus,
    model::{InvoiceLine, InvoiceTax},
    told::Told,
};

/// Lines of an address that are shown.
const ADDRESS_LINES_MAX: usize = 8;
/// Characters of one of them.
const ADDRESS_LINE_LEN_MAX: usize = 120;
/// The fields of an address that people know, in the order of an envelope; those
/// of one entry share a line.
const ADDRESS: [&[&str]; 7] = [
    &["line1", "street"],
    &["line2"],
    &["line3"],
    &["postal_code", "city"],
    &["region", "state"],
    &["country"],
    &["attention"],
];

/// `1 Mar 2026`
pub(crate) fn date(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%-d %b %Y").to_string()
}

/// `1 Mar 2026 to 31 Mar 2026`; with the hours where a day is cut.
pub(crate) fn period(start: Timestamp, end: Timestamp, zone: &TimeZone) -> String {
    let (from, to) = (start.to_zoned(zone.clone()), end.to_zoned(zone.clone()));
    let whole = from.time() == Time::midnight() && to.time() == Time::midnight() && from < to;
    match to.date().checked_sub(1.day()) {
        Ok(last) if whole && last == from.date() => date(start, zone),
        Ok(last) if whole => format!("{} to {}", date(start, zone), last.strftime("%-d %b %Y")),
        _ => {
            let exact = |at: jiff::Zoned| at.strftime("%-d %b %Y, %H:%M").to_string();
            format!("{} to {}", exact(from), exact(to))
        }
    }
}

fn cut(text: &str) -> String {
    text.trim().chars().take(ADDRESS_LINE_LEN_MAX).collect()
}

/// A text of an object, when it says something.
fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value[field].as_str().map(str::trim).filter(|text| !text.is_empty())
}

/// An address line by line.
fn address(value: &Value) -> Vec<String> {
    let lines = ADDRESS.iter().map(|fields| {
        let parts: Vec<&str> = fields.iter().filter_map(|field| text(value, field)).collect();
        parts.join(" ")
    });
    lines.filter(|line| !line.is_empty()).map(|line| cut(&line)).take(ADDRESS_LINES_MAX).collect()
}

/// A party of an invoice: its name, and what stands below it.
pub(crate) struct Party {
    pub(crate) name: String,
    pub(crate) lines: Vec<String>,
}

/// Who sells, as the invoice names it.
pub(crate) fn seller(value: &Value) -> Party {
    let legal = text(value, "legal_name").or_else(|| text(value, "name"));
    let mut lines = address(&value["address"]);
    let ids = value["tax_ids"].as_object();
    for (kind, id) in ids.into_iter().flatten().take(ADDRESS_LINES_MAX) {
        if let Some(id) = id.as_str() {
            lines.push(cut(&format!("{} {id}", kind.replace('_', " ").to_uppercase())));
        }
    }
    Party { name: cut(legal.unwrap_or("The seller")), lines }
}

/// Who pays, as the invoice names it.
pub(crate) fn buyer(value: &Value) -> Party {
    let mut lines = address(&value["address"]);
    lines.extend(text(value, "tax_id").map(|id| cut(&format!("Tax id {id}"))));
    lines.extend(text(value, "email").map(cut));
    Party { name: cut(text(value, "name").unwrap_or("The buyer")), lines }
}

/// `34,000 events`
pub(crate) fn quantity(line: &InvoiceLine) -> String {
    words::counted(line.quantity, &line.unit)
}

/// What a line is besides a charge.
pub(crate) fn kind(line: &InvoiceLine) -> Option<&'static str> {
    match (line.kind.as_str(), line.charge.as_str()) {
        ("adjustment", _) => Some("Adjustment"),
        (_, "commitment") => Some("Minimum"),
        _ => None,
    }
}

/// The time that a line is for, where it is not the invoice's own.
pub(crate) fn time_of(line: &InvoiceLine, told: &Told) -> Option<String> {
    let summary = &told.invoice.summary;
    let own = (summary.period_start, summary.period_end);
    ((line.from, line.to) != own).then(|| period(line.from, line.to, &told.zone))
}

/// `corrects line 2 of ACME-000041`
pub(crate) fn corrects(line: &InvoiceLine, told: &Told) -> Option<String> {
    let (id, number) = line.cites_invoice.zip(line.cites_line)?;
    let of = told.cited.get(&id);
    let of = of.map(|cited| match &cited.number {
        Some(number) => number.clone(),
        None => {
            let time = period(cited.period_start, cited.period_end, &told.zone);
            format!("the invoice for {time}")
        }
    });
    Some(format!("corrects line {number} of {}", of.unwrap_or_else(|| id.to_string())))
}

/// `VAT 19% on $99.00`
pub(crate) fn tax(tax: &InvoiceTax) -> String {
    format!("{} {}% on {}", tax.name, words::number(tax.percent), tax.base.display())
}

/// Used credit, or credit that an invoice below zero left: the words and the amount
/// as it changes what is due.
pub(crate) fn credit(credit: Money) -> Option<(&'static str, String)> {
    match credit.minor() {
        0 => None,
        1.. => credit.checked_neg().ok().map(|amount| ("Credit used", amount.display())),
        _ => credit.checked_neg().ok().map(|amount| ("Put on the balance", amount.display())),
    }
}

/// What the document says across itself.
pub(crate) fn stamp(status: InvoiceStatus) -> Option<&'static str> {
    match status {
        InvoiceStatus::Draft => Some("DRAFT"),
        InvoiceStatus::Void => Some("VOID"),
        InvoiceStatus::Issued | InvoiceStatus::Paid | InvoiceStatus::Uncollectible => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_period_of_whole_days_ends_with_its_last_day() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let kathmandu = TimeZone::get("Asia/Kathmandu").unwrap();
        let march = (at("2026-02-28T18:15:00Z"), at("2026-03-31T18:15:00Z"));
        assert_eq!(period(march.0, march.1, &kathmandu), "1 Mar 2026 to 31 Mar 2026");
        assert_eq!(
            period(march.0, march.1, &TimeZone::UTC),
            "28 Feb 2026, 18:15 to 31 Mar 2026, 18:15"
        );
        let day = (at("2026-03-01T00:00:00Z"), at("2026-03-02T00:00:00Z"));
        assert_eq!(period(day.0, day.1, &TimeZone::UTC), "1 Mar 2026");
    }

    #[test]
    fn an_address_is_told_as_on_an_envelope() {
        let value = json!({ "name": "Acme", "address": { "country": "DE", "city": "Bonn",
            "postal_code": "53111", "line1": "Am Markt 1", "floor": 3 }, "tax_id": "DE1", "email": null });
        let party = buyer(&value);
        assert_eq!(party.name, "Acme");
        assert_eq!(party.lines, ["Am Markt 1", "53111 Bonn", "DE", "Tax id DE1"]);
        let nobody = seller(&Value::Null);
        assert_eq!((nobody.name.as_str(), nobody.lines.len()), ("The seller", 0));
    }
}
