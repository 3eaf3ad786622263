//! An engine that numbers tasks beside others: ids come in blocks, numbers stay within its own range, and a task may move to
//! another router.

mod common;

use cortensor_router_engine::{
    Demand, Effect, Engine, EngineSettings, Event, MinerKey, MinerRules, Refusal, SessionRules,
};
use cortensor_router_model::{Gid, SessionId, TaskId, Timestamp};

use common::offers;

const SESSION: SessionId = SessionId(2);
const MINER: MinerKey = MinerKey(1);

struct Bench {
    engine: Engine,
    now: u64,
}

impl Bench {
    fn new() -> Self {
        let settings = EngineSettings {
            epoch: 3,
            first_gid: Gid(3_001),
            last_gid: Gid(3_999),
            ids_in_blocks: true,
            ..EngineSettings::default()
        };
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

    fn join(&mut self, capacity: u32) -> Vec<Effect> {
        self.step(Event::MinerUp(
            MINER,
            MinerRules {
                identity: "m".into(),
                owner: "m".into(),
                capacity,
                weight: 1,
                auto_accept: true,
                ..MinerRules::default()
            },
        ))
    }

    fn ids(&mut self, first: u64, end: u64) {
        self.step(Event::Ids { session: SESSION, first: TaskId(first), end: TaskId(end) });
    }

    fn submit(&mut self) -> Vec<Effect> {
        let task = Demand { session: SESSION, deadline: Timestamp(1_000_000), ..Demand::default() };
        self.step(Event::Submit(Box::new(task)))
    }

    /// Submits a task. Gives its numbers, and whether ids are asked for.
    fn admitted(&mut self) -> (u64, u64, bool) {
        let effects = self.submit();
        let Some(Effect::Admitted { gid, id, .. }) = effects.first() else { panic!("{effects:?}") };
        (gid.0, id.0, effects.contains(&Effect::NeedIds { session: SESSION }))
    }

    fn is_refused(&mut self) -> bool {
        let effects = self.submit();
        matches!(effects.first(), Some(Effect::Refused { reason: Refusal::SessionExhausted, .. }))
    }
}

#[test]
fn ids_come_out_of_blocks_and_new_ones_are_asked_for_in_good_time() {
    let mut bench = Bench::new();
    bench.join(99);
    assert!(bench.engine.lacks_ids(SESSION) && bench.is_refused());
    bench.ids(1, 5);
    assert_eq!(bench.admitted(), (3_001, 1, false));
    assert_eq!(bench.admitted(), (3_002, 2, true), "half of the block is used");
    assert_eq!(bench.admitted(), (3_003, 3, false), "they are asked for once");
    bench.ids(20, 24);
    let next: Vec<u64> = (0..5).map(|_| bench.admitted().1).collect();
    assert_eq!(next, [4, 20, 21, 22, 23]);
    assert!(bench.is_refused());
    // A block that continues the present one is a part of it.
    bench.ids(24, 26);
    bench.ids(26, 28);
    assert_eq!((bench.admitted().1, bench.admitted().1, bench.admitted().1), (24, 25, 26));
    // Ids that came to nothing are asked for again.
    bench.ids(0, 0);
    assert!(bench.admitted().2);
    // Ids that are others' now are not used.
    bench.ids(40, 44);
    assert_eq!(bench.admitted().1, 40);
    bench.step(Event::IdsLost);
    assert!(bench.is_refused());
    bench.ids(60, 64);
    assert_eq!(bench.admitted().1, 60);
}

#[test]
fn an_id_that_is_given_back_is_used_again_within_its_block() {
    let mut bench = Bench::new();
    bench.join(99);
    bench.ids(1, 3);
    let held = |bench: &mut Bench| {
        let task = Demand { session: SESSION, held: true, deadline: Timestamp(1_000_000), ..Demand::default() };
        let effects = bench.step(Event::Submit(Box::new(task)));
        let Some(Effect::Admitted { gid, id, .. }) = effects.first() else { panic!("{effects:?}") };
        (*gid, *id)
    };
    let (gid, id) = held(&mut bench);
    bench.step(Event::Forget { gid, give_back: Some(id) });
    assert_eq!(bench.admitted().1, 1);
    // The last one of a block does not come back once the next block has begun.
    bench.ids(10, 12);
    let (gid, id) = held(&mut bench);
    assert_eq!(id, TaskId(2));
    bench.step(Event::Forget { gid, give_back: Some(id) });
    assert_eq!(bench.admitted().1, 10);
    assert_eq!(bench.engine.taken_tasks(SESSION), 2);
}

#[test]
fn tasks_of_others_do_not_move_its_own_numbers() {
    let mut bench = Bench::new();
    bench.join(99);
    bench.ids(1, 9);
    let task = || Box::new(Demand { session: SESSION, deadline: Timestamp(1_000_000), ..Demand::default() });
    bench.step(Event::Restore(Gid(7_500), TaskId(5), task()));
    bench.step(Event::Restore(Gid(12), TaskId(800), task()));
    assert_eq!(bench.admitted(), (3_001, 1, false));
    bench.step(Event::Restore(Gid(3_100), TaskId(6), task()));
    assert_eq!(bench.admitted().0, 3_101, "a number of its own range counts");
}

#[test]
fn a_task_that_moved_is_offered_no_more_and_gets_no_end() {
    let mut bench = Bench::new();
    bench.ids(1, 99);
    bench.join(1);
    let running = offers(&bench.submit());
    let waiting = bench.admitted().0;
    assert_eq!((running.len(), bench.engine.free_slots(), bench.engine.waiting(false)), (1, 0, vec![Gid(waiting)]));
    assert!(bench.engine.waiting(true).is_empty(), "its miner is busy, and there");
    assert_eq!(bench.step(Event::Moved(Gid(waiting))), []);
    let (miner, fence) = running[0];
    let effects = bench.step(Event::Moved(Gid(3_001)));
    assert!(matches!(effects[..], [Effect::Stop { fence: stopped, .. }] if stopped == fence), "{effects:?}");
    assert_eq!(bench.engine.unfinished(), 0);
    // The words of its miner come too late, and the miner is free for others.
    assert_eq!(bench.step(Event::Done { fence, tokens: 3 }), []);
    assert_eq!(offers(&bench.submit()).first().map(|(free, _)| *free), Some(miner));
    bench.step(Event::MinerGone(MINER));
    let task = Demand { session: SESSION, ..Demand::default() };
    assert!(!bench.engine.attends(&task));
}

/// A tag that another router has served says nothing about the tasks that still wait here.
#[test]
fn an_idle_session_begins_with_those_that_wait() {
    const OTHER: SessionId = SessionId(3);
    let mut bench = Bench::new();
    let rules = MinerRules {
        identity: "m".into(),
        owner: "m".into(),
        capacity: 1,
        weight: 1,
        host: 1,
        ..MinerRules::default()
    };
    bench.step(Event::MinerUp(MINER, rules));
    bench.step(Event::Session(OTHER, SessionRules { weight: 1, open: true, ..SessionRules::default() }));
    bench.ids(1, 100);
    bench.step(Event::Ids { session: OTHER, first: TaskId(1), end: TaskId(100) });
    let submit = |bench: &mut Bench, session| {
        let task = Demand { session, max_tokens: 100, deadline: Timestamp(1_000_000), ..Demand::default() };
        let effects = bench.step(Event::Submit(Box::new(task)));
        let Some(Effect::Admitted { gid, band, .. }) = effects.first() else { panic!("{effects:?}") };
        (*gid, *band)
    };
    let waiting: Vec<(Gid, u8)> = (0..3).map(|_| submit(&mut bench, SESSION)).collect();
    bench.step(Event::ServedElsewhere { band: waiting[0].1, tag: 1 << 40 });
    let (idle, _) = submit(&mut bench, OTHER);
    let wanted = bench.engine.wanted(8);
    let order: Vec<Gid> = wanted[0].wants.iter().map(|want| want.gid).collect();
    assert_eq!(order, [waiting[0].0, idle, waiting[1].0, waiting[2].0]);
}

/// A router is named for a task if any of its miners may have it, whatever models its other miners list.
#[test]
fn a_task_names_the_routers_with_a_miner_for_it() {
    let mut bench = Bench::new();
    let miner = |bench: &mut Bench, key: u32, host: u32, models: &[&str]| {
        let rules = MinerRules {
            identity: format!("m{key}").as_str().into(),
            owner: format!("o{key}").as_str().into(),
            models: models.iter().map(|model| (*model).into()).collect(),
            capacity: 1,
            weight: 1,
            host,
            ..MinerRules::default()
        };
        bench.step(Event::MinerUp(MinerKey(key), rules));
    };
    // The keys of routers mix, as they come and go at any time.
    for (key, host, models) in [
        (10, 7, &["large"][..]),
        (11, 2, &["small"]),
        (12, 7, &["small", "large"]),
        (13, 5, &["large"]),
        (14, 9, &[]),
        (15, 2, &["small"]),
        (16, 4, &["small:latest"]),
        (17, 6, &["small"]),
    ] {
        miner(&mut bench, key, host, models);
    }
    let submit = |bench: &mut Bench, model: Option<&str>| {
        let model = model.map(Into::into);
        let task =
            Demand { session: SESSION, model, max_tokens: 100, deadline: Timestamp(1_000_000), ..Demand::default() };
        bench.step(Event::Submit(Box::new(task)));
    };
    bench.ids(1, 100);
    let hosts = |bench: &Bench| {
        let named = bench.engine.wanted(8).into_iter();
        named.map(|wanted| (wanted.need.model.clone(), wanted.wants[0].hosts.clone())).collect::<Vec<_>>()
    };
    submit(&mut bench, Some("small"));
    // The miners that list the model by this very name come before all others.
    assert_eq!(hosts(&bench), [(Some("small".into()), vec![2, 6, 7])]);
    // One of the two miners at router 2 is away, then both, and router 6 has none any more.
    bench.step(Event::Credits(MinerKey(11), 0));
    assert_eq!(hosts(&bench)[0].1, [2, 6, 7]);
    bench.step(Event::Credits(MinerKey(15), 0));
    bench.step(Event::MinerGone(MinerKey(17)));
    assert_eq!(hosts(&bench)[0].1, [7]);
    // Of two miners at router 7 the later one lists the model.
    submit(&mut bench, Some("large"));
    assert_eq!(hosts(&bench).iter().find(|(model, _)| model.as_deref() == Some("large")).unwrap().1, [5, 7]);
    submit(&mut bench, None);
    assert_eq!(hosts(&bench).iter().find(|(model, _)| model.is_none()).unwrap().1, [4, 5, 7, 9]);
}
