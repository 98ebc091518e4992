//! A year of usage events: more on working days, growing, and as untidy as producers are: sent
//! twice, sent late, taken back, exactly on the edges of days and periods.

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::profile::{How, PlanChoice, Profile, Used};
use super::random::Random;
use super::{Scale, Stay};
use crate::input::{Event, Span, Void};

/// Of a hundred events, about so many are sent twice, late, or taken back.
const PER_CENT_TWICE: u64 = 3;
const PER_CENT_LATE: u64 = 5;
const PER_CENT_VOID: u64 = 2;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// All events and removals, in the order in which they arrive.
pub(crate) fn events(
    random: &mut Random,
    profile: &Profile,
    stays: &[Stay<'_>],
    zone: &TimeZone,
    periods: &[Span],
    scale: Scale,
) -> (Vec<Event>, Vec<Void>) {
    let mut events = Vec::new();
    for used in profile.meters {
        let about = random.between(40, 160);
        for stay in stays {
            let mut day = stay.span.from;
            while day < stay.span.to {
                let until = (day + DAY).min(stay.span.to);
                let span = Span { from: day, to: until };
                events.extend(one_day(random, used, stay.plan, zone, span, about, scale));
                day = until;
            }
        }
    }
    events.extend(on_the_edges(random, profile, periods));
    arrive(random, events)
}

/// What one day brings of one kind.
fn one_day(
    random: &mut Random,
    used: &Used,
    plan: &PlanChoice,
    zone: &TimeZone,
    day: Span,
    about: u64,
    scale: Scale,
) -> Vec<Event> {
    let limit = plan.limits.iter().find(|(meter, ..)| *meter == used.meter);
    let included = limit.map(|(_, real, small)| if scale == Scale::Real { *real } else { *small });
    match &used.how {
        How::Level(field, size) => {
            // A level is not measured every day.
            if random.one_in(3) {
                return Vec::new();
            }
            let most = included.unwrap_or(used.usual * 10) * size * about / 50;
            let value = random.between(0, most).to_string();
            vec![event(random, used.kind, day, 1, &[(field, value)])]
        }
        How::Member(field) => {
            let member = format!("{field}-{}", random.between(1, 9));
            vec![event(random, used.kind, day, 1, &[(field, member)])]
        }
        How::Count => {
            let daily = included.map_or(used.usual, |n| if used.monthly { n / 30 } else { n });
            let quiet = matches!(
                day.from.to_zoned(zone.clone()).weekday(),
                Weekday::Saturday | Weekday::Sunday
            );
            let most = (daily * about / if quiet { 150 } else { 50 }).max(1);
            let today = random.between(0, most);
            if scale == Scale::Small {
                return (0..today).map(|_| event(random, used.kind, day, 1, &[])).collect();
            }
            let morning = random.between(0, today);
            [morning, today - morning]
                .into_iter()
                .filter(|n| *n > 0)
                .map(|n| event(random, used.kind, day, n, &[]))
                .collect()
        }
    }
}

fn event(
    random: &mut Random,
    kind: &str,
    span: Span,
    times: u64,
    data: &[(&str, String)],
) -> Event {
    let length = span.to.as_microsecond() - span.from.as_microsecond();
    let most = u64::try_from(length).unwrap_or(1).max(1) - 1;
    let after = i64::try_from(random.between(0, most)).unwrap_or(0);
    at(kind, span.from + SignedDuration::from_micros(after), times, data)
}

/// An event whose id and arrival are given to it later.
fn at(kind: &str, time: Timestamp, times: u64, data: &[(&str, String)]) -> Event {
    let data: Map<String, Value> =
        data.iter().map(|(k, v)| ((*k).to_owned(), Value::String(v.clone()))).collect();
    let kind = kind.to_owned();
    Event { id: String::new(), source: String::new(), kind, time, data, received: 0, times }
}

/// One event in the last microsecond of a period, and one in its first.
fn on_the_edges(random: &mut Random, profile: &Profile, periods: &[Span]) -> Vec<Event> {
    let counted: Vec<&Used> =
        profile.meters.iter().filter(|u| matches!(u.how, How::Count)).collect();
    let mut events = Vec::new();
    for period in periods {
        if counted.is_empty() || random.one_in(3) {
            continue;
        }
        let kind = random.pick(&counted).kind;
        events.push(at(kind, period.to - SignedDuration::from_micros(1), 1, &[]));
        events.push(at(kind, period.from, 1, &[]));
    }
    events
}

/// Names the events, and lets them arrive: most in the order of their time.
fn arrive(random: &mut Random, mut events: Vec<Event>) -> (Vec<Event>, Vec<Void>) {
    // The key of arrival, in microseconds; late ones come up to forty days after.
    let mut arriving: Vec<(i64, Event)> = Vec::new();
    let mut removed = Vec::new();
    events.sort_by_key(|e| e.time);
    for (number, mut event) in events.into_iter().enumerate() {
        event.id = format!("event-{number}");
        event.source = format!("/producer/{}", random.between(1, 3));
        let delay = |random: &mut Random| {
            let hours = if random.between(1, 100) <= PER_CENT_LATE { 40 * 24 } else { 1 };
            i64::try_from(random.between(0, hours * 3_600_000_000)).unwrap_or(0)
        };
        let comes = event.time.as_microsecond() + delay(random);
        if random.between(1, 100) <= PER_CENT_TWICE {
            arriving.push((comes + delay(random) + 1, event.clone()));
        }
        if random.between(1, 100) <= PER_CENT_VOID {
            removed.push((event.id.clone(), event.source.clone()));
        }
        arriving.push((comes, event));
    }
    arriving.sort_by(|a, b| (a.0, &a.1.id).cmp(&(b.0, &b.1.id)));
    let mut received = 0;
    let mut arrived = Vec::new();
    for (_, mut event) in arriving {
        received += 1;
        event.received = received;
        arrived.push(event);
    }
    let voids = removed
        .into_iter()
        .map(|(id, source)| {
            received += 1;
            Void { id, source, received }
        })
        .collect();
    (arrived, voids)
}
