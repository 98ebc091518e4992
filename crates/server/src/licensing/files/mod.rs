//! Files carried by hand: what an installation without a network asks for, gives
//! back and reports, and what it gets.
//!
//! One operation takes whatever was carried ([`exchange`]): a request becomes a
//! `.lic` bound to the instance that asked, a return frees its slot, a usage
//! report becomes a receipt. Each is answered again with the same file when it
//! is carried twice.
//!
//! Owns: bound license files. Refuses: files of licenses outside the scope of who
//! asks; requests when every slot is held.

pub mod api;
mod db;

use std::io::Read;

use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenure_catalog::Model;
use tenure_core::{InstanceId, LicenseId, ProductId, ReportId, TenantId};
use tenure_license::{
    LicenseClaims, LicenseKey,
    activation::slots::{self, Decision},
    claims::Binding,
    file::{self, FileKind},
    instance::{self, Request, RequestKind, Return},
};
use tenure_tenancy::TenantTx;
use utoipa::ToSchema;

use super::{
    License, LicenseFile, instances,
    issuing::{sign_aside, whole_second},
    reports::{self, Origin, TEXT_BYTES_MAX},
    require_active,
};
use crate::{
    App,
    call::Call,
    http::Problem,
    products::{self, signing},
    subscriptions, tenants,
    trail::{self, Change},
};

/// Largest carried file, in bytes; a report is compressed.
pub const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// First bytes of a zstd frame (RFC 8878, section 3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Whose files are taken.
#[derive(Debug, Clone, Copy)]
pub enum Scope {
    /// The vendor's staff: anybody's.
    Vendor,
    /// Who holds a license: that license's.
    License(TenantId, LicenseId),
}

impl Scope {
    fn only(self) -> Option<(TenantId, LicenseId)> {
        match self {
            Self::Vendor => None,
            Self::License(tenant, license) => Some((tenant, license)),
        }
    }
}

/// The answer to a carried file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Exchanged {
    /// `request`, `return` or `report`.
    #[schema(example = "request")]
    pub kind: String,
    /// Whose license it is about.
    pub tenant_id: TenantId,
    /// The license.
    pub license_id: LicenseId,
    /// The instance.
    pub instance_id: InstanceId,
    /// What happened, for people.
    #[schema(example = "Revision 2 of the license, for prod-eu-1, until 2027-03-01.")]
    pub summary: String,
    /// What people should know.
    pub warnings: Vec<String>,
    /// The report that was imported; absent for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_id: Option<ReportId>,
    /// What to call the file that answers it; absent for a return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "incidentfox-acme-r2.lic")]
    pub file_name: Option<String>,
    /// The file that answers it: carry it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

fn refused(detail: impl Into<String>) -> Problem {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    Problem::new(status, "file-refused", "The file cannot be taken", detail)
}

/// Answers a request file, a return file or a usage report.
pub async fn exchange(
    app: &App,
    call: &Call,
    bytes: &[u8],
    scope: Scope,
) -> Result<Exchanged, Problem> {
    let text = read_text(bytes)?;
    match FileKind::of(&text) {
        Some(FileKind::Request) => {
            let token = file::read_kind(FileKind::Request, &text);
            let token = token.map_err(|error| refused(format!("{error}.")))?;
            let request = instance::verify::<Request>(&token);
            let request = request.map_err(|error| refused(format!("{error}.")))?;
            answer(app, call, request.claims(), scope).await
        }
        Some(FileKind::Return) => {
            let token = file::read_kind(FileKind::Return, &text);
            let token = token.map_err(|error| refused(format!("{error}.")))?;
            let given = instance::verify::<Return>(&token);
            let given = given.map_err(|error| refused(format!("{error}.")))?;
            take_back(app, call, given.claims(), scope).await
        }
        Some(other) => Err(refused(format!(
            "This is a {}: it goes to the installation, not to the vendor.",
            other.name()
        ))),
        None => report(app, call, &text, scope).await,
    }
}

