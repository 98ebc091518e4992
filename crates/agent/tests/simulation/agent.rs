//! An agent's process around the machine: a disk that survives a crash, a memory that does
//! not, a clock of its own.

use std::rc::Rc;

use tenure_agent::machine::{
    Call, CallKind, Failure, Phase, Setup, State, Step, adopt, answered, draft, failed,
    ledger_forked, ledger_gap, next, report_after, stop, take_receipt, verdict, write_down,
};
use tenure_license::{
    InstancePublicKey, State as LicenseState,
    chain::Head,
    ledger::{self, Content, Line},
};

use super::{
    broken::Broken,
    license::{at, license, second},
    server::{Reply, Report, heartbeat_body, proof_text},
};

/// Entries of one report.
const REPORT_LINES_MAX: usize = 40;

/// What survives a crash.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    pub(crate) state: State,
    pub(crate) key: u64,
    pub(crate) ledger: Vec<Rc<Line>>,
}

/// What does not.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) state: State,
    jitter: u64,
    /// The attempt that is waited for.
    pub(crate) attempt: Option<u64>,
    failures: u32,
}

/// A clock: what it says when the true time is known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clock {
    pub(crate) offset: i64,
    /// Millionths that it runs too fast.
    pub(crate) drift: i64,
}

impl Clock {
    pub(crate) fn read(&self, now: i64) -> i64 {
        now + self.offset + now * self.drift / 1_000_000
    }
}

/// Where a process may die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    BeforeWriting,
    AfterWriting,
    AfterSending,
    AfterAnswer,
}

#[derive(Debug, Default)]
pub(crate) struct Agent {
    pub(crate) disk: Disk,
    pub(crate) process: Option<Process>,
    /// Which start of the process this is; answers to an older one reach nobody.
    pub(crate) incarnation: u64,
    pub(crate) clock: Clock,
    pub(crate) setup: Setup,
    pub(crate) cut_off_until: i64,
    pub(crate) snapshot: Option<Disk>,
    pub(crate) death: Option<Death>,
    /// The most that its clock ever said.
    pub(crate) seen: i64,
    /// The floor at the last look.
    pub(crate) floor: Option<i64>,
    /// It has read that the license was revoked.
    pub(crate) knows_revoked: bool,
    pub(crate) released_at: Option<i64>,
    pub(crate) grace: usize,
    pub(crate) broken: Option<Broken>,
}

/// What a look of the process led to.
#[derive(Debug)]
pub(crate) enum Look {
    /// Look again so many seconds later.
    Wait(i64),
    /// This goes out.
    Send(Rc<Call>),
    /// It died.
    Died,
    /// It needs a key pair.
    NewKey,
    /// It waits for an answer, or for nothing.
    Idle,
}

/// The public key of a number. Nobody signs with it.
pub(crate) fn public(key: u64) -> InstancePublicKey {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&key.to_be_bytes());
    InstancePublicKey::from_slice(&bytes).unwrap()
}

