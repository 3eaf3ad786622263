//! Widely used policies as references: a queue at each miner, or one queue in order of arrival.

use std::collections::{BTreeMap, VecDeque};

use super::fleet::MinerModel;
use super::random::Random;
use super::workload::Request;
use super::world::{Order, Policy, Run};

/// The rule by which a miner is chosen when a request arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    RoundRobin,
    Random,
    /// The miner with the fewest waiting and running requests.
    LeastOutstanding,
    /// The miner with the fewest such requests for each of its slots.
    LeastOutstandingPerSlot,
    /// A hash of the prompt's first two blocks, of which all prompts share the first. A request waits for its miner
    /// even if that is busy.
    PrefixHash,
}

/// The number of attempts for a request.
const TRIES: u32 = 3;

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<usize>,
    running: u32,
}

/// A queue at each miner.
pub(crate) struct Queues {
    choice: Choice,
    slots: Vec<u32>,
    miners: Vec<Queue>,
    running: BTreeMap<Run, (usize, usize)>,
    tries: BTreeMap<usize, u32>,
    deadlines: Vec<u64>,
    prefixes: Vec<u64>,
    next_run: Run,
    turn: usize,
    random: Random,
}

impl Queues {
    pub(crate) fn new(choice: Choice, fleet: &[MinerModel], requests: &[Request], seed: u64) -> Self {
        Self {
            choice,
            slots: fleet.iter().map(|miner| miner.slots).collect(),
            miners: fleet.iter().map(|_| Queue::default()).collect(),
            running: BTreeMap::new(),
            tries: BTreeMap::new(),
            deadlines: requests.iter().map(|one| one.deadline).collect(),
            prefixes: requests.iter().map(|one| one.blocks.iter().take(2).fold(0, |all, one| mix(all ^ one))).collect(),
            next_run: 0,
            turn: 0,
            random: Random::new(seed),
        }
    }

    fn outstanding(&self, miner: usize) -> u64 {
        self.miners[miner].waiting.len() as u64 + u64::from(self.miners[miner].running)
    }

    fn choose(&mut self, request: usize) -> usize {
        let miners = self.miners.len();
        self.turn += 1;
        match self.choice {
            Choice::RoundRobin => self.turn % miners,
            Choice::Random => self.random.range(0, miners as u64 - 1) as usize,
            Choice::PrefixHash => (mix(self.prefixes[request]) % miners as u64) as usize,
            Choice::LeastOutstanding | Choice::LeastOutstandingPerSlot => {
                let load = |miner: usize| {
                    let each = if self.choice == Choice::LeastOutstanding { 1 } else { u64::from(self.slots[miner]) };
                    // Equal miners take turns.
                    (self.outstanding(miner) * 1_000_000 / each, (miner + miners - self.turn % miners) % miners)
                };
                (0..miners).min_by_key(|miner| load(*miner)).unwrap_or(0)
            }
        }
    }

    fn serve(&mut self, miner: usize, now: u64, out: &mut Vec<Order>) {
        while self.miners[miner].running < self.slots[miner] {
            let Some(request) = self.miners[miner].waiting.pop_front() else { return };
            // The client has gone.
            if self.deadlines[request] < now {
                continue;
            }
            self.next_run += 1;
            self.miners[miner].running += 1;
            self.running.insert(self.next_run, (request, miner));
            out.push(Order::Start { run: self.next_run, request, miner });
        }
    }

    fn enqueue(&mut self, request: usize, now: u64, out: &mut Vec<Order>) {
        let miner = self.choose(request);
        self.miners[miner].waiting.push_back(request);
        self.serve(miner, now, out);
    }

    fn free(&mut self, run: Run, now: u64, out: &mut Vec<Order>) -> Option<usize> {
        let (request, miner) = self.running.remove(&run)?;
        self.miners[miner].running -= 1;
        self.serve(miner, now, out);
        Some(request)
    }
}

impl Policy for Queues {
    fn arrive(&mut self, request: usize, _: &[Request], now: u64, out: &mut Vec<Order>) {
        self.enqueue(request, now, out);
    }

    fn token(&mut self, _: Run, _: bool, _: u64, _: &mut Vec<Order>) {}

    fn done(&mut self, run: Run, _: u64, now: u64, out: &mut Vec<Order>) {
        self.free(run, now, out);
    }

    /// Tries a failed request again at once.
    fn failed(&mut self, run: Run, now: u64, out: &mut Vec<Order>) {
        let Some(request) = self.free(run, now, out) else { return };
        let tries = self.tries.entry(request).or_insert(1);
        *tries += 1;
        if *tries <= TRIES {
            self.enqueue(request, now, out);
        }
    }
}

/// One queue in order of arrival. The first request goes to the fastest miner with a free slot.
pub(crate) struct Fifo {
    slots: Vec<u32>,
    /// The miners, fastest first.
    order: Vec<usize>,
    busy: Vec<u32>,
    waiting: VecDeque<usize>,
    running: BTreeMap<Run, usize>,
    deadlines: Vec<u64>,
    next_run: Run,
}

impl Fifo {
    pub(crate) fn new(fleet: &[MinerModel], requests: &[Request]) -> Self {
        let mut order: Vec<usize> = (0..fleet.len()).collect();
        order.sort_by(|a, b| fleet[*b].decode.total_cmp(&fleet[*a].decode));
        Self {
            slots: fleet.iter().map(|miner| miner.slots).collect(),
            order,
            busy: vec![0; fleet.len()],
            waiting: VecDeque::new(),
            running: BTreeMap::new(),
            deadlines: requests.iter().map(|one| one.deadline).collect(),
            next_run: 0,
        }
    }

    fn serve(&mut self, now: u64, out: &mut Vec<Order>) {
        while let Some(miner) = self.order.iter().copied().find(|miner| self.busy[*miner] < self.slots[*miner]) {
            let Some(request) = self.waiting.pop_front() else { return };
            if self.deadlines[request] < now {
                continue;
            }
            self.next_run += 1;
            self.busy[miner] += 1;
            self.running.insert(self.next_run, miner);
            out.push(Order::Start { run: self.next_run, request, miner });
        }
    }
}

impl Policy for Fifo {
    fn arrive(&mut self, request: usize, _: &[Request], now: u64, out: &mut Vec<Order>) {
        self.waiting.push_back(request);
        self.serve(now, out);
    }

    fn token(&mut self, _: Run, _: bool, _: u64, _: &mut Vec<Order>) {}

    fn done(&mut self, run: Run, _: u64, now: u64, out: &mut Vec<Order>) {
        if let Some(miner) = self.running.remove(&run) {
            self.busy[miner] -= 1;
        }
        self.serve(now, out);
    }

    fn failed(&mut self, run: Run, now: u64, out: &mut Vec<Order>) {
        self.done(run, 0, now, out);
    }
}

/// The finalizer of splitmix64.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
