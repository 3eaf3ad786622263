//! One router: its engine, and what it knows of the slots that it lent and borrowed.

use std::collections::HashMap;

use cortensor_router_engine::{Engine, EngineSettings, Event, MinerKey, MinerRules, SessionRules};
use cortensor_router_model::{Fence, Gid, SessionId, Timestamp};

use crate::plan::{Plan, SLOTS, START};

/// The deputies of another router.
#[derive(Default)]
pub(crate) struct Ask {
    /// The deputies by tasks.
    pub(crate) waiting: HashMap<Gid, Gid>,
    pub(crate) until: u64,
}

/// A router.
pub(crate) struct Place {
    pub(crate) engine: Engine,
    pub(crate) asks: HashMap<usize, Ask>,
    /// The deputies that wait: for whom, and for which task.
    pub(crate) deputies: HashMap<Gid, (usize, Gid)>,
    /// Lent slots, with their borrowers, and whether they are used.
    pub(crate) loans: HashMap<Fence, (usize, bool)>,
    /// Attempts at others: the host and the time at which they began.
    pub(crate) borrowed: HashMap<Fence, u64>,
    pub(crate) told: HashMap<usize, (Vec<Gid>, u64)>,
    pub(crate) first: Option<(Gid, u64)>,
    pub(crate) free_of: Vec<u64>,
    pub(crate) look: Option<u64>,
    pub(crate) last_look: u64,
    /// Writes that wait for the next commit, and whether one is under way.
    pub(crate) writes: u64,
    pub(crate) commits: bool,
}

impl Place {
    /// A router that knows all miners.
    pub(crate) fn new(plan: &Plan, at: usize) -> Self {
        let mut engine = Engine::new(EngineSettings {
            epoch: at as u64 + 1,
            first_gid: Gid((at as u64 + 1) << 33),
            accept_timeout_ms: 600_000,
            progress_timeout_ms: 600_000,
            no_miner_grace_ms: 600_000,
            max_queued_tasks: 10_000_000,
            max_queued_per_session: 10_000_000,
            max_queued_bytes: 1 << 40,
            max_miners: 10_000_000,
            ..EngineSettings::default()
        });
        let start = Timestamp(START);
        for session in 0..plan.sessions() {
            let rules = SessionRules { weight: 1, open: true, ..SessionRules::default() };
            engine.step(Event::Session(SessionId(session), rules), start);
        }
        for miner in 0..plan.miners {
            let host = miner / plan.miners_each();
            let rules = MinerRules {
                identity: format!("miner-{miner}").into(),
                capacity: SLOTS,
                weight: 1,
                auto_accept: host == at,
                host: if host == at { 0 } else { host as u32 + 1 },
                ..MinerRules::default()
            };
            engine.step(Event::MinerUp(MinerKey(miner as u32 + 1), rules), start);
        }
        Self {
            engine,
            asks: HashMap::new(),
            deputies: HashMap::new(),
            loans: HashMap::new(),
            borrowed: HashMap::new(),
            told: HashMap::new(),
            first: None,
            free_of: vec![0; plan.engines],
            look: None,
            last_look: 0,
            writes: 0,
            commits: false,
        }
    }
}
