//! SQL of instances, their slots and high-water marks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use serde_json::Value;
use tenure_core::{DeploymentId, InstanceId, LicenseId, TenantId};
use tenure_license::{
    Digest, InstancePublicKey,
    activation::{
        sequence::{RECENT_MAX, Sequence},
        slots::Hold,
    },
};
use tenure_tenancy::{AuthTx, TenantTx, VendorTx};
use uuid::Uuid;

use super::model::{HighWater, Identity, Instance, InstanceStatus};
use crate::http::{Cursor, Problem};

const DIGEST_LEN: usize = 32;

struct Row {
    tenant_id: TenantId,
    id: InstanceId,
    license_id: LicenseId,
    deployment_id: Option<DeploymentId>,
    public_key: Option<Vec<u8>>,
    identity: Option<String>,
    name: String,
    k8s_cluster_uid: Option<String>,
    version: Option<String>,
    status: String,
    offline: bool,
    seq: i64,
    recent: Vec<u8>,
    stats: Value,
    lease: Option<String>,
    lease_seq: Option<i64>,
    held_until: jiff_sqlx::Timestamp,
    last_seen_at: jiff_sqlx::Timestamp,
    ledger_seq: i64,
    ledger_hash: Option<Vec<u8>>,
    created_at: jiff_sqlx::Timestamp,
    quarantined_at: Option<jiff_sqlx::Timestamp>,
    released_at: Option<jiff_sqlx::Timestamp>,
    returned: bool,
    forced: bool,
}

impl From<Row> for Instance {
    fn from(row: Row) -> Self {
        let key = row.public_key.as_deref().and_then(InstancePublicKey::from_slice);
        Self {
            id: row.id,
            license_id: row.license_id,
            deployment_id: row.deployment_id,
            identity: match key {
                Some(key) => Identity::Key(key),
                None => Identity::Place(row.identity.unwrap_or_default()),
            },
            name: row.name,
            k8s_cluster_uid: row.k8s_cluster_uid,
            version: row.version,
            status: InstanceStatus::of_word(&row.status),
            offline: row.offline,
            sequence: Sequence { last: row.seq.unsigned_abs(), recent: digests(&row.recent) },
            stats: read_stats(row.stats),
            lease: row.lease,
            lease_seq: row.lease_seq.map(i64::unsigned_abs),
            held_until: row.held_until.to_jiff(),
            last_seen_at: row.last_seen_at.to_jiff(),
            ledger_seq: row.ledger_seq.unsigned_abs(),
            ledger_hash: row.ledger_hash.as_deref().and_then(Digest::from_slice),
            created_at: row.created_at.to_jiff(),
            quarantined_at: row.quarantined_at.map(|at| at.to_jiff()),
            released_at: row.released_at.map(|at| at.to_jiff()),
            returned: row.returned,
            forced: row.forced,
        }
    }
}

impl Row {
    fn split(self) -> (TenantId, Instance) {
        (self.tenant_id, Instance::from(self))
    }
}

/// Whole instances by a condition.
macro_rules! whole {
    ($condition:tt, $($argument:expr),+) => {
        sqlx::query_as!(
            Row,
            "SELECT tenant_id, id, license_id, deployment_id, public_key, identity, name,
                 k8s_cluster_uid, version, status, offline, seq, recent, stats, lease, lease_seq,
                 held_until, last_seen_at, ledger_seq, ledger_hash, created_at, quarantined_at,
                 released_at, returned, forced
             FROM instances WHERE " + $condition,
            $($argument),+
        )
    };
}

/// As they are looked at: without what is in their hands, which the vendor's role may not read.
macro_rules! shown {
    ($condition:tt, $($argument:expr),+) => {
        sqlx::query_as!(
            Row,
            r#"SELECT tenant_id, id, license_id, deployment_id, public_key, identity, name,
                 k8s_cluster_uid, version, status, offline, seq, ''::bytea AS "recent!", stats,
                 NULL::text AS lease, NULL::bigint AS lease_seq, held_until, last_seen_at, ledger_seq,
                 ledger_hash, created_at, quarantined_at, released_at, returned, forced
               FROM instances WHERE "# + $condition,
            $($argument),+
        )
    };
}

