//! `/console/tenants/{tenant}`: the frame of a tenant's pages, and its pages
//! about access and audit.

use askama::Template;
use axum::{extract::State, response::Response};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use tenure_core::{SubscriptionStatus, TenantStatus, UnitId};

use super::Bought;
use crate::{
    App,
    http::{Problem, Query},
    products,
    subscriptions::{
        self, Subscription,
        keys::{self, ApiKeyRecord, IssuedKey},
    },
    tenants::{
        Tenant,
        api::PathTenant,
        organisation::{self, Unit, UnitKind},
    },
    trail::{self, AuditEntry},
    web::{
        frame::{Frame, Section, page},
        session::SignedIn,
        words,
    },
};

/// Subscriptions named beside the tenant.
const NAMED_MAX: usize = 4;
/// Entries of an audit page.
const ENTRIES: i64 = 25;
/// Longest chain that is verified while a page is made.
const VERIFIED_MAX: i64 = 5_000;
/// Fields shown of one change.
const FIELDS_MAX: usize = 8;
/// Characters shown of one value.
const VALUE_LEN_MAX: usize = 80;

/// The pages of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Summary,
    Usage,
    Invoices,
    Deployments,
    Licenses,
    Access,
    Audit,
}

impl Tab {
    const ALL: [Self; 7] = [
        Self::Summary,
        Self::Usage,
        Self::Invoices,
        Self::Deployments,
        Self::Licenses,
        Self::Access,
        Self::Audit,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::Summary => "Summary",
            Self::Usage => "Usage and bill",
            Self::Invoices => "Invoices",
            Self::Deployments => "Deployments",
            Self::Licenses => "Licenses",
            Self::Access => "Access",
            Self::Audit => "Audit",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Summary => "",
            Self::Usage => "/usage",
            Self::Invoices => "/invoices",
            Self::Deployments => "/deployments",
            Self::Licenses => "/licenses",
            Self::Access => "/access",
            Self::Audit => "/audit",
        }
    }
}

pub(super) struct TabLink {
    pub(super) title: &'static str,
    pub(super) path: &'static str,
    pub(super) current: bool,
}

/// What stands above every page of a tenant.
pub(super) struct Head {
    pub(super) title: String,
    pub(super) tabs: Vec<TabLink>,
    pub(super) id: String,
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) status: String,
    pub(super) tone: &'static str,
    pub(super) since: String,
    pub(super) bought: Vec<Bought>,
    pub(super) can_suspend: bool,
    pub(super) can_resume: bool,
}

/// A tenant with its subscriptions, and the frame of its page.
pub(super) struct Opened {
    pub(super) tenant: Tenant,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) frame: Frame,
    pub(super) head: Head,
}

/// Reads what every page of a tenant needs.
pub(super) async fn open(
    app: &App,
    signed_in: &SignedIn,
    tenant: Tenant,
    tab: Tab,
) -> Result<Opened, Problem> {
    let frame = Frame::new(app, signed_in, Section::Tenants).await?;
    let mut subscriptions = subscriptions::list(app, tenant.id).await?;
    subscriptions.sort_by_key(|one| one.status == SubscriptionStatus::Cancelled);
    let mut bought = Vec::new();
    let current = subscriptions.iter().filter(|s| s.status != SubscriptionStatus::Cancelled);
    for subscription in current.take(NAMED_MAX) {
        let plan = plan_name(app, subscription).await?;
        bought.push(Bought::new(frame.mark(&subscription.product), plan, subscription.model));
    }
    let link = |one: Tab| TabLink { title: one.title(), path: one.path(), current: one == tab };
    let head = Head {
        title: tab.title().to_lowercase(),
        tabs: Tab::ALL.into_iter().map(link).collect(),
        id: tenant.id.to_string(),
        slug: tenant.slug.clone(),
        name: tenant.name.clone(),
        status: words::title(tenant.status.word()),
        tone: words::tone(tenant.status.word()),
        since: words::date(tenant.created_at, &words::zone(&tenant.time_zone)),
        bought,
        can_suspend: tenant.status == TenantStatus::Active,
        can_resume: tenant.status == TenantStatus::Suspended,
    };
    Ok(Opened { tenant, subscriptions, frame, head })
}

