//! Which single events an invoice's totals are made of.

use std::collections::BTreeMap;

use tenure_catalog::{
    Aggregation, Meter,
    invoicing::{InvoiceInputs, PeriodInputs, Total, Versions},
};
use tenure_core::Period;

use crate::Error;

/// The windows of one meter at one cut-off, each once, by time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// How it counts; its definition never changes under its id.
    pub meter: Meter,
    /// Events of later generations do not count.
    pub cutoff: i32,
    /// As the inputs state them.
    pub windows: Vec<Total>,
}

impl Needed {
    /// The name of their entry.
    pub fn entry(&self) -> String {
        format!("usage/{}.{}.ndjson", self.meter.id, self.cutoff)
    }

    /// The stretch of time whose events are needed. What a level was before its
    /// first window tells what stood at the start, so there it goes back to 1970: no event is
    /// older, and no database counts back to the beginning of the calendar.
    pub fn stretch(&self) -> Option<Period> {
        let start = self.windows.iter().map(|window| window.start).min()?;
        let end = self.windows.iter().map(|window| window.end).max()?;
        let start = match self.meter.aggregation {
            Aggregation::TimeWeighted { .. } => jiff::Timestamp::UNIX_EPOCH,
            _ => start,
        };
        Some(Period { start, end })
    }
}

/// What the totals of `inputs` are made of, by entry.
///
/// # Errors
/// Where the inputs name a version or a meter that is not there, or state two
/// totals for one window.
pub fn needed(inputs: &InvoiceInputs, versions: &Versions<'_>) -> Result<Vec<Needed>, Error> {
    let mut all: BTreeMap<(String, i32), Needed> = BTreeMap::new();
    let corrections = inputs.corrections.iter().map(|correction| &correction.now);
    for period in std::iter::once(&inputs.own).chain(corrections) {
        add(&mut all, period, versions)?;
    }
    Ok(all.into_values().collect())
}

fn add(
    all: &mut BTreeMap<(String, i32), Needed>,
    period: &PeriodInputs,
    versions: &Versions<'_>,
) -> Result<(), Error> {
    for segment in &period.segments {
        let product = versions.get(&segment.version).copied();
        let product = product.ok_or_else(|| {
            Error::Malformed(format!("the product version `{}` is missing", segment.version))
        })?;
        for totals in segment.usage.iter().chain(&segment.year) {
            let meter = product.meter(&totals.meter).ok_or_else(|| {
                let version = &segment.version;
                Error::Malformed(format!("`{}` is no meter of {version}", totals.meter))
            })?;
            let key = (totals.meter.clone(), period.cutoff);
            let into = all.entry(key).or_insert_with(|| Needed {
                meter: meter.clone(),
                cutoff: period.cutoff,
                windows: Vec::new(),
            });
            for window in &totals.windows {
                insert(into, window)?;
            }
        }
    }
    Ok(())
}

fn insert(into: &mut Needed, window: &Total) -> Result<(), Error> {
    let place = |other: &Total| (other.start, other.end).cmp(&(window.start, window.end));
    match into.windows.binary_search_by(place) {
        Err(at) => into.windows.insert(at, window.clone()),
        Ok(at) if into.windows[at] == *window => {}
        Ok(_) => {
            let detail = format!("`{}` has two totals from {}", into.meter.id, window.start);
            return Err(Error::Malformed(detail));
        }
    }
    Ok(())
}
