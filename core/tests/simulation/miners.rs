//! The miners of a world: they join, accept offers, answer, and are lost.

use std::collections::BTreeMap;

use cortensor_router::internals::engine::{Blame, BreakerState, Event, MinerKey, Role};
use cortensor_router::model::{Fence, Gid};

use crate::answers::Heard;
use crate::world::{Act, Happening, LiveMiner, MIN_REPUTATION, Plan, World};

/// The time after which a miner that was lost comes back.
pub(crate) const REJOINS_AFTER: u64 = 500;

impl World {
    /// Connects a miner that is absent: a new one, or one that was lost.
    pub(crate) fn join(&mut self) -> Result<(), String> {
        let absent: Vec<_> = self
            .identities
            .iter()
            .filter(|who| match who.dials {
                Some(_) => !self.dial.processes.values().any(|process| process.who.name == who.name),
                None => !self.miners.values().any(|miner| miner.who.name == who.name),
            })
            .cloned()
            .collect();
        if absent.is_empty() {
            return Ok(());
        }
        let who = absent[self.random.range(0, absent.len() as u64 - 1) as usize].clone();
        if who.dials.is_some() {
            self.start_process(who, None);
            return Ok(());
        }
        let key = MinerKey(self.next_miner);
        self.next_miner += 1;
        let auto = self.random.chance(50);
        let capacity = self.random.range(1, 3) as u32;
        let rules = who.rules(capacity, auto);
        self.miners.insert(key, LiveMiner { who, auto, slots: capacity, capacity, outstanding: BTreeMap::new() });
        self.step(Event::MinerUp(key, rules))
    }

    /// Disconnects a miner that has not dialled in. It comes back later.
    pub(crate) fn leave(&mut self, key: MinerKey) -> Result<(), String> {
        if !self.miners.contains_key(&key) || self.dial.id_of(key).is_some() {
            return Ok(());
        }
        self.report.miners_lost += 1;
        self.gone(key)?;
        self.after(REJOINS_AFTER, Happening::MinerJoins);
        Ok(())
    }

    /// Removes a miner: its attempts are lost.
    pub(crate) fn gone(&mut self, key: MinerKey) -> Result<(), String> {
        let Some(miner) = self.miners.remove(&key) else { return Ok(()) };
        self.dead.extend(miner.outstanding.keys());
        for (fence, gid) in &miner.outstanding {
            if let Some(task) = self.live.get_mut(gid) {
                self.report.cut_off += u64::from(task.transcript.takes(*fence) && task.transcript.begun());
                task.transcript.seal_of(*fence);
            }
        }
        self.step(Event::MinerGone(key))
    }

    pub(crate) fn offered(&mut self, gid: Gid, key: MinerKey, fence: Fence, role: Role) -> Result<(), String> {
        if !self.fences.insert(fence) {
            return Err(format!("I3: the fence {fence} was given out twice"));
        }
        self.check_rules(gid, key, role)?;
        let Some(task) = self.live.get_mut(&gid) else {
            return Err(format!("task {gid} was offered, but is not known"));
        };
        let Some(miner) = self.miners.get_mut(&key) else {
            return Err(format!("task {gid} was offered to a miner that is gone"));
        };
        let mut said = 0;
        match role {
            Role::Primary => {
                task.transcript.begin(fence);
                task.tainted = false;
            }
            Role::Continue => {
                task.transcript.resume(fence);
                said = task.transcript.text().split_whitespace().count();
                self.report.continued += 1;
            }
            Role::Hedge => {
                task.transcript.race(fence);
                self.report.hedges += 1;
            }
            Role::Aside => {}
        }
        if matches!(role, Role::Primary | Role::Continue) {
            task.primary = Some(fence);
        }
        miner.outstanding.insert(fence, gid);
        if miner.outstanding.len() > miner.capacity as usize {
            return Err(format!("I6: miner {key:?} has more tasks than credits"));
        }
        let of = task.answers_for.unwrap_or(gid);
        let plan = Plan {
            pieces: miner.who.says(of, said),
            aside: role == Role::Aside,
            hedge: role == Role::Hedge,
            spoke: false,
        };
        let (auto, pieces, epoch) = (miner.auto, plan.pieces.len(), self.epoch);
        self.plans.insert(fence, plan);
        if role != Role::Hedge
            && let Some(view) = self.engine.task(gid)
        {
            self.charge(gid, view.cost);
        }
        if self.offer_remote(key, fence, gid, of, role) {
            return Ok(());
        }
        for (at, act) in self.acts(auto, pieces) {
            let happening = match act {
                Act::Leave => Happening::MinerLeaves(key),
                act => Happening::Miner(key, epoch, fence, gid, act),
            };
            self.at(at, happening);
        }
        Ok(())
    }

