//! One world: its heap of events, and the state of its clients, its miners and its store.

use std::collections::{BTreeMap, BTreeSet};

use cortensor_router::internals::Transcript;
use cortensor_router::internals::engine::{Demand, Effect, Engine, EngineSettings, Event, MinerKey};
use cortensor_router::model::{Fence, Gid, Outcome, SessionId, Standing, TaskId, Timestamp};

use crate::close::Close;
use crate::dial::DialIn;
pub(crate) use crate::happening::{Act, Happening};
use crate::invariants::Shares;
use crate::people::{Identity, SESSIONS, session_rules};
use crate::random::Random;
use crate::reader::Reader;
use crate::report::WorldReport;
use crate::trace::Fingerprint;
use crate::unwritten::UnwrittenEnds;

/// A write that waits for its commit.
#[derive(Debug, Clone)]
pub(crate) enum Write {
    Accept(Gid, Option<u64>),
    Finish(Gid, Outcome, String),
    /// An end that the store has refused before.
    Again(Gid, (Outcome, String)),
    /// The end of a shadow task, which is never written down.
    Shadow(Gid),
}

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) session: SessionId,
    pub(crate) id: TaskId,
    pub(crate) spec: Demand,
    pub(crate) end: Option<(Outcome, String)>,
}

/// An answer that has arrived.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) fence: Fence,
    pub(crate) who: Identity,
    pub(crate) text: String,
}

pub(crate) struct LiveTask {
    pub(crate) row: Row,
    /// The number of this run of the task, and the time at which it began.
    pub(crate) run: u64,
    pub(crate) began: u64,
    /// Whether the store has reported an error for the task itself.
    pub(crate) accept_refused: bool,
    pub(crate) transcript: Transcript,
    pub(crate) reader: Option<Reader>,
    pub(crate) answers: Vec<Given>,
    pub(crate) primary: Option<Fence>,
    /// Miners that were told to stop, and that do not get the task again.
    pub(crate) stopped: Vec<std::sync::Arc<str>>,
    /// Whether the text may contain pieces of a liar.
    pub(crate) tainted: bool,
    pub(crate) standing: Option<Standing>,
    pub(crate) winner: Option<Fence>,
    /// The task that a recheck checks.
    pub(crate) answers_for: Option<Gid>,
    pub(crate) cancel_acked: bool,
    pub(crate) finishing: bool,
}

pub(crate) struct LiveMiner {
    pub(crate) who: Identity,
    pub(crate) auto: bool,
    /// The number of tasks that the miner can do at a time.
    pub(crate) slots: u32,
    /// The number of tasks that it may have at present.
    pub(crate) capacity: u32,
    pub(crate) outstanding: BTreeMap<Fence, Gid>,
}

/// The pieces that a miner is going to give under a fence.
pub(crate) struct Plan {
    pub(crate) pieces: Vec<String>,
    pub(crate) aside: bool,
    pub(crate) hedge: bool,
    /// Whether the miner has given a piece.
    pub(crate) spoke: bool,
}

/// The bytes of the OpenAI chunks that a transcript keeps.
const RAW_BYTES: usize = 30;

pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) loud: bool,
    pub(crate) now: u64,
    /// The time at which the world ends.
    end: u64,
    order: u64,
    /// The planned events that do not happen.
    left_out: BTreeSet<u64>,
    heap: BTreeMap<(u64, u64), Happening>,
    pub(crate) engine: Engine,
    pub(crate) epoch: u64,
    recheck_ratio: f64,
    hedges: bool,
    pub(crate) identities: Vec<Identity>,
    /// The state that survives a crash.
    pub(crate) disk: BTreeMap<Gid, Row>,
    pub(crate) disk_keys: BTreeMap<u64, Gid>,
    pub(crate) disk_reputations: BTreeMap<std::sync::Arc<str>, f64>,
    /// Whether the store sometimes fails.
    pub(crate) flaky: bool,
    /// The time until which the store writes nothing, because its disk stalls.
    pub(crate) stalled_until: u64,
    /// Whether clients submit about twice as much as the miners can do.
    overload: bool,
    /// Miners whose frames do not arrive at present, with the frames that are on their way.
    pub(crate) cut: BTreeMap<MinerKey, Vec<Happening>>,
    /// The ends that the store has refused.
    pub(crate) refused: UnwrittenEnds,
    /// The number of runs that tasks began.
    pub(crate) runs: u64,
    /// Readers that have left, with their state.
    pub(crate) away: Vec<(Gid, Reader)>,
    /// The writes that a crash loses.
    pub(crate) unwritten: Vec<(u64, Write)>,
    pub(crate) live: BTreeMap<Gid, LiveTask>,
    pub(crate) miners: BTreeMap<MinerKey, LiveMiner>,
    pub(crate) plans: BTreeMap<Fence, Plan>,
    /// The offers of the step whose effects are being carried out. The engine shows its state after all of them.
    pub(crate) offered_now: BTreeSet<(Gid, MinerKey)>,
    /// The miners that dial in.
    pub(crate) dial: DialIn,
    /// Whether the present event has reached the engine.
    pub(crate) stepped: bool,
    /// The tasks that the present event has changed.
    pub(crate) touched: BTreeSet<Gid>,
    /// Whether a free miner takes the first task that waits.
    pub(crate) strict: bool,
    pub(crate) shares: Shares,
    /// The number of tasks that the last start found unfinished.
    pub(crate) restored: u64,
    pub(crate) next_miner: u32,
    /// Every fence that was ever used.
    pub(crate) fences: BTreeSet<Fence>,
    /// Fences of attempts that have ended, by a message to the engine or by its own effect.
    pub(crate) dead: BTreeSet<Fence>,
    /// The ids and ends that clients were told. These never change.
    pub(crate) told_ids: BTreeMap<(SessionId, TaskId), Gid>,
    pub(crate) told_ends: BTreeMap<Gid, (Outcome, String)>,
    /// The task that ended last. A recheck of its answer follows at once or not at all.
    pub(crate) ended_lately: Option<(Gid, LiveTask)>,
    pub(crate) report: WorldReport,
    /// The fingerprint of all effects so far.
    fingerprint: Fingerprint,
    /// The router's close, once it has begun.
    pub(crate) closed: Option<Close>,
}

const SUBMITS: u64 = 40;
/// The submits of a world whose miners are overloaded. They come within a fifth of the usual time.
const OVERLOAD: u64 = 75;
/// The events after which a world counts as one that never ends.
const MOST_EVENTS: u64 = 20_000;
/// The maximum number of tasks that wait.
pub(crate) const MAX_QUEUED: u64 = 30;
/// The numbers of refused ends for which a router has room.
const FEW_ENDS: usize = 2;
const MANY_ENDS: usize = 100;
/// The reputation below which a miner gets no tasks.
pub(crate) const MIN_REPUTATION: f64 = 0.5;

impl World {
    /// The time at which each world begins.
    pub(crate) const START: u64 = 1_000_000;

    pub(crate) fn new(seed: u64, loud: bool) -> Self {
        let mut random = Random::new(seed);
        let (recheck_ratio, hedges) = (if random.chance(50) { 0.4 } else { 0.0 }, random.chance(80));
        let identities = Identity::all(&mut random);
        let (flaky, overload) = (random.chance(40), random.chance(15));
        let (strict, newer_router) = (random.chance(30), random.chance(20));
        let kept_ends = if seed.is_multiple_of(2) { FEW_ENDS } else { MANY_ENDS };
        Self {
            random,
            loud,
            now: Self::START,
            end: Self::START + 200_000,
            order: 0,
            left_out: BTreeSet::new(),
            heap: BTreeMap::new(),
            engine: Engine::new(settings(1, Gid(1), recheck_ratio, hedges, strict)),
            epoch: 1,
            recheck_ratio,
            hedges,
            identities,
            disk: BTreeMap::new(),
            disk_keys: BTreeMap::new(),
            disk_reputations: BTreeMap::new(),
            flaky,
            stalled_until: 0,
            overload,
            cut: BTreeMap::new(),
            refused: UnwrittenEnds::new(kept_ends),
            runs: 0,
            away: Vec::new(),
            unwritten: Vec::new(),
            live: BTreeMap::new(),
            miners: BTreeMap::new(),
            plans: BTreeMap::new(),
            offered_now: BTreeSet::new(),
            dial: DialIn { newer_router, ..DialIn::default() },
            stepped: false,
            touched: BTreeSet::new(),
            strict,
            shares: Shares::default(),
            restored: 0,
            next_miner: 1,
            fences: BTreeSet::new(),
            dead: BTreeSet::new(),
            told_ids: BTreeMap::new(),
            told_ends: BTreeMap::new(),
            ended_lately: None,
            report: WorldReport::default(),
            fingerprint: Fingerprint::default(),
            closed: None,
        }
    }

