//! A session's reservation ends after its period, whatever happened to the session's rules in between.

use cortensor_router_engine::{Engine, EngineSettings, Event, MinerKey, MinerRules, SessionRules};
use cortensor_router_model::{SessionId, Timestamp};

const SESSION: SessionId = SessionId(2);
const MINERS: [MinerKey; 2] = [MinerKey(1), MinerKey(2)];

struct Bench {
    engine: Engine,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self { engine: Engine::new(EngineSettings::default()) };
        for key in MINERS {
            let rules = MinerRules {
                identity: format!("miner-{}", key.0).into(),
                capacity: 1,
                weight: 1,
                ..MinerRules::default()
            };
            bench.step(Event::MinerUp(key, rules), 1_000);
        }
        bench
    }

    fn step(&mut self, event: Event, now: u64) {
        self.engine.step(event, Timestamp(now));
        self.engine.check().expect("the engine agrees with itself");
    }

    /// Sets the number of miners that the session keeps, for a second.
    fn reserve(&mut self, reserve: u32, now: u64) {
        let rules = SessionRules { weight: 1, open: true, reserve, reserve_ms: 1_000, ..SessionRules::default() };
        self.step(Event::Session(SESSION, rules), now);
    }

    /// Lets time pass until then, with a tick whenever one is due.
    fn pass(&mut self, until: u64) {
        while let Some(due) = self.engine.next_deadline().filter(|due| due.0 <= until) {
            self.step(Event::Tick, due.0);
        }
    }

    fn kept(&self) -> usize {
        let kept = |key: &&MinerKey| self.engine.miner(**key).is_some_and(|miner| miner.reserved == Some(SESSION));
        MINERS.iter().filter(kept).count()
    }
}

#[test]
fn a_reservation_that_was_ended_and_made_again_ends_in_time() {
    let mut bench = Bench::new();
    bench.reserve(1, 2_000);
    assert_eq!(bench.kept(), 1);
    // It holds until 3 500; its timer is due at 3 000, when the session has no reservation.
    bench.reserve(1, 2_500);
    bench.reserve(0, 2_600);
    assert_eq!(bench.kept(), 0);
    bench.pass(3_100);
    bench.reserve(1, 3_200);
    bench.pass(4_199);
    assert_eq!(bench.kept(), 1);
    bench.pass(4_200);
    assert_eq!(bench.kept(), 0, "the second reservation is over");
}
