//! What the vendor has and what needs a look: the operation behind the first
//! page. A handful of grouped queries, whatever the number of tenants.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use tenure_api::usage::Standing;
use tenure_core::{Currency, Money, TenantId};
use uuid::Uuid;

use super::{db, quota_notices, words};
use crate::{
    App,
    analytics::revenue::recurring_now,
    http::Problem,
    licensing::instances::SILENT_DAYS_MAX,
    products,
    quotas::attention::{self, Near},
    trail::{self, AuditEntry},
};

/// Days that the chart shows.
pub const DAYS: i64 = 30;
/// A license that ends within so many days needs attention.
pub const LICENSE_DAYS: i64 = 30;
/// A trial that ends within so many days needs attention.
pub const TRIAL_DAYS: i64 = 14;
/// Alerts shown at most.
pub const ALERTS_MAX: i64 = 12;
/// Newest changes shown.
pub const CHANGES_MAX: i64 = 8;

/// What the first page shows.
pub(super) struct Overview {
    pub(super) by_status: Vec<db::Count>,
    pub(super) by_model: Vec<db::Count>,
    pub(super) products: Vec<ProductLine>,
    pub(super) revenue: Vec<Money>,
    /// Subscriptions whose price needs a quote that no contract gives.
    pub(super) unpriced: i64,
    pub(super) first_day: i64,
    pub(super) events: Vec<db::Events>,
    pub(super) alerts: Vec<db::Alert>,
    pub(super) changes: Vec<Change>,
}

/// A product's part.
pub(super) struct ProductLine {
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) subscriptions: i64,
    pub(super) monthly: Vec<Money>,
}

/// An entry of some chain of the audit trail.
pub(super) struct Change {
    pub(super) entry: AuditEntry,
    /// Name and slug of the tenant; `None` for the vendor's own.
    pub(super) tenant: Option<(String, String)>,
}

/// Reads the overview.
pub(super) async fn read(app: &App, now: Timestamp) -> Result<Overview, Problem> {
    let first_day = now.as_second().div_euclid(86_400) - (DAYS - 1);
    let days = |days: i64| now + SignedDuration::from_hours(24 * days);
    let mut tx = app.db().vendor().await?;
    let by_status = db::tenants_by_status(&mut tx).await?;
    let by_model = db::tenants_by_model(&mut tx).await?;
    let when = db::Horizon {
        now,
        licenses_until: days(LICENSE_DAYS),
        trials_until: days(TRIAL_DAYS),
        heard_after: days(-SILENT_DAYS_MAX),
    };
    let mut alerts = db::alerts(&mut tx, &when, ALERTS_MAX).await?;
    tx.commit().await?;
    let near = attention::near(app, now, ALERTS_MAX).await?;
    alerts.extend(near.into_iter().map(quota));
    // Stable: of one rank, the query's order stays.
    alerts.sort_by_key(|alert| alert.rank);
    alerts.truncate(usize::try_from(ALERTS_MAX).unwrap_or(usize::MAX));
    let (monthly, unpriced) = recurring_now(app).await?;
    let mut by_currency: BTreeMap<&'static str, Decimal> = BTreeMap::new();
    for ((_, code), amount) in &monthly {
        *by_currency.entry(code).or_default() += *amount;
    }
    let money = |code: &str, amount: Decimal| {
        let currency = Currency::from_code(code).map_err(Problem::internal)?;
        Money::rounded(amount, currency).map_err(Problem::internal)
    };
    let revenue = by_currency
        .into_iter()
        .map(|(code, amount)| money(code, amount))
        .collect::<Result<_, _>>()?;
    let lines = products::list(app).await?.into_iter().map(|product| {
        let own = monthly.iter().filter(|((of, _), _)| *of == product.slug);
        Ok(ProductLine {
            monthly: own
                .map(|((_, code), amount)| money(code, *amount))
                .collect::<Result<_, _>>()?,
            slug: product.slug,
            name: product.name,
            subscriptions: product.subscriptions,
        })
    });
    Ok(Overview {
        by_status,
        by_model,
        products: lines.collect::<Result<_, Problem>>()?,
        revenue,
        unpriced,
        first_day,
        events: events(app, first_day).await?,
        alerts,
        changes: changes(app).await?,
    })
}

/// A quota as an alert: what blocks stands before payments, what is charged behind licenses.
fn quota(near: Near) -> db::Alert {
    let (rank, kind) = match near.standing {
        Standing::Blocked => (2, "blocked"),
        Standing::Over => (4, "over"),
        Standing::Warning | Standing::Ok => (5, "near"),
    };
    let whose = quota_notices::whose(&near.per).to_lowercase();
    let (used, limit) = (words::number(near.used.round_dp(2)), words::number(near.limit.value()));
    db::Alert {
        rank,
        kind: kind.to_owned(),
        what: format!("{}, {}: {whose} {used}/{limit}", near.what, near.name),
        tenant: near.tenant,
        slug: near.slug,
        at: near.resets_at,
        license: None,
    }
}

async fn events(app: &App, first_day: i64) -> Result<Vec<db::Events>, Problem> {
    let from = Timestamp::from_second(first_day * 86_400).map_err(Problem::internal)?;
    let mut tx = app.db().vendor().await?;
    let events = db::events_by_day(&mut tx, from).await?;
    tx.commit().await?;
    Ok(events)
}

/// The newest entries of every chain, with the tenants' names.
async fn changes(app: &App) -> Result<Vec<Change>, Problem> {
    let entries = trail::newest(app, CHANGES_MAX).await?;
    let ids: Vec<Uuid> =
        entries.iter().filter_map(|(tenant, _)| tenant.map(TenantId::uuid)).collect();
    let mut tx = app.db().vendor().await?;
    let names = db::names(&mut tx, &ids).await?;
    tx.commit().await?;
    let named = |id: TenantId| {
        let found = names.iter().find(|(of, ..)| *of == id);
        found.map(|(_, name, slug)| (name.clone(), slug.clone()))
    };
    Ok(entries
        .into_iter()
        .map(|(tenant, entry)| Change { entry, tenant: tenant.and_then(named) })
        .collect())
}
