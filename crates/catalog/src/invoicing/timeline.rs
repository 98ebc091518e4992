//! What a subscription's terms were, and from when.

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use tenure_core::{Interval, Period, SubscriptionStatus, period::billing_period_at};

use crate::{
    contract::{Contract, Item},
    deployment::Model,
    rating,
};

/// The terms from a moment on, until the next entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Included.
    pub from: Timestamp,
    /// Names the product version.
    pub version: String,
    /// Id of the plan.
    pub plan: String,
    /// Of the deployment.
    pub model: Model,
    /// The product's mode.
    pub mode: Option<String>,
    /// How long a billing period is.
    pub interval: Interval,
    /// Length of the term signed for.
    pub term_years: u32,
    /// Whether a year is paid ahead.
    pub prepaid: bool,
    /// Limits where the customer asked to be blocked rather than charged.
    pub hard_stops: Vec<String>,
    /// The tenant's zone.
    pub zone: String,
    /// The tenant's class.
    pub customer_class: Option<String>,
    /// The subscription's state: a trial is free, a cancelled one has ended.
    pub status: SubscriptionStatus,
}

impl Entry {
    /// Whether both ask for the same prices: zone, class and the kinds of being
    /// in use do not cut a period.
    pub(super) fn bills_like(&self, other: &Self) -> bool {
        self.version == other.version
            && self.plan == other.plan
            && self.model == other.model
            && self.mode == other.mode
            && self.term_years == other.term_years
            && self.prepaid == other.prepaid
            && self.hard_stops == other.hard_stops
            && self.is_charged() == other.is_charged()
            && self.is_over() == other.is_over()
    }

    /// A trial costs nothing.
    pub(super) fn is_charged(&self) -> bool {
        self.status != SubscriptionStatus::Trial
    }

    /// Nothing is billed from here on.
    pub(super) fn is_over(&self) -> bool {
        self.status == SubscriptionStatus::Cancelled
    }
}

/// Everything that a subscription's bills depend on, but its usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// Months and years are counted from here.
    pub anchor: Timestamp,
    /// This was the n-th customer.
    pub customer_number: Option<u32>,
    /// In any order; of several from one moment the later listed counts.
    pub entries: Vec<Entry>,
    /// Of every plan that was held.
    pub items: Vec<Item>,
    /// Negotiated changes.
    pub contracts: Vec<Contract>,
}

impl Timeline {
    /// The entries by time, each with another moment, from the anchor on.
    pub(super) fn sorted(&self) -> Vec<&Entry> {
        let mut sorted: Vec<&Entry> = self.entries.iter().collect();
        // Stable: the later listed of one moment stays behind, and wins.
        sorted.sort_by_key(|entry| entry.from);
        let mut all: Vec<&Entry> = Vec::with_capacity(sorted.len());
        for entry in sorted {
            match all.last_mut() {
                Some(last) if last.from == entry.from => *last = entry,
                _ => all.push(entry),
            }
        }
        all
    }

    /// The entry that holds at `at`; before the first, the first.
    pub fn at(&self, at: Timestamp) -> Option<&Entry> {
        let sorted = self.sorted();
        let holding = sorted.iter().rev().find(|entry| entry.from <= at);
        holding.or_else(|| sorted.first()).copied()
    }

    /// The zone in which months and years are counted: that of the beginning.
    pub fn calendar_zone(&self) -> Option<&str> {
        self.sorted().first().map(|entry| entry.zone.as_str())
    }

    /// The billing period that starts at `start`: to the end of the one of the
    /// anchor's calendar that holds `start`, or to where the subscription ends or
    /// changes how long its periods are. None where it is over.
    pub fn period_from(&self, start: Timestamp) -> Result<Option<Period>, rating::Error> {
        let Some(entry) = self.at(start).filter(|entry| !entry.is_over()) else { return Ok(None) };
        let whole = self.whole_period(entry.interval, start)?;
        let other = |next: &&Entry| next.is_over() || next.interval != entry.interval;
        let sorted = self.sorted();
        let after = sorted.into_iter().filter(|next| start < next.from).find(other);
        let end = after.map_or(whole.end, |next| next.from.min(whole.end));
        Ok(Some(Period { start, end }))
    }

    /// The first period of a subscription that is billed from `from` on: the one of
    /// its calendar that holds that moment.
    pub fn first_period(&self, from: Timestamp) -> Result<Option<Period>, rating::Error> {
        let from = from.max(self.anchor);
        let Some(entry) = self.at(from) else { return Ok(None) };
        let whole = self.whole_period(entry.interval, from)?;
        self.period_from(whole.start.max(self.anchor))
    }

    /// The month of the anchor's calendar that holds `at`, whatever is billed then.
    pub fn month_at(&self, at: Timestamp) -> Result<Period, rating::Error> {
        self.whole_period(Interval::Month, at)
    }

    fn whole_period(&self, interval: Interval, at: Timestamp) -> Result<Period, rating::Error> {
        let name = self.calendar_zone().unwrap_or("UTC");
        let zone = TimeZone::get(name).map_err(|_| rating::Error::UnknownZone(name.to_owned()))?;
        let (_, period) = billing_period_at(self.anchor, &zone, interval, at)
            .map_err(|_| rating::Error::BadPeriod)?;
        Ok(period)
    }
}
