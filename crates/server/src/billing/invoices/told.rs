//! An invoice with what whoever reads it as a document needs beside it: in which
//! zone its dates are told, what the product is called, which lines it corrects.
//!
//! Nothing of it changes once the invoice is issued, so what is made of it stays
//! the same: the zone is the one that its periods were counted in, and a line that
//! is corrected is named by a number that was taken before this one's.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use tenure_core::{CatalogVersionId, InvoiceId, TenantId};
use tenure_tenancy::TenantTx;

use super::{Invoice, db, whole};
use crate::{App, billing::tax, http::Problem, products};

/// An invoice for its readers.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// With seller and buyer: of a draft, as they are now.
    pub(crate) invoice: Invoice,
    /// In which its periods are counted.
    pub(crate) zone: TimeZone,
    /// What people call the product.
    pub(crate) product: String,
    /// The number of each version of the product file, by the name that lines call it.
    pub(crate) versions: BTreeMap<String, i32>,
    /// The invoices whose lines this one corrects.
    pub(crate) cited: BTreeMap<InvoiceId, Cited>,
}

/// An earlier invoice.
#[derive(Debug, Clone)]
pub(crate) struct Cited {
    /// Where it had one when this one was issued.
    pub(crate) number: Option<String>,
    pub(crate) period_start: Timestamp,
    pub(crate) period_end: Timestamp,
}

/// Reads an invoice to be shown; `issued_only` for the tenant, for whom drafts do
/// not exist.
pub(crate) async fn told(
    app: &App,
    tenant: TenantId,
    id: InvoiceId,
    issued_only: bool,
) -> Result<Told, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let mut invoice = whole(&mut tx, id).await?;
    if issued_only && invoice.summary.number.is_none() {
        return Err(Problem::not_found("invoice"));
    }
    let terms = first_terms(&mut tx, id).await?;
    parties(&mut tx, &mut invoice).await?;
    let cited = cited(&mut tx, &invoice).await?;
    tx.commit().await?;
    let mut versions = BTreeMap::new();
    let mut product = invoice.summary.product.clone();
    let named = invoice.lines.iter().map(|line| line.version.clone()).chain(terms.version);
    for name in named.collect::<BTreeSet<String>>() {
        let version: CatalogVersionId = name.parse().map_err(Problem::internal)?;
        let catalog = products::catalog(app, version).await?;
        product.clone_from(&catalog.product.name);
        versions.insert(name, catalog.version);
    }
    let zone = TimeZone::get(&terms.zone).unwrap_or(TimeZone::UTC);
    Ok(Told { invoice, zone, product, versions, cited })
}

struct FirstTerms {
    zone: String,
    version: Option<String>,
}

async fn first_terms(tx: &mut TenantTx, id: InvoiceId) -> Result<FirstTerms, Problem> {
    let tenant = tx.tenant().uuid();
    let terms = sqlx::query_as!(
        FirstTerms,
        r#"SELECT coalesce(inputs #>> '{own,segments,0,terms,stretch,calendar_zone}',
                      inputs #>> '{own,segments,0,terms,zone}', 'UTC') AS "zone!",
               inputs #>> '{own,segments,0,version}' AS version
           FROM invoices WHERE tenant_id = $1 AND id = $2"#,
        tenant,
        id.uuid()
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(terms)
}

/// A draft names nobody yet: it is shown with who would be named now.
async fn parties(tx: &mut TenantTx, invoice: &mut Invoice) -> Result<(), Problem> {
    let summary = &invoice.summary;
    if invoice.seller.is_none() {
        invoice.seller = Some(db::seller(tx, summary.seller_id).await?);
    }
    if invoice.buyer.is_none() {
        let payer = tax::db::payer(tx, summary.billing_account_id).await?;
        invoice.buyer = Some(json!({
            "name": payer.name, "email": payer.email, "address": payer.address,
            "tax_id": payer.tax_id,
        }));
    }
    Ok(())
}

async fn cited(
    tx: &mut TenantTx,
    invoice: &Invoice,
) -> Result<BTreeMap<InvoiceId, Cited>, Problem> {
    let ids: BTreeSet<InvoiceId> =
        invoice.lines.iter().filter_map(|line| line.cites_invoice).collect();
    let mut all = BTreeMap::new();
    for id in ids {
        let Some(found) = db::find(tx, id).await? else { continue };
        let known = match (found.issued_at, invoice.summary.issued_at) {
            (Some(its), Some(ours)) => its <= ours,
            (its, None) => its.is_some(),
            (None, Some(_)) => false,
        };
        let cited = Cited {
            number: found.number.filter(|_| known),
            period_start: found.period_start,
            period_end: found.period_end,
        };
        all.insert(id, cited);
    }
    Ok(all)
}

impl Told {
    pub(crate) fn seller(&self) -> &Value {
        self.invoice.seller.as_ref().unwrap_or(&Value::Null)
    }

    pub(crate) fn buyer(&self) -> &Value {
        self.invoice.buyer.as_ref().unwrap_or(&Value::Null)
    }
}