/// The text of a file, unpacked when it is compressed.
fn read_text(bytes: &[u8]) -> Result<String, Problem> {
    let unreadable = |_| refused("The file is damaged: it cannot be unpacked, or is not text.");
    if !bytes.starts_with(&ZSTD_MAGIC) {
        return String::from_utf8(bytes.to_vec()).map_err(|_| {
            refused("This is no file of Tenure: expected a request, a return or a usage report.")
        });
    }
    let unpacked = zstd::stream::read::Decoder::new(bytes).map_err(unreadable)?;
    let mut text = String::new();
    let limit = TEXT_BYTES_MAX as u64;
    unpacked.take(limit + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() > TEXT_BYTES_MAX {
        let detail = format!(
            "Unpacked, the report is larger than {TEXT_BYTES_MAX} bytes; export it in parts."
        );
        return Err(Problem::too_large(detail));
    }
    Ok(text)
}

async fn report(app: &App, call: &Call, text: &str, scope: Scope) -> Result<Exchanged, Problem> {
    let imported = reports::import(app, call, text, Origin::File, scope.only()).await?;
    let mut tx = app.db().auth().await?;
    let tenant = reports::db::identify(&mut tx, imported.instance_id).await?;
    tx.commit().await?;
    let (tenant, ..) = tenant.ok_or_else(|| Problem::not_found("instance"))?;
    let rejected = imported.rejected;
    let warnings = (rejected > 0)
        .then(|| format!("{rejected} events cannot be counted; the list of reports says why."));
    Ok(Exchanged {
        kind: "report".into(),
        tenant_id: tenant,
        license_id: imported.license_id,
        instance_id: imported.instance_id,
        report_id: Some(imported.id),
        summary: format!(
            "Usage up to ledger entry {}: {} events counted, {} counted before.",
            imported.through_seq, imported.accepted, imported.duplicates
        ),
        warnings: warnings.into_iter().collect(),
        file_name: Some(format!("receipt-{}.txt", imported.through_seq)),
        file: Some(file::write_kind(FileKind::Receipt, &imported.receipt)),
    })
}

/// Which license a request is for.
async fn find(
    app: &App,
    request: &Request,
    scope: Scope,
) -> Result<(TenantId, LicenseId), Problem> {
    let missing = || Problem::not_found("license for this request");
    let mut tx = app.db().auth().await?;
    let found = match (&request.license_key, request.license) {
        (Some(key), _) => {
            let key = LicenseKey::parse(key).map_err(|error| refused(format!("{error}.")))?;
            let digest = key.lookup_digest(app.vault().pepper());
            db::license_by_key(&mut tx, digest.as_bytes()).await?
        }
        // Without the key, only staff or its holder may say that the request is theirs.
        (None, Some(license)) => db::license_by_id(&mut tx, license).await?,
        (None, None) => scope.only(),
    };
    tx.commit().await?;
    let found = found.ok_or_else(missing)?;
    let consistent = request.license.is_none_or(|license| license == found.1);
    let mine = scope.only().is_none_or(|only| only == found);
    if consistent && mine { Ok(found) } else { Err(missing()) }
}

/// Issues a `.lic` that is bound to the instance that asked.
async fn answer(
    app: &App,
    call: &Call,
    request: &Request,
    scope: Scope,
) -> Result<Exchanged, Problem> {
    check(request)?;
    let (tenant, id) = find(app, request, scope).await?;
    let mut tx = app.db().tenant(tenant).await?;
    let license = super::lock(&mut tx, id).await?;
    require_active(&license)?;
    let known = db::by_key(&mut tx, id, request.key.as_bytes()).await?;
    if known.as_ref().is_some_and(|known| known.quarantined) {
        let detail = "The instance is quarantined because a copy of it was found. Make a new request with \
                      `tenure-agent request export --new-key`.";
        return Err(Problem::conflict("instance-quarantined", detail));
    }
    if request.kind == RequestKind::Renewal && known.is_none() {
        return Err(Problem::not_found("instance with this key; ask for an activation instead"));
    }
    let instance = known.as_ref().map_or_else(|| InstanceId::new(call.now), |known| known.id);
    let claims = newest_claims(&mut tx, &license).await?;
    if let Some(token) = db::answered(&mut tx, instance, &request.jti).await? {
        return told(&mut tx, &license, &claims, request, instance, known.as_ref(), token).await;
    }
    take_slot(app, &mut tx, &license, &claims, instance, call.now).await?;
    let product = product_of(app, &mut tx, &license).await?;
    let bound = LicenseClaims {
        iat: whole_second(call.now)?.max(claims.iat),
        jti: format!("{}.{}.{instance}", claims.license, claims.revision),
        binding: Some(Binding { instance, key: request.key.thumbprint() }),
        receipt: reports::db::newest(&mut tx, id).await?.map(|id| id.to_string()),
        ..claims.clone()
    };
    let signer = signing::signer_for(app, &mut tx, product).await?;
    let until = bound.exp;
    let token = sign_aside(bound, signer).await?;
    db::hold(&mut tx, &license, request, db::Hold { instance, token: &token, until }, call.now)
        .await?;
    db::remember(&mut tx, &license, request, instance, &token, call.now).await?;
    let shown = serde_json::json!({
        "license": id, "revision": license.revision, "name": request.name, "until": until,
    });
    let change = Change::created("instance.file_issued", instance, &shown);
    trail::record(app, &mut tx, call, change).await?;
    let told = told(&mut tx, &license, &claims, request, instance, known.as_ref(), token).await?;
    tx.commit().await?;
    app.forget_tenant(tenant);
    Ok(told)
}

fn check(request: &Request) -> Result<(), Problem> {
    let bounded = [
        ("jti", request.jti.len(), 100),
        ("name", request.name.chars().count(), 200),
        ("k8s_cluster_uid", request.k8s_cluster_uid.as_ref().map_or(0, String::len), 100),
        ("agent_version", request.agent_version.len(), 100),
    ];
    match bounded.into_iter().find(|(_, length, max)| length > max) {
        Some((field, _, max)) => {
            Err(refused(format!("`{field}` is longer than {max} characters.")))
        }
        None if request.jti.is_empty() => Err(refused("The request has no name (`jti`).")),
        None => Ok(()),
    }
}

async fn newest_claims(tx: &mut TenantTx, license: &License) -> Result<LicenseClaims, Problem> {
    let row = super::db::token(tx, license.id, license.revision).await?;
    let (claims, _) = row.ok_or_else(super::missing)?;
    serde_json::from_value(claims).map_err(Problem::internal)
}

async fn product_of(app: &App, tx: &mut TenantTx, license: &License) -> Result<ProductId, Problem> {
    let missing = || Problem::not_found("subscription");
    let subscription = subscriptions::db::find(tx, license.subscription_id).await?;
    let version = subscription.ok_or_else(missing)?.catalog_version_id;
    Ok(products::catalog(app, version).await?.product_id)
}

async fn take_slot(
    app: &App,
    tx: &mut TenantTx,
    license: &License,
    claims: &LicenseClaims,
    instance: InstanceId,
    now: Timestamp,
) -> Result<(), Problem> {
    let subscription = subscriptions::db::find(tx, license.subscription_id).await?;
    let Some(subscription) = subscription else { return Err(Problem::not_found("subscription")) };
    let catalog = products::catalog(app, subscription.catalog_version_id).await?;
    let policy = instances::policy(claims, catalog.product.license.overage_percent);
    let others = db::holds(tx, license.id, instance, now).await?;
    match slots::decide(policy, &others, now) {
        Decision::Granted | Decision::Overage => Ok(()),
        Decision::Full { held, free_at } => Err(Problem::conflict(
            "no-free-slot",
            format!(
                "All {} instances of this license are in use ({held} held). The first is free again at \
                 {free_at}, or when it is given back: tenure-agent return export.",
                policy.max.unwrap_or_default()
            ),
        )),
        Decision::Handovers { free_at } => Err(Problem::conflict(
            "no-free-slot",
            format!(
                "As many licenses as there are instances were given back before their end already; the next \
                 one is free at {free_at}."
            ),
        )),
    }
}

async fn told(
    tx: &mut TenantTx,
    license: &License,
    claims: &LicenseClaims,
    request: &Request,
    instance: InstanceId,
    known: Option<&db::Known>,
    token: String,
) -> Result<Exchanged, Problem> {
    let tenant = tenants::db::read(tx).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let mut warnings = Vec::new();
    let reported = known.map_or(0, |known| known.ledger_seq);
    let kept = request.ledger.map_or(0, |head| head.seq);
    if kept > reported {
        warnings.push(format!(
            "Ledger entries {} to {kept} have not been reported yet. The license is renewed all the same; ask \
             for `tenure-agent report export`.",
            reported + 1
        ));
    }
    if license.model != Model::AirGapped {
        warnings.push(format!(
            "The license is for the model {}; a file works there too, and holds its slot until it expires.",
            license.model
        ));
    }
    let name = if request.name.is_empty() { instance.to_string() } else { request.name.clone() };
    let end = claims.exp.to_zoned(jiff::tz::TimeZone::UTC).date();
    Ok(Exchanged {
        kind: "request".into(),
        tenant_id: tenant.id,
        license_id: license.id,
        instance_id: instance,
        report_id: None,
        summary: format!(
            "Revision {} of the license, for {name} alone, until {end}.",
            license.revision
        ),
        warnings,
        file_name: Some(format!("{}-{}-r{}.lic", claims.product, tenant.slug, license.revision)),
        file: Some(file::write(&token)),
    })
}

/// Frees the slot of an instance that says, signed, that it has stopped.
async fn take_back(
    app: &App,
    call: &Call,
    given: &Return,
    scope: Scope,
) -> Result<Exchanged, Problem> {
    let missing = || Problem::not_found("instance with the key of this return");
    let mut tx = app.db().auth().await?;
    let known = reports::db::identify(&mut tx, given.instance).await?;
    tx.commit().await?;
    let (tenant, license, key) = known.ok_or_else(missing)?;
    let mine = scope.only().is_none_or(|only| only == (tenant, license));
    if !mine || key.as_deref() != Some(given.key.as_bytes()) || license != given.license {
        return Err(missing());
    }
    let mut tx = app.db().tenant(tenant).await?;
    let license = super::lock(&mut tx, license).await?;
    let known = db::by_key(&mut tx, license.id, given.key.as_bytes()).await?.ok_or_else(missing)?;
    if db::release(&mut tx, given.instance, call.now).await? {
        let shown = serde_json::json!({ "license": license.id, "by": "return file" });
        let change = Change::created("instance.released", given.instance, &shown);
        trail::record(app, &mut tx, call, change).await?;
    }
    tx.commit().await?;
    app.forget_tenant(tenant);
    let kept = given.ledger.map_or(0, |head| head.seq);
    let unreported = (kept > known.ledger_seq).then(|| {
        format!(
            "Ledger entries {} to {kept} have not been reported; the last report is still owed.",
            known.ledger_seq + 1
        )
    });
    Ok(Exchanged {
        kind: "return".into(),
        tenant_id: tenant,
        license_id: license.id,
        instance_id: given.instance,
        report_id: None,
        summary: "The instance has given its license back; its slot is free.".into(),
        warnings: unreported.into_iter().collect(),
        file_name: None,
        file: None,
    })
}

/// The newest `.lic` that was made for an instance, to be carried once more. It is of no use
/// without the instance's own key.
pub async fn bound_file(
    app: &App,
    tenant: TenantId,
    license: LicenseId,
    instance: InstanceId,
) -> Result<LicenseFile, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let known = super::db::find(&mut tx, license).await?.ok_or_else(super::missing)?;
    let claims = newest_claims(&mut tx, &known).await?;
    let of = tenants::db::read(&mut tx).await?.ok_or_else(super::missing)?;
    let token = db::newest_answer(&mut tx, license, instance).await?;
    tx.commit().await?;
    let token = token.ok_or_else(|| Problem::not_found("file: none was made for this instance"))?;
    let revision = revision(&token).unwrap_or(claims.revision);
    let name = format!("{}-{}-r{revision}.lic", claims.product, of.slug);
    Ok(LicenseFile { name, text: file::write(&token) })
}

/// The revision that a token of ours says it is.
fn revision(token: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Said {
        revision: u64,
    }
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Said>(&payload).ok().map(|said| said.revision)
}
