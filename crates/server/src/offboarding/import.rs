//! An archive becomes a tenant here: all of it in one transaction, or nothing.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use tenure_core::{ApiKeyId, LicenseId, SubscriptionId, SubscriptionStatus};
use tenure_license::{Environment, LicenseKey};
use tenure_tenancy::TenantTx;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    BATCH_ROWS, ExportKey, ROW_BYTES_MAX, admit,
    archive::{self, Manifest, ProductRef, Unpacked, refused},
    db,
    rows::{self, Opened, Row},
    tables::{Care, TABLES, Table},
};
use crate::{
    App,
    call::Call,
    http::Problem,
    products, subscriptions,
    subscriptions::keys::{self, IssuedKey, NewKey},
    tenants::{self, Tenant},
    trail::{self, Change, Verification},
    vault::{self, Key},
};

/// What an import made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ImportReport {
    /// The tenant, under the id it had. Its slug has a number behind it where the old one was taken.
    pub tenant: Tenant,
    /// Rows written, by table.
    pub rows: BTreeMap<String, u64>,
    /// A new key for each that worked. The old ones do not work here. Shown this once.
    pub api_keys: Vec<ImportedKey>,
    /// Active licenses: their key strings still find them, but this installation's product key has
    /// to sign them anew. Renew each.
    pub licenses_to_renew: Vec<LicenseId>,
    /// The tenant's audit chain, followed from its first entry.
    pub audit: Verification,
}

/// An API key that took another's place.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ImportedKey {
    /// The key of the former installation.
    pub replaces: ApiKeyId,
    /// Its successor.
    #[serde(flatten)]
    pub issued: IssuedKey,
}

/// Imports an archive.
pub async fn import(
    app: &App,
    call: &Call,
    key: ExportKey,
    file: std::fs::File,
) -> Result<ImportReport, Problem> {
    let _permit = admit(app)?;
    let checked = tokio::task::spawn_blocking(move || {
        archive::unpack(file, &key).map(|unpacked| (unpacked, key))
    });
    let (archive, key) = checked.await.map_err(Problem::internal)??;
    let tenant = archive.manifest.tenant;
    let done = write(app, call, key, archive).await;
    // Also when it failed: the key of a tenant that is not was perhaps remembered.
    app.forget_tenant(tenant);
    let (tenant, arrival) = done?;
    let audit = trail::verify(app, Some(tenant.id)).await?;
    Ok(ImportReport {
        tenant,
        rows: arrival.rows,
        api_keys: arrival.issued,
        licenses_to_renew: arrival.licenses,
        audit,
    })
}

/// What gathers while rows arrive.
struct Arrival<'a> {
    app: &'a App,
    call: &'a Call,
    key: ExportKey,
    ids: Ids,
    tenant_key: Option<Key>,
    rows: BTreeMap<String, u64>,
    live_keys: Vec<(Uuid, NewKey)>,
    issued: Vec<ImportedKey>,
    licenses: Vec<LicenseId>,
}

async fn write<'a>(
    app: &'a App,
    call: &'a Call,
    key: ExportKey,
    mut archive: Unpacked,
) -> Result<(Tenant, Arrival<'a>), Problem> {
    let id = archive.manifest.tenant;
    let mut tx = app.db().tenant(id).await?;
    if db::exists(&mut tx).await? {
        let detail = format!("{id} exists here, or was deleted here: its id is never given again.");
        return Err(Problem::conflict("tenant-exists", detail));
    }
    let ids = Ids::find(&mut tx, &archive.manifest).await?;
    let mut arrival = Arrival {
        app,
        call,
        key,
        ids,
        tenant_key: None,
        rows: BTreeMap::new(),
        live_keys: Vec::new(),
        issued: Vec::new(),
        licenses: Vec::new(),
    };
    db::defer_constraints(&mut tx).await?;
    for table in TABLES {
        let Some(file) = archive.take(table.name) else { continue };
        let count = arrival.table(&mut tx, table, file).await?;
        arrival.rows.insert(table.name.to_owned(), count);
    }
    db::constraints_hold(&mut tx).await?;
    arrival.check_plans(&mut tx).await?;
    arrival.issue_keys(&mut tx).await?;
    let tenant = tenants::db::read(&mut tx)
        .await?
        .ok_or_else(|| refused("It holds no row of the tenant itself."))?;
    let trail_key =
        arrival.tenant_key.take().ok_or_else(|| refused("It holds no key of the tenant."))?;
    let change = Change::created(
        "tenant.imported",
        id,
        &serde_json::json!({
            "from_installation": archive.manifest.installation,
            "exported_at": archive.manifest.exported_at,
            "tenant": tenant,
            "rows": arrival.rows,
        }),
    );
    trail::record_with(&mut tx, &trail_key, call, change).await?;
    tx.commit().await?;
    Ok((tenant, arrival))
}

