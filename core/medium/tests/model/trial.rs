//! Plays a sequence on one store, and follows what the store acknowledged.
//!
//! A write that failed may have happened or not, and SQLite may find it in its log when it next reads the log from the
//! file. The trial therefore keeps every world that the answers so far allow. A later write that the store acknowledges
//! decides which of them is true: it stands in the log where the failed one stood.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cortensor_router::internals::store::{AuditQuery, Pending, Purge, Store, TaskQuery, UsageQuery};
use cortensor_router::model::{Day, Gid, SessionId, TaskId, Timestamp};
use cortensor_router::{Error, ErrorKind};
use cortensor_router_medium::Strike;

use crate::operation::{self, Read, Step, Stop, Write};
use crate::subject::Subject;
use crate::world::{self, TIMELESS, Told, World, shown};

/// The id of the key that the trial itself writes.
const OWN_KEY: u8 = 200;

/// The code of an error of the medium.
const FAILED: &str = "store_unavailable";

/// The code of a refusal because too many writes wait.
const OVERLOADED: &str = "store_overloaded";

/// A store, and all worlds in which it may be.
pub(crate) struct Trial {
    name: &'static str,
    subject: Box<dyn Subject>,
    worlds: Vec<World>,
    /// Whether no failed write can come back.
    settled: bool,
    own_writes: u32,
    /// The greatest epoch that was begun.
    epoch: Arc<AtomicU64>,
}

/// An answer that is outstanding.
type Answer = Box<dyn FnOnce() -> Told>;

fn later<T: 'static>(pending: Pending<T>, show: fn(&T) -> String) -> Answer {
    Box::new(move || pending.wait().map(|answer| show(&answer)).map_err(|error| error.code().to_owned()))
}

fn ask(store: &dyn Store, write: &Write, epoch: &Arc<AtomicU64>) -> Answer {
    match *write {
        Write::Accept { task, key, length } => later(store.accept(operation::spec(task, key, length).into()), shown),
        Write::Finish { task, at, kept, fails, length } => {
            later(store.finish(operation::ended(task, at, kept, fails, length).into()), shown)
        }
        Write::Record { task, at, kept, fails, length } => {
            let spec = operation::spec(task, None, length / 2);
            later(store.record(spec.into(), operation::ended(task, at, kept, fails, length).into()), shown)
        }
        Write::Purge { before, max_bytes, limit } => {
            later(store.purge(Purge { ended_before: Timestamp(before), max_bytes, limit }), shown)
        }
        Write::DeleteTask(gid) => later(store.delete_task(Gid(gid)), shown),
        Write::PutSession { id, name, active } => {
            later(store.put_session(operation::session(id, name, active), operation::recorded(name.into())), shown)
        }
        Write::DeleteSession(id) => later(store.delete_session(SessionId(id)), shown),
        Write::PutKey { id, name } => {
            later(store.put_key(operation::key(id, name), operation::recorded(name.into())), shown)
        }
        Write::DeleteKey(id) => {
            later(store.delete_key(operation::key(id, 0).id, operation::recorded(id.into())), shown)
        }
        Write::PutMiner { id, seen } => {
            later(store.put_miner(operation::miner(id, seen), operation::recorded(seen)), shown)
        }
        Write::DeleteMiner(id) => {
            later(store.delete_miner(operation::miner(id, 0).id, operation::recorded(id.into())), shown)
        }
        Write::ForgetUsage(before) => later(store.forget_usage(Day::from_number(before)), shown),
        Write::ForgetAudit(before) => later(store.forget_audit(Timestamp(before)), shown),
        Write::Recover => {
            let (pending, greatest) = (store.recover(), epoch.clone());
            Box::new(move || {
                let found = pending.wait().map_err(|error| error.code().to_owned())?;
                // An epoch may pass unseen: its start failed, or the store itself began it when it was opened.
                let before = greatest.fetch_max(found.epoch, Ordering::Relaxed);
                assert!(found.epoch > before, "epoch {} follows {before}", found.epoch);
                Ok(world::recovery_shown(&found))
            })
        }
    }
}

