//! Brings tasks from the queue to miners: it queues tasks, finds free miners for them, and makes offers.

use super::Engine;
use crate::effect::{Effect, Role};
use crate::line::LaneKey;
use crate::miner::MinerEntry;
use crate::rules::MinerKey;
use crate::step::Step;
use crate::task::{Attempt, AttemptState, TaskEntry, Used};
use crate::timer::Timer;
use cortensor_router_model::{Gid, SessionId, TaskState, Timestamp};

impl Engine {
    /// Puts a task into the queue, if it is not there.
    pub(super) fn enqueue(&mut self, gid: Gid) {
        let Some(task) = self.tasks.known_mut(gid) else { return };
        if task.in_queue {
            return;
        }
        task.in_queue = true;
        self.line.push(&task.lane, gid, task.place, task.load());
        if !task.spec.shadow {
            let (was, weight) = self.sessions.count_waiting(task.spec.session, true);
            self.line.reweigh(was, weight);
        }
    }

    /// Offers a task to a miner that is free, or puts it into the queue.
    pub(super) fn wait(&mut self, gid: Gid, lane: &LaneKey, step: &mut Step) {
        if self.line.waits_in(lane) {
            self.enqueue(gid);
            self.pump(lane, step);
        } else if self.offer_first(gid, lane, step) {
            self.enqueue(gid);
        }
        self.watch(gid, step.now);
    }

    /// Offers the only task of its lane to miners that are free. Returns whether it wants another miner.
    fn offer_first(&mut self, gid: Gid, lane: &LaneKey, step: &mut Step) -> bool {
        while let Some(task) = self.tasks.get(gid)
            && task.wants_miner()
        {
            let waiting = [(task.place.tag, gid)];
            let virtual_time = self.line.virtual_time(task.place.band);
            let Some((_, miner)) = self.choose(lane, &waiting, virtual_time, step.now) else { return true };
            self.offer(gid, miner, false, step);
        }
        false
    }

    /// Sets the time at which the task fails, if a caller waits for it and no miner is up for it.
    pub(super) fn watch(&mut self, gid: Gid, now: Timestamp) {
        let lonely = self.tasks.get(gid).is_some_and(|task| {
            task.spec.attached
                && task.in_queue
                && task.attempts.is_empty()
                && task.unservable_at.is_none()
                && !self.is_attended(task)
        });
        if lonely && let Some(task) = self.tasks.get_mut(gid) {
            let at = now.plus(self.settings.no_miner_grace_ms.max(1));
            task.unservable_at = Some(at);
            self.timers.set(at, Timer::Unservable(gid));
        }
    }

    /// Calls [`watch`](Self::watch) for all tasks of the lane after a miner has gone down.
    pub(super) fn watch_lane(&mut self, lane: &LaneKey, now: Timestamp) {
        if self.fleet.attends(lane) {
            return;
        }
        for gid in self.line.waiting_in(lane) {
            self.watch(gid, now);
        }
    }

    /// Whether a miner is up that could serve the task, busy or not.
    pub(super) fn is_attended(&self, task: &TaskEntry) -> bool {
        let waits_for = |miner: &MinerEntry| !task.refused_by.contains(&miner.key()) && miner.could_serve(&task.lane);
        self.fleet.values().any(|miner| miner.takes_part() && waits_for(miner))
    }

    /// Takes a task out of the queue, if it is there.
    pub(super) fn dequeue(&mut self, gid: Gid) {
        let Some(task) = self.tasks.known_mut(gid) else { return };
        if !task.in_queue {
            return;
        }
        task.in_queue = false;
        self.line.remove(&task.lane, gid, task.place, task.load());
        if !task.spec.shadow {
            let (was, weight) = self.sessions.count_waiting(task.spec.session, false);
            self.line.reweigh(was, weight);
        }
    }

