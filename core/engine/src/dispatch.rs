//! From the queue to miners: who is free, who waits, and the offer.

use super::event::{Effect, MinerKey, Role};
use super::line::LaneKey;
use super::machine::Engine;
use super::settings::PlantedBug;
use super::step::Step;
use super::task::{Attempt, AttemptState, TaskEntry, Used};
use super::timer::Timer;
use cortensor_router_model::{Fence, Gid, SessionId, TaskState, Timestamp};

/// Bits of a fence that count within one epoch.
const FENCE_BITS: u32 = 33;

impl Engine {
    pub(super) fn enqueue(&mut self, gid: Gid) {
        let Some(task) = self.tasks.get_mut(&gid) else { return };
        if task.in_queue {
            return;
        }
        task.in_queue = true;
        self.line.push(&task.lane, gid, task.place, task.load());
        if !task.spec.shadow
            && let Some(session) = self.sessions.get_mut(&task.spec.session)
        {
            let was = session.waiting_weight();
            session.queued += 1;
            self.line.reweigh(was, session.waiting_weight());
        }
    }

    /// Into the queue, and to a miner that is free.
    pub(super) fn wait(&mut self, gid: Gid, lane: &LaneKey, step: &mut Step) {
        self.enqueue(gid);
        self.pump(lane, step);
        self.watch(gid, step.now);
    }

    /// Where no miner is up for a task whose caller waits, it fails when the grace is over.
    pub(super) fn watch(&mut self, gid: Gid, now: Timestamp) {
        let lonely = self.tasks.get(&gid).is_some_and(|task| {
            task.spec.attached
                && task.in_queue
                && task.attempts.is_empty()
                && task.unservable_at.is_none()
                && !self.is_attended(task)
        });
        if lonely && let Some(task) = self.tasks.get_mut(&gid) {
            let at = now.plus(self.settings.no_miner_grace_ms.max(1));
            task.unservable_at = Some(at);
            self.timers.set(at, Timer::Unservable(gid));
        }
    }

    /// The same for all that wait in the lane, after a miner went.
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
        self.fleet
            .iter()
            .any(|(key, miner)| miner.takes_part() && !task.refused_by.contains(key) && miner.could_serve(&task.lane))
    }

    pub(super) fn dequeue(&mut self, gid: Gid) {
        let Some(task) = self.tasks.get_mut(&gid) else { return };
        if !task.in_queue {
            return;
        }
        task.in_queue = false;
        self.line.remove(&task.lane, gid, task.place, task.load());
        if !task.spec.shadow
            && let Some(session) = self.sessions.get_mut(&task.spec.session)
        {
            let was = session.waiting_weight();
            session.queued -= 1;
            self.line.reweigh(was, session.waiting_weight());
        }
    }

    /// A miner became free: serves the lanes that it can serve.
    pub(super) fn pump_for(&mut self, key: MinerKey, step: &mut Step) {
        if self.line.is_empty() {
            return;
        }
        // The lane whose first task is the furthest behind goes first, so that no model starves another.
        while let Some(miner) = self.fleet.get(key)
            && miner.is_free()
        {
            let Some(lane) = self.line.most_behind(|lane| miner.serves(lane)) else { return };
            let before = step.len();
            self.pump(&lane, step);
            if step.len() == before {
                // Its first tasks must not have this miner; the other lanes may.
                for other in self.line.lanes(|other| *other != lane) {
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
            let band = window.first().and_then(|(_, gid)| self.tasks.get(gid)).map_or(0, |t| t.place.band);
            let virtual_time = self.line.virtual_time(band);
            let Some((gid, miner)) = self.choose(lane, &window, virtual_time, step.now) else { break };
            self.offer(gid, miner, false, step);
        }
        self.window = window;
    }

    /// Offers the waiting tasks of a session that has lanes of its own.
    pub(super) fn pump_own(&mut self, session: SessionId, step: &mut Step) {
        for lane in self.line.lanes(|lane| lane.own == Some(session)) {
            self.pump(&lane, step);
        }
    }

    pub(super) fn offer(&mut self, gid: Gid, key: MinerKey, hedge: bool, step: &mut Step) {
        let fence = Fence((self.settings.epoch << FENCE_BITS) | self.next_fence);
        if !self.planted(PlantedBug::ReuseFence) {
            self.next_fence += 1;
        }
        let Some(task) = self.tasks.get_mut(&gid) else { return };
        let Some(miner) = self.fleet.get_mut(key) else { return };
        miner.in_flight += 1;
        miner.served += 1;
        miner.fences.insert(fence);
        let auto = miner.rules.auto_accept;
        let timer = if auto {
            task.silent_until(step.now, self.settings.progress_timeout_ms)
        } else {
            step.now.plus(self.settings.accept_timeout_ms)
        };
        self.timers.set(timer, if auto { Timer::Progress(fence) } else { Timer::Accept(fence) });
        task.attempts.push(Attempt {
            fence,
            miner: key,
            state: if auto { AttemptState::Running } else { AttemptState::Offered },
            timer,
            offered_at: step.now,
            first_token_at: None,
            heard_at: step.now,
        });
        if task.redundant() {
            task.used.push(Used { fence, name: miner.rules.identity.clone(), owner: miner.rules.owner.clone() });
        }
        let role = match task.primary {
            _ if hedge => Role::Hedge,
            Some(_) => Role::Aside,
            None if std::mem::take(&mut task.continuing) => Role::Continue,
            None => Role::Primary,
        };
        if matches!(role, Role::Primary | Role::Continue) {
            task.primary = Some(fence);
            task.continued = role == Role::Continue;
            self.continuing.remove(&gid);
        }
        if !hedge {
            task.tries += 1;
        }
        if let Some(at) = task.unservable_at.take() {
            self.timers.clear(at, Timer::Unservable(gid));
        }
        let state = if auto { TaskState::Acked } else { TaskState::Assigned };
        let (place, background) = (task.place, task.recheck);
        let full = !task.wants_miner();
        let prefix = task.spec.prefix.clone();
        let session = task.spec.session;
        let own = task.lane.own;
        if task.state < state {
            task.state = state;
        }
        let now_state = task.state;
        self.fences.insert(fence, gid);
        if !background {
            self.line.serve(place);
        }
        if let Some(session) = self.sessions.get_mut(&session) {
            if !background {
                session.last_miner = Some(key);
            }
            if own.is_some() {
                *session.working.entry(key).or_default() += 1;
            }
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
