//! A request becomes a `.lic` bound to the instance that asked.

use tenure_catalog::Model;
use tenure_core::{LicenseId, TenantId};
use tenure_license::{
    LicenseClaims, LicenseKey,
    claims::Binding,
    file,
    instance::{Request, RequestKind},
};
use tenure_tenancy::TenantTx;

use super::{Exchanged, Scope, db, file_name, refused, says};
use crate::{
    App,
    call::Call,
    http::Problem,
    licensing::{
        db as licenses,
        instances::{self, Identity, Instance, InstanceStatus, db as known},
        issuing::whole_second,
        missing, reports, require_active,
        service::{
            activate::refuse_withheld,
            sign_with, slots,
            standing::{self, Standing},
        },
    },
    products::signing,
    trail::{self, Change},
};

/// Which license a request is for.
async fn find(
    app: &App,
    request: &Request,
    scope: Scope,
) -> Result<(TenantId, LicenseId), Problem> {
    let missing = || Problem::not_found("license for this request");
    let mut tx = app.db().auth().await?;
    let found = match (&request.license_key, request.license) {
        (Some(key), _) => {
            let key = LicenseKey::parse(key).map_err(|error| refused(format!("{error}.")))?;
            licenses::by_key(&mut tx, &key.lookup_digest(app.vault().pepper())).await?
        }
        // Without the key, only staff or its holder may say that the request is theirs.
        (None, Some(license)) => db::license_by_id(&mut tx, license).await?,
        (None, None) => scope.only(),
    };
    tx.commit().await?;
    let found = found.ok_or_else(missing)?;
    let consistent = request.license.is_none_or(|license| license == found.1);
    let mine = scope.only().is_none_or(|only| only == found);
    if consistent && mine { Ok(found) } else { Err(missing()) }
}

/// Issues a `.lic` that is bound to the instance that asked; the same one when it asks again.
pub(super) async fn answer(
    app: &App,
    call: &Call,
    request: &Request,
    scope: Scope,
) -> Result<Exchanged, Problem> {
    check(request)?;
    let (tenant, license) = find(app, request, scope).await?;
    let standing = standing::load(app, tenant, license).await?.ok_or_else(missing)?;
    require_active(&standing.license)?;
    refuse_withheld(&standing, call.now)?;
    let mut tx = app.db().tenant(tenant).await?;
    if !standing.lock(&mut tx).await? {
        return Err(Problem::unavailable("The license changes; try again."));
    }
    let before = known::lock_known(&mut tx, license, &Identity::Key(request.key)).await?;
    refuse(request, before.as_ref())?;
    if let Some(instance) = &before
        && let Some(token) = db::answered(&mut tx, instance.id, &request.jti).await?
    {
        return told(&standing, request, instance, &token, None);
    }
    let mut instance = match before.clone() {
        Some(instance) => instance,
        None => {
            let place = standing.license.deployment_id;
            let identity = Identity::Key(request.key);
            instances::fresh(&mut tx, license, place, identity, call.now).await?
        }
    };
    let over = slots::take(&mut tx, &standing, Some(instance.id), call.now).await?;
    let token = bound(app, &mut tx, call, &standing, &instance).await?;
    describe(&mut instance, request, call);
    hold(&mut instance, &standing, &token);
    match &before {
        Some(_) => known::update(&mut tx, &instance).await?,
        None => known::insert(&mut tx, &instance).await?,
    }
    db::remember(&mut tx, license, request, instance.id, &token, call.now).await?;
    let shown = serde_json::json!({
        "license": license, "revision": standing.license.revision, "name": request.name,
        "until": standing.claims().exp,
    });
    let change = Change::created("instance.file_issued", instance.id, &shown);
    trail::record(app, &mut tx, call, change).await?;
    let warning = match over {
        Some(over) => {
            Some(slots::overage(app, &mut tx, call, &standing, instance.id, over).await?.message)
        }
        None => None,
    };
    let told = told(&standing, request, &instance, &token, warning)?;
    tx.commit().await?;
    Ok(told)
}

