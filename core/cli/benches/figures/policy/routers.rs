//! Three routers that lend each other slots, as one policy: an engine each, a third of the miners each, and links on which a
//! frame takes a millisecond.

mod links;

use std::collections::{BTreeMap, HashMap, VecDeque};

use cortensor_router::internals::engine::{Blame, Effect, Engine, EngineSettings, Event};
use cortensor_router::model::{Fence, Gid, Timestamp};

use super::fleet::MinerModel;
use super::product::{START, demand_of, engine_of};
use super::workload::Request;
use super::world::{Order, Policy, Run};
use links::{Ask, Loan, Thing, Told, Word};

/// The number of routers.
const ROUTERS: usize = 3;
/// The milliseconds of a frame over a link.
const LINK: u64 = 1;

/// One router.
struct Place {
    engine: Engine,
    requests: HashMap<Gid, usize>,
    /// The attempts whose end the engine has not received yet; those at another router's miner with that router and its slot.
    open: HashMap<Fence, Option<(usize, Fence)>>,
    /// The deputies of each of the others.
    asks: [Ask; ROUTERS],
    /// The deputies that wait: for whom, and for which task.
    deputies: HashMap<Gid, (usize, Gid)>,
    /// The slots that are lent.
    loans: HashMap<Fence, Loan>,
    /// The last question to each of the others.
    told: [Option<Told>; ROUTERS],
    /// The time of the next look at the queue, and the earliest one.
    look: Option<u64>,
    rested: u64,
}

/// The routers as a policy.
pub(super) struct Routers {
    places: Vec<Place>,
    /// The router to which a request comes.
    entry: fn(usize, &Request) -> usize,
    due: BTreeMap<(u64, u64), Thing>,
    order: u64,
    /// Whether routers tell each other their tags at the end of this second.
    ticks: bool,
}

impl Routers {
    /// Each router has every third miner. `entry` gives the number by which a request comes to a router.
    pub(super) fn new(fleet: &[MinerModel], entry: fn(usize, &Request) -> usize) -> Self {
        let place = |at: usize| {
            let first = (at as u64 + 1) << 33;
            let settings =
                EngineSettings { epoch: at as u64 + 1, first_gid: Gid(first + 1), ..EngineSettings::default() };
            let host = |miner: usize| if miner % ROUTERS == at { 0 } else { (miner % ROUTERS) as u32 + 1 };
            Place {
                engine: engine_of(fleet, settings, host),
                requests: HashMap::new(),
                open: HashMap::new(),
                asks: Default::default(),
                deputies: HashMap::new(),
                loans: HashMap::new(),
                told: Default::default(),
                look: None,
                rested: 0,
            }
        };
        Self { places: (0..ROUTERS).map(place).collect(), entry, due: BTreeMap::new(), order: 0, ticks: false }
    }

    fn at(&mut self, when: u64, thing: Thing) {
        self.order += 1;
        self.due.insert((when, self.order), thing);
    }

    fn say(&mut self, from: usize, to: usize, now: u64, word: Word) {
        self.at(now + LINK, Thing::Hear { from, to, word });
    }

    /// The router of an attempt. Fences begin with the numbers of their engines.
    fn owner(run: Run) -> usize {
        (run >> 33) as usize - 1
    }

    /// Tells an engine of an event and does what it asks for. Gives the effects.
    fn step(
        &mut self,
        at: usize,
        event: Event,
        now: u64,
        arriving: Option<usize>,
        out: &mut Vec<Order>,
    ) -> Vec<Effect> {
        let effects = self.places[at].engine.step(event, Timestamp(START + now));
        self.act(at, effects.into(), now, arriving, out)
    }

