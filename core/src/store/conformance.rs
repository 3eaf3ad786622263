//! The rules that every store must keep. Each scenario runs on each store.

use std::num::NonZeroU64;
use std::sync::Arc;
#[cfg(feature = "postgres")]
use std::sync::OnceLock;

#[cfg(feature = "postgres")]
use cortensor_router_testkit::{Pooler, Postgres};
use serde_json::value::RawValue;

#[cfg(feature = "postgres")]
use super::PostgresOptions;
#[cfg(feature = "postgres")]
use super::PostgresStore;
use super::samples::{ended, keyed, new_task, rich};
use super::{
    Accepted, Act, ActKind, ApiKey, AuditEntry, AuditQuery, Deliveries, Durability, MemoryStore, MinerRecord, OTHER,
    Purge, SqliteOptions, SqliteStore, Store, TaskQuery, TaskSpec, UpstreamRecord, UsageBy, UsageCounts, UsageQuery,
    check_integrity,
};
use crate::ErrorKind;
use crate::config::UpstreamConfig;
use crate::model::{
    Day, Fence, Gid, NodeKind, PageStart, RequestKind, Session, SessionId, SessionSpec, TaskId, TaskRequest, TaskState,
    Timestamp, Webhook, WebhookDelivery, WebhookState,
};

/// The rows of usage that a day has here, and the entries of the audit log.
const FEW_ROWS: u64 = 20;

fn show<T: std::fmt::Debug>(value: &T) -> String {
    format!("{value:#?}")
}

fn page(store: &dyn Store, state: Option<TaskState>, offset: u64, limit: u64) -> (Vec<u64>, u64) {
    let start = PageStart::Oldest(offset);
    let query = TaskQuery { session_id: SessionId(1), state, limit, start, ..TaskQuery::default() };
    let page = store.tasks(query).wait().unwrap();
    (page.tasks.iter().map(|task| task.id.0).collect(), page.total)
}

fn a_new_store_is_empty(store: &dyn Store) {
    let recovery = store.recover().wait().unwrap();
    assert_eq!(recovery.epoch, 1);
    // A store may keep the ids of the sessions that every router has to itself.
    assert!(recovery.last_session <= SessionId(1) && recovery.corrupt_sessions.is_empty());
    assert!(recovery.sessions.is_empty() && recovery.unfinished.is_empty() && recovery.last_task_ids.is_empty());
    assert_eq!((recovery.last_gid, recovery.last_fence), (Gid(0), Fence(0)));
    assert!(store.task(SessionId(0), TaskId(0)).wait().unwrap().is_none());
    assert!(store.task_by_gid(Gid(1)).wait().unwrap().is_none());
    assert_eq!(page(store, None, 0, 10), (vec![], 0));
    assert!(store.keys().wait().unwrap().is_empty());
    assert_eq!(store.recover().wait().unwrap().epoch, 2);
}

