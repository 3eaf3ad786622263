//! The miner's side of the protocol: the attempts that the miner holds, over all of its connections.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::time::Instant;

#[cfg(feature = "postgres")]
pub(crate) use super::assignment::Kept;
use super::assignment::{Assignment, Pace};
use super::stats::Counters;
use crate::miner::link::{Link, Peer};
use crate::miner::protocol::frame::{
    Accept, Class, Credit, ErrorFrame, Fail, Held, MinerFrame, Ping, Pong, RAW, Reject, RouterFrame, TaskFrame,
    Welcome, Word,
};
use crate::miner::protocol::raw;
use crate::miner::{FailClass, Failure, Job, JobInfo, JobSink, Miner};
use crate::model::{Fence, Gid, SessionId, TaskId, TaskRequest, Timestamp, told};
use crate::task::TraceContext;

/// The attempts that the miner holds, and its present connection.
pub(crate) struct Desk {
    me: Weak<Self>,
    miner: Arc<dyn Miner>,
    pub(super) counters: Counters,
    capacity: AtomicU64,
    models: Mutex<Vec<String>>,
    state: Mutex<State>,
    /// Attempts that may have something to send.
    touched: Mutex<BTreeSet<u64>>,
    /// Notified when the miner holds fewer attempts than before.
    eased: Notify,
    takes: Takes,
    /// Whether the work on attempts is kept for an heir.
    keeps: bool,
}

/// Whether the miner takes the task under that fence. The desk also says whether it can read the task.
pub(crate) type Takes = Box<dyn Fn(Fence, bool) -> bool + Send + Sync>;

#[derive(Default)]
struct State {
    link: Option<Arc<Link>>,
    pace: Option<Pace>,
    attempts: BTreeMap<u64, Arc<Assignment>>,
    generation: u64,
    seen: u64,
    draining: bool,
    /// The reason why the router ended the last connection.
    refusal: Option<ErrorFrame>,
    /// Whether the log has an unknown word of this connection's router.
    puzzled: bool,
}

