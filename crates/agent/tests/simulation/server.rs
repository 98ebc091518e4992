//! The license service: its database, and what it does with a call in one transaction.
//! Who may hold a license and what a numbered call is, is decided by the very functions of
//! `tenure_license::activation` that the real service uses.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use tenure_agent::machine::{Answer, Call, Failure, Standing, Taken};
use tenure_core::InstanceId;
use tenure_license::{
    Digest, LeaseClaims, ReceiptClaims, RevocationsClaims,
    activation::{
        sequence::{Judgement, Presented, Sequence},
        slots::{self, Decision, Hold, Policy},
    },
    chain::{self, Entry, Head},
    claims::Withdrawn,
    instance::{Proof, Purpose},
    ledger::Line,
    numbering::{Mark, Way},
    token::{Kind, issuer},
};
use uuid::Uuid;

use super::{
    broken::Broken,
    license::{PRODUCT, REVISIONS_MAX, at, license, lineage, second},
    truth::{Truth, Violation},
};

/// What the vendor's database holds of one license.
#[derive(Debug, Clone)]
pub(crate) struct Db {
    pub(crate) policy: Policy,
    pub(crate) revision: u64,
    pub(crate) lease_seconds: i64,
    pub(crate) heartbeat_seconds: u32,
    pub(crate) revoked: bool,
    pub(crate) list: Option<RevocationsClaims>,
    pub(crate) rows: BTreeMap<String, Row>,
    /// Events that were counted, by name.
    pub(crate) counted: BTreeMap<String, u64>,
    /// The sum of their amounts: what is billed.
    pub(crate) sum: u64,
    /// By ledger: where its numbers stand, and what was recorded under each.
    numbered: BTreeMap<String, (Mark, Vec<String>)>,
    /// What was recorded by its name, of ledgers that parted.
    named: BTreeSet<(String, String)>,
    reports: BTreeMap<[u8; 32], Reply>,
}

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) instance: InstanceId,
    sequence: Sequence,
    nonce: String,
    pub(crate) quarantined: bool,
    pub(crate) returned: bool,
    pub(crate) until: i64,
    last: Option<Reply>,
    ledger: Option<Head>,
}

/// Usage, as told. Its head's signature is taken as read.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) key: String,
    pub(crate) after: Option<Head>,
    pub(crate) lines: Vec<Rc<Line>>,
}

#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Answer(Rc<Answer>),
    Failure(Failure),
    Receipt(Rc<Taken<ReceiptClaims>>),
    /// The report begins after what the vendor knows.
    LedgerGap,
    /// The report continues another history, or ends before what the vendor knows.
    LedgerForked,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) db: Db,
    pub(crate) broken: Option<Broken>,
    pub(crate) grace: usize,
    /// The highest revision that an instance was seen with; volatile, of all replicas.
    seen_revision: u64,
    tokens: u64,
    /// Whether the last call was a new heartbeat of an instance in good standing.
    pub(crate) answered_good_heartbeat: bool,
}

/// A proof as the simulation writes it.
struct Told<'a> {
    key: &'a str,
    instance: &'a str,
    nonce: &'a str,
}

/// The text that stands for a signed proof.
pub(crate) fn proof_text(proof: &Proof, key: &str) -> String {
    let instance = proof.instance.map_or_else(|| "new".into(), |instance| instance.to_string());
    let (seq, nonce, iat) = (proof.seq, &proof.nonce, proof.iat.as_second());
    format!("{key} {instance} {seq} {nonce} {iat}")
}

fn read_proof(text: &str) -> Told<'_> {
    let mut parts = text.split(' ');
    let mut part = || parts.next().unwrap();
    let (key, instance, _seq, nonce) = (part(), part(), part(), part());
    Told { key, instance, nonce }
}

/// What a heartbeat says: revision and list held, and whether a lease is wanted.
pub(crate) fn heartbeat_body(revision: u64, epoch: u64, renew: bool, stat: u64) -> String {
    format!("{revision} {epoch} {} {stat}", u8::from(renew))
}

impl Server {
    pub(crate) fn new(
        policy: Policy,
        lease_seconds: i64,
        heartbeat_seconds: u32,
        grace: usize,
        broken: Option<Broken>,
    ) -> Self {
        let db = Db {
            policy,
            revision: 1,
            lease_seconds,
            heartbeat_seconds,
            revoked: false,
            list: None,
            rows: BTreeMap::new(),
            counted: BTreeMap::new(),
            sum: 0,
            numbered: BTreeMap::new(),
            named: BTreeSet::new(),
            reports: BTreeMap::new(),
        };
        Self { db, broken, grace, seen_revision: 0, tokens: 0, answered_good_heartbeat: false }
    }

