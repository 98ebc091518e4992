//! The license of a running product.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicI64, Ordering},
    },
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use serde_json::Value;
use tenure_core::{Quantity, clock::Clock};
use tenure_license::{
    LeaseClaims, LicenseClaims, RevocationsClaims, State, TrustSet, Verdict, Verified,
    enforcement::{self, Decision, Work},
    state::{Contact, Input, Revocation, evaluate},
    token,
};

use crate::{
    Builder, Error, Grant,
    source::Source,
    state_file::{Kept, StateFile},
    usage::Recorder,
    worker::Worker,
};

/// How often the state file is written while nothing else happens, in seconds.
const SAVE_SECONDS: i64 = 60 * 60;

/// The license of a running product. Cheap to clone; a clone is the same license.
#[derive(Clone)]
pub struct Tenure {
    core: Arc<Core>,
    worker: Option<Worker>,
}

/// What the thread and all clones share.
pub(crate) struct Core {
    trust: TrustSet,
    pub(crate) source: Option<Source>,
    clock: Arc<dyn Clock>,
    state_file: Option<StateFile>,
    pub(crate) usage: Option<Recorder>,
    current: ArcSwap<Judged>,
    /// The latest moment that is known to have passed, in seconds.
    floor: AtomicI64,
    saved: AtomicI64,
    /// One at a time replaces `current`.
    changing: Mutex<()>,
}

/// A license with all that is known about it.
struct Held {
    token: String,
    license: Verified<LicenseClaims>,
    features: HashSet<String>,
    revocations: Option<RevocationsClaims>,
    taken_back: Revocation,
    contact: Contact,
}

/// What it is worth, from `verdict.as_of` until `until`.
struct Judged {
    held: Arc<Held>,
    verdict: Verdict,
    until: i64,
    new_work: bool,
}

