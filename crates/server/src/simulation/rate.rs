//! Past usage on terms that did not hold.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use tenure_catalog::{
    Item, Over, Plan, Product, Terms, Usage, estimate,
    plan::{Basis, Part},
    rating::{self, Bill, MeterUsage, Window},
    resolve,
};
use tenure_core::{Money, Period, Quantity};
use tenure_tenancy::TenantTx;

use super::model::{ChargeCost, Refused};
use crate::{
    http::Problem,
    subscriptions::entitlements::Situation,
    usage::windows::{Asked, windows},
};

/// What terms would have come to.
#[derive(Debug, Clone)]
pub(super) struct Cost {
    pub(super) total: Money,
    pub(super) charges: Vec<ChargeCost>,
    pub(super) refused: Vec<Refused>,
}

/// What the periods would have cost, or why that cannot be said.
pub(super) async fn cost(
    tx: &mut TenantTx,
    situation: &Situation,
    product: &Product,
    terms: &Terms,
    periods: &[Period],
    now: Timestamp,
) -> Result<Result<Cost, rating::Error>, Problem> {
    let Some(plan) = product.plan(&terms.plan) else { return Err(Problem::not_found("plan")) };
    let mut found = Found::new(product);
    for period in periods {
        let mut usage = match used(tx, situation, product, plan, terms, *period, now).await? {
            Ok(usage) => usage,
            Err(error) => return Ok(Err(error)),
        };
        if let Some(whole) = whole_year(periods, *period) {
            match used(tx, situation, product, plan, terms, whole, now).await? {
                Ok(year) => usage.year = year.meters,
                Err(error) => return Ok(Err(error)),
            }
        }
        usage.billed_before = Some(found.committed);
        if let Err(error) = found.add(product, terms, *period, &usage) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(found.cost()))
}

/// Twelve monthly periods are a year, whose end settles what is settled once a year.
fn whole_year(periods: &[Period], period: Period) -> Option<Period> {
    const MONTHS_A_YEAR: usize = 12;
    let (first, last) = (periods.first()?, periods.last()?);
    let ends = periods.len() == MONTHS_A_YEAR && *last == period;
    ends.then_some(Period { start: first.start, end: last.end })
}

/// Totals of every meter that both the subscription and the product have.
async fn used(
    tx: &mut TenantTx,
    situation: &Situation,
    product: &Product,
    plan: &Plan,
    terms: &Terms,
    period: Period,
    now: Timestamp,
) -> Result<Result<Usage, rating::Error>, Problem> {
    let mut asked = Vec::new();
    for meter in &situation.catalog.product.meters {
        if product.meter(&meter.id).is_none() {
            continue;
        }
        let windows = match rating::windows(terms, period, plan.window(&meter.id)) {
            Ok(windows) => windows,
            Err(error) => return Ok(Err(error)),
        };
        asked.push(Asked { meter, windows });
    }
    let totals = windows(tx, situation, &asked, now, None).await?;
    let meters = asked.iter().zip(totals).map(|(asked, totals)| MeterUsage {
        meter: asked.meter.id.clone(),
        windows: asked
            .windows
            .iter()
            .zip(totals)
            .map(|(window, total)| Window { start: window.start, quantity: total.quantity })
            .collect(),
    });
    Ok(Ok(Usage { meters: meters.collect(), ..Usage::default() }))
}

