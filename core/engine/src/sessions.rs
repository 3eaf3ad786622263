//! The sessions, and the list of those whose reservations lack miners.

use std::collections::{BTreeMap, BTreeSet};

use cortensor_router_model::{SessionId, TaskId, Timestamp};

use super::fleet::Fleet;
use super::pages::Pages;
use super::rules::{MinerKey, SessionRules};
use super::session::SessionEntry;
use super::task::TaskEntry;

/// All sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    by_id: Pages<SessionId, SessionEntry>,
    /// Sessions with a reservation that is in force and has fewer miners than it wants.
    short: BTreeSet<SessionId>,
    first_task: TaskId,
    /// Whether ids come in blocks.
    in_blocks: bool,
}

impl Sessions {
    /// No sessions yet. The first task of each session gets the id `first_task`.
    pub(super) fn new(first_task: TaskId, in_blocks: bool) -> Self {
        Self { by_id: Pages::default(), short: BTreeSet::new(), first_task, in_blocks }
    }

    /// A session.
    pub(super) fn get(&self, id: SessionId) -> Option<&SessionEntry> {
        self.by_id.get(id)
    }

    /// A session, to change its counts. Use the methods below to change its reservation.
    pub(super) fn get_mut(&mut self, id: SessionId) -> Option<&mut SessionEntry> {
        self.by_id.get_mut(id)
    }

    /// A session that must be there, because a task of it was let in.
    pub(super) fn known_mut(&mut self, id: SessionId) -> Option<&mut SessionEntry> {
        let session = self.get_mut(id);
        debug_assert!(session.is_some(), "session {id} is not there");
        session
    }

    /// The session, which is added if it is not there.
    pub(super) fn entry(&mut self, id: SessionId) -> &mut SessionEntry {
        let (first_task, in_blocks) = (self.first_task, self.in_blocks);
        self.by_id.entry(id, || SessionEntry::new(first_task, in_blocks))
    }

    /// Adds a block of ids to a session.
    pub(super) fn add_ids(&mut self, id: SessionId, first: TaskId, end: TaskId) {
        if let Some(session) = self.by_id.get_mut(id) {
            session.add_ids(first, end);
        }
    }

    /// Forgets all ids that are not used yet.
    pub(super) fn lose_ids(&mut self) {
        let all: Vec<SessionId> = self.by_id.iter().map(|(id, _)| id).collect();
        for id in all {
            self.by_id.get_mut(id).into_iter().for_each(SessionEntry::lose_ids);
        }
    }

    /// Sets the rules of a session, which is added if it is not there. Returns its former and its present weight among
    /// the sessions with waiting tasks.
    pub(super) fn set_rules(&mut self, id: SessionId, rules: SessionRules) -> (u64, u64) {
        let session = self.entry(id);
        let was = session.waiting_weight();
        session.set_rules(rules);
        let weight = session.waiting_weight();
        self.note_short(id);
        (was, weight)
    }

    /// Forgets a closed session. `false`: some of its work is still under way, and it stays.
    pub(super) fn forget(&mut self, id: SessionId) -> bool {
        let Some(session) = self.by_id.get(id) else { return true };
        let at_rest = session.is_at_rest();
        if at_rest {
            self.by_id.remove(id);
            self.short.remove(&id);
        }
        at_rest
    }

    /// Sets the last task id of a session. The number of tasks that it has had follows from this id.
    pub(super) fn resume(&mut self, id: SessionId, last: TaskId) {
        let first = self.first_task;
        if let Some(session) = self.by_id.get_mut(id) {
            session.resume(last, first);
        }
    }

    /// Counts one waiting task of the session more, or one less. Returns the session's former and its present weight
    /// among the sessions with waiting tasks.
    pub(super) fn count_waiting(&mut self, id: SessionId, more: bool) -> (u64, u64) {
        let Some(session) = self.by_id.get_mut(id) else { return (0, 0) };
        let was = session.waiting_weight();
        if more {
            session.task_waits();
        } else {
            session.task_left_queue();
        }
        (was, session.waiting_weight())
    }

    /// Notes that a miner has one more task of the session, if the session is restricted.
    pub(super) fn started_working(&mut self, id: SessionId, key: MinerKey) {
        if let Some(session) = self.by_id.get_mut(id) {
            session.started(key);
        }
    }

    /// Notes that a miner has one task of the session less.
    pub(super) fn stopped_working(&mut self, id: SessionId, key: MinerKey) {
        if let Some(session) = self.by_id.get_mut(id) {
            session.stopped(key);
        }
    }

