//! `POST /api/v1/heartbeat`: an instance says that it runs, and hears what is
//! new.
//!
//! The common heartbeat is one statement: a compare-and-set on the number of the
//! call ([`db::beat`]), in a transaction that it shares with those of its tenant
//! that arrive with it ([`together`]). Everything else that it needs is
//! remembered. What is not the next call, or asks for a lease, goes the longer
//! way with the row locked ([`slowly`]).

use std::sync::Arc;

use jiff::Timestamp;
use tenure_api::licensing::{Beat, Heartbeat, Warning};
use tenure_core::InstanceId;
use tenure_license::{State, activation::sequence::Judgement};
use tenure_tenancy::TenantTx;

use super::{
    activate::{lease, quarantine},
    high_water,
    proof::{Proven, stale, unknown, warning},
    slots,
    slots::Slot,
    standing::{self, Standing},
    stats,
    together::{self, Next},
};
use crate::{
    App,
    call::{Actor, Call},
    http::{FieldError, Problem},
    licensing::{
        LicenseStatus, db as licenses,
        instances::{self, Instance, InstanceStatus, db},
        revocation::{self, List},
    },
    trail::{self, Change},
};

/// Longest version, in characters.
const VERSION_LEN_MAX: usize = 100;

/// A heartbeat that was checked, and what it is about.
pub(super) struct Heard<'a> {
    pub(super) standing: Arc<Standing>,
    pub(super) list: Option<Arc<List>>,
    pub(super) body: &'a Heartbeat,
    pub(super) now: Timestamp,
}

/// What became of a heartbeat.
#[derive(Default)]
pub(super) struct Outcome {
    /// `quarantined` or `released`; the license's state where it is neither.
    pub(super) instead: Option<&'static str>,
    pub(super) lease: Option<String>,
    pub(super) warnings: Vec<Warning>,
    pub(super) license_token: Option<String>,
}

pub(super) fn check(body: &Heartbeat) -> Result<(), Problem> {
    stats::check(&body.usage_stats)?;
    if body.version.as_ref().is_some_and(|version| version.chars().count() > VERSION_LEN_MAX) {
        let detail = format!("At most {VERSION_LEN_MAX} characters.");
        let error = FieldError { detail, pointer: "/version".to_owned() };
        return Err(Problem::invalid(vec![error]));
    }
    Ok(())
}

/// Who an instance is; 401 where nobody of that id has that key.
pub(super) async fn identify(app: &App, proven: &Proven) -> Result<Arc<db::Known>, Problem> {
    let id = proven.proof.instance.ok_or_else(unknown)?;
    let known = known(app, id).await?.ok_or_else(unknown)?;
    match known.public_key == Some(proven.proof.key) {
        true => Ok(known),
        false => Err(unknown()),
    }
}

/// Who an instance is, remembered.
pub(super) async fn known(app: &App, id: InstanceId) -> Result<Option<Arc<db::Known>>, Problem> {
    let cache = &app.licensing().instances;
    if let Some(known) = cache.get(&id) {
        return Ok(Some(known));
    }
    let ticket = cache.ticket();
    let mut tx = app.db().auth().await?;
    let found = db::known(&mut tx, id).await?.map(Arc::new);
    tx.commit().await?;
    if let Some(known) = &found {
        cache.put(ticket, id, known.clone());
    }
    Ok(found)
}

/// A heartbeat of an instance that shows its key.
pub(super) async fn proven(app: &App, proven: &Proven, body: &Heartbeat) -> Result<Beat, Problem> {
    let now = app.now();
    check(body)?;
    let known = identify(app, proven).await?;
    let id = proven.proof.instance.ok_or_else(unknown)?;
    let standing = standing::read(app, known.tenant, known.license).await?.ok_or_else(unknown)?;
    let list = revocation::current(app, standing.situation.catalog.product_id).await?;
    let heard = Heard { standing, list, body, now };
    let quick = match body.renew {
        true => None,
        false => quickly(app, &heard, proven, id).await?,
    };
    let outcome = match quick {
        Some(outcome) => outcome,
        None => slowly(app, &heard, proven, id).await?,
    };
    let mut beat = heard.answer(outcome, proven.next_nonce(app, id), true);
    beat.warnings.extend(proven.skew(now));
    Ok(beat)
}