/// Statistics are kept as texts, so that no reader makes floats of them.
fn read_stats(stats: Value) -> BTreeMap<String, Decimal> {
    serde_json::from_value(stats).unwrap_or_default()
}

/// The digests of a row, the newest last.
pub(crate) fn digests(recent: &[u8]) -> Vec<Digest> {
    recent.chunks_exact(DIGEST_LEN).filter_map(Digest::from_slice).collect()
}

fn joined(recent: &[Digest]) -> Vec<u8> {
    let newest = &recent[recent.len().saturating_sub(RECENT_MAX)..];
    newest.iter().flat_map(|digest| *digest.as_bytes()).collect()
}

fn number(count: u64) -> Result<i64, Problem> {
    i64::try_from(count).map_err(Problem::internal)
}

fn key_columns(identity: &Identity) -> (Option<&[u8]>, Option<&str>) {
    match identity {
        Identity::Key(key) => (Some(&key.as_bytes()[..]), None),
        Identity::Place(place) => (None, Some(place)),
    }
}

/// Writes a new instance.
pub(crate) async fn insert(tx: &mut TenantTx, instance: &Instance) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    let (public_key, identity) = key_columns(&instance.identity);
    let stats = serde_json::to_value(&instance.stats).map_err(Problem::internal)?;
    sqlx::query!(
        "INSERT INTO instances (tenant_id, id, license_id, deployment_id, public_key, identity, name,
             k8s_cluster_uid, version, status, offline, seq, recent, stats, lease, lease_seq, held_until,
             last_seen_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
        tenant,
        instance.id.uuid(),
        instance.license_id.uuid(),
        instance.deployment_id.map(DeploymentId::uuid),
        public_key,
        identity,
        instance.name,
        instance.k8s_cluster_uid,
        instance.version,
        instance.status.word(),
        instance.offline,
        number(instance.sequence.last)?,
        joined(&instance.sequence.recent),
        stats,
        instance.lease,
        instance.lease_seq.map(number).transpose()?,
        instance.held_until.to_sqlx(),
        instance.last_seen_at.to_sqlx(),
        instance.created_at.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Writes everything of an instance that can change.
pub(crate) async fn update(tx: &mut TenantTx, instance: &Instance) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    let stats = serde_json::to_value(&instance.stats).map_err(Problem::internal)?;
    sqlx::query!(
        "UPDATE instances SET deployment_id = $3, name = $4, k8s_cluster_uid = $5, version = $6,
             status = $7, offline = $8, seq = $9, recent = $10, stats = $11, lease = $12,
             lease_seq = $13, held_until = $14, last_seen_at = $15, ledger_seq = $16,
             ledger_hash = $17, quarantined_at = $18, released_at = $19, returned = $20, forced = $21
         WHERE tenant_id = $1 AND id = $2",
        tenant,
        instance.id.uuid(),
        instance.deployment_id.map(DeploymentId::uuid),
        instance.name,
        instance.k8s_cluster_uid,
        instance.version,
        instance.status.word(),
        instance.offline,
        number(instance.sequence.last)?,
        joined(&instance.sequence.recent),
        stats,
        instance.lease,
        instance.lease_seq.map(number).transpose()?,
        instance.held_until.to_sqlx(),
        instance.last_seen_at.to_sqlx(),
        number(instance.ledger_seq)?,
        instance.ledger_hash.as_ref().map(|hash| &hash.as_bytes()[..]),
        instance.quarantined_at.map(|at| at.to_sqlx()) as _,
        instance.released_at.map(|at| at.to_sqlx()) as _,
        instance.returned,
        instance.forced
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// An instance of the tenant, locked for a change.
pub(crate) async fn lock(tx: &mut TenantTx, id: InstanceId) -> Result<Option<Instance>, Problem> {
    let tenant = tx.tenant().uuid();
    let row = whole!("tenant_id = $1 AND id = $2 FOR NO KEY UPDATE", tenant, id.uuid());
    Ok(row.fetch_optional(&mut **tx).await?.map(Instance::from))
}

/// The instance of a license that is known so, locked for a change.
pub(crate) async fn lock_known(
    tx: &mut TenantTx,
    license: LicenseId,
    identity: &Identity,
) -> Result<Option<Instance>, Problem> {
    let tenant = tx.tenant().uuid();
    let (public_key, place) = key_columns(identity);
    let row = whole!(
        "tenant_id = $1 AND license_id = $2 AND (public_key = $3 OR identity = $4) FOR NO KEY UPDATE",
        tenant,
        license.uuid(),
        public_key,
        place
    );
    Ok(row.fetch_optional(&mut **tx).await?.map(Instance::from))
}

/// A page of a license's instances, newest first.
pub(crate) async fn list(
    tx: &mut TenantTx,
    license: LicenseId,
    cursor: Cursor,
) -> Result<Vec<Instance>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = shown!(
        "tenant_id = $1 AND license_id = $2 AND ($3::uuid IS NULL OR id < $3)
         ORDER BY id DESC LIMIT $4",
        tenant,
        license.uuid(),
        cursor.after,
        cursor.fetch()
    );
    Ok(rows.fetch_all(&mut **tx).await?.into_iter().map(Instance::from).collect())
}

/// The holds of a license that have not ended, without that of `except`.
pub(crate) async fn holds(
    tx: &mut TenantTx,
    license: LicenseId,
    except: Option<InstanceId>,
    now: Timestamp,
) -> Result<Vec<Hold>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT held_until, returned FROM instances
         WHERE tenant_id = $1 AND license_id = $2 AND held_until > $3 AND NOT forced
           AND id IS DISTINCT FROM $4",
        tenant,
        license.uuid(),
        now.to_sqlx(),
        except.map(InstanceId::uuid)
    )
    .fetch_all(&mut **tx)
    .await?;
    let hold = |until: jiff_sqlx::Timestamp, returned| Hold { until: until.to_jiff(), returned };
    Ok(rows.into_iter().map(|row| hold(row.held_until, row.returned)).collect())
}

