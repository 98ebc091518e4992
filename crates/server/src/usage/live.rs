//! Usage for Prometheus, as it comes in.
//!
//! Owns: `billing_events_ingested_total`, and the counters and gauges that
//! meters of a product file ask for, by client. They are of this process since
//! its start; bills never read them. Refuses: more label sets than
//! [`SERIES_MAX`]; counters of clients past it go to `other`.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use rust_decimal::Decimal;
use tenure_catalog::{Aggregation, Meter};

/// Pairs of a name and a client that are told apart, at most.
const SERIES_MAX: usize = 20_000;
/// Who stands for all clients past the bound.
const OTHERS: &str = "other";
/// Counts accepted events of every client.
const INGESTED: &str = "billing_events_ingested_total";

/// What is counted; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Live(Arc<Mutex<BTreeMap<(String, String), Value>>>);

#[derive(Debug, Clone, Copy)]
enum Value {
    Counter(Decimal),
    Gauge(Timestamp, Decimal),
}

/// What one batch adds, by the name of the metric.
#[derive(Debug, Default)]
pub(super) struct Added<'s>(BTreeMap<&'s str, Value>);

impl<'s> Added<'s> {
    /// One accepted event.
    pub(super) fn event(&mut self) {
        self.put(INGESTED, Value::Counter(Decimal::ONE));
    }

    /// What a meter read of it.
    pub(super) fn reading(&mut self, meter: &'s Meter, at: Timestamp, quantity: Decimal) {
        let Some(name) = &meter.metric else { return };
        let value = match meter.aggregation {
            Aggregation::Last { .. } | Aggregation::TimeWeighted { .. } => {
                Value::Gauge(at, quantity)
            }
            _ => Value::Counter(quantity),
        };
        self.put(name, value);
    }

    fn put(&mut self, name: &'s str, value: Value) {
        self.0.entry(name).and_modify(|all| all.join(value)).or_insert(value);
    }
}

impl Value {
    /// A gauge shows the latest; a counter that is full stays as it is.
    fn join(&mut self, other: Self) {
        match (self, other) {
            (Self::Counter(all), Self::Counter(more)) => {
                *all = all.checked_add(more).unwrap_or(*all);
            }
            (Self::Gauge(at, value), Self::Gauge(then, new)) if then >= *at => {
                (*at, *value) = (then, new);
            }
            _ => {}
        }
    }
}

impl Live {
    /// Takes in what a batch of a client added.
    pub(super) fn add(&self, client: &str, added: Added<'_>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, value) in added.0 {
            let mut key = (name.to_owned(), client.to_owned());
            if !all.contains_key(&key) && all.len() >= SERIES_MAX {
                if matches!(value, Value::Gauge(..)) {
                    continue;
                }
                key.1 = OTHERS.to_owned();
            }
            all.entry(key).and_modify(|known| known.join(value)).or_insert(value);
        }
    }

    /// Writes everything in the text format of OpenMetrics.
    pub fn encode(&self, text: &mut String) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = "";
        for ((name, client), value) in &*all {
            let (kind, family, number) = match value {
                Value::Counter(number) => {
                    ("counter", name.strip_suffix("_total").unwrap_or(name), number)
                }
                Value::Gauge(_, number) => ("gauge", name.as_str(), number),
            };
            if name != before {
                let _ = writeln!(text, "# TYPE {family} {kind}");
                before = name;
            }
            // A slug has nothing that would have to be escaped.
            let _ = writeln!(text, "{name}{{client_id=\"{client}\"}} {}", number.normalize());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_past_the_bound_are_counted_together() {
        let live = Live::default();
        for n in 0..SERIES_MAX + 3 {
            let mut added = Added::default();
            added.event();
            live.add(&format!("c{n}"), added);
        }
        let mut text = String::new();
        live.encode(&mut text);
        assert!(text.contains("billing_events_ingested_total{client_id=\"other\"} 3\n"));
        assert_eq!(text.lines().count(), SERIES_MAX + 2);
        assert!(text.starts_with("# TYPE billing_events_ingested counter\n"));
    }

    #[test]
    fn a_gauge_shows_what_was_measured_last_whenever_it_came() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut value = Value::Gauge(at(5), Decimal::ONE);
        value.join(Value::Gauge(at(4), Decimal::TEN));
        assert!(matches!(value, Value::Gauge(_, shown) if shown == Decimal::ONE));
        value.join(Value::Gauge(at(6), Decimal::TWO));
        assert!(matches!(value, Value::Gauge(_, shown) if shown == Decimal::TWO));
    }
}
