//! What was taken back, as signed lists a product: how an installation without
//! a connection to us learns of it.
//!
//! Owns: the entries ([`withdraw`], in the transaction that takes something
//! back), and the newest list of each product ([`current`]). A list is signed
//! when what it says has changed and somebody asks; its number only rises.
//! Refuses: dropping an entry that still matters. A list with more entries than
//! readers take is not signed: the last one stays, and the log says so; online,
//! every revocation holds all the same.

pub mod api;
mod db;

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use tenure_core::{LicenseId, ProductId};
use tenure_license::{
    Digest, RevocationsClaims,
    claims::{WITHDRAWN_MAX, Withdrawn},
    token::{self, Kind, Payload, issuer},
};
use tenure_tenancy::TenantTx;

use super::{issuing::whole_second, service::sign};
use crate::{App, http::Problem, products};

/// Days for which an entry stays on the list after nothing of it can be valid any more:
/// clocks of installations lag.
pub const MARGIN_DAYS: i64 = 30;

/// A signed list.
#[derive(Debug)]
pub struct List {
    /// What it says.
    pub claims: RevocationsClaims,
    /// The token.
    pub token: String,
}

/// Enters a license into its product's list, in the transaction that takes it back:
/// the whole license, or only revisions lower than `below`.
///
/// `forget_after`: from then on nothing of it can be valid, see [`forget_after`].
pub(crate) async fn withdraw(
    tx: &mut TenantTx,
    product: ProductId,
    license: LicenseId,
    below: Option<u64>,
    at: Timestamp,
    forget_after: Timestamp,
) -> Result<(), Problem> {
    db::insert(tx, product, license, below, at, forget_after).await
}

/// From when on no revision of a license can be valid: its end and its time of grace, and a margin.
pub(crate) async fn forget_after(
    tx: &mut TenantTx,
    license: LicenseId,
) -> Result<Timestamp, Problem> {
    let end = db::last_end(tx, license).await?;
    Ok(end.saturating_add(SignedDuration::from_hours(24 * MARGIN_DAYS)).unwrap_or(Timestamp::MAX))
}

/// The newest list of a product; `None` while nothing was ever taken back.
pub(crate) async fn current(app: &App, product: ProductId) -> Result<Option<Arc<List>>, Problem> {
    let cache = &app.licensing().revocations;
    if let Some(known) = cache.get(&product) {
        return Ok(known);
    }
    let ticket = cache.ticket();
    let list = bring_up_to_date(app, product).await?.map(Arc::new);
    cache.put(ticket, product, list.clone());
    Ok(list)
}

/// Signs a new list where what was taken back has changed.
async fn bring_up_to_date(app: &App, product: ProductId) -> Result<Option<List>, Problem> {
    let now = app.now();
    let slug = products::latest(app, &product.to_string()).await?.product.id.clone();
    let mut tx = app.db().vendor().await?;
    let stored = db::stored(&mut tx, product).await?;
    let entries = merge(db::entries(&mut tx, product, now, limit()).await?);
    if is_current(stored.as_ref(), &entries) {
        tx.commit().await?;
        return stored.map(|stored| stored.list(&slug, entries)).transpose();
    }
    // Two servers that see the change sign one after the other, and the second has nothing to do.
    db::lock_product(&mut tx, product).await?;
    let stored = db::stored(&mut tx, product).await?;
    let entries = merge(db::entries(&mut tx, product, now, limit()).await?);
    if is_current(stored.as_ref(), &entries) {
        tx.commit().await?;
        return stored.map(|stored| stored.list(&slug, entries)).transpose();
    }
    if entries.len() > WITHDRAWN_MAX {
        tx.commit().await?;
        tracing::error!(
            product = slug,
            entries = entries.len(),
            max = WITHDRAWN_MAX,
            "the revocation list is full: installations without a connection hear of nothing newer"
        );
        // Better the old list than one that lacks something.
        return stored.map(|stored| stored.into_last_list()).transpose();
    }
    // Never behind the clock: a database restored from a backup must not number anew what is
    // already about.
    let clock = u64::try_from(now.as_second()).unwrap_or(0);
    let epoch = clock.max(stored.as_ref().map_or(0, |stored| stored.epoch) + 1);
    let content = digest(&entries);
    let claims = RevocationsClaims {
        iss: issuer(&slug),
        aud: Kind::Revocations.audience().to_owned(),
        iat: whole_second(now)?,
        product: slug,
        epoch,
        withdrawn: entries,
    };
    let token = sign(app, product, claims.clone()).await?;
    db::store(&mut tx, product, epoch, content.as_bytes(), &token, now).await?;
    tx.commit().await?;
    tracing::info!(product = claims.product, epoch, "signed a revocation list");
    Ok(Some(List { claims, token }))
}

