//! Sessions that always have work get equal shares, whatever they submit and however much.

use std::collections::BTreeMap;

use cortensor_router::internals::engine::{
    Demand, Effect, Engine, EngineSettings, Event, MinerKey, MinerRules, SessionRules,
};
use cortensor_router::model::{SessionId, Timestamp};

use crate::random::Random;

/// The greatest difference in served cost between two of four backlogged sessions, in units of the largest task.
fn worst_lead() -> f64 {
    let mut worst: f64 = 0.0;
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let mut engine = Engine::new(EngineSettings::default());
        let now = Timestamp(1_000);
        let mut costs = BTreeMap::new();
        for session in 0..4 {
            let rules = SessionRules { weight: 1, open: true, ..SessionRules::default() };
            engine.step(Event::Session(SessionId(session), rules), now);
        }
        let rules = MinerRules { capacity: 0, weight: 1, auto_accept: true, ..MinerRules::default() };
        engine.step(Event::MinerUp(MinerKey(1), rules), now);
        // One session submits all its tasks before the others come.
        for session in 0..4 {
            for _ in 0..100 {
                let tokens = random.range(1, 500);
                let task = Demand {
                    session: SessionId(session),
                    prompt_tokens: 1,
                    max_tokens: tokens,
                    bytes: 1,
                    streaming: true,
                    ..Demand::default()
                };
                let effects = engine.step(Event::Submit(Box::new(task)), now);
                let Some(Effect::Admitted { gid, .. }) = effects.first() else { panic!("refused: {effects:?}") };
                costs.insert(*gid, (session, 1 + 2 * tokens));
            }
        }
        let mut served = [0_u64; 4];
        let mut effects = engine.step(Event::Credits(MinerKey(1), 1), now);
        // Every session still has work here.
        for _ in 0..200 {
            let offer = effects.iter().find_map(|effect| match effect {
                Effect::Offer { gid, fence, .. } => Some((*gid, *fence)),
                _ => None,
            });
            let Some((gid, fence)) = offer else { break };
            let (session, cost) = costs[&gid];
            served[session as usize] += cost;
            let lead = served.iter().max().unwrap_or(&0) - served.iter().min().unwrap_or(&0);
            worst = worst.max(lead as f64 / 1_001.0);
            let tokens = (cost - 1) / 2;
            effects = engine.step(Event::Done { fence, tokens }, now);
            effects.extend(engine.step(Event::Committed(gid), now));
        }
    }
    worst
}

#[test]
fn backlogged_sessions_stay_within_twice_the_largest_task() {
    let worst = worst_lead();
    assert!(worst <= 2.0, "a session is {worst} largest tasks ahead");
}
