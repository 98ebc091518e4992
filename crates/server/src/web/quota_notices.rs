//! What pages say about quotas: a notice where one warns or is used up, with the way
//! out of it, and how each stands.

use jiff::tz::TimeZone;
use tenure_api::usage::{MeterSummary, Standing, UsageSummary};
use tenure_catalog::{Model, Product};

use super::{frame::Bar, words};
use crate::quotas::upgrade::{MorePlan, plans_with_more};

/// A quota that warns or is used up.
pub(super) struct QuotaNotice {
    pub(super) tone: &'static str,
    pub(super) head: String,
    pub(super) text: String,
    /// Which plans include more.
    pub(super) more: String,
    /// Where plans are compared.
    pub(super) link: String,
}

/// A quota as it stands.
pub(super) struct QuotaRow {
    pub(super) name: String,
    pub(super) used: String,
    pub(super) bar: Bar,
    pub(super) past: String,
    pub(super) resets: String,
}

/// Of which subscription.
pub(super) struct Held<'a> {
    pub(super) product: &'a Product,
    pub(super) plan: &'a str,
    pub(super) model: Model,
    pub(super) zone: &'a TimeZone,
    /// Where plans are compared.
    pub(super) compare: String,
}

/// `Monthly quota`
pub(super) fn whose(per: &str) -> &'static str {
    match per {
        "day" => "Daily quota",
        "month" => "Monthly quota",
        _ => "Quota of the billing period",
    }
}

/// The notices of a subscription, those of quotas that are used up first.
pub(super) fn notices(usage: &UsageSummary, held: &Held<'_>) -> Vec<QuotaNotice> {
    let mut meters: Vec<&MeterSummary> =
        usage.meters.iter().filter(|meter| meter.standing != Standing::Ok).collect();
    meters.sort_by_key(|meter| match meter.standing {
        Standing::Blocked => 0,
        Standing::Over => 1,
        Standing::Warning | Standing::Ok => 2,
    });
    meters.into_iter().filter_map(|meter| notice(meter, held)).collect()
}

fn notice(meter: &MeterSummary, held: &Held<'_>) -> Option<QuotaNotice> {
    let limit = meter.limit?.value();
    let share =
        format!("{}/{}", words::number(meter.used.round_dp(2)), words::number(limit.normalize()));
    let whose = whose(&meter.window.per);
    let head = match meter.standing {
        Standing::Blocked | Standing::Over => format!("{whose} exceeded: {share}."),
        _ => format!("{whose} used to {}%: {share}.", meter.percent.unwrap_or(0)),
    };
    let resets = words::date_time(meter.window.resets_at, held.zone);
    let past = meter.past_limit_text.as_deref().unwrap_or_default();
    let more = plans_with_more(held.product, (held.model, held.plan), &meter.meter, limit);
    Some(QuotaNotice {
        tone: if meter.standing == Standing::Blocked { "bad" } else { "warn" },
        head,
        text: format!("{}: {past} They begin anew on {resets}.", meter.name),
        more: upgrade(&more, held),
        link: held.compare.clone(),
    })
}

fn upgrade(more: &[MorePlan], held: &Held<'_>) -> String {
    if more.is_empty() {
        return format!("For more, contact {}.", held.product.sales_contact);
    }
    let named = more.iter().map(|plan| match plan.included {
        Some(included) => format!("{} ({})", plan.name, words::number(included.normalize())),
        None => format!("{} (unlimited)", plan.name),
    });
    format!("More is included in {}.", named.collect::<Vec<_>>().join(", "))
}

/// Every quota of a subscription.
pub(super) fn rows(usage: &UsageSummary, zone: &TimeZone) -> Vec<QuotaRow> {
    let row = |meter: &MeterSummary| {
        let limit = meter.limit?.value();
        let percent = u32::try_from(meter.percent.unwrap_or(0)).unwrap_or(u32::MAX);
        Some(QuotaRow {
            name: meter.name.clone(),
            used: format!(
                "{} of {}",
                words::number(meter.used.round_dp(2)),
                words::counted(limit.normalize(), &meter.unit)
            ),
            bar: Bar::new(percent),
            past: meter.past_limit_text.clone().unwrap_or_default(),
            resets: words::date_time(meter.window.resets_at, zone),
        })
    };
    usage.meters.iter().filter_map(row).collect()
}
