//! Which totals a segment is rated with: those of meters that something is
//! charged for, and no others.

use jiff::Timestamp;
use tenure_core::Period;

use super::{Error, inputs::Segment};
use crate::{
    contract::Terms,
    model::Product,
    plan::{Basis, Over, Per},
    rating,
};

/// Totals of a meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Id of the meter.
    pub meter: String,
    /// By time; may be empty.
    pub windows: Vec<Period>,
    /// What they are for.
    pub of: Of,
}

/// What totals are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// The period that is billed.
    Period,
    /// The year that is trued up with it.
    Year,
}

/// The totals that `segment` needs in `period`, in the product's order of
/// meters; those of the year behind. Of a period that is not over, only windows
/// that began before `as_of`.
pub fn asked(
    product: &Product,
    segment: &Segment,
    period: Period,
    as_of: Option<Timestamp>,
) -> Result<Vec<Asked>, Error> {
    let mut all = whole(product, segment, period)?;
    for asked in &mut all {
        asked.windows.retain(|window| as_of.is_none_or(|now| window.start < now));
    }
    Ok(all)
}

fn whole(product: &Product, segment: &Segment, period: Period) -> Result<Vec<Asked>, Error> {
    let terms = &segment.terms;
    let mut all = Vec::new();
    for meter in metered(product, terms, false) {
        let per = window(product, terms, meter);
        let windows = rating::windows(terms, period, per)?;
        all.push(Asked { meter: meter.to_owned(), windows, of: Of::Period });
    }
    let Some(year) = rating::year_apart(terms, period)? else { return Ok(all) };
    let tenure = tenure(terms);
    for meter in metered(product, terms, true) {
        let per = window(product, terms, meter);
        let windows = rating::windows(&tenure, year, per)?;
        all.push(Asked { meter: meter.to_owned(), windows, of: Of::Year });
    }
    Ok(all)
}

/// The terms as if they had held for all of the plan's tenure: a year's windows
/// do not begin anew where a price changed.
fn tenure(terms: &Terms) -> Terms {
    let mut tenure = terms.clone();
    tenure.start = terms.began();
    if let Some(stretch) = &mut tenure.stretch {
        stretch.windows_from = None;
        stretch.windows_to = None;
    }
    tenure
}

fn window(product: &Product, terms: &Terms, meter: &str) -> Per {
    product.plan(&terms.plan).map_or(Per::Period, |plan| plan.window(meter))
}

/// Meters with a price in the terms' plan, or in what can be held beside it.
fn metered<'a>(
    product: &'a Product,
    terms: &'a Terms,
    yearly: bool,
) -> impl Iterator<Item = &'a str> {
    let plan = product.plan(&terms.plan);
    let charged = move |meter: &str| {
        let extras = product.add_ons.iter().chain(&product.services).map(|extra| &extra.charge);
        let charges = plan.into_iter().flat_map(|plan| &plan.charges).chain(extras);
        charges
            .into_iter()
            .any(|charge| matches!(&charge.basis, Basis::Metered { meter: of, .. } if of == meter))
    };
    let over = move |meter: &str| match plan.and_then(|plan| plan.limit(meter)).map(|l| &l.over) {
        Some(Over::Charge { .. }) => !yearly,
        Some(Over::TrueUp { .. }) => true,
        Some(Over::Block | Over::Warn) | None => false,
    };
    let ids = product.meters.iter().map(|meter| meter.id.as_str());
    ids.filter(move |meter| over(meter) || (!yearly && charged(meter)))
}
