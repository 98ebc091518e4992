//! The bill so far, as a card.

use jiff::tz::TimeZone;
use tenure_core::{SubscriptionId, TenantId};

use crate::{App, billing, http::Problem, web::words};

/// A line with its arithmetic.
pub(super) struct BillLine {
    pub(super) description: String,
    pub(super) arithmetic: String,
    pub(super) amount: String,
}

/// The view model of the card.
pub(super) struct BillCard {
    pub(super) id: String,
    pub(super) period: String,
    pub(super) lines: Vec<BillLine>,
    pub(super) total: String,
    pub(super) note: String,
    /// Why there is no bill.
    pub(super) refusal: Option<String>,
}

/// The estimated bill of the present period.
pub(super) async fn card(
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
