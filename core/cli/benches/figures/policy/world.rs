//! The simulated world: a heap of coming events, model miners that follow a policy, and the fate of every request.

use std::collections::BTreeMap;

use super::fleet::{Cache, MinerModel};
use super::random::Random;
use super::workload::{Request, unit};

/// Identifies one attempt; the policy chooses the number.
pub(crate) type Run = u64;

/// An instruction of a policy.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    /// A request begins on a miner that has a slot for it.
    Start { run: Run, request: usize, miner: usize },
    /// Stops an attempt.
    Stop { run: Run },
    /// Refuses a request before it waits.
    Refuse { request: usize },
}

/// Decides which miner gets which request, and when.
pub(crate) trait Policy {
    /// Handles the arrival of a request.
    fn arrive(&mut self, request: usize, all: &[Request], now: u64, out: &mut Vec<Order>);
    /// Handles a token of an attempt.
    fn token(&mut self, run: Run, first: bool, now: u64, out: &mut Vec<Order>);
    /// Handles the complete answer of an attempt.
    fn done(&mut self, run: Run, tokens: u64, now: u64, out: &mut Vec<Order>);
    /// Handles the failure of an attempt by its miner's fault.
    fn failed(&mut self, run: Run, now: u64, out: &mut Vec<Order>);
    /// The time at which the policy must be called next, even without an event.
    fn wakes(&self) -> Option<u64> {
        None
    }
    /// Called when that time has come.
    fn wake(&mut self, _now: u64, _out: &mut Vec<Order>) {}
}

/// The fate of a request.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fate {
    /// The time at which it first began.
    pub(crate) began: Option<u64>,
    /// The time of its first token.
    pub(crate) first_token: Option<u64>,
    /// The time at which its answer was complete.
    pub(crate) done: Option<u64>,
    /// The number of its prompt's tokens that were in the cache.
    pub(crate) cached: u64,
    pub(crate) refused: bool,
    pub(crate) attempts: u32,
}

/// The seconds from the arrival of each request until then. They are infinite where it never came to that.
pub(crate) fn seconds<'a>(
    requests: impl IntoIterator<Item = (&'a Request, &'a Fate)>,
    until: impl Fn(&Fate) -> Option<u64>,
) -> Vec<f64> {
    let each = requests.into_iter();
    each.map(|(one, fate)| until(fate).map_or(f64::INFINITY, |at| (at - one.at) as f64 / 1_000.0)).collect()
}

/// The work a second in that time: [`Request::work`] of the complete answers. An answer that crosses a bound counts by
/// the share of its time that lies within.
pub(crate) fn work(requests: &[Request], fates: &[Fate], from: u64, until: u64) -> f64 {
    let within = requests.iter().zip(fates).filter_map(|(one, fate)| {
        let (began, done) = (fate.began?, fate.done?);
        let share = done.min(until).saturating_sub(began.max(from)) as f64 / (done - began).max(1) as f64;
        Some(share * one.work())
    });
    within.sum::<f64>() / ((until - from).max(1) as f64 / 1_000.0)
}

#[derive(Debug, Clone, Copy)]
enum Happening {
    Arrive(usize),
    Token(Run, bool),
    Done(Run),
    Fail(Run),
}

struct Attempt {
    request: usize,
    miner: usize,
    noise: f64,
}

/// The greatest time between two signs of life of a miner, in milliseconds.
const BEAT: u64 = 20_000;
/// The time in milliseconds after which an attempt that fails does so.
const FAILS_AFTER: u64 = 100;
/// The least time of an attempt, as a share of its expected time. The greatest time lies equally far above one.
const FASTEST: f64 = 0.8;

struct World<'a> {
    fleet: &'a [MinerModel],
    requests: &'a [Request],
    seed: u64,
    order: u64,
    heap: BTreeMap<(u64, u64), Happening>,
    caches: Vec<Cache>,
    busy: Vec<u32>,
    running: BTreeMap<Run, Attempt>,
    fates: Vec<Fate>,
}

