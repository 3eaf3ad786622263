//! Lends free slots of the own miners to other routers, and borrows theirs.
//!
//! A miner of another router has no slot of its own here: it is free only while [`Event::Borrow`](crate::Event::Borrow)
//! is handled, and each loan is good for one attempt.

use smallvec::SmallVec;

use super::Engine;
use super::abroad::Host;
use super::limits::Limits;
use crate::attempt::Attempt;
use crate::demand::Demand;
use crate::effect::{Effect, Role};
use crate::lane::{BACKGROUND, LaneKey, Place, Tag};
use crate::lend::{Deputy, Heir, Need, Want, Wanted};
use crate::line::Line;
use crate::miner::MinerEntry;
use crate::rules::MinerKey;
use crate::step::Step;
use crate::task::TaskEntry;
use crate::timer::Timer;
use cortensor_router_model::{Fence, Gid, SessionId, TaskState};

/// The greatest number of waiting tasks at which a look for own tasks ends, behind those that others' deputies take.
const LOOK: usize = 256;

impl Engine {
    /// Lets a task of another router stand in line here.
    pub(super) fn deputy(&mut self, deputy: Deputy, step: &mut Step) {
        let Deputy { need, mut want } = deputy;
        let gid = self.tasks.new_gid();
        step.push(Effect::Stands { gid });
        let demand = Demand {
            session: want.session,
            model: need.model.clone(),
            any_model: need.any_model,
            embedding: need.embedding,
            skills: need.skills,
            band: Some(want.band),
            prompt_tokens: want.prompt_tokens,
            max_tokens: want.max_tokens,
            shadow: true,
            prefix: std::mem::take(&mut want.prefix),
            ..Demand::default()
        };
        let lane = self.lane_of_deputies(LaneKey::of(&demand, need.mode, None), want.session, step);
        // A race is run by a miner for which nothing else waits.
        let (band, tag) = if want.races { (0, BACKGROUND) } else { (want.band, want.tag) };
        let place = Place::new(band, tag, step.now());
        self.tasks.insert(gid, TaskEntry::deputy(Box::new(demand), lane.clone(), place, &want));
        self.wait(gid, &lane, step);
    }

    /// Gives the task that needs it most a slot of a miner of another router, for one attempt. If no task can use it,
    /// no offer is among the effects. `only`: that router keeps the miner for this session.
    pub(super) fn borrow(&mut self, key: MinerKey, only: Option<SessionId>, step: &mut Step) {
        if !self.fleet.get(key).is_some_and(|miner| miner.rules().is_foreign()) {
            return;
        }
        // The loan is that router's latest word about the miner.
        self.kept_elsewhere(key, only);
        self.set_borrowed(key, true);
        let Some(miner) = self.fleet.get(key).filter(|miner| miner.is_free()) else {
            return self.set_borrowed(key, false);
        };
        let mut lanes: Vec<LaneKey> = self.line.lanes().filter(|lane| miner.could_serve(lane)).cloned().collect();
        lanes.sort_by_key(|lane| self.line.head(lane));
        let mut window = std::mem::take(&mut self.window);
        for lane in lanes {
            while self.fleet.get(key).is_some_and(MinerEntry::is_free) {
                window.clear();
                window.extend(self.own_tasks(&lane).take(self.settings.scan_window));
                let band =
                    window.first().and_then(|(_, gid)| self.tasks.get(*gid)).map_or(0, |task| task.place().band());
                let virtual_time = self.line.virtual_time(band);
                let Some((gid, miner)) = self.choose(&lane, &window, virtual_time, step.now()) else { break };
                self.offer(gid, miner, false, step);
            }
        }
        self.window = window;
        self.race_at(key, step);
        self.set_borrowed(key, false);
    }

    fn set_borrowed(&mut self, key: MinerKey, borrowed: bool) {
        if let Some(miner) = self.fleet.get_mut(key) {
            miner.set_borrowed(borrowed);
        }
        self.fleet.reindex(key);
    }

