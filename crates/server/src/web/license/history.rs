//! What changed from one revision of a license to the next, claim by claim.

use jiff::tz::TimeZone;
use tenure_catalog::Product;
use tenure_license::{LicenseClaims, claims::Limit};

use super::{edition, limits};
use crate::{
    licensing::{Look, Revision},
    web::words,
};

/// What a claim is called, and what it says.
type Claim<'a> = (&'a str, &'a dyn Fn(&LicenseClaims) -> String);

/// One difference, as the audit trail shows them.
pub(in crate::web) struct Difference {
    pub(in crate::web) what: String,
    pub(in crate::web) before: Option<String>,
    pub(in crate::web) after: Option<String>,
}

/// One revision.
pub(in crate::web) struct RevisionRow {
    pub(in crate::web) revision: i32,
    pub(in crate::web) issued: String,
    pub(in crate::web) ends: String,
    pub(in crate::web) kid: String,
    pub(in crate::web) governs: bool,
    /// From when it replaced the one before, where that is later than its issue.
    pub(in crate::web) replaces: Option<String>,
    /// `None` for the first: there is nothing before it.
    pub(in crate::web) changes: Option<Vec<Difference>>,
}

/// The revisions, newest first.
pub(in crate::web) fn rows(look: &Look, zone: &TimeZone) -> Vec<RevisionRow> {
    let revisions = &look.detail.revisions;
    let product = &look.catalog.product;
    let read =
        |revision: &Revision| serde_json::from_value::<LicenseClaims>(revision.claims.clone()).ok();
    let claims: Vec<Option<LicenseClaims>> = revisions.iter().map(read).collect();
    let row = |(index, revision): (usize, &Revision)| {
        let after = claims.get(index).and_then(Option::as_ref);
        let before = claims.get(index + 1).and_then(Option::as_ref);
        let replaces = after.and_then(|claims| claims.supersedes);
        RevisionRow {
            revision: revision.revision,
            issued: words::date_time(revision.issued_at, zone),
            ends: words::date(revision.expires_at, zone),
            kid: words::short(&revision.kid),
            governs: index == 0,
            replaces: replaces
                .filter(|replaced| replaced.at > revision.issued_at)
                .map(|replaced| words::date_time(replaced.at, zone)),
            changes: before
                .zip(after)
                .map(|(before, after)| differences(product, before, after, zone)),
        }
    };
    revisions.iter().enumerate().map(row).collect()
}

/// What the later of two revisions says otherwise.
fn differences(
    product: &Product,
    before: &LicenseClaims,
    after: &LicenseClaims,
    zone: &TimeZone,
) -> Vec<Difference> {
    let plan = |claims: &LicenseClaims| {
        let tier = &claims.entitlements.tier;
        product.plan(tier).map_or_else(|| tier.clone(), |plan| plan.name.clone())
    };
    let model = |claims: &LicenseClaims| {
        let word = serde_json::to_value(claims.model).unwrap_or_default();
        words::title(word.as_str().unwrap_or_default())
    };
    let days = |claims: &LicenseClaims| words::counted(claims.offline_grace_period_days, "day");
    let contact = |claims: &LicenseClaims| {
        if claims.phone_home_required { "needed" } else { "not needed" }.to_owned()
    };
    let support = |claims: &LicenseClaims| {
        let hours = claims.entitlements.support_sla_hours;
        hours.map_or_else(|| "none".to_owned(), |hours| words::counted(hours, "hour"))
    };
    let single: [Claim<'_>; 10] = [
        ("model", &model),
        ("plan", &plan),
        ("edition", &|claims| edition(claims.edition).to_owned()),
        ("ends", &|claims| words::date(claims.exp, zone)),
        ("people", &|claims| claims.seats.to_string()),
        ("mode", &|claims| claims.mode.clone().unwrap_or_else(|| "none".to_owned())),
        ("contact with the vendor", &contact),
        ("days without contact", &days),
        ("support answers within", &support),
        ("customer", &|claims| claims.customer.name.clone()),
    ];
    let changed = single.into_iter().filter_map(|(what, say)| {
        let (before, after) = (say(before), say(after));
        (before != after).then(|| Difference {
            what: what.to_owned(),
            before: Some(before),
            after: Some(after),
        })
    });
    let mut all: Vec<Difference> = changed.collect();
    all.extend(features(product, before, after));
    all.extend(changed_limits(product, before, after));
    all.extend(values(before, after));
    all
}

fn features(product: &Product, before: &LicenseClaims, after: &LicenseClaims) -> Vec<Difference> {
    let name = |id: &String| {
        Some(product.feature(id).map_or_else(|| id.clone(), |feature| feature.name.clone()))
    };
    let difference = |before, after| Difference { what: "feature".to_owned(), before, after };
    let lost = before.features.iter().filter(|id| !after.has_feature(id));
    let won = after.features.iter().filter(|id| !before.has_feature(id));
    let lost = lost.map(|id| difference(name(id), None));
    lost.chain(won.map(|id| difference(None, name(id)))).collect()
}

fn changed_limits(
    product: &Product,
    before: &LicenseClaims,
    after: &LicenseClaims,
) -> Vec<Difference> {
    let mut ids: Vec<&String> = before.limits.keys().chain(after.limits.keys()).collect();
    ids.sort();
    ids.dedup();
    let difference = |id: &String| {
        let (was, is) = (before.limit(id), after.limit(id));
        // Where only the number is another one, only the number is said.
        let alike = was.zip(is).is_some_and(|(a, b)| (a.per, a.over) == (b.per, b.over));
        let say = |one: &Limit| if alike { most(one) } else { limit(one) };
        (was != is).then(|| Difference {
            what: limits::name(product, id).to_lowercase(),
            before: was.map(say),
            after: is.map(say),
        })
    };
    ids.into_iter().filter_map(difference).collect()
}

fn most(limit: &Limit) -> String {
    limit.max.map_or_else(|| "unlimited".to_owned(), |max| words::number(max.value()))
}

fn limit(limit: &Limit) -> String {
    let (most, over) = (most(limit), limits::over(limit.over).to_lowercase());
    format!("{most} {}, past it: {over}", limits::window(limit))
}

/// Settings of the plan; their values are the product's own words.
fn values(before: &LicenseClaims, after: &LicenseClaims) -> Vec<Difference> {
    let mut names: Vec<&String> = before.values.keys().chain(after.values.keys()).collect();
    names.sort();
    names.dedup();
    let shown = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(items) => {
            let each = items.iter().map(|item| item.as_str().unwrap_or_default());
            each.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    let difference = |name: &String| {
        let (was, is) = (before.values.get(name), after.values.get(name));
        (was != is).then(|| Difference {
            what: name.replace('_', " "),
            before: was.map(shown),
            after: is.map(shown),
        })
    };
    names.into_iter().filter_map(difference).collect()
}
