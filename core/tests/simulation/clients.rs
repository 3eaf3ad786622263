//! The clients of a world and its store: their submits, writes, reads and answers.

use std::sync::Arc;

use cortensor_router::internals::Transcript;
use cortensor_router::internals::engine::{Demand, Effect, Event, Lack, Refusal, Skills, Target};
use cortensor_router::model::{Fence, Gid, OnFailure, Outcome, SessionId, Timestamp};

use crate::people::{RESTRICTED, SESSIONS};
use crate::reader::Reader;
use crate::unwritten::End;
use crate::world::{Happening, MAX_QUEUED, Row, World, Write};

const LONGEST: u64 = 20_000;

impl World {
    fn new_task(&mut self, held: bool) -> Demand {
        let session = if self.random.chance(70) {
            self.random.range(0, RESTRICTED - 1)
        } else {
            self.random.range(RESTRICTED, SESSIONS - 1)
        };
        self.report.own_tasks += u64::from(session >= RESTRICTED);
        let required = if self.random.chance(30) { self.random.range(2, 3) as u32 } else { 1 };
        let judged = required > 1 && self.random.chance(80);
        let streaming = self.random.chance(80);
        let mut task = Demand {
            any_model: false,
            targets: Arc::from([]),
            session: SessionId(session),
            model: None,
            embedding: false,
            skills: Skills::default(),
            band: (!self.strict && self.random.chance(10)).then_some(3),
            prompt_tokens: self.random.range(1, 50),
            max_tokens: self.random.range(1, 100),
            bytes: 10,
            deadline: Timestamp(self.now + self.random.range(2_000, LONGEST)),
            streaming,
            attached: self.random.chance(50),
            open_ended: streaming && required == 1 && self.random.chance(30),
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
            prefix: Box::from([self.random.range(0, 3)]),
            held,
        };
        // Some tasks go to another model when they get no answer.
        if !self.strict && !task.shadow && task.prompt_tokens.is_multiple_of(4) {
            task.targets = targets();
        }
        task
    }

    pub(crate) fn submit(&mut self, held_key: Option<u64>) -> Result<(), String> {
        let spec = self.new_task(held_key.is_some());
        self.report.redundant += u64::from(spec.required > 1);
        self.report.shadows += u64::from(spec.shadow);
        let waiting = self.engine.queued();
        let effects = self.effects_of(Event::Submit(Box::new(spec.clone())));
        match effects.first() {
            Some(Effect::Admitted { gid, id, .. }) => {
                let (gid, id) = (*gid, *id);
                if waiting >= MAX_QUEUED && !spec.shadow {
                    return Err(format!("I9: task {gid} was admitted although {waiting} tasks wait"));
                }
                if self.disk.contains_key(&gid) || self.live.contains_key(&gid) {
                    return Err(format!("the global id {gid} was given out twice"));
                }
                let (shadow, resets) = (spec.shadow, spec.on_failure == OnFailure::Restart);
                let base = self.engine.first_base();
                let mut task = self.new_live(Row { session: spec.session, id, spec, end: None }, base);
                if !shadow {
                    match self.random.range(0, 3) {
                        0 => {}
                        1 => {
                            let at = self.random.range(0, 2_000);
                            self.after(at, Happening::Attach(gid));
                        }
                        _ => task.reader = Some(Reader::new(resets, self.random.chance(20))),
                    }
                    self.unwritten.push((self.epoch, Write::Accept(gid, held_key)));
                    self.schedule_commit();
                }
                let session = task.row.session;
                self.live.insert(gid, task);
                self.weigh(gid, session);
                // In a strict world the shares of the first two sessions are compared.
                if self.random.chance(12) && !(self.strict && session.0 < 2) {
                    let at = self.random.range(0, 3_000);
                    self.after(at, Happening::Cancel(gid));
                }
            }
            Some(Effect::Refused { reason, .. }) => {
                self.report.refused += 1;
                self.report.overload += u64::from(*reason == Refusal::QueueFull);
                return Ok(());
            }
            other => return Err(format!("a submit gave {other:?}")),
        }
        self.act_on(effects)
    }

