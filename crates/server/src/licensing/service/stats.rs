//! Usage statistics of a heartbeat, and the limits that they are held against.
//! Nothing is ever refused for them: people are told.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use tenure_api::licensing::{STATS_MAX, Warning};
use tenure_catalog::Product;
use tenure_core::Quantity;
use tenure_license::{LicenseClaims, Reason, State, Verdict, enforcement};

use super::proof::warning;
use crate::http::{FieldError, Problem};

/// Longest name of a statistic.
const NAME_LEN_MAX: usize = 100;
/// The statistics that count people, in the order in which seats are held against one.
const PEOPLE: [&str; 2] = ["seats", "users"];

/// A statistic that is held against a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Watched {
    /// Its name in heartbeats.
    pub(crate) stat: String,
    /// The limit's id.
    pub(crate) limit: String,
}

/// Which statistic goes with which limit: that of the limit's own name, or the one that the
/// product file names for the meter.
pub(crate) fn watched(product: &Product, claims: &LicenseClaims) -> Vec<Watched> {
    let stat = |limit: &str| {
        let meter = product.meter(limit);
        meter.and_then(|meter| meter.reported_as.clone()).unwrap_or_else(|| limit.to_owned())
    };
    claims.limits.keys().map(|limit| Watched { stat: stat(limit), limit: limit.clone() }).collect()
}

/// The statistics of which the month's most is kept: those of limits, meters and allocations.
pub(crate) fn kept(product: &Product, watched: &[Watched]) -> Vec<String> {
    let meters = product.meters.iter();
    let of_meters =
        meters.map(|meter| meter.reported_as.clone().unwrap_or_else(|| meter.id.clone()));
    let of_allocations = product.allocations.iter().map(|allocation| allocation.id.clone());
    let of_limits = watched.iter().map(|watched| watched.stat.clone());
    let people = PEOPLE.iter().map(|stat| (*stat).to_owned());
    let mut all: Vec<String> =
        of_meters.chain(of_allocations).chain(of_limits).chain(people).collect();
    all.sort();
    all.dedup();
    all
}

/// Refuses statistics that are too many, misnamed or no quantities.
pub(crate) fn check(stats: &BTreeMap<String, Decimal>) -> Result<(), Problem> {
    if stats.len() > STATS_MAX {
        let detail = format!("At most {STATS_MAX} statistics are taken.");
        return Err(Problem::field("/usage_stats", detail));
    }
    let mut errors = Vec::new();
    for (name, value) in stats {
        let pointer = format!("/usage_stats/{}", name.replace('~', "~0").replace('/', "~1"));
        if !is_name(name) {
            let detail = format!(
                "A statistic is named with 1 to {NAME_LEN_MAX} of a-z, 0-9, `_`, `-` and `.`."
            );
            errors.push(FieldError { detail, pointer });
        } else if let Err(error) = Quantity::new(*value) {
            errors.push(FieldError { detail: format!("{error}."), pointer });
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::invalid(errors)) }
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'.')
    };
    (1..=NAME_LEN_MAX).contains(&name.len()) && name.bytes().all(fits)
}

/// What people should know of what was counted: "Team limit reached: 5/5."
pub(crate) fn warnings(
    claims: &LicenseClaims,
    watched: &[Watched],
    stats: &BTreeMap<String, Decimal>,
    now: Timestamp,
) -> Vec<Warning> {
    // Whether the license is in force is said apart from this.
    let in_force = Verdict {
        state: State::Active,
        reason: Reason::Valid,
        until: None,
        notice: None,
        as_of: now,
        clock_suspect: false,
    };
    let mut told: Vec<Warning> = watched
        .iter()
        .filter_map(|watched| {
            let used = Quantity::new(*stats.get(&watched.stat)?).ok()?;
            // Of what is held, people are told when no more fits; of what is consumed, when more
            // was consumed than is included.
            let held = claims.limit(&watched.limit)?.per.is_none();
            let more = if held { Quantity::ONE } else { Quantity::ZERO };
            let full = enforcement::limit(claims, &in_force, &watched.limit, used, more);
            let decision = match full.code.as_str() {
                "limit_reached" | "quota_exceeded" => full,
                _ => enforcement::limit(claims, &in_force, &watched.limit, used, Quantity::ZERO),
            };
            let message = decision.message.filter(|_| decision.code != "ok")?;
            Some(warning(&decision.code, message))
        })
        .collect();
    told.extend(seats(claims, watched, stats));
    told
}

/// More people than seats, where no limit of its own says so.
fn seats(
    claims: &LicenseClaims,
    watched: &[Watched],
    stats: &BTreeMap<String, Decimal>,
) -> Option<Warning> {
    let max = claims.seats.count()?;
    let (stat, used) = PEOPLE.iter().find_map(|stat| Some((*stat, stats.get(*stat)?)))?;
    if watched.iter().any(|watched| watched.stat == stat) || *used <= Decimal::from(max) {
        return None;
    }
    let message = format!("More people use it than there are seats: {}/{max}.", used.normalize());
    Some(warning("seats_exceeded", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_quantities_are_checked_and_pointed_at() {
        let stats = |name: &str, value: &str| {
            BTreeMap::from([(name.to_owned(), value.parse::<Decimal>().unwrap())])
        };
        assert!(check(&stats("agent_runs", "1200.5")).is_ok());
        for (name, value) in
            [("", "1"), ("Teams", "1"), ("te ams", "1"), ("teams", "-1"), ("teams", "0.0000001")]
        {
            let problem = check(&stats(name, value)).expect_err(name);
            assert_eq!(problem.errors[0].pointer, format!("/usage_stats/{name}"));
        }
        let many = (0..=STATS_MAX).map(|n| (format!("s{n}"), Decimal::ONE)).collect();
        assert_eq!(check(&many).expect_err("too many").errors[0].pointer, "/usage_stats");
    }
}
