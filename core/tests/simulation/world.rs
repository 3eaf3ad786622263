//! One world: an event heap, clients, miners, and a store with commits that may be lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cortensor_router::config::{DispatchConfig, LimitsConfig};
use cortensor_router::engine::{
    Blame, Effect, Engine, EngineSettings, Event, MinerKey, MinerRules, NewTask, PlantedBug, Push, SessionRules,
    Transcript,
};
use cortensor_router::model::{Fence, Gid, Outcome, SessionId, TaskId, Timestamp};

use crate::random::Random;

/// What happens at a time.
#[derive(Debug, Clone)]
enum Happening {
    Submit { held_key: Option<u64> },
    Cancel(Gid),
    Commit(u64),
    Miner(MinerKey, u64, Fence, Gid, Act),
    MinerLeaves(MinerKey),
    MinerJoins,
    Tick,
    Crash,
}

/// What a miner does about an attempt.
#[derive(Debug, Clone, Copy)]
enum Act {
    Accept,
    Reject,
    Token(u32),
    Done(u32),
    Fail(Blame),
}

/// A write that waits for its commit.
#[derive(Debug, Clone)]
enum Write {
    Accept(Gid, Option<u64>),
    Finish(Gid, Outcome, String),
}

#[derive(Debug, Clone)]
struct Row {
    session: SessionId,
    id: TaskId,
    spec: NewTask,
    end: Option<(Outcome, String)>,
}

struct LiveTask {
    row: Row,
    transcript: Transcript,
    answers: Vec<(MinerKey, String)>,
    cancel_acked: bool,
    finishing: bool,
}

struct LiveMiner {
    auto: bool,
    capacity: u32,
    outstanding: BTreeSet<Fence>,
}

/// How often each thing happened.
#[derive(Debug, Default, Clone)]
pub(crate) struct WorldReport {
    events: u64,
    accepted: u64,
    ok: u64,
    failed: u64,
    cancelled: u64,
    expired: u64,
    refused: u64,
    crashes: u64,
    lost_commits: u64,
    stale_frames: u64,
    requeues: u64,
    joined: u64,
    miners_lost: u64,
    redundant: u64,
}

impl WorldReport {
    pub(crate) fn add(&mut self, other: &Self) {
        macro_rules! sum { ($($f:ident)*) => {$(self.$f += other.$f;)*} }
        sum!(events accepted ok failed cancelled expired refused crashes lost_commits stale_frames requeues joined miners_lost redundant);
    }

    pub(crate) fn coverage(&self) -> [(&'static str, u64); 11] {
        [
            ("ok", self.ok),
            ("failed", self.failed),
            ("cancelled", self.cancelled),
            ("expired", self.expired),
            ("crash", self.crashes),
            ("lost commit", self.lost_commits),
            ("stale frame", self.stale_frames),
            ("requeue", self.requeues),
            ("joined by key", self.joined),
            ("miner lost", self.miners_lost),
            ("redundant task", self.redundant),
        ]
    }
}

pub(crate) struct World {
    random: Random,
    loud: bool,
    bug: Option<PlantedBug>,
    now: u64,
    order: u64,
    heap: BTreeMap<(u64, u64), Happening>,
    engine: Engine,
    epoch: u64,
    /// What survives a crash.
    disk: BTreeMap<Gid, Row>,
    disk_keys: BTreeMap<u64, Gid>,
    /// What a crash loses.
    unwritten: Vec<(u64, Write)>,
    live: BTreeMap<Gid, LiveTask>,
    miners: BTreeMap<MinerKey, LiveMiner>,
    next_miner: u32,
    /// Every fence that was ever given out.
    fences: BTreeSet<Fence>,
    /// Fences that the engine was told to be over, or told us to stop.
    dead: BTreeSet<Fence>,
    /// What clients were told: ids and ends never change.
    told_ids: BTreeMap<(SessionId, TaskId), Gid>,
    told_ends: BTreeMap<Gid, (Outcome, String)>,
    submits_left: u32,
    crashes_left: u32,
    report: WorldReport,
}

const SESSIONS: u64 = 3;
const LONGEST: u64 = 20_000;

impl World {
    pub(crate) fn new(seed: u64, bug: Option<PlantedBug>, loud: bool) -> Self {
        let mut world = Self {
            random: Random::new(seed),
            loud,
            bug,
            now: 1_000_000,
            order: 0,
            heap: BTreeMap::new(),
            engine: Engine::new(settings(1, Gid(1))),
            epoch: 1,
            disk: BTreeMap::new(),
            disk_keys: BTreeMap::new(),
            unwritten: Vec::new(),
            live: BTreeMap::new(),
            miners: BTreeMap::new(),
            next_miner: 1,
            fences: BTreeSet::new(),
            dead: BTreeSet::new(),
            told_ids: BTreeMap::new(),
            told_ends: BTreeMap::new(),
            submits_left: 40,
            crashes_left: 2,
            report: WorldReport::default(),
        };
        world.crashes_left = world.random.range(0, 2) as u32;
        world
    }

