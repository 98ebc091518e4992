//! A month of usage that looks like one, and a thin year before it: daily rhythm, weekends,
//! growth. The same seed gives the same events, so sending them again changes nothing.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use super::{
    calendar::zone,
    customers::{Customer, Flow, Shape},
    state::State,
};

/// Seconds of an hour.
pub(crate) const HOUR: i64 = 3_600;
/// Hours of the month.
pub(crate) const HOURS: i64 = 24 * 30;
/// What a flow keeps of its size with `--quick`, in per cent, when it is a large one.
const QUICK_PERCENT: u32 = 12;
/// Flows of fewer events a day stay as they are with `--quick`.
const QUICK_FROM: u32 = 200;
/// Flows of more events a day are not sent of the time before the month.
const HISTORY_A_DAY_MAX: u32 = 120;
/// Of the time before the month, sizes are reported every so many hours,
const HISTORY_MEASURED_EVERY: i64 = 6;
/// and so many per cent of the events that name somebody.
const HISTORY_NAMED_PERCENT: u32 = 30;
/// When late usage happened, in days before the demonstration's first start: in a calendar month that
/// is invoiced whatever the day is on which it comes, some weeks later.
const LATE_DAYS: i64 = 100;
/// How much of the day falls into each hour of local time, in thousandths.
const RHYTHM: [u32; 24] =
    [8, 6, 5, 5, 6, 10, 22, 42, 72, 88, 90, 82, 66, 74, 84, 82, 72, 58, 40, 28, 22, 18, 12, 8];
/// Divides rhythm and growth into millionths.
const GROWN: u64 = 7_200;
/// Weekends against working days, in per cent.
const WEEKEND_PERCENT: u64 = 38;

/// The hours to report, and how.
#[derive(Debug, Clone)]
pub(crate) struct Month {
    /// Where growth is counted from.
    pub begin: Timestamp,
    /// Hours from `begin` up to now; below zero in the year before.
    pub hours: i64,
    /// Chooses among months that look alike.
    pub seed: u64,
    /// Fewer events.
    pub quick: bool,
}

impl Month {
    /// The last month before a moment.
    pub(crate) fn begin(began: Timestamp) -> Timestamp {
        began - SignedDuration::from_hours(HOURS)
    }

    /// Of a demonstration, with whole hours up to a moment.
    pub(crate) fn until(state: &State, to: Timestamp) -> Self {
        let begin = Self::begin(state.began);
        let hours = (to.as_second() - begin.as_second()).div_euclid(HOUR);
        Self { begin, hours, seed: state.seed, quick: state.quick }
    }

    /// How many events a customer reports in the hours from `first`.
    pub(crate) fn count(&self, customer: &Customer, first: i64) -> u64 {
        let zone = zone(customer);
        let hours = first..self.hours;
        let one = |hour| -> u64 {
            customer
                .flows
                .iter()
                .map(|flow| u64::from(self.size(customer, flow, hour, &zone)))
                .sum()
        };
        hours.map(one).sum()
    }

    /// The events of one hour, oldest first within each flow.
    pub(crate) fn events(&self, customer: &Customer, hour: i64) -> Vec<Value> {
        let zone = zone(customer);
        let mut events = Vec::new();
        for flow in customer.flows {
            let count = self.size(customer, flow, hour, &zone);
            for number in 0..count {
                events.push(self.event(customer, flow, hour, number, count));
            }
        }
        events
    }

    fn event(&self, customer: &Customer, flow: &Flow, hour: i64, number: u32, count: u32) -> Value {
        let start = self.begin.as_second() + hour * HOUR;
        let second = start + HOUR * i64::from(number) / i64::from(count.max(1));
        let time = Timestamp::from_second(second).unwrap_or(self.begin);
        let mut event = json!({
            "specversion": "1.0",
            "id": format!("{}-{start}-{number}", flow.kind),
            "source": format!("/demo/{}", customer.slug),
            "type": flow.kind,
            "time": time,
        });
        let noise = self.noise(customer, flow, hour, number + 1);
        match flow.shape {
            Shape::Counted { .. } => {}
            Shape::Named { field, of, .. } => {
                let name =
                    format!("{}-{:03}", field.trim_end_matches("_id"), noise % u64::from(of));
                event["data"] = json!({ field: name });
            }
            Shape::Measured { field, from, to } => {
                let value =
                    from + (to - from) * hour.clamp(0, HOURS).unsigned_abs() / HOURS.unsigned_abs();
                event["data"] = json!({ field: value });
            }
        }
        event
    }

