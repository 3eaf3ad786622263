//! The reference model: a store as plain maps, with the rules of the trait and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use cortensor_router::internals::store::{
    Accepted, Act, ActKind, AuditEntry, AuditPage, Recovery, TaskPage, UsageBy, UsageCounts, UsagePage, UsageRow,
};
use cortensor_router::model::{Gid, PageStart, SessionId, Task, TaskId, TaskState};

use crate::operation::{self, Ids, Key, Read, Write};

/// An answer of a store as text; an error is its code.
pub(crate) type Told = Result<String, String>;

/// The code of a refusal because a time is 0.
pub(crate) const TIMELESS: &str = "invalid_argument";

/// The bytes that a task costs a memory store with a budget beside its weight.
const RECORD: u64 = 1 << 10;

/// The content of a store.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct World {
    /// The bytes of ended tasks beyond which the oldest are deleted at once; `None`: no bound.
    budget: Option<u64>,
    sessions: BTreeMap<u64, String>,
    keys: BTreeMap<String, String>,
    miners: BTreeMap<String, String>,
    tasks: BTreeMap<u64, Row>,
    /// The greatest id of a task that each session ever had.
    last_ids: BTreeMap<u64, u64>,
    /// The counts of ended tasks by key and session; all of them end on one day.
    usage: BTreeMap<(String, u64), UsageCounts>,
    audit: Vec<AuditEntry>,
    last_audit: u64,
    last_session: u64,
    last_gid: u64,
    last_fence: u64,
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    ids: Ids,
    key: Option<Key>,
    band: u8,
    shown: String,
    end: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct End {
    at: u64,
    bytes: u64,
}

impl World {
    pub(crate) fn new(budget: Option<u64>) -> Self {
        Self { budget, ..Self::default() }
    }

    /// Applies a write, and gives the answer that the store must give.
    pub(crate) fn write(&mut self, write: &Write) -> Told {
        match *write {
            _ if write.is_timeless() => return Err(TIMELESS.into()),
            Write::Accept { task, key, length } => return self.accept(task, key, length),
            Write::Finish { task, at, kept, fails, length } => {
                return Ok(shown(&self.finish(task, &operation::ended(task, at, kept, fails, length))));
            }
            Write::Record { task, at, kept, fails, length } => {
                // A task that is there already gets its end alone.
                let _ = self.accept(task, None, length / 2);
                return Ok(shown(&self.finish(task, &operation::ended(task, at, kept, fails, length))));
            }
            Write::Purge { before, max_bytes, limit } => return Ok(shown(&self.purge(before, max_bytes, limit))),
            Write::DeleteTask(gid) => {
                let has_ended = self.tasks.get(&gid).is_some_and(|row| row.end.is_some());
                if has_ended {
                    self.tasks.remove(&gid);
                }
                return Ok(shown(&has_ended));
            }
            Write::PutSession { id, name, active } => {
                self.last_session = self.last_session.max(id);
                self.sessions.insert(id, shown(&operation::session(id, name, active)));
                self.record(operation::recorded(name.into()));
            }
            Write::DeleteSession(id) => {
                let has_tasks = self.tasks.values().any(|row| row.ids.session == id);
                if !has_tasks {
                    self.sessions.remove(&id);
                    self.last_ids.remove(&id);
                }
                return Ok(shown(&!has_tasks));
            }
            Write::PutKey { id, name } => {
                let key = operation::key(id, name);
                self.keys.insert(key.id.clone(), shown(&key));
                self.record(operation::recorded(name.into()));
            }
            Write::DeleteKey(id) => {
                let found = self.keys.remove(&operation::key(id, 0).id).is_some();
                self.record(operation::recorded(id.into()).filter(|_| found));
                return Ok(shown(&found));
            }
            Write::PutMiner { id, seen } => {
                let miner = operation::miner(id, seen);
                self.miners.insert(miner.id.clone(), shown(&miner));
                self.record(operation::recorded(seen));
            }
            Write::DeleteMiner(id) => {
                let found = self.miners.remove(&operation::miner(id, 0).id).is_some();
                self.record(operation::recorded(id.into()).filter(|_| found));
                return Ok(shown(&found));
            }
            Write::ForgetUsage(before) => {
                let gone = if before > 0 { std::mem::take(&mut self.usage).len() } else { 0 };
                return Ok(shown(&(gone as u64)));
            }
            Write::ForgetAudit(before) => {
                let gone = self.audit.iter().take_while(|entry| entry.act.at.0 < before).count();
                self.audit.drain(..gone);
                return Ok(shown(&(gone as u64)));
            }
            Write::Recover => return Ok(self.recover()),
        }
        Ok(shown(&()))
    }

