//! The model network between the router and the miners that dial in: connections whose frames come late, in their order
//! or twice, and that break on either side or on both.

use cortensor_router::internals::protocol::handshake::Greeting;
use cortensor_router::internals::protocol::queue::SendQueue;

use crate::world::{Happening, World};

/// The direction of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the miner to the router.
    Up,
    /// From the router to the miner.
    Down,
}

/// One side of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Miner,
    Router,
}

impl Way {
    fn sender(self) -> Side {
        match self {
            Self::Up => Side::Miner,
            Self::Down => Side::Router,
        }
    }

    fn receiver(self) -> Side {
        match self {
            Self::Up => Side::Router,
            Self::Down => Side::Miner,
        }
    }
}

/// How a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    /// Both sides learn of it, and the frames on their way are lost.
    Reset,
    /// The miner alone learns of it. Its frames on their way stay in the router's buffers.
    MinerKnows,
    /// The router alone learns of it. The miner learns of it by the silence.
    RouterKnows,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// The time at which the newest frame arrives; none arrives before it.
    arrives: u64,
    /// The frames that a cut holds; `None`: there is no cut.
    pub(crate) held: Option<Vec<String>>,
    /// The time at which its sender sent last.
    said: u64,
    /// The time at which its receiver received last.
    heard: u64,
}

/// A connection of a miner that dials in.
pub(crate) struct Connection {
    pub(crate) process: u32,
    /// The handshake, until it is over.
    pub(crate) greeting: Option<Greeting>,
    /// The id of the miner, once it was admitted.
    pub(crate) miner: Option<String>,
    /// The code with which the router must refuse the miner; `None`: the miner has done nothing wrong.
    pub(crate) expects: Option<&'static str>,
    /// The frames of the router that wait to be sent.
    queue: SendQueue<String>,
    up: Lane,
    down: Lane,
    miner_open: bool,
    router_open: bool,
    /// Whether the frames on their way are lost.
    lost: bool,
    /// Whether the miner reads nothing.
    pub(crate) unread: bool,
    closing: bool,
    beats: bool,
}

/// The time without a frame to send after which a side sends a ping.
pub(crate) const PING_MS: u64 = 1_000;
/// The time of silence after which a side counts as dead.
pub(crate) const DEAD_MS: u64 = 3_000;
/// The bytes that may wait to be sent to a miner.
const WRITE_BUFFER: usize = 800;

impl Connection {
    pub(crate) fn new(process: u32, greeting: Greeting, now: u64) -> Self {
        let lane = || Lane { arrives: now, said: now, heard: now, held: None };
        Self {
            process,
            greeting: Some(greeting),
            miner: None,
            expects: None,
            queue: SendQueue::new(WRITE_BUFFER),
            up: lane(),
            down: lane(),
            miner_open: true,
            router_open: true,
            lost: false,
            unread: false,
            closing: false,
            beats: false,
        }
    }

    pub(crate) fn is_open(&self, side: Side) -> bool {
        match side {
            Side::Miner => self.miner_open,
            Side::Router => self.router_open,
        }
    }

    pub(crate) fn lane(&mut self, way: Way) -> &mut Lane {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }

    /// Whether an offer of that size may be sent.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.queue.has_room(bytes)
    }

    /// I9: the bytes that wait for a miner are bounded.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.queue.bytes() > WRITE_BUFFER {
            return Err(format!("I9: {} bytes wait to be sent to a miner", self.queue.bytes()));
        }
        Ok(())
    }
}

impl World {
    /// Sends a frame. It is lost if the sender's side is closed.
    pub(crate) fn send(&mut self, number: u32, way: Way, text: String) {
        let now = self.now;
        let Some(connection) = self.dial.connections.get_mut(&number) else { return };
        if !connection.is_open(way.sender()) {
            return;
        }
        match way {
            Way::Up => self.transmit(number, way, text),
            Way::Down => {
                let bytes = text.len();
                self.dial.touched.insert(number);
                connection.queue.push(text, bytes);
                if connection.unread && !connection.has_room(1) && !connection.closing {
                    // A side that does not read for so long is dead.
                    connection.closing = true;
                    self.report.unread += 1;
                    self.at(now + DEAD_MS, Happening::RouterCloses(number, true));
                }
                self.flush(number);
            }
        }
        self.arm(number);
    }

    /// Closes the router's side for this reason, after the frames that wait.
    pub(crate) fn router_closes(&mut self, number: u32, code: u16, reason: &str) {
        if let Some(connection) = self.dial.connections.get_mut(&number) {
            connection.queue.close(code, reason);
            self.flush(number);
        }
    }

    /// Passes the router's frames to the network, unless the miner does not read.
    pub(crate) fn flush(&mut self, number: u32) {
        let Some(connection) = self.dial.connections.get_mut(&number) else { return };
        if connection.unread || connection.closing {
            return;
        }
        let mut frames = Vec::new();
        let goodbye = connection.queue.take(&mut frames);
        for text in frames {
            self.transmit(number, Way::Down, text);
        }
        if goodbye.is_some() {
            if let Some(connection) = self.dial.connections.get_mut(&number) {
                connection.closing = true;
            }
            // Frames of the miner still arrive until the close is done.
            let at = self.random.range(0, 150);
            self.after(at, Happening::RouterCloses(number, false));
        }
    }