impl Tenure {
    /// The way in.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn start(
        trust: TrustSet,
        token: Option<String>,
        source: Option<Source>,
        state_file: Option<StateFile>,
        origin: String,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let kept = state_file.as_ref().map(StateFile::read).unwrap_or_default();
        let floor = AtomicI64::new(kept.floor);
        let worker = source.as_ref().map(|_| Worker::start()).transpose()?;
        let grant = match (&token, &source, &worker) {
            (Some(token), ..) => Grant { license: Some(token.clone()), ..Grant::default() },
            (None, Some(source), Some(worker)) => {
                first(worker, source.clone(), clock.now(), kept.license)?
            }
            _ => return Err(Error::Missing),
        };
        let follows = source.as_ref().is_some_and(Source::follows_contact);
        let held = Arc::new(Held::of(&trust, grant, None, follows, &floor)?);
        let judged = judge(held, clock.now(), &floor);
        let usage = source.as_ref().is_some_and(Source::takes_usage).then(|| Recorder::new(origin));
        let core = Arc::new(Core {
            trust,
            source,
            clock,
            state_file,
            usage,
            current: ArcSwap::from_pointee(judged),
            floor,
            saved: AtomicI64::new(0),
            changing: Mutex::new(()),
        });
        core.save();
        if let Some(worker) = &worker {
            worker.tend(Arc::downgrade(&core));
        }
        Ok(Self { core, worker })
    }

    /// Whether a feature is granted and new work not refused: the same as
    /// `feature(..).allowed`, without the words. This is the fastest question.
    pub fn allows(&self, feature: &str) -> bool {
        let judged = self.core.judged();
        judged.new_work && judged.held.features.contains(feature)
    }

    /// Whether a feature may be used now.
    pub fn feature(&self, feature: &str) -> Decision {
        let judged = self.core.judged();
        enforcement::feature(judged.claims(), &judged.verdict, feature)
    }

    /// Whether `more` fits on top of `used`, for a limit by its id.
    pub fn limit(
        &self,
        limit: &str,
        used: impl Into<Quantity>,
        more: impl Into<Quantity>,
    ) -> Decision {
        let judged = self.core.judged();
        enforcement::limit(judged.claims(), &judged.verdict, limit, used.into(), more.into())
    }

    /// Whether work of a kind may go on now.
    pub fn work(&self, work: Work) -> Decision {
        let judged = self.core.judged();
        enforcement::work(judged.claims(), &judged.verdict, work)
    }

    /// How much works.
    pub fn state(&self) -> State {
        self.core.judged().verdict.state
    }

    /// The state with its reason, its end and what to tell people.
    pub fn verdict(&self) -> Verdict {
        self.core.judged().verdict.clone()
    }

    /// What to tell people now, if anything.
    pub fn notice(&self) -> Option<String> {
        self.core.judged().verdict.notice.clone()
    }

    /// What was granted, to whom, and until when.
    pub fn claims(&self) -> LicenseClaims {
        self.core.judged().claims().clone()
    }

    /// Records usage in the background; the event's id, or `None` when it was not taken (nowhere to
    /// send it, or the queue is full). Never waits.
    pub fn record(&self, kind: &str, data: Option<Value>) -> Option<String> {
        self.core.usage.as_ref()?.record(kind, data, self.core.clock.now())
    }

    /// Uses a part of a quota and records it, both or neither: the agent beside decides and writes
    /// the event down in one step. `quantity` is what the quota's meter counts of the event. `id`
    /// names what is counted, so that asking again after a lost answer counts once. Waits for the
    /// agent's answer.
    pub fn consume(
        &self,
        quota: &str,
        quantity: impl Into<Quantity>,
        kind: &str,
        data: Option<Value>,
        id: Option<&str>,
    ) -> Result<Decision, Error> {
        let (Some(worker), Some(Source::Agent(agent)), Some(usage)) =
            (&self.worker, &self.core.source, &self.core.usage)
        else {
            return Err(Error::AgentMissing);
        };
        let event = usage.event(kind, data, self.core.clock.now(), id);
        let (agent, quota, quantity) = (agent.clone(), quota.to_owned(), quantity.into());
        worker.run(move || Box::pin(async move { agent.consume(&quota, quantity, &event).await }))
    }

    /// Events that wait to be sent, and events that were not taken since the start.
    pub fn usage_standing(&self) -> (usize, u64) {
        self.core.usage.as_ref().map_or((0, 0), |usage| (usage.waiting(), usage.refused()))
    }

    /// Asks agent or server now, and waits for the answer. What is held stays when that fails.
    pub fn refresh(&self) -> Result<(), Error> {
        let Some(worker) = &self.worker else { return Ok(()) };
        let core = self.core.clone();
        worker.run(move || Box::pin(async move { core.refresh().await }))
    }

    /// Sends the usage that waits, and waits until it is taken. Call it before the end.
    pub fn flush(&self) -> Result<(), Error> {
        let Some(worker) = &self.worker else { return Ok(()) };
        let core = self.core.clone();
        core.save();
        worker.run(move || {
            Box::pin(async move {
                match (&core.usage, &core.source) {
                    (Some(usage), Some(source)) => usage.flush(source).await,
                    _ => Ok(()),
                }
            })
        })
    }
}

/// The first grant; the license kept from before when nobody can be reached.
fn first(
    worker: &Worker,
    source: Source,
    now: Timestamp,
    kept: Option<String>,
) -> Result<Grant, Error> {
    match worker.run(move || Box::pin(async move { source.fetch(None, now).await })) {
        Err(error @ (Error::Unreachable(_) | Error::Refused { .. })) => match kept {
            Some(license) => Ok(Grant { license: Some(license), ..Grant::default() }),
            None => Err(error),
        },
        other => other,
    }
}

impl Core {
    /// The current answer: read without a lock, made anew when its time is over or the clock went
    /// back.
    fn judged(&self) -> arc_swap::Guard<Arc<Judged>> {
        let now = self.clock.now();
        let second = now.as_second();
        let judged = self.current.load();
        let seen = self.floor.load(Ordering::Relaxed);
        if second < seen || second >= judged.until || judged.verdict.clock_suspect {
            return self.judge_anew(now);
        }
        // Written once a second at most, so that readers on other cores keep their cache lines.
        if second > seen {
            self.floor.fetch_max(second, Ordering::Relaxed);
            if second - self.saved.load(Ordering::Relaxed) >= SAVE_SECONDS {
                self.save();
            }
        }
        judged
    }

    fn judge_anew(&self, now: Timestamp) -> arc_swap::Guard<Arc<Judged>> {
        let _one = self.changing();
        let held = self.current.load().held.clone();
        self.current.store(Arc::new(judge(held, now, &self.floor)));
        if (now.as_second() - self.saved.load(Ordering::Relaxed)).abs() >= SAVE_SECONDS {
            self.save();
        }
        self.current.load()
    }

