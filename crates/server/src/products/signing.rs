//! The keys that sign a product's licenses: one active, older ones published
//! until nothing they signed is valid any more.

use tenure_core::{ProductId, SigningKeyId};
use tenure_license::{MemorySigner, Signer, TrustSet};
use tenure_tenancy::VendorTx;
use uuid::Uuid;

use super::{Catalog, db};
use crate::{
    App,
    call::Call,
    http::Problem,
    trail::{self, Change},
    vault::Place,
};

fn place(key: SigningKeyId) -> Place<'static> {
    Place { tenant: Uuid::nil(), owner: key.uuid(), field: "signing key", version: 1 }
}

/// Makes the signing key of a product. Takes up to a few seconds of one core.
pub(super) async fn create(
    app: &App,
    tx: &mut VendorTx,
    call: &Call,
    product: ProductId,
) -> Result<(), Problem> {
    let signer = tokio::task::spawn_blocking(MemorySigner::generate)
        .await
        .map_err(Problem::internal)?
        .map_err(Problem::internal)?;
    let id = SigningKeyId::new(call.now);
    let private = signer.to_pkcs8_der().map_err(Problem::internal)?;
    let jwk = serde_json::to_value(signer.public_key().jwk()).map_err(Problem::internal)?;
    let row = db::SigningKeyRow {
        id,
        kid: signer.public_key().kid().to_owned(),
        public_jwk: jwk.clone(),
        sealed_private: app.vault().seal(place(id), &private).map_err(Problem::internal)?,
        status: "active".to_owned(),
    };
    db::insert_signing_key(tx, &row, product, call.now).await?;
    let change = Change::created("signing_key.created", id, &jwk);
    trail::record(app, tx, call, change).await
}

/// The key that signs now. It is opened for one use and wiped.
pub(crate) async fn signer(app: &App, catalog: &Catalog) -> Result<MemorySigner, Problem> {
    let mut tx = app.db().vendor().await?;
    let keys = db::signing_keys(&mut tx, catalog.product_id).await?;
    tx.commit().await?;
    let active = keys.into_iter().find(|key| key.status == "active").ok_or_else(|| {
        Problem::conflict(
            "no-signing-key",
            "This product has no license_key_prefix, so it has no key to sign licenses with.",
        )
    })?;
    let der =
        app.vault().open(place(active.id), &active.sealed_private).map_err(Problem::internal)?;
    MemorySigner::from_pkcs8_der(&der).map_err(Problem::internal)
}

/// The public keys that a product's licenses verify with.
pub async fn trust_set(app: &App, catalog: &Catalog) -> Result<TrustSet, Problem> {
    let mut tx = app.db().vendor().await?;
    let keys = db::signing_keys(&mut tx, catalog.product_id).await?;
    tx.commit().await?;
    let jwks: Vec<_> = keys.into_iter().map(|key| key.public_jwk).collect();
    let text = serde_json::json!({ "keys": jwks }).to_string();
    TrustSet::from_jwks(&catalog.product.id, &text).map_err(Problem::internal)
}

/// The same as a JSON web key set, to be published.
pub async fn jwks(app: &App, catalog: &Catalog) -> Result<serde_json::Value, Problem> {
    let set = trust_set(app, catalog).await?;
    serde_json::to_value(set.to_jwk_set()).map_err(Problem::internal)
}
