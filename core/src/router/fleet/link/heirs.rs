//! Tasks of a router that has died, whose attempts run at miners of this one: this router goes on with them.
//!
//! It has every piece so far with the number that the piece had at the dead router, so that a reader who resumes misses
//! nothing, and the miner is not told at all. It claims such a task as soon as its owner is declared gone, two seconds before
//! all others may.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::frame::WireHeir;
use super::partner::Partner;
use crate::engine::{Heir, MinerKey, Role};
use crate::miner::{Job, JobSink as _, MinerEvent};
use crate::model::{Fence, Gid, OnFailure, Task};
use crate::router::admit::{Admitted, Entrant, Origin};
use crate::router::attempt::Attempt;
use crate::router::shared::Shared;
use crate::store::{ClaimWish, Claimed};
use crate::{ErrorKind, Result};

/// The time beyond a lease within which the others hear that a router is gone.
const HEARD: Duration = Duration::from_secs(2);

/// The pause before a claim that failed is tried again, once.
const PAUSE: Duration = Duration::from_millis(500);

/// A task with which this router may go on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    pub(super) gid: Gid,
    /// The number before the first piece of its text.
    pub(super) base: u64,
    /// The slot of this router's miner.
    pub(super) slot: u64,
    pub(super) miner: MinerKey,
    /// The time at which it was told. Its offer comes a little later.
    pub(super) since: Instant,
}

impl Shared {
    /// The word to the router of a borrowed miner by which it may go on with a task should this router die. `None`: it must
    /// not, because other attempts may have a part in the answer.
    pub(super) fn heir_of(&self, job: &Job) -> Option<WireHeir> {
        let info = job.info();
        if info.partial.is_some() || self.settings.now().dispatch.hedge_after_p95 {
            return None;
        }
        let live = {
            let core = self.core.lock();
            core.engine.is_sole(info.fence).then(|| core.live.get(&info.gid).cloned())??
        };
        // The pieces of a text that another miner continues follow the numbers of this one.
        if live.spec.shadow || live.spec.on_failure == OnFailure::Continue {
            return None;
        }
        let mut state = live.state.lock();
        state.is_bequeathed = true;
        Some(WireHeir { gid: info.gid, base: state.transcript.base() })
    }

    /// Goes on with the tasks of a router that is gone, and ends all else that it has here.
    pub(super) fn bury(self: &Arc<Self>, partner: Arc<Partner>) {
        if !partner.begin_burial() {
            return;
        }
        let expected = partner.expected();
        if expected.is_empty() || !self.takes_tasks() {
            partner.leave(None);
            return partner.settle();
        }
        let shared = self.clone();
        self.attend(async move {
            let gids: Vec<Gid> = expected.iter().map(|(_, task)| task.gid).collect();
            let mut claimed = shared.claim_as_heir(&gids).await;
            if claimed.is_err() {
                tokio::time::sleep(PAUSE).await;
                claimed = shared.claim_as_heir(&gids).await;
            }
            match claimed {
                Ok(claimed) => shared.go_on_with(&partner, &expected, claimed).await,
                Err(error) => {
                    tracing::warn!(router = &*partner.name, %error, "the tasks of a router that is gone were not taken over");
                }
            }
            partner.leave(None);
            partner.settle();
        });
    }

    async fn claim_as_heir(&self, gids: &[Gid]) -> Result<Claimed> {
        let Some((fleet, _)) = self.fleet() else { return Ok(Claimed::default()) };
        let (limit, among) = (gids.len() as u64, gids.to_vec());
        fleet.claim(ClaimWish { limit, among, at_once: true, ..ClaimWish::default() }).await
    }

    async fn go_on_with(self: &Arc<Self>, partner: &Arc<Partner>, expected: &[(Fence, Expected)], claimed: Claimed) {
        let Claimed { tasks, quarantined, run } = claimed;
        for task in quarantined {
            self.quarantine(task).await;
        }
        let (mut inherited, mut again) = (0_u64, 0_u64);
        for (task, band) in &tasks {
            let found = expected.iter().find(|(_, known)| known.gid == task.gid);
            let goes_on = found.is_some_and(|(fence, known)| self.inherit(partner, (*fence, *known), (task, *band)));
            if goes_on {
                inherited += 1;
            } else {
                // The work on it has ended without an answer meanwhile.
                self.restore(task, Some(*band), Self::base_of(run));
                again += 1;
            }
        }
        if let Some(membership) = &self.membership {
            membership.figures.inherited.inc_by(inherited);
            membership.figures.claimed.inc_by(inherited + again);
        }
        if inherited + again > 0 {
            let router = &*partner.name;
            tracing::info!(router, inherited, again, "tasks of a router that is gone go on at their miners here");
        }
    }

