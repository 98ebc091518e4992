//! The running server's state, shared by every request and background task.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use jiff::{SignedDuration, Timestamp};
use tenure_catalog::Entitlements;
use tenure_core::{
    ApiKeyId, CatalogVersionId, Clock, ProductId, RequestId, SubscriptionId, TenantId,
};
use tenure_tenancy::Db;

use crate::{
    cache::{Freshness, Guarded},
    call::{Actor, Call},
    config::Config,
    http::Problem,
    identity::{Principal, StaffMember},
    licensing::service::Service,
    products::{
        Catalog,
        signing::{Opened, pkcs11},
    },
    subscriptions::entitlements::Situation,
    vault::{Key, Vault},
};

/// API keys remembered at most.
const PRINCIPALS_MAX: usize = 20_000;
/// Resolved entitlements remembered at most.
const ENTITLEMENTS_MAX: usize = 20_000;
/// Subscriptions remembered with their terms, at most.
const SITUATIONS_MAX: usize = 20_000;
/// Catalog versions remembered at most; they never change.
const CATALOGS_MAX: usize = 256;
/// Opened signing keys remembered at most.
const SIGNERS_MAX: usize = 64;
/// Tenants' trail keys remembered at most.
const TENANT_KEYS_MAX: usize = 10_000;

/// Vendor credentials remembered at most.
const STAFF_MAX: usize = 1_000;

/// A handle on the server's state; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    config: Config,
    db: Db,
    vault: Vault,
    signing_module: Option<Arc<pkcs11::Module>>,
    clock: Arc<dyn Clock>,
    clock_offset_ms: AtomicI64,
    started: Instant,
    freshness: Freshness,
    principals: Guarded<ApiKeyId, Principal>,
    entitlements: Guarded<(TenantId, SubscriptionId), Arc<Resolved>>,
    situations: Guarded<(TenantId, SubscriptionId), Arc<Situation>>,
    tenant_keys: Guarded<TenantId, Key>,
    signers: Guarded<ProductId, Opened>,
    staff: Guarded<[u8; 32], StaffMember>,
    licensing: Service,
    newest: Guarded<String, Arc<Catalog>>,
    catalogs: quick_cache::sync::Cache<CatalogVersionId, Arc<Catalog>>,
    metrics: crate::health::Metrics,
    archives: tokio::sync::Semaphore,
    jobs: tokio::sync::Notify,
    intake: crate::usage::intake::Intake,
}

/// Entitlements and the moment until which no date in them changes anything.
pub struct Resolved {
    /// What the subscription may do.
    pub entitlements: Entitlements,
    /// The same, as the API answers it.
    pub body: axum::body::Bytes,
    /// Entity tag of the body.
    pub etag: String,
    /// Why access is withheld, where it is.
    pub withheld: Option<String>,
    /// They hold before this moment.
    pub holds_until: Option<Timestamp>,
}

impl App {
    /// The state of a server on an opened database; with a security module, new signing
    /// keys are made in it.
    pub fn new(
        config: Config,
        db: Db,
        vault: Vault,
        signing_module: Option<pkcs11::Module>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let freshness = Freshness::default();
        Self(Arc::new(Inner {
            principals: Guarded::new(PRINCIPALS_MAX, freshness.clone()),
            entitlements: Guarded::new(ENTITLEMENTS_MAX, freshness.clone()),
            situations: Guarded::new(SITUATIONS_MAX, freshness.clone()),
            tenant_keys: Guarded::new(TENANT_KEYS_MAX, freshness.clone()),
            signers: Guarded::new(SIGNERS_MAX, freshness.clone()),
            staff: Guarded::new(STAFF_MAX, freshness.clone()),
            licensing: Service::new(&freshness, config.verified_tokens_max),
            newest: Guarded::new(CATALOGS_MAX, freshness.clone()),
            catalogs: quick_cache::sync::Cache::new(CATALOGS_MAX),
            metrics: crate::health::Metrics::default(),
            archives: tokio::sync::Semaphore::new(crate::offboarding::UNDER_WAY_MAX),
            jobs: tokio::sync::Notify::new(),
            intake: crate::usage::intake::Intake::default(),
            clock_offset_ms: AtomicI64::new(0),
            started: Instant::now(),
            config,
            db,
            vault,
            signing_module: signing_module.map(Arc::new),
            clock,
            freshness,
        }))
    }

    /// What the operator decided.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The way to transactions.
    pub fn db(&self) -> &Db {
        &self.0.db
    }

    /// The way to secrets.
    pub fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// The security module of signing keys, where the operator has one.
    pub(crate) fn signing_module(&self) -> Option<&Arc<pkcs11::Module>> {
        self.0.signing_module.as_ref()
    }

    /// Counters for Prometheus.
    pub fn metrics(&self) -> &crate::health::Metrics {
        &self.0.metrics
    }

