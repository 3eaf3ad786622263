//! Brings tasks from the queue to miners: it queues tasks, finds free miners for them, and makes offers.

use super::Engine;
use crate::attempt::Attempt;
use crate::effect::{Effect, Role};
use crate::lane::LaneKey;
use crate::miner::MinerEntry;
use crate::rules::MinerKey;
use crate::step::Step;
use crate::task::TaskEntry;
use crate::timer::Timer;
use cortensor_router_model::{Gid, SessionId, Timestamp};

/// The milliseconds after which a task that nobody waits for looks again whether another model of its list has a miner.
const MINUTE: u64 = 60_000;

impl Engine {
    /// Puts a task into the queue, if it is not there.
    pub(super) fn enqueue(&mut self, gid: Gid) {
        let Some(task) = self.tasks.known_mut(gid) else { return };
        if !task.join_queue() {
            return;
        }
        self.line.push(task.lane(), gid, task.place(), task.load());
        if !task.demand().shadow {
            let (was, weight) = self.sessions.count_waiting(task.session(), true);
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
        self.watch(gid, step.now());
    }

    /// Offers the only task of its lane to miners that are free. Returns whether it wants another miner.
    fn offer_first(&mut self, gid: Gid, lane: &LaneKey, step: &mut Step) -> bool {
        while let Some(task) = self.tasks.get(gid)
            && task.wants_miner()
        {
            let waiting = [(task.place().tag(), gid)];
            let virtual_time = self.line.virtual_time(task.place().band());
            let Some((_, miner)) = self.choose(lane, &waiting, virtual_time, step.now()) else { return true };
            self.offer(gid, miner, false, step);
        }
        false
    }

    /// Sets the time at which the task fails, or goes to another model of its list, if no miner is up for it.
    pub(super) fn watch(&mut self, gid: Gid, now: Timestamp) {
        let lonely = self.tasks.get(gid).is_some_and(|task| task.is_lonely() && !self.is_attended(task));
        if lonely && let Some(task) = self.tasks.get_mut(gid) {
            let least = if task.demand().attached { 1 } else { MINUTE };
            let at = now.plus(self.settings.no_miner_grace_ms.max(least));
            task.fail_at(at);
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

    /// Whether a miner is up, or comes up, that could serve the task, busy or not.
    pub(super) fn is_attended(&self, task: &TaskEntry) -> bool {
        let waits_for =
            |miner: &MinerEntry| !task.trials().is_refused_by(miner.key()) && miner.could_serve(task.lane());
        self.fleet.of_lane(task.lane()).any(|miner| miner.is_there() && waits_for(miner))
    }

    /// Takes a task out of the queue, if it is there.
    pub(super) fn dequeue(&mut self, gid: Gid) {
        let Some(task) = self.tasks.known_mut(gid) else { return };
        if !task.leave_queue() {
            return;
        }
        self.line.remove(task.lane(), gid, task.place(), task.load());
        if !task.demand().shadow {
            let (was, weight) = self.sessions.count_waiting(task.session(), false);
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
        while self.line.window(lane, step.now(), self.settings.starvation_ms, self.settings.scan_window, &mut window) {
            let band = window.first().and_then(|(_, gid)| self.tasks.get(*gid)).map_or(0, |task| task.place().band());
            let virtual_time = self.line.virtual_time(band);
            let Some((gid, miner)) = self.choose(lane, &window, virtual_time, step.now()) else { break };
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
        let (lends, kept) = (task.is_deputy(), miner.reserved().is_some());
        let auto = miner.rules().auto_accept && !lends;
        let due = if lends {
            step.now().plus(self.settings.lend_ms)
        } else if auto {
            task.silent_until(step.now(), self.settings.progress_timeout_ms)
        } else {
            step.now().plus(self.settings.accept_timeout_ms)
        };
        let attempt = Attempt::offered(fence, key, auto, due, step.now());
        let (due, timer) = attempt.timer();
        self.timers.set(due, timer);
        if let Some(at) = task.clear_failure() {
            self.timers.clear(at, Timer::Unservable(gid));
        }
        let role = task.next_role(hedge);
        self.tasks.begin(gid, attempt, role, miner.rules());
        let Some(task) = self.tasks.known(gid) else { return };
        if !task.is_recheck() {
            self.line.serve(task.place());
            if !lends && let Some(session) = self.sessions.get_mut(task.session()) {
                session.served_by(key);
            }
        }
        if let Some(session) = task.lane().ruled_by() {
            self.sessions.started_working(session, key);
        }
        let (state, full) = (task.state(), !task.wants_miner());
        self.fleet.note_reading(&task.demand().prefix, key);
        if full {
            self.dequeue(gid);
        }
        self.fleet.reindex(key);
        if lends {
            step.push(Effect::Lend { gid, miner: key, fence, kept });
            return;
        }
        step.push(Effect::Offer { gid, miner: key, fence, role });
        step.push(Effect::State { gid, state });
        if role == Role::Primary && self.settings.hedge {
            self.watch_for_hedge(gid, fence, step.now());
        }
    }
}
