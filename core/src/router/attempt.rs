//! One attempt of a task at one miner: receives the miner's tokens and its answer.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::claim::Seen;
use super::live::{AHEAD, Given, Live, wake};
use super::memory::{Held, Memory};
use super::shared::Shared;
use super::slot::{MinerSlot, takes_every_offer};
use super::transcript::Push;
use super::underway::Underway;
use super::unwritten::Unwritten;
use super::wait::Waiter;
use crate::config::Config;
use crate::engine::{Blame, Event, MinerKey, Role};
use crate::miner::{Chunk, Emit, FailClass, Failure, JobInfo, JobSink, MinerEvent, Settled};
use crate::model::{
    Answer, Delta, Fence, FinishReason, MinerKind, Outcome, PartsSoFar, RequestKind, SharedText, Timestamp, Usage,
    clean_piece, estimate_bytes, estimate_tokens, vectors_for,
};
use crate::task::hash_of;

/// The minimum time between two reports of progress to the engine, in milliseconds. A short
/// `dispatch.progress_timeout_ms` shortens it to a quarter of that.
const REPORT_MS: u64 = 1_000;

/// The maximum bytes of the message of a failure, for every kind of miner. It is no setting, because people read the
/// message: it goes to callers, to the store and to the log.
const MAX_WORDS: usize = 16 << 10;

/// The settings that every piece of an attempt asks for, as they were when it began.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// The most bytes of the answer.
    output: usize,
    /// The bytes that wait for a slow reader before the miner is told to wait, too.
    window: usize,
    /// The time between two reports of progress to the engine, in milliseconds.
    report_ms: u64,
}

impl Bounds {
    fn of(config: &Config) -> Self {
        Self {
            output: config.limits.max_output_bytes as usize,
            window: config.limits.stream_window_bytes as usize,
            report_ms: REPORT_MS.min(config.dispatch.progress_timeout_ms / 4),
        }
    }
}

/// The size of the partial text that an attempt continues.
#[derive(Debug, Clone, Copy)]
struct Inherited {
    tokens: u64,
    bytes: u64,
}

/// A text that is not streamed, and its share of the router's memory.
struct Aside {
    text: String,
    held: Held,
}

impl Aside {
    /// Adds a piece. `false`: the router holds more than it may.
    fn push(&mut self, piece: &str) -> bool {
        self.text.push_str(piece);
        let bytes = self.text.len() as u64;
        bytes <= self.held.bytes() || self.held.set(bytes + AHEAD)
    }

    /// Takes the text, which counts elsewhere from now on.
    fn take(&mut self) -> String {
        self.held.set(0);
        std::mem::take(&mut self.text)
    }
}

/// Parts of an answer other than text, and their share of the router's memory.
struct Gathered {
    parts: PartsSoFar,
    held: Held,
}

pub(super) struct Attempt {
    underway: Arc<Underway>,
    fence: Fence,
    address: SharedText,
    /// The miner's name.
    name: Arc<str>,
    shared: Weak<Shared>,
    bounds: Bounds,
    miner: MinerKey,
    /// The description of the job until the miner is offered it.
    info: Mutex<Option<JobInfo>>,
    live: Arc<Live>,
    /// The text of an answer that is not streamed because several miners answer; `None`: the transcript takes the
    /// text.
    aside: Option<Mutex<Aside>>,
    /// The parts of the answer other than text, such as tool calls.
    parts: Mutex<Option<Box<Gathered>>>,
    /// The partial text that this attempt continues.
    inherited: Option<Inherited>,
    /// Whether the miner's token counts are trusted: those of upstreams are.
    counts_well: bool,
    /// The number of raw pieces without text, and their bytes. The router does not read those pieces.
    unread: (AtomicU64, AtomicU64),
    answered: AtomicBool,
    /// The time at which the engine heard of a sign of life last. An offer to a miner that takes every offer is one.
    reported_at: AtomicU64,
    begun: Timestamp,
}

