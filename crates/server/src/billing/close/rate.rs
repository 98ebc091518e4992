//! Gathers what an invoice is made of, and rates it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use tenure_catalog::invoicing::{
    Buyer, Committed, Correction, InvoiceDraft, InvoiceInputs, TaxTable, draft, segments,
};
use tenure_core::{InvoiceId, Period};
use tenure_license::Digest;
use tenure_tenancy::TenantTx;

use super::{
    db,
    inputs::{Upto, inputs},
};
use crate::{
    billing::{
        periods::{
            Account,
            db::{self as periods, Row},
        },
        tax,
    },
    http::Problem,
    usage::HORIZON_DAYS,
};

/// Periods corrected by one invoice at most.
const CORRECTED_MAX: usize = 60;

/// A rated period.
pub(crate) struct Rated {
    pub(crate) row: Row,
    pub(crate) generation: i32,
    pub(crate) inputs: InvoiceInputs,
    pub(crate) draft: InvoiceDraft,
    /// Of the period's terms.
    pub(crate) terms_digest: Vec<u8>,
    /// Periods that were corrected, with the digests of their terms.
    pub(crate) corrected: Vec<(i32, Vec<u8>)>,
}

/// Rates the period of `row` up to `generation`. Of an invoice that is drafted
/// again, what it says already does not count as billed.
pub(crate) async fn rate(
    tx: &mut TenantTx,
    account: &Account,
    row: &Row,
    (generation, again): (i32, Option<InvoiceId>),
    now: Timestamp,
) -> Result<Rated, Problem> {
    let horizon = row.period.start - SignedDuration::from_hours(24 * HORIZON_DAYS);
    let earlier = periods::closed_before(tx, account.subscription.id, row.n, horizon).await?;
    let before = earlier.last().map(|row| row.period);
    let upto = Upto { generation, as_of: None, now };
    let own = inputs(tx, account, (row.n, before, row.period), upto).await?;
    let own = own.map_err(cannot_invoice)?;
    let terms_digest = digest(account, before, row.period)?;
    let due = to_correct(tx, account, &earlier, row, (generation, again)).await?;
    let mut corrections = Vec::new();
    let mut corrected = Vec::new();
    for index in due {
        let old = &earlier[index];
        let before = index.checked_sub(1).map(|index| earlier[index].period);
        let place = (old.n, before, old.period);
        let now_is = inputs(tx, account, place, upto).await?.map_err(cannot_invoice)?;
        let billed = db::billed(tx, account, old.n, again).await?;
        corrections.push(Correction { billed, now: now_is });
        corrected.push((old.n, digest(account, before, old.period)?));
    }
    let currency = account.present_catalog()?.product.currency;
    let all = InvoiceInputs {
        currency,
        committed: committed(tx, account, row.n, again).await?,
        own,
        corrections,
        tax: rates(tx, account).await?,
        zone_data: super::super::zone_data(),
    };
    let draft = draft(&all, &account.versions()).map_err(cannot_invoice)?;
    Ok(Rated { row: row.clone(), generation, inputs: all, draft, terms_digest, corrected })
}

/// A period that cannot be rated stays open; its job says why and tries again.
pub(crate) fn cannot_invoice(error: tenure_catalog::invoicing::Error) -> Problem {
    Problem::conflict("cannot-rate", format!("The period cannot be billed: {error}."))
}

/// Which of `earlier` have to be rated again: their usage changed in generations
/// since the last close, or their terms are others than those they were rated with.
async fn to_correct(
    tx: &mut TenantTx,
    account: &Account,
    earlier: &[Row],
    row: &Row,
    (generation, again): (i32, Option<InvoiceId>),
) -> Result<Vec<usize>, Problem> {
    let Some(last) = earlier.last() else { return Ok(Vec::new()) };
    let since = last.generation.unwrap_or(-1);
    let subscription = account.subscription.id;
    let late =
        periods::earliest_late(tx, subscription, (since, generation), row.period.start).await?;
    let already: BTreeSet<i32> = match again {
        Some(invoice) => db::corrected_by(tx, invoice).await?.into_iter().collect(),
        None => BTreeSet::new(),
    };
    let mut all = Vec::new();
    for (index, old) in earlier.iter().enumerate().filter(|(_, old)| !old.annulled) {
        let late_usage = late.is_some_and(|late| late < old.period.end);
        let before = index.checked_sub(1).map(|index| earlier[index].period);
        if late_usage
            || already.contains(&old.n)
            || old.terms_digest.as_deref() != Some(&*digest(account, before, old.period)?)
        {
            all.push(index);
        }
    }
    if all.len() > CORRECTED_MAX {
        all.drain(..all.len() - CORRECTED_MAX);
    }
    Ok(all)
}

/// Digest of the terms that a period is rated with.
fn digest(account: &Account, before: Option<Period>, period: Period) -> Result<Vec<u8>, Problem> {
    let all = segments(&account.timeline, &account.versions(), before, period);
    let text = serde_json::to_vec(&all.map_err(cannot_invoice)?).map_err(Problem::internal)?;
    Ok(Digest::sha256(&text).as_bytes().to_vec())
}

/// What earlier periods were billed towards a minimum, where a plan has one.
pub(crate) async fn committed(
    tx: &mut TenantTx,
    account: &Account,
    n: i32,
    again: Option<InvoiceId>,
) -> Result<Vec<Committed>, Problem> {
    let any = account.timeline.entries.iter().any(|entry| {
        let catalog = account.catalog(&entry.version).ok();
        let plan = catalog.and_then(|catalog| catalog.product.plan(&entry.plan));
        plan.is_some_and(|plan| plan.commitment.is_some())
    });
    match any {
        true => db::committed(tx, account, n, again).await,
        false => Ok(Vec::new()),
    }
}

/// The rates that hold for who pays.
async fn rates(
    tx: &mut TenantTx,
    account: &Account,
) -> Result<Vec<tenure_catalog::invoicing::TaxRate>, Problem> {
    let seller = account.present_catalog()?.seller_id;
    let table = tax::db::table(tx, seller).await?;
    if table.rules.is_empty() {
        return Ok(Vec::new());
    }
    let payer = tax::db::payer(tx, account.subscription.billing_account_id).await?;
    let text = |field: &str| payer.address[field].as_str().map(str::to_owned);
    let buyer = Buyer {
        country: text("country"),
        region: text("region").or_else(|| text("state")),
        tax_id: payer.tax_id,
    };
    Ok(table.rates(&buyer))
}
