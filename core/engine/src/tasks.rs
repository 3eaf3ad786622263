//! The tasks that have not ended, and the indexes by which one of them is found.

use std::collections::BTreeSet;

use cortensor_router_model::{Fence, Gid, Timestamp};

use super::attempt::Attempt;
use super::effect::Role;
use super::fleet::Fleet;
use super::lane::LaneKey;
use super::pages::Pages;
use super::rules::{MinerKey, MinerRules};
use super::task::TaskEntry;

/// The number of low bits of a fence that count within one epoch.
const FENCE_BITS: u32 = 33;

/// All tasks that have not ended.
#[derive(Debug)]
pub(super) struct Tasks {
    by_gid: Pages<Gid, Box<TaskEntry>>,
    /// The tasks of the attempts that count.
    fences: Pages<Fence, Gid>,
    /// Tasks that wait for a miner that continues their text.
    continuing: BTreeSet<Gid>,
    /// Tasks that some miners have refused for good. A miner that could serve the other tasks of the lane may be no
    /// help for them.
    picky: BTreeSet<Gid>,
    /// Tasks whose only attempt is slow to begin, and which miners of other routers may race.
    slow: BTreeSet<Gid>,
    /// The number of tasks that only check an answer.
    rechecks: u32,
    /// The number of tasks that stand in line for tasks of other routers.
    deputies: u32,
    next_gid: Gid,
    /// The greatest number that may be given out.
    last_gid: Gid,
    epoch: u64,
    next_fence: u64,
}

impl Tasks {
    /// No tasks yet. The first one gets the number `first_gid`, and none gets one beyond `last_gid`.
    pub(super) fn new(first_gid: Gid, last_gid: Gid, epoch: u64) -> Self {
        Self {
            by_gid: Pages::default(),
            fences: Pages::default(),
            continuing: BTreeSet::new(),
            picky: BTreeSet::new(),
            slow: BTreeSet::new(),
            rechecks: 0,
            deputies: 0,
            next_gid: first_gid,
            last_gid,
            epoch,
            next_fence: 1,
        }
    }

    /// A number that no task has had.
    pub(super) fn new_gid(&mut self) -> Gid {
        let gid = self.next_gid;
        self.next_gid = Gid(gid.0 + 1);
        gid
    }

    /// Notes that a task of that number existed before: new numbers are greater. The number of another router says
    /// nothing.
    pub(super) fn skip(&mut self, gid: Gid) {
        if gid <= self.last_gid {
            self.next_gid = self.next_gid.max(Gid(gid.0 + 1));
        }
    }

    /// A fence that no attempt had, not before a restart either.
    pub(super) fn new_fence(&mut self) -> Fence {
        let fence = Fence((self.epoch << FENCE_BITS) | self.next_fence);
        self.next_fence += 1;
        fence
    }

    /// Adds a task.
    pub(super) fn insert(&mut self, gid: Gid, task: TaskEntry) {
        self.rechecks += u32::from(task.is_recheck());
        self.deputies += u32::from(task.is_deputy());
        let old = self.by_gid.insert(gid, Box::new(task));
        debug_assert!(old.is_none(), "task {gid} is there already");
    }

    /// Removes a task. None of its attempts counts any more.
    pub(super) fn remove(&mut self, gid: Gid) -> Option<Box<TaskEntry>> {
        let task = self.by_gid.remove(gid)?;
        for attempt in task.attempts() {
            self.fences.remove(attempt.fence());
        }
        self.continuing.remove(&gid);
        self.picky.remove(&gid);
        self.slow.remove(&gid);
        self.rechecks -= u32::from(task.is_recheck());
        self.deputies -= u32::from(task.is_deputy());
        Some(task)
    }

    /// A task.
    pub(super) fn get(&self, gid: Gid) -> Option<&TaskEntry> {
        self.by_gid.get(gid).map(Box::as_ref)
    }

    /// A task, to change its state. Use [`begin`](Self::begin) and [`lose`](Self::lose) to add and remove its
    /// attempts.
    pub(super) fn get_mut(&mut self, gid: Gid) -> Option<&mut TaskEntry> {
        self.by_gid.get_mut(gid).map(Box::as_mut)
    }

