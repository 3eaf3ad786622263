//! The rules of a seat, over all connections of its miner: which connection counts, and whether the seat stays when a
//! connection ends.
//!
//! Like the [`Session`] that it holds, it is a pure state machine without sockets, clock or locks. `C` names a
//! connection. Frames reach the session through [`frame`](Occupancy::frame) alone, which takes them from the present
//! connection and from no other.
//!
//! ```text
//!   hello             ends, and the miner may come back       the time for that is over
//! ────────▶ connected ────────────────────────────────▶ absent ──────────────────────▶ vacated
//!             │    ▲         hello that continues         │
//!             │    └──────────────────────────────────────┘
//!             │ ends for good, or after `bye` without an attempt
//!             └──────────────────────────────────────────────────────────────────────▶ vacated
//! ```
//!
//! A hello that does not [continue](Occupancy::continues) the seat vacates it and begins another.

use super::output::{Output, SessionLimits};
use super::session::Session;
use crate::miner::protocol::frame::{Held, MinerFrame, Welcome};

/// The absence of a miner: the time since its last connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Absence {
    /// The number of the absence, which tells it from earlier ones.
    number: u64,
    /// Whether the seat is vacated at once, because the miner does not come back to its attempts.
    pub over: bool,
}

/// The state of a seat.
#[derive(Debug)]
pub struct Occupancy<C> {
    session: Session,
    epoch: u64,
    name: String,
    connection: Option<C>,
    absences: u64,
    draining: bool,
    leaving: bool,
    /// Whether the listener of the connection stops.
    retiring: bool,
}

impl<C: PartialEq> Occupancy<C> {
    /// A seat without a connection, for a miner with this number of slots, this epoch and this name.
    pub fn new(limits: SessionLimits, max_concurrency: u32, epoch: u64, name: String) -> Self {
        Self {
            session: Session::new(limits, max_concurrency),
            epoch,
            name,
            connection: None,
            absences: 0,
            draining: false,
            leaving: false,
            retiring: false,
        }
    }

    /// Whether a hello with this epoch and name continues the seat. Another epoch means another process of the miner,
    /// which holds none of the attempts.
    pub fn continues(&self, epoch: u64, name: &str) -> bool {
        self.epoch == epoch && self.name == name && !self.is_leaving()
    }

    /// Whether the miner has announced that it leaves, or has drained and holds no attempt.
    fn is_leaving(&self) -> bool {
        self.leaving || (self.draining && self.session.is_idle())
    }

    /// Makes a connection the present one. `held` lists the attempts that the miner has. Completes the welcome, and
    /// returns the session's requests and the connection that is replaced.
    pub fn connect(&mut self, connection: C, held: &[Held], welcome: &mut Welcome) -> (Vec<Output>, Option<C>) {
        let (adopt, drop, outputs) = self.session.resume(held);
        (welcome.adopt, welcome.drop) = (adopt, drop);
        (self.leaving, self.retiring) = (false, false);
        (outputs, self.connection.replace(connection))
    }

    /// The present connection.
    pub fn connection(&self) -> Option<&C> {
        self.connection.as_ref()
    }

    /// Takes a frame of `bytes` bytes that came over a connection. A frame of a replaced connection changes nothing.
    pub fn frame(&mut self, from: &C, frame: MinerFrame, bytes: u64, now: u64) -> Vec<Output> {
        if self.connection.as_ref() != Some(from) {
            return Vec::new();
        }
        let mut outputs = self.session.frame(frame, bytes, now);
        for output in &mut outputs {
            match output {
                Output::Draining => self.draining = true,
                Output::Bye => self.leaving = true,
                Output::Credits(credits) if self.draining || self.retiring => *credits = 0,
                _ => {}
            }
        }
        outputs
    }

    /// Notes the end of a connection. `for_good`: the miner cannot come back to its attempts, because it was silent for
    /// too long or because its listener stops. `None`: a newer connection has replaced this one.
    pub fn disconnect(&mut self, connection: &C, for_good: bool) -> Option<Absence> {
        if self.connection.as_ref() != Some(connection) {
            return None;
        }
        self.connection = None;
        self.absences += 1;
        let over = for_good || (self.is_leaving() && self.session.is_idle());
        Some(Absence { number: self.absences, over })
    }

    /// Whether the seat is to be vacated when the time of that absence is over. A miner that came back in the meantime
    /// keeps its seat, although it may have lost its connection again since.
    pub fn is_vacant(&self, absence: Absence) -> bool {
        self.connection.is_none() && self.absences == absence.number
    }

    /// Gives the seat up, and returns its connection.
    pub fn vacate(&mut self) -> Option<C> {
        self.connection.take()
    }

