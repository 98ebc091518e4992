//! Slices of quotas: asked for before they are needed, given back when they are not.
//!
//! A limit that blocks and that several instances share is used from slices
//! ([`crate::store`] keeps them). One is asked for when nothing is left at hand,
//! while the product waits a moment; the next one before the last is used up.
//! Refuses: to use a slice after its end, by the clock or by the time floor.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use rust_decimal::Decimal;
use tenure_api::{slices::Sliced, usage::Outcome};
use tenure_core::Quantity;
use tenure_license::{
    LicenseClaims,
    claims::{Limit, Over},
    enforcement::{self, Decision, Work},
    instance::{self, SliceAsked, SliceBack, SliceRequest, StatementKind},
};
use uuid::Uuid;

use super::{answers::problem, earlier, later};
use crate::{
    Agent, Error,
    error::Result,
    machine::Phase,
    quota,
    spool::{self, Reading},
    store::{Allowance, Consumed},
};

const PATH: &str = "/api/v1/quota/slices";
/// The next slice is asked for when less than this part of the largest is left.
const LOW: Decimal = Decimal::from_parts(4, 0, 0, false, 0);
/// A slice that was not used for so long is given back, in seconds.
const IDLE_SECONDS: i64 = 15 * 60;
/// How long a product waits for a slice.
const PATIENCE: Duration = Duration::from_secs(5);
/// For how long nobody asks again after there was none, in seconds.
const PAUSE_SECONDS: i64 = 5;
/// Slices that one request may need, because the first ones were too small.
const TRIES_MAX: usize = 3;

/// What is going on with slices; nothing that a restart may not forget.
#[derive(Debug, Default)]
pub struct Slicing {
    /// One asks at a time.
    asking: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Quotas of which the next slice is wanted, and how much is needed.
    wanted: BTreeMap<String, Quantity>,
    /// There was none, and why; until then nobody asks again.
    none: BTreeMap<String, (Timestamp, Lack)>,
    /// What the vendor last said was used, in the limit's unit.
    used: BTreeMap<String, Decimal>,
}

/// Why there is no slice.
#[derive(Debug, Clone)]
enum Lack {
    /// The quota is used up; in the vendor's words.
    Exceeded(String),
    /// The vendor was not reached, or gave none for another reason.
    Unreachable(String),
}

/// The answer to a product that wants to use something and have it recorded.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Used {
    /// Whether it is recorded and may go on.
    #[serde(flatten)]
    pub decision: Decision,
    /// `accepted`, or `duplicate` where it was recorded before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Left of slices in hand, in the unit of the events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<Decimal>,
}

impl Slicing {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Agent {
    /// Checks a quota and records the event, both or neither. `quantity` is what the quota's
    /// meter counts of the event.
    pub async fn consume(&self, id: &str, quantity: Quantity, event: &[u8]) -> Result<Used> {
        let (now, view) = (self.now(), self.view());
        let at = now.max(view.state.floor.unwrap_or(now));
        let ask = |question: &dyn Fn(&LicenseClaims, &tenure_license::Verdict) -> Decision| {
            view.ask(now, question)
        };
        let gate = ask(&|claims, verdict| enforcement::work(claims, verdict, Work::New));
        let limit = view.license.as_ref().and_then(|license| license.claims().limit(id).cloned());
        let Some(limit) = limit.filter(|_| gate.allowed) else {
            let one = Quantity::ONE;
            let no = |c: &LicenseClaims, v: &_| enforcement::limit(c, v, id, Quantity::ZERO, one);
            let decision = if gate.allowed { ask(&no) } else { gate };
            return Ok(Used { decision, outcome: None, left: None });
        };
        let event = self.readable(event, now)?;
        let shared = limit.over == Over::Block && limit.max.is_some() && self.http.is_some();
        if !shared {
            let decide = |used| view.ask(now, |c, v| enforcement::limit(c, v, id, used, quantity));
            let window_start =
                limit.per.map_or(Timestamp::UNIX_EPOCH, |per| quota::window_start(per, at));
            let allowance = Allowance::Here { quota: id, window_start, decide: Box::new(decide) };
            let max = self.settings.spool_max_bytes;
            let done = self.store.consume(at, event, quantity, allowance, max).await?;
            return answer(done, gate);
        }
        for _ in 0..TRIES_MAX {
            let max = self.settings.spool_max_bytes;
            let allowance = Allowance::Slice { quota: id };
            let done = self.store.consume(at, event.clone(), quantity, allowance, max).await?;
            if done != Consumed::Short {
                self.think_ahead(id, quantity, &done);
                return answer(done, gate);
            }
            if let Err(none) = self.patiently(id, quantity).await? {
                let used = self.slicing.state().used.get(id).copied().unwrap_or_default();
                let decision = view
                    .ask(now, |claims, verdict| refused(claims, verdict, id, &limit, used, &none));
                return Ok(Used { decision, outcome: None, left: None });
            }
        }
        Err(Error::refused("quota_changes", "the quota changes at this moment; ask again"))
    }

