//! A miner whose breaker opens gets no further task, not even one that the same event sends on.

mod common;

use cortensor_router_engine::{
    Blame, BreakerState, Demand, Effect, Engine, EngineSettings, Event, MinerKey, MinerRules, SessionRules,
};
use cortensor_router_model::{Fence, SessionId, Timestamp};

use common::offers;

const SESSION: SessionId = SessionId(2);
const FIRST: MinerKey = MinerKey(1);
const FAILING: MinerKey = MinerKey(2);
const BUSY: MinerKey = MinerKey(3);
const SAME_OWNER: MinerKey = MinerKey(4);

struct Bench {
    engine: Engine,
    now: u64,
}

impl Bench {
    fn new() -> Self {
        let settings = EngineSettings { breaker_failures: 1, max_attempts: 10, ..EngineSettings::default() };
        let mut bench = Self { engine: Engine::new(settings), now: 1_000 };
        bench.step(Event::Session(SESSION, SessionRules { weight: 1, open: true, ..SessionRules::default() }));
        bench
    }

    fn step(&mut self, event: Event) -> Vec<Effect> {
        self.now += 1;
        let effects = self.engine.step(event, Timestamp(self.now));
        self.engine.check().expect("the engine agrees with itself");
        effects
    }

    fn join(&mut self, key: MinerKey, owner: &str, capacity: u32) {
        let rules = MinerRules {
            identity: format!("miner-{}", key.0).into(),
            owner: owner.into(),
            models: vec!["model".into()],
            capacity,
            weight: 1,
            auto_accept: true,
            ..MinerRules::default()
        };
        self.step(Event::MinerUp(key, rules));
    }

    fn submit(&mut self, required: u32) -> Vec<(MinerKey, Fence)> {
        let task = Demand { session: SESSION, required, judged: required > 1, ..Demand::default() };
        offers(&self.step(Event::Submit(Box::new(task))))
    }
}

#[test]
fn a_task_does_not_go_back_to_the_miner_whose_breaker_it_has_just_opened() {
    let mut bench = Bench::new();
    bench.join(FIRST, "one", 1);
    bench.join(BUSY, "two", 1);
    let given = bench.submit(2);
    let [(FIRST, _), (BUSY, lost)] = given[..] else { panic!("two miners answer: {given:?}") };
    bench.join(FAILING, "three", 2);
    let again = offers(&bench.step(Event::Fail { fence: lost, blame: Blame::Nobody }));
    let [(FAILING, failing)] = again[..] else { panic!("the third miner is asked: {again:?}") };
    // The second miner has another task now, and the owner of the fourth one answers already.
    let other = bench.submit(1);
    assert!(matches!(other[..], [(BUSY, _)]), "{other:?}");
    bench.join(SAME_OWNER, "one", 1);
    let after = offers(&bench.step(Event::Fail { fence: failing, blame: Blame::Miner }));
    assert!(matches!(bench.engine.miner(FAILING).expect("it is there").breaker, BreakerState::Open(_)));
    assert_eq!(after, [], "nobody else may answer it beside the first miner");
}
