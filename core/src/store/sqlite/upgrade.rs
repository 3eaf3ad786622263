//! The steps of a migration that SQL alone cannot do: copying the old file, and rewriting rows.

use std::path::{Path, PathBuf};

use rusqlite::types::{ToSqlOutput, Value};
use rusqlite::{Connection, Row, params};
use serde_json::value::RawValue;

use super::super::columns::{MINER, json};
use super::meta::Meta;
use super::place::private;
use super::row::{KEY, SESSION, sum_with, text};
use super::sum::of_row;
use crate::{Error, Result};

/// The path of the copy of a file with that version of the schema.
fn backup_path(file: &Path, version: u32) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".schema-{version}"));
    name.into()
}

/// Copies the database to a file beside it before the schema changes. Gives the path of the copy; `None` for a database
/// without a file.
///
/// # Errors
/// A message if there is no room for the copy, or if the database cannot be read.
pub(super) fn back_up(db: &Connection, version: u32) -> Result<Option<PathBuf>> {
    let Some(file) = db.path().filter(|path| !path.is_empty()).map(PathBuf::from) else { return Ok(None) };
    let path = backup_path(&file, version);
    let half = path.with_extension(format!("schema-{version}.part"));
    let write = || -> Result<(), Box<dyn std::error::Error>> {
        match std::fs::remove_file(&half) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        // `VACUUM INTO` accepts an empty file that exists already, so the copy has the right mode from the start.
        let copy = private(&half)?;
        let target = half.to_str().ok_or("the path is no UTF-8")?;
        db.execute("VACUUM INTO ?1", [target])?;
        copy.sync_all()?;
        std::fs::rename(&half, &path)?;
        #[cfg(unix)]
        if let Some(dir) = path.parent() {
            std::fs::File::open(dir)?.sync_all()?;
        }
        Ok(())
    };
    write().map_err(|error| {
        Error::store(format!(
            "before its schema changes, the database is copied to {}, and that failed: {error}: make room for it, or \
             restore the database from a back-up if it is damaged",
            path.display()
        ))
    })?;
    Ok(Some(path))
}

/// Moves every task into the table that has `end` and `sum`. A row that cannot be read gets no sum, so that it counts
/// as damaged at every read.
pub(super) fn move_tasks(db: &Connection) -> rusqlite::Result<()> {
    // The query selects the columns of a task in the order of `row::COLUMNS`, except its key, which is younger; then
    // the columns that make the end.
    let mut select = db.prepare(
        "SELECT gid, session_id, id, band, bytes, attempts, fence, created_at, started_at, first_token_at,
             precommitted_at, committed_at, ended_at, deadline, NULL, idem_scope, idem_key, idem_fp, assigned_miners,
             request, NULL, text, raw, outcome, verdict, failure, results FROM task_old",
    )?;
    let mut insert = db.prepare(
        "INSERT INTO task(gid, session_id, id, band, bytes, attempts, fence, created_at, started_at, first_token_at,
             precommitted_at, committed_at, ended_at, deadline, sum, idem_scope, idem_key, idem_fp, assigned_miners,
             request, \"end\", text, raw) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,
             ?17, ?18, ?19, ?20, ?21, ?22, ?23)",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let end = end_of(row)?;
        let sum = match &end {
            Ok(end) => Some(sum_with(row, end.as_deref(), None)?),
            Err(()) => None,
        };
        for column in 0..23 {
            insert.raw_bind_parameter(column + 1, ToSqlOutput::Borrowed(row.get_ref(column)?))?;
        }
        insert.raw_bind_parameter(15, sum)?;
        insert.raw_bind_parameter(21, text(end.ok().flatten().as_deref()))?;
        insert.raw_execute()?;
    }
    Ok(())
}

/// Gives the row of `meta` and every row of a session, a key and a miner its checksum.
pub(super) fn sum_rows(db: &Connection) -> rusqlite::Result<()> {
    for (table, columns) in [("session", SESSION), ("api_token", KEY), ("miner", MINER)] {
        let mut select = db.prepare(&format!("SELECT {columns} FROM {table}"))?;
        let count = select.column_count();
        let mut sums: Vec<(Value, i64)> = Vec::new();
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let values = (0..count).map(|column| row.get_ref(column)).collect::<rusqlite::Result<Vec<_>>>()?;
            sums.push((row.get(0)?, of_row(values)));
        }
        let mut update = db.prepare(&format!("UPDATE {table} SET sum = ?2 WHERE id = ?1"))?;
        for (id, sum) in sums {
            update.execute(params![id, sum])?;
        }
    }
    Meta::seal(db)
}

