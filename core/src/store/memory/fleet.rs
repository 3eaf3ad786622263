//! The model of a database that several routers share: the rules of the store in PostgreSQL, in memory, with the faults
//! that a network and a server have. Tests use it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::MemoryStore;
use crate::model::{
    Day, Durability, Gid, Session, SessionId, StoreKind, Task, TaskId, TaskState, Timestamp, WebhookDelivery,
};
use crate::store::{
    Accepted, Act, ApiKey, AuditPage, AuditQuery, Beat, Changes, ClaimWish, Claimed, Deliveries, Fleet, IdBlock,
    Idempotency, IdsWish, MOST_MOVES, Member, MemberState, MinerRecord, Pending, Placed, Purge, Reach, Recovery,
    SessionName, Store, TaskPage, TaskQuery, TaskSpec, UpstreamRecord, UsagePage, UsageQuery,
};
use crate::{Error, ErrorKind, Result};

/// The time for which the tasks of a router that was declared gone stay unclaimed.
const LEFT: Duration = Duration::from_secs(2);

/// The time after which the ids of a router that was declared gone are given to others.
const SETTLED: Duration = Duration::from_mins(1);

/// A database that several routers share.
#[derive(Debug, Clone)]
pub struct SharedMemory(Arc<Mutex<Model>>);

#[derive(Debug)]
struct Model {
    from: Instant,
    lease: Duration,
    rows: MemoryStore,
    /// The starts of routers, by their epochs.
    starts: BTreeMap<u64, Start>,
    owners: HashMap<Gid, Owned>,
    /// The routers that send the deliveries of webhooks.
    senders: HashMap<Gid, u64>,
    ids: HashMap<SessionId, Given>,
    /// The blocks of ids that each epoch has, and the id after the last one that it used.
    blocks: HashMap<(u64, SessionId), Block>,
    versions: HashMap<SessionId, u64>,
    cancels: Vec<Gid>,
    /// Tasks that somebody deleted.
    deleted: Vec<Gid>,
    last_epoch: u64,
    next_session: u64,
    away: bool,
    /// How often a replica took the place of the database.
    failovers: u64,
}

#[derive(Debug, Clone, Copy)]
struct Owned {
    owner: u64,
    moves: u32,
}

#[derive(Debug, Clone, Copy)]
struct Given {
    next: u64,
    given: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Block {
    granted: u64,
    taken: u64,
    first: u64,
    end: u64,
    next: u64,
}

#[derive(Debug)]
struct Start {
    name: String,
    state: Option<MemberState>,
    lease_until: Instant,
    steady_since: Instant,
    gone_at: Instant,
    settled: bool,
    started_at: Timestamp,
    reach: Option<Reach>,
}

/// The fate of the calls of one router.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StoreFault {
    /// They are done.
    #[default]
    None,
    /// They fail and are not done.
    Away,
    /// They are done, and their answers are lost.
    Answers,
    /// They are never done and never answered, as those of a process that was killed.
    Dead,
}

/// The store of one router in a [`SharedMemory`].
#[derive(Debug)]
pub struct MemberStore {
    shared: SharedMemory,
    seat: Mutex<Seat>,
    fault: Mutex<StoreFault>,
}

#[derive(Debug)]
struct Seat {
    name: String,
    epoch: u64,
    lost_ids: bool,
    deposed: bool,
    /// Whether it has taken the place of a start that had not left, of which no beat has told.
    replaced: bool,
    reach: Option<Reach>,
    /// The greatest epoch of which the router heard by other ways than the database.
    heard: u64,
    /// The failovers that the router has seen.
    failovers: u64,
    /// The epochs of earlier starts of its name.
    earlier: Vec<u64>,
}

impl SharedMemory {
    /// An empty database whose routers have leases of that length. Its clock is tokio's.
    pub fn new(lease: Duration) -> Self {
        Self(Arc::new(Mutex::new(Model {
            from: Instant::now(),
            lease,
            rows: MemoryStore::new(0),
            starts: BTreeMap::new(),
            owners: HashMap::new(),
            senders: HashMap::new(),
            ids: HashMap::new(),
            blocks: HashMap::new(),
            versions: HashMap::new(),
            cancels: Vec::new(),
            deleted: Vec::new(),
            last_epoch: 0,
            next_session: 2,
            away: false,
            failovers: 0,
        })))
    }

