//! What a tenant looks like inside: business units and teams; billing accounts.

mod db;

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenure_core::{BillingAccountId, Currency, TenantId, UnitId};
use tenure_tenancy::TenantTx;
use utoipa::ToSchema;

use super::{Tenant, db as tenants_db};
use crate::{
    App,
    call::Call,
    http::Problem,
    idempotency,
    trail::{self, Change},
};

/// Units and teams of a tenant at most.
pub const UNITS_MAX: usize = 2_000;
/// Deepest nesting of units.
pub const UNIT_DEPTH_MAX: usize = 8;
/// Billing accounts of a tenant at most.
pub const ACCOUNTS_MAX: usize = 50;

/// What a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnitKind {
    /// Holds units and teams.
    BusinessUnit,
    /// Holds people.
    Team,
}

impl UnitKind {
    const fn word(self) -> &'static str {
        match self {
            Self::BusinessUnit => "business_unit",
            Self::Team => "team",
        }
    }
}

/// A business unit or team.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Unit {
    /// Its id.
    pub id: UnitId,
    /// What it is inside of; absent at the top.
    pub parent_id: Option<UnitId>,
    /// Business unit or team.
    pub kind: UnitKind,
    /// For people; unique beside its siblings.
    #[schema(example = "Platform")]
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A unit to be made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUnit {
    /// What it is inside of; absent at the top.
    pub parent_id: Option<UnitId>,
    /// Business unit or team.
    pub kind: UnitKind,
    /// 1 to 200 characters.
    #[schema(example = "Platform")]
    pub name: String,
}

/// Changes to a unit: what is absent stays; `parent_id: null` moves it to the top.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitUpdate {
    /// 1 to 200 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Platform")]
    pub name: Option<String>,
    /// What it moves into.
    #[serde(
        default,
        deserialize_with = "super::model::present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>)]
    pub parent_id: Option<Option<UnitId>>,
}

/// Every unit and team of a tenant, oldest first.
pub async fn units(app: &App, tenant: TenantId) -> Result<Vec<Unit>, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let all = db::units(&mut tx).await?;
    tx.commit().await?;
    Ok(all)
}

/// Adds a unit or team.
pub async fn create_unit(
    app: &App,
    call: &Call,
    tenant: TenantId,
    new: NewUnit,
) -> Result<Unit, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    tenants_db::lock(&mut tx).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let all = db::units(&mut tx).await?;
    if all.len() >= UNITS_MAX {
        let detail = format!("A tenant has at most {UNITS_MAX} units and teams.");
        return Err(Problem::conflict("too-many-units", detail));
    }
    let unit = Unit {
        id: UnitId::new(call.now),
        parent_id: new.parent_id,
        kind: new.kind,
        name: name(&new.name)?,
        created_at: call.now,
    };
    check_parent(&all, &unit)?;
    db::insert_unit(&mut tx, &unit).await?;
    trail::record(app, &mut tx, call, Change::created("unit.created", unit.id, &unit)).await?;
    idempotency::remember(app, &mut tx, call, StatusCode::CREATED, &unit).await?;
    tx.commit().await?;
    Ok(unit)
}

/// Renames or moves a unit.
pub async fn update_unit(
    app: &App,
    call: &Call,
    tenant: TenantId,
    id: UnitId,
    update: UnitUpdate,
) -> Result<Unit, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    tenants_db::lock(&mut tx).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let all = db::units(&mut tx).await?;
    let before =
        all.iter().find(|unit| unit.id == id).ok_or_else(|| Problem::not_found("unit"))?.clone();
    let mut after = before.clone();
    if let Some(new) = update.name {
        after.name = name(&new)?;
    }
    if let Some(parent) = update.parent_id {
        after.parent_id = parent;
    }
    check_parent(&all, &after)?;
    db::update_unit(&mut tx, &after).await?;
    trail::record(app, &mut tx, call, Change::updated("unit.changed", id, &before, &after)).await?;
    tx.commit().await?;
    Ok(after)
}

/// Takes an empty unit or a team away.
pub async fn delete_unit(
    app: &App,
    call: &Call,
    tenant: TenantId,
    id: UnitId,
) -> Result<Unit, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    tenants_db::lock(&mut tx).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let all = db::units(&mut tx).await?;
    let unit =
        all.iter().find(|unit| unit.id == id).ok_or_else(|| Problem::not_found("unit"))?.clone();
    if all.iter().any(|other| other.parent_id == Some(id)) {
        let detail = "The unit still holds units or teams; move or delete them first.";
        return Err(Problem::conflict("unit-not-empty", detail));
    }
    db::delete_unit(&mut tx, id).await?;
    trail::record(app, &mut tx, call, Change::removed("unit.deleted", id, &unit)).await?;
    tx.commit().await?;
    Ok(unit)
}

fn name(text: &str) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 200 {
        return Err(Problem::field("/name", "A name has 1 to 200 characters."));
    }
    Ok(text.to_owned())
}

/// The parent exists, is a business unit, and is not inside the unit itself.
fn check_parent(all: &[Unit], unit: &Unit) -> Result<(), Problem> {
    let mut above = unit.parent_id;
    let mut depth = 1;
    while let Some(id) = above {
        if id == unit.id {
            return Err(Problem::field("/parent_id", "A unit cannot be inside itself."));
        }
        let parent = all
            .iter()
            .find(|other| other.id == id)
            .ok_or_else(|| Problem::field("/parent_id", "There is no such unit."))?;
        if parent.kind == UnitKind::Team {
            return Err(Problem::field("/parent_id", "A team holds no units or teams."));
        }
        above = parent.parent_id;
        depth += 1;
        if depth > UNIT_DEPTH_MAX {
            let detail = format!("Units are nested at most {UNIT_DEPTH_MAX} deep.");
            return Err(Problem::field("/parent_id", detail));
        }
    }
    Ok(())
}

