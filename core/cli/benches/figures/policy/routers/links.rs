//! The frames between routers, and what each router does about them.

use std::collections::HashMap;

use cortensor_router::internals::engine::{Blame, Deputy, Effect, Event, MinerKey, Need, Want};
use cortensor_router::model::{Fence, Gid, Timestamp};

use super::{ROUTERS, Routers};
use crate::policy::product::START;
use crate::policy::world::Order;

/// The times of the product: between two looks at the queue, and for which a question stands.
const GAP: u64 = 4;
const ROUND: u64 = 20;
const STANDS: u64 = 250;
/// The tasks that a question names.
const WANTS: usize = 8;

/// A frame.
#[derive(Debug)]
pub(super) enum Word {
    /// The first tasks of the sender that wait.
    Want(Need, Vec<Want>),
    /// The tags with which the sender's tasks begin, once a second.
    Tags(Vec<(u8, u64)>),
    /// A slot for one attempt.
    Loan { slot: Fence, miner: MinerKey },
    /// No task can use the slot.
    Return(Fence),
    /// The slot is used for that attempt on that request.
    Use { slot: Fence, fence: Fence, request: usize },
    /// The miner has the attempt.
    Began(Fence),
    /// A sign of life of an attempt.
    Token(Event),
    /// The end of an attempt.
    Ended(Fence, Event),
    /// The slot was taken back.
    Lost(Fence),
    /// The attempt on that slot must stop.
    Stop { slot: Fence, fence: Fence },
}

/// A thing that happens between routers.
#[derive(Debug)]
pub(super) enum Thing {
    Hear { from: usize, to: usize, word: Word },
    Look(usize, u64),
    Expire { host: usize, owner: usize },
    Second,
}

/// The deputies of another router.
#[derive(Debug, Default)]
pub(super) struct Ask {
    /// The deputies by tasks.
    pub(super) waiting: HashMap<Gid, Gid>,
    until: u64,
}

/// A slot that is lent.
#[derive(Debug)]
pub(super) struct Loan {
    pub(super) owner: usize,
    pub(super) task: Gid,
    pub(super) miner: MinerKey,
    /// The attempt that uses it.
    pub(super) run: Option<Fence>,
}

/// A question to another router.
#[derive(Debug)]
pub(super) struct Told {
    need: Need,
    tasks: Vec<Gid>,
    at: u64,
}

impl Routers {
    pub(super) fn happen(&mut self, thing: Thing, now: u64, out: &mut Vec<Order>) {
        match thing {
            Thing::Hear { from, to, word } => self.hear(from, to, word, now, out),
            Thing::Look(at, when) if self.places[at].look == Some(when) => self.look(at, now),
            Thing::Look(..) => {}
            Thing::Expire { host, owner } => {
                if self.places[host].asks[owner].until <= now {
                    self.replace(host, owner, &Need::default(), Vec::new(), now, out);
                }
            }
            Thing::Second => {
                for at in 0..ROUTERS {
                    let tags = self.places[at].engine.tags();
                    for to in (0..ROUTERS).filter(|to| *to != at) {
                        self.say(at, to, now, Word::Tags(tags.clone()));
                    }
                }
                self.ticks = self.places.iter().any(|place| !place.requests.is_empty());
                if self.ticks {
                    self.at(now + 1_000, Thing::Second);
                }
            }
        }
    }

    /// Looks at the queue of a router as soon as it may, if tasks wait there.
    pub(super) fn look_soon(&mut self, at: usize, now: u64) {
        let place = &self.places[at];
        if place.engine.may_borrow() {
            self.look_at(at, now.max(place.rested));
        }
    }

    fn look_at(&mut self, at: usize, when: u64) {
        if self.places[at].look.is_none_or(|look| when < look) {
            self.places[at].look = Some(when);
            self.at(when, Thing::Look(at, when));
        }
    }

    /// Asks the others for slots. They are fewer than the product asks at first.
    fn look(&mut self, at: usize, now: u64) {
        let place = &mut self.places[at];
        (place.look, place.rested) = (None, now + GAP);
        // All requests are for one model, and so wait in one lane.
        let Some(lane) = place.engine.wanted(WANTS).into_iter().next() else {
            for host in 0..ROUTERS {
                if let Some(told) = self.places[at].told[host].take() {
                    self.say(at, host, now, Word::Want(told.need, Vec::new()));
                }
            }
            return;
        };
        for host in (0..ROUTERS).filter(|host| *host != at) {
            let serves = |want: &&Want| want.hosts.contains(&(host as u32 + 1));
            let wants: Vec<Want> = lane.wants.iter().filter(serves).cloned().collect();
            let tasks: Vec<Gid> = wants.iter().map(|want| want.gid).collect();
            if wants.is_empty() {
                // The last question to it expires.
                continue;
            }
            let told = &mut self.places[at].told[host];
            if told.as_ref().is_some_and(|told| told.tasks == tasks && now - told.at < STANDS / 2) {
                continue;
            }
            *told = Some(Told { need: lane.need.clone(), tasks, at: now });
            self.say(at, host, now, Word::Want(lane.need.clone(), wants));
        }
        self.look_at(at, now + ROUND);
    }

