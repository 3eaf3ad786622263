//! A task that wants several answers takes those that are in, and voids the text of an answer that is not.

use cortensor_router_engine::{
    Blame, Demand, Effect, Engine, EngineSettings, Event, MinerKey, MinerRules, Role, SessionRules,
};
use cortensor_router_model::{Fence, Gid, Outcome, SessionId, Timestamp};

/// The time at which a task has waited for long enough.
const PRECOMMIT: Timestamp = Timestamp(6_000);
const DEADLINE: Timestamp = Timestamp(60_000);

/// A task that two miners answer: its number, and the attempts that are streamed and that are not.
struct Pair {
    engine: Engine,
    gid: Gid,
    primary: Fence,
    aside: Fence,
}

impl Pair {
    fn new(judged: bool, streaming: bool) -> Self {
        let mut engine = Engine::new(EngineSettings::default());
        let now = Timestamp(1_000);
        engine.step(Event::Session(SessionId(0), SessionRules { open: true, ..SessionRules::default() }), now);
        for key in 0..2 {
            let rules = MinerRules {
                identity: format!("m{key}").into(),
                owner: format!("o{key}").into(),
                capacity: 1,
                weight: 1,
                auto_accept: true,
                ..MinerRules::default()
            };
            engine.step(Event::MinerUp(MinerKey(key), rules), now);
        }
        let task = Demand {
            session: SessionId(0),
            required: 2,
            judged,
            streaming,
            max_tokens: 5,
            deadline: DEADLINE,
            precommit_by: PRECOMMIT,
            ..Demand::default()
        };
        let effects = engine.step(Event::Submit(Box::new(task)), now);
        let of = |wanted: Role| {
            let offer = effects.iter().find_map(|effect| match effect {
                Effect::Offer { gid, fence, role, .. } if *role == wanted => Some((*gid, *fence)),
                _ => None,
            });
            offer.expect("both miners are free")
        };
        let ((gid, primary), (_, aside)) = (of(Role::Primary), of(Role::Aside));
        Self { engine, gid, primary, aside }
    }

    fn step(&mut self, event: Event, now: Timestamp) -> Vec<Effect> {
        let effects = self.engine.step(event, now);
        self.engine.check().expect("the engine agrees with itself");
        effects
    }

    /// Lets the streamed attempt give a piece, which a client has seen or not.
    fn speaks(&mut self, shown: bool) {
        self.step(Event::Progress { fence: self.primary, first: true, shown }, Timestamp(1_100));
    }

    /// Whether the effects void the text before they go on to `next`.
    fn voids_before(&self, effects: &[Effect], next: impl Fn(&Effect) -> bool) -> bool {
        let void = Effect::Voided { gid: self.gid, again: false };
        let at = |wanted: &dyn Fn(&Effect) -> bool| effects.iter().position(wanted);
        match (at(&|effect| *effect == void), at(&next)) {
            (Some(voided), Some(next)) => voided < next,
            _ => panic!("{effects:?}"),
        }
    }
}

fn is_judge(effect: &Effect) -> bool {
    matches!(effect, Effect::Judge { .. })
}

fn is_good_end(effect: &Effect) -> bool {
    matches!(effect, Effect::Finish { outcome: Outcome::Ok, .. })
}

#[test]
fn the_text_of_a_stream_that_the_time_cuts_off_is_void() {
    for (shown, at) in [(false, PRECOMMIT), (true, PRECOMMIT), (true, DEADLINE)] {
        let mut pair = Pair::new(true, true);
        pair.speaks(shown);
        if at == DEADLINE {
            assert_eq!(pair.step(Event::Tick, PRECOMMIT), [], "no answer is in");
        }
        let done = Timestamp(at.0 - 1);
        pair.step(Event::Done { fence: pair.aside, tokens: 1 }, done);
        let effects = pair.step(Event::Tick, at);
        assert!(pair.voids_before(&effects, is_judge));
    }
}

#[test]
fn the_text_of_a_streamed_answer_that_fails_for_good_is_void() {
    let mut pair = Pair::new(true, true);
    pair.speaks(false);
    pair.step(Event::Done { fence: pair.aside, tokens: 1 }, Timestamp(1_200));
    let effects = pair.step(Event::Fail { fence: pair.primary, blame: Blame::Request }, Timestamp(1_300));
    assert!(pair.voids_before(&effects, is_judge));
}

#[test]
fn the_first_answer_voids_the_text_of_one_that_it_overtakes() {
    let mut pair = Pair::new(false, false);
    pair.speaks(false);
    let effects = pair.step(Event::Done { fence: pair.aside, tokens: 1 }, Timestamp(1_200));
    assert!(pair.voids_before(&effects, is_good_end));
}

#[test]
fn a_whole_answer_is_taken_at_the_deadline_unless_a_client_has_seen_another() {
    for (speaks, shown) in [(false, false), (true, false), (true, true)] {
        let mut pair = Pair::new(false, true);
        if speaks {
            pair.speaks(shown);
        }
        pair.step(Event::Done { fence: pair.aside, tokens: 1 }, Timestamp(1_200));
        let effects = pair.step(Event::Tick, DEADLINE);
        if shown {
            assert!(effects.iter().any(|e| matches!(e, Effect::Finish { outcome: Outcome::Expired, .. })));
        } else {
            assert!(pair.voids_before(&effects, is_good_end));
        }
    }
}