impl Attempt {
    pub(super) fn new(
        shared: &Arc<Shared>,
        live: Arc<Live>,
        (fence, role): (Fence, Role),
        slot: &MinerSlot,
        asked: Option<&str>,
        partial: Option<&str>,
        begun: Timestamp,
    ) -> Arc<Self> {
        let underway = Arc::new(Underway::new(fence, slot.answers_as(asked)));
        Arc::new(Self {
            underway,
            fence,
            address: slot.address.clone(),
            name: slot.name.clone(),
            counts_well: slot.spec.kind == MinerKind::Upstream,
            unread: <(AtomicU64, AtomicU64)>::default(),
            shared: Arc::downgrade(shared),
            bounds: Bounds::of(&shared.settings.now()),
            miner: slot.key,
            info: Mutex::default(),
            live,
            aside: (role == Role::Aside)
                .then(|| Mutex::new(Aside { text: String::new(), held: shared.memory.hold(0) })),
            parts: Mutex::default(),
            inherited: partial.map(|text| Inherited { tokens: estimate_tokens(text), bytes: text.len() as u64 }),
            answered: AtomicBool::new(false),
            reported_at: AtomicU64::new(if takes_every_offer(slot.spec.kind) { begun.0 } else { 0 }),
            begun,
        })
    }

    /// The attempt as its task sees it.
    pub(super) fn underway(&self) -> &Arc<Underway> {
        &self.underway
    }

    pub(super) fn set_info(&self, info: JobInfo) {
        *self.info.lock() = Some(info);
    }

    pub(super) fn take_info(&self) -> Option<JobInfo> {
        self.info.lock().take()
    }

    /// The text of the whole answer, and whether it was cut off. If the miner emitted no pieces, the text of `answer`
    /// is added to the transcript as one piece. `None`: the attempt does not count any more.
    fn whole_text(&self, answer: &Answer) -> Option<(SharedText, bool)> {
        let raw = self.live.spec.request.raw;
        if let Some(aside) = &self.aside {
            let emitted = aside.lock().take();
            if !emitted.is_empty() {
                return Some((emitted.into(), false));
            }
            let text = clean_piece(&answer.text, true, raw);
            let end = text.floor_char_boundary(self.bounds.output);
            return Some((text[..end].into(), end < text.len()));
        }
        let shared_text = |text: &str| if answer.text == *text { answer.text.clone() } else { text.into() };
        let mut state = self.live.state.lock();
        if !state.transcript.takes(self.fence) {
            return None;
        }
        if !state.transcript.begun() && !answer.text.is_empty() {
            let piece = clean_piece(&answer.text, state.transcript.text().is_empty(), raw);
            let end = piece.floor_char_boundary(state.transcript.room());
            // Most answers in one piece are taken as they are.
            let is_whole = matches!(&piece, Cow::Borrowed(piece) if piece.len() == answer.text.len());
            let pushed = if is_whole && end == piece.len() {
                state.transcript.push_whole(self.fence, &answer.text)
            } else {
                state.transcript.push(self.fence, &piece[..end], None)
            };
            if matches!(pushed, Push::Stale) {
                return None;
            }
            if !state.readers.is_empty() {
                state.transcript.show();
            }
            return Some((shared_text(state.transcript.text()), end < piece.len()));
        }
        Some((shared_text(state.transcript.text()), false))
    }

    /// Adds the parts of an answer other than text; `false`: they have more than `most` bytes.
    fn gather(&self, shared: &Shared, delta: &Delta, most: usize) -> bool {
        let mut place = self.parts.lock();
        let so_far = place
            .get_or_insert_with(|| Box::new(Gathered { parts: PartsSoFar::default(), held: shared.memory.hold(0) }));
        so_far.parts.take(delta);
        let bytes = so_far.parts.bytes();
        if bytes as u64 > so_far.held.bytes() {
            // The answer fails with its next piece of text if the router holds too much.
            let _ = so_far.held.set(bytes as u64 + AHEAD);
        }
        bytes <= most
    }

