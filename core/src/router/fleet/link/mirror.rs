//! A task of another router as this one reads it: its text comes into memory with the numbers that it has at its owner, so
//! that a client may resume it at either router. A router that takes over a task reads it out to its own readers in the
//! same way.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::frame::Frame;
use super::peer::PeerLink;
use super::recital::{Hears, Start, recite};
use crate::model::Fence;
use crate::router::live::{Live, wake};
use crate::router::shared::Shared;
use crate::router::transcript::Push;

/// The fence of a text whose attempts are another router's.
const ELSEWHERE: Fence = Fence(0);

/// Bytes after which the sender is told that they were read.
const TOLD: usize = 64 << 10;

/// Bytes that the readers here may have before them. Beyond it the sender waits for them.
const BEHIND: usize = 128 << 10;

/// The text of another router's task, as it comes.
pub(super) struct Mirror {
    live: Weak<Live>,
    part: Mutex<Part>,
    /// Cancelled when no further piece comes: the task has ended, or it cannot be read in this way.
    over: CancellationToken,
    /// Cancelled when this router has no room for the text.
    refused: CancellationToken,
}

/// A piece that has not come whole, the bytes of which the sender has not been told, and the number from which on readers
/// may begin.
#[derive(Default)]
struct Part {
    text: String,
    untold: usize,
    until: u64,
}

impl Mirror {
    fn new(live: &Arc<Live>) -> Arc<Self> {
        Arc::new(Self {
            live: Arc::downgrade(live),
            part: Mutex::default(),
            over: CancellationToken::new(),
            refused: CancellationToken::new(),
        })
    }

    /// Ends the reading: whatever is missing stands in the database.
    pub(super) fn leave(&self) {
        self.over.cancel();
    }

    /// Ends the reading: the text has come whole.
    pub(super) fn complete(&self) {
        if let Some(live) = self.live.upgrade().filter(|_| !self.over.is_cancelled()) {
            live.state.lock().text_is_whole = true;
        }
        self.leave();
    }

    /// Begins the text after that number. Readers wait until they could have the pieces up to `last`.
    pub(super) fn begin(&self, base: u64, last: u64) {
        {
            let mut part = self.part.lock();
            part.text.clear();
            part.until = last;
        }
        let Some(live) = self.live.upgrade().filter(|_| !self.over.is_cancelled()) else { return };
        let wakers = {
            let mut state = live.state.lock();
            if state.end.is_some() {
                return;
            }
            (state.rejoined, state.text_is_whole) = (false, false);
            state.text_is_due &= base < last;
            state.transcript.begin_at(ELSEWHERE, base);
            state.take_wakers()
        };
        wake(wakers);
    }

    /// Takes a piece, or a part of one. Gives the number of bytes of which the sender is to be told.
    pub(super) fn take(&self, seq: u64, text: &str, raw: Option<String>, more: bool) -> Option<usize> {
        let bytes = text.len() + raw.as_ref().map_or(0, String::len);
        let whole = {
            let mut part = self.part.lock();
            part.untold += bytes;
            if part.text.is_empty() && !more {
                None
            } else {
                part.text.push_str(text);
                (!more).then(|| std::mem::take(&mut part.text))
            }
        };
        if !more {
            self.push(seq, whole.as_deref().unwrap_or(text), raw.map(Bytes::from));
        }
        self.untold()
    }

    /// The number of bytes of which the sender is to be told now. The sender waits while the readers here are far behind.
    fn untold(&self) -> Option<usize> {
        let mut part = self.part.lock();
        if part.untold < TOLD {
            return None;
        }
        let is_behind = self.live.upgrade().is_some_and(|live| live.state.lock().backlog() > BEHIND);
        (!is_behind).then(|| std::mem::take(&mut part.untold))
    }

    fn push(&self, seq: u64, text: &str, raw: Option<Bytes>) {
        let until = self.part.lock().until;
        let Some(live) = self.live.upgrade().filter(|_| !self.over.is_cancelled()) else { return };
        let wakers = {
            let mut state = live.state.lock();
            if state.end.is_some() {
                return;
            }
            let expected = state.transcript.last_seq() + 1;
            if seq < expected {
                return;
            }
            let Some(fence) = state.transcript.fence().filter(|_| seq == expected) else {
                drop(state);
                tracing::warn!(gid = %live.spec.gid, seq, expected, "a piece of another router's task is missing");
                return self.leave();
            };
            let pushed = state.transcript.push(fence, text, raw);
            if !matches!(pushed, Push::At(_)) || !live.grown(&mut state) {
                // Where the memory is full, the rest comes from the database.
                self.refused.cancel();
                self.leave();
            }
            state.text_is_due &= seq < until;
            state.take_wakers()
        };
        wake(wakers);
    }
}

