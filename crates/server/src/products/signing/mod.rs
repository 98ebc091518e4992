//! The keys that sign a product's licenses.
//!
//! Owns: making them (sealed here, or inside a security module), which of them
//! signs at a moment, publishing them, carrying them elsewhere as encrypted files,
//! withdrawing them. Refuses: more keys than a verifier reads, and withdrawing a
//! key that licenses in force live by without being told to.

pub mod api;
mod db;
mod escrow;
pub mod key_file;
pub mod model;
pub mod pkcs11;
mod sealed;
mod withdrawal;

use std::sync::Arc;

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use tenure_core::{ProductId, SigningKeyId};
use tenure_license::{PublicKey, Signer, TrustSet, keys::TRUST_KEYS_MAX};
use tenure_tenancy::{TenantTx, VendorTx};

use super::Catalog;
use crate::{
    App,
    call::Call,
    http::Problem,
    idempotency,
    trail::{self, Change},
};

pub use escrow::{export, import};
pub use model::{Backend, NewSigningKey, SigningKey, SigningKeyStatus};
pub use withdrawal::withdraw;

/// How far ahead a key may be scheduled, in days.
pub const AHEAD_DAYS_MAX: i64 = 366;

/// A signer and until when it is the one.
#[derive(Clone)]
pub(crate) struct Opened {
    signer: Arc<dyn Signer>,
    until: Option<Timestamp>,
}

/// A new key: its public half, and where the private one is.
struct Made {
    public: PublicKey,
    backend: Backend,
    private: db::Private,
}

/// Makes a key pair: in the security module where there is one, else here.
async fn make(app: &App, product: &str, id: SigningKeyId) -> Result<Made, Problem> {
    let Some(module) = app.signing_module() else {
        let signer = sealed::generate().await?;
        let private = db::Private::Sealed(sealed::seal(app, id, &signer)?);
        let public = signer.public_key().clone();
        return Ok(Made { public, backend: Backend::Sealed, private });
    };
    let (module, label) = (module.clone(), format!("tenure {product} {id}"));
    let (key, public) =
        tokio::task::spawn_blocking(move || module.generate(id.uuid().as_bytes(), &label))
            .await
            .map_err(Problem::internal)?
            .map_err(module_away)?;
    Ok(Made { public, backend: Backend::Pkcs11, private: db::Private::Module(key) })
}

async fn insert(
    app: &App,
    tx: &mut VendorTx,
    call: &Call,
    product: ProductId,
    (id, made): (SigningKeyId, Made),
    signs_from: Option<Timestamp>,
) -> Result<db::Row, Problem> {
    let mut row = db::Row {
        id,
        seq: 0,
        kid: made.public.kid().to_owned(),
        public_jwk: serde_json::to_value(made.public.jwk()).map_err(Problem::internal)?,
        backend: made.backend,
        private: made.private,
        created_at: call.now,
        signs_from,
        withdrawn_at: None,
    };
    row.seq = db::insert(tx, &row, product).await?;
    let told = model::told(std::slice::from_ref(&row), call.now);
    trail::record(app, tx, call, Change::created("signing_key.created", id, &told)).await?;
    Ok(row)
}

/// Makes the first signing key of a product.
pub(super) async fn create(
    app: &App,
    tx: &mut VendorTx,
    call: &Call,
    (product, slug): (ProductId, &str),
) -> Result<(), Problem> {
    let id = SigningKeyId::new(call.now);
    let made = make(app, slug, id).await?;
    insert(app, tx, call, product, (id, made), Some(call.now)).await?;
    Ok(())
}

fn no_key() -> Problem {
    Problem::conflict(
        "no-signing-key",
        "This product has no license_key_prefix, so it has no key to sign licenses with.",
    )
}

fn known(kid: &str) -> Problem {
    let detail = format!("The key {kid} is here already; it may have been withdrawn.");
    Problem::conflict("signing-key-known", detail)
}

