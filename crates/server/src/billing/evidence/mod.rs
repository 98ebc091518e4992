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

use tenure_catalog::invoicing::{InvoiceDraft, InvoiceInputs, Versions};
use tenure_core::{CatalogVersionId, InvoiceId, TenantId};
use tenure_evidence::{Event, Needed, Stated, needed};
use tenure_tenancy::TenantTx;

use super::invoices::{
    self, Invoice,
    model::{InvoiceLine, InvoiceTax},
};
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
        let invoice = invoices::whole(&mut tx, id).await?;
        let inputs = db::inputs(&mut tx, id).await?;
        tx.commit().await?;
        if issued_only && invoice.summary.number.is_none() {
            return Err(Problem::not_found("invoice"));
        }
        let inputs = inputs.ok_or_else(|| Problem::not_found("invoice"))?;
        let mut catalogs = BTreeMap::new();
        for version in versions_of(&inputs) {
            let id: CatalogVersionId = version.parse().map_err(Problem::internal)?;
            let catalog = products::catalog(app, id).await?;
            catalogs.insert(version, catalog.in_currency(inputs.currency)?);
        }
        let subscription = invoice.summary.subscription_id;
        Ok(Self { stated: stated(invoice)?, inputs, subscription, catalogs })
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

/// The invoice as its rows state it; nothing of it is computed.
fn stated(invoice: Invoice) -> Result<Stated, Problem> {
    let of = invoice.summary;
    let lines = invoice.lines.into_iter().map(InvoiceLine::drafted);
    Ok(Stated {
        id: of.id.to_string(),
        number: of.number,
        status: of.status.word().to_owned(),
        issued_at: of.issued_at,
        seller: invoice.seller.unwrap_or_default(),
        buyer: invoice.buyer.unwrap_or_default(),
        sums: InvoiceDraft {
            lines: lines.collect::<Result<_, Problem>>()?,
            subtotal: of.subtotal,
            taxes: invoice.taxes.into_iter().map(InvoiceTax::drafted).collect(),
            tax: of.tax,
            total: of.total,
        },
    })
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
