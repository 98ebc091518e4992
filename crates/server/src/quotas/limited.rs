//! A meter that is consumed, with the limit that holds for it now.

use std::fmt::Write as _;

use axum::http::{StatusCode, header};
use jiff::Timestamp;
use rust_decimal::Decimal;
use tenure_api::{
    quota::Quota,
    usage::{Standing, WindowNow},
};
use tenure_catalog::{Entitlements, Meter, Per, entitlements::LimitNow};
use tenure_core::{Period, Quantity};

use super::{
    db::Counter,
    standing::{percent, standing, thresholds},
    upgrade::{MorePlan, plans_with_more},
};
use crate::{http::Problem, subscriptions::entitlements::Situation};

/// A meter whose totals add up, and its limit, if it has one.
pub(super) struct Limited<'a> {
    pub(super) meter: &'a Meter,
    pub(super) meter_id: i32,
    pub(super) limit: Option<&'a LimitNow>,
    per: Per,
}

impl<'a> Limited<'a> {
    /// Every meter that is consumed, in the product's order.
    pub(super) fn all(
        situation: &'a Situation,
        entitlements: &'a Entitlements,
    ) -> Result<Vec<Self>, Problem> {
        let meters = &situation.catalog.product.meters;
        let consumed = meters.iter().filter(|meter| meter.aggregation.is_additive());
        consumed.map(|meter| Self::of(situation, entitlements, meter)).collect()
    }

    /// The meter of that id; 422 where it is none, or cannot be consumed.
    pub(super) fn find(
        situation: &'a Situation,
        entitlements: &'a Entitlements,
        id: &str,
    ) -> Result<Self, Problem> {
        let product = &situation.catalog.product;
        let Some(meter) = product.meter(id) else {
            let known: Vec<&str> = product.meters.iter().map(|meter| meter.id.as_str()).collect();
            let detail =
                format!("`{id}` is no meter of {}; it has {}.", product.name, known.join(", "));
            return Err(Problem::field("/meter", detail));
        };
        if !meter.aggregation.is_additive() {
            let detail = format!(
                "`{id}` is not used up ({}), so no part of it can be held. Send its events to \
                 /api/v1/usage.",
                meter.aggregation.word()
            );
            return Err(Problem::field("/meter", detail));
        }
        Self::of(situation, entitlements, meter)
    }

    fn of(
        situation: &'a Situation,
        entitlements: &'a Entitlements,
        meter: &'a Meter,
    ) -> Result<Self, Problem> {
        let limit = entitlements.limit(&meter.id);
        let planned = || situation.plan().map_or(Per::Period, |plan| plan.window(&meter.id));
        let per = limit.and_then(|limit| limit.per).unwrap_or_else(planned);
        Ok(Self { meter, meter_id: situation.meter_id(&meter.id)?, limit, per })
    }

    /// The window that holds `at`, cut at the start of the subscription.
    pub(super) fn window(&self, situation: &Situation, at: Timestamp) -> Result<Period, Problem> {
        situation.window(self.per, at)
    }

    /// The limit in the unit of the meter's events.
    pub(super) fn raw(&self) -> Option<Decimal> {
        let included = self.limit?.included?;
        included.value().checked_mul(self.meter.divide_by)
    }

    /// Whether `counter` lies past a limit that blocks.
    pub(super) fn is_past(&self, counter: &Counter) -> bool {
        super::blocks(self) && self.raw().is_some_and(|raw| counter.used + counter.reserved > raw)
    }

    /// Per cent at which people are told, rising.
    pub(super) fn thresholds(&self) -> Vec<u32> {
        self.limit.map(thresholds).unwrap_or_default()
    }

    /// Used of the limit, in whole per cent; `None`: unlimited, or a limit of nothing.
    pub(super) fn percent(&self, used: Decimal) -> Option<u32> {
        u32::try_from(percent(used, self.raw()?)?).ok()
    }

    /// How it stands, for callers.
    pub(super) fn told(&self, window: Period, counter: &Counter) -> Quota {
        let units = |raw: Decimal| raw.checked_div(self.meter.divide_by).unwrap_or(raw).normalize();
        let included = self.limit.and_then(|limit| limit.included);
        let remaining =
            self.raw().map(|raw| units((raw - counter.used - counter.reserved).max(Decimal::ZERO)));
        Quota {
            meter: self.meter.id.clone(),
            name: self.meter.name.clone(),
            unit: self.meter.unit.clone(),
            window: WindowNow {
                per: self.per.word().to_owned(),
                start: window.start,
                resets_at: window.end,
            },
            used: units(counter.used),
            reserved: units(counter.reserved),
            limit: included,
            remaining,
            past_limit: self.limit.map_or("warn", |limit| limit.over.word()).to_owned(),
            standing: self.limit.map_or(Standing::Ok, |limit| standing(limit, units(counter.used))),
        }
    }

    /// 429, with when the window ends and which plan includes more.
    pub(super) fn exceeded(&self, situation: &Situation, quota: &Quota) -> Problem {
        let limit = quota.limit.map_or(Decimal::ZERO, Quantity::value).normalize();
        let whose = match self.per {
            Per::Day => "Daily quota",
            Per::Month => "Monthly quota",
            Per::Period => "Quota of the billing period",
        };
        let mut detail = format!("{whose} exceeded: {}/{limit}", quota.used);
        if !quota.reserved.is_zero() {
            let _ = write!(detail, " ({} more held)", quota.reserved);
        }
        let _ = write!(detail, ". {} begin anew at {}.", quota.name, quota.window.resets_at);
        let product = &situation.catalog.product;
        let more = self.plans_with_more(situation, limit);
        match more.is_empty() {
            true => {
                let _ = write!(detail, " For more, contact {}.", product.sales_contact);
            }
            false => {
                let more = more.join(", ");
                let _ = write!(
                    detail,
                    " More is included in: {more}; contact {}.",
                    product.sales_contact
                );
            }
        }
        let title = "The quota is used up";
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "quota-exceeded", title, detail)
    }

    fn plans_with_more(&self, situation: &Situation, limit: Decimal) -> Vec<String> {
        let own = (situation.subscription.model, situation.subscription.plan.as_str());
        let all = plans_with_more(&situation.catalog.product, own, &self.meter.id, limit);
        let told = |plan: MorePlan| match plan.included {
            None => format!("{} (unlimited)", plan.name),
            Some(included) => format!("{} ({})", plan.name, included.normalize()),
        };
        all.into_iter().map(told).collect()
    }
}

/// Seconds until `resets_at`, for `Retry-After`.
pub(super) fn retry_after(problem: Problem, now: Timestamp, resets_at: Timestamp) -> Problem {
    let seconds = (resets_at.as_second() - now.as_second()).max(1);
    problem.with_header(header::RETRY_AFTER, &seconds.to_string())
}
