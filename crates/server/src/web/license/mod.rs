//! A license as a page shows it, to staff and to whoever holds it.
//!
//! Owns: view models and their words. Refuses: reading and deciding anything;
//! everything comes from an operation of `licensing`.

pub(super) mod history;
pub(super) mod instances;
pub(super) mod limits;
pub(super) mod reports;
pub(super) mod standing;

use jiff::{Timestamp, tz::TimeZone};
use tenure_license::claims::Edition;

use super::words;
use crate::licensing::Look;

/// A label and its value.
pub(super) struct Fact {
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) note: String,
}

/// A feature that is granted, or not.
pub(super) struct FeatureRow {
    pub(super) name: String,
    pub(super) included: bool,
}

/// The features of the product, those that are granted first.
pub(super) fn features(look: &Look) -> Vec<FeatureRow> {
    let row = |feature: &tenure_catalog::model::Feature| FeatureRow {
        name: feature.name.clone(),
        included: look.claims.has_feature(&feature.id),
    };
    let mut rows: Vec<FeatureRow> = look.catalog.product.features.iter().map(row).collect();
    rows.sort_by_key(|row| !row.included);
    rows
}

/// The plan's name for people.
pub(super) fn plan(look: &Look) -> String {
    let plan = look.catalog.product.plan(&look.claims.entitlements.tier);
    plan.map_or_else(|| look.claims.entitlements.tier.clone(), |plan| plan.name.clone())
}

/// `Enterprise`
pub(super) fn edition(edition: Edition) -> &'static str {
    match edition {
        Edition::Standard => "Standard",
        Edition::Enterprise => "Enterprise",
        Edition::Government => "Government",
    }
}

/// What a license says besides limits and features. `place` is the name of the
/// deployment that it is bound to.
pub(super) fn facts(
    look: &Look,
    place: Option<&str>,
    now: Timestamp,
    zone: &TimeZone,
) -> Vec<Fact> {
    let (license, claims) = (&look.detail.license, &look.claims);
    let fact = |label, value: String, note: String| Fact { label, value, note };
    let mut facts = vec![
        fact("Plan", plan(look), format!("{} edition", edition(claims.edition))),
        fact(
            "Ends",
            words::date(license.expires_at, zone),
            words::distance(license.expires_at, now),
        ),
        fact(
            "Revision",
            license.revision.to_string(),
            format!("issued {}", words::date(license.issued_at, zone)),
        ),
        fact("People", words::title(&claims.seats.to_string()), String::new()),
        fact("May be used in", place.unwrap_or("Any deployment").to_owned(), String::new()),
        fact("Contact with the vendor", contact(look), String::new()),
    ];
    if let Some(hours) = claims.entitlements.support_sla_hours {
        let first = format!("First answer within {}", words::counted(hours, "hour"));
        facts.push(fact("Support", first, String::new()));
    }
    if let Some(mode) = &claims.mode {
        facts.push(fact("Mode", mode.clone(), String::new()));
    }
    if let Some(until) = claims.update_until {
        facts.push(fact("Releases up to", words::date(until, zone), String::new()));
    }
    facts
}

fn contact(look: &Look) -> String {
    let days = look.claims.offline_grace_period_days;
    match look.claims.phone_home_required {
        true => format!("Needed every {}", words::counted(days, "day")),
        false => "Not needed".to_owned(),
    }
}
