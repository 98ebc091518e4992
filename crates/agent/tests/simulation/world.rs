//! The world: one queue of events, one clock, and everybody in it.

use std::{
    collections::{BTreeMap, VecDeque},
    rc::Rc,
};

use tenure_agent::machine::Call;
use tenure_license::activation::slots::Policy;

use super::{
    agent::{Agent, Death, Look},
    broken::Broken,
    license::GRACE_DAYS,
    rng::Rng,
    server::{Db, Reply, Report, Server},
    truth::{SERVER_SKEW_MAX, Truth, Violation},
};

/// Seconds after which an agent stops waiting for an answer.
pub(super) const TIMEOUT: i64 = 30;
/// Steps of a trace that are kept.
const TRACE_MAX: usize = 40;

/// Something that happens at a moment.
#[derive(Debug)]
pub(super) enum Event {
    /// An agent looks what to do, if this is its newest alarm.
    Wake {
        agent: usize,
        alarm: u64,
    },
    /// A call reaches a replica.
    CallArrives {
        agent: usize,
        incarnation: u64,
        call: Rc<Call>,
        replica: usize,
    },
    /// A reply reaches an agent.
    ReplyArrives {
        agent: usize,
        incarnation: u64,
        seq: u64,
        reply: Reply,
        revoked: bool,
    },
    /// An agent's patience ends.
    Timeout {
        agent: usize,
        incarnation: u64,
        attempt: u64,
    },
    ReportArrives {
        agent: usize,
        incarnation: u64,
        report: Rc<Report>,
        replica: usize,
    },
    ReceiptArrives {
        agent: usize,
        incarnation: u64,
        key: String,
        reply: Reply,
    },
    /// A crashed process starts again.
    Restart {
        agent: usize,
    },
    /// The product does something that is counted.
    Usage {
        agent: usize,
    },
    /// The agent tells of it.
    Tell {
        agent: usize,
    },
    ReplicaUp {
        replica: usize,
    },
    /// Something goes wrong.
    Chaos,
    /// Everybody is looked at.
    Check,
    /// From here on nothing goes wrong any more.
    Heal,
}

/// What one seed has in store.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) lease: i64,
    pub(super) heartbeat: i64,
    pub(super) horizon: i64,
    pub(super) loss: i64,
    pub(super) duplicates: i64,
    /// So many messages in a thousand take up to `straggle_max` seconds.
    pub(super) stragglers: i64,
    pub(super) straggle_max: i64,
    pub(super) clocks: bool,
    /// Which kinds of trouble occur at all: each seed has its own mixture.
    pub(super) troubles: u64,
}

#[derive(Debug)]
pub(super) struct Replica {
    pub(super) up: bool,
    pub(super) skew: i64,
}

pub(crate) struct World {
    pub(super) now: i64,
    pub(super) rng: Rng,
    pub(super) plan: Plan,
    pub(super) agents: Vec<Agent>,
    pub(super) alarms: Vec<u64>,
    pub(super) server: Server,
    pub(super) replicas: Vec<Replica>,
    pub(super) backup: Option<Db>,
    pub(super) truth: Truth,
    pub(super) healed_at: Option<i64>,
    queue: BTreeMap<(i64, u64), Event>,
    counter: u64,
    trace: Option<VecDeque<String>>,
    pub(crate) steps: u64,
}

