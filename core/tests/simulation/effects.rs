//! Carries out the engine's effects in a world, and checks what must hold for each.

use cortensor_router::internals::engine::{Effect, EndCause, Event, MinerKey};
use cortensor_router::internals::judge;
use cortensor_router::model::{Fence, Gid, Outcome, Standing, TaskId, Timestamp, Validation};

use crate::people::right_answer;
use crate::reader::Reader;
use crate::world::{Happening, LiveTask, Row, World, Write};

impl World {
    pub(crate) fn act_on(&mut self, effects: Vec<Effect>) -> Result<(), String> {
        self.offered_now = effects.iter().filter_map(offered_to).collect();
        self.check_closed(&effects)?;
        for effect in effects {
            if self.loud {
                eprintln!("        -> {effect:?}");
            }
            self.touched.extend(gid_of(&effect));
            match effect {
                // One engine alone numbers its tasks by itself.
                Effect::NeedIds { .. } => unreachable!("nobody shares these sessions"),
                Effect::Stands { .. } | Effect::Lend { .. } => unreachable!("nobody asks for slots"),
                Effect::Admitted { .. } | Effect::Refused { .. } | Effect::State { .. } => {}
                Effect::Voided { gid, again } => {
                    self.report.requeues += u64::from(again);
                    self.voided(gid, again);
                }
                Effect::Rerouted { .. } => self.report.rerouted += 1,
                Effect::Promoted { gid, fence } => {
                    self.report.promoted += 1;
                    if let Some(task) = self.live.get_mut(&gid) {
                        task.transcript.promote(fence);
                        task.primary = Some(fence);
                    }
                }
                Effect::Offer { gid, miner, fence, role } => self.offered(gid, miner, fence, role)?,
                Effect::Stop { gid, miner, fence, .. } => {
                    self.dead.insert(fence);
                    self.stop_remote(miner, fence);
                    let told = self.miners.get_mut(&miner).map(|miner| {
                        miner.outstanding.remove(&fence);
                        miner.who.name.clone()
                    });
                    if let Some(task) = self.live.get_mut(&gid) {
                        task.transcript.seal_of(fence);
                        task.stopped.extend(told);
                    }
                }
                Effect::Judge { gid } => {
                    let at = self.random.range(0, 20);
                    let run = self.live.get(&gid).map(|task| task.run);
                    self.after(at, Happening::Verdict(run, gid));
                }
                Effect::Recheck { of, fence, gid } => self.recheck(of, fence, gid)?,
                Effect::Reputed { name, reputation } => {
                    self.report.reputations += 1;
                    self.disk_reputations.insert(name, reputation);
                }
                Effect::Finish { gid, outcome, cause } => self.finished(gid, outcome, cause)?,
                Effect::Ended { gid } => self.ended(gid)?,
                Effect::Lost { gid } => self.lost(gid)?,
            }
        }
        Ok(())
    }

    /// Takes the text of a task back. A reader that has read a part of it and cannot start over gets an error where the
    /// task ends with the answer of another miner.
    fn voided(&mut self, gid: Gid, again: bool) {
        let Some(task) = self.live.get_mut(&gid) else { return };
        task.transcript.void();
        let told = self.told_ids.get(&(task.row.session, task.row.id)) == Some(&gid);
        let loses = |reader: &mut Reader| reader.has_read() && !reader.resets;
        if !again && let Some(reader) = task.reader.take_if(|reader| loses(reader)) {
            self.report.cut_short += 1;
            if told {
                self.leaves(gid, reader);
            }
        }
    }

    fn recheck(&mut self, of: Gid, fence: Fence, gid: Gid) -> Result<(), String> {
        let Some((ended, task)) = self.ended_lately.take().filter(|(ended, _)| *ended == of) else {
            return Err(format!("task {gid} checks task {of}, which did not end just now"));
        };
        let Some(given) = task.answers.into_iter().find(|given| given.fence == fence) else {
            return Err(format!("task {gid} checks an answer that task {of} does not have"));
        };
        self.report.rechecks += 1;
        let mut spec = task.row.spec;
        (spec.required, spec.judged, spec.tie_break, spec.shadow) = (2, true, true, true);
        spec.deadline = Timestamp(self.now + spec.deadline.0);
        let row = Row { session: task.row.session, id: TaskId(0), spec, end: None };
        let recheck = LiveTask {
            primary: Some(fence),
            answers_for: Some(task.answers_for.unwrap_or(ended)),
            answers: vec![given],
            tainted: task.tainted,
            ..self.new_live(row, 0)
        };
        self.live.insert(gid, recheck);
        Ok(())
    }

