//! Tests of the store on a failing medium and on damaged files.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rusqlite::Connection;

use super::super::samples::{bulky, ended, new_task};
use super::super::{Accepted, Durability, Store, TaskQuery, check_integrity};
use super::place::FILE;
use super::{SqliteOptions, SqliteStore, connection, holder};
use crate::ErrorKind;
use crate::model::{SessionId, TaskId};

/// A disk that can be full or absent.
#[derive(Default)]
struct Disk {
    /// The greatest number of pages of the file; 0: no limit.
    pages: AtomicU32,
    away: AtomicBool,
}

impl Disk {
    fn open(self: &Arc<Self>, dir: &Path) -> SqliteStore {
        let (disk, path) = (Arc::clone(self), dir.join(FILE));
        let connect = move || {
            if disk.away.load(Ordering::Relaxed) {
                return Connection::open("/nonexistent/router.db");
            }
            let db = connection::writer(&path, Durability::Full, &SqliteOptions::default())?;
            let pages = disk.pages.load(Ordering::Relaxed);
            if pages != 0 {
                db.pragma_update(None, "max_page_count", pages)?;
            }
            Ok(db)
        };
        SqliteStore::start(dir, Durability::Full, SqliteOptions::default(), Box::new(connect)).unwrap()
    }
}

fn raw(dir: &Path) -> Connection {
    Connection::open(dir.join(FILE)).unwrap()
}

/// A closed store with `tasks` tasks, of which every second one has ended.
fn filled(dir: &Path, tasks: u64) {
    let store = SqliteStore::open(dir, Durability::Relaxed).unwrap();
    for id in 1..=tasks {
        drop(store.accept(new_task(1, id).into()));
        if id % 2 == 0 {
            drop(store.finish(Arc::new(ended(&new_task(1, id), id, &"w".repeat(500)))));
        }
    }
    store.close().wait().unwrap();
}

#[test]
fn a_full_disk_refuses_whole_batches_and_recovers_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk { pages: AtomicU32::new(600), ..Disk::default() });
    let store = disk.open(dir.path());
    let tasks: Vec<_> = (1..=1_500).map(|id| bulky(1, id)).collect();
    let pending: Vec<_> = tasks.iter().map(|new| store.accept(new.clone().into())).collect();
    let mut kept = 0;
    let mut refused = 0;
    for (new, answer) in tasks.iter().zip(pending) {
        let answer = answer.wait();
        let found = store.task(SessionId(1), new.id).wait().unwrap();
        match answer {
            Ok(accepted) => {
                assert_eq!(accepted, Accepted::New);
                assert!(found.is_some(), "task {} was acknowledged and is not there", new.id);
                kept += 1;
            }
            Err(error) => {
                assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "store_unavailable"));
                assert!(found.is_none(), "task {} was refused and is there", new.id);
                refused += 1;
            }
        }
    }
    assert!(kept > 0 && refused > 0, "{kept} kept, {refused} refused");
    let query = TaskQuery { session_id: SessionId(1), limit: 1, ..TaskQuery::default() };
    assert_eq!(store.tasks(query).wait().unwrap().total, kept);

    disk.pages.store(0, Ordering::Relaxed);
    // The connection that failed is given up. At the latest the batch after the next failure has room.
    let _ = store.accept(new_task(1, 9_000).into()).wait();
    for id in 9_001..9_020 {
        assert_eq!(store.accept(new_task(1, id).into()).wait().unwrap(), Accepted::New);
    }
    drop(store);
    let found = check_integrity(dir.path()).unwrap();
    assert!(found.is_ok(), "{found:#?}");
}

#[test]
fn a_disk_that_is_away_refuses_until_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk { pages: AtomicU32::new(40), ..Disk::default() });
    let store = disk.open(dir.path());
    let first_refused = (1..5_000).find(|id| store.accept(bulky(1, *id).into()).wait().is_err()).unwrap();
    disk.away.store(true, Ordering::Relaxed);
    disk.pages.store(0, Ordering::Relaxed);
    for _ in 0..3 {
        assert_eq!(store.accept(new_task(1, first_refused).into()).wait().unwrap_err().code(), "store_unavailable");
        let end = Arc::new(ended(&new_task(1, 1), 5, "x"));
        assert_eq!(store.finish(end).wait().unwrap_err().code(), "store_unavailable");
    }
    assert!(store.task(SessionId(1), TaskId(1)).wait().unwrap().is_some(), "reads go on");
    disk.away.store(false, Ordering::Relaxed);
    assert_eq!(store.accept(new_task(1, first_refused).into()).wait().unwrap(), Accepted::New);
    assert!(store.finish(Arc::new(ended(&new_task(1, 1), 5, "x"))).wait().unwrap());
}

#[test]
fn a_second_store_of_one_process_is_refused_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path(), Durability::Full).unwrap();
    let error = SqliteStore::open(dir.path(), Durability::Full).unwrap_err();
    assert_eq!(error.code(), "data_dir_in_use");
    assert!(error.message().contains(&std::process::id().to_string()), "{error}");
    assert_eq!(holder(dir.path()).unwrap().url, None);
    store.close().wait().unwrap();
    SqliteStore::open(dir.path(), Durability::Full).unwrap();
}

#[test]
fn memory_is_no_durability_of_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let error = SqliteStore::open(dir.path(), Durability::Memory).unwrap_err();
    assert_eq!(error.details().param.as_deref(), Some("storage.durability"));
}

