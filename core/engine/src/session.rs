//! The engine's record of a session.

use std::collections::{BTreeMap, BTreeSet};

use cortensor_router_model::{TaskId, Timestamp};

use super::lane::Tag;
use super::line::SCALE;
use super::rules::{MinerKey, SessionRules};
use super::smoothing::smooth;

/// A session: its rules, its counts, its share of the queue, and the miners that are kept for it.
///
/// The fields stand in the order in which they are declared. Those that every task needs come first and fill two lines
/// of the processor's cache.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct SessionEntry {
    rules: SessionRules,
    /// The finish tag of its last task.
    finish: Tag,
    next_task: TaskId,
    taken: u64,
    queued: u64,
    active: u64,
    /// The mean number of tokens of an answer, by which the next answer is estimated; 0 while unknown.
    mean_out: f64,
    last_miner: Option<MinerKey>,
    /// The miners that work for it, and the number of its tasks that each of them has. Used only while the session is
    /// restricted.
    working: BTreeMap<MinerKey, u32>,
    /// The miners that are kept for it.
    kept: BTreeSet<MinerKey>,
    /// The time until which miners are kept for it; 0: its reservation is over.
    kept_until: Timestamp,
    /// The ids that it may give its tasks; `None`: all from `next_task` on.
    ids: Option<Ids>,
}

/// The ids of a session whose ids come in blocks.
#[derive(Debug, Default)]
struct Ids {
    /// The id after the last one of the present block.
    end: TaskId,
    /// The next block, of which no id is used yet: its first id, and the one after its last.
    spare: Option<(TaskId, TaskId)>,
    /// The number of ids of the newest block.
    block: u64,
    /// Whether the router was asked for more.
    asked: bool,
}

impl SessionEntry {
    /// A session that has had no task. Its first task gets that id.
    pub(super) fn new(first_task: TaskId, in_blocks: bool) -> Self {
        Self {
            rules: SessionRules::default(),
            finish: 0,
            next_task: first_task,
            taken: 0,
            queued: 0,
            active: 0,
            mean_out: 0.0,
            last_miner: None,
            working: BTreeMap::new(),
            kept: BTreeSet::new(),
            kept_until: Timestamp(0),
            ids: in_blocks.then(|| Ids { end: first_task, ..Ids::default() }),
        }
    }

    pub(super) fn rules(&self) -> &SessionRules {
        &self.rules
    }

    /// Sets its rules. Its weight is at least 1.
    pub(super) fn set_rules(&mut self, rules: SessionRules) {
        self.rules = SessionRules { weight: rules.weight.max(1), ..rules };
    }

    fn weight(&self) -> u64 {
        u64::from(self.rules.weight.max(1))
    }

    /// Its weight if it has waiting tasks, else 0.
    pub(super) fn waiting_weight(&self) -> u64 {
        if self.queued > 0 { self.weight() } else { 0 }
    }

    /// The finish tag of its last task.
    pub(super) fn finish(&self) -> Tag {
        self.finish
    }

    /// The number of its tasks that wait for a miner.
    pub(super) fn queued(&self) -> u64 {
        self.queued
    }

    /// The number of its tasks that have not ended.
    pub(super) fn active(&self) -> u64 {
        self.active
    }

    /// The number of tasks that it ever had.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// The id that its next task gets.
    pub(super) fn next_task(&self) -> TaskId {
        self.next_task
    }

    /// Whether it has taken all the tasks that it ever takes.
    pub(super) fn is_exhausted(&self) -> bool {
        // The store gives out the ids and counts those of all routers.
        if self.ids.is_some() {
            return self.lacks_ids();
        }
        self.rules.max_tasks.is_some_and(|most| self.taken >= most.get())
    }

    /// Whether it is closed, and nothing of it is under way. A closed session has given its miners back.
    pub(super) fn is_at_rest(&self) -> bool {
        !self.rules.open && self.active == 0 && self.queued == 0 && self.working.is_empty() && self.kept.is_empty()
    }

    /// Takes a task in. Returns the task's id.
    pub(super) fn take_task(&mut self) -> TaskId {
        let id = self.next_task;
        self.next_task = TaskId(id.0 + 1);
        self.taken += 1;
        if let Some(ids) = &mut self.ids
            && self.next_task >= ids.end
            && let Some((first, end)) = ids.spare.take()
        {
            (self.next_task, ids.end) = (first, end);
        }
        id
    }

    /// Whether its ids come in blocks and none is left.
    pub(super) fn lacks_ids(&self) -> bool {
        self.ids.as_ref().is_some_and(|ids| self.next_task >= ids.end)
    }

    /// Whether its ids come in blocks and the router should be asked for more, which it is only once.
    pub(super) fn asks_for_ids(&mut self) -> bool {
        let Some(ids) = &mut self.ids else { return false };
        let left = ids.end.0.saturating_sub(self.next_task.0);
        let asks = !ids.asked && ids.spare.is_none() && left <= ids.block / 2;
        ids.asked |= asks;
        asks
    }

    /// Adds a block of ids.
    pub(super) fn add_ids(&mut self, first: TaskId, end: TaskId) {
        let Some(ids) = &mut self.ids else { return };
        ids.asked = false;
        if end <= first {
            return;
        }
        ids.block = end.0 - first.0;
        if first == ids.end {
            ids.end = end;
        } else if self.next_task >= ids.end {
            (self.next_task, ids.end) = (first, end);
        } else if let Some((_, last)) = ids.spare.as_mut().filter(|(_, last)| *last == first) {
            *last = end;
        } else if ids.spare.is_none() {
            ids.spare = Some((first, end));
        }
    }

    /// Forgets the ids that are not used yet.
    pub(super) fn lose_ids(&mut self) {
        if let Some(ids) = &mut self.ids {
            *ids = Ids { end: self.next_task, ..Ids::default() };
        }
    }

