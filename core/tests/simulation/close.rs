//! A router that closes in order: it gives no task to a miner any more, and leaves each task that is kept unfinished in
//! its store, whatever the miners do until the process ends.

use std::collections::BTreeSet;

use cortensor_router::internals::engine::{Effect, Event};
use cortensor_router::model::Gid;

use crate::world::{Happening, World, Write};

/// The time that a router has between the first step of its close and the end of its process.
const LINGERS_MS: u64 = 8_000;

/// The close of a world's router.
#[derive(Debug)]
pub(crate) struct Close {
    /// The tasks that run again at the next start.
    kept: BTreeSet<Gid>,
}

impl World {
    /// Closes the router: tasks that nobody waits for are kept, and all others are cancelled.
    fn closes(&mut self) -> Result<(), String> {
        let unfinished = || self.live.iter().filter(|(_, task)| !task.finishing);
        let stays = |gid: &Gid| self.disk.contains_key(gid);
        let (kept, others): (Vec<_>, Vec<_>) = unfinished()
            .map(|(gid, task)| (*gid, task.shadow() || !task.row.spec.attached && stays(gid)))
            .partition(|(_, kept)| *kept);
        let kept: Vec<Gid> = kept.into_iter().map(|(gid, _)| gid).collect();
        self.closed = Some(Close { kept: kept.iter().copied().collect() });
        self.step(Event::Close(kept.clone()))?;
        for gid in kept {
            self.live.remove(&gid);
        }
        others.into_iter().try_for_each(|(gid, _)| self.step(Event::Cancel(gid)))
    }

    /// Whether the router still hears of this after its close began.
    fn lingers(happening: &Happening) -> bool {
        !matches!(
            happening,
            Happening::Submit { .. }
                | Happening::Cancel(_)
                | Happening::Attach(_)
                | Happening::Return(_)
                | Happening::WritesAgain(_)
                | Happening::Crash
        )
    }

    /// After the close began no miner gets a task, and no task that is kept gets an end.
    pub(crate) fn check_closed(&self, effects: &[Effect]) -> Result<(), String> {
        let Some(Close { kept }) = &self.closed else { return Ok(()) };
        let wrong = effects.iter().find(|effect| match effect {
            Effect::Offer { .. } | Effect::Admitted { .. } | Effect::Recheck { .. } => true,
            Effect::Finish { gid, .. } | Effect::Ended { gid } | Effect::Lost { gid } => kept.contains(gid),
            _ => false,
        });
        wrong.map_or(Ok(()), |effect| Err(format!("the router closes, and the engine asks for {effect:?}")))
    }

    /// Runs the world until the router has closed. Gives the number of tasks that are kept.
    fn run_to_close(mut self, closes_at: u64) -> Result<u64, String> {
        self.plan_events();
        self.start_engine()?;
        while let Some((at, happening)) = self.next_happening() {
            if self.closed.is_none() && at >= closes_at {
                self.now = closes_at;
                self.closes()?;
                self.check()?;
            }
            if at > closes_at + LINGERS_MS {
                break;
            }
            self.now = at;
            if self.closed.is_none() || Self::lingers(&happening) {
                self.happen(&happening)?;
                self.check()?;
            }
            self.plan_tick();
        }
        let kept = self.closed.as_ref().map(|close| close.kept.clone()).unwrap_or_default();
        let asked =
            |gid: &Gid| self.unwritten.iter().any(|(_, write)| matches!(write, Write::Finish(of, ..) if of == gid));
        match kept.iter().find(|gid| asked(gid) || self.disk.get(gid).is_some_and(|row| row.end.is_some())) {
            Some(gid) => Err(format!("task {gid} is kept for the next start, and ended in the store")),
            None => Ok(kept.len() as u64),
        }
    }
}

#[test]
fn a_closed_router_leaves_no_kept_task_ended_and_offers_none() {
    let mut kept = 0;
    for seed in 0..300 {
        let closes_at = World::START + 200 + seed * 37 % 6_000;
        kept +=
            World::new(seed, false).run_to_close(closes_at).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
    }
    assert!(kept > 300, "{kept} tasks were kept");
}
