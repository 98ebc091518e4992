//! `/api/v1/admin/products` and `/api/v1/admin/sellers`.

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use tenure_core::SellerId;
use utoipa::ToSchema;

use super::{
    Loaded, ProductSummary, VersionSummary,
    sellers::{Seller, SellerInput},
};
use crate::{
    App,
    http::{Json, PathId, Problem},
    idempotency::Keyed,
    identity::{Admin, Staff},
};

/// Every product.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Products {
    /// By name.
    pub items: Vec<ProductSummary>,
}

/// Every version of a product.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Versions {
    /// Newest first.
    pub items: Vec<VersionSummary>,
}

/// A product with what its newest version says.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ProductDetail {
    /// The newest version.
    #[schema(example = 3)]
    pub version: i32,
    /// The file's content, resolved: plans, charges, meters, limits, features, resources.
    #[schema(value_type = Object)]
    pub definition: serde_json::Value,
}

/// List products
#[utoipa::path(get, path = "/api/v1/admin/products", tag = "Products", operation_id = "listProducts",
    responses((status = 200, body = Products)))]
pub async fn list(State(app): State<App>, _staff: Staff) -> Result<Json<Products>, Problem> {
    Ok(Json(Products { items: super::list(&app).await? }))
}

/// Load a product file
///
/// The body is the file (TOML). A changed file makes a new version; an unchanged
/// one changes nothing. Mistakes are listed all at once, with line and column.
#[utoipa::path(post, path = "/api/v1/admin/products", tag = "Products", operation_id = "loadProduct",
    request_body(content = String, content_type = "application/toml"),
    responses((status = 201, body = Loaded, description = "A new version"),
              (status = 200, body = Loaded, description = "The newest version says the same"),
              (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn load(
    State(app): State<App>,
    Admin(actor): Admin,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let source = read_source(&headers, body).await?;
    let call = app.call(actor);
    let loaded = super::load(&app, &call, &source, "product.toml").await?;
    let status = if loaded.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(loaded)).into_response())
}

/// The text of a product file in a body.
pub(crate) async fn read_source(headers: &HeaderMap, body: Body) -> Result<String, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = kind.map(|kind| kind.split(';').next().unwrap_or("").trim());
    if !matches!(essence, Some("application/toml" | "text/plain" | "text/x-toml")) {
        return Err(Problem::unsupported_media_type(
            "Send the product file with the header `Content-Type: application/toml`.",
        ));
    }
    let bytes = crate::http::read_body(body, super::FILE_BYTES_MAX).await?;
    String::from_utf8(bytes.to_vec())
        .map_err(|_| Problem::bad_request("A product file is UTF-8 text."))
}

/// Show a product
#[utoipa::path(get, path = "/api/v1/admin/products/{product}", tag = "Products", operation_id = "showProduct",
    params(("product" = String, Path, example = "kg-rca")),
    responses((status = 200, body = ProductDetail), (status = 404, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    _staff: Staff,
    Path(product): Path<String>,
) -> Result<Json<ProductDetail>, Problem> {
    let catalog = super::latest(&app, &product).await?;
    let definition = serde_json::to_value(&catalog.product).map_err(Problem::internal)?;
    Ok(Json(ProductDetail { version: catalog.version, definition }))
}

/// List a product's versions
#[utoipa::path(get, path = "/api/v1/admin/products/{product}/versions", tag = "Products",
    operation_id = "listVersions", params(("product" = String, Path, example = "kg-rca")),
    responses((status = 200, body = Versions), (status = 404, body = Problem)))]
pub async fn versions(
    State(app): State<App>,
    _staff: Staff,
    Path(product): Path<String>,
) -> Result<Json<Versions>, Problem> {
    Ok(Json(Versions { items: super::versions(&app, &product).await? }))
}

/// The file of one version, as it was loaded
#[utoipa::path(get, path = "/api/v1/admin/products/{product}/versions/{version}", tag = "Products",
    operation_id = "readVersion",
    params(("product" = String, Path, example = "kg-rca"), ("version" = i32, Path, example = 1)),
    responses((status = 200, body = String, content_type = "application/toml"), (status = 404, body = Problem)))]
pub async fn source(
    State(app): State<App>,
    _staff: Staff,
    path: Result<Path<(String, i32)>, axum::extract::rejection::PathRejection>,
) -> Result<Response, Problem> {
    let Path((product, version)) = path.map_err(|_| Problem::not_found("version"))?;
    let source = super::source(&app, &product, version).await?;
    Ok(([(header::CONTENT_TYPE, "application/toml")], source).into_response())
}

/// Every seller.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Sellers {
    /// Oldest first.
    pub items: Vec<Seller>,
}

/// List sellers
#[utoipa::path(get, path = "/api/v1/admin/sellers", tag = "Products", operation_id = "listSellers",
    responses((status = 200, body = Sellers)))]
pub async fn sellers(State(app): State<App>, _staff: Staff) -> Result<Json<Sellers>, Problem> {
    Ok(Json(Sellers { items: super::sellers::list(&app).await? }))
}

/// Make a seller
#[utoipa::path(post, path = "/api/v1/admin/sellers", tag = "Products", operation_id = "createSeller",
    request_body = SellerInput,
    responses((status = 201, body = Seller), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn create_seller(
    State(app): State<App>,
    Admin(actor): Admin,
    request: Keyed<SellerInput>,
) -> Result<Response, Problem> {
    let server = app.clone();
    request
        .answer(&app, actor, StatusCode::CREATED, async move |call, body| {
            super::sellers::create(&server, &call, body).await
        })
        .await
}

/// Change a seller
#[utoipa::path(put, path = "/api/v1/admin/sellers/{seller}", tag = "Products", operation_id = "updateSeller",
    params(("seller" = SellerId, Path)), request_body = SellerInput,
    responses((status = 200, body = Seller), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn update_seller(
    State(app): State<App>,
    Admin(actor): Admin,
    PathId(id): PathId<SellerId>,
    Json(body): Json<SellerInput>,
) -> Result<Json<Seller>, Problem> {
    let call = app.call(actor);
    super::sellers::update(&app, &call, id, body).await.map(Json)
}