    /// The size of this attempt's own output, given the bytes of the whole text and of the other parts.
    fn seen(&self, text: usize, parts: usize, raw: Option<&Bytes>) -> Seen {
        let (pieces, bytes) = (self.unread.0.load(Ordering::Relaxed), self.unread.1.load(Ordering::Relaxed));
        Seen {
            text: (text as u64).saturating_sub(self.inherited.map_or(0, |inherited| inherited.bytes)),
            parts: parts as u64,
            pieces,
            raw: bytes + raw.map_or(0, |raw| raw.len() as u64),
        }
    }

    /// Counts a raw piece if it has no text, and bounds the token counts in it if they are not trusted.
    fn unread(&self, raw: Bytes, text: usize) -> Bytes {
        if text == 0 {
            self.unread.0.fetch_add(1, Ordering::Relaxed);
            self.unread.1.fetch_add(raw.len() as u64, Ordering::Relaxed);
        }
        if self.counts_well {
            return raw;
        }
        let so_far = self.live.state.lock().transcript.text().len() + text;
        self.seen(so_far, 0, None).bound_in(&self.live.spec.request, raw)
    }

    fn done(&self, shared: &Arc<Shared>, mut answer: Answer) {
        if let Some(raw) = answer.raw.as_deref().filter(|_| !self.counts_well) {
            match check_raw(self.live.spec.request.kind, raw) {
                // The text may be in the raw answer alone; every interface must show it.
                Ok(Some(text)) if answer.text.is_empty() => answer.text = text.into(),
                Ok(_) => {}
                Err(fault) => return self.failed(shared, Failure::new(FailClass::Internal, fault)),
            }
        }
        let Some((text, cut)) = self.whole_text(&answer) else { return };
        answer.text = text;
        if cut {
            if self.live.spec.request.kind == RequestKind::Embedding {
                return self.failed(shared, too_long());
            }
            // The miner's own JSON still holds the part that was cut off.
            (answer.finish_reason, answer.raw) = (FinishReason::Length, None);
        }
        let parts = self.parts.lock().take().map(|gathered| gathered.parts);
        let parts_bytes = parts.as_ref().map_or(0, PartsSoFar::bytes);
        let parts = parts.map(PartsSoFar::into_parts).unwrap_or_default();
        let seen = self.seen(answer.text.len(), parts_bytes, answer.raw.as_ref());
        let request = &self.live.spec.request;
        if answer.usage == Usage::default() {
            let bytes = answer.text.len() + parts_bytes;
            answer.usage = Usage::new(estimate_tokens(&request.prompt_text()), estimate_bytes(bytes));
        } else {
            if !self.counts_well {
                answer.usage = seen.bound(request, answer.usage);
            }
            if let Some(inherited) = self.inherited {
                let own = answer.usage;
                let whole = inherited.tokens.saturating_add(own.completion_tokens);
                answer.usage = Usage::new(own.prompt_tokens, whole)
                    .cached_tokens(own.cached_tokens)
                    .reasoning_tokens(own.reasoning_tokens);
            }
        }
        answer.usage = answer.usage.in_json();
        if !self.counts_well {
            answer.raw = answer.raw.map(|raw| seen.bound_in(request, raw));
        }
        answer.model = answer
            .model
            .filter(|model| !model.is_empty())
            .or_else(|| self.underway.model.as_deref().map(str::to_owned));
        if self.inherited.is_some() {
            // The raw answer lacks the text of the earlier attempt.
            answer.raw = None;
        }
        if answer.raw.is_none() && !parts.is_empty() {
            answer.raw = parts.completion(&answer.text, &answer.finish_reason);
        }
        if self.live.spec.request.kind == RequestKind::Embedding
            && answer.raw.is_none()
            && let Err(fault) = vectors_for(self.live.spec.request.input.as_deref(), &answer.text)
        {
            return self.failed(shared, Failure::new(FailClass::Internal, fault));
        }
        let tokens = seen.tokens(request).saturating_add(self.inherited.map_or(0, |inherited| inherited.tokens));
        // The precommit: the hash is fixed before another miner's answer is looked at.
        let hash = if self.live.spec.judged.is_some() { hash_of(&answer.text) } else { String::new() };
        let now = shared.clock.now();
        {
            let mut state = self.live.state.lock();
            if self.is_cancelled() || state.end.is_some() {
                return;
            }
            state.first_token_at.get_or_insert(now);
            state.tried(self.fence, now, None);
            if self.live.spec.judged.is_some() {
                state.precommitted_at = Some(now);
            }
            state.answers.retain(|given| given.fence != self.fence);
            let (miner, name) = (self.address.clone(), self.name.clone());
            let took_ms = now.since(self.begun);
            state.answers.push(Given { fence: self.fence, miner, name, answer, hash, took_ms });
            // The answer is in memory already, so it is kept even if it exceeds the bound.
            let _ = self.live.grown(&mut state);
        }
        shared.step_at(Event::Done { fence: self.fence, tokens }, now);
    }