/// A task of this router itself, read out to those of its clients that began to read it when it was another's.
impl Hears for Arc<Mirror> {
    fn text(&self, base: u64, last: u64) {
        self.begin(base, last);
    }

    async fn piece(&self, seq: u64, text: &str, raw: Option<Bytes>) {
        self.push(seq, text, raw);
    }

    fn end(&self) {
        self.complete();
    }
}

/// This router's reading of another's task. Dropping it ends the reading.
pub(in crate::router::fleet) struct Mirrored {
    mirror: Arc<Mirror>,
    /// The link and the number of the reading; `None`: this router has the task.
    over_link: Option<(Arc<PeerLink>, u64)>,
}

impl Mirrored {
    /// Asks the router with that link for the text of a task.
    fn over_link(link: &Arc<PeerLink>, live: &Arc<Live>) -> Self {
        let (mirror, reading, start) = (Mirror::new(live), link.reading_number(), start_of(live));
        link.mirrors.lock().insert(reading, mirror.clone());
        let frame = Frame::Attach { reading, gid: live.spec.gid, base: start.base, after: start.after };
        // A link that ended before has told nobody.
        if link.over.is_cancelled() || !link.post(&frame) {
            mirror.leave();
        }
        Self { mirror, over_link: Some((link.clone(), reading)) }
    }

    /// Reads a task that this router has taken over.
    fn here(shared: &Arc<Shared>, live: &Arc<Live>) -> Self {
        let (mirror, gid, start) = (Mirror::new(live), live.spec.gid, start_of(live));
        let (out, shared) = (mirror.clone(), shared.clone());
        let runtime = shared.runtime.clone();
        runtime.spawn(async move {
            let never = CancellationToken::new();
            tokio::select! {
                () = out.over.cancelled() => {}
                is_here = recite(shared, gid, start, &never, &out) => if !is_here { out.leave() },
            }
        });
        Self { mirror, over_link: None }
    }

    /// Whether no further piece comes.
    pub(in crate::router::fleet) fn is_over(&self) -> bool {
        self.mirror.over.is_cancelled()
    }

    /// Whether this router has no room for the text.
    pub(in crate::router::fleet) fn is_refused(&self) -> bool {
        self.mirror.refused.is_cancelled()
    }

    /// Waits until no further piece comes.
    pub(in crate::router::fleet) async fn over(&self) {
        self.mirror.over.cancelled().await;
    }

    /// Lets the sender go on, if it has waited for the readers here and they have caught up.
    pub(in crate::router::fleet) fn catch_up(&self) {
        if let Some((link, reading)) = &self.over_link
            && let Some(bytes) = self.mirror.untold()
        {
            link.post(&Frame::Read { reading: *reading, bytes });
        }
    }
}

/// The text that is here already.
fn start_of(live: &Live) -> Start {
    let mut state = live.state.lock();
    state.text_is_whole = false;
    let transcript = &state.transcript;
    let has_text = transcript.fence().is_some();
    Start { base: has_text.then(|| transcript.base()), after: if has_text { transcript.last_seq() } else { 0 } }
}

impl Drop for Mirrored {
    fn drop(&mut self) {
        self.mirror.leave();
        if let Some((link, reading)) = &self.over_link
            && link.mirrors.lock().remove(reading).is_some()
        {
            link.post(&Frame::Detach { reading: *reading });
        }
    }
}

impl Shared {
    /// Reads a task of the member with that epoch over its link, if there is one, or from this router's own memory.
    pub(in crate::router::fleet) fn mirror(self: &Arc<Self>, owner: u64, live: &Arc<Live>) -> Option<Mirrored> {
        let (is_own, drains) = self.membership.as_ref().map_or((false, false), |known| {
            let seen = known.seen.lock();
            let drains = |member: &crate::store::Member| member.state == crate::store::MemberState::Draining;
            (seen.epochs.contains(&owner), seen.members.iter().any(|member| member.epoch == owner && drains(member)))
        });
        if is_own {
            return Some(Mirrored::here(self, live));
        }
        if drains {
            // It would give up the reader soon, with the task.
            return None;
        }
        Some(Mirrored::over_link(&self.link_to(owner)?, live))
    }
}
