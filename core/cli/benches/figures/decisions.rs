//! Measures the cost of a decision of the dispatch engine with 1 000 miners, 10 000 sessions and 100 000 queued tasks:
//! a miner becomes free and gets the task that suits it best.

mod flat;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cortensor_router::internals::engine::{
    Demand, Effect, Engine, EngineSettings, Event, MinerKey, MinerRules, SessionRules, prefix_blocks,
};
use cortensor_router::model::{Fence, Gid, SessionId, Timestamp};

use crate::report::{Gate, Row};
use crate::{Context, Outcome};

const MINERS: u32 = 1_000;
const SESSIONS: u64 = 10_000;
const QUEUED: u64 = 100_000;

pub(crate) fn measure(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    let mut engine = Engine::new(EngineSettings {
        max_queued_tasks: 2 * QUEUED,
        max_queued_per_session: 2 * QUEUED,
        ..EngineSettings::default()
    });
    let mut now = Timestamp(1_000_000);
    for id in 0..SESSIONS {
        let rules = SessionRules { weight: 1 + (id % 4) as u32, affinity: true, open: true, ..SessionRules::default() };
        engine.step(Event::Session(SessionId(id), rules), now);
    }
    for key in 0..MINERS {
        engine.step(Event::MinerUp(MinerKey(key), miner(MinerKey(key), 1)), now);
    }
    let mut running: VecDeque<(Fence, Gid)> = VecDeque::new();
    let mut submitting = Duration::ZERO;
    for number in 0..QUEUED + u64::from(MINERS) {
        let submit = Event::Submit(Box::new(task(number, SESSIONS, now)));
        let from = Instant::now();
        let effects = engine.step(submit, now);
        submitting += from.elapsed();
        if effects.iter().any(|effect| matches!(effect, Effect::Refused { .. })) {
            return Err(format!("task {number} was refused: {effects:?}"));
        }
        running.extend(offers(&effects));
    }
    if running.len() != MINERS as usize {
        return Err(format!("{} tasks run on {MINERS} miners", running.len()));
    }

    let decisions = context.pick(10_000, 50_000);
    let (mut deciding, mut slowest) = (Duration::ZERO, Duration::ZERO);
    for number in 0..decisions {
        let Some((fence, gid)) = running.pop_front() else { return Err("no task runs".to_owned()) };
        now = now.plus(1);
        let from = Instant::now();
        let mut effects = engine.step(Event::Done { fence, tokens: 100 }, now);
        effects.extend(engine.step(Event::Committed(gid), now));
        let took = from.elapsed();
        deciding += took;
        slowest = slowest.max(took);
        let before = running.len();
        running.extend(offers(&effects));
        if running.len() != before + 1 {
            return Err(format!("a free miner got {} tasks", running.len() - before));
        }
        // A new task keeps the length of the queue constant.
        engine.step(Event::Submit(Box::new(task(QUEUED + 1 + number, SESSIONS, now))), now);
    }
    let each = deciding.as_secs_f64() * 1e6 / decisions as f64;
    rows.push(
        Row::new("decisions", "1 000 miners, 10 000 sessions, 100 000 queued", each, "us")
            .gate(Gate::AtMost(20.0))
            .note(format!("the slowest {:.0} us", slowest.as_secs_f64() * 1e6)),
    );
    let each = submitting.as_secs_f64() * 1e6 / (QUEUED + u64::from(MINERS)) as f64;
    rows.push(Row::new("decisions", "a task enters the queue", each, "us"));
    flat::measure(context, rows)
}

fn miner(key: MinerKey, capacity: u32) -> MinerRules {
    MinerRules {
        identity: format!("miner-{}", key.0).into(),
        models: vec!["model".into()],
        capacity,
        weight: 1,
        owner: Arc::from("owner"),
        auto_accept: true,
        ..MinerRules::default()
    }
}

fn task(number: u64, sessions: u64, now: Timestamp) -> Demand {
    let session = number.wrapping_mul(7_919) % sessions;
    // Tasks of a session begin alike, as those of a conversation do.
    let text =
        format!("{}{}", format!("conversation {session} ").repeat(60), "and more ".repeat((number % 50) as usize));
    Demand {
        session: SessionId(session),
        model: Some(Arc::from("model")),
        prompt_tokens: 100 + number % 900,
        max_tokens: 64 + number % 512,
        bytes: text.len() as u64,
        // The deadline is far enough away that a long queue is no reason to refuse the task.
        deadline: now.plus(1 << 40),
        streaming: true,
        prefix: prefix_blocks(&text),
        ..Demand::default()
    }
}

fn offers(effects: &[Effect]) -> impl Iterator<Item = (Fence, Gid)> + '_ {
    effects.iter().filter_map(|effect| match effect {
        Effect::Offer { fence, gid, .. } => Some((*fence, *gid)),
        _ => None,
    })
}
