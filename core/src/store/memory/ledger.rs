//! The tables of the memory store: tasks, their idempotency keys, and the order in which they ended.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::super::{
    Accepted, ApiKey, Deliveries, MinerRecord, Purge, Recovery, TaskQuery, TaskSpec, UpstreamRecord, Wanted, id_in_use,
    key_mismatch,
};
use super::audit::AuditLog;
use super::ids::SessionTasks;
use super::usage::UsageBook;
use crate::Result;
use crate::id_map::IdMap;
use crate::model::{Fence, Gid, Session, SessionId, Task, TaskId, TaskState, Timestamp, WebhookDelivery, WebhookState};

/// The bytes that a task costs in this store beyond its weight: its records are structs, not rows, and stand in four
/// indices. Measured as the growth of the process over 80 000 ended tasks of a few words.
pub(super) const RECORD: u64 = 1 << 10;

/// An idempotency key with its scope.
type KeyName = Arc<(String, String)>;

/// The content of the store.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    sessions: BTreeMap<SessionId, Session>,
    last_session: SessionId,
    pub(super) keys: BTreeMap<String, ApiKey>,
    pub(super) miners: BTreeMap<String, MinerRecord>,
    pub(super) upstreams: BTreeMap<String, UpstreamRecord>,
    deliveries: BTreeMap<Gid, WebhookDelivery>,
    epoch: u64,
    last_gid: Gid,
    last_fence: Fence,
    tasks: IdMap<Gid, Entry>,
    by_session: BTreeMap<SessionId, SessionTasks>,
    by_key: HashMap<KeyName, Gid>,
    /// Ended tasks, the oldest first. Nearly every task is added at the end, and nearly every one is removed at the
    /// beginning.
    ended: VecDeque<(Timestamp, Gid)>,
    ended_bytes: u64,
    pub(super) usage: UsageBook,
    pub(super) audit: AuditLog,
}

/// A task with its index entries. The store frees it outside of the lock.
#[derive(Debug)]
pub(super) struct Entry {
    body: Body,
    key: Option<(KeyName, [u8; 32])>,
}

#[derive(Debug)]
enum Body {
    Open(Arc<TaskSpec>),
    Ended { task: Arc<Task>, bytes: u64 },
}

/// A task as it was while the lock was held. It is copied after the lock is released.
pub(super) enum Snapshot {
    Open(Box<Task>),
    Ended(Arc<Task>),
}

impl Snapshot {
    pub(super) fn into_task(self) -> Task {
        match self {
            Self::Open(task) => *task,
            // The delivery of its webhook, which has a secret, is not the task's: the store has it apart.
            Self::Ended(task) => Task::clone(&task).state(TaskState::Ended).queue_position(None).webhook(None),
        }
    }
}

impl Ledger {
    /// An empty ledger whose usage has this many rows for each day, and whose audit log has this many entries.
    pub(super) fn new(usage_rows: u64, audit_rows: u64) -> Self {
        Self { usage: UsageBook::new(usage_rows), audit: AuditLog::new(audit_rows), ..Self::default() }
    }

    pub(super) fn put_session(&mut self, session: Session) {
        self.last_session = self.last_session.max(session.id);
        self.sessions.insert(session.id, session);
    }

    /// Deletes a session that has no tasks. Gives `false` if it has some.
    pub(super) fn delete_session(&mut self, id: SessionId) -> bool {
        if self.by_session.get(&id).is_some_and(|tasks| tasks.count(Wanted::All) > 0) {
            return false;
        }
        self.by_session.remove(&id);
        self.sessions.remove(&id);
        true
    }

    pub(super) fn accept(&mut self, new: Arc<TaskSpec>) -> Result<Accepted> {
        let given = new.idempotency.as_ref();
        let key = given.map(|given| (Arc::new((given.scope.clone(), given.key.clone())), given.fingerprint));
        if let Some((name, fingerprint)) = &key
            && let Some(existing) = self.find(name, fingerprint)?
        {
            return Ok(existing);
        }
        if self.tasks.contains_key(&new.gid) || self.gid(new.session_id, new.id).is_some() {
            return Err(id_in_use(&new));
        }
        self.by_session.entry(new.session_id).or_default().insert(new.id, new.gid, false);
        self.last_gid = self.last_gid.max(new.gid);
        if let Some((name, _)) = &key {
            self.by_key.insert(Arc::clone(name), new.gid);
        }
        self.tasks.insert(new.gid, Entry { body: Body::Open(new), key });
        Ok(Accepted::New)
    }

    /// Finds the task of an idempotency key.
    pub(super) fn find(&self, name: &KeyName, fingerprint: &[u8; 32]) -> Result<Option<Accepted>> {
        let Some(entry) = self.by_key.get(name).and_then(|gid| self.tasks.get(gid)) else { return Ok(None) };
        let (gid, session_id, id) = entry.ids();
        let same = entry.key.as_ref().is_some_and(|(_, used)| used == fingerprint);
        if same { Ok(Some(Accepted::Existing { gid, session_id, id })) } else { Err(key_mismatch()) }
    }

