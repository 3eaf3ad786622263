//! A task that would wait beyond its deadline is refused, but never because of another session's large backlog.

use cortensor_router::internals::engine::{
    Demand, Effect, Engine, EngineSettings, Event, MinerKey, MinerRules, Refusal, SessionRules,
};
use cortensor_router::model::{Fence, Gid, SessionId, Timestamp};

const DUMPER: SessionId = SessionId(1);
const OTHER: SessionId = SessionId(2);

struct Fleet {
    engine: Engine,
    now: Timestamp,
    running: Vec<(Fence, Gid, MinerKey)>,
}

impl Fleet {
    /// A fleet of miners with one slot each.
    fn new(miners: u32) -> Self {
        let mut engine = Engine::new(EngineSettings::default());
        let now = Timestamp(1_000_000);
        for session in [DUMPER, OTHER] {
            let rules = SessionRules { weight: 1, open: true, ..SessionRules::default() };
            engine.step(Event::Session(session, rules), now);
        }
        for key in 0..miners {
            let rules = MinerRules {
                identity: format!("miner-{key}").into(),
                capacity: 1,
                weight: 1,
                auto_accept: true,
                ..MinerRules::default()
            };
            engine.step(Event::MinerUp(MinerKey(key), rules), now);
        }
        Self { engine, now, running: Vec::new() }
    }

    fn step(&mut self, event: Event) -> Vec<Effect> {
        let effects = self.engine.step(event, self.now);
        for effect in &effects {
            match effect {
                Effect::Offer { gid, fence, miner, .. } => self.running.push((*fence, *gid, *miner)),
                Effect::Finish { gid, .. } => {
                    self.step(Event::Committed(*gid));
                }
                _ => {}
            }
        }
        effects
    }

    fn submit(&mut self, session: SessionId, timeout_ms: u64) -> Result<Gid, Refusal> {
        let task = Demand {
            session,
            prompt_tokens: 100,
            max_tokens: 100,
            bytes: 400,
            deadline: self.now.plus(timeout_ms),
            ..Demand::default()
        };
        match self.step(Event::Submit(Box::new(task))).first() {
            Some(Effect::Admitted { gid, .. }) => Ok(*gid),
            Some(Effect::Refused { reason, .. }) => Err(*reason),
            other => panic!("a submit was answered by {other:?}"),
        }
    }

    /// Lets time pass, and then the miner's answer end.
    fn done_after(&mut self, millis: u64, miner: MinerKey) {
        self.now = self.now.plus(millis);
        let index = self.running.iter().position(|(_, _, on)| *on == miner).expect("it has something to do");
        let (fence, _, _) = self.running.remove(index);
        self.step(Event::Done { fence, tokens: 100 });
    }
}

#[test]
fn a_dump_makes_nobody_elses_deadline_unreachable() {
    let mut fleet = Fleet::new(1);
    for _ in 0..200 {
        fleet.submit(DUMPER, 1 << 40).unwrap();
    }
    // The miner ends a task a second.
    for _ in 0..20 {
        fleet.done_after(1_000, MinerKey(0));
    }
    assert_eq!(fleet.submit(DUMPER, 60_000), Err(Refusal::DeadlineUnreachable), "179 of its own wait before it");
    fleet.submit(OTHER, 60_000).expect("it is next but one");
    fleet.submit(DUMPER, 400_000).expect("by then it is done");
    for _ in 0..40 {
        fleet.submit(OTHER, 1 << 40).unwrap();
    }
    // 40 tasks of the session itself, and as many of the other session's in between.
    assert_eq!(fleet.submit(OTHER, 60_000), Err(Refusal::DeadlineUnreachable));
    fleet.submit(OTHER, 120_000).expect("81 seconds are left for 80 tasks and an answer");
    fleet.engine.check().unwrap();
}

#[test]
fn a_task_that_can_hardly_be_done_in_time_waits_for_those_that_can() {
    let mut fleet = Fleet::new(1);
    fleet.submit(OTHER, 1 << 40).unwrap();
    // 100 tokens in ten seconds; the answers of the session have about that number.
    fleet.done_after(10_000, MinerKey(0));
    fleet.submit(OTHER, 1 << 40).unwrap();
    let late = fleet.submit(OTHER, 25_000).unwrap();
    let fine = fleet.submit(OTHER, 100_000).unwrap();
    fleet.done_after(10_000, MinerKey(0));
    assert_eq!(fleet.running[0].1, fine, "15 s are left for {late}, which may well take 20");
    fleet.done_after(10_000, MinerKey(0));
    assert_eq!(fleet.running[0].1, late, "when nothing else waits it may try");
}
