//! SQL of analytics: grouped reads across tenants. What is not void and has a number
//! is revenue; the index `invoices_revenue` has all columns that these queries need.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use tenure_core::{CatalogVersionId, Currency, TenantId};
use tenure_tenancy::VendorTx;

use crate::{http::Problem, subscriptions::contracts::Price};

/// An amount of one month and currency; months are counted from the first asked, from 0.
pub(super) struct MonthSum {
    pub(super) month: i32,
    pub(super) currency: String,
    pub(super) minor: i64,
}

/// What was invoiced, and what of it was written off.
pub(super) struct Invoiced {
    pub(super) sums: Vec<MonthSum>,
    pub(super) uncollectible: Vec<MonthSum>,
}

fn sqlx_times(times: &[Timestamp]) -> Vec<jiff_sqlx::Timestamp> {
    times.iter().map(|at| at.to_sqlx()).collect()
}

/// Subtotals by the month of issue. `starts` ends with the start of the month after the last.
pub(super) async fn invoiced_by_month(
    tx: &mut VendorTx,
    starts: &[Timestamp],
    now: Timestamp,
) -> Result<Invoiced, Problem> {
    let rows = sqlx::query!(
        r#"SELECT (width_bucket(issued_at, $1::timestamptz[]) - 1) AS "month!", currency,
               sum(subtotal_minor)::bigint AS "minor!",
               coalesce(sum(subtotal_minor) FILTER (WHERE status = 'uncollectible'), 0)::bigint AS "uncollectible!"
           FROM invoices
           WHERE number IS NOT NULL AND status <> 'void' AND issued_at >= ($1::timestamptz[])[1]
             AND issued_at <= $2
           GROUP BY 1, 2"#,
        &sqlx_times(starts) as &[jiff_sqlx::Timestamp],
        now.to_sqlx()
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut found = Invoiced { sums: Vec::new(), uncollectible: Vec::new() };
    for row in rows {
        let of = |minor| MonthSum { month: row.month, currency: row.currency.clone(), minor };
        found.uncollectible.push(of(row.uncollectible));
        found.sums.push(of(row.minor));
    }
    Ok(found)
}

/// Credit notes by month, before tax.
pub(super) async fn credited_by_month(
    tx: &mut VendorTx,
    starts: &[Timestamp],
) -> Result<Vec<MonthSum>, Problem> {
    let rows = sqlx::query_as!(
        MonthSum,
        r#"SELECT (width_bucket(created_at, $1::timestamptz[]) - 1) AS "month!", currency,
               sum(amount_minor - tax_minor)::bigint AS "minor!"
           FROM credit_notes
           WHERE created_at >= ($1::timestamptz[])[1]
             AND created_at < ($1::timestamptz[])[array_length($1::timestamptz[], 1)]
           GROUP BY 1, 2"#,
        &sqlx_times(starts) as &[jiff_sqlx::Timestamp]
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}

/// Subtotals spread evenly over their billing periods, by second. Each invoice is rounded
/// where a month ends, so that its months add up to it.
pub(super) async fn recognised_by_month(
    tx: &mut VendorTx,
    starts: &[Timestamp],
    now: Timestamp,
) -> Result<Vec<MonthSum>, Problem> {
    let starts = sqlx_times(starts);
    let (lower, upper) = (&starts[..starts.len() - 1], &starts[1..]);
    let rows = sqlx::query_as!(
        MonthSum,
        r#"SELECT m.month AS "month!", i.currency, sum(
               round(i.subtotal_minor * extract(epoch FROM least(m.upper, i.period_end) - i.period_start) / i.seconds)
               - round(i.subtotal_minor * extract(epoch FROM greatest(m.lower, i.period_start) - i.period_start)
                   / i.seconds))::bigint AS "minor!"
           FROM (SELECT currency, subtotal_minor, period_start, period_end,
                     extract(epoch FROM period_end - period_start) AS seconds
                 FROM invoices
                 WHERE number IS NOT NULL AND status <> 'void' AND issued_at >= ($1::timestamptz[])[1]
                   AND issued_at <= $3 AND period_end > ($1::timestamptz[])[1]) i
           JOIN (SELECT lower, upper, (ordinality - 1)::integer AS month
                 FROM unnest($1::timestamptz[], $2::timestamptz[]) WITH ORDINALITY AS m (lower, upper, ordinality)) m
             ON m.lower < i.period_end AND i.period_start < m.upper
           GROUP BY 1, 2"#,
        lower as &[jiff_sqlx::Timestamp],
        upper as &[jiff_sqlx::Timestamp],
        now.to_sqlx()
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}

/// Subtotals of drafts, by currency.
pub(super) async fn drafts(tx: &mut VendorTx) -> Result<Vec<(String, i64)>, Problem> {
    let rows = sqlx::query!(
        r#"SELECT currency, sum(subtotal_minor)::bigint AS "minor!" FROM invoices
           WHERE status = 'draft' GROUP BY currency"#
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.currency, row.minor)).collect())
}

pub(super) struct Top {
    pub(super) tenant: TenantId,
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) currency: String,
    pub(super) invoices: i64,
    pub(super) minor: i64,
}

