//! One link: the connection to another router, and the texts that are read over it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::CancellationToken;

use super::frame::{Frame, Pulse};
use super::identity::Hash;
use super::mirror::Mirror;
use super::partner::{HOST, OWNER, Partner};
use super::reading::Reading;
use super::recital::Start;
use super::roster::Told;
use crate::Config;
use crate::config::FleetConfig;
use crate::miner::Transport;
use crate::miner::link::{self, End, Link, Peer, Timing};
use crate::router::shared::Shared;

/// The time between two pulses.
const PULSE: Duration = Duration::from_secs(1);

/// The least bound of a frame. Pieces are sent in parts, so that no frame is nearly as large but the offer of a large task.
const FRAME: usize = 8 << 20;

/// The greatest size of a frame: that of the largest offer, in which JSON may double a request, or [`FRAME`].
pub(super) fn frame_limit(config: &Config) -> usize {
    FRAME.max(2 * config.limits.max_request_bytes as usize + (64 << 10))
}

/// The greatest size of a piece of an answer in one frame. JSON writes a control character as six bytes.
pub(super) fn piece_limit(config: &Config) -> usize {
    frame_limit(config).min(config.miners.max_frame_bytes as usize) / 8
}

/// The connection to another router.
pub(in crate::router) struct PeerLink {
    /// The certificate of the other router.
    pub(super) certificate: Hash,
    /// Whether this router dialled.
    pub(super) dialled: bool,
    pub(super) link: Link,
    pub(super) shared: Weak<Shared>,
    pub(super) me: Weak<Self>,
    from: Instant,
    /// Whether the other router has to be told that something has changed.
    news: AtomicBool,
    /// Whether the miners of this router have changed.
    pub(super) roster_due: AtomicBool,
    pub(super) told: Mutex<Told>,
    partner: OnceLock<Arc<Partner>>,
    max_bytes: usize,
    /// Cancelled at the end of the connection.
    pub(super) over: CancellationToken,
    next_reading: AtomicU64,
    signs: Mutex<Signs>,
    /// The tasks of the other router that this one reads.
    pub(super) mirrors: Mutex<HashMap<u64, Arc<Mirror>>>,
    /// The tasks of this router that the other one reads.
    pub(super) readings: Mutex<HashMap<u64, Arc<Reading>>>,
    max_readings: usize,
}

/// The signs of life of both sides.
struct Signs {
    next: Instant,
    heard: Option<(Pulse, Instant)>,
    round_trip: Option<Duration>,
}

/// The state of a link, as it is shown.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::router) struct Seen {
    pub(in crate::router) pulse: Pulse,
    pub(in crate::router) round_trip: Option<Duration>,
    pub(in crate::router) up_for: Duration,
    /// Texts that are read over it, in both directions.
    pub(in crate::router) readings: u64,
}

impl PeerLink {
    pub(super) fn new(certificate: Hash, dialled: bool, config: &FleetConfig, shared: &Arc<Shared>) -> Arc<Self> {
        let now = Instant::now();
        Arc::new_cyclic(|me| Self {
            certificate,
            dialled,
            link: Link::new(config.max_link_bytes),
            shared: Arc::downgrade(shared),
            me: me.clone(),
            from: now,
            news: AtomicBool::new(false),
            roster_due: AtomicBool::new(false),
            told: Mutex::default(),
            partner: OnceLock::new(),
            max_bytes: config.max_link_bytes,
            over: CancellationToken::new(),
            next_reading: AtomicU64::new(1),
            signs: Mutex::new(Signs { next: now, heard: None, round_trip: None }),
            mirrors: Mutex::default(),
            readings: Mutex::default(),
            max_readings: config.max_link_readers,
        })
    }

