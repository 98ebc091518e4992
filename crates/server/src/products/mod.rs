//! Products and their immutable catalog versions; sellers; signing keys.
//!
//! Owns: loading a product file as a new version, and handing catalogs out.
//! Refuses: a file with mistakes, and a version that would redefine a meter.

pub mod api;
pub(crate) mod db;
pub mod model;
pub mod sellers;
pub mod signing;

use std::{path::Path, sync::Arc};

use axum::http::StatusCode;
use tenure_catalog::{Product, ProductFile, changes};
use tenure_core::{CatalogVersionId, ProductId};
use tenure_license::Digest;
use tenure_tenancy::VendorTx;

pub use model::{Catalog, Loaded, ProductSummary, VersionSummary};

use crate::{
    App,
    call::Call,
    http::{FieldError, Problem},
    idempotency,
    subscriptions::Subscription,
    trail::{self, Change},
};

/// Products at most.
pub const PRODUCTS_MAX: i64 = 500;
/// Largest product file, in bytes; the body limit of its operation.
pub const FILE_BYTES_MAX: usize = 512 * 1024;

/// Loads a product file: a new product, a new version, or (unchanged) nothing.
pub async fn load(
    app: &App,
    call: &Call,
    source: &str,
    file_name: &str,
) -> Result<Loaded, Problem> {
    let parsed = ProductFile::check(source, file_name).map_err(mistakes)?;
    let product = parsed.product;
    let mut tx = app.db().vendor().await?;
    db::lock_loading(&mut tx).await?;
    let loaded = match db::latest_by_slug(&mut tx, &product.id).await? {
        Some(latest) => load_version(app, &mut tx, call, source, product, &latest).await?,
        None => load_product(app, &mut tx, call, source, product).await?,
    };
    let warnings = parsed.warnings.iter().map(ToString::to_string).collect();
    let loaded = Loaded { warnings, ..loaded };
    let status = if loaded.created { StatusCode::CREATED } else { StatusCode::OK };
    idempotency::remember(app, &mut tx, call, status, &loaded).await?;
    tx.commit().await?;
    app.forget_everything();
    Ok(loaded)
}

/// A product file that is not loaded; 422 with every mistake.
pub(crate) fn parse(source: &str, file_name: &str) -> Result<Product, Problem> {
    ProductFile::parse(source, file_name).map_err(mistakes)
}

fn mistakes(diagnostics: Vec<tenure_catalog::Diagnostic>) -> Problem {
    let errors = diagnostics
        .iter()
        .map(|diagnostic| FieldError { detail: diagnostic.to_string(), pointer: String::new() })
        .collect();
    Problem::invalid(errors)
}

async fn load_product(
    app: &App,
    tx: &mut VendorTx,
    call: &Call,
    source: &str,
    product: Product,
) -> Result<Loaded, Problem> {
    if db::count(tx).await? >= PRODUCTS_MAX {
        let detail = format!("There are {PRODUCTS_MAX} products already.");
        return Err(Problem::conflict("too-many-products", detail));
    }
    let seller = sellers::default(app, tx, call).await?;
    let id = ProductId::new(call.now);
    db::insert_product(tx, id, &product, seller, call.now).await?;
    if product.license_key_prefix.is_some() {
        signing::create(app, tx, call, (id, &product.id)).await?;
    }
    insert_version(app, tx, call, id, 1, source, product, Vec::new()).await
}

async fn load_version(
    app: &App,
    tx: &mut VendorTx,
    call: &Call,
    source: &str,
    product: Product,
    latest: &db::VersionRow,
) -> Result<Loaded, Problem> {
    let old = latest.product()?;
    if old == product {
        return Ok(Loaded {
            product: product.id,
            version: latest.version,
            created: false,
            changes: Vec::new(),
            warnings: Vec::new(),
        });
    }
    let differences = changes(&old, &product).map_err(|refusals| {
        let lines: Vec<String> = refusals.iter().map(ToString::to_string).collect();
        Problem::conflict("meter-redefined", lines.join("\n"))
    })?;
    refuse_revived_meters(tx, latest.product_id, &product).await?;
    if product.license_key_prefix.is_some() && old.license_key_prefix.is_none() {
        signing::create(app, tx, call, (latest.product_id, &product.id)).await?;
    }
    db::update_product(tx, latest.product_id, &product).await?;
    let told = differences.iter().map(|change| format!("{}: {}", change.subject, change.text));
    let (id, next) = (latest.product_id, latest.version + 1);
    insert_version(app, tx, call, id, next, source, product, told.collect()).await
}

/// A meter that an earlier version dropped comes back as it was, or not at all.
async fn refuse_revived_meters(
    tx: &mut VendorTx,
    id: ProductId,
    product: &Product,
) -> Result<(), Problem> {
    for known in db::meters(tx, id).await? {
        let Some(meter) = product.meter(&known.slug) else { continue };
        let before: tenure_catalog::Meter =
            serde_json::from_value(known.definition).map_err(Problem::internal)?;
        if !before.counts_as(meter) {
            return Err(Problem::conflict(
                "meter-redefined",
                format!(
                    "The meter `{0}` was defined otherwise in an earlier version, and invoices cite \
                     it. Give the new way of counting a new id, such as `{0}_v2`.",
                    known.slug
                ),
            ));
        }
    }
    Ok(())
}