    /// Runs the world to its end.
    pub(crate) fn run(mut self) -> Result<WorldReport, String> {
        self.start_engine()?;
        for _ in 0..self.submits_left {
            let at = self.random.range(0, 5_000);
            let held_key = self.random.chance(15).then(|| self.random.range(0, 3));
            self.after(at, Happening::Submit { held_key });
        }
        for _ in 0..self.crashes_left {
            let at = self.random.range(100, 8_000);
            self.after(at, Happening::Crash);
        }
        for _ in 0..3 {
            let at = self.random.range(0, 6_000);
            self.after(at, Happening::MinerJoins);
        }
        let end = self.now + 200_000;
        while let Some(((at, _), happening)) = self.heap.pop_first() {
            if at > end {
                break;
            }
            self.now = at;
            self.report.events += 1;
            if self.loud {
                eprintln!("{:>7} {happening:?}", at - 1_000_000);
            }
            self.happen(&happening)?;
            self.engine.audit()?;
            self.check_deadlines()?;
            if let Some(next) = self.engine.next_deadline() {
                let at = next.0.max(self.now);
                if self.heap.first_key_value().is_none_or(|((first, _), _)| *first > at) {
                    self.at(at, Happening::Tick);
                }
            }
        }
        for (gid, row) in &self.disk {
            if row.end.is_none() {
                return Err(format!("I1: the accepted task {gid} never ended"));
            }
        }
        if self.engine.unfinished() != 0 {
            return Err(format!("I1: {} tasks are left over", self.engine.unfinished()));
        }
        Ok(self.report)
    }

    fn after(&mut self, millis: u64, happening: Happening) {
        self.at(self.now + millis, happening);
    }

    fn at(&mut self, at: u64, happening: Happening) {
        self.order += 1;
        self.heap.insert((at, self.order), happening);
    }

    fn start_engine(&mut self) -> Result<(), String> {
        let first_gid = self.disk.keys().next_back().map_or(Gid(1), |gid| Gid(gid.0 + 1));
        self.engine = Engine::new(settings(self.epoch, first_gid));
        #[cfg(feature = "planted-bugs")]
        if let Some(bug) = self.bug {
            self.engine.plant(bug);
        }
        assert!(cfg!(feature = "planted-bugs") || self.bug.is_none());
        for session in 0..SESSIONS {
            let rules =
                SessionRules { weight: session as u32 + 1, affinity: true, open: true, ..SessionRules::default() };
            self.step(Event::Session(SessionId(session), rules))?;
            let last = self.disk.values().filter(|row| row.session == SessionId(session)).map(|row| row.id).max();
            if let Some(last) = last {
                self.engine.resume_session(SessionId(session), last);
            }
        }
        let unfinished: Vec<_> =
            self.disk.iter().filter(|(_, row)| row.end.is_none()).map(|(gid, row)| (*gid, row.clone())).collect();
        for (gid, row) in unfinished {
            let spec = NewTask { held: false, ..row.spec.clone() };
            self.live.insert(gid, live_task(row.clone()));
            self.step(Event::Restore(gid, row.id, Box::new(spec)))?;
        }
        for _ in 0..3 {
            self.join()?;
        }
        Ok(())
    }

    fn join(&mut self) -> Result<(), String> {
        let key = MinerKey(self.next_miner);
        self.next_miner += 1;
        let auto = self.random.chance(50);
        let capacity = self.random.range(1, 3) as u32;
        self.miners.insert(key, LiveMiner { auto, capacity, outstanding: BTreeSet::new() });
        let rules = MinerRules { capacity, weight: 1, auto_accept: auto, ..MinerRules::default() };
        self.step(Event::MinerUp(key, rules))
    }