/// How many instances a license has had, counted up to `max`.
pub(crate) async fn count_up_to(
    tx: &mut TenantTx,
    license: LicenseId,
    max: i64,
) -> Result<i64, Problem> {
    let tenant = tx.tenant().uuid();
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM (
               SELECT FROM instances WHERE tenant_id = $1 AND license_id = $2 LIMIT $3) AS had"#,
        tenant,
        license.uuid(),
        max
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(count)
}

/// Ends what holds a license, or what runs in one place: no further lease. Returns how many.
pub(crate) async fn end_all(
    tx: &mut TenantTx,
    license: Option<LicenseId>,
    deployment: Option<DeploymentId>,
    now: Timestamp,
) -> Result<u64, Problem> {
    let tenant = tx.tenant().uuid();
    let done = sqlx::query!(
        "UPDATE instances SET status = 'released', released_at = $4
         WHERE tenant_id = $1 AND status <> 'released' AND (license_id = $2 OR deployment_id = $3)",
        tenant,
        license.map(LicenseId::uuid),
        deployment.map(DeploymentId::uuid),
        now.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected())
}

/// Who an instance is, before its tenant is known.
pub(crate) struct Known {
    pub(crate) tenant: TenantId,
    pub(crate) license: LicenseId,
    pub(crate) public_key: Option<InstancePublicKey>,
}

/// Who an instance is.
pub(crate) async fn known(tx: &mut AuthTx, id: InstanceId) -> Result<Option<Known>, Problem> {
    let row = sqlx::query!(
        "SELECT tenant_id, license_id, public_key FROM instances WHERE id = $1",
        id.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| Known {
        tenant: row.tenant_id,
        license: row.license_id,
        public_key: row.public_key.as_deref().and_then(InstancePublicKey::from_slice),
    }))
}

/// Instances of all tenants in quarantine, newest first.
pub(crate) async fn quarantined(
    tx: &mut VendorTx,
    cursor: Cursor,
) -> Result<Vec<(TenantId, Instance)>, Problem> {
    let rows = shown!(
        "status = 'quarantined' AND ($1::uuid IS NULL OR id < $1) ORDER BY id DESC LIMIT $2",
        cursor.after,
        cursor.fetch()
    );
    Ok(rows.fetch_all(&mut **tx).await?.into_iter().map(Row::split).collect())
}