/// The plan's name for people.
pub(super) async fn plan_name(app: &App, subscription: &Subscription) -> Result<String, Problem> {
    let catalog = products::catalog_of(app, subscription).await?;
    let plan = catalog.product.plan(&subscription.plan);
    Ok(plan.map_or_else(|| subscription.plan.clone(), |plan| plan.name.clone()))
}

struct Issued {
    name: String,
    key: String,
}

struct KeyRow {
    id: String,
    name: String,
    hint: String,
    product: String,
    environment: &'static str,
    made: String,
    status: &'static str,
    tone: &'static str,
    note: Option<String>,
    can_revoke: bool,
}

/// One line of the tree; lists that end before it are counted.
struct Step {
    closes: usize,
    holds: bool,
    name: String,
    note: String,
}

#[derive(Template)]
#[template(path = "console/tenant-access.html")]
struct AccessPage {
    frame: Frame,
    head: Head,
    issued: Option<Issued>,
    can_make_key: bool,
    keys: Vec<KeyRow>,
    tree: Vec<Step>,
    tree_closes: usize,
}

/// `GET /console/tenants/{tenant}/access`
pub(in crate::web) async fn access(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
) -> Result<Response, Problem> {
    access_page(&app, &signed_in, tenant, None).await
}

/// The page, with the one sight of a key that was just made.
pub(super) async fn access_page(
    app: &App,
    signed_in: &SignedIn,
    tenant: Tenant,
    issued: Option<IssuedKey>,
) -> Result<Response, Problem> {
    let opened = open(app, signed_in, tenant, Tab::Access).await?;
    let keys = keys::list(app, opened.tenant.id).await?;
    let units = organisation::units(app, opened.tenant.id).await?;
    let (tree, tree_closes) = tree(&units);
    let now = app.now();
    page(&AccessPage {
        issued: issued.map(|issued| Issued { name: issued.key.name, key: issued.api_key }),
        can_make_key: opened
            .subscriptions
            .iter()
            .any(|one| one.status != SubscriptionStatus::Cancelled),
        keys: keys.into_iter().map(|key| key_row(key, &opened, now)).collect(),
        tree,
        tree_closes,
        frame: opened.frame,
        head: opened.head,
    })
}

fn key_row(key: ApiKeyRecord, opened: &Opened, now: Timestamp) -> KeyRow {
    let zone = words::zone(&opened.tenant.time_zone);
    let (status, tone, note) = match (key.revoked_at, key.expires_at) {
        (Some(at), _) => ("Revoked", "", Some(words::date(at, &zone))),
        (None, Some(at)) if at <= now => ("Expired", "", Some(words::date(at, &zone))),
        (None, Some(at)) => {
            let note = format!("works until {}", words::date_time(at, &zone));
            (if key.replaced_by.is_some() { "Rotating" } else { "Active" }, "warn", Some(note))
        }
        (None, None) => ("Active", "ok", None),
    };
    let of = opened.subscriptions.iter().find(|one| one.id == key.subscription_id);
    KeyRow {
        id: key.id.to_string(),
        name: key.name,
        hint: key.hint,
        product: of.map_or_else(String::new, |one| opened.frame.mark(&one.product).name),
        environment: key.environment.word(),
        made: words::date(key.created_at, &zone),
        can_revoke: !matches!(status, "Revoked" | "Expired"),
        status,
        tone,
        note,
    }
}

/// The units as a list of steps that a template can walk.
fn tree(units: &[Unit]) -> (Vec<Step>, usize) {
    fn walk(units: &[Unit], parent: Option<UnitId>, open: &mut usize, steps: &mut Vec<Step>) {
        for unit in units.iter().filter(|unit| unit.parent_id == parent) {
            let children = units.iter().filter(|child| child.parent_id == Some(unit.id)).count();
            let note = match unit.kind {
                UnitKind::BusinessUnit if children > 0 => format!("{children} inside"),
                UnitKind::BusinessUnit => "business unit".to_owned(),
                UnitKind::Team => "team".to_owned(),
            };
            let step = Step { closes: *open, holds: children > 0, name: unit.name.clone(), note };
            *open = 0;
            steps.push(step);
            if children > 0 {
                walk(units, Some(unit.id), open, steps);
                *open += 1;
            }
        }
    }
    let (mut open, mut steps) = (0, Vec::new());
    walk(units, None, &mut open, &mut steps);
    (steps, open)
}

/// Which part of the trail.
#[derive(Deserialize)]
pub(in crate::web) struct Before {
    before: Option<i64>,
}

