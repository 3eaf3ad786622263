//! The router's seats for miners that dial in. As the router does, it drives the machine of each seat: it passes frames to
//! it, and vacates the seat when the miner does not come back.

use std::collections::BTreeMap;

use cortensor_router::internals::engine::{Event, MinerKey, MinerRules};
use cortensor_router::internals::protocol::frame::{
    ErrorFrame, Intervals, Limits, MinerFrame, Ping, RouterFrame, VERSION, Welcome,
};
use cortensor_router::internals::protocol::handshake::Admitted;
use cortensor_router::internals::protocol::hello::common_features;
use cortensor_router::internals::remote::{Absence, Occupancy, Output, SessionLimits};
use cortensor_router::model::{CONTINUE, Fence};

use crate::dial::Seat;
use crate::network::{DEAD_MS, PING_MS, Way};
use crate::world::{Happening, LiveMiner, World};

/// The largest frame of a miner.
pub(crate) const FRAME: usize = 4_000;
/// The bytes of pieces that may be under way without an acknowledgement.
pub(crate) const WINDOW: u64 = 600;
/// The greatest number of attempts that a miner may name when it comes back.
pub(crate) const MAX_RESUMED: usize = 32;
/// The time within which a miner that was lost may come back to its attempts.
const GRACE_MS: u64 = 1_200;
/// The time after which a cancelled attempt is forgotten if its miner says nothing.
const CANCEL_MS: u64 = 2_000;
const OUTPUT: u64 = 100_000;

impl World {
    /// Handles a frame of a miner.
    pub(crate) fn router_hears(&mut self, number: u32, text: &str) -> Result<(), String> {
        if text.len() > FRAME {
            // The WebSocket layer refuses it before it is read.
            self.refuse(number, &ErrorFrame::fatal("too_large", "a frame was larger than limits.frame"));
            return Ok(());
        }
        let Some(connection) = self.dial.connections.get_mut(&number) else { return Ok(()) };
        if let Some(greeting) = connection.greeting.take() {
            return self.greet(number, greeting.frame(text));
        }
        let Some(id) = connection.miner.clone() else { return Ok(()) };
        let frame = match MinerFrame::parse(text) {
            Ok(None) => return Ok(()),
            Ok(Some(frame)) => frame,
            Err(bad) => {
                self.refuse(number, &ErrorFrame::fatal("bad_frame", bad.to_string()));
                return Ok(());
            }
        };
        let Some(seat) = self.dial.seats.get_mut(&id) else { return Ok(()) };
        let pair = pair_of(&frame);
        let held = seat.occupancy.session().inflight();
        let foreign = pair.is_some_and(|pair| !held.iter().any(|held| (held.attempt, held.fence) == pair));
        let outputs = seat.occupancy.frame(&number, frame, text.len() as u64, self.now);
        if seat.newest != number {
            self.report.overtaken += 1;
            if let Some(output) = outputs.first() {
                return Err(format!("I3: a frame of a replaced connection had the effect {output:?}: {text}"));
            }
        }
        if foreign && let Some(output) = outputs.iter().find(|output| !matches!(output, Output::Send(_))) {
            return Err(format!("I3: a frame about an attempt that its miner does not have gave {output:?}: {text}"));
        }
        self.perform(&id, outputs)
    }

    /// Makes a new seat, and tells the engine of its miner.
    pub(crate) fn seat(&mut self, admitted: &Admitted) -> Result<(), String> {
        let Admitted { identity, hello, spec, .. } = admitted;
        let who = self.identities.iter().find(|who| *who.name == *spec.name).cloned();
        let who = who.ok_or_else(|| format!("a miner of the unknown name {} was admitted", spec.name))?;
        let key = MinerKey(self.next_miner);
        self.next_miner += 1;
        let rules = MinerRules {
            owner: spec.owner.as_deref().unwrap_or_default().into(),
            dedicated: spec.dedicated,
            continues: spec.features.iter().any(|feature| feature == CONTINUE),
            capacity: 0,
            ..who.rules(0, false)
        };
        let limits = SessionLimits {
            window: WINDOW,
            output: OUTPUT,
            answer: OUTPUT,
            cancel_ms: CANCEL_MS,
            attempts: MAX_RESUMED,
        };
        let seat = Seat {
            occupancy: Occupancy::new(limits, hello.max_concurrency, hello.epoch, spec.name.clone()),
            key,
            name: spec.name.clone(),
            newest: 0,
            credits: 0,
            left_at: 0,
            sinks: BTreeMap::new(),
            due: None,
        };
        self.dial.seats.insert(identity.id.clone(), seat);
        let miner =
            LiveMiner { who, auto: false, slots: hello.max_concurrency, capacity: 0, outstanding: BTreeMap::new() };
        self.miners.insert(key, miner);
        self.step(Event::MinerUp(key, rules))
    }

