//! The keys that sign a product's licenses: one active, older ones published
//! as long as something that they signed may be presented.
//!
//! Refuses: more keys than a verifier reads.

use std::sync::Arc;

use axum::http::StatusCode;
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use serde::{Deserialize, Serialize};
use tenure_core::{ProductId, SigningKeyId};
use tenure_license::{MemorySigner, Signer, TrustSet, keys::TRUST_KEYS_MAX};
use tenure_tenancy::VendorTx;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Catalog, db};
use crate::{
    App,
    call::Call,
    http::Problem,
    idempotency,
    trail::{self, Change},
    vault::Place,
};

/// A product's signing key, without its private part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SigningKey {
    /// Its id.
    pub id: SigningKeyId,
    /// What tokens name it by: its RFC 7638 thumbprint.
    #[schema(example = "eg2cUMqIzVAF2hzY-5Z5LtZQKlx6zM88iG2U1A82qjs")]
    pub kid: String,
    /// `active` signs. `retired` signs nothing new, and stays published for what it signed.
    #[schema(example = "active")]
    pub status: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl From<&db::SigningKeyRow> for SigningKey {
    fn from(row: &db::SigningKeyRow) -> Self {
        Self {
            id: row.id,
            kid: row.kid.clone(),
            status: row.status.clone(),
            created_at: row.created_at.to_jiff(),
        }
    }
}

fn place(key: SigningKeyId) -> Place<'static> {
    Place { tenant: Uuid::nil(), owner: key.uuid(), field: "signing key", version: 1 }
}

/// RSA-3072; takes up to a few seconds of one core, so not on the runtime's threads.
async fn generate() -> Result<MemorySigner, Problem> {
    tokio::task::spawn_blocking(MemorySigner::generate)
        .await
        .map_err(Problem::internal)?
        .map_err(Problem::internal)
}

async fn insert(
    app: &App,
    tx: &mut VendorTx,
    call: &Call,
    product: ProductId,
    signer: &MemorySigner,
) -> Result<SigningKey, Problem> {
    let id = SigningKeyId::new(call.now);
    let private = signer.to_pkcs8_der().map_err(Problem::internal)?;
    let row = db::SigningKeyRow {
        id,
        kid: signer.public_key().kid().to_owned(),
        public_jwk: serde_json::to_value(signer.public_key().jwk()).map_err(Problem::internal)?,
        sealed_private: app.vault().seal(place(id), &private).map_err(Problem::internal)?,
        status: "active".to_owned(),
        created_at: call.now.to_sqlx(),
    };
    db::insert_signing_key(tx, &row, product).await?;
    trail::record(app, tx, call, Change::created("signing_key.created", id, &row.public_jwk))
        .await?;
    Ok(SigningKey::from(&row))
}

/// Makes the first signing key of a product.
pub(super) async fn create(
    app: &App,
    tx: &mut VendorTx,
    call: &Call,
    product: ProductId,
) -> Result<(), Problem> {
    let signer = generate().await?;
    insert(app, tx, call, product, &signer).await?;
    Ok(())
}

fn no_key() -> Problem {
    Problem::conflict(
        "no-signing-key",
        "This product has no license_key_prefix, so it has no key to sign licenses with.",
    )
}

/// Every signing key of a product, the active one first.
pub async fn list(app: &App, catalog: &Catalog) -> Result<Vec<SigningKey>, Problem> {
    let mut tx = app.db().vendor().await?;
    let keys = db::signing_keys(&mut tx, catalog.product_id).await?;
    tx.commit().await?;
    Ok(keys.iter().map(SigningKey::from).collect())
}

/// Puts a new signing key in the place of the active one, which stays published:
/// what it signed keeps verifying. Programs with embedded keys must learn the
/// new one before they meet a license that it signed.
pub async fn rotate(app: &App, call: &Call, catalog: &Catalog) -> Result<SigningKey, Problem> {
    let signer = generate().await?;
    let mut tx = app.db().vendor().await?;
    db::lock_loading(&mut tx).await?;
    let known = db::signing_keys(&mut tx, catalog.product_id).await?;
    if known.is_empty() {
        return Err(no_key());
    }
    if known.len() >= TRUST_KEYS_MAX {
        let detail = format!("Verifiers read at most {TRUST_KEYS_MAX} keys of a product.");
        return Err(Problem::conflict("too-many-signing-keys", detail));
    }
    db::retire_signing_keys(&mut tx, catalog.product_id).await?;
    let key = insert(app, &mut tx, call, catalog.product_id, &signer).await?;
    for row in known.iter().filter(|row| row.status == "active") {
        let before = SigningKey::from(row);
        let after = SigningKey { status: "retired".to_owned(), ..before.clone() };
        let change = Change::updated("signing_key.retired", row.id, &before, &after);
        trail::record(app, &mut tx, call, change).await?;
    }
    idempotency::remember(app, &mut tx, call, StatusCode::CREATED, &key).await?;
    tx.commit().await?;
    app.signers().forget(|product, _| *product == catalog.product_id);
    Ok(key)
}

/// The key that signs now. Opened once and kept in memory while it is active;
/// the library wipes it when the last user lets go.
pub(crate) async fn signer(app: &App, product: ProductId) -> Result<Arc<MemorySigner>, Problem> {
    if let Some(signer) = app.signers().get(&product) {
        return Ok(signer);
    }
    let ticket = app.signers().ticket();
    let mut tx = app.db().vendor().await?;
    let keys = db::signing_keys(&mut tx, product).await?;
    tx.commit().await?;
    let active = keys.into_iter().find(|key| key.status == "active").ok_or_else(no_key)?;
    let der =
        app.vault().open(place(active.id), &active.sealed_private).map_err(Problem::internal)?;
    // Reading a private key checks its primes.
    let signer = tokio::task::spawn_blocking(move || MemorySigner::from_pkcs8_der(&der))
        .await
        .map_err(Problem::internal)?
        .map_err(Problem::internal)?;
    let signer = Arc::new(signer);
    app.signers().put(ticket, product, signer.clone());
    Ok(signer)
}

/// The public keys that a product's licenses verify with.
pub async fn trust_set(app: &App, catalog: &Catalog) -> Result<TrustSet, Problem> {
    let mut tx = app.db().vendor().await?;
    let keys = db::signing_keys(&mut tx, catalog.product_id).await?;
    tx.commit().await?;
    if keys.is_empty() {
        return Err(Problem::not_found("key: this product sells no licensed model"));
    }
    let jwks: Vec<_> = keys.into_iter().map(|key| key.public_jwk).collect();
    let text = serde_json::json!({ "keys": jwks }).to_string();
    TrustSet::from_jwks(&catalog.product.id, &text).map_err(Problem::internal)
}

/// The same as a JSON web key set, to be published.
pub async fn jwks(app: &App, catalog: &Catalog) -> Result<serde_json::Value, Problem> {
    let set = trust_set(app, catalog).await?;
    serde_json::to_value(set.to_jwk_set()).map_err(Problem::internal)
}
