//! What a license is worth now, as far as the vendor knows: read once, kept
//! until something about its tenant changes.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tenure_core::{LicenseId, TenantId};
use tenure_license::{
    LicenseClaims, TrustSet, Verdict, Verified,
    state::{self, Revocation},
    token,
};
use tenure_tenancy::TenantTx;

use super::stats::{self, Watched};
use crate::{
    App,
    http::Problem,
    licensing::{License, LicenseStatus, db, issuing::whole_second, revocation},
    products::{self, signing},
    subscriptions::entitlements::{Situation, known_situation},
};

/// A license with everything that calls of its instances depend on.
pub(crate) struct Standing {
    pub(crate) tenant: TenantId,
    pub(crate) license: License,
    /// The newest revision, which governs.
    pub(crate) newest: Verified<LicenseClaims>,
    pub(crate) situation: Arc<Situation>,
    /// Which statistic is held against which limit.
    pub(crate) watched: Vec<Watched>,
}

/// Shortest lease, in seconds: a product file that says less is read as this.
const LEASE_SECONDS_MIN: i64 = 60;

impl Standing {
    pub(crate) fn claims(&self) -> &LicenseClaims {
        self.newest.claims()
    }

    pub(crate) fn is_revoked(&self) -> bool {
        self.license.status == LicenseStatus::Revoked
    }

    /// Whether a lease may be signed: not taken back, and its subscription neither suspended nor over.
    pub(crate) fn may_renew(&self, now: Timestamp) -> bool {
        !self.is_revoked() && !self.situation.is_withheld(now)
    }

    /// Locks the license, under which slots are given out one by one. Whether it is still what
    /// this says: neither taken back nor renewed since.
    pub(crate) async fn lock(&self, tx: &mut TenantTx) -> Result<bool, Problem> {
        let locked = db::lock(tx, self.license.id).await?;
        Ok(locked.is_some_and(|locked| {
            locked.status == LicenseStatus::Active && locked.revision == self.license.revision
        }))
    }

    pub(crate) fn lease_seconds(&self) -> i64 {
        let lease = self.situation.catalog.product.license.lease.seconds();
        lease.unwrap_or(LEASE_SECONDS_MIN).max(LEASE_SECONDS_MIN)
    }

    /// When a lease ends that is signed at `now`; whole seconds, as tokens count.
    pub(crate) fn lease_end(&self, now: Timestamp) -> Result<(Timestamp, Timestamp), Problem> {
        let from = whole_second(now)?;
        let length = SignedDuration::from_secs(self.lease_seconds());
        Ok((from, from.checked_add(length).map_err(Problem::internal)?))
    }

    pub(crate) fn heartbeat_seconds(&self) -> u32 {
        let every = self.situation.catalog.product.license.heartbeat.seconds().unwrap_or(300);
        u32::try_from(every.max(1)).unwrap_or(u32::MAX)
    }

    /// What the vendor knows of a revision being taken back.
    pub(crate) fn revocation(
        &self,
        claims: &LicenseClaims,
        list: Option<&revocation::List>,
    ) -> Revocation {
        match (self.license.status, self.license.revoked_at) {
            (LicenseStatus::Revoked, at) => Revocation::Revoked(at.unwrap_or(claims.iat)),
            _ => list.map_or(Revocation::None, |list| list.claims.of(claims)),
        }
    }

    /// The state of the newest revision.
    pub(crate) fn verdict(&self, list: Option<&revocation::List>, now: Timestamp) -> Verdict {
        let revocation = self.revocation(self.claims(), list);
        state::evaluate(&state::Input { revocation, ..state::Input::new(&self.newest, now) })
    }
}

/// The standing of a license; `None` where there is no such license.
pub(crate) async fn read(
    app: &App,
    tenant: TenantId,
    license: LicenseId,
) -> Result<Option<Arc<Standing>>, Problem> {
    match app.licensing().standings.get(&license) {
        Some(known) if known.tenant == tenant => Ok(Some(known)),
        _ => load(app, tenant, license).await,
    }
}

/// The same from the database.
pub(crate) async fn load(
    app: &App,
    tenant: TenantId,
    id: LicenseId,
) -> Result<Option<Arc<Standing>>, Problem> {
    let cache = &app.licensing().standings;
    let ticket = cache.ticket();
    let mut tx = app.db().tenant(tenant).await?;
    let Some(license) = db::find(&mut tx, id).await? else { return Ok(None) };
    let Some((_, token)) = db::token(&mut tx, id, license.revision).await? else {
        return Ok(None);
    };
    tx.commit().await?;
    let situation = known_situation(app, tenant, license.subscription_id).await?;
    let newest = match genuine(app, &situation.catalog.product.id, &token).await?.0 {
        Ok(newest) => newest,
        Err(error) => return Err(not_ours(&error)),
    };
    let watched = stats::watched(&situation.catalog.product, newest.claims());
    let standing = Arc::new(Standing { tenant, license, newest, situation, watched });
    cache.put(ticket, id, standing.clone());
    Ok(Some(standing))
}

/// An imported license is signed by the installation that it comes from.
fn not_ours(error: &token::Error) -> Problem {
    let detail = format!(
        "The newest revision of this license was not signed here ({}). Ask the vendor to renew it.",
        error.code()
    );
    Problem::conflict("license-not-renewed", detail)
}

/// Whether a token is genuine, by the published keys of the product; and those keys.
pub(crate) async fn genuine(
    app: &App,
    product: &str,
    text: &str,
) -> Result<(Result<Verified<LicenseClaims>, token::Error>, Arc<TrustSet>), Problem> {
    let known = app.licensing().trust.get(&product.to_owned());
    let kept = known.is_some();
    let trust = match known {
        Some(trust) => trust,
        None => load_trust(app, product).await?,
    };
    let verified = token::verify::<LicenseClaims>(text, &trust);
    // A key that was made since the set was read.
    if kept && matches!(verified, Err(token::Error::UnknownKey(_))) {
        let trust = load_trust(app, product).await?;
        return Ok((token::verify::<LicenseClaims>(text, &trust), trust));
    }
    Ok((verified, trust))
}

async fn load_trust(app: &App, product: &str) -> Result<Arc<TrustSet>, Problem> {
    let cache = &app.licensing().trust;
    let ticket = cache.ticket();
    let catalog = products::latest(app, product).await?;
    let trust = Arc::new(signing::trust_set(app, &catalog).await?);
    cache.put(ticket, product.to_owned(), trust.clone());
    Ok(trust)
}
