//! Evidence of invoices: what a line is made of, recomputed on the spot, and the
//! archive that somebody else verifies with no database.
//!
//! Owns: explaining a line (its prices, its totals, its events), and writing an
//! archive. Refuses: explaining what a deletion took away: the invoice stands,
//! its single events do not.
//!
//! Nothing that is stated here is taken on trust from the invoice: totals are
//! added up again from single events, and the invoice is computed again from its
//! inputs by the function that made it.

pub mod api;
mod db;
mod explain;
mod export;
pub mod model;

pub use self::{explain::explain, export::export, model::Explanation};

use std::{collections::BTreeMap, sync::Arc};

use tenure_catalog::invoicing::{InvoiceInputs, Versions};
use tenure_core::{CatalogVersionId, InvoiceId, TenantId};
use tenure_evidence::{Event, Needed, Stated, needed};
use tenure_tenancy::TenantTx;

use crate::{
    App,
    http::Problem,
    products::{self, Catalog},
    usage::raw::{self, Cursor, RawEvent},
};

/// Events read in one go.
const EVENTS_AT_ONCE: usize = 10_000;

/// An invoice with everything that it was computed from.
struct Case {
    stated: Stated,
    inputs: InvoiceInputs,
    subscription: tenure_core::SubscriptionId,
    /// By the name that the inputs call them.
    catalogs: BTreeMap<String, Arc<Catalog>>,
}

impl Case {
    async fn read(
        app: &App,
        tenant: TenantId,
        id: InvoiceId,
        issued_only: bool,
    ) -> Result<Self, Problem> {
        let mut tx = app.db().tenant(tenant).await?;
        let found = db::stated(&mut tx, id).await?;
        tx.commit().await?;
        let found = found.filter(|found| !issued_only || found.stated.number.is_some());
        let found = found.ok_or_else(|| Problem::not_found("invoice"))?;
        let mut catalogs = BTreeMap::new();
        for version in versions_of(&found.inputs) {
            let id: CatalogVersionId = version.parse().map_err(Problem::internal)?;
            catalogs.insert(version, products::catalog(app, id).await?);
        }
        let (stated, inputs, subscription) = (found.stated, found.inputs, found.subscription);
        Ok(Self { stated, inputs, subscription, catalogs })
    }

    fn versions(&self) -> Versions<'_> {
        self.catalogs.iter().map(|(name, catalog)| (name.clone(), &catalog.product)).collect()
    }

    fn needed(&self) -> Result<Vec<Needed>, Problem> {
        needed(&self.inputs, &self.versions()).map_err(Problem::internal)
    }

    /// The number of a meter in rows of usage.
    fn meter_id(&self, meter: &str) -> Result<i32, Problem> {
        let number = self.catalogs.values().find_map(|catalog| catalog.meters.get(meter)).copied();
        number.ok_or_else(|| Problem::internal(format!("the meter {meter} has no number")))
    }

    /// A page of the single events, by (time, hash).
    async fn events(
        &self,
        tx: &mut TenantTx,
        needed: &Needed,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<RawEvent>, Problem> {
        let Some(stretch) = needed.stretch() else { return Ok(Vec::new()) };
        let meter = self.meter_id(&needed.meter.id)?;
        raw::read(tx, self.subscription, meter, stretch, Some(needed.cutoff), after, limit).await
    }
}

fn versions_of(inputs: &InvoiceInputs) -> Vec<String> {
    let corrections = inputs.corrections.iter().map(|correction| &correction.now);
    let periods = std::iter::once(&inputs.own).chain(corrections);
    let mut all: Vec<String> = periods
        .flat_map(|period| period.segments.iter().map(|segment| segment.version.clone()))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn event(raw: RawEvent) -> Event {
    Event {
        source: raw.source,
        id: raw.id,
        time: raw.time,
        quantity: raw.quantity,
        member: raw.member,
        dimensions: raw.dimensions,
        received_at: raw.received_at,
        generation: raw.generation,
    }
}
