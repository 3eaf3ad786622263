//! The rules that hold in a world after every event: for all that the event has touched, and after each 64th event for
//! everything.

use std::collections::BTreeSet;

use cortensor_router::model::{Gid, SessionId};

use crate::network::Connection;
use crate::people::session_rules;
use crate::world::{MAX_QUEUED, World};

/// The number of events after which everything is checked, whether it was touched or not.
const EACH: u64 = 64;
/// The engine counts all that it has anew after each event of this many that has reached it. The count takes half of the
/// time of a world if it comes after every event.
const RECOUNTED: u64 = 16;
/// How far one session may get ahead of another, in two of the largest tasks. Tasks of other sessions move the virtual
/// time, too, and a task that comes back to the queue keeps its place.
const MOST_AHEAD: f64 = 2.0;
/// The slots of all miners together.
const SLOTS: u64 = 8 * 3;

impl World {
    /// Checks what the present event may have changed.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        let everything = self.report.events.is_multiple_of(EACH);
        self.check_deadlines()?;
        let stepped = std::mem::take(&mut self.stepped);
        if everything || stepped && self.report.events.is_multiple_of(RECOUNTED) {
            self.engine.check()?;
        }
        // I9: a task that comes back to the queue had a slot, or waited at the last start, or its end was lost.
        let most = self.restored.max(MAX_QUEUED) + self.refused.reruns + SLOTS;
        if self.engine.queued() > most {
            return Err(format!("I9: {} tasks wait, and at most {most} may", self.engine.queued()));
        }
        self.check_network(everything)?;
        if stepped {
            self.check_miners()?;
            self.check_shares()?;
        }
        self.check_kept()?;
        let touched = std::mem::take(&mut self.touched);
        if !everything {
            return touched.iter().try_for_each(|gid| self.check_task(*gid));
        }
        self.live.keys().try_for_each(|gid| self.check_task(*gid))?;
        // I2: an end that was told stands as it was told.
        match self
            .told_ends
            .iter()
            .find(|(gid, told)| self.disk.get(gid).and_then(|row| row.end.as_ref()) != Some(told))
        {
            Some((gid, _)) => Err(format!("I2: the end of task {gid} changed after it was told")),
            None => Ok(()),
        }
    }

    /// I7 and I9 for one task.
    fn check_task(&self, gid: Gid) -> Result<(), String> {
        let Some(task) = self.live.get(&gid) else { return Ok(()) };
        task.transcript.check().map_err(|broken| format!("I9: the transcript of task {gid}: {broken}"))?;
        let working = self.miners.values().filter(|miner| miner.outstanding.values().any(|of| *of == gid));
        let mut names = BTreeSet::new();
        let given = task.answers.iter().map(|given| &given.who.name);
        match working.map(|miner| &miner.who.name).chain(given).find(|name| !names.insert(*name)) {
            Some(name) => Err(format!("I7: the miner {name} has task {gid} twice")),
            None => Ok(()),
        }
    }

    /// I6: no miner has more tasks than it has room for, and all that it has is in force.
    fn check_miners(&self) -> Result<(), String> {
        for (key, miner) in &self.miners {
            let Some(view) = self.engine.miner(*key) else {
                return Err(format!("the engine does not know the miner {key:?}"));
            };
            // The router may take room away while it is in use.
            if miner.outstanding.len() as u32 > view.in_flight {
                return Err(format!("I6: miner {key:?} has {} tasks", miner.outstanding.len()));
            }
            if view.in_flight > miner.slots {
                return Err(format!("I6: miner {key:?} has {} tasks and no room for them", view.in_flight));
            }
        }
        Ok(())
    }

    /// I9: what the router keeps for miners that dialled in is bounded.
    fn check_network(&mut self, everything: bool) -> Result<(), String> {
        let touched = std::mem::take(&mut self.dial.touched);
        if everything {
            self.dial.connections.values().try_for_each(Connection::check)?;
        } else {
            touched.iter().filter_map(|number| self.dial.connections.get(number)).try_for_each(Connection::check)?;
        }
        for (id, seat) in &self.dial.seats {
            seat.occupancy.session().check().map_err(|broken| format!("I9: the seat of {id}: {broken}"))?;
        }
        Ok(())
    }
}

/// The service that two sessions with equal needs got while tasks of both waited all the time.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    /// The costs by weight.
    served: [f64; 2],
    /// The largest task of each, by weight.
    largest: [f64; 2],
    /// The tasks that were charged to their sessions.
    charged: BTreeSet<Gid>,
    both_wait: bool,
    /// Whether a task has left the queue without an offer.
    spoiled: bool,
}

impl World {
    /// Charges a task to its session when it first leaves the queue.
    pub(crate) fn charge(&mut self, gid: Gid, cost: u64) {
        let Some(task) = self.live.get(&gid).filter(|task| !task.shadow()) else { return };
        let SessionId(session @ 0..2) = task.row.session else { return };
        if !self.strict || !self.shares.charged.insert(gid) {
            return;
        }
        self.shares.served[session as usize] += cost as f64 / f64::from(session_rules(session).weight);
    }

    /// Notes that a task runs again, and pays again for its place.
    pub(crate) fn uncharge(&mut self, gid: Gid) {
        self.shares.charged.remove(&gid);
    }

    /// Notes the end of a task. If it was never offered, the later tasks of its session keep the places behind it, and the
    /// shares cannot be compared until the next start.
    pub(crate) fn leaves_the_queue(&mut self, gid: Gid) {
        let counts = self.live.get(&gid).is_some_and(|task| task.row.session.0 < 2 && !task.shadow());
        self.shares.spoiled |= counts && !self.shares.charged.contains(&gid);
    }

    /// Notes the cost of a task that was admitted.
    pub(crate) fn weigh(&mut self, gid: Gid, session: SessionId) {
        if let (SessionId(session @ 0..2), Some(view)) = (session, self.engine.task(gid)) {
            let cost = view.cost as f64 / f64::from(session_rules(session).weight);
            let largest = &mut self.shares.largest[session as usize];
            *largest = largest.max(cost);
        }
    }

    /// I10: while tasks of both sessions wait, neither gets more than two of the largest tasks ahead of its share. Only
    /// where a free miner takes the first task that waits; else it may choose among several.
    fn check_shares(&mut self) -> Result<(), String> {
        if !self.strict {
            return Ok(());
        }
        let waits = |session: u64| {
            let mut tasks =
                self.live.iter().filter(|(_, task)| task.row.session == SessionId(session) && !task.shadow());
            tasks.any(|(gid, _)| self.engine.task(*gid).is_some_and(|view| view.queue_position.is_some()))
        };
        // The place of a task that waits for the store is used only when it comes to the queue.
        let held = self.live.values().any(|task| task.row.spec.held && task.row.session.0 < 2 && !task.finishing);
        let both = waits(0) && waits(1) && !held && !self.shares.spoiled;
        let before = std::mem::replace(&mut self.shares.both_wait, both);
        if !(both && before) {
            self.shares.served = [0.0; 2];
            return Ok(());
        }
        let [one, other] = self.shares.served;
        let most = self.shares.largest[0] + self.shares.largest[1];
        self.report.shared += u64::from(one > 0.0 && other > 0.0);
        if (one - other).abs() > MOST_AHEAD * most {
            return Err(format!("I10: sessions 0 and 1 were served {one} and {other}, and may differ by {most}"));
        }
        Ok(())
    }
}
