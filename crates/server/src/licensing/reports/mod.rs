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

use axum::{body::Bytes, http::StatusCode};
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
    ledger::{self, Report, TakenOfSlice},
    token::{Kind, issuer},
};
use tenure_tenancy::TenantTx;
use tokio::sync::SemaphorePermit;
use utoipa::ToSchema;

use super::{
    LicenseFile, db as licenses,
    instances::{self, Instance, InstanceStatus},
    issuing::whole_second,
    service::{activate::quarantine, sign},
};
use crate::{
    App,
    call::{Actor, Call},
    deployments,
    http::{Cursor, Page, Problem},
    offboarding,
    quotas::slices::Spent,
    subscriptions::entitlements::known_situation,
    trail::{self, Change},
    usage::{
        self,
        reported::{InLedger, Told},
    },
};

/// Largest report sent online, in bytes.
pub const ONLINE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Largest report in a file, in bytes, when it is unpacked.
pub const TEXT_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Longest report that waits for no room, in bytes: a minute's usage has a few thousand.
const SHORT_BYTES_MAX: usize = 256 * 1024;
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
struct Holder {
    tenant: TenantId,
    subscription: SubscriptionId,
    environment: Environment,
    instance: Instance,
}

impl Holder {
    /// The end of its ledger, as far as it was counted.
    fn known(&self) -> Option<Head> {
        let Instance { ledger_seq: seq, ledger_hash, .. } = self.instance;
        ledger_hash.map(|hash| Head { seq, hash })
    }
}

fn refused(slug: &str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, slug, "The report cannot be taken", detail)
}

/// A report whose signature and chain were checked.
pub struct Presented {
    report: Report,
    /// Of its whole text: by it, the same report is known again.
    digest: Digest,
}

/// Which way a report came, and who is answerable for it.
#[derive(Clone, Copy)]
pub enum Via<'a> {
    /// The instance sent it: its own signature says so.
    Online,
    /// Somebody carried it, who may do so for every license or for one.
    File {
        /// Who.
        call: &'a Call,
        /// For which license alone.
        only: Option<(TenantId, LicenseId)>,
    },
}

/// Room for a report in memory, where it is `packed` or long: 503 while there is none. Short ones,
/// as agents send them every minute, are always taken.
pub(super) fn room(
    app: &App,
    bytes: usize,
    packed: bool,
) -> Result<Option<SemaphorePermit<'_>>, Problem> {
    (packed || bytes > SHORT_BYTES_MAX).then(|| offboarding::admit(app)).transpose()
}

/// Reads a report. Megabytes are hashed and parsed: not for the runtime's threads.
///
/// # Errors
/// 422 for a report that is not what its instance signed.
pub fn read(text: &str) -> Result<Presented, Problem> {
    let report = ledger::read(text)
        .map_err(|error| refused(&error.code().replace('_', "-"), format!("{error}.")))?;
    Ok(Presented { report, digest: Digest::sha256(text.as_bytes()) })
}

/// Takes in a report that an instance sent.
pub async fn receive(app: &App, body: Bytes) -> Result<ImportedReport, Problem> {
    let _room = room(app, body.len(), false)?;
    let read = move || match std::str::from_utf8(&body) {
        Ok(text) => read(text),
        Err(_) => Err(Problem::bad_request("A report is UTF-8 text.")),
    };
    let presented = tokio::task::spawn_blocking(read).await.map_err(Problem::internal)??;
    import(app, &presented, Via::Online).await.map(|(_, imported)| imported)
}

