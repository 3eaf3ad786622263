//! Ends that the store has refused. The router keeps each of them within a bound and writes it again until the store has
//! it; a task whose end cannot be kept runs again as soon as the store works.

use std::collections::BTreeMap;

use cortensor_router::internals::engine::{Demand, Event};
use cortensor_router::model::{Gid, Outcome};

use crate::world::{Happening, LiveTask, Row, World, Write};

/// The wait before an end is written again for the first time, and the longest one.
const PAUSES: (u64, u64) = (50, 1_000);

/// An end: how the task ended, and its text.
pub(crate) type End = (Outcome, String);

/// The ends that wait for the store, and what a start of the router knows of them.
#[derive(Debug)]
pub(crate) struct UnwrittenEnds {
    /// The ends that are kept, also while they are being written again.
    kept: BTreeMap<Gid, End>,
    /// The number of ends for which the router has room.
    most: usize,
    /// Whether the store may have unfinished tasks that are not in memory.
    strays: bool,
    /// The wait before the next try.
    pause: u64,
    /// Whether the next try has its time.
    is_planned: bool,
    /// The number of tasks that ran again since the start.
    pub(crate) reruns: u64,
    /// The number from which on a task that runs again numbers its pieces.
    base: u64,
}

impl UnwrittenEnds {
    pub(crate) fn new(most: usize) -> Self {
        Self { kept: BTreeMap::new(), most, strays: false, pause: PAUSES.0, is_planned: false, reruns: 0, base: 0 }
    }

    /// A crash leaves nothing of them.
    pub(crate) fn forget(&mut self) {
        *self = Self::new(self.most);
    }

    /// Whether the end of this task waits for the store.
    pub(crate) fn keeps(&self, gid: Gid) -> bool {
        self.kept.contains_key(&gid)
    }

    /// Whether nothing waits for the store.
    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty() && !self.strays
    }
}

impl World {
    /// Notes that the store may have the row of a task that is not in memory.
    pub(crate) fn seek_strays(&mut self) {
        self.refused.strays = true;
        self.plan_next_try();
    }

    fn plan_next_try(&mut self) {
        if !std::mem::replace(&mut self.refused.is_planned, true) {
            let epoch = self.epoch;
            self.after(self.refused.pause, Happening::WritesAgain(epoch));
        }
    }

    /// Handles an end that the store has refused, at the first time or again. The clients that wait are told of a failure
    /// of the store, and leave.
    pub(crate) fn end_refused(&mut self, gid: Gid, end: End) -> Result<(), String> {
        let is_kept = self.refused.keeps(gid);
        let may_have_row = self.live.get(&gid).is_some_and(|task| !task.accept_refused);
        if !is_kept && (!may_have_row || self.refused.kept.len() >= self.refused.most) {
            return self.step(Event::Unwritten(gid));
        }
        if !is_kept {
            self.report.ends_kept += 1;
            let reader = self.live.get_mut(&gid).and_then(|task| {
                let told = self.told_ids.get(&(task.row.session, task.row.id)) == Some(&gid);
                task.reader.take().filter(|_| told)
            });
            if let Some(reader) = reader {
                self.leaves(gid, reader);
            }
        }
        self.refused.kept.insert(gid, end);
        self.plan_next_try();
        Ok(())
    }

    /// Handles the store's answer to an end that was written again. `changed`: the store took it now.
    pub(crate) fn written_again(&mut self, gid: Gid, end: End, changed: bool, fails: bool) -> Result<(), String> {
        if fails {
            self.refused.pause = (self.refused.pause * 2).min(PAUSES.1);
            return self.end_refused(gid, end);
        }
        self.refused.pause = PAUSES.0;
        if self.refused.kept.remove(&gid).as_ref() != Some(&end) {
            return Err(format!("I2: the end of task {gid} was written again and is not the one that was kept"));
        }
        // The first write may have succeeded although the store reported an error.
        let stored = self.disk.get(&gid).and_then(|row| row.end.as_ref());
        match stored {
            Some(stored) if *stored == end => {
                self.report.ends_written_again += u64::from(changed);
                self.step(Event::Committed(gid))
            }
            Some(other) => Err(format!("I2: the end of task {gid} was kept as {end:?}, and the store has {other:?}")),
            None => self.step(Event::Unwritten(gid)),
        }
    }

