//! Miners that come up when tasks wait for them.

mod common;

use std::sync::Arc;

use common::offers;
use cortensor_router_engine::{Demand, Effect, Engine, EngineSettings, Event, MinerKey, MinerRules, SessionRules};
use cortensor_router_model::{Gid, Outcome, SessionId, Timestamp};

const SLEEPER: MinerKey = MinerKey(1);
const OTHER: MinerKey = MinerKey(2);

fn rules(name: &str, models: &[&str]) -> MinerRules {
    MinerRules {
        identity: Arc::from(name),
        called: Arc::from(name),
        models: models.iter().map(|model| Arc::from(*model)).collect(),
        capacity: 1,
        weight: 1,
        auto_accept: true,
        ..MinerRules::default()
    }
}

fn on_call(name: &str, models: &[&str]) -> MinerRules {
    MinerRules { on_call: true, capacity: 0, ..rules(name, models) }
}

fn engine(miners: &[(MinerKey, MinerRules)]) -> Engine {
    let settings = EngineSettings { no_miner_grace_ms: 2_000, ..EngineSettings::default() };
    let mut engine = Engine::new(settings);
    let open = SessionRules { weight: 1, open: true, ..SessionRules::default() };
    engine.step(Event::Session(SessionId(0), open), Timestamp(0));
    for (key, rules) in miners {
        engine.step(Event::MinerUp(*key, rules.clone()), Timestamp(0));
    }
    engine
}

fn submit(engine: &mut Engine, model: Option<&str>, at: u64) -> Vec<Effect> {
    let demand = Demand { model: model.map(Arc::from), attached: true, ..Demand::default() };
    engine.step(Event::Submit(Box::new(demand)), Timestamp(at))
}

fn gid(effects: &[Effect]) -> Gid {
    effects
        .iter()
        .find_map(|effect| match effect {
            Effect::Admitted { gid, .. } => Some(*gid),
            _ => None,
        })
        .expect("the task is admitted")
}

/// Lets time pass until `now`, and gives the outcomes of the tasks that end meanwhile.
fn outcomes(engine: &mut Engine, now: u64) -> Vec<(Gid, Outcome)> {
    let ended = |effect: &Effect| match effect {
        Effect::Finish { gid, outcome, .. } => Some((*gid, *outcome)),
        _ => None,
    };
    engine.step(Event::Tick, Timestamp(now)).iter().filter_map(ended).collect()
}

#[test]
fn a_task_waits_for_a_miner_on_call_and_goes_to_it_once_it_is_up() {
    let mut engine = engine(&[(SLEEPER, on_call("sleeper", &["a"]))]);
    let effects = submit(&mut engine, Some("a"), 5);
    assert!(offers(&effects).is_empty());
    assert_eq!(engine.called(&[SLEEPER], &[]), [(SLEEPER, Timestamp(5))]);
    assert_eq!(engine.called(&[], &[SLEEPER]), [], "a miner that comes up is not called again");
    assert_eq!(outcomes(&mut engine, 60_000), []);
    let effects = engine.step(Event::Credits(SLEEPER, 1), Timestamp(60_000));
    assert_eq!(offers(&effects).len(), 1);
    assert_eq!(engine.called(&[SLEEPER], &[]), []);
}

#[test]
fn a_task_fails_soon_once_its_miner_is_not_on_call_any_more() {
    let mut engine = engine(&[(SLEEPER, on_call("sleeper", &["a"]))]);
    let task = gid(&submit(&mut engine, Some("a"), 0));
    engine.step(Event::OnCall(SLEEPER, false), Timestamp(10_000));
    assert_eq!(engine.called(&[SLEEPER], &[]), [(SLEEPER, Timestamp(0))], "it may still be started");
    assert_eq!(outcomes(&mut engine, 11_999), []);
    assert_eq!(outcomes(&mut engine, 12_000), [(task, Outcome::Failed)]);
}

#[test]
fn a_miner_is_called_only_for_tasks_that_no_other_serves_as_well() {
    for (other, model, called) in [
        (rules("other", &["a"]), Some("a"), false),
        (rules("other", &["a"]), Some("b"), true),
        // A miner that takes any model must not answer in the place of one that has it.
        (rules("other", &[]), Some("a"), true),
        (MinerRules { last_resort: true, ..rules("other", &[]) }, Some("a"), true),
        (rules("other", &["b"]), None, false),
    ] {
        let mut engine = engine(&[(SLEEPER, on_call("sleeper", &["a", "b"])), (OTHER, other.clone())]);
        // The other miner has one task already, so that the next one waits.
        let busy = Demand { model: other.models.first().cloned(), ..Demand::default() };
        engine.step(Event::Submit(Box::new(busy)), Timestamp(0));
        submit(&mut engine, model, 7);
        let calls: Vec<MinerKey> = engine.called(&[SLEEPER], &[]).into_iter().map(|(key, _)| key).collect();
        assert_eq!(calls, if called { vec![SLEEPER] } else { Vec::new() }, "{other:?} {model:?}");
    }
}

#[test]
fn one_of_several_miners_is_called_for_a_task_of_any_model() {
    let mut engine = engine(&[(SLEEPER, on_call("one", &["a"])), (OTHER, on_call("two", &["b"]))]);
    submit(&mut engine, None, 0);
    assert_eq!(engine.called(&[SLEEPER, OTHER], &[]), [(SLEEPER, Timestamp(0))]);
    assert_eq!(engine.called(&[OTHER], &[SLEEPER]), []);
    submit(&mut engine, Some("b"), 3);
    assert_eq!(engine.called(&[OTHER], &[SLEEPER]), [(OTHER, Timestamp(3))]);
}
