//! A store in memory. Nothing survives the process, and every answer is there at once.
//!
//! Slow work (measuring a task, copying it, freeing deleted tasks) happens outside of the lock.

mod audit;
mod fleet;
mod ids;
mod ledger;
mod usage;

use std::sync::Arc;

use parking_lot::Mutex;

pub use self::fleet::{MemberStore, SharedMemory, StoreFault};

use self::ledger::{Ledger, Snapshot};
use super::weight::weight;
use super::{
    Accepted, Act, ApiKey, AuditPage, AuditQuery, Deliveries, Durability, Idempotency, MinerRecord, Pending, Purge,
    Recovery, Store, TaskPage, TaskQuery, TaskSpec, UpstreamRecord, UsagePage, UsageQuery, check_times, closed,
};
use crate::Result;
use crate::config::RetentionConfig;
use crate::model::{Day, Gid, Session, SessionId, StoreKind, Task, TaskId, Timestamp, WebhookDelivery};

/// A store in memory with a byte budget, beyond which the oldest ended tasks are deleted.
///
/// ```
/// use cortensor_router::internals::store::{MemoryStore, Store};
/// let store = MemoryStore::new(64 << 20);
/// assert_eq!(store.recover().wait().unwrap().epoch, 1);
/// ```
#[derive(Debug)]
pub struct MemoryStore {
    max_bytes: u64,
    /// The ledger; `None` once the store is closed.
    ledger: Mutex<Option<Ledger>>,
}

impl MemoryStore {
    /// Makes a store that keeps at most `max_bytes` of ended tasks, and always the task that ended last. 0: no bound.
    pub fn new(max_bytes: u64) -> Self {
        let RetentionConfig { max_usage_rows, max_audit_rows, .. } = RetentionConfig::default();
        Self::with_rows(max_bytes, max_usage_rows, max_audit_rows)
    }

    /// Makes a store as [`new`](Self::new) does, with other bounds: the rows of usage for each day, and as many again for
    /// the rest of each key, and the entries of the audit log.
    pub fn with_rows(max_bytes: u64, usage_rows: u64, audit_rows: u64) -> Self {
        Self { max_bytes, ledger: Mutex::new(Some(Ledger::new(usage_rows, audit_rows))) }
    }

    /// Loses a task, ended or not. Gives whether there was one.
    fn lose(&self, gid: Gid) -> bool {
        self.with(|ledger| Ok(ledger.lose(gid))).unwrap_or_default()
    }

    fn with<T>(&self, act: impl FnOnce(&mut Ledger) -> Result<T>) -> Result<T> {
        self.ledger.lock().as_mut().map_or_else(|| Err(closed()), act)
    }

    /// Writes the end of a task, and makes room for it.
    fn end(&self, task: Arc<Task>, write: impl FnOnce(&mut Ledger, Arc<Task>, u64) -> bool) -> Pending<bool> {
        if let Err(refused) = check_times(&task) {
            return Pending::ready(Err(refused));
        }
        let bytes = weight(&task);
        let mut evicted = Vec::new();
        let answer = self.with(|ledger| {
            let gid = task.gid;
            let done = write(ledger, task, bytes);
            if done && self.max_bytes != 0 {
                ledger.evict(self.max_bytes, gid, &mut evicted);
            }
            Ok(done)
        });
        drop(evicted);
        Pending::ready(answer)
    }
}

impl Store for MemoryStore {
    fn kind(&self) -> StoreKind {
        StoreKind::Memory
    }

    fn durability(&self) -> Durability {
        Durability::Memory
    }

    fn recover(&self) -> Pending<Recovery> {
        Pending::ready(self.with(|ledger| Ok(ledger.recover())))
    }

    fn put_session(&self, session: Session, act: Option<Act>) -> Pending<()> {
        Pending::ready(self.with(|ledger| {
            ledger.put_session(session);
            ledger.audit.record(act);
            Ok(())
        }))
    }

