//! Usage reports: what an installation says it used, signed and chained.
//!
//! The path of a report: the signature and the chain are checked without any
//! state ([`tenure_license::ledger`]), then one transaction compares it with the
//! end that is known, records the events exactly like events of the usage API,
//! and moves the end. A report that comes again finds its receipt.
//!
//! Owns: continuity of ledgers, receipts. Refuses: gaps (says which entries are
//! missing), and a second history: that quarantines the instance, and none of
//! it is counted.

pub mod api;
pub(super) mod db;

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tenure_api::{
    licensing::ReportReceipt,
    usage::{Outcome, Receipt},
};
use tenure_core::{InstanceId, LicenseId, ReportId, SubscriptionId, TenantId};
use tenure_license::{
    Digest, Environment, ReceiptClaims,
    chain::Head,
    file::FileKind,
    instance::ReportHead,
    ledger::{self, Report},
    token::{Kind, issuer},
};
use tenure_tenancy::TenantTx;
use utoipa::ToSchema;

use super::{
    LicenseFile,
    issuing::{sign_aside, whole_second},
};
use crate::{
    App,
    call::Call,
    deployments,
    http::{Cursor, Page, Problem},
    products::signing,
    subscriptions::entitlements::known_situation,
    trail::{self, Change},
    usage,
};

/// Largest report sent online, in bytes.
pub const ONLINE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Largest report in a file, in bytes, when it is unpacked.
pub const TEXT_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Events told with their reasons when they cannot be counted.
pub const FINDINGS_MAX: usize = 100;

/// How a report came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// By the instance's agent.
    Online,
    /// By hand.
    File,
}

impl Origin {
    /// The word of API and database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::File => "file",
        }
    }
}

/// An event of a report that could not be counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// The event's id, where it could be read.
    pub id: Option<String>,
    /// Stable, as of the usage API.
    #[schema(example = "too_old")]
    pub reason: String,
    /// What is wrong.
    pub detail: String,
}

/// A report that was imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportedReport {
    /// Its id; the `jti` of its receipt.
    pub id: ReportId,
    /// Under which license.
    pub license_id: LicenseId,
    /// Whose ledger.
    pub instance_id: InstanceId,
    /// How it came.
    pub origin: Origin,
    /// The entry before its first one; 0 when it began the ledger.
    #[schema(example = 0)]
    pub after_seq: i64,
    /// Its last entry.
    #[schema(example = 1204)]
    pub through_seq: i64,
    /// Events counted.
    #[schema(example = 48211)]
    pub accepted: i64,
    /// Events that had been counted before.
    #[schema(example = 0)]
    pub duplicates: i64,
    /// Events that cannot be counted.
    #[schema(example = 0)]
    pub rejected: i64,
    /// The first of those, with their reasons.
    pub findings: Vec<Finding>,
    /// When it was imported.
    pub imported_at: Timestamp,
    /// The signed receipt.
    pub receipt: String,
}

impl From<&ImportedReport> for ReportReceipt {
    fn from(report: &ImportedReport) -> Self {
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        Self {
            receipt: report.receipt.clone(),
            through: count(report.through_seq),
            accepted: count(report.accepted),
            duplicates: count(report.duplicates),
            rejected: count(report.rejected),
        }
    }
}

/// An instance whose report was presented.
pub(super) struct Holder {
    pub(super) tenant: TenantId,
    pub(super) license: LicenseId,
    pub(super) subscription: SubscriptionId,
    pub(super) environment: Environment,
    pub(super) quarantined: bool,
    pub(super) known: Option<Head>,
}

fn refused(slug: &str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, slug, "The report cannot be taken", detail)
}

/// Takes a report in; again with the same answer when it comes again.
///
/// # Errors
/// 422 for a report that is not what its instance signed, 404 for an instance
/// that is not known (or not `only`'s), 409 for a gap or a second history.
pub async fn import(
    app: &App,
    call: &Call,
    text: &str,
    origin: Origin,
    only: Option<(TenantId, LicenseId)>,
) -> Result<ImportedReport, Problem> {
    let report = ledger::read(text)
        .map_err(|error| refused(&error.code().replace('_', "-"), format!("{error}.")))?;
    let head = report.head.claims();
    let tenant = holder_of(app, head, only).await?;
    let digest = Digest::sha256(text.as_bytes());
    let mut tx = app.db().tenant(tenant).await?;
    let holder = lock(&mut tx, head.instance).await?;
    if let Some(known) = db::by_digest(&mut tx, &digest).await? {
        return Ok(known);
    }
    if let Err(breach) = continues(&holder, &report) {
        return Err(breach.settle(app, tx, call, head.instance, &holder).await?);
    }
    let imported = record(app, &mut tx, call, &holder, &report, origin).await?;
    db::insert(&mut tx, &imported, &digest, report.head.claims().through.hash).await?;
    if origin == Origin::File {
        let shown = serde_json::json!({
            "instance": imported.instance_id, "through": imported.through_seq,
            "accepted": imported.accepted, "rejected": imported.rejected,
        });
        let change = Change::created("usage_report.imported", imported.id, &shown);
        trail::record(app, &mut tx, call, change).await?;
    }
    tx.commit().await?;
    Ok(imported)
}