    /// Goes on with one task. `false`: the work on it is not here any more.
    fn inherit(
        self: &Arc<Self>,
        partner: &Partner,
        (fence, expected): (Fence, Expected),
        (task, band): (&Task, u8),
    ) -> bool {
        let Expected { gid, base, slot, miner, .. } = expected;
        let now = self.clock.now();
        let work = self.book().and_then(|book| book.lock().work_on(slot));
        // Until the work goes to this router's own attempt, no piece of it comes.
        let mut held = work.as_deref().map(super::lent_work::LentWork::hold);
        let Some(kept) = partner.inherit(fence) else { return false };
        let is_lent = held.as_ref().is_some_and(|at| at.is_lent());
        if !is_lent && kept.answer.is_none() {
            return false;
        }
        let (attempt, deeds) = {
            let mut core = self.core.lock();
            if core.live.contains_key(&gid) || !core.miners.contains_key(&miner) {
                return false;
            }
            let Some(session) = core.sessions.get(&task.session_id) else { return false };
            let retention = session.spec.retention;
            let (times, text) = ((task.created_at, task.deadline), task.request.prompt_text());
            let prompted = (&*task.request, &*text);
            let made = Self::demand(&self.settings.now(), &session.spec, prompted, task.session_id, times);
            // The rules of the session may have changed since.
            let Some((demand, None)) = made.ok().filter(|(demand, _)| demand.required == 1) else { return false };
            let heir = Heir {
                gid,
                id: task.id,
                demand: Box::default(),
                fence,
                slot: Fence(slot),
                miner,
                begun: !kept.pieces.is_empty(),
            };
            let entrant = Entrant {
                demand: crate::engine::Demand { band: Some(band), ..demand },
                key: task.key_id.clone(),
                request: task.request.clone(),
                judged: None,
                created_at: task.created_at,
                retention,
                trace: None,
                origin: Origin::Heir(Box::new(heir)),
                base,
            };
            let Admitted { live, deeds, .. } = match self.admit(&mut core, entrant, now) {
                Ok(admitted) => admitted,
                Err(error) if error.kind() == ErrorKind::Closed => return false,
                Err(error) => {
                    tracing::error!(%gid, %error, "a task of a router that is gone cannot go on");
                    return false;
                }
            };
            let Some(place) = core.miners.get(&miner) else { return false };
            let attempt = self.attempt_of(&live, place, (fence, base), now);
            if task.key_id.is_some() {
                live.state.lock().charge = Some(crate::router::quota::Charge::Restored);
            }
            (attempt, deeds)
        };
        if let Some(book) = self.book() {
            book.lock().end(slot);
        }
        for piece in kept.pieces {
            // Nobody reads yet, and a text that is too long ends by itself.
            let _ = attempt.emit(piece);
        }
        if let Some(at) = held.as_mut().filter(|_| is_lent) {
            at.turn_to(attempt.clone());
        }
        drop(held);
        if let Some(work) = work.filter(|_| is_lent) {
            work.has_moved();
            self.count_loan("lent", super::super::figures::LoanEnd::Used);
        }
        self.perform(deeds);
        if let Some(answer) = kept.answer {
            attempt.event(MinerEvent::Done(answer));
        }
        tracing::debug!(%gid, %fence, "a task of a router that is gone goes on");
        true
    }

    /// The attempt that another router began at that miner, as one of this router.
    fn attempt_of(
        self: &Arc<Self>,
        live: &Arc<crate::router::live::Live>,
        slot: &crate::router::slot::MinerSlot,
        (fence, base): (Fence, u64),
        now: crate::model::Timestamp,
    ) -> Arc<Attempt> {
        let mut state = live.state.lock();
        // Somebody may have read any of the pieces.
        state.transcript.begin_at(fence, base);
        state.primary = Some(fence);
        state.started_at.get_or_insert(now);
        let asked = state.model(&live.spec).cloned();
        let attempt = Attempt::new(self, live.clone(), (fence, Role::Primary), slot, asked.as_deref(), None, now);
        state.assigned.push(slot.address.clone());
        state.tried = Some(slot.name.clone());
        state.attempts.push(attempt.underway().clone());
        attempt
    }

    /// Works on the tasks of a router to which there is no link until it is known whether it is dead.
    pub(super) fn await_death_of(self: &Arc<Self>, partner: &Arc<Partner>, left_at: Instant) {
        let (Some(links), Some(membership)) = (self.links(), &self.membership) else { return partner.settle() };
        let until = left_at + membership.gone_after() + HEARD;
        links.departed.lock().push(partner.clone());
        let (shared, partner) = (self.clone(), partner.clone());
        let work = async move {
            tokio::select! {
                () = shared.stop.cancelled() => {}
                () = tokio::time::sleep_until(until) => {}
            }
            if !partner.is_buried() {
                partner.settle();
            }
        };
        self.background.spawn_on(work, &self.runtime);
    }

    /// Forgets a router whose tasks are settled.
    pub(super) fn forget_departed(&self, partner: &Arc<Partner>) {
        if let Some(links) = self.links() {
            links.departed.lock().retain(|known| !Arc::ptr_eq(known, partner));
        }
    }
}

impl Partner {
    /// Notes that its tasks are being taken over. `false`: they are already.
    fn begin_burial(&self) -> bool {
        !self.is_buried.swap(true, Ordering::AcqRel)
    }

    fn is_buried(&self) -> bool {
        self.is_buried.load(Ordering::Acquire)
    }
}
