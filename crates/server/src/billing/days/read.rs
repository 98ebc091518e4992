//! Gathers what a period's days are rated with: of an invoice, exactly what it was
//! computed from; of the running period, what its estimate reads.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use rust_decimal::Decimal;
use tenure_catalog::invoicing::{
    self, Committed, DraftLine, InvoiceInputs, PeriodInputs, Versions, days::PartUsed, draft,
    period_lines,
};
use tenure_core::{CatalogVersionId, Period, SubscriptionId, SubscriptionStatus, TenantId};
use tenure_tenancy::TenantTx;

use super::{db, model::InvoiceOfDays};
use crate::{
    App,
    billing::{
        close::{self, Upto},
        invoices::InvoiceStatus,
        periods::Account,
        present_period,
    },
    http::Problem,
    products::{self, Catalog},
    usage::{
        generations,
        windows::{Asked, Metered, windows},
    },
};

/// Everything that the days of a period are computed from.
pub(super) struct Case {
    pub(super) account: Account,
    pub(super) is_trial: bool,
    pub(super) inputs: PeriodInputs,
    /// Of the bill or the invoice; or what has to be agreed on first.
    pub(super) lines: Result<Vec<DraftLine>, String>,
    pub(super) invoice: Option<InvoiceOfDays>,
    /// By the name that the inputs call them.
    catalogs: BTreeMap<String, Arc<Catalog>>,
}

impl Case {
    pub(super) fn versions(&self) -> Versions<'_> {
        self.catalogs.iter().map(|(name, catalog)| (name.clone(), &catalog.product)).collect()
    }

    /// The zone that the period's windows are counted in.
    pub(super) fn zone(&self) -> &str {
        let first = self.inputs.segments.first();
        first.map_or(&self.account.tenant.time_zone, |segment| &segment.terms.zone)
    }

    /// Whose usage it is, with the meters of a segment's version.
    fn metered(&self, segment: usize) -> Result<Metered<'_>, Problem> {
        let segment = self.inputs.segments.get(segment);
        let segment = segment.ok_or_else(|| Problem::internal("a segment of its own inputs"))?;
        let catalog = self.catalogs.get(&segment.version);
        let catalog = catalog.ok_or_else(|| Problem::not_found("version"))?;
        Ok(Metered { subscription: self.account.subscription.id, catalog })
    }
}