/// The events of a ledger entry.
pub(crate) fn names(line: &Line) -> Vec<String> {
    let events = line.read().unwrap().events;
    events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

impl Agent {
    pub(crate) fn new(key: u64, grace: usize, broken: Option<Broken>) -> Self {
        let mut agent = Self { grace, broken, ..Self::default() };
        agent.setup.activate = true;
        agent.disk.key = key;
        adopt(&mut agent.disk.state, &public(key));
        agent
    }

    /// The process starts, from what is on the disk.
    pub(crate) fn start(&mut self, jitter: u64) {
        self.incarnation += 1;
        // Through JSON now and then: what is not written down must be missed.
        let state = if jitter.is_multiple_of(8) {
            let text = serde_json::to_string(&self.disk.state).unwrap();
            serde_json::from_str(&text).unwrap()
        } else {
            self.disk.state.clone()
        };
        self.process = Some(Process { state, jitter, attempt: None, failures: 0 });
    }

    pub(crate) fn die(&mut self) {
        self.process = None;
        self.incarnation += 1;
        self.death = None;
    }

    fn dies(&mut self, here: Death) -> bool {
        let dies = self.death == Some(here);
        if dies {
            self.die();
        }
        dies
    }

    fn save(&mut self) {
        if let Some(process) = &self.process {
            self.disk.state.clone_from(&process.state);
        }
    }

    /// One turn of the loop that docs of `machine` describe.
    pub(crate) fn look(&mut self, now: i64) -> Look {
        let local = self.clock.read(now);
        self.seen = self.seen.max(local);
        let Some(process) = &self.process else { return Look::Idle };
        if process.attempt.is_some() {
            return Look::Idle;
        }
        if self.broken == Some(Broken::AgentGivesUp) && process.failures > 3 {
            return Look::Idle;
        }
        match next(&process.state, at(local), &self.setup, process.jitter) {
            Step::Wait { until } => Look::Wait((second(until) - local).max(1)),
            Step::Stop => {
                stop(&mut self.process.as_mut().unwrap().state);
                self.released_at.get_or_insert(local);
                self.save();
                Look::Idle
            }
            Step::NewKey if self.broken == Some(Broken::AgentKeepsACopiedKey) => {
                self.process.as_mut().unwrap().state.phase = Phase::Active;
                Look::Wait(60)
            }
            Step::NewKey => Look::NewKey,
            Step::Send(kind) => self.send(kind, local),
        }
    }

    /// Takes up a new key pair, saved together with what it changes.
    pub(crate) fn rekey(&mut self, key: u64) {
        let Some(process) = &mut self.process else { return };
        adopt(&mut process.state, &public(key));
        if self.broken == Some(Broken::AgentDropsItsLedger) {
            self.disk.ledger.clear();
        }
        self.disk.key = key;
        self.save();
    }

    fn send(&mut self, kind: CallKind, local: i64) -> Look {
        let key = public(self.disk.key);
        if self.process.as_ref().unwrap().state.outstanding.is_none() {
            if self.dies(Death::BeforeWriting) {
                return Look::Died;
            }
            let state = &mut self.process.as_mut().unwrap().state;
            let renew = matches!(kind, CallKind::Heartbeat { renew: true });
            let stat = self.disk.ledger.len() as u64;
            let body = heartbeat_body(state.revision().unwrap_or(0), state.epoch(), renew, stat);
            let proof = draft(state, kind, &body, &key, at(local)).unwrap();
            let text = proof_text(&proof, state.key.as_ref().unwrap());
            write_down(state, kind, body, &proof, text);
            if self.broken != Some(Broken::AgentSendsBeforeWriting) {
                self.save();
            }
            if self.dies(Death::AfterWriting) {
                return Look::Died;
            }
        }
        Look::Send(Rc::new(self.process.as_ref().unwrap().state.outstanding.clone().unwrap()))
    }

    /// A reply came, to whichever attempt. `true`: look at once.
    pub(crate) fn hear(
        &mut self,
        seq: u64,
        reply: &Reply,
        now: i64,
        jitter: u64,
        revoked: bool,
    ) -> bool {
        let local = self.clock.read(now);
        self.seen = self.seen.max(local);
        if self.process.is_none() || self.dies(Death::AfterAnswer) {
            return false;
        }
        let process = self.process.as_mut().unwrap();
        let waited_for = process.state.outstanding.as_ref().is_some_and(|call| call.seq == seq);
        match reply {
            Reply::Answer(answer) => {
                let mut answer = (**answer).clone();
                if self.broken == Some(Broken::AgentIgnoresRevocations) {
                    answer.revocations = None;
                }
                if answered(&mut process.state, answer, at(local)).is_some() {
                    self.knows_revoked |= revoked;
                    process.failures = 0;
                }
            }
            Reply::Failure(failure) => {
                failed(&mut process.state, seq, failure.clone(), at(local));
                self.knows_revoked |= revoked && waited_for;
            }
            _ => {}
        }
        self.settled(waited_for, local, jitter)
    }

    /// No reply came in time.
    pub(crate) fn silence(&mut self, attempt: u64, now: i64, jitter: u64) -> bool {
        let local = self.clock.read(now);
        self.seen = self.seen.max(local);
        let Some(process) = &mut self.process else { return false };
        if process.attempt != Some(attempt) {
            return false;
        }
        process.failures += 1;
        let seq = process.state.outstanding.as_ref().map_or(0, |call| call.seq);
        let silent = Failure::NoAnswer { message: "timeout".into(), retry_after: None };
        failed(&mut process.state, seq, silent, at(local));
        if self.broken == Some(Broken::AgentDropsItsLeaseOnSilence) {
            process.state.lease = None;
        }
        self.settled(true, local, jitter)
    }

    fn settled(&mut self, waited_for: bool, local: i64, jitter: u64) -> bool {
        let process = self.process.as_mut().unwrap();
        if waited_for {
            process.attempt = None;
            process.jitter = jitter;
        }
        if self.broken == Some(Broken::AgentFollowsItsClock) {
            process.state.floor = Some(at(local));
        }
        self.save();
        if self.released_at.is_none() && self.disk.state.phase == Phase::Released {
            self.released_at = Some(local);
        }
        waited_for
    }

    /// Writes usage into the ledger. The name of an event is drawn where it happened.
    pub(crate) fn record(&mut self, name: &str, amount: u64, now: i64) {
        let event = serde_json::json!({"id": name, "data": amount});
        let content = Content {
            ledger: self.disk.state.key.clone(),
            numbers: vec![self.next_number()],
            ..Content::new(at(self.clock.read(now)), vec![event])
        };
        let line = ledger::append(self.head(), &content).unwrap();
        self.disk.ledger.push(Rc::new(line));
    }

    /// What a disk forgets when it is rolled back, it gives out again.
    fn next_number(&self) -> u64 {
        let own = |line: &&Rc<Line>| line.read().unwrap().ledger == self.disk.state.key;
        self.disk.ledger.iter().rev().find(own).map_or(0, |line| line.read().unwrap().numbers[0])
            + 1
    }

    fn head(&self) -> Option<Head> {
        self.disk.ledger.last().map(|line| line.head())
    }

    /// The next report, if there is something to tell.
    pub(crate) fn report(&self) -> Option<Report> {
        self.process.as_ref()?;
        let state = &self.disk.state;
        state.instance?;
        let after = report_after(state);
        let from = after.map_or(0, |head| usize::try_from(head.seq).unwrap());
        // A receipt for more than the ledger holds: an older snapshot under a newer state
        // cannot be, both are on one disk.
        let upto = self.disk.ledger.len().min(from + REPORT_LINES_MAX);
        let lines = self.disk.ledger.get(from..upto)?.to_vec();
        if lines.is_empty() {
            return None;
        }
        Some(Report { key: state.key.clone()?, after, lines })
    }

    pub(crate) fn hear_of_report(&mut self, key: &str, reply: &Reply, now: i64) {
        let local = self.clock.read(now);
        let Some(process) = &mut self.process else { return };
        if process.state.key.as_deref() != Some(key) {
            return;
        }
        match reply {
            Reply::Receipt(receipt) => {
                let _refused = take_receipt(&mut process.state, (**receipt).clone());
            }
            Reply::LedgerGap => ledger_gap(&mut process.state),
            Reply::LedgerForked => ledger_forked(&mut process.state, at(local)),
            _ => {}
        }
        self.save();
    }

    /// The state of the license on this disk, judged at a moment; `None` without a license.
    pub(crate) fn judge(&self, moment: i64) -> Option<LicenseState> {
        let held = self.disk.state.license.as_ref()?;
        let license = license(self.grace, held.revision);
        Some(verdict(&self.disk.state, license, at(moment)).state)
    }

    /// Whether it holds a lease of its own key that lives.
    pub(crate) fn leased(&self, now: i64) -> bool {
        let state = &self.disk.state;
        let own =
            |lease: &&tenure_agent::machine::LeaseHeld| state.key.as_ref() == Some(&lease.key);
        state.lease.as_ref().filter(own).is_some_and(|lease| second(lease.exp) > now)
    }
}
