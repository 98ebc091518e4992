//! Keys in the database, under the master key; opened into memory to sign.

use std::sync::Arc;

use tenure_core::SigningKeyId;
use tenure_license::MemorySigner;
use uuid::Uuid;

use crate::{App, http::Problem, vault::Place};

fn place(key: SigningKeyId) -> Place<'static> {
    Place { tenant: Uuid::nil(), owner: key.uuid(), field: "signing key", version: 1 }
}

/// RSA-3072; takes up to a few seconds of one core, so not on the runtime's threads.
pub(super) async fn generate() -> Result<MemorySigner, Problem> {
    tokio::task::spawn_blocking(MemorySigner::generate)
        .await
        .map_err(Problem::internal)?
        .map_err(Problem::internal)
}

/// As the row keeps it.
pub(super) fn seal(
    app: &App,
    key: SigningKeyId,
    signer: &MemorySigner,
) -> Result<Vec<u8>, Problem> {
    let private = signer.to_pkcs8_der().map_err(Problem::internal)?;
    app.vault().seal(place(key), &private).map_err(Problem::internal)
}

/// Opened into memory; the library wipes it when the last user lets go.
pub(super) async fn open(
    app: &App,
    key: SigningKeyId,
    sealed: &[u8],
) -> Result<Arc<MemorySigner>, Problem> {
    let der = app.vault().open(place(key), sealed).map_err(Problem::internal)?;
    // Reading a private key checks its primes.
    let signer = tokio::task::spawn_blocking(move || MemorySigner::from_pkcs8_der(&der))
        .await
        .map_err(Problem::internal)?
        .map_err(Problem::internal)?;
    Ok(Arc::new(signer))
}