    /// A replica started again: what was only in memory is gone.
    pub(crate) fn forget_caches(&mut self) {
        self.seen_revision = 0;
    }

    /// One call, one transaction. `now` is the clock of the replica that got it.
    pub(crate) fn call(
        &mut self,
        call: &Call,
        now: i64,
        truth: &mut Truth,
    ) -> Result<Reply, Violation> {
        self.answered_good_heartbeat = false;
        let told = read_proof(&call.proof);
        let activates = call.purpose == Purpose::Activate;
        let mut row = match self.db.rows.get(told.key) {
            Some(row) if activates || row.instance.to_string() == told.instance => row.clone(),
            None if activates => self.new_row(),
            _ => return Ok(Reply::Failure(Failure::UnknownInstance)),
        };
        let digest = Digest::sha256(call.proof.as_bytes());
        let nonce_matches = told.nonce == row.nonce;
        let presented = Presented { seq: call.seq, digest, nonce_matches };
        match row.sequence.judge(&presented) {
            Judgement::Next | Judgement::Ahead => {}
            Judgement::Repeat => return Ok(row.last.clone().unwrap()),
            // Late calls too, and ledgers: copies part by any one of the three.
            Judgement::Fork | Judgement::Late if self.broken == Some(Broken::ServerSeesNoForks) => {
            }
            Judgement::Late => return Ok(Reply::Failure(Failure::Late)),
            Judgement::Fork => {
                row.quarantined = true;
                let reply = self.answer(&row, call.seq, Standing::Quarantined);
                self.db.rows.insert(told.key.to_owned(), row);
                truth.forked(told.key)?;
                return Ok(Reply::Answer(Rc::new(reply)));
            }
        }
        row.sequence.accept(&presented);
        row.nonce = digest.to_string()[..16].to_owned();
        let key = told.key.to_owned();
        let reply = match call.purpose {
            Purpose::Activate => self.activate(&key, &mut row, call, now, truth)?,
            Purpose::Heartbeat => self.heartbeat(&key, &mut row, call, now, truth)?,
            Purpose::Release => {
                row.returned = true;
                truth.returned(row.instance);
                Reply::Answer(Rc::new(self.answer(&row, call.seq, Standing::Released)))
            }
        };
        // A refusal writes nothing, not even the number.
        if matches!(reply, Reply::Answer(_)) {
            row.last = Some(reply.clone());
            self.db.rows.insert(key, row);
        }
        Ok(reply)
    }

    fn new_row(&mut self) -> Row {
        self.tokens += 1;
        Row {
            instance: InstanceId::from_uuid(Uuid::from_u128(u128::from(self.tokens))),
            sequence: Sequence::default(),
            nonce: String::new(),
            quarantined: false,
            returned: false,
            until: 0,
            last: None,
            ledger: None,
        }
    }

    fn activate(
        &mut self,
        key: &str,
        row: &mut Row,
        call: &Call,
        now: i64,
        truth: &mut Truth,
    ) -> Result<Reply, Violation> {
        if self.db.revoked {
            let (code, message) = ("license_revoked".into(), "revoked".into());
            return Ok(Reply::Failure(Failure::Denied { code, message }));
        }
        let lease = match self.grant(key, row, now, truth)? {
            Ok(lease) => lease,
            Err(free_at) => {
                let retry_after = u32::try_from(free_at - now).ok();
                let message = "every slot is held".into();
                return Ok(Reply::Failure(Failure::NoFreeSlot { retry_after, message }));
            }
        };
        // Who comes back holds a slot again.
        row.returned = false;
        let standing = if row.quarantined { Standing::Quarantined } else { Standing::Good };
        let mut answer = self.answer(row, call.seq, standing);
        answer.instance = Some(row.instance);
        answer.lease = Some(lease).filter(|_| !row.quarantined);
        answer.license = Some(self.license());
        answer.revocations.clone_from(&self.db.list);
        Ok(Reply::Answer(Rc::new(answer)))
    }