    /// Admits bodies with usage.
    pub(crate) fn intake(&self) -> &crate::usage::intake::Intake {
        &self.0.intake
    }

    /// Admits exports and imports.
    pub(crate) fn archives(&self) -> &tokio::sync::Semaphore {
        &self.0.archives
    }

    /// Has the queue looked at now rather than at the next tick.
    pub(crate) fn wake_jobs(&self) {
        self.0.jobs.notify_one();
    }

    /// Ends when the queue should be looked at.
    pub(crate) async fn jobs_woken(&self) {
        self.0.jobs.notified().await;
    }

    /// When this process began.
    pub fn started(&self) -> Instant {
        self.0.started
    }

    /// The present moment; another than the machine's where a test clock says so.
    pub fn now(&self) -> Timestamp {
        let offset = SignedDuration::from_millis(self.0.clock_offset_ms.load(Ordering::Relaxed));
        self.0.clock.now().checked_add(offset).unwrap_or(Timestamp::MAX)
    }

    /// Takes over the clock of the database, before anything else asks for the time: milliseconds
    /// ahead of the machine's, below zero where a test began in the past.
    pub(crate) fn start_clock(&self, offset_ms: i64) {
        self.0.clock_offset_ms.store(offset_ms, Ordering::Relaxed);
    }

    /// How far a test moved the clock since, in milliseconds; it never goes back.
    pub(crate) fn set_clock_offset(&self, offset_ms: i64) {
        self.0.clock_offset_ms.fetch_max(offset_ms, Ordering::Relaxed);
    }

    /// Reads the offset of the test clock again, for another process moved it.
    pub(crate) async fn clock_moved(&self) -> Result<(), Problem> {
        crate::installation::refresh_clock(self).await
    }

    /// The circumstances of an operation that `actor` begins now.
    pub fn call(&self, actor: Actor) -> Call {
        let now = self.now();
        Call { actor, now, request: RequestId::new(now), once: None }
    }

    /// When every change was last seen.
    pub fn freshness(&self) -> &Freshness {
        &self.0.freshness
    }

    pub(crate) fn principals(&self) -> &Guarded<ApiKeyId, Principal> {
        &self.0.principals
    }

    pub(crate) fn entitlements_cache(&self) -> &Guarded<(TenantId, SubscriptionId), Arc<Resolved>> {
        &self.0.entitlements
    }

    pub(crate) fn situations(&self) -> &Guarded<(TenantId, SubscriptionId), Arc<Situation>> {
        &self.0.situations
    }

    pub(crate) fn tenant_keys(&self) -> &Guarded<TenantId, Key> {
        &self.0.tenant_keys
    }

    pub(crate) fn signers(&self) -> &Guarded<ProductId, Opened> {
        &self.0.signers
    }

    pub(crate) fn staff_cache(&self) -> &Guarded<[u8; 32], StaffMember> {
        &self.0.staff
    }

    /// What is remembered of licenses and their instances.
    pub(crate) fn licensing(&self) -> &Service {
        &self.0.licensing
    }

    /// The newest version of each product, by slug.
    pub(crate) fn newest_catalogs(&self) -> &Guarded<String, Arc<Catalog>> {
        &self.0.newest
    }

    pub(crate) fn catalogs(&self) -> &quick_cache::sync::Cache<CatalogVersionId, Arc<Catalog>> {
        &self.0.catalogs
    }

    /// The key of the vendor's own trail.
    pub(crate) fn vendor_trail_key(&self) -> Key {
        Key::from_slice(&self.0.vault.digest("vendor trail key", b"v1"))
            .expect("a digest has the 32 bytes of a key")
    }

    /// Forgets what is cached of a tenant: call it after committing a change.
    pub fn forget_tenant(&self, tenant: TenantId) {
        self.forget_tenants(&HashSet::from([tenant]));
        self.0.licensing.forget_revocations();
    }

    /// Forgets what is cached of tenants, going once through each cache.
    pub(crate) fn forget_tenants(&self, tenants: &HashSet<TenantId>) {
        self.0.principals.forget(|_, principal| tenants.contains(&principal.tenant));
        self.0.entitlements.forget(|(of, _), _| tenants.contains(of));
        self.0.situations.forget(|(of, _), _| tenants.contains(of));
        self.0.tenant_keys.forget(|of, _| tenants.contains(of));
        self.0.licensing.forget_tenants(tenants);
    }

    /// Forgets everything that can change.
    pub fn forget_everything(&self) {
        self.0.staff.forget(|_, _| true);
        self.0.newest.forget(|_, _| true);
        self.0.principals.forget(|_, _| true);
        self.0.entitlements.forget(|_, _| true);
        self.0.situations.forget(|_, _| true);
        self.0.tenant_keys.forget(|_, _| true);
        self.0.signers.forget(|_, _| true);
        self.0.licensing.forget_everything();
    }
}
