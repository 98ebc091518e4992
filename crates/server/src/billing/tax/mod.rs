//! A seller's tax rates, by country and region.

pub mod api;
pub(crate) mod db;
pub mod model;

use tenure_core::SellerId;

pub use model::{Rate, Rates};

use crate::{
    App,
    call::Call,
    http::Problem,
    products,
    trail::{self, Change},
};

/// Rates of a seller at most.
pub const RATES_MAX: usize = 2_000;

async fn require_seller(app: &App, seller: SellerId) -> Result<(), Problem> {
    let all = products::sellers::list(app).await?;
    match all.iter().any(|known| known.id == seller) {
        true => Ok(()),
        false => Err(Problem::not_found("seller")),
    }
}

/// The rates, in the order in which invoices name them.
pub async fn list(app: &App, seller: SellerId) -> Result<Rates, Problem> {
    require_seller(app, seller).await?;
    let mut tx = app.db().vendor().await?;
    let items = db::list(&mut tx, seller).await?;
    tx.commit().await?;
    Ok(Rates { items })
}

/// Replaces the rates. Drafts and issued invoices keep theirs.
pub async fn replace(
    app: &App,
    call: &Call,
    seller: SellerId,
    rates: Rates,
) -> Result<Rates, Problem> {
    model::check(&rates)?;
    require_seller(app, seller).await?;
    let mut tx = app.db().vendor().await?;
    let before = Rates { items: db::list(&mut tx, seller).await? };
    db::replace(&mut tx, seller, &rates.items).await?;
    let change = Change::updated("tax_rates.changed", seller, &before, &rates);
    trail::record(app, &mut tx, call, change).await?;
    tx.commit().await?;
    Ok(rates)
}