/// Takes a report in, and says whose it is; again with the same answer when it comes again.
///
/// # Errors
/// 404 for an instance that is not known (or not within the scope of who carries it), 409 for a
/// gap or a second history.
pub async fn import(
    app: &App,
    presented: &Presented,
    via: Via<'_>,
) -> Result<(TenantId, ImportedReport), Problem> {
    let Presented { report, digest } = presented;
    let head = report.head.claims();
    let (origin, only, call) = match via {
        Via::Online => (Origin::Online, None, app.call(Actor::Instance(head.instance))),
        Via::File { call, only } => (Origin::File, only, call.clone()),
    };
    let tenant = holder_of(app, head, only).await?;
    let mut tx = app.db().tenant(tenant).await?;
    let holder = lock(&mut tx, head.instance).await?;
    if let Some(known) = db::by_digest(&mut tx, digest).await? {
        return Ok((tenant, known));
    }
    if let Err(breach) = continues(&holder, report) {
        return Err(breach.settle(app, tx, &holder.instance, call.now).await?);
    }
    let imported = record(app, &mut tx, call.now, &holder, report, origin).await?;
    db::insert(&mut tx, &imported, digest, head.through.hash).await?;
    let instance = &holder.instance;
    let counted = Instance {
        ledger_seq: head.through.seq,
        ledger_hash: Some(head.through.hash),
        last_seen_at: instance.last_seen_at.max(call.now),
        ..instance.clone()
    };
    instances::db::update(&mut tx, &counted).await?;
    if origin == Origin::File {
        let shown = serde_json::json!({
            "instance": imported.instance_id, "through": imported.through_seq,
            "accepted": imported.accepted, "rejected": imported.rejected,
        });
        let change = Change::created("usage_report.imported", imported.id, &shown);
        trail::record(app, &mut tx, &call, change).await?;
    }
    tx.commit().await?;
    Ok((tenant, imported))
}

/// Whose instance it is, by the key that is registered for it.
async fn holder_of(
    app: &App,
    head: &ReportHead,
    only: Option<(TenantId, LicenseId)>,
) -> Result<TenantId, Problem> {
    let unknown = || Problem::not_found("instance: no activation of this report's key is known");
    let mut tx = app.db().auth().await?;
    let known = instances::db::known(&mut tx, head.instance).await?;
    tx.commit().await?;
    let known = known.ok_or_else(unknown)?;
    let mine = known.public_key == Some(head.key) && known.license == head.license;
    let within = only.is_none_or(|scope| scope == (known.tenant, known.license));
    (mine && within).then_some(known.tenant).ok_or_else(unknown)
}

async fn lock(tx: &mut TenantTx, id: InstanceId) -> Result<Holder, Problem> {
    let missing = || Problem::not_found("instance");
    let instance = instances::db::lock(tx, id).await?.ok_or_else(missing)?;
    let license = licenses::find(tx, instance.license_id).await?.ok_or_else(missing)?;
    let environment = match instance.deployment_id {
        Some(id) => deployments::db::find(tx, id).await?.map(|place| place.environment),
        None => None,
    };
    Ok(Holder {
        tenant: tx.tenant(),
        subscription: license.subscription_id,
        environment: environment.unwrap_or(Environment::Live),
        instance,
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
        instance: &Instance,
        now: Timestamp,
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
                if instance.status != InstanceStatus::Quarantined {
                    quarantine(app, &mut tx, instance, now).await?;
                    tx.commit().await?;
                }
                let detail = format!(
                    "Ledger entry {seq} is not the one that was imported before: this is another history of \
                     the same instance, from a copy or a restored backup. Nothing of it was counted and the \
                     instance is quarantined; activate it again, with a new key pair, to go on."
                );
                Ok(Problem::conflict("ledger-fork", detail))
            }
        }
    }
}

