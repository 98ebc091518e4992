//! Which jobs and schedules there are. A capability adds its line here.

use std::{future::Future, pin::Pin};

use jiff::Timestamp;
use serde_json::Value;
use tenure_tenancy::VendorTx;

use super::tidy;
use crate::{App, billing, http::Problem, quotas, usage};

/// Something done again and again, on one process at a time.
pub(super) struct Schedule {
    pub(super) name: &'static str,
    pub(super) every_seconds: i64,
    pub(super) run: fn(App) -> Work,
}

/// What a schedule does; returns how many things it did.
pub(super) type Work = Pin<Box<dyn Future<Output = Result<u64, Problem>> + Send>>;

pub(super) const SCHEDULES: &[Schedule] = &[
    Schedule { name: "jobs.tidy", every_seconds: 24 * 3_600, run: |app| Box::pin(tidy(app)) },
    Schedule {
        name: "billing.first_periods",
        every_seconds: 3_600,
        run: |app| Box::pin(async move { billing::periods::open_missing(&app).await }),
    },
    Schedule {
        name: "billing.settlements",
        every_seconds: 3_600,
        run: |app| Box::pin(async move { billing::settlements::open_due(&app).await }),
    },
    Schedule {
        name: "usage.upkeep",
        every_seconds: 6 * 3_600,
        run: |app| {
            Box::pin(async move {
                let done = usage::retention::upkeep(&app, app.now()).await?;
                Ok(done.keys)
            })
        },
    },
    // Whoever is refused looks for parts that ran out at once; this is for the rest.
    Schedule {
        name: "quotas.expire",
        every_seconds: 60,
        run: |app| Box::pin(async move { quotas::expire(&app).await }),
    },
];

/// Queues what has become due. Returns how many.
pub(super) async fn find(app: &App) -> Result<u64, Problem> {
    billing::runs::find(app).await
}

/// Does a job.
pub(super) async fn run(app: &App, kind: &str, payload: Value) -> Result<(), Problem> {
    match kind {
        billing::runs::CLOSE => billing::close::job(app, payload).await,
        billing::runs::ISSUE => billing::invoices::issue_job(app, payload).await,
        other => Err(Problem::internal(format!("there is no job `{other}`"))),
    }
}

/// After jobs were finished.
pub(super) async fn finished(tx: &mut VendorTx, now: Timestamp) -> Result<(), Problem> {
    billing::runs::db::finish(tx, now).await
}