    /// Offers waiting tasks to a miner that has become free, from all lanes that it can serve.
    pub(super) fn pump_for(&mut self, key: MinerKey, step: &mut Step) {
        if self.line.is_empty() {
            return;
        }
        // The lane whose first task is the furthest behind goes first, so that no model starves another.
        while let Some(miner) = self.fleet.get(key)
            && miner.is_free()
        {
            let only = miner.reserved();
            let Some(lane) = self.line.most_behind(only, |lane| miner.could_serve(lane)) else { return };
            let before = step.len();
            self.pump(&lane, step);
            if step.len() == before {
                // The first tasks of this lane must not go to this miner, but tasks of other lanes may.
                let others = self.line.lanes().filter(|other| **other != lane);
                let others: Vec<LaneKey> = others.cloned().collect();
                for other in others {
                    self.pump(&other, step);
                }
                return;
            }
        }
    }

    /// Offers waiting tasks of the lane to free miners until one of them runs out.
    pub(super) fn pump(&mut self, lane: &LaneKey, step: &mut Step) {
        let mut window = std::mem::take(&mut self.window);
        while self.line.window(lane, step.now, self.settings.starvation_ms, self.settings.scan_window, &mut window) {
            let band = window.first().and_then(|(_, gid)| self.tasks.get(*gid)).map_or(0, |t| t.place.band);
            let virtual_time = self.line.virtual_time(band);
            let Some((gid, miner)) = self.choose(lane, &window, virtual_time, step.now) else { break };
            self.offer(gid, miner, false, step);
        }
        self.window = window;
    }

    /// Offers the waiting tasks of a session that has lanes of its own.
    pub(super) fn pump_own(&mut self, session: SessionId, step: &mut Step) {
        for lane in self.line.lanes_of(session) {
            self.pump(&lane, step);
        }
    }

    /// Offers a task to a miner, as a new attempt under a new fence.
    pub(super) fn offer(&mut self, gid: Gid, key: MinerKey, hedge: bool, step: &mut Step) {
        let fence = self.tasks.new_fence();
        let (Some(task), Some(miner)) = (self.tasks.get_mut(gid), self.fleet.get_mut(key)) else {
            debug_assert!(false, "task {gid} was offered to miner {key:?}, and one of them is not there");
            return;
        };
        miner.started(fence);
        let auto = miner.rules().auto_accept;
        let timer = if auto {
            task.silent_until(step.now, self.settings.progress_timeout_ms)
        } else {
            step.now.plus(self.settings.accept_timeout_ms)
        };
        self.timers.set(timer, if auto { Timer::Progress(fence) } else { Timer::Accept(fence) });
        let attempt = Attempt {
            fence,
            miner: key,
            state: if auto { AttemptState::Running } else { AttemptState::Offered },
            timer,
            offered_at: step.now,
            first_token_at: None,
            heard_at: step.now,
        };
        if task.redundant() {
            task.used.push(Used { fence, name: miner.rules().identity.clone(), owner: miner.rules().owner.clone() });
        }
        let role = match task.primary {
            _ if hedge => Role::Hedge,
            Some(_) => Role::Aside,
            None if task.continuing => Role::Continue,
            None => Role::Primary,
        };
        let first = matches!(role, Role::Primary | Role::Continue);
        if first {
            task.primary = Some(fence);
            task.continued = role == Role::Continue;
        }
        if !hedge {
            task.tries += 1;
        }
        if let Some(at) = task.unservable_at.take() {
            self.timers.clear(at, Timer::Unservable(gid));
        }
        let state = if auto { TaskState::Acked } else { TaskState::Assigned };
        let (place, background) = (task.place, task.recheck);
        let prefix = task.spec.prefix.clone();
        let session = task.spec.session;
        let own = task.lane.own;
        if task.state < state {
            task.state = state;
        }
        let now_state = task.state;
        self.tasks.begin(gid, attempt);
        if first {
            self.tasks.set_continuing(gid, false);
        }
        let full = self.tasks.get(gid).is_some_and(|task| !task.wants_miner());
        if !background {
            self.line.serve(place);
        }
        if !background && let Some(session) = self.sessions.get_mut(session) {
            session.last_miner = Some(key);
        }
        if let Some(session) = own {
            self.sessions.started_working(session, key);
        }
        self.fleet.note_reading(&prefix, key);
        if full {
            self.dequeue(gid);
        }
        self.fleet.reindex(key);
        step.push(Effect::Offer { gid, miner: key, fence, role });
        step.push(Effect::State { gid, state: now_state });
        if role == Role::Primary && self.settings.hedge {
            self.watch_for_hedge(gid, fence, step.now);
        }
    }
}