    pub(super) fn finish(&mut self, task: Arc<Task>, bytes: u64) -> bool {
        let Some(entry) = self.tasks.get(&task.gid) else { return false };
        if !matches!(entry.body, Body::Open(_)) || entry.ids() != (task.gid, task.session_id, task.id) {
            return false;
        }
        if let Some(tasks) = self.by_session.get_mut(&task.session_id) {
            tasks.end(task.id);
        }
        self.count_end(&task, bytes);
        if let Some(entry) = self.tasks.get_mut(&task.gid) {
            entry.body = Body::Ended { task, bytes };
        }
        true
    }

    /// Writes a task that was never accepted together with its end.
    pub(super) fn record(&mut self, new: Arc<TaskSpec>, task: Arc<Task>, bytes: u64) -> bool {
        let is_new = !self.tasks.contains_key(&new.gid) && self.gid(new.session_id, new.id).is_none();
        let are_one = (new.gid, new.session_id, new.id) == (task.gid, task.session_id, task.id);
        if !is_new || !are_one || new.idempotency.is_some() {
            // An accept that is refused leaves what is there as it is.
            drop(self.accept(new));
            return self.finish(task, bytes);
        }
        self.by_session.entry(task.session_id).or_default().insert(task.id, task.gid, true);
        self.last_gid = self.last_gid.max(task.gid);
        self.count_end(&task, bytes);
        self.tasks.insert(task.gid, Entry { body: Body::Ended { task, bytes }, key: None });
        true
    }

    fn count_end(&mut self, task: &Task, bytes: u64) {
        let ended = (task.ended_at.unwrap_or_default(), task.gid);
        if self.ended.back().is_none_or(|newest| *newest < ended) {
            self.ended.push_back(ended);
        } else if let Err(place) = self.ended.binary_search(&ended) {
            self.ended.insert(place, ended);
        }
        self.ended_bytes += bytes;
        self.last_fence = self.last_fence.max(task.fence);
        self.usage.count(task);
        if let Some(delivery) = &task.webhook {
            self.deliveries.insert(task.gid, WebhookDelivery::clone(delivery));
        }
    }

    pub(super) fn deliveries(&self, of: &Deliveries) -> Vec<(Gid, WebhookDelivery)> {
        let found = |gid: &Gid| Some((*gid, self.deliveries.get(gid)?.clone()));
        match of {
            Deliveries::Of(gids) => gids.iter().filter_map(found).collect(),
            Deliveries::Pending => {
                let pending = |(_, delivery): &(&Gid, &WebhookDelivery)| delivery.state == WebhookState::Pending;
                self.deliveries.iter().filter(pending).map(|(gid, delivery)| (*gid, delivery.clone())).collect()
            }
        }
    }

    pub(super) fn put_delivery(&mut self, gid: Gid, delivery: WebhookDelivery) -> bool {
        self.deliveries.get_mut(&gid).map(|known| *known = delivery).is_some()
    }

    /// Removes the oldest ended tasks beyond the budget, but never `newest`.
    pub(super) fn evict(&mut self, max_bytes: u64, newest: Gid, out: &mut Vec<Entry>) {
        while self.ended_bytes + self.ended.len() as u64 * RECORD > max_bytes {
            let Some(oldest) = self.ended.iter().find(|(_, gid)| *gid != newest).copied() else { return };
            self.remove(oldest, out);
        }
    }

    pub(super) fn purge(&mut self, purge: Purge, out: &mut Vec<Entry>) {
        while (out.len() as u64) < purge.limit {
            let Some(oldest) = self.ended.front().copied() else { return };
            let over_budget = purge.max_bytes != 0 && self.ended_bytes > purge.max_bytes;
            if oldest.0 >= purge.ended_before && !over_budget {
                return;
            }
            self.remove(oldest, out);
        }
    }

    /// Removes that task if it has ended.
    pub(super) fn delete(&mut self, gid: Gid, out: &mut Vec<Entry>) {
        if let Some(Entry { body: Body::Ended { task, .. }, .. }) = self.tasks.get(&gid) {
            self.remove((task.ended_at.unwrap_or_default(), gid), out);
        }
    }

    /// Loses a task, ended or not. Gives whether there was one.
    pub(super) fn lose(&mut self, gid: Gid) -> bool {
        let Some(entry) = self.tasks.get(&gid) else { return false };
        let (_, session, id) = entry.ids();
        match &entry.body {
            Body::Ended { task, .. } => {
                let ended = (task.ended_at.unwrap_or_default(), gid);
                self.remove(ended, &mut Vec::new());
            }
            Body::Open(_) => {
                if let Some((name, _)) = self.tasks.remove(&gid).and_then(|entry| entry.key) {
                    self.by_key.remove(&name);
                }
                if let Some(tasks) = self.by_session.get_mut(&session) {
                    tasks.end(id);
                    tasks.remove(id);
                }
            }
        }
        true
    }

