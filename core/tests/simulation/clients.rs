//! Clients of a world and its store: what is submitted, written, read and told.

use std::sync::Arc;

use cortensor_router::engine::{Effect, Event, NewTask};
use cortensor_router::model::{Gid, OnFailure, Outcome, SessionId, Timestamp};

use crate::people::{RESTRICTED, SESSIONS};
use crate::reader::Reader;
use crate::world::{Happening, LiveTask, Row, World, Write};

const LONGEST: u64 = 20_000;

impl World {
    fn new_task(&mut self, held: bool) -> NewTask {
        let session = if self.random.chance(70) {
            self.random.range(0, RESTRICTED - 1)
        } else {
            self.random.range(RESTRICTED, SESSIONS - 1)
        };
        self.report.own_tasks += u64::from(session >= RESTRICTED);
        let required = if self.random.chance(30) { self.random.range(2, 3) as u32 } else { 1 };
        let judged = required > 1 && self.random.chance(80);
        NewTask {
            any_model: false,
            session: SessionId(session),
            model: None,
            embedding: false,
            band: self.random.chance(10).then_some(3),
            prompt_tokens: self.random.range(1, 50),
            max_tokens: self.random.range(1, 100),
            bytes: 10,
            deadline: Timestamp(self.now + self.random.range(2_000, LONGEST)),
            streaming: self.random.chance(80),
            required,
            judged,
            tie_break: judged && self.random.chance(50),
            precommit_by: Timestamp(self.now + self.random.range(500, 2 * LONGEST)),
            on_failure: match self.random.range(0, 2) {
                0 => OnFailure::Fail,
                1 => OnFailure::Continue,
                _ => OnFailure::Restart,
            },
            shadow: required == 1 && !held && self.random.chance(3),
            prefix: Arc::from([self.random.range(0, 3)]),
            held,
        }
    }

    pub(crate) fn submit(&mut self, held_key: Option<u64>) -> Result<(), String> {
        let spec = self.new_task(held_key.is_some());
        self.report.redundant += u64::from(spec.required > 1);
        self.report.shadows += u64::from(spec.shadow);
        let effects = self.engine.step(Event::Submit(Box::new(spec.clone())), Timestamp(self.now));
        match effects.first() {
            Some(Effect::Admitted { gid, id, .. }) => {
                let (gid, id) = (*gid, *id);
                if self.disk.contains_key(&gid) || self.live.contains_key(&gid) {
                    return Err(format!("the global id {gid} was given out twice"));
                }
                let (shadow, resets) = (spec.shadow, spec.on_failure == OnFailure::Restart);
                let mut task = LiveTask::new(Row { session: spec.session, id, spec, end: None });
                if !shadow {
                    match self.random.range(0, 3) {
                        0 => {}
                        1 => {
                            let at = self.random.range(0, 2_000);
                            self.after(at, Happening::Attach(gid));
                        }
                        _ => task.reader = Some(Reader::new(resets)),
                    }
                    self.unwritten.push((self.epoch, Write::Accept(gid, held_key)));
                    self.schedule_commit();
                }
                self.live.insert(gid, task);
                if self.random.chance(12) {
                    let at = self.random.range(0, 3_000);
                    self.after(at, Happening::Cancel(gid));
                }
            }
            Some(Effect::Refused { .. }) => {
                self.report.refused += 1;
                return Ok(());
            }
            other => return Err(format!("a submit gave {other:?}")),
        }
        self.act_on(effects)
    }

    /// A reader comes late: what it sees cannot be taken back from then on.
    pub(crate) fn attach(&mut self, gid: Gid) -> Result<(), String> {
        let Some(task) = self.live.get_mut(&gid) else { return Ok(()) };
        if task.finishing || task.shadow() || task.reader.is_some() {
            return Ok(());
        }
        let mut reader = Reader::new(task.row.spec.on_failure == OnFailure::Restart);
        reader.read(&task.transcript)?;
        task.reader = Some(reader);
        self.report.late_readers += 1;
        if task.transcript.show()
            && let Some(fence) = task.transcript.fence()
        {
            return self.step(Event::Shown(fence));
        }
        Ok(())
    }