/// The payer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BillingAccount {
    /// Its id.
    pub id: BillingAccountId,
    /// On invoices.
    #[schema(example = "Acme Corp")]
    pub name: String,
    /// Where invoices go.
    pub email: Option<String>,
    /// On invoices.
    #[schema(value_type = Object)]
    pub address: Value,
    /// On invoices.
    pub tax_id: Option<String>,
    /// Of its invoices.
    pub currency: Currency,
    /// Days until an invoice is due, 0 to 180.
    #[schema(example = 30)]
    pub net_days: i32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A billing account to be made or replaced.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountInput {
    /// On invoices.
    #[schema(example = "Acme Corp")]
    pub name: String,
    /// Where invoices go.
    pub email: Option<String>,
    /// On invoices: `line1`, `city`, `postal_code`, `country`, ...
    #[serde(default)]
    #[schema(value_type = Object)]
    pub address: serde_json::Map<String, Value>,
    /// On invoices.
    pub tax_id: Option<String>,
    /// Of its invoices; only when made. USD when absent.
    pub currency: Option<Currency>,
    /// Days until an invoice is due, 0 to 180; 30 when absent.
    pub net_days: Option<i32>,
}

fn check_account(input: &AccountInput) -> Result<(), Problem> {
    name(&input.name)?;
    if input.email.as_deref().is_some_and(|email| !super::model::is_email(email)) {
        return Err(Problem::field("/email", "This is not an e-mail address."));
    }
    if input.net_days.is_some_and(|days| !(0..=180).contains(&days)) {
        return Err(Problem::field("/net_days", "Between 0 and 180 days."));
    }
    Ok(())
}

/// Every billing account of a tenant, oldest first.
pub async fn accounts(app: &App, tenant: TenantId) -> Result<Vec<BillingAccount>, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let all = db::accounts(&mut tx).await?;
    tx.commit().await?;
    Ok(all)
}

/// Makes a billing account.
pub async fn create_account(
    app: &App,
    call: &Call,
    tenant: TenantId,
    input: AccountInput,
) -> Result<BillingAccount, Problem> {
    check_account(&input)?;
    let mut tx = app.db().tenant(tenant).await?;
    tenants_db::lock(&mut tx).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    if db::accounts(&mut tx).await?.len() >= ACCOUNTS_MAX {
        let detail = format!("A tenant has at most {ACCOUNTS_MAX} billing accounts.");
        return Err(Problem::conflict("too-many-accounts", detail));
    }
    let account = BillingAccount {
        id: BillingAccountId::new(call.now),
        name: name(&input.name)?,
        email: input.email,
        address: Value::Object(input.address),
        tax_id: input.tax_id,
        currency: input.currency.unwrap_or(Currency::USD),
        net_days: input.net_days.unwrap_or(30),
        created_at: call.now,
        updated_at: call.now,
    };
    db::insert_account(&mut tx, &account).await?;
    let change = Change::created("billing_account.created", account.id, &account);
    trail::record(app, &mut tx, call, change).await?;
    idempotency::remember(app, &mut tx, call, StatusCode::CREATED, &account).await?;
    tx.commit().await?;
    Ok(account)
}

/// Replaces what invoices say of a payer. The currency stays.
pub async fn update_account(
    app: &App,
    call: &Call,
    tenant: TenantId,
    id: BillingAccountId,
    input: AccountInput,
) -> Result<BillingAccount, Problem> {
    check_account(&input)?;
    let mut tx = app.db().tenant(tenant).await?;
    let before = db::accounts(&mut tx)
        .await?
        .into_iter()
        .find(|account| account.id == id)
        .ok_or_else(|| Problem::not_found("billing account"))?;
    if input.currency.is_some_and(|currency| currency != before.currency) {
        let detail = "The currency of an account never changes; make another account.";
        return Err(Problem::field("/currency", detail));
    }
    let after = BillingAccount {
        name: name(&input.name)?,
        email: input.email,
        address: Value::Object(input.address),
        tax_id: input.tax_id,
        net_days: input.net_days.unwrap_or(before.net_days),
        updated_at: call.now,
        ..before.clone()
    };
    db::update_account(&mut tx, &after).await?;
    let change = Change::updated("billing_account.changed", id, &before, &after);
    trail::record(app, &mut tx, call, change).await?;
    tx.commit().await?;
    Ok(after)
}

pub(crate) async fn require_account(
    tx: &mut TenantTx,
    id: BillingAccountId,
) -> Result<BillingAccount, Problem> {
    let all = db::accounts(tx).await?;
    all.into_iter()
        .find(|account| account.id == id)
        .ok_or_else(|| Problem::field("/billing_account", "There is no such billing account."))
}

/// The tenant's account in `currency`, made when there is none.
pub(crate) async fn account_for(
    tx: &mut TenantTx,
    call: &Call,
    tenant: &Tenant,
    currency: Currency,
) -> Result<BillingAccountId, Problem> {
    // A tenant made in this very call has none: skip the look.
    if tenant.created_at != call.now {
        let all = db::accounts(tx).await?;
        if let Some(account) = all.iter().find(|account| account.currency == currency) {
            return Ok(account.id);
        }
    }
    let account = BillingAccount {
        id: BillingAccountId::new(call.now),
        name: tenant.name.clone(),
        email: tenant.contact_email.clone(),
        address: Value::Object(serde_json::Map::new()),
        tax_id: None,
        currency,
        net_days: 30,
        created_at: call.now,
        updated_at: call.now,
    };
    db::insert_account(tx, &account).await?;
    Ok(account.id)
}