    /// Lets the session's reservation hold until that time. Returns the time until which it held before.
    pub(super) fn reserve_until(&mut self, id: SessionId, until: Timestamp) -> Option<Timestamp> {
        let was = self.by_id.get_mut(id)?.keep_until(until);
        self.note_short(id);
        Some(was)
    }

    /// The sessions whose reservation holds and has fewer miners than it reserves.
    pub(super) fn short(&self, now: Timestamp) -> Vec<SessionId> {
        let holds = |id: &SessionId| self.by_id.get(*id).is_some_and(|session| session.kept_until() > now);
        self.short.iter().copied().filter(holds).collect()
    }

    /// Keeps a miner for the session.
    pub(super) fn keep(&mut self, id: SessionId, key: MinerKey) {
        if let Some(session) = self.by_id.get_mut(id) {
            session.keep(key);
        }
        self.note_short(id);
    }

    /// Notes that a miner is no longer kept for the session.
    pub(super) fn unkeep(&mut self, id: SessionId, key: MinerKey) {
        if let Some(session) = self.by_id.get_mut(id) {
            session.unkeep(key);
        }
        self.note_short(id);
    }

    /// Removes all miners from the session's reservation and returns them.
    pub(super) fn take_kept(&mut self, id: SessionId) -> BTreeSet<MinerKey> {
        let kept = self.by_id.get_mut(id).map(SessionEntry::take_kept);
        self.note_short(id);
        kept.unwrap_or_default()
    }

    fn note_short(&mut self, id: SessionId) {
        if self.get(id).is_some_and(SessionEntry::is_short) {
            self.short.insert(id);
        } else {
            self.short.remove(&id);
        }
    }

    /// The sum of the weights of all sessions with waiting tasks.
    pub(super) fn waiting_weight(&self) -> u64 {
        self.by_id.values().map(SessionEntry::waiting_weight).sum()
    }

    /// Checks the counts of each session against the tasks, and its reservation against the miners.
    ///
    /// # Errors
    /// A text that says which count is wrong.
    pub(super) fn check<'a>(&self, tasks: impl Iterator<Item = &'a TaskEntry>, fleet: &Fleet) -> Result<(), String> {
        let mut working = BTreeMap::new();
        let mut counts: BTreeMap<SessionId, (u64, u64)> = BTreeMap::new();
        for task in tasks {
            if !task.demand().shadow {
                let (active, queued) = counts.entry(task.session()).or_default();
                *active += 1;
                *queued += u64::from(task.is_queued());
            }
            let Some(session) = task.lane().ruled_by() else { continue };
            for attempt in task.attempts().iter().filter(|attempt| !attempt.is_done()) {
                *working.entry((session, attempt.miner())).or_insert(0) += 1;
            }
        }
        for (id, session) in self.by_id.iter() {
            let (active, queued) = counts.remove(&id).unwrap_or_default();
            if (active, queued) != (session.active(), session.queued()) {
                return Err(format!(
                    "session {id} has {active} tasks of which {queued} wait, but counts {} and {}",
                    session.active(),
                    session.queued()
                ));
            }
            for (key, tasks) in session.working() {
                let there = working.remove(&(id, *key)).unwrap_or(0);
                if there != *tasks {
                    return Err(format!("session {id} counts {tasks} tasks of miner {key:?}, but it has {there}"));
                }
            }
            for key in session.kept() {
                if fleet.get(*key).is_none_or(|miner| miner.reserved() != Some(id)) {
                    return Err(format!("session {id} keeps miner {key:?}, which does not know it"));
                }
            }
            if session.is_short() != self.short.contains(&id) {
                return Err(format!("session {id} is short of miners: {}, which is not listed so", session.is_short()));
            }
        }
        if let Some(((id, key), _)) = working.first_key_value() {
            return Err(format!("miner {key:?} works for session {id}, which does not know it"));
        }
        // Of the miners of another router that one says for whom they are kept.
        for miner in fleet.values().filter(|miner| !miner.rules().is_foreign()) {
            let key = miner.key();
            let kept = miner.reserved().is_none_or(|id| self.get(id).is_some_and(|s| s.kept().contains(&key)));
            if !kept {
                return Err(format!(
                    "miner {key:?} is kept for session {:?}, which does not know it",
                    miner.reserved()
                ));
            }
        }
        Ok(())
    }
}