    /// Leaves planned events out, by their numbers.
    pub(crate) fn without(self, left_out: BTreeSet<u64>) -> Self {
        Self { left_out, ..self }
    }

    /// The number of planned events. They have the numbers from 1 on.
    pub(crate) fn planned(mut self) -> u64 {
        self.plan_events();
        self.order
    }

    /// Plans what comes to the world from outside.
    pub(crate) fn plan_events(&mut self) {
        let (submits, within) = if self.overload { (OVERLOAD, 1_000) } else { (SUBMITS, 5_000) };
        for _ in 0..submits {
            let at = self.random.range(0, within);
            let held_key = self.random.chance(15).then(|| self.random.range(0, 3));
            self.after(at, Happening::Submit { held_key });
        }
        for _ in 0..self.random.range(0, 2) {
            let at = self.random.range(100, 8_000);
            self.after(at, Happening::Crash);
        }
        for _ in 0..3 {
            let at = self.random.range(0, 6_000);
            self.after(at, Happening::MinerJoins);
        }
        self.plan_faults();
        self.heap.retain(|(_, order), _| !self.left_out.contains(order));
    }

    /// Runs the world to its end. Gives its counts, and the fingerprint of all effects.
    pub(crate) fn run(mut self) -> Result<(WorldReport, u64), String> {
        self.plan_events();
        self.start_engine()?;
        while let Some((at, happening)) = self.next_happening() {
            if at > self.end {
                break;
            }
            self.now = at;
            self.report.events += 1;
            if self.loud {
                // The clock may have been set to a time before the start.
                eprintln!("{:>7} {happening:?}", at as i64 - Self::START as i64);
            }
            self.happen(&happening)?;
            self.check()?;
            if self.report.events > MOST_EVENTS {
                return Err("the world does not come to rest".into());
            }
            self.plan_tick();
        }
        for (gid, row) in &self.disk {
            if row.end.is_none() {
                return Err(format!("I1: the accepted task {gid} never ended"));
            }
        }
        if !self.refused.is_empty() {
            return Err(format!("I1: ends still wait for the store: {:?}", self.refused));
        }
        if self.engine.unfinished() != 0 || self.engine.rechecks() != 0 {
            return Err(format!("I1: {} tasks are left over", self.engine.unfinished()));
        }
        Ok((self.report, self.fingerprint.value()))
    }

    /// Takes the next event, with its time.
    pub(crate) fn next_happening(&mut self) -> Option<(u64, Happening)> {
        self.heap.pop_first().map(|((at, _), happening)| (at, happening))
    }

    /// Sets the engine's timer, if nothing happens before it is due.
    pub(crate) fn plan_tick(&mut self) {
        if let Some(next) = self.engine.next_deadline() {
            let at = next.0.max(self.now);
            if self.heap.first_key_value().is_none_or(|((first, _), _)| *first > at) {
                self.at(at, Happening::Tick);
            }
        }
    }

    pub(crate) fn after(&mut self, millis: u64, happening: Happening) {
        self.at(self.now + millis, happening);
    }

    pub(crate) fn at(&mut self, at: u64, happening: Happening) {
        self.order += 1;
        self.heap.insert((at, self.order), happening);
    }

    /// Sets the system's clock while the router is down. A running router does not see such a change.
    fn clock_jumps(&mut self) {
        if !self.random.chance(40) {
            return;
        }
        self.report.clock_jumps += 1;
        let (before, later) = (self.now, self.random.chance(50));
        self.now = if later { before + self.random.range(1, 30_000) } else { before - self.random.range(1, 10_000) };
        let moved = |at: u64| (at + self.now).saturating_sub(before);
        self.end = moved(self.end);
        self.heap = std::mem::take(&mut self.heap)
            .into_iter()
            .map(|((at, order), happening)| ((moved(at), order), happening))
            .collect();
    }

