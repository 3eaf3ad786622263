//! One connection of a seat: passes the miner's frames to the session.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::seat::Seat;
use crate::miner::link::{Link, Peer};
use crate::miner::protocol::frame::{ErrorFrame, MinerFrame, Ping, RouterFrame};

/// One connection of a seat.
pub(crate) struct Connection {
    pub(crate) seat: Arc<Seat>,
    pub(crate) link: Arc<Link>,
    /// Whether the log has an unknown word of this connection's miner.
    pub(crate) puzzled: AtomicBool,
}

impl Peer for Connection {
    fn frame(&self, text: &str) {
        let seat = &self.seat;
        match MinerFrame::parse(text) {
            Ok(None) => {}
            Ok(Some(frame)) => {
                if let Some(word) = frame.unknown_word()
                    && !self.puzzled.swap(true, Ordering::Relaxed)
                {
                    tracing::warn!(%word, "a miner sent a word that this router does not know; it may be newer");
                }
                let now = seat.now();
                let _order = seat.order.lock();
                let (outputs, armed) = {
                    let mut state = seat.state.lock();
                    let before = state.occupancy.session().ack_at();
                    let outputs = state.occupancy.frame(&self.link, frame, text.len() as u64, now);
                    (outputs, before.is_none() && state.occupancy.session().ack_at().is_some())
                };
                seat.perform(outputs);
                if armed {
                    self.link.wake();
                }
            }
            Err(error) => {
                self.link.refuse(&ErrorFrame::fatal("bad_frame", error.to_string()));
            }
        }
    }

    fn poll(&self, _now: Instant) -> Option<Instant> {
        let now = self.seat.now();
        let (outputs, next) = {
            let mut state = self.seat.state.lock();
            let session = state.occupancy.session_mut();
            (session.tick(now), session.next_deadline())
        };
        self.seat.perform(outputs);
        next.map(|at| self.seat.started + Duration::from_millis(at))
    }

    fn ping(&self) -> String {
        let state = self.seat.state.lock();
        RouterFrame::from(Ping { t: self.seat.now(), inflight: state.occupancy.session().inflight() }).to_text()
    }
}
