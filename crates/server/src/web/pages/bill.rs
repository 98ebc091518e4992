//! The bill so far, as a card.

use jiff::tz::TimeZone;
use tenure_core::{SubscriptionId, TenantId};

use crate::{App, billing, http::Problem, web::words};

/// A line with its arithmetic.
pub(in crate::web) struct BillLine {
    pub(in crate::web) description: String,
    pub(in crate::web) arithmetic: String,
    pub(in crate::web) amount: String,
}

/// The view model of the card.
pub(in crate::web) struct BillCard {
    pub(in crate::web) id: String,
    pub(in crate::web) period: String,
    pub(in crate::web) lines: Vec<BillLine>,
    pub(in crate::web) total: String,
    pub(in crate::web) note: String,
    /// Why there is no bill.
    pub(in crate::web) refusal: Option<String>,
}

/// The estimated bill of the present period.
pub(in crate::web) async fn card(
    app: &App,
    tenant: TenantId,
    subscription: SubscriptionId,
    zone: &TimeZone,
) -> Result<BillCard, Problem> {
    let id = subscription.to_string();
    let bill = match billing::estimate(app, tenant, subscription).await {
        Ok(bill) => bill,
        // What cannot be rated is said in its place; the rest of the page stands.
        Err(problem) if problem.status == 409 => {
            let refusal = Some(problem.detail);
            let (period, total, note) = Default::default();
            return Ok(BillCard { id, period, lines: Vec::new(), total, note, refusal });
        }
        Err(problem) => return Err(problem),
    };
    let dates = (words::date(bill.period_start, zone), words::date(bill.period_end, zone));
    Ok(BillCard {
        id,
        period: format!("{} – {}", dates.0, dates.1),
        total: bill.total.display(),
        note: format!("Estimated {}.", words::date_time(bill.as_of, zone)),
        refusal: bill.needs_contract,
        lines: bill
            .lines
            .into_iter()
            .map(|line| BillLine {
                description: line.description,
                arithmetic: line.arithmetic,
                amount: line.amount.display(),
            })
            .collect(),
    })
}