    /// Joins a router.
    ///
    /// # Errors
    /// `Conflict` if a router of that name has a lease.
    pub fn join(&self, name: &str) -> Result<MemberStore> {
        let mut model = self.0.lock();
        let now = Instant::now();
        let mut replaced = false;
        for start in model.starts.values_mut().filter(|start| start.state.is_some() && start.name == name) {
            if start.lease_until >= now {
                return Err(Error::new(ErrorKind::Conflict, "the name is taken").with_code("router_name_in_use"));
            }
            (start.state, start.gone_at, replaced) = (None, now, true);
        }
        let earlier = model.starts.iter().filter(|(_, start)| start.name == name).map(|(epoch, _)| *epoch).collect();
        let epoch = model.start(name);
        let seat = Seat {
            name: name.to_owned(),
            epoch,
            lost_ids: false,
            deposed: false,
            replaced,
            reach: None,
            heard: 0,
            failovers: model.failovers,
            earlier,
        };
        Ok(MemberStore { shared: self.clone(), seat: Mutex::new(seat), fault: Mutex::default() })
    }

    /// Lets every call fail, or none.
    pub fn set_away(&self, away: bool) {
        self.0.lock().away = away;
    }

    /// The tasks that have not ended, with their owners.
    pub fn open(&self) -> Vec<(Gid, u64)> {
        let model = self.0.lock();
        model.open().into_iter().map(|gid| (gid, model.owner(gid))).collect()
    }

    /// The tasks whose webhooks are not done, with the routers that send them.
    pub fn unsent(&self) -> Vec<(Gid, u64)> {
        let model = self.0.lock();
        model.unsent(|_| true).into_iter().map(|(gid, _)| (gid, model.sender(gid))).collect()
    }

    /// The delivery of a task's webhook.
    pub fn delivery(&self, gid: Gid) -> Option<WebhookDelivery> {
        now(self.0.lock().rows.deliveries(Deliveries::Of(vec![gid]))).ok()?.pop().map(|(_, delivery)| delivery)
    }

    /// A task, ended or not.
    pub fn task(&self, session: SessionId, id: TaskId) -> Option<Task> {
        now(self.0.lock().rows.task(session, id)).ok().flatten()
    }

    /// Loses the row of a router and the numbers that were given out since, as a failover to a replica does that had not got
    /// them.
    pub fn forget_router(&self, name: &str) -> bool {
        let mut model = self.0.lock();
        let Some(epoch) =
            model.starts.iter().find(|(_, start)| start.state.is_some() && start.name == name).map(|(epoch, _)| *epoch)
        else {
            return false;
        };
        model.starts.remove(&epoch);
        // The start before may be there again, with the lease that it had.
        if let Some(before) = model.starts.values_mut().rfind(|start| start.name == name) {
            (before.state, before.lease_until) = (Some(MemberState::Up), Instant::now());
        }
        model.last_epoch = model.starts.keys().next_back().copied().unwrap_or_default();
        model.failovers += 1;
        true
    }

    /// Loses the end of a task, as a failover to a replica does that had not got it. Its owner there is that epoch, since the
    /// replica may not have got either whose it became. `false`: it has no end.
    pub fn reopen(&self, gid: Gid, owner: u64) -> bool {
        let mut model = self.0.lock();
        let Some(task) = model.read(gid).filter(|task| task.state == TaskState::Ended) else { return false };
        let spec = Arc::new(TaskSpec::of_stored(&task));
        let is_open = model.rows.lose(gid) && now(model.rows.accept(spec)).is_ok();
        if let Some(owned) = model.owners.get_mut(&gid) {
            owned.owner = owner;
        }
        model.senders.remove(&gid);
        model.failovers += 1;
        is_open
    }

    /// Loses a task, as a failover to a replica does that had not got it.
    pub fn lose(&self, gid: Gid) -> bool {
        self.0.lock().rows.lose(gid)
    }
}

