//! The lines of one period, each with its evidence.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tenure_core::{Money, period::billing_period_at};

use super::{
    Error, Versions,
    asked::{Of, asked},
    corrections,
    inputs::{Committed, MeterTotals, PeriodInputs, Segment, Total},
    product,
};
use crate::{
    contract::Terms,
    model::Product,
    plan::{Basis, Part},
    rating::{self, Line, MeterUsage, Usage, Window},
};

/// A line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DraftLine {
    /// What kind of line.
    pub kind: LineKind,
    /// Number of the period that it bills.
    pub n: i32,
    /// It is for the time from here,
    pub from: Timestamp,
    /// to before here.
    pub to: Timestamp,
    /// Id of the plan.
    pub plan: String,
    /// Id of the charge, add-on or service, `overage.<limit>` or `commitment`.
    pub charge: String,
    /// Where it stands on a bill.
    pub part: Part,
    /// For people.
    pub description: String,
    /// In units.
    pub quantity: Decimal,
    /// What one of them is called.
    pub unit: String,
    /// How the amount comes about.
    pub arithmetic: String,
    /// Rounded once; negative only in a correction.
    pub amount: Money,
    /// The product version whose prices these are.
    pub version: String,
    /// Usage of later generations is not counted.
    pub cutoff: i32,
    /// What was metered, where usage is billed.
    pub meter: Option<String>,
    /// How many events that comes from.
    pub events: i64,
    /// XOR over their hashes: 32 hex digits.
    pub digest: String,
    /// The line that this one corrects.
    pub cites: Option<Cite>,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// Of the invoice's own period.
    Charge,
    /// The difference to what an earlier invoice billed.
    Adjustment,
}

impl LineKind {
    /// The word of API and database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Adjustment => "adjustment",
        }
    }

    /// The kind of that word.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Charge, Self::Adjustment].into_iter().find(|kind| kind.word() == word)
    }
}

/// A line of an earlier invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cite {
    /// Id of the invoice.
    pub invoice: String,
    /// Number of the line.
    pub line: i32,
}

/// No events.
pub(super) const NO_EVENTS: &str = "00000000000000000000000000000000";

/// The lines of a period, segment by segment. `committed` says what periods
/// before it were billed towards a minimum.
pub fn period_lines(
    inputs: &PeriodInputs,
    committed: &[Committed],
    versions: &Versions<'_>,
) -> Result<Vec<DraftLine>, Error> {
    let mut all: Vec<DraftLine> = Vec::new();
    for segment in &inputs.segments {
        let product = product(versions, &segment.version)?;
        require_asked(product, segment, inputs)?;
        let mut usage = Usage {
            meters: usage(&segment.usage),
            year: usage(&segment.year),
            billed_before: None,
        };
        usage.billed_before = Some(billed_before(product, segment, inputs, committed, &all)?);
        let bill = rating::estimate(product, &segment.terms, inputs.period, &usage)?;
        for line in bill.lines {
            all.push(with_evidence(line, product, segment, inputs)?);
        }
    }
    Ok(all)
}

/// The lines of periods that follow each other: what one is billed counts towards a
/// minimum in the next. `committed` says what periods before the first were billed.
pub fn lines_in_a_row(
    periods: &[PeriodInputs],
    mut committed: Vec<Committed>,
    versions: &Versions<'_>,
) -> Result<Vec<DraftLine>, Error> {
    let mut all = Vec::new();
    for inputs in periods {
        let lines = period_lines(inputs, &committed, versions)?;
        corrections::carry(&mut committed, &lines, inputs)?;
        all.extend(lines);
    }
    Ok(all)
}

fn usage(totals: &[MeterTotals]) -> Vec<MeterUsage> {
    let window = |total: &Total| Window { start: total.start, quantity: total.quantity };
    let one = |totals: &MeterTotals| MeterUsage {
        meter: totals.meter.clone(),
        windows: totals.windows.iter().map(window).collect(),
    };
    totals.iter().map(one).collect()
}

