//! Compares the file store with the memory store: for every call both must give equal answers, also after reopening.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::samples::{ended, keyed, new_task};
use super::super::{ApiKey, Durability, MemoryStore, Pending, Purge, Store, TaskQuery, TaskSpec, check_integrity};
use super::SqliteStore;
use crate::Result;
use crate::model::{Gid, PageStart, Session, SessionId, SessionSpec, TaskId, TaskState, Timestamp};

#[derive(Debug, Clone)]
enum Call {
    Accept { session: u64, id: u64, gid: Option<u64>, key: Option<(u8, u8)> },
    Finish { session: u64, id: u64, at: u64, length: usize },
    Purge { before: u64, max_bytes: u64, limit: u64 },
    PutSession { id: u64, at: u64 },
    DeleteSession(u64),
    PutKey(u8),
    DeleteKey(u8),
    Task { session: u64, id: u64 },
    ByGid(u64),
    Page { session: u64, state: Option<TaskState>, start: PageStart, limit: u64 },
    Keys,
    Recover,
    Reopen,
}

const SESSIONS: u64 = 3;
/// The distance between ids, so that they spread over several blocks in either store, with few tasks in each block.
const STRIDE: u64 = 97;

fn id() -> impl Strategy<Value = u64> {
    (0u64..24).prop_map(|n| n * STRIDE)
}

fn call() -> impl Strategy<Value = Call> {
    let state = prop_oneof![Just(None), Just(Some(TaskState::Ended)), Just(Some(TaskState::Queued))];
    let start = prop_oneof![(0u64..20).prop_map(PageStart::Oldest), (0u64..20).prop_map(PageStart::Newest)];
    let gid = prop_oneof![8 => Just(None), 1 => (0u64..3).prop_map(Some)];
    let key = prop_oneof![2 => Just(None), 1 => (0u8..6, 0u8..2).prop_map(Some)];
    prop_oneof![
        30 => (0..SESSIONS, id(), gid, key).prop_map(|(session, id, gid, key)| Call::Accept { session, id, gid, key }),
        25 => (0..SESSIONS, id(), 0u64..50, 0usize..3_000)
            .prop_map(|(session, id, at, length)| Call::Finish { session, id, at, length }),
        4 => (0u64..50, prop_oneof![Just(0), 500u64..20_000], 0u64..8)
            .prop_map(|(before, max_bytes, limit)| Call::Purge { before, max_bytes, limit }),
        2 => (0..SESSIONS, 0u64..9_000).prop_map(|(id, at)| Call::PutSession { id, at }),
        4 => (0..SESSIONS).prop_map(Call::DeleteSession),
        2 => (0u8..4).prop_map(Call::PutKey),
        2 => (0u8..4).prop_map(Call::DeleteKey),
        4 => (0..SESSIONS, id()).prop_map(|(session, id)| Call::Task { session, id }),
        2 => (0..SESSIONS, id()).prop_map(|(session, id)| Call::ByGid(new_task(session, id).gid.0)),
        6 => (0..SESSIONS, state, start, 0u64..9)
            .prop_map(|(session, state, start, limit)| Call::Page { session, state, start, limit }),
        1 => Just(Call::Keys),
        1 => Just(Call::Recover),
        1 => Just(Call::Reopen),
    ]
}

fn accept(session: u64, id: u64, gid: Option<u64>, key: Option<(u8, u8)>) -> TaskSpec {
    let mut new = new_task(session, id);
    if let Some(gid) = gid {
        new.gid = Gid(gid);
    }
    match key {
        Some((name, fingerprint)) => keyed(new, &format!("k{name}"), fingerprint),
        None => new,
    }
}

/// Writes whose answers are outstanding, each with the memory store's answer.
type Outstanding = Vec<(String, Box<dyn FnOnce() -> String>)>;

fn shown<T: std::fmt::Debug>(answer: &Result<T>) -> String {
    format!("{answer:#?}")
}

/// Makes a write without waiting, so that the file store gathers several in a batch.
fn write<T: std::fmt::Debug + Send + 'static>(out: &mut Outstanding, model: Pending<T>, file: Pending<T>) {
    out.push((shown(&model.wait()), Box::new(move || shown(&file.wait()))));
}

fn settle(out: &mut Outstanding) {
    for (at, (model, file)) in out.drain(..).enumerate() {
        assert_eq!(model, file(), "write {at} of those outstanding");
    }
}

fn agree(calls: Vec<Call>) {
    let dir = tempfile::tempdir().unwrap();
    let open = || SqliteStore::open(dir.path(), Durability::Relaxed).unwrap();
    let model = MemoryStore::new(0);
    let mut file = open();
    let mut out = Outstanding::new();
    for call in calls.into_iter().chain([Call::Reopen, Call::Recover]) {
        match call {
            Call::Accept { session, id, gid, key } => {
                let new = accept(session, id, gid, key);
                write(&mut out, model.accept(new.clone().into()), file.accept(new.into()));
            }
            Call::Finish { session, id, at, length } => {
                let end = Arc::new(ended(&new_task(session, id), at, &"z".repeat(length)));
                write(&mut out, model.finish(Arc::clone(&end)), file.finish(end));
            }
            Call::Purge { before, max_bytes, limit } => {
                let purge = Purge { ended_before: Timestamp(before), max_bytes, limit };
                write(&mut out, model.purge(purge), file.purge(purge));
            }
            Call::PutSession { id, at } => {
                let session = Session::new(SessionId(id), format!("0x{id}"), SessionSpec::default(), Timestamp(at));
                write(&mut out, model.put_session(session.clone()), file.put_session(session));
            }
            Call::DeleteSession(id) => {
                write(&mut out, model.delete_session(SessionId(id)), file.delete_session(SessionId(id)));
            }
            Call::PutKey(n) => {
                let key = ApiKey { id: n.to_string(), created_at: u64::from(n), ..ApiKey::default() };
                write(&mut out, model.put_key(key.clone()), file.put_key(key));
            }
            Call::DeleteKey(n) => {
                write(&mut out, model.delete_key(n.to_string()), file.delete_key(n.to_string()));
            }
            // Reads must see the writes that were requested before them, answered or not.
            Call::Task { session, id } => {
                let (session, id) = (SessionId(session), TaskId(id));
                assert_eq!(shown(&model.task(session, id).wait()), shown(&file.task(session, id).wait()));
            }
            Call::ByGid(gid) => {
                let gid = Gid(gid);
                assert_eq!(shown(&model.task_by_gid(gid).wait()), shown(&file.task_by_gid(gid).wait()));
            }
            Call::Page { session, state, start, limit } => {
                let query = TaskQuery { session_id: SessionId(session), state, limit, start };
                assert_eq!(shown(&model.tasks(query).wait()), shown(&file.tasks(query).wait()));
            }
            Call::Keys => assert_eq!(shown(&model.keys().wait()), shown(&file.keys().wait())),
            Call::Recover => write(&mut out, model.recover(), file.recover()),
            Call::Reopen => {
                drop(file);
                settle(&mut out);
                file = open();
            }
        }
    }
    settle(&mut out);
    drop(file);
    let found = check_integrity(dir.path()).unwrap();
    assert!(found.is_ok(), "{found:#?}");
}

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(48);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_file_answers_as_the_memory_does(calls in vec(call(), 1..250)) {
        agree(calls);
    }
}
