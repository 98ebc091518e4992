//! What one period is rated with: its segments, and every total that they ask for.
//!
//! The one way to rate usage: closes, estimates and simulations all come here.

use jiff::Timestamp;
use tenure_catalog::invoicing::{
    Asked, Error, MeterTotals, Of, PeriodInputs, Segment, Total, asked, segments,
};
use tenure_core::Period;
use tenure_tenancy::TenantTx;

use crate::{
    billing::periods::Account,
    http::Problem,
    products::Catalog,
    usage::windows::{self, Metered, windows},
};

/// Which usage counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upto {
    /// Of later generations, none.
    pub(crate) generation: i32,
    /// Of a period that is not over: windows that begin later are left out.
    pub(crate) as_of: Option<Timestamp>,
    pub(crate) now: Timestamp,
}

/// The inputs of period `n`, behind the period `before`; or why its terms cannot be rated.
pub(crate) async fn inputs(
    tx: &mut TenantTx,
    account: &Account,
    (n, before, period): (i32, Option<Period>, Period),
    upto: Upto,
) -> Result<Result<PeriodInputs, Error>, Problem> {
    let mut segments = match segments(&account.timeline, &account.versions(), before, period) {
        Ok(segments) => segments,
        Err(error) => return Ok(Err(error)),
    };
    for segment in &mut segments {
        if let Err(error) = total(tx, account, segment, period, upto).await? {
            return Ok(Err(error));
        }
    }
    let (cutoff, as_of) = (upto.generation, upto.as_of);
    Ok(Ok(PeriodInputs { n, period, cutoff, as_of, segments }))
}

async fn total(
    tx: &mut TenantTx,
    account: &Account,
    segment: &mut Segment,
    period: Period,
    upto: Upto,
) -> Result<Result<(), Error>, Problem> {
    let catalog = account.catalog(&segment.version)?;
    let wanted = match asked(&catalog.product, segment, period, upto.as_of) {
        Ok(wanted) => wanted,
        Err(error) => return Ok(Err(error)),
    };
    let found = totals(tx, account, catalog, &wanted, upto).await?;
    for (asked, windows) in wanted.into_iter().zip(found) {
        let totals = MeterTotals { windows, meter: asked.meter };
        match asked.of {
            Of::Period => segment.usage.push(totals),
            Of::Year => segment.year.push(totals),
        }
    }
    Ok(Ok(()))
}

/// Totals in the order asked. A meter that was never recorded, because the product
/// file that has it is only tried, has none.
async fn totals(
    tx: &mut TenantTx,
    account: &Account,
    catalog: &Catalog,
    wanted: &[Asked],
    upto: Upto,
) -> Result<Vec<Vec<Total>>, Problem> {
    let known = |asked: &&Asked| catalog.meters.contains_key(&asked.meter);
    let question = |asked: &Asked| {
        let meter = catalog.product.meter(&asked.meter);
        let meter = meter.ok_or_else(|| Problem::internal("a meter of its own product"))?;
        Ok(windows::Asked { meter, windows: asked.windows.clone() })
    };
    let questions: Vec<_> =
        wanted.iter().filter(known).map(question).collect::<Result<_, Problem>>()?;
    let mut found = Vec::new().into_iter();
    if !questions.is_empty() {
        let of = Metered { subscription: account.subscription.id, catalog };
        found = windows(tx, of, &questions, upto.now, Some(upto.generation)).await?.into_iter();
    }
    let all = wanted.iter().map(|asked| {
        let totals = if known(&asked) { found.next().unwrap_or_default() } else { Vec::new() };
        let totals = totals.into_iter().chain(std::iter::repeat(windows::Total::default()));
        asked.windows.iter().zip(totals).map(|(window, total)| told(window, total)).collect()
    });
    Ok(all.collect())
}

fn told(window: &Period, total: windows::Total) -> Total {
    Total {
        start: window.start,
        end: window.end,
        quantity: total.quantity,
        events: total.events,
        digest: hex::encode(total.digest),
    }
}
