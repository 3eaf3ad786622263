//! A task of this router that another one reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::frame::Frame;
use super::peer::PeerLink;
use crate::model::Gid;
use crate::router::shared::{Router, Shared};
use crate::router::stream::StreamEvent;

/// The greatest size of a part of a piece, in bytes.
const PART: usize = 64 << 10;

/// The bytes that are sent before the reader has said that it has read any.
const WINDOW: usize = 256 << 10;

/// The other router's place in the text.
#[derive(Default)]
pub(super) struct Reading {
    /// Bytes that were sent and not read yet.
    unread: AtomicUsize,
    moved: Notify,
    left: CancellationToken,
}

impl Reading {
    /// Notes that the reader has read so many bytes more.
    pub(super) fn has_read(&self, bytes: usize) {
        let _ =
            self.unread.fetch_update(Ordering::AcqRel, Ordering::Acquire, |unread| Some(unread.saturating_sub(bytes)));
        self.moved.notify_one();
    }

    /// Ends the reading.
    pub(super) fn leave(&self) {
        self.left.cancel();
    }

    /// Sends the text to its end. The reader has a text that begins after `base` up to the piece `after`.
    pub(super) async fn serve(
        self: Arc<Self>,
        link: &PeerLink,
        shared: Arc<Shared>,
        reading: u64,
        gid: Gid,
        base: Option<u64>,
        after: u64,
    ) {
        let left = self.left.clone();
        tokio::select! {
            () = left.cancelled() => {}
            () = self.send(link, shared, reading, gid, base, after) => {}
        }
    }

    async fn send(&self, link: &PeerLink, shared: Arc<Shared>, reading: u64, gid: Gid, base: Option<u64>, after: u64) {
        let live = shared.core.lock().live.get(&gid).cloned();
        let is_here = live.as_ref().is_some_and(|live| !live.spec.shadow && !live.state.lock().followed);
        let (true, Some(live)) = (is_here, live) else {
            link.post(&Frame::Absent { reading });
            return;
        };
        let Ok(submission) = (Router { shared: shared.clone() }).attach_live(live.clone()).await else {
            link.post(&Frame::Absent { reading });
            return;
        };
        let (begins, last) = {
            let state = live.state.lock();
            (state.transcript.base(), state.transcript.last_seq())
        };
        let goes_on = base == Some(begins) && (begins..=last).contains(&after);
        let from = if goes_on { after } else { begins };
        if !goes_on {
            link.post(&Frame::Text { reading, base: begins });
        }
        let mut stream = submission.mirrored_after(from);
        let mut next = from + 1;
        while let Some(events) = stream.next_batch().await {
            for event in events {
                match event {
                    StreamEvent::Token { seq, text, raw } => {
                        if seq != next {
                            link.post(&Frame::Text { reading, base: seq - 1 });
                        }
                        next = seq + 1;
                        let raw = raw.and_then(|raw| String::from_utf8(raw.to_vec()).ok());
                        self.send_piece(link, reading, seq, &text, raw).await;
                        if let Some(membership) = &shared.membership {
                            membership.figures.relayed.inc();
                        }
                    }
                    StreamEvent::Restart { seq } => {
                        link.post(&Frame::Text { reading, base: seq });
                        next = seq + 1;
                    }
                    StreamEvent::End(_) => {
                        link.post(&Frame::End { reading });
                        return;
                    }
                }
            }
        }
    }

    /// Sends a piece in parts, each as soon as the reader and the link have room for it.
    async fn send_piece(&self, link: &PeerLink, reading: u64, seq: u64, text: &str, raw: Option<String>) {
        let mut rest = text;
        let mut raw = raw;
        loop {
            let (part, after) = rest.split_at(rest.floor_char_boundary(PART));
            rest = after;
            let more = !rest.is_empty();
            let raw = if more { None } else { raw.take() };
            let bytes = part.len() + raw.as_ref().map_or(0, String::len);
            while self.unread.load(Ordering::Acquire) > WINDOW {
                self.moved.notified().await;
            }
            let frame = Frame::Piece { reading, seq, text: part.to_owned(), raw, more }.to_text();
            link.link.room(frame.len()).await;
            self.unread.fetch_add(bytes, Ordering::AcqRel);
            link.link.post(frame);
            if !more {
                return;
            }
        }
    }
}
