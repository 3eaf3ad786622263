//! The front of a store that does its work on threads of its own: the calls of [`Store`] wait in two queues.

use std::sync::Arc;

use parking_lot::Mutex;

use super::figures::{Commits, StoreFigures};
use super::op::Op;
use super::queue::{Queue, Refused};
use super::want::{Read, Want};
use super::{
    Accepted, Act, ApiKey, AuditPage, AuditQuery, Deliveries, Durability, Fleet, Idempotency, MinerRecord, Pending,
    Purge, Recovery, Resolver, Store, StoreKind, TaskPage, TaskQuery, TaskSpec, UpstreamRecord, UsagePage, UsageQuery,
    check_times, closed,
};
use crate::model::{Day, Gid, Session, SessionId, Task, TaskId, Timestamp, WebhookDelivery};
use crate::{Error, ErrorKind, Result};

/// The reason why a store refuses writes now, if it does. A clone is the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusing(Arc<Mutex<Option<Error>>>);

impl Refusing {
    /// The reason; `None`: the store accepts writes.
    pub(super) fn reason(&self) -> Option<Error> {
        self.0.lock().clone()
    }

    /// Notes that the store can write.
    pub(super) fn well(&self) {
        if self.0.lock().take().is_some() {
            tracing::info!("the store writes again");
        }
    }

    /// Notes that the store cannot write. Gives whether it could until now.
    pub(super) fn ill(&self, error: &Error) -> bool {
        let is_new = self.0.lock().replace(error.clone()).is_none();
        if is_new {
            tracing::error!(%error, "the store cannot write; nothing is acknowledged");
        }
        is_new
    }
}

/// The queues, which the callers fill and the store's threads empty.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) writes: Arc<Queue<Op>>,
    pub(super) reads: Arc<Queue<Read>>,
    pub(super) refusing: Refusing,
    pub(super) commits: Commits,
    max_writes: usize,
    max_reads: usize,
    /// The name of what is too slow when a queue is full.
    medium: &'static str,
}

impl Front {
    /// Empty queues with these bounds.
    pub(super) fn new(max_writes: usize, max_reads: usize, medium: &'static str) -> Self {
        let (writes, reads) = (Arc::new(Queue::new()), Arc::new(Queue::new()));
        let (refusing, commits) = (Refusing::default(), Commits::default());
        Self { writes, reads, refusing, commits, max_writes, max_reads, medium }
    }

    fn write<T>(&self, bound: usize, op: impl FnOnce(Resolver<T>) -> Op) -> Pending<T> {
        let (resolver, pending) = Pending::channel();
        match self.writes.put(op(resolver), bound) {
            Ok(()) => pending,
            Err(refused) => Pending::ready(Err(self.refusal(refused))),
        }
    }

    /// Queues a write that tasks depend on. It is refused much later than new work.
    pub(super) fn write_sure<T>(&self, op: impl FnOnce(Resolver<T>) -> Op) -> Pending<T> {
        self.write(self.max_writes.saturating_mul(4), op)
    }

    pub(super) fn read<T>(&self, want: impl FnOnce(Resolver<T>) -> Want) -> Pending<T> {
        let (resolver, pending) = Pending::channel();
        let read = Read { after: self.writes.count(), want: want(resolver) };
        match self.reads.put(read, self.max_reads) {
            Ok(()) => pending,
            Err(refused) => Pending::ready(Err(self.refusal(refused))),
        }
    }

    /// Closes both queues. The writer answers when everything before is done.
    pub(super) fn close(&self) -> Pending<()> {
        // The readers are closed first: a read never waits for a write behind the last one.
        self.reads.close();
        let (resolver, pending) = Pending::channel();
        match self.writes.put_last(Op::Close(resolver)) {
            Ok(()) => pending,
            Err(refused) => Pending::ready(Err(self.refusal(refused))),
        }
    }

    fn refusal(&self, refused: Refused) -> Error {
        match refused {
            Refused::Closed => closed(),
            Refused::Full => {
                let words = format!("the {} does not keep up with the writes: retry later", self.medium);
                Error::new(ErrorKind::Overloaded, words).with_code("store_overloaded").with_retry_after_ms(1_000)
            }
        }
    }
}

/// A store with a [`Front`]. Everything but these few calls is the front's.
pub(super) trait Fronted: Send + Sync + 'static {
    /// The place where the store keeps what it has.
    const KIND: StoreKind;

    fn front(&self) -> &Front;

    fn durability(&self) -> Durability;

    /// The number of writes that were ever answered.
    fn answered(&self) -> u64;

    fn announce(&self, url: &str) -> Result<()>;

    fn fleet(&self) -> Option<&dyn Fleet> {
        None
    }
}

impl<T: Fronted> Store for T {
    fn kind(&self) -> StoreKind {
        T::KIND
    }

    fn durability(&self) -> Durability {
        Fronted::durability(self)
    }

    fn recover(&self) -> Pending<Recovery> {
        self.front().write_sure(Op::Recover)
    }

    fn put_session(&self, session: Session, act: Option<Act>) -> Pending<()> {
        self.front().write_sure(|to| Op::PutSession(Box::new((session, act)), to))
    }

