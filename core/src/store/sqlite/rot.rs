//! Tests of bit rot: a row that the disk damaged is never shown as an answer.

use std::sync::Arc;

use rusqlite::Connection;

use super::super::samples::{ended, keyed, new_task, rich};
use super::super::{Act, ApiKey, AuditQuery, Durability, MinerRecord, Store, TaskQuery, UsageQuery};
use super::{SqliteStore, check_integrity};
use crate::ErrorKind;
use crate::model::{Scope, Session, SessionId, SessionSpec, TaskId, Timestamp};

/// A directory in which task 1 has every value that a row can hold, task 2 waits, and task 3 stays unharmed.
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
            // A row with another number is another task.
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
            assert_eq!(error.details().task_id, Some(TaskId(id)), "{name}");
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
fn a_damaged_session_is_named_and_the_others_are_recovered() {
    let dir = directory();
    let session = |id| Session::new(SessionId(id), format!("0x{id}"), SessionSpec::default(), Timestamp(1_000));
    let store = SqliteStore::open(dir.path(), Durability::Full).unwrap();
    store.put_session(session(8), None).wait().unwrap();
    store.put_session(session(9), None).wait().unwrap();
    drop(store);
    let db = Connection::open(dir.path().join(super::place::FILE)).unwrap();
    for body in ["CAST(x'7bff7d' AS TEXT)", "'{'", "''", "replace(body, '0x9', '0x8')"] {
        db.execute_batch("DROP TABLE IF EXISTS kept; CREATE TEMP TABLE kept AS SELECT * FROM session").unwrap();
        assert_eq!(db.execute(&format!("UPDATE session SET body = {body} WHERE id = 9"), []).unwrap(), 1);
        let store = SqliteStore::open(dir.path(), Durability::Full).unwrap();
        let recovery = store.recover().wait().unwrap();
        let found: Vec<_> = recovery.sessions.iter().map(|session| session.id).collect();
        assert_eq!((found, recovery.corrupt_sessions), (vec![SessionId(8)], vec![SessionId(9)]), "{body}");
        assert_eq!((recovery.unfinished.len(), recovery.last_session), (1, SessionId(9)), "{body}");
        drop(store);
        let problems = check_integrity(dir.path()).unwrap().problems;
        assert!(problems.len() == 1 && problems[0].starts_with("session 9 "), "{body}: {problems:?}");
        db.execute_batch("DELETE FROM session; INSERT INTO session SELECT * FROM kept").unwrap();
    }
}

#[test]
fn a_damaged_key_or_miner_is_refused_and_the_others_stay() {
    let dir = directory();
    let store = SqliteStore::open(dir.path(), Durability::Full).unwrap();
    for id in ["a", "b"] {
        store.put_key(ApiKey { id: id.into(), scopes: vec![Scope::Read], ..ApiKey::default() }, None).wait().unwrap();
        store.put_miner(MinerRecord { id: id.into(), revoked: true, ..MinerRecord::default() }, None).wait().unwrap();
    }
    drop(store);
    let db = Connection::open(dir.path().join(super::place::FILE)).unwrap();
    db.execute("UPDATE api_token SET body = replace(body, 'read', 'admi') WHERE id = 'b'", []).unwrap();
    for (column, value) in [("revoked", "0"), ("models", "'['"), ("reputation", "0.5"), ("sum", "NULL")] {
        db.execute_batch("DROP TABLE IF EXISTS kept; CREATE TEMP TABLE kept AS SELECT * FROM miner").unwrap();
        db.execute(&format!("UPDATE miner SET {column} = {value} WHERE id = 'b'"), []).unwrap();
        let store = SqliteStore::open(dir.path(), Durability::Full).unwrap();
        let keys: Vec<_> = store.keys().wait().unwrap().into_iter().map(|key| key.id).collect();
        let miners: Vec<_> = store.miners().wait().unwrap().into_iter().map(|miner| miner.id).collect();
        assert_eq!((keys, miners), (vec!["a".to_owned()], vec!["a".to_owned()]), "{column}");
        drop(store);
        let problems = check_integrity(dir.path()).unwrap().problems;
        assert!(problems[0].starts_with("key b ") && problems[1].starts_with("miner b "), "{problems:?}");
        db.execute_batch("DELETE FROM miner; INSERT INTO miner SELECT * FROM kept").unwrap();
    }
}