impl Model {
    fn start(&mut self, name: &str) -> u64 {
        self.last_epoch += 1;
        let now = Instant::now();
        let start = Start {
            name: name.to_owned(),
            state: Some(MemberState::Up),
            lease_until: now + self.lease,
            steady_since: now,
            gone_at: now,
            settled: false,
            started_at: self.now(),
            reach: None,
        };
        self.starts.insert(self.last_epoch, start);
        self.last_epoch
    }

    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000 + self.from.elapsed().as_millis() as u64)
    }

    fn is_up(&self, epoch: u64) -> bool {
        self.starts.get(&epoch).is_some_and(|start| start.state.is_some())
    }

    /// Renews a lease, as every transaction does.
    fn renew(&mut self, epoch: u64) {
        let (now, lease) = (Instant::now(), self.lease);
        if let Some(start) = self.starts.get_mut(&epoch) {
            if start.lease_until < now {
                start.steady_since = now;
            }
            start.lease_until = now + lease;
        }
    }

    /// Gives the ids back that a start did not use.
    fn settle(&mut self, epoch: u64) {
        let Some(start) = self.starts.get_mut(&epoch).filter(|start| !start.settled) else { return };
        start.settled = true;
        for (session, block) in self.take_blocks(epoch) {
            if let Some(ids) = self.ids.get_mut(&session) {
                ids.given = (ids.given + block.taken).saturating_sub(block.granted);
                if ids.next == block.end {
                    ids.next = block.next.max(block.first);
                }
            }
            let old = self.blocks.entry((0, session)).or_default();
            old.taken += block.taken;
        }
    }

    /// Takes the blocks of ids out that an epoch has.
    fn take_blocks(&mut self, epoch: u64) -> Vec<(SessionId, Block)> {
        let taken = self.blocks.extract_if(|(of, _), _| *of == epoch);
        taken.map(|((_, session), block)| (session, block)).collect()
    }

    /// The epoch of a task's owner; 0: nobody owns it.
    fn owner(&self, gid: Gid) -> u64 {
        self.owners.get(&gid).map_or(0, |owned| owned.owner)
    }

    /// Makes that epoch the owner of a task, unless the task has ended.
    fn own(&mut self, epoch: u64, gid: Gid) {
        let is_open = self.read(gid).is_some_and(|task| task.state != TaskState::Ended);
        if let Some(owned) = self.owners.get_mut(&gid).filter(|_| is_open) {
            owned.owner = epoch;
        }
    }

    /// Writes a task, which is that epoch's if it is new.
    fn accept(&mut self, epoch: u64, task: Arc<TaskSpec>) -> Result<Accepted> {
        let (gid, session, id) = (task.gid, task.session_id, task.id);
        let accepted = now(self.rows.accept(task))?;
        if accepted == Accepted::New {
            self.owners.insert(gid, Owned { owner: epoch, moves: 0 });
            let block = self.blocks.entry((epoch, session)).or_default();
            (block.taken, block.next) = (block.taken + 1, block.next.max(id.0 + 1));
        }
        Ok(accepted)
    }

    /// Writes the end of a task. `false`: it is not that epoch's, or it has an end.
    fn finish(&mut self, epoch: u64, task: Arc<Task>) -> Result<bool> {
        if self.owner(task.gid) != epoch {
            return Ok(false);
        }
        let gid = task.gid;
        let is_ended = now(self.rows.finish(task))?;
        if is_ended {
            self.senders.insert(gid, epoch);
        }
        Ok(is_ended)
    }

    /// The deliveries that are not done and that such a router has.
    fn unsent(&self, has: impl Fn(u64) -> bool) -> Vec<(Gid, WebhookDelivery)> {
        let mut found = now(self.rows.deliveries(Deliveries::Pending)).unwrap_or_default();
        found.retain(|(gid, _)| has(self.sender(*gid)));
        found
    }

    fn sender(&self, gid: Gid) -> u64 {
        self.senders.get(&gid).copied().unwrap_or_default()
    }

    fn orphaned(&self, owner: u64) -> bool {
        owner == 0
            || self.starts.get(&owner).is_none_or(|start| start.state.is_none() && start.gone_at.elapsed() > LEFT)
    }

    /// The tasks that a claim would take, the oldest first.
    fn claimable(&self, wish: &ClaimWish) -> Result<Vec<(Task, u8)>> {
        let at = self.now();
        let mut open = now(self.rows.recover())?.unfinished;
        open.retain(|(task, _)| {
            let owner = self.owner(task.gid);
            let is_orphan = self.orphaned(owner) || wish.at_once && !self.is_up(owner);
            is_orphan
                && (wish.among.is_empty() || wish.among.contains(&task.gid))
                && !wish.except.contains(&task.gid)
                && (!wish.only_expired || task.deadline < at)
        });
        open.sort_by_key(|(task, _)| (task.created_at, task.gid));
        open.truncate(wish.limit as usize);
        Ok(open)
    }

    fn open(&self) -> Vec<Gid> {
        now(self.rows.unfinished()).unwrap_or_default()
    }

    fn read(&self, gid: Gid) -> Option<Task> {
        now(self.rows.task_by_gid(gid)).ok().flatten()
    }
}

