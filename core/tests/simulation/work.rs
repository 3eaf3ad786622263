//! An attempt at a miner that dials in: its frames, which the miner keeps until the router has acknowledged them.

use std::collections::VecDeque;

use cortensor_router::internals::engine::Blame;
use cortensor_router::internals::hex;
use cortensor_router::internals::protocol::frame::{
    Accept, Channel, Class, Done, Fail, Held, MinerFrame, Reject, TaskFrame, Tokens, Word,
};
use cortensor_router::model::{Fence, Gid, Usage};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::dial::Spoken;
use crate::network::{Break, Way};
use crate::skew::{self, Skew};
use crate::world::{Act, Happening, World};

/// An attempt that a process holds.
pub(crate) struct Work {
    pub(crate) fence: Fence,
    pieces: Vec<String>,
    /// The frames without an acknowledgement. The first `sent` of them were sent on this connection.
    pub(crate) frames: VecDeque<(u64, String)>,
    sent: usize,
    sent_bytes: usize,
    pub(crate) seq: u64,
    off: u64,
    hash: Sha256,
    done: Option<String>,
    done_sent: bool,
    stopped: bool,
}

impl Work {
    fn new(fence: Fence, pieces: Vec<String>) -> Self {
        Self {
            fence,
            pieces,
            frames: VecDeque::new(),
            sent: 0,
            sent_bytes: 0,
            seq: 0,
            off: 0,
            hash: Sha256::new(),
            done: None,
            done_sent: false,
            stopped: false,
        }
    }

    /// The attempt as `ping` and `resume` list it.
    pub(crate) fn listed(&self, attempt: u64) -> Held {
        Held { attempt, fence: self.fence.0, sent_seq: self.seq }
    }

    /// Whether the miner still works on it.
    pub(crate) fn is_working(&self) -> bool {
        !self.stopped && self.done.is_none()
    }

    /// Whether the router can have all frames so far, and more may come.
    pub(crate) fn is_all_sent(&self) -> bool {
        self.is_working() && self.sent == self.frames.len()
    }

    /// Notes that the router has the frames up to that number.
    pub(crate) fn acknowledged(&mut self, seq: u64) {
        while self.frames.front().is_some_and(|(number, _)| *number <= seq) {
            let Some((_, text)) = self.frames.pop_front() else { break };
            if self.sent > 0 {
                self.sent -= 1;
                self.sent_bytes -= text.len();
            }
        }
    }

    /// Goes on over a new connection: frames without an acknowledgement are sent again.
    pub(crate) fn resume(&mut self, ack_seq: u64) {
        self.acknowledged(ack_seq);
        (self.sent, self.sent_bytes, self.done_sent) = (0, 0, false);
    }

