//! The engine's `step`: it takes one event and gives effects. Each part of the engine keeps its own state; the modules
//! below make the decisions that need several parts.

mod abroad;
mod admission;
mod attempt;
mod calling;
mod check;
mod choice;
mod dispatch;
mod ending;
mod entering;
mod hedge;
mod lend;
mod limits;
mod miners;
mod pair;
mod ranking;
mod recheck;
mod reroute;
mod reservation;
mod retry;
mod verdict;
mod view;

pub use view::{MinerView, TaskView};

use super::budget::RetryBudget;
use super::drain::DrainRate;
use super::effect::{Effect, EndCause, StopReason};
use super::event::{Blame, Event};
use super::fleet::Fleet;
use super::hedging::Hedging;
use super::lane::Tag;
use super::line::Line;
use super::sessions::Sessions;
use super::settings::EngineSettings;
use super::step::Step;
use super::tasks::Tasks;
use super::timer::Timers;
use super::trust::Trust;
use cortensor_router_model::{Gid, Outcome, SessionId, TaskId, Timestamp};

/// The dispatch engine, a state machine: [`step`](Self::step) takes an event and gives effects.
#[derive(Debug)]
pub struct Engine {
    settings: EngineSettings,
    sessions: Sessions,
    tasks: Tasks,
    fleet: Fleet,
    trust: Trust,
    line: Line,
    timers: Timers,
    budget: RetryBudget,
    drain: DrainRate,
    hedging: Hedging,
    /// A buffer for the tasks that one decision looks at. It is kept to save allocations.
    window: Vec<(Tag, Gid)>,
    /// The memory of the effects of an earlier step.
    effects: Vec<Effect>,
    /// Whether the router closes, so that no task goes to a miner any more.
    closed: bool,
}

/// The number of effects for which the engine keeps the memory. An event of a task has a few; only the end of a miner with
/// many tasks has more.
const KEPT_EFFECTS: usize = 16;

/// The number of low bits of a piece's number that count within one start.
const NUMBER_BITS: u32 = 32;

impl Engine {
    /// An engine without sessions, tasks and miners.
    pub fn new(settings: EngineSettings) -> Self {
        Self {
            budget: RetryBudget::new(settings.retry_ratio, settings.retry_floor_per_sec),
            sessions: Sessions::new(settings.first_task_id, settings.ids_in_blocks),
            tasks: Tasks::new(settings.first_gid, settings.last_gid, settings.epoch),
            fleet: Fleet::default(),
            trust: Trust::new(2 * settings.max_miners),
            line: Line::default(),
            timers: Timers::default(),
            drain: DrainRate::default(),
            hedging: Hedging::default(),
            window: Vec::new(),
            effects: Vec::new(),
            closed: false,
            settings,
        }
    }

    /// Works with other settings from now on. The start's own numbers stay: its epoch and its first ids.
    pub fn set_settings(&mut self, settings: &EngineSettings) {
        let EngineSettings { epoch, first_gid, first_task_id, .. } = self.settings;
        self.settings = EngineSettings { epoch, first_gid, first_task_id, ..settings.clone() };
        self.budget.set(self.settings.retry_ratio, self.settings.retry_floor_per_sec);
        self.trust.set_most(2 * self.settings.max_miners);
    }

    /// The number before the first piece of a task in this start. It is above the numbers of all earlier starts, and
    /// JavaScript reads it exactly for a million starts.
    pub fn first_base(&self) -> u64 {
        self.settings.epoch.saturating_sub(1) << NUMBER_BITS
    }

    /// The time at which [`Event::Tick`] is due next.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    /// Takes an event, and returns the effects that the router must carry out, in order.
    pub fn step(&mut self, event: Event, now: Timestamp) -> Vec<Effect> {
        let mut step = Step::at(now, std::mem::take(&mut self.effects));
        self.fleet.begin_step();
        match event {
            Event::Session(id, rules) => self.session(id, rules, &mut step),
            Event::Submit(task) => self.submit(task, &mut step),
            Event::Restore(gid, id, task) => self.restore(gid, id, task, &mut step),
            Event::Inherit(heir) => self.inherit(*heir, &mut step),
            Event::Release(gid) => self.stored(gid, &mut step),
            Event::Ids { session, first, end } => self.sessions.add_ids(session, first, end),
            Event::IdsLost => self.sessions.lose_ids(),
            Event::Moved(gid) => self.moved(gid, &mut step),
            Event::Detach(gid) => self.detach(gid),
            Event::Forget { gid, give_back } => self.forget(gid, give_back),
            Event::Cancel(gid) => {
                self.end(gid, Outcome::Cancelled, EndCause::Cancelled, StopReason::Cancelled, &mut step);
            }
            Event::MinerUp(key, rules) => self.miner_up(key, rules, &mut step),
            Event::Deputy(deputy) => self.deputy(*deputy, &mut step),
            Event::Borrow { miner, only } => self.borrow(miner, only, &mut step),
            Event::KeptElsewhere(key, session) => self.kept_elsewhere(key, session),
            Event::ServedElsewhere { band, tag } => self.served_elsewhere(band, tag),
            Event::Credits(key, credits) => self.credits(key, credits, &mut step),
            Event::Models(key, models) => self.models(key, models, &mut step),
            Event::Heard(key) => {
                self.fleet.set_rules(key, |rules| rules.awaited = false);
            }
            Event::OnCall(key, on_call) => {
                if self.fleet.get(key).is_some_and(|miner| miner.rules().on_call != on_call) {
                    self.fleet.set_rules(key, |rules| rules.on_call = on_call);
                }
            }
            Event::Drain(key) => self.drain_miner(key),
            Event::MinerGone(key) => self.miner_gone(key, &mut step),
            Event::Accept(fence) => self.accepted(fence, &mut step),
            Event::Reject(fence) => self.attempt_lost(fence, Blame::Nobody, true, &mut step),
            Event::Progress { fence, first, shown } => self.progress(fence, first, shown, &mut step),
            Event::Shown(fence) => self.shown(fence),
            Event::Done { fence, tokens } => self.done(fence, tokens, &mut step),
            Event::Fail { fence, blame } => self.attempt_lost(fence, blame, false, &mut step),
            Event::Verdict { gid, standing, agrees } => self.verdict(gid, standing, &agrees, &mut step),
            Event::Reputation(name, reputation) => self.known_reputation(&name, reputation),
            Event::Committed(gid) => self.committed(gid, &mut step),
            Event::Unwritten(gid) => self.unwritten(gid, &mut step),
            Event::Tick => self.tick(&mut step),
            Event::Close(kept) => self.close(kept, &mut step),
        }
        if self.fleet.take_thinned() {
            self.fleet_thinned(&mut step);
        }
        step.effects()
    }

    /// Gives the list of a step's effects back once they are carried out. Its memory serves the next step.
    pub fn reuse(&mut self, mut effects: Vec<Effect>) {
        effects.clear();
        if effects.capacity() <= KEPT_EFFECTS {
            self.effects = effects;
        }
    }

    /// Forgets a closed session. `false`: some of its work is still under way, and it stays.
    pub fn forget_session(&mut self, id: SessionId) -> bool {
        self.sessions.forget(id)
    }

    /// Sets the last task id of a session. The number of tasks that it has had follows from this id.
    pub fn resume_session(&mut self, id: SessionId, last: TaskId) {
        self.sessions.resume(id, last);
    }
}
