//! Tests of bit rot: a row that the disk damaged is never shown as an answer.

use std::sync::Arc;

use rusqlite::Connection;

use super::super::samples::{ended, keyed, new_task, rich};
use super::super::{Durability, Store, TaskQuery};
use super::{SqliteStore, check_integrity};
use crate::ErrorKind;
use crate::model::{SessionId, TaskId};

/// Task 1 has every value that a row can hold, task 2 is waiting, task 3 stays unharmed.
fn directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path(), Durability::Full).unwrap();
    let new = keyed(new_task(1, 1), "k", 1);
    store.accept(new.clone().into()).wait().unwrap();
    store.finish(Arc::new(rich(&new))).wait().unwrap();
    store.accept(keyed(new_task(1, 2), "k2", 1).into()).wait().unwrap();
    let third = new_task(1, 3);
    store.accept(third.clone().into()).wait().unwrap();
    store.finish(Arc::new(ended(&third, 9, "unharmed"))).wait().unwrap();
    dir
}

#[test]
fn a_change_in_any_column_is_told_and_hides_no_other_task() {
    let dir = directory();
    let path = dir.path().join(super::place::FILE);
    let columns: Vec<(String, String)> = {
        let db = Connection::open(&path).unwrap();
        let mut select = db.prepare("SELECT name, type FROM pragma_table_info('task')").unwrap();
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let rotten = |kind: &str, column: &str| match kind {
        "INTEGER" => format!("{column} + 1"),
        "TEXT" => format!("substr({column}, 1, length({column}) - 1) || char(1 + unicode(substr({column}, -1)))"),
        _ => format!("CAST('x' || CAST({column} AS TEXT) AS BLOB)"),
    };
    let mut tried = 0;
    for id in [1, 2] {
        for (name, kind) in &columns {
            // A changed number is another task.
            if matches!(name.as_str(), "gid" | "session_id" | "id") {
                continue;
            }
            let column = format!("\"{name}\"");
            let rotten = rotten(kind, &column);
            let db = Connection::open(&path).unwrap();
            db.execute_batch("CREATE TEMP TABLE kept AS SELECT * FROM task").unwrap();
            let sql = format!("UPDATE task SET {column} = {rotten} WHERE id = {id} AND {column} IS NOT NULL");
            if db.execute(&sql, []).unwrap() == 0 {
                continue;
            }
            tried += 1;
            let store = SqliteStore::open(dir.path(), Durability::Full).unwrap();
            let error = store.task(SessionId(1), TaskId(id)).wait().unwrap_err();
            assert_eq!((error.kind(), error.code()), (ErrorKind::Internal, "store_corrupt"), "{name}: {error}");
            assert_eq!(error.details().task_id, Some(id), "{name}");
            let query = TaskQuery { session_id: SessionId(1), limit: 10, ..TaskQuery::default() };
            let page = store.tasks(query).wait().unwrap();
            assert_eq!((page.corrupt, page.tasks.len(), page.total), (vec![TaskId(id)], 2, 3), "{name}");
            let recovery = store.recover().wait().unwrap();
            assert_eq!(recovery.unfinished.len(), usize::from(id != 2), "{name}");
            drop(store);
            let problems = check_integrity(dir.path()).unwrap().problems;
            let named = format!("task {} ", new_task(1, id).gid);
            assert!(problems.iter().any(|problem| problem.contains(&named)), "{name}: {problems:?}");
            db.execute_batch("DELETE FROM task; INSERT INTO task SELECT * FROM kept; DROP TABLE kept").unwrap();
        }
    }
    assert!(tried > 25, "{tried}");
}

#[test]
fn a_session_that_is_damaged_does_not_keep_the_others_from_recovery() {
    let dir = directory();
    let db = Connection::open(dir.path().join(super::place::FILE)).unwrap();
    for body in ["CAST(x'7bff7d' AS TEXT)", "'{'", "''"] {
        db.execute(&format!("INSERT OR REPLACE INTO session VALUES(9, {body})"), []).unwrap();
        let store = SqliteStore::open(dir.path(), Durability::Full).unwrap();
        let recovery = store.recover().wait().unwrap();
        assert_eq!((recovery.sessions.len(), recovery.unfinished.len()), (0, 1), "{body}");
    }
}

#[test]
fn two_rows_that_change_places_are_told() {
    let dir = directory();
    let db = Connection::open(dir.path().join(super::place::FILE)).unwrap();
    db.execute_batch(
        "CREATE TEMP TABLE other AS SELECT \"end\", text, sum FROM task WHERE id = 3;
         UPDATE task SET (\"end\", text, sum) = (SELECT * FROM other) WHERE id = 1",
    )
    .unwrap();
    let store = SqliteStore::open(dir.path(), Durability::Full).unwrap();
    assert_eq!(store.task(SessionId(1), TaskId(1)).wait().unwrap_err().code(), "store_corrupt");
    assert_eq!(store.task(SessionId(1), TaskId(3)).wait().unwrap().unwrap().text, "unharmed");
}

#[test]
fn flipped_bytes_of_the_file_are_never_an_answer() {
    let dir = directory();
    let path = dir.path().join(super::place::FILE);
    let sound = std::fs::read(&path).unwrap();
    let words = b"unharmed";
    let at = sound.windows(words.len()).position(|window| window == words).unwrap();
    let mut rotten = sound;
    rotten[at] ^= 1;
    std::fs::write(&path, rotten).unwrap();
    let store = SqliteStore::open(dir.path(), Durability::Full).unwrap();
    assert_eq!(store.task(SessionId(1), TaskId(3)).wait().unwrap_err().code(), "store_corrupt");
    store.task(SessionId(1), TaskId(1)).wait().unwrap().unwrap();
}