/// Ids that are others here.
struct Ids {
    products: HashMap<Uuid, Uuid>,
    versions: HashMap<Uuid, Uuid>,
    meters: HashMap<i32, i32>,
}

impl Ids {
    async fn find(tx: &mut TenantTx, manifest: &Manifest) -> Result<Self, Problem> {
        let mut ids =
            Self { products: HashMap::new(), versions: HashMap::new(), meters: HashMap::new() };
        for product in &manifest.products {
            ids.add(tx, product).await?;
        }
        Ok(ids)
    }

    async fn add(&mut self, tx: &mut TenantTx, product: &ProductRef) -> Result<(), Problem> {
        let slug = &product.slug;
        let here = db::product_by_slug(tx, slug).await?.ok_or_else(|| {
            refused(format!(
                "The product `{slug}` is not sold here. Load its product file first; the other \
                 installation has it at /api/v1/admin/products/{slug}/versions/N/source."
            ))
        })?;
        self.products.insert(product.id, here);
        for version in &product.versions {
            let digest = hex::decode(&version.sha256).unwrap_or_default();
            let found = db::version_by_digest(tx, here, &digest).await?;
            let found = found.ok_or_else(|| {
                refused(format!(
                    "A subscription is on version {0} of `{slug}`, whose file (SHA-256 {1}) was never \
                     loaded here. Load that very file first: the other installation has it at \
                     /api/v1/admin/products/{slug}/versions/{0}/source. Load the newest again after it, \
                     if new customers should get that one.",
                    version.version, version.sha256
                ))
            })?;
            self.versions.insert(version.id, found);
        }
        let meters = db::meters(tx, here).await?;
        for meter in &product.meters {
            // A meter that no loaded version has: only its rows are refused, if there are any.
            if let Some(same) = meters.iter().find(|known| known.slug == meter.slug) {
                self.meters.insert(meter.id, same.id);
            }
        }
        Ok(())
    }

    fn translate(&self, table: &Table, row: &mut Row) -> Result<(), Problem> {
        let unknown = |column: &str| {
            refused(format!("A row of {} has a {column} that the manifest lacks.", table.name))
        };
        for (column, care) in table.columns {
            match care {
                Care::Product => {
                    let id = self.products.get(&row.uuid(table, column)?);
                    row.set(column, id.ok_or_else(|| unknown(column))?)?;
                }
                Care::CatalogVersion => {
                    let id = self.versions.get(&row.uuid(table, column)?);
                    row.set(column, id.ok_or_else(|| unknown(column))?)?;
                }
                Care::Meter => {
                    let id = self.meters.get(&row.integer(table, column)?);
                    row.set(column, id.ok_or_else(|| unknown(column))?)?;
                }
                Care::Sealed(_) | Care::Digest | Care::Portable => {}
            }
        }
        Ok(())
    }
}

/// The nonces of another installation follow from its master key: calls are counted anew here,
/// or every instance that moves would look like a copy of itself.
fn instance(row: &mut Row) -> Result<(), Problem> {
    row.set("seq", &0)?;
    row.set_bytes("recent", &[])
}

