//! A store over a real server that fails in every way that the rules of the store speak of.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cortensor_router_testkit::proxy::{Faults, Way};
use cortensor_router_testkit::{Postgres, Proxy};

use super::{PostgresOptions, PostgresStore, survey};
use crate::model::{SessionId, TaskId, Timestamp};
use crate::store::samples::{ended, keyed, new_task};
use crate::store::{Accepted, Act, ApiKey, AuditQuery, Durability, Pending, Store, TaskQuery, TaskSpec, UsageQuery};
use crate::{Error, ErrorKind};

pub(super) fn options(schema: &str) -> PostgresOptions {
    PostgresOptions {
        name: "one".into(),
        schema: schema.into(),
        patience: Duration::from_secs(5),
        ..PostgresOptions::default()
    }
}

pub(super) fn open(url: &str, options: PostgresOptions) -> PostgresStore {
    PostgresStore::open(url, Durability::Full, options).unwrap()
}

fn act(at: u64) -> Act {
    Act::key_created(Timestamp(at), "ops", &ApiKey::default())
}

/// Asks for a batch of every sort of write. Gives what must become of it.
fn batch(store: &dyn Store) -> impl FnOnce() + use<> {
    let tasks: Vec<TaskSpec> = (1..=20).map(|id| keyed(new_task(1, id), &format!("k{id}"), 1)).collect();
    let accepted: Vec<_> = tasks.iter().map(|new| store.accept(new.clone().into())).collect();
    let recorded = store.record(new_task(1, 30).into(), ended(&new_task(1, 30), 5, "whole").into());
    let put = store.put_key(ApiKey { id: "k".into(), ..ApiKey::default() }, Some(act(1)));
    let ended_well: Vec<_> = tasks[..10].iter().map(|new| store.finish(Arc::new(ended(new, 9, "a\0b")))).collect();
    move || {
        assert!(accepted.into_iter().all(|answer| answer.wait().unwrap() == Accepted::New));
        assert!(recorded.wait().unwrap());
        put.wait().unwrap();
        assert!(ended_well.into_iter().all(|answer| answer.wait().unwrap()));
    }
}

/// Checks that the batch was done once, in every table.
fn assert_done_once(store: &dyn Store) {
    let page = store.tasks(TaskQuery { session_id: SessionId(1), limit: 99, ..TaskQuery::default() }).wait().unwrap();
    assert_eq!((page.tasks.len(), page.total), (21, 21));
    let used = store.usage(UsageQuery::default()).wait().unwrap();
    assert_eq!(used.rows.iter().map(|row| row.counts.requests).sum::<u64>(), 11);
    let audit = store.audit(AuditQuery { limit: 9, ..AuditQuery::default() }).wait().unwrap();
    assert_eq!(audit.entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [1]);
    assert_eq!(store.unfinished().wait().unwrap().len(), 10);
    assert_eq!(store.task(SessionId(1), TaskId(3)).wait().unwrap().unwrap().text, "a\0b");
}

/// The connection is cut at many bytes of both directions: before the commit, within it, and before its answer.
#[test]
fn a_batch_whose_connection_is_cut_is_done_once() {
    let Some(server) = Postgres::start() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let cuts = (0..24_u64).map(|number| {
        let after = 800 + number / 2 * 1_100;
        let way = Way { reset_after: Some(after), ..Way::default() };
        let faults = if number % 2 == 0 {
            Faults { up: way, ..Faults::default() }
        } else {
            Faults { down: Way { reset_after: Some(500 + number / 2 * 180), ..way }, ..Faults::default() }
        };
        (number, faults)
    });
    std::thread::scope(|scope| {
        for (number, faults) in cuts {
            let (server, runtime) = (&server, &runtime);
            scope.spawn(move || {
                let proxy = runtime.block_on(Proxy::to(server.address()));
                let url = format!("postgres://router@{}/postgres", proxy.address);
                let patience = Duration::from_secs(20);
                let store = open(&url, PostgresOptions { patience, ..options(&format!("cut_{number}")) });
                proxy.set(faults);
                let done = batch(&store);
                std::thread::sleep(Duration::from_millis(300));
                proxy.mend();
                done();
                assert_done_once(&store);
            });
        }
    });
}

