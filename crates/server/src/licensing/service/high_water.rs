//! The most of each statistic that a license reported at once, a UTC month.
//!
//! A heartbeat whose statistics changed only notes its license; the marks are
//! raised every [`WRITE_EVERY`], one statement a license, so that a heartbeat
//! costs one update. Until then the statistics themselves are in the instances'
//! rows: what a server that dies has not written is written with the next change
//! under that license, unless the number fell meanwhile.

use std::time::Duration;

use jiff::Timestamp;
use tenure_core::{LicenseId, TenantId};
use tokio_util::sync::CancellationToken;

use super::{standing, stats};
use crate::{App, http::Problem, licensing::instances::db};

/// Time between two writings.
const WRITE_EVERY: Duration = Duration::from_secs(5);
/// Licenses noted at most; past it a heartbeat's change is not noted until some are written.
const NOTED_MAX: usize = 100_000;

/// Notes that a license's statistics changed.
pub(super) fn note(app: &App, tenant: TenantId, license: LicenseId, at: Timestamp) {
    let mut noted =
        app.licensing().unmarked.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if noted.len() < NOTED_MAX {
        noted.insert((tenant, license), at);
    }
}

/// Writes until told to stop, and once more then.
pub(crate) async fn run(app: App, stop: CancellationToken) {
    let mut interval = tokio::time::interval(WRITE_EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let stopping = tokio::select! {
            _ = interval.tick() => false,
            () = stop.cancelled() => true,
        };
        write_noted(&app).await;
        if stopping {
            return;
        }
    }
}

async fn write_noted(app: &App) {
    let noted = {
        let mut noted =
            app.licensing().unmarked.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        std::mem::take(&mut *noted)
    };
    for ((tenant, license), at) in noted {
        if let Err(problem) = write(app, tenant, license, at).await {
            tracing::warn!(detail = problem.detail, %license, "high-water marks were not written");
            if problem.status != axum::http::StatusCode::NOT_FOUND.as_u16() {
                note(app, tenant, license, at);
            }
        }
    }
}

/// Raises the marks of a license to what its instances reported in the month of `at`.
pub(crate) async fn write(
    app: &App,
    tenant: TenantId,
    license: LicenseId,
    at: Timestamp,
) -> Result<(), Problem> {
    let Some(standing) = standing::read(app, tenant, license).await? else {
        return Err(Problem::not_found("license"));
    };
    let kept = stats::kept(&standing.situation.catalog.product, &standing.watched);
    let mut tx = app.db().tenant(tenant).await?;
    db::raise_high_water(&mut tx, license, &kept, at, app.now()).await?;
    tx.commit().await?;
    Ok(())
}
