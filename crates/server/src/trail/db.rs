//! SQL of the trail and the outbox.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use tenure_tenancy::VendorTx;
use uuid::Uuid;

use crate::{http::Problem, unit::Unit};

pub(super) struct NewEntry<'a> {
    pub(super) chain: Uuid,
    pub(super) at: Timestamp,
    pub(super) action: &'a str,
    pub(super) target: &'a str,
}

pub(super) struct Row {
    pub(super) seq: i64,
    pub(super) at: Timestamp,
    pub(super) action: String,
    pub(super) target: String,
    pub(super) body: Vec<u8>,
    pub(super) hash: Vec<u8>,
}

/// One round trip: takes the head's row lock, computes the link where the head
/// is (as `tenure_license::chain::link` defines it), writes entry and message.
pub(super) async fn append(
    tx: &mut impl Unit,
    entry: NewEntry<'_>,
    body: &[u8],
    content: &[u8],
) -> Result<(), Problem> {
    let tenant = tx.tenant_id().map(|tenant| tenant.uuid());
    sqlx::query!(
        r#"WITH head AS (
               INSERT INTO audit_heads AS h (tenant_id, seq, hash)
               VALUES ($1, 1, sha256('tenure chain v1\000'::bytea || int8send(1) || '\x00'::bytea || $6))
               ON CONFLICT (tenant_id) DO UPDATE SET
                   seq = h.seq + 1,
                   hash = sha256('tenure chain v1\000'::bytea || int8send(h.seq + 1)
                                 || '\x01'::bytea || h.hash || $6)
               RETURNING seq, hash),
           message AS (
               INSERT INTO outbox (tenant_id, topic, payload, created_at)
               VALUES ($7, $3, jsonb_build_object('target', $4::text), $2))
           INSERT INTO audit_log (tenant_id, seq, at, action, target, body, hash)
           SELECT $1, head.seq, $2, $3, $4, $5, head.hash FROM head"#,
        entry.chain,
        entry.at.to_sqlx(),
        entry.action,
        entry.target,
        body,
        content,
        tenant
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn newest(
    tx: &mut VendorTx,
    chain: Uuid,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Row>, Problem> {
    let rows = sqlx::query!(
        "SELECT seq, at, action, target, body, hash FROM audit_log
         WHERE tenant_id = $1 AND seq < coalesce($2, 9223372036854775807) ORDER BY seq DESC LIMIT $3",
        chain,
        before,
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Row {
            seq: row.seq,
            at: row.at.to_jiff(),
            action: row.action,
            target: row.target,
            body: row.body,
            hash: row.hash,
        })
        .collect())
}

pub(super) async fn newest_of_all(
    tx: &mut VendorTx,
    limit: i64,
) -> Result<Vec<(Uuid, Row)>, Problem> {
    let rows = sqlx::query!(
        "SELECT tenant_id, seq, at, action, target, body, hash FROM audit_log
         ORDER BY at DESC, seq DESC LIMIT $1",
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let entry = Row {
                seq: row.seq,
                at: row.at.to_jiff(),
                action: row.action,
                target: row.target,
                body: row.body,
                hash: row.hash,
            };
            (row.tenant_id, entry)
        })
        .collect())
}

pub(super) async fn following(
    tx: &mut VendorTx,
    chain: Uuid,
    after: i64,
    upto: i64,
    limit: i64,
) -> Result<Vec<Row>, Problem> {
    let rows = sqlx::query!(
        "SELECT seq, at, action, target, body, hash FROM audit_log
         WHERE tenant_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4",
        chain,
        after,
        upto,
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Row {
            seq: row.seq,
            at: row.at.to_jiff(),
            action: row.action,
            target: row.target,
            body: row.body,
            hash: row.hash,
        })
        .collect())
}

pub(super) async fn head(
    tx: &mut VendorTx,
    chain: Uuid,
) -> Result<Option<(i64, Vec<u8>)>, Problem> {
    let row = sqlx::query!("SELECT seq, hash FROM audit_heads WHERE tenant_id = $1", chain)
        .fetch_optional(&mut **tx)
        .await?;
    Ok(row.map(|row| (row.seq, row.hash)))
}

/// A message that was not visible in the snapshot before.
pub(super) struct Message {
    pub(super) tenant_id: Option<Uuid>,
    pub(super) topic: String,
}

/// The present snapshot, to be kept for the next look.
pub(super) async fn snapshot(tx: &mut VendorTx) -> Result<String, Problem> {
    let snapshot = sqlx::query_scalar!(r#"SELECT pg_current_snapshot()::text AS "snapshot!""#)
        .fetch_one(&mut **tx)
        .await?;
    Ok(snapshot)
}

/// What was committed since the snapshot `seen`, and the snapshot of this look.
pub(super) async fn since(
    tx: &mut VendorTx,
    seen: &str,
    limit: i64,
) -> Result<(String, Vec<Message>), Problem> {
    let rows = sqlx::query!(
        r#"SELECT pg_current_snapshot()::text AS "snapshot!", o.tenant_id AS "tenant_id?", o.topic AS "topic?"
           FROM (SELECT 1) AS always LEFT JOIN outbox o
             ON o.xid >= pg_snapshot_xmin($1::text::pg_snapshot)
            AND NOT pg_visible_in_snapshot(o.xid, $1::text::pg_snapshot)
           LIMIT $2"#,
        seen,
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    let snapshot = rows.first().map_or_else(|| seen.to_owned(), |row| row.snapshot.clone());
    let messages = rows
        .into_iter()
        .filter_map(|row| Some(Message { topic: row.topic?, tenant_id: row.tenant_id }))
        .collect();
    Ok((snapshot, messages))
}

pub(super) async fn delete_messages_before(
    tx: &mut VendorTx,
    before: Timestamp,
) -> Result<u64, Problem> {
    let done = sqlx::query!("DELETE FROM outbox WHERE created_at < $1", before.to_sqlx())
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected())
}
