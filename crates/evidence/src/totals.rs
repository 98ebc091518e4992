//! Single events, added up. Written apart from what the server does with its
//! rollups: each event goes to every window that holds it, one after the other.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rust_decimal::{Decimal, RoundingStrategy};
use tenure_catalog::{Aggregation, invoicing::Total};

use crate::{Event, Needed};

/// Decimals of an average, in the meter's unit.
const AVERAGE_DECIMALS: u32 = 6;

/// The windows of one meter, while its events pass by in the order of time.
#[derive(Debug)]
pub struct Sums<'a> {
    needed: &'a Needed,
    windows: Vec<Window>,
}

#[derive(Debug)]
struct Window {
    start: Timestamp,
    end: Timestamp,
    events: i64,
    digest: u128,
    sum: Decimal,
    max: Option<Decimal>,
    last: Option<(Timestamp, Decimal)>,
    members: BTreeSet<String>,
    /// The level that stands, from when on, and what stood before: level times seconds.
    level: Option<(Timestamp, Decimal)>,
    stood: Decimal,
}

impl<'a> Sums<'a> {
    /// Nothing yet.
    pub fn new(needed: &'a Needed) -> Self {
        let window = |total: &Total| Window {
            start: total.start,
            end: total.end,
            events: 0,
            digest: 0,
            sum: Decimal::ZERO,
            max: None,
            last: None,
            members: BTreeSet::new(),
            level: None,
            stood: Decimal::ZERO,
        };
        Self { needed, windows: needed.windows.iter().map(window).collect() }
    }

    /// Counts one event; one of a later generation does not count.
    pub fn add(&mut self, event: &Event) {
        if event.generation > self.needed.cutoff {
            return;
        }
        let hash = u128::from_be_bytes(event.hash(&self.needed.meter.id));
        let is_level = matches!(self.needed.meter.aggregation, Aggregation::TimeWeighted { .. });
        for window in &mut self.windows {
            if is_level {
                window.set_level(event);
            }
            if window.start <= event.time && event.time < window.end {
                window.count(event, hash);
            }
        }
    }

    /// The totals, as they should stand in the inputs.
    pub fn totals(&self) -> Vec<Total> {
        let totals = self.windows.iter().map(|window| Total {
            start: window.start,
            end: window.end,
            quantity: self.quantity(window).normalize(),
            events: window.events,
            digest: format!("{:032x}", window.digest),
        });
        totals.collect()
    }

    fn quantity(&self, window: &Window) -> Decimal {
        let meter = &self.needed.meter;
        let units = |raw: Decimal| raw.checked_div(meter.divide_by).unwrap_or(raw);
        match &meter.aggregation {
            Aggregation::Count => units(Decimal::from(window.events)),
            Aggregation::Sum { .. } => units(window.sum),
            Aggregation::Max { .. } => units(window.max.unwrap_or_default()),
            Aggregation::Last { .. } => units(window.last.map_or(Decimal::ZERO, |(_, last)| last)),
            Aggregation::Unique { .. } => {
                units(Decimal::from(u64::try_from(window.members.len()).unwrap_or(u64::MAX)))
            }
            Aggregation::TimeWeighted { .. } => window.average(meter.divide_by),
        }
    }
}

impl Window {
    fn count(&mut self, event: &Event, hash: u128) {
        self.events += 1;
        self.digest ^= hash;
        self.sum += event.quantity;
        self.max = Some(self.max.map_or(event.quantity, |max| max.max(event.quantity)));
        let last = (event.time, event.quantity);
        self.last = Some(self.last.map_or(last, |before| before.max(last)));
        if let Some(member) = &event.member {
            self.members.insert(member.clone());
        }
    }

    /// A level stands until the next; of several at one moment the largest does. What stood
    /// at the start of the window came before it.
    fn set_level(&mut self, event: &Event) {
        if event.time >= self.end {
            return;
        }
        self.level = match self.level {
            Some((since, level)) if since == event.time => Some((since, level.max(event.quantity))),
            Some((since, level)) => {
                let (from, to) = (since.max(self.start), event.time.max(self.start));
                self.stood += level * seconds(from, to);
                Some((event.time, event.quantity))
            }
            None => Some((event.time, event.quantity)),
        };
    }

    fn average(&self, divide_by: Decimal) -> Decimal {
        let Some((since, level)) = self.level else { return Decimal::ZERO };
        let stood = self.stood + level * seconds(since.max(self.start), self.end);
        let whole = seconds(self.start, self.end) * divide_by;
        let average = stood.checked_div(whole).unwrap_or_default();
        average.round_dp_with_strategy(AVERAGE_DECIMALS, RoundingStrategy::MidpointAwayFromZero)
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> Decimal {
    Decimal::new(to.as_microsecond() - from.as_microsecond(), 6)
}