/// The period that holds `at`.
pub(super) async fn case(
    app: &App,
    tx: &mut TenantTx,
    id: SubscriptionId,
    at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Case, Problem> {
    let mut account = Account::read(app, tx, id).await?;
    let is_trial = account.subscription.status == SubscriptionStatus::Trial;
    for entry in account.timeline.entries.iter_mut().filter(|_| is_trial) {
        entry.status = SubscriptionStatus::Active;
    }
    let at = at.map_or(now, |at| at.min(now));
    if let Some(closed) = db::closed_at(tx, id, at).await? {
        return past(app, tx, account, is_trial, closed, now).await;
    }
    let (n, before, period) = present_period(tx, &account, at).await?;
    if at < period.start {
        return Err(Problem::not_found("billing period"));
    }
    let generation = generations::open(tx, id).await?;
    let place = (n, before, period);
    let (inputs, committed) = so_far(tx, &account, place, generation, now).await?;
    let lines = rated(&inputs, &committed, &account.versions())?;
    let catalogs = account.catalogs.iter().cloned().collect();
    Ok(Case { account, is_trial, inputs, lines, invoice: None, catalogs })
}

async fn past(
    app: &App,
    tx: &mut TenantTx,
    account: Account,
    is_trial: bool,
    closed: db::Closed,
    now: Timestamp,
) -> Result<Case, Problem> {
    let id = account.subscription.id;
    let Some(found) = db::invoice_of(tx, id, closed.n).await? else {
        // Nothing was to be billed: no invoice.
        let place = (closed.n, closed.before, closed.period);
        let (inputs, committed) = so_far(tx, &account, place, closed.generation, now).await?;
        let lines = rated(&inputs, &committed, &account.versions())?;
        let catalogs = account.catalogs.iter().cloned().collect();
        return Ok(Case { account, is_trial, inputs, lines, invoice: None, catalogs });
    };
    let inputs: InvoiceInputs = serde_json::from_value(found.inputs).map_err(Problem::internal)?;
    let catalogs = catalogs(app, &inputs).await?;
    let versions: Versions<'_> =
        catalogs.iter().map(|(name, catalog)| (name.clone(), &catalog.product)).collect();
    let lines = draft(&inputs, &versions).map_err(close::cannot_invoice)?.lines;
    let status = InvoiceStatus::of(&found.status);
    let invoice = InvoiceOfDays { id: found.id, number: found.number, status };
    let (inputs, lines) = (inputs.own, Ok(lines));
    Ok(Case { account, is_trial, inputs, lines, invoice: Some(invoice), catalogs })
}

/// The inputs of a period as far as it is, and what earlier ones were billed towards a minimum.
async fn so_far(
    tx: &mut TenantTx,
    account: &Account,
    place: (i32, Option<Period>, Period),
    generation: i32,
    now: Timestamp,
) -> Result<(PeriodInputs, Vec<Committed>), Problem> {
    let upto = Upto { generation, as_of: Some(now), now };
    let inputs = close::inputs(tx, account, place, upto).await?;
    let committed = close::committed(tx, account, place.0, None).await?;
    Ok((inputs.map_err(close::cannot_invoice)?, committed))
}

/// The versions that an invoice's inputs name.
async fn catalogs(
    app: &App,
    inputs: &InvoiceInputs,
) -> Result<BTreeMap<String, Arc<Catalog>>, Problem> {
    let corrected = inputs.corrections.iter().flat_map(|correction| &correction.now.segments);
    let mut all = BTreeMap::new();
    for segment in inputs.own.segments.iter().chain(corrected) {
        if !all.contains_key(&segment.version) {
            let id: CatalogVersionId = segment.version.parse().map_err(Problem::internal)?;
            let catalog = products::catalog(app, id).await?.in_currency(inputs.currency)?;
            all.insert(segment.version.clone(), catalog);
        }
    }
    Ok(all)
}

fn rated(
    inputs: &PeriodInputs,
    committed: &[Committed],
    versions: &Versions<'_>,
) -> Result<Result<Vec<DraftLine>, String>, Problem> {
    use tenure_catalog::rating;
    match period_lines(inputs, committed, versions) {
        Ok(lines) => Ok(Ok(lines)),
        Err(invoicing::Error::Rating(rating::Error::NeedsContract(missing))) => {
            Ok(Err(format!("{missing}.")))
        }
        Err(error) => Err(close::cannot_invoice(error)),
    }
}

/// The quantities of parts of windows. What is counted is read once, from one day's
/// beginning to the next; what cannot be added up, from the window's start.
pub(super) async fn used(
    tx: &mut TenantTx,
    case: &Case,
    parts: Vec<PartUsed>,
    now: Timestamp,
) -> Result<BTreeMap<PartUsed, Decimal>, Problem> {
    let mut found = BTreeMap::new();
    for index in 0..case.inputs.segments.len() {
        let mut own: Vec<&PartUsed> = parts.iter().filter(|part| part.segment == index).collect();
        // By meter and window, then by time.
        own.sort_unstable();
        if own.is_empty() {
            continue;
        }
        let of = case.metered(index)?;
        let product = &of.catalog.product;
        let mut asked: Vec<Asked<'_>> = Vec::with_capacity(own.len());
        for (at, part) in own.iter().enumerate() {
            let meter = product.meter(&part.meter);
            let meter = meter.ok_or_else(|| Problem::internal("a meter of its own product"))?;
            let from = match at.checked_sub(1).map(|before| own[before]) {
                Some(before) if meter.aggregation.is_additive() && same(before, part) => {
                    before.until
                }
                _ => part.start,
            };
            asked.push(Asked { meter, windows: vec![Period { start: from, end: part.until }] });
        }
        let totals = windows(tx, of, &asked, now, Some(case.inputs.cutoff)).await?;
        let mut reached = Decimal::ZERO;
        for (at, (part, total)) in own.iter().zip(totals.into_iter().flatten()).enumerate() {
            let goes_on = asked[at].windows[0].start != part.start;
            reached = if goes_on { reached + total.quantity } else { total.quantity };
            found.insert((*part).clone(), reached);
        }
    }
    Ok(found)
}

fn same(one: &PartUsed, other: &PartUsed) -> bool {
    one.meter == other.meter && one.start == other.start
}

/// Whose period, for the operations.
pub(super) async fn open(
    app: &App,
    tenant: TenantId,
    id: SubscriptionId,
    at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(TenantTx, Case), Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let case = case(app, &mut tx, id, at, now).await?;
    Ok((tx, case))
}
