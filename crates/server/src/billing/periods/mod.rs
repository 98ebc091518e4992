//! The billing periods of a subscription, as rows: one follows the other, with
//! no gap and no overlap, and the last is open.
//!
//! Owns: where the first begins and where each ends, as the timeline says.
//! Refuses: changing a period that is closed.

pub(super) mod db;

use std::sync::Arc;

use jiff::Timestamp;
use tenure_catalog::invoicing::{Entry, Timeline, Versions};
use tenure_core::{Period, SubscriptionId, SubscriptionStatus, TenantId};
use tenure_tenancy::TenantTx;

use crate::{
    App,
    http::Problem,
    products::{self, Catalog},
    subscriptions::{self, Subscription, timeline},
    tenants::{self, Tenant},
};

/// Periods that are looked for behind the last one that was opened.
const AHEAD_MAX: usize = 1_000;
/// Subscriptions that are given their first period in one go.
const FIRST_MAX: i64 = 500;

/// Opens the first period of a new subscription: the one that holds `from`.
pub(crate) async fn begin(
    tx: &mut TenantTx,
    subscription: &Subscription,
    tenant: &Tenant,
    from: Timestamp,
) -> Result<(), Problem> {
    let entries = vec![present(subscription, tenant)];
    let timeline = of(subscription, entries);
    open_first(tx, subscription.id, &timeline, from).await
}

async fn open_first(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    timeline: &Timeline,
    from: Timestamp,
) -> Result<(), Problem> {
    match timeline.first_period(from).map_err(Problem::internal)? {
        Some(period) => db::open(tx, subscription, 0, period).await,
        None => Ok(()),
    }
}

/// The open period ends where the timeline says now: a cancellation, or a change
/// of how long periods are, ends it early.
pub(crate) async fn settle(tx: &mut TenantTx, id: SubscriptionId) -> Result<(), Problem> {
    let Some(open) = db::lock_open(tx, id).await? else { return Ok(()) };
    let read = subscriptions::db::find(tx, id).await?;
    let subscription = read.ok_or_else(|| Problem::not_found("subscription"))?;
    let entries = timeline::read(tx, id).await?;
    let timeline = of(&subscription, entries);
    match timeline.period_from(open.period.start).map_err(Problem::internal)? {
        Some(period) if period.end == open.period.end => Ok(()),
        Some(period) => db::end(tx, id, open.n, period.end).await,
        None => db::remove(tx, id, open.n).await,
    }
}

/// The timeline of a subscription, without items and contracts.
fn of(subscription: &Subscription, entries: Vec<Entry>) -> Timeline {
    Timeline {
        anchor: subscription.anchor,
        customer_number: subscription.customer_number.and_then(|n| u32::try_from(n).ok()),
        entries,
        items: Vec::new(),
        contracts: Vec::new(),
    }
}

/// The terms as they are, as if they had always been so.
fn present(subscription: &Subscription, tenant: &Tenant) -> Entry {
    Entry {
        from: subscription.anchor,
        version: timeline::version_name(subscription.catalog_version_id),
        plan: subscription.plan.clone(),
        model: subscription.model,
        mode: subscription.mode.clone(),
        interval: subscription.interval,
        term_years: u32::try_from(subscription.term_years).unwrap_or(1),
        prepaid: subscription.prepaid,
        hard_stops: subscription.hard_stops.clone(),
        zone: tenant.time_zone.clone(),
        customer_class: tenant.customer_class.clone(),
        status: subscription.status,
    }
}

/// A subscription with everything that its bills depend on, but its usage.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) tenant: Tenant,
    pub(crate) subscription: Subscription,
    pub(crate) timeline: Timeline,
    pub(crate) catalogs: Vec<(String, Arc<Catalog>)>,
}

