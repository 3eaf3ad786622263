//! The router's side of the attempts of miners that dial in: passes offers and cancellations to the machine of the
//! session, and its requests to the engine.

use bytes::Bytes;
use cortensor_router::internals::blame_of;
use cortensor_router::internals::engine::{Event, MinerKey, Role};
use cortensor_router::internals::protocol::frame::{RouterFrame, TaskFrame};
use cortensor_router::internals::remote::Output;
use cortensor_router::miner::Settled;
use cortensor_router::model::{Fence, Gid, Outcome};

use crate::answers::Heard;
use crate::dial::Sink;
use crate::world::{Happening, LiveTask, World};

impl World {
    /// Carries out the requests of a session.
    pub(crate) fn perform(&mut self, id: &str, outputs: Vec<Output>) -> Result<(), String> {
        for output in outputs {
            if self.loud {
                eprintln!("        {id}: {output:?}");
            }
            let Some(seat) = self.dial.seats.get_mut(id) else { return Ok(()) };
            let key = seat.key;
            match output {
                Output::Send(frame) => self.post(id, &frame),
                Output::Accepted(fence) => {
                    if seat.sinks.contains_key(&fence) {
                        self.tell(key, fence, Event::Accept(fence), false)?;
                    }
                }
                Output::Rejected { fence, .. } => self.answered(id, fence, Event::Reject(fence))?,
                Output::Failed(fence, failure) => {
                    self.answered(id, fence, Event::Fail { fence, blame: blame_of(failure.class) })?;
                }
                Output::Piece(fence, chunk) => self.piece_came(id, fence, &chunk.text, chunk.raw)?,
                Output::Done(fence, answer) => self.done_came(id, fence, answer.usage.completion_tokens)?,
                Output::Forgotten(fence) => {
                    seat.sinks.remove(&fence);
                }
                Output::Credits(credits) => {
                    seat.credits = credits;
                    self.tell_credits(id)?;
                }
                Output::Draining => self.step(Event::Drain(key))?,
                Output::Bye => {}
                Output::Close(error) => {
                    if let Some(connection) = seat.occupancy.connection().copied() {
                        self.refuse(connection, &error);
                    }
                }
            }
        }
        self.expect_tick(id);
        Ok(())
    }

    /// Passes the end of an attempt without an answer to the engine, unless the attempt was answered before.
    fn answered(&mut self, id: &str, fence: Fence, event: Event) -> Result<(), String> {
        let Some(seat) = self.dial.seats.get_mut(id) else { return Ok(()) };
        let key = seat.key;
        let Some(sink) = seat.sinks.get_mut(&fence) else { return Ok(()) };
        if std::mem::replace(&mut sink.answered, true) {
            return Ok(());
        }
        self.tell(key, fence, event, true)
    }

    fn piece_came(&mut self, id: &str, fence: Fence, text: &str, raw: Option<Bytes>) -> Result<(), String> {
        let Some(seat) = self.dial.seats.get_mut(id) else { return Ok(()) };
        let key = seat.key;
        let Some(sink) = seat.sinks.get_mut(&fence) else { return Ok(()) };
        sink.heard.push_str(text);
        let spoken = self.dial.spoken.get(&fence).map_or("", |spoken| &spoken.text);
        if !spoken.starts_with(&sink.heard) {
            return Err(format!("I4: attempt {fence} gave {:?}, and its miner said {spoken:?}", sink.heard));
        }
        let (gid, answered) = (sink.gid, sink.answered);
        let stale = self.is_stale(key, fence);
        let heard = if answered { Heard::Unwanted } else { self.piece(key, fence, gid, text, raw, stale)? };
        match heard {
            Heard::Told(event) => self.tell(key, fence, event, false)?,
            Heard::Late(event) => {
                self.tell(key, fence, event, false)?;
                // The reader is slow, so the miner must wait for it.
                if let Some(seat) = self.dial.seats.get_mut(id) {
                    seat.occupancy.session_mut().block(fence);
                    self.report.blocked += 1;
                    let at = self.random.range(5, 600);
                    self.after(at, Happening::Writable(key, fence));
                }
            }
            Heard::Unwanted => self.stop_remote(key, fence),
        }
        Ok(())
    }

    fn done_came(&mut self, id: &str, fence: Fence, tokens: u64) -> Result<(), String> {
        let Some(seat) = self.dial.seats.get_mut(id) else { return Ok(()) };
        let key = seat.key;
        let Some(sink) = seat.sinks.get_mut(&fence) else { return Ok(()) };
        let spoken = self.dial.spoken.get(&fence).map_or("", |spoken| &spoken.text);
        if spoken != sink.heard {
            return Err(format!("I4: attempt {fence} is done with {:?}, and its miner said {spoken:?}", sink.heard));
        }
        sink.done = true;
        let (gid, before, heard) = (sink.gid, std::mem::replace(&mut sink.answered, true), sink.heard.clone());
        let stale = self.is_stale(key, fence);
        if !before && let Some(event) = self.done(key, fence, gid, stale, (None, &heard), tokens)? {
            self.tell(key, fence, event, true)?;
        }
        let counts = self.live.get(&gid).is_some_and(|task| task.answers.iter().any(|given| given.fence == fence));
        if !counts {
            self.settle(key, fence, Settled::Superseded);
        }
        Ok(())
    }