struct FieldChange {
    field: String,
    before: Option<String>,
    after: Option<String>,
}

struct Entry {
    seq: i64,
    when: String,
    datetime: String,
    tone: &'static str,
    what: String,
    actor: String,
    target: String,
    changes: Vec<FieldChange>,
}

#[derive(Template)]
#[template(path = "console/tenant-audit.html")]
struct AuditPage {
    frame: Frame,
    head: Head,
    /// What is wrong with the chain, or how much of it was followed.
    finding: Option<String>,
    verified: String,
    entries: Vec<Entry>,
    digest: Option<String>,
    newest: bool,
    older: Option<i64>,
    zone: String,
}

/// `GET /console/tenants/{tenant}/audit`
pub(in crate::web) async fn audit(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
    Query(query): Query<Before>,
) -> Result<Response, Problem> {
    let opened = open(&app, &signed_in, tenant, Tab::Audit).await?;
    let id = opened.tenant.id;
    let mut entries = trail::list(&app, Some(id), query.before, ENTRIES + 1).await?;
    let more = i64::try_from(entries.len()).unwrap_or(0) > ENTRIES;
    entries.truncate(usize::try_from(ENTRIES).unwrap_or(usize::MAX));
    let newest = entries.first().map_or(0, |entry| entry.seq);
    let (finding, verified) = if newest <= VERIFIED_MAX {
        let found = trail::verify(&app, Some(id)).await?;
        (found.finding, words::counted(found.entries, "link"))
    } else {
        (None, "on request over the API".to_owned())
    };
    let zone = words::zone(&opened.tenant.time_zone);
    page(&AuditPage {
        finding,
        verified,
        digest: entries.first().filter(|_| query.before.is_none()).map(|e| e.hash.clone()),
        newest: query.before.is_none(),
        older: entries.last().filter(|_| more).map(|entry| entry.seq),
        entries: entries.into_iter().map(|entry| describe(entry, &zone)).collect(),
        zone: opened.tenant.time_zone,
        frame: opened.frame,
        head: opened.head,
    })
}

fn describe(entry: AuditEntry, zone: &jiff::tz::TimeZone) -> Entry {
    let last = entry.action.rsplit('.').next().unwrap_or_default();
    let tone = match last {
        "suspended" | "revoked" | "cancelled" | "deleted" | "quarantined" => "bad",
        "past_due" | "rotated" => "warn",
        "created" | "resumed" | "active" | "issued" | "restored" => "ok",
        _ => "",
    };
    Entry {
        seq: entry.seq,
        when: entry.at.to_zoned(zone.clone()).strftime("%-d %b, %H:%M").to_string(),
        datetime: entry.at.to_string(),
        tone,
        what: words::action(&entry.action),
        actor: entry.actor.map_or_else(|| "erased".to_owned(), |actor| words::actor(&actor)),
        changes: changed(&entry.before, &entry.after),
        target: entry.target,
    }
}

/// The fields that differ between two objects.
fn changed(before: &Value, after: &Value) -> Vec<FieldChange> {
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return Vec::new() };
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    names
        .filter(|name| *name != "updated_at" && before.get(*name) != after.get(*name))
        .take(FIELDS_MAX)
        .map(|name| FieldChange {
            field: words::title(name).to_lowercase(),
            before: before.get(name).and_then(shown),
            after: after.get(name).and_then(shown),
        })
        .collect()
}

fn shown(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut short: String = text.chars().take(VALUE_LEN_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    Some(short)
}

#[cfg(test)]
mod tests {
    use tenure_core::UnitId;

    use super::*;

    #[test]
    fn lists_of_the_tree_are_closed_as_often_as_they_are_opened() {
        let at = Timestamp::UNIX_EPOCH;
        let unit = |parent_id, name: &str| Unit {
            id: UnitId::new(at),
            parent_id,
            kind: UnitKind::BusinessUnit,
            name: name.to_owned(),
            created_at: at,
        };
        let top = unit(None, "Top");
        let inner = unit(Some(top.id), "Inner");
        let deep = unit(Some(inner.id), "Deep");
        let (steps, last) = tree(&[top, inner, deep, unit(None, "Other")]);
        let closes: Vec<usize> = steps.iter().map(|step| step.closes).collect();
        assert_eq!((closes, last), (vec![0, 0, 0, 2], 0));
    }
}
