//! A miner that declines an offer does not get the task again in the same moment.

mod common;

use cortensor_router_engine::{Demand, Engine, EngineSettings, Event, MinerKey, MinerRules, SessionRules};
use cortensor_router_model::{Fence, SessionId, Timestamp};

use common::offers;

const NOW: Timestamp = Timestamp(1_000);

/// An engine with one slot for each of these owners, and a task that wants two answers.
fn offered(owners: [&str; 3]) -> (Engine, Vec<(MinerKey, Fence)>) {
    let mut engine = Engine::new(EngineSettings::default());
    engine.step(Event::Session(SessionId(0), SessionRules { open: true, ..SessionRules::default() }), NOW);
    let task = Demand {
        session: SessionId(0),
        required: 2,
        judged: true,
        max_tokens: 5,
        deadline: Timestamp(60_000),
        precommit_by: Timestamp(60_000),
        ..Demand::default()
    };
    for (key, owner) in (0..).zip(owners) {
        let rules = MinerRules {
            identity: format!("m{key}").into(),
            owner: owner.into(),
            capacity: 1,
            weight: 1,
            ..MinerRules::default()
        };
        engine.step(Event::MinerUp(MinerKey(key), rules), NOW);
    }
    let offers = offers(&engine.step(Event::Submit(Box::new(task)), NOW));
    (engine, offers)
}

#[test]
fn the_miners_that_work_on_a_task_are_no_reason_to_offer_it_again_at_once() {
    let (mut engine, given) = offered(["a", "b", "c"]);
    assert_eq!(given.len(), 2);
    let again = offers(&engine.step(Event::Reject(given[0].1), NOW));
    assert!(again.len() == 1 && given.iter().all(|(miner, _)| *miner != again[0].0), "the third miner is free");
    let last = offers(&engine.step(Event::Reject(again[0].1), NOW));
    assert_eq!(last, [], "the two that declined are free, and the third works on the task");
    let at = engine.next_deadline().unwrap();
    assert!(at > NOW && offers(&engine.step(Event::Tick, at)).len() == 1, "one of them is asked again later");
    engine.check().unwrap();
}

#[test]
fn a_miner_of_an_owner_that_already_answers_is_no_reason_either() {
    let (mut engine, given) = offered(["a", "a", "b"]);
    let (_, other) = *given.iter().find(|(miner, _)| *miner == MinerKey(2)).unwrap();
    assert_eq!(offers(&engine.step(Event::Reject(other), NOW)), [], "the free miner has the owner of the other answer");
    let at = engine.next_deadline().unwrap();
    assert_eq!(offers(&engine.step(Event::Tick, at)).len(), 1);
    engine.check().unwrap();
}
