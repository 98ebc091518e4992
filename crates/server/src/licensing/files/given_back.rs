//! A return frees the slot of an instance that says, signed, that it has stopped.

use serde_json::json;
use tenure_license::instance::Return;

use super::{Exchanged, Scope};
use crate::{
    App,
    call::Call,
    http::Problem,
    licensing::{
        db as licenses,
        instances::{self, Instance, InstanceStatus, db},
    },
    trail::{self, Change},
};

/// Frees the slot; again, it changes nothing.
pub(super) async fn take(
    app: &App,
    call: &Call,
    given: &Return,
    scope: Scope,
) -> Result<Exchanged, Problem> {
    let missing = || Problem::not_found("instance with the key of this return");
    let mut tx = app.db().auth().await?;
    let known = db::known(&mut tx, given.instance).await?;
    tx.commit().await?;
    let known = known.ok_or_else(missing)?;
    let mine = scope.only().is_none_or(|only| only == (known.tenant, known.license));
    if !mine || known.public_key != Some(given.key) || known.license != given.license {
        return Err(missing());
    }
    let mut tx = app.db().tenant(known.tenant).await?;
    licenses::lock(&mut tx, known.license).await?.ok_or_else(missing)?;
    let before = db::lock(&mut tx, given.instance).await?.ok_or_else(missing)?;
    let after = Instance {
        status: InstanceStatus::Released,
        released_at: before.released_at.or(Some(call.now)),
        returned: true,
        ..before.clone()
    };
    if after != before {
        db::update(&mut tx, &after).await?;
    }
    if before.status != InstanceStatus::Released {
        let was = instances::told(&before, call.now);
        let mut is = instances::told(&after, call.now);
        is["by"] = json!("return file");
        let change = Change::updated("instance.released", given.instance, &was, &is);
        trail::record(app, &mut tx, call, change).await?;
    }
    tx.commit().await?;
    let reported = before.ledger_seq;
    let kept = given.ledger.map_or(0, |head| head.seq);
    let unreported = (kept > reported).then(|| {
        format!(
            "Ledger entries {} to {kept} have not been reported; the last report is still owed.",
            reported + 1
        )
    });
    Ok(Exchanged {
        kind: "return".into(),
        tenant_id: known.tenant,
        license_id: known.license,
        instance_id: given.instance,
        report_id: None,
        summary: "The instance has given its license back; its slot is free.".into(),
        warnings: unreported.into_iter().collect(),
        file_name: None,
        file: None,
    })
}
