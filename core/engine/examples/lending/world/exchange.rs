//! The things that happen: tasks come, routers look at their queues, and frames arrive.

use std::time::Instant;

use cortensor_router_engine::{Demand, Deputy, Effect, Event, Need, Want};
use cortensor_router_model::Gid;

use super::{Thing, World};
use crate::arrivals::Arrival;
use crate::plan::{COMMIT, FAN_OUT, ROUND, STANDS, WANTS};
use crate::words::Word;

impl World {
    pub(super) fn happen(&mut self, thing: Thing) {
        match thing {
            Thing::Submit => self.submit(),
            Thing::Hear(from, to, word) => self.hear(from, to, word),
            Thing::End { at, fence } => {
                self.busy -= 1;
                self.step(at, Event::Done { fence, tokens: 1 });
            }
            Thing::EndLent { host, owner, slot, fence } => {
                (self.busy, self.busy_elsewhere) = (self.busy - 1, self.busy_elsewhere - 1);
                if self.places[host].loans.remove(&slot).is_some() {
                    self.say(host, owner, Word::Done(fence));
                    self.step(host, Event::Done { fence: slot, tokens: 1 });
                }
            }
            Thing::Look(at, when) if self.places[at].look == Some(when) => self.look(at),
            Thing::Look(..) => {}
            Thing::Expire { host, owner, until } => {
                if self.places[host].asks.get(&owner).is_some_and(|ask| ask.until <= until) {
                    self.replace(host, owner, &Need::default(), Vec::new());
                }
            }
            Thing::Committed(at) => {
                self.places[at].commits = self.places[at].writes > 0;
                if std::mem::take(&mut self.places[at].writes) > 0 {
                    self.counts.commits += 1;
                    self.after(COMMIT, Thing::Committed(at));
                }
            }
            Thing::Second => {
                for at in 0..self.places.len() {
                    self.step(at, Event::Tick);
                    let (free, tags) = (self.places[at].engine.free_slots(), self.places[at].engine.tags());
                    for to in (0..self.places.len()).filter(|to| *to != at) {
                        self.say(at, to, Word::Pulse(free));
                        self.say(at, to, Word::Tags(tags.clone()));
                    }
                }
                self.after(1_000, Thing::Second);
            }
        }
    }

    /// Submits what comes within this millisecond.
    fn submit(&mut self) {
        while let Some(arrival) = self.arrivals.before((self.now + 1) as f64) {
            self.submit_one(arrival);
        }
        self.after((self.arrivals.next() as u64).saturating_sub(self.now).max(1), Thing::Submit);
    }

    fn submit_one(&mut self, arrival: Arrival) {
        let Arrival { router, session, prefix } = arrival;
        // The routers in front of one queue have no engines of their own.
        let at = router * self.plan.engines / self.plan.routers;
        let task = Demand { session, prompt_tokens: 256, max_tokens: 320, bytes: 1_024, prefix, ..Demand::default() };
        let effects = self.timed(at, Event::Submit(Box::new(task)));
        let Some(Effect::Admitted { gid, .. }) = effects.first() else { panic!("{effects:?}") };
        self.came.insert((at, *gid), (self.now, session));
        self.write(at);
        self.act(at, &effects);
    }