fn look(store: &dyn Store, read: &Read) -> Answer {
    match *read {
        Read::Task { session, id } => {
            later(store.task(SessionId(session), TaskId(id)), |task| world::one(task.as_ref().map(shown)))
        }
        Read::ByGid(gid) => later(store.task_by_gid(Gid(gid)), |task| world::one(task.as_ref().map(shown))),
        Read::Unfinished => later(store.unfinished(), shown),
        Read::Find(key) => later(store.find(operation::idempotency(key)), shown),
        Read::Page { session, state, key, start, limit } => {
            let key_id = key.map(operation::key_name);
            let query = TaskQuery { session_id: SessionId(session), state, key_id, limit, start };
            later(store.tasks(query), world::page_shown)
        }
        Read::Keys => later(store.keys(), |keys| world::list(keys.iter().map(shown))),
        Read::Miners => later(store.miners(), |miners| world::list(miners.iter().map(shown))),
        Read::Audit { act, after, limit } => later(store.audit(AuditQuery { act, after, limit }), world::audit_shown),
        Read::Usage(by) => later(store.usage(UsageQuery { by, ..UsageQuery::default() }), world::usage_shown),
    }
}

impl Trial {
    pub(crate) fn new(name: &'static str, subject: Box<dyn Subject>) -> Self {
        let worlds = vec![World::new(subject.budget())];
        Self { name, subject, worlds, settled: true, own_writes: 0, epoch: Arc::default() }
    }

    pub(crate) fn play(&mut self, step: &Step) {
        match step {
            Step::Batch { writes, reads, held, strike } => {
                self.batch(writes, reads, *held, *strike);
                if strike.is_some() {
                    self.settle();
                    self.read_everything();
                }
            }
            Step::Reopen(how) => self.reopen(*how),
        }
    }

    /// Asks for all writes and reads, and judges the answers.
    fn batch(&mut self, writes: &[Write], reads: &[Read], held: bool, strike: Option<Strike>) {
        let first = if held { self.subject.hold() } else { None };
        let store = self.subject.store();
        let answers: Vec<Answer> = writes.iter().map(|write| ask(store, write, &self.epoch)).collect();
        let seen: Vec<Answer> = reads.iter().map(|read| look(store, read)).collect();
        match strike {
            Some(strike) => self.subject.strike(strike),
            None => self.subject.heal(),
        }
        // The writes are one batch if they were asked for while the one before them still waited for the disk.
        let is_batch = first.is_some_and(|first| first.wait().is_ok());
        let told: Vec<Told> = answers.into_iter().map(|answer| answer()).collect();
        let seen: Vec<Told> = seen.into_iter().map(|answer| answer()).collect();

        let mut waiting = 0;
        let mut queued = Vec::new();
        for (write, told) in writes.iter().zip(told) {
            if write.is_timeless() {
                // The store refuses it before it waits for the disk.
                assert!(is_error(&told, TIMELESS), "{}: {write:?} was told {told:?}", self.name);
                continue;
            }
            let is_refused = is_error(&told, OVERLOADED);
            if is_batch {
                let is_full = self.subject.room().is_some_and(|room| waiting >= room);
                let expected = is_full && matches!(write, Write::Accept { .. });
                assert!(
                    is_refused == expected,
                    "{}: {waiting} writes waited, but {write:?} was told {told:?}",
                    self.name
                );
            }
            if !is_refused {
                waiting += 1;
                queued.push((write, told));
            }
        }
        for group in queued.chunk_by(|(left, _), (right, _)| is_batch && !left.is_alone() && !right.is_alone()) {
            self.transaction(group, strike.is_some());
        }
        for (read, told) in reads.iter().zip(seen) {
            self.judge_read(read, &told, strike.is_some());
        }
    }

    /// Judges the answers to writes of one transaction.
    fn transaction(&mut self, writes: &[(&Write, Told)], may_fail: bool) {
        let failed = writes.iter().filter(|(_, told)| is_error(told, FAILED)).count();
        if failed == 0 {
            for (write, told) in writes {
                self.judge_write(write, told);
            }
            return;
        }
        assert!(may_fail, "{}: the store fails on a sound medium: {writes:?}", self.name);
        assert!(failed == writes.len(), "{}: a part of a transaction was acknowledged: {writes:?}", self.name);
        self.settled = false;
        let mut done = self.worlds.clone();
        for world in &mut done {
            for (write, _) in writes {
                // Nobody got this answer.
                let _ = world.write(write);
            }
        }
        self.worlds.extend(done);
        self.forget_twins();
    }