/// Whose instance it is, by the key that is registered for it.
async fn holder_of(
    app: &App,
    head: &ReportHead,
    only: Option<(TenantId, LicenseId)>,
) -> Result<TenantId, Problem> {
    let unknown = || Problem::not_found("instance: no activation of this report's key is known");
    let mut tx = app.db().auth().await?;
    let known = db::identify(&mut tx, head.instance).await?;
    tx.commit().await?;
    let (tenant, license, key) = known.ok_or_else(unknown)?;
    let mine = key.as_deref() == Some(head.key.as_bytes()) && license == head.license;
    let within = only.is_none_or(|scope| scope == (tenant, license));
    (mine && within).then_some(tenant).ok_or_else(unknown)
}

async fn lock(tx: &mut TenantTx, id: InstanceId) -> Result<Holder, Problem> {
    let missing = || Problem::not_found("instance");
    let row = db::lock(tx, id).await?.ok_or_else(missing)?;
    let environment = match row.deployment {
        Some(id) => deployments::db::find(tx, id).await?.map(|place| place.environment),
        None => None,
    };
    Ok(Holder {
        tenant: tx.tenant(),
        license: row.license,
        subscription: row.subscription,
        environment: environment.unwrap_or(Environment::Live),
        quarantined: row.quarantined,
        known: row.known,
    })
}

/// What keeps a report from continuing what is known.
enum Breach {
    Gap { from: u64, until: u64 },
    Fork { seq: u64 },
}

impl Breach {
    /// Writes a second history down, and says what to do.
    async fn settle(
        self,
        app: &App,
        mut tx: TenantTx,
        call: &Call,
        instance: InstanceId,
        holder: &Holder,
    ) -> Result<Problem, Problem> {
        match self {
            Self::Gap { from, until } => {
                let detail = format!(
                    "Ledger entries {from} to {until} have not been imported. Import the report that holds \
                     them first; nothing of this one was counted."
                );
                Ok(Problem::conflict("ledger-gap", detail))
            }
            Self::Fork { seq } => {
                if !holder.quarantined {
                    db::quarantine(&mut tx, instance, call.now).await?;
                    let shown = serde_json::json!({ "reason": "ledger_fork", "seq": seq });
                    let change = Change::created("instance.quarantined", instance, &shown);
                    trail::record(app, &mut tx, call, change).await?;
                    let tenant = tx.tenant();
                    tx.commit().await?;
                    app.forget_tenant(tenant);
                }
                let detail = format!(
                    "Ledger entry {seq} is not the one that was imported before: this is another history of \
                     the same instance, from a copy or a restored backup. Nothing of it was counted and the \
                     instance is quarantined; activate it again to go on."
                );
                Ok(Problem::conflict("ledger-fork", detail))
            }
        }
    }
}

/// Whether a report begins at, or overlaps, the end that is known, and agrees with it.
fn continues(holder: &Holder, report: &Report) -> Result<(), Breach> {
    let head = report.head.claims();
    let known_seq = holder.known.map_or(0, |known| known.seq);
    let after_seq = head.after.map_or(0, |after| after.seq);
    if after_seq > known_seq {
        return Err(Breach::Gap { from: known_seq + 1, until: after_seq });
    }
    let Some(known) = holder.known else { return Ok(()) };
    let found = match after_seq == known.seq {
        true => head.after.map(|after| after.hash),
        false => report.lines.iter().find(|line| line.seq == known.seq).map(|line| line.hash),
    };
    // A report that ends before what is known cannot show that it agrees, and brings nothing.
    if found == Some(known.hash) { Ok(()) } else { Err(Breach::Fork { seq: known.seq }) }
}

