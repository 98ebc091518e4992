//! Ending a key: it is published no more, and nothing that it signed verifies.

use axum::http::StatusCode;
use tenure_core::SigningKeyId;

use super::{
    Catalog, SigningKey, SigningKeyStatus, db,
    model::{self, LivingLicense, WithdrawSigningKey, WithdrawnSigningKey},
};
use crate::{
    App,
    call::Call,
    http::Problem,
    idempotency,
    trail::{self, Change},
};

/// Licenses named at most, in an answer.
const NAMED_MAX: i64 = 100;
/// Licenses named at most, in a sentence.
const NAMED_IN_DETAIL_MAX: usize = 10;

/// Withdraws a retired key, or one that was scheduled and is not wanted any more.
pub async fn withdraw(
    app: &App,
    call: &Call,
    catalog: &Catalog,
    id: SigningKeyId,
    how: WithdrawSigningKey,
) -> Result<WithdrawnSigningKey, Problem> {
    let mut tx = app.db().vendor().await?;
    crate::products::db::lock_loading(&mut tx).await?;
    // Whoever is issuing with the key right now ends first, and is seen below.
    db::stop_signing(&mut tx).await?;
    let rows = db::of_product(&mut tx, catalog.product_id).await?;
    let keys = model::told(&rows, call.now);
    let before = keys.into_iter().find(|key| key.id == id);
    let before = before.ok_or_else(|| Problem::not_found("signing key"))?;
    refuse_needed(&before)?;
    let (count, licenses) = db::living_by(&mut tx, &before.kid, call.now, NAMED_MAX).await?;
    if count > 0 && !how.force {
        return Err(in_use(count, &licenses));
    }
    db::withdraw(&mut tx, id, call.now).await?;
    let key = SigningKey {
        status: SigningKeyStatus::Withdrawn,
        withdrawn_at: Some(call.now),
        ..before.clone()
    };
    let change = Change::updated("signing_key.withdrawn", id, &before, &key);
    trail::record(app, &mut tx, call, change).await?;
    let done = WithdrawnSigningKey { key, licenses_to_renew: count, licenses };
    idempotency::remember(app, &mut tx, call, StatusCode::OK, &done).await?;
    tx.commit().await?;
    app.signers().forget(|product, _| *product == catalog.product_id);
    Ok(done)
}

fn refuse_needed(key: &SigningKey) -> Result<(), Problem> {
    match key.status {
        SigningKeyStatus::Active => Err(Problem::conflict(
            "signing-key-active",
            "This key signs now. Put another in its place first (signing-keys/rotate).",
        )),
        SigningKeyStatus::Withdrawn => {
            Err(Problem::conflict("signing-key-withdrawn", "This key was withdrawn already."))
        }
        SigningKeyStatus::Scheduled | SigningKeyStatus::Retired => Ok(()),
    }
}

fn in_use(count: i64, licenses: &[LivingLicense]) -> Problem {
    let name = |one: &LivingLicense| format!("{} of {}", one.license, one.tenant);
    let named: Vec<String> = licenses.iter().take(NAMED_IN_DETAIL_MAX).map(name).collect();
    let more = usize::try_from(count).unwrap_or(usize::MAX).saturating_sub(named.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let licenses = if count == 1 { "license" } else { "licenses" };
    Problem::conflict(
        "signing-key-in-use",
        format!(
            "{count} {licenses} in force would not verify any more: {}{more}. Renew them first, so \
             that another key signs them. With `force` the key is withdrawn all the same, and \
             they stop verifying until they are renewed.",
            named.join(", ")
        ),
    )
}