    fn happen(&mut self, happening: &Happening) -> Result<(), String> {
        match *happening {
            Happening::Submit { held_key } => self.submit(held_key),
            Happening::Cancel(gid) => {
                self.step(Event::Cancel(gid))?;
                if let Some(task) = self.live.get_mut(&gid)
                    && !task.finishing
                {
                    return Err(format!("I8: the cancel of task {gid} did nothing"));
                }
                Ok(())
            }
            Happening::Commit(epoch) => {
                if epoch == self.epoch {
                    self.commit()?;
                }
                Ok(())
            }
            Happening::Miner(key, epoch, fence, gid, act) => self.miner_acts(key, epoch, fence, gid, act),
            Happening::MinerLeaves(key) => {
                if let Some(miner) = self.miners.remove(&key) {
                    self.report.miners_lost += 1;
                    self.dead.extend(miner.outstanding);
                    self.step(Event::MinerGone(key))?;
                    self.after(500, Happening::MinerJoins);
                }
                Ok(())
            }
            Happening::MinerJoins => self.join(),
            Happening::Tick => self.step(Event::Tick),
            Happening::Crash => {
                self.report.crashes += 1;
                // A crash comes before the commit or right after it, before anyone was told.
                if self.random.chance(50) {
                    for (_, write) in std::mem::take(&mut self.unwritten) {
                        self.write(&write);
                    }
                } else {
                    self.report.lost_commits += u64::from(!self.unwritten.is_empty());
                    self.unwritten.clear();
                }
                for miner in std::mem::take(&mut self.miners).into_values() {
                    self.dead.extend(miner.outstanding);
                }
                self.live.clear();
                self.epoch += 1;
                self.start_engine()
            }
        }
    }

    fn submit(&mut self, held_key: Option<u64>) -> Result<(), String> {
        let session = SessionId(self.random.range(0, SESSIONS - 1));
        let redundant = self.random.chance(20);
        let spec = NewTask {
            session,
            model: None,
            embedding: false,
            band: self.random.chance(10).then_some(3),
            prompt_tokens: self.random.range(1, 50),
            max_tokens: self.random.range(1, 100),
            bytes: 10,
            deadline: Timestamp(self.now + self.random.range(2_000, LONGEST)),
            streaming: true,
            required: if redundant { 2 } else { 1 },
            prefix: Arc::from([self.random.range(0, 3)]),
            held: held_key.is_some(),
        };
        self.report.redundant += u64::from(redundant);
        let now = Timestamp(self.now);
        let effects = self.engine.step(Event::Submit(Box::new(spec.clone())), now);
        match effects.first() {
            Some(Effect::Admitted { gid, id, .. }) => {
                let (gid, id) = (*gid, *id);
                if self.disk.contains_key(&gid) || self.live.contains_key(&gid) {
                    return Err(format!("the global id {gid} was given out twice"));
                }
                self.live.insert(gid, live_task(Row { session, id, spec, end: None }));
                self.unwritten.push((self.epoch, Write::Accept(gid, held_key)));
                self.schedule_commit();
                if self.random.chance(15) {
                    let at = self.random.range(0, 3_000);
                    self.after(at, Happening::Cancel(gid));
                }
            }
            Some(Effect::Refused { .. }) => {
                self.report.refused += 1;
                return Ok(());
            }
            other => return Err(format!("a submit gave {other:?}")),
        }
        self.act_on(effects)
    }

    fn schedule_commit(&mut self) {
        let at = self.random.range(1, 60);
        let epoch = self.epoch;
        self.after(at, Happening::Commit(epoch));
    }

    /// Makes a write durable. Answers the task that the key already belongs to, if any.
    fn write(&mut self, write: &Write) -> Option<Gid> {
        match write {
            Write::Accept(gid, key) => {
                if let Some(existing) = key.and_then(|key| self.disk_keys.get(&key)) {
                    return Some(*existing);
                }
                if let Some(key) = key {
                    self.disk_keys.insert(*key, *gid);
                }
                if let Some(task) = self.live.get(gid) {
                    self.disk.insert(*gid, task.row.clone());
                }
            }
            Write::Finish(gid, outcome, text) => {
                if let Some(row) = self.disk.get_mut(gid)
                    && row.end.is_none()
                {
                    row.end = Some((*outcome, text.clone()));
                }
            }
        }
        None
    }

    fn commit(&mut self) -> Result<(), String> {
        for (_, write) in std::mem::take(&mut self.unwritten) {
            let existing = self.write(&write);
            match write {
                Write::Accept(gid, key) => {
                    if let Some(existing) = existing {
                        self.report.joined += 1;
                        let same = self.disk_keys.get(&key.unwrap_or_default()) == Some(&existing);
                        if !same || existing == gid {
                            return Err(format!("I5: the key {key:?} leads to two tasks"));
                        }
                        let give_back = self.live.remove(&gid).map(|task| task.row.id);
                        self.step(Event::Forget { gid, give_back })?;
                        continue;
                    }
                    let Some(row) = self.disk.get(&gid) else { continue };
                    self.report.accepted += 1;
                    if let Some(other) = self.told_ids.insert((row.session, row.id), gid)
                        && other != gid
                    {
                        return Err(format!("the tasks {gid} and {other} have the same ids"));
                    }
                    if key.is_some() {
                        self.step(Event::Release(gid))?;
                    }
                }
                Write::Finish(gid, ..) => self.step(Event::Committed(gid))?,
            }
        }
        Ok(())
    }