    /// Makes a connection the present one of its seat.
    pub(crate) fn sit_down(&mut self, number: u32, process: u32, admitted: &Admitted) -> Result<(), String> {
        let (id, hello) = (&admitted.identity.id, &admitted.hello);
        let Some(seat) = self.dial.seats.get_mut(id) else { return Ok(()) };
        seat.newest = number;
        let held = hello.resume.as_ref().map_or(&[][..], |resume| &resume.inflight);
        let mut welcome = Welcome {
            v: VERSION,
            features: common_features(hello),
            intervals: Intervals { ping_ms: PING_MS, dead_ms: DEAD_MS, flush_ms: 20, grace_ms: GRACE_MS },
            limits: Limits { frame: FRAME as u64, task: FRAME as u64, window: WINDOW, output: OUTPUT },
            ..Welcome::default()
        };
        let (outputs, old) = seat.occupancy.connect(number, held, &mut welcome);
        for adopt in &welcome.adopt {
            let fence = Fence(adopt.fence);
            let ours = self.dial.spoken.get(&fence).is_some_and(|spoken| spoken.process == process);
            let settling = seat.sinks.get(&fence).is_some_and(|sink| sink.done);
            if !ours {
                return Err(format!("I3: a resume took over the attempt {adopt:?} of another process"));
            }
            if self.dead.contains(&fence) && !settling {
                return Err(format!("I3: a resume took the attempt {adopt:?} up again, which had ended"));
            }
        }
        self.report.resumed += welcome.adopt.len() as u64;
        self.report.dropped += welcome.drop.len() as u64;
        if let Some(connection) = self.dial.connections.get_mut(&number) {
            connection.miner = Some(id.clone());
        }
        self.send(number, Way::Down, RouterFrame::from(welcome).to_text());
        if let Some(old) = old {
            self.refuse(old, &replaced());
        }
        self.perform(id, outputs)?;
        self.tell_credits(id)?;
        // Frames that the miner's broken connections still hold arrive behind the new hello.
        let stuck: Vec<u32> =
            self.dial.connections.iter().filter(|(_, c)| c.process == process).map(|(n, _)| *n).collect();
        for connection in stuck.into_iter().filter(|other| *other != number) {
            let at = self.random.range(0, 120);
            self.after(at, Happening::HealWay(connection, Way::Up));
        }
        Ok(())
    }

    /// Notes the end of a connection. `for_good`: the miner was silent for too long.
    pub(crate) fn connection_ended(&mut self, number: u32, for_good: bool) -> Result<(), String> {
        let id = self.dial.connections.get(&number).and_then(|connection| connection.miner.clone());
        let Some(id) = id else { return Ok(()) };
        let Some(seat) = self.dial.seats.get_mut(&id) else { return Ok(()) };
        let Some(absence) = seat.occupancy.disconnect(&number, for_good) else { return Ok(()) };
        seat.left_at = self.now;
        let key = seat.key;
        self.tell_credits(&id)?;
        if absence.over {
            return self.vacate(&id).map(|_| ());
        }
        self.after(GRACE_MS, Happening::GraceOver(key, absence));
        Ok(())
    }

    /// Vacates a seat whose miner has not come back in time.
    pub(crate) fn grace_over(&mut self, key: MinerKey, absence: Absence) -> Result<(), String> {
        let Some(id) = self.dial.id_of(key) else { return Ok(()) };
        let Some(seat) = self.dial.seats.get(&id).filter(|seat| seat.occupancy.is_vacant(absence)) else {
            return Ok(());
        };
        if seat.occupancy.connection().is_some() || self.now < seat.left_at + GRACE_MS {
            return Err(format!(
                "the seat of {id} was vacated {} ms after its miner was lost",
                self.now - seat.left_at
            ));
        }
        self.report.vacated += 1;
        self.vacate(&id).map(|_| ())
    }

    /// Gives a seat up: other miners take over its tasks. Gives its connection.
    pub(crate) fn vacate(&mut self, id: &str) -> Result<Option<u32>, String> {
        let Some(mut seat) = self.dial.seats.remove(id) else { return Ok(None) };
        self.gone(seat.key)?;
        Ok(seat.occupancy.vacate())
    }

    /// Tells the engine how many tasks the miner of a seat may have: none while it is not connected.
    pub(crate) fn tell_credits(&mut self, id: &str) -> Result<(), String> {
        let Some(seat) = self.dial.seats.get(id) else { return Ok(()) };
        let credits = if seat.occupancy.connection().is_some() { seat.credits } else { 0 };
        let key = seat.key;
        if let Some(miner) = self.miners.get_mut(&key) {
            miner.capacity = credits;
        }
        self.step(Event::Credits(key, credits))
    }

    /// Sends a frame over the present connection of a seat. Without one it is lost.
    pub(crate) fn post(&mut self, id: &str, frame: &RouterFrame) {
        let connection = self.dial.seats.get(id).and_then(|seat| seat.occupancy.connection().copied());
        if let Some(connection) = connection {
            self.send(connection, Way::Down, frame.to_text());
        }
    }

    pub(crate) fn router_pings(&mut self, number: u32) {
        let id = self.dial.connections.get(&number).and_then(|connection| connection.miner.clone());
        let seat =
            id.and_then(|id| self.dial.seats.get(&id)).filter(|seat| seat.occupancy.connection() == Some(&number));
        if let Some(seat) = seat {
            let ping = Ping { t: self.now, inflight: seat.occupancy.session().inflight() };
            self.send(number, Way::Down, RouterFrame::from(ping).to_text());
        }
    }

    /// Loses all connections and seats, as a crash does. The processes of the miners go on.
    pub(crate) fn drop_connections(&mut self) {
        self.dial.seats.clear();
        let open: Vec<u32> = std::mem::take(&mut self.dial.connections).into_keys().collect();
        for number in open {
            self.miner_lost(number);
        }
    }
}

/// The attempt that a frame names, with its fence.
fn pair_of(frame: &MinerFrame) -> Option<(u64, u64)> {
    match frame {
        MinerFrame::Accept(frame) => Some((frame.attempt, frame.fence)),
        MinerFrame::Reject(frame) => Some((frame.attempt, frame.fence)),
        MinerFrame::Tokens(frame) => Some((frame.attempt, frame.fence)),
        MinerFrame::Done(frame) => Some((frame.attempt, frame.fence)),
        MinerFrame::Fail(frame) => Some((frame.attempt, frame.fence)),
        _ => None,
    }
}

/// The reason that an old connection gets.
pub(crate) fn replaced() -> ErrorFrame {
    ErrorFrame::fatal("replaced", "another connection of the same miner took over")
}
