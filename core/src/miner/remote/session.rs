//! The router's side of one miner, over all of its connections: its offers, and the state of each answer.
//!
//! The session is a pure state machine without sockets, clock or locks: frames and times go in, [`Output`]s come out.
//! It checks every frame of the miner: the attempt must belong to the miner and have the right fence, its pieces must
//! have no gap and stay within the window, and its hash must be that of the pieces.
//!
//! ```text
//!             accept            done, hash good         settled
//! Offered ───────────▶ Running ────────────────▶ Settling ──────▶ (final) forgotten
//!    │ reject             │ fail, gap, wrong hash            ▲
//!    ▼                    ▼                                  │
//! forgotten           forgotten        Cancelling ── fail or done ──▶ forgotten
//!                                        ▲ cancelled: from Offered and Running
//! ```

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::output::{Output, SessionLimits};
use crate::miner::protocol::frame::{
    Accept, Ack, Adopt, Cancel, Credit, DropFrame, ErrorFrame, Fate, Final, Held, MinerFrame, RouterFrame, TaskFrame,
};
use crate::miner::{FailClass, Failure, Settled};
use crate::model::Fence;

/// The number of frames after which pieces are acknowledged at the latest. A quarter of the window has the same effect.
pub(super) const ACK_FRAMES: u64 = 64;
/// The time in milliseconds after which pieces are acknowledged at the latest.
pub(super) const ACK_MS: u64 = 250;
/// The maximum number of unknown attempts for which a connection remembers that it has sent `drop`. It is no setting:
/// beyond it nothing is lost, and a `drop` is sent a second time.
const MAX_STRAYS: usize = 1_024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Offered,
    Running,
    Cancelling { since: u64 },
    Settling,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) fence: Fence,
    pub(super) phase: Phase,
    pub(super) model: Option<String>,
    /// The number of the last piece that came.
    pub(super) seq: u64,
    /// The bytes of all pieces that came.
    pub(super) off: u64,
    /// The bytes of those pieces that are no part of the whole answer in OpenAI's JSON.
    pub(super) said: u64,
    pub(super) hash: Sha256,
    pub(super) answer: Vec<u8>,
    pub(super) unacked_frames: u64,
    pub(super) unacked_bytes: u64,
    /// Whether the reader is slow: pieces are not acknowledged until it has caught up.
    pub(super) blocked: bool,
}

/// The router's side of one miner.
#[derive(Debug)]
pub struct Session {
    pub(super) limits: SessionLimits,
    max_concurrency: u32,
    attempts: BTreeMap<u64, Entry>,
    by_fence: BTreeMap<Fence, u64>,
    last_attempt: u64,
    credit: Credit,
    strays: BTreeSet<(u64, u64)>,
    /// The time at which pieces must be acknowledged at the latest.
    pub(super) ack_at: Option<u64>,
}

impl Session {
    /// A session without attempts.
    pub fn new(limits: SessionLimits, max_concurrency: u32) -> Self {
        Self {
            limits,
            max_concurrency,
            attempts: BTreeMap::new(),
            by_fence: BTreeMap::new(),
            last_attempt: 0,
            credit: Credit::default(),
            strays: BTreeSet::new(),
            ack_at: None,
        }
    }

    /// Whether the miner holds no attempt.
    pub fn is_idle(&self) -> bool {
        self.attempts.is_empty()
    }

    /// Whether the miner holds an attempt that is wanted.
    pub fn is_working(&self) -> bool {
        self.attempts.values().any(|entry| !matches!(entry.phase, Phase::Cancelling { .. }))
    }

    /// The miner's attempts, as `ping` lists them.
    pub fn inflight(&self) -> Vec<Held> {
        self.attempts
            .iter()
            .map(|(attempt, entry)| Held { attempt: *attempt, fence: entry.fence.0, sent_seq: entry.seq })
            .collect()
    }

    /// The time at which [`tick`](Self::tick) is due, in milliseconds of the caller's clock.
    pub fn next_deadline(&self) -> Option<u64> {
        let cancelled = self.attempts.values().filter_map(|entry| match entry.phase {
            Phase::Cancelling { since } => Some(since.saturating_add(self.limits.cancel_ms)),
            _ => None,
        });
        cancelled.chain(self.ack_at).min()
    }

    /// The time at which pieces must be acknowledged at the latest.
    pub fn ack_at(&self) -> Option<u64> {
        self.ack_at
    }

