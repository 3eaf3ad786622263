//! Routers with their engines, the links between them, and their clients, in virtual time.

mod exchange;

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use cortensor_router_engine::{Effect, Event, MinerKey};
use cortensor_router_model::{Fence, Gid, SessionId, Timestamp};

use crate::arrivals::Arrivals;
use crate::place::Place;
use crate::plan::{COMMIT, GAP, Plan, SERVICE, START, WORD};
use crate::random::Random;
use crate::words::{KINDS, Word};

/// The seed of the times of tasks differs from that of the tasks.
const TIMES: u64 = 0x5eed_0f71_3e50_0001;

#[derive(Debug)]
enum Thing {
    Submit,
    Hear(usize, usize, Word),
    End { at: usize, fence: Fence },
    EndLent { host: usize, owner: usize, slot: Fence, fence: Fence },
    Look(usize, u64),
    Expire { host: usize, owner: usize, until: u64 },
    Committed(usize),
    Second,
}

/// The things that were counted.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) own: u64,
    pub(crate) elsewhere: u64,
    pub(crate) elsewhere_ms: u64,
    pub(crate) slot_ms: u64,
    pub(crate) frames: [u64; KINDS.len()],
    pub(crate) bytes: u64,
    pub(crate) used: u64,
    pub(crate) returned: u64,
    pub(crate) lapsed: u64,
    pub(crate) commits: u64,
    pub(crate) writes: u64,
    /// The waits of tasks until they began, in milliseconds.
    pub(crate) waits: Vec<u64>,
}

/// Routers that lend each other slots.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) counts: Counts,
    /// The real times of looks at queues and of events of engines, in nanoseconds.
    pub(crate) looks: Vec<u64>,
    pub(crate) steps: Vec<u64>,
    /// The memory of a miner in one engine.
    pub(crate) roster_bytes: u64,
    /// The source of the times of tasks.
    random: Random,
    now: u64,
    /// Slots that have a task, and those whose task is another router's.
    busy: u64,
    busy_elsewhere: u64,
    arrivals: Arrivals,
    due: BTreeMap<(u64, u64), Thing>,
    next: u64,
    places: Vec<Place>,
    /// The time at which each task came.
    came: HashMap<(usize, Gid), (u64, SessionId)>,
    /// The tasks of each session that began.
    pub(crate) began: HashMap<SessionId, u64>,
}

/// The resident memory of this process (Linux).
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * 4_096
}

impl World {
    /// Makes the routers, each of which knows all miners.
    pub(crate) fn new(plan: &Plan) -> Self {
        let before = resident();
        let places: Vec<Place> = (0..plan.engines).map(|at| Place::new(plan, at)).collect();
        let entries = (plan.engines * plan.miners) as u64;
        let roster_bytes = resident().saturating_sub(before) / entries.max(1);
        let mut world = Self {
            plan: *plan,
            counts: Counts::default(),
            looks: Vec::new(),
            steps: Vec::new(),
            roster_bytes,
            random: Random::new(plan.seed ^ TIMES),
            now: START,
            busy: 0,
            busy_elsewhere: 0,
            arrivals: Arrivals::new(plan),
            due: BTreeMap::new(),
            next: 0,
            places,
            came: HashMap::new(),
            began: HashMap::new(),
        };
        world.after(1, Thing::Submit);
        world.after(1, Thing::Second);
        world
    }

    /// Lets the time of the plan pass twice, and counts in the second half.
    pub(crate) fn run(&mut self) {
        self.pass(START + self.plan.seconds * 1_000);
        self.counts = Counts::default();
        (self.looks, self.steps) = (Vec::new(), Vec::new());
        self.began.clear();
        self.pass(START + self.plan.seconds * 2_000);
    }

    fn pass(&mut self, until: u64) {
        while let Some(entry) = self.due.first_entry()
            && entry.key().0 <= until
        {
            let ((at, _), thing) = entry.remove_entry();
            let passed = at - self.now;
            self.counts.slot_ms += self.busy * passed;
            self.counts.elsewhere_ms += self.busy_elsewhere * passed;
            self.now = at;
            self.happen(thing);
        }
    }

    fn after(&mut self, wait: u64, thing: Thing) {
        self.next += 1;
        self.due.insert((self.now + wait, self.next), thing);
    }

    fn say(&mut self, from: usize, to: usize, word: Word) {
        self.counts.frames[word.kind()] += 1;
        self.counts.bytes += word.bytes() as u64;
        self.after(WORD, Thing::Hear(from, to, word));
    }

    /// Writes something with the next commit of that router.
    fn write(&mut self, at: usize) {
        self.counts.writes += 1;
        self.places[at].writes += 1;
        if !self.places[at].commits {
            (self.places[at].commits, self.places[at].writes) = (true, 0);
            self.counts.commits += 1;
            self.after(COMMIT, Thing::Committed(at));
        }
    }

    fn timed(&mut self, at: usize, event: Event) -> Vec<Effect> {
        let from = Instant::now();
        let effects = self.places[at].engine.step(event, Timestamp(self.now));
        self.steps.push(from.elapsed().as_nanos() as u64);
        effects
    }

    fn step(&mut self, at: usize, event: Event) -> Vec<Effect> {
        let effects = self.timed(at, event);
        self.act(at, &effects);
        effects
    }

    fn service(&mut self) -> u64 {
        self.random.exponential(SERVICE) as u64 + 1
    }

    fn act(&mut self, at: usize, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Offer { gid, miner, fence, .. } => {
                    if let Some((came, session)) = self.came.remove(&(at, *gid)) {
                        self.counts.waits.push(self.now - came);
                        *self.began.entry(session).or_default() += 1;
                    }
                    if self.host_of(*miner) == at {
                        self.counts.own += 1;
                        let took = self.service();
                        self.busy += 1;
                        self.after(took, Thing::End { at, fence: *fence });
                    }
                }
                Effect::Lend { gid, miner, fence, .. } => {
                    let Some((owner, task)) = self.places[at].deputies.remove(gid) else {
                        self.step(at, Event::Reject(*fence));
                        continue;
                    };
                    if let Some(ask) = self.places[at].asks.get_mut(&owner) {
                        ask.waiting.remove(&task);
                    }
                    self.places[at].loans.insert(*fence, (owner, false));
                    self.say(at, owner, Word::Loan(*fence, *miner, task));
                }
                Effect::Stop { fence, .. } if self.places[at].loans.remove(fence).is_some() => self.counts.lapsed += 1,
                Effect::Finish { gid, .. } => {
                    self.write(at);
                    self.step(at, Event::Committed(*gid));
                }
                _ => {}
            }
        }
        let place = &self.places[at];
        if place.engine.may_borrow() {
            self.look_at(at, self.now.max(place.last_look + GAP));
        }
    }

    fn host_of(&self, miner: MinerKey) -> usize {
        (miner.0 as usize - 1) / self.plan.miners_each()
    }

    fn look_at(&mut self, at: usize, when: u64) {
        if self.places[at].look.is_none_or(|look| when < look) {
            self.places[at].look = Some(when);
            self.after(when - self.now, Thing::Look(at, when));
        }
    }
}
