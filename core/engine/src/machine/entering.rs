//! Takes sessions and tasks in.

use super::Engine;
use crate::cost::cost_of;
use crate::demand::Demand;
use crate::effect::Effect;
use crate::line::{LaneKey, Place, SCALE};
use crate::phase::Phase;
use crate::rules::SessionRules;
use crate::step::Step;
use crate::task::TaskEntry;
use crate::timer::Timer;
use cortensor_router_model::{Gid, SessionId, SessionMode, TaskId};

impl Engine {
    pub(super) fn lane_of(&self, task: &Demand) -> LaneKey {
        let (mode, own) = match self.sessions.get(task.session) {
            Some(session) if !task.shadow => (session.rules.mode, session.rules.restricted().then_some(task.session)),
            _ => (SessionMode::Hybrid, None),
        };
        LaneKey {
            model: task.model.clone(),
            any_model: task.any_model && task.model.is_some(),
            embedding: task.embedding,
            mode,
            own,
        }
    }

    /// Sets the rules of a session.
    pub(super) fn session(&mut self, id: SessionId, rules: SessionRules, step: &mut Step) {
        let (was, weight) = self.sessions.set_rules(id, rules);
        self.line.reweigh(was, weight);
        self.renew_reservation(id, step);
        self.pump_own(id, step);
    }

    /// Admits a new task, or refuses it.
    pub(super) fn submit(&mut self, task: Demand, step: &mut Step) {
        let lane = self.lane_of(&task);
        if let Err((reason, retry_after_ms)) = self.admit(&task, &lane, step.now) {
            step.push(Effect::Refused { reason, retry_after_ms });
            return;
        }
        let gid = self.tasks.new_gid();
        let Some(session) = self.sessions.known_mut(task.session) else { return };
        let band = task.band.unwrap_or(session.rules.band);
        let id = if task.shadow { TaskId(0) } else { session.next_task };
        if !task.shadow {
            session.next_task = TaskId(id.0 + 1);
            session.taken += 1;
        }
        step.push(Effect::Admitted { gid, id, band });
        self.enter(gid, task, &lane, step);
    }

    /// Takes a task in again that the last process left unfinished.
    pub(super) fn restore(&mut self, gid: Gid, id: TaskId, task: Demand, step: &mut Step) {
        self.tasks.skip(gid);
        let session = self.sessions.entry(task.session);
        session.next_task = session.next_task.max(TaskId(id.0 + 1));
        let lane = self.lane_of(&task);
        self.enter(gid, task, &lane, step);
    }

    /// Lets a held task go to a miner, since the store has it now.
    pub(super) fn stored(&mut self, gid: Gid, step: &mut Step) {
        if let Some(task) = self.tasks.get_mut(gid)
            && task.phase.now() == Phase::Held
        {
            task.spec.held = false;
            task.phase.enter(Phase::Open);
            let lane = task.lane.clone();
            self.wait(gid, &lane, step);
        }
    }

    /// Forgets a held task. If its number was the last one of the session, the next task gets that number.
    pub(super) fn forget(&mut self, gid: Gid, give_back: Option<TaskId>) {
        let Some(task) = self.tasks.get_mut(gid).filter(|task| task.spec.held) else { return };
        if !task.is_ending() {
            task.phase.enter(Phase::Ending);
        }
        let session = task.spec.session;
        self.over(gid);
        if let (Some(id), Some(session)) = (give_back, self.sessions.get_mut(session)) {
            session.taken = session.taken.saturating_sub(1);
            // If later numbers were given out in the meantime, the number stays unused.
            if session.next_task.0 == id.0 + 1 {
                session.next_task = id;
            }
        }
    }

    /// Notes that no caller waits for a task any more. The task then waits for a miner as long as its deadline allows.
    pub(super) fn detach(&mut self, gid: Gid) {
        let Some(task) = self.tasks.get_mut(gid) else { return };
        task.spec.attached = false;
        if let Some(at) = task.unservable_at.take() {
            self.timers.clear(at, Timer::Unservable(gid));
        }
    }

    fn enter(&mut self, gid: Gid, mut spec: Demand, lane: &LaneKey, step: &mut Step) {
        spec.required = spec.required.max(1);
        let Some(session) = self.sessions.known_mut(spec.session) else { return };
        let band = spec.band.unwrap_or(session.rules.band);
        let expected = if session.mean_out > 0.0 {
            (spec.max_tokens as f64).min(session.mean_out) as u64
        } else {
            spec.max_tokens
        };
        let cost = cost_of(spec.prompt_tokens, expected, spec.required);
        let virtual_time = self.line.virtual_time(band);
        // The cost of a shadow task counts for the task that it serves.
        let tag = if spec.shadow { virtual_time } else { session.finish.max(virtual_time) };
        if !spec.shadow {
            session.finish = tag.saturating_add(cost.saturating_mul(SCALE) / u64::from(session.rules.weight.max(1)));
            session.active += 1;
        }
        self.timers.set(spec.deadline, Timer::Deadline(gid));
        if spec.judged && spec.precommit_by < spec.deadline {
            self.timers.set(spec.precommit_by, Timer::Precommit(gid));
        }
        let (held, session) = (spec.held, spec.session);
        let mut entry = TaskEntry::new(spec, lane.clone(), Place { band, tag, since: step.now }, cost);
        entry.patience_ms = entry.spec.deadline.since(step.now);
        self.tasks.insert(gid, entry);
        if lane.own.is_some() {
            self.renew_reservation(session, step);
        }
        if held {
            return;
        }
        self.wait(gid, lane, step);
    }
}