    /// Makes no new offers over that connection, because its listener stops. A new connection ends this. `false`: a
    /// newer connection has replaced this one.
    pub fn retire(&mut self, connection: &C) -> bool {
        let ours = self.connection.as_ref() == Some(connection);
        self.retiring |= ours;
        ours
    }

    /// The connection over which an offer may be sent.
    ///
    /// # Errors
    /// The reason why the miner gets no offers at present.
    pub fn open_connection(&self) -> Result<&C, &'static str> {
        let connection = self.connection.as_ref().ok_or("the miner is not connected")?;
        if self.draining {
            return Err("the miner drains");
        }
        if self.retiring {
            return Err("the miner's listener stops");
        }
        Ok(connection)
    }

    /// The attempts of the miner.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The attempts of the miner, for everything but frames.
    pub fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::miner::protocol::frame::{Bye, Credit, Drain, RouterFrame, TaskFrame};

    const LIMITS: SessionLimits =
        SessionLimits { window: 4_096, output: 256, answer: 256, cancel_ms: 20_000, attempts: 64 };

    fn seat() -> Occupancy<u32> {
        let mut seat = Occupancy::new(LIMITS, 4, 7, "gpu".into());
        assert!(seat.connect(1, &[], &mut Welcome::default()).1.is_none());
        seat
    }

    fn offered(seat: &mut Occupancy<u32>, fence: u64) -> Held {
        match seat.session_mut().offer(TaskFrame { fence, ..TaskFrame::default() }).unwrap() {
            RouterFrame::Task(task) => Held { attempt: task.attempt, fence, sent_seq: 0 },
            other => panic!("{other:?}"),
        }
    }

    fn credit(generation: u64, free: u32) -> MinerFrame {
        Credit { generation, free: [("*".to_owned(), free)].into(), seen: 0 }.into()
    }

    #[test]
    fn a_frame_of_a_replaced_connection_changes_nothing() {
        let mut seat = seat();
        let held = offered(&mut seat, 1);
        let (_, replaced) = seat.connect(2, &[held], &mut Welcome::default());
        assert_eq!(replaced, Some(1));
        assert!(seat.frame(&1, credit(9, 4), 40, 0).is_empty());
        assert!(seat.frame(&1, Bye::default().into(), 40, 0).is_empty());
        assert!(seat.continues(7, "gpu"), "the goodbye of the old connection is void");
        assert!(matches!(seat.frame(&2, credit(1, 3), 40, 0)[..], [Output::Credits(3)]), "and so is its credit");
        assert_eq!(seat.disconnect(&1, true), None);
        assert!(!seat.retire(&1) && seat.open_connection() == Ok(&2));
    }

    #[test]
    fn each_absence_has_its_own_time() {
        let mut seat = seat();
        let first = seat.disconnect(&1, false).unwrap();
        assert!(!first.over && seat.is_vacant(first));
        seat.connect(2, &[], &mut Welcome::default());
        assert!(!seat.is_vacant(first), "it came back");
        let second = seat.disconnect(&2, false).unwrap();
        assert!(!seat.is_vacant(first), "the time of the second absence has just begun");
        assert!(seat.is_vacant(second));
    }

    #[test]
    fn another_process_another_name_and_a_goodbye_end_the_seat() {
        let mut one = seat();
        assert!(one.continues(7, "gpu") && !one.continues(8, "gpu") && !one.continues(7, "cpu"));
        let held = offered(&mut one, 1);
        one.frame(&1, Bye::default().into(), 20, 0);
        assert!(!one.continues(7, "gpu"));
        assert!(!one.disconnect(&1, false).unwrap().over, "its attempt may still come back");
        one.connect(2, &[held], &mut Welcome::default());
        assert!(one.continues(7, "gpu"), "it is back");
        let mut two = seat();
        two.frame(&1, Drain::default().into(), 20, 0);
        assert_eq!(two.open_connection(), Err("the miner drains"));
        assert!(matches!(two.frame(&1, credit(1, 3), 40, 0)[..], [Output::Credits(0)]));
        assert!(two.disconnect(&1, false).unwrap().over);
        let mut three = seat();
        offered(&mut three, 1);
        assert!(three.disconnect(&1, true).unwrap().over, "a miner that was silent is not waited for");
        assert_eq!(three.open_connection(), Err("the miner is not connected"));
    }

    #[test]
    fn a_connection_whose_listener_stops_gets_no_offers() {
        let mut seat = seat();
        assert!(seat.retire(&1));
        assert_eq!(seat.open_connection(), Err("the miner's listener stops"));
        assert!(matches!(seat.frame(&1, credit(1, 3), 40, 0)[..], [Output::Credits(0)]));
        seat.connect(2, &[], &mut Welcome::default());
        assert_eq!(seat.open_connection(), Ok(&2));
    }
}
