//! A task of another router as this one reads it over a link: its text comes into memory with the numbers that it has at
//! its owner, so that a client may resume it at either router.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::frame::Frame;
use super::peer::PeerLink;
use crate::model::Fence;
use crate::router::live::{Live, wake};
use crate::router::shared::Shared;
use crate::router::transcript::Push;

/// The fence of a text whose attempts are another router's.
const ELSEWHERE: Fence = Fence(0);

/// Bytes after which the sender is told that they were read.
const TOLD: usize = 64 << 10;

/// The text of another router's task, as it comes.
pub(super) struct Mirror {
    live: Weak<Live>,
    part: Mutex<Part>,
    /// Cancelled when no further piece comes: the task has ended, or it cannot be read over this link.
    over: CancellationToken,
}

/// A piece that has not come whole, and the bytes of which the sender has not been told.
#[derive(Default)]
struct Part {
    text: String,
    untold: usize,
}

impl Mirror {
    /// Ends the reading: whatever is missing stands in the database.
    pub(super) fn leave(&self) {
        self.over.cancel();
    }

    /// Begins the text after that number.
    pub(super) fn begin(&self, base: u64) {
        self.part.lock().text.clear();
        let Some(live) = self.live.upgrade() else { return };
        let wakers = {
            let mut state = live.state.lock();
            if state.end.is_some() {
                return;
            }
            (state.rejoined, state.text_is_due) = (false, false);
            state.transcript.begin_at(ELSEWHERE, base);
            state.take_wakers()
        };
        wake(wakers);
    }

    /// Takes a piece, or a part of one. Gives the number of bytes of which the sender is to be told.
    pub(super) fn take(&self, seq: u64, text: &str, raw: Option<String>, more: bool, bytes: usize) -> Option<usize> {
        let mut part = self.part.lock();
        part.untold += bytes;
        let told = (part.untold >= TOLD).then(|| std::mem::take(&mut part.untold));
        let whole = if part.text.is_empty() && !more {
            None
        } else {
            part.text.push_str(text);
            if more {
                return told;
            }
            Some(std::mem::take(&mut part.text))
        };
        drop(part);
        self.push(seq, whole.as_deref().unwrap_or(text), raw);
        told
    }

    fn push(&self, seq: u64, text: &str, raw: Option<String>) {
        let Some(live) = self.live.upgrade() else { return };
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
            let pushed = state.transcript.push(fence, text, raw.map(Into::into));
            // Where the memory is full, the rest comes from the database.
            if !matches!(pushed, Push::At(_)) || !live.grown(&mut state) {
                self.leave();
            }
            state.take_wakers()
        };
        wake(wakers);
    }
}

/// This router's reading of another's task. Dropping it ends the reading.
pub(in crate::router::fleet) struct Mirrored {
    link: Arc<PeerLink>,
    reading: u64,
    mirror: Arc<Mirror>,
}

impl Mirrored {
    /// Asks the router with that link for the text of a task.
    pub(super) fn of(link: &Arc<PeerLink>, live: &Arc<Live>) -> Self {
        let (base, after) = {
            let state = live.state.lock();
            let transcript = &state.transcript;
            if transcript.fence().is_some() { (Some(transcript.base()), transcript.last_seq()) } else { (None, 0) }
        };
        let mirror =
            Arc::new(Mirror { live: Arc::downgrade(live), part: Mutex::default(), over: CancellationToken::new() });
        let reading = link.reading_number();
        link.mirrors.lock().insert(reading, mirror.clone());
        // A link that ended before has told nobody.
        if link.over.is_cancelled() || !link.post(&Frame::Attach { reading, gid: live.spec.gid, base, after }) {
            mirror.leave();
        }
        Self { link: link.clone(), reading, mirror }
    }

    /// Whether no further piece comes.
    pub(in crate::router::fleet) fn is_over(&self) -> bool {
        self.mirror.over.is_cancelled()
    }

    /// Waits until no further piece comes.
    pub(in crate::router::fleet) async fn over(&self) {
        self.mirror.over.cancelled().await;
    }
}

impl Drop for Mirrored {
    fn drop(&mut self) {
        if self.link.mirrors.lock().remove(&self.reading).is_some() {
            self.link.post(&Frame::Detach { reading: self.reading });
        }
    }
}

impl Shared {
    /// Reads a task of the member with that epoch over its link, if there is one.
    pub(in crate::router::fleet) fn mirror(&self, owner: u64, live: &Arc<Live>) -> Option<Mirrored> {
        let link = self.link_to(owner)?;
        Some(Mirrored::of(&link, live))
    }
}