#[allow(clippy::too_many_arguments, reason = "one row's columns")]
async fn insert_version(
    app: &App,
    tx: &mut VendorTx,
    call: &Call,
    id: ProductId,
    version: i32,
    source: &str,
    product: Product,
    changes: Vec<String>,
) -> Result<Loaded, Problem> {
    let definition = serde_json::to_value(&product).map_err(Problem::internal)?;
    let digest = Digest::sha256(source.as_bytes());
    let row = db::NewVersion {
        id: CatalogVersionId::new(call.now),
        product_id: id,
        version,
        source,
        definition: &definition,
        digest: digest.as_bytes(),
        created_by: &call.actor.to_string(),
    };
    db::insert_version(tx, row, call.now).await?;
    for meter in &product.meters {
        let definition = serde_json::to_value(meter).map_err(Problem::internal)?;
        db::insert_meter_if_new(tx, id, &meter.id, &definition).await?;
    }
    let loaded =
        Loaded { product: product.id, version, created: true, changes, warnings: Vec::new() };
    let change = Change::created("product.version_loaded", id, &loaded);
    trail::record(app, tx, call, change).await?;
    Ok(loaded)
}

/// Loads every `*/product.toml` under `dir`, in the order of their names.
pub async fn load_dir(app: &App, dir: &Path) -> Result<Vec<Loaded>, Problem> {
    let read = |error: std::io::Error| {
        Problem::bad_request(format!("The products directory {}: {error}.", dir.display()))
    };
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .map_err(read)?
        .filter_map(|entry| Some(entry.ok()?.path().join("product.toml")))
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    let mut loaded = Vec::new();
    for path in files.into_iter().take(usize::try_from(PRODUCTS_MAX).unwrap_or(usize::MAX)) {
        let source = std::fs::read_to_string(&path).map_err(read)?;
        let call = Call::system(app.now());
        loaded.push(load(app, &call, &source, &path.display().to_string()).await?);
    }
    Ok(loaded)
}

/// Every product, by name.
pub async fn list(app: &App) -> Result<Vec<ProductSummary>, Problem> {
    let mut tx = app.db().vendor().await?;
    let all = db::list(&mut tx, PRODUCTS_MAX).await?;
    tx.commit().await?;
    Ok(all)
}

/// The newest version of a product, by slug or id.
pub async fn latest(app: &App, slug_or_id: &str) -> Result<Arc<Catalog>, Problem> {
    if let Some(catalog) = app.newest_catalogs().get(&slug_or_id.to_owned()) {
        return Ok(catalog);
    }
    let ticket = app.newest_catalogs().ticket();
    let mut tx = app.db().vendor().await?;
    let row = match slug_or_id.parse::<ProductId>() {
        Ok(id) => db::latest_by_id(&mut tx, id).await?,
        Err(_) => db::latest_by_slug(&mut tx, slug_or_id).await?,
    };
    let row = row.ok_or_else(|| Problem::not_found("product"))?;
    let meters = db::meters(&mut tx, row.product_id).await?;
    tx.commit().await?;
    let catalog = Arc::new(row.catalog(meters)?);
    app.catalogs().insert(catalog.version_id, catalog.clone());
    app.newest_catalogs().put(ticket, slug_or_id.to_owned(), catalog.clone());
    Ok(catalog)
}

/// One version, which never changes.
pub async fn catalog(app: &App, id: CatalogVersionId) -> Result<Arc<Catalog>, Problem> {
    if let Some(catalog) = app.catalogs().get(&id) {
        return Ok(catalog);
    }
    let mut tx = app.db().vendor().await?;
    let row = db::version(&mut tx, id).await?.ok_or_else(|| Problem::not_found("version"))?;
    let meters = db::meters(&mut tx, row.product_id).await?;
    tx.commit().await?;
    let catalog = Arc::new(row.catalog(meters)?);
    app.catalogs().insert(id, catalog.clone());
    Ok(catalog)
}

/// The version that a subscription is on, in the currency that it is billed in.
pub async fn catalog_of(app: &App, of: &Subscription) -> Result<Arc<Catalog>, Problem> {
    catalog(app, of.catalog_version_id).await?.in_currency(of.currency)
}

/// The product that a request means: the one it names, or the only one there is.
pub async fn choose(app: &App, named: Option<&str>) -> Result<Arc<Catalog>, Problem> {
    if let Some(slug) = named {
        return latest(app, slug).await.map_err(|problem| match problem.status {
            404 => Problem::field("/product", format!("There is no product `{slug}`.")),
            _ => problem,
        });
    }
    let all = list(app).await?;
    match all.as_slice() {
        [only] => latest(app, &only.slug).await,
        [] => Err(Problem::conflict(
            "no-product",
            "No product is loaded. Load one first: tenure product load FILE.",
        )),
        many => {
            let slugs: Vec<&str> = many.iter().map(|product| product.slug.as_str()).collect();
            let detail = format!("Say which product: {}.", slugs.join(", "));
            Err(Problem::field("/product", detail))
        }
    }
}

/// Every version of a product, newest first.
pub async fn versions(app: &App, slug: &str) -> Result<Vec<VersionSummary>, Problem> {
    let mut tx = app.db().vendor().await?;
    let row =
        db::latest_by_slug(&mut tx, slug).await?.ok_or_else(|| Problem::not_found("product"))?;
    let all = db::versions(&mut tx, row.product_id, PRODUCTS_MAX).await?;
    tx.commit().await?;
    Ok(all)
}

/// The source text of one version, as it was loaded.
pub async fn source(app: &App, slug: &str, version: i32) -> Result<String, Problem> {
    let mut tx = app.db().vendor().await?;
    let source = db::source(&mut tx, slug, version).await?;
    tx.commit().await?;
    source.ok_or_else(|| Problem::not_found("version"))
}