/// Records the entries that are new, and signs for them.
async fn record(
    app: &App,
    tx: &mut TenantTx,
    call: &Call,
    holder: &Holder,
    report: &Report,
    origin: Origin,
) -> Result<ImportedReport, Problem> {
    let known_seq = holder.known.map_or(0, |known| known.seq);
    let situation = known_situation(app, holder.tenant, holder.subscription).await?;
    let of = usage::Reported { situation: &situation, environment: holder.environment };
    let mut tally = Tally::default();
    let mut waiting: Vec<&RawValue> = Vec::new();
    for line in report.lines.iter().filter(|line| line.seq > known_seq) {
        let events = events(line)?;
        if waiting.len() + events.len() > usage::EVENTS_MAX {
            tally.add(usage::record_reported(app, tx, &of, &waiting, call.now).await?);
            waiting.clear();
        }
        waiting.extend(events);
    }
    tally.add(usage::record_reported(app, tx, &of, &waiting, call.now).await?);

    let head = report.head.claims();
    let id = ReportId::new(call.now);
    let product = &situation.catalog;
    let claims = ReceiptClaims {
        iss: issuer(&product.product.id),
        sub: holder.tenant.to_string(),
        aud: Kind::Receipt.audience().to_owned(),
        iat: whole_second(call.now)?,
        jti: id.to_string(),
        product: product.product.id.clone(),
        license: holder.license,
        instance: head.instance,
        through: head.through,
    };
    let signer = signing::signer(app, product.product_id).await?;
    let receipt = sign_aside(claims, signer).await?;
    db::move_end(tx, head.instance, head.through, call.now).await?;
    Ok(ImportedReport {
        id,
        license_id: holder.license,
        instance_id: head.instance,
        origin,
        after_seq: i64::try_from(head.after.map_or(0, |after| after.seq))
            .map_err(Problem::internal)?,
        through_seq: i64::try_from(head.through.seq).map_err(Problem::internal)?,
        accepted: tally.accepted,
        duplicates: tally.duplicates,
        rejected: tally.rejected,
        findings: tally.findings,
        imported_at: call.now,
        receipt,
    })
}

/// The events of an entry, as they were written.
fn events(line: &ledger::Line) -> Result<Vec<&RawValue>, Problem> {
    #[derive(Deserialize)]
    struct Entry<'a> {
        #[serde(borrow)]
        events: Vec<&'a RawValue>,
    }
    let wrong = |error: String| {
        refused("report-bad-line", format!("Entry {} cannot be read: {error}.", line.seq))
    };
    // Read strictly first: a key given twice would be read differently elsewhere.
    line.read().map_err(wrong)?;
    let entry: Entry<'_> =
        serde_json::from_str(&line.content).map_err(|error| wrong(error.to_string()))?;
    Ok(entry.events)
}

#[derive(Default)]
struct Tally {
    accepted: i64,
    duplicates: i64,
    rejected: i64,
    findings: Vec<Finding>,
}

impl Tally {
    fn add(&mut self, receipt: Receipt<'_>) {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.accepted += count(receipt.accepted);
        self.duplicates += count(receipt.duplicates);
        self.rejected += count(receipt.conflicts + receipt.rejected);
        for result in receipt.results {
            let bad = matches!(result.outcome, Outcome::Conflict | Outcome::Rejected);
            if bad && self.findings.len() < FINDINGS_MAX {
                self.findings.push(Finding {
                    id: result.id.map(|id| id.into_owned()),
                    reason: result.reason.map(|reason| reason.into_owned()).unwrap_or_default(),
                    detail: result.detail.unwrap_or_default(),
                });
            }
        }
    }
}

/// A page of the reports imported for a license, newest first.
pub async fn list(
    app: &App,
    tenant: TenantId,
    license: LicenseId,
    cursor: Cursor,
) -> Result<Page<ImportedReport>, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    super::db::find(&mut tx, license).await?.ok_or_else(super::missing)?;
    let rows = db::list(&mut tx, license, cursor).await?;
    tx.commit().await?;
    Ok(Page::cut(rows, cursor, |report| report.id.uuid()))
}

/// The receipt of a report, as a file to be carried back.
pub async fn receipt(
    app: &App,
    tenant: TenantId,
    license: LicenseId,
    id: ReportId,
) -> Result<LicenseFile, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let found = db::find(&mut tx, license, id).await?;
    tx.commit().await?;
    let report = found.ok_or_else(|| Problem::not_found("report"))?;
    let name = format!("receipt-{}.txt", report.through_seq);
    let text = tenure_license::file::write_kind(FileKind::Receipt, &report.receipt);
    Ok(LicenseFile { name, text })
}