/// The answer of a store that answers at once.
fn now<T>(pending: Pending<T>) -> Result<T> {
    pending.try_ready().unwrap_or_else(|_| Err(Error::internal("a store in memory answers at once")))
}

impl MemberStore {
    /// Sets what becomes of this router's calls. One that is dead stays so.
    pub fn set_fault(&self, fault: StoreFault) {
        let mut now = self.fault.lock();
        if *now != StoreFault::Dead {
            *now = fault;
        }
    }

    /// The epoch under which this router writes.
    pub fn epoch(&self) -> u64 {
        self.seat.lock().epoch
    }

    /// Does a call as a transaction of this router. One that was declared gone joins again first.
    fn call<T>(&self, act: impl FnOnce(&mut Model, u64) -> Result<T>) -> Pending<T> {
        let mut model = self.shared.0.lock();
        let fault = *self.fault.lock();
        if fault == StoreFault::Dead {
            let (resolver, pending) = Pending::channel();
            // Nobody ever answers.
            std::mem::forget(resolver);
            return pending;
        }
        if model.away || fault == StoreFault::Away {
            return Pending::ready(Err(Error::store("the database is away")));
        }
        let answer = self.sit(&mut model).and_then(|epoch| {
            model.renew(epoch);
            act(&mut model, epoch)
        });
        match fault {
            StoreFault::Answers if answer.is_ok() => Pending::ready(Err(Error::store("the answer was lost"))),
            _ => Pending::ready(answer),
        }
    }

    /// The seat's epoch; a new one if the old one was declared gone.
    fn sit(&self, model: &mut Model) -> Result<u64> {
        let mut seat = self.seat.lock();
        if model.is_up(seat.epoch) {
            return Ok(seat.epoch);
        }
        // A failover may have brought back a start before this one.
        for epoch in seat.earlier.clone() {
            if let Some(start) = model.starts.get_mut(&epoch).filter(|start| start.state.is_some()) {
                (start.state, start.gone_at) = (None, Instant::now());
                seat.replaced = true;
            }
        }
        if seat.deposed || model.starts.values().any(|start| start.state.is_some() && start.name == seat.name) {
            seat.deposed = true;
            return Err(Error::store("another start has taken its place").with_code("store_taken_over"));
        }
        let (old, name) = (seat.epoch, seat.name.clone());
        // A failover may have lost the rows of members that live.
        model.last_epoch = model.last_epoch.max(old).max(seat.heard);
        let epoch = model.start(&name);
        if let Some(start) = model.starts.get_mut(&epoch) {
            start.reach.clone_from(&seat.reach);
        }
        for gid in model.open() {
            if let Some(owned) = model.owners.get_mut(&gid).filter(|owned| owned.owner == old) {
                owned.owner = epoch;
            }
        }
        model.senders.values_mut().filter(|sender| **sender == old).for_each(|sender| *sender = epoch);
        if let Some(start) = model.starts.get_mut(&old).filter(|start| !start.settled) {
            start.settled = true;
            for (session, block) in model.take_blocks(old) {
                model.blocks.insert((epoch, session), block);
            }
        } else {
            seat.lost_ids = true;
        }
        seat.epoch = epoch;
        seat.earlier.push(old);
        Ok(epoch)
    }

