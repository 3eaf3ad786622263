//! The routers that share a database.

use serde::{Deserialize, Serialize};

use crate::word::words;

words! {
    /// Whether a router of a fleet takes tasks.
    #[derive(Default)]
    MemberState in "state" {
        /// It takes tasks.
        #[default]
        Up = "up",
        /// It takes no new tasks, and ends soon.
        Draining = "draining",
    }

    /// The connection from the router that was asked to another one.
    #[derive(Default)]
    LinkState in "link" {
        /// It is the router that was asked.
        Own = "own",
        /// They are connected.
        Up = "up",
        /// They are not connected: the router is read by what it writes into the database.
        #[default]
        Down = "down",
        /// One of the two has no links.
        None = "none",
    }
}

crate::record! {
/// How many routers share the database, and their figures together. All are 0 for a router with a store of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FleetStatus {
    /// Routers that use the database, this one too.
    pub members: u64,
    /// Those that take tasks.
    pub up: u64,
    /// Those that take no new tasks and end soon.
    pub draining: u64,
    /// Those to which this router has no link.
    pub unlinked: u64,
    /// Miners of this router and of those to which it has a link.
    pub miners: u64,
    /// Tasks that wait for a miner there.
    pub queued_tasks: u64,
    /// Tasks that a miner works on there.
    pub running_tasks: u64,
}
}

crate::record! {
/// A router of the fleet, as the router that was asked sees it. The figures of a router without a link are 0.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FleetMember {
    /// Its name.
    pub name: String,
    /// The number of its start among all starts of routers with this database.
    pub epoch: u64,
    /// `up` or `draining`.
    pub state: MemberState,
    /// The version of its program.
    pub version: String,
    /// The time of its start, in Unix seconds.
    pub started_at: u64,
    /// Milliseconds for which its lease holds if it is not renewed; 0: it has run out.
    pub lease_left_ms: u64,
    /// The address at which it takes links; empty: it takes none.
    pub address: String,
    /// `own`, `up`, `down` or `none`.
    pub link: LinkState,
    /// Seconds since the link came up.
    pub link_secs: u64,
    /// Milliseconds that a frame takes to it and back.
    pub round_trip_ms: f64,
    /// Milliseconds that a frame of it takes to the router that was asked and back, as it says itself.
    pub round_trip_there_ms: f64,
    /// Tasks that one of the two reads at the other over the link.
    pub readings: u64,
    /// Slots of miners of the router that was asked, which this one uses.
    pub lent: u64,
    /// Slots of miners of this router, which the one that was asked uses.
    pub borrowed: u64,
    /// Its miners.
    pub miners: u64,
    /// Its tasks that wait for a miner.
    pub queued_tasks: u64,
    /// Its tasks that a miner works on.
    pub running_tasks: u64,
}
}

crate::record! {
/// The routers that share the database.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FleetInfo {
    /// The name of the router that was asked.
    pub name: String,
    /// Whether it shares its store with other routers: `storage.url` is set.
    pub shared: bool,
    /// Milliseconds since it has heard of the others.
    pub heard_ms: u64,
    /// The routers, in the order of their starts.
    pub members: Vec<FleetMember>,
}
}