    /// Makes the frame of a piece. `pad` makes it larger without a meaning.
    pub(crate) fn push(&mut self, attempt: u64, ch: Word<Channel>, data: &str, raw: bool, skew: Skew, pad: usize) {
        if ch.known() == Some(Channel::Content) {
            self.hash.update(data.as_bytes());
        }
        self.seq += 1;
        let raw = raw.then(|| RawValue::from_string(format!(r#"{{"n":{}}}"#, self.seq)).ok()).flatten();
        let frame =
            Tokens { attempt, fence: self.fence.0, seq: self.seq, off: self.off, ch, data: data.to_owned(), raw };
        self.off += data.len() as u64;
        let mut text = skew::written(skew, MinerFrame::from(frame).to_text());
        if pad > 0 {
            text = text.replacen('{', &format!(r#"{{"pad":"{}","#, "x".repeat(pad)), 1);
        }
        self.frames.push_back((self.seq, text));
    }

    /// The frame that ends the answer.
    pub(crate) fn done(&self, attempt: u64, tokens: u64) -> MinerFrame {
        Done {
            attempt,
            fence: self.fence.0,
            seq: self.seq,
            sha256: hex(&self.hash.clone().finalize()),
            usage: Usage::new(1, tokens),
            ..Done::default()
        }
        .into()
    }
}

impl World {
    /// Takes an offer of the router.
    pub(crate) fn task_comes(&mut self, number: u32, task: &TaskFrame) -> Result<(), String> {
        let (attempt, fence) = (task.attempt, Fence(task.fence));
        let Some(process) = self.dial.processes.get_mut(&number) else { return Ok(()) };
        process.seen = process.seen.max(attempt);
        if process.held.contains_key(&attempt) {
            return Err(format!("attempt {attempt} was offered twice"));
        }
        let working = process.held.values().filter(|work| work.is_working()).count();
        if working >= process.slots as usize {
            return Err(format!("I6: the miner {} got a task for which it has no room", process.who.name));
        }
        let of = task.prompt.as_deref().and_then(|prompt| prompt.strip_prefix("answer "));
        let of = of.and_then(|gid| gid.parse().ok()).map(Gid).ok_or("I11: an offer has no prompt")?;
        let said = task.partial.as_deref().map_or(0, |partial| partial.split_whitespace().count());
        let pieces = process.who.says(of, said);
        let count = pieces.len();
        process.held.insert(attempt, Work::new(fence, pieces));
        self.dial.spoken.insert(fence, Spoken { process: number, text: String::new() });
        for (at, act) in self.acts(false, count) {
            self.at(at, Happening::Works(number, attempt, fence, act));
        }
        Ok(())
    }

    /// Does what a process does for an attempt at that time.
    pub(crate) fn works(&mut self, number: u32, attempt: u64, fence: Fence, act: Act) -> Result<(), String> {
        let (sound, life) = (self.random.chance(15), self.random.chance(8));
        let claim = self.claim();
        let Some(process) = self.dial.processes.get_mut(&number) else { return Ok(()) };
        let (raw, skew, connection) = (process.raw, process.who.skew, process.connection);
        let Some(work) = process.held.get_mut(&attempt).filter(|work| work.fence == fence) else { return Ok(()) };
        let fence = work.fence.0;
        if matches!(act, Act::Stopped) {
            process.held.remove(&attempt);
            self.say(number, &Fail { attempt, fence, class: Class::Cancelled.into(), ..Fail::default() }.into());
            return Ok(());
        }
        if !work.is_working() {
            return Ok(());
        }
        let content = || Channel::Content.into();
        match act {
            Act::Accept => self.say(number, &Accept { attempt, fence }.into()),
            Act::Reject => {
                process.held.remove(&attempt);
                self.say(number, &Reject { attempt, fence, ..Reject::default() }.into());
            }
            Act::Token(n) => {
                if life {
                    work.push(attempt, content(), "", false, skew, 0);
                }
                if sound && skew == Skew::Newer {
                    work.push(attempt, Word::Unknown("sound".into()), "beep", false, skew, 0);
                }
                let piece = work.pieces[n].clone();
                work.push(attempt, content(), &piece, raw, skew, 0);
                self.spoke(Fence(fence), &piece);
                self.flush_work(number, attempt);
            }
            Act::Done => {
                let whole = work.pieces.concat();
                if work.off == 0 && !whole.is_empty() {
                    work.push(attempt, content(), &whole, raw, skew, 0);
                    self.spoke(Fence(fence), &whole);
                }
                self.ends(number, attempt, claim);
                if self.random.chance(20) {
                    self.says_credit(number);
                }
            }
            Act::Fail(blame) => {
                process.held.remove(&attempt);
                let class = match blame {
                    Blame::Miner if sound && skew == Skew::Newer => Word::Unknown("melted".into()),
                    Blame::Miner => Class::Internal.into(),
                    Blame::Barred => Class::Credentials.into(),
                    Blame::Overload => Class::Overloaded.into(),
                    Blame::Unfit => Class::Model.into(),
                    Blame::Request => Class::Invalid.into(),
                    Blame::Context => Class::Context.into(),
                    Blame::Nobody => Class::Unreadable.into(),
                };
                self.say(number, &Fail { attempt, fence, class, ..Fail::default() }.into());
            }
            Act::Leave => {
                if self.random.chance(40) {
                    self.process_dies(number);
                } else if let Some(connection) = connection {
                    let how = self.some_break();
                    return self.break_connection(connection, how);
                }
            }
            Act::Stopped => {}
        }
        Ok(())
    }

    pub(crate) fn some_break(&mut self) -> Break {
        match self.random.range(0, 2) {
            0 => Break::Reset,
            1 => Break::MinerKnows,
            _ => Break::RouterKnows,
        }
    }

    /// Notes what a miner has said for an attempt.
    fn spoke(&mut self, fence: Fence, text: &str) {
        if let Some(spoken) = self.dial.spoken.get_mut(&fence) {
            spoken.text.push_str(text);
        }
    }

    fn ends(&mut self, number: u32, attempt: u64, claim: u64) {
        if let Some(process) = self.dial.processes.get_mut(&number)
            && let Some(work) = process.held.get_mut(&attempt)
        {
            let frame = work.done(attempt, claim);
            work.done = Some(skew::written(process.who.skew, frame.to_text()));
            self.flush_work(number, attempt);
        }
    }

    /// Sends the frames of an attempt that the window allows, and then its end.
    pub(crate) fn flush_work(&mut self, number: u32, attempt: u64) {
        let Some(process) = self.dial.processes.get_mut(&number) else { return };
        let (Some(connection), Some(limits)) = (process.connection, &process.limits) else { return };
        let window = limits.window as usize;
        let Some(work) = process.held.get_mut(&attempt) else { return };
        let mut out = Vec::new();
        while let Some((_, text)) = work.frames.get(work.sent) {
            if work.sent_bytes > 0 && work.sent_bytes + text.len() > window {
                break;
            }
            work.sent_bytes += text.len();
            work.sent += 1;
            out.push(text.clone());
        }
        if let Some(done) = &work.done
            && work.sent == work.frames.len()
            && !std::mem::replace(&mut work.done_sent, true)
        {
            out.push(done.clone());
        }
        for text in out {
            self.report.newer += u64::from(text.contains("\"later\""));
            self.send(connection, Way::Up, text);
        }
    }

    /// Stops an attempt that the router has cancelled. Some miners never answer.
    pub(crate) fn cancelled(&mut self, number: u32, attempt: u64, fence: u64) {
        let (mute, at) = (self.random.chance(20), self.now + self.random.range(0, 60));
        let Some(process) = self.dial.processes.get_mut(&number) else { return };
        let Some(work) = process.held.get_mut(&attempt).filter(|work| work.fence.0 == fence) else { return };
        if !work.is_working() {
            return;
        }
        work.stopped = true;
        if mute {
            self.report.mute += 1;
            process.held.remove(&attempt);
        } else {
            self.at(at, Happening::Works(number, attempt, Fence(fence), Act::Stopped));
        }
    }
}
