//! Usage on its way out: pages of the ledger, each answered by a signed receipt.

use jiff::Timestamp;
use serde::Serialize;
use tenure_api::licensing::ReportReceipt;
use tenure_core::LicenseId;
use tenure_license::{
    ReceiptClaims,
    chain::Head,
    instance::{ReportHead, StatementKind},
    ledger::{self, Line},
    token,
};

use super::{HttpAnswer, answers::problem, earlier, later};
use crate::{
    Agent, Error,
    agent::{Inner, random_u64},
    error::Result,
    machine::{self, Phase, Taken},
};

/// Usage is forwarded so often, in seconds.
pub const REPORT_SECONDS: i64 = 60;
/// Pages of one round; more wait for the next, so that heartbeats are not held up.
const PAGES_MAX: usize = 20;
/// Longest pause after failures, in seconds.
const PAUSE_SECONDS_MAX: i64 = 15 * 60;
const PAUSE_SECONDS_MIN: i64 = 5;
const PATH: &str = "/api/v1/reports";

/// Where the forwarding of usage stands; nothing that a restart may not forget.
#[derive(Debug, Default)]
pub struct Forwarding {
    due: Option<Timestamp>,
    failures: u32,
    /// The vendor has lost some: it gets again what follows this.
    again: Option<Again>,
    pub(super) verified_at: Option<Timestamp>,
}

/// Up to where entries were sent again.
#[derive(Debug, Clone, Copy)]
struct Again {
    after: Option<Head>,
}

/// A report that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Its text: the signed head and the entries.
    #[serde(skip)]
    pub text: String,
    /// First entry.
    pub first: u64,
    /// Last entry.
    pub through: u64,
}

enum Outcome {
    Counted,
    Nothing,
    Failed { retry_after: Option<i64> },
}

impl Agent {
    /// Forwards what is not counted yet, when it is time to. Returns when to look again.
    pub(super) async fn forward(&self, forwarding: &mut Forwarding) -> Result<Option<Timestamp>> {
        let now = self.now();
        if self.http.is_none() {
            return Ok(None);
        }
        // A clock that was set back must not put usage off.
        let due =
            forwarding.due.filter(|due| *due > now && *due < later(now, PAUSE_SECONDS_MAX * 2));
        if due.is_some() {
            return Ok(due);
        }
        let mut pause = REPORT_SECONDS;
        for _ in 0..PAGES_MAX {
            match self.forward_page(forwarding).await? {
                Outcome::Counted => forwarding.failures = 0,
                Outcome::Nothing => break,
                Outcome::Failed { retry_after } => {
                    forwarding.failures = forwarding.failures.saturating_add(1);
                    pause = retry_after.unwrap_or(0).max(backoff(forwarding.failures)?);
                    break;
                }
            }
        }
        forwarding.due = Some(later(now, pause.min(PAUSE_SECONDS_MAX)));
        Ok(forwarding.due)
    }

    async fn forward_page(&self, forwarding: &mut Forwarding) -> Result<Outcome> {
        let (Some(http), Some((report, through))) =
            (&self.http, self.page(forwarding.again).await?)
        else {
            return Ok(Outcome::Nothing);
        };
        let came = tokio::select! {
            came = http.report(PATH, report.text.clone()) => came,
            () = self.stop.cancelled() => return Ok(Outcome::Nothing),
        };
        let outcome = match &came {
            Ok(answer) => format!("HTTP {}", answer.status),
            Err(why) => why.clone(),
        };
        let to = format!("{}{PATH}", http.base());
        self.remember("report", &to, &report.text, outcome).await?;
        let answer = match came {
            Ok(answer) if answer.status == 200 || answer.status == 201 => answer,
            Ok(answer) => return self.report_refused(forwarding, &answer).await,
            Err(why) => {
                tracing::warn!(why, "usage could not be forwarded; it is kept");
                return Ok(Outcome::Failed { retry_after: None });
            }
        };
        match self.receipt(&answer.body, through).await {
            Ok(()) => {
                forwarding.again = self.further(forwarding.again, through).await?;
                Ok(Outcome::Counted)
            }
            Err(error) => {
                tracing::warn!(code = error.code(), %error, "the receipt is not believed");
                Ok(Outcome::Failed { retry_after: None })
            }
        }
    }

    /// The next page to be counted, signed; none when there is nothing, or nobody to say who.
    async fn page(&self, again: Option<Again>) -> Result<Option<(Written, Head)>> {
        let inner = self.inner.lock().await;
        if inner.state.phase != Phase::Active {
            return Ok(None);
        }
        let Some(row) = self.store.ledger().await? else { return Ok(None) };
        let after = again.map_or(row.counted, |again| again.after);
        let lines = self.store.lines(row.id, after.map_or(0, |head| head.seq)).await?;
        let Some(held) = &inner.state.license else { return Ok(None) };
        self.write(&inner, held.license, after, &lines)
    }

