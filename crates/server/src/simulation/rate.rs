//! What past periods come to, rated as their invoices are.

use jiff::Timestamp;
use tenure_catalog::invoicing::{Committed, Error, lines_in_a_row};
use tenure_core::{Money, Period, SubscriptionId};
use tenure_tenancy::TenantTx;

use super::{
    model::{ChargeCost, Refused},
    refused::refused,
};
use crate::{
    App,
    billing::{
        close::{self, Upto},
        periods::Account,
    },
    http::Problem,
    usage::generations,
};

/// What terms come to.
#[derive(Debug, Clone)]
pub(super) struct Cost {
    pub(super) total: Money,
    pub(super) charges: Vec<ChargeCost>,
    pub(super) refused: Vec<Refused>,
}

/// A subscription and the periods of it that are rated.
pub(super) struct Past {
    pub(super) account: Account,
    /// With their numbers, oldest first.
    pub(super) periods: Vec<(i32, Period)>,
    upto: Upto,
}

impl Past {
    /// The last `wanted` periods that are over.
    pub(super) async fn read(
        app: &App,
        tx: &mut TenantTx,
        subscription: SubscriptionId,
        wanted: u8,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let account = Account::read(app, tx, subscription).await?;
        // One more: the last may be under way.
        let mut periods = account.periods_until(tx, now, wanted.saturating_add(1)).await?;
        periods.retain(|(_, period)| period.end <= now);
        let periods = periods.split_off(periods.len().saturating_sub(wanted.into()));
        let generation = generations::open(tx, subscription).await?;
        Ok(Self { account, periods, upto: Upto { generation, as_of: None, now } })
    }

    /// What the periods come to on the subscription's own terms.
    pub(super) async fn own(&self, tx: &mut TenantTx) -> Result<Result<Cost, Error>, Problem> {
        let n = self.periods.first().map_or(0, |(n, _)| *n);
        let before = close::committed(tx, &self.account, n, None).await?;
        self.on(tx, &self.account, before).await
    }

    /// What they come to on the terms of `account`, which may be made up.
    pub(super) async fn on(
        &self,
        tx: &mut TenantTx,
        account: &Account,
        before: Vec<Committed>,
    ) -> Result<Result<Cost, Error>, Problem> {
        let mut all = Vec::with_capacity(self.periods.len());
        let mut last = None;
        for (n, period) in &self.periods {
            match close::inputs(tx, account, (*n, last, *period), self.upto).await? {
                Ok(inputs) => all.push(inputs),
                Err(error) => return Ok(Err(error)),
            }
            last = Some(*period);
        }
        let lines = match lines_in_a_row(&all, before, &account.versions()) {
            Ok(lines) => lines,
            Err(error) => return Ok(Err(error)),
        };
        let currency = account.present_catalog()?.product.currency;
        let mut charges: Vec<ChargeCost> = Vec::new();
        let mut total = Money::zero(currency);
        for line in lines {
            total = total.checked_add(line.amount).map_err(Problem::internal)?;
            match charges.iter_mut().find(|charge| charge.charge == line.charge) {
                Some(known) => {
                    let sum = known.amount.checked_add(line.amount);
                    known.amount = sum.map_err(Problem::internal)?;
                }
                None => charges.push(ChargeCost {
                    charge: line.charge,
                    description: line.description,
                    amount: line.amount,
                }),
            }
        }
        let refused = refused(tx, account, &all, self.upto.now).await?;
        Ok(refused.map(|refused| Cost { total, charges, refused }).map_err(Error::Rating))
    }
}