    pub(crate) fn start_engine(&mut self) -> Result<(), String> {
        let first_gid = self.disk.keys().next_back().map_or(Gid(1), |gid| Gid(gid.0 + 1));
        self.engine = Engine::new(settings(self.epoch, first_gid, self.recheck_ratio, self.hedges, self.strict));
        for (name, reputation) in self.disk_reputations.clone() {
            self.step(Event::Reputation(name, reputation))?;
        }
        for session in 0..SESSIONS {
            self.step(Event::Session(SessionId(session), session_rules(session)))?;
            let last = self.disk.values().filter(|row| row.session == SessionId(session)).map(|row| row.id).max();
            if let Some(last) = last {
                self.engine.resume_session(SessionId(session), last);
            }
        }
        let unfinished: Vec<_> =
            self.disk.iter().filter(|(_, row)| row.end.is_none()).map(|(gid, row)| (*gid, row.clone())).collect();
        self.restored = unfinished.len() as u64;
        for (gid, row) in unfinished {
            self.runs_again(gid, row)?;
        }
        for _ in 0..4 {
            self.join()?;
        }
        Ok(())
    }

    /// Lets the router lose its memory and start again from its store.
    pub(crate) fn crashes(&mut self) -> Result<(), String> {
        self.report.crashes += 1;
        // A crash comes before the commit, just after it and before any client was told, or it tears the tail
        // off what was being written.
        let writes = std::mem::take(&mut self.unwritten);
        let kept = match self.random.range(0, 2) {
            0 => 0,
            1 => writes.len(),
            _ => self.random.range(0, writes.len() as u64) as usize,
        };
        self.report.lost_commits += u64::from(kept < writes.len());
        self.report.torn += u64::from(kept > 0 && kept < writes.len());
        for (_, write) in writes.into_iter().take(kept) {
            self.write(&write);
        }
        for miner in std::mem::take(&mut self.miners).into_values() {
            self.dead.extend(miner.outstanding.keys());
        }
        for (gid, task) in std::mem::take(&mut self.live) {
            if let Some(reader) = task.reader
                && self.told_ids.get(&(task.row.session, task.row.id)) == Some(&gid)
            {
                self.leaves(gid, reader);
            }
        }
        self.refused.forget();
        self.cut.clear();
        self.drop_connections();
        self.stalled_until = 0;
        self.clock_jumps();
        self.plans.clear();
        self.shares = Shares::default();
        self.epoch += 1;
        self.start_engine()
    }

    pub(crate) fn step(&mut self, event: Event) -> Result<(), String> {
        let effects = self.effects_of(event);
        self.act_on(effects)
    }

    /// Passes an event to the engine, and records its effects.
    pub(crate) fn effects_of(&mut self, event: Event) -> Vec<Effect> {
        self.stepped = true;
        let effects = self.engine.step(event, Timestamp(self.now));
        self.fingerprint.note(self.now, &effects);
        effects
    }

    pub(crate) fn check_deadlines(&self) -> Result<(), String> {
        // The timer fires at the deadline, or when the task runs again after it; a comparison and a commit take a short
        // time more.
        let due = |task: &LiveTask| task.row.spec.deadline.0.max(task.began) + 300;
        // An open-ended stream ends only by silence; the end of the run checks that every task has ended.
        let bounded = |task: &LiveTask| !task.finishing && !task.row.spec.open_ended;
        match self.live.iter().find(|(_, task)| bounded(task) && due(task) < self.now) {
            Some((gid, _)) => Err(format!("I1: task {gid} lives past its deadline")),
            None => Ok(()),
        }
    }
}

impl LiveTask {
    pub(crate) fn new(row: Row, base: u64) -> Self {
        Self {
            row,
            run: 0,
            began: 0,
            accept_refused: false,
            transcript: Transcript::new(100_000, RAW_BYTES).numbered_from(base),
            reader: None,
            answers: Vec::new(),
            primary: None,
            stopped: Vec::new(),
            tainted: false,
            standing: None,
            winner: None,
            answers_for: None,
            cancel_acked: false,
            finishing: false,
        }
    }

    /// Whether the task is a shadow task, which no client ever sees.
    pub(crate) fn shadow(&self) -> bool {
        self.row.spec.shadow
    }
}

fn settings(epoch: u64, first_gid: Gid, recheck_ratio: f64, hedge: bool, strict: bool) -> EngineSettings {
    EngineSettings {
        progress_timeout_ms: 3_000,
        accept_timeout_ms: 500,
        breaker_open_ms: 1_000,
        recheck_ratio,
        hedge,
        hedge_budget: 0.5,
        reputation_step: 0.3,
        min_reputation: MIN_REPUTATION,
        set_aside_ms: 4_000,
        max_queued_tasks: MAX_QUEUED,
        scan_window: if strict { 1 } else { EngineSettings::default().scan_window },
        epoch,
        first_gid,
        ..EngineSettings::default()
    }
}
