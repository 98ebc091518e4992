//! What a license says, derived from what its subscription may do: nothing in
//! it is typed by hand.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use tenure_catalog::{
    Entitlements, Model, Product, Terms, billable, deployment, entitlements::LimitNow, plan,
    resolve,
};
use tenure_core::{
    Interval, LicenseId, Quantity, SubscriptionId, SubscriptionStatus, TenantStatus,
};
use tenure_license::{
    LicenseClaims,
    claims::{
        Cap, Customer, DeploymentModel, Edition, Entitlements as Readable, Limit, Over, Per,
        Supersedes,
    },
    enforcement::{Action, Enforcement},
    state::ExpiryPolicy,
    token::{Kind, issuer},
};
use tenure_tenancy::TenantTx;

use crate::{
    App,
    deployments::Deployment,
    http::Problem,
    products::{self, Catalog},
    subscriptions::{self, Subscription},
    tenants::{self, Tenant},
};

/// Allocations that count people, in the order in which `seats` takes them.
const SEATS: [&str; 2] = ["seats", "users"];
const DAY_SECONDS: u32 = 24 * 60 * 60;
/// Claims that tell revisions apart and grant nothing.
const NOT_GRANTED: [&str; 9] =
    ["iat", "nbf", "exp", "jti", "revision", "supersedes", "update_until", "binding", "receipt"];

/// Everything that a license of a subscription depends on.
pub(super) struct Grant {
    pub(super) tenant: Tenant,
    pub(super) subscription: Subscription,
    /// The version whose terms the subscription is on.
    pub(super) catalog: Arc<Catalog>,
    terms: Terms,
}

/// Which revision of which license.
pub(super) struct Issue {
    pub(super) license: LicenseId,
    pub(super) revision: i32,
    pub(super) at: Timestamp,
    pub(super) expires_at: Timestamp,
    /// From when the revision before no longer counts.
    pub(super) supersede_at: Timestamp,
}

impl Grant {
    /// For a model and, where the license is bound to one, a deployment.
    pub(super) async fn read(
        app: &App,
        tx: &mut TenantTx,
        id: SubscriptionId,
        model: Model,
        deployment: Option<&Deployment>,
    ) -> Result<Self, Problem> {
        let missing = || Problem::not_found("subscription");
        let subscription = subscriptions::db::find(tx, id).await?.ok_or_else(missing)?;
        let tenant = tenants::db::read(tx).await?;
        let mut terms = subscriptions::terms(tx, &subscription, &tenant).await?;
        terms.model = model;
        if let Some(mode) = deployment.and_then(|deployment| deployment.mode.clone()) {
            terms.mode = Some(mode);
        }
        let catalog = products::catalog_of(app, &subscription).await?;
        let tenant = tenant.ok_or_else(missing)?;
        Ok(Self { tenant, subscription, catalog, terms })
    }

    /// Refuses what is withheld, and what has no price yet (SPEC 12).
    pub(super) fn require_sold(&self, now: Timestamp) -> Result<(), Problem> {
        let subscription = &self.subscription;
        let withheld = matches!(
            subscription.status,
            SubscriptionStatus::Suspended | SubscriptionStatus::Cancelled
        );
        if withheld || self.tenant.status != TenantStatus::Active {
            let detail = format!(
                "The tenant is {}, the subscription {}; only an active one gets licenses.",
                self.tenant.status, subscription.status
            );
            return Err(Problem::conflict("access-withheld", detail));
        }
        if subscription.status == SubscriptionStatus::Trial {
            return Ok(());
        }
        billable(&self.catalog.product, &self.terms, now).map_err(|error| {
            let detail = format!(
                "{error}. Add what was agreed: POST /api/v1/admin/tenants/{}/subscriptions/{}/contracts.",
                self.tenant.slug, subscription.id
            );
            Problem::conflict("needs-contract", detail)
        })
    }

    /// What the subscription may do at a moment.
    pub(super) fn entitlements(&self, at: Timestamp) -> Result<Entitlements, Problem> {
        resolve(&self.catalog.product, &self.terms, at).map_err(subscriptions::not_resolved)
    }

    /// The claims of a revision.
    pub(super) fn claims(&self, issue: &Issue) -> Result<LicenseClaims, Problem> {
        let product = &self.catalog.product;
        let granted = self.entitlements(issue.at)?;
        let limits: BTreeMap<String, Limit> =
            granted.limits.iter().map(|now| (now.id.clone(), self.limit(now))).collect();
        let support = granted.support.as_ref().and_then(|support| support.response);
        let customer = self.customer();
        let revision = u64::try_from(issue.revision).map_err(Problem::internal)?;
        Ok(LicenseClaims {
            iss: issuer(&product.id),
            sub: customer.id.clone(),
            aud: Kind::License.audience().to_owned(),
            iat: issue.at,
            nbf: None,
            exp: issue.expires_at,
            jti: format!("{}.{revision}", issue.license),
            customer,
            edition: edition(granted.edition),
            seats: seats(&limits),
            features: granted.features.clone(),
            offline_grace_period_days: product.license.offline_grace_days,
            // Where there is no network nobody can phone home.
            phone_home_required: product.license.phone_home_required
                && granted.model != Model::AirGapped,
            entitlements: Readable::derive(
                &granted.plan,
                &granted.features,
                support.map(|length| length.hours()),
                &limits,
            ),
            license: issue.license,
            revision,
            product: product.id.clone(),
            subscription: self.subscription.id,
            model: model(granted.model),
            mode: granted.mode.clone(),
            update_until: Some(issue.expires_at),
            values: values(&granted)?,
            limits,
            expiry_policy: policy(product.license.expiry),
            supersedes: (revision > 1)
                .then(|| Supersedes { revision: revision - 1, at: issue.supersede_at }),
            binding: None,
            receipt: None,
            enforcement: Some(enforcement(product, &granted.features)),
            sales_contact: Some(product.sales_contact.clone())
                .filter(|contact| !contact.is_empty()),
        })
    }

