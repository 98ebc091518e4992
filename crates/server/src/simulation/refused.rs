//! What limits that block would have refused.

use jiff::Timestamp;
use rust_decimal::Decimal;
use tenure_catalog::{
    Over,
    invoicing::{PeriodInputs, Segment},
    rating, resolve,
};
use tenure_core::Period;
use tenure_tenancy::TenantTx;

use super::model::Refused;
use crate::{
    billing::periods::Account,
    http::Problem,
    products::Catalog,
    usage::windows::{Asked, Metered, windows},
};

/// A limit that blocks, with the windows it holds for.
struct Blocking<'a> {
    included: Decimal,
    asked: Asked<'a>,
}

/// Usage past limits that block, in whole windows, by meter.
pub(super) async fn refused(
    tx: &mut TenantTx,
    account: &Account,
    periods: &[PeriodInputs],
    now: Timestamp,
) -> Result<Result<Vec<Refused>, rating::Error>, Problem> {
    let mut all: Vec<Refused> = Vec::new();
    for inputs in periods {
        for segment in &inputs.segments {
            let catalog = account.catalog(&segment.version)?;
            let blocking = match blocking(catalog, segment, inputs.period) {
                Ok(blocking) => blocking,
                Err(error) => return Ok(Err(error)),
            };
            let (included, asked): (Vec<Decimal>, Vec<Asked<'_>>) =
                blocking.into_iter().map(|one| (one.included, one.asked)).unzip();
            if asked.is_empty() {
                continue;
            }
            let of = Metered { subscription: account.subscription.id, catalog };
            let totals = windows(tx, of, &asked, now, Some(inputs.cutoff)).await?;
            for ((included, asked), totals) in included.into_iter().zip(&asked).zip(totals) {
                let over = totals.iter().map(|total| total.quantity - included);
                add(&mut all, &asked.meter.id, over.filter(|over| *over > Decimal::ZERO));
            }
        }
    }
    Ok(Ok(all))
}

/// The limits of the segment that block, of meters that were ever recorded.
fn blocking<'a>(
    catalog: &'a Catalog,
    segment: &Segment,
    period: Period,
) -> Result<Vec<Blocking<'a>>, rating::Error> {
    let (product, terms) = (&catalog.product, &segment.terms);
    let now = resolve(product, terms, period.start.max(terms.start))?;
    let mut all = Vec::new();
    for limit in now.limits.iter().filter(|limit| limit.over == Over::Block) {
        let Some(included) = limit.included else { continue };
        let Some(meter) = product.meter(&limit.id) else { continue };
        let Some(plan) = product.plan(&terms.plan) else { continue };
        if !catalog.meters.contains_key(&meter.id) {
            continue;
        }
        let windows = rating::windows(terms, period, plan.window(&meter.id))?;
        all.push(Blocking { included: included.value(), asked: Asked { meter, windows } });
    }
    Ok(all)
}

fn add(all: &mut Vec<Refused>, meter: &str, over: impl Iterator<Item = Decimal>) {
    for quantity in over {
        match all.iter_mut().find(|refused| refused.meter == meter) {
            Some(known) => {
                known.windows += 1;
                known.quantity = (known.quantity + quantity).normalize();
            }
            None => {
                let quantity = quantity.normalize();
                all.push(Refused { meter: meter.to_owned(), windows: 1, quantity });
            }
        }
    }
}