    fn heartbeat(
        &mut self,
        key: &str,
        row: &mut Row,
        call: &Call,
        now: i64,
        truth: &mut Truth,
    ) -> Result<Reply, Violation> {
        let mut parts = call.body.split(' ').map(|part| part.parse::<u64>().unwrap());
        let mut part = || parts.next().unwrap();
        let (revision, epoch, renew) = (part(), part(), part() == 1);
        self.seen_revision = self.seen_revision.max(revision);
        let standing = match (row.quarantined, row.returned) {
            (true, _) => Standing::Quarantined,
            (false, true) => Standing::Released,
            (false, false) => Standing::Good,
        };
        self.answered_good_heartbeat = standing == Standing::Good;
        if self.db.revoked && self.broken == Some(Broken::ServerJustRefusesTheRevoked) {
            let (code, message) = ("license_revoked".into(), "revoked".into());
            return Ok(Reply::Failure(Failure::Denied { code, message }));
        }
        let mut answer = self.answer(row, call.seq, standing);
        if renew && standing == Standing::Good && !self.db.revoked {
            answer.lease = self.grant(key, row, now, truth)?.ok();
        }
        answer.license = Some(self.license()).filter(|_| revision < self.db.revision);
        answer.revocations = self.db.list.clone().filter(|list| epoch < list.epoch);
        Ok(Reply::Answer(Rc::new(answer)))
    }

    /// A lease if a slot is free; else when one may be.
    fn grant(
        &mut self,
        key: &str,
        row: &mut Row,
        now: i64,
        truth: &mut Truth,
    ) -> Result<Result<Taken<LeaseClaims>, i64>, Violation> {
        let forgets = self.broken == Some(Broken::ServerForgetsReturnedTokens);
        let blind = self.broken == Some(Broken::ServerRenewsWithoutCounting) && row.until > 0;
        let others = self.db.rows.iter().filter(|(other, _)| other.as_str() != key);
        let holds: Vec<Hold> = others
            .map(|(_, row)| Hold { until: at(row.until), returned: row.returned })
            .filter(|hold| !(blind || forgets && hold.returned))
            .collect();
        match slots::decide(self.db.policy, &holds, at(now)) {
            Decision::Granted | Decision::Overage => {}
            Decision::Full { free_at, .. } | Decision::Handovers { free_at } => {
                return Ok(Err(second(free_at)));
            }
        }
        let until = now + self.db.lease_seconds;
        let shortens = self.broken == Some(Broken::ServerHoldsForTheNewestLease);
        row.until = if shortens { until } else { row.until.max(until) };
        truth.granted(row.instance, until, now, self.db.policy.cap())?;
        self.tokens += 1;
        let token = format!("lease {}", self.tokens);
        let claims = LeaseClaims {
            iss: issuer(PRODUCT),
            sub: "ten_01".into(),
            aud: Kind::Lease.audience().into(),
            iat: at(now),
            exp: at(until),
            jti: token.clone(),
            product: PRODUCT.into(),
            license: lineage(),
            revision: self.db.revision,
            instance: row.instance,
            key: key.to_owned(),
            epoch: self.db.list.as_ref().map_or(0, |list| list.epoch),
            heartbeat_seconds: self.db.heartbeat_seconds,
        };
        Ok(Ok(Taken { token, claims }))
    }

    fn answer(&self, row: &Row, seq: u64, standing: Standing) -> Answer {
        Answer {
            seq,
            standing,
            instance: None,
            nonce: row.nonce.clone(),
            heartbeat_seconds: Some(self.db.heartbeat_seconds),
            license: None,
            lease: None,
            revocations: None,
        }
    }

    fn license(&self) -> Taken<tenure_license::LicenseClaims> {
        let claims = license(self.grace, self.db.revision).claims().clone();
        Taken { token: claims.jti.clone(), claims }
    }

    /// Takes a report in: once, in order, from one history.
    pub(crate) fn report(&mut self, report: &Report, now: i64) -> Reply {
        let Some(row) = self.db.rows.get(&report.key) else {
            return Reply::Failure(Failure::UnknownInstance);
        };
        let digest = digest(report);
        if let Some(reply) = self.db.reports.get(&digest) {
            return reply.clone();
        }
        let instance = row.instance;
        match self.new_lines(row.ledger, report) {
            Ok(fresh) => {
                for line in fresh {
                    self.count(line, &report.key);
                }
            }
            Err(refusal) => return refusal,
        }
        let through = report.lines.last().unwrap().head();
        self.tokens += 1;
        let claims = ReceiptClaims {
            iss: issuer(PRODUCT),
            sub: "ten_01".into(),
            aud: Kind::Receipt.audience().into(),
            iat: at(now),
            jti: format!("receipt {}", self.tokens),
            product: PRODUCT.into(),
            license: lineage(),
            instance,
            through,
        };
        let reply = Reply::Receipt(Rc::new(Taken { token: claims.jti.clone(), claims }));
        self.db.rows.get_mut(&report.key).unwrap().ledger = Some(through);
        self.db.reports.insert(digest, reply.clone());
        reply
    }

