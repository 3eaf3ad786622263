//! Tests of the store when its files are removed or replaced while it has them open.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::samples::{ended, new_task};
use super::super::{Accepted, Durability, Store};
use super::place::{FILE, LOCK};
use super::{SqliteOptions, SqliteStore};
use crate::model::{SessionId, TaskId};

fn open(dir: &Path, watch: Duration) -> SqliteStore {
    let options = SqliteOptions { watch, ..SqliteOptions::default() };
    SqliteStore::open_with(dir, Durability::Full, options).unwrap()
}

/// Waits until the store refuses writes, or until it accepts them.
fn until(store: &SqliteStore, refuses: bool) -> String {
    let since = Instant::now();
    loop {
        let said = store.check();
        if said.is_err() == refuses {
            return said.map_or_else(|error| error.message().to_owned(), |()| String::new());
        }
        assert!(since.elapsed() < Duration::from_secs(10), "{said:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[derive(Debug, Clone, Copy)]
enum Deed {
    Removed,
    Replaced,
}

fn act(deed: Deed, path: &Path) {
    let copy = path.with_extension("copy");
    match deed {
        Deed::Removed => fs::remove_file(path).unwrap(),
        Deed::Replaced => {
            fs::copy(path, &copy).unwrap();
            fs::rename(&copy, path).unwrap();
        }
    }
}

#[test]
fn nothing_is_acknowledged_once_a_file_is_gone() {
    let (log, index) = (format!("{FILE}-wal"), format!("{FILE}-shm"));
    for name in [FILE, LOCK, log.as_str(), index.as_str()] {
        for deed in [Deed::Removed, Deed::Replaced] {
            let dir = tempfile::tempdir().unwrap();
            // The store notices by itself, or at the next write if that comes first.
            for watch in [Duration::from_millis(5), Duration::from_mins(10)] {
                let path = dir.path().join(watch.as_secs().to_string());
                let store = open(&path, watch);
                assert_eq!(store.accept(new_task(1, 1).into()).wait().unwrap(), Accepted::New);
                store.check().unwrap();
                act(deed, &path.join(name));
                let world = format!("{name} {deed:?}, looked at every {watch:?}");
                if watch < Duration::from_secs(1) {
                    let said = until(&store, true);
                    assert!(said.contains(name) && said.contains("start it anew"), "{world}: {said}");
                }
                let error = store.accept(new_task(1, 2).into()).wait().unwrap_err();
                assert_eq!(error.code(), "store_unavailable", "{world}");
                assert!(error.message().contains(name), "{world}: {error}");
                let end = std::sync::Arc::new(ended(&new_task(1, 1), 5, "x"));
                assert_eq!(store.finish(end).wait().unwrap_err().code(), "store_unavailable", "{world}");
                assert!(store.delete_key("k".to_owned(), None).wait().is_err(), "{world}");
                store.check().unwrap_err();
                // The store must still find acknowledged data, and must not read another file.
                match store.task(SessionId(1), TaskId(1)).wait() {
                    Ok(found) => assert!(found.is_some(), "{world}"),
                    Err(error) => assert_eq!(error.code(), "store_unavailable", "{world}"),
                }
            }
        }
    }
}

#[test]
fn a_relaxed_store_notices_between_two_batches() {
    for name in [FILE, LOCK] {
        let dir = tempfile::tempdir().unwrap();
        let options = SqliteOptions { watch: Duration::from_mins(10), ..SqliteOptions::default() };
        let store = SqliteStore::open_with(dir.path(), Durability::Relaxed, options).unwrap();
        store.accept(new_task(1, 1).into()).wait().unwrap();
        fs::remove_file(dir.path().join(name)).unwrap();
        let since = Instant::now();
        let error = (2..).find_map(|id| store.accept(new_task(1, id).into()).wait().err()).unwrap();
        assert!(since.elapsed() < Duration::from_secs(5), "{name}: {:?}", since.elapsed());
        assert_eq!(error.code(), "store_unavailable", "{name}");
        assert!(error.message().contains(name), "{name}: {error}");
    }
}

#[test]
fn what_was_acknowledged_outlives_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), Duration::from_millis(5));
    store.accept(new_task(1, 1).into()).wait().unwrap();
    fs::remove_file(dir.path().join(format!("{FILE}-wal"))).unwrap();
    until(&store, true);
    // The database alone is moved while the store has its files open, as after a kill.
    let copy = tempfile::tempdir().unwrap();
    let since = Instant::now();
    loop {
        fs::copy(dir.path().join(FILE), copy.path().join(FILE)).unwrap();
        let other = SqliteStore::open(copy.path(), Durability::Full).unwrap();
        if other.task(SessionId(1), TaskId(1)).wait().unwrap().is_some() {
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn a_file_that_is_back_is_taken_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), Duration::from_millis(5));
    store.accept(new_task(1, 1).into()).wait().unwrap();
    let (path, away) = (dir.path().join(FILE), dir.path().join("away"));
    fs::rename(&path, &away).unwrap();
    until(&store, true);
    fs::rename(&away, &path).unwrap();
    until(&store, false);
    assert_eq!(store.accept(new_task(1, 2).into()).wait().unwrap(), Accepted::New);
}

#[test]
fn a_second_store_is_refused_although_the_lock_file_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), Duration::from_mins(10));
    fs::remove_file(dir.path().join(LOCK)).unwrap();
    let error = SqliteStore::open(dir.path(), Durability::Full).unwrap_err();
    assert_eq!(error.code(), "data_dir_in_use");
    store.accept(new_task(1, 1).into()).wait().unwrap_err();
    drop(store);
    SqliteStore::open(dir.path(), Durability::Full).unwrap();
}