    /// The answer that the store must give to a read.
    pub(crate) fn read(&self, read: &Read) -> Told {
        match *read {
            Read::Task { session, id } => {
                let row = self.tasks.values().find(|row| (row.ids.session, row.ids.id) == (session, id));
                Ok(one(row.map(|row| row.shown.clone())))
            }
            Read::ByGid(gid) => Ok(one(self.tasks.get(&gid).map(|row| row.shown.clone()))),
            Read::Unfinished => Ok(shown(&self.open().into_iter().map(|ids| Gid(ids.gid())).collect::<Vec<_>>())),
            Read::Find(key) => self.find(key).map(|found| shown(&found)),
            Read::Page { session, state, key, start, limit } => {
                Ok(self.page(session, state, key.map(operation::key_name).as_deref(), (start, limit)))
            }
            Read::Keys => Ok(list(self.keys.values())),
            Read::Miners => Ok(list(self.miners.values())),
            Read::Usage(by) => Ok(usage_shown(&self.usage(by))),
            Read::Audit { act, after, limit } => Ok(audit_shown(&self.audit(act, after, limit as usize))),
        }
    }

    fn record(&mut self, act: Option<Act>) {
        let Some(act) = act else { return };
        self.last_audit += 1;
        self.audit.push(AuditEntry { number: self.last_audit, act });
    }

    fn audit(&self, act: Option<ActKind>, after: Option<u64>, limit: usize) -> AuditPage {
        let mut entries = self.audit.clone();
        entries.retain(|entry| act.is_none_or(|act| act == entry.act.act));
        let total = entries.len() as u64;
        match after {
            Some(after) => {
                entries.retain(|entry| entry.number > after);
                entries.truncate(limit);
            }
            None => drop(entries.drain(..entries.len().saturating_sub(limit))),
        }
        AuditPage { entries, corrupt: Vec::new(), total }
    }

    fn usage(&self, by: UsageBy) -> UsagePage {
        let mut parts: BTreeMap<(u64, String), UsageCounts> = BTreeMap::new();
        for ((key, session), counts) in &self.usage {
            let name = match by {
                UsageBy::Key => (0, key.clone()),
                UsageBy::Session => (*session, session.to_string()),
                UsageBy::Model => (0, String::new()),
                UsageBy::Miner => (0, "0xa".to_owned()),
                UsageBy::Day => (0, "1970-01-01".to_owned()),
            };
            parts.entry(name).or_default().add(counts);
        }
        let total = parts.len() as u64;
        let rows =
            parts.into_iter().map(|((_, name), counts)| UsageRow { name, model: String::new(), counts }).collect();
        UsagePage { rows, total }
    }

    fn find(&self, key: Key) -> Result<Option<Accepted>, String> {
        let used = |row: &&Row| row.key.is_some_and(|used| (used.0, used.1) == (key.0, key.1));
        match self.tasks.values().find(used) {
            None => Ok(None),
            Some(row) if row.key == Some(key) => Ok(Some(Accepted::Existing {
                gid: Gid(row.ids.gid()),
                session_id: SessionId(row.ids.session),
                id: TaskId(row.ids.id),
            })),
            Some(_) => Err("idempotency_mismatch".into()),
        }
    }

