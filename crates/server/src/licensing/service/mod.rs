//! The license service: what instances call (SPEC 5).
//!
//! Owns: activation, heartbeats, release and validation; who asks (a license
//! key, a license token, the signature of an instance); what this process
//! remembers of licenses and instances, and how often it may be asked.
//! Refuses: an answer that costs anything when it is asked for twice. Calls of
//! an instance are numbered and signed ([`proof`]); the same bytes get the same
//! lease. A lease is the only thing signed here, and only when it is renewed.

pub(crate) mod activate;
pub mod api;
mod entitlements;
pub(crate) mod heartbeat;
pub(crate) mod high_water;
pub(crate) mod holder;
mod keyless;
mod limits;
pub(crate) mod proof;
mod release;
mod signing;
pub(super) mod slots;
pub(crate) mod standing;
mod stats;
mod together;
mod validate;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use jiff::Timestamp;
use tenure_core::{InstanceId, LicenseId, ProductId, TenantId};
use tenure_license::{LicenseClaims, TrustSet, Verified};

use super::{instances, revocation::List};
use crate::cache::{Freshness, Guarded};

pub(super) use self::signing::{sign, sign_with};
pub(crate) use self::{entitlements::read as entitlements, holder::Customer};
use self::{limits::Limits, standing::Standing, together::Lanes};

/// Instances remembered at most: about 150 bytes each.
const INSTANCES_KNOWN_MAX: usize = 200_000;
/// Licenses remembered at most, with what they grant.
const STANDINGS_MAX: usize = 10_000;
/// License keys and tokens remembered at most.
const CREDENTIALS_MAX: usize = 10_000;
/// Headers of genuine tokens remembered at most: one a signing key, at most
/// [`tenure_license::token::HEADER_LEN_MAX`] long.
const HEADERS_MAX: usize = 256;
/// Products remembered at most.
const PRODUCTS_MAX: usize = 256;

/// A digest of a presented key or token.
type CredentialDigest = [u8; 32];

/// What a process remembers of licensing. Everything is forgotten within the
/// bound of [`crate::cache`] when it changes.
pub(crate) struct Service {
    pub(super) instances: Guarded<InstanceId, Arc<instances::db::Known>>,
    pub(super) standings: Guarded<LicenseId, Arc<Standing>>,
    pub(super) keys: Guarded<CredentialDigest, (TenantId, LicenseId)>,
    pub(super) tokens: Guarded<CredentialDigest, Arc<Verified<LicenseClaims>>>,
    /// Answers to validations, as they were sent.
    pub(super) validations: Guarded<CredentialDigest, validate::Answered>,
    /// The keys of products, by the product.
    pub(super) trust: Guarded<String, Arc<TrustSet>>,
    /// The same, by the headers of tokens that they verified.
    pub(super) trust_by_header: Guarded<String, Arc<TrustSet>>,
    pub(super) revocations: Guarded<ProductId, Option<Arc<List>>>,
    limits: Limits,
    lanes: Lanes,
    /// Licenses whose statistics changed since their marks were written, and when.
    unmarked: Mutex<HashMap<(TenantId, LicenseId), Timestamp>>,
}

impl Service {
    pub(crate) fn new(freshness: &Freshness, verified_tokens_max: usize) -> Self {
        Self {
            instances: Guarded::new(INSTANCES_KNOWN_MAX, freshness.clone()),
            standings: Guarded::new(STANDINGS_MAX, freshness.clone()),
            keys: Guarded::new(CREDENTIALS_MAX, freshness.clone()),
            tokens: Guarded::new(verified_tokens_max, freshness.clone()),
            validations: Guarded::new(verified_tokens_max, freshness.clone()),
            trust: Guarded::new(PRODUCTS_MAX, freshness.clone()),
            trust_by_header: Guarded::new(HEADERS_MAX, freshness.clone()),
            revocations: Guarded::new(PRODUCTS_MAX, freshness.clone()),
            limits: Limits::default(),
            lanes: Lanes::default(),
            unmarked: Mutex::default(),
        }
    }

    /// Forgets what is remembered of tenants. Which tokens are genuine does not change with them.
    pub(crate) fn forget_tenants(&self, tenants: &HashSet<TenantId>) {
        self.instances.forget(|_, known| tenants.contains(&known.tenant));
        self.standings.forget(|_, standing| tenants.contains(&standing.tenant));
        self.keys.forget(|_, (tenant, _)| tenants.contains(tenant));
        self.validations.forget(|_, known| tenants.contains(&known.tenant));
    }

    /// Forgets the revocation lists: something was perhaps taken back.
    pub(crate) fn forget_revocations(&self) {
        self.revocations.forget(|_, _| true);
        self.validations.forget(|_, _| true);
    }

    pub(crate) fn forget_everything(&self) {
        self.instances.forget(|_, _| true);
        self.standings.forget(|_, _| true);
        self.keys.forget(|_, _| true);
        self.tokens.forget(|_, _| true);
        self.validations.forget(|_, _| true);
        self.trust.forget(|_, _| true);
        self.trust_by_header.forget(|_, _| true);
        self.revocations.forget(|_, _| true);
    }
}