    pub(crate) fn schedule_commit(&mut self) {
        let at = self.random.range(1, 60);
        let epoch = self.epoch;
        self.after(at, Happening::Commit(epoch));
    }

    /// Makes a write durable. Answers the task that the key already belongs to, if any.
    pub(crate) fn write(&mut self, write: &Write) -> Option<Gid> {
        match write {
            Write::Accept(gid, key) => {
                if let Some(existing) = key.and_then(|key| self.disk_keys.get(&key)) {
                    return Some(*existing);
                }
                if let Some(key) = key {
                    self.disk_keys.insert(*key, *gid);
                }
                if let Some(task) = self.live.get(gid) {
                    self.disk.insert(*gid, task.row.clone());
                }
            }
            Write::Finish(gid, outcome, text) => {
                if let Some(row) = self.disk.get_mut(gid)
                    && row.end.is_none()
                {
                    row.end = Some((*outcome, text.clone()));
                }
            }
            Write::Shadow(_) => {}
        }
        None
    }

    pub(crate) fn commit(&mut self) -> Result<(), String> {
        for (_, write) in std::mem::take(&mut self.unwritten) {
            let existing = self.write(&write);
            match write {
                Write::Accept(gid, key) => {
                    if let Some(existing) = existing {
                        self.report.joined += 1;
                        let same = self.disk_keys.get(&key.unwrap_or_default()) == Some(&existing);
                        if !same || existing == gid {
                            return Err(format!("I5: the key {key:?} leads to two tasks"));
                        }
                        let give_back = self.live.remove(&gid).map(|task| task.row.id);
                        self.step(Event::Forget { gid, give_back })?;
                        continue;
                    }
                    let Some(row) = self.disk.get(&gid) else { continue };
                    self.report.accepted += 1;
                    if let Some(other) = self.told_ids.insert((row.session, row.id), gid)
                        && other != gid
                    {
                        return Err(format!("the tasks {gid} and {other} have the same ids"));
                    }
                    if key.is_some() {
                        self.step(Event::Release(gid))?;
                    }
                }
                Write::Finish(gid, ..) | Write::Shadow(gid) => self.step(Event::Committed(gid))?,
            }
        }
        Ok(())
    }

    pub(crate) fn ended(&mut self, gid: Gid) -> Result<(), String> {
        let Some(task) = self.live.remove(&gid) else { return Err(format!("I2: task {gid} ended twice")) };
        for miner in self.miners.values() {
            if miner.outstanding.keys().any(|fence| self.engine.owner_of(*fence).is_none()) {
                return Err(format!(
                    "I8: a miner still works for task {gid} or another one that ended, and was not told"
                ));
            }
        }
        if task.shadow() {
            return Ok(());
        }
        let Some(end) = self.disk.get(&gid).and_then(|row| row.end.clone()) else {
            // A held task that was cancelled before it was written has no row.
            if task.row.spec.held {
                return Ok(());
            }
            return Err(format!("the end of task {gid} was shown before it was durable"));
        };
        if task.cancel_acked && end.0 == Outcome::Ok {
            return Err(format!("I8: task {gid} was cancelled and reports success"));
        }
        match end.0 {
            Outcome::Ok => self.report.ok += 1,
            Outcome::Disputed => self.report.disputed += 1,
            Outcome::Failed => self.report.failed += 1,
            Outcome::Cancelled => self.report.cancelled += 1,
            Outcome::Expired => self.report.expired += 1,
        }
        self.report.restarts += task.reader.as_ref().map_or(0, |reader| reader.restarts);
        if let Some(before) = self.told_ends.insert(gid, end.clone())
            && before != end
        {
            return Err(format!("I2: the end of task {gid} changed"));
        }
        // An audit asks for the answer again: the router still has it.
        self.ended_lately = Some((gid, task));
        Ok(())
    }

    /// A task is over and the store does not have its end: its clients are told of a failure of the store, and of nothing else.
    pub(crate) fn lost(&mut self, gid: Gid) -> Result<(), String> {
        let Some(task) = self.live.remove(&gid) else { return Err(format!("I2: task {gid} ended twice")) };
        if task.shadow() {
            return Err(format!("task {gid} has no row, and its end could not be written"));
        }
        Ok(())
    }
}
