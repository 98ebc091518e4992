//! The resolved answer to "what may this subscription do", and its cache.

use std::sync::Arc;

use jiff::Timestamp;
use tenure_catalog::{Terms, resolve};
use tenure_core::{SubscriptionId, SubscriptionStatus, TenantId, TenantStatus};
use tenure_license::Digest;

use super::{Subscription, db, not_resolved, terms, timeline};
use crate::{
    App, app::Resolved, http::Problem, products, products::Catalog, tenants,
    usage::windows::Metered,
};

/// A subscription with everything that its prices and entitlements depend on.
pub(crate) struct Situation {
    pub(crate) tenant: tenants::Tenant,
    pub(crate) subscription: Subscription,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) terms: Terms,
    /// Billing periods are counted in it: the zone that the subscription began in.
    pub(crate) calendar_zone: String,
}

/// Reads the situation of a subscription.
pub(crate) async fn situation(
    app: &App,
    tenant: TenantId,
    id: SubscriptionId,
) -> Result<Situation, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let subscription =
        db::find(&mut tx, id).await?.ok_or_else(|| Problem::not_found("subscription"))?;
    let of = tenants::db::read(&mut tx).await?;
    let terms = terms(&mut tx, &subscription, &of).await?;
    let began_in = timeline::first_zone(&mut tx, id).await?;
    tx.commit().await?;
    let catalog = products::catalog_of(app, &subscription).await?;
    let tenant = of.ok_or_else(|| Problem::not_found("tenant"))?;
    let calendar_zone = began_in.unwrap_or_else(|| tenant.time_zone.clone());
    Ok(Situation { tenant, subscription, catalog, terms, calendar_zone })
}

impl Situation {
    /// Whether access is withheld: of the tenant, or of this subscription. A trial that nobody
    /// bought is over by itself.
    pub(crate) fn is_withheld(&self, now: Timestamp) -> bool {
        let ended = matches!(
            self.subscription.status,
            SubscriptionStatus::Suspended | SubscriptionStatus::Cancelled
        );
        ended || self.tenant.status != TenantStatus::Active || self.trial_over(now).is_some()
    }

    /// When the trial ended, if it did and nobody bought.
    fn trial_over(&self, now: Timestamp) -> Option<Timestamp> {
        let of = &self.subscription;
        let ends = of.trial_ends_at.filter(|_| of.status == SubscriptionStatus::Trial);
        ends.filter(|ends| *ends <= now)
    }

    pub(crate) fn why_withheld(&self, now: Timestamp) -> String {
        let contact = &self.catalog.product.sales_contact;
        if let (Some(ended), TenantStatus::Active) = (self.trial_over(now), self.tenant.status) {
            return format!("The trial ended at {ended}. To go on, contact {contact}.");
        }
        format!(
            "Access is withheld: the tenant is {}, the subscription {}. Contact {contact}.",
            self.tenant.status, self.subscription.status
        )
    }

    /// The plan, on the terms of the pinned version.
    pub(crate) fn plan(&self) -> Option<&tenure_catalog::Plan> {
        self.catalog.product.plan(&self.subscription.plan)
    }

    /// Whose usage it is.
    pub(crate) fn metered(&self) -> Metered<'_> {
        Metered { subscription: self.subscription.id, catalog: &self.catalog }
    }

    /// The number of a meter in rows of usage.
    pub(crate) fn meter_id(&self, meter: &str) -> Result<i32, Problem> {
        self.catalog.meter_id(meter)
    }
}

/// The situation, from memory while nothing changed.
pub(crate) async fn known_situation(
    app: &App,
    tenant: TenantId,
    id: SubscriptionId,
) -> Result<Arc<Situation>, Problem> {
    let key = (tenant, id);
    if let Some(known) = app.situations().get(&key) {
        return Ok(known);
    }
    let ticket = app.situations().ticket();
    let found = Arc::new(situation(app, tenant, id).await?);
    app.situations().put(ticket, key, found.clone());
    Ok(found)
}

/// What a subscription may do now. Served from memory while nothing changed.
pub async fn read(
    app: &App,
    tenant: TenantId,
    id: SubscriptionId,
) -> Result<Arc<Resolved>, Problem> {
    let now = app.now();
    let key = (tenant, id);
    if let Some(resolved) = app.entitlements_cache().get(&key)
        && resolved.holds_until.is_none_or(|until| now < until)
    {
        return Ok(resolved);
    }
    let ticket = app.entitlements_cache().ticket();
    let situation = situation(app, tenant, id).await?;
    let entitlements =
        resolve(&situation.catalog.product, &situation.terms, now).map_err(not_resolved)?;
    let body = serde_json::to_vec(&entitlements).map_err(Problem::internal)?;
    let resolved = Arc::new(Resolved {
        etag: format!("\"{}\"", &Digest::sha256(&body).to_string()[..24]),
        body: body.into(),
        withheld: situation.is_withheld(now).then(|| situation.why_withheld(now)),
        holds_until: next_change(&situation, now),
        entitlements,
    });
    app.entitlements_cache().put(ticket, key, resolved.clone());
    Ok(resolved)
}

/// The next moment at which a date of the subscription changes something.
fn next_change(situation: &Situation, now: Timestamp) -> Option<Timestamp> {
    let terms = &situation.terms;
    let items = terms.items.iter().flat_map(|item| [Some(item.from), item.to]);
    let contracts = terms.contracts.iter().flat_map(|contract| {
        let prices = contract.prices.iter().map(|entry| entry.when);
        let limits = contract.limits.iter().map(|entry| entry.when);
        let features = contract.features.iter().map(|entry| entry.when);
        let values = contract.values.iter().map(|entry| entry.when);
        let rates = contract.rates.iter().map(|entry| entry.when);
        prices.chain(limits).chain(features).chain(values).chain(rates)
    });
    let dates = contracts.flat_map(|when| [Some(when.from), when.to]);
    let ends = [terms.end, situation.subscription.trial_ends_at];
    items.chain(dates).chain(ends).flatten().filter(|at| *at > now).min()
}
