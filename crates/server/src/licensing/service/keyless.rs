//! Heartbeats of simple clients, which prove nothing: a license token, and the
//! id that the activation gave. They hold a slot for one lease length from
//! their last contact, and get no lease.

use tenure_api::licensing::{Beat, Heartbeat};
use tenure_core::InstanceId;
use tenure_license::Digest;

use super::{
    heartbeat::{Heard, Outcome, check, known},
    high_water,
    holder::Held,
    proof::{nonce, unknown, warning},
    slots,
    slots::Slot,
    standing,
};
use crate::{
    App,
    call::{Actor, Call},
    http::Problem,
    licensing::{
        db as licenses,
        instances::{self, InstanceStatus, db},
        revocation,
    },
    trail::{self, Change},
};

/// A heartbeat with a license token or key and, where it has one, the id of the instance.
pub(super) async fn heartbeat(app: &App, held: Held, body: &Heartbeat) -> Result<Beat, Problem> {
    let now = app.now();
    check(body)?;
    let standing = standing::read(app, held.tenant, held.license).await?.ok_or_else(unknown)?;
    let list = revocation::current(app, standing.situation.catalog.product_id).await?;
    let id = identify(app, &held, body.instance).await?;
    // What a token says of its revision needs no repeating.
    let revision = body.revision.or(held.token.as_ref().map(|token| token.claims().revision));
    let body = Heartbeat { revision, ..body.clone() };
    let heard = Heard { standing, list, body: &body, now };
    let outcome = match id {
        Some(id) => contact(app, &heard, id).await?,
        None => unnamed(app, &heard).await?,
    };
    let none = Digest::sha256(b"");
    let nonce = id.map(|id| nonce(app, id, 0, &none)).unwrap_or_default();
    Ok(heard.answer(outcome, nonce, false))
}

/// The instance that calls: the one that it names, or the only one of its kind.
async fn identify(
    app: &App,
    held: &Held,
    named: Option<InstanceId>,
) -> Result<Option<InstanceId>, Problem> {
    if let Some(id) = named {
        let known = known(app, id).await?.ok_or_else(unknown)?;
        // Whoever has a key pair shows it.
        let own = known.tenant == held.tenant && known.license == held.license;
        return if own && known.public_key.is_none() { Ok(Some(id)) } else { Err(unknown()) };
    }
    let mut tx = app.db().tenant(held.tenant).await?;
    let all = db::keyless(&mut tx, held.license, 2).await?;
    tx.commit().await?;
    Ok(match all.as_slice() {
        [only] => Some(*only),
        _ => None,
    })
}

/// Nobody knows which instance it is: it is answered, and nothing is written.
async fn unnamed(app: &App, heard: &Heard<'_>) -> Result<Outcome, Problem> {
    let mut tx = app.db().tenant(heard.standing.tenant).await?;
    let license_token = heard.newer_revision(&mut tx).await?;
    tx.commit().await?;
    let message = "Send the `instance` that the activation gave; this heartbeat was not counted.";
    let warnings = vec![warning("instance_unnamed", message)];
    Ok(Outcome { warnings, license_token, ..Outcome::default() })
}

async fn contact(app: &App, heard: &Heard<'_>, id: InstanceId) -> Result<Outcome, Problem> {
    let (standing, body, now) = (&heard.standing, heard.body, heard.now);
    let (stats, version) = (&body.usage_stats, body.version.as_deref());
    let mut tx = app.db().tenant(standing.tenant).await?;
    let until = match standing.may_renew(now) {
        true => standing.lease_end(now)?.1,
        false => now,
    };
    let mut outcome = Outcome::default();
    let changed = match db::contact(&mut tx, id.uuid(), stats, version, until, now).await? {
        Some(changed) => changed,
        None => {
            outcome = again(app, &mut tx, heard, id, until).await?;
            true
        }
    };
    outcome.license_token = heard.newer_revision(&mut tx).await?;
    tx.commit().await?;
    if changed {
        high_water::note(app, standing.tenant, standing.license.id, now);
    }
    Ok(outcome)
}

/// Its slot has ended or was taken: it gets another if there is one.
async fn again(
    app: &App,
    tx: &mut tenure_tenancy::TenantTx,
    heard: &Heard<'_>,
    id: InstanceId,
    until: jiff::Timestamp,
) -> Result<Outcome, Problem> {
    let (standing, now) = (&heard.standing, heard.now);
    licenses::lock(tx, standing.license.id).await?.ok_or_else(unknown)?;
    let mut instance = db::lock(tx, id).await?.ok_or_else(unknown)?;
    let mut outcome = Outcome::default();
    if instance.status == InstanceStatus::Released {
        outcome.instead = Some("released");
        return Ok(outcome);
    }
    instance.last_seen_at = now;
    instance.stats = heard.body.usage_stats.clone();
    if standing.may_renew(now) && !instance.holds_slot(now) {
        match slots::find(tx, standing, Some(id), now).await? {
            Slot::Full(full) => outcome.warnings.push(warning("no_free_slot", full.message())),
            slot => {
                instance.hold_until(until);
                let call = Call { now, ..app.call(Actor::Instance(id)) };
                if let Slot::Overage { held, max } = slot {
                    let over = (held, max);
                    let told = slots::overage(app, tx, &call, standing, id, over).await?;
                    outcome.warnings.push(told);
                }
                let told = instances::told(&instance, now);
                let change = Change::created("instance.activated", id, &told);
                trail::record(app, tx, &call, change).await?;
            }
        }
    }
    db::update(tx, &instance).await?;
    Ok(outcome)
}