impl Desk {
    /// The desk of a miner. `keeps`: the work on attempts is kept for an heir, which [`inherit`](Self::inherit) makes.
    pub(crate) fn new(
        miner: Arc<dyn Miner>,
        capacity: u32,
        models: Vec<String>,
        takes: Takes,
        keeps: bool,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            keeps,
            me: Weak::clone(me),
            miner,
            counters: Counters::default(),
            capacity: AtomicU64::new(capacity.into()),
            models: Mutex::new(models),
            state: Mutex::default(),
            touched: Mutex::default(),
            eased: Notify::new(),
            takes,
        })
    }

    /// The attempts that the miner holds, as `hello` and `ping` list them.
    pub(crate) fn held(&self) -> Vec<Held> {
        self.state.lock().attempts.values().map(|assignment| assignment.held()).collect()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.state.lock().attempts.len()
    }

    pub(super) fn models(&self) -> Vec<String> {
        self.models.lock().clone()
    }

    /// Sets the models. `true`: they have changed.
    pub(super) fn set_models(&self, models: Vec<String>) -> bool {
        let mut now = self.models.lock();
        let changed = *now != models;
        *now = models;
        changed
    }

    pub(super) fn capacity(&self) -> u32 {
        self.capacity.load(Ordering::Relaxed) as u32
    }

    /// Sets the maximum number of concurrent tasks, at most the number in `hello`.
    pub(super) fn set_capacity(&self, capacity: u32) {
        self.capacity.store(capacity.into(), Ordering::Relaxed);
        self.post_credit();
    }

    /// Refuses new offers from now on and tells the router.
    pub(super) fn drain(&self, deadline_ms: u64) {
        self.state.lock().draining = true;
        self.post(&crate::miner::protocol::frame::Drain { deadline_ms }.into());
        self.post_credit();
        self.eased.notify_waiters();
    }

    pub(super) fn is_draining(&self) -> bool {
        self.state.lock().draining
    }

    /// Resolves when the miner holds no attempt.
    pub(super) async fn idle(&self) {
        loop {
            let eased = self.eased.notified();
            if self.state.lock().attempts.is_empty() {
                return;
            }
            eased.await;
        }
    }

    /// Cancels all work.
    pub(crate) fn stop_all(&self) {
        let all: Vec<_> = self.state.lock().attempts.values().cloned().collect();
        for assignment in &all {
            assignment.stop();
        }
    }

    /// Ends the connection. The next connection announces the new state.
    pub(super) fn hang_up(&self, reason: &str) {
        if let Some(link) = self.link() {
            link.close(1001, reason);
        }
    }

    pub(super) fn say_bye(&self, reason: &str) {
        let bye = MinerFrame::from(crate::miner::protocol::frame::Bye { reason: reason.to_owned() });
        if let Some(link) = self.link() {
            link.close_with(bye.to_text(), 1001, reason);
        }
    }

    /// Notes that the router has welcomed the miner on this link. Adopted attempts continue; the others are cancelled.
    pub(crate) fn attach(&self, link: &Arc<Link>, welcome: &Welcome) {
        let limits = &welcome.limits;
        let pace = Pace {
            flush: Duration::from_millis(welcome.intervals.flush_ms),
            window: limits.window as usize,
            // JSON writes a control character as six bytes.
            piece: (limits.frame as usize / 8).max(1),
            output: limits.output as usize,
            raw: welcome.features.iter().any(|feature| feature == RAW),
        };
        let (gone, kept) = {
            let mut state = self.state.lock();
            let adopted: BTreeMap<(u64, u64), u64> =
                welcome.adopt.iter().map(|adopt| ((adopt.attempt, adopt.fence), adopt.ack_seq)).collect();
            let (mut gone, mut kept) = (Vec::new(), Vec::new());
            for (attempt, assignment) in std::mem::take(&mut state.attempts) {
                match adopted.get(&(attempt, assignment.fence)) {
                    Some(ack_seq) => {
                        kept.push((Arc::clone(&assignment), *ack_seq));
                        state.attempts.insert(attempt, assignment);
                    }
                    None => gone.push(assignment),
                }
            }
            state.seen = state.attempts.keys().next_back().copied().unwrap_or(0);
            state.generation = 0;
            state.pace = Some(pace);
            state.link = Some(Arc::clone(link));
            state.puzzled = false;
            (gone, kept)
        };
        for assignment in gone {
            assignment.stop();
        }
        self.eased.notify_waiters();
        for (assignment, ack_seq) in kept {
            assignment.resume(ack_seq, pace);
            self.touched.lock().insert(assignment.attempt);
        }
        if self.is_draining() {
            self.post(&crate::miner::protocol::frame::Drain::default().into());
        }
        self.post_credit();
    }

    /// Notes the end of the connection. Returns the router's reason, if it sent one.
    pub(crate) fn detach(&self) -> Option<ErrorFrame> {
        let mut state = self.state.lock();
        state.link = None;
        state.refusal.take()
    }

    /// Notes that the attempt may have something to send.
    pub(super) fn touch(&self, attempt: u64) {
        self.touched.lock().insert(attempt);
        let link = self.state.lock().link.clone();
        if let Some(link) = link {
            link.wake();
        }
    }

    pub(super) fn assignment(&self, attempt: u64) -> Option<Arc<Assignment>> {
        self.state.lock().attempts.get(&attempt).cloned()
    }

    /// Notes that the backend has finished an attempt. Its answer is kept until the router's `final`.
    pub(super) fn finished(&self, attempt: u64) {
        self.counters.finished();
        self.touch(attempt);
    }

    pub(super) fn rejected(&self, assignment: &Assignment, reason: String, retry_after_ms: Option<u64>) {
        self.counters.rejected();
        let (attempt, fence) = (assignment.attempt, assignment.fence);
        self.give_back(attempt, fence, &Reject { attempt, fence, reason, retry_after_ms }.into());
    }

    pub(super) fn failed(&self, assignment: &Assignment, failure: Failure) {
        let class = match failure.class {
            FailClass::Overloaded => Class::Overloaded,
            FailClass::Context => Class::Context,
            FailClass::Invalid => Class::Invalid,
            FailClass::Model => Class::Model,
            FailClass::Refused => Class::Refused,
            FailClass::Credentials => Class::Credentials,
            FailClass::Unreadable => Class::Unreadable,
            FailClass::Internal | FailClass::Unreachable => Class::Internal,
            FailClass::Cancelled => Class::Cancelled,
        };
        if class == Class::Cancelled {
            self.counters.cancelled();
        } else {
            self.counters.failed();
        }
        let fail = Fail {
            attempt: assignment.attempt,
            fence: assignment.fence,
            class: class.into(),
            message: failure.message,
            retryable: !matches!(class, Class::Context | Class::Invalid | Class::Cancelled),
            retry_after_ms: failure.retry_after_ms,
            http_status: failure.http_status,
            raw: failure.raw.as_deref().and_then(raw::value),
        };
        self.give_back(assignment.attempt, assignment.fence, &fail.into());
    }

    /// Sends why an attempt has no answer, and forgets the attempt, unless the router has dropped it already.
    fn give_back(&self, attempt: u64, fence: u64, why: &MinerFrame) {
        self.remove_after(attempt, fence, |link| {
            link.post(why.to_text());
        });
    }

    fn remove(&self, attempt: u64, fence: u64) -> bool {
        self.remove_after(attempt, fence, |_| {})
    }

    /// Forgets an attempt after `tell` has told the router of it. Both happen under one lock: a list of the attempts
    /// that lacks this one is sent after that.
    fn remove_after(&self, attempt: u64, fence: u64, tell: impl FnOnce(&Link)) -> bool {
        let removed = {
            let mut state = self.state.lock();
            let ours = state.attempts.get(&attempt).is_some_and(|found| found.fence == fence);
            if ours && let Some(link) = &state.link {
                tell(link);
            }
            if ours { state.attempts.remove(&attempt) } else { None }
        };
        if removed.is_some() {
            self.eased.notify_waiters();
        }
        removed.is_some()
    }

    /// The present connection. Nothing is done to it under the lock of the attempts.
    fn link(&self) -> Option<Arc<Link>> {
        self.state.lock().link.clone()
    }

    fn post(&self, frame: &MinerFrame) -> bool {
        self.link().is_some_and(|link| link.post(frame.to_text()))
    }

    fn post_credit(&self) {
        let capacity = self.capacity();
        let frame = {
            let mut state = self.state.lock();
            let working = state.attempts.values().filter(|assignment| assignment.is_working()).count() as u32;
            let free = if state.draining { 0 } else { capacity.saturating_sub(working) };
            state.generation += 1;
            Credit { generation: state.generation, free: BTreeMap::from([("*".to_owned(), free)]), seen: state.seen }
        };
        self.post(&frame.into());
    }

    fn offered(&self, task: TaskFrame) {
        let (attempt, fence) = (task.attempt, task.fence);
        let info = info_of(task);
        let is_wanted = (self.takes)(Fence(fence), info.is_ok());
        let taken = {
            let mut state = self.state.lock();
            state.seen = state.seen.max(attempt);
            let working = state.attempts.values().filter(|assignment| assignment.is_working()).count();
            let room = info.is_ok() && is_wanted && !state.draining && working < self.capacity() as usize;
            match (state.pace, state.attempts.contains_key(&attempt)) {
                (_, true) | (None, _) => return,
                (Some(pace), false) if room => {
                    let assignment = Arc::new(Assignment::new(attempt, fence, Weak::clone(&self.me), pace, self.keeps));
                    state.attempts.insert(attempt, Arc::clone(&assignment));
                    Some(assignment)
                }
                _ => None,
            }
        };
        let (Some(assignment), Ok(info)) = (taken, &info) else {
            self.counters.rejected();
            let reason = info.err().unwrap_or_else(|| "the miner has no free slot".to_owned());
            self.post(&Reject { attempt, fence, reason, retry_after_ms: None }.into());
            return;
        };
        self.counters.accepted();
        self.post(&Accept { attempt, fence }.into());
        let job = Job::new(info.clone(), assignment as Arc<dyn JobSink>);
        let miner = Arc::clone(&self.miner);
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| miner.offer(job))).is_err() {
            tracing::error!("a miner panicked in offer; its job counts as dropped");
        }
    }

    /// Whether the miner holds the attempt with that fence.
    #[cfg(feature = "postgres")]
    pub(crate) fn holds(&self, fence: Fence) -> bool {
        self.state.lock().attempts.values().any(|assignment| assignment.fence == fence.0)
    }

    /// Keeps the work on that attempt no longer for an heir.
    #[cfg(feature = "postgres")]
    pub(crate) fn disinherit(&self, fence: Fence) {
        let found = self.state.lock().attempts.values().find(|assignment| assignment.fence == fence.0).cloned();
        if let Some(assignment) = found {
            assignment.disinherit();
        }
    }

    /// Takes the attempt with that fence out, with the work on it so far. The miner is not told to stop, and the router
    /// that offered the attempt is told nothing.
    #[cfg(feature = "postgres")]
    pub(crate) fn inherit(&self, fence: Fence) -> Option<Kept> {
        let assignment = {
            let mut state = self.state.lock();
            let attempt = state.attempts.values().find(|assignment| assignment.fence == fence.0)?.attempt;
            state.attempts.remove(&attempt)?
        };
        self.eased.notify_waiters();
        assignment.give_up()
    }

    /// Cancels and forgets an attempt that the router does not know.
    fn dropped(&self, attempt: u64, fence: u64) {
        let assignment = self.assignment(attempt).filter(|found| found.fence == fence);
        if let Some(assignment) = assignment {
            self.remove(attempt, fence);
            assignment.stop();
        }
    }
}