    fn miner_acts(&mut self, key: MinerKey, epoch: u64, fence: Fence, gid: Gid, act: Act) -> Result<(), String> {
        let stale = epoch != self.epoch
            || self.dead.contains(&fence)
            || !self.miners.get(&key).is_some_and(|m| m.outstanding.contains(&fence));
        let event = match act {
            Act::Accept => Event::Accept(fence),
            Act::Reject => Event::Reject(fence),
            Act::Token(n) => {
                let Some(task) = self.live.get_mut(&gid) else { return Ok(()) };
                let pushed = task.transcript.push(fence, &format!("{gid}:{n} "), None);
                if stale && matches!(pushed, Push::At(_)) {
                    return Err(format!("I3: a token under the stale fence {fence} was taken"));
                }
                Event::Progress { fence, first: n == 0, shown: false }
            }
            Act::Done(n) => {
                if !stale && let Some(task) = self.live.get_mut(&gid) {
                    let text = (0..n).map(|i| format!("{gid}:{i} ")).collect::<Vec<_>>().concat();
                    if task.transcript.fence() == Some(fence) && task.transcript.text() != text {
                        return Err(format!("I4: the transcript of task {gid} is not what its miner sent"));
                    }
                    task.answers.push((key, text));
                }
                Event::Done { fence, tokens: u64::from(n) }
            }
            Act::Fail(blame) => Event::Fail { fence, blame },
        };
        if !stale && matches!(act, Act::Done(_) | Act::Fail(_) | Act::Reject) {
            if let Some(miner) = self.miners.get_mut(&key) {
                miner.outstanding.remove(&fence);
            }
            self.dead.insert(fence);
        }
        let effects = self.engine.step(event, Timestamp(self.now));
        if stale {
            self.report.stale_frames += 1;
            if !effects.is_empty() {
                return Err(format!("I3: the stale fence {fence} had the effect {:?}", effects[0]));
            }
        }
        self.act_on(effects)?;
        // A network delivers a frame twice now and then.
        if matches!(act, Act::Done(_)) && self.random.chance(20) {
            self.after(self.now % 7, Happening::Miner(key, epoch, fence, gid, act));
        }
        Ok(())
    }

    fn step(&mut self, event: Event) -> Result<(), String> {
        let effects = self.engine.step(event, Timestamp(self.now));
        self.act_on(effects)
    }

    fn act_on(&mut self, effects: Vec<Effect>) -> Result<(), String> {
        for effect in effects {
            match effect {
                Effect::Admitted { .. } | Effect::Refused { .. } | Effect::State { .. } => {}
                Effect::Voided { gid } => {
                    self.report.requeues += 1;
                    if let Some(task) = self.live.get_mut(&gid) {
                        task.transcript.seal();
                    }
                }
                Effect::Offer { gid, miner, fence, primary } => self.offered(gid, miner, fence, primary)?,
                Effect::Stop { miner, fence, .. } => {
                    self.dead.insert(fence);
                    if let Some(miner) = self.miners.get_mut(&miner) {
                        miner.outstanding.remove(&fence);
                    }
                }
                Effect::Finish { gid, outcome, .. } => self.finished(gid, outcome)?,
                Effect::Ended { gid } => self.ended(gid)?,
            }
        }
        Ok(())
    }