    /// Ends an answer that has reached `limits.max_output_bytes`. The task succeeds, and the miner is not blamed.
    fn cut(&self, shared: &Arc<Shared>) -> Emit {
        if !self.answered.swap(true, Ordering::AcqRel) {
            self.done(shared, Answer::default().finish_reason(FinishReason::Length));
        }
        Emit::Cancelled
    }

    /// Fails an answer for which the router has no memory.
    fn outgrown(&self, shared: &Arc<Shared>) -> Emit {
        self.answered.store(true, Ordering::Release);
        self.failed(shared, no_memory());
        Emit::Cancelled
    }

    fn failed(&self, shared: &Arc<Shared>, mut failure: Failure) {
        failure.message.truncate(failure.message.floor_char_boundary(MAX_WORDS));
        let blame = blame_of(failure.class);
        let words = failure.message.clone();
        // The words may quote the request, so only `log.prompts` shows them.
        let settings = shared.settings.now();
        let log = &settings.log;
        let said = log.prompts.then(|| &words[..words.floor_char_boundary(log.prompt_bytes)]);
        shared.metrics.miner(&self.name).failures.inc();
        tracing::debug!(
            gid = %self.live.spec.gid, fence = %self.fence, miner = &*self.name, class = failure.class.as_str(), words = said,
            "an attempt failed"
        );
        {
            let mut state = self.live.state.lock();
            state.tried(self.fence, shared.clock.now(), Some(failure.class.as_str()));
            // A failure after the end, or of a cancelled attempt, does not explain the task's outcome.
            if state.outcome.is_none() && !self.is_cancelled() {
                state.failure = Some(failure);
            }
        }
        if matches!(blame, Blame::Miner | Blame::Barred) && !self.is_cancelled() {
            shared.blamed(self.miner, &words);
        }
        shared.step(Event::Fail { fence: self.fence, blame });
    }
}

/// The party that is to blame for a failure of that class.
pub fn blame_of(class: FailClass) -> Blame {
    match class {
        FailClass::Overloaded => Blame::Overload,
        FailClass::Context => Blame::Context,
        FailClass::Invalid => Blame::Request,
        FailClass::Model | FailClass::Refused => Blame::Unfit,
        FailClass::Credentials => Blame::Barred,
        FailClass::Unreadable | FailClass::Cancelled => Blame::Nobody,
        FailClass::Internal | FailClass::Unreachable => Blame::Miner,
    }
}

