//! The operations of a sequence, and the records that they write.

use std::num::NonZeroU64;
use std::sync::Arc;

use cortensor_router::Error;
use cortensor_router::internals::store::{Act, ActKind, ApiKey, Idempotency, MinerRecord, TaskSpec, UsageBy};
use cortensor_router::model::{
    Answer, Fence, Gid, MinerResult, NodeKind, Outcome, PageStart, Retention, Session, SessionId, SessionSpec, Task,
    TaskId, TaskRequest, TaskState, Timestamp,
};
use cortensor_router_medium::Strike;

/// An idempotency key: its scope, its name, and the fingerprint of the request.
pub(crate) type Key = (u8, u8, u8);

/// A task, by its session and its id. Its gid is made from both, unless a third number replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) session: u64,
    pub(crate) id: u64,
    pub(crate) gid: Option<u64>,
}

impl Ids {
    pub(crate) fn gid(self) -> u64 {
        self.gid.unwrap_or(self.session * 1_000_000 + self.id)
    }
}

/// A call that changes the store.
#[derive(Debug, Clone)]
pub(crate) enum Write {
    Accept { task: Ids, key: Option<Key>, length: usize },
    Finish { task: Ids, at: u64, kept: Retention, fails: bool, length: usize },
    Record { task: Ids, at: u64, kept: Retention, fails: bool, length: usize },
    Purge { before: u64, max_bytes: u64, limit: u64 },
    DeleteTask(u64),
    PutSession { id: u64, name: u8, active: bool },
    DeleteSession(u64),
    PutKey { id: u8, name: u32 },
    DeleteKey(u8),
    PutMiner { id: u8, seen: u64 },
    DeleteMiner(u8),
    ForgetUsage(u64),
    ForgetAudit(u64),
    Recover,
}

/// A call that reads from the store.
#[derive(Debug, Clone)]
pub(crate) enum Read {
    Task { session: u64, id: u64 },
    ByGid(u64),
    Unfinished,
    Find(Key),
    Page { session: u64, state: Option<TaskState>, key: Option<u64>, start: PageStart, limit: u64 },
    Keys,
    Miners,
    Usage(UsageBy),
    Audit { act: Option<ActKind>, after: Option<u64>, limit: u64 },
}

/// The way in which a store stops before it is opened again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stop {
    /// The store is closed.
    Close,
    /// The process ends at once; its machine goes on.
    Kill,
    /// The machine loses its power. The number decides which of the unsynced writes are there.
    PowerLoss(u64),
}

/// A step of a sequence.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Asks for writes and then for reads without waiting for any answer.
    Batch {
        writes: Vec<Write>,
        reads: Vec<Read>,
        /// Whether a store with group commit has all of these writes in one batch.
        held: bool,
        /// The fault of the medium meanwhile.
        strike: Option<Strike>,
    },
    /// Stops the store, opens it again and begins a new epoch.
    Reopen(Stop),
}

impl Write {
    /// Whether a store must refuse this write, because 0 is no time.
    pub(crate) fn is_timeless(&self) -> bool {
        matches!(self, Self::Finish { at: 0 | 1, .. } | Self::Record { at: 0 | 1, .. })
    }

    /// Whether a store may not put this write into a transaction with others.
    pub(crate) fn is_alone(&self) -> bool {
        matches!(self, Self::Purge { .. } | Self::DeleteTask(_) | Self::ForgetUsage(_) | Self::Recover)
    }
}

pub(crate) fn spec(task: Ids, key: Option<Key>, length: usize) -> TaskSpec {
    let prompt = format!("prompt {} {}", task.id, "p".repeat(length));
    TaskSpec {
        gid: Gid(task.gid()),
        session_id: SessionId(task.session),
        id: TaskId(task.id),
        key: key_of(task.id).map(Into::into),
        request: Arc::new(TaskRequest::completion(prompt)),
        band: (task.id % 10) as u8,
        created_at: Timestamp(1_000 + task.id),
        deadline: Timestamp(61_000 + task.id),
        idempotency: key.map(idempotency),
        ..TaskSpec::default()
    }
}

