//! Days, months and billing periods of one subscription.
//!
//! Days and months are those of the tenant's present zone. Billing periods are
//! counted in the zone that the subscription began in, as its invoices count them.

use jiff::{Timestamp, tz::TimeZone};
use tenure_catalog::Per;
use tenure_core::{
    Period,
    period::{billing_period_at, calendar_day, calendar_month},
};

use super::entitlements::Situation;
use crate::http::Problem;

impl Situation {
    /// The billing period that holds `at`; of an ended subscription, the last.
    pub(crate) fn billing_period(&self, at: Timestamp) -> Result<Period, Problem> {
        let terms = &self.terms;
        let zone = TimeZone::get(&self.calendar_zone).map_err(Problem::internal)?;
        // The last moment inside: the end itself may begin another period.
        let last = terms.end.map(|end| Timestamp::from_nanosecond(end.as_nanosecond() - 1));
        let at = last.and_then(Result::ok).map_or(at, |last| at.min(last)).max(terms.start);
        let interval = self.subscription.interval;
        let (_, period) =
            billing_period_at(terms.anchored(), &zone, interval, at).map_err(Problem::internal)?;
        Ok(period)
    }

    /// The window of a limit that holds `at`, cut at the start of the subscription.
    pub(crate) fn window(&self, per: Per, at: Timestamp) -> Result<Period, Problem> {
        let start = self.terms.start;
        let at = at.max(start);
        let zone = || TimeZone::get(&self.terms.zone).map_err(Problem::internal);
        let whole = match per {
            Per::Day => calendar_day(at, &zone()?).map_err(Problem::internal)?,
            Per::Month => calendar_month(at, &zone()?).map_err(Problem::internal)?,
            Per::Period => self.billing_period(at)?,
        };
        Ok(Period { start: whole.start.max(start), end: whole.end })
    }
}