/// Checks that a raw answer is a JSON object of the form that its kind of request asks for. Returns the text in it.
/// The check comes before the answer counts, so that the router never confirms an answer that clients cannot read.
fn check_raw(kind: RequestKind, raw: &[u8]) -> Result<Option<String>, String> {
    #[derive(serde::Deserialize)]
    struct Body<'a> {
        #[serde(borrow, default)]
        choices: Option<Vec<&'a RawValue>>,
        #[serde(default)]
        data: Option<Vec<IgnoredAny>>,
    }
    let unreadable =
        |why: &dyn std::fmt::Display| format!("the miner's answer is not what OpenAI's clients read: {why}");
    let text = std::str::from_utf8(raw).map_err(|e| unreadable(&e))?;
    let body: Body<'_> = serde_json::from_str(text).map_err(|e| unreadable(&e))?;
    if kind == RequestKind::Embedding {
        return if body.data.is_some_and(|data| !data.is_empty()) { Ok(None) } else { Err(unreadable(&"no data")) };
    }
    let Some(first) = body.choices.as_ref().and_then(|choices| choices.first()) else {
        return Err(unreadable(&"no choices"));
    };
    let first: serde_json::Value = serde_json::from_str(first.get()).map_err(|e| unreadable(&e))?;
    let text = first.pointer("/message/content").or_else(|| first.get("text")).and_then(serde_json::Value::as_str);
    if first.is_object() { Ok(text.map(str::to_owned)) } else { Err(unreadable(&"a choice is no object")) }
}

/// The failure of an embedding that exceeds the limit: vectors that are cut off are useless.
fn too_long() -> Failure {
    Failure::new(FailClass::Unreadable, "the vectors are longer than limits.max_output_bytes")
}

/// The failure of an answer for which the router has no memory. The miner is not to blame.
fn no_memory() -> Failure {
    Failure::new(FailClass::Overloaded, Memory::full().message().to_owned())
}

impl JobSink for Attempt {
    fn emit(&self, chunk: Chunk) -> Emit {
        let Some(shared) = self.shared.upgrade() else { return Emit::Cancelled };
        if self.is_cancelled() || self.answered.load(Ordering::Acquire) {
            return Emit::Cancelled;
        }
        let raw_text = self.live.spec.request.raw;
        let Bounds { output: most, window, report_ms } = self.bounds;
        let delta = chunk.delta.filter(|delta| !delta.is_empty());
        if let Some(delta) = &delta
            && !self.gather(&shared, delta, most)
        {
            return self.cut(&shared);
        }
        let raw = match chunk.raw {
            Some(raw) => Some(self.unread(raw, chunk.text.len())),
            None => delta.map(|delta| delta.chunk()),
        };
        if let Some(aside) = &self.aside {
            let (whole, fits) = {
                let mut aside = aside.lock();
                let piece = clean_piece(&chunk.text, aside.text.is_empty(), raw_text);
                let end = piece.floor_char_boundary(most.saturating_sub(aside.text.len()));
                (end == piece.len(), aside.push(&piece[..end]))
            };
            if !fits {
                return self.outgrown(&shared);
            }
            self.alive();
            return if whole { Emit::Ok } else { self.cut(&shared) };
        }
        let now = shared.clock.now();
        let (pushed, cut, first, shown, newly_shown, full, fits, wakers) = {
            let mut state = self.live.state.lock();
            let piece = clean_piece(&chunk.text, state.transcript.text().is_empty(), raw_text);
            if piece.is_empty() && raw.is_none() {
                drop(state);
                self.alive();
                return Emit::Ok;
            }
            let was = state.transcript.begun();
            let end = piece.floor_char_boundary(state.transcript.room());
            // The piece's raw JSON still holds the part that is cut off.
            let (cut, raw) = if end < piece.len() { (true, None) } else { (false, raw) };
            let pushed = state.transcript.push(self.fence, &piece[..end], raw);
            let first = !was && matches!(pushed, Push::At(_));
            if first && self.inherited.is_none() {
                state.first_token_at = Some(now);
            }
            let shown = !state.readers.is_empty();
            let newly_shown = shown && state.transcript.show();
            let full = state.transcript.exceeds(window) && state.backlog() > window;
            let fits = self.live.grown(&mut state);
            (pushed, cut, first, shown, newly_shown, full, fits, state.take_wakers())
        };
        match pushed {
            Push::At(_) => wake(wakers),
            Push::Stale | Push::TooLong => return Emit::Cancelled,
        }
        if !fits {
            return self.outgrown(&shared);
        }
        if first || newly_shown || now.0.saturating_sub(self.reported_at.load(Ordering::Relaxed)) >= report_ms {
            self.reported_at.store(now.0, Ordering::Relaxed);
            shared.step_at(Event::Progress { fence: self.fence, first, shown }, now);
        }
        match () {
            () if cut => self.cut(&shared),
            () if full => Emit::Full,
            () => Emit::Ok,
        }
    }