    fn delete_session(&self, id: SessionId) -> Pending<bool> {
        self.front().write_sure(|to| Op::DeleteSession(id, to))
    }

    fn accept(&self, task: Arc<TaskSpec>) -> Pending<Accepted> {
        let front = self.front();
        front.write(front.max_writes, |to| Op::Accept(task, to))
    }

    fn find(&self, key: Idempotency) -> Pending<Option<Accepted>> {
        self.front().read(|to| Want::Key(key, to))
    }

    fn finish(&self, task: Arc<Task>) -> Pending<bool> {
        if let Err(refused) = check_times(&task) {
            return Pending::ready(Err(refused));
        }
        self.front().write_sure(|to| Op::Finish(task, to))
    }

    fn record(&self, task: Arc<TaskSpec>, end: Arc<Task>) -> Pending<bool> {
        if let Err(refused) = check_times(&end) {
            return Pending::ready(Err(refused));
        }
        self.front().write_sure(|to| Op::Record(task, end, to))
    }

    fn task(&self, session: SessionId, id: TaskId) -> Pending<Option<Task>> {
        self.front().read(|to| Want::Task(session, id, to))
    }

    fn task_by_gid(&self, gid: Gid) -> Pending<Option<Task>> {
        self.front().read(|to| Want::ByGid(gid, to))
    }

    fn unfinished(&self) -> Pending<Vec<Gid>> {
        self.front().read(Want::Unfinished)
    }

    fn tasks(&self, query: TaskQuery) -> Pending<TaskPage> {
        self.front().read(|to| Want::Page(query, to))
    }

    /// One call is one transaction. A limit of some hundreds keeps the commits of other calls short.
    fn purge(&self, purge: Purge) -> Pending<u64> {
        self.front().write_sure(|to| Op::Purge(purge, to))
    }

    fn delete_task(&self, gid: Gid) -> Pending<bool> {
        self.front().write_sure(|to| Op::DeleteTask(gid, to))
    }

    fn usage(&self, query: UsageQuery) -> Pending<UsagePage> {
        self.front().read(|to| Want::Usage(Box::new(query), to))
    }

    fn forget_usage(&self, before: Day) -> Pending<u64> {
        self.front().write_sure(|to| Op::ForgetUsage(before, to))
    }

    fn put_key(&self, key: ApiKey, act: Option<Act>) -> Pending<()> {
        self.front().write_sure(|to| Op::PutKey(Box::new((key, act)), to))
    }

    fn keys(&self) -> Pending<Vec<ApiKey>> {
        self.front().read(Want::Keys)
    }

    fn delete_key(&self, id: String, act: Option<Act>) -> Pending<bool> {
        self.front().write_sure(|to| Op::DeleteKey(Box::new((id, act)), to))
    }

    fn put_miner(&self, miner: MinerRecord, act: Option<Act>) -> Pending<()> {
        self.front().write_sure(|to| Op::PutMiner(Box::new((miner, act)), to))
    }

    fn miners(&self) -> Pending<Vec<MinerRecord>> {
        self.front().read(Want::Miners)
    }

    fn delete_miner(&self, id: String, act: Option<Act>) -> Pending<bool> {
        self.front().write_sure(|to| Op::DeleteMiner(Box::new((id, act)), to))
    }

    fn put_upstream(&self, upstream: UpstreamRecord, act: Option<Act>) -> Pending<()> {
        self.front().write_sure(|to| Op::PutUpstream(Box::new((upstream, act)), to))
    }

    fn upstreams(&self) -> Pending<Vec<UpstreamRecord>> {
        self.front().read(Want::Upstreams)
    }

    fn delete_upstream(&self, name: String, act: Option<Act>) -> Pending<bool> {
        self.front().write_sure(|to| Op::DeleteUpstream(Box::new((name, act)), to))
    }

    fn deliveries(&self, of: Deliveries) -> Pending<Vec<(Gid, WebhookDelivery)>> {
        self.front().read(|to| Want::Deliveries(of, to))
    }

    fn put_delivery(&self, gid: Gid, delivery: WebhookDelivery) -> Pending<bool> {
        self.front().write_sure(|to| Op::PutDelivery(Box::new((gid, delivery)), to))
    }

    fn note(&self, act: Act) -> Pending<()> {
        self.front().write_sure(|to| Op::Note(Box::new(act), to))
    }

    fn audit(&self, query: AuditQuery) -> Pending<AuditPage> {
        self.front().read(|to| Want::Audit(query, to))
    }

    fn forget_audit(&self, before: Timestamp) -> Pending<u64> {
        self.front().write_sure(|to| Op::ForgetAudit(before, to))
    }

    fn announce(&self, url: &str) -> Result<()> {
        Fronted::announce(self, url)
    }

    fn fleet(&self) -> Option<&dyn Fleet> {
        Fronted::fleet(self)
    }

    fn figures(&self) -> Option<StoreFigures> {
        let front = self.front();
        let answered = self.answered();
        Some(StoreFigures { commits: front.commits.clone(), waiting: front.writes.count().saturating_sub(answered) })
    }

    fn check(&self) -> Result<()> {
        self.front().refusing.reason().map_or(Ok(()), Err)
    }

    fn close(&self) -> Pending<()> {
        self.front().close()
    }
}
