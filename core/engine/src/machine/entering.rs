//! Takes sessions and tasks in.

use super::Engine;
use crate::cost::cost_of;
use crate::demand::Demand;
use crate::effect::Effect;
use crate::lane::{LaneKey, Place};
use crate::rules::SessionRules;
use crate::step::Step;
use crate::task::TaskEntry;
use crate::timer::Timer;
use cortensor_router_model::{Gid, SessionId, SessionMode, TaskId};

impl Engine {
    pub(super) fn lane_of(&self, task: &Demand) -> LaneKey {
        let (mode, own) = match self.sessions.get(task.session) {
            Some(session) if !task.shadow => {
                (session.rules().mode, session.rules().restricted().then_some(task.session))
            }
            _ => (SessionMode::Hybrid, None),
        };
        LaneKey::of(task, mode, own)
    }

    /// Sets the rules of a session.
    pub(super) fn session(&mut self, id: SessionId, rules: SessionRules, step: &mut Step) {
        let (was, weight) = self.sessions.set_rules(id, rules);
        self.line.reweigh(was, weight);
        self.renew_reservation(id, step);
        self.pump_own(id, step);
    }

    /// Admits a new task, or refuses it.
    pub(super) fn submit(&mut self, mut task: Box<Demand>, step: &mut Step) {
        let (lane, moved) = self.aimed(&mut task);
        if let Err((reason, retry_after_ms)) = self.admit(&task, &lane, step.now()) {
            step.push(Effect::Refused { reason, retry_after_ms });
            return;
        }
        let gid = self.tasks.new_gid();
        let Some(session) = self.sessions.known_mut(task.session) else { return };
        let band = task.band.unwrap_or(session.rules().band);
        let (id, asks) = if task.shadow { (TaskId(0), false) } else { (session.take_task(), session.asks_for_ids()) };
        step.push(Effect::Admitted { gid, id, band });
        step.extend(moved.map(|model| Effect::Rerouted { gid, model }));
        let session = task.session;
        self.enter(gid, task, &lane, step);
        if asks {
            step.push(Effect::NeedIds { session });
        }
    }

    /// Takes a task in again that the last process left unfinished.
    pub(super) fn restore(&mut self, gid: Gid, id: TaskId, mut task: Box<Demand>, step: &mut Step) {
        self.tasks.skip(gid);
        self.sessions.entry(task.session).skip(id);
        let (lane, moved) = self.aimed(&mut task);
        step.extend(moved.map(|model| Effect::Rerouted { gid, model }));
        self.enter(gid, task, &lane, step);
    }

    /// Lets a held task go to a miner, since the store has it now.
    pub(super) fn stored(&mut self, gid: Gid, step: &mut Step) {
        if let Some(task) = self.tasks.get_mut(gid)
            && task.release()
        {
            let lane = task.lane().clone();
            self.wait(gid, &lane, step);
        }
    }

    /// Forgets a held task. If its number was the last one of the session, the next task gets that number.
    pub(super) fn forget(&mut self, gid: Gid, give_back: Option<TaskId>) {
        let Some(task) = self.tasks.get_mut(gid).filter(|task| task.demand().held) else { return };
        if !task.is_ending() {
            task.end();
        }
        let session = task.session();
        self.over(gid);
        if let (Some(id), Some(session)) = (give_back, self.sessions.get_mut(session)) {
            session.give_back(id);
        }
    }

    /// Notes that no caller waits for a task any more. The task then waits for a miner as long as its deadline allows.
    pub(super) fn detach(&mut self, gid: Gid) {
        let Some(task) = self.tasks.get_mut(gid) else { return };
        if let Some(at) = task.detach() {
            self.timers.clear(at, Timer::Unservable(gid));
        }
    }

    fn enter(&mut self, gid: Gid, demand: Box<Demand>, lane: &LaneKey, step: &mut Step) {
        let held = demand.held;
        if self.register(gid, demand, lane, step) && !held {
            self.wait(gid, lane, step);
        }
    }

    /// Makes the record of a task and sets its deadlines. `false`: there is no such session.
    pub(super) fn register(&mut self, gid: Gid, mut demand: Box<Demand>, lane: &LaneKey, step: &mut Step) -> bool {
        demand.required = demand.required.max(1);
        let shares = self.shares();
        let Some(session) = self.sessions.known_mut(demand.session) else { return false };
        let band = demand.band.unwrap_or(session.rules().band);
        let virtual_time = Self::begins_at(&self.line, shares, lane, band);
        let expected = session.expected_tokens(demand.max_tokens);
        let expected = if expected > 0.0 { expected as u64 } else { demand.max_tokens };
        let cost = cost_of(demand.prompt_tokens, expected, demand.required);
        // The cost of a shadow task counts for the task that it serves.
        let tag = if demand.shadow { virtual_time } else { session.charge(cost, virtual_time) };
        self.timers.set(demand.deadline, Timer::Deadline(gid));
        if demand.judged && demand.precommit_by < demand.deadline {
            self.timers.set(demand.precommit_by, Timer::Precommit(gid));
        }
        let session = demand.session;
        let place = Place::new(band, tag, step.now());
        self.tasks.insert(gid, TaskEntry::new(demand, lane.clone(), place, cost));
        if lane.own().is_some() {
            self.renew_reservation(session, step);
        }
        true
    }
}