/// The totals are exactly those that were asked for: none forgotten, none added.
fn require_asked(product: &Product, segment: &Segment, inputs: &PeriodInputs) -> Result<(), Error> {
    let wanted = asked(product, segment, inputs.period, inputs.as_of)?;
    let given = [(Of::Period, &segment.usage), (Of::Year, &segment.year)];
    for (of, totals) in given {
        let mut wanted = wanted.iter().filter(|asked| asked.of == of);
        for totals in totals {
            let asked = wanted.next().ok_or_else(|| Error::Totals(totals.meter.clone()))?;
            let same =
                asked.windows.len() == totals.windows.len()
                    && asked.windows.iter().zip(&totals.windows).all(|(window, total)| {
                        (window.start, window.end) == (total.start, total.end)
                    });
            if asked.meter != totals.meter || !same {
                return Err(Error::Totals(asked.meter.clone()));
            }
            for total in &totals.windows {
                parse_digest(&total.digest)?;
            }
        }
        if let Some(missing) = wanted.next() {
            return Err(Error::Totals(missing.meter.clone()));
        }
    }
    Ok(())
}

/// What counts towards the minimum of the segment's plan in its running interval:
/// earlier periods, and the segments before it in this one.
fn billed_before(
    product: &Product,
    segment: &Segment,
    inputs: &PeriodInputs,
    committed: &[Committed],
    lines: &[DraftLine],
) -> Result<Money, Error> {
    let nothing = Money::zero(product.currency);
    let plan = product.plan(&segment.terms.plan);
    let Some(commitment) = plan.and_then(|plan| plan.commitment) else { return Ok(nothing) };
    let terms = &segment.terms;
    let zone = rating::zone_of_calendar(terms)?;
    let (_, interval) =
        billing_period_at(terms.anchored(), &zone, commitment.every, inputs.period.start)
            .map_err(|_| rating::Error::BadPeriod)?;
    let from = interval.start.max(terms.began());
    let earlier = committed
        .iter()
        .filter(|one| one.n < inputs.n && one.plan == terms.plan)
        .filter(|one| one.start >= interval.start)
        .map(|one| one.amount);
    let before = lines
        .iter()
        .filter(|line| line.plan == terms.plan && line.from >= from)
        .filter(|line| matches!(line.part, Part::Plan | Part::Overage))
        .map(|line| line.amount);
    Ok(Money::sum(earlier.chain(before), product.currency)?)
}

fn with_evidence(
    line: Line,
    product: &Product,
    segment: &Segment,
    inputs: &PeriodInputs,
) -> Result<DraftLine, Error> {
    let terms = &segment.terms;
    let meter = meter_of(product, terms, &line.charge);
    let (mut events, mut digest) = (0i64, 0u128);
    for total in meter.iter().flat_map(|meter| evidence(segment, meter, &line)) {
        events = events.saturating_add(total.events);
        digest ^= parse_digest(&total.digest)?;
    }
    Ok(DraftLine {
        kind: LineKind::Charge,
        n: inputs.n,
        from: inputs.period.start.max(terms.start),
        to: terms.end.map_or(inputs.period.end, |end| end.min(inputs.period.end)),
        plan: terms.plan.clone(),
        charge: line.charge,
        part: line.part,
        description: line.description,
        quantity: line.quantity.normalize(),
        unit: line.unit,
        arithmetic: line.arithmetic,
        amount: line.amount,
        version: segment.version.clone(),
        cutoff: inputs.cutoff,
        meter,
        events,
        digest: format!("{digest:032x}"),
        cites: None,
    })
}

/// The totals that a line was rated with.
fn evidence<'a>(
    segment: &'a Segment,
    meter: &str,
    line: &Line,
) -> impl Iterator<Item = &'a Total> + use<'a> {
    // A true-up reads the year where there is one, everything else the period.
    let yearly = line.charge.strip_prefix("overage.").is_some()
        && segment.year.iter().any(|totals| totals.meter == meter);
    let list = if yearly { &segment.year } else { &segment.usage };
    let meter = meter.to_owned();
    list.iter().filter(move |totals| totals.meter == meter).flat_map(|totals| &totals.windows)
}

/// What a charge meters.
fn meter_of(product: &Product, terms: &Terms, charge: &str) -> Option<String> {
    if let Some(limit) = charge.strip_prefix("overage.") {
        return product.meter(limit).map(|meter| meter.id.clone());
    }
    let plan = product.plan(&terms.plan)?;
    match &product.charge(plan, charge)?.basis {
        Basis::Metered { meter, .. } => Some(meter.clone()),
        Basis::Flat { .. } | Basis::Held { .. } => None,
    }
}

pub(super) fn parse_digest(text: &str) -> Result<u128, Error> {
    let bad = || Error::BadDigest(text.chars().take(40).collect());
    let plain = text.len() == NO_EVENTS.len() && text.bytes().all(|b| b.is_ascii_hexdigit());
    u128::from_str_radix(text, 16).ok().filter(|_| plain).ok_or_else(bad)
}
