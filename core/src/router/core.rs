//! The state that the router's one lock protects.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::live::Live;
use super::memory::Memory;
use super::recent::Recent;
use super::slot::MinerSlot;
use super::upstreams::Origin;
use crate::config::LimitsConfig;
use crate::engine::{Engine, MinerKey};
use crate::id_map::IdMap;
use crate::model::{Gid, Session, SessionId, TaskId, Timestamp};

/// The state behind the one lock.
pub(super) struct Core {
    pub(super) engine: Engine,
    pub(super) live: IdMap<Gid, Arc<Live>>,
    pub(super) by_id: IdMap<(SessionId, TaskId), Gid>,
    /// Ended tasks whose streams can still be resumed.
    pub(super) recent: Recent,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) sids: HashMap<String, SessionId>,
    /// Sessions that the store cannot read.
    pub(super) corrupt_sessions: HashSet<SessionId>,
    pub(super) miners: BTreeMap<MinerKey, MinerSlot>,
    pub(super) next_miner: u32,
    /// The built-in miner that answers until another one joins for the first time.
    pub(super) stand_in: Option<MinerKey>,
    /// The built-in miner that the configuration wants. Another miner may have its name once it was removed.
    pub(super) echo: Option<MinerKey>,
    /// The number from which on a task that runs again numbers its pieces. It is above the numbers of all runs whose
    /// ends are lost, so that no reader takes pieces of two runs for one text.
    pub(super) rerun_base: u64,
    /// For each session the tasks at other routers that share the store: those that it ever had, and those that have not
    /// ended.
    pub(super) elsewhere: HashMap<SessionId, (u64, u64)>,
}

impl Core {
    /// Whether a miner that stays has that name.
    pub(super) fn has_name(&self, name: &str) -> bool {
        let has_it = |slot: &MinerSlot| slot.spec.name == name && !slot.retired;
        self.own_miners().any(|(key, slot)| has_it(slot) && Some(*key) != self.stand_in)
    }

    /// The miner of the upstream of that name and origin, unless it goes.
    pub(super) fn upstream(&mut self, name: &str, origin: Origin) -> Option<&mut MinerSlot> {
        let is_it = |slot: &&mut MinerSlot| {
            slot.spec.name == name && !slot.retired && slot.upstream.as_ref().is_some_and(|up| up.origin == origin)
        };
        self.miners.values_mut().find(is_it)
    }

    /// The tasks that wait for a miner, and those that run.
    pub(super) fn stands(&self) -> (u64, u64) {
        let queued = self.engine.queued();
        (queued, self.engine.unfinished().saturating_sub(queued))
    }

    /// The miners of this router itself.
    pub(super) fn own_miners(&self) -> impl Iterator<Item = (&MinerKey, &MinerSlot)> {
        self.miners.iter().filter(|(_, slot)| slot.abroad.is_none())
    }

    /// The tasks of a session at all routers: those that it ever had, and those that have not ended.
    pub(super) fn tasks_of(&self, session: SessionId) -> (u64, u64) {
        let (taken, active) = self.elsewhere.get(&session).copied().unwrap_or_default();
        (taken + self.engine.taken_tasks(session), active + self.engine.active_tasks(session))
    }

    /// Keeps an ended task that takes this many bytes. Returns the tasks that are no longer kept, which the caller must
    /// free outside the lock.
    pub(super) fn keep(&mut self, gid: Gid, bytes: u64, limits: &LimitsConfig, memory: &Memory) -> Vec<Arc<Live>> {
        self.recent.push(gid, bytes);
        let most = limits.recent_bytes.min(memory.share_of_ended());
        let mut forgotten = Vec::new();
        while self.recent.exceeds(limits.recent_tasks, most) {
            let Some(old) = self.recent.pop() else { break };
            forgotten.extend(self.forget_ended(old));
        }
        forgotten
    }

    /// Forgets the ended tasks that are older than the retention allows, at most `most` of them. Returns them; the caller
    /// must free them outside the lock.
    pub(super) fn forget_older(&mut self, ended_before: Timestamp, most: usize) -> Vec<Arc<Live>> {
        let mut forgotten = Vec::new();
        while forgotten.len() < most
            && let Some(oldest) = self.recent.oldest()
        {
            let live = self.live.get(&oldest);
            if live.is_some_and(|live| live.state.lock().ended_at.is_none_or(|at| at >= ended_before)) {
                break;
            }
            self.recent.pop();
            forgotten.extend(self.forget_ended(oldest));
        }
        forgotten
    }

    /// Forgets ended tasks until this many bytes fit. `false`: they do not fit although no ended task is left.
    pub(super) fn make_room(&mut self, bytes: u64, memory: &Memory) -> bool {
        while !memory.has_room(bytes) {
            let Some(old) = self.recent.pop() else { return false };
            self.forget_ended(old);
        }
        true
    }

    /// Forgets a task whose end is lost, given the number of its last piece. Returns it; the caller must free it outside
    /// the lock.
    pub(super) fn lose(&mut self, gid: Gid, last_seq: u64) -> Vec<Arc<Live>> {
        // The end of a text has a number, too.
        self.rerun_base = self.rerun_base.max(last_seq + 2);
        self.forget_ended(gid).into_iter().collect()
    }

    /// Forgets the ended tasks of these sessions. Returns them; the caller must free them outside the lock.
    pub(super) fn forget_tasks_of(&mut self, sessions: &BTreeSet<SessionId>) -> Vec<Arc<Live>> {
        let mut gone: Vec<Gid> = self.recent.tasks().collect();
        gone.retain(|gid| self.live.get(gid).is_some_and(|live| sessions.contains(&live.spec.session_id)));
        // Their entries in the order stay until they are the oldest.
        gone.into_iter().filter_map(|gid| self.forget_ended(gid)).collect()
    }

    /// Takes an ended task out of the memory.
    pub(super) fn forget_ended(&mut self, gid: Gid) -> Option<Arc<Live>> {
        let old = self.live.remove(&gid)?;
        self.by_id.remove(&(old.spec.session_id, old.spec.id));
        Some(old)
    }
}