    fn delete_session(&self, id: SessionId) -> Pending<bool> {
        Pending::ready(self.with(|ledger| Ok(ledger.delete_session(id))))
    }

    fn accept(&self, task: Arc<TaskSpec>) -> Pending<Accepted> {
        Pending::ready(self.with(|ledger| ledger.accept(task)))
    }

    fn find(&self, key: Idempotency) -> Pending<Option<Accepted>> {
        Pending::ready(self.with(|ledger| ledger.find(&Arc::new((key.scope, key.key)), &key.fingerprint)))
    }

    fn finish(&self, task: Arc<Task>) -> Pending<bool> {
        self.end(task, Ledger::finish)
    }

    fn record(&self, task: Arc<TaskSpec>, end: Arc<Task>) -> Pending<bool> {
        self.end(end, |ledger, end, bytes| ledger.record(task, end, bytes))
    }

    fn task(&self, session: SessionId, id: TaskId) -> Pending<Option<Task>> {
        let found = self.with(|ledger| Ok(ledger.gid(session, id).and_then(|gid| ledger.snapshot(gid))));
        Pending::ready(found.map(|snapshot| snapshot.map(Snapshot::into_task)))
    }

    fn task_by_gid(&self, gid: Gid) -> Pending<Option<Task>> {
        let found = self.with(|ledger| Ok(ledger.snapshot(gid)));
        Pending::ready(found.map(|snapshot| snapshot.map(Snapshot::into_task)))
    }

    fn unfinished(&self) -> Pending<Vec<Gid>> {
        Pending::ready(self.with(|ledger| Ok(ledger.unfinished())))
    }

    fn tasks(&self, query: TaskQuery) -> Pending<TaskPage> {
        let found = self.with(|ledger| Ok(ledger.page(&query)));
        Pending::ready(found.map(|(snapshots, total)| TaskPage {
            tasks: snapshots.into_iter().map(Snapshot::into_task).collect(),
            total,
            ..TaskPage::default()
        }))
    }

    fn purge(&self, purge: Purge) -> Pending<u64> {
        let mut evicted = Vec::new();
        let answer = self.with(|ledger| {
            ledger.purge(purge, &mut evicted);
            Ok(())
        });
        Pending::ready(answer.map(|()| evicted.len() as u64))
    }

    fn delete_task(&self, gid: Gid) -> Pending<bool> {
        let mut evicted = Vec::new();
        let answer = self.with(|ledger| {
            ledger.delete(gid, &mut evicted);
            Ok(())
        });
        Pending::ready(answer.map(|()| !evicted.is_empty()))
    }

    fn usage(&self, query: UsageQuery) -> Pending<UsagePage> {
        Pending::ready(self.with(|ledger| Ok(ledger.usage.page(&query))))
    }

    fn forget_usage(&self, before: Day) -> Pending<u64> {
        Pending::ready(self.with(|ledger| Ok(ledger.usage.forget(before))))
    }

    fn put_key(&self, key: ApiKey, act: Option<Act>) -> Pending<()> {
        Pending::ready(self.with(|ledger| {
            ledger.keys.insert(key.id.clone(), key);
            ledger.audit.record(act);
            Ok(())
        }))
    }

    fn keys(&self) -> Pending<Vec<ApiKey>> {
        Pending::ready(self.with(|ledger| Ok(ledger.keys.values().cloned().collect())))
    }

    fn delete_key(&self, id: String, act: Option<Act>) -> Pending<bool> {
        Pending::ready(self.with(|ledger| {
            let found = ledger.keys.remove(&id).is_some();
            ledger.audit.record(act.filter(|_| found));
            Ok(found)
        }))
    }

    fn put_miner(&self, miner: MinerRecord, act: Option<Act>) -> Pending<()> {
        Pending::ready(self.with(|ledger| {
            ledger.miners.insert(miner.id.clone(), miner);
            ledger.audit.record(act);
            Ok(())
        }))
    }