impl World {
    pub(crate) fn new(seed: u64, broken: Option<Broken>, traced: bool) -> Self {
        let mut rng = Rng::new(seed);
        let lease = 3_600 * rng.pick(&[3, 6, 24]);
        let plan = Plan {
            lease,
            heartbeat: lease / rng.pick(&[4, 4, 6, 12]),
            horizon: lease * rng.within(2, 5),
            loss: rng.pick(&[0, 20, 100, 300]),
            duplicates: rng.pick(&[0, 20, 200]),
            stragglers: rng.pick(&[0, 0, 20, 100]),
            straggle_max: rng.pick(&[60, lease / 10, lease]),
            clocks: rng.chance(500),
            troubles: rng.draw() | rng.draw(),
        };
        let max = u64::try_from(rng.within(1, 4)).unwrap();
        let max = if rng.chance(50) { None } else { Some(max) };
        let policy = Policy { max, overage_percent: rng.pick(&[0, 0, 25, 50, 100]) };
        let grace = rng.index(GRACE_DAYS.len());
        let heartbeat = u32::try_from(plan.heartbeat).unwrap();
        let server = Server::new(policy, lease, heartbeat, grace, broken);
        let skew = |rng: &mut Rng| rng.within(-SERVER_SKEW_MAX, SERVER_SKEW_MAX);
        let replicas = (0..3).map(|_| Replica { up: true, skew: skew(&mut rng) }).collect();
        let count = rng.within(1, 6);
        let mut world = Self {
            now: 0,
            rng,
            plan,
            agents: Vec::new(),
            alarms: Vec::new(),
            server,
            replicas,
            backup: None,
            truth: Truth::default(),
            healed_at: None,
            queue: BTreeMap::new(),
            counter: 0,
            trace: traced.then(VecDeque::new),
            steps: 0,
        };
        for _ in 0..count {
            let after = world.rng.below(world.plan.lease / 2);
            world.install(after);
        }
        world.after(world.plan.lease / 10, Event::Chaos);
        world.after(world.plan.lease / 7, Event::Check);
        world.after(world.plan.horizon, Event::Heal);
        world
    }

    /// A number that was never given out before.
    pub(super) fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    pub(super) fn after(&mut self, seconds: i64, event: Event) {
        let key = (self.now + seconds.max(0), self.count());
        self.queue.insert(key, event);
    }

    pub(super) fn say(&mut self, words: impl FnOnce(&Self) -> String) {
        let Some(mut trace) = self.trace.take() else { return };
        trace.push_back(format!("{:>7} {}", self.now, words(self)));
        if trace.len() > TRACE_MAX {
            trace.pop_front();
        }
        self.trace = Some(trace);
    }

