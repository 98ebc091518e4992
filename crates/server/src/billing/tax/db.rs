//! SQL of tax rates, and of who pays.

use serde_json::Value;
use tenure_catalog::invoicing::{PlainTable, TaxRule};
use tenure_core::{BillingAccountId, SellerId};
use tenure_tenancy::{TenantTx, VendorTx};

use super::Rate;
use crate::http::Problem;

/// A seller's rates, as a unit of work of a tenant reads them.
pub(crate) async fn table(tx: &mut TenantTx, seller: SellerId) -> Result<PlainTable, Problem> {
    let rows = sqlx::query!(
        r#"SELECT s.address ->> 'country' AS seller_country, r.country, r.region, r.name, r.percent,
               r.reverse_charge
           FROM tax_rates r JOIN sellers s ON s.id = r.seller_id WHERE r.seller_id = $1 ORDER BY r.n"#,
        seller.uuid()
    )
    .fetch_all(&mut **tx)
    .await?;
    let seller_country = rows.first().and_then(|row| row.seller_country.clone());
    let rules = rows.into_iter().map(|row| TaxRule {
        country: row.country,
        region: row.region,
        name: row.name,
        percent: row.percent.normalize(),
        reverse_charge: row.reverse_charge,
    });
    Ok(PlainTable { seller_country, rules: rules.collect() })
}

/// Who pays.
pub(crate) struct Payer {
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    pub(crate) address: Value,
    pub(crate) tax_id: Option<String>,
    pub(crate) currency: String,
    pub(crate) net_days: i32,
}

pub(crate) async fn payer(tx: &mut TenantTx, id: BillingAccountId) -> Result<Payer, Problem> {
    let tenant = tx.tenant().uuid();
    let payer = sqlx::query_as!(
        Payer,
        "SELECT name, email, address, tax_id, currency, net_days FROM billing_accounts
         WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.uuid()
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(payer)
}

pub(super) async fn list(tx: &mut VendorTx, seller: SellerId) -> Result<Vec<Rate>, Problem> {
    let rows = sqlx::query!(
        "SELECT country, region, name, percent, reverse_charge FROM tax_rates
         WHERE seller_id = $1 ORDER BY n",
        seller.uuid()
    )
    .fetch_all(&mut **tx)
    .await?;
    let rates = rows.into_iter().map(|row| Rate {
        country: row.country,
        region: row.region,
        name: row.name,
        percent: row.percent.normalize(),
        reverse_charge: row.reverse_charge,
    });
    Ok(rates.collect())
}

pub(super) async fn replace(
    tx: &mut VendorTx,
    seller: SellerId,
    rates: &[Rate],
) -> Result<(), Problem> {
    sqlx::query!("DELETE FROM tax_rates WHERE seller_id = $1", seller.uuid())
        .execute(&mut **tx)
        .await?;
    for (index, rate) in rates.iter().enumerate() {
        sqlx::query!(
            "INSERT INTO tax_rates (seller_id, n, country, region, name, percent, reverse_charge)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            seller.uuid(),
            i32::try_from(index + 1).unwrap_or(i32::MAX),
            rate.country,
            rate.region,
            rate.name,
            rate.percent,
            rate.reverse_charge
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}