    pub(crate) async fn refresh(&self) -> Result<(), Error> {
        let Some(source) = &self.source else { return Ok(()) };
        let held = self.current.load().held.clone();
        let revision = held.license.claims().revision;
        let grant = source.fetch(Some((&held.token, revision)), self.clock.now()).await?;
        let _one = self.changing();
        let current = self.current.load().held.clone();
        let follows = source.follows_contact();
        let held = Held::of(&self.trust, grant, Some(&current), follows, &self.floor)?;
        self.current.store(Arc::new(judge(Arc::new(held), self.clock.now(), &self.floor)));
        self.save();
        Ok(())
    }

    pub(crate) fn save(&self) {
        let now = self.clock.now().as_second();
        self.saved.store(now, Ordering::Relaxed);
        if let Some(file) = &self.state_file {
            let license = Some(self.current.load().held.token.clone());
            file.write(&Kept { floor: self.floor.load(Ordering::Relaxed), license });
        }
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Held {
    /// Believes what is signed, all of it or nothing, and keeps what is newer of what was held.
    fn of(
        trust: &TrustSet,
        grant: Grant,
        before: Option<&Self>,
        follows: bool,
        floor: &AtomicI64,
    ) -> Result<Self, Error> {
        let token = grant.license.ok_or(Error::Missing)?;
        let license = token::verify::<LicenseClaims>(&token, trust)?;
        let claims = license.claims();
        let lease = grant.lease.map(|it| token::verify::<LeaseClaims>(&it, trust)).transpose()?;
        let list = grant.revocations.map(|it| token::verify::<RevocationsClaims>(&it, trust));
        let list = list.transpose()?.map(Verified::into_claims);
        if before.is_some_and(|before| {
            let held = before.license.claims();
            held.license == claims.license && held.revision > claims.revision
        }) {
            return Err(Error::Older);
        }
        let lease = lease.map(Verified::into_claims).filter(|lease| lease.renews(claims));
        let proven = [
            Some(claims.iat),
            lease.as_ref().map(|lease| lease.iat),
            list.as_ref().map(|list| list.iat),
            grant.floor,
        ];
        for moment in proven.into_iter().flatten() {
            floor.fetch_max(moment.as_second(), Ordering::Relaxed);
        }
        let known = before.and_then(|before| before.revocations.clone());
        let newer =
            |list: &RevocationsClaims| known.as_ref().is_none_or(|known| list.epoch >= known.epoch);
        let contact = match (before.map_or(Contact::NotFollowed, |before| before.contact), lease) {
            (Contact::LeaseUntil(until), Some(lease)) => Contact::LeaseUntil(until.max(lease.exp)),
            (_, Some(lease)) => Contact::LeaseUntil(lease.exp),
            (Contact::NotFollowed, None) if follows => {
                grant.held_since.map_or(Contact::NotFollowed, Contact::NeverSince)
            }
            (contact, None) => contact,
        };
        Ok(Self {
            features: claims.features.iter().cloned().collect(),
            revocations: list.filter(newer).or(known),
            taken_back: grant.taken_back,
            contact,
            token,
            license,
        })
    }

    fn revocation(&self) -> Revocation {
        match self.revocations.as_ref().map(|list| list.of(self.license.claims())) {
            None | Some(Revocation::None) => self.taken_back,
            Some(signed) => signed,
        }
    }
}

impl Judged {
    fn claims(&self) -> &LicenseClaims {
        self.held.license.claims()
    }
}

fn judge(held: Arc<Held>, now: Timestamp, floor: &AtomicI64) -> Judged {
    let known = Timestamp::from_second(floor.load(Ordering::Relaxed)).ok();
    let verdict = evaluate(&Input {
        license: &held.license,
        now,
        floor: known,
        revocation: held.revocation(),
        contact: held.contact,
    });
    floor.fetch_max(now.as_second(), Ordering::Relaxed);
    let new_work = enforcement::work(held.license.claims(), &verdict, Work::New).allowed;
    let until = verdict.until.map_or(i64::MAX, Timestamp::as_second);
    Judged { held, verdict, until, new_work }
}
