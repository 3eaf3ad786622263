//! A task of this router that another one reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::frame::Frame;
use super::peer::PeerLink;
use super::recital::{Hears, Start, recite};
use crate::model::Gid;
use crate::router::shared::Shared;

/// The greatest size of a part of a piece, in bytes.
const PART: usize = 64 << 10;

/// The bytes that are sent before the reader has said that it has read any.
const WINDOW: usize = 256 << 10;

/// The room in the queue of a link that is left to frames that cannot wait.
const RESERVE: usize = 64 << 10;

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
        let less = |unread: usize| Some(unread.saturating_sub(bytes));
        let _ = self.unread.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        self.moved.notify_one();
    }

    /// Ends the reading.
    pub(super) fn leave(&self) {
        self.left.cancel();
    }

    /// Sends the text of a task to its end.
    pub(super) async fn serve(&self, link: &PeerLink, shared: Arc<Shared>, reading: u64, gid: Gid, start: Start) {
        let out = Sent { link, reading, place: self, shared: shared.clone() };
        tokio::select! {
            () = self.left.cancelled() => {}
            is_here = recite(shared, gid, start, &link.over, &out) => {
                if !is_here {
                    link.post(&Frame::Absent { reading });
                }
            }
        }
    }
}

/// The text as it is sent over a link.
struct Sent<'a> {
    link: &'a PeerLink,
    reading: u64,
    place: &'a Reading,
    shared: Arc<Shared>,
}

impl Hears for Sent<'_> {
    fn text(&self, base: u64, last: u64) {
        self.link.post(&Frame::Text { reading: self.reading, base, last });
    }

    /// Sends a piece in parts, each as soon as the reader and the link have room for it.
    async fn piece(&self, seq: u64, text: &str, raw: Option<Bytes>) {
        let mut rest = text;
        let mut raw = raw.and_then(|raw| String::from_utf8(raw.to_vec()).ok());
        loop {
            let (part, after) = rest.split_at(rest.floor_char_boundary(PART));
            rest = after;
            let more = !rest.is_empty();
            let raw = if more { None } else { raw.take() };
            let bytes = part.len() + raw.as_ref().map_or(0, String::len);
            while self.place.unread.load(Ordering::Acquire) > WINDOW {
                self.place.moved.notified().await;
            }
            let frame = Frame::Piece { reading: self.reading, seq, text: part.to_owned(), raw, more }.to_text();
            self.place.unread.fetch_add(bytes, Ordering::AcqRel);
            if !self.link.link.post_within(frame, RESERVE).await || !more {
                break;
            }
        }
        if let Some(membership) = &self.shared.membership {
            membership.figures.relayed.inc();
        }
    }

    fn end(&self) {
        self.link.post(&Frame::End { reading: self.reading });
    }
}
