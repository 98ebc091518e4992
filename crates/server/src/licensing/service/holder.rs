//! Who holds a license: a license key or a license token, wherever a customer
//! puts it.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, request::Parts},
};
use serde::Deserialize;
use tenure_core::{LicenseId, TenantId};
use tenure_license::{
    LicenseClaims, LicenseKey, Verified,
    digest::Digest,
    key_string::KeyStringError,
    presented::{Presented, PresentedError},
    token,
};

use super::standing;
use crate::{
    App,
    http::Problem,
    identity::{self, Principal},
    licensing::db,
};

/// A license that was presented, and is known here.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) tenant: TenantId,
    pub(crate) license: LicenseId,
    /// The token, where that was presented.
    pub(crate) token: Option<Arc<Verified<LicenseClaims>>>,
}

fn refused(status: StatusCode, slug: &str, title: &'static str, detail: String) -> Problem {
    Problem::new(status, slug, title, detail)
}

fn unknown_key() -> Problem {
    let detail = "This is a license key in form, but nobody was given it. Compare it with the one \
                  that you were sent, or ask the vendor.";
    refused(StatusCode::UNAUTHORIZED, "license-key-unknown", "Unknown license key", detail.into())
}

fn unreadable(error: &PresentedError) -> Problem {
    let slug = match error {
        PresentedError::Key(KeyStringError::Mistyped) => "license-key-mistyped",
        PresentedError::Key(_) => "license-key-malformed",
        PresentedError::File(_) => "license-file-malformed",
    };
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    refused(status, slug, "The license key cannot be read", format!("{first}{}.", letters.as_str()))
}

/// 401: a token that nobody signed here.
pub(crate) fn not_genuine(error: &token::Error) -> Problem {
    let detail = format!("The license token is not genuine: {error} ({}).", error.code());
    refused(StatusCode::UNAUTHORIZED, "license-token-refused", "Not a genuine license", detail)
}

/// The license of a key or token, as a person typed it or a file held it.
pub(crate) async fn find(app: &App, text: &str) -> Result<Held, Problem> {
    match Presented::read(text).map_err(|error| unreadable(&error))? {
        Presented::Key(key) => of_key(app, &key).await,
        Presented::Token(text) => match verified(app, Text::new(app, &text)).await? {
            Ok(token) => of_token(token),
            Err(error) => Err(not_genuine(&error)),
        },
    }
}

async fn of_key(app: &App, key: &LicenseKey) -> Result<Held, Problem> {
    let digest = key.lookup_digest(app.vault().pepper());
    let cache = &app.licensing().keys;
    if let Some((tenant, license)) = cache.get(digest.as_bytes()) {
        return Ok(Held { tenant, license, token: None });
    }
    let ticket = cache.ticket();
    let mut tx = app.db().auth().await?;
    let found = db::by_key(&mut tx, &digest).await?;
    tx.commit().await?;
    let (tenant, license) = found.ok_or_else(unknown_key)?;
    cache.put(ticket, *digest.as_bytes(), (tenant, license));
    Ok(Held { tenant, license, token: None })
}

/// The license of a genuine token.
pub(crate) fn of_token(token: Arc<Verified<LicenseClaims>>) -> Result<Held, Problem> {
    let tenant = token.claims().customer.id.parse().map_err(Problem::internal)?;
    Ok(Held { tenant, license: token.claims().license, token: Some(token) })
}

/// A presented token, and its name in the caches of tokens, where there are any.
pub(crate) struct Text<'a> {
    pub(super) text: &'a str,
    pub(super) digest: Option<[u8; 32]>,
}

impl<'a> Text<'a> {
    pub(crate) fn new(app: &App, text: &'a str) -> Self {
        let kept = app.config().verified_tokens_max > 0 && text.len() <= token::TOKEN_LEN_MAX;
        Self { text, digest: kept.then(|| *Digest::sha256(text.as_bytes()).as_bytes()) }
    }
}