impl Peer for Desk {
    fn frame(&self, text: &str) {
        let frame = match RouterFrame::parse(text) {
            Ok(Some(frame)) => frame,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "the router sent a frame that cannot be read");
                return;
            }
        };
        if let Some(word) = frame.unknown_word()
            && !std::mem::replace(&mut self.state.lock().puzzled, true)
        {
            tracing::warn!(%word, "the router sent a word that this miner does not know; it may be newer");
        }
        match frame {
            RouterFrame::Task(task) => self.offered(task),
            RouterFrame::Ack(ack) => {
                if let Some(found) = self.assignment(ack.attempt).filter(|found| found.fence == ack.fence) {
                    found.acknowledged(ack.seq);
                    self.touch(ack.attempt);
                }
            }
            RouterFrame::Final(last) => {
                if self.remove(last.attempt, last.fence) {
                    self.counters.settled(last.result.known());
                }
            }
            RouterFrame::Cancel(cancel) => {
                if let Some(found) = self.assignment(cancel.attempt).filter(|found| found.fence == cancel.fence) {
                    found.stop();
                }
            }
            RouterFrame::Drop(drop) => self.dropped(drop.attempt, drop.fence),
            RouterFrame::Ping(ping) => {
                self.post(&Pong { t: ping.t, inflight: self.held() }.into());
            }
            RouterFrame::Drain(_) => tracing::info!("the router drains: it makes no new offers"),
            RouterFrame::Bye(bye) => tracing::info!(reason = %bye.reason, "the router goes"),
            RouterFrame::Error(error) => {
                tracing::warn!(code = %error.code, message = %error.message, "the router reports an error");
                if error.fatal {
                    self.state.lock().refusal = Some(error);
                }
            }
            RouterFrame::Pong(_) | RouterFrame::Challenge(_) | RouterFrame::Welcome(_) => {}
        }
    }

    fn poll(&self, now: Instant) -> Option<Instant> {
        let touched = std::mem::take(&mut *self.touched.lock());
        if touched.is_empty() {
            return None;
        }
        let link = self.state.lock().link.clone()?;
        let (mut frames, mut next) = (Vec::new(), None::<Instant>);
        for attempt in touched {
            let Some(assignment) = self.assignment(attempt) else { continue };
            if let Some(due) = assignment.fill(now, &mut frames) {
                next = Some(next.map_or(due, |at| at.min(due)));
                self.touched.lock().insert(attempt);
            }
        }
        self.counters.frames(frames.len());
        for frame in frames {
            link.post(frame);
        }
        next
    }

    fn ping(&self) -> String {
        MinerFrame::from(Ping { t: Timestamp::wall_clock().0, inflight: self.held() }).to_text()
    }
}

