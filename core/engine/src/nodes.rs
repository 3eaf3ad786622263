//! Decides which miners a session may have: kinds, counts, reservations and service classes.

use super::event::{MinerKey, MinerRules};
use super::line::LaneKey;
use super::machine::Engine;
use super::miner::MinerEntry;
use super::session::SessionEntry;
use super::settings::PlantedBug;
use super::step::Step;
use super::timer::Timer;
use cortensor_router_model::SessionId;

/// The demands of a service class on a miner. A miner that was not measured yet counts as good enough, so that it
/// gets measured.
struct ServiceClass {
    /// The greatest share of attempts that may fail by its fault.
    errors: f64,
    /// The smallest number of tokens a second.
    speed: f64,
    /// The greatest number of milliseconds to the first token.
    first_token_ms: f64,
}

/// Classes 1, 2, and 3 and above. Class 0 demands nothing.
const CLASSES: [ServiceClass; 3] = [
    ServiceClass { errors: 0.10, speed: 0.0, first_token_ms: f64::INFINITY },
    ServiceClass { errors: 0.05, speed: 10.0, first_token_ms: 2_000.0 },
    ServiceClass { errors: 0.02, speed: 25.0, first_token_ms: 1_000.0 },
];

impl MinerEntry {
    fn meets(&self, class: u32) -> bool {
        let Some(class) = (class as usize).checked_sub(1).map(|index| &CLASSES[index.min(CLASSES.len() - 1)]) else {
            return true;
        };
        self.errors <= class.errors
            && (self.speed <= 0.0 || self.speed >= class.speed)
            && (self.first_token_ms <= 0.0 || self.first_token_ms <= class.first_token_ms)
    }

    /// The greatest service class that it meets.
    pub(super) fn service_class(&self) -> u32 {
        (1..=CLASSES.len() as u32).rev().find(|class| self.meets(*class)).unwrap_or(0)
    }
}

/// The rules that one decision for a session's lane must keep.
pub(super) struct Limits<'a> {
    session: &'a SessionEntry,
    /// Whether a miner of the session's class exists: then no other one will do.
    strict: bool,
    crowded: bool,
}

impl Limits<'_> {
    pub(super) fn allow(&self, key: MinerKey, miner: &MinerEntry) -> bool {
        (!self.crowded || self.session.working.contains_key(&key))
            && (!self.strict || miner.meets(self.session.rules.sla))
    }
}

