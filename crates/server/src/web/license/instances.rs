//! The instances of a license: where they run, how they are, what they hold.

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    licensing::instances::{InstanceState, InstanceView, Instances, SlotState},
    web::words,
};

/// Statistics shown of one instance.
const STATS_SHOWN: usize = 4;

/// One instance.
pub(in crate::web) struct InstanceRow {
    pub(in crate::web) id: String,
    pub(in crate::web) name: String,
    pub(in crate::web) version: Option<String>,
    pub(in crate::web) state: &'static str,
    pub(in crate::web) tone: &'static str,
    pub(in crate::web) note: String,
    pub(in crate::web) seen: String,
    pub(in crate::web) seen_at: String,
    pub(in crate::web) until: String,
    pub(in crate::web) until_distance: String,
    pub(in crate::web) stats: Vec<String>,
    pub(in crate::web) ledger: String,
    pub(in crate::web) can_release: bool,
    pub(in crate::web) can_restore: bool,
    /// Whether a file was made for it.
    pub(in crate::web) offline: bool,
}

/// All of a page, newest first.
pub(in crate::web) fn rows(
    instances: &Instances,
    now: Timestamp,
    zone: &TimeZone,
) -> Vec<InstanceRow> {
    instances.items.iter().map(|one| row(one, now, zone)).collect()
}

fn row(one: &InstanceView, now: Timestamp, zone: &TimeZone) -> InstanceRow {
    let (state, tone) = state(one, now);
    let mut stats: Vec<String> = one.stats.iter().map(|(name, value)| stat(name, *value)).collect();
    let more = stats.len().saturating_sub(STATS_SHOWN);
    stats.truncate(STATS_SHOWN);
    if more > 0 {
        stats.push(format!("and {more} more"));
    }
    InstanceRow {
        id: one.id.to_string(),
        name: name(one),
        version: one.version.clone().filter(|version| !version.is_empty()),
        note: note(one, now, zone),
        state,
        tone,
        seen: words::distance(one.last_seen_at, now),
        seen_at: words::date_time(one.last_seen_at, zone),
        until: words::date_time(one.held_until, zone),
        until_distance: words::distance(one.held_until, now),
        stats,
        ledger: match one.ledger_seq {
            0 => "nothing yet".to_owned(),
            seq => format!("entry {}", words::number(seq)),
        },
        can_release: one.state != InstanceState::Released || one.slot == SlotState::Held,
        can_restore: one.state == InstanceState::Quarantined,
        offline: one.offline,
    }
}

/// What people call it.
pub(in crate::web) fn name(one: &InstanceView) -> String {
    if one.name.is_empty() { words::short(&one.id.to_string()) } else { one.name.clone() }
}

fn stat(name: &str, value: rust_decimal::Decimal) -> String {
    format!("{} {}", words::number(value.normalize()), name.replace('_', " "))
}

fn state(one: &InstanceView, now: Timestamp) -> (&'static str, &'static str) {
    match one.state {
        InstanceState::Held => ("Held", "ok"),
        InstanceState::Ended if one.offline || one.held_until > now => ("Ended", ""),
        InstanceState::Ended => ("Ended", "warn"),
        InstanceState::Released => ("Released", ""),
        InstanceState::Quarantined => ("Quarantined", "bad"),
    }
}

/// What the state means for the slot, and what to do.
fn note(one: &InstanceView, now: Timestamp, zone: &TimeZone) -> String {
    let until = words::date_time(one.held_until, zone);
    match (one.state, one.slot) {
        (InstanceState::Held, _) if one.offline => "by a file".to_owned(),
        (InstanceState::Held, _) => String::new(),
        (InstanceState::Ended, _) if one.offline => "its file has ended".to_owned(),
        (InstanceState::Ended, _) => {
            let heard = words::distance(one.last_seen_at, now);
            format!("not heard of since its lease ended; last {heard}")
        }
        (InstanceState::Released, SlotState::Held) => format!("holds its slot until {until}"),
        (InstanceState::Released, SlotState::Returned) => {
            format!("given back; its token is genuine until {until}")
        }
        (InstanceState::Released, SlotState::Free) => "its slot is free".to_owned(),
        (InstanceState::Quarantined, _) => {
            "a copy of it was found: no new lease until it is restored".to_owned()
        }
    }
}

/// `3 of 5 slots held`
pub(in crate::web) fn slots(instances: &Instances) -> String {
    let held = words::number(instances.held);
    let base = match instances.max {
        Some(max) => format!("{held} of {} held", words::counted(max, "slot")),
        None => format!("{held} held, unlimited"),
    };
    let past = instances.max.is_some_and(|max| instances.held > max);
    let returned = match instances.returned {
        0 => String::new(),
        some => format!(", {} given back before its end", words::number(some)),
    };
    let tolerated = match instances.cap {
        Some(cap) if past => format!(", {} tolerated", words::number(cap)),
        _ => String::new(),
    };
    format!("{base}{tolerated}{returned}")
}
