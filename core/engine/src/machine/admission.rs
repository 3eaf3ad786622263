//! Decides which tasks are let in: waiting tasks are bounded, and a task that would wait past its own deadline is
//! refused.

use super::Engine;
use crate::demand::{Demand, Lack};
use crate::effect::Refusal;
use crate::lane::LaneKey;
use cortensor_router_model::Timestamp;

impl Engine {
    /// The number of miners that could answer the same task of that lane, now or when they are up again. The count
    /// stops at `most`.
    pub(super) fn answerers(&self, lane: &LaneKey, most: u32) -> u32 {
        self.fleet.of_lane(lane).filter(|miner| miner.could_answer_beside(lane)).take(most as usize).count() as u32
    }

    /// The number of answers to a task that wants at most `most` of them: as many as there are miners for it, but at
    /// least one.
    pub fn answers_for(&self, task: &Demand, most: u32) -> u32 {
        let lane = if task.targets.is_empty() { self.lane_of(task) } else { self.aimed(&mut task.clone()).0 };
        // Miners that list the model are not compared with miners that take any.
        let fits =
            || self.fleet.of_lane(&lane).filter(|miner| miner.could_answer_beside(&lane)).map(|miner| miner.fit(&lane));
        let best = fits().min();
        (fits().filter(|fit| Some(*fit) == best).take(most as usize).count() as u32).max(1)
    }

    /// Whether the task may come in. The error has the reason, and the milliseconds after which a retry may succeed.
    pub(super) fn admit(&self, task: &Demand, lane: &LaneKey, now: Timestamp) -> Result<(), (Refusal, u64)> {
        let Some(session) = self.sessions.get(task.session) else { return Err((Refusal::NoSession, 0)) };
        let any = self.fleet.of_lane(lane).any(|miner| miner.could_serve(lane));
        let nobody = if self.fleet.is_empty() { Refusal::NoMiner } else { Refusal::NoModel };
        if task.shadow {
            return if any { Ok(()) } else { Err((nobody, 1_000)) };
        }
        if !session.rules().open {
            return Err((Refusal::SessionClosed, 0));
        }
        if session.is_exhausted() {
            return Err((Refusal::SessionExhausted, 0));
        }
        if any {
            let wanted = session.rules().min_miners;
            let there = self.able(lane, wanted);
            if there < wanted {
                return Err((Refusal::TooFewMiners { wanted, there }, 1_000));
            }
            if task.required > 1 {
                let there = self.answerers(lane, task.required);
                if there < task.required {
                    return Err((Refusal::TooFewMiners { wanted: task.required, there }, 1_000));
                }
            }
        } else {
            // A miner that was there may come back. A model that no miner ever listed is a mistake of the caller.
            let others = task.targets.iter().filter(|target| target.when.contains(&Lack::NoMiner));
            let mut models = lane.model().into_iter().chain(others.map(|target| &target.model));
            let hope = self.fleet.is_empty() || models.any(|model| self.fleet.names().is_away(model));
            if self.settings.no_miner_grace_ms == 0 || !hope {
                return Err((nobody, 1_000));
            }
        }
        let wait =
            self.drain.millis(self.line.cost_before(session.finish(), task.band.unwrap_or(session.rules().band)));
        if self.line.tasks() >= self.settings.max_queued_tasks
            || self.line.bytes() + task.bytes > self.settings.max_queued_bytes
        {
            return Err((Refusal::QueueFull, wait.unwrap_or(1_000).clamp(1_000, 60_000) / 2));
        }
        if session.queued() >= self.settings.max_queued_per_session {
            return Err((Refusal::SessionQueueFull, 1_000));
        }
        let left = task.deadline.since(now);
        // The task has to wait, and then to be answered.
        match wait.map(|wait| wait + self.drain.answer_millis().min(left / 2)) {
            Some(wait) if self.line.tasks() > 0 && wait > left => {
                Err((Refusal::DeadlineUnreachable, (wait - left).clamp(1_000, 60_000)))
            }
            _ => Ok(()),
        }
    }
}