/// Makes the end of a task from the five columns of an older version; the inner `Err` means that they cannot be read.
fn end_of(row: &Row<'_>) -> rusqlite::Result<Result<Option<Vec<u8>>, ()>> {
    #[derive(serde::Serialize)]
    struct TaskError<'a> {
        kind: &'static str,
        message: &'a str,
    }
    #[derive(serde::Serialize)]
    struct TaskEnd<'a> {
        outcome: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<TaskError<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        answers: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        verdict: Option<&'a RawValue>,
    }
    let old = |column| row.get_ref(column).map(|value| value.as_str_or_null());
    let (Ok(outcome), Ok(verdict), Ok(failure), Ok(results)) = (old(23)?, old(24)?, old(25)?, old(26)?) else {
        return Ok(Err(()));
    };
    let Some(outcome) = outcome else { return Ok(Ok(None)) };
    // Older versions kept only the text of an error.
    let kind = match outcome {
        "ok" | "disputed" => None,
        "cancelled" => Some("cancelled"),
        "expired" => Some("timeout"),
        _ => Some("miner_failed"),
    };
    let (Ok(answers), Ok(verdict)) = (json_of(results), json_of(verdict)) else { return Ok(Err(())) };
    let error = kind.map(|kind| TaskError { kind, message: failure.unwrap_or("the task ended without an answer") });
    Ok(json(&TaskEnd { outcome, error, answers, verdict }).map(Some).map_err(drop))
}

fn json_of(text: Option<&str>) -> serde_json::Result<Option<&RawValue>> {
    text.map(serde_json::from_str).transpose()
}

#[cfg(test)]
mod tests {
    use super::super::super::{Act, ApiKey, AuditQuery, Durability, Store, TaskQuery};
    use super::super::options::SqliteOptions;
    use super::super::schema::{MIGRATIONS, migrate, version};
    use super::super::{SqliteStore, check_integrity, connection, place};
    use super::{json, text};
    use crate::ErrorKind;
    use crate::model::{Outcome, Session, SessionId, SessionSpec, TaskId, Timestamp};