    /// Takes back that it took the task with that id. If later ids were given out in the meantime, the id stays unused.
    pub(super) fn give_back(&mut self, id: TaskId) {
        self.taken = self.taken.saturating_sub(1);
        let is_of_block = self.ids.as_ref().is_none_or(|ids| id < ids.end);
        if self.next_task.0 == id.0 + 1 && is_of_block {
            self.next_task = id;
        }
    }

    /// Notes that a task of that id existed before: new ids are greater. An id that came in a block says nothing of the
    /// next one.
    pub(super) fn skip(&mut self, id: TaskId) {
        if self.ids.is_some() {
            return;
        }
        self.next_task = self.next_task.max(TaskId(id.0 + 1));
    }

    /// Sets the last id. The number of tasks that it has had follows from this id and from the first one.
    pub(super) fn resume(&mut self, last: TaskId, first: TaskId) {
        self.skip(last);
        self.taken = self.next_task.0.saturating_sub(first.0);
    }

    /// The number of tokens that an answer of at most `most` tokens is likely to have; 0 while unknown.
    pub(super) fn expected_tokens(&self, most: u64) -> f64 {
        self.mean_out.min(most as f64)
    }

    /// Charges it the cost of a task that has come in. Returns the tag of the task.
    pub(super) fn charge(&mut self, cost: u64, virtual_time: Tag) -> Tag {
        let tag = self.finish.max(virtual_time);
        self.finish = tag.saturating_add(cost.saturating_mul(SCALE) / self.weight());
        self.active += 1;
        tag
    }

    /// Notes that a task of it is over.
    pub(super) fn task_over(&mut self) {
        self.active = self.active.saturating_sub(1);
    }

    /// Notes that one more of its tasks waits for a miner.
    pub(super) fn task_waits(&mut self) {
        self.queued += 1;
    }

    /// Notes that one of its tasks waits for a miner no more.
    pub(super) fn task_left_queue(&mut self) {
        self.queued -= 1;
    }

    /// Adds the tokens of an answer to the mean, which begins with the tokens of the first answer, at most `expected`.
    pub(super) fn answered(&mut self, tokens: u64, expected: u64) {
        let mean = if self.mean_out > 0.0 { self.mean_out } else { tokens.min(expected) as f64 };
        self.mean_out = smooth(mean, tokens as f64).max(1.0);
    }

    /// Corrects the cost that a task was charged when it came in: the session gets the surplus back, or pays the rest.
    pub(super) fn correct(&mut self, charged: u64, actual: u64) {
        let weight = self.weight();
        self.finish = if actual >= charged {
            self.finish.saturating_add((actual - charged) * SCALE / weight)
        } else {
            self.finish.saturating_sub((charged - actual) * SCALE / weight)
        };
    }

    /// The miner that got its last task.
    pub(super) fn last_miner(&self) -> Option<MinerKey> {
        self.last_miner
    }

    /// Notes the miner that got its last task.
    pub(super) fn served_by(&mut self, miner: MinerKey) {
        self.last_miner = Some(miner);
    }

    /// Whether as many miners work for it as may do so.
    pub(super) fn is_crowded(&self) -> bool {
        self.rules.max_miners.is_some_and(|most| self.working.len() as u32 >= most.get())
    }

    /// Whether that miner works for it.
    pub(super) fn employs(&self, miner: MinerKey) -> bool {
        self.working.contains_key(&miner)
    }

    /// The miners that work for it, and the number of its tasks that each of them has.
    pub(super) fn working(&self) -> &BTreeMap<MinerKey, u32> {
        &self.working
    }

    /// Notes that a miner has one more of its tasks.
    pub(super) fn started(&mut self, miner: MinerKey) {
        *self.working.entry(miner).or_default() += 1;
    }

    /// Notes that a miner has one of its tasks less.
    pub(super) fn stopped(&mut self, miner: MinerKey) {
        let Some(tasks) = self.working.get_mut(&miner) else { return };
        *tasks -= 1;
        if *tasks == 0 {
            self.working.remove(&miner);
        }
    }

    /// The miners that are kept for it.
    pub(super) fn kept(&self) -> &BTreeSet<MinerKey> {
        &self.kept
    }

    /// The number of miners that it reserves beyond those that are kept for it.
    pub(super) fn lacks(&self) -> usize {
        (self.rules.reserve as usize).saturating_sub(self.kept.len())
    }

    /// The time until which miners are kept for it; 0: its reservation is over.
    pub(super) fn kept_until(&self) -> Timestamp {
        self.kept_until
    }

    /// Whether its reservation holds and has fewer miners than it reserves.
    pub(super) fn is_short(&self) -> bool {
        self.kept_until > Timestamp(0) && self.lacks() > 0
    }

    /// Sets the time until which miners are kept for it. Returns the time that was set before.
    pub(super) fn keep_until(&mut self, until: Timestamp) -> Timestamp {
        std::mem::replace(&mut self.kept_until, until)
    }

    /// Keeps that miner for it.
    pub(super) fn keep(&mut self, miner: MinerKey) {
        self.kept.insert(miner);
    }

    /// Notes that the miner is kept for it no more.
    pub(super) fn unkeep(&mut self, miner: MinerKey) {
        self.kept.remove(&miner);
    }

    /// Keeps no miners for it any more. Returns those that were kept.
    pub(super) fn take_kept(&mut self) -> BTreeSet<MinerKey> {
        std::mem::take(&mut self.kept)
    }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn what_every_task_needs_fills_two_lines_of_the_cache() {
        assert!(size_of::<SessionRules>() <= 64 && offset_of!(SessionEntry, working) <= 128);
    }
}