    /// The first waiting tasks of a lane that are this router's own, in the order in which they are served.
    fn own_tasks<'a>(&'a self, lane: &LaneKey) -> impl Iterator<Item = (Tag, Gid)> + use<'a> {
        let is_own = |gid: &Gid| self.tasks.get(*gid).is_some_and(|task| !task.is_deputy());
        self.line.in_order(lane).take(LOOK).filter(move |(_, gid)| is_own(gid))
    }

    /// Whether tasks wait that a miner of another router might serve, or might race for.
    pub fn may_borrow(&self) -> bool {
        self.fleet.has_foreign() && (!self.line.is_empty() || self.tasks.is_any_slow())
    }

    /// The tasks that wait although other routers have miners for them: at most `most` of each lane.
    pub fn wanted(&self, most: usize) -> Vec<Wanted> {
        if self.closed || !self.may_borrow() {
            return Vec::new();
        }
        let mut all: Vec<Wanted> = Vec::new();
        for lane in self.line.lanes() {
            let Ok(limits) = self.limits(lane) else { continue };
            let hosts = self.hosts(lane, limits.as_ref());
            if hosts.is_empty() {
                continue;
            }
            let own = self.own_tasks(lane).filter_map(|(tag, gid)| self.want(tag, gid, &hosts, limits.as_ref()));
            let wants: Vec<Want> = own.take(most).collect();
            if wants.is_empty() {
                continue;
            }
            let need = lane.to_need();
            // Sessions with lanes of their own may need the same.
            match all.iter_mut().find(|wanted| wanted.need == need) {
                Some(wanted) => {
                    wanted.wants.extend(wants);
                    wanted.wants.sort_by_key(|want| (std::cmp::Reverse(want.band), want.tag, want.gid));
                    wanted.wants.truncate(most);
                }
                None => all.push(Wanted { need, wants }),
            }
        }
        self.want_races(most, &mut all);
        all
    }

    /// The word for a task that waits and that miners of some of these routers may have.
    fn want(&self, tag: Tag, gid: Gid, hosts: &[Host<'_>], limits: Option<&Limits<'_>>) -> Option<Want> {
        let task = self.tasks.get(gid).filter(|task| task.wants_miner() && !task.demand().shadow)?;
        let want = Want { tag, apart: task.answerers().all().collect(), ..Self::word(gid, task) };
        self.addressed(want, task, hosts, limits, |_| true)
    }

    /// The word for a task, to nobody yet.
    pub(super) fn word(gid: Gid, task: &TaskEntry) -> Want {
        let demand = task.demand();
        Want {
            gid,
            band: task.place().band(),
            tag: task.place().tag(),
            session: task.session(),
            prompt_tokens: demand.prompt_tokens,
            max_tokens: demand.max_tokens,
            prefix: demand.prefix.iter().rev().take(8).rev().copied().collect(),
            continues: task.is_continuing(),
            races: false,
            apart: Vec::new(),
            hosts: Vec::new(),
        }
    }

    /// The word to those of these routers that have miners that may have the task and that `may` accepts.
    pub(super) fn addressed(
        &self,
        want: Want,
        task: &TaskEntry,
        hosts: &[Host<'_>],
        limits: Option<&Limits<'_>>,
        may: impl Fn(&MinerEntry) -> bool,
    ) -> Option<Want> {
        let (lane, worst) = (task.lane(), self.worst_fit(task, limits)?);
        let may_have = |miner: &MinerEntry| {
            let fits = miner.fit(lane).is_some_and(|fit| fit <= worst);
            fits && may(miner) && (task.is_new() || self.may_have(task, miner, worst))
        };
        let has_one =
            |host: &&Host<'_>| host.miners().any(|(_, key)| self.lends(key, lane, limits).is_some_and(may_have));
        let mut hosts: Vec<u32> = hosts.iter().filter(has_one).map(Host::number).collect();
        if hosts.is_empty() {
            return None;
        }
        hosts.sort_unstable();
        hosts.dedup();
        Some(Want { hosts, ..want })
    }

    /// The tag of each band with which a task that came in now would begin, for other routers.
    pub fn tags(&self) -> Vec<(u8, u64)> {
        self.line.tags()
    }

    /// Notes that another router serves tags from that one on.
    pub(super) fn served_elsewhere(&mut self, band: u8, tag: Tag) {
        if tag < BACKGROUND {
            self.line.serve(Place::new(band, tag, cortensor_router_model::Timestamp(0)));
        }
    }

    /// The tag with which a task of an idle session begins in that lane. Where routers lend each other slots it must not
    /// run ahead of the tasks that are known to wait, because others count from their own.
    pub(super) fn begins_at(queue: &Line, shares: bool, lane: &LaneKey, band: u8) -> Tag {
        let least = if shares { queue.least(lane, band) } else { None };
        least.unwrap_or_else(|| queue.virtual_time(band))
    }

    /// Whether this router and others lend each other slots.
    pub(super) fn shares(&self) -> bool {
        self.fleet.has_foreign() || self.tasks.deputies() > 0
    }

    /// Ends the loan of a slot: the deputy that got it is over, and the slot is the own router's again. `false`: the
    /// attempt is not a loan.
    pub(super) fn end_loan(&mut self, fence: Fence, step: &mut Step) -> bool {
        let Some((gid, task)) = self.tasks.of_attempt(fence) else { return false };
        if !task.is_deputy() {
            return false;
        }
        let Some(attempt) = self.tasks.lose(gid, fence) else { return false };
        let (due, timer) = attempt.timer();
        self.timers.clear(due, timer);
        self.forget_deputy(gid);
        self.release(gid, attempt.miner(), fence, step);
        true
    }

    /// Notes how an attempt on a lent slot went.
    pub(super) fn loan_done(&mut self, fence: Fence, tokens: u64, step: &mut Step) -> bool {
        let Some((_, task, attempt)) = self.tasks.attempt(fence) else { return false };
        if !task.is_deputy() {
            return false;
        }
        let (key, took) = (attempt.miner(), attempt.took(step.now()));
        self.fleet.succeeded(key, tokens, took);
        self.end_loan(fence, step)
    }

    /// Takes a task in whose only attempt a miner here works on, or has just finished. Its slot was lent so far.
    pub(super) fn inherit(&mut self, heir: Heir, step: &mut Step) {
        let Heir { gid, id, mut demand, fence, slot, miner: key, begun } = heir;
        self.end_loan_quietly(slot);
        if self.fleet.get(key).is_none() {
            return self.restore(gid, id, demand, step);
        }
        self.tasks.skip(gid);
        self.sessions.entry(demand.session).skip(id);
        let session = demand.session;
        demand.held = false;
        let lane = self.lane_of(&demand);
        if !self.register(gid, demand, &lane, step) {
            return;
        }
        let (Some(task), Some(miner)) = (self.tasks.get_mut(gid), self.fleet.get_mut(key)) else { return };
        miner.started(fence);
        let due = task.silent_until(step.now(), self.settings.progress_timeout_ms);
        let mut attempt = Attempt::offered(fence, key, true, due, step.now());
        if begun {
            attempt.begin(step.now());
            if let Some(deadline) = task.lift_deadline() {
                self.timers.clear(deadline, Timer::Deadline(gid));
            }
        }
        let (due, timer) = attempt.timer();
        self.timers.set(due, timer);
        self.tasks.begin(gid, attempt, Role::Primary, miner.rules());
        self.fleet.reindex(key);
        if let Some(entry) = self.sessions.get_mut(session) {
            entry.served_by(key);
        }
        if lane.own().is_some() {
            self.sessions.started_working(session, key);
        }
        step.push(Effect::State { gid, state: TaskState::Acked });
    }

    /// Ends a loan without giving the slot to another task.
    fn end_loan_quietly(&mut self, slot: Fence) {
        let Some((deputy, _)) = self.tasks.of_attempt(slot).filter(|(_, task)| task.is_deputy()) else { return };
        let Some(attempt) = self.tasks.lose(deputy, slot) else { return };
        let (due, timer) = attempt.timer();
        self.timers.clear(due, timer);
        self.forget_deputy(deputy);
        if let Some(miner) = self.fleet.get_mut(attempt.miner()) {
            miner.stopped(slot);
        }
        self.fleet.reindex(attempt.miner());
    }

    /// Whether the attempt with that fence is all that works on its task: one answer is wanted, and no other attempt had
    /// a part in it.
    pub fn is_sole(&self, fence: Fence) -> bool {
        self.tasks.attempt(fence).is_some_and(|(_, task, _)| {
            let is_plain = !task.redundant() && !task.is_recheck() && !task.is_deputy() && !task.demand().shadow;
            is_plain && task.demand().required == 1 && task.attempts().len() == 1 && task.streams(fence)
        })
    }

    fn forget_deputy(&mut self, gid: Gid) {
        self.dequeue(gid);
        if let Some(task) = self.tasks.get_mut(gid).filter(|task| !task.is_ending()) {
            task.end();
        }
        self.over(gid);
    }

    /// The deputies that wait or hold a slot, for the simulator.
    pub fn deputies(&self) -> u32 {
        self.tasks.deputies()
    }

    /// The slots that are lent to other routers at present.
    pub fn lent(&self) -> SmallVec<[Fence; 8]> {
        let lent = self.tasks.iter().filter(|(_, task)| task.is_deputy());
        lent.flat_map(|(_, task)| task.attempts().iter().map(Attempt::fence)).collect()
    }
}

impl LaneKey {
    /// The needs of the lane's tasks, whatever their session is.
    pub(super) fn to_need(&self) -> Need {
        Need {
            model: self.model().cloned(),
            any_model: self.takes_any_model(),
            embedding: self.is_for_embeddings(),
            skills: self.skills(),
            mode: self.mode(),
        }
    }
}
