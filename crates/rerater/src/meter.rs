//! What a meter reads in a window: all events are walked through, for every window again.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use crate::calendar::length;
use crate::exact::{Exact, decimal, round_to, whole};
use crate::input::{Event, Span};
use crate::product::{Meter, Way};

/// Digits after the point of a quantity (SPEC 12: "at most 15 digits before and 6 after").
const PLACES: u32 = 6;

/// The meter's quantity in a window, in its unit.
pub(crate) fn quantity(meter: &Meter, events: &[&Event], window: Span) -> Exact {
    let of_type = || events.iter().filter(|e| e.kind == meter.kind);
    let inside = || of_type().filter(|e| window.from <= e.time && e.time < window.to);
    let amount = match &meter.way {
        Way::Count => whole(inside().map(|e| u128::from(e.times)).sum::<u128>()),
        Way::Sum(field) => inside()
            .filter_map(|e| Some(number(e, field)? * whole(e.times)))
            .fold(whole(0), |sum, n| sum + n),
        Way::Max(field) => {
            inside().filter_map(|e| number(e, field)).max().unwrap_or_else(|| whole(0))
        }
        // The latest value; at equal times the largest.
        Way::Last(field) => inside()
            .filter_map(|e| Some((e.time, number(e, field)?)))
            .max()
            .map_or_else(|| whole(0), |(_, value)| value),
        Way::Unique(field) => {
            let members: BTreeSet<String> = inside().filter_map(|e| member(e, field)).collect();
            whole(members.len())
        }
        Way::TimeWeighted(field) => {
            let average = average(of_type().copied(), field, window);
            return round_to(&(average / &meter.divide_by), PLACES);
        }
    };
    amount / &meter.divide_by
}

/// A field as a number, written as one or as text.
fn number(event: &Event, field: &str) -> Option<Exact> {
    match event.data.get(field)? {
        Value::Number(n) => decimal(&n.to_string()),
        Value::String(text) => decimal(text),
        _ => None,
    }
}

/// A field as somebody or something to be told apart.
fn member(event: &Event, field: &str) -> Option<String> {
    match event.data.get(field)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

/// The mean over a window of a level that stands until the next measurement. Before the first
/// measurement nothing stood; at equal times the largest counts.
fn average<'a>(events: impl Iterator<Item = &'a Event>, field: &str, window: Span) -> Exact {
    let mut measured: Vec<(Timestamp, Exact)> =
        events.filter_map(|e| Some((e.time, number(e, field)?))).collect();
    measured.sort();
    let mut total = whole(0);
    for (at, (from, value)) in measured.iter().enumerate() {
        let until = measured.get(at + 1).map_or(window.to, |next| next.0);
        let stands = Span { from: (*from).max(window.from), to: until.min(window.to) };
        if stands.from < stands.to {
            total += value * length(stands);
        }
    }
    total / length(window)
}