    /// Replaces the deputies of a router.
    fn replace(&mut self, at: usize, owner: usize, need: &Need, wants: Vec<Want>, now: u64, out: &mut Vec<Order>) {
        let place = &mut self.places[at];
        let ask = &mut place.asks[owner];
        ask.until = now + STANDS;
        let mut gone: Vec<(Gid, Gid)> =
            ask.waiting.extract_if(|task, _| wants.iter().all(|want| want.gid != *task)).collect();
        // The order of a map is left to chance.
        gone.sort_unstable();
        let offered =
            |task: Gid| place.loans.values().any(|loan| loan.owner == owner && loan.task == task && loan.run.is_none());
        let new: Vec<Want> =
            wants.into_iter().filter(|want| !ask.waiting.contains_key(&want.gid) && !offered(want.gid)).collect();
        let stands = !new.is_empty() || !ask.waiting.is_empty();
        for (_, deputy) in gone {
            self.places[at].deputies.remove(&deputy);
            self.step(at, Event::Moved(deputy), now, None, out);
        }
        for want in new {
            self.deputy(at, owner, Deputy { need: need.clone(), want }, now, out);
        }
        if stands {
            self.at(now + STANDS, Thing::Expire { host: at, owner });
        }
    }

    fn deputy(&mut self, at: usize, owner: usize, deputy: Deputy, now: u64, out: &mut Vec<Order>) {
        let task = deputy.want.gid;
        let time = Timestamp(START + now);
        let effects = self.places[at].engine.step(Event::Deputy(Box::new(deputy)), time);
        if let Some(Effect::Stands { gid }) = effects.first() {
            self.places[at].deputies.insert(*gid, (owner, task));
            self.places[at].asks[owner].waiting.insert(task, *gid);
        }
        self.act(at, effects.into(), now, None, out);
    }

    fn hear(&mut self, from: usize, to: usize, word: Word, now: u64, out: &mut Vec<Order>) {
        match word {
            Word::Want(need, wants) => self.replace(to, from, &need, wants, now, out),
            Word::Tags(tags) => {
                for (band, tag) in tags {
                    self.step(to, Event::ServedElsewhere { band, tag }, now, None, out);
                }
            }
            Word::Loan { slot, miner } => {
                let effects = self.step(to, Event::Borrow { miner, only: None }, now, None, out);
                let used = effects.iter().find_map(|effect| match effect {
                    Effect::Offer { gid, miner: given, fence, .. } if *given == miner => Some((*gid, *fence)),
                    _ => None,
                });
                if let Some((gid, fence)) = used {
                    self.places[to].open.insert(fence, Some((from, slot)));
                    let request = self.places[to].requests[&gid];
                    self.say(to, from, now, Word::Use { slot, fence, request });
                } else {
                    self.say(to, from, now, Word::Return(slot));
                }
            }
            Word::Return(slot) => {
                if self.places[to].loans.remove(&slot).is_some() {
                    self.step(to, Event::Reject(slot), now, None, out);
                }
            }
            Word::Use { slot, fence, request } => match self.places[to].loans.get_mut(&slot) {
                Some(loan) => {
                    loan.run = Some(fence);
                    out.push(Order::Start { run: fence.0, request, miner: loan.miner.0 as usize });
                    self.step(to, Event::Accept(slot), now, None, out);
                    self.say(to, from, now, Word::Began(fence));
                }
                None => self.say(to, from, now, Word::Lost(fence)),
            },
            Word::Began(fence) => drop(self.step(to, Event::Accept(fence), now, None, out)),
            Word::Token(progress) => drop(self.step(to, progress, now, None, out)),
            Word::Ended(fence, end) => {
                if self.places[to].open.remove(&fence).is_some() {
                    self.step(to, end, now, None, out);
                }
            }
            Word::Lost(fence) => {
                if self.places[to].open.remove(&fence).is_some() {
                    self.step(to, Event::Fail { fence, blame: Blame::Nobody }, now, None, out);
                }
            }
            Word::Stop { slot, fence } => {
                if self.places[to].loans.remove(&slot).is_some() {
                    out.push(Order::Stop { run: fence.0 });
                    self.step(to, Event::Reject(slot), now, None, out);
                }
            }
        }
    }
}