    fn look(&mut self, at: usize) {
        let from = Instant::now();
        let wanted = self.places[at].engine.wanted(WANTS);
        self.looks.push(from.elapsed().as_nanos() as u64);
        let (now, count) = (self.now, self.places.len());
        let place = &mut self.places[at];
        (place.look, place.last_look) = (None, now);
        let Some(lane) = wanted.into_iter().next() else {
            place.first = None;
            let told: Vec<usize> = place.told.drain().map(|(host, _)| host).collect();
            for host in told {
                self.say(at, host, Word::Want(Need::default(), Vec::new()));
            }
            return;
        };
        let gids: Vec<Gid> = lane.wants.iter().map(|want| want.gid).collect();
        if place.first.is_none_or(|(first, _)| first != gids[0]) {
            place.first = Some((gids[0], now));
        }
        let first_for = now - place.first.map_or(now, |(_, since)| since);
        let breadth = match first_for {
            0..20 => FAN_OUT,
            20..40 => 2 * FAN_OUT,
            40..100 => 4 * FAN_OUT,
            more => 4 * FAN_OUT * (1 + more as usize / 100),
        };
        let mut hosts: Vec<usize> = (0..count).filter(|host| *host != at).collect();
        // The order of certificates, which differs from that of their numbers.
        let certificate = |host: usize| (host as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hosts.sort_by_key(|host| {
            (!place.told.contains_key(host), std::cmp::Reverse(place.free_of[*host]), certificate(*host))
        });
        hosts.truncate(breadth);
        let due: Vec<usize> = hosts
            .into_iter()
            .filter(|host| {
                let told = place.told.get(host);
                !told.is_some_and(|(tasks, when)| *tasks == gids && now - when < STANDS / 2)
            })
            .collect();
        for host in &due {
            place.told.insert(*host, (gids.clone(), now));
        }
        for host in due {
            self.say(at, host, Word::Want(lane.need.clone(), lane.wants.clone()));
        }
        self.look_at(at, now + ROUND);
    }

    /// Replaces the deputies of a router.
    fn replace(&mut self, at: usize, owner: usize, need: &Need, wants: Vec<Want>) {
        let until = self.now + STANDS;
        let ask = self.places[at].asks.entry(owner).or_default();
        ask.until = until;
        let gone: Vec<Gid> =
            ask.waiting.keys().copied().filter(|task| wants.iter().all(|want| want.gid != *task)).collect();
        let gone: Vec<Gid> = gone.iter().filter_map(|task| ask.waiting.remove(task)).collect();
        let new: Vec<Want> = wants.into_iter().filter(|want| !ask.waiting.contains_key(&want.gid)).collect();
        let stands = !new.is_empty() || !ask.waiting.is_empty();
        for gid in gone {
            self.places[at].deputies.remove(&gid);
            self.step(at, Event::Moved(gid));
        }
        for want in new {
            let task = want.gid;
            let deputy = Deputy { need: need.clone(), want };
            let effects = self.timed(at, Event::Deputy(Box::new(deputy)));
            let Some(Effect::Stands { gid }) = effects.first() else { panic!("{effects:?}") };
            self.places[at].deputies.insert(*gid, (owner, task));
            self.places[at].asks.entry(owner).or_default().waiting.insert(task, *gid);
            self.act(at, &effects);
        }
        if stands {
            self.after(STANDS, Thing::Expire { host: at, owner, until });
        }
    }

    fn hear(&mut self, from: usize, to: usize, word: Word) {
        match word {
            Word::Want(need, wants) => self.replace(to, from, &need, wants),
            Word::Pulse(free) => self.places[to].free_of[from] = free,
            Word::Tags(tags) => {
                for (band, tag) in tags {
                    self.step(to, Event::ServedElsewhere { band, tag });
                }
            }
            Word::Loan(slot, miner, _) => {
                let effects = self.step(to, Event::Borrow { miner, only: None });
                let used = effects.iter().find_map(|effect| match effect {
                    Effect::Offer { miner: given, fence, .. } if *given == miner => Some(*fence),
                    _ => None,
                });
                if let Some(fence) = used {
                    self.counts.used += 1;
                    self.counts.elsewhere += 1;
                    self.places[to].borrowed.insert(fence, self.now);
                    self.step(to, Event::Accept(fence));
                    self.say(to, from, Word::Use(slot, fence));
                } else {
                    self.counts.returned += 1;
                    self.say(to, from, Word::Return(slot));
                }
            }
            Word::Return(slot) => {
                if self.places[to].loans.remove(&slot).is_some() {
                    self.step(to, Event::Reject(slot));
                }
            }
            Word::Use(slot, fence) => {
                let Some(loan) = self.places[to].loans.get_mut(&slot) else { return };
                loan.1 = true;
                self.step(to, Event::Accept(slot));
                let took = self.service();
                (self.busy, self.busy_elsewhere) = (self.busy + 1, self.busy_elsewhere + 1);
                self.after(took, Thing::EndLent { host: to, owner: from, slot, fence });
            }
            Word::Done(fence) => {
                if self.places[to].borrowed.remove(&fence).is_some() {
                    self.step(to, Event::Done { fence, tokens: 1 });
                }
            }
        }
    }
}