    /// Offers a task. Returns the frame to send, with the number of the attempt.
    ///
    /// # Errors
    /// The reason why the miner has no room for the model at present.
    pub fn offer(&mut self, mut task: TaskFrame) -> Result<RouterFrame, &'static str> {
        if let Some(model) = &task.model
            && let Some(free) = self.credit.free.get(model).or_else(|| self.credit.free.get("*"))
        {
            let newer = self.attempts.range(self.credit.seen + 1..).filter(|(_, entry)| entry.model == task.model);
            if newer.count() as u64 >= u64::from(*free) {
                return Err("the miner has no free slot for this model");
            }
        }
        if self.attempts.len() >= self.limits.attempts {
            return Err("the miner holds as many tasks as miners.max_resumed allows, cancelled ones among them");
        }
        self.last_attempt += 1;
        task.attempt = self.last_attempt;
        let fence = Fence(task.fence);
        self.by_fence.insert(fence, task.attempt);
        self.attempts.insert(
            task.attempt,
            Entry {
                fence,
                phase: Phase::Offered,
                model: task.model.clone(),
                seq: 0,
                off: 0,
                said: 0,
                hash: Sha256::new(),
                answer: Vec::new(),
                unacked_frames: 0,
                unacked_bytes: 0,
                blocked: false,
            },
        );
        Ok(task.into())
    }

    /// Cancels the attempt. Returns the frame to send; `None`: the attempt is unknown, ended or already cancelled.
    pub fn cancel(&mut self, fence: Fence, reason: &str, now: u64) -> Option<RouterFrame> {
        let attempt = *self.by_fence.get(&fence)?;
        let entry = self.attempts.get_mut(&attempt)?;
        if !matches!(entry.phase, Phase::Offered | Phase::Running) {
            return None;
        }
        entry.phase = Phase::Cancelling { since: now };
        Some(Cancel { attempt, fence: fence.0, reason: reason.to_owned() }.into())
    }

    /// Notes that the reader of an attempt is slow. Its pieces are not acknowledged until
    /// [`resume_reading`](Self::resume_reading).
    pub fn block(&mut self, fence: Fence) {
        if let Some(entry) = self.entry(fence) {
            entry.blocked = true;
        }
    }

    /// Notes that the reader has caught up. Returns the acknowledgement to send.
    pub fn resume_reading(&mut self, fence: Fence) -> Option<RouterFrame> {
        let attempt = *self.by_fence.get(&fence)?;
        let entry = self.attempts.get_mut(&attempt)?;
        entry.blocked = false;
        (entry.unacked_frames > 0).then(|| entry.ack(attempt))
    }

    /// Notes the fate of an answer. Returns the frame that lets the miner forget it.
    pub fn settled(&mut self, fence: Fence, fate: Settled) -> Option<RouterFrame> {
        let attempt = *self.by_fence.get(&fence)?;
        self.forget(attempt);
        Some(finale(attempt, fence, fate))
    }

    /// Does the work that is due at this time.
    pub fn tick(&mut self, now: u64) -> Vec<Output> {
        let mut out = Vec::new();
        if self.ack_at.is_some_and(|at| at <= now) {
            self.ack_at = None;
            for (attempt, entry) in &mut self.attempts {
                if entry.unacked_frames > 0 && !entry.blocked {
                    out.push(Output::Send(entry.ack(*attempt)));
                }
            }
        }
        let mute: Vec<u64> = self
            .attempts
            .iter()
            .filter(|(_, entry)| match entry.phase {
                Phase::Cancelling { since } => since.saturating_add(self.limits.cancel_ms) <= now,
                _ => false,
            })
            .map(|(attempt, _)| *attempt)
            .collect();
        for attempt in mute {
            out.extend(self.forget(attempt));
        }
        out
    }

    /// Takes the list of attempts of a miner that has reconnected. Attempts that it does not name are lost.
    pub fn resume(&mut self, held: &[Held]) -> (Vec<Adopt>, Vec<DropFrame>, Vec<Output>) {
        self.strays.clear();
        self.credit = Credit::default();
        let (mut adopt, mut drop, mut out) = (Vec::new(), Vec::new(), vec![Output::Credits(0)]);
        let named: BTreeMap<(u64, u64), u64> =
            held.iter().map(|held| ((held.attempt, held.fence), held.sent_seq)).collect();
        for ((attempt, fence), sent) in &named {
            match self.attempts.get_mut(attempt) {
                // The router has more pieces than the miner has sent: the miner holds another run of the attempt, which
                // must not continue these pieces.
                Some(entry) if entry.fence.0 == *fence && *sent < entry.seq => {
                    drop.push(DropFrame { attempt: *attempt, fence: *fence });
                }
                Some(entry) if entry.fence.0 == *fence && matches!(entry.phase, Phase::Running | Phase::Settling) => {
                    entry.unacked_frames = 0;
                    entry.unacked_bytes = 0;
                    adopt.push(Adopt { attempt: *attempt, fence: *fence, ack_seq: entry.seq });
                }
                Some(entry) if entry.fence.0 == *fence && entry.phase == Phase::Offered => {
                    entry.phase = Phase::Running;
                    out.push(Output::Accepted(entry.fence));
                    adopt.push(Adopt { attempt: *attempt, fence: *fence, ack_seq: 0 });
                }
                _ => drop.push(DropFrame { attempt: *attempt, fence: *fence }),
            }
        }
        let kept: BTreeSet<u64> = adopt.iter().map(|adopted| adopted.attempt).collect();
        let lost: Vec<u64> = self.attempts.keys().filter(|attempt| !kept.contains(attempt)).copied().collect();
        for attempt in lost {
            out.extend(self.lose(attempt, "the miner came back without it"));
        }
        (adopt, drop, out)
    }

    /// Checks the bounds of the session, and its lists against each other.
    ///
    /// # Errors
    /// A text that says which bound is exceeded or what does not agree.
    pub fn check(&self) -> Result<(), String> {
        let SessionLimits { window, output, answer, attempts, .. } = self.limits;
        if self.attempts.len() > attempts || self.strays.len() > MAX_STRAYS {
            return Err(format!("{} attempts and {} strays", self.attempts.len(), self.strays.len()));
        }
        if self.by_fence.len() != self.attempts.len() {
            return Err(format!("{} fences of {} attempts", self.by_fence.len(), self.attempts.len()));
        }
        for (attempt, entry) in &self.attempts {
            if self.by_fence.get(&entry.fence) != Some(attempt) {
                return Err(format!("attempt {attempt} is not found by its fence"));
            }
            let (said, whole, unacked) = (entry.said, entry.answer.len() as u64, entry.unacked_bytes);
            if said > output || whole > answer || unacked > window.saturating_mul(2) {
                return Err(format!("attempt {attempt} has {said} and {whole} bytes, {unacked} without an ack"));
            }
        }
        Ok(())
    }

    /// Takes a frame of the miner with a length of `bytes`.
    pub fn frame(&mut self, frame: MinerFrame, bytes: u64, now: u64) -> Vec<Output> {
        match frame {
            MinerFrame::Hello(_) => vec![fatal("unexpected", "hello is sent once, as the first frame")],
            MinerFrame::Credit(credit) => self.credit(credit),
            MinerFrame::Accept(Accept { attempt, fence }) => match self.own(attempt, fence) {
                Err(out) => out,
                Ok(entry) if entry.phase == Phase::Offered => {
                    entry.phase = Phase::Running;
                    vec![Output::Accepted(entry.fence)]
                }
                Ok(_) => Vec::new(),
            },
            MinerFrame::Reject(reject) => self.rejected(reject),
            MinerFrame::Tokens(tokens) => self.tokens(tokens, bytes, now),
            MinerFrame::Done(done) => self.done(done),
            MinerFrame::Fail(fail) => self.failed(fail),
            MinerFrame::Ping(ping) => {
                let mut out = vec![Output::Send(RouterFrame::Pong(crate::miner::protocol::frame::Pong {
                    t: ping.t,
                    inflight: self.inflight(),
                }))];
                out.extend(self.reconcile(&ping.inflight));
                out
            }
            MinerFrame::Pong(pong) => self.reconcile(&pong.inflight),
            MinerFrame::Drain(_) => vec![Output::Draining],
            MinerFrame::Bye(_) => vec![Output::Bye],
            MinerFrame::Error(error) => {
                tracing::warn!(code = %error.code, message = %error.message, "a miner reports an error");
                if error.fatal { vec![Output::Bye] } else { Vec::new() }
            }
        }
    }

    fn credit(&mut self, credit: Credit) -> Vec<Output> {
        if credit.generation <= self.credit.generation {
            return Vec::new();
        }
        // Offers that the miner had not seen when it counted take their slots from its free ones.
        let seen = self
            .attempts
            .range(..=credit.seen)
            .filter(|(_, entry)| matches!(entry.phase, Phase::Offered | Phase::Running))
            .count() as u32;
        let free = credit.free.values().max().copied().unwrap_or(0);
        self.credit = credit;
        vec![Output::Credits(free.saturating_add(seen).min(self.max_concurrency))]
    }

    /// Compares the miner's list with the attempts that it has accepted. Accepted attempts that it does not name are
    /// lost.
    fn reconcile(&mut self, held: &[Held]) -> Vec<Output> {
        let mut out = Vec::new();
        let named: BTreeSet<(u64, u64)> = held.iter().map(|held| (held.attempt, held.fence)).collect();
        for (attempt, fence) in &named {
            if let Err(strays) = self.own(*attempt, *fence) {
                out.extend(strays);
            }
        }
        let lost: Vec<u64> = self
            .attempts
            .iter()
            .filter(|(attempt, entry)| entry.phase == Phase::Running && !named.contains(&(**attempt, entry.fence.0)))
            .map(|(attempt, _)| *attempt)
            .collect();
        for attempt in lost {
            out.extend(self.lose(attempt, "the miner does not work on it any more"));
        }
        out
    }

    /// The attempt, if this miner has it with this fence; otherwise the `drop` to send, once for each unknown attempt.
    pub(super) fn own(&mut self, attempt: u64, fence: u64) -> Result<&mut Entry, Vec<Output>> {
        match self.attempts.get_mut(&attempt) {
            Some(entry) if entry.fence.0 == fence => Ok(entry),
            _ => {
                if self.strays.len() >= MAX_STRAYS {
                    self.strays.clear();
                }
                let first = self.strays.insert((attempt, fence));
                Err(first.then(|| Output::Send(DropFrame { attempt, fence }.into())).into_iter().collect())
            }
        }
    }

    fn entry(&mut self, fence: Fence) -> Option<&mut Entry> {
        self.attempts.get_mut(self.by_fence.get(&fence)?)
    }

    /// Fails an attempt in which the miner broke a rule, and tells the miner why.
    pub(super) fn broken(&mut self, attempt: u64, code: &str, message: String) -> Vec<Output> {
        let Some(entry) = self.attempts.get(&attempt) else { return Vec::new() };
        let fence = entry.fence;
        let error =
            ErrorFrame { code: code.to_owned(), message: format!("attempt {attempt}: {message}"), fatal: false };
        let mut out = vec![
            Output::Send(error.into()),
            Output::Send(DropFrame { attempt, fence: fence.0 }.into()),
            Output::Failed(fence, Failure::new(FailClass::Internal, message)),
        ];
        // The miner may still send frames of this attempt, which need no second `drop`.
        self.strays.insert((attempt, fence.0));
        out.extend(self.forget(attempt));
        out
    }

    /// Notes that the miner does not have the attempt any more.
    fn lose(&mut self, attempt: u64, why: &str) -> Vec<Output> {
        let Some(entry) = self.attempts.get(&attempt) else { return Vec::new() };
        let fence = entry.fence;
        let mut out = Vec::new();
        match entry.phase {
            Phase::Offered => {
                out.push(Output::Rejected { fence, reason: why.to_owned(), retry_after_ms: None });
            }
            Phase::Running => out.push(Output::Failed(fence, Failure::new(FailClass::Unreachable, why))),
            Phase::Cancelling { .. } | Phase::Settling => {}
        }
        out.extend(self.forget(attempt));
        out
    }

    pub(super) fn forget(&mut self, attempt: u64) -> Option<Output> {
        let entry = self.attempts.remove(&attempt)?;
        self.by_fence.remove(&entry.fence);
        Some(Output::Forgotten(entry.fence))
    }
}

impl Entry {
    pub(super) fn ack(&mut self, attempt: u64) -> RouterFrame {
        self.unacked_frames = 0;
        self.unacked_bytes = 0;
        Ack { attempt, fence: self.fence.0, seq: self.seq }.into()
    }
}

pub(super) fn finale(attempt: u64, fence: Fence, fate: Settled) -> RouterFrame {
    let result = match fate {
        Settled::Committed => Fate::Committed,
        Settled::Superseded => Fate::Superseded,
        Settled::Cancelled => Fate::Cancelled,
    };
    Final { attempt, fence: fence.0, result: result.into() }.into()
}

pub(super) fn fatal(code: &str, message: &str) -> Output {
    Output::Close(ErrorFrame::fatal(code, message))
}