fn check(request: &Request) -> Result<(), Problem> {
    let bounded = [
        ("jti", request.jti.len(), 100),
        ("name", request.name.chars().count(), 200),
        ("k8s_cluster_uid", request.k8s_cluster_uid.as_ref().map_or(0, String::len), 100),
        ("agent_version", request.agent_version.len(), 100),
    ];
    match bounded.into_iter().find(|(_, length, max)| length > max) {
        Some((field, _, max)) => {
            Err(refused(format!("`{field}` is longer than {max} characters.")))
        }
        None if request.jti.is_empty() => Err(refused("The request has no name (`jti`).")),
        None => Ok(()),
    }
}

fn refuse(request: &Request, before: Option<&Instance>) -> Result<(), Problem> {
    if before.is_some_and(|instance| instance.status == InstanceStatus::Quarantined) {
        let detail = "The instance is quarantined because a copy of it was found. Make a new request with \
                      `tenure-agent request export --new-key`.";
        return Err(Problem::conflict("instance-quarantined", detail));
    }
    if request.kind == RequestKind::Renewal && before.is_none() {
        return Err(Problem::not_found("instance with this key; ask for an activation instead"));
    }
    Ok(())
}

/// The newest revision, for this instance alone.
async fn bound(
    app: &App,
    tx: &mut TenantTx,
    call: &Call,
    standing: &Standing,
    instance: &Instance,
) -> Result<String, Problem> {
    let claims = standing.claims();
    let binding =
        instance.public_key().map(|key| Binding { instance: instance.id, key: key.thumbprint() });
    let bound = LicenseClaims {
        iat: whole_second(call.now)?.max(claims.iat),
        jti: format!("{}.{}.{}", claims.license, claims.revision, instance.id),
        binding,
        receipt: reports::db::newest(tx, claims.license).await?.map(|id| id.to_string()),
        ..claims.clone()
    };
    let signer = signing::signer_for(app, tx, standing.situation.catalog.product_id).await?;
    sign_with(signer, bound).await
}

fn describe(instance: &mut Instance, request: &Request, call: &Call) {
    instance.take_up(call.now);
    if !request.name.is_empty() {
        instance.name = request.name.clone();
    }
    if request.k8s_cluster_uid.is_some() {
        instance.k8s_cluster_uid = request.k8s_cluster_uid.clone();
    }
    // What it says is the agent's version, which is better than none.
    instance.version.get_or_insert_with(|| request.agent_version.clone());
}

fn hold(instance: &mut Instance, standing: &Standing, token: &str) {
    instance.offline = true;
    instance.lease = Some(token.to_owned());
    // It answers no numbered call, so none gets it again.
    instance.lease_seq = None;
    instance.hold_until(standing.claims().exp);
}

/// The answer; of a file that was made before, what that file says.
fn told(
    standing: &Standing,
    request: &Request,
    instance: &Instance,
    token: &str,
    warning: Option<String>,
) -> Result<Exchanged, Problem> {
    let (tenant, license) = (&standing.situation.tenant, &standing.license);
    let claims = says(token)?;
    let mut warnings = Vec::new();
    let reported = instance.ledger_seq;
    let kept = request.ledger.map_or(0, |head| head.seq);
    if kept > reported {
        warnings.push(format!(
            "Ledger entries {} to {kept} have not been reported yet. The license is renewed all the same; ask \
             for `tenure-agent report export`.",
            reported + 1
        ));
    }
    if license.model != Model::AirGapped {
        warnings.push(format!(
            "The license is for the model {}; a file works there too, and holds its slot until it expires.",
            license.model
        ));
    }
    warnings.extend(warning);
    let name = match request.name.is_empty() {
        true => instance.id.to_string(),
        false => request.name.clone(),
    };
    let (revision, end) = (claims.revision, claims.exp.to_zoned(jiff::tz::TimeZone::UTC).date());
    Ok(Exchanged {
        kind: "request".into(),
        tenant_id: tenant.id,
        license_id: license.id,
        instance_id: instance.id,
        report_id: None,
        summary: format!("Revision {revision} of the license, for {name} alone, until {end}."),
        warnings,
        file_name: Some(file_name(&claims, &tenant.slug)),
        file: Some(file::write(token)),
    })
}