    fn offered(&mut self, gid: Gid, key: MinerKey, fence: Fence, primary: bool) -> Result<(), String> {
        if !self.fences.insert(fence) {
            return Err(format!("I3: the fence {fence} was given out twice"));
        }
        let Some(task) = self.live.get_mut(&gid) else {
            return Err(format!("task {gid} was offered, but is not known"));
        };
        if task.answers.iter().any(|(miner, _)| *miner == key) {
            return Err(format!("I7: task {gid} was offered twice to one miner that answered"));
        }
        if primary {
            task.transcript.begin(fence);
        }
        let Some(miner) = self.miners.get_mut(&key) else {
            return Err(format!("task {gid} was offered to a miner that is gone"));
        };
        miner.outstanding.insert(fence);
        if miner.outstanding.len() > miner.capacity as usize {
            return Err(format!("I6: miner {key:?} has more tasks than credits"));
        }
        let auto = miner.auto;
        let mut at = self.now + self.random.range(1, 50);
        let epoch = self.epoch;
        let tell = |world: &mut Self, at: u64, act: Act| world.at(at, Happening::Miner(key, epoch, fence, gid, act));
        if !auto {
            match self.random.range(0, 19) {
                0 => return Ok(()), // says nothing
                1 => {
                    tell(self, at, Act::Reject);
                    return Ok(());
                }
                _ => tell(self, at, Act::Accept),
            }
        }
        let tokens = self.random.range(0, 6) as u32;
        for n in 0..tokens {
            at += self.random.range(1, 400);
            tell(self, at, Act::Token(n));
        }
        at += self.random.range(1, 200);
        match self.random.range(0, 19) {
            0 => {} // goes silent
            1 => tell(self, at, Act::Fail(Blame::Miner)),
            2 => tell(self, at, Act::Fail(Blame::Overload)),
            3 => tell(self, at, Act::Fail(Blame::Request)),
            4 => self.at(at, Happening::MinerLeaves(key)),
            _ => tell(self, at, Act::Done(tokens)),
        }
        Ok(())
    }

    fn finished(&mut self, gid: Gid, outcome: Outcome) -> Result<(), String> {
        let Some(task) = self.live.get_mut(&gid) else { return Err(format!("task {gid} finished, but is not known")) };
        if std::mem::replace(&mut task.finishing, true) {
            return Err(format!("I2: task {gid} finished twice"));
        }
        task.transcript.seal();
        task.cancel_acked = outcome == Outcome::Cancelled;
        let text = match outcome {
            Outcome::Ok => match task.answers.first() {
                Some((_, text)) => text.clone(),
                None => return Err(format!("task {gid} is ok, but has no answer")),
            },
            _ => String::new(),
        };
        if text.split_whitespace().any(|word| !word.starts_with(&format!("{gid}:"))) {
            return Err(format!("I11: task {gid} got another task's answer"));
        }
        self.unwritten.push((self.epoch, Write::Finish(gid, outcome, text)));
        self.schedule_commit();
        Ok(())
    }

    fn ended(&mut self, gid: Gid) -> Result<(), String> {
        let Some(task) = self.live.remove(&gid) else { return Err(format!("I2: task {gid} ended twice")) };
        let Some(end) = self.disk.get(&gid).and_then(|row| row.end.clone()) else {
            // A held task that was cancelled before it was written has no row.
            if task.row.spec.held {
                return Ok(());
            }
            return Err(format!("the end of task {gid} was shown before it was durable"));
        };
        if task.cancel_acked && end.0 == Outcome::Ok {
            return Err(format!("I8: task {gid} was cancelled and reports success"));
        }
        for miner in self.miners.values() {
            if miner.outstanding.iter().any(|fence| self.engine.owner_of(*fence).is_none()) {
                return Err(format!(
                    "I8: a miner still works for task {gid} or another one that ended, and was not told"
                ));
            }
        }
        match end.0 {
            Outcome::Ok | Outcome::Disputed => self.report.ok += 1,
            Outcome::Failed => self.report.failed += 1,
            Outcome::Cancelled => self.report.cancelled += 1,
            Outcome::Expired => self.report.expired += 1,
        }
        if let Some(before) = self.told_ends.insert(gid, end.clone())
            && before != end
        {
            return Err(format!("I2: the end of task {gid} changed"));
        }
        Ok(())
    }

    fn check_deadlines(&self) -> Result<(), String> {
        // The timer fires at the deadline, and a commit takes a little.
        match self.live.iter().find(|(_, task)| !task.finishing && task.row.spec.deadline.0 + 200 < self.now) {
            Some((gid, _)) => Err(format!("I1: task {gid} lives past its deadline")),
            None => Ok(()),
        }
    }
}

fn live_task(row: Row) -> LiveTask {
    LiveTask {
        row,
        transcript: Transcript::new(100_000, 0),
        answers: Vec::new(),
        cancel_acked: false,
        finishing: false,
    }
}

fn settings(epoch: u64, first_gid: Gid) -> EngineSettings {
    let dispatch = DispatchConfig {
        progress_timeout_ms: 3_000,
        accept_timeout_ms: 500,
        breaker_open_ms: 1_000,
        ..DispatchConfig::default()
    };
    let mut settings =
        EngineSettings::new(&dispatch, &LimitsConfig { max_queued_tasks: 30, ..LimitsConfig::default() });
    settings.epoch = epoch;
    settings.first_gid = first_gid;
    settings
}