/// The security module does not do what it was asked: 503, and the log says so too.
fn module_away(error: impl std::fmt::Display) -> Problem {
    tracing::error!(%error, "the signing key cannot be used");
    let detail = format!("The signing key cannot be used now: {error}. Nothing was changed.");
    let mut problem = Problem::unavailable(detail);
    problem.kind = "urn:tenure:problem:signing-key-unusable".to_owned();
    problem
}

/// A signature that could not be made.
pub(crate) fn not_signed(error: tenure_license::keys::SignError) -> Problem {
    module_away(error.0)
}

/// Every signing key of a product, the active one first.
pub async fn list(app: &App, catalog: &Catalog) -> Result<Vec<SigningKey>, Problem> {
    let mut tx = app.db().vendor().await?;
    let rows = db::of_product(&mut tx, catalog.product_id).await?;
    tx.commit().await?;
    Ok(model::told(&rows, app.now()))
}

/// Makes a key that is published now and signs from `activate_at`, or at once. The key
/// that it replaces stays published: what it signed keeps verifying.
pub async fn add(
    app: &App,
    call: &Call,
    catalog: &Catalog,
    new: NewSigningKey,
) -> Result<SigningKey, Problem> {
    let from = moment(call.now, new.activate_at)?;
    // Checked before the costly part, and again under the lock.
    let mut tx = app.db().vendor().await?;
    admit(&db::of_product(&mut tx, catalog.product_id).await?, call.now, from)?;
    tx.commit().await?;
    let id = SigningKeyId::new(call.now);
    let made = make(app, &catalog.product.id, id).await?;
    let mut tx = app.db().vendor().await?;
    super::db::lock_loading(&mut tx).await?;
    let before = db::of_product(&mut tx, catalog.product_id).await?;
    admit(&before, call.now, from)?;
    let row = insert(app, &mut tx, call, catalog.product_id, (id, made), Some(from)).await?;
    let key = placed(app, &mut tx, call, before, row).await?;
    idempotency::remember(app, &mut tx, call, StatusCode::CREATED, &key).await?;
    tx.commit().await?;
    app.signers().forget(|product, _| *product == catalog.product_id);
    Ok(key)
}

/// From when a new key signs.
fn moment(now: Timestamp, wanted: Option<Timestamp>) -> Result<Timestamp, Problem> {
    let Some(at) = wanted else { return Ok(now) };
    let wrong = |detail: String| Problem::field("/activate_at", detail);
    if at <= now {
        return Err(wrong("Give a moment in the future, or none to sign at once.".to_owned()));
    }
    if at.duration_since(now) > SignedDuration::from_hours(24 * AHEAD_DAYS_MAX) {
        return Err(wrong(format!("A key is scheduled at most {AHEAD_DAYS_MAX} days ahead.")));
    }
    Ok(at)
}

/// Whether a product takes one more key, which signs from `from`.
fn admit(rows: &[db::Row], now: Timestamp, from: Timestamp) -> Result<(), Problem> {
    if rows.is_empty() {
        return Err(no_key());
    }
    let published = || rows.iter().filter(|row| row.withdrawn_at.is_none());
    if published().count() >= TRUST_KEYS_MAX {
        let detail = format!(
            "Verifiers read at most {TRUST_KEYS_MAX} keys of a product. Withdraw retired ones first."
        );
        return Err(Problem::conflict("too-many-signing-keys", detail));
    }
    match published().find(|row| row.signs_from.is_some_and(|at| at > now)) {
        Some(other) if from > now => {
            let detail = format!("{} is scheduled already. Withdraw it first.", other.id);
            Err(Problem::conflict("signing-key-scheduled", detail))
        }
        _ => Ok(()),
    }
}

/// Tells what became of the product's keys: the new one's view, and in the trail the one
/// that it replaced.
async fn placed(
    app: &App,
    tx: &mut VendorTx,
    call: &Call,
    before: Vec<db::Row>,
    new: db::Row,
) -> Result<SigningKey, Problem> {
    let (id, replaced) = (new.id, model::active(&before, call.now).map(|row| row.id));
    let was = model::told(&before, call.now);
    let mut rows = before;
    rows.push(new);
    let is = model::told(&rows, call.now);
    let find = |keys: &[SigningKey], id| keys.iter().find(|key| key.id == id).cloned();
    if let Some(old) = replaced
        && let (Some(before), Some(after)) = (find(&was, old), find(&is, old))
        && before != after
    {
        let change = Change::updated("signing_key.retired", old, &before, &after);
        trail::record(app, tx, call, change).await?;
    }
    find(&is, id).ok_or_else(|| Problem::internal("the key that was just made"))
}

