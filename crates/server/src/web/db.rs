//! SQL of the console: what its pages show beyond the operations of the
//! capabilities. Reads only, across tenants.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use tenure_core::{CatalogVersionId, LicenseId, TenantId};
use tenure_tenancy::VendorTx;
use uuid::Uuid;

use crate::http::Problem;

pub(super) async fn count_tenants(tx: &mut VendorTx) -> Result<i64, Problem> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM tenants WHERE status <> 'deleted'"#
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(count)
}

/// A number beside a word.
pub(super) struct Count {
    pub(super) word: String,
    pub(super) count: i64,
}

pub(super) async fn tenants_by_status(tx: &mut VendorTx) -> Result<Vec<Count>, Problem> {
    let rows = sqlx::query_as!(
        Count,
        r#"SELECT status AS word, count(*) AS "count!" FROM tenants
           WHERE status <> 'deleted' GROUP BY status"#
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}

/// Tenants with a subscription in each model that is not cancelled.
pub(super) async fn tenants_by_model(tx: &mut VendorTx) -> Result<Vec<Count>, Problem> {
    let rows = sqlx::query_as!(
        Count,
        r#"SELECT model AS word, count(DISTINCT tenant_id) AS "count!" FROM subscriptions
           WHERE status <> 'cancelled' GROUP BY model"#
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}

/// Metered events of one product on one day (UTC).
#[derive(Debug, Clone)]
pub(super) struct Events {
    pub(super) product: String,
    pub(super) day: i64,
    pub(super) events: i64,
}

pub(super) async fn events_by_day(
    tx: &mut VendorTx,
    from: Timestamp,
) -> Result<Vec<Events>, Problem> {
    let rows = sqlx::query_as!(
        Events,
        r#"SELECT p.slug AS product, r.day AS "day!", sum(r.events)::bigint AS "events!"
           FROM (SELECT meter_id, floor(extract(epoch FROM bucket) / 86400)::bigint AS day,
                        sum(events) AS events
                 FROM usage_rollups WHERE bucket >= $1 GROUP BY 1, 2) AS r
           JOIN meters m ON m.id = r.meter_id JOIN products p ON p.id = m.product_id
           GROUP BY 1, 2"#,
        from.to_sqlx()
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}

/// Something that somebody should look at.
pub(super) struct Alert {
    /// The lowest first.
    pub(super) rank: i32,
    /// `suspended`, `quarantined`, `past_due`, `revoked`, `license`, `silent`, `trial`, `pending`;
    /// of quotas `blocked`, `over`, `near`
    pub(super) kind: String,
    pub(super) tenant: String,
    pub(super) slug: String,
    /// Product and plan, the name of a deployment or instance, or the hint of a license key.
    pub(super) what: String,
    pub(super) at: Timestamp,
    /// The license that it is about.
    pub(super) license: Option<LicenseId>,
}

/// What counts as soon, and as lately.
pub(super) struct Horizon {
    pub(super) now: Timestamp,
    pub(super) licenses_until: Timestamp,
    pub(super) trials_until: Timestamp,
    /// Instances that were heard of before are no longer missed.
    pub(super) heard_after: Timestamp,
}

/// The most urgent first.
pub(super) async fn alerts(
    tx: &mut VendorTx,
    when: &Horizon,
    limit: i64,
) -> Result<Vec<Alert>, Problem> {
    let rows = sqlx::query!(
        r#"WITH alert AS (
               SELECT 1 AS rank, 'suspended' AS kind, id AS tenant_id, '' AS what, updated_at AS at,
                      NULL::uuid AS license
               FROM tenants WHERE status = 'suspended'
               UNION ALL
               (SELECT 1, 'quarantined', tenant_id, name, quarantined_at, license_id
                FROM instances WHERE status = 'quarantined' ORDER BY quarantined_at DESC LIMIT $4)
               UNION ALL
               (SELECT 2, 'revoked', l.tenant_id, l.key_hint, max(i.held_until), l.id
                FROM licenses l JOIN instances i ON i.tenant_id = l.tenant_id AND i.license_id = l.id
                WHERE l.status = 'revoked' AND i.held_until > $1 AND NOT i.offline
                GROUP BY l.tenant_id, l.id, l.key_hint LIMIT $4)
               UNION ALL
               (SELECT 4, 'silent', tenant_id, name, last_seen_at, license_id
                FROM instances
                WHERE status = 'active' AND NOT offline AND held_until < $1 AND last_seen_at > $5
                ORDER BY last_seen_at DESC LIMIT $4)
               UNION ALL
               SELECT 1, 'suspended', s.tenant_id, p.name || ' ' || s.plan, s.updated_at, NULL
               FROM subscriptions s JOIN products p ON p.id = s.product_id WHERE s.status = 'suspended'
               UNION ALL
               SELECT 2, 'past_due', s.tenant_id, p.name || ' ' || s.plan, s.updated_at, NULL
               FROM subscriptions s JOIN products p ON p.id = s.product_id WHERE s.status = 'past_due'
               UNION ALL
               SELECT 3, 'license', l.tenant_id, l.key_hint, r.expires_at, l.id
               FROM licenses l JOIN license_revisions r
                 ON r.tenant_id = l.tenant_id AND r.license_id = l.id AND r.revision = l.revision
               WHERE l.status = 'active' AND r.expires_at < $2
               UNION ALL
               SELECT 5, 'trial', s.tenant_id, p.name || ' ' || s.plan, s.trial_ends_at, NULL
               FROM subscriptions s JOIN products p ON p.id = s.product_id
               WHERE s.status = 'trial' AND s.trial_ends_at < $3
               UNION ALL
               SELECT 6, 'pending', d.tenant_id, p.name || ' ' || s.plan || ', ' || d.name, d.created_at, NULL
               FROM deployments d
               JOIN subscriptions s ON s.tenant_id = d.tenant_id AND s.id = d.subscription_id
               JOIN products p ON p.id = s.product_id
               WHERE d.status = 'pending' AND s.status <> 'cancelled')
           SELECT rank AS "rank!", kind AS "kind!", what AS "what!", at AS "at!", t.name, t.slug,
                  license AS "license: LicenseId"
           FROM alert a JOIN tenants t ON t.id = a.tenant_id AND t.status IN ('active', 'suspended')
           ORDER BY rank, abs(extract(epoch FROM at - $1)) LIMIT $4"#,
        when.now.to_sqlx(),
        when.licenses_until.to_sqlx(),
        when.trials_until.to_sqlx(),
        limit,
        when.heard_after.to_sqlx()
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Alert {
            rank: row.rank,
            kind: row.kind,
            tenant: row.name,
            slug: row.slug,
            what: row.what,
            at: row.at.to_jiff(),
            license: row.license,
        })
        .collect())
}

/// What a tenant of a list is subscribed to.
pub(super) struct Bought {
    pub(super) tenant: TenantId,
    pub(super) product: String,
    pub(super) version: CatalogVersionId,
    pub(super) plan: String,
    pub(super) model: String,
    pub(super) status: String,
}

pub(super) async fn bought_by(tx: &mut VendorTx, tenants: &[Uuid]) -> Result<Vec<Bought>, Problem> {
    let rows = sqlx::query_as!(
        Bought,
        r#"SELECT s.tenant_id AS "tenant: TenantId", p.slug AS product,
                  s.catalog_version_id AS "version: CatalogVersionId", s.plan, s.model, s.status
           FROM subscriptions s JOIN products p ON p.id = s.product_id
           WHERE s.tenant_id = ANY($1) ORDER BY s.status = 'cancelled', s.id DESC"#,
        tenants
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}

/// Names of tenants, for entries that only hold ids.
pub(super) async fn names(
    tx: &mut VendorTx,
    tenants: &[Uuid],
) -> Result<Vec<(TenantId, String, String)>, Problem> {
    let rows = sqlx::query!(
        r#"SELECT id AS "id: TenantId", name, slug FROM tenants WHERE id = ANY($1)"#,
        tenants
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name, row.slug)).collect())
}

/// Subscriptions of a product by plan that are not cancelled.
pub(super) async fn subscriptions_by_plan(
    tx: &mut VendorTx,
    product: &str,
) -> Result<Vec<Count>, Problem> {
    let rows = sqlx::query_as!(
        Count,
        r#"SELECT s.plan AS word, count(*) AS "count!" FROM subscriptions s
           JOIN products p ON p.id = s.product_id
           WHERE p.slug = $1 AND s.status <> 'cancelled' GROUP BY s.plan"#,
        product
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}

/// Whose an invoice of a list is.
pub(super) struct Whose {
    pub(super) id: TenantId,
    pub(super) name: String,
    pub(super) slug: String,
    pub(super) zone: String,
    /// Its record is gone; invoices stay.
    pub(super) deleted: bool,
}

pub(super) async fn whose(tx: &mut VendorTx, tenants: &[Uuid]) -> Result<Vec<Whose>, Problem> {
    let rows = sqlx::query_as!(
        Whose,
        r#"SELECT id AS "id: TenantId", name, slug, time_zone AS zone, status = 'deleted' AS "deleted!"
           FROM tenants WHERE id = ANY($1)"#,
        tenants
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}