    /// Attaches a late reader. The pieces that it reads cannot be taken back any more.
    pub(crate) fn attach(&mut self, gid: Gid) -> Result<(), String> {
        let Some(task) = self.live.get_mut(&gid) else { return Ok(()) };
        if task.finishing || task.shadow() {
            return Ok(());
        }
        // A reader whose connection breaks comes back later.
        if let Some(reader) = task.reader.take_if(|reader| reader.has_read()) {
            self.leaves(gid, reader);
            return Ok(());
        }
        if task.reader.is_some() {
            return Ok(());
        }
        let mut reader = Reader::new(task.row.spec.on_failure == OnFailure::Restart, self.random.chance(20));
        reader.read(&task.transcript, task.run)?;
        self.report.late_readers += 1;
        self.reads(gid, reader)
    }

    /// Lets a reader read every piece that the task has.
    fn reads(&mut self, gid: Gid, reader: Reader) -> Result<(), String> {
        let Some(task) = self.live.get_mut(&gid) else { return Ok(()) };
        task.reader = Some(reader);
        if task.transcript.show()
            && let Some(fence) = task.transcript.fence()
        {
            return self.step(Event::Shown(fence));
        }
        Ok(())
    }

    /// A reader leaves, and comes back at a later time.
    pub(crate) fn leaves(&mut self, gid: Gid, mut reader: Reader) {
        if reader.has_read() {
            self.report.readers_left += 1;
            reader.resets = true;
            self.away.push((gid, reader));
            let at = self.random.range(0, 4_000);
            self.after(at, Happening::Return(self.away.len() - 1));
        }
    }

    /// A reader comes back with its last number, to the task or to its end in the store.
    pub(crate) fn come_back(&mut self, index: usize) -> Result<(), String> {
        let (gid, mut reader) = self.away[index].clone();
        self.report.returned += 1;
        // Its number may become ever older.
        if self.random.chance(30) {
            let at = self.random.range(0, 10_000);
            self.after(at, Happening::Return(index));
        }
        let Some(task) = self.live.get(&gid) else {
            let Some((Outcome::Ok | Outcome::Disputed, text)) = self.disk.get(&gid).and_then(|row| row.end.clone())
            else {
                return Ok(());
            };
            // The store gives the whole text in one piece. A reader of an earlier start must not append that piece to
            // its text.
            let mut transcript = Transcript::new(100_000, 0).numbered_from(self.engine.first_base());
            transcript.begin(Fence(1));
            transcript.push(Fence(1), &text, None);
            reader.start_over();
            return reader.read(&transcript, 0);
        };
        reader.read(&task.transcript, task.run)?;
        if task.finishing || task.reader.is_some() { Ok(()) } else { self.reads(gid, reader) }
    }

    pub(crate) fn schedule_commit(&mut self) {
        let at = self.random.range(1, 60);
        let epoch = self.epoch;
        self.after(at, Happening::Commit(epoch));
    }

    /// Makes a write durable. Gives whether it changed anything, and the task that its key already belongs to, if any.
    pub(crate) fn write(&mut self, write: &Write) -> (bool, Option<Gid>) {
        match write {
            Write::Accept(gid, key) => {
                if let Some(existing) = key.and_then(|key| self.disk_keys.get(&key)) {
                    return (false, Some(*existing));
                }
                let Some(task) = self.live.get(gid) else { return (false, None) };
                self.disk.insert(*gid, task.row.clone());
                if let Some(key) = key {
                    self.disk_keys.insert(*key, *gid);
                }
                (true, None)
            }
            Write::Finish(gid, outcome, text) => (self.write_end(*gid, (*outcome, text.clone())), None),
            Write::Again(gid, end) => (self.write_end(*gid, end.clone()), None),
            Write::Shadow(_) => (true, None),
        }
    }

    fn write_end(&mut self, gid: Gid, end: End) -> bool {
        let open = self.disk.get_mut(&gid).filter(|row| row.end.is_none());
        open.map(|row| row.end = Some(end)).is_some()
    }