    fn customer(&self) -> Customer {
        let email = self.tenant.contact_email.as_deref().unwrap_or_default();
        let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
        Customer {
            id: self.tenant.id.to_string(),
            name: self.tenant.name.clone(),
            domain: domain.to_ascii_lowercase(),
        }
    }

    fn limit(&self, now: &LimitNow) -> Limit {
        let per = now.per.map(|per| match (per, self.subscription.interval) {
            (plan::Per::Day, _) => Per::Day,
            (plan::Per::Month, _) | (plan::Per::Period, Interval::Month) => Per::Month,
            (plan::Per::Period, Interval::Year) => Per::Year,
        });
        let over = match now.over {
            plan::Over::Block => Over::Block,
            plan::Over::Warn => Over::Warn,
            plan::Over::Charge { .. } => Over::Charge,
            plan::Over::TrueUp { .. } => Over::TrueUp,
        };
        let unit = Some(now.unit.clone()).filter(|unit| !unit.is_empty());
        Limit { max: now.included, per, over, unit, warn_at: now.warn_at.clone() }
    }
}

/// The product file's table; only features that are missing need a status.
fn enforcement(product: &Product, granted: &[String]) -> Enforcement {
    let states = product.license.states;
    let missing = product.features.iter().filter(|feature| !granted.contains(&feature.id));
    Enforcement {
        expiring: action(states.expiring),
        grace: action(states.grace),
        restricted: action(states.restricted),
        terminated: action(states.terminated),
        missing: missing.map(|feature| (feature.id.clone(), feature.missing)).collect(),
    }
}

fn action(action: deployment::StateAction) -> Action {
    match action {
        deployment::StateAction::Allow => Action::Allow,
        deployment::StateAction::Warn => Action::Warn,
        deployment::StateAction::Banner => Action::Banner,
        deployment::StateAction::BlockNew => Action::BlockNew,
        deployment::StateAction::Block => Action::Block,
    }
}

/// How many people may use it; unlimited where the product does not count people.
fn seats(limits: &BTreeMap<String, Limit>) -> Cap {
    let counted: Option<Option<Quantity>> =
        SEATS.iter().find_map(|id| limits.get(*id)).map(|limit| limit.max);
    counted.map_or(Cap::UNLIMITED, Cap::of_quantity)
}

/// The plan's settings, its rate and the add-ons held.
fn values(granted: &Entitlements) -> Result<BTreeMap<String, serde_json::Value>, Problem> {
    let mut values = BTreeMap::new();
    if let Some(rate) = granted.rate {
        values.insert("rate".to_owned(), rate.to_string().into());
    }
    if !granted.add_ons.is_empty() {
        values.insert("add_ons".to_owned(), granted.add_ons.clone().into());
    }
    for setting in &granted.values {
        let value = serde_json::to_value(&setting.value).map_err(Problem::internal)?;
        values.insert(setting.id.clone(), value);
    }
    Ok(values)
}

fn edition(edition: deployment::Edition) -> Edition {
    match edition {
        deployment::Edition::Standard => Edition::Standard,
        deployment::Edition::Enterprise => Edition::Enterprise,
        deployment::Edition::Government => Edition::Government,
    }
}

fn model(model: Model) -> DeploymentModel {
    match model {
        Model::Managed => DeploymentModel::Managed,
        Model::Byoi => DeploymentModel::Byoi,
        Model::SelfHosted => DeploymentModel::SelfHosted,
        Model::AirGapped => DeploymentModel::AirGapped,
    }
}

fn policy(expiry: deployment::Expiry) -> ExpiryPolicy {
    ExpiryPolicy {
        warn_before_seconds: expiry.warn_before_days.saturating_mul(DAY_SECONDS),
        full_until_seconds: expiry.full_until_days.saturating_mul(DAY_SECONDS),
        restricted_until_seconds: expiry.restricted_until_days.saturating_mul(DAY_SECONDS),
    }
}

/// The claims in which two grants differ, dates and numbers of revisions aside.
pub(super) fn differences(issued: &serde_json::Value, now: &serde_json::Value) -> Vec<String> {
    let (Some(issued), Some(now)) = (issued.as_object(), now.as_object()) else {
        return Vec::new();
    };
    let names: std::collections::BTreeSet<&String> = issued.keys().chain(now.keys()).collect();
    names
        .into_iter()
        .filter(|name| !NOT_GRANTED.contains(&name.as_str()))
        .filter(|name| issued.get(*name) != now.get(*name))
        .cloned()
        .collect()
}