/// A commit whose answer is lost is given up, and the next one is cut on its way. A task that was acknowledged is there.
#[test]
fn a_batch_is_never_taken_for_another_one() {
    let Some(server) = Postgres::start() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    std::thread::scope(|scope| {
        for number in 0..16_u64 {
            let (server, runtime) = (&server, &runtime);
            scope.spawn(move || {
                let proxy = runtime.block_on(Proxy::to(server.address()));
                let url = format!("postgres://router@{}/postgres", proxy.address);
                // Long enough to connect on a busy machine, and short enough to wait for.
                let patience = Duration::from_secs(1);
                let store = open(&url, PostgresOptions { patience, ..options(&format!("number_{number}")) });
                let cut = |after| Way { reset_after: Some(after), ..Way::default() };
                proxy.set(Faults { down: cut(60 + number % 4 * 60), ..Faults::default() });
                let first = store.accept(new_task(1, 1).into());
                let first_is_there = first.wait().is_ok();
                proxy.mend();
                while store.check().is_err() {
                    std::thread::sleep(Duration::from_millis(20));
                }
                proxy.set(Faults { up: cut(400 + number / 4 * 500), ..Faults::default() });
                let second = store.accept(new_task(1, 2).into());
                std::thread::sleep(Duration::from_millis(100));
                proxy.mend();
                let second_is_there = second.wait().is_ok();
                while store.check().is_err() {
                    std::thread::sleep(Duration::from_millis(20));
                }
                for (id, is_there) in [(1, first_is_there), (2, second_is_there)] {
                    let found = store.task(SessionId(1), TaskId(id)).wait().unwrap();
                    assert!(!is_there || found.is_some(), "{number}: task {id} was acknowledged");
                }
            });
        }
    });
}

#[test]
fn the_one_operation_that_the_database_does_not_take_fails_alone() {
    let Some(server) = Postgres::start() else { return };
    let store = open(&server.url(), options("split"));
    let tasks: Vec<TaskSpec> = (1..=40)
        .map(|id| {
            let key = if id == 23 { "a\0b".to_owned() } else { format!("k{id}") };
            keyed(new_task(1, id), &key, 1)
        })
        .collect();
    let pending: Vec<_> = tasks.iter().map(|new| store.accept(new.clone().into())).collect();
    for (new, answer) in tasks.iter().zip(pending) {
        match answer.wait() {
            Ok(accepted) => assert_eq!(accepted, Accepted::New, "task {}", new.id),
            Err(error) => assert_eq!((new.id, error.kind()), (TaskId(23), ErrorKind::InvalidArgument), "{error}"),
        }
    }
    assert_eq!(store.tasks(TaskQuery { session_id: SessionId(1), ..TaskQuery::default() }).wait().unwrap().total, 39);
    store.check().unwrap();
}

#[test]
fn while_the_database_is_away_new_tasks_are_refused_and_ends_wait() {
    let Some(mut server) = Postgres::start() else { return };
    let patience = Duration::from_millis(400);
    let store = open(&server.url(), PostgresOptions { patience, ..options("away") });
    let new = new_task(1, 1);
    store.accept(new.clone().into()).wait().unwrap();
    server.stop();
    let from = Instant::now();
    let end = store.finish(Arc::new(ended(&new, 9, "kept")));
    let refused = |answer: Pending<Accepted>| {
        let error = answer.wait().unwrap_err();
        assert_eq!((error.kind(), error.details().retry_after_ms), (ErrorKind::Unavailable, Some(1_000)), "{error}");
    };
    refused(store.accept(new_task(1, 2).into()));
    assert!((patience..patience * 5).contains(&from.elapsed()), "{:?}", from.elapsed());
    let from = Instant::now();
    refused(store.accept(new_task(1, 3).into()));
    assert!(from.elapsed() < patience, "it is known by now: {:?}", from.elapsed());
    assert_eq!(store.check().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.task(SessionId(1), TaskId(1)).wait().unwrap_err().kind(), ErrorKind::Unavailable);
    server.restart();
    assert!(end.wait().unwrap());
    store.check().unwrap();
    assert_eq!(store.accept(new_task(1, 4).into()).wait().unwrap(), Accepted::New);
    assert_eq!(store.task(SessionId(1), TaskId(1)).wait().unwrap().unwrap().text, "kept");
    assert_eq!(store.tasks(TaskQuery { session_id: SessionId(1), ..TaskQuery::default() }).wait().unwrap().total, 2);
}