/// One more than a list holds: whether it is too long.
fn limit() -> i64 {
    // A license may have several entries; what is read is bounded all the same.
    i64::try_from(WITHDRAWN_MAX * 4).unwrap_or(i64::MAX)
}

fn is_current(stored: Option<&db::Stored>, entries: &[Withdrawn]) -> bool {
    match stored {
        Some(stored) => stored.content == digest(entries).as_bytes(),
        None => entries.is_empty(),
    }
}

fn digest(entries: &[Withdrawn]) -> Digest {
    let text = serde_json::to_vec(entries).unwrap_or_default();
    Digest::sha256(&text)
}

/// Each license and bound once, at its earliest; beside a whole license its revisions say nothing.
fn merge(entries: Vec<Withdrawn>) -> Vec<Withdrawn> {
    let mut earliest: BTreeMap<(LicenseId, Option<u64>), Timestamp> = BTreeMap::new();
    for entry in entries {
        // As tokens count.
        let at = Timestamp::from_second(entry.at.as_second()).unwrap_or(entry.at);
        let first = earliest.entry((entry.license, entry.below)).or_insert(at);
        *first = at.min(*first);
    }
    let whole = |license: LicenseId| earliest.contains_key(&(license, None));
    earliest
        .iter()
        .filter(|((license, below), _)| below.is_none() || !whole(*license))
        .map(|((license, below), at)| Withdrawn { license: *license, below: *below, at: *at })
        .collect()
}

impl db::Stored {
    /// The stored token, which says `entries`.
    fn list(self, slug: &str, entries: Vec<Withdrawn>) -> Result<List, Problem> {
        let claims = RevocationsClaims {
            iss: issuer(slug),
            aud: Kind::Revocations.audience().to_owned(),
            iat: whole_second(self.signed_at)?,
            product: slug.to_owned(),
            epoch: self.epoch,
            withdrawn: entries,
        };
        claims.check().map_err(Problem::internal)?;
        Ok(List { claims, token: self.token })
    }

    /// The stored token, read for what it says: it was signed here.
    fn into_last_list(self) -> Result<List, Problem> {
        let claims = token::unverified(&self.token);
        let claims = claims.ok_or_else(|| Problem::internal("the stored list is a token"))?;
        Ok(List { claims, token: self.token })
    }
}

/// Deletes entries that have left the lists. Returns how many.
pub async fn expire(app: &App) -> Result<u64, Problem> {
    let mut tx = app.db().vendor().await?;
    let gone = db::delete_before(&mut tx, app.now()).await?;
    tx.commit().await?;
    if gone > 0 {
        app.licensing().forget_revocations();
    }
    Ok(gone)
}

/// The list of a product named in a path.
pub async fn published(app: &App, product: &str) -> Result<Arc<List>, Problem> {
    let catalog = products::latest(app, product).await?;
    let list = current(app, catalog.product_id).await?;
    list.ok_or_else(|| Problem::not_found("revocation list: nothing was taken back"))
}

/// Takes a whole license back, from now.
pub(super) async fn withdraw_whole(
    tx: &mut TenantTx,
    license: LicenseId,
    at: Timestamp,
) -> Result<(), Problem> {
    let product = db::product_of(tx, license).await?.ok_or_else(super::missing)?;
    let forget_after = forget_after(tx, license).await?;
    withdraw(tx, product, license, None, at, forget_after).await
}

/// Whether a license that this database does not know was taken back; for tenants that are deleted.
pub(crate) fn of_unknown(
    list: Option<&List>,
    license: &tenure_license::LicenseClaims,
) -> tenure_license::state::Revocation {
    use tenure_license::state::Revocation;
    match list.map(|list| list.claims.of(license)) {
        Some(Revocation::Revoked(at)) => Revocation::Revoked(at),
        _ => Revocation::Revoked(license.iat),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn withdrawn(license: u128, below: Option<u64>, second: i64) -> Withdrawn {
        let license = LicenseId::from_uuid(uuid::Uuid::from_u128(license));
        Withdrawn { license, below, at: at(second) }
    }

    #[test]
    fn each_license_and_bound_is_listed_once_at_its_earliest() {
        let entries = vec![
            withdrawn(2, Some(3), 50),
            withdrawn(1, None, 30),
            withdrawn(1, None, 20),
            withdrawn(1, Some(2), 10),
            withdrawn(2, Some(2), 40),
        ];
        let expected =
            [withdrawn(1, None, 20), withdrawn(2, Some(2), 40), withdrawn(2, Some(3), 50)];
        assert_eq!(merge(entries), expected);
    }

    #[test]
    fn the_order_of_entries_changes_nothing() {
        let entries = vec![withdrawn(2, None, 50), withdrawn(1, None, 30)];
        let reversed = entries.iter().rev().copied().collect();
        assert_eq!(digest(&merge(entries)), digest(&merge(reversed)));
    }
}