/// Makes the description of a job from an offer.
///
/// # Errors
/// The reason why `params` cannot be read as the fields of a request.
fn info_of(task: TaskFrame) -> Result<JobInfo, String> {
    // `params` has the field names of the API.
    let params: TaskRequest = match &task.params {
        Some(params) => {
            serde_json::from_str(params.get()).map_err(|e| format!("params cannot be read: {}", told(&e)))?
        }
        None => TaskRequest::default(),
    };
    let kind = match task.kind {
        Word::Known(kind) => kind,
        Word::Unknown(kind) => return Err(format!("this miner does not know tasks of the kind {kind:?}")),
    };
    let mut request = params.kind(kind).prompt_type(u8::from(task.raw_prompt)).stream(task.stream);
    (request.prompt, request.messages, request.input) = (task.prompt, task.messages, task.input);
    request.model.clone_from(&task.model);
    request.max_tokens = task.max_tokens.or(request.max_tokens);
    if let Some(seed) = task.seed
        && let Ok(value) = RawValue::from_string(seed.to_string())
    {
        request.extra.push(("seed".to_owned(), value));
    }
    let trace = task.trace.and_then(|parent| TraceContext::read(&parent, task.tracestate.as_deref()));
    Ok(JobInfo {
        gid: Gid(task.task),
        session_id: SessionId(task.session.unwrap_or(0)),
        task_id: TaskId(0),
        fence: Fence(task.fence),
        request: Arc::new(request),
        model: task.model,
        deadline: Timestamp(Timestamp::wall_clock().0.saturating_add(task.deadline_ms)),
        stream: task.stream,
        partial: task.partial.map(Arc::from),
        traceparent: trace.as_ref().map(|trace| trace.parent().clone()),
        tracestate: trace.as_ref().and_then(|trace| trace.state().cloned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_of_an_unknown_kind_is_refused_with_its_kind() {
        let offer = r#"{"type":"task","attempt":1,"fence":2,"task":3,"kind":"song","stream":true,"deadline_ms":9,"accept_ms":9}"#;
        let Ok(Some(RouterFrame::Task(task))) = RouterFrame::parse(offer) else { panic!("it is a task") };
        assert_eq!(info_of(task).unwrap_err(), r#"this miner does not know tasks of the kind "song""#);
    }
}