    /// Carries frames in both directions until the connection ends.
    pub(super) async fn run(&self, socket: Box<dyn Transport>, dead: Duration) -> End {
        let role = if self.dialled { Role::Client } else { Role::Server };
        let limit = self.shared.upgrade().map_or(FRAME, |shared| frame_limit(&shared.settings.now()));
        let config = link::websocket_config(limit, limit);
        let socket = WebSocketStream::from_raw_socket(socket, role, Some(config)).await;
        let end = link::run(socket, &self.link, self, Timing { ping: dead / 3, dead }).await;
        self.over.cancel();
        let mirrors = std::mem::take(&mut *self.mirrors.lock());
        for mirror in mirrors.values() {
            mirror.leave();
        }
        self.readings.lock().clear();
        end
    }

    /// Tells the other router that something has changed in the database.
    pub(super) fn tell_news(&self) {
        if !self.news.swap(true, Ordering::AcqRel) {
            self.link.wake();
        }
    }

    /// Tells the other router which miners this one has.
    pub(super) fn tell_roster(&self) {
        if !self.roster_due.swap(true, Ordering::AcqRel) {
            self.link.wake();
        }
    }

    /// The other router, once the link counts.
    pub(super) fn partner(&self) -> Option<&Arc<Partner>> {
        self.partner.get()
    }

    /// The bound of what waits to be sent.
    pub(super) fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// The tasks that the other router's miners could begin at once, as it said last.
    pub(super) fn free(&self) -> u64 {
        self.signs.lock().heard.map_or(0, |(pulse, _)| pulse.free)
    }

    pub(super) fn post(&self, frame: &Frame) -> bool {
        self.link.post(frame.to_text())
    }