    /// How many events a flow has in an hour.
    fn size(&self, customer: &Customer, flow: &Flow, hour: i64, zone: &TimeZone) -> u32 {
        let (a_day, growth) = match flow.shape {
            Shape::Measured { .. } => {
                return u32::from(hour >= 0 || hour % HISTORY_MEASURED_EVERY == 0);
            }
            Shape::Counted { a_day, growth } => (a_day, growth),
            Shape::Named { a_day, .. } if hour < 0 => (a_day * HISTORY_NAMED_PERCENT / 100, 0),
            Shape::Named { a_day, .. } => (a_day, 0),
        };
        if hour < 0 && a_day > HISTORY_A_DAY_MAX {
            return 0;
        }
        let a_day = match self.quick && a_day >= QUICK_FROM {
            true => a_day * QUICK_PERCENT / 100,
            false => a_day,
        };
        let at = Timestamp::from_second(self.begin.as_second() + hour * HOUR);
        let local = at.unwrap_or(self.begin).to_zoned(zone.clone());
        let rhythm = RHYTHM.get(usize::try_from(local.hour()).unwrap_or(0)).copied().unwrap_or(0);
        let weekend = local.weekday().to_monday_zero_offset() >= 5;
        let week = if weekend { WEEKEND_PERCENT } else { 100 };
        // In millionths of an event, so that small flows have their events too.
        // It never was less than a fifth of what it is.
        let grown = (100 * HOURS + i64::from(growth) * hour).max(20 * HOURS).unsigned_abs();
        let noise = self.noise(customer, flow, hour, 0);
        let size = u64::from(a_day) * u64::from(rhythm) * week * grown / GROWN;
        let size = size * (80 + noise % 41) / 100;
        let (whole, rest) = (size / 1_000_000, size % 1_000_000);
        let extra = u64::from((noise >> 20) % 1_000_000 < rest);
        u32::try_from(whole + extra).unwrap_or(u32::MAX)
    }

    /// The same for the same event; SplitMix64 over its name.
    fn noise(&self, customer: &Customer, flow: &Flow, hour: i64, number: u32) -> u64 {
        let mut state = self.seed ^ hour.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for byte in customer.slug.bytes().chain(flow.kind.bytes()).chain(number.to_le_bytes()) {
            state = mix(state ^ u64::from(byte));
        }
        state
    }
}

/// Events of a customer's first flow from a month that is invoiced already.
pub(crate) fn late(customer: &Customer, count: u32, began: Timestamp) -> Vec<Value> {
    let at = began - SignedDuration::from_hours(24 * LATE_DAYS);
    let event = |flow: &Flow, number: u32| {
        json!({
            "specversion": "1.0",
            "id": format!("late-{number}"),
            "source": format!("/demo/{}", customer.slug),
            "type": flow.kind,
            "time": at,
        })
    };
    let flow = customer.flows.first();
    flow.into_iter().flat_map(|flow| (0..count).map(move |number| event(flow, number))).collect()
}

fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::{super::customers::CUSTOMERS, *};

    fn month(quick: bool) -> Month {
        let begin = "2026-03-01T00:00:00Z".parse().unwrap();
        Month { begin, hours: 30 * 24, seed: 1, quick }
    }

    #[test]
    fn the_same_seed_gives_the_same_events() {
        let (one, other) = (month(false), month(false));
        assert_eq!(one.events(&CUSTOMERS[0], 34), other.events(&CUSTOMERS[0], 34));
        let another = Month { seed: 2, ..month(false) };
        assert_ne!(one.count(&CUSTOMERS[0], 0), another.count(&CUSTOMERS[0], 0));
    }

    #[test]
    fn a_month_is_a_few_hundred_thousand_events_and_counts_what_it_sends() {
        let month = month(false);
        let total: u64 = CUSTOMERS.iter().map(|customer| month.count(customer, 0)).sum();
        assert!((200_000..400_000).contains(&total), "{total}");
        let sent: usize =
            (0..month.hours).map(|hour| month.events(&CUSTOMERS[1], hour).len()).sum();
        assert_eq!(u64::try_from(sent).unwrap(), month.count(&CUSTOMERS[1], 0));
    }

    #[test]
    fn the_year_before_the_month_is_thin_and_has_what_invoices_are_made_of() {
        let year = Month { hours: 0, ..month(false) };
        let total: u64 = CUSTOMERS.iter().map(|one| year.count(one, -335 * 24)).sum();
        assert!((50_000..150_000).contains(&total), "{total}");
        let retail = CUSTOMERS.iter().find(|one| one.slug == "acme-retail").unwrap();
        let queries = (-30 * 24..0).flat_map(|hour| year.events(retail, hour));
        let queries = queries.filter(|event| event["type"] == "rca.query").count();
        assert!(queries > 1_000, "past what its plan includes: {queries}");
    }

    #[test]
    fn a_quick_month_is_a_fraction_but_keeps_its_small_flows() {
        let total = |month: &Month| -> u64 {
            CUSTOMERS.iter().map(|customer| month.count(customer, 0)).sum()
        };
        assert!(total(&month(true)) * 4 < total(&month(false)));
        let queries = CUSTOMERS.iter().find(|one| one.slug == "lumen-labs").unwrap();
        let all = (0..720).flat_map(|hour| month(true).events(queries, hour));
        let past = all.filter(|event| event["type"] == "rca.query").count();
        assert!(past > 100, "past the free plan's 100 queries: {past}");
    }
}
