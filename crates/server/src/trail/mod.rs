//! What happened: the audit trail, and the outbox through which other
//! processes (and later, webhooks) hear of it.
//!
//! Owns: one entry a change, in the transaction of the change; a chain a tenant
//! and one of the vendor, whose hash runs over ciphertext; following the outbox.
//! Refuses: updating or deleting entries. No role has the right to.
//!
//! The body of an entry (actor, before, after) is sealed under the tenant's own
//! key, because it holds personal data. Erasing a tenant destroys that key: the
//! chain still verifies, and nobody can read what it said.

pub mod api;
mod db;
pub mod follow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenure_core::TenantId;
use tenure_license::{
    Digest,
    chain::{self, Entry},
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{App, call::Call, http::Problem, tenants::keys, unit::Unit, vault::Key};

/// Entries read at once while a chain is verified.
const VERIFY_PAGE: i64 = 1_000;
/// Context that bodies are encrypted in.
const CONTEXT: &[u8] = b"tenure audit body v1";

/// A change, as it will be told.
#[derive(Debug, Clone)]
pub struct Change<'a> {
    /// `subscription.created`; also the outbox topic.
    pub action: &'a str,
    /// The id of what changed.
    pub target: String,
    /// What it was; `Null` for a new thing.
    pub before: Value,
    /// What it is; `Null` when it is gone.
    pub after: Value,
}

impl<'a> Change<'a> {
    /// Something new.
    pub fn created(action: &'a str, target: impl ToString, after: &impl Serialize) -> Self {
        Self { action, target: target.to_string(), before: Value::Null, after: value(after) }
    }

    /// Something that was one way and is now another.
    pub fn updated<T: Serialize>(
        action: &'a str,
        target: impl ToString,
        before: &T,
        after: &T,
    ) -> Self {
        Self { action, target: target.to_string(), before: value(before), after: value(after) }
    }

    /// Something that is gone.
    pub fn removed(action: &'a str, target: impl ToString, before: &impl Serialize) -> Self {
        Self { action, target: target.to_string(), before: value(before), after: Value::Null }
    }
}

fn value(thing: &impl Serialize) -> Value {
    serde_json::to_value(thing).unwrap_or(Value::Null)
}

/// The sealed part of an entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Body {
    actor: String,
    request: String,
    before: Value,
    after: Value,
}

/// An entry of the trail, readable.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Its number in the chain, from 1.
    #[schema(example = 12)]
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// What was done.
    #[schema(example = "subscription.created")]
    pub action: String,
    /// To what.
    #[schema(example = "sub_01932f3ea1b27c3d9e4f5a6b7c8d9e0f")]
    pub target: String,
    /// By whom; absent once the tenant's key is destroyed.
    #[schema(example = "staff:admin")]
    pub actor: Option<String>,
    /// What it was.
    pub before: Value,
    /// What it became.
    pub after: Value,
    /// Hash over this entry and the one before, in hex.
    pub hash: String,
}

/// What following a whole chain found.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Verification {
    /// Whether every entry is in its place and unchanged.
    pub intact: bool,
    /// Entries that were followed.
    pub entries: i64,
    /// Hash of the last good entry, in hex; keep it to notice a cut end later.
    pub head: Option<String>,
    /// What is wrong, if anything.
    #[schema(example = "entry 7 was edited: its hash does not match its content")]
    pub finding: Option<String>,
}

/// Writes `change` to the trail and the outbox, in the transaction that makes it.
pub async fn record(
    app: &App,
    tx: &mut impl Unit,
    call: &Call,
    change: Change<'_>,
) -> Result<(), Problem> {
    let key = key_for_unit(app, tx).await?;
    record_with(tx, &key, call, change).await
}

/// As [`record`], for a tenant whose key is at hand.
pub(crate) async fn record_with(
    tx: &mut impl Unit,
    key: &Key,
    call: &Call,
    change: Change<'_>,
) -> Result<(), Problem> {
    let body = Body {
        actor: call.actor.to_string(),
        request: call.request.to_string(),
        before: change.before,
        after: change.after,
    };
    let plain = serde_json::to_vec(&body).map_err(Problem::internal)?;
    let sealed = key.encrypt(CONTEXT, &plain).map_err(Problem::internal)?;
    let chain = tx.tenant_id().map_or(Uuid::nil(), |tenant| tenant.uuid());
    // PostgreSQL keeps microseconds: hash what will be read back.
    let at = Timestamp::from_microsecond(call.now.as_microsecond()).map_err(Problem::internal)?;
    let content = content(at, change.action, &change.target, &sealed);
    let entry = db::NewEntry { chain, at, action: change.action, target: &change.target };
    db::append(tx, entry, &sealed, &content).await
}

