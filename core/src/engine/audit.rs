//! What must hold of the engine after every event. The simulator asks after each one.

use super::entry::AttemptState;
use super::machine::Engine;

impl Engine {
    /// Checks the engine against itself.
    ///
    /// # Errors
    /// Says what does not hold.
    pub fn audit(&self) -> Result<(), String> {
        let (mut queued, mut bytes, mut cost) = (0, 0, 0);
        for (gid, task) in &self.tasks {
            if task.in_queue {
                queued += 1;
                bytes += task.spec.bytes;
                cost += task.cost;
            }
            if task.wants_miner() && !task.spec.held && !task.in_queue && task.retry_at.is_none() {
                return Err(format!("task {gid} wants a miner, but is neither queued nor waits for a retry"));
            }
            if task.ending && task.in_queue {
                return Err(format!("task {gid} is ending, but is still queued"));
            }
            for (index, attempt) in task.attempts.iter().enumerate() {
                if task.attempts[..index].iter().any(|other| other.miner == attempt.miner) {
                    return Err(format!("task {gid} has two attempts on one miner"));
                }
                let open = attempt.state != AttemptState::Done && !task.ending;
                if open && self.fences.get(&attempt.fence) != Some(gid) {
                    return Err(format!("the attempt {} of task {gid} is not known by its fence", attempt.fence));
                }
                if open && !self.miners.get(&attempt.miner).is_some_and(|miner| miner.fences.contains(&attempt.fence)) {
                    return Err(format!("the attempt {} of task {gid} is not known to its miner", attempt.fence));
                }
            }
        }
        if (queued, bytes, cost) != (self.queued_tasks, self.queued_bytes, self.queued_cost) {
            return Err(format!("the queue holds {queued} tasks, but {} are counted", self.queued_tasks));
        }
        for (key, miner) in &self.miners {
            if miner.in_flight as usize != miner.fences.len() {
                return Err(format!(
                    "miner {key:?} has {} tasks, but {} are counted",
                    miner.fences.len(),
                    miner.in_flight
                ));
            }
            if miner.rank.is_some() != miner.is_free() {
                return Err(format!(
                    "miner {key:?} is free: {}, listed as free: {}",
                    miner.is_free(),
                    miner.rank.is_some()
                ));
            }
            if let Some(fence) = miner.fences.iter().find(|fence| !self.fences.contains_key(fence)) {
                return Err(format!("miner {key:?} holds the fence {fence}, which counts no more"));
            }
        }
        Ok(())
    }
}