    /// The acts of a miner for an attempt whose answer has so many pieces, each with its time.
    pub(crate) fn acts(&mut self, auto: bool, pieces: usize) -> Vec<(u64, Act)> {
        let mut at = self.now + self.random.range(1, 50);
        let mut acts = Vec::new();
        if !auto {
            match self.random.range(0, 19) {
                0 => return acts, // says nothing
                1 => return vec![(at, Act::Reject)],
                _ => acts.push((at, Act::Accept)),
            }
        }
        // Sometimes a first token is slow to come, and sometimes the answer comes in one piece.
        if self.random.chance(15) {
            at += 1_500;
            if self.random.chance(40) {
                acts.push((at, Act::Fail(Blame::Overload)));
                return acts;
            }
        }
        let in_pieces = self.random.chance(80);
        let end = self.random.range(0, 19);
        let stops_after = if end < 5 { self.random.range(0, pieces as u64) as usize } else { pieces };
        if in_pieces {
            for n in 0..stops_after {
                at += self.random.range(1, 400);
                acts.push((at, Act::Token(n)));
            }
        }
        at += self.random.range(1, 200);
        match end {
            0 => self.report.silent += 1,
            1 => {
                self.report.upstream_failures += 1;
                let blame = if self.random.chance(70) { Blame::Miner } else { Blame::Barred };
                acts.push((at, Act::Fail(blame)));
            }
            2 => {
                let blame = if self.random.chance(70) { Blame::Overload } else { Blame::Unfit };
                self.report.overloaded_upstreams += u64::from(blame == Blame::Overload);
                acts.push((at, Act::Fail(blame)));
            }
            3 if self.random.chance(50) => {
                acts.push((at, Act::Fail(if at.is_multiple_of(2) { Blame::Request } else { Blame::Context })));
            }
            3 | 4 => acts.push((at, Act::Leave)),
            _ => acts.push((at, Act::Done)),
        }
        acts
    }

    pub(crate) fn miner_acts(
        &mut self,
        key: MinerKey,
        epoch: u64,
        fence: Fence,
        gid: Gid,
        act: Act,
    ) -> Result<(), String> {
        if let Some(on_the_way) = self.cut.get_mut(&key) {
            on_the_way.push(Happening::Miner(key, epoch, fence, gid, act));
            return Ok(());
        }
        let stale = epoch != self.epoch || self.is_stale(key, fence);
        let event = match act {
            Act::Accept => Event::Accept(fence),
            Act::Reject => Event::Reject(fence),
            Act::Token(n) => {
                let Some(text) = self.plans.get(&fence).map(|plan| plan.pieces[n].clone()) else { return Ok(()) };
                match self.piece(key, fence, gid, &text, None, stale)? {
                    Heard::Told(event) | Heard::Late(event) => event,
                    Heard::Unwanted => return Ok(()),
                }
            }
            Act::Done => {
                let claim = self.claim();
                let whole = self.plans.get(&fence).map(|plan| plan.pieces.concat()).unwrap_or_default();
                let Some(event) = self.done(key, fence, gid, stale, (Some(&whole), &whole), claim)? else {
                    return Ok(());
                };
                event
            }
            Act::Fail(blame) => Event::Fail { fence, blame },
            Act::Leave | Act::Stopped => return Ok(()),
        };
        let ends = matches!(act, Act::Done | Act::Fail(_) | Act::Reject);
        self.tell_as(key, fence, event, ends, stale)?;
        // A network sometimes delivers a frame twice.
        if matches!(act, Act::Done) && self.random.chance(20) {
            self.report.duplicates += 1;
            self.after(self.now % 7, Happening::Miner(key, epoch, fence, gid, act));
        }
        Ok(())
    }