/// The tenants with the largest sums of subtotals, `limit` of each currency.
pub(super) async fn top(
    tx: &mut VendorTx,
    from: Timestamp,
    limit: i64,
) -> Result<Vec<Top>, Problem> {
    let rows = sqlx::query_as!(
        Top,
        r#"SELECT s.tenant_id AS "tenant: TenantId", t.slug, t.name, s.currency, s.invoices AS "invoices!",
               s.minor AS "minor!"
           FROM (SELECT tenant_id, currency, count(*) AS invoices, sum(subtotal_minor)::bigint AS minor,
                     row_number() OVER (PARTITION BY currency ORDER BY sum(subtotal_minor) DESC, tenant_id) AS place
                 FROM invoices
                 WHERE number IS NOT NULL AND status <> 'void' AND issued_at >= $1
                 GROUP BY tenant_id, currency) s
           JOIN tenants t ON t.id = s.tenant_id
           WHERE s.place <= $2 ORDER BY s.currency, s.place"#,
        from.to_sqlx(),
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}

pub(super) struct Changed {
    pub(super) tenant: TenantId,
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) currency: String,
    /// In minor units, a month: a whole month is one, however long it was.
    pub(super) newest: Decimal,
    pub(super) before: Decimal,
}

/// The tenants whose newest invoices differ most from those before, `limit` up and `limit`
/// down of each currency. A subscription with a single invoice says nothing yet.
pub(super) async fn changed(
    tx: &mut VendorTx,
    from: Timestamp,
    limit: i64,
) -> Result<Vec<Changed>, Problem> {
    let rows = sqlx::query_as!(
        Changed,
        r#"WITH each AS (
               SELECT tenant_id, currency,
                   subtotal_minor / CASE WHEN days BETWEEN 27.9 AND 31.1 THEN 1
                       WHEN days BETWEEN 364.9 AND 366.1 THEN 12 ELSE days / 30.4375 END AS amount,
                   row_number() OVER recent AS place, count(*) OVER (PARTITION BY tenant_id, subscription_id) AS known
               FROM invoices CROSS JOIN LATERAL (SELECT extract(epoch FROM period_end - period_start) / 86400) AS of (days)
               WHERE number IS NOT NULL AND status <> 'void' AND issued_at >= $1
               WINDOW recent AS (PARTITION BY tenant_id, subscription_id ORDER BY period_end DESC)),
           of_tenant AS (
               SELECT tenant_id, currency, sum(amount) FILTER (WHERE place = 1) AS newest,
                   sum(amount) FILTER (WHERE place = 2) AS before
               FROM each WHERE known > 1 AND place <= 2 GROUP BY tenant_id, currency),
           placed AS (
               SELECT *, row_number() OVER (PARTITION BY currency ORDER BY newest - before DESC, tenant_id) AS up,
                   row_number() OVER (PARTITION BY currency ORDER BY newest - before, tenant_id) AS down
               FROM of_tenant)
           SELECT p.tenant_id AS "tenant: TenantId", t.slug, t.name, p.currency AS "currency!",
               p.newest AS "newest!", p.before AS "before!"
           FROM placed p JOIN tenants t ON t.id = p.tenant_id
           WHERE p.up <= $2 OR p.down <= $2"#,
        from.to_sqlx(),
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}

/// Subscriptions that cost the same, and how many there are.
pub(super) struct Terms {
    pub(super) version: CatalogVersionId,
    pub(super) currency: Currency,
    pub(super) plan: String,
    pub(super) items: BTreeMap<String, Decimal>,
    pub(super) prices: Vec<Price>,
    pub(super) count: i64,
}

/// Every set of terms in force among paying subscriptions: as many rows as
/// there are different ones, not as there are subscriptions.
pub(super) async fn terms_in_force(
    tx: &mut VendorTx,
    now: Timestamp,
) -> Result<Vec<Terms>, Problem> {
    let rows = sqlx::query!(
        r#"WITH held AS (
               SELECT tenant_id, subscription_id, jsonb_object_agg(charge, quantity::text) AS items
               FROM (SELECT tenant_id, subscription_id, charge, sum(quantity) AS quantity
                     FROM subscription_items
                     WHERE valid_from <= $1 AND (valid_to IS NULL OR valid_to > $1)
                     GROUP BY tenant_id, subscription_id, charge) AS each
               GROUP BY tenant_id, subscription_id),
           priced AS (
               SELECT tenant_id, subscription_id, jsonb_agg(terms -> 'prices' ORDER BY valid_from, id) AS prices
               FROM contracts
               WHERE valid_from <= $1 AND (valid_to IS NULL OR valid_to > $1)
                 AND jsonb_array_length(terms -> 'prices') > 0
               GROUP BY tenant_id, subscription_id)
           SELECT s.catalog_version_id AS "version: CatalogVersionId", s.plan, held.items AS "items?",
                  priced.prices AS "prices?", a.currency, count(*) AS "count!"
           FROM subscriptions s
           JOIN tenants t ON t.id = s.tenant_id AND t.status = 'active'
           JOIN billing_accounts a ON a.tenant_id = s.tenant_id AND a.id = s.billing_account_id
           LEFT JOIN held ON held.tenant_id = s.tenant_id AND held.subscription_id = s.id
           LEFT JOIN priced ON priced.tenant_id = s.tenant_id AND priced.subscription_id = s.id
           WHERE s.status IN ('active', 'past_due')
           GROUP BY 1, 2, 3, 4, 5"#,
        now.to_sqlx()
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let items = row.items.map_or_else(|| Ok(BTreeMap::new()), serde_json::from_value);
            let prices: Result<Vec<Vec<Price>>, _> =
                row.prices.map_or_else(|| Ok(Vec::new()), serde_json::from_value);
            Ok(Terms {
                version: row.version,
                currency: Currency::from_code(&row.currency).map_err(Problem::internal)?,
                plan: row.plan,
                items: items.map_err(Problem::internal)?,
                prices: prices.map_err(Problem::internal)?.into_iter().flatten().collect(),
                count: row.count,
            })
        })
        .collect()
}
