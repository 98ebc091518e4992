//! What a subscription used so far, against its limits.

use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;
use tenure_api::usage::{DayUsage, MeterSummary, Standing, UsageSummary, WindowNow};
use tenure_catalog::{Meter, Over, Per, entitlements::LimitNow, resolve};
use tenure_core::{Period, SubscriptionId, TenantId, period::calendar_day};

use super::windows::{Asked, windows};
use crate::{
    App,
    http::Problem,
    quotas::standing::{percent, standing},
    subscriptions::{
        entitlements::{Situation, situation},
        not_resolved,
    },
};

/// Days of the series at most: as far back as usage is taken.
pub const DAYS_MAX: u16 = 400;
/// Days of the series when the caller does not say.
pub const DAYS_DEFAULT: u16 = 30;

/// Usage of every meter in its present window, and a series of `days` days.
pub async fn summary(
    app: &App,
    tenant: TenantId,
    subscription: SubscriptionId,
    days: u16,
) -> Result<UsageSummary, Problem> {
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(Problem::field("/days", format!("Ask for 1 to {DAYS_MAX} days.")));
    }
    let now = app.now();
    let situation = situation(app, tenant, subscription).await?;
    let calendar = Calendar::of(&situation, now)?;
    let entitlements =
        resolve(&situation.catalog.product, &situation.terms, now).map_err(not_resolved)?;
    let series = calendar.days(now, days)?;
    let meters = &situation.catalog.product.meters;
    let mut asked = Vec::with_capacity(meters.len());
    let mut present = Vec::with_capacity(meters.len());
    for meter in meters {
        let limit = entitlements.limit(&meter.id);
        let per = limit
            .and_then(|limit| limit.per)
            .unwrap_or_else(|| situation.plan().map_or(Per::Period, |plan| plan.window(&meter.id)));
        let window = situation.window(per, now)?;
        present.push((meter, limit, per, window));
        let mut windows = vec![window];
        windows.extend(&series);
        asked.push(Asked { meter, windows });
    }
    let mut tx = app.db().tenant(tenant).await?;
    let totals = windows(&mut tx, situation.metered(), &asked, now, None).await?;
    tx.commit().await?;
    let meters = present
        .into_iter()
        .zip(totals)
        .map(|((meter, limit, per, window), totals)| {
            let mut totals = totals.into_iter().map(|total| total.quantity);
            let used = totals.next().unwrap_or_default();
            let daily = calendar.named(&series, totals);
            one(meter, limit, per, window, used, daily, &situation)
        })
        .collect();
    Ok(UsageSummary {
        product: entitlements.product,
        plan: entitlements.plan,
        as_of: now,
        time_zone: situation.terms.zone.clone(),
        period_start: calendar.period.start,
        period_end: calendar.period.end,
        meters,
    })
}

/// Days, months and billing periods of one subscription.
pub(crate) struct Calendar {
    pub(crate) zone: TimeZone,
    /// The present billing period; of an ended subscription, the last.
    pub(crate) period: Period,
}

impl Calendar {
    pub(crate) fn of(situation: &Situation, now: Timestamp) -> Result<Self, Problem> {
        let zone = TimeZone::get(&situation.terms.zone).map_err(Problem::internal)?;
        Ok(Self { zone, period: situation.billing_period(now)? })
    }

    /// The last `days` calendar days, oldest first, today included.
    fn days(&self, now: Timestamp, days: u16) -> Result<Vec<Period>, Problem> {
        let mut all = Vec::with_capacity(days.into());
        let mut at = now;
        for _ in 0..days {
            let day = calendar_day(at, &self.zone).map_err(Problem::internal)?;
            all.push(day);
            let before = Timestamp::from_nanosecond(day.start.as_nanosecond() - 1);
            at = before.map_err(Problem::internal)?;
        }
        all.reverse();
        Ok(all)
    }

    fn named(&self, days: &[Period], totals: impl Iterator<Item = Decimal>) -> Vec<DayUsage> {
        let date = |day: &Period| day.start.to_zoned(self.zone.clone()).date();
        days.iter()
            .zip(totals)
            .map(|(day, quantity)| DayUsage { date: date(day), quantity })
            .collect()
    }
}

fn one(
    meter: &Meter,
    limit: Option<&LimitNow>,
    per: Per,
    window: Period,
    used: Decimal,
    daily: Vec<DayUsage>,
    situation: &Situation,
) -> MeterSummary {
    let included = limit.and_then(|limit| limit.included);
    let limited = limit.filter(|_| included.is_some());
    MeterSummary {
        meter: meter.id.clone(),
        name: meter.name.clone(),
        unit: meter.unit.clone(),
        aggregation: meter.aggregation.word().to_owned(),
        used,
        window: WindowNow {
            per: per.word().to_owned(),
            start: window.start,
            resets_at: window.end,
        },
        limit: included,
        percent: included.and_then(|included| percent(used, included.value())),
        past_limit: limited.map(|limit| limit.over.word().to_owned()),
        past_limit_text: limited.map(|limit| {
            sentence(&limit.over, &meter.unit, situation.catalog.product.currency.code())
        }),
        standing: limited.map_or(Standing::Ok, |limit| standing(limit, used)),
        daily,
    }
}

fn sentence(over: &Over, unit: &str, currency: &str) -> String {
    let (price, each, when) = match over {
        Over::Block => return "At the limit, the product refuses more.".to_owned(),
        Over::Warn => return "Past the limit, use goes on; people are told.".to_owned(),
        Over::Charge { price, each, .. } => (price, each, "with each invoice"),
        Over::TrueUp { price, each, .. } => (price, each, "once a year"),
    };
    let what = match each.value() == Decimal::ONE {
        true => format!("each {unit} costs"),
        false => format!("every {each} cost"),
    };
    format!("Past the limit, {what} {price} {currency}, billed {when}.")
}