    fn event(&self, event: MinerEvent) {
        let Some(shared) = self.shared.upgrade() else { return };
        if !matches!(event, MinerEvent::Accept) && self.answered.swap(true, Ordering::AcqRel) {
            return;
        }
        let is_told = match &event {
            MinerEvent::Reject { .. } => true,
            MinerEvent::Fail(failure) => failure.class != FailClass::Unreachable,
            _ => false,
        };
        if is_told {
            // The miner's router has given the attempt up itself.
            self.live.state.lock().is_bequeathed = false;
        }
        match event {
            MinerEvent::Accept => shared.step(Event::Accept(self.fence)),
            MinerEvent::Reject { .. } => {
                tracing::debug!(gid = %self.live.spec.gid, fence = %self.fence, miner = &*self.name, "a miner refused a task");
                self.live.state.lock().tried(self.fence, shared.clock.now(), Some("rejected"));
                shared.step(Event::Reject(self.fence));
            }
            MinerEvent::Done(answer) => self.done(&shared, answer),
            MinerEvent::Fail(failure) => self.failed(&shared, failure),
        }
    }

    fn alive(&self) {
        let Some(shared) = self.shared.upgrade() else { return };
        let now = shared.clock.now();
        if now.0.saturating_sub(self.reported_at.load(Ordering::Relaxed)) >= self.bounds.report_ms {
            self.reported_at.store(now.0, Ordering::Relaxed);
            shared.step_at(Event::Progress { fence: self.fence, first: false, shown: false }, now);
        }
    }

    fn may_try_again(&self) -> bool {
        let Some(shared) = self.shared.upgrade() else { return false };
        let now = shared.clock.now();
        !self.is_cancelled() && shared.core.lock().engine.try_again(self.fence, now)
    }

    fn is_cancelled(&self) -> bool {
        self.underway.is_cancelled()
    }

    fn poll_cancelled(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.underway.poll_stop(cx)
    }

    fn cancelled(&self) -> BoxFuture<'static, ()> {
        let this = self.underway.clone();
        Box::pin(async move { this.stop().await })
    }

    fn writable(&self) -> BoxFuture<'static, ()> {
        let (shared, live, this) = (self.shared.clone(), self.live.clone(), self.underway.clone());
        let window = self.bounds.window;
        Box::pin(async move {
            loop {
                let room = this.room();
                if this.is_stopped() || shared.strong_count() == 0 {
                    return;
                }
                {
                    let mut state = live.state.lock();
                    if state.backlog() <= window / 2 {
                        return;
                    }
                    state.is_awaited = true;
                }
                room.await;
            }
        })
    }

    fn settled(&self) -> BoxFuture<'static, Settled> {
        let (live, fence) = (self.live.clone(), self.fence);
        let given_up = self.is_cancelled();
        Box::pin(async move {
            let waiter = Waiter::new(&live);
            std::future::poll_fn(|cx| {
                waiter.poll(cx, |state| {
                    let cancelled = matches!(state.outcome, Some(Outcome::Cancelled | Outcome::Expired));
                    let counts = !given_up && state.answers.iter().any(|given| given.fence == fence);
                    match (cancelled, counts) {
                        (true, _) => Some(Settled::Cancelled),
                        (false, false) => Some(Settled::Superseded),
                        // The answer counts once the store has it. An end that is still to be written has no fate yet.
                        (false, true) if state.unwritten == Some(Unwritten::Kept) => None,
                        (false, true) => state.end.as_ref().map(|end| match end {
                            Ok(_) => Settled::Committed,
                            Err(_) => Settled::Superseded,
                        }),
                    }
                })
            })
            .await
        })
    }
}