    fn transmit(&mut self, number: u32, way: Way, text: String) {
        let delay = self.random.range(0, 30);
        let twice = way == Way::Up && self.random.chance(3) && !text.contains("\"hello\"");
        let now = self.now;
        let Some(connection) = self.dial.connections.get_mut(&number) else { return };
        let lane = connection.lane(way);
        lane.said = now;
        lane.arrives = lane.arrives.max(now + delay);
        let at = lane.arrives;
        if twice {
            self.report.doubled += 1;
            self.at(at, Happening::Frame(number, way, text.clone()));
        }
        self.at(at, Happening::Frame(number, way, text));
    }

    /// Delivers a frame, or keeps it while a cut holds it.
    pub(crate) fn deliver(&mut self, number: u32, way: Way, text: &str) -> Result<(), String> {
        let now = self.now;
        let Some(connection) = self.dial.connections.get_mut(&number) else { return Ok(()) };
        if connection.lost {
            return Ok(());
        }
        if let Some(held) = &mut connection.lane(way).held {
            held.push(text.to_owned());
            return Ok(());
        }
        if !connection.is_open(way.receiver()) {
            return Ok(());
        }
        connection.lane(way).heard = now;
        match way {
            Way::Up => self.router_hears(number, text),
            Way::Down => self.miner_hears(number, text),
        }
    }

    /// Ends a cut of one direction: the frames that it held arrive at once, in their order.
    pub(crate) fn heal_way(&mut self, number: u32, way: Way) -> Result<(), String> {
        let Some(connection) = self.dial.connections.get_mut(&number) else { return Ok(()) };
        let held = connection.lane(way).held.take().unwrap_or_default();
        self.report.delayed += held.len() as u64;
        held.iter().try_for_each(|text| self.deliver(number, way, text))
    }

    /// Breaks a connection.
    pub(crate) fn break_connection(&mut self, number: u32, how: Break) -> Result<(), String> {
        let (soon, later) = (self.random.range(0, 200), self.random.range(0, 200));
        let Some(connection) = self.dial.connections.get_mut(&number) else { return Ok(()) };
        match how {
            Break::Reset => {
                connection.lost = true;
                self.after(soon, Happening::Ended(number, Side::Router));
                self.after(later, Happening::Ended(number, Side::Miner));
                Ok(())
            }
            Break::MinerKnows => {
                self.report.half_open += 1;
                connection.up.held.get_or_insert_default();
                self.arm(number);
                self.end_of_connection(number, Side::Miner)
            }
            Break::RouterKnows => {
                self.report.half_open += 1;
                self.arm(number);
                self.end_of_connection(number, Side::Router)
            }
        }
    }

    /// Lets a side learn that its connection ended.
    pub(crate) fn end_of_connection(&mut self, number: u32, side: Side) -> Result<(), String> {
        let Some(connection) = self.dial.connections.get_mut(&number) else { return Ok(()) };
        if !connection.is_open(side) {
            return Ok(());
        }
        match side {
            Side::Miner => {
                connection.miner_open = false;
                self.miner_lost(number);
                Ok(())
            }
            Side::Router => {
                connection.router_open = false;
                connection.queue.end();
                self.connection_ended(number, false)
            }
        }
    }

    /// Closes the router's side now; the miner learns of it after the frames that are on their way.
    pub(crate) fn router_closed(&mut self, number: u32, silent: bool) -> Result<(), String> {
        let Some(connection) = self.dial.connections.get_mut(&number) else { return Ok(()) };
        if !connection.router_open {
            return Ok(());
        }
        connection.router_open = false;
        connection.queue.end();
        let at = connection.down.arrives.max(self.now);
        self.at(at, Happening::Ended(number, Side::Miner));
        self.connection_ended(number, silent)
    }

    /// Closes the miner's side now; the router learns of it after the frames that are on their way.
    pub(crate) fn miner_closes(&mut self, number: u32) {
        let Some(connection) = self.dial.connections.get_mut(&number) else { return };
        if !std::mem::take(&mut connection.miner_open) {
            return;
        }
        let at = connection.up.arrives.max(self.now);
        self.at(at, Happening::Ended(number, Side::Router));
    }

    /// Makes the connection look for silence after a while, if anything depends on it.
    fn arm(&mut self, number: u32) {
        let stakes = self.engine.unfinished() > 0 || self.dial.has_stakes();
        let Some(connection) = self.dial.connections.get_mut(&number) else { return };
        let open = connection.miner_open || connection.router_open;
        if open && stakes && !std::mem::replace(&mut connection.beats, true) {
            self.after(PING_MS, Happening::Beat(number));
        }
    }

    /// Sends pings where nothing was sent for a while, and gives up a side that was silent for too long.
    pub(crate) fn beat(&mut self, number: u32) -> Result<(), String> {
        let now = self.now;
        let Some(connection) = self.dial.connections.get_mut(&number) else { return Ok(()) };
        connection.beats = false;
        let silent = |lane: &Lane| now - lane.heard >= DEAD_MS;
        let quiet = |lane: &Lane| now - lane.said >= PING_MS;
        let (miner_dead, router_dead) = (silent(&connection.up), silent(&connection.down));
        let (miner_pings, router_pings) = (quiet(&connection.up), quiet(&connection.down));
        let admitted = connection.miner.is_some();
        if connection.router_open && miner_dead {
            self.report.silences += 1;
            self.router_closed(number, true)?;
        } else if connection.router_open && router_pings && admitted {
            self.router_pings(number);
        }
        let Some(connection) = self.dial.connections.get_mut(&number) else { return Ok(()) };
        if connection.miner_open && router_dead {
            self.report.silences += 1;
            self.miner_closes(number);
            self.miner_lost(number);
        } else if connection.miner_open && miner_pings && admitted {
            self.miner_pings(number);
        }
        self.arm(number);
        Ok(())
    }
}