    fn read<T>(&self, read: impl FnOnce(&Model) -> Pending<T>) -> Pending<T> {
        self.call(|model, _| now(read(model)))
    }
}

impl Store for MemberStore {
    fn kind(&self) -> StoreKind {
        StoreKind::Postgres
    }

    fn durability(&self) -> Durability {
        Durability::Full
    }

    fn fleet(&self) -> Option<&dyn Fleet> {
        Some(self)
    }

    fn recover(&self) -> Pending<Recovery> {
        let name = self.seat.lock().name.clone();
        self.call(|model, epoch| {
            let old =
                |start: &Start| start.state.is_none() && (start.name == name || start.gone_at.elapsed() > SETTLED);
            let gone: Vec<u64> = model.starts.iter().filter(|(_, start)| old(start)).map(|(epoch, _)| *epoch).collect();
            gone.into_iter().rev().for_each(|epoch| model.settle(epoch));
            let alone = !model.starts.iter().any(|(other, start)| *other != epoch && start.state.is_some());
            let mut recovery = now(model.rows.recover())?;
            recovery.epoch = epoch;
            recovery.now = Some(model.now());
            recovery.last_task_ids.clear();
            let mut quarantined = Vec::new();
            recovery.unfinished.retain(|(task, _)| {
                let Some(owned) = model.owners.get_mut(&task.gid) else { return false };
                if alone && owned.owner != epoch {
                    owned.moves += u32::from(owned.owner != 0);
                    owned.owner = epoch;
                }
                if owned.owner == epoch && owned.moves > MOST_MOVES {
                    quarantined.push(task.clone());
                }
                owned.owner == epoch && owned.moves <= MOST_MOVES
            });
            recovery.quarantined = quarantined;
            if alone {
                model.senders.values_mut().for_each(|sender| *sender = epoch);
            }
            Ok(recovery)
        })
    }

    fn put_session(&self, session: Session, act: Option<Act>) -> Pending<()> {
        self.call(|model, _| {
            *model.versions.entry(session.id).or_default() += 1;
            model.next_session = model.next_session.max(session.id.0 + 1);
            now(model.rows.put_session(session, act))
        })
    }

    fn delete_session(&self, id: SessionId) -> Pending<bool> {
        self.call(|model, _| now(model.rows.delete_session(id)))
    }

    fn accept(&self, task: Arc<TaskSpec>) -> Pending<Accepted> {
        self.call(|model, epoch| model.accept(epoch, task))
    }

    fn find(&self, key: Idempotency) -> Pending<Option<Accepted>> {
        self.read(|model| model.rows.find(key))
    }

    fn finish(&self, task: Arc<Task>) -> Pending<bool> {
        self.call(|model, epoch| model.finish(epoch, task))
    }

    fn record(&self, task: Arc<TaskSpec>, end: Arc<Task>) -> Pending<bool> {
        self.call(|model, epoch| {
            if model.read(task.gid).is_none() {
                // A task that is refused has no owner, and so gets no end.
                let _ = model.accept(epoch, task);
            }
            model.finish(epoch, end)
        })
    }

    fn task(&self, session: SessionId, id: TaskId) -> Pending<Option<Task>> {
        self.call(|model, _| now(model.rows.task(session, id)))
    }

    fn task_by_gid(&self, gid: Gid) -> Pending<Option<Task>> {
        self.call(|model, _| Ok(model.read(gid)))
    }

    fn unfinished(&self) -> Pending<Vec<Gid>> {
        self.call(|model, epoch| {
            let mut own = model.open();
            own.retain(|gid| model.owner(*gid) == epoch);
            Ok(own)
        })
    }

    fn tasks(&self, query: TaskQuery) -> Pending<TaskPage> {
        self.read(|model| model.rows.tasks(query))
    }

    fn purge(&self, purge: Purge) -> Pending<u64> {
        self.read(|model| model.rows.purge(purge))
    }

    fn delete_task(&self, gid: Gid) -> Pending<bool> {
        self.call(|model, _| {
            let is_deleted = now(model.rows.delete_task(gid))?;
            if is_deleted {
                model.deleted.push(gid);
            }
            Ok(is_deleted)
        })
    }