/// Plays the requests to their end.
///
/// # Errors
/// When the policy breaks a rule: it gives a miner more requests than it has slots, or never finishes a request.
pub(crate) fn play(
    policy: &mut dyn Policy,
    fleet: &[MinerModel],
    requests: &[Request],
    seed: u64,
) -> Result<Vec<Fate>, String> {
    let mut world = World {
        fleet,
        requests,
        seed,
        order: 0,
        heap: BTreeMap::new(),
        caches: fleet.iter().map(|miner| Cache::new(miner.cache)).collect(),
        busy: vec![0; fleet.len()],
        running: BTreeMap::new(),
        fates: vec![Fate::default(); requests.len()],
    };
    for (index, one) in requests.iter().enumerate() {
        world.at(one.at, Happening::Arrive(index));
    }
    let mut orders = Vec::new();
    loop {
        let next = world.heap.first_key_value().map(|((at, _), _)| *at);
        let wakes = policy.wakes().filter(|at| next.is_none_or(|next| *at <= next));
        if let Some(now) = wakes {
            policy.wake(now, &mut orders);
            world.obey(&mut orders, now)?;
            if policy.wakes() == Some(now) {
                return Err(format!("the policy wants to wake at {now} again and again"));
            }
            continue;
        }
        let Some(((now, _), happening)) = world.heap.pop_first() else { break };
        world.happen(policy, happening, now, &mut orders);
        world.obey(&mut orders, now)?;
    }
    if world.running.is_empty() {
        Ok(world.fates)
    } else {
        Err(format!("{} attempts never ended", world.running.len()))
    }
}

impl World<'_> {
    fn at(&mut self, at: u64, happening: Happening) {
        self.order += 1;
        self.heap.insert((at, self.order), happening);
    }

    fn happen(&mut self, policy: &mut dyn Policy, happening: Happening, now: u64, orders: &mut Vec<Order>) {
        match happening {
            Happening::Arrive(request) => policy.arrive(request, self.requests, now, orders),
            Happening::Token(run, first) => {
                let Some(attempt) = self.running.get(&run) else { return };
                let (request, miner, noise) = (attempt.request, attempt.miner, attempt.noise);
                if first {
                    self.caches[miner].read(&self.requests[request]);
                    self.fates[request].first_token.get_or_insert(now);
                    let left = self.fleet[miner].decode_ms(&self.requests[request]) * noise;
                    let done = now + (left as u64).max(1);
                    for beat in (now..done).step_by(BEAT as usize).skip(1) {
                        self.at(beat, Happening::Token(run, false));
                    }
                    self.at(done, Happening::Done(run));
                }
                policy.token(run, first, now, orders);
            }
            Happening::Done(run) => {
                let Some(attempt) = self.running.remove(&run) else { return };
                self.busy[attempt.miner] -= 1;
                let request = &self.requests[attempt.request];
                // An answer after the client has gone does not count.
                if now <= request.deadline {
                    self.fates[attempt.request].done = Some(now);
                }
                policy.done(run, request.output, now, orders);
            }
            Happening::Fail(run) => {
                let Some(attempt) = self.running.remove(&run) else { return };
                self.busy[attempt.miner] -= 1;
                policy.failed(run, now, orders);
            }
        }
    }

    fn obey(&mut self, orders: &mut Vec<Order>, now: u64) -> Result<(), String> {
        for order in orders.drain(..) {
            match order {
                Order::Refuse { request } => self.fates[request].refused = true,
                Order::Stop { run } => {
                    if let Some(attempt) = self.running.remove(&run) {
                        self.busy[attempt.miner] -= 1;
                    }
                }
                Order::Start { run, request, miner } => self.start(run, request, miner, now)?,
            }
        }
        Ok(())
    }

    fn start(&mut self, run: Run, request: usize, miner: usize, now: u64) -> Result<(), String> {
        self.busy[miner] += 1;
        if self.busy[miner] > self.fleet[miner].slots {
            return Err(format!("miner {miner} got request {request} without a slot for it"));
        }
        let model = &self.fleet[miner];
        let cached = self.caches[miner].cached(&self.requests[request]);
        let fate = &mut self.fates[request];
        fate.began.get_or_insert(now);
        fate.cached = cached;
        fate.attempts += 1;
        // The noise of a request is equal under every policy. Failures differ from attempt to attempt.
        let mut random = Random::new(self.seed ^ (request as u64).wrapping_mul(0x2545_f491_4f6c_dd1d));
        let noise = FASTEST + 2.0 * (1.0 - FASTEST) * unit(&mut random);
        let luck = (0..fate.attempts).map(|_| unit(&mut random)).last().unwrap_or(1.0);
        let first = (model.prefill_ms(&self.requests[request], cached) * noise) as u64;
        self.running.insert(run, Attempt { request, miner, noise });
        if luck < model.failing {
            self.at(now + FAILS_AFTER, Happening::Fail(run));
        } else {
            self.at(now + first.max(1), Happening::Token(run, true));
        }
        Ok(())
    }
}
