//! Events that were refused for what they say: too old, unknown, unreadable.
//!
//! Usage is never dropped silently: the producer is told in the receipt, and
//! whoever settles the bill finds it here. Owns: the newest refusals of a
//! tenant, and exact counts of all. What a producer of numbered events corrects
//! by itself (gaps, old epochs) is not listed.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use tenure_api::usage::{RefusedCount, RefusedEvent, RefusedEvents};
use tenure_core::{SubscriptionId, TenantId};
use tenure_tenancy::TenantTx;
use uuid::Uuid;

use crate::{
    App,
    http::{Cursor, Page, Problem},
};

/// Refusals kept of a tenant: the newest.
pub const REFUSED_KEPT_MAX: usize = 1_000;
/// Longest text of an event that is kept with its refusal, in characters.
const TEXT_LEN_MAX: usize = 256;

/// One refused event, as far as it could be read.
#[derive(Debug)]
pub(super) struct Refused {
    source: Option<String>,
    id: Option<String>,
    kind: Option<String>,
    time: Option<String>,
    reason: &'static str,
    detail: String,
}

impl Refused {
    pub(super) fn new(
        [source, id, kind, time]: [Option<&str>; 4],
        reason: &'static str,
        detail: &str,
    ) -> Self {
        let [source, id, kind, time] = [source, id, kind, time].map(|text| text.map(shown));
        Self { source, id, kind, time, reason, detail: shown(detail) }
    }
}

/// What a database takes of a text of anybody.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_LEN_MAX).collect()
}

/// Lists refusals of a batch and counts them.
pub(super) async fn record(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    refused: &[Refused],
    at: Timestamp,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    let kept = &refused[refused.len().saturating_sub(REFUSED_KEPT_MAX)..];
    let ids: Vec<Uuid> = kept.iter().map(|_| Uuid::now_v7()).collect();
    let texts = |of: fn(&Refused) -> Option<&str>| kept.iter().map(of).collect::<Vec<_>>();
    let reasons: Vec<&str> = kept.iter().map(|one| one.reason).collect();
    let details: Vec<&str> = kept.iter().map(|one| &*one.detail).collect();
    sqlx::query!(
        "INSERT INTO usage_refused (tenant_id, subscription_id, refused_at, id, source, event_id,
             event_type, event_time, reason, detail)
         SELECT $1, $2, $3, given.*
         FROM unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
             $10::text[]) AS given",
        tenant,
        subscription.uuid(),
        at.to_sqlx() as jiff_sqlx::Timestamp,
        &ids,
        &texts(|one| one.source.as_deref()) as &[Option<&str>],
        &texts(|one| one.id.as_deref()) as &[Option<&str>],
        &texts(|one| one.kind.as_deref()) as &[Option<&str>],
        &texts(|one| one.time.as_deref()) as &[Option<&str>],
        &reasons as &[&str],
        &details as &[&str],
    )
    .execute(&mut **tx)
    .await?;
    count(tx, refused).await?;
    // After the counts: their rows let one batch of a tenant through at a time.
    sqlx::query!(
        "DELETE FROM usage_refused WHERE tenant_id = $1 AND id <= (
             SELECT id FROM usage_refused WHERE tenant_id = $1 ORDER BY id DESC OFFSET $2 LIMIT 1)",
        tenant,
        i64::try_from(REFUSED_KEPT_MAX).unwrap_or(i64::MAX)
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn count(tx: &mut TenantTx, refused: &[Refused]) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    let reasons: Vec<&str> = refused.iter().map(|one| one.reason).collect();
    sqlx::query!(
        "INSERT INTO usage_refused_counts AS c (tenant_id, reason, count)
         SELECT $1, reason, count(*) FROM unnest($2::text[]) AS given (reason)
         GROUP BY reason ORDER BY reason
         ON CONFLICT (tenant_id, reason) DO UPDATE SET count = c.count + excluded.count",
        tenant,
        &reasons as &[&str]
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The newest refusals of a tenant, and how many there were of each reason.
pub(super) async fn list(
    app: &App,
    tenant: TenantId,
    cursor: Cursor,
) -> Result<RefusedEvents, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let rows = sqlx::query!(
        "SELECT id, subscription_id, refused_at, source, event_id, event_type, event_time, reason, detail
         FROM usage_refused
         WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
        tenant.uuid(),
        cursor.after,
        cursor.fetch()
    )
    .fetch_all(&mut *tx)
    .await?;
    let counts = sqlx::query!(
        "SELECT reason, count FROM usage_refused_counts WHERE tenant_id = $1 ORDER BY reason",
        tenant.uuid()
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    let items = rows
        .into_iter()
        .map(|row| {
            let event = RefusedEvent {
                subscription: SubscriptionId::from_uuid(row.subscription_id),
                refused_at: row.refused_at.to_jiff(),
                source: row.source,
                id: row.event_id,
                kind: row.event_type,
                time: row.event_time,
                reason: row.reason,
                detail: row.detail,
            };
            (row.id, event)
        })
        .collect();
    let page = Page::cut(items, cursor, |(id, _)| *id);
    let counted = |reason, count| RefusedCount { reason, count };
    Ok(RefusedEvents {
        items: page.items.into_iter().map(|(_, event)| event).collect(),
        next_cursor: page.next_cursor,
        counts: counts.into_iter().map(|row| counted(row.reason, row.count)).collect(),
    })
}