    /// A task that must be there, because the caller has just seen it.
    pub(super) fn known(&self, gid: Gid) -> Option<&TaskEntry> {
        let task = self.get(gid);
        debug_assert!(task.is_some(), "task {gid} is over");
        task
    }

    /// A task that must be there, to be changed.
    pub(super) fn known_mut(&mut self, gid: Gid) -> Option<&mut TaskEntry> {
        let task = self.get_mut(gid);
        debug_assert!(task.is_some(), "task {gid} is over");
        task
    }

    /// The task of an attempt that counts.
    pub(super) fn owner(&self, fence: Fence) -> Option<Gid> {
        self.fences.get(fence).copied()
    }

    /// The attempt with this fence, if it counts, and its task.
    pub(super) fn attempt(&self, fence: Fence) -> Option<(Gid, &TaskEntry, &Attempt)> {
        let gid = self.owner(fence)?;
        let task = self.by_gid.get(gid)?;
        let attempt = task.attempts().iter().find(|attempt| attempt.fence() == fence);
        debug_assert!(attempt.is_some(), "task {gid} does not know its attempt {fence}");
        Some((gid, task, attempt?))
    }

    /// The task of the attempt with this fence, if the attempt counts, to change it.
    pub(super) fn of_attempt(&mut self, fence: Fence) -> Option<(Gid, &mut TaskEntry)> {
        let gid = self.owner(fence)?;
        let task = self.get_mut(gid);
        debug_assert!(task.is_some(), "the attempt {fence} counts, but its task {gid} is over");
        Some((gid, task?))
    }

    /// Adds an attempt in that role to a task, at the miner with these rules; from now on it counts.
    pub(super) fn begin(&mut self, gid: Gid, attempt: Attempt, role: Role, miner: &MinerRules) {
        let Some(task) = self.by_gid.get_mut(gid) else {
            debug_assert!(false, "task {gid} is over and begins an attempt");
            return;
        };
        self.fences.insert(attempt.fence(), gid);
        self.slow.remove(&gid);
        task.begin(attempt, role, miner);
        if matches!(role, Role::Primary | Role::Continue) {
            self.set_continuing(gid, false);
        }
    }

    /// Notes that the attempt's answer is in: nothing more of it counts.
    pub(super) fn close(&mut self, fence: Fence) {
        if let Some(gid) = self.fences.remove(fence) {
            self.slow.remove(&gid);
        }
    }

    /// Takes an attempt off its task; nothing more of it counts.
    pub(super) fn lose(&mut self, gid: Gid, fence: Fence) -> Option<Attempt> {
        let attempt = self.by_gid.get_mut(gid)?.drop_attempt(fence)?;
        self.fences.remove(fence);
        self.slow.remove(&gid);
        Some(attempt)
    }

    /// Notes that the miner would refuse the task again.
    pub(super) fn refused(&mut self, gid: Gid, miner: MinerKey) {
        if let Some(task) = self.by_gid.get_mut(gid) {
            task.refused(miner);
            self.picky.insert(gid);
        }
    }

    /// Sends the task to the next models of its list, see [`TaskEntry::retarget`].
    pub(super) fn retarget(&mut self, gid: Gid, skipped: usize, lane: LaneKey, required: u32) -> Option<Timestamp> {
        self.picky.remove(&gid);
        self.by_gid.get_mut(gid)?.retarget(skipped, lane, required)
    }

    /// Sets whether the task waits for a miner that continues its text.
    pub(super) fn set_continuing(&mut self, gid: Gid, continuing: bool) {
        let Some(task) = self.by_gid.get_mut(gid) else { return };
        task.set_continuing(continuing);
        if continuing {
            self.continuing.insert(gid);
        } else {
            self.continuing.remove(&gid);
        }
    }

