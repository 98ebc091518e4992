//! Events that agents brought, found again by what their products called them.
//!
//! An agent's events are recorded by producer and number
//! ([`tenure_license::numbering`]), so no key leads to them. Who takes one back
//! names it by source and id all the same. Owns: the search for it, among the
//! newest events of the source. Refuses: to search without a bound.

use std::collections::HashSet;

use tenure_core::SubscriptionId;
use tenure_license::numbering;
use tenure_tenancy::TenantTx;
use uuid::Uuid;

use super::{
    check::{Target, name_of_id, name_of_number},
    chunk::Unpacked,
    db,
};
use crate::http::Problem;

/// Ledgers that a source's events are looked for in: the agents beside it, one after the other.
const LEDGERS_MAX: i64 = 1_000;
/// Chunks of a producer that are unpacked for one event, the newest first. Older events are named
/// by producer and number.
const CHUNKS_MAX: i64 = 2_000;
/// Chunks read at once.
const CHUNKS_AT_ONCE: i64 = 32;

/// The events that are meant: as they were named, or as agents brought them.
pub(super) async fn targets<'a>(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    said: &[&Target<'a>],
) -> Result<Vec<Target<'a>>, Problem> {
    let named = said.iter().filter(|target| target.id.is_some());
    let keys: Vec<Uuid> = named.map(|target| target.key).collect();
    let known: HashSet<Uuid> =
        db::claimed(tx, &keys).await?.into_iter().map(|(key, _)| key).collect();
    let mut meant = Vec::with_capacity(said.len());
    for target in said {
        let found = match &target.id {
            Some(id) if !known.contains(&target.key) => {
                search(tx, subscription, &target.source, id).await?
            }
            _ => None,
        };
        meant.push(found.unwrap_or_else(|| (*target).clone()));
    }
    Ok(meant)
}

async fn search(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    source: &str,
    id: &str,
) -> Result<Option<Target<'static>>, Problem> {
    let tenant = tx.tenant();
    let mut buffer = Vec::new();
    for ledger in ledgers(tx, source).await? {
        let parted = numbering::parted(&ledger, source);
        let key = name_of_id(&mut buffer, tenant, &parted, id);
        if !db::claimed(tx, &[key]).await?.is_empty() {
            let id = Some(id.to_owned().into());
            return Ok(Some(Target { source: parted.into(), id, sequence: None, key }));
        }
        let producer = numbering::producer(&ledger, source);
        let number = match in_rows(tx, subscription, &producer, id).await? {
            Some(number) => Some(number),
            None => in_chunks(tx, subscription, &producer, id).await?,
        };
        if let Some(number) = number {
            let key = name_of_number(&mut buffer, tenant, &producer, 0, number);
            let sequence = Some((0, number));
            return Ok(Some(Target { source: producer.into(), id: None, sequence, key }));
        }
    }
    Ok(None)
}

/// The ledgers that brought events of a source.
async fn ledgers(tx: &mut TenantTx, source: &str) -> Result<Vec<String>, Problem> {
    let tenant = tx.tenant().uuid();
    let before = numbering::producer("", "");
    let (scheme, _) = before.split_at(before.len() - 1);
    let rows = sqlx::query_scalar!(
        r#"SELECT split_part(substr(source, length($2) + 1), '#', 1) AS "ledger!" FROM usage_sources
           WHERE tenant_id = $1 AND starts_with(source, $2)
               AND substr(source, strpos(source, '#') + 1) = $3
           LIMIT $4"#,
        tenant,
        scheme,
        source,
        LEDGERS_MAX
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}

async fn in_rows(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    producer: &str,
    id: &str,
) -> Result<Option<i64>, Problem> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_scalar!(
        r#"SELECT number AS "number!" FROM usage_events
           WHERE tenant_id = $1 AND subscription_id = $2 AND source = $3 AND epoch = 0
               AND number IS NOT NULL AND event_id = $4
           LIMIT 1"#,
        tenant,
        subscription.uuid(),
        producer,
        id
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row)
}

async fn in_chunks(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    producer: &str,
    id: &str,
) -> Result<Option<i64>, Problem> {
    let tenant = tx.tenant().uuid();
    let (mut before, mut unpacked) = (i64::MAX, 0);
    while unpacked < CHUNKS_MAX {
        let rows = sqlx::query!(
            r#"SELECT last_number AS "last!", body FROM usage_chunks
               WHERE tenant_id = $1 AND subscription_id = $2 AND source = $3 AND epoch = 0
                   AND last_number < $4 AND source IS NOT NULL
               ORDER BY last_number DESC LIMIT $5"#,
            tenant,
            subscription.uuid(),
            producer,
            before,
            CHUNKS_AT_ONCE
        )
        .fetch_all(&mut **tx)
        .await?;
        let Some(oldest) = rows.last() else { return Ok(None) };
        (before, unpacked) = (oldest.last, unpacked + CHUNKS_AT_ONCE);
        for row in &rows {
            let mut found = None;
            let chunk = Unpacked::new(&row.body).map_err(Problem::internal)?;
            let read = chunk.records(|record| {
                if record.id == id {
                    found = record.sequence.map(|(_, number)| number);
                }
            });
            read.map_err(Problem::internal)?;
            if found.is_some() {
                return Ok(found);
            }
        }
    }
    Ok(None)
}