    fn usage(&self, query: UsageQuery) -> Pending<UsagePage> {
        self.read(|model| model.rows.usage(query))
    }

    fn forget_usage(&self, before: Day) -> Pending<u64> {
        self.read(|model| model.rows.forget_usage(before))
    }

    fn put_key(&self, key: ApiKey, act: Option<Act>) -> Pending<()> {
        self.read(|model| model.rows.put_key(key, act))
    }

    fn keys(&self) -> Pending<Vec<ApiKey>> {
        self.read(|model| model.rows.keys())
    }

    fn delete_key(&self, id: String, act: Option<Act>) -> Pending<bool> {
        self.read(|model| model.rows.delete_key(id, act))
    }

    fn put_miner(&self, miner: MinerRecord, act: Option<Act>) -> Pending<()> {
        self.read(|model| model.rows.put_miner(miner, act))
    }

    fn miners(&self) -> Pending<Vec<MinerRecord>> {
        self.read(|model| model.rows.miners())
    }

    fn delete_miner(&self, id: String, act: Option<Act>) -> Pending<bool> {
        self.read(|model| model.rows.delete_miner(id, act))
    }

    fn put_upstream(&self, upstream: UpstreamRecord, act: Option<Act>) -> Pending<()> {
        self.read(|model| model.rows.put_upstream(upstream, act))
    }

    fn upstreams(&self) -> Pending<Vec<UpstreamRecord>> {
        self.read(|model| model.rows.upstreams())
    }

    fn delete_upstream(&self, name: String, act: Option<Act>) -> Pending<bool> {
        self.read(|model| model.rows.delete_upstream(name, act))
    }

    fn deliveries(&self, of: Deliveries) -> Pending<Vec<(Gid, WebhookDelivery)>> {
        self.call(|model, epoch| match of {
            Deliveries::Pending => Ok(model.unsent(|sender| sender == epoch)),
            Deliveries::Of(_) => now(model.rows.deliveries(of)),
        })
    }

    fn put_delivery(&self, gid: Gid, delivery: WebhookDelivery) -> Pending<bool> {
        self.call(
            |model, epoch| {
                if model.sender(gid) == epoch { now(model.rows.put_delivery(gid, delivery)) } else { Ok(false) }
            },
        )
    }

    fn note(&self, act: Act) -> Pending<()> {
        self.read(|model| model.rows.note(act))
    }

    fn audit(&self, query: AuditQuery) -> Pending<AuditPage> {
        self.read(|model| model.rows.audit(query))
    }

    fn forget_audit(&self, before: Timestamp) -> Pending<u64> {
        self.read(|model| model.rows.forget_audit(before))
    }

    fn check(&self) -> Result<()> {
        let is_away = self.shared.0.lock().away || *self.fault.lock() != StoreFault::None;
        if is_away { Err(Error::store("the database is away")) } else { Ok(()) }
    }

    fn close(&self) -> Pending<()> {
        let mut model = self.shared.0.lock();
        let epoch = self.seat.lock().epoch;
        if model.away || *self.fault.lock() != StoreFault::None {
            return Pending::ready(Ok(()));
        }
        if model.is_up(epoch) {
            model.owners.values_mut().filter(|owned| owned.owner == epoch).for_each(|owned| owned.owner = 0);
            model.senders.values_mut().filter(|sender| **sender == epoch).for_each(|sender| *sender = 0);
            if let Some(start) = model.starts.get_mut(&epoch) {
                (start.state, start.gone_at) = (None, Instant::now());
            }
            model.settle(epoch);
        }
        Pending::ready(Ok(()))
    }
}

