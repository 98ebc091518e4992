//! A row on its way: JSON whose numbers are never read as floats, and the
//! columns that need care.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    ExportKey,
    archive::refused,
    tables::{Care, Sealed, Table},
};
use crate::{
    App,
    http::Problem,
    tenants::keys,
    vault::{Key, Place},
};

/// A row, each value as PostgreSQL wrote it.
pub(super) struct Row(BTreeMap<String, Box<RawValue>>);

fn malformed(table: &Table) -> Problem {
    refused(format!("A row of {} cannot be read.", table.name))
}

impl Row {
    pub(super) fn parse(table: &Table, line: &str) -> Result<Self, Problem> {
        serde_json::from_str(line).map(Self).map_err(|_| malformed(table))
    }

    pub(super) fn text(&self) -> Result<String, Problem> {
        serde_json::to_string(&self.0).map_err(Problem::internal)
    }

    /// A column that holds a text, or nothing.
    pub(super) fn get(&self, column: &str) -> Option<String> {
        serde_json::from_str(self.0.get(column)?.get()).ok().flatten()
    }

    pub(super) fn set(
        &mut self,
        column: &str,
        value: &impl serde::Serialize,
    ) -> Result<(), Problem> {
        let value = serde_json::value::to_raw_value(value).map_err(Problem::internal)?;
        self.0.insert(column.to_owned(), value);
        Ok(())
    }

    fn remove(&mut self, column: &str) {
        self.0.remove(column);
    }

    pub(super) fn uuid(&self, table: &Table, column: &str) -> Result<Uuid, Problem> {
        let text = self.get(column).and_then(|text| text.parse().ok());
        text.ok_or_else(|| malformed(table))
    }

    pub(super) fn integer(&self, table: &Table, column: &str) -> Result<i32, Problem> {
        let raw = self.0.get(column).ok_or_else(|| malformed(table))?;
        serde_json::from_str(raw.get()).map_err(|_| malformed(table))
    }

    /// Bytes, as PostgreSQL writes them in JSON: `\x` and hex.
    fn bytes(&self, table: &Table, column: &str) -> Result<Option<Vec<u8>>, Problem> {
        let Some(text) = self.get(column) else { return Ok(None) };
        let digits = text.strip_prefix("\\x").ok_or_else(|| malformed(table))?;
        hex::decode(digits).map(Some).map_err(|_| malformed(table))
    }

    pub(super) fn set_bytes(&mut self, column: &str, bytes: &[u8]) -> Result<(), Problem> {
        self.set(column, &format!("\\x{}", hex::encode(bytes)))
    }
}

/// Who and what a secret is, wherever it lies.
struct Secret {
    owner: Uuid,
    field: String,
    version: u32,
}

impl Secret {
    fn of(table: &Table, row: &Row, kind: Sealed, tenant: Uuid) -> Result<Self, Problem> {
        let secret = |owner, field: &str, version| Self { owner, field: field.to_owned(), version };
        match kind {
            Sealed::TenantKey => Ok(secret(tenant, keys::FIELD, 1)),
            Sealed::LicenseKey => Ok(secret(row.uuid(table, "id")?, "license key", 1)),
            Sealed::Secret => {
                let field = row.get("field").ok_or_else(|| malformed(table))?;
                let version = row.integer(table, "version")?.unsigned_abs();
                Ok(secret(row.uuid(table, "owner_id")?, &field, version))
            }
        }
    }

    fn place(&self, tenant: Uuid) -> Place<'_> {
        Place { tenant, owner: self.owner, field: &self.field, version: self.version }
    }

    /// Binds a travelling secret to what it is, as sealing binds a resting one.
    fn context(&self) -> String {
        format!("{}|{}|{}", self.owner, self.version, self.field)
    }
}

/// Takes a row apart from this installation: its secrets under the export key,
/// its digests left out.
pub(super) fn depart(
    app: &App,
    key: &ExportKey,
    table: &Table,
    tenant: Uuid,
    row: &mut Row,
) -> Result<(), Problem> {
    for (column, care) in table.columns {
        match care {
            Care::Digest => row.remove(column),
            Care::Sealed(kind) => {
                let Some(sealed) = row.bytes(table, column)? else { continue };
                let secret = Secret::of(table, row, *kind, tenant)?;
                let plain =
                    app.vault().open(secret.place(tenant), &sealed).map_err(Problem::internal)?;
                row.set_bytes(column, &key.encrypt(&secret.context(), &plain)?)?;
            }
            Care::Product | Care::CatalogVersion | Care::Meter | Care::Portable => {}
        }
    }
    Ok(())
}

/// A secret of an arriving row, opened.
pub(super) enum Opened {
    /// The tenant's own key.
    TenantKey(Key),
    /// The key string of a license.
    LicenseKey(Zeroizing<Vec<u8>>),
}

/// Seals an arriving row's secrets for their place here.
pub(super) fn settle(
    app: &App,
    key: &ExportKey,
    table: &Table,
    tenant: Uuid,
    row: &mut Row,
) -> Result<Option<Opened>, Problem> {
    let mut opened = None;
    for (column, care) in table.columns {
        let Care::Sealed(kind) = care else { continue };
        let Some(travelling) = row.bytes(table, column)? else { continue };
        let secret = Secret::of(table, row, *kind, tenant)?;
        let plain = key.decrypt(&secret.context(), &travelling).map_err(|_| {
            refused(format!("A secret of {} does not open with this export key.", table.name))
        })?;
        let sealed = app.vault().seal(secret.place(tenant), &plain).map_err(Problem::internal)?;
        row.set_bytes(column, &sealed)?;
        opened = match kind {
            Sealed::TenantKey => {
                Some(Opened::TenantKey(Key::from_slice(&plain).ok_or_else(|| malformed(table))?))
            }
            Sealed::LicenseKey => Some(Opened::LicenseKey(plain)),
            Sealed::Secret => None,
        };
    }
    Ok(opened)
}
