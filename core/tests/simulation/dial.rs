//! The miners of a world that dial in: their processes, their connections and the seats that the router gives them.

use std::collections::{BTreeMap, BTreeSet};

use cortensor_router::internals::engine::MinerKey;
use cortensor_router::internals::remote::Occupancy;
use cortensor_router::model::{Fence, Gid};

use crate::network::Connection;
use crate::process::Process;

/// All that belongs to miners that dial in.
#[derive(Default)]
pub(crate) struct DialIn {
    pub(crate) processes: BTreeMap<u32, Process>,
    pub(crate) connections: BTreeMap<u32, Connection>,
    /// The router's seats, by the ids of their miners.
    pub(crate) seats: BTreeMap<String, Seat>,
    /// The ids of the keys that the router knows. They survive a crash.
    pub(crate) enrolled: BTreeSet<String>,
    /// For each attempt, what its miner has said in all.
    pub(crate) spoken: BTreeMap<Fence, Spoken>,
    /// The connections over which the present event has sent frames.
    pub(crate) touched: BTreeSet<u32>,
    /// Whether the router is newer than its miners.
    pub(crate) newer_router: bool,
    pub(crate) next: u32,
}

/// A seat of the router.
pub(crate) struct Seat {
    pub(crate) occupancy: Occupancy<u32>,
    pub(crate) key: MinerKey,
    pub(crate) name: String,
    /// The connection that was admitted last.
    pub(crate) newest: u32,
    pub(crate) credits: u32,
    /// The time at which the miner's last connection ended.
    pub(crate) left_at: u64,
    /// The attempts whose answers the router awaits, or whose fates it will tell.
    pub(crate) sinks: BTreeMap<Fence, Sink>,
    /// The time at which the session has something to do.
    pub(crate) due: Option<u64>,
}

/// The router's end of an attempt.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    pub(crate) gid: Gid,
    /// The text that came.
    pub(crate) heard: String,
    pub(crate) answered: bool,
    /// Whether the answer came and its fate is not told yet.
    pub(crate) done: bool,
}

/// The words that a miner has said for an attempt.
#[derive(Debug, Default)]
pub(crate) struct Spoken {
    pub(crate) process: u32,
    pub(crate) text: String,
}

impl DialIn {
    /// A number for a process or a connection.
    pub(crate) fn next_number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// Whether a miner holds an attempt, or the router believes so.
    pub(crate) fn has_stakes(&self) -> bool {
        self.processes.values().any(|process| !process.held.is_empty())
            || self.seats.values().any(|seat| !seat.occupancy.session().is_idle())
    }

    /// The id of the miner that has that key in the engine.
    pub(crate) fn id_of(&self, key: MinerKey) -> Option<String> {
        self.seats.iter().find(|(_, seat)| seat.key == key).map(|(id, _)| id.clone())
    }

    /// The connection over which a process has been welcomed.
    pub(crate) fn welcomed(&self, process: u32) -> Option<u32> {
        self.processes.get(&process).filter(|process| process.limits.is_some())?.connection
    }
}
