//! The words of miners about their attempts, as the router's end of an attempt takes it and tells the engine.

use bytes::Bytes;
use cortensor_router::internals::Push;
use cortensor_router::internals::engine::{Event, MinerKey};
use cortensor_router::model::{Fence, Gid};

use crate::world::{Given, World};

/// The way in which the router's end of an attempt takes a piece.
pub(crate) enum Heard {
    /// The engine must learn of it.
    Told(Event),
    /// The engine must learn of it, and the reader is slow.
    Late(Event),
    /// The miner must stop.
    Unwanted,
}

impl World {
    /// Whether an attempt of a miner is not in force any more.
    pub(crate) fn is_stale(&self, key: MinerKey, fence: Fence) -> bool {
        self.dead.contains(&fence) || !self.miners.get(&key).is_some_and(|m| m.outstanding.contains_key(&fence))
    }

    /// Tells the engine what a miner says about an attempt, and perhaps that the attempt is over.
    pub(crate) fn tell(&mut self, key: MinerKey, fence: Fence, event: Event, ends: bool) -> Result<(), String> {
        let stale = self.is_stale(key, fence);
        self.tell_as(key, fence, event, ends, stale)
    }

    pub(crate) fn tell_as(
        &mut self,
        key: MinerKey,
        fence: Fence,
        event: Event,
        ends: bool,
        stale: bool,
    ) -> Result<(), String> {
        if !stale && ends {
            if let Some(miner) = self.miners.get_mut(&key) {
                miner.outstanding.remove(&fence);
            }
            self.dead.insert(fence);
        }
        let effects = self.effects_of(event);
        if stale {
            self.report.stale_frames += 1;
            if !effects.is_empty() {
                return Err(format!("I3: the stale fence {fence} had the effect {:?}", effects[0]));
            }
        }
        self.act_on(effects)
    }

    /// Handles a piece.
    pub(crate) fn piece(
        &mut self,
        key: MinerKey,
        fence: Fence,
        gid: Gid,
        text: &str,
        raw: Option<Bytes>,
        stale: bool,
    ) -> Result<Heard, String> {
        let (Some(task), Some(plan)) = (self.live.get_mut(&gid), self.plans.get_mut(&fence)) else {
            return Ok(Heard::Unwanted);
        };
        self.touched.insert(gid);
        let sign = Event::Progress { fence, first: false, shown: false };
        if plan.aside {
            let first = !std::mem::replace(&mut plan.spoke, true);
            return Ok(Heard::Told(Event::Progress { fence, first, shown: false }));
        }
        if text.is_empty() && raw.is_none() {
            return Ok(Heard::Told(sign));
        }
        let began = task.transcript.begun();
        let pushed = task.transcript.push(fence, text, raw);
        if !matches!(pushed, Push::At(_)) {
            return Ok(Heard::Unwanted);
        }
        if stale {
            return Err(format!("I3: a token under the stale fence {fence} was taken"));
        }
        task.tainted |= self.miners.get(&key).is_some_and(|miner| miner.who.lie.is_some());
        self.report.hedges_won += u64::from(plan.hedge && !began);
        let lags = self.random.chance(30);
        let shown = task.reader.as_ref().is_some_and(|reader| !(reader.slow && lags));
        let late = task.reader.is_some() && !shown;
        self.report.slow_readers += u64::from(late);
        if let Some(reader) = task.reader.as_mut().filter(|_| shown) {
            task.transcript.show();
            reader.read(&task.transcript, task.run)?;
        }
        let event = Event::Progress { fence, first: !began, shown };
        Ok(if late { Heard::Late(event) } else { Heard::Told(event) })
    }

    /// The number of tokens that a miner claims. It may be any.
    pub(crate) fn claim(&mut self) -> u64 {
        match self.random.range(0, 19) {
            0 => 0,
            1 => 1 << 53,
            2 => u64::MAX,
            3 => self.random.range(100, 100_000),
            _ => 3,
        }
    }

    /// Handles the end of an answer. The whole text counts if no piece came before; `aside` is the text of an answer
    /// that is not streamed.
    pub(crate) fn done(
        &mut self,
        key: MinerKey,
        fence: Fence,
        gid: Gid,
        stale: bool,
        (whole, aside): (Option<&str>, &str),
        tokens: u64,
    ) -> Result<Option<Event>, String> {
        self.report.false_usage += u64::from(!stale && tokens != 3);
        let event = Event::Done { fence, tokens };
        if stale {
            return Ok(Some(event));
        }
        let (Some(task), Some(plan), Some(miner)) =
            (self.live.get_mut(&gid), self.plans.get(&fence), self.miners.get(&key))
        else {
            return Ok(None);
        };
        let mut text = aside.to_owned();
        if !plan.aside {
            if !task.transcript.takes(fence) {
                return Ok(None);
            }
            if let Some(whole) = whole.filter(|whole| !task.transcript.begun() && !whole.is_empty()) {
                task.transcript.push(fence, whole, None);
                task.tainted |= miner.who.lie.is_some();
                if let Some(reader) = &mut task.reader {
                    task.transcript.show();
                    reader.read(&task.transcript, task.run)?;
                }
            }
            task.transcript.text().clone_into(&mut text);
            task.primary = Some(fence);
        }
        self.report.lies += u64::from(miner.who.lie.is_some());
        task.answers.push(Given { fence, who: miner.who.clone(), text });
        Ok(Some(event))
    }
}