    /// The lines past what is known, if the report continues it.
    fn new_lines<'a>(
        &self,
        known: Option<Head>,
        report: &'a Report,
    ) -> Result<&'a [Rc<Line>], Reply> {
        let mut head = report.after;
        let mut met = known == head || known.is_none();
        let mut fresh = 0;
        for (index, line) in report.lines.iter().enumerate() {
            let prev = head.map(|head| head.hash);
            let entry = Entry { seq: line.seq, prev, hash: line.hash, bytes: &line.content };
            head = Some(chain::follow(head, &entry).map_err(|_| Reply::LedgerForked)?);
            if head == known {
                (met, fresh) = (true, index + 1);
            }
        }
        let from = report.after.map_or(0, |head| head.seq);
        let upto = known.map_or(0, |head| head.seq);
        if from > upto {
            let blind = self.broken == Some(Broken::ServerIgnoresGaps);
            return if blind { Ok(&report.lines) } else { Err(Reply::LedgerGap) };
        }
        let blind = self.broken == Some(Broken::ServerSeesNoForks);
        if met || blind { Ok(&report.lines[fresh..]) } else { Err(Reply::LedgerForked) }
    }

    fn count(&mut self, line: &Line, key: &str) {
        let content = line.read().unwrap();
        let ledger = content.ledger.unwrap();
        let own = ledger == key || self.broken == Some(Broken::ServerBelievesCopiedNumbers);
        for (event, number) in content.events.iter().zip(content.numbers) {
            let name = event["id"].as_str().unwrap().to_owned();
            let amount = event["data"].as_u64().unwrap();
            let new = self.is_new(&ledger, own, i64::try_from(number).unwrap(), &name);
            if new || self.broken == Some(Broken::ServerCountsTwice) {
                self.db.counted.insert(name, amount);
                self.db.sum += amount;
            }
        }
    }

    /// As the service's `usage/reported.rs` does, with the very function that decides there.
    fn is_new(&mut self, ledger: &str, own: bool, number: i64, name: &str) -> bool {
        let (mark, recorded) = self.db.numbered.entry(ledger.to_owned()).or_default();
        if self.broken == Some(Broken::ServerBelievesCopiedNumbers) && number <= mark.last {
            return false;
        }
        match mark.way(own, number) {
            Way::Number => {
                recorded.push(name.to_owned());
                true
            }
            Way::Name => {
                let since = recorded.get(usize::try_from(mark.last).unwrap()..).unwrap_or(&[]);
                let known = since.iter().any(|other| other == name);
                !known && self.db.named.insert((ledger.to_owned(), name.to_owned()))
            }
        }
    }

    /// A new revision; `slots` change with it, if given.
    pub(crate) fn reissue(&mut self, policy: Policy, supersede: bool, now: i64) {
        // A database that was restored has forgotten revisions that are about.
        let revision = self.db.revision.max(self.seen_revision) + 1;
        if revision > REVISIONS_MAX {
            return;
        }
        self.db.revision = revision;
        self.db.policy = policy;
        if supersede {
            let below = Some(revision);
            self.withdraw(Withdrawn { license: lineage(), below, at: at(now) }, now);
        }
    }

    pub(crate) fn revoke(&mut self, now: i64, truth: &mut Truth) {
        if !self.db.revoked {
            self.db.revoked = true;
            truth.revoked.get_or_insert(now);
            self.withdraw(Withdrawn { license: lineage(), below: None, at: at(now) }, now);
        }
    }

    /// Adds to the list. Its number never falls behind the clock, so that a restored database
    /// does not number a new list like an old one.
    fn withdraw(&mut self, entry: Withdrawn, now: i64) {
        let before = self.db.list.take();
        let last = before.as_ref().map_or(0, |list| list.epoch);
        let floor = match self.broken {
            Some(Broken::ServerNumbersListsAfresh) => 0,
            _ => u64::try_from(at(now).as_second()).unwrap(),
        };
        let mut withdrawn = before.map_or_else(Vec::new, |list| list.withdrawn);
        withdrawn.push(entry);
        self.db.list = Some(RevocationsClaims {
            iss: issuer(PRODUCT),
            aud: Kind::Revocations.audience().into(),
            iat: at(now),
            product: PRODUCT.into(),
            epoch: floor.max(last + 1),
            withdrawn,
        });
    }
}

/// One report, one digest: the head names the key, the beginning and the end.
fn digest(report: &Report) -> [u8; 32] {
    let end = report.lines.last().unwrap().hash;
    let after = report.after.map_or(0, |head| head.seq);
    *Digest::sha256(format!("{} {after} {end}", report.key).as_bytes()).as_bytes()
}