/// Connected instances of all tenants that were last heard of between two moments, newest first.
pub(crate) async fn silent(
    tx: &mut VendorTx,
    heard_after: Timestamp,
    heard_before: Timestamp,
    cursor: Cursor,
) -> Result<Vec<(TenantId, Instance)>, Problem> {
    let rows = shown!(
        "status = 'active' AND NOT offline
           AND last_seen_at > $1 AND last_seen_at < $2 AND ($3::uuid IS NULL OR id < $3)
         ORDER BY id DESC LIMIT $4",
        heard_after.to_sqlx(),
        heard_before.to_sqlx(),
        cursor.after,
        cursor.fetch()
    );
    Ok(rows.fetch_all(&mut **tx).await?.into_iter().map(Row::split).collect())
}

/// Raises the marks of the month of `at` to what was reported in it.
///
/// Replicas of one deployment count the same teams, so of each deployment only the newest report
/// counts (an instance without a deployment is one of its own), and those are added up.
pub(crate) async fn raise_high_water(
    tx: &mut TenantTx,
    license: LicenseId,
    stats: &[String],
    at: Timestamp,
    now: Timestamp,
) -> Result<u64, Problem> {
    let tenant = tx.tenant().uuid();
    let done = sqlx::query!(
        "WITH month AS (
             SELECT date_trunc('month', $4::timestamptz AT TIME ZONE 'UTC') AS first),
         latest AS (
             SELECT DISTINCT ON (coalesce(deployment_id, id)) stats FROM instances, month
             WHERE tenant_id = $1 AND license_id = $2 AND status <> 'released' AND held_until > $5
               AND last_seen_at >= month.first AT TIME ZONE 'UTC'
               AND last_seen_at < (month.first + interval '1 month') AT TIME ZONE 'UTC'
             ORDER BY coalesce(deployment_id, id), last_seen_at DESC),
         sums AS (
             SELECT s.key AS stat, sum(s.value::numeric) AS value
             FROM latest, jsonb_each_text(latest.stats) s WHERE s.key = ANY ($3) GROUP BY s.key)
         INSERT INTO license_high_water AS h (tenant_id, license_id, stat, month, value, reached_at)
         SELECT $1, $2, stat, month.first::date, least(value, 999999999999999), $4 FROM sums, month
         ON CONFLICT (tenant_id, license_id, stat, month) DO UPDATE
             SET value = excluded.value, reached_at = excluded.reached_at
             WHERE excluded.value > h.value",
        tenant,
        license.uuid(),
        stats,
        at.to_sqlx(),
        now.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected())
}

/// The newest marks.
pub(crate) async fn high_water(
    tx: &mut TenantTx,
    license: LicenseId,
    limit: i64,
) -> Result<Vec<HighWater>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        r#"SELECT stat, month::text AS "month!", value, reached_at FROM license_high_water
           WHERE tenant_id = $1 AND license_id = $2 ORDER BY month DESC, stat LIMIT $3"#,
        tenant,
        license.uuid(),
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(HighWater {
                stat: row.stat,
                month: row.month.parse().map_err(Problem::internal)?,
                value: row.value.normalize(),
                reached_at: row.reached_at.to_jiff(),
            })
        })
        .collect()
}

/// What a heartbeat changes.
pub(crate) struct Beat {
    pub(crate) id: InstanceId,
    pub(crate) seq: u64,
    pub(crate) digest: Digest,
    pub(crate) stats: Value,
    pub(crate) version: Option<String>,
    pub(crate) now: Timestamp,
}

/// What the row was when a heartbeat was written.
pub(crate) struct Beaten {
    pub(crate) id: InstanceId,
    /// The digest of the call before; none before the first.
    pub(crate) before: Option<Digest>,
    /// Whether the statistics are others than before.
    pub(crate) changed: bool,
}

impl Beaten {
    fn of(id: InstanceId, recent: &[u8], changed: bool) -> Self {
        Self { id, before: digests(recent).iter().rev().nth(1).copied(), changed }
    }
}