impl Fleet for MemberStore {
    /// All records are news with every beat, which is allowed and tells the most of those who read them.
    fn beat(&self, counts: bool) -> Pending<Beat> {
        self.call(|model, epoch| {
            let (at, lease) = (Instant::now(), model.lease);
            let mut swept = Vec::new();
            // Nobody declares another one gone who has not held its own lease for as long.
            if model.starts.get(&epoch).is_some_and(|start| at - start.steady_since > lease) {
                for start in model.starts.values_mut().filter(|start| start.state.is_some() && start.lease_until < at) {
                    (start.state, start.gone_at) = (None, at);
                    swept.push(start.name.clone());
                }
            }
            let long = |start: &Start| start.state.is_none() && start.gone_at.elapsed() > SETTLED;
            let long: Vec<u64> =
                model.starts.iter().filter(|(_, start)| long(start)).map(|(epoch, _)| *epoch).collect();
            for epoch in long {
                model.settle(epoch);
            }
            let state = |(epoch, start): (&u64, &Start)| {
                start.state.map(|state| Member {
                    epoch: *epoch,
                    name: start.name.clone(),
                    state,
                    version: crate::VERSION.to_owned(),
                    started_at: start.started_at,
                    lease_left_ms: start.lease_until.duration_since(Instant::now()).as_millis() as i64,
                    reach: start.reach.clone(),
                })
            };
            let open = model.open();
            let mut others: BTreeMap<SessionId, u64> = BTreeMap::new();
            for ((_, session), block) in model.blocks.iter().filter(|((of, _), _)| *of != epoch) {
                *others.entry(*session).or_default() += block.taken;
            }
            let mut seat = self.seat.lock();
            let wishes = model.cancels.iter().filter(|gid| open.contains(gid) && model.owner(**gid) == epoch);
            Ok(Beat {
                now: model.now(),
                epoch,
                members: model.starts.iter().filter_map(state).collect(),
                swept,
                replaced: std::mem::take(&mut seat.replaced),
                orphans: open.iter().any(|gid| model.orphaned(model.owner(*gid))),
                unsent: !model.unsent(|sender| model.orphaned(sender)).is_empty(),
                lost_ids: std::mem::take(&mut seat.lost_ids),
                anew: std::mem::replace(&mut seat.failovers, model.failovers) != model.failovers,
                cancels: wishes.copied().collect(),
                changes: Changes {
                    whole: true,
                    sessions: now(model.rows.recover())?.sessions,
                    keys: now(model.rows.keys())?,
                    miners: now(model.rows.miners())?,
                    upstreams: true,
                    gone_tasks: model.deleted.clone(),
                    ..Changes::default()
                },
                // Those that have not ended are not counted here.
                counts: counts.then(|| others.into_iter().map(|(id, taken)| (id, taken, 0)).collect()),
            })
        })
    }

    fn ids(&self, wish: IdsWish) -> Pending<IdBlock> {
        self.call(|model, epoch| {
            let ids = model.ids.entry(wish.session).or_insert(Given { next: wish.first.0, given: 0 });
            let left = wish.most.map_or(u64::MAX, |most| most.saturating_sub(ids.given));
            let count = wish.count.min(left.div_ceil(4));
            let first = ids.next;
            (ids.next, ids.given) = (ids.next + count, ids.given + count);
            let block = model.blocks.entry((epoch, wish.session)).or_default();
            if block.end != first {
                block.first = first;
            }
            (block.end, block.granted) = (first + count, block.granted + count);
            Ok(IdBlock { first: TaskId(first), end: TaskId(first + count) })
        })
    }

    fn session_id(&self) -> Pending<SessionId> {
        self.call(|model, _| {
            model.next_session += 1;
            Ok(SessionId(model.next_session - 1))
        })
    }

    fn orphans(&self, wish: ClaimWish) -> Pending<Vec<Task>> {
        self.call(|model, _| Ok(model.claimable(&wish)?.into_iter().map(|(task, _)| task).collect()))
    }

    fn known(&self, gids: Vec<Gid>) -> Pending<Vec<(Gid, bool)>> {
        self.call(|model, _| {
            let known = |gid| model.read(gid).map(|task| (gid, task.state == TaskState::Ended));
            Ok(gids.into_iter().filter_map(known).collect())
        })
    }

    fn end_again(&self, end: Arc<Task>) -> Pending<bool> {
        self.call(|model, epoch| {
            model.own(epoch, end.gid);
            model.finish(epoch, end)
        })
    }

    fn end_orphan(&self, end: Arc<Task>) -> Pending<bool> {
        self.call(|model, epoch| {
            if model.is_up(model.owner(end.gid)) {
                return Ok(false);
            }
            model.own(epoch, end.gid);
            model.finish(epoch, end)
        })
    }

