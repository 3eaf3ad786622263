//! The events of a world, and the part of the world that handles each.

use cortensor_router::internals::engine::{Blame, Event, MinerKey};
use cortensor_router::internals::remote::Absence;
use cortensor_router::model::{Fence, Gid};

use crate::faults::Fault;
use crate::network::{Side, Way};
use crate::world::World;

/// An event at a time.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    Submit {
        held_key: Option<u64>,
    },
    Cancel(Gid),
    Attach(Gid),
    /// A reader that had left comes back with its last number.
    Return(usize),
    Commit(u64),
    /// The store's answer to an accept, which came late.
    Answered(u64, Gid, bool),
    /// The answers of a run of a task were compared.
    Verdict(Option<u64>, Gid),
    /// The router writes the ends again that the store has refused.
    WritesAgain(u64),
    Miner(MinerKey, u64, Fence, Gid, Act),
    MinerLeaves(MinerKey),
    MinerJoins,
    Fault(Fault),
    /// The end of a cut of a miner's connection.
    Heal(MinerKey),
    /// A process of a miner dials.
    Dial(u32),
    /// A process works on an attempt.
    Works(u32, u64, Fence, Act),
    /// A frame arrives over a connection.
    Frame(u32, Way, String),
    /// The time for the hello on a connection is over.
    HelloDue(u32),
    /// A side learns that a connection ended.
    Ended(u32, Side),
    /// The router closes its side, perhaps because the miner was silent.
    RouterCloses(u32, bool),
    /// A side of a connection looks for silence.
    Beat(u32),
    /// The end of a cut of one direction of a connection.
    HealWay(u32, Way),
    /// A miner reads again.
    Reads(u32),
    /// The time for a miner to come back is over.
    GraceOver(MinerKey, Absence),
    /// An offer could not be sent.
    Undelivered(MinerKey, u64, Fence),
    /// A slow reader has caught up.
    Writable(MinerKey, Fence),
    /// The session of a seat has something to do.
    SeatTick(MinerKey),
    Tick,
    Crash,
}

/// The reaction of a miner to an attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    Accept,
    Reject,
    Token(usize),
    Done,
    Fail(Blame),
    /// The miner disconnects, or its process ends.
    Leave,
    /// The miner has stopped after a cancellation.
    Stopped,
}

impl World {
    pub(crate) fn happen(&mut self, happening: &Happening) -> Result<(), String> {
        match *happening {
            Happening::Submit { held_key } => self.submit(held_key),
            Happening::Cancel(gid) => {
                self.step(Event::Cancel(gid))?;
                if let Some(task) = self.live.get_mut(&gid)
                    && !task.finishing
                {
                    return Err(format!("I8: the cancel of task {gid} did nothing"));
                }
                Ok(())
            }
            Happening::Attach(gid) => self.attach(gid),
            Happening::Return(index) => self.come_back(index),
            Happening::Answered(epoch, gid, well) => {
                if epoch == self.epoch {
                    self.report.late_answers += u64::from(!self.live.contains_key(&gid));
                    self.accept_answered(gid, well)?;
                }
                Ok(())
            }
            Happening::Commit(epoch) => {
                if epoch == self.epoch {
                    self.commit()?;
                }
                Ok(())
            }
            Happening::Verdict(run, gid) => {
                if run.is_some() && run == self.live.get(&gid).map(|task| task.run) {
                    self.rule(gid)?;
                }
                Ok(())
            }
            Happening::WritesAgain(epoch) => self.write_again(epoch),
            Happening::Miner(key, epoch, fence, gid, act) => self.miner_acts(key, epoch, fence, gid, act),
            Happening::MinerLeaves(key) => self.leave(key),
            Happening::Fault(fault) => self.suffer(fault),
            Happening::Heal(key) => self.heal(key),
            Happening::Dial(process) => {
                self.dials(process);
                Ok(())
            }
            Happening::Works(process, attempt, fence, act) => self.works(process, attempt, fence, act),
            Happening::Frame(connection, way, ref text) => self.deliver(connection, way, text),
            Happening::HelloDue(connection) => self.hello_due(connection),
            Happening::Ended(connection, side) => self.end_of_connection(connection, side),
            Happening::RouterCloses(connection, silent) => self.router_closed(connection, silent),
            Happening::Beat(connection) => self.beat(connection),
            Happening::HealWay(connection, way) => self.heal_way(connection, way),
            Happening::Reads(connection) => {
                if let Some(connection) = self.dial.connections.get_mut(&connection) {
                    connection.unread = false;
                }
                self.flush(connection);
                Ok(())
            }
            Happening::GraceOver(key, absence) => self.grace_over(key, absence),
            Happening::Undelivered(key, epoch, fence) => {
                if epoch == self.epoch {
                    self.tell(key, fence, Event::Reject(fence), true)
                } else {
                    Ok(())
                }
            }
            Happening::Writable(key, fence) => {
                self.writable(key, fence);
                Ok(())
            }
            Happening::SeatTick(key) => self.seat_tick(key),
            Happening::MinerJoins => self.join(),
            Happening::Tick => self.step(Event::Tick),
            Happening::Crash => self.crashes(),
        }
    }
}
