//! Signing keys as encrypted files: out of an installation, and into one.
//!
//! The server encrypts and decrypts. It holds the key anyway, so the passphrase
//! tells it nothing new, and the private key never travels in the clear.
//! Refuses: keys of a security module, whose purpose is not to be given out.

use tenure_core::SigningKeyId;
use tenure_license::{MemorySigner, Signer, TrustSet};
use tokio::sync::Semaphore;

use super::{
    Backend, Catalog, Made, SigningKey, db,
    key_file::{Error, KeyFile},
    model::{self, ExportSigningKey, ImportSigningKey},
    sealed,
};
use crate::{
    App,
    call::Call,
    http::Problem,
    trail::{self, Change},
};

/// Files written or read at the same time: each takes much memory.
static UNDER_WAY: Semaphore = Semaphore::const_new(2);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Passphrase => Self::field("/passphrase", sentence(&error)),
            Error::Refused => Self::field("/passphrase", sentence(&error)),
            Error::Unreadable(_) | Error::Key(_) => Self::field("/file", sentence(&error)),
            Error::Random(_) => Self::internal(error),
        }
    }
}

fn sentence(error: &Error) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

/// Does what takes memory and time, a few at once, off the runtime's threads.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Problem> {
    let _turn = UNDER_WAY.acquire().await.map_err(Problem::internal)?;
    Ok(tokio::task::spawn_blocking(work).await.map_err(Problem::internal)??)
}

/// A key as a file. The trail says who took it before it is given out.
pub async fn export(
    app: &App,
    call: &Call,
    catalog: &Catalog,
    how: ExportSigningKey,
) -> Result<KeyFile, Problem> {
    let mut tx = app.db().vendor().await?;
    let rows = db::of_product(&mut tx, catalog.product_id).await?;
    let row = match how.key {
        Some(id) => rows.iter().find(|row| row.id == id),
        None => model::active(&rows, call.now),
    };
    let row = row.ok_or_else(|| Problem::not_found("signing key"))?;
    let signer = opened(app, row).await?;
    let (product, created_at) = (catalog.product.id.clone(), row.created_at);
    let file =
        aside(move || KeyFile::write(&product, created_at, &signer, how.passphrase.expose()))
            .await?;
    let exported = serde_json::json!({ "kid": file.kid });
    let change = Change::created("signing_key.exported", row.id, &exported);
    trail::record(app, &mut tx, call, change).await?;
    tx.commit().await?;
    Ok(file)
}

async fn opened(app: &App, row: &db::Row) -> Result<std::sync::Arc<MemorySigner>, Problem> {
    match &row.private {
        db::Private::Sealed(private) => sealed::open(app, row.id, private).await,
        db::Private::Module(key) => {
            let detail = format!(
                "The key is in the token `{}` of a security module, which never gives a private \
                 key out. Back it up with the module's own means.",
                key.token
            );
            Err(Problem::conflict("signing-key-in-module", detail))
        }
        db::Private::Gone => {
            let detail = "The key was withdrawn; its private half is not kept.";
            Err(Problem::conflict("signing-key-withdrawn", detail))
        }
    }
}

/// Takes a key in, to sign from now on or only to be published.
pub async fn import(
    app: &App,
    call: &Call,
    catalog: &Catalog,
    what: ImportSigningKey,
) -> Result<SigningKey, Problem> {
    let ImportSigningKey { file, passphrase, activate } = what;
    if file.product != catalog.product.id {
        let detail = format!("The file holds a key of `{}`.", file.product);
        return Err(Problem::field("/file/product", detail));
    }
    let signer = aside(move || file.open(passphrase.expose())).await?;
    let public = signer.public_key().clone();
    // What no verifier would believe is not published.
    TrustSet::from_keys(&catalog.product.id, [public.clone()])
        .map_err(|error| Problem::field("/file", format!("Not a key to sign with: {error}.")))?;
    let id = SigningKeyId::new(call.now);
    let private = db::Private::Sealed(sealed::seal(app, id, &signer)?);
    let made = Made { public, backend: Backend::Sealed, private };
    let mut tx = app.db().vendor().await?;
    crate::products::db::lock_loading(&mut tx).await?;
    let before = db::of_product(&mut tx, catalog.product_id).await?;
    if let Some(row) = before.iter().find(|row| row.kid == made.public.kid()) {
        return Err(super::known(&row.kid));
    }
    super::admit(&before, call.now, call.now)?;
    let from = activate.then_some(call.now);
    let row = super::insert(app, &mut tx, call, catalog.product_id, (id, made), from).await?;
    let key = super::placed(app, &mut tx, call, before, row).await?;
    let change = Change::created("signing_key.imported", id, &key);
    trail::record(app, &mut tx, call, change).await?;
    tx.commit().await?;
    app.signers().forget(|product, _| *product == catalog.product_id);
    Ok(key)
}