#[test]
fn ends_wait_within_their_bounds_and_a_close_does_not_hang() {
    let Some(mut server) = Postgres::start() else { return };
    let bounds = PostgresOptions {
        patience: Duration::from_millis(200),
        end_patience: Duration::from_millis(900),
        waiting_bytes: 3_000,
        ..options("bounds")
    };
    let store = open(&server.url(), bounds);
    let tasks: Vec<TaskSpec> = (1..=9).map(|id| new_task(1, id)).collect();
    for new in &tasks {
        store.accept(new.clone().into()).wait().unwrap();
    }
    server.stop();
    while store.check().is_ok() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let from = Instant::now();
    let ends: Vec<_> = tasks.iter().map(|new| store.finish(Arc::new(ended(new, 9, "x")))).collect();
    // The last ones find no room and are refused at once, the others wait.
    let waited = ends.into_iter().rev().map(|end| {
        assert_eq!(end.wait().unwrap_err().kind(), ErrorKind::Unavailable);
        from.elapsed() > Duration::from_millis(800)
    });
    let waited: Vec<bool> = waited.collect();
    assert_eq!((waited.first(), waited.last()), (Some(&false), Some(&true)));
    let late = store.finish(Arc::new(ended(&tasks[0], 9, "x")));
    store.close().wait().unwrap();
    assert!(late.wait().is_err());
}

pub(super) fn refusal(url: &str, options: PostgresOptions) -> Error {
    PostgresStore::open(url, Durability::Full, options).map(drop).unwrap_err()
}

#[test]
fn a_server_that_cannot_be_used_is_refused_with_the_reason() {
    let Some(server) = Postgres::start() else { return };
    for sql in [
        "CREATE ROLE locked LOGIN PASSWORD 'right'",
        "CREATE ROLE poor LOGIN",
        "CREATE DATABASE latin ENCODING 'SQL_ASCII' TEMPLATE template0",
        "CREATE SCHEMA foreign_one; CREATE TABLE foreign_one.meta(x int)",
    ] {
        server.psql(sql).unwrap();
    }
    drop(open(&server.url(), options("newer")));
    server.psql("UPDATE newer.meta SET schema_version = 99, min_version = 99").unwrap();
    let url = server.url();
    let other = |from: &str, to: &str| url.replace(from, to);
    for (url, schema, words) in [
        (other("router@", "locked:wrong-s3cret@"), "x", "the user or the password"),
        (other("router@", "poor@"), "x", "lacks a right"),
        (other("/postgres", "/nowhere"), "x", "does not exist"),
        (other("/postgres", "/latin"), "x", "SQL_ASCII"),
        (url.clone(), "foreign_one", "another program's tables"),
        (url.clone(), "newer", "newer version"),
        ("postgres://router:s3cret@127.0.0.1:1/postgres".to_owned(), "x", "cannot be reached"),
    ] {
        let error = refusal(&url, options(schema));
        assert!(error.message().contains(words), "{words}: {error}");
        assert!(!error.message().contains("s3cret"), "{error}");
        let found = survey(&url, &options(schema));
        assert!(found.is_err() || ["newer", "lacks a right"].iter().any(|known| words.starts_with(known)), "{words}");
    }
    let memory = PostgresStore::open(&url, Durability::Memory, options("x")).map(drop).unwrap_err();
    assert_eq!(memory.details().param.as_deref(), Some("storage.durability"));
    let found = survey(&url, &options("newer")).unwrap();
    assert_eq!((found.schema, found.encrypted, found.routers), (Some(99), false, Vec::new()));
    assert!(found.version.starts_with(|first: char| first.is_ascii_digit()) && found.commit.is_some());
}

#[test]
fn a_connection_over_tls_is_verified() {
    let Some(server) = Postgres::start() else { return };
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (signed.cert.pem(), signed.signing_key.serialize_pem());
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
    server.encrypt(&certificate, &key);
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let url = |host: &str| format!("postgres://router@{host}:{}/postgres?sslmode=verify-full", server.address().port());
    let believing = |ca_file| PostgresOptions { ca_file: Some(ca_file), ..options("tls") };
    let right = believing(file("right.pem", &certificate));
    let store = open(&url("localhost"), right.clone());
    batch(&store)();
    assert_done_once(&store);
    assert!(survey(&url("localhost"), &right).unwrap().encrypted);
    for (url, options) in [
        (url("localhost"), believing(file("other.pem", &other))),
        (url("127.0.0.1"), right),
        (url("localhost"), options("tls")),
    ] {
        let error = refusal(&url, options);
        assert!(error.message().contains("certificate") && error.message().contains("storage.ca_file"), "{error}");
    }
}
