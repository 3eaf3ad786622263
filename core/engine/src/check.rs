//! What must hold of the engine after every event. The simulator asks after each one.

use std::collections::BTreeMap;

use super::machine::Engine;
use super::session::SessionEntry;
use super::task::AttemptState;

impl Engine {
    /// Checks the engine against itself.
    ///
    /// # Errors
    /// Says what does not hold.
    pub fn check(&self) -> Result<(), String> {
        for (gid, task) in &self.tasks {
            task.phase.check().map_err(|why| format!("task {gid}: {why}"))?;
            if task.wants_miner() && !task.in_queue && task.retry_at.is_none() {
                return Err(format!("task {gid} wants a miner, but is neither queued nor waits for a retry"));
            }
            if task.is_ending() && task.in_queue {
                return Err(format!("task {gid} is ending, but is still queued"));
            }
            for (index, attempt) in task.attempts.iter().enumerate() {
                if task.attempts[..index].iter().any(|other| other.miner == attempt.miner) {
                    return Err(format!("task {gid} has two attempts on one miner"));
                }
                let open = attempt.state != AttemptState::Done && !task.is_ending();
                if open && self.fences.get(&attempt.fence) != Some(gid) {
                    return Err(format!("the attempt {} of task {gid} is not known by its fence", attempt.fence));
                }
                if open && !self.fleet.get(attempt.miner).is_some_and(|miner| miner.fences.contains(&attempt.fence)) {
                    return Err(format!("the attempt {} of task {gid} is not known to its miner", attempt.fence));
                }
            }
        }
        let queued = self.tasks.values().filter(|task| task.in_queue);
        let waiting = queued.filter_map(|task| Some((task.place, task.load()?)));
        self.line.check(waiting, self.sessions.values().map(SessionEntry::waiting_weight).sum())?;
        self.fleet.check()?;
        for (key, miner) in self.fleet.iter() {
            if let Some(fence) = miner.fences.iter().find(|fence| !self.fences.contains_key(fence)) {
                return Err(format!("miner {key:?} holds the fence {fence}, which counts no more"));
            }
        }
        self.check_sessions()
    }

    fn check_sessions(&self) -> Result<(), String> {
        let mut working = BTreeMap::new();
        for task in self.tasks.values() {
            let Some(session) = task.lane.own else { continue };
            for attempt in task.attempts.iter().filter(|attempt| attempt.state != AttemptState::Done) {
                *working.entry((session, attempt.miner)).or_insert(0) += 1;
            }
        }
        for (id, session) in &self.sessions {
            for (key, tasks) in &session.working {
                let there = working.remove(&(*id, *key)).unwrap_or(0);
                if there != *tasks {
                    return Err(format!("session {id} counts {tasks} tasks of miner {key:?}, but it has {there}"));
                }
            }
            for key in &session.reserved {
                if self.fleet.get(*key).is_none_or(|miner| miner.reserved != Some(*id)) {
                    return Err(format!("session {id} keeps miner {key:?}, which does not know it"));
                }
            }
        }
        if let Some(((id, key), _)) = working.first_key_value() {
            return Err(format!("miner {key:?} works for session {id}, which does not know it"));
        }
        for (key, miner) in self.fleet.iter() {
            let kept = miner.reserved.is_none_or(|id| self.sessions.get(&id).is_some_and(|s| s.reserved.contains(key)));
            if !kept {
                return Err(format!("miner {key:?} is kept for session {:?}, which does not know it", miner.reserved));
            }
        }
        let rechecks = self.tasks.values().filter(|task| task.recheck).count();
        if rechecks != self.rechecks as usize {
            return Err(format!("{rechecks} rechecks run, but {} are counted", self.rechecks));
        }
        for gid in &self.continuing {
            if !self.tasks.get(gid).is_some_and(|task| task.continuing && !task.is_ending()) {
                return Err(format!("task {gid} is listed as one that goes on, but does not"));
            }
        }
        Ok(())
    }
}
