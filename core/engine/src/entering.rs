//! How tasks come in.

use super::event::{Demand, Effect};
use super::line::{LaneKey, Place, SCALE};
use super::machine::Engine;
use super::session::SessionEntry;
use super::settings::PlantedBug;
use super::step::Step;
use super::task::TaskEntry;
use super::timer::Timer;
use cortensor_router_model::{Gid, SessionMode, TaskId};

impl Engine {
    pub(super) fn lane_of(&self, task: &Demand) -> LaneKey {
        let (mode, own) = match self.sessions.get(&task.session) {
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

    pub(super) fn submit(&mut self, task: Demand, step: &mut Step) {
        let lane = self.lane_of(&task);
        if let Err((reason, retry_after_ms)) = self.admit(&task, &lane, step.now) {
            step.push(Effect::Refused { reason, retry_after_ms });
            return;
        }
        let gid = self.new_gid();
        let Some(session) = self.sessions.get_mut(&task.session) else { return };
        let band = task.band.unwrap_or(session.rules.band);
        let id = if task.shadow { TaskId(0) } else { session.next_task };
        if !task.shadow {
            session.next_task = TaskId(id.0 + 1);
            session.taken += 1;
        }
        step.push(Effect::Admitted { gid, id, band });
        self.enter(gid, task, &lane, step);
    }

    pub(super) fn restore(&mut self, gid: Gid, id: TaskId, task: Demand, step: &mut Step) {
        self.next_gid = self.next_gid.max(Gid(gid.0 + 1));
        let first = self.settings.first_task_id;
        let session = self
            .sessions
            .entry(task.session)
            .or_insert_with(|| SessionEntry { next_task: first, ..SessionEntry::default() });
        session.next_task = session.next_task.max(TaskId(id.0 + 1));
        let lane = self.lane_of(&task);
        self.enter(gid, task, &lane, step);
    }

    pub(super) fn new_gid(&mut self) -> Gid {
        let gid = self.next_gid;
        self.next_gid = Gid(gid.0 + 1);
        gid
    }

    fn enter(&mut self, gid: Gid, mut spec: Demand, lane: &LaneKey, step: &mut Step) {
        spec.required = spec.required.max(1);
        let unfair = self.planted(PlantedBug::UnfairTags);
        let Some(session) = self.sessions.get_mut(&spec.session) else { return };
        let band = spec.band.unwrap_or(session.rules.band);
        let expected = if session.mean_out > 0.0 {
            (spec.max_tokens as f64).min(session.mean_out) as u64
        } else {
            spec.max_tokens
        };
        let cost = cost_of(spec.prompt_tokens, expected, spec.required);
        let virtual_time = self.line.virtual_time(band);
        // What the router asks for itself goes on the account of the task that it is for.
        let tag = match () {
            () if unfair => 0,
            () if spec.shadow => virtual_time,
            () => session.finish.max(virtual_time),
        };
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

/// What a task costs its session: its tokens, those of the answer twice, for each answer. The numbers come from outside, so that
/// sums of costs must not overflow either.
pub(super) fn cost_of(prompt_tokens: u64, answer_tokens: u64, answers: u32) -> u64 {
    let one = prompt_tokens.saturating_add(answer_tokens.saturating_mul(2)).max(1);
    one.saturating_mul(u64::from(answers)).min(MOST)
}

/// More than any real task costs, and so little that a million of them, scaled, stay below 2^63.
const MOST: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_from_outside_overflows_a_cost() {
        assert_eq!(cost_of(3, 2, 2), 14);
        assert_eq!(cost_of(0, 0, 1), 1);
        for (prompt, answer) in [(u64::MAX, 0), (0, u64::MAX), (u64::MAX, u64::MAX), (1, 1 << 63)] {
            assert_eq!(cost_of(prompt, answer, u32::MAX), MOST);
        }
    }
}
