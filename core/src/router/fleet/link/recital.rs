//! The text of a task of this router, read out to somebody who keeps a copy of it with the same numbers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::model::Gid;
use crate::router::live::Live;
use crate::router::shared::{Router, Shared};
use crate::router::stream::StreamEvent;

/// The part of the text that the listener has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    /// The number before the first piece; `None`: it has none.
    pub(super) base: Option<u64>,
    /// The number of the last piece that it has.
    pub(super) after: u64,
}

/// Somebody who hears the text.
pub(super) trait Hears {
    /// The text begins, or begins again, after that number; the pieces up to `last` follow at once.
    fn text(&self, base: u64, last: u64);
    /// A piece of it.
    async fn piece(&self, seq: u64, text: &str, raw: Option<Bytes>);
    /// The task has ended well, its text has come whole, and its end is in the store.
    fn end(&self);
}

/// Lets a task go on if the connection broke over which it was read. Whoever read it comes back, or reads its row.
struct Kept<'a> {
    live: &'a Live,
    broken: &'a CancellationToken,
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        if self.broken.is_cancelled() {
            self.live.detached.store(true, Ordering::Release);
        }
    }
}

/// Reads the text out to its end. `broken`: the connection to the listener is gone. `false`: this router does not have the
/// task, or not its whole text.
pub(super) async fn recite(
    shared: Arc<Shared>,
    gid: Gid,
    start: Start,
    broken: &CancellationToken,
    out: &impl Hears,
) -> bool {
    let live = shared.core.lock().live.get(&gid).cloned();
    let Some(live) = live.filter(|live| !live.spec.shadow && !live.state.lock().followed) else { return false };
    let Ok(submission) = (Router { shared }).attach_live(live.clone()).await else { return false };
    let _kept = Kept { live: &live, broken };
    let (begins, last, has_lost) = {
        let state = live.state.lock();
        (state.transcript.base(), state.transcript.last_seq(), state.transcript.has_lost())
    };
    let goes_on = start.base == Some(begins) && (begins..=last).contains(&start.after);
    if !goes_on && has_lost {
        return false;
    }
    let from = if goes_on { start.after } else { begins };
    if !goes_on {
        out.text(begins, last);
    }
    let mut stream = submission.mirrored_after(from);
    let mut next = from + 1;
    while let Some(events) = stream.next_batch().await {
        for event in events {
            match event {
                StreamEvent::Token { seq, text, raw } => {
                    if seq != next {
                        out.text(seq - 1, seq - 1);
                    }
                    next = seq + 1;
                    out.piece(seq, &text, raw).await;
                }
                StreamEvent::Restart { seq } => {
                    out.text(seq, seq);
                    next = seq + 1;
                }
                StreamEvent::End(Ok(_)) => {
                    out.end();
                    return true;
                }
                // The task has failed, or goes on at another router: its row tells.
                StreamEvent::End(Err(_)) => return false,
            }
        }
    }
    true
}