    /// Checks that a miner may have a task, by the rules of its session and of redundancy.
    fn check_rules(&mut self, gid: Gid, key: MinerKey, role: Role) -> Result<(), String> {
        let (Some(task), Some(miner), Some(view)) =
            (self.live.get(&gid), self.miners.get(&key), self.engine.miner(key))
        else {
            return Ok(());
        };
        let session = task.row.session;
        let rules = crate::people::session_rules(session.0);
        if !task.shadow() && !rules.mode.takes(miner.who.dedicated) {
            return Err(format!("task {gid} of session {session} went to a miner of the wrong kind"));
        }
        if view.reserved.is_some_and(|kept| kept != session) && !task.shadow() {
            return Err(format!("task {gid} went to a miner that is kept for session {:?}", view.reserved));
        }
        self.report.reserved_offers += u64::from(view.reserved == Some(session));
        if view.reputation < MIN_REPUTATION {
            return Err(format!("task {gid} went to a miner whose reputation is {}", view.reputation));
        }
        let of_session = |gid: &Gid| self.live.get(gid).is_some_and(|t| t.row.session == session && !t.row.spec.shadow);
        let working = self.miners.iter().filter(|(k, m)| **k == key || m.outstanding.values().any(of_session)).count();
        if !task.shadow() && rules.max_miners.is_some_and(|most| working as u32 > most.get()) {
            return Err(format!("{working} miners work for session {session}"));
        }
        if role == Role::Continue && !miner.who.continues {
            return Err(format!("task {gid} was to go on with a miner that cannot"));
        }
        self.check_distinct(gid, key, role)
    }

    /// I7: the answers to one task come from different miners, and from different owners where there are any.
    fn check_distinct(&self, gid: Gid, key: MinerKey, role: Role) -> Result<(), String> {
        let (Some(task), Some(miner)) = (self.live.get(&gid), self.miners.get(&key)) else { return Ok(()) };
        let others = || self.miners.iter().filter(|(k, m)| **k != key && m.outstanding.values().any(|g| *g == gid));
        let same = self.miners.get(&key).is_some_and(|m| m.outstanding.values().any(|g| *g == gid));
        let used: Vec<_> =
            task.answers.iter().map(|given| &given.who).chain(others().map(|(_, miner)| &miner.who)).collect();
        if same || used.iter().any(|who| who.name == miner.who.name) {
            return Err(format!("I7: task {gid} went twice to the miner {}", miner.who.name));
        }
        let owned = |owner: &str| !owner.is_empty() && used.iter().any(|who| &*who.owner == owner);
        if role == Role::Hedge || task.row.spec.required < 2 || !owned(&miner.who.owner) {
            return Ok(());
        }
        let rules = crate::people::session_rules(task.row.session.0);
        let another = self.miners.iter().find(|(other, m)| {
            let Some(view) = self.engine.miner(**other) else { return false };
            rules.mode.takes(m.who.dedicated)
                && view.credits > 0
                && !view.set_aside
                && !matches!(view.breaker, BreakerState::Open(_))
                && view.reserved.is_none()
                && !used.iter().any(|who| who.name == m.who.name)
                && !task.stopped.contains(&m.who.name)
                && !self.offered_now.contains(&(gid, **other))
                && !owned(&m.who.owner)
        });
        match another {
            Some((other, _)) => {
                Err(format!("I7: task {gid} went to one owner twice although miner {other:?} is another's"))
            }
            None => Ok(()),
        }
    }
}
