//! Checks whether the file is sound, for `doctor` and for tests. It runs `SQLite`'s own check of pages, and compares
//! the counters with the rows.

use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use serde::Serialize;

use super::super::columns::{AUDIT, MINER};
use super::super::{ApiKey, UpstreamRecord};
use super::audit::entry;
use super::connection;
use super::meta::Meta;
use super::options::SqliteOptions;
use super::place::FILE;
use super::row::{COLUMNS, KEY, OUTBOX, RowError, SESSION, delivery, id_text, miner, record, task};
use super::schema::{self, BLOCK, MIGRATIONS};
use super::usage;
use crate::model::{Day, Session};
use crate::{Error, Result};

/// The greatest number of problems that are listed.
const MOST: usize = 100;

/// The result of a check.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Integrity {
    /// The file that was checked.
    pub path: PathBuf,
    /// The version of the file's schema.
    pub schema_version: u32,
    /// The version of the `SQLite` library.
    pub sqlite_version: String,
    /// The size of the file in bytes.
    pub file_bytes: u64,
    /// The size of its write-ahead log in bytes.
    pub log_bytes: u64,
    /// The number of sessions.
    pub sessions: u64,
    /// The number of tasks.
    pub tasks: u64,
    /// The number of tasks that have not ended.
    pub unfinished: u64,
    /// The problems, one sentence each, at most 100; empty if there is none.
    pub problems: Vec<String>,
}

impl Integrity {
    /// Whether the check found no problem.
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Reads the whole file in that data directory and checks it. A router may run on it meanwhile.
///
/// # Errors
/// `NotFound` if there is no file. A damaged file is not an error; the result reports it.
pub fn check_integrity(dir: &Path) -> Result<Integrity> {
    let path = dir.join(FILE);
    let length = |path: &Path| std::fs::metadata(path).map(|meta| meta.len());
    let mut found = Integrity {
        file_bytes: length(&path).map_err(|e| {
            Error::not_found(format!("{} cannot be read: {e}", path.display())).with_param("storage.data_dir")
        })?,
        log_bytes: length(&dir.join(format!("{FILE}-wal"))).unwrap_or_default(),
        path,
        sqlite_version: rusqlite::version().to_owned(),
        ..Integrity::default()
    };
    if let Err(error) = look(&mut found) {
        found.problems.push(format!("the check ended early: {error}"));
    }
    found.problems.truncate(MOST);
    Ok(found)
}

fn look(found: &mut Integrity) -> Result<(), RowError> {
    let db = connection::reader(&found.path, SqliteOptions::default().busy)?;
    // All checks must see one moment, even while a router writes.
    let _moment = db.unchecked_transaction()?;
    {
        let mut check = db.prepare(&format!("PRAGMA integrity_check({MOST})"))?;
        let mut rows = check.query([])?;
        while let Some(row) = rows.next()? {
            let line: String = row.get(0)?;
            if line != "ok" {
                found.problems.push(line);
            }
        }
    }
    match schema::version(&db) {
        Ok(version) => found.schema_version = version,
        Err(error) => {
            found.problems.push(error.to_string());
            return Ok(());
        }
    }
    if found.schema_version as usize != MIGRATIONS.len() {
        found.problems.push(format!(
            "its schema is {}, this program's is {}; the counters were not checked",
            found.schema_version,
            MIGRATIONS.len()
        ));
        return Ok(());
    }
    let count = |sql: &str| db.query_row(sql, [], |row| super::row::uint(row, 0));
    found.sessions = count("SELECT count(*) FROM session")?;
    found.tasks = count("SELECT count(*) FROM task")?;
    found.unfinished = count("SELECT count(*) FROM task WHERE ended_at IS NULL")?;
    if let Err(error) = Meta::read(&db) {
        found.problems.push(error.message().to_owned());
    }
    counters(&db, &mut found.problems)?;
    rows(&db, &mut found.problems)
}

/// Compares the counters with the rows.
fn counters(db: &Connection, problems: &mut Vec<String>) -> Result<(), RowError> {
    let checks = [
        (
            "the tasks of a session",
            "SELECT session_id, sum(n), sum(o) FROM (
                 SELECT session_id, total AS n, open AS o FROM session_count
                 UNION ALL SELECT session_id, -1, -(ended_at IS NULL) FROM task)
             GROUP BY session_id HAVING sum(n) <> 0 OR sum(o) <> 0 LIMIT 10"
                .to_owned(),
        ),
        (
            "the tasks of a block of ids",
            format!(
                "SELECT session_id, sum(n), sum(o) FROM (
                     SELECT session_id, block AS b, total AS n, open AS o FROM task_count
                     UNION ALL SELECT session_id, id / {BLOCK}, -1, -(ended_at IS NULL) FROM task)
                 GROUP BY session_id, b HAVING sum(n) <> 0 OR sum(o) <> 0 LIMIT 10"
            ),
        ),
        (
            "the bytes of ended tasks",
            "SELECT 0, ended_bytes - s, 0 FROM meta, (SELECT coalesce(sum(bytes), 0) AS s FROM task
                 WHERE ended_at IS NOT NULL) WHERE ended_bytes <> s"
                .to_owned(),
        ),
    ];
    for (what, sql) in checks {
        let mut select = db.prepare(&sql)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let (session, total, open): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            problems.push(format!(
                "the counter of {what} is off by {total}, by {open} of those that run (session {session})"
            ));
        }
    }
    Ok(())
}

/// Checks that every row with a checksum can be read.
fn rows(db: &Connection, problems: &mut Vec<String>) -> Result<(), RowError> {
    readable(db, "task", COLUMNS, "gid", |row| task(row).map(drop), problems)?;
    for (table, columns, read) in [
        ("session", SESSION, (|row| record::<Session>(row).map(drop)) as fn(&Row<'_>) -> Result<(), RowError>),
        ("api_token", KEY, |row| record::<ApiKey>(row).map(drop)),
        ("miner", MINER, |row| miner(row).map(drop)),
        ("upstream", KEY, |row| record::<UpstreamRecord>(row).map(drop)),
        ("outbox", OUTBOX, |row| delivery(row).map(drop)),
        ("audit", AUDIT, |row| entry(row).map(drop)),
        ("usage", &usage::columns(), usage::check),
    ] {
        readable(db, table, &format!("{columns}, sum"), "1", read, problems)?;
    }
    Ok(())
}

/// Checks that every row of a table can be read; the first column names the row.
fn readable(
    db: &Connection,
    table: &str,
    columns: &str,
    order: &str,
    read: fn(&Row<'_>) -> Result<(), RowError>,
    problems: &mut Vec<String>,
) -> Result<(), RowError> {
    let mut select = db.prepare(&format!("SELECT {columns} FROM {table} ORDER BY {order}"))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        match read(row) {
            Ok(()) => {}
            Err(RowError::Sqlite(error)) if error.sqlite_error().is_some() => return Err(error.into()),
            Err(error) if problems.len() < MOST => {
                let id = match row.get_ref(0)? {
                    ValueRef::Integer(day) if table == "usage" => Day::from_number(day.cast_unsigned()).to_string(),
                    id => id_text(id),
                };
                let kind = match table {
                    "api_token" => "key",
                    "upstream" => "the managed upstream",
                    "outbox" => "the webhook of task",
                    "usage" => "a row of the usage of",
                    "audit" => "the entry of the audit log with the number",
                    other => other,
                };
                problems.push(format!("{kind} {id} cannot be read: {error}"));
            }
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}