#[test]
fn a_file_of_a_newer_version_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 10);
    raw(dir.path()).execute("UPDATE meta SET schema_version = 99", []).unwrap();
    for _ in 0..2 {
        let error = SqliteStore::open(dir.path(), Durability::Full).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "schema_newer"));
        assert!(error.message().contains("99"), "{error}");
    }
    let found = check_integrity(dir.path()).unwrap();
    assert_eq!((found.is_ok(), found.schema_version), (false, 99));
}

#[test]
fn a_damaged_file_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(check_integrity(dir.path()).unwrap_err().kind(), ErrorKind::NotFound);
    filled(dir.path(), 2_000);
    let sound = check_integrity(dir.path()).unwrap();
    assert!(sound.is_ok(), "{sound:#?}");
    assert_eq!((sound.tasks, sound.unfinished), (2_000, 1_000));

    let file = fs::OpenOptions::new().write(true).open(dir.path().join(FILE)).unwrap();
    file.write_all_at(&[0x5a; 6_000], sound.file_bytes / 2).unwrap();
    let damaged = check_integrity(dir.path()).unwrap();
    assert!(!damaged.is_ok());

    file.write_all_at(&[0x5a; 100], 0).unwrap();
    let destroyed = check_integrity(dir.path()).unwrap();
    assert!(destroyed.problems.iter().any(|problem| problem.contains("not a database")), "{destroyed:#?}");
    let error = SqliteStore::open(dir.path(), Durability::Full).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Internal, "store_corrupt"));
}

#[test]
fn counters_that_lie_are_found_out() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 10);
    for lie in [
        "UPDATE session_count SET total = total + 1",
        "UPDATE task_count SET open = open - 1",
        "UPDATE meta SET ended_bytes = ended_bytes + 1",
        "UPDATE task SET band = band + 1 WHERE gid = 1000003",
    ] {
        let db = raw(dir.path());
        db.execute_batch("BEGIN").unwrap();
        assert_eq!(db.execute(lie, []).unwrap(), 1, "{lie}");
        db.execute_batch("COMMIT").unwrap();
        let found = check_integrity(dir.path()).unwrap();
        assert!(!found.is_ok(), "{lie}");
        let undo = lie.replace("+ 1", "- 1").replace("open - 1", "open + 1");
        db.execute(&undo, []).unwrap();
        let found = check_integrity(dir.path()).unwrap();
        assert!(found.is_ok(), "{undo}: {found:#?}");
    }
}

#[test]
fn one_unreadable_task_does_not_keep_the_others_from_recovery() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 5);
    raw(dir.path()).execute("UPDATE task SET request = 'no JSON' WHERE id = 3", []).unwrap();
    let store = SqliteStore::open(dir.path(), Durability::Full).unwrap();
    let recovery = store.recover().wait().unwrap();
    let ids: Vec<u64> = recovery.unfinished.iter().map(|(task, _)| task.id.0).collect();
    assert_eq!(ids, [1, 5]);
    let error = store.task(SessionId(1), TaskId(3)).wait().unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Internal, "store_corrupt"));
    assert!(error.message().contains("task 3 in session 1"), "{error}");
    assert!(store.task(SessionId(1), TaskId(1)).wait().unwrap().is_some());
}

/// Leaves the files as a power cut does: the database and the log as they were, with the end of the log torn off.
#[test]
fn a_torn_log_loses_its_last_commits_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path(), Durability::Full).unwrap();
    for id in 1..=50 {
        store.accept(new_task(1, id).into()).wait().unwrap();
    }
    let copy = tempfile::tempdir().unwrap();
    let log = format!("{FILE}-wal");
    for name in [FILE, &log] {
        fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
    }
    drop(store);
    let torn = fs::OpenOptions::new().write(true).open(copy.path().join(&log)).unwrap();
    torn.set_len(torn.metadata().unwrap().len() - 100).unwrap();

    let store = SqliteStore::open(copy.path(), Durability::Full).unwrap();
    let recovery = store.recover().wait().unwrap();
    let ids: Vec<u64> = recovery.unfinished.iter().map(|(task, _)| task.id.0).collect();
    assert_eq!(ids, (1..=49).collect::<Vec<_>>());
    assert_eq!(recovery.last_task_ids, [(SessionId(1), TaskId(49))]);
    drop(store);
    assert!(check_integrity(copy.path()).unwrap().is_ok());
}

/// A reader of the whole file keeps the log from starting over, but does not delay writes.
#[test]
fn a_long_reader_holds_up_nobody_and_the_log_starts_over_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteOptions { checkpoint_pages: 8, ..SqliteOptions::default() };
    let store = SqliteStore::open_with(dir.path(), Durability::Relaxed, options).unwrap();
    let bytes = || fs::metadata(dir.path().join(format!("{FILE}-wal"))).unwrap().len();
    let write = |from: u64| {
        for id in from..from + 200 {
            store.accept(bulky(1, id).into()).wait().unwrap();
        }
    };
    write(1);
    let short = bytes();
    let db = raw(dir.path());
    db.execute_batch("BEGIN; SELECT count(*) FROM task").unwrap();
    write(1_000);
    let long = bytes();
    assert!(long > short + 200 * 4_096, "{short} {long}");
    db.execute_batch("COMMIT").unwrap();
    drop(db);
    write(2_000);
    write(3_000);
    // The first commits after the reader may still be appended; 400 more would be some 800 pages.
    let after = bytes();
    assert!(after < long + 50 * 4_120, "the log is used from its beginning: {long}, then {after}");
}