    fn remove(&mut self, ended: (Timestamp, Gid), out: &mut Vec<Entry>) {
        if let Ok(place) = self.ended.binary_search(&ended) {
            self.ended.remove(place);
        }
        self.deliveries.remove(&ended.1);
        let Some(entry) = self.tasks.remove(&ended.1) else { return };
        if let Body::Ended { task, bytes } = &entry.body {
            self.ended_bytes -= bytes;
            if let Some(tasks) = self.by_session.get_mut(&task.session_id) {
                tasks.remove(task.id);
            }
        }
        if let Some((name, _)) = &entry.key {
            self.by_key.remove(name);
        }
        out.push(entry);
    }

    pub(super) fn gid(&self, session: SessionId, id: TaskId) -> Option<Gid> {
        self.by_session.get(&session)?.get(id)
    }

    pub(super) fn snapshot(&self, gid: Gid) -> Option<Snapshot> {
        self.tasks.get(&gid).map(|entry| match &entry.body {
            Body::Open(new) => Snapshot::Open(Box::new(new.to_task())),
            Body::Ended { task, .. } => Snapshot::Ended(Arc::clone(task)),
        })
    }

    /// The key of a task.
    fn key_of(&self, gid: Gid) -> Option<&str> {
        match &self.tasks.get(&gid)?.body {
            Body::Open(new) => new.key.as_deref(),
            Body::Ended { task, .. } => task.key_id.as_deref(),
        }
    }

    /// The ids of all tasks that have not ended, in their order.
    pub(super) fn unfinished(&self) -> Vec<Gid> {
        let is_open = |entry: &Entry| matches!(entry.body, Body::Open(_));
        let mut open: Vec<Gid> = self.tasks.iter().filter(|(_, entry)| is_open(entry)).map(|(gid, _)| *gid).collect();
        open.sort_unstable();
        open
    }

    pub(super) fn page(&self, query: &TaskQuery) -> (Vec<Snapshot>, u64) {
        let Some(tasks) = self.by_session.get(&query.session_id) else { return (Vec::new(), 0) };
        let wanted = Wanted::from(query.state);
        let size = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        if let Some(key) = &query.key_id {
            let of_key = || tasks.page(wanted, 0).filter(|gid| self.key_of(*gid) == Some(key));
            let total = of_key().count() as u64;
            let rows = query.start.rows(query.limit, total);
            let page = of_key().skip(size(rows.start)).take(size(rows.end - rows.start));
            return (page.filter_map(|gid| self.snapshot(gid)).collect(), total);
        }
        let total = tasks.count(wanted);
        let rows = query.start.rows(query.limit, total);
        let page = tasks.page(wanted, rows.start).take(size(rows.end - rows.start));
        (page.filter_map(|gid| self.snapshot(gid)).collect(), total)
    }

    pub(super) fn recover(&mut self) -> Recovery {
        self.epoch += 1;
        let mut unfinished: Vec<(Task, u8)> = self
            .tasks
            .values()
            .filter_map(|entry| match &entry.body {
                Body::Open(new) => Some((new.to_task(), new.band)),
                Body::Ended { .. } => None,
            })
            .collect();
        unfinished.sort_by_key(|(task, _)| task.gid);
        Recovery {
            epoch: self.epoch,
            sessions: self.sessions.values().cloned().collect(),
            corrupt_sessions: Vec::new(),
            last_session: self.last_session,
            last_task_ids: self.by_session.iter().map(|(id, tasks)| (*id, tasks.last)).collect(),
            last_gid: self.last_gid,
            unfinished,
            last_fence: self.last_fence,
            ..Recovery::default()
        }
    }
}

impl Entry {
    fn ids(&self) -> (Gid, SessionId, TaskId) {
        match &self.body {
            Body::Open(new) => (new.gid, new.session_id, new.id),
            Body::Ended { task, .. } => (task.gid, task.session_id, task.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::samples::{ended, keyed, new_task};
    use super::*;

    #[test]
    fn a_purge_leaves_nothing_of_its_tasks() {
        let mut ledger = Ledger::new(1, 1);
        for id in 1..=3 {
            let new = keyed(new_task(1, id), &format!("key {id}"), 1);
            assert_eq!(ledger.accept(Arc::new(new.clone())).unwrap(), Accepted::New);
            assert!(ledger.finish(Arc::new(ended(&new, id, "x")), 10));
        }
        let mut evicted = Vec::new();
        ledger.purge(Purge { ended_before: Timestamp(3), max_bytes: 0, limit: 9 }, &mut evicted);
        assert_eq!((evicted.len(), ledger.tasks.len(), ledger.by_key.len(), ledger.ended.len()), (2, 1, 1, 1));
        assert_eq!(ledger.ended_bytes, 10);
    }
}