/// Whether a report begins at, or overlaps, the end that is known, and agrees with it.
fn continues(holder: &Holder, report: &Report) -> Result<(), Breach> {
    let head = report.head.claims();
    let known_seq = holder.known().map_or(0, |known| known.seq);
    let after_seq = head.after.map_or(0, |after| after.seq);
    if after_seq > known_seq {
        return Err(Breach::Gap { from: known_seq + 1, until: after_seq });
    }
    let Some(known) = holder.known() else { return Ok(()) };
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
    now: Timestamp,
    holder: &Holder,
    report: &Report,
    origin: Origin,
) -> Result<ImportedReport, Problem> {
    let known_seq = holder.known().map_or(0, |known| known.seq);
    let situation = known_situation(app, holder.tenant, holder.subscription).await?;
    let of = usage::Reported { situation: &situation, environment: holder.environment };
    let mut tally = Tally::default();
    let head = report.head.claims();
    let own = head.key.thumbprint();
    let entries: Vec<Entry<'_>> = report
        .lines
        .iter()
        .filter(|line| line.seq > known_seq)
        .map(entry)
        .collect::<Result<_, _>>()?;
    // What another key took before is given back by itself when its slices end.
    let mine = entries.iter().filter(|entry| entry.is_own(&own));
    let taken = mine.flat_map(|entry| &entry.taken);
    let taken = taken.map(|taken| (taken.slice.clone(), taken.quantity.value()));
    let spent = Spent::lock(tx, head.instance, taken).await?;
    let mut waiting: Vec<Told<'_>> = Vec::new();
    for entry in &entries {
        if waiting.len() + entry.events.len() > usage::EVENTS_MAX {
            tally.add(usage::reported::record(app, tx, &of, &waiting, now).await?);
            waiting.clear();
        }
        waiting.extend(entry.told(&own));
    }
    tally.add(usage::reported::record(app, tx, &of, &waiting, now).await?);
    spent.settle(tx, head.instance).await?;

    let id = ReportId::new(now);
    let product = &situation.catalog;
    let claims = ReceiptClaims {
        iss: issuer(&product.product.id),
        sub: holder.tenant.to_string(),
        aud: Kind::Receipt.audience().to_owned(),
        iat: whole_second(now)?,
        jti: id.to_string(),
        product: product.product.id.clone(),
        license: holder.instance.license_id,
        instance: head.instance,
        through: head.through,
    };
    let receipt = sign(app, product.product_id, claims).await?;
    Ok(ImportedReport {
        id,
        license_id: holder.instance.license_id,
        instance_id: head.instance,
        origin,
        after_seq: i64::try_from(head.after.map_or(0, |after| after.seq))
            .map_err(Problem::internal)?,
        through_seq: i64::try_from(head.through.seq).map_err(Problem::internal)?,
        accepted: tally.accepted,
        duplicates: tally.duplicates,
        rejected: tally.rejected,
        findings: tally.findings,
        imported_at: now,
        receipt,
    })
}

/// An entry, its events as they were written.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(default)]
    ledger: Option<String>,
    #[serde(default)]
    numbers: Vec<i64>,
    #[serde(default)]
    taken: Vec<TakenOfSlice>,
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

fn entry(line: &ledger::Line) -> Result<Entry<'_>, Problem> {
    let wrong = |error: String| {
        refused("report-bad-line", format!("Entry {} cannot be read: {error}.", line.seq))
    };
    // Read strictly first: a key given twice would be read differently elsewhere.
    line.read().map_err(wrong)?;
    serde_json::from_str(&line.content).map_err(|error| wrong(error.to_string()))
}

impl<'a> Entry<'a> {
    /// Whether it was written under the key that signed the report.
    fn is_own(&self, own: &str) -> bool {
        self.ledger.as_deref() == Some(own)
    }

    /// Its events with their numbers; `own` is the ledger of the report's key.
    fn told<'e: 'a>(&'e self, own: &str) -> impl Iterator<Item = Told<'a>> {
        let own = self.is_own(own);
        self.events.iter().enumerate().map(move |(index, event)| {
            let number = self.numbers.get(index).copied().filter(|number| *number > 0);
            let place = self.ledger.as_deref().zip(number);
            let place = place.map(|(ledger, number)| InLedger { ledger, number, own });
            Told { event, place }
        })
    }
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