    pub(super) fn reading_number(&self) -> u64 {
        self.next_reading.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether the other router has given a sign of life.
    pub(super) fn was_heard(&self) -> bool {
        self.signs.lock().heard.is_some()
    }

    /// The state of the link.
    pub(in crate::router) fn seen(&self) -> Seen {
        let readings = (self.mirrors.lock().len() + self.readings.lock().len()) as u64;
        let signs = self.signs.lock();
        Seen {
            pulse: signs.heard.map(|(pulse, _)| pulse).unwrap_or_default(),
            round_trip: signs.round_trip,
            up_for: self.from.elapsed(),
            readings,
        }
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.from.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// A sign of life with the present figures.
    fn pulse(&self) -> String {
        let at = self.micros();
        let mut pulse = Pulse { at, ..Pulse::default() };
        pulse.echo = self
            .signs
            .lock()
            .heard
            .map(|(heard, when)| (heard.at, u64::try_from(when.elapsed().as_micros()).unwrap_or(u64::MAX)));
        pulse.round_trip = self.signs.lock().round_trip.and_then(|time| u64::try_from(time.as_micros()).ok());
        if let Some(shared) = self.shared.upgrade() {
            let Pulse { miners, queued, running, free, epoch, .. } = shared.pulse();
            pulse = Pulse { miners, queued, running, free, epoch, ..pulse };
        }
        Frame::Pulse(pulse).to_text()
    }

    fn hear(&self, pulse: Pulse) {
        let now = self.micros();
        if !self.was_heard()
            && let (Some(me), Some(shared)) = (self.me.upgrade(), self.shared.upgrade())
            && let Some(links) = shared.links()
        {
            if links.admit(&me) {
                let partner = self.partner.get_or_init(|| links.partner(self.certificate, &shared));
                // The other router takes no other frame before this one.
                self.link.post(self.pulse());
                self.post(&Frame::Begin { held: partner.held(), max_frame: frame_limit(&shared.settings.now()) });
                self.tell_roster();
            } else {
                self.link.close(1000, "there is another connection");
            }
        }
        if pulse.epoch > 0
            && let Some(shared) = self.shared.upgrade()
            && let Some((fleet, _)) = shared.fleet()
        {
            fleet.heard(pulse.epoch);
        }
        let mut signs = self.signs.lock();
        if let Some((sent, held)) = pulse.echo {
            let micros = now.saturating_sub(sent).saturating_sub(held);
            let round_trip = Duration::from_micros(micros);
            signs.round_trip = Some(round_trip);
            if let Some(shared) = self.shared.upgrade()
                && let Some(membership) = &shared.membership
            {
                membership.figures.round_trip.observe(round_trip.as_secs_f64());
            }
        }
        signs.heard = Some((pulse, Instant::now()));
    }

    /// Lets the other router read a task of this one.
    fn attach(&self, reading: u64, gid: crate::model::Gid, start: Start) {
        let (Some(me), Some(shared)) = (self.me.upgrade(), self.shared.upgrade()) else { return };
        let wish = Arc::new(Reading::default());
        {
            let mut readings = self.readings.lock();
            if readings.len() >= self.max_readings || readings.contains_key(&reading) {
                drop(readings);
                self.post(&Frame::Absent { reading });
                return;
            }
            readings.insert(reading, wish.clone());
        }
        let runtime = shared.runtime.clone();
        let work = async move {
            let over = me.over.clone();
            tokio::select! {
                () = over.cancelled() => {}
                () = wish.serve(&me, shared, reading, gid, start) => {}
            }
            me.readings.lock().remove(&reading);
        };
        runtime.spawn(work);
    }
}

impl Peer for PeerLink {
    fn frame(&self, text: &str) {
        if let Some(text) = text.strip_prefix(HOST) {
            if let Some(partner) = self.partner() {
                partner.hear_host(self, text);
            }
            return;
        }
        if let Some(text) = text.strip_prefix(OWNER) {
            if let (Some(partner), Some(me)) = (self.partner(), self.me.upgrade()) {
                partner.hear_owner(&me, text);
            }
            return;
        }
        let frame = match serde_json::from_str(text) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::warn!(%error, "a router sent a frame that cannot be read: the link is cut");
                return self.link.close(1002, "a frame cannot be read");
            }
        };
        let mirror = |reading: u64| self.mirrors.lock().get(&reading).cloned();
        match frame {
            Frame::Pulse(pulse) => self.hear(pulse),
            Frame::Changed => {
                if let Some(shared) = self.shared.upgrade()
                    && let Some(membership) = &shared.membership
                {
                    membership.hurry();
                }
            }
            Frame::Attach { reading, gid, base, after } => self.attach(reading, gid, Start { base, after }),
            Frame::Detach { reading } => {
                if let Some(reading) = self.readings.lock().remove(&reading) {
                    reading.leave();
                }
            }
            Frame::Read { reading, bytes } => {
                if let Some(reading) = self.readings.lock().get(&reading) {
                    reading.has_read(bytes);
                }
            }
            Frame::Text { reading, base, last } => {
                if let Some(mirror) = mirror(reading) {
                    mirror.begin(base, last);
                }
            }
            Frame::Piece { reading, seq, text, raw, more } => {
                if let Some(bytes) = mirror(reading).and_then(|mirror| mirror.take(seq, &text, raw, more)) {
                    self.post(&Frame::Read { reading, bytes });
                }
            }
            Frame::End { reading } => {
                if let Some(mirror) = self.mirrors.lock().remove(&reading) {
                    mirror.complete();
                }
            }
            Frame::Absent { reading } => {
                if let Some(mirror) = self.mirrors.lock().remove(&reading) {
                    mirror.leave();
                }
            }
            Frame::Unknown => {}
            frame => self.lend_and_borrow(frame),
        }
    }

    fn poll(&self, now: Instant) -> Option<Instant> {
        if self.news.swap(false, Ordering::AcqRel) {
            self.post(&Frame::Changed);
        }
        let due = {
            let mut signs = self.signs.lock();
            let due = now >= signs.next;
            if due {
                signs.next = now + PULSE;
            }
            due
        };
        if due {
            self.link.post(self.pulse());
        }
        self.tell_loans(due);
        let next = self.signs.lock().next;
        let (partner, shared) = (self.partner(), self.shared.upgrade());
        let expires = partner.zip(shared).and_then(|(partner, shared)| shared.expire(partner, now));
        Some(expires.map_or(next, |at| at.min(next)))
    }

    fn ping(&self) -> String {
        self.pulse()
    }
}