    /// Writes all kept ends again, and lets tasks run again that are in the store alone.
    pub(crate) fn write_again(&mut self, epoch: u64) -> Result<(), String> {
        if epoch != self.epoch {
            return Ok(());
        }
        self.refused.is_planned = false;
        if self.now < self.stalled_until || self.flaky && self.random.chance(20) {
            self.refused.pause = (self.refused.pause * 2).min(PAUSES.1);
            self.plan_next_try();
            return Ok(());
        }
        let is_asked =
            |gid: Gid| self.unwritten.iter().any(|(_, write)| matches!(write, Write::Again(of, _) if *of == gid));
        let ends = self.refused.kept.iter().filter(|(gid, _)| !is_asked(**gid));
        let writes: Vec<_> = ends.map(|(gid, end)| (epoch, Write::Again(*gid, end.clone()))).collect();
        if !writes.is_empty() {
            self.unwritten.extend(writes);
            self.schedule_commit();
        }
        if std::mem::take(&mut self.refused.strays) { self.run_strays() } else { Ok(()) }
    }

    /// Runs the tasks that the store has as unfinished and that are not in memory, as at a start.
    fn run_strays(&mut self) -> Result<(), String> {
        let open = self.disk.iter().filter(|(gid, row)| row.end.is_none() && !self.live.contains_key(gid));
        let strays: Vec<_> = open.map(|(gid, row)| (*gid, row.clone())).collect();
        for (gid, row) in strays {
            self.report.reruns += 1;
            self.refused.reruns += 1;
            self.runs_again(gid, row)?;
        }
        Ok(())
    }

    /// Lets a task of the store run, at a start or while the router runs.
    pub(crate) fn runs_again(&mut self, gid: Gid, row: Row) -> Result<(), String> {
        if self.refused.keeps(gid) {
            return Err(format!("I2: task {gid} runs again although its end is kept"));
        }
        let spec = Demand { held: false, attached: false, open_ended: false, ..row.spec.clone() };
        let (id, session, base) = (row.id, row.session, self.engine.first_base().max(self.refused.base));
        let task = self.new_live(row, base);
        self.live.insert(gid, task);
        self.uncharge(gid);
        self.step(Event::Restore(gid, id, Box::new(spec)))?;
        self.weigh(gid, session);
        Ok(())
    }

    /// A task that begins a run. Runs have numbers, so that a reader of one never goes on in another.
    pub(crate) fn new_live(&mut self, row: Row, base: u64) -> LiveTask {
        self.runs += 1;
        LiveTask { run: self.runs, began: self.now, ..LiveTask::new(row, base) }
    }

    /// Notes the last piece of a task whose end is lost.
    pub(crate) fn lose_run(&mut self, task: &LiveTask) {
        // The end of a text has a number, too.
        self.refused.base = self.refused.base.max(task.transcript.last_seq() + 2);
        self.seek_strays();
    }

    /// Checks that each task whose end is kept has ended and does not work any more.
    pub(crate) fn check_kept(&self) -> Result<(), String> {
        for gid in self.refused.kept.keys() {
            if !self.live.get(gid).is_some_and(|task| task.finishing) {
                return Err(format!("I2: the end of task {gid} is kept, but the task has not ended"));
            }
            if self.told_ends.contains_key(gid) {
                return Err(format!("I2: the end of task {gid} is kept, and was told"));
            }
        }
        if self.refused.kept.len() > self.refused.most {
            return Err(format!(
                "I9: {} ends are kept, and at most {} may",
                self.refused.kept.len(),
                self.refused.most
            ));
        }
        Ok(())
    }
}