    fn act(
        &mut self,
        at: usize,
        mut effects: VecDeque<Effect>,
        now: u64,
        arriving: Option<usize>,
        out: &mut Vec<Order>,
    ) -> Vec<Effect> {
        let time = Timestamp(START + now);
        let mut done = Vec::new();
        while let Some(effect) = effects.pop_front() {
            let place = &mut self.places[at];
            match &effect {
                Effect::Admitted { gid, .. } => {
                    place.requests.extend(arriving.map(|request| (*gid, request)));
                }
                Effect::Refused { .. } => out.extend(arriving.map(|request| Order::Refuse { request })),
                // A slot of another router is used once its router knows the attempt.
                Effect::Offer { gid, miner, fence, .. } if miner.0 as usize % ROUTERS == at => {
                    place.open.insert(*fence, None);
                    out.push(Order::Start { run: fence.0, request: place.requests[gid], miner: miner.0 as usize });
                }
                Effect::Lend { gid, miner, fence, .. } => match place.deputies.remove(gid) {
                    Some((owner, task)) => {
                        place.asks[owner].waiting.remove(&task);
                        place.loans.insert(*fence, Loan { owner, task, miner: *miner, run: None });
                        self.say(at, owner, now, Word::Loan { slot: *fence, miner: *miner });
                    }
                    // It was withdrawn meanwhile.
                    None => effects.extend(place.engine.step(Event::Reject(*fence), time)),
                },
                Effect::Stop { fence, .. } => self.stop(at, *fence, now, out),
                // The store answers at once.
                Effect::Finish { gid, .. } => effects.extend(place.engine.step(Event::Committed(*gid), time)),
                Effect::Ended { gid } => drop(place.requests.remove(gid)),
                _ => {}
            }
            done.push(effect);
        }
        self.look_soon(at, now);
        done
    }

    /// Lets everything happen between the routers that is due.
    fn pass(&mut self, now: u64, out: &mut Vec<Order>) {
        while let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= now) {
            let thing = entry.remove();
            self.happen(thing, now, out);
        }
    }

    /// Stops an attempt, or takes a slot back.
    fn stop(&mut self, at: usize, fence: Fence, now: u64, out: &mut Vec<Order>) {
        if let Some(loan) = self.places[at].loans.remove(&fence) {
            if let Some(run) = loan.run {
                out.push(Order::Stop { run: run.0 });
                self.say(at, loan.owner, now, Word::Lost(run));
            }
            return;
        }
        match self.places[at].open.remove(&fence) {
            Some(None) => out.push(Order::Stop { run: fence.0 }),
            Some(Some((host, slot))) => self.say(at, host, now, Word::Stop { slot, fence }),
            None => {}
        }
    }

    /// Tells the engines of the end of an attempt: that of the miner at once, and that of the task over the link.
    fn end(&mut self, run: Run, end: impl Fn(Fence) -> Event, now: u64, out: &mut Vec<Order>) {
        let (at, fence) = (Self::owner(run), Fence(run));
        match self.places[at].open.get(&fence).copied() {
            Some(Some((host, slot))) => {
                if self.places[host].loans.remove(&slot).is_some() {
                    self.step(host, end(slot), now, None, out);
                }
                self.say(host, at, now, Word::Ended(fence, end(fence)));
            }
            Some(None) => {
                self.places[at].open.remove(&fence);
                self.step(at, end(fence), now, None, out);
            }
            None => {}
        }
    }
}

impl Policy for Routers {
    fn arrive(&mut self, request: usize, all: &[Request], now: u64, out: &mut Vec<Order>) {
        let at = (self.entry)(request, &all[request]) % ROUTERS;
        let task = Box::new(demand_of(&all[request]));
        self.step(at, Event::Submit(task), now, Some(request), out);
        if !self.ticks {
            self.ticks = true;
            self.at(now + 1_000, Thing::Second);
        }
    }

    fn token(&mut self, run: Run, first: bool, now: u64, out: &mut Vec<Order>) {
        let (at, fence) = (Self::owner(run), Fence(run));
        let progress = Event::Progress { fence, first, shown: true };
        match self.places[at].open.get(&fence).copied() {
            Some(Some((host, _))) => self.say(host, at, now, Word::Token(progress)),
            _ => drop(self.step(at, progress, now, None, out)),
        }
    }

    fn done(&mut self, run: Run, tokens: u64, now: u64, out: &mut Vec<Order>) {
        self.end(run, |fence| Event::Done { fence, tokens }, now, out);
    }

    fn failed(&mut self, run: Run, now: u64, out: &mut Vec<Order>) {
        self.end(run, |fence| Event::Fail { fence, blame: Blame::Miner }, now, out);
    }

    fn wakes(&self) -> Option<u64> {
        let deadlines = self.places.iter().filter_map(|place| place.engine.next_deadline());
        let engines = deadlines.map(|at| at.0.saturating_sub(START)).min();
        let links = self.due.first_key_value().map(|((at, _), _)| *at);
        engines.into_iter().chain(links).min()
    }

    fn wake(&mut self, now: u64, out: &mut Vec<Order>) {
        self.pass(now, out);
        for at in 0..ROUTERS {
            let due = self.places[at].engine.next_deadline().is_some_and(|due| due.0 <= START + now);
            if due {
                self.step(at, Event::Tick, now, None, out);
            }
        }
        // A look at a queue may be due at once.
        self.pass(now, out);
    }
}