/// The key that signs now, opened once and kept while it is the one.
pub(crate) async fn signer(app: &App, product: ProductId) -> Result<Arc<dyn Signer>, Problem> {
    let now = app.now();
    let known = app.signers().get(&product);
    if let Some(opened) = known.filter(|opened| opened.until.is_none_or(|until| now < until)) {
        return Ok(opened.signer);
    }
    let ticket = app.signers().ticket();
    let mut tx = app.db().vendor().await?;
    let rows = db::of_product(&mut tx, product).await?;
    tx.commit().await?;
    let row = model::active(&rows, now).ok_or_else(no_key)?;
    let signer = open(app, row).await?;
    let until = model::next_change(&rows, now);
    app.signers().put(ticket, product, Opened { signer: signer.clone(), until });
    Ok(signer)
}

/// As [`signer`], for what `tx` writes down for good: the key is not withdrawn before `tx`
/// ends, so withdrawing it sees what it signed.
pub(crate) async fn signer_for(
    app: &App,
    tx: &mut TenantTx,
    product: ProductId,
) -> Result<Arc<dyn Signer>, Problem> {
    let found = signer(app, product).await?;
    if db::hold_published(tx, found.public_key().kid()).await? {
        return Ok(found);
    }
    // Withdrawn within the last second; this process had not heard of it.
    app.signers().forget(|known, _| *known == product);
    let found = signer(app, product).await?;
    match db::hold_published(tx, found.public_key().kid()).await? {
        true => Ok(found),
        false => Err(Problem::unavailable("The signing key has just been replaced; try again.")),
    }
}

async fn open(app: &App, row: &db::Row) -> Result<Arc<dyn Signer>, Problem> {
    let key = match &row.private {
        db::Private::Sealed(sealed) => return Ok(sealed::open(app, row.id, sealed).await?),
        db::Private::Module(key) => key.clone(),
        db::Private::Gone => return Err(no_key()),
    };
    let Some(module) = app.signing_module().cloned() else {
        return Err(module_away(format!(
            "it is in the token `{}` of a security module, and this server was started without \
             TENURE_PKCS11_MODULE",
            key.token
        )));
    };
    let text = serde_json::json!({ "keys": [row.public_jwk] }).to_string();
    let published = TrustSet::from_jwks("", &text).map_err(Problem::internal)?;
    let opened =
        tokio::task::spawn_blocking(move || pkcs11::ModuleSigner::open(module, key, published))
            .await
            .map_err(Problem::internal)?;
    Ok(Arc::new(opened.map_err(module_away)?))
}

/// The public keys that a product's licenses verify with.
pub async fn trust_set(app: &App, catalog: &Catalog) -> Result<TrustSet, Problem> {
    let mut tx = app.db().vendor().await?;
    let mut rows = db::of_product(&mut tx, catalog.product_id).await?;
    tx.commit().await?;
    rows.retain(|row| row.withdrawn_at.is_none());
    if rows.is_empty() {
        return Err(Problem::not_found("key: this product sells no licensed model"));
    }
    let jwks: Vec<_> = rows.into_iter().map(|row| row.public_jwk).collect();
    let text = serde_json::json!({ "keys": jwks }).to_string();
    TrustSet::from_jwks(&catalog.product.id, &text).map_err(Problem::internal)
}

/// The same as a JSON web key set, to be published.
pub async fn jwks(app: &App, catalog: &Catalog) -> Result<serde_json::Value, Problem> {
    let set = trust_set(app, catalog).await?;
    serde_json::to_value(set.to_jwk_set()).map_err(Problem::internal)
}