/// The common path; `None` where it is not the next call of an active instance.
async fn quickly(
    app: &App,
    heard: &Heard<'_>,
    proven: &Proven,
    id: InstanceId,
) -> Result<Option<Outcome>, Problem> {
    let (standing, stats) = (&heard.standing, &heard.body.usage_stats);
    let beat = db::Beat {
        id,
        seq: proven.proof.seq,
        digest: proven.digest,
        stats: serde_json::to_value(stats).map_err(Problem::internal)?,
        version: heard.body.version.clone(),
        now: heard.now,
    };
    let next = Next { beat, nonce: proven.proof.nonce.clone() };
    let Some(changed) = together::write(app, standing.tenant, next).await? else {
        return Ok(None);
    };
    if changed {
        high_water::note(app, standing.tenant, standing.license.id, heard.now);
    }
    let mut outcome = Outcome::default();
    if heard.holds_an_older_revision() {
        let mut tx = app.db().tenant(standing.tenant).await?;
        outcome.license_token = heard.newer_revision(&mut tx).await?;
        tx.commit().await?;
    }
    Ok(Some(outcome))
}

/// With the row locked: a renewal, a call that is not the next, an instance that is not active.
async fn slowly(
    app: &App,
    heard: &Heard<'_>,
    proven: &Proven,
    id: InstanceId,
) -> Result<Outcome, Problem> {
    let standing = &heard.standing;
    let mut tx = app.db().tenant(standing.tenant).await?;
    // Slots are given out under the license's lock, and it is always taken before the instance's.
    let in_force = match heard.body.renew {
        true => licenses::lock(&mut tx, standing.license.id)
            .await?
            .is_some_and(|locked| locked.status == LicenseStatus::Active),
        false => !standing.is_revoked(),
    };
    let mut instance = db::lock(&mut tx, id).await?.ok_or_else(unknown)?;
    if instance.status == InstanceStatus::Quarantined {
        return Ok(in_quarantine());
    }
    match proven.judge(app, &instance) {
        Judgement::Next => {}
        Judgement::Ahead => tracing::info!(instance = %id, "calls were lost here"),
        Judgement::Late => return Err(stale()),
        Judgement::Repeat => {
            let license_token = heard.newer_revision(&mut tx).await?;
            return Ok(repeat(instance, proven, in_force, license_token));
        }
        Judgement::Fork => {
            quarantine(app, &mut tx, &instance, heard.now).await?;
            tx.commit().await?;
            return Ok(in_quarantine());
        }
    }
    let presented = proven.presented(app, &instance);
    instance.sequence.accept(&presented);
    if instance.status == InstanceStatus::Released {
        db::update(&mut tx, &instance).await?;
        tx.commit().await?;
        return Ok(Outcome { instead: Some("released"), ..Outcome::default() });
    }
    instance.last_seen_at = heard.now;
    instance.stats = heard.body.usage_stats.clone();
    if heard.body.version.is_some() {
        instance.version = heard.body.version.clone();
    }
    let mut outcome = Outcome::default();
    if heard.body.renew && in_force && standing.may_renew(heard.now) {
        renew(app, &mut tx, heard, proven, &mut instance, &mut outcome).await?;
    }
    outcome.license_token = heard.newer_revision(&mut tx).await?;
    db::update(&mut tx, &instance).await?;
    tx.commit().await?;
    high_water::note(app, standing.tenant, standing.license.id, heard.now);
    Ok(outcome)
}

fn in_quarantine() -> Outcome {
    let told = warning(
        "instance_quarantined",
        "Two copies of this instance use its key, so it gets no new lease. Nothing is stopped. Make \
         a new key pair and activate again, or ask the vendor.",
    );
    Outcome { instead: Some("quarantined"), warnings: vec![told], ..Outcome::default() }
}