    pub(crate) fn commit(&mut self) -> Result<(), String> {
        if self.now < self.stalled_until {
            let epoch = self.epoch;
            self.at(self.stalled_until, Happening::Commit(epoch));
            return Ok(());
        }
        let fails = self.flaky && self.random.chance(30);
        // The effect of a failed sync is unknown.
        let kept = !fails || self.random.chance(30);
        self.report.batches_failed += u64::from(fails && !self.unwritten.is_empty());
        for (_, write) in std::mem::take(&mut self.unwritten) {
            let (changed, existing) = if kept { self.write(&write) } else { (false, None) };
            match write {
                Write::Accept(gid, key) if fails => {
                    if key.is_some() {
                        self.live.remove(&gid);
                        self.step(Event::Forget { gid, give_back: None })?;
                        self.seek_strays();
                    } else {
                        self.accept_soon_answered(gid, false)?;
                    }
                }
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
                    if !changed {
                        continue;
                    }
                    self.report.accepted += 1;
                    if key.is_some() {
                        self.tell_ids(gid)?;
                        self.step(Event::Release(gid))?;
                    } else {
                        self.accept_soon_answered(gid, true)?;
                    }
                }
                Write::Shadow(gid) => self.step(Event::Committed(gid))?,
                Write::Finish(gid, ..) if changed && !fails => self.step(Event::Committed(gid))?,
                Write::Finish(gid, outcome, text) if fails => self.end_refused(gid, (outcome, text))?,
                Write::Finish(gid, ..) => self.step(Event::Unwritten(gid))?,
                Write::Again(gid, end) => self.written_again(gid, end, changed, fails)?,
            }
        }
        Ok(())
    }

    /// The answer to an accept comes at once, or after other events.
    fn accept_soon_answered(&mut self, gid: Gid, well: bool) -> Result<(), String> {
        if self.flaky && self.random.chance(30) {
            let (at, epoch) = (self.random.range(1, 200), self.epoch);
            self.after(at, Happening::Answered(epoch, gid, well));
            return Ok(());
        }
        self.accept_answered(gid, well)
    }

    /// Handles the store's answer to an accept: the ids may be shown, or the task must not go on.
    pub(crate) fn accept_answered(&mut self, gid: Gid, well: bool) -> Result<(), String> {
        if well {
            return self.tell_ids(gid);
        }
        if let Some(task) = self.live.get_mut(&gid) {
            task.accept_refused = true;
        }
        self.seek_strays();
        self.step(Event::Cancel(gid))
    }

    fn tell_ids(&mut self, gid: Gid) -> Result<(), String> {
        let Some(row) = self.disk.get(&gid) else {
            return Err(format!("I2: the ids of task {gid} were shown, and the store does not have it"));
        };
        match self.told_ids.insert((row.session, row.id), gid) {
            Some(other) if other != gid => Err(format!("the tasks {gid} and {other} have the same ids")),
            _ => Ok(()),
        }
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
        let end = self.disk.get(&gid).and_then(|row| row.end.as_ref()).map(|(outcome, _)| *outcome);
        self.settle_all(gid, &task, end.or(Some(Outcome::Ok)));
        if task.shadow() {
            return Ok(());
        }
        let Some(end) = self.disk.get(&gid).and_then(|row| row.end.clone()) else {
            return Err(format!("the end of task {gid} was shown before it was durable"));
        };
        self.tell_ids(gid)?;
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
        // A recheck repeats the answer's request, which the router still has.
        self.ended_lately = Some((gid, task));
        Ok(())
    }

    /// Ends a run whose end the store does not have and the router does not keep: the clients see a failure of the store,
    /// and nothing else. If the store has the task, it runs again.
    pub(crate) fn lost(&mut self, gid: Gid) -> Result<(), String> {
        let Some(mut task) = self.live.remove(&gid) else { return Err(format!("I2: task {gid} ended twice")) };
        if task.shadow() {
            return Err(format!("task {gid} has no row, and its end could not be written"));
        }
        self.report.ends_lost += 1;
        self.settle_all(gid, &task, None);
        self.lose_run(&task);
        let told = self.told_ids.get(&(task.row.session, task.row.id)) == Some(&gid);
        if let Some(reader) = task.reader.take_if(|_| told) {
            self.leaves(gid, reader);
        }
        Ok(())
    }
}

fn targets() -> Arc<[Target]> {
    let target = |model: &str, when: &[Lack]| Target { model: model.into(), when: when.into() };
    Arc::from([target("second", &[Lack::NoMiner, Lack::Error]), target("third", &Lack::ALL)])
}