/// The key of a task; every second task has one.
pub(crate) fn key_of(id: u64) -> Option<String> {
    id.is_multiple_of(2).then(|| key_name(id))
}

pub(crate) fn key_name(number: u64) -> String {
    format!("key {}", number % 5)
}

pub(crate) fn idempotency((scope, name, fingerprint): Key) -> Idempotency {
    Idempotency { scope: format!("scope {scope}"), key: format!("key {name}"), fingerprint: [fingerprint; 32] }
}

/// The record of an ended task, with the parts that its retention keeps, as the router hands it to the store.
pub(crate) fn ended(task: Ids, at: u64, kept: Retention, fails: bool, length: usize) -> Task {
    let spec = spec(task, None, length / 2);
    let mut end = spec.to_task();
    if kept != Retention::All {
        end.request = Arc::new(TaskRequest::default().kind(spec.request.kind));
    }
    end.state = TaskState::Ended;
    end.ended_at = Some(Timestamp(at));
    end.started_at = Some(Timestamp(at / 2));
    end.bytes = length as u64;
    end.attempts = 1 + (at % 3) as u32;
    end.fence = Fence(at * 7 + task.id);
    end.assigned_miners = vec!["0xa".into()];
    if fails {
        end.outcome = Some(Outcome::Failed);
        end.error = Some(Error::invalid("prompt", format!("the miner refused it at {at}")));
        return end;
    }
    end.outcome = Some(Outcome::Ok);
    let mut answer = Answer::default();
    if kept != Retention::Nothing {
        end.text = "t".repeat(length).into();
        answer.text.clone_from(&end.text);
        answer.raw = Some(format!("{{\"length\":{length}}}").into());
    }
    end.results = vec![MinerResult::default().miner("0xa".into()).answer(answer).hash("ab".into())];
    end
}

/// The weight that the bounds of retention give a task: 512 bytes, and the bytes of its texts.
pub(crate) fn weight(task: &Task) -> u64 {
    let result = |result: &MinerResult| {
        result.miner.len() + result.hash.len() + result.answer.raw.as_ref().map_or(0, bytes::Bytes::len)
    };
    let texts = task.request.prompt.as_ref().map_or(0, String::len)
        + task.text.len()
        + task.results.iter().map(result).sum::<usize>()
        + task.error.as_ref().map_or(0, |error| error.message().len())
        + task.assigned_miners.iter().map(|miner| miner.len()).sum::<usize>();
    512 + texts as u64
}

pub(crate) fn session(id: u64, name: u8, active: bool) -> Session {
    let spec = SessionSpec::default().name(format!("name {name}")).metadata(r#"{"a":1}"#);
    let mut session = Session::new(SessionId(id), format!("0x{id}"), spec, Timestamp(u64::from(name)));
    session.active = active;
    session
}

pub(crate) fn key(id: u8, name: u32) -> ApiKey {
    ApiKey {
        id: format!("id {id}"),
        name: format!("name {name}"),
        hash: "h".repeat(usize::from(id)),
        sessions: vec![SessionId(u64::from(name))],
        expires_at: NonZeroU64::new(u64::from(name % 2)),
        ..ApiKey::default()
    }
}

/// The act that is recorded with a write of that number; every third write comes without one.
pub(crate) fn recorded(number: u64) -> Option<Act> {
    (!number.is_multiple_of(3)).then(|| act(number))
}

/// The act of that number.
pub(crate) fn act(number: u64) -> Act {
    Act {
        act: if number.is_multiple_of(2) { ActKind::MinerRevoked } else { ActKind::KeyCreated },
        ..Act::key_created(Timestamp(number), "ops", &key(number as u8, number as u32))
    }
}

pub(crate) fn miner(id: u8, seen: u64) -> MinerRecord {
    MinerRecord {
        id: format!("id {id}"),
        name: format!("name {seen}"),
        kind: (seen % 2 == 1).then_some(NodeKind::Dedicated),
        models: vec!["m".repeat((seen % 4) as usize)],
        reputation: 1.0 / f64::from(seen as u32 + 1),
        last_seen: NonZeroU64::new(seen),
        revoked: seen.is_multiple_of(5),
        ..MinerRecord::default()
    }
}