/// The same call again: its answer was lost. The same lease, unless it was taken back since.
fn repeat(
    instance: Instance,
    proven: &Proven,
    in_force: bool,
    license_token: Option<String>,
) -> Outcome {
    let own = instance.lease_seq == Some(proven.proof.seq);
    let released = instance.status == InstanceStatus::Released;
    Outcome {
        instead: released.then_some("released"),
        lease: instance.lease.filter(|_| own && in_force && !released),
        license_token,
        ..Outcome::default()
    }
}

/// A new lease, if the slot is still its own, or there is one again.
async fn renew(
    app: &App,
    tx: &mut TenantTx,
    heard: &Heard<'_>,
    proven: &Proven,
    instance: &mut Instance,
    outcome: &mut Outcome,
) -> Result<(), Problem> {
    let (standing, now) = (&heard.standing, heard.now);
    if !instance.holds_slot(now) {
        let slot = slots::find(tx, standing, Some(instance.id), now).await?;
        let call = Call { now, ..app.call(Actor::Instance(instance.id)) };
        match slot {
            Slot::Granted => {}
            Slot::Overage { held, max } => {
                let over = (held, max);
                let told = slots::overage(app, tx, &call, standing, instance.id, over).await?;
                outcome.warnings.push(told);
            }
            Slot::Full(full) => {
                outcome.warnings.push(warning("no_free_slot", full.message()));
                return Ok(());
            }
        }
        let told = instances::told(instance, now);
        let change = Change::created("instance.activated", instance.id, &told);
        trail::record(app, tx, &call, change).await?;
    }
    let (token, until) = lease(app, standing, instance.id, proven, now).await?;
    instance.lease = Some(token.clone());
    instance.lease_seq = Some(proven.proof.seq);
    instance.hold_until(until);
    instance.offline = false;
    outcome.lease = Some(token);
    Ok(())
}

impl Heard<'_> {
    fn holds_an_older_revision(&self) -> bool {
        self.body.revision.is_some_and(|held| held < self.standing.claims().revision)
    }

    /// The newest license, where the instance holds an older one.
    pub(super) async fn newer_revision(
        &self,
        tx: &mut TenantTx,
    ) -> Result<Option<String>, Problem> {
        let license = &self.standing.license;
        if !self.holds_an_older_revision() || self.standing.is_revoked() {
            return Ok(None);
        }
        let found = licenses::token(tx, license.id, license.revision).await?;
        Ok(found.map(|(_, token)| token))
    }

    /// The newest revocation list, where an older one is held. Only an instance with a key pair
    /// that says nothing is taken to hold none: other clients perhaps do not care.
    fn newer_list(&self, follows: bool) -> Option<String> {
        let list = self.list.as_ref()?;
        let held = self.body.epoch.or(follows.then_some(0))?;
        (held < list.claims.epoch).then(|| list.token.clone())
    }

    pub(super) fn answer(&self, outcome: Outcome, nonce: String, follows: bool) -> Beat {
        let standing = &self.standing;
        let verdict = standing.verdict(self.list.as_deref(), self.now);
        let mut warnings = outcome.warnings;
        if let Some(notice) = &verdict.notice {
            warnings.push(warning(&format!("license_{}", verdict.reason.code()), notice.clone()));
        }
        if standing.situation.is_withheld(self.now) && !standing.is_revoked() {
            let message = "Access is withheld, so no lease is renewed. Contact the vendor.";
            warnings.push(warning("access_withheld", message));
        }
        let stats = &self.body.usage_stats;
        warnings.extend(stats::warnings(standing.claims(), &standing.watched, stats, self.now));
        // A license that was taken back is worth saying before anything about the instance.
        let instead = outcome.instead.filter(|_| verdict.state < State::Terminated);
        Beat {
            status: instead.unwrap_or_else(|| verdict.state.word()).to_owned(),
            warnings,
            nonce,
            heartbeat_seconds: standing.heartbeat_seconds(),
            at: self.now,
            lease: outcome.lease,
            license_token: outcome.license_token,
            revocations: self.newer_list(follows),
        }
    }
}
