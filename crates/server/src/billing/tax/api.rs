//! `/api/v1/admin/sellers/{seller}/tax-rates`.

use axum::extract::{Path, State};
use tenure_core::SellerId;

use super::Rates;
use crate::{
    App,
    http::{Json, Problem},
    identity::{Admin, Staff},
};

fn seller(text: &str) -> Result<SellerId, Problem> {
    text.parse().map_err(|_| Problem::not_found("seller"))
}

/// A seller's tax rates
#[utoipa::path(get, path = "/api/v1/admin/sellers/{seller}/tax-rates", tag = "Billing", operation_id = "listTaxRates",
    params(("seller" = SellerId, Path)),
    responses((status = 200, body = Rates), (status = 404, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    _staff: Staff,
    Path(id): Path<String>,
) -> Result<Json<Rates>, Problem> {
    super::list(&app, seller(&id)?).await.map(Json)
}

/// Replace a seller's tax rates
///
/// Every rate of the buyer's country, and of its region, is charged on the sum of an invoice. Drafts and
/// issued invoices keep the rates that they were made with.
#[utoipa::path(put, path = "/api/v1/admin/sellers/{seller}/tax-rates", tag = "Billing", operation_id = "replaceTaxRates",
    params(("seller" = SellerId, Path)), request_body = Rates,
    responses((status = 200, body = Rates), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn replace(
    State(app): State<App>,
    Admin(actor): Admin,
    Path(id): Path<String>,
    Json(body): Json<Rates>,
) -> Result<Json<Rates>, Problem> {
    let call = app.call(actor);
    super::replace(&app, &call, seller(&id)?, body).await.map(Json)
}