    fn heard(&self, epoch: u64) {
        let mut seat = self.seat.lock();
        seat.heard = seat.heard.max(epoch);
    }

    fn claim(&self, wish: ClaimWish) -> Pending<Claimed> {
        self.call(|model, epoch| {
            let open = model.claimable(&wish)?;
            model.last_epoch += u64::from(!open.is_empty());
            let mut claimed = Claimed { run: model.last_epoch, ..Claimed::default() };
            for (task, band) in open {
                let owned = model.owners.entry(task.gid).or_insert(Owned { owner: 0, moves: 0 });
                owned.moves += u32::from(owned.owner != 0);
                owned.owner = epoch;
                if owned.moves > MOST_MOVES {
                    claimed.quarantined.push(task);
                } else {
                    claimed.tasks.push((task, band));
                }
            }
            Ok(claimed)
        })
    }

    fn release(&self, gids: Vec<Gid>) -> Pending<Vec<Gid>> {
        self.call(|model, epoch| {
            let open = model.open();
            let mut released = gids;
            released.retain(|gid| {
                let owned = model.owners.get_mut(gid).filter(|owned| owned.owner == epoch && open.contains(gid));
                owned.map(|owned| owned.owner = 0).is_some()
            });
            Ok(released)
        })
    }

    fn claim_deliveries(&self, limit: u64) -> Pending<Vec<(Gid, WebhookDelivery)>> {
        self.call(|model, epoch| {
            let mut claimed = model.unsent(|sender| model.orphaned(sender));
            claimed.truncate(limit as usize);
            model.senders.extend(claimed.iter().map(|(gid, _)| (*gid, epoch)));
            Ok(claimed)
        })
    }

    fn reach(&self, reach: Reach) -> Pending<()> {
        self.seat.lock().reach = Some(reach.clone());
        self.call(|model, epoch| {
            if let Some(start) = model.starts.get_mut(&epoch) {
                start.reach = Some(reach);
            }
            Ok(())
        })
    }

    fn retire(&self) -> Pending<()> {
        self.call(|model, epoch| {
            if let Some(start) = model.starts.get_mut(&epoch) {
                start.state = Some(MemberState::Draining);
            }
            Ok(())
        })
    }

    fn ask_cancel(&self, gid: Gid) -> Pending<()> {
        self.call(|model, _| {
            model.cancels.push(gid);
            Ok(())
        })
    }

    fn place(&self, gid: Gid) -> Pending<Option<Placed>> {
        self.call(|model, epoch| {
            let owner = model.owner(gid);
            Ok(model.read(gid).map(|task| Placed { task, owner, is_own: owner == epoch }))
        })
    }

    fn session(&self, name: SessionName) -> Pending<Option<(Session, u64)>> {
        self.call(|model, _| {
            let sessions = now(model.rows.recover())?.sessions;
            let is_it = |session: &Session| match &name {
                SessionName::Id(id) => session.id == *id,
                SessionName::Sid(sid) => session.sid == *sid,
            };
            let found = sessions.into_iter().find(is_it);
            Ok(found.map(|session| (session.clone(), model.versions.get(&session.id).copied().unwrap_or_default())))
        })
    }

    fn change_session(&self, session: Session, version: u64, act: Option<Act>) -> Pending<bool> {
        self.call(|model, _| {
            let found = model.versions.entry(session.id).or_default();
            if *found != version {
                return Ok(false);
            }
            *found += 1;
            now(model.rows.put_session(session, act)).map(|()| true)
        })
    }

    fn key(&self, id: String) -> Pending<Option<ApiKey>> {
        self.call(|model, _| Ok(now(model.rows.keys())?.into_iter().find(|key| key.id == id)))
    }

    fn merge_miner(&self, mut miner: MinerRecord, before: f64) -> Pending<()> {
        self.call(|model, _| {
            let known = now(model.rows.miners())?.into_iter().find(|known| known.id == miner.id);
            if let Some(known) = known {
                miner.reputation = (known.reputation + miner.reputation - before).clamp(0.0, 1.0);
                miner.revoked |= known.revoked;
                miner.last_seen = miner.last_seen.max(known.last_seen);
            }
            now(model.rows.put_miner(miner, None))
        })
    }
}