    /// From where to go on sending again; none once the counted end is reached.
    async fn further(&self, again: Option<Again>, through: Head) -> Result<Option<Again>> {
        let counted = self.store.ledger().await?.and_then(|row| row.counted);
        let behind = counted.is_some_and(|counted| through.seq < counted.seq);
        Ok(again.filter(|_| behind).map(|_| Again { after: Some(through) }))
    }

    /// A report of `lines`, which follow `after`.
    pub(crate) fn write(
        &self,
        inner: &Inner,
        license: LicenseId,
        after: Option<Head>,
        lines: &[Line],
    ) -> Result<Option<(Written, Head)>> {
        let (Some(first), Some(last)) = (lines.first(), lines.last()) else { return Ok(None) };
        let Some(instance) = inner.state.instance else { return Ok(None) };
        let head = ReportHead {
            aud: StatementKind::Report.audience().into(),
            key: *inner.seed.public(),
            instance,
            license,
            iat: self.now(),
            after,
            through: last.head(),
            receipt: inner.state.receipt.as_ref().map(|receipt| receipt.jti.clone()),
        };
        let text = ledger::write(&head, inner.seed.key(), lines)
            .map_err(|error| Error::refused(error.code(), error.to_string()))?;
        Ok(Some((Written { text, first: first.seq, through: last.seq }, last.head())))
    }

    async fn receipt(&self, body: &[u8], through: Head) -> Result<()> {
        let came: ReportReceipt = serde_json::from_slice(body)
            .map_err(|error| Error::refused("receipt_unreadable", error.to_string()))?;
        if came.rejected > 0 {
            tracing::warn!(rejected = came.rejected, "the vendor cannot count some events");
        }
        let counted = self.take_receipt(&came.receipt).await?;
        if counted.seq < through.seq {
            let message = format!("it counts up to {} of {}", counted.seq, through.seq);
            return Err(Error::refused("receipt_short", message));
        }
        Ok(())
    }

    /// Verifies a receipt and marks what it counts.
    pub(crate) async fn take_receipt(&self, receipt: &str) -> Result<Head> {
        let verified = token::verify::<ReceiptClaims>(receipt, &self.trust)
            .map_err(|error| Error::refused(error.code(), format!("the receipt: {error}")))?;
        let claims = verified.into_claims();
        let through = claims.through;
        let mut inner = self.inner.lock().await;
        if inner.state.instance != Some(claims.instance) {
            let message = "the receipt is for another instance";
            return Err(Error::refused("token_of_other_instance", message));
        }
        // First the ledger: it knows whether the receipt is about this history.
        self.store.counted(through, &claims.jti).await?;
        // What was sent again is counted again; the newer receipt stays.
        if inner.state.receipt.as_ref().is_some_and(|held| through.seq < held.through.seq) {
            return Ok(through);
        }
        let taken = Taken { token: receipt.to_owned(), claims };
        machine::take_receipt(&mut inner.state, taken)
            .map_err(|refusal| Error::refused(refusal.code(), refusal.to_string()))?;
        self.save(&mut inner).await?;
        Ok(through)
    }

    async fn report_refused(
        &self,
        forwarding: &mut Forwarding,
        answer: &HttpAnswer,
    ) -> Result<Outcome> {
        let (code, message) = problem(answer);
        tracing::warn!(code, message, status = answer.status, "the report was not taken");
        if answer.status == 409 && code.contains("fork") {
            let mut inner = self.inner.lock().await;
            machine::ledger_forked(&mut inner.state, self.now());
            self.save(&mut inner).await?;
        } else if answer.status == 409 && code.contains("gap") {
            // The vendor lost some (a restored backup): it gets all that is still here.
            let row = self.store.ledger().await?;
            forwarding.again = Some(Again { after: row.and_then(|row| row.pruned) });
        }
        let retry_after = answer.retry_after_seconds.and_then(|s| i64::try_from(s).ok());
        Ok(Outcome::Failed { retry_after })
    }

    /// Has the next round forward usage at once.
    pub async fn forward_now(&self) {
        self.stepping.lock().await.due = Some(earlier(self.now(), 1));
    }
}

/// Exponential with full jitter.
fn backoff(failures: u32) -> Result<i64> {
    let most = (PAUSE_SECONDS_MIN << failures.min(16)).min(PAUSE_SECONDS_MAX);
    let span = u64::try_from(most - PAUSE_SECONDS_MIN).unwrap_or(0);
    let more = i64::try_from(random_u64()? % (span + 1)).unwrap_or(0);
    Ok(PAUSE_SECONDS_MIN + more)
}