    /// Tells the miners of a task's answers what became of these.
    pub(crate) fn settle_all(&mut self, gid: Gid, task: &LiveTask, end: Option<Outcome>) {
        let waiting = self.dial.seats.values().flat_map(|seat| {
            seat.sinks.iter().filter(|(_, sink)| sink.done && sink.gid == gid).map(|(fence, _)| (seat.key, *fence))
        });
        for (key, fence) in waiting.collect::<Vec<_>>() {
            let counts = task.answers.iter().any(|given| given.fence == fence);
            let fate = match end {
                Some(Outcome::Cancelled | Outcome::Expired) => Settled::Cancelled,
                Some(_) if counts => Settled::Committed,
                _ => Settled::Superseded,
            };
            self.report.finals += 1;
            self.settle(key, fence, fate);
        }
    }

    fn settle(&mut self, key: MinerKey, fence: Fence, fate: Settled) {
        let Some(id) = self.dial.id_of(key) else { return };
        let Some(seat) = self.dial.seats.get_mut(&id) else { return };
        let frame = seat.occupancy.session_mut().settled(fence, fate);
        seat.sinks.remove(&fence);
        if let Some(frame) = frame {
            self.post(&id, &frame);
        }
    }

    /// Offers a task to the miner of a seat. `false`: no miner that dialled in has that key.
    pub(crate) fn offer_remote(&mut self, key: MinerKey, fence: Fence, gid: Gid, of: Gid, role: Role) -> bool {
        let Some(id) = self.dial.id_of(key) else { return false };
        let partial = match (role, self.live.get(&gid)) {
            (Role::Continue, Some(task)) => Some(task.transcript.text().to_owned()),
            _ => None,
        };
        let Some(seat) = self.dial.seats.get_mut(&id) else { return false };
        let task = TaskFrame {
            fence: fence.0,
            task: gid.0,
            prompt: Some(format!("answer {of}")),
            stream: true,
            partial,
            deadline_ms: 1_000,
            accept_ms: 500,
            ..TaskFrame::default()
        };
        let connection = seat.occupancy.open_connection().copied().ok();
        let size = RouterFrame::from(task.clone()).to_text().len() + 24;
        let room = connection.and_then(|number| self.dial.connections.get(&number)).is_some_and(|c| c.has_room(size));
        let offer = if room { seat.occupancy.session_mut().offer(task).ok() } else { None };
        let Some(frame) = offer else {
            self.report.undelivered += 1;
            let epoch = self.epoch;
            self.after(0, Happening::Undelivered(key, epoch, fence));
            return true;
        };
        seat.sinks.insert(fence, Sink { gid, ..Sink::default() });
        self.post(&id, &frame);
        true
    }

    /// Tells the miner of a seat to stop an attempt.
    pub(crate) fn stop_remote(&mut self, key: MinerKey, fence: Fence) {
        let Some(id) = self.dial.id_of(key) else { return };
        let Some(seat) = self.dial.seats.get_mut(&id) else { return };
        let frame = seat.occupancy.session_mut().cancel(fence, "the answer is wanted no more", self.now);
        if let Some(frame) = frame {
            self.post(&id, &frame);
            self.expect_tick(&id);
        }
    }

    /// Notes that the reader of an attempt has caught up.
    pub(crate) fn writable(&mut self, key: MinerKey, fence: Fence) {
        let Some(id) = self.dial.id_of(key) else { return };
        let frame = self.dial.seats.get_mut(&id).and_then(|seat| seat.occupancy.session_mut().resume_reading(fence));
        if let Some(frame) = frame {
            self.post(&id, &frame);
        }
    }

    fn expect_tick(&mut self, id: &str) {
        let Some(seat) = self.dial.seats.get_mut(id) else { return };
        let Some(at) = seat.occupancy.session().next_deadline() else { return };
        if seat.due.is_none_or(|due| at < due) {
            seat.due = Some(at);
            let (at, key) = (at.max(self.now), seat.key);
            self.at(at, Happening::SeatTick(key));
        }
    }

    /// Lets a session do what is due.
    pub(crate) fn seat_tick(&mut self, key: MinerKey) -> Result<(), String> {
        let Some(id) = self.dial.id_of(key) else { return Ok(()) };
        let Some(seat) = self.dial.seats.get_mut(&id) else { return Ok(()) };
        seat.due = None;
        let outputs = seat.occupancy.session_mut().tick(self.now);
        self.perform(&id, outputs)
    }
}
