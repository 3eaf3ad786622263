//! An engine whose router closes gives no task to a miner, and forgets the tasks that run again at the next start.

mod common;

use cortensor_router_engine::{
    Blame, Demand, Effect, Engine, EngineSettings, Event, MinerKey, MinerRules, SessionRules, StopReason,
};
use cortensor_router_model::{Fence, Gid, OnFailure, SessionId, Timestamp};

use common::offers;

const NOW: Timestamp = Timestamp(1_000);

struct Bench(Engine);

impl Bench {
    fn new(miners: u32) -> Self {
        let mut bench = Self(Engine::new(EngineSettings { max_attempts: 1, ..EngineSettings::default() }));
        bench.step(Event::Session(SessionId(0), SessionRules { open: true, ..SessionRules::default() }));
        for key in 0..miners {
            let rules = MinerRules {
                identity: format!("m{key}").into(),
                owner: format!("o{key}").into(),
                capacity: 1,
                weight: 1,
                auto_accept: true,
                ..MinerRules::default()
            };
            bench.step(Event::MinerUp(MinerKey(key), rules));
        }
        bench
    }

    fn step(&mut self, event: Event) -> Vec<Effect> {
        let effects = self.0.step(event, NOW);
        self.0.check().expect("the engine agrees with itself");
        effects
    }

    fn submit(&mut self, held: bool) -> (Gid, Vec<(MinerKey, Fence)>) {
        let task = Demand {
            session: SessionId(0),
            required: 1,
            max_tokens: 5,
            deadline: Timestamp(60_000),
            precommit_by: Timestamp(u64::MAX),
            streaming: true,
            on_failure: OnFailure::Fail,
            held,
            ..Demand::default()
        };
        let effects = self.step(Event::Submit(Box::new(task)));
        let Some(Effect::Admitted { gid, .. }) = effects.first() else { panic!("{effects:?}") };
        (*gid, offers(&effects))
    }
}

#[test]
fn a_kept_task_gets_no_end_whatever_its_miner_says_and_frees_no_miner_for_another() {
    let mut bench = Bench::new(1);
    let (running, given) = bench.submit(false);
    let (_, fence) = given[0];
    bench.step(Event::Progress { fence, first: true, shown: true });
    let (waiting, none) = bench.submit(false);
    let (held, _) = bench.submit(true);
    let (cancelled, _) = bench.submit(false);
    assert_eq!(none, []);
    let effects = bench.step(Event::Close(vec![running, waiting, held]));
    assert_eq!(
        effects,
        [Effect::Stop { gid: running, miner: MinerKey(0), fence, reason: StopReason::Cancelled }],
        "the miner is told, and nothing ends"
    );
    for event in [
        Event::Fail { fence, blame: Blame::Nobody },
        Event::Done { fence, tokens: 1 },
        Event::Cancel(running),
        Event::Release(held),
        Event::Tick,
    ] {
        assert_eq!(bench.step(event), []);
    }
    assert_eq!(bench.0.unfinished(), 1, "the router cancels the last one");
    assert!(matches!(bench.step(Event::Cancel(cancelled))[..], [Effect::Finish { .. }]));
    bench.step(Event::Committed(cancelled));
    bench.step(Event::MinerGone(MinerKey(0)));
    assert_eq!((bench.0.unfinished(), bench.0.queued(), bench.0.next_deadline()), (0, 0, None));
}

#[test]
fn no_miner_that_comes_or_becomes_free_gets_a_task() {
    let mut bench = Bench::new(1);
    let (_, given) = bench.submit(false);
    bench.submit(false);
    bench.step(Event::Close(Vec::new()));
    let mut effects = bench.step(Event::Done { fence: given[0].1, tokens: 1 });
    effects.extend(bench.step(Event::Credits(MinerKey(0), 5)));
    effects.extend(bench.step(Event::MinerUp(
        MinerKey(9),
        MinerRules { identity: "m9".into(), capacity: 4, weight: 1, ..MinerRules::default() },
    )));
    assert_eq!(offers(&effects), []);
}