    fn readable(&self, event: &[u8], now: Timestamp) -> Result<crate::store::Incoming> {
        let read = spool::read(event, now)?.into_iter().next();
        match read.map(|Reading { event, .. }| event) {
            Some(Ok(event)) => Ok(event),
            Some(Err(refusal)) => Err(Error::refused(refusal.reason, refusal.detail)),
            None => Err(Error::refused("bad_event", "there is no event")),
        }
    }

    /// Has the loop ask for the next slice before this one is used up.
    fn think_ahead(&self, id: &str, quantity: Quantity, done: &Consumed) {
        let Consumed::Entered { left: Some(left), of: Some(of), .. } = done else { return };
        if *left * LOW < *of {
            self.slicing.state().wanted.insert(id.to_owned(), quantity);
            self.wake.notify_one();
        }
    }

    /// A slice, if one comes before the product's patience ends.
    async fn patiently(&self, id: &str, needed: Quantity) -> Result<std::result::Result<(), Lack>> {
        match tokio::time::timeout(PATIENCE, self.ask_for_slice(id, needed)).await {
            Ok(answer) => answer,
            Err(_) => {
                let none = Lack::Unreachable("no answer in time".to_owned());
                Ok(Err(self.there_is_none(id, none)))
            }
        }
    }

    fn there_is_none(&self, id: &str, lack: Lack) -> Lack {
        let until = later(self.now(), PAUSE_SECONDS);
        self.slicing.state().none.insert(id.to_owned(), (until, lack.clone()));
        lack
    }

    async fn ask_for_slice(
        &self,
        id: &str,
        needed: Quantity,
    ) -> Result<std::result::Result<(), Lack>> {
        let now = self.now();
        let said = self.slicing.state().none.get(id).cloned();
        if let Some((until, none)) = said
            && now < until
            && until <= later(now, PAUSE_SECONDS)
        {
            return Ok(Err(none));
        }
        let _one = self.slicing.asking.lock().await;
        // Whoever asked before may have got enough for all.
        let at = now.max(self.view().state.floor.unwrap_or(now));
        let left: Decimal =
            self.store.in_hand(id, at).await?.iter().map(|one| one.quantity - one.used).sum();
        if left >= needed.value() {
            return Ok(Ok(()));
        }
        self.slice(id, needed).await
    }

    /// Asks for one slice.
    async fn slice(&self, id: &str, needed: Quantity) -> Result<std::result::Result<(), Lack>> {
        let asked_at = self.now();
        let at = asked_at.max(self.view().state.floor.unwrap_or(asked_at));
        let fresh = Uuid::now_v7().simple().to_string();
        let name = self.store.asking(id, &fresh, at).await?;
        let ask = SliceAsked { slice: name.clone(), meter: id.to_owned(), needed };
        let came = match self.exchange(Some(ask), Vec::new()).await? {
            Ok(came) => came,
            Err(why) => {
                return Ok(Err(self.there_is_none(id, Lack::Unreachable(why))));
            }
        };
        if came.status == 200 {
            let sliced: Sliced = serde_json::from_slice(&came.body)
                .map_err(|error| Error::Server(format!("the answer cannot be read: {error}")))?;
            if let Some(slice) = sliced.slice.filter(|slice| slice.id == name) {
                // Counted from before it was asked for: never longer than the vendor holds it.
                let until = later(at, i64::from(slice.ends_in_seconds));
                self.store.sliced(&name, slice.quantity, until).await?;
                let mut state = self.slicing.state();
                state.none.remove(id);
                state.used.insert(id.to_owned(), slice.quota.used);
                return Ok(Ok(()));
            }
        }
        let (code, message) = problem(&came);
        tracing::info!(quota = id, code, message, "no slice of a quota");
        if (400..500).contains(&came.status) {
            self.store.forget_slices(&[name]).await?;
        }
        let none = match came.status {
            429 if code == "quota_exceeded" => Lack::Exceeded(message),
            _ => Lack::Unreachable(message),
        };
        Ok(Err(self.there_is_none(id, none)))
    }