    /// The tasks that wait for a miner that continues their text.
    pub(super) fn continuing(&self) -> impl Iterator<Item = Gid> + '_ {
        self.continuing.iter().copied()
    }

    /// The tasks that some miners have refused for good.
    pub(super) fn picky(&self) -> impl Iterator<Item = Gid> + '_ {
        self.picky.iter().copied()
    }

    /// Lets miners of other routers race the task's only attempt, until its first token or the end of the attempt.
    pub(super) fn note_slow(&mut self, gid: Gid) {
        self.slow.insert(gid);
    }

    /// Notes that the first token of the task's attempt has come.
    pub(super) fn note_begun(&mut self, gid: Gid) {
        self.slow.remove(&gid);
    }

    /// The tasks that miners of other routers may race.
    pub(super) fn slow(&self) -> impl Iterator<Item = Gid> + '_ {
        self.slow.iter().copied()
    }

    /// Whether there is a task that miners of other routers may race.
    pub(super) fn is_any_slow(&self) -> bool {
        !self.slow.is_empty()
    }

    /// All tasks with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Gid, &TaskEntry)> {
        self.by_gid.iter().map(|(gid, task)| (gid, task.as_ref()))
    }

    /// The number of tasks that only check an answer.
    pub(super) fn rechecks(&self) -> u32 {
        self.rechecks
    }

    /// The number of tasks that stand in line for tasks of other routers.
    pub(super) fn deputies(&self) -> u32 {
        self.deputies
    }

    /// The number of the other tasks.
    pub(super) fn unfinished(&self) -> u64 {
        self.by_gid.len() as u64 - u64::from(self.rechecks + self.deputies)
    }

    /// Checks the phase of each task, its attempts, and the lists by which tasks are found.
    ///
    /// # Errors
    /// A text that says which record or list is wrong.
    pub(super) fn check(&self, fleet: &Fleet) -> Result<(), String> {
        let mut open_attempts = 0;
        for (gid, task) in self.by_gid.iter() {
            task.check().map_err(|why| format!("task {gid}: {why}"))?;
            if task.wants_miner() && !task.is_queued() && !task.waits_for_retry() {
                return Err(format!("task {gid} wants a miner, but is neither queued nor waits for a retry"));
            }
            if task.is_ending() && task.is_queued() {
                return Err(format!("task {gid} is ending, but is still queued"));
            }
            for (index, attempt) in task.attempts().iter().enumerate() {
                if task.attempts()[..index].iter().any(|other| other.miner() == attempt.miner()) {
                    return Err(format!("task {gid} has two attempts on one miner"));
                }
                let counts = self.fences.get(attempt.fence()) == Some(&gid);
                open_attempts += usize::from(counts);
                if attempt.is_done() || task.is_ending() {
                    continue;
                }
                if !counts {
                    return Err(format!("the attempt {} of task {gid} is not known by its fence", attempt.fence()));
                }
                if !fleet.get(attempt.miner()).is_some_and(|miner| miner.fences().contains(&attempt.fence())) {
                    return Err(format!("the attempt {} of task {gid} is not known to its miner", attempt.fence()));
                }
            }
        }
        if open_attempts != self.fences.len() {
            return Err(format!("{} fences count, but {open_attempts} attempts have one", self.fences.len()));
        }
        let rechecks = self.by_gid.values().filter(|task| task.is_recheck()).count();
        if rechecks != self.rechecks as usize {
            return Err(format!("{rechecks} rechecks run, but {} are counted", self.rechecks));
        }
        let deputies = self.by_gid.values().filter(|task| task.is_deputy()).count();
        if deputies != self.deputies as usize {
            return Err(format!("{deputies} deputies are there, but {} are counted", self.deputies));
        }
        let goes_on = |gid: &Gid| self.by_gid.get(*gid).is_some_and(|task| task.is_continuing() && !task.is_ending());
        if let Some(gid) = self.continuing.iter().find(|gid| !goes_on(gid)) {
            return Err(format!("task {gid} is listed as one that goes on, but does not"));
        }
        let picky = |gid: &Gid| self.by_gid.get(*gid).is_some_and(|task| task.trials().is_refused());
        if let Some(gid) = self.picky.iter().find(|gid| !picky(gid)) {
            return Err(format!("task {gid} is listed as one that a miner refused, but none did"));
        }
        let is_slow = |gid: &Gid| self.by_gid.get(*gid).is_some_and(|task| task.unbegun().is_some());
        if let Some(gid) = self.slow.iter().find(|gid| !is_slow(gid)) {
            return Err(format!("task {gid} is listed as one that others may race, but its first token has come"));
        }
        Ok(())
    }
}
