//! Measures the cost of the engine's answer to one event with 100 miners and sessions, and with 10 000 of each. No decision may
//! look at every miner or every session.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::{Duration, Instant};

use cortensor_router::internals::engine::{Effect, Engine, EngineSettings, Event, MinerKey, SessionRules};
use cortensor_router::model::{Fence, Gid, SessionId, Timestamp};

use super::{miner, task};
use crate::report::{Gate, Row, median};
use crate::{Context, Outcome};

const SMALL: u32 = 100;
const LARGE: u32 = 10_000;
/// Events of each kind in one round; of submissions there are three times as many.
const ROUND: usize = 200;
/// Rounds of each fleet before the first one that counts, until all memory is in use.
const WARM: usize = 10;
/// The greatest ratio between the two fleets. A decision that looks at each miner or session has a ratio of 100. The
/// rest is the processor's cache: the records of 10 000 miners and sessions fill more than its second level.
const FLAT: f64 = 1.3;

/// The events that are measured, in the order of their durations, and last the reference.
const EVENTS: [&str; 7] = [
    "submit",
    "done and commit",
    "cancel",
    "credits",
    "miner gone",
    "miner up",
    "a plain array is changed in one place",
];

/// A fleet whose miners have two credits each, and whose sessions have had a task each.
struct Fleet {
    engine: Engine,
    now: Timestamp,
    sessions: u64,
    next_miner: u32,
    number: u64,
    /// Submissions that are ready, so that nothing but the engine's work stands between two measured events.
    ready: VecDeque<Event>,
    /// As many bytes as the table in which the engine finds 10 000 miners, or 100, by their identities.
    plain: Vec<u64>,
}

impl Fleet {
    fn new(size: u32) -> Outcome<Self> {
        let mut fleet = Self {
            // Tasks of a miner that goes are always tried again.
            engine: Engine::new(EngineSettings { retry_floor_per_sec: 1e6, ..EngineSettings::default() }),
            now: Timestamp(1_000_000),
            sessions: u64::from(size),
            next_miner: 0,
            number: 0,
            ready: VecDeque::new(),
            plain: vec![0; (size as usize * 4 / 3).next_power_of_two()],
        };
        for id in 0..fleet.sessions {
            let rules = SessionRules { weight: 1, affinity: true, open: true, ..SessionRules::default() };
            fleet.step(Event::Session(SessionId(id), rules));
        }
        for _ in 0..size {
            fleet.join();
        }
        fleet.prepare(size as usize);
        for _ in 0..size {
            let (_, given) = fleet.submit()?;
            fleet.finish(&given);
        }
        Ok(fleet)
    }

    /// Takes an event. Answers how long that took, and the effects.
    fn step(&mut self, event: Event) -> (Duration, Vec<Effect>) {
        let from = Instant::now();
        let effects = self.engine.step(event, self.now);
        (from.elapsed(), effects)
    }

    fn join(&mut self) -> Duration {
        let key = MinerKey(self.next_miner);
        self.next_miner += 1;
        self.step(Event::MinerUp(key, miner(key, 2))).0
    }

    /// Changes a place of a plain array, each time another one. This shows what a single miss of the cache costs.
    fn change_plain(&mut self) -> Duration {
        let at = (u64::from(self.next_miner).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % self.plain.len();
        let from = Instant::now();
        self.plain[at] = black_box(self.plain[at] + 1);
        from.elapsed()
    }

    /// Makes that many submissions ready.
    fn prepare(&mut self, submissions: usize) {
        for _ in 0..submissions {
            self.number += 1;
            self.ready.push_back(Event::Submit(Box::new(task(self.number, self.sessions, self.now))));
        }
    }

    fn submit(&mut self) -> Outcome<(Duration, Given)> {
        self.now = self.now.plus(1);
        let Some(event) = self.ready.pop_front() else { return Err("no submission is ready".to_owned()) };
        let (took, effects) = self.step(event);
        Ok((took, given(&effects)?))
    }

    fn finish(&mut self, given: &Given) -> Duration {
        let done = self.step(Event::Done { fence: given.fence, tokens: 100 }).0;
        done + self.step(Event::Committed(given.gid)).0
    }

    /// Runs each event as often as a round has it. Answers how long an event of each kind took on average.
    fn round(&mut self) -> Outcome<[f64; EVENTS.len()]> {
        self.prepare(3 * ROUND);
        let mut took = [Duration::ZERO; EVENTS.len()];
        for _ in 0..ROUND {
            let (submitting, first) = self.submit()?;
            took[0] += submitting;
            took[1] += self.finish(&first);
            let (submitting, second) = self.submit()?;
            took[0] += submitting;
            took[2] += self.step(Event::Cancel(second.gid)).0;
            self.step(Event::Committed(second.gid));
            let (submitting, third) = self.submit()?;
            took[0] += submitting;
            took[3] += self.step(Event::Credits(third.miner, 3)).0;
            let (leaving, effects) = self.step(Event::MinerGone(third.miner));
            took[4] += leaving;
            let again = given(&effects)?;
            self.finish(&again);
            took[5] += self.join();
            took[6] += self.change_plain();
        }
        took[0] /= 3;
        Ok(took.map(|all| all.as_secs_f64() * 1e6 / ROUND as f64))
    }
}

/// The attempt that a miner got.
struct Given {
    gid: Gid,
    miner: MinerKey,
    fence: Fence,
}

fn given(effects: &[Effect]) -> Outcome<Given> {
    let offer = effects.iter().find_map(|effect| match effect {
        Effect::Offer { gid, miner, fence, .. } => Some(Given { gid: *gid, miner: *miner, fence: *fence }),
        _ => None,
    });
    offer.ok_or_else(|| format!("no free miner got a task: {effects:?}"))
}

/// Adds a row for each event: its cost in the large fleet beside that in the small one. The fleets take turns, round by
/// round. The costs are the medians of all rounds, and the ratio is the median of the ratios of the rounds.
pub(super) fn measure(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    let (mut small, mut large) = (Fleet::new(SMALL)?, Fleet::new(LARGE)?);
    for _ in 0..WARM {
        small.round()?;
        large.round()?;
    }
    let mut rounds = Vec::new();
    for _ in 0..context.pick(31, 101) {
        rounds.push((small.round()?, large.round()?));
    }
    for (at, event) in EVENTS.into_iter().enumerate() {
        let middle = |of: &dyn Fn(&Round) -> f64| median(rounds.iter().map(of).collect());
        let large = middle(&|round| round.1[at]);
        let row = Row::new("decisions", format!("{event}, 10 000 miners and sessions"), large, "us").beside_at(
            "100 of each",
            middle(&|round| round.0[at]),
            middle(&|round| round.1[at] / round.0[at]),
        );
        rows.push(if at + 1 < EVENTS.len() { row.gate(Gate::RatioAtMost(FLAT)) } else { row });
    }
    Ok(())
}

/// The microseconds of the events in one round of the small and of the large fleet.
type Round = ([f64; EVENTS.len()], [f64; EVENTS.len()]);