#[test]
fn a_damaged_entry_of_the_audit_log_is_told_and_hides_no_other() {
    let dir = directory();
    let store = SqliteStore::open(dir.path(), Durability::Full).unwrap();
    for id in ["a", "b"] {
        let key = ApiKey { id: id.into(), ..ApiKey::default() };
        let act = Act::key_created(Timestamp(7), "ops", &key);
        store.put_key(key, Some(act)).wait().unwrap();
    }
    drop(store);
    let db = Connection::open(dir.path().join(super::place::FILE)).unwrap();
    for (column, value) in [
        ("at", "8"),
        ("act", "'key_revoked'"),
        ("subject", "'c'"),
        ("key_id", "'dev'"),
        ("detail", "'{}'"),
        ("sum", "NULL"),
    ] {
        db.execute_batch("DROP TABLE IF EXISTS kept; CREATE TEMP TABLE kept AS SELECT * FROM audit").unwrap();
        assert_eq!(db.execute(&format!("UPDATE audit SET {column} = {value} WHERE number = 1"), []).unwrap(), 1);
        let store = SqliteStore::open(dir.path(), Durability::Full).unwrap();
        let page = store.audit(AuditQuery { limit: 9, ..AuditQuery::default() }).wait().unwrap();
        assert_eq!((page.entries.len(), page.entries[0].number, page.corrupt), (1, 2, vec![1]), "{column}");
        drop(store);
        let problems = check_integrity(dir.path()).unwrap().problems;
        assert!(problems.len() == 1 && problems[0].contains("audit log with the number 1 "), "{column}: {problems:?}");
        db.execute_batch("DELETE FROM audit; INSERT INTO audit SELECT * FROM kept").unwrap();
    }
}

#[test]
fn damaged_usage_is_left_out_and_stays_damaged() {
    let dir = directory();
    let requests = |store: &SqliteStore| {
        let page = store.usage(UsageQuery::default()).wait().unwrap();
        page.rows.iter().map(|row| row.counts.requests).sum::<u64>()
    };
    let end = |id| {
        let store = SqliteStore::open(dir.path(), Durability::Full).unwrap();
        let new = new_task(1, id);
        store.accept(new.clone().into()).wait().unwrap();
        store.finish(Arc::new(ended(&new, 9, "x"))).wait().unwrap();
        requests(&store)
    };
    // The tasks 3, 9 and 12 have no key, and one row counts them.
    assert_eq!(end(9), 3);
    let db = Connection::open(dir.path().join(super::place::FILE)).unwrap();
    assert_eq!(db.execute("UPDATE usage SET requests = requests + 1 WHERE key_id = ''", []).unwrap(), 1);
    assert_eq!(requests(&SqliteStore::open(dir.path(), Durability::Full).unwrap()), 1);
    let problems = check_integrity(dir.path()).unwrap().problems;
    assert!(problems.len() == 1 && problems[0].contains("the usage of 1970-01-01 "), "{problems:?}");
    assert_eq!(end(12), 1, "a further task does not make the row look sound");
    assert_eq!(check_integrity(dir.path()).unwrap().problems.len(), 1);
}

#[test]
fn a_damaged_idempotency_key_leads_to_no_other_task() {
    let dir = directory();
    let db = Connection::open(dir.path().join(super::place::FILE)).unwrap();
    db.execute("UPDATE task SET idem_fp = x'00' WHERE id = 1", []).unwrap();
    let store = SqliteStore::open(dir.path(), Durability::Full).unwrap();
    let repeated = keyed(new_task(1, 7), "k", 1);
    assert_eq!(store.find(repeated.idempotency.clone().unwrap()).wait().unwrap_err().code(), "store_corrupt");
    assert_eq!(store.accept(Arc::new(repeated)).wait().unwrap_err().code(), "store_corrupt");
}

#[test]
fn damaged_numbers_are_not_given_out_again() {
    let dir = directory();
    let path = dir.path().join(super::place::FILE);
    for column in ["epoch", "last_gid", "last_fence", "last_session", "last_audit", "ended_bytes", "sum"] {
        let db = Connection::open(&path).unwrap();
        let flip = format!("UPDATE meta SET {column} = ({column} | 4) - ({column} & 4)");
        assert_eq!(db.execute(&flip, []).unwrap(), 1);
        let error = SqliteStore::open(dir.path(), Durability::Full).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Internal, "store_corrupt"), "{column}: {error}");
        let problems = check_integrity(dir.path()).unwrap().problems;
        assert!(problems.iter().any(|problem| problem.contains("`meta`")), "{column}: {problems:?}");
        assert_eq!(db.execute(&flip, []).unwrap(), 1);
    }
    let db = Connection::open(&path).unwrap();
    db.execute("UPDATE session_count SET last_task_id = 1", []).unwrap();
    let store = SqliteStore::open(dir.path(), Durability::Full).unwrap();
    assert_eq!(store.recover().wait().unwrap().last_task_ids, [(SessionId(1), TaskId(3))]);
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