    fn miners(&self) -> Pending<Vec<MinerRecord>> {
        Pending::ready(self.with(|ledger| Ok(ledger.miners.values().cloned().collect())))
    }

    fn delete_miner(&self, id: String, act: Option<Act>) -> Pending<bool> {
        Pending::ready(self.with(|ledger| {
            let found = ledger.miners.remove(&id).is_some();
            ledger.audit.record(act.filter(|_| found));
            Ok(found)
        }))
    }

    fn put_upstream(&self, upstream: UpstreamRecord, act: Option<Act>) -> Pending<()> {
        Pending::ready(self.with(|ledger| {
            ledger.upstreams.insert(upstream.name().to_owned(), upstream);
            ledger.audit.record(act);
            Ok(())
        }))
    }

    fn upstreams(&self) -> Pending<Vec<UpstreamRecord>> {
        Pending::ready(self.with(|ledger| Ok(ledger.upstreams.values().cloned().collect())))
    }

    fn delete_upstream(&self, name: String, act: Option<Act>) -> Pending<bool> {
        Pending::ready(self.with(|ledger| {
            let found = ledger.upstreams.remove(&name).is_some();
            ledger.audit.record(act.filter(|_| found));
            Ok(found)
        }))
    }

    fn deliveries(&self, of: Deliveries) -> Pending<Vec<(Gid, WebhookDelivery)>> {
        Pending::ready(self.with(|ledger| Ok(ledger.deliveries(&of))))
    }

    fn put_delivery(&self, gid: Gid, delivery: WebhookDelivery) -> Pending<bool> {
        Pending::ready(self.with(|ledger| Ok(ledger.put_delivery(gid, delivery))))
    }

    fn note(&self, act: Act) -> Pending<()> {
        Pending::ready(self.with(|ledger| {
            ledger.audit.record(Some(act));
            Ok(())
        }))
    }

    fn audit(&self, query: AuditQuery) -> Pending<AuditPage> {
        Pending::ready(self.with(|ledger| Ok(ledger.audit.page(query))))
    }

    fn forget_audit(&self, before: Timestamp) -> Pending<u64> {
        Pending::ready(self.with(|ledger| Ok(ledger.audit.forget(before))))
    }

    fn check(&self) -> Result<()> {
        self.with(|_| Ok(()))
    }

    fn close(&self) -> Pending<()> {
        let ledger = self.ledger.lock().take();
        Pending::ready(ledger.map(drop).ok_or_else(closed))
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{ended, new_task};
    use super::*;

    #[test]
    fn the_oldest_ended_tasks_make_room_and_the_newest_stays() {
        let store = MemoryStore::new(3_000 + 3 * ledger::RECORD);
        for n in 1..=10 {
            store.accept(new_task(0, n).into()).wait().unwrap();
        }
        for n in 1..=5 {
            assert!(store.finish(Arc::new(ended(&new_task(0, n), n, &"x".repeat(400)))).wait().unwrap());
        }
        let page = store.tasks(TaskQuery { limit: 100, ..TaskQuery::default() }).wait().unwrap();
        let ids: Vec<u64> = page.tasks.iter().map(|task| task.id.0).collect();
        assert_eq!(ids, [3, 4, 5, 6, 7, 8, 9, 10], "two were evicted; what has not ended stays");
        store.finish(Arc::new(ended(&new_task(0, 6), 6, &"x".repeat(9_000)))).wait().unwrap();
        let page = store.tasks(TaskQuery { limit: 100, ..TaskQuery::default() }).wait().unwrap();
        assert_eq!(page.tasks.iter().map(|task| task.id.0).collect::<Vec<_>>(), [6, 7, 8, 9, 10]);
    }

    #[test]
    fn a_request_is_shared_and_not_copied() {
        let store = MemoryStore::new(0);
        let new = new_task(0, 1);
        store.accept(new.clone().into()).wait().unwrap();
        let task = store.task(SessionId(0), TaskId(1)).wait().unwrap().unwrap();
        assert!(Arc::ptr_eq(&task.request, &new.request));
    }
}
