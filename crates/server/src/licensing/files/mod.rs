//! Files carried by hand: what an installation without a network asks for, gives
//! back and reports, and what it gets.
//!
//! One operation takes whatever was carried ([`exchange`]): a request becomes a
//! `.lic` bound to the instance that asked, a return frees its slot, a usage
//! report becomes a receipt. Each is answered again with the same file when it
//! is carried twice.
//!
//! Owns: bound license files. Slots are decided as the license service decides
//! them, under the same lock ([`super::service::slots`]). Refuses: files of
//! licenses outside the scope of who asks; requests when every slot is held.

pub mod api;
mod db;
mod given_back;
mod request;

use std::{borrow::Cow, io::Read};

use axum::{body::Bytes, http::StatusCode};
use serde::{Deserialize, Serialize};
use tenure_core::{InstanceId, LicenseId, ReportId, TenantId};
use tenure_license::{
    LicenseClaims,
    file::{self, FileKind},
    instance::{self, Request, Return},
    token,
};
use utoipa::ToSchema;

use super::{
    LicenseFile,
    reports::{self, Presented, TEXT_BYTES_MAX, Via},
};
use crate::{App, call::Call, http::Problem, tenants};

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

/// What was carried, its signature checked.
enum Carried {
    Request(Request),
    Return(Return),
    Report(Presented),
}

/// Answers a request file, a return file or a usage report.
pub async fn exchange(
    app: &App,
    call: &Call,
    bytes: Bytes,
    scope: Scope,
) -> Result<Exchanged, Problem> {
    // Kept until it is answered: what was unpacked is in memory for so long.
    let _room = reports::room(app, bytes.len(), bytes.starts_with(&ZSTD_MAGIC))?;
    match tokio::task::spawn_blocking(move || read(&bytes)).await.map_err(Problem::internal)?? {
        Carried::Request(asked) => request::answer(app, call, &asked, scope).await,
        Carried::Return(given) => given_back::take(app, call, &given, scope).await,
        Carried::Report(presented) => report(app, call, &presented, scope).await,
    }
}

/// Reads whatever was carried; a long report takes seconds.
fn read(bytes: &[u8]) -> Result<Carried, Problem> {
    let text = read_text(bytes)?;
    let said = |error: &dyn std::fmt::Display| refused(format!("{error}."));
    match FileKind::of(&text) {
        Some(kind @ FileKind::Request) => {
            let token = file::read_kind(kind, &text).map_err(|error| said(&error))?;
            let request = instance::verify(&token).map_err(|error| said(&error))?;
            Ok(Carried::Request(request.into_claims()))
        }
        Some(kind @ FileKind::Return) => {
            let token = file::read_kind(kind, &text).map_err(|error| said(&error))?;
            let given = instance::verify(&token).map_err(|error| said(&error))?;
            Ok(Carried::Return(given.into_claims()))
        }
        Some(other) => Err(refused(format!(
            "This is a {}: it goes to the installation, not to the vendor.",
            other.name()
        ))),
        None => reports::read(&text).map(Carried::Report),
    }
}

/// The text of a file, unpacked when it is compressed.
fn read_text(bytes: &[u8]) -> Result<Cow<'_, str>, Problem> {
    let unreadable = |_| refused("The file is damaged: it cannot be unpacked, or is not text.");
    if !bytes.starts_with(&ZSTD_MAGIC) {
        return std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| {
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
    Ok(Cow::Owned(text))
}

async fn report(
    app: &App,
    call: &Call,
    presented: &Presented,
    scope: Scope,
) -> Result<Exchanged, Problem> {
    let via = Via::File { call, only: scope.only() };
    let (tenant, imported) = reports::import(app, presented, via).await?;
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

/// The newest `.lic` that was made for an instance, to be carried once more. It is of no use
/// without the instance's own key.
pub async fn bound_file(
    app: &App,
    tenant: TenantId,
    license: LicenseId,
    instance: InstanceId,
) -> Result<LicenseFile, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    super::db::find(&mut tx, license).await?.ok_or_else(super::missing)?;
    let of = tenants::db::read(&mut tx).await?.ok_or_else(super::missing)?;
    let token = db::newest_answer(&mut tx, license, instance).await?;
    tx.commit().await?;
    let token = token.ok_or_else(|| Problem::not_found("file: none was made for this instance"))?;
    Ok(LicenseFile { name: file_name(&says(&token)?, &of.slug), text: file::write(&token) })
}

/// What a file says that was signed here and kept.
fn says(token: &str) -> Result<LicenseClaims, Problem> {
    token::unverified(token).ok_or_else(|| Problem::internal("a file that was kept can be read"))
}

fn file_name(claims: &LicenseClaims, tenant: &str) -> String {
    format!("{}-{tenant}-r{}.lic", claims.product, claims.revision)
}