    /// Sends a signed request; why no answer came, if none did.
    async fn exchange(
        &self,
        ask: Option<SliceAsked>,
        back: Vec<SliceBack>,
    ) -> Result<std::result::Result<super::HttpAnswer, String>> {
        let inner = self.inner.lock().await;
        let state = &inner.state;
        let (Some(http), Phase::Active, Some(instance), Some(held)) =
            (&self.http, state.phase, state.instance, &state.license)
        else {
            return Ok(Err("this installation is not activated".to_owned()));
        };
        let request = SliceRequest {
            aud: StatementKind::Slice.audience().into(),
            key: *inner.seed.public(),
            instance,
            license: held.license,
            iat: self.now(),
            ask,
            back,
        };
        let signed = instance::sign(&request, inner.seed.key())
            .map_err(|error| Error::refused(error.code(), error.to_string()))?;
        drop(inner);
        let body = serde_json::to_string(&request)
            .map_err(|error| Error::Damaged { what: "a request", why: error.to_string() })?;
        let came = http.slice(PATH, signed).await;
        let outcome = match &came {
            Ok(answer) => format!("HTTP {}", answer.status),
            Err(why) => why.clone(),
        };
        self.remember("slice", &format!("{}{PATH}", http.base()), &body, outcome).await?;
        Ok(came)
    }

    /// The loop's part: slices that will be needed, and those that are not any more.
    pub(super) async fn tend_slices(&self) -> Result<()> {
        if self.http.is_none() {
            return Ok(());
        }
        let wanted = std::mem::take(&mut self.slicing.state().wanted);
        for (id, needed) in wanted {
            let now = self.now();
            let paused = self.slicing.state().none.get(&id).is_some_and(|(until, _)| now < *until);
            if !paused {
                let _one = self.slicing.asking.lock().await;
                // That there is none is found out by whoever needs it.
                let _none = self.slice(&id, needed).await?;
            }
        }
        let now = self.now();
        let at = now.max(self.view().state.floor.unwrap_or(now));
        let back = self.store.slices_back(at, earlier(at, IDLE_SECONDS)).await?;
        if back.is_empty() {
            return Ok(());
        }
        let names: BTreeSet<String> = back.iter().map(|back| back.slice.clone()).collect();
        if let Ok(came) = self.exchange(None, back).await?
            && came.status == 200
        {
            let names: Vec<String> = names.into_iter().collect();
            self.store.forget_slices(&names).await?;
        }
        Ok(())
    }
}

fn answer(done: Consumed, gate: Decision) -> Result<Used> {
    Ok(match done {
        Consumed::Entered { said, left, .. } => {
            Used { decision: said.unwrap_or(gate), outcome: Some(Outcome::Accepted), left }
        }
        Consumed::Before(Outcome::Duplicate) => {
            Used { decision: gate, outcome: Some(Outcome::Duplicate), left: None }
        }
        Consumed::Before(_) => {
            let message = "this source and id were used before, for an event with other content";
            return Err(Error::refused("taking_conflict", message));
        }
        Consumed::Refused(decision) => Used { decision, outcome: None, left: None },
        Consumed::Short => {
            return Err(Error::refused("quota_changes", "the quota changes at this moment"));
        }
    })
}

/// The refusal: the vendor's own words, or the table's where the vendor was not reached.
fn refused(
    claims: &LicenseClaims,
    verdict: &tenure_license::Verdict,
    id: &str,
    limit: &Limit,
    used: Decimal,
    lack: &Lack,
) -> Decision {
    let used = Quantity::new(used).unwrap_or(Quantity::ZERO);
    // One more than everything never fits, so the table says what it says past the limit.
    let max = limit.max.unwrap_or(Quantity::ZERO).value() + Decimal::ONE;
    let more = Quantity::new(max).unwrap_or(Quantity::ONE);
    let decision = enforcement::limit(claims, verdict, id, used, more);
    let message = match lack {
        Lack::Exceeded(words) => words.clone(),
        Lack::Unreachable(why) => format!(
            "{} No part of it is at hand, and the license service gave none: {why}.",
            decision.message.unwrap_or_default()
        ),
    };
    Decision { message: Some(message), ..decision }
}
