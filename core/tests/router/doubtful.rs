//! A store that fails, and answers late, when the test says so.

use std::sync::Arc;

use cortensor_router::config::Durability;
use cortensor_router::internals::store::{
    Accepted, Act, AuditPage, AuditQuery, Deliveries, Idempotency, MemoryStore, Pending, Purge, Recovery, Resolver,
    Store, TaskSpec, UpstreamRecord, UsagePage, UsageQuery,
};
use cortensor_router::model::{Day, Gid, Session, SessionId, StoreKind, Task, TaskId, Timestamp, WebhookDelivery};
use cortensor_router::{ApiKey, MinerRecord, TaskPage, TaskQuery};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A write of the router, with the resolver of its answer.
pub(crate) enum Asked {
    Accept(Arc<TaskSpec>, Resolver<Accepted>),
    Finish(Arc<Task>, Resolver<bool>),
    Record(Arc<TaskSpec>, Arc<Task>, Resolver<bool>),
}

/// Passes every call except accepts and ends on to `kept` at once. A later router recovers from `kept`.
pub(crate) struct Doubtful {
    pub(crate) kept: Arc<MemoryStore>,
    kind: StoreKind,
    asked: UnboundedSender<Asked>,
}

impl Doubtful {
    pub(crate) fn new() -> (Arc<Self>, UnboundedReceiver<Asked>) {
        Self::of(StoreKind::Memory)
    }

    /// A store that the router takes for one of this kind.
    pub(crate) fn of(kind: StoreKind) -> (Arc<Self>, UnboundedReceiver<Asked>) {
        let (asked, questions) = unbounded_channel();
        (Arc::new(Self { kept: Arc::new(MemoryStore::new(0)), kind, asked }), questions)
    }
}

impl Store for Doubtful {
    fn kind(&self) -> StoreKind {
        self.kind
    }
    fn durability(&self) -> Durability {
        self.kept.durability()
    }
    fn recover(&self) -> Pending<Recovery> {
        self.kept.recover()
    }
    fn put_session(&self, session: Session, act: Option<Act>) -> Pending<()> {
        self.kept.put_session(session, act)
    }
    fn delete_session(&self, id: SessionId) -> Pending<bool> {
        self.kept.delete_session(id)
    }
    fn accept(&self, task: Arc<TaskSpec>) -> Pending<Accepted> {
        let (resolver, pending) = Pending::channel();
        self.asked.send(Asked::Accept(task, resolver)).unwrap();
        pending
    }
    fn find(&self, key: Idempotency) -> Pending<Option<Accepted>> {
        self.kept.find(key)
    }
    fn finish(&self, task: Arc<Task>) -> Pending<bool> {
        let (resolver, pending) = Pending::channel();
        self.asked.send(Asked::Finish(task, resolver)).unwrap();
        pending
    }
    fn record(&self, task: Arc<TaskSpec>, end: Arc<Task>) -> Pending<bool> {
        let (resolver, pending) = Pending::channel();
        self.asked.send(Asked::Record(task, end, resolver)).unwrap();
        pending
    }
    fn task(&self, session: SessionId, id: TaskId) -> Pending<Option<Task>> {
        self.kept.task(session, id)
    }
    fn task_by_gid(&self, gid: Gid) -> Pending<Option<Task>> {
        self.kept.task_by_gid(gid)
    }
    fn unfinished(&self) -> Pending<Vec<Gid>> {
        self.kept.unfinished()
    }
    fn tasks(&self, query: TaskQuery) -> Pending<TaskPage> {
        self.kept.tasks(query)
    }
    fn purge(&self, purge: Purge) -> Pending<u64> {
        self.kept.purge(purge)
    }
    fn delete_task(&self, gid: Gid) -> Pending<bool> {
        self.kept.delete_task(gid)
    }
    fn usage(&self, query: UsageQuery) -> Pending<UsagePage> {
        self.kept.usage(query)
    }
    fn forget_usage(&self, before: Day) -> Pending<u64> {
        self.kept.forget_usage(before)
    }
    fn put_key(&self, key: ApiKey, act: Option<Act>) -> Pending<()> {
        self.kept.put_key(key, act)
    }
    fn keys(&self) -> Pending<Vec<ApiKey>> {
        self.kept.keys()
    }
    fn delete_key(&self, id: String, act: Option<Act>) -> Pending<bool> {
        self.kept.delete_key(id, act)
    }
    fn put_miner(&self, miner: MinerRecord, act: Option<Act>) -> Pending<()> {
        self.kept.put_miner(miner, act)
    }
    fn miners(&self) -> Pending<Vec<MinerRecord>> {
        self.kept.miners()
    }
    fn delete_miner(&self, id: String, act: Option<Act>) -> Pending<bool> {
        self.kept.delete_miner(id, act)
    }
    fn put_upstream(&self, upstream: UpstreamRecord, act: Option<Act>) -> Pending<()> {
        self.kept.put_upstream(upstream, act)
    }
    fn upstreams(&self) -> Pending<Vec<UpstreamRecord>> {
        self.kept.upstreams()
    }
    fn delete_upstream(&self, name: String, act: Option<Act>) -> Pending<bool> {
        self.kept.delete_upstream(name, act)
    }
    fn deliveries(&self, of: Deliveries) -> Pending<Vec<(Gid, WebhookDelivery)>> {
        self.kept.deliveries(of)
    }
    fn put_delivery(&self, gid: Gid, delivery: WebhookDelivery) -> Pending<bool> {
        self.kept.put_delivery(gid, delivery)
    }
    fn note(&self, act: Act) -> Pending<()> {
        self.kept.note(act)
    }
    fn audit(&self, query: AuditQuery) -> Pending<AuditPage> {
        self.kept.audit(query)
    }
    fn forget_audit(&self, before: Timestamp) -> Pending<u64> {
        self.kept.forget_audit(before)
    }
    fn close(&self) -> Pending<()> {
        Pending::ready(Ok(()))
    }
}

/// The next end that the router writes. Accepts before it are written.
pub(crate) async fn end(store: &Doubtful, asked: &mut UnboundedReceiver<Asked>) -> (Arc<Task>, Resolver<bool>) {
    loop {
        match asked.recv().await.unwrap() {
            Asked::Accept(new, to) => to.send(store.kept.accept(new).wait()).unwrap(),
            Asked::Finish(task, to) => return (task, to),
            Asked::Record(..) => panic!("every task here is written before its end"),
        }
    }
}