/// A token that is genuine, or why it is not. Remembers the genuine ones.
pub(crate) async fn verified(
    app: &App,
    Text { text, digest }: Text<'_>,
) -> Result<Result<Arc<Verified<LicenseClaims>>, token::Error>, Problem> {
    if text.len() > token::TOKEN_LEN_MAX {
        return Ok(Err(token::Error::TooLarge(text.len(), token::TOKEN_LEN_MAX)));
    }
    let cache = &app.licensing().tokens;
    if let Some(known) = digest.and_then(|digest| cache.get(&digest)) {
        return Ok(Ok(known));
    }
    let ticket = cache.ticket();
    let verified = read(app, text).await?.map(Arc::new);
    if let (Ok(token), Some(digest)) = (&verified, digest) {
        cache.put(ticket, digest, token.clone());
    }
    Ok(verified)
}

/// Reads a token with the keys that verified the last one with the same header, which names its
/// key; where that fails, with those of the product that it claims to be about.
async fn read(
    app: &App,
    text: &str,
) -> Result<Result<Verified<LicenseClaims>, token::Error>, Problem> {
    let headers = &app.licensing().trust_by_header;
    let header = text.split_once('.').map(|(header, _)| header.to_owned()).unwrap_or_default();
    let known = headers.get(&header);
    let refused = match known.map(|trust| (token::verify(text, &trust), trust)) {
        Some((Ok(token), _)) => return Ok(Ok(token)),
        Some((Err(error), trust)) => Some((error, trust)),
        None => None,
    };
    let Some(product) = product_of(text) else { return Ok(Err(token::Error::Malformed)) };
    if let Some((error, _)) = refused.filter(|(_, trust)| trust.product() == product) {
        return Ok(Err(error));
    }
    let ticket = headers.ticket();
    match standing::genuine(app, &product, text).await {
        Ok((verified, trust)) => {
            if verified.is_ok() {
                headers.put(ticket, header, trust);
            }
            Ok(verified)
        }
        // No such product here, or none that sells licenses: nobody here signed it.
        Err(problem) if problem.status == StatusCode::NOT_FOUND.as_u16() => {
            let found = product.chars().take(80).collect();
            Ok(Err(token::Error::Issuer { expected: "a product of this vendor".into(), found }))
        }
        Err(problem) => Err(problem),
    }
}

/// Which product's keys to try. Nothing of it is believed.
fn product_of(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claimed {
        product: String,
    }
    token::unverified::<Claimed>(text).map(|claimed| claimed.product)
}

/// The credential of a call: in the body, or as the bearer.
pub(crate) async fn credential(
    app: &App,
    headers: &HeaderMap,
    in_body: Option<&str>,
) -> Result<Held, Problem> {
    if let Some(text) = in_body {
        return find(app, text).await;
    }
    let bearer = identity::bearer(headers)?;
    match find(app, bearer).await {
        // A text that is no license key at all may be a credential of another kind.
        Err(problem) if problem.kind.ends_with(":license-key-malformed") => {
            Err(stranger(app, headers).await)
        }
        found => found,
    }
}

/// Why a caller without a license is refused: 403 with another credential, 401 with none.
pub(crate) async fn stranger(app: &App, headers: &HeaderMap) -> Problem {
    match identity::is_known(app, headers).await {
        Ok(()) => Problem::forbidden(
            "This operation is for whoever holds a license; use a license key or token.",
        ),
        Err(problem) => problem,
    }
}

/// A tenant's API key, or a license of it.
pub enum Customer {
    /// An API key.
    Key(Principal),
    /// A license key or token.
    License(LicenseHolder),
}

/// A license key or token that was presented as the bearer.
pub struct LicenseHolder(pub(crate) Held);

impl FromRequestParts<App> for Customer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let bearer = identity::bearer(&parts.headers)?;
        let dots = bearer.contains('.');
        if dots || LicenseKey::parse(bearer).is_ok() {
            let held = find(app, bearer).await.map_err(|problem| match problem.status {
                422 => Problem::unauthorized("The credential is not valid, or no longer."),
                _ => problem,
            })?;
            return Ok(Self::License(LicenseHolder(held)));
        }
        let key = identity::ApiKey::from_request_parts(parts, app).await?;
        Ok(Self::Key(key.0))
    }
}