/// Writes the next heartbeats of active instances, each of another one: the whole of the common
/// path. Returns those that were written: what is not the next, or of an instance that is not
/// active, is not. Nor is a row that somebody else holds: who holds several rows waits for none.
pub(crate) async fn beat<'a>(
    tx: &mut TenantTx,
    beats: impl Iterator<Item = &'a Beat> + Clone,
) -> Result<Vec<Beaten>, Problem> {
    let tenant = tx.tenant().uuid();
    let ids: Vec<Uuid> = beats.clone().map(|beat| beat.id.uuid()).collect();
    let before = beats.clone().map(|beat| number(beat.seq).map(|seq| seq.saturating_sub(1)));
    let before: Vec<i64> = before.collect::<Result<_, _>>()?;
    let digests: Vec<&[u8]> = beats.clone().map(|beat| &beat.digest.as_bytes()[..]).collect();
    let moments: Vec<_> = beats.clone().map(|beat| beat.now.to_sqlx()).collect();
    let stats: Vec<&Value> = beats.clone().map(|beat| &beat.stats).collect();
    let versions: Vec<Option<&str>> = beats.map(|beat| beat.version.as_deref()).collect();
    let rows = sqlx::query!(
        r#"WITH given AS (
               SELECT * FROM unnest($2::uuid[], $3::bigint[], $4::bytea[], $5::timestamptz[],
                                    $6::jsonb[], $7::text[])
                   AS g (id, seq, digest, at, stats, version)),
           held AS MATERIALIZED (
               SELECT id FROM instances WHERE tenant_id = $1 AND id = ANY ($2)
               FOR NO KEY UPDATE SKIP LOCKED)
           UPDATE instances i SET seq = i.seq + 1, last_seen_at = given.at,
               recent = substr(i.recent || given.digest, greatest(length(i.recent) + 32 - 256, 0) + 1),
               stats_at = CASE WHEN i.stats = given.stats THEN i.stats_at ELSE given.at END,
               stats = given.stats, version = coalesce(given.version, i.version)
           FROM held JOIN given ON given.id = held.id
           WHERE i.tenant_id = $1 AND i.id = held.id AND i.seq = given.seq AND i.status = 'active'
             AND i.public_key IS NOT NULL
           RETURNING i.id AS "id: InstanceId", i.recent, coalesce(i.stats_at = given.at, false) AS "changed!""#,
        tenant,
        &ids,
        &before,
        &digests as _,
        &moments as _,
        &stats as _,
        &versions as _
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| Beaten::of(row.id, &row.recent, row.changed)).collect())
}

/// Writes the contact of a client without a key pair whose slot is still its own, which holds it
/// for longer. Returns whether the statistics changed; `None` where the slot is not its own.
pub(crate) async fn contact(
    tx: &mut TenantTx,
    id: Uuid,
    stats: &BTreeMap<String, Decimal>,
    version: Option<&str>,
    held_until: Timestamp,
    now: Timestamp,
) -> Result<Option<bool>, Problem> {
    let tenant = tx.tenant().uuid();
    let stats = serde_json::to_value(stats).map_err(Problem::internal)?;
    let changed = sqlx::query_scalar!(
        r#"UPDATE instances SET last_seen_at = $5, held_until = greatest(held_until, $4),
               stats_at = CASE WHEN stats = $3 THEN stats_at ELSE $5 END,
               stats = $3, version = coalesce($6, version)
           WHERE tenant_id = $1 AND id = $2 AND status = 'active' AND public_key IS NULL
             AND held_until > $5
           RETURNING coalesce(stats_at = $5, false) AS "changed!""#,
        tenant,
        id,
        stats,
        held_until.to_sqlx(),
        now.to_sqlx(),
        version
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(changed)
}

/// The clients without a key pair of a license, at most `limit`.
pub(crate) async fn keyless(
    tx: &mut TenantTx,
    license: LicenseId,
    limit: i64,
) -> Result<Vec<InstanceId>, Problem> {
    let tenant = tx.tenant().uuid();
    let ids = sqlx::query_scalar!(
        "SELECT id FROM instances WHERE tenant_id = $1 AND license_id = $2 AND identity IS NOT NULL
         LIMIT $3",
        tenant,
        license.uuid(),
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(ids)
}
