//! Who brings most, and whose invoices grow and fall most.

use rust_decimal::Decimal;
use tenure_core::{Currency, Money};

use super::{
    db,
    model::{GrowingTenant, TopQuery, TopTenant, TopTenants},
    revenue::starts,
};
use crate::{App, http::Problem};

/// Tenants of a list and currency at most.
const TOP_MAX: u8 = 50;
/// Tenants of a list when the caller does not say.
const TOP_DEFAULT: u8 = 10;

/// The top tenants by invoices, and by how those change.
pub async fn top_tenants(app: &App, query: &TopQuery) -> Result<TopTenants, Problem> {
    let now = app.now();
    let limit = query.limit.unwrap_or(TOP_DEFAULT);
    if !(1..=TOP_MAX).contains(&limit) {
        return Err(Problem::field("/limit", format!("Ask for 1 to {TOP_MAX} tenants.")));
    }
    let from = starts(query.months, now)?.first().copied().unwrap_or(now);
    let limit = i64::from(limit);
    let mut tx = app.db().vendor().await?;
    let top = db::top(&mut tx, from, limit).await?;
    let changed = db::changed(&mut tx, from, limit).await?;
    tx.commit().await?;
    let mut by_revenue = Vec::with_capacity(top.len());
    for row in top {
        let currency = Currency::from_code(&row.currency).map_err(Problem::internal)?;
        by_revenue.push(TopTenant {
            tenant_id: row.tenant,
            slug: row.slug,
            name: row.name,
            invoices: row.invoices,
            invoiced: Money::from_minor(row.minor, currency),
        });
    }
    let (mut growing, mut falling) = (Vec::new(), Vec::new());
    for row in changed {
        let currency = Currency::from_code(&row.currency).map_err(Problem::internal)?;
        let minor = |amount: Decimal| {
            let major = amount.checked_div(Decimal::from(10_i64.pow(currency.exponent())));
            Money::rounded(major.unwrap_or_default(), currency).map_err(Problem::internal)
        };
        let (newest, before) = (minor(row.newest)?, minor(row.before)?);
        let negative = before.checked_neg().map_err(Problem::internal)?;
        let difference = newest.checked_add(negative).map_err(Problem::internal)?;
        let tenant = GrowingTenant {
            tenant_id: row.tenant,
            slug: row.slug,
            name: row.name,
            newest,
            before,
            difference,
        };
        match difference.minor() {
            1.. => growing.push(tenant),
            ..0 => falling.push(tenant),
            0 => {}
        }
    }
    growing.sort_by_key(|tenant| std::cmp::Reverse(tenant.difference.minor()));
    falling.sort_by_key(|tenant| tenant.difference.minor());
    Ok(TopTenants { from, by_revenue, growing, falling })
}