    /// Keeps one of several equal worlds.
    fn forget_twins(&mut self) {
        let mut distinct = Vec::new();
        for world in self.worlds.drain(..) {
            if !distinct.contains(&world) {
                distinct.push(world);
            }
        }
        self.worlds = distinct;
    }

    fn judge_write(&mut self, write: &Write, told: &Told) {
        let mut expected = Vec::new();
        self.worlds.retain_mut(|world| {
            let answer = world.write(write);
            let agrees = answer == *told;
            expected.push(answer);
            agrees
        });
        // A write that was done may make worlds equal that differed before.
        self.forget_twins();
        self.agreed(write, told, &expected);
    }

    fn judge_read(&mut self, read: &Read, told: &Told, may_fail: bool) {
        if may_fail && is_error(told, FAILED) {
            return;
        }
        let expected: Vec<Told> = self.worlds.iter().map(|world| world.read(read)).collect();
        let mut agrees = expected.iter().map(|answer| answer == told);
        if self.settled {
            self.worlds.retain(|_| agrees.next().unwrap_or(false));
        } else if !agrees.any(|agrees| agrees) {
            self.worlds.clear();
        }
        self.agreed(read, told, &expected);
    }

    fn agreed(&self, asked: &dyn Debug, told: &Told, expected: &[Told]) {
        assert!(
            !self.worlds.is_empty(),
            "{}: {asked:?} was answered\n{}\nbut the model allows only\n{}",
            self.name,
            text(told),
            expected.iter().map(text).collect::<Vec<_>>().join("\nor\n")
        );
    }

    /// Ends the failures of the medium, and writes until the store acknowledges a change.
    fn settle(&mut self) {
        self.subject.heal();
        let from = Instant::now();
        while !self.settled {
            assert!(from.elapsed() < Duration::from_secs(10), "{}: the store does not write again", self.name);
            self.own_writes += 1;
            let write = Write::PutKey { id: OWN_KEY, name: self.own_writes };
            let told = ask(self.subject.store(), &write, &self.epoch)();
            self.settled = told.is_ok();
            self.transaction(&[(&write, told)], true);
        }
        let checked = self.subject.store().check();
        assert!(checked.is_ok(), "{}: the store writes, but says {checked:?}", self.name);
    }

    fn read_everything(&mut self) {
        for world in self.worlds.clone() {
            for read in world.everything() {
                let told = look(self.subject.store(), &read)();
                self.judge_read(&read, &told, false);
            }
        }
        if self.worlds.len() > 1 {
            self.recover();
        }
        assert!(self.worlds.len() == 1, "{}: the store does not tell what happened: {:#?}", self.name, self.worlds);
    }

    /// Begins a new epoch. Only that shows sessions and the greatest ids.
    fn recover(&mut self) {
        let told = ask(self.subject.store(), &Write::Recover, &self.epoch)();
        self.judge_write(&Write::Recover, &told);
    }

    fn reopen(&mut self, stop: Stop) {
        self.subject.reopen(stop);
        self.recover();
        self.read_everything();
    }

    /// Closes the store. A closed store says that it is closed, and its medium is sound.
    pub(crate) fn finish(mut self) {
        self.read_everything();
        let store = self.subject.store();
        assert!(store.close().wait().is_ok(), "{}: the store does not close", self.name);
        let kind = |error: Option<Error>| error.map(|error| error.kind());
        let kinds = [
            kind(store.recover().wait().err()),
            kind(store.keys().wait().err()),
            kind(store.delete_session(SessionId(1)).wait().err()),
            kind(store.close().wait().err()),
        ];
        assert_eq!(kinds, [Some(ErrorKind::Closed); 4], "{}", self.name);
        self.subject.inspect();
    }
}

fn is_error(told: &Told, code: &str) -> bool {
    told.as_ref().is_err_and(|told| told == code)
}

fn text(told: &Told) -> String {
    match told {
        Ok(text) => text.clone(),
        Err(code) => format!("the error {code}"),
    }
}
