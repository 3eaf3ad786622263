//! Routers with their engines, the links between them, and their clients, in virtual time.

mod exchange;

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use cortensor_router_engine::{Effect, Engine, EngineSettings, Event, MinerKey, MinerRules, SessionRules};
use cortensor_router_model::{Fence, Gid, SessionId, Timestamp};

use crate::words::{KINDS, Word};

/// The slots of a miner.
pub(crate) const SLOTS: u32 = 4;
/// The sessions of a router.
const SESSIONS: u64 = 10;
/// The average time of a task, in milliseconds.
const SERVICE: f64 = 8_000.0;
/// The time of a frame over a link.
const WORD: u64 = 1;
/// The time of a commit.
const COMMIT: u64 = 2;
/// The times of the product: between two looks at the queue, and for which a wish stands.
const GAP: u64 = 4;
const ROUND: u64 = 20;
const STANDS: u64 = 250;
/// The time at which a world begins.
const START: u64 = 1_000;
/// The number of tasks that a wish names, and the routers that are asked at first.
const WANTS: usize = 8;
const FAN_OUT: usize = 4;

/// The size of a world, and what happens in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) routers: usize,
    pub(crate) miners: usize,
    pub(crate) seconds: u64,
    pub(crate) seed: u64,
    /// The tasks that come, as a share of what the miners can do.
    pub(crate) load: f64,
}

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

#[derive(Default)]
struct Ask {
    /// The deputies by tasks.
    waiting: HashMap<Gid, Gid>,
    until: u64,
}

struct Place {
    engine: Engine,
    asks: HashMap<usize, Ask>,
    /// The deputies that wait: for whom, and for which task.
    deputies: HashMap<Gid, (usize, Gid)>,
    /// Lent slots, with their borrowers, and whether they are used.
    loans: HashMap<Fence, (usize, bool)>,
    /// Attempts at others: the host and the time at which they began.
    borrowed: HashMap<Fence, u64>,
    told: HashMap<usize, (Vec<Gid>, u64)>,
    first: Option<(Gid, u64)>,
    free_of: Vec<u64>,
    look: Option<u64>,
    last_look: u64,
    /// Writes that wait for the next commit, and whether one is under way.
    writes: u64,
    commits: bool,
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
    random: u64,
    now: u64,
    /// Slots that have a task, and those whose task is another router's.
    busy: u64,
    busy_elsewhere: u64,
    /// The time at which the next task comes.
    arrival: f64,
    due: BTreeMap<(u64, u64), Thing>,
    next: u64,
    places: Vec<Place>,
    /// The time at which each task came.
    came: HashMap<(usize, Gid), (u64, SessionId)>,
    /// The tasks of each session that began.
    began: HashMap<SessionId, u64>,
    /// The routers' weights in the arrivals.
    weights: Vec<f64>,
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
        let each = plan.miners.div_ceil(plan.routers);
        let place = |at: usize| {
            let mut engine = Engine::new(EngineSettings {
                epoch: at as u64 + 1,
                first_gid: Gid((at as u64 + 1) << 33),
                accept_timeout_ms: 600_000,
                progress_timeout_ms: 600_000,
                no_miner_grace_ms: 600_000,
                max_queued_tasks: 10_000_000,
                max_queued_per_session: 10_000_000,
                max_queued_bytes: 1 << 40,
                max_miners: 10_000_000,
                ..EngineSettings::default()
            });
            let start = Timestamp(START);
            for session in 0..plan.routers as u64 * SESSIONS {
                let rules = SessionRules { weight: 1, open: true, ..SessionRules::default() };
                engine.step(Event::Session(SessionId(session), rules), start);
            }
            for miner in 0..plan.miners {
                let host = miner / each;
                let rules = MinerRules {
                    identity: format!("miner-{miner}").into(),
                    capacity: SLOTS,
                    weight: 1,
                    auto_accept: host == at,
                    host: if host == at { 0 } else { host as u32 + 1 },
                    ..MinerRules::default()
                };
                engine.step(Event::MinerUp(MinerKey(miner as u32 + 1), rules), start);
            }
            Place {
                engine,
                asks: HashMap::new(),
                deputies: HashMap::new(),
                loans: HashMap::new(),
                borrowed: HashMap::new(),
                told: HashMap::new(),
                first: None,
                free_of: vec![0; plan.routers],
                look: None,
                last_look: 0,
                writes: 0,
                commits: false,
            }
        };
        let places: Vec<Place> = (0..plan.routers).map(place).collect();
        let entries = (plan.routers * plan.miners) as u64;
        let roster_bytes = resident().saturating_sub(before) / entries.max(1);
        // A third of the tasks comes to a tenth of the routers.
        let busy = plan.routers.div_ceil(10);
        let weight = |at: usize| {
            if at < busy { 1.0 / 3.0 / busy as f64 } else { 2.0 / 3.0 / (plan.routers - busy).max(1) as f64 }
        };
        let mut world = Self {
            plan: *plan,
            counts: Counts::default(),
            looks: Vec::new(),
            steps: Vec::new(),
            roster_bytes,
            random: plan.seed,
            now: START,
            busy: 0,
            busy_elsewhere: 0,
            arrival: START as f64,
            due: BTreeMap::new(),
            next: 0,
            places,
            came: HashMap::new(),
            began: HashMap::new(),
            weights: (0..plan.routers).map(weight).collect(),
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

    /// The tasks that a session of a busy router got for each one of a session of another router, while all of them waited.
    /// `None`: nothing had to wait.
    pub(crate) fn unfairness(&self) -> Option<f64> {
        let busy = self.plan.routers.div_ceil(10);
        if self.plan.load <= 1.0 || busy == self.plan.routers {
            return None;
        }
        let of = |routers: std::ops::Range<usize>| {
            let sessions = routers.start as u64 * SESSIONS..routers.end as u64 * SESSIONS;
            let got = self.began.iter().filter(|(session, _)| sessions.contains(&session.0));
            got.map(|(_, began)| *began).sum::<u64>() as f64 / (sessions.end - sessions.start) as f64
        };
        Some(of(0..busy) / of(busy..self.plan.routers))
    }

    fn draw(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.random;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.draw()).ln()
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
        self.exponential(SERVICE) as u64 + 1
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
        (miner.0 as usize - 1) / self.plan.miners.div_ceil(self.plan.routers)
    }

    fn look_at(&mut self, at: usize, when: u64) {
        if self.places[at].look.is_none_or(|look| when < look) {
            self.places[at].look = Some(when);
            self.after(when - self.now, Thing::Look(at, when));
        }
    }
}