fn a_task_comes_back_as_it_went_in(store: &dyn Store) {
    let mut new = new_task(1, 7);
    let mut request = TaskRequest::chat(r#"[{"role":"user","content":"a\u0000b"}]"#).unwrap();
    request.kind = RequestKind::Chat;
    request.model = Some("smol".into());
    request.timeout = Some(2.5);
    request.stream = true;
    request.extra.push(("top_p".into(), RawValue::from_string("0.90".into()).unwrap()));
    new.request = Arc::new(request);
    assert_eq!(store.accept(new.clone().into()).wait().unwrap(), Accepted::New);
    let queued = store.task(SessionId(1), TaskId(7)).wait().unwrap().unwrap();
    assert_eq!(show(&queued), show(&new.to_task()));
    let end = rich(&new);
    assert!(store.finish(Arc::new(end.clone())).wait().unwrap());
    assert_eq!(show(&store.task(SessionId(1), TaskId(7)).wait().unwrap().unwrap()), show(&end));
    assert_eq!(show(&store.task_by_gid(new.gid).wait().unwrap().unwrap()), show(&end));
}

fn an_end_is_written_once(store: &dyn Store) {
    let new = new_task(1, 1);
    assert!(!store.finish(Arc::new(ended(&new, 5, "too early"))).wait().unwrap());
    store.accept(new.clone().into()).wait().unwrap();
    assert!(store.finish(Arc::new(ended(&new, 10, "first"))).wait().unwrap());
    assert!(!store.finish(Arc::new(ended(&new, 20, "second"))).wait().unwrap());
    let mut stranger = ended(&new, 30, "another task's");
    stranger.id = TaskId(2);
    assert!(!store.finish(Arc::new(stranger)).wait().unwrap());
    let task = store.task(SessionId(1), TaskId(1)).wait().unwrap().unwrap();
    assert_eq!((task.text.as_str(), task.ended_at), ("first", Some(Timestamp(10))));
    assert_eq!(store.recover().wait().unwrap().last_fence, Fence(10));
}

fn an_end_has_a_time_and_0_is_none(store: &dyn Store) {
    let new = new_task(1, 1);
    store.accept(new.clone().into()).wait().unwrap();
    let end = ended(&new, 10, "x");
    let zero = Some(Timestamp(0));
    for (field, wrong) in [
        ("started_at", end.clone().started_at(zero)),
        ("first_token_at", end.clone().first_token_at(zero)),
        ("precommitted_at", end.clone().precommitted_at(zero)),
        ("committed_at", end.clone().committed_at(zero)),
        ("ended_at", end.clone().ended_at(zero)),
        ("ended_at", end.clone().ended_at(None)),
    ] {
        let error = store.finish(Arc::new(wrong)).wait().unwrap_err();
        assert_eq!((error.kind(), error.details().param.as_deref()), (ErrorKind::InvalidArgument, Some(field)));
    }
    assert!(store.finish(Arc::new(end)).wait().unwrap(), "nothing was written before");
}

/// Makes both calls without waiting, so that a store with group commit has them in one batch.
fn an_end_may_follow_its_accept_at_once(store: &dyn Store) {
    let tasks: Vec<TaskSpec> = (1..=200).map(|id| keyed(new_task(1, id), &format!("k{id}"), 1)).collect();
    let pending: Vec<_> = tasks
        .iter()
        .map(|new| {
            let accepted = store.accept(new.clone().into());
            let first = store.finish(Arc::new(ended(new, new.id.0, "first")));
            let second = store.finish(Arc::new(ended(new, new.id.0 + 1, "second")));
            (accepted, first, second)
        })
        .collect();
    // The read is requested after the writes, so it must see them.
    let seen = store.task(SessionId(1), TaskId(200)).wait().unwrap().unwrap();
    assert_eq!(seen.text, "first");
    for (accepted, first, second) in pending {
        assert_eq!(accepted.wait().unwrap(), Accepted::New);
        assert!(first.wait().unwrap());
        assert!(!second.wait().unwrap());
    }
    assert_eq!(page(store, Some(TaskState::Ended), 198, 10), (vec![199, 200], 200));
    let recovery = store.recover().wait().unwrap();
    assert!(recovery.unfinished.is_empty());
    assert_eq!((recovery.last_gid, recovery.last_fence), (tasks[199].gid, Fence(200)));
    let again = keyed(new_task(1, 999), "k77", 1);
    let first = Accepted::Existing { gid: tasks[76].gid, session_id: SessionId(1), id: TaskId(77) };
    assert_eq!(store.accept(again.into()).wait().unwrap(), first);
}

fn a_task_and_its_end_are_written_together(store: &dyn Store) {
    let tasks: Vec<TaskSpec> = (1..=100).map(|id| new_task(1, id)).collect();
    let record = |new: &TaskSpec, at, text| store.record(new.clone().into(), ended(new, at, text).into());
    let timeless = ended(&tasks[0], 1, "x").ended_at(None);
    let refused = store.record(tasks[0].clone().into(), timeless.into()).wait().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    assert!(store.task(SessionId(1), TaskId(1)).wait().unwrap().is_none(), "nothing was written");
    // Ids may come in any order, and an open task of the store gets its end alone.
    store.accept(tasks[49].clone().into());
    let pending: Vec<_> = tasks.iter().rev().map(|new| (record(new, 5, "first"), record(new, 6, "second"))).collect();
    for (first, second) in pending {
        assert!(first.wait().unwrap());
        assert!(!second.wait().unwrap());
    }
    let mut namesake = new_task(1, 50);
    namesake.gid = Gid(9_999);
    assert!(!record(&namesake, 7, "another task's").wait().unwrap());
    assert_eq!(page(store, Some(TaskState::Ended), 98, 10), (vec![99, 100], 100));
    assert_eq!(store.task(SessionId(1), TaskId(50)).wait().unwrap().unwrap().text, "first");
    let recovery = store.recover().wait().unwrap();
    assert!(recovery.unfinished.is_empty());
    assert_eq!((recovery.last_gid, recovery.last_fence), (tasks[99].gid, Fence(5)));
    let used = store.usage(UsageQuery::default()).wait().unwrap();
    assert_eq!(used.rows.iter().map(|row| row.counts.requests).sum::<u64>(), 100);
}

fn a_key_makes_one_task(store: &dyn Store) {
    let new = keyed(new_task(1, 1), "k", 1);
    // The test waits for no answer: reads in a batch must see the writes of that batch.
    let first = store.accept(new.clone().into());
    let same = store.accept(keyed(new_task(1, 2), "k", 1).into());
    let other = store.accept(keyed(new_task(1, 3), "k", 2).into());
    let orphan = store.finish(Arc::new(ended(&new_task(1, 2), 9, "of a task that never was")));
    let mate = store.accept(new_task(1, 4).into());
    let mut elsewhere = keyed(new_task(1, 5), "k", 2);
    elsewhere.idempotency.as_mut().unwrap().scope = "other token".into();
    let elsewhere = store.accept(elsewhere.into());
    assert_eq!(first.wait().unwrap(), Accepted::New);
    let existing = Accepted::Existing { gid: new.gid, session_id: SessionId(1), id: TaskId(1) };
    assert_eq!(same.wait().unwrap(), existing);
    assert_eq!(other.wait().unwrap_err().kind(), ErrorKind::IdempotencyMismatch);
    assert!(!orphan.wait().unwrap());
    assert_eq!(mate.wait().unwrap(), Accepted::New);
    assert_eq!(elsewhere.wait().unwrap(), Accepted::New);
    let looked_up =
        |key: &str, fingerprint| store.find(keyed(new_task(1, 9), key, fingerprint).idempotency.unwrap()).wait();
    assert_eq!(looked_up("k", 1).unwrap(), Some(existing));
    assert_eq!(looked_up("k", 2).unwrap_err().kind(), ErrorKind::IdempotencyMismatch);
    assert_eq!(looked_up("another", 1).unwrap(), None);
    // The key of an ended task stays in use; the key of a purged task is free again.
    assert!(store.finish(Arc::new(ended(&new, 10, "x"))).wait().unwrap());
    assert_eq!(store.accept(keyed(new_task(1, 6), "k", 1).into()).wait().unwrap(), existing);
    let purge = Purge { ended_before: Timestamp(11), max_bytes: 0, limit: 10 };
    assert_eq!(store.purge(purge).wait().unwrap(), 1);
    assert_eq!(store.accept(keyed(new_task(1, 7), "k", 2).into()).wait().unwrap(), Accepted::New);
    assert_eq!(page(store, None, 0, 10), (vec![4, 5, 7], 3));
}

fn an_id_is_given_out_once(store: &dyn Store) {
    store.accept(new_task(1, 1).into()).wait().unwrap();
    let mut same_id = new_task(1, 1);
    same_id.gid = Gid(77);
    assert_eq!(store.accept(same_id.into()).wait().unwrap_err().kind(), ErrorKind::Conflict);
    let mut twin = new_task(1, 2);
    twin.gid = new_task(1, 1).gid;
    assert_eq!(store.accept(twin.into()).wait().unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(page(store, None, 0, 10), (vec![1], 1));
    assert_eq!(store.recover().wait().unwrap().last_gid, new_task(1, 1).gid);
}

fn pages_are_by_id_with_their_total(store: &dyn Store) {
    for id in (0..3_000).rev() {
        drop(store.accept(new_task(1, id).into()));
    }
    for id in (0..3_000).step_by(2) {
        drop(store.finish(Arc::new(ended(&new_task(1, id), 10_000 + id, "x"))));
    }
    drop(store.accept(new_task(2, 5).into()));
    assert_eq!(page(store, None, 0, 3), (vec![0, 1, 2], 3_000));
    assert_eq!(page(store, None, 1_023, 3), (vec![1_023, 1_024, 1_025], 3_000));
    assert_eq!(page(store, None, 2_999, 3), (vec![2_999], 3_000));
    assert_eq!(page(store, None, 3_000, 3), (vec![], 3_000));
    assert_eq!(page(store, None, u64::MAX, u64::MAX), (vec![], 3_000));
    assert_eq!(page(store, None, 5, 0), (vec![], 3_000));
    for (skipped, ids) in [(0, vec![2_998, 2_999]), (2_000, vec![998, 999]), (2_999, vec![0]), (3_000, vec![])] {
        let start = PageStart::Newest(skipped);
        let query = TaskQuery { session_id: SessionId(1), limit: 2, start, ..TaskQuery::default() };
        let found: Vec<u64> = store.tasks(query).wait().unwrap().tasks.iter().map(|task| task.id.0).collect();
        assert_eq!(found, ids, "before the {skipped} newest");
    }
    assert_eq!(page(store, Some(TaskState::Ended), 700, 2), (vec![1_400, 1_402], 1_500));
    assert_eq!(page(store, Some(TaskState::Queued), 700, 2), (vec![1_401, 1_403], 1_500));
    assert_eq!(page(store, Some(TaskState::Acked), 1_499, 2), (vec![2_999], 1_500));
    // Purging leaves holes at the front.
    let purge = Purge { ended_before: Timestamp(11_500), max_bytes: 0, limit: 10_000 };
    assert_eq!(store.purge(purge).wait().unwrap(), 750);
    assert_eq!(page(store, None, 748, 4), (vec![1_497, 1_499, 1_500, 1_501], 2_250));
    assert_eq!(page(store, Some(TaskState::Ended), 0, 2), (vec![1_500, 1_502], 750));
}

fn pages_of_a_key_have_its_tasks_alone(store: &dyn Store) {
    for id in 1..=12 {
        store.accept(new_task(1, id).into()).wait().unwrap();
    }
    drop(store.accept(new_task(2, 1).into()));
    for id in [1, 4, 6] {
        store.finish(Arc::new(ended(&new_task(1, id), id, "x"))).wait().unwrap();
    }
    let page = |key: &str, state, start, limit| {
        let query = TaskQuery { session_id: SessionId(1), state, key_id: Some(key.into()), limit, start };
        let page = store.tasks(query).wait().unwrap();
        (page.tasks.iter().map(|task| task.id.0).collect::<Vec<_>>(), page.total)
    };
    let oldest = PageStart::Oldest;
    assert_eq!(page("key 1", None, oldest(0), 99), (vec![1, 4, 7, 10], 4));
    assert_eq!(page("key 1", None, oldest(1), 2), (vec![4, 7], 4));
    assert_eq!(page("key 1", None, PageStart::Newest(1), 2), (vec![4, 7], 4));
    assert_eq!(page("key 1", Some(TaskState::Ended), oldest(0), 9), (vec![1, 4], 2));
    assert_eq!(page("key 1", Some(TaskState::Queued), oldest(1), u64::MAX), (vec![10], 2));
    assert_eq!(page("key 2", None, oldest(u64::MAX), 9), (vec![], 4));
    assert_eq!(page("none", None, PageStart::Newest(0), 9), (vec![], 0));
    assert_eq!(page("", None, oldest(0), 9), (vec![], 0), "tasks without a key have no name");
    store.purge(Purge { ended_before: Timestamp(5), max_bytes: 0, limit: 9 }).wait().unwrap();
    assert_eq!(page("key 1", None, oldest(0), 99), (vec![7, 10], 2));
}

fn purging_takes_the_oldest_ended(store: &dyn Store) {
    for id in 1..=6 {
        store.accept(new_task(1, id).into()).wait().unwrap();
    }
    // The tasks end in another order than they came in.
    for (at, id) in [(10, 5), (20, 4), (30, 3), (30, 2), (40, 1)] {
        assert!(store.finish(Arc::new(ended(&new_task(1, id), at, &"y".repeat(1_000)))).wait().unwrap());
    }
    let age = |before, limit| Purge { ended_before: Timestamp(before), max_bytes: 0, limit };
    assert_eq!(store.purge(age(10, 9)).wait().unwrap(), 0);
    assert_eq!(store.purge(age(30, 1)).wait().unwrap(), 1);
    assert_eq!(page(store, None, 0, 9), (vec![1, 2, 3, 4, 6], 5));
    assert_eq!(store.purge(age(30, 9)).wait().unwrap(), 1);
    // Each task weighs between 1000 and 2000 bytes, so two of three are deleted. Of tasks of equal age, the lower id is
    // deleted first.
    let budget = Purge { ended_before: Timestamp(0), max_bytes: 2_000, limit: 9 };
    assert_eq!(store.purge(budget).wait().unwrap(), 2);
    assert_eq!(page(store, None, 0, 9), (vec![1, 6], 2));
    assert_eq!(store.purge(budget).wait().unwrap(), 0);
    assert_eq!(store.purge(age(u64::MAX >> 1, 9)).wait().unwrap(), 1);
    assert_eq!(page(store, None, 0, 9), (vec![6], 1));
    let recovery = store.recover().wait().unwrap();
    assert_eq!(recovery.last_task_ids, [(SessionId(1), TaskId(6))]);
    assert_eq!(recovery.last_fence, Fence(40));
}

fn a_task_is_deleted_once_it_has_ended(store: &dyn Store) {
    let (one, two) = (keyed(new_task(1, 1), "k", 1), new_task(1, 2));
    // The test waits for no answer: a deletion sees what came before it, and nothing that comes after it.
    let accepted = [store.accept(one.clone().into()), store.accept(two.clone().into())];
    let early = store.delete_task(one.gid);
    let ended_well = [(&one, 10), (&two, 20)].map(|(new, at)| store.finish(Arc::new(ended(new, at, "x"))));
    let (gone, again, never) = (store.delete_task(one.gid), store.delete_task(one.gid), store.delete_task(Gid(99)));
    let late = store.finish(Arc::new(ended(&one, 30, "late")));
    assert!(accepted.into_iter().all(|answer| answer.wait().unwrap() == Accepted::New));
    assert!(!early.wait().unwrap(), "it has not ended");
    assert!(ended_well.into_iter().all(|answer| answer.wait().unwrap()));
    assert_eq!([gone, again, never].map(|answer| answer.wait().unwrap()), [true, false, false]);
    assert!(!late.wait().unwrap());
    assert_eq!(page(store, None, 0, 9), (vec![2], 1));
    assert!(store.task_by_gid(one.gid).wait().unwrap().is_none());
    // Its key is free, and its usage stays counted.
    assert_eq!(store.accept(keyed(new_task(1, 3), "k", 2).into()).wait().unwrap(), Accepted::New);
    let counted = store.usage(UsageQuery { by: UsageBy::Session, ..UsageQuery::default() }).wait().unwrap();
    assert_eq!(counted.rows.iter().map(|row| row.counts.requests).sum::<u64>(), 2);
    assert!(store.finish(Arc::new(ended(&new_task(1, 3), 40, "x"))).wait().unwrap());
    assert!(store.delete_task(new_task(1, 3).gid).wait().unwrap() && store.delete_task(two.gid).wait().unwrap());
    assert_eq!(store.recover().wait().unwrap().last_task_ids, [(SessionId(1), TaskId(3))], "ids are not given again");
    assert!(store.delete_session(SessionId(1)).wait().unwrap());
}

fn what_is_unfinished_is_recovered_oldest_first(store: &dyn Store) {
    for (session, id) in [(2, 1), (1, 1), (1, 2), (3, 9)] {
        store.accept(keyed(new_task(session, id), &format!("{session}/{id}"), 3).into()).wait().unwrap();
    }
    store.finish(Arc::new(ended(&new_task(1, 1), 5, "x"))).wait().unwrap();
    store.finish(Arc::new(ended(&new_task(3, 9), 6, "x"))).wait().unwrap();
    store.purge(Purge { ended_before: Timestamp(100), max_bytes: 0, limit: 9 }).wait().unwrap();
    assert_eq!(store.unfinished().wait().unwrap(), [new_task(1, 2).gid, new_task(2, 1).gid]);
    let recovery = store.recover().wait().unwrap();
    let unfinished: Vec<_> = recovery.unfinished.iter().map(|(task, band)| (show(task), *band)).collect();
    let wanted: Vec<_> = [new_task(1, 2), new_task(2, 1)].iter().map(|new| (show(&new.to_task()), new.band)).collect();
    assert_eq!(unfinished, wanted);
    // The counts must also hold for a session whose tasks are all gone.
    let last = [(SessionId(1), TaskId(2)), (SessionId(2), TaskId(1)), (SessionId(3), TaskId(9))];
    assert_eq!(recovery.last_task_ids, last);
    assert_eq!(recovery.last_gid, new_task(3, 9).gid);
}

fn sessions_and_keys_are_kept(store: &dyn Store) {
    let spec = SessionSpec::default().name("chat").metadata(r#"{"a":1}"#);
    let mut one = Session::new(SessionId(1), "0x01".into(), spec.validated().unwrap(), Timestamp(5_000));
    let zero = Session::new(SessionId(0), "0x00".into(), SessionSpec::default(), Timestamp(4_000));
    store.put_session(one.clone(), None).wait().unwrap();
    store.put_session(zero.clone(), None).wait().unwrap();
    one.active = false;
    one.spec.redundant = 3;
    store.put_session(one.clone(), None).wait().unwrap();
    assert_eq!(show(&store.recover().wait().unwrap().sessions), show(&vec![zero, one]));

    let key = |id: &str, name: &str| ApiKey { id: id.into(), name: name.into(), ..ApiKey::default() };
    for put in [key("b", "first"), key("a", "other"), key("b", "second")] {
        store.put_key(put, None).wait().unwrap();
    }
    assert_eq!(store.keys().wait().unwrap(), [key("a", "other"), key("b", "second")]);
    assert!(store.delete_key("a".into(), None).wait().unwrap());
    assert!(!store.delete_key("a".into(), None).wait().unwrap());
    assert_eq!(store.keys().wait().unwrap(), [key("b", "second")]);
}

fn a_session_is_deleted_with_its_last_task(store: &dyn Store) {
    let session = |id| Session::new(SessionId(id), format!("0x{id}"), SessionSpec::default(), Timestamp(1));
    for id in [1, 2, 3] {
        store.put_session(session(id), None).wait().unwrap();
    }
    let new = keyed(new_task(3, 8), "k", 1);
    store.accept(Arc::new(new.clone())).wait().unwrap();
    assert!(!store.delete_session(SessionId(3)).wait().unwrap(), "it has a task that has not ended");
    store.finish(Arc::new(ended(&new, 5, "x"))).wait().unwrap();
    assert!(!store.delete_session(SessionId(3)).wait().unwrap(), "its task is kept");
    assert_eq!(store.recover().wait().unwrap().sessions.len(), 3);
    store.purge(Purge { ended_before: Timestamp(6), max_bytes: 0, limit: 9 }).wait().unwrap();
    assert!(store.delete_session(SessionId(3)).wait().unwrap());
    assert!(store.delete_session(SessionId(3)).wait().unwrap(), "it is gone already");
    assert_eq!(store.find(new.idempotency.unwrap()).wait().unwrap(), None);
    let recovery = store.recover().wait().unwrap();
    let ids: Vec<_> = recovery.sessions.iter().map(|session| session.id.0).collect();
    assert_eq!((ids, recovery.last_session), (vec![1, 2], SessionId(3)), "its id is not given out again");
    assert_eq!((recovery.last_task_ids, recovery.last_gid), (vec![], new.gid));
}

fn usage(store: &dyn Store, query: UsageQuery) -> (Vec<(String, String, u64, u64)>, u64) {
    let page = store.usage(query).wait().unwrap();
    let rows = page.rows.into_iter();
    (rows.map(|row| (row.name, row.model, row.counts.requests, row.counts.tokens())).collect(), page.total)
}

fn a_name_that_no_index_takes_is_counted_with_the_others(store: &dyn Store) {
    // Letters that do not repeat: a database may compress a text before it is too long.
    let long: String = (0..3_000).map(|at: u32| char::from(33 + (at * at * 7 % 89 + at % 5) as u8)).collect();
    for (id, model) in [(1, long.as_str()), (2, "a\0b"), (3, "tiny")] {
        let mut request = TaskRequest::completion("hi");
        request.model = Some(model.to_owned());
        let new = TaskSpec { request: Arc::new(request), key: None, ..new_task(1, id) };
        store.accept(new.clone().into()).wait().unwrap();
        assert!(store.finish(Arc::new(ended(&new, 5, "x"))).wait().unwrap(), "{model:.20}");
    }
    let by_model = UsageQuery { by: UsageBy::Model, ..UsageQuery::default() };
    let row = |name: &str, requests: u64| (name.to_owned(), name.to_owned(), requests, 7 * requests);
    assert_eq!(usage(store, by_model.clone()), (vec![row(OTHER, 2), row("tiny", 1)], 2));
    assert_eq!(usage(store, UsageQuery { model: Some("a\0b".into()), ..by_model }), (vec![], 0));
}

fn an_ended_task_is_counted_once(store: &dyn Store) {
    let day = 24 * 3_600 * 1_000;
    let named = |session, id, key: &str, model: Option<&str>| {
        let mut request = TaskRequest::completion("hi");
        request.model = model.map(str::to_owned);
        let key = Some(key.into()).filter(|_| !key.is_empty());
        TaskSpec { request: Arc::new(request), key, ..new_task(session, id) }
    };
    // The calls are not awaited, so that ends and accepts of one batch are counted too.
    for (session, id, key, model, at) in [
        (1, 1, "a", Some("tiny"), 5),
        (1, 2, "a", Some("big"), day + 5),
        (2, 3, "b", Some("tiny"), day + 6),
        (2, 4, "", None, 2 * day - 1),
        (12, 5, "b", Some("tiny"), 2 * day),
    ] {
        let new = named(session, id, key, model);
        let end = Arc::new(ended(&new, at, "x"));
        drop(store.accept(new.into()));
        drop(store.finish(end.clone()));
        drop(store.finish(end));
    }
    drop(store.finish(Arc::new(ended(&named(9, 9, "a", None), 5, "of a task that never was"))));
    drop(store.accept(named(1, 7, "a", None).into()));
    let row = |name: &str, model: &str, requests: u64| (name.to_owned(), model.to_owned(), requests, 7 * requests);
    let by = |by| UsageQuery { by, ..UsageQuery::default() };
    let days = vec![
        row("1970-01-01", "tiny", 1),
        row("1970-01-02", "", 1),
        row("1970-01-02", "big", 1),
        row("1970-01-02", "tiny", 1),
        row("1970-01-03", "tiny", 1),
    ];
    assert_eq!(usage(store, UsageQuery::default()), (days.clone(), 3));
    let keys = vec![row("", "", 1), row("a", "big", 1), row("a", "tiny", 1), row("b", "tiny", 2)];
    assert_eq!(usage(store, by(UsageBy::Key)), (keys, 3));
    let sessions =
        vec![row("1", "big", 1), row("1", "tiny", 1), row("2", "", 1), row("2", "tiny", 1), row("12", "tiny", 1)];
    assert_eq!(usage(store, by(UsageBy::Session)), (sessions, 3));
    assert_eq!(usage(store, by(UsageBy::Miner)).0.len(), 3);
    // A page, and the filters.
    assert_eq!(usage(store, UsageQuery { offset: 1, limit: 1, ..by(UsageBy::Day) }), (days[1..4].to_vec(), 3));
    assert_eq!(usage(store, UsageQuery { offset: 3, limit: 1, ..by(UsageBy::Day) }), (vec![], 3));
    let some = UsageQuery { from: Day::from_number(1), to: Day::from_number(1), ..by(UsageBy::Model) };
    assert_eq!(usage(store, some.clone()), (vec![row("", "", 1), row("big", "big", 1), row("tiny", "tiny", 1)], 3));
    for (filter, found) in [
        (UsageQuery { key_id: Some("b".into()), ..some.clone() }, vec![row("tiny", "tiny", 1)]),
        (UsageQuery { session: Some(SessionId(1)), ..some.clone() }, vec![row("big", "big", 1)]),
        (UsageQuery { model: Some("big".into()), ..some.clone() }, vec![row("big", "big", 1)]),
        (UsageQuery { miner: Some("0xb".into()), ..some.clone() }, vec![]),
        (UsageQuery { visible: Some(("a".into(), vec![])), ..some.clone() }, vec![row("big", "big", 1)]),
        (
            UsageQuery { visible: Some(("b".into(), vec![SessionId(1)])), ..some },
            vec![row("big", "big", 1), row("tiny", "tiny", 1)],
        ),
    ] {
        let total = found.len() as u64;
        assert_eq!(usage(store, filter.clone()), (found, total), "{filter:?}");
    }
    let page = store.usage(UsageQuery { key_id: Some("a".into()), ..UsageQuery::default() }).wait().unwrap();
    let wanted = UsageCounts {
        requests: 1,
        ok: 1,
        prompt_tokens: 3,
        completion_tokens: 4,
        attempts: 1,
        ..UsageCounts::default()
    };
    assert_eq!(page.rows[0].counts, wanted);
    // Deleted tasks stay counted, until their day is forgotten.
    store.purge(Purge { ended_before: Timestamp(u64::MAX >> 1), max_bytes: 0, limit: 99 }).wait().unwrap();
    assert_eq!(usage(store, UsageQuery::default()), (days.clone(), 3));
    assert_eq!(store.forget_usage(Day::from_number(2)).wait().unwrap(), 4);
    assert_eq!(usage(store, UsageQuery::default()), (days[4..].to_vec(), 1));
}

fn a_day_has_a_bounded_number_of_rows(store: &dyn Store) {
    let end = |id: u64, key: String| {
        let mut request = TaskRequest::completion("hi");
        request.model = Some(format!("model {id}"));
        let new = TaskSpec { request: Arc::new(request), key: Some(key.into()), ..new_task(1, id) };
        drop(store.accept(new.clone().into()));
        drop(store.finish(Arc::new(ended(&new, 10, "x"))));
    };
    for id in 0..300 {
        end(id, format!("key {}", id % 15));
    }
    let by = |by| usage(store, UsageQuery { by, ..UsageQuery::default() });
    assert_eq!(by(UsageBy::Model).1, FEW_ROWS + 1, "each of the first models has a row");
    let sessions = by(UsageBy::Session);
    assert_eq!((sessions.0[0].0.as_str(), sessions.1), (OTHER, 2));
    // Each key has a row for what has none of its own.
    for key in 0..15 {
        let of_key = usage(store, UsageQuery { key_id: Some(format!("key {key}")), ..UsageQuery::default() });
        assert_eq!(of_key.0.iter().map(|row| row.2).sum::<u64>(), 20, "key {key}");
    }
    for id in 300..400 {
        end(id, format!("flood {id}"));
    }
    let keys = by(UsageBy::Key);
    assert_eq!(keys.0.iter().map(|row| row.2).sum::<u64>(), 400, "no task is lost");
    assert!(keys.1 <= 2 * FEW_ROWS + 1, "{}", keys.1);
    assert!(keys.0.iter().any(|row| row.0 == OTHER && row.2 > 0));
}

fn miners_are_remembered(store: &dyn Store) {
    assert!(store.miners().wait().unwrap().is_empty());
    let miner = |id: &str, last_seen: u64| MinerRecord {
        id: id.into(),
        name: format!("miner {id}"),
        public_key: Some("key".into()),
        kind: Some(NodeKind::Dedicated),
        owner: Some("o".into()),
        models: vec!["a".into(), "\"b\"".into()],
        reputation: 0.1 + 0.2,
        created_at: 7,
        last_seen: NonZeroU64::new(last_seen),
        revoked: last_seen == 9,
    };
    for put in [miner("b", 1), miner("a", 2), miner("b", 9), MinerRecord { id: "c".into(), ..MinerRecord::default() }] {
        store.put_miner(put, None).wait().unwrap();
    }
    let found = store.miners().wait().unwrap();
    assert_eq!(found, [miner("a", 2), miner("b", 9), MinerRecord { id: "c".into(), ..MinerRecord::default() }]);
    assert_eq!(found[2].reputation.to_bits(), 1.0_f64.to_bits());
    assert!(store.delete_miner("b".into(), None).wait().unwrap());
    assert!(!store.delete_miner("b".into(), None).wait().unwrap());
    assert_eq!(store.miners().wait().unwrap().len(), 2);
}

/// The making of a key at that time.
fn made(at: u64) -> Act {
    Act::key_created(Timestamp(at), "ops", &ApiKey { id: format!("k{at}"), ..ApiKey::default() })
}

fn audit(store: &dyn Store, act: Option<ActKind>, after: Option<u64>, limit: u64) -> (Vec<u64>, u64) {
    let page = store.audit(AuditQuery { act, after, limit }).wait().unwrap();
    assert!(page.corrupt.is_empty());
    (page.entries.iter().map(|entry| entry.number).collect(), page.total)
}

fn an_act_is_recorded_with_its_change(store: &dyn Store) {
    assert_eq!(audit(store, None, None, 9), (vec![], 0));
    let key = ApiKey { id: "k".into(), hash: "h".into(), name: "\"n\"".into(), ..ApiKey::default() };
    let miner = MinerRecord { id: "mk_1".into(), ..MinerRecord::default() };
    let session = Session::new(SessionId(3), "0x3".into(), SessionSpec::default(), Timestamp(1));
    let limited = ApiKey { name: "n".into(), ..key.clone() };
    let acts = [
        Act::key_created(Timestamp(10), "ops", &key),
        Act::key_limited(Timestamp(20), "host", &key, &limited),
        Act::miner_forgotten(Timestamp(30), "ops", "mk_1", Some(&miner)),
        Act::key_revoked(Timestamp(40), "command", "k", Some(&limited)),
    ];
    let [created, changed, forgotten, revoked] = acts.clone();
    // The calls are not awaited, so that a store with group commit has them in one batch.
    drop(store.put_key(key, Some(created)));
    drop(store.put_key(limited, Some(changed)));
    drop(store.put_miner(miner, None));
    drop(store.put_session(session.clone(), None));
    drop(store.delete_miner("mk_1".into(), Some(forgotten.clone())));
    drop(store.delete_key("k".into(), Some(revoked.clone())));
    let nothing = [store.delete_key("k".into(), Some(revoked)), store.delete_miner("mk_1".into(), Some(forgotten))];
    for nothing in nothing {
        assert!(!nothing.wait().unwrap(), "what changes nothing is not recorded");
    }
    let page = store.audit(AuditQuery { limit: 9, ..AuditQuery::default() }).wait().unwrap();
    let entries = (1..).zip(acts).map(|(number, act)| AuditEntry { number, act }).collect::<Vec<_>>();
    assert_eq!((page.entries, page.total), (entries, 4));
    let act = Act { act: ActKind::SessionClosed, ..made(50) };
    store.put_session(session, Some(act)).wait().unwrap();
    assert_eq!(audit(store, None, None, 2), (vec![4, 5], 5), "the newest page");
    assert_eq!(audit(store, None, Some(1), 2), (vec![2, 3], 5));
    assert_eq!(audit(store, None, Some(5), 2), (vec![], 5));
    assert_eq!(audit(store, None, Some(u64::MAX), u64::MAX), (vec![], 5));
    assert_eq!(audit(store, Some(ActKind::SessionClosed), Some(0), 9), (vec![5], 1));
    assert_eq!(audit(store, Some(ActKind::MinerRevoked), None, 9), (vec![], 0));
}

fn the_audit_log_keeps_the_newest_entries(store: &dyn Store) {
    for at in 1..=FEW_ROWS + 5 {
        drop(store.put_key(ApiKey { id: "k".into(), ..ApiKey::default() }, Some(made(at))));
    }
    assert_eq!(audit(store, None, Some(0), 99), ((6..=FEW_ROWS + 5).collect(), FEW_ROWS));
    assert_eq!(store.forget_audit(Timestamp(6)).wait().unwrap(), 0);
    assert_eq!(store.forget_audit(Timestamp(9)).wait().unwrap(), 3);
    assert_eq!(audit(store, None, Some(0), 2), (vec![9, 10], FEW_ROWS - 3));
    // A clock that was set back does not make a newer entry older than the ones before it.
    store.put_key(ApiKey { id: "k".into(), ..ApiKey::default() }, Some(made(1))).wait().unwrap();
    assert_eq!(store.forget_audit(Timestamp(9)).wait().unwrap(), 0);
    assert_eq!(store.forget_audit(Timestamp(1_000)).wait().unwrap(), FEW_ROWS - 2);
    assert_eq!(audit(store, None, None, 9), (vec![], 0));
    store.put_key(ApiKey { id: "k".into(), ..ApiKey::default() }, Some(made(2))).wait().unwrap();
    assert_eq!(audit(store, None, None, 9), (vec![FEW_ROWS + 7], 1), "no number is given out twice");
}

fn managed_upstreams_are_kept_with_their_acts(store: &dyn Store) {
    let upstream = |name: &str, key: Option<&str>| {
        let mut config = UpstreamConfig::new("http://10.0.0.1:8080/v1").name(Some(name.into()));
        config.api_key = key.map(str::to_owned);
        UpstreamRecord::new(config, 7)
    };
    let act = |act, upstream: &UpstreamRecord| Some(Act::upstream(Timestamp(1), "ops", act, upstream));
    let (a, b) = (upstream("a", Some("key of a")), upstream("b", None));
    for one in [&b, &a] {
        store.put_upstream(one.clone(), act(ActKind::UpstreamAdded, one)).wait().unwrap();
    }
    let mut drained = b.with(UpstreamConfig::new("http://10.0.0.2/v1").name(Some("b".into())));
    drained.drained = true;
    store.put_upstream(drained.clone(), act(ActKind::UpstreamChanged, &drained)).wait().unwrap();
    assert_eq!(store.upstreams().wait().unwrap(), [a.clone(), drained]);
    assert_eq!(store.upstreams().wait().unwrap()[0].config().api_key.as_deref(), Some("key of a"));
    for found in [true, false] {
        let gone = store.delete_upstream("a".into(), act(ActKind::UpstreamRemoved, &a)).wait().unwrap();
        assert_eq!(gone, found);
    }
    store.note(Act::config_reloaded(Timestamp(2), "ops", serde_json::json!({"changed": ["echo"]}))).wait().unwrap();
    assert_eq!(store.upstreams().wait().unwrap().len(), 1);
    let log = store.audit(AuditQuery { limit: 9, ..AuditQuery::default() }).wait().unwrap();
    let acts: Vec<_> = log.entries.iter().map(|entry| (entry.act.act, entry.act.subject.as_str())).collect();
    let wanted = [
        (ActKind::UpstreamAdded, "b"),
        (ActKind::UpstreamAdded, "a"),
        (ActKind::UpstreamChanged, "b"),
        (ActKind::UpstreamRemoved, "a"),
        (ActKind::ConfigReloaded, "configuration"),
    ];
    assert_eq!(acts, wanted);
    assert!(!format!("{log:?}").contains("key of a"));
}

fn a_delivery_is_written_with_the_end_of_its_task(store: &dyn Store) {
    let delivery = |id: &str| {
        let webhook = Webhook::default().url("https://h/x").secret("whsec_x");
        WebhookDelivery { id: id.into(), webhook, state: WebhookState::Pending, ..WebhookDelivery::default() }
    };
    let end = |id: u64| ended(&new_task(1, id), id, "x").webhook(Some(Box::new(delivery(&format!("m{id}")))));
    let pending = || {
        let found = store.deliveries(Deliveries::Pending).wait().unwrap();
        found.into_iter().map(|(gid, delivery)| (gid, delivery.id)).collect::<Vec<_>>()
    };
    let gid = |id| new_task(1, id).gid;
    assert!(!store.finish(Arc::new(end(9))).wait().unwrap(), "a task that never was has no delivery");
    // An end that comes later, one in the batch of its accept, one together with its task, and one without a webhook.
    store.accept(new_task(1, 1).into()).wait().unwrap();
    assert!(store.finish(Arc::new(end(1))).wait().unwrap());
    let both = (store.accept(new_task(1, 2).into()), store.finish(Arc::new(end(2))));
    assert!(both.0.wait().is_ok() && both.1.wait().unwrap());
    assert!(store.record(new_task(1, 3).into(), Arc::new(end(3))).wait().unwrap());
    assert!(store.record(new_task(1, 4).into(), Arc::new(ended(&new_task(1, 4), 4, "x"))).wait().unwrap());
    assert!(!store.finish(Arc::new(end(1).webhook(Some(Box::new(delivery("second")))))).wait().unwrap());
    assert_eq!(pending(), [(gid(1), "m1".into()), (gid(2), "m2".into()), (gid(3), "m3".into())]);
    // A delivery has a secret, and is no part of its task.
    let listed =
        store.tasks(TaskQuery { session_id: SessionId(1), limit: 9, ..TaskQuery::default() }).wait().unwrap().tasks;
    let single = [1, 2, 3].map(|id| store.task_by_gid(gid(id)).wait().unwrap().unwrap());
    assert_eq!(listed.len(), 4);
    assert!(listed.iter().chain(&single).all(|task| task.webhook.is_none()));

    let done = WebhookDelivery {
        state: WebhookState::Delivered,
        attempts: 2,
        last_status: Some(204),
        webhook: Webhook::default().url("https://h/x"),
        ..delivery("m2")
    };
    assert!(store.put_delivery(gid(2), done.clone()).wait().unwrap());
    assert!(!store.put_delivery(gid(4), done.clone()).wait().unwrap(), "it has none");
    assert_eq!(pending().len(), 2);
    let mut of = store.deliveries(Deliveries::Of(vec![gid(2), gid(4), gid(1)])).wait().unwrap();
    of.sort_by_key(|(gid, _)| *gid);
    assert_eq!(of, [(gid(1), delivery("m1")), (gid(2), done)]);

    // A delivery goes with its task.
    assert!(store.delete_task(gid(1)).wait().unwrap());
    assert_eq!(store.purge(Purge { ended_before: Timestamp(3), max_bytes: 0, limit: 9 }).wait().unwrap(), 1);
    assert_eq!(store.deliveries(Deliveries::Of(vec![gid(1), gid(2)])).wait().unwrap(), []);
    assert_eq!(pending(), [(gid(3), "m3".into())]);
}

fn a_closed_store_says_so(store: &dyn Store) {
    let last = store.accept(new_task(1, 1).into());
    let seen = store.task(SessionId(1), TaskId(1));
    let close = store.close();
    assert_eq!(last.wait().unwrap(), Accepted::New, "what was asked for before is done");
    assert!(seen.wait().unwrap().is_some());
    close.wait().unwrap();
    let kinds = [
        store.recover().wait().unwrap_err().kind(),
        store.accept(new_task(1, 2).into()).wait().unwrap_err().kind(),
        store.finish(Arc::new(ended(&new_task(1, 1), 5, "x"))).wait().unwrap_err().kind(),
        store.task(SessionId(1), TaskId(1)).wait().unwrap_err().kind(),
        store.keys().wait().unwrap_err().kind(),
        store.close().wait().unwrap_err().kind(),
    ];
    assert_eq!(kinds, [ErrorKind::Closed; 6]);
}

macro_rules! conformance {
    ($($scenario:ident)*) => {
        mod memory {
            $(#[test] fn $scenario() { super::$scenario(&super::MemoryStore::with_rows(0, super::FEW_ROWS, super::FEW_ROWS)); })*
        }
        mod sqlite {
            $(#[test] fn $scenario() { super::in_a_file(super::$scenario); })*
        }
        #[cfg(feature = "postgres")]
        mod postgres {
            $(#[test] fn $scenario() { super::in_a_database(stringify!($scenario), super::$scenario); })*
        }
    };
}

fn in_a_file(scenario: fn(&dyn Store)) {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteOptions { usage_rows: FEW_ROWS, audit_rows: FEW_ROWS, ..SqliteOptions::default() };
    let store = SqliteStore::open_with(dir.path(), Durability::Full, options).unwrap();
    scenario(&store);
    drop(store);
    let found = check_integrity(dir.path()).unwrap();
    assert!(found.is_ok(), "{found:#?}");
}

/// Plays a scenario in a schema of its own, then once more through a pooler.
#[cfg(feature = "postgres")]
fn in_a_database(name: &str, scenario: fn(&dyn Store)) {
    static SERVER: OnceLock<Option<(Postgres, Option<Pooler>)>> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        let server = Postgres::start()?;
        let pooler = Pooler::before(&server);
        Some((server, pooler))
    });
    let Some((server, pooler)) = server else { return };
    for (url, schema) in
        [(Some(server.url()), name.to_owned()), (pooler.as_ref().map(Pooler::url), format!("p_{name}"))]
    {
        let Some(url) = url else { continue };
        let schema = schema.chars().take(63).collect();
        let options =
            PostgresOptions { schema, usage_rows: FEW_ROWS, audit_rows: FEW_ROWS, ..PostgresOptions::default() };
        let store = PostgresStore::open(&url, Durability::Full, options).unwrap();
        scenario(&store);
    }
}

conformance! {
    a_new_store_is_empty
    a_task_comes_back_as_it_went_in
    an_end_is_written_once
    an_end_has_a_time_and_0_is_none
    an_end_may_follow_its_accept_at_once
    a_task_and_its_end_are_written_together
    a_key_makes_one_task
    an_id_is_given_out_once
    pages_are_by_id_with_their_total
    pages_of_a_key_have_its_tasks_alone
    purging_takes_the_oldest_ended
    a_task_is_deleted_once_it_has_ended
    what_is_unfinished_is_recovered_oldest_first
    sessions_and_keys_are_kept
    a_session_is_deleted_with_its_last_task
    miners_are_remembered
    an_act_is_recorded_with_its_change
    the_audit_log_keeps_the_newest_entries
    an_ended_task_is_counted_once
    a_name_that_no_index_takes_is_counted_with_the_others
    a_day_has_a_bounded_number_of_rows
    managed_upstreams_are_kept_with_their_acts
    a_delivery_is_written_with_the_end_of_its_task
    a_closed_store_says_so
}
