//! What is said of signing keys.

use std::{cmp::Reverse, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenure_core::{LicenseId, SigningKeyId};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::{db, key_file::KeyFile};

/// Where the private half of a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// In the database, sealed under the master key; opened into memory to sign.
    Sealed,
    /// Inside a security module, which signs itself and never gives it out.
    Pkcs11,
}

impl Backend {
    /// As the database writes it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Pkcs11 => "pkcs11",
        }
    }

    pub(super) fn of_word(word: &str) -> Self {
        if word == Self::Pkcs11.word() { Self::Pkcs11 } else { Self::Sealed }
    }
}

/// What a key is for at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SigningKeyStatus {
    /// Signs.
    Active,
    /// Published, and signs from a stated moment.
    Scheduled,
    /// Signs nothing new; published for what it signed.
    Retired,
    /// Published no more: nothing that it signed verifies.
    Withdrawn,
}

impl SigningKeyStatus {
    /// The word of API and pages.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Scheduled => "scheduled",
            Self::Retired => "retired",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A product's signing key, without its private part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SigningKey {
    /// Its id.
    pub id: SigningKeyId,
    /// What tokens name it by: its RFC 7638 thumbprint.
    #[schema(example = "eg2cUMqIzVAF2hzY-5Z5LtZQKlx6zM88iG2U1A82qjs")]
    pub kid: String,
    /// What it is for now.
    pub status: SigningKeyStatus,
    /// Where its private half is.
    pub backend: Backend,
    /// Its label in the security module, for a key that is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module_label: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when it signs; absent for a key that was imported only to verify.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signs_from: Option<Timestamp>,
    /// When it was withdrawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withdrawn_at: Option<Timestamp>,
}

/// The key that signs at `now`: of those whose moment has come, the latest.
pub(super) fn active(rows: &[db::Row], now: Timestamp) -> Option<&db::Row> {
    let come = |row: &&db::Row| row.signs_from.is_some_and(|from| from <= now);
    let published = rows.iter().filter(|row| row.withdrawn_at.is_none());
    published.filter(come).max_by_key(|row| (row.signs_from, row.seq))
}

/// When another key takes over.
pub(super) fn next_change(rows: &[db::Row], now: Timestamp) -> Option<Timestamp> {
    let published = rows.iter().filter(|row| row.withdrawn_at.is_none());
    published.filter_map(|row| row.signs_from).filter(|from| *from > now).min()
}

/// The rows as they are told at `now`: the active key first, then newest first.
pub(super) fn told(rows: &[db::Row], now: Timestamp) -> Vec<SigningKey> {
    let active = active(rows, now).map(|row| row.id);
    let tell = |row: &db::Row| SigningKey {
        id: row.id,
        kid: row.kid.clone(),
        status: match row.signs_from {
            _ if row.withdrawn_at.is_some() => SigningKeyStatus::Withdrawn,
            _ if Some(row.id) == active => SigningKeyStatus::Active,
            Some(from) if from > now => SigningKeyStatus::Scheduled,
            _ => SigningKeyStatus::Retired,
        },
        backend: row.backend,
        module_label: match &row.private {
            db::Private::Module(key) => Some(key.label.clone()),
            _ => None,
        },
        created_at: row.created_at,
        signs_from: row.signs_from,
        withdrawn_at: row.withdrawn_at,
    };
    let mut keys: Vec<(i64, SigningKey)> = rows.iter().map(|row| (row.seq, tell(row))).collect();
    keys.sort_by_key(|(seq, key)| (key.status, Reverse(*seq)));
    keys.into_iter().map(|(_, key)| key).collect()
}

/// A key to be made.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSigningKey {
    /// From when it signs; it is published at once, so that programs with embedded keys
    /// can learn it before. At once when absent.
    #[serde(default)]
    #[schema(example = "2026-06-01T00:00:00Z")]
    pub activate_at: Option<Timestamp>,
}

/// How a key is withdrawn.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithdrawSigningKey {
    /// Although licenses in force live by it: they stop verifying wherever the published
    /// keys are read anew, until they are renewed.
    #[serde(default)]
    pub force: bool,
}

/// A license whose newest revision one key signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LivingLicense {
    /// The license.
    pub license: LicenseId,
    /// Slug of its tenant.
    #[schema(example = "acme-corp")]
    pub tenant: String,
    /// The revision.
    #[schema(example = 2)]
    pub revision: i32,
    /// When that expires.
    pub expires_at: Timestamp,
}

/// A key that was withdrawn.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WithdrawnSigningKey {
    /// The key.
    pub key: SigningKey,
    /// How many licenses in force it had signed: renew them.
    #[schema(example = 0)]
    pub licenses_to_renew: i64,
    /// The first of them, by when they end.
    pub licenses: Vec<LivingLicense>,
}

/// What a key file is encrypted under. Never logged, never kept.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(from = "String")]
#[schema(value_type = String, format = Password, example = "correct horse battery staple")]
pub struct Passphrase(Zeroizing<String>);

impl From<String> for Passphrase {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl Passphrase {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// Which key is exported, and under which passphrase.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportSigningKey {
    /// At least 12 characters; without it nobody reads the file.
    pub passphrase: Passphrase,
    /// The key; the active one when absent.
    #[serde(default)]
    pub key: Option<SigningKeyId>,
}

/// A key file to be taken in.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportSigningKey {
    /// The file, as it was exported.
    pub file: KeyFile,
    /// What it was encrypted under.
    pub passphrase: Passphrase,
    /// Sign with it from now on; otherwise it is published, and what it signed verifies.
    #[serde(default)]
    pub activate: bool,
}