/// What the hash of an entry covers.
fn content(at: Timestamp, action: &str, target: &str, sealed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32 + action.len() + target.len() + sealed.len());
    bytes.extend_from_slice(&at.as_microsecond().to_be_bytes());
    for part in [action.as_bytes(), target.as_bytes(), sealed] {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

async fn key_for_unit(app: &App, tx: &mut impl Unit) -> Result<Key, Problem> {
    match tx.tenant_id() {
        Some(_) => keys::of_unit(app, tx).await?.ok_or_else(|| Problem::not_found("tenant")),
        None => Ok(app.vendor_trail_key()),
    }
}

/// Entries of a tenant's chain (or the vendor's), newest first.
pub async fn list(
    app: &App,
    tenant: Option<TenantId>,
    before_seq: Option<i64>,
    limit: i64,
) -> Result<Vec<AuditEntry>, Problem> {
    let mut tx = app.db().vendor().await?;
    let chain = tenant.map_or(Uuid::nil(), |tenant| tenant.uuid());
    let rows = db::newest(&mut tx, chain, before_seq, limit).await?;
    let key = match tenant {
        Some(tenant) => keys::read(app, &mut tx, tenant).await?,
        None => Some(app.vendor_trail_key()),
    };
    tx.commit().await?;
    Ok(rows.into_iter().map(|row| open(row, key.as_ref())).collect())
}

/// The newest entries of all chains together; no tenant: the vendor's own.
pub async fn newest(app: &App, limit: i64) -> Result<Vec<(Option<TenantId>, AuditEntry)>, Problem> {
    let mut tx = app.db().vendor().await?;
    let rows = db::newest_of_all(&mut tx, limit).await?;
    let mut entries = Vec::with_capacity(rows.len());
    for (chain, row) in rows {
        let tenant = (!chain.is_nil()).then(|| TenantId::from_uuid(chain));
        let key = match tenant {
            Some(tenant) => keys::read(app, &mut tx, tenant).await?,
            None => Some(app.vendor_trail_key()),
        };
        entries.push((tenant, open(row, key.as_ref())));
    }
    tx.commit().await?;
    Ok(entries)
}

fn open(row: db::Row, key: Option<&Key>) -> AuditEntry {
    let body = key
        .and_then(|key| key.decrypt(CONTEXT, &row.body).ok())
        .and_then(|plain| serde_json::from_slice::<Body>(&plain).ok());
    let (actor, before, after) = match body {
        Some(body) => (Some(body.actor), body.before, body.after),
        None => (None, Value::Null, Value::Null),
    };
    let hash = hex::encode(&row.hash);
    AuditEntry {
        seq: row.seq,
        at: row.at,
        action: row.action,
        target: row.target,
        actor,
        before,
        after,
        hash,
    }
}

/// Follows a chain from its first entry.
pub async fn verify(app: &App, tenant: Option<TenantId>) -> Result<Verification, Problem> {
    let chain = tenant.map_or(Uuid::nil(), |tenant| tenant.uuid());
    let mut tx = app.db().vendor().await?;
    // The end is read first: entries added meanwhile are left to the next verification.
    let stored = db::head(&mut tx, chain).await?;
    let last = stored.as_ref().map_or(0, |(seq, _)| *seq);
    let mut head: Option<chain::Head> = None;
    loop {
        let from = head.map_or(0, |head| i64::try_from(head.seq).unwrap_or(i64::MAX));
        let rows = db::following(&mut tx, chain, from, last, VERIFY_PAGE).await?;
        let full = i64::try_from(rows.len()).unwrap_or(0) == VERIFY_PAGE;
        for row in rows {
            let bytes = content(row.at, &row.action, &row.target, &row.body);
            let entry = Entry {
                seq: row.seq.unsigned_abs(),
                prev: head.map(|head| head.hash),
                hash: Digest::from_slice(&row.hash).unwrap_or(Digest::from_bytes([0; 32])),
                bytes,
            };
            match chain::follow(head, &entry) {
                Ok(next) => head = Some(next),
                Err(found) => return Ok(verdict(head, Some(found.to_string()))),
            }
        }
        if !full {
            break;
        }
    }
    tx.commit().await?;
    let cut = match (head, stored) {
        (Some(head), Some((seq, hash))) => {
            head.seq != seq.unsigned_abs() || head.hash.as_bytes()[..] != hash[..]
        }
        (None, None) => false,
        _ => true,
    };
    Ok(verdict(head, cut.then(|| "the end of the chain is not where its head says".to_owned())))
}

fn verdict(head: Option<chain::Head>, finding: Option<String>) -> Verification {
    Verification {
        intact: finding.is_none(),
        entries: head.map_or(0, |head| i64::try_from(head.seq).unwrap_or(i64::MAX)),
        head: head.map(|head| head.hash.to_string()),
        finding,
    }
}