    /// A data directory as version 2 of the schema left it.
    fn old_directory() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let path = place::prepare(dir.path()).unwrap();
        let mut db = connection::writer(&path, Durability::Full, &SqliteOptions::default()).unwrap();
        migrate(&mut db, &MIGRATIONS[..2]).unwrap();
        db.execute_batch(
            r#"INSERT INTO task(gid, session_id, id, band, outcome, bytes, fence, created_at, ended_at, deadline,
                   idem_scope, idem_key, idem_fp, failure, request, text, results, raw)
               VALUES
               (1, 7, 1, 5, 'ok', 100, 3, 10, 20, 30, 's', 'k', x'00', NULL, '{"kind":"completion","prompt":"p"}', 'hi',
                   '[{"miner":"0xa","finish_reason":"length","usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3},"raw":2}]',
                   x'7b7d'),
               (2, 7, 2, 5, 'failed', 100, 4, 10, 20, 30, NULL, NULL, NULL, 'all broke', '{"prompt":"p"}', '', NULL, NULL),
               (3, 7, 3, 5, NULL, 0, 0, 10, NULL, 30, NULL, NULL, NULL, NULL, '{"prompt":"p"}', NULL, NULL, NULL),
               (4, 7, 4, 5, 'ok', 100, 0, 10, 20, 30, NULL, NULL, NULL, NULL, '{"prompt":"p"}', 'x', '[{', NULL),
               (5, 7, 5, 5, 'expired', 0, 0, 10, 20, 30, NULL, NULL, NULL, NULL, '{"prompt":"p"}', NULL, NULL, NULL);
               INSERT INTO session_count VALUES(7, 5, 5, 1);
               INSERT INTO task_count VALUES(7, 0, 5, 1);
               UPDATE meta SET ended_bytes = 300, last_gid = 5, last_fence = 4;"#,
        )
        .unwrap();
        dir
    }

    #[test]
    fn an_older_file_is_copied_and_every_task_keeps_its_end() {
        let dir = old_directory();
        let store = SqliteStore::open(dir.path(), Durability::Full).unwrap();
        let task = |id| store.task(SessionId(7), TaskId(id)).wait();
        let first = task(1).unwrap().unwrap();
        assert_eq!((first.outcome, first.text.as_str(), first.attempts), (Some(Outcome::Ok), "hi", 0));
        let answer = &first.results[0].answer;
        assert_eq!((answer.text.as_str(), answer.finish_reason.as_str()), ("hi", "length"));
        assert_eq!(answer.raw.as_deref(), Some(&b"{}"[..]));
        let error = |id| task(id).unwrap().unwrap().error.unwrap();
        assert_eq!((error(2).kind(), error(2).message().to_owned()), (ErrorKind::MinerFailed, "all broke".to_owned()));
        assert_eq!(error(5).kind(), ErrorKind::Timeout);
        let of_key = TaskQuery { session_id: SessionId(7), key_id: Some("k".into()), limit: 9, ..TaskQuery::default() };
        assert_eq!(store.tasks(of_key).wait().unwrap().total, 0, "older tasks have no key");
        assert!(task(3).unwrap().unwrap().outcome.is_none());
        assert_eq!(task(4).unwrap_err().code(), "store_corrupt", "what could not be read before cannot be read now");
        let recovery = store.recover().wait().unwrap();
        assert_eq!(recovery.unfinished.iter().map(|(task, _)| task.id.0).collect::<Vec<_>>(), [3]);
        drop(store);
        let found = check_integrity(dir.path()).unwrap();
        assert_eq!(found.problems.len(), 1, "{:?}", found.problems);

        // Checks the way back: the older version must be able to read the copy.
        let copy = dir.path().join("router.db.schema-2");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let db = rusqlite::Connection::open(&copy).unwrap();
        assert_eq!(version(&db).unwrap(), 2);
        let failure: String = db.query_row("SELECT failure FROM task WHERE gid = 2", [], |row| row.get(0)).unwrap();
        assert_eq!(failure, "all broke");
        assert!(!dir.path().join("router.db.schema-2.part").exists());
        assert!(!dir.path().join("router.db.schema-3").exists());
    }

    #[test]
    fn sessions_keys_and_miners_of_an_older_file_get_their_sums() {
        let dir = tempfile::tempdir().unwrap();
        let path = place::prepare(dir.path()).unwrap();
        let mut db = connection::writer(&path, Durability::Full, &SqliteOptions::default()).unwrap();
        migrate(&mut db, &MIGRATIONS[..3]).unwrap();
        let spec = SessionSpec::default().name("s");
        let session = Session::new(SessionId(5), "0x5".into(), spec, Timestamp(1_000));
        let key = ApiKey { id: "k".into(), ..ApiKey::default() };
        db.execute("INSERT INTO session VALUES(5, ?1)", [text(Some(&json(&session).unwrap()))]).unwrap();
        db.execute("INSERT INTO session VALUES(6, '{')", []).unwrap();
        db.execute("INSERT INTO api_token VALUES('k', ?1)", [text(Some(&json(&key).unwrap()))]).unwrap();
        db.execute("INSERT INTO miner VALUES('m', 'n', '', '', '', '[\"a\"]', 0.5, 1, 2, 1)", []).unwrap();
        db.execute("INSERT INTO session_count VALUES(9, 3, 0, 0)", []).unwrap();
        drop(db);
        let store = SqliteStore::open(dir.path(), Durability::Full).unwrap();
        let recovery = store.recover().wait().unwrap();
        assert_eq!(recovery.sessions.iter().map(|session| session.id.0).collect::<Vec<_>>(), [5]);
        assert_eq!((recovery.corrupt_sessions, recovery.last_session), (vec![SessionId(6)], SessionId(9)));
        assert_eq!(store.keys().wait().unwrap(), [key]);
        let miners = store.miners().wait().unwrap();
        assert_eq!((miners.len(), miners[0].reputation.to_bits(), miners[0].revoked), (1, 0.5_f64.to_bits(), true));
        // The audit log begins with the new version.
        let audit = || store.audit(AuditQuery { limit: 9, ..AuditQuery::default() }).wait().unwrap();
        assert_eq!(audit().total, 0);
        let act = Act::key_revoked(Timestamp(1), "ops", "k", None);
        assert!(store.delete_key("k".into(), Some(act)).wait().unwrap());
        assert_eq!((audit().total, audit().entries[0].number), (1, 1));
        drop(store);
        assert!(dir.path().join("router.db.schema-3").exists());
    }

    #[test]
    fn without_a_copy_nothing_is_changed() {
        let dir = old_directory();
        // A directory that is not empty blocks the copy.
        std::fs::create_dir_all(dir.path().join("router.db.schema-2.part/x")).unwrap();
        let error = SqliteStore::open(dir.path(), Durability::Full).unwrap_err();
        assert!(error.message().contains("router.db.schema-2"), "{error}");
        let db = rusqlite::Connection::open(dir.path().join("router.db")).unwrap();
        assert_eq!(version(&db).unwrap(), 2);
    }
}
