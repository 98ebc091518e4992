//! An earlier period, rated again: the difference to what was billed, charge by
//! charge, each citing the line that it corrects. What was billed includes
//! earlier corrections, so the same totals again give no line.

use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use tenure_core::{Currency, Money};

use super::{
    Error, Versions,
    inputs::{BilledLine, Committed, Correction, PeriodInputs},
    lines::{Cite, DraftLine, LineKind, NO_EVENTS, parse_digest, period_lines},
};
use crate::plan::Part;

/// The lines that correct a period.
pub(super) fn lines(
    correction: &Correction,
    committed: &[Committed],
    versions: &Versions<'_>,
    currency: Currency,
) -> Result<Vec<DraftLine>, Error> {
    let now = joined(period_lines(&correction.now, committed, versions)?)?;
    let same = |line: &DraftLine, billed: &BilledLine| {
        (&line.plan, &line.charge) == (&billed.plan, &billed.charge)
    };
    let mut all = Vec::new();
    for line in &now {
        let before = correction.billed.iter().find(|billed| same(line, billed));
        all.extend(difference(&correction.now, line.clone(), before, currency)?);
    }
    // What is not charged any more is taken back.
    for billed in correction.billed.iter().filter(|one| !now.iter().any(|line| same(line, one))) {
        let nothing = nothing_of(correction, billed);
        all.extend(difference(&correction.now, nothing, Some(billed), currency)?);
    }
    Ok(all)
}

/// Moves what earlier periods count towards a minimum by what `lines` correct.
pub(super) fn carry(
    committed: &mut Vec<Committed>,
    lines: &[DraftLine],
    period: &PeriodInputs,
) -> Result<(), Error> {
    for line in lines.iter().filter(|line| matches!(line.part, Part::Plan | Part::Overage)) {
        let same = |one: &&mut Committed| one.n == line.n && one.plan == line.plan;
        match committed.iter_mut().find(same) {
            Some(one) => one.amount = one.amount.checked_add(line.amount)?,
            None => committed.push(Committed {
                n: line.n,
                start: period.period.start,
                plan: line.plan.clone(),
                amount: line.amount,
            }),
        }
    }
    Ok(())
}

/// One line a plan and charge: a period may have been cut otherwise before.
fn joined(lines: Vec<DraftLine>) -> Result<Vec<DraftLine>, Error> {
    let mut all: Vec<DraftLine> = Vec::new();
    for line in lines {
        let same =
            |known: &&mut DraftLine| (&known.plan, &known.charge) == (&line.plan, &line.charge);
        let Some(known) = all.iter_mut().find(same) else {
            all.push(line);
            continue;
        };
        known.amount = known.amount.checked_add(line.amount)?;
        known.quantity += line.quantity;
        known.from = known.from.min(line.from);
        known.to = known.to.max(line.to);
        known.events = known.events.saturating_add(line.events);
        let digest = parse_digest(&known.digest)? ^ parse_digest(&line.digest)?;
        known.digest = format!("{digest:032x}");
        known.arithmetic = format!("{}; {}", known.arithmetic, line.arithmetic);
        known.version = line.version;
    }
    Ok(all)
}

fn difference(
    period: &PeriodInputs,
    line: DraftLine,
    before: Option<&BilledLine>,
    currency: Currency,
) -> Result<Option<DraftLine>, Error> {
    let billed = before.map_or(Money::zero(currency), |before| before.amount);
    let amount = line.amount.checked_add(billed.checked_neg()?)?;
    if amount.is_zero() {
        return Ok(None);
    }
    let quantity = line.quantity - before.map_or(Decimal::ZERO, |before| before.quantity);
    let arithmetic = format!(
        "{} now ({}) - {} billed = {}",
        line.amount.display(),
        line.arithmetic,
        billed.display(),
        amount.display()
    );
    let description = format!("Correction of {}: {}", dates(period), line.description);
    let cites = before.map(|before| Cite { invoice: before.invoice.clone(), line: before.line });
    Ok(Some(DraftLine {
        kind: LineKind::Adjustment,
        description,
        quantity: quantity.normalize(),
        arithmetic,
        amount,
        cites,
        ..line
    }))
}

/// A charge that was billed and is not due any more.
fn nothing_of(correction: &Correction, billed: &BilledLine) -> DraftLine {
    let period = &correction.now;
    let last = period.segments.last();
    DraftLine {
        kind: LineKind::Charge,
        n: period.n,
        from: period.period.start,
        to: period.period.end,
        plan: billed.plan.clone(),
        charge: billed.charge.clone(),
        part: billed.part,
        description: billed.description.clone(),
        quantity: Decimal::ZERO,
        unit: billed.unit.clone(),
        arithmetic: "not due".to_owned(),
        amount: Money::zero(billed.amount.currency()),
        version: last.map(|segment| segment.version.clone()).unwrap_or_default(),
        cutoff: period.cutoff,
        meter: None,
        events: 0,
        digest: NO_EVENTS.to_owned(),
        cites: None,
    }
}

/// `2026-03-01 to 2026-03-31`, both included.
fn dates(period: &PeriodInputs) -> String {
    let zone = period.segments.first().map(|segment| segment.terms.calendar_zone());
    let zone = zone.and_then(|zone| TimeZone::get(zone).ok()).unwrap_or(TimeZone::UTC);
    let last = period.period.end - jiff::SignedDuration::from_nanos(1);
    let date = |at: jiff::Timestamp| at.to_zoned(zone.clone()).date();
    format!("{} to {}", date(period.period.start), date(last))
}