    /// Compares the answers of a task as the router does.
    pub(crate) fn rule(&mut self, gid: Gid) -> Result<(), String> {
        let Some(task) = self.live.get_mut(&gid) else { return Ok(()) };
        let texts: Vec<&str> = task.answers.iter().map(|given| given.text.as_str()).collect();
        let primary = task.answers.iter().position(|given| Some(given.fence) == task.primary);
        let asked = if task.answers_for.is_some() { 2 } else { task.row.spec.required };
        let ruling = judge(&Validation::default(), &texts, asked, primary, None);
        self.report.judged += 1;
        self.report.insufficient += u64::from(ruling.standing == Standing::Insufficient);
        self.report.rechecks_agreed += u64::from(task.answers_for.is_some() && ruling.standing == Standing::Agreed);
        self.report.tie_breaks += u64::from(task.answers.len() as u32 > asked);
        task.standing = Some(ruling.standing);
        let winner = task.answers.get(ruling.winner);
        task.winner = winner.map(|given| given.fence);
        if ruling.standing == Standing::Agreed && winner.is_some_and(|given| given.who.lie.is_some()) {
            // One liar alone must never have a majority, unless its answer happens to be right.
            let right = right_answer(task.answers_for.unwrap_or(gid)).concat();
            if winner.is_some_and(|given| given.text != right) {
                return Err(format!("the liar won task {gid}"));
            }
        }
        let agrees = task.answers.iter().map(|given| given.fence).zip(ruling.agrees).collect();
        self.step(Event::Verdict { gid, standing: ruling.standing, agrees })?;
        let aside =
            self.miners.keys().filter(|key| self.engine.miner(**key).is_some_and(|view| view.set_aside)).count();
        self.report.set_aside += aside as u64;
        Ok(())
    }

    fn finished(&mut self, gid: Gid, outcome: Outcome, cause: EndCause) -> Result<(), String> {
        self.leaves_the_queue(gid);
        let Some(task) = self.live.get_mut(&gid) else { return Err(format!("task {gid} finished, but is not known")) };
        if std::mem::replace(&mut task.finishing, true) {
            return Err(format!("I2: task {gid} finished twice"));
        }
        task.transcript.seal();
        if let Some(reader) = &mut task.reader {
            reader.read(&task.transcript, task.run)?;
        }
        task.cancel_acked = outcome == Outcome::Cancelled;
        self.report.broken += u64::from(cause == EndCause::Broken);
        let with_answer = matches!(outcome, Outcome::Ok | Outcome::Disputed);
        let text = if with_answer { Self::taken(gid, task, outcome)? } else { String::new() };
        if with_answer && !task.row.spec.judged && task.row.spec.required > 1 {
            self.report.first_taken += 1;
        }
        if task.shadow() {
            self.unwritten.push((self.epoch, Write::Shadow(gid)));
        } else {
            self.unwritten.push((self.epoch, Write::Finish(gid, outcome, text)));
        }
        self.schedule_commit();
        Ok(())
    }

    /// The answer that is taken, after the checks of everything that must hold for it.
    fn taken(gid: Gid, task: &LiveTask, outcome: Outcome) -> Result<String, String> {
        let of = |fence: Option<Fence>| task.answers.iter().find(|given| Some(given.fence) == fence);
        let Some(given) = of(task.winner).or_else(|| of(task.primary)).or(task.answers.first()) else {
            return Err(format!("task {gid} is {}, but has no answer", outcome.as_str()));
        };
        let judged = task.row.spec.judged;
        if outcome == Outcome::Ok && judged && task.standing != Some(Standing::Agreed) {
            return Err(format!("task {gid} is ok, but its answers are {:?}", task.standing));
        }
        if outcome == Outcome::Disputed && !judged {
            return Err(format!("task {gid} is disputed, but was not to be compared"));
        }
        let mut names: Vec<_> = task.answers.iter().map(|given| given.who.name.clone()).collect();
        names.sort();
        names.dedup();
        if names.len() != task.answers.len() {
            return Err(format!("I7: one miner answered task {gid} twice"));
        }
        // No token comes twice and none is missing, whichever miner gave it: honest miners all give one answer.
        let right = right_answer(task.answers_for.unwrap_or(gid)).concat();
        let honest = given.who.lie.is_none() && (Some(given.fence) != task.primary || !task.tainted);
        if honest && given.text != right {
            return Err(format!("I4, I11: the answer to task {gid} is {:?} instead of {right:?}", given.text));
        }
        // A reader has a whole answer, the result if that was streamed, or nothing: it gets the result with the end.
        let streamed = of(task.primary).map_or("", |given| given.text.as_str());
        if let Some(reader) = &task.reader
            && reader.text != streamed
        {
            return Err(format!(
                "I4: the reader of task {gid} has {:?}, {streamed:?} was streamed, and the result is {:?}",
                reader.text, given.text
            ));
        }
        Ok(given.text.clone())
    }
}

/// The task and the miner of an offer.
fn offered_to(effect: &Effect) -> Option<(Gid, MinerKey)> {
    if let Effect::Offer { gid, miner, .. } = effect { Some((*gid, *miner)) } else { None }
}

/// The task that an effect changes.
fn gid_of(effect: &Effect) -> Option<Gid> {
    match effect {
        Effect::Offer { gid, .. }
        | Effect::Stop { gid, .. }
        | Effect::Voided { gid, .. }
        | Effect::Promoted { gid, .. }
        | Effect::Rerouted { gid, .. }
        | Effect::Recheck { gid, .. }
        | Effect::Finish { gid, .. } => Some(*gid),
        _ => None,
    }
}
