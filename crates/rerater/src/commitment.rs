//! The least that is paid: what is missing when its month or year ends becomes a line.

use std::collections::BTreeMap;

use crate::books::Books;
use crate::exact::{Exact, above, whole};
use crate::input::Span;
use crate::invoice::{self, Part};
use crate::{Result, calendar, usage};

/// The line's id.
const LINE: &str = "commitment";

/// What is missing in the months or years that end in a period. "A `commitment` is the least that is
/// paid. What is missing when its interval ends becomes a line of that invoice." (product-file.md;
/// SPEC 12: "the yearly minimum is a true-up line")
pub(crate) fn parts(books: &Books<'_>, period: Span) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for run in usage::runs(books) {
        let Some(first) = run.stretches.first() else { continue };
        let Some((unit, least)) = books.plan(first)?.commitment else { continue };
        let until_now = Span { from: run.span.from, to: run.span.to.min(period.to) };
        if until_now.from >= until_now.to {
            continue;
        }
        for interval in books.intervals(unit, until_now)? {
            // Cut where the plan begins or ends; the least is then as much of it as was lived.
            let cut =
                Span { from: interval.from.max(run.span.from), to: interval.to.min(run.span.to) };
            if !(period.from < cut.to && cut.to <= period.to) {
                continue;
            }
            let least = &least * calendar::share(cut, interval);
            let missing = above(&least, &paid(books, cut)?);
            if missing > whole(0) {
                parts.push(Part {
                    line: LINE.to_owned(),
                    at: cut.to,
                    closes: true,
                    quantity: whole(1),
                    amount: missing,
                    why: format!("at least {least} from {} to {}", cut.from, cut.to),
                });
            }
        }
    }
    Ok(parts)
}

/// What the invoices say was to be paid for a span: their lines, rounded as they stand there.
fn paid(books: &Books<'_>, span: Span) -> Result<Exact> {
    let mut sum = whole(0);
    let extras = books.extra_ids();
    for period in &books.input.periods {
        if period.from >= span.to || period.to <= span.from {
            continue;
        }
        let mut lines: BTreeMap<String, Exact> = BTreeMap::new();
        for part in invoice::parts_without_commitment(books, *period)? {
            // "Add-ons and services do not count against it." (product-file.md)
            if extras.contains(&part.line) {
                continue;
            }
            // A price falls due at the start of something, usage at the end of it.
            let inside = if part.closes {
                span.from < part.at && part.at <= span.to
            } else {
                span.from <= part.at && part.at < span.to
            };
            if inside {
                *lines.entry(part.line).or_insert_with(|| whole(0)) += part.amount;
            }
        }
        for amount in lines.values() {
            sum += invoice::rounded(amount, &books.currency()?);
        }
    }
    Ok(sum)
}
