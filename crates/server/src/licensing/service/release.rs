//! `POST /api/v1/release`: an instance gives its slot back.

use serde_json::json;
use tenure_api::licensing::{Release, Released};
use tenure_license::activation::sequence::Judgement;

use super::{
    activate::quarantine,
    heartbeat::identify,
    proof::{Proven, stale, unknown},
};
use crate::{
    App,
    call::{Actor, Call},
    http::Problem,
    licensing::instances::{self, Instance, InstanceStatus, db},
    trail::{self, Change},
};

/// Longest reason, in characters.
const REASON_LEN_MAX: usize = 500;

/// Gives the slot back: it is free at once, although the token stays genuine until its end.
pub(super) async fn release(
    app: &App,
    proven: &Proven,
    body: Release,
) -> Result<Released, Problem> {
    let now = app.now();
    if body.reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON_LEN_MAX) {
        return Err(Problem::field("/reason", format!("At most {REASON_LEN_MAX} characters.")));
    }
    let known = identify(app, proven).await?;
    let id = proven.proof.instance.ok_or_else(unknown)?;
    let mut tx = app.db().tenant(known.tenant).await?;
    let before = db::lock(&mut tx, id).await?.ok_or_else(unknown)?;
    let done = || Ok(Released { status: InstanceStatus::Released.word().to_owned() });
    if before.status == InstanceStatus::Quarantined {
        // One of the copies cannot give back what the other still uses.
        return Ok(Released { status: InstanceStatus::Quarantined.word().to_owned() });
    }
    match proven.judge(app, &before) {
        Judgement::Next | Judgement::Ahead => {}
        Judgement::Repeat => return done(),
        Judgement::Late => return Err(stale()),
        Judgement::Fork => {
            quarantine(app, &mut tx, &before, now).await?;
            tx.commit().await?;
            return Ok(Released { status: InstanceStatus::Quarantined.word().to_owned() });
        }
    }
    let mut after = Instance {
        status: InstanceStatus::Released,
        released_at: before.released_at.or(Some(now)),
        returned: true,
        last_seen_at: now,
        ..before.clone()
    };
    let presented = proven.presented(app, &before);
    after.sequence.accept(&presented);
    db::update(&mut tx, &after).await?;
    if before.status != InstanceStatus::Released {
        let call = Call { now, ..app.call(Actor::Instance(id)) };
        let mut is = instances::told(&after, now);
        is["reason"] = json!(body.reason);
        let change = Change::updated("instance.released", id, &instances::told(&before, now), &is);
        trail::record(app, &mut tx, &call, change).await?;
    }
    tx.commit().await?;
    done()
}
