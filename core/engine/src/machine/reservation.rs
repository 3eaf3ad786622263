//! Keeps ephemeral miners for sessions that reserve some for themselves.

use super::Engine;
use crate::lane::LaneKey;
use crate::miner::MinerEntry;
use crate::rules::MinerKey;
use crate::session::SessionEntry;
use crate::step::Step;
use crate::timer::Timer;
use cortensor_router_model::{SessionId, Timestamp};

impl Engine {
    /// Renews the reservation of a session that was opened, was changed or got a task: it holds for its period from
    /// now on.
    pub(super) fn renew_reservation(&mut self, id: SessionId, step: &mut Step) {
        let Some(session) = self.sessions.get(id) else { return };
        if session.rules().reserve == 0 || !session.rules().open {
            if !session.kept().is_empty() {
                self.give_back(id, step);
            }
            return;
        }
        let until = step.now().plus(session.rules().reserve_ms.max(1));
        if self.sessions.reserve_until(id, until).is_some_and(|was| was <= step.now()) {
            self.timers.set(until, Timer::Reservation(id));
        }
        self.reserve(id, step);
    }

    /// Keeps miners for the session until it has as many as it reserves, or until no more may be kept.
    pub(super) fn reserve(&mut self, id: SessionId, step: &mut Step) {
        let Some(session) = self.sessions.get(id) else { return };
        let lacks = session.lacks();
        if lacks == 0 {
            return;
        }
        let lane = LaneKey::of_reservation(id, session.rules().model.clone());
        let able = self
            .fleet
            .of_lane(&lane)
            .filter(|miner| miner.could_serve(&lane) && !miner.rules().last_resort && !miner.rules().is_foreign());
        let kept = able.clone().filter(|miner| miner.reserved().is_some()).count();
        let most = (able.clone().count() as f64 * self.settings.max_reserved) as usize;
        // Miners that have the model come first, then the least busy ones, which are free for the session soonest.
        let mut spare: Vec<_> = able
            .filter(|miner| miner.reserved().is_none() && miner.takes_part())
            .map(|miner| (miner.fit(&lane), miner.in_flight(), miner.key()))
            .collect();
        spare.sort_unstable();
        let room = lacks.min(most.saturating_sub(kept));
        for (_, _, key) in spare.into_iter().take(room) {
            self.sessions.keep(id, key);
            self.fleet.keep_for(key, Some(id));
            self.pump_for(key, step);
        }
    }

    /// Releases the session's miners.
    fn give_back(&mut self, id: SessionId, step: &mut Step) {
        for key in self.sessions.take_kept(id) {
            self.fleet.keep_for(key, None);
            self.pump_for(key, step);
        }
    }

    pub(super) fn reservation_due(&mut self, id: SessionId, step: &mut Step) {
        let Some(session) = self.sessions.get(id) else { return };
        if session.kept_until() > step.now() && session.rules().reserve > 0 {
            self.timers.set(session.kept_until(), Timer::Reservation(id));
        } else {
            self.sessions.reserve_until(id, Timestamp(0));
            self.give_back(id, step);
        }
    }

    /// The lane of the tasks with these needs that stand for tasks of that session at other routers. If this router keeps
    /// miners for the session, they may have them, and the session's reservation holds on.
    pub(super) fn lane_of_deputies(&mut self, need: LaneKey, session: SessionId, step: &mut Step) -> LaneKey {
        let rules = self.sessions.get(session).map(SessionEntry::rules);
        if !rules.is_some_and(|rules| rules.reserve > 0 && rules.open) {
            return need;
        }
        self.renew_reservation(session, step);
        need.lent_to(session)
    }

    /// Notes for which session another router keeps its miner.
    pub(super) fn kept_elsewhere(&mut self, key: MinerKey, session: Option<SessionId>) {
        let miner = self.fleet.get(key).filter(|miner| miner.rules().is_foreign());
        if miner.is_some_and(|miner| miner.reserved() != session) {
            self.fleet.keep_for(key, session);
        }
    }

    /// Removes a miner that is gone from its session's reservation.
    pub(super) fn drop_reservation(&mut self, key: MinerKey) {
        let Some(session) = self.fleet.get(key).and_then(MinerEntry::reserved) else { return };
        self.sessions.unkeep(session, key);
    }
}