    fn accept(&mut self, task: Ids, key: Option<Key>, length: usize) -> Told {
        if let Some(key) = key
            && let Some(existing) = self.find(key)?
        {
            return Ok(shown(&existing));
        }
        let taken = |row: &Row| row.ids.gid() == task.gid() || (row.ids.session, row.ids.id) == (task.session, task.id);
        if self.tasks.values().any(taken) {
            return Err("task_id_in_use".into());
        }
        let spec = operation::spec(task, key, length);
        let row = Row { ids: task, key, band: spec.band, shown: shown(&spec.to_task()), end: None };
        self.tasks.insert(task.gid(), row);
        let last = self.last_ids.entry(task.session).or_default();
        *last = task.id.max(*last);
        self.last_gid = self.last_gid.max(task.gid());
        Ok(shown(&Accepted::New))
    }

    fn finish(&mut self, task: Ids, end: &Task) -> bool {
        let gid = task.gid();
        let Some(row) = self.tasks.get_mut(&gid) else { return false };
        if row.end.is_some() || (row.ids.session, row.ids.id) != (task.session, task.id) {
            return false;
        }
        row.end = Some(End { at: end.ended_at.unwrap_or_default().0, bytes: operation::weight(end) });
        row.shown = shown(end);
        let answered = u64::from(end.error.is_none());
        self.usage.entry((end.key_id.as_deref().unwrap_or_default().to_owned(), task.session)).or_default().add(
            &UsageCounts {
                requests: 1,
                ok: answered,
                failed: 1 - answered,
                bytes: end.bytes,
                attempts: u64::from(end.attempts),
                ..UsageCounts::default()
            },
        );
        self.last_fence = self.last_fence.max(end.fence.0);
        if let Some(budget) = self.budget {
            while self.ended().map(|(_, end)| end.bytes + RECORD).sum::<u64>() > budget {
                let oldest = self.oldest().find(|oldest| *oldest != gid);
                let Some(oldest) = oldest else { break };
                self.tasks.remove(&oldest);
            }
        }
        true
    }

    fn ended(&self) -> impl Iterator<Item = (u64, End)> {
        self.tasks.iter().filter_map(|(gid, row)| Some((*gid, row.end?)))
    }

    /// The ended tasks, the one that ended first at the front.
    fn oldest(&self) -> impl Iterator<Item = u64> + use<> {
        let ordered: BTreeSet<(u64, u64)> = self.ended().map(|(gid, end)| (end.at, gid)).collect();
        ordered.into_iter().map(|(_, gid)| gid)
    }

    fn purge(&mut self, before: u64, max_bytes: u64, limit: u64) -> u64 {
        let mut gone = 0;
        for gid in self.oldest() {
            let bytes: u64 = self.ended().map(|(_, end)| end.bytes).sum();
            let is_old = self.tasks.get(&gid).and_then(|row| row.end).is_some_and(|end| end.at < before);
            if gone == limit || !(is_old || (max_bytes != 0 && bytes > max_bytes)) {
                break;
            }
            self.tasks.remove(&gid);
            gone += 1;
        }
        gone
    }

    fn page(
        &self,
        session: u64,
        state: Option<TaskState>,
        key: Option<&str>,
        (start, limit): (PageStart, u64),
    ) -> String {
        let wanted = |row: &&Row| match state {
            None => true,
            Some(TaskState::Ended) => row.end.is_some(),
            Some(_) => row.end.is_none(),
        };
        let of_key = |row: &&Row| key.is_none() || operation::key_of(row.ids.id).as_deref() == key;
        let of_session = self.tasks.values().filter(|row| row.ids.session == session).filter(wanted).filter(of_key);
        let rows: BTreeMap<u64, &str> = of_session.map(|row| (row.ids.id, row.shown.as_str())).collect();
        let rows: Vec<&str> = rows.into_values().collect();
        let limit = limit as usize;
        let page = match start {
            PageStart::Oldest(skip) => rows.iter().skip(skip as usize).take(limit).copied().collect::<Vec<_>>(),
            PageStart::Newest(skip) => {
                let mut page: Vec<_> = rows.iter().rev().skip(skip as usize).take(limit).copied().collect();
                page.reverse();
                page
            }
        };
        format!("{} of {}", list(page), rows.len())
    }