impl Arrival<'_> {
    async fn table(
        &mut self,
        tx: &mut TenantTx,
        table: &Table,
        file: std::fs::File,
    ) -> Result<u64, Problem> {
        let columns = db::columns(tx, table).await?;
        let mut lines = BufReader::new(tokio::fs::File::from_std(file));
        let (mut batch, mut batch_bytes, mut count) = (Vec::new(), 0, 0u64);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = (&mut lines).take(ROW_BYTES_MAX + 1).read_until(b'\n', &mut line).await;
            let read = read.map_err(Problem::internal)?;
            if read as u64 > ROW_BYTES_MAX {
                let name = table.name;
                return Err(refused(format!("A row of {name} is over {ROW_BYTES_MAX} bytes.")));
            }
            if read > 0 {
                let text = std::str::from_utf8(&line)
                    .map_err(|_| refused(format!("A row of {} is not UTF-8.", table.name)))?;
                let mut row = Row::parse(table, text.trim_end())?;
                self.row(tx, table, &mut row).await?;
                batch.push(row.text()?);
                batch_bytes += read as u64;
                count += 1;
            }
            let full = batch.len() >= BATCH_ROWS || batch_bytes > ROW_BYTES_MAX;
            if !batch.is_empty() && (read == 0 || full) {
                db::insert(tx, table, &columns, &batch).await?;
                batch.clear();
                batch_bytes = 0;
            }
            if read == 0 {
                return Ok(count);
            }
        }
    }

    /// Fits one row to this installation.
    async fn row(
        &mut self,
        tx: &mut TenantTx,
        table: &Table,
        row: &mut Row,
    ) -> Result<(), Problem> {
        let tenant = tx.tenant().uuid();
        self.ids.translate(table, row)?;
        let opened = rows::settle(self.app, &self.key, table, tenant, row)?;
        for column in table.needing(|care| care == Care::Digest) {
            // Matches nothing, until something below knows better.
            let nothing = vault::random::<32>().map_err(Problem::internal)?;
            row.set_bytes(column, &*nothing)?;
        }
        match (table.name, opened) {
            ("tenants", _) => self.tenant(row).await?,
            ("tenant_keys", Some(Opened::TenantKey(key))) => self.tenant_key = Some(key),
            ("api_keys", _) => self.api_key(table, row)?,
            ("instances", _) => instance(row)?,
            ("licenses", Some(Opened::LicenseKey(text))) => self.license(table, row, &text)?,
            _ => {}
        }
        Ok(())
    }

    async fn tenant(&self, row: &mut Row) -> Result<(), Problem> {
        if row.get("status").as_deref() == Some("deleted") {
            return Err(refused("The tenant was deleted."));
        }
        let slug = row.get("slug").ok_or_else(|| refused("The tenant has no slug."))?;
        let free = tenants::free_slug(self.app, &slug).await?;
        row.set("slug", &free)
    }

    /// The old key becomes history; one that worked gets a successor.
    fn api_key(&mut self, table: &Table, row: &mut Row) -> Result<(), Problem> {
        let ended = row
            .get("expires_at")
            .and_then(|at| at.parse::<jiff::Timestamp>().ok())
            .is_some_and(|at| at <= self.call.now);
        let past = row.get("revoked_at").is_some() || row.get("replaced_by").is_some() || ended;
        if !past {
            let new = NewKey {
                subscription: SubscriptionId::from_uuid(row.uuid(table, "subscription_id")?),
                environment: row.get("environment").map(|word| match word.as_str() {
                    "test" => Environment::Test,
                    _ => Environment::Live,
                }),
                name: row.get("name"),
                expires_at: row.get("expires_at").and_then(|at| at.parse().ok()),
            };
            self.live_keys.push((row.uuid(table, "id")?, new));
        }
        if row.get("revoked_at").is_none() {
            row.set("revoked_at", &self.call.now)?;
        }
        Ok(())
    }

    /// The customer's key string still finds its license.
    fn license(&mut self, table: &Table, row: &mut Row, text: &[u8]) -> Result<(), Problem> {
        let key = std::str::from_utf8(text).ok().and_then(|text| LicenseKey::parse(text).ok());
        if let Some(key) = key {
            let digest = key.lookup_digest(self.app.vault().pepper());
            row.set_bytes("key_digest", digest.as_bytes())?;
        }
        if row.get("status").as_deref() == Some("active") {
            self.licenses.push(LicenseId::from_uuid(row.uuid(table, "id")?));
        }
        Ok(())
    }

    /// Every subscription's plan is one of its version.
    async fn check_plans(&self, tx: &mut TenantTx) -> Result<(), Problem> {
        for subscription in subscriptions::db::list(tx).await? {
            let catalog = products::catalog_of(self.app, &subscription).await?;
            if catalog.product.plan(&subscription.plan).is_none() {
                let (plan, product) = (&subscription.plan, &subscription.product);
                return Err(refused(format!(
                    "`{plan}` is no plan of that version of `{product}`."
                )));
            }
        }
        Ok(())
    }

    async fn issue_keys(&mut self, tx: &mut TenantTx) -> Result<(), Problem> {
        for (old, new) in std::mem::take(&mut self.live_keys) {
            let of = subscriptions::db::find(tx, new.subscription).await?;
            let of = of.ok_or_else(|| refused("An API key has no subscription."))?;
            if of.status == SubscriptionStatus::Cancelled {
                continue;
            }
            let catalog = products::catalog(self.app, of.catalog_version_id).await?;
            let prefix = &catalog.product.api_key_prefix;
            let issued = keys::insert(self.app, tx, self.call, prefix, new).await?;
            db::replace_key(tx, old, issued.key.id).await?;
            self.issued.push(ImportedKey { replaces: ApiKeyId::from_uuid(old), issued });
        }
        Ok(())
    }
}