impl Engine {
    /// The rules, or `None` while the session gets no miner at all.
    pub(super) fn limits(&self, session: SessionId, lane: &LaneKey) -> Option<Limits<'_>> {
        let entry = self.sessions.get(&session)?;
        let rules = &entry.rules;
        if rules.min_miners > 0 && self.able(session, lane) < rules.min_miners {
            return None;
        }
        let crowded = rules.max_miners.is_some_and(|most| entry.working.len() as u32 >= most.get())
            && !self.planted(PlantedBug::IgnoreMaxMiners);
        let strict = rules.sla > 0
            && self.fleet.values().any(|miner| miner.takes_part() && miner.serves(lane) && miner.meets(rules.sla));
        Some(Limits { session: entry, strict, crowded })
    }

    /// The number of miners that could serve the session's tasks of that lane; 0 if the session does not demand any.
    pub(super) fn able(&self, session: SessionId, lane: &LaneKey) -> u32 {
        if self.sessions.get(&session).is_none_or(|session| session.rules.min_miners == 0) {
            return 0;
        }
        self.fleet.values().filter(|miner| miner.takes_part() && miner.serves(lane)).count() as u32
    }

    pub(super) fn miner_up(&mut self, key: MinerKey, rules: MinerRules, step: &mut Step) {
        let reputation = self.reputations.get(&rules.identity).copied().unwrap_or(1.0);
        self.fleet.insert(key, rules, reputation);
        self.judge_reputation(key, step.now);
        self.fleet.reindex(key);
        let waiting: Vec<SessionId> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.rules.reserve > 0 && session.reserved_until > step.now)
            .map(|(id, _)| *id)
            .collect();
        for session in waiting {
            self.reserve(session, step);
        }
        self.pump_for(key, step);
        // With one more miner there may be as many as the session wants; then all free ones may have its tasks.
        let lanes = self.line.lanes(|lane| lane.own.is_some());
        for lane in lanes {
            self.pump(&lane, step);
        }
    }

    /// Notes that the session was opened, changed, or got a task: its reservation holds for its period from now on.
    pub(super) fn renew_reservation(&mut self, id: SessionId, step: &mut Step) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.rules.reserve == 0 || !session.rules.open {
            if !session.reserved.is_empty() {
                self.give_back(id, step);
            }
            return;
        }
        let was = session.reserved_until;
        session.reserved_until = step.now.plus(session.rules.reserve_ms.max(1));
        if was <= step.now {
            self.timers.set(session.reserved_until, Timer::Reservation(id));
        }
        self.reserve(id, step);
    }

    /// Keeps miners for the session until it has as many as it wants, or no more may be kept.
    fn reserve(&mut self, id: SessionId, step: &mut Step) {
        let Some(session) = self.sessions.get(&id) else { return };
        let wanted = session.rules.reserve as usize;
        if session.reserved.len() >= wanted {
            return;
        }
        let lane = LaneKey {
            model: session.rules.model.clone(),
            any_model: false,
            embedding: false,
            mode: cortensor_router_model::SessionMode::Ephemeral,
            own: Some(id),
        };
        let able = self.fleet.iter().filter(|(_, miner)| miner.could_serve(&lane) && !miner.rules.last_resort);
        let kept = able.clone().filter(|(_, miner)| miner.reserved.is_some()).count();
        let most = (able.clone().count() as f64 * self.settings.max_reserved) as usize;
        // Miners that have the model come first, then the least busy ones, which are free for the session soonest.
        let mut spare: Vec<_> = able
            .filter(|(_, miner)| miner.reserved.is_none() && miner.takes_part())
            .map(|(key, miner)| (miner.fit(&lane), miner.in_flight, *key))
            .collect();
        spare.sort_unstable();
        let room = (wanted - session.reserved.len()).min(most.saturating_sub(kept));
        for (_, _, key) in spare.into_iter().take(room) {
            let Some(session) = self.sessions.get_mut(&id) else { return };
            session.reserved.insert(key);
            self.fleet.keep_for(key, Some(id));
            self.pump_for(key, step);
        }
    }

    /// Releases the session's miners.
    fn give_back(&mut self, id: SessionId, step: &mut Step) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        for key in std::mem::take(&mut session.reserved) {
            self.fleet.keep_for(key, None);
            self.pump_for(key, step);
        }
    }

    pub(super) fn reservation_due(&mut self, id: SessionId, step: &mut Step) {
        let Some(session) = self.sessions.get(&id) else { return };
        if session.reserved_until > step.now && session.rules.reserve > 0 {
            self.timers.set(session.reserved_until, Timer::Reservation(id));
        } else {
            self.give_back(id, step);
        }
    }

    /// Removes a miner that is gone from its session's reservation.
    pub(super) fn drop_reservation(&mut self, key: MinerKey) {
        let Some(session) = self.fleet.get(key).and_then(|miner| miner.reserved) else { return };
        if let Some(session) = self.sessions.get_mut(&session) {
            session.reserved.remove(&key);
        }
    }

    /// Notes that a miner has one task less of the session.
    pub(super) fn stopped_working(&mut self, session: SessionId, key: MinerKey) {
        if let Some(session) = self.sessions.get_mut(&session)
            && let Some(tasks) = session.working.get_mut(&key)
        {
            *tasks -= 1;
            if *tasks == 0 {
                session.working.remove(&key);
            }
        }
    }
}