impl Account {
    /// Reads it in a unit of work under way.
    pub(crate) async fn read(
        app: &App,
        tx: &mut TenantTx,
        id: SubscriptionId,
    ) -> Result<Self, Problem> {
        let read = subscriptions::db::find(tx, id).await?;
        let subscription = read.ok_or_else(|| Problem::not_found("subscription"))?;
        let tenant = tenants::db::read(tx).await?.ok_or_else(|| Problem::not_found("tenant"))?;
        let mut entries = timeline::read(tx, id).await?;
        if entries.is_empty() {
            // Imported from an archive of a version that kept no timeline.
            entries.push(present(&subscription, &tenant));
        }
        let contracts = subscriptions::db::contracts(tx, id).await?;
        let mut timeline = of(&subscription, entries);
        timeline.items = subscription.items.iter().map(subscriptions::Item::terms).collect();
        timeline.contracts = contracts.into_iter().map(|contract| contract.terms()).collect();
        let mut catalogs: Vec<(String, Arc<Catalog>)> = Vec::new();
        for entry in &timeline.entries {
            if catalogs.iter().any(|(known, _)| *known == entry.version) {
                continue;
            }
            let version = entry.version.parse().map_err(Problem::internal)?;
            let catalog = products::catalog(app, version).await?;
            catalogs.push((entry.version.clone(), catalog.in_currency(subscription.currency)?));
        }
        Ok(Self { tenant, subscription, timeline, catalogs })
    }

    /// The product files, by the names that inputs call them.
    pub(crate) fn versions(&self) -> Versions<'_> {
        self.catalogs.iter().map(|(name, catalog)| (name.clone(), &catalog.product)).collect()
    }

    /// The catalog of a version that the timeline names.
    pub(crate) fn catalog(&self, version: &str) -> Result<&Arc<Catalog>, Problem> {
        let found = self.catalogs.iter().find(|(name, _)| name == version);
        found.map(|(_, catalog)| catalog).ok_or_else(|| Problem::not_found("version"))
    }

    /// The catalog that the subscription is on now.
    pub(crate) fn present_catalog(&self) -> Result<&Arc<Catalog>, Problem> {
        self.catalog(&timeline::version_name(self.subscription.catalog_version_id))
    }

    /// The last `max` periods up to the one that holds `now` (of an ended subscription, up to
    /// its last), with their numbers, oldest first. Rows may be behind: periods are closed by
    /// a job.
    pub(crate) async fn periods_until(
        &self,
        tx: &mut TenantTx,
        now: Timestamp,
        max: u8,
    ) -> Result<Vec<(i32, Period)>, Problem> {
        let mut all = db::newest(tx, self.subscription.id, max.into()).await?;
        if all.is_empty() {
            let from = self.subscription.created_at;
            let first = self.timeline.first_period(from).map_err(Problem::internal)?;
            all.extend(first.map(|first| (0, first)));
        }
        for _ in 0..AHEAD_MAX {
            let Some((n, last)) = all.last().copied().filter(|(_, last)| last.end <= now) else {
                break;
            };
            let Some(next) = self.period_from(last.end)? else { break };
            all.push((n + 1, next));
        }
        let skip = all.len().saturating_sub(max.into());
        Ok(all.split_off(skip))
    }

    /// Whether the subscription had ended by `at`.
    pub(crate) fn is_over_at(&self, at: Timestamp) -> bool {
        let status = self.timeline.at(at).map(|entry| entry.status);
        status == Some(SubscriptionStatus::Cancelled)
    }

    /// The period that starts at `start`; none after the end.
    pub(crate) fn period_from(&self, start: Timestamp) -> Result<Option<Period>, Problem> {
        self.timeline.period_from(start).map_err(Problem::internal)
    }
}

/// Gives a first period to subscriptions that have none: those that were made
/// before periods were kept, from the period on in which they were made. Returns
/// how many.
pub(crate) async fn open_missing(app: &App) -> Result<u64, Problem> {
    let mut tx = app.db().vendor().await?;
    let missing = db::without_periods(&mut tx, FIRST_MAX).await?;
    tx.commit().await?;
    let mut count = 0;
    for (tenant, id) in missing {
        open_one(app, tenant, id).await?;
        count += 1;
    }
    Ok(count)
}

async fn open_one(app: &App, tenant: TenantId, id: SubscriptionId) -> Result<(), Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let account = Account::read(app, &mut tx, id).await?;
    let from = account.subscription.created_at;
    open_first(&mut tx, id, &account.timeline, from).await?;
    tx.commit().await?;
    Ok(())
}