    fn recover(&self) -> String {
        let open = self.tasks.values().filter(|row| row.end.is_none());
        recovery(
            &list(self.sessions.values()),
            &list(open.map(|row| format!("{} in band {}", row.shown, row.band))),
            &format!("{:?}", self.last_ids),
            [last_session(self.last_session), self.last_gid, self.last_fence],
        )
    }

    /// The tasks that have not ended.
    pub(crate) fn open(&self) -> Vec<Ids> {
        self.tasks.values().filter(|row| row.end.is_none()).map(|row| row.ids).collect()
    }

    /// The reads that together show everything that the store holds.
    pub(crate) fn everything(&self) -> Vec<Read> {
        let mut reads = vec![Read::Keys, Read::Miners, Read::Unfinished];
        reads.push(Read::Audit { act: None, after: Some(0), limit: u64::MAX });
        reads.extend([UsageBy::Day, UsageBy::Key, UsageBy::Model, UsageBy::Session, UsageBy::Miner].map(Read::Usage));
        for row in self.tasks.values() {
            reads.push(Read::ByGid(row.ids.gid()));
            reads.push(Read::Task { session: row.ids.session, id: row.ids.id });
            reads.extend(row.key.map(Read::Find));
        }
        for session in 0..crate::sequence::SESSIONS {
            for state in [None, Some(TaskState::Ended), Some(TaskState::Queued)] {
                for key in [None, Some(0)] {
                    reads.push(Read::Page { session, state, key, start: PageStart::Oldest(0), limit: u64::MAX });
                }
            }
        }
        reads
    }
}

pub(crate) fn shown<T: Debug>(value: &T) -> String {
    format!("{value:?}")
}

pub(crate) fn one(task: Option<String>) -> String {
    task.unwrap_or_else(|| "no task".into())
}

pub(crate) fn list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.as_ref().to_owned()).collect();
    format!("[{}]", items.join("\n"))
}

/// A page as [`World::read`] shows it.
pub(crate) fn page_shown(page: &TaskPage) -> String {
    assert!(page.corrupt.is_empty(), "rows are damaged: {:?}", page.corrupt);
    format!("{} of {}", list(page.tasks.iter().map(shown)), page.total)
}

/// Usage as [`World::read`] shows it.
pub(crate) fn usage_shown(page: &UsagePage) -> String {
    format!("{} of {}", list(page.rows.iter().map(shown)), page.total)
}

/// A page of the audit log as [`World::read`] shows it.
pub(crate) fn audit_shown(page: &AuditPage) -> String {
    assert!(page.corrupt.is_empty(), "rows are damaged: {:?}", page.corrupt);
    format!("{} of {}", list(page.entries.iter().map(shown)), page.total)
}

/// A recovery as [`World::write`] shows it.
pub(crate) fn recovery_shown(found: &Recovery) -> String {
    assert!(found.corrupt_sessions.is_empty(), "rows are damaged: {:?}", found.corrupt_sessions);
    let last_ids: BTreeMap<u64, u64> = found.last_task_ids.iter().map(|(session, id)| (session.0, id.0)).collect();
    recovery(
        &list(found.sessions.iter().map(shown)),
        &list(found.unfinished.iter().map(|(task, band)| format!("{} in band {band}", shown(task)))),
        &shown(&last_ids),
        [last_session(found.last_session.0), found.last_gid.0, found.last_fence.0],
    )
}

/// The greatest id of a session. A store may keep the ids of the two sessions that every router has to itself.
fn last_session(id: u64) -> u64 {
    id.max(1)
}

fn recovery(sessions: &str, open: &str, last_ids: &str, last: [u64; 3]) -> String {
    format!("sessions {sessions}\nopen {open}\nlast ids {last_ids}\nlast session, gid, fence {last:?}")
}
