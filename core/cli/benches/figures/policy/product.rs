//! The product as a policy: its engine with default settings, which gets the events of the world and gives its effects.

use std::collections::{HashMap, HashSet};

use cortensor_router::internals::engine::{
    Blame, Demand, Effect, Engine, EngineSettings, Event, MinerKey, MinerRules, SessionRules,
};
use cortensor_router::model::{Fence, Gid, SessionId, Timestamp};

use super::fleet::MinerModel;
use super::workload::{Request, SESSIONS};
use super::world::{Order, Policy, Run};

/// The world's clock starts at zero; the engine's must not.
pub(super) const START: u64 = 1_000_000;
/// The limit of an answer in tokens if the client gives none: the product's default.
const MAX_TOKENS: u64 = 1_024;

/// An engine that knows these miners. `host` says to which router each belongs; 0: the engine's own.
pub(super) fn engine_of(fleet: &[MinerModel], settings: EngineSettings, host: impl Fn(usize) -> u32) -> Engine {
    let mut engine = Engine::new(settings);
    let now = Timestamp(START);
    // One more session than the workload has, for the fairness figure.
    for id in 0..=SESSIONS {
        let rules = SessionRules { weight: 1, affinity: true, open: true, ..SessionRules::default() };
        engine.step(Event::Session(SessionId(id), rules), now);
    }
    for (key, miner) in fleet.iter().enumerate() {
        let host = host(key);
        let rules = MinerRules {
            identity: format!("miner-{key}").into(),
            models: vec!["model".into()],
            capacity: miner.slots,
            weight: 1,
            auto_accept: host == 0,
            host,
            ..MinerRules::default()
        };
        engine.step(Event::MinerUp(MinerKey(key as u32), rules), now);
    }
    engine
}

/// The needs of a request, as a router sees them.
pub(super) fn demand_of(one: &Request) -> Demand {
    Demand {
        session: SessionId(one.session),
        model: Some("model".into()),
        prompt_tokens: one.prompt,
        max_tokens: MAX_TOKENS.max(one.output),
        bytes: one.prompt * 4,
        deadline: Timestamp(START.saturating_add(one.deadline)),
        streaming: true,
        prefix: one.prefix.clone(),
        ..Demand::default()
    }
}

/// The engine as a policy.
pub(crate) struct Product {
    engine: Engine,
    requests: HashMap<Gid, usize>,
    /// The attempts whose end the engine has not received yet.
    open: HashSet<Run>,
}

impl Product {
    pub(crate) fn new(fleet: &[MinerModel]) -> Self {
        let engine = engine_of(fleet, EngineSettings::default(), |_| 0);
        Self { engine, requests: HashMap::new(), open: HashSet::new() }
    }

    fn step(&mut self, event: Event, now: u64, arriving: Option<usize>, out: &mut Vec<Order>) {
        let at = Timestamp(START + now);
        let mut effects: std::collections::VecDeque<Effect> = self.engine.step(event, at).into();
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Admitted { gid, .. } => {
                    if let Some(request) = arriving {
                        self.requests.insert(gid, request);
                    }
                }
                Effect::Refused { .. } => {
                    if let Some(request) = arriving {
                        out.push(Order::Refuse { request });
                    }
                }
                Effect::Offer { gid, miner, fence, .. } => {
                    self.open.insert(fence.0);
                    out.push(Order::Start { run: fence.0, request: self.requests[&gid], miner: miner.0 as usize });
                }
                Effect::Stop { fence, .. } if self.open.remove(&fence.0) => {
                    out.push(Order::Stop { run: fence.0 });
                }
                // The store answers at once.
                Effect::Finish { gid, .. } => effects.extend(self.engine.step(Event::Committed(gid), at)),
                Effect::Ended { gid } => {
                    self.requests.remove(&gid);
                }
                _ => {}
            }
        }
    }
}

impl Policy for Product {
    fn arrive(&mut self, request: usize, all: &[Request], now: u64, out: &mut Vec<Order>) {
        self.step(Event::Submit(Box::new(demand_of(&all[request]))), now, Some(request), out);
    }

    fn token(&mut self, run: Run, first: bool, now: u64, out: &mut Vec<Order>) {
        self.step(Event::Progress { fence: Fence(run), first, shown: true }, now, None, out);
    }

    fn done(&mut self, run: Run, tokens: u64, now: u64, out: &mut Vec<Order>) {
        self.open.remove(&run);
        self.step(Event::Done { fence: Fence(run), tokens }, now, None, out);
    }

    fn failed(&mut self, run: Run, now: u64, out: &mut Vec<Order>) {
        self.open.remove(&run);
        self.step(Event::Fail { fence: Fence(run), blame: Blame::Miner }, now, None, out);
    }

    fn wakes(&self) -> Option<u64> {
        self.engine.next_deadline().map(|at| at.0.saturating_sub(START))
    }

    fn wake(&mut self, now: u64, out: &mut Vec<Order>) {
        self.step(Event::Tick, now, None, out);
    }
}