/// The terms as if they had begun with the first period, on another plan or version. What is
/// held of an allocation stays held; charges that are not there fall away.
pub(super) fn moved(terms: &Terms, product: &Product, plan: &Plan, from: Timestamp) -> Terms {
    let mut moved = Terms::new(plan.id.clone(), terms.model, from);
    moved.mode = plan.mode.clone().or_else(|| terms.mode.clone());
    moved.zone.clone_from(&terms.zone);
    moved.term_years = terms.term_years;
    moved.prepaid = terms.prepaid;
    moved.customer_class.clone_from(&terms.customer_class);
    moved.customer_number = terms.customer_number;
    let own = terms.items.iter().filter(|item| product.charge(plan, &item.charge).is_some());
    moved.items = own.map(|item| Item { from: item.from.max(from), ..item.clone() }).collect();
    let held: BTreeMap<&str, Decimal> = held(terms, product);
    for charge in &plan.charges {
        let Basis::Held { allocation, minimum } = &charge.basis else { continue };
        if moved.items.iter().any(|item| item.charge == charge.id) {
            continue;
        }
        let quantity = held.get(allocation.as_str()).copied().unwrap_or_default();
        let quantity = quantity.max(minimum.value()).max(Decimal::ONE);
        if let Ok(quantity) = Quantity::new(quantity) {
            moved.items.push(Item { charge: charge.id.clone(), quantity, from, to: None });
        }
    }
    moved
}

/// What the present plan holds of each allocation.
fn held<'a>(terms: &Terms, product: &'a Product) -> BTreeMap<&'a str, Decimal> {
    let mut held = BTreeMap::new();
    let Some(plan) = product.plan(&terms.plan) else { return held };
    for charge in &plan.charges {
        let Basis::Held { allocation, .. } = &charge.basis else { continue };
        let open = terms.items.iter().filter(|item| item.charge == charge.id && item.to.is_none());
        let quantity: Decimal = open.map(|item| item.quantity.value()).sum();
        *held.entry(allocation.as_str()).or_default() += quantity;
    }
    held
}

/// The sums of all periods so far.
struct Found {
    total: Money,
    committed: Money,
    charges: Vec<ChargeCost>,
    refused: Vec<Refused>,
}

impl Found {
    fn new(product: &Product) -> Self {
        let zero = Money::zero(product.currency);
        Self { total: zero, committed: zero, charges: Vec::new(), refused: Vec::new() }
    }

    fn add(
        &mut self,
        product: &Product,
        terms: &Terms,
        period: Period,
        usage: &Usage,
    ) -> Result<(), rating::Error> {
        let bill: Bill = estimate(product, terms, period, usage)?;
        for line in bill.lines {
            self.total = self.total.checked_add(line.amount)?;
            if matches!(line.part, Part::Plan | Part::Overage) {
                self.committed = self.committed.checked_add(line.amount)?;
            }
            match self.charges.iter_mut().find(|charge| charge.charge == line.charge) {
                Some(known) => known.amount = known.amount.checked_add(line.amount)?,
                None => self.charges.push(ChargeCost {
                    charge: line.charge,
                    description: line.description,
                    amount: line.amount,
                }),
            }
        }
        self.refuse(product, terms, period, usage)
    }

    /// What limits that block would have refused.
    fn refuse(
        &mut self,
        product: &Product,
        terms: &Terms,
        period: Period,
        usage: &Usage,
    ) -> Result<(), rating::Error> {
        let now = resolve(product, terms, period.start.max(terms.start))?;
        for limit in now.limits.iter().filter(|limit| limit.over == Over::Block) {
            let Some(included) = limit.included else { continue };
            let Some(used) = usage.meters.iter().find(|one| one.meter == limit.id) else {
                continue;
            };
            let over = used.windows.iter().map(|window| window.quantity - included.value());
            let over: Vec<Decimal> = over.filter(|over| *over > Decimal::ZERO).collect();
            if over.is_empty() {
                continue;
            }
            let (windows, quantity) = (over.len(), over.into_iter().sum::<Decimal>().normalize());
            match self.refused.iter_mut().find(|refused| refused.meter == limit.id) {
                Some(known) => {
                    known.windows += windows;
                    known.quantity = (known.quantity + quantity).normalize();
                }
                None => {
                    self.refused.push(Refused { meter: limit.id.clone(), windows, quantity });
                }
            }
        }
        Ok(())
    }

    fn cost(self) -> Cost {
        Cost { total: self.total, charges: self.charges, refused: self.refused }
    }
}