    /// The last steps, for people.
    pub(crate) fn trace(&self) -> String {
        let lines = self.trace.iter().flatten();
        lines.map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// What this seed has in store, for people.
    pub(crate) fn describe(&self) -> String {
        format!("{:?}\n{:?}", self.plan, self.server.db.policy)
    }

    /// A new installation, started after some seconds.
    pub(super) fn install(&mut self, after: i64) {
        let key = self.count();
        let mut agent = Agent::new(key, self.server.grace, self.server.broken);
        if self.plan.clocks {
            agent.clock.offset = self.rng.within(-4_000, 4_000);
            agent.clock.drift = self.rng.within(-300, 300);
        }
        self.join(agent, after);
    }

    /// An installation comes into the world.
    pub(super) fn join(&mut self, agent: Agent, after: i64) {
        let index = self.agents.len();
        self.agents.push(agent);
        self.alarms.push(0);
        self.after(after, Event::Restart { agent: index });
        let usage = self.rng.within(1, self.plan.lease / 3);
        self.after(after + usage, Event::Usage { agent: index });
        self.after(after + usage * 2, Event::Tell { agent: index });
    }

    /// Runs the history to its end.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        while let Some(((at, _), event)) = self.queue.pop_first() {
            self.now = at;
            self.steps += 1;
            if let Event::Check = event
                && self.healed_at.is_some_and(|healed| at >= healed + self.bound())
            {
                return self.check_end();
            }
            self.happen(event)?;
        }
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Wake { agent, alarm } => {
                if self.alarms[agent] == alarm {
                    self.look(agent);
                }
            }
            Event::CallArrives { agent, incarnation, call, replica } => {
                self.serve(agent, incarnation, &call, replica)?;
            }
            Event::ReplyArrives { agent, incarnation, seq, reply, revoked } => {
                self.deliver(agent, incarnation, seq, &reply, revoked)?;
            }
            Event::Timeout { agent, incarnation, attempt } => {
                let jitter = self.rng.draw();
                let now = self.now;
                let one = &mut self.agents[agent];
                if one.incarnation == incarnation && one.silence(attempt, now, jitter) {
                    self.say(|_| format!("agent {agent} hears nothing"));
                    self.check_one(agent)?;
                    self.look(agent);
                }
            }
            Event::ReportArrives { agent, incarnation, report, replica } => {
                self.import(agent, incarnation, &report, replica);
            }
            Event::ReceiptArrives { agent, incarnation, key, reply } => {
                let now = self.now;
                if self.agents[agent].incarnation == incarnation {
                    self.agents[agent].hear_of_report(&key, &reply, now);
                    self.check_one(agent)?;
                }
            }
            Event::Restart { agent } => self.restart(agent),
            Event::Usage { agent } => self.usage(agent),
            Event::Tell { agent } => self.tell(agent),
            Event::ReplicaUp { replica } => self.replicas[replica].up = true,
            Event::Chaos => self.chaos(),
            Event::Check => {
                self.check_all()?;
                self.after(self.plan.lease / 7, Event::Check);
            }
            Event::Heal => self.heal(),
        }
        Ok(())
    }

    pub(super) fn restart(&mut self, agent: usize) {
        let jitter = self.rng.draw();
        if self.agents[agent].process.is_none() {
            self.agents[agent].start(jitter);
            self.say(|_| format!("agent {agent} starts"));
            self.look(agent);
        }
    }

    /// An agent looks what to do, until it waits.
    pub(super) fn look(&mut self, agent: usize) {
        loop {
            let now = self.now;
            match self.agents[agent].look(now) {
                Look::Wait(seconds) => {
                    let alarm = self.count();
                    self.alarms[agent] = alarm;
                    self.after(seconds, Event::Wake { agent, alarm });
                }
                Look::Send(call) => self.send(agent, call),
                Look::Died => self.died(agent),
                Look::NewKey => {
                    let key = self.count();
                    self.say(|_| format!("agent {agent} makes key {key}"));
                    self.agents[agent].rekey(key);
                    continue;
                }
                Look::Idle => {}
            }
            return;
        }
    }

    fn died(&mut self, agent: usize) {
        self.say(|_| format!("agent {agent} dies"));
        let after = self.rng.within(1, self.plan.lease / 3);
        self.after(after, Event::Restart { agent });
    }

    fn send(&mut self, agent: usize, call: Rc<Call>) {
        let attempt = self.count();
        let incarnation = self.agents[agent].incarnation;
        self.say(|world| {
            let key = &world.agents[agent].disk.key;
            format!("agent {agent} sends {:?} {} (key {key}) {}", call.purpose, call.seq, call.body)
        });
        for delay in self.travel(agent) {
            let replica = self.rng.index(self.replicas.len());
            let call = call.clone();
            self.after(delay, Event::CallArrives { agent, incarnation, call, replica });
        }
        self.agents[agent].process.as_mut().unwrap().attempt = Some(attempt);
        self.after(TIMEOUT, Event::Timeout { agent, incarnation, attempt });
        if self.agents[agent].death == Some(Death::AfterSending) {
            self.agents[agent].die();
            self.died(agent);
        }
    }

    /// When the copies of a message arrive, if any does.
    fn travel(&mut self, agent: usize) -> Vec<i64> {
        if self.now < self.agents[agent].cut_off_until {
            return Vec::new();
        }
        if self.healed_at.is_some() {
            return vec![self.rng.below(2)];
        }
        let copies = if self.rng.chance(self.plan.duplicates) { 2 } else { 1 };
        (0..copies)
            .filter_map(|_| {
                if self.rng.chance(self.plan.loss) {
                    None
                } else if self.rng.chance(self.plan.stragglers) {
                    Some(self.rng.below(self.plan.straggle_max))
                } else {
                    Some(self.rng.below(4))
                }
            })
            .collect()
    }

    fn serve(
        &mut self,
        agent: usize,
        incarnation: u64,
        call: &Call,
        replica: usize,
    ) -> Result<(), Violation> {
        if !self.replicas[replica].up {
            return Ok(());
        }
        let clock = self.now + self.replicas[replica].skew;
        let reply = self.server.call(call, clock, &mut self.truth)?;
        // A heartbeat that was made after a revocation brings word of it.
        let revoked = self.truth.revoked.is_some() && self.server.answered_good_heartbeat;
        self.say(|_| {
            format!("replica {replica} answers agent {agent} {}: {}", call.seq, brief(&reply))
        });
        for delay in self.travel(agent) {
            let (seq, reply) = (call.seq, reply.clone());
            let event = Event::ReplyArrives { agent, incarnation, seq, reply, revoked };
            self.after(delay, event);
        }
        Ok(())
    }

    fn deliver(
        &mut self,
        agent: usize,
        incarnation: u64,
        seq: u64,
        reply: &Reply,
        revoked: bool,
    ) -> Result<(), Violation> {
        let jitter = self.rng.draw();
        if self.agents[agent].incarnation != incarnation {
            return Ok(());
        }
        let heard = self.agents[agent].hear(seq, reply, self.now, jitter, revoked);
        self.say(|_| format!("agent {agent} hears {seq}: {}", brief(reply)));
        if self.agents[agent].process.is_none() {
            self.died(agent);
        }
        self.check_one(agent)?;
        if heard {
            self.look(agent);
        }
        Ok(())
    }

    fn usage(&mut self, agent: usize) {
        let stopped = self.agents[agent].disk.state.phase == tenure_agent::machine::Phase::Released;
        if self.healed_at.is_some() || stopped {
            return;
        }
        if self.agents[agent].process.is_some() {
            self.record(agent);
        }
        let pause = self.rng.within(1, self.plan.lease / 2);
        self.after(pause, Event::Usage { agent });
    }

    pub(super) fn record(&mut self, agent: usize) {
        let name = format!("e{}", self.count());
        let amount = u64::try_from(self.rng.within(1, 9)).unwrap();
        self.agents[agent].record(&name, amount, self.now);
        self.truth.recorded.insert(name, amount);
    }

    fn tell(&mut self, agent: usize) {
        let pause = self.rng.within(self.plan.lease / 8, self.plan.lease / 2);
        self.after(pause, Event::Tell { agent });
        let Some(report) = self.agents[agent].report() else { return };
        let report = Rc::new(report);
        let incarnation = self.agents[agent].incarnation;
        for delay in self.travel(agent) {
            let replica = self.rng.index(self.replicas.len());
            let report = report.clone();
            self.after(delay, Event::ReportArrives { agent, incarnation, report, replica });
        }
    }

    fn import(&mut self, agent: usize, incarnation: u64, report: &Report, replica: usize) {
        if !self.replicas[replica].up {
            return;
        }
        let reply = self.server.report(report, self.now + self.replicas[replica].skew);
        self.say(|_| {
            let from = report.after.map_or(0, |head| head.seq);
            let upto = report.lines.last().map_or(0, |line| line.seq);
            format!("agent {agent} reports {from}..{upto}: {}", brief(&reply))
        });
        for delay in self.travel(agent) {
            let (key, reply) = (report.key.clone(), reply.clone());
            self.after(delay, Event::ReceiptArrives { agent, incarnation, key, reply });
        }
    }
}

fn brief(reply: &Reply) -> String {
    match reply {
        Reply::Answer(answer) => format!(
            "{:?}{}{}{}",
            answer.standing,
            if answer.lease.is_some() { ", lease" } else { "" },
            if answer.license.is_some() { ", license" } else { "" },
            if answer.revocations.is_some() { ", list" } else { "" },
        ),
        Reply::Failure(failure) => format!("{failure:?}"),
        Reply::Receipt(receipt) => format!("receipt through {}", receipt.claims.through.seq),
        Reply::LedgerGap => "gap".into(),
        Reply::LedgerForked => "fork of the ledger".into(),
    }
}
