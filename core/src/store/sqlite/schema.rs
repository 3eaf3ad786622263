//! The tables, and the migrations from an older file to a newer one.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::{unusable, upgrade};
use crate::{Error, ErrorKind, Result};

/// Marks a file as one of this product (`CTR1`).
const APPLICATION_ID: i64 = 0x4354_5231;

/// The number of ids that one row of `task_count` covers.
pub(super) const BLOCK: u64 = 1_024;

/// One step from a version of the schema to the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Migration {
    sql: &'static str,
    /// A step that SQL alone cannot do. It runs after the SQL, in one transaction with it.
    then: Option<fn(&Connection) -> rusqlite::Result<()>>,
}

const fn sql(sql: &'static str) -> Migration {
    Migration { sql, then: None }
}

/// The migrations: number `n` makes version `n` of version `n - 1`. A released migration must never change.
pub(super) const MIGRATIONS: &[Migration] = &[
    sql("
    CREATE TABLE meta(
        only INTEGER PRIMARY KEY CHECK(only = 1),
        schema_version INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        last_gid INTEGER NOT NULL,
        last_fence INTEGER NOT NULL,
        ended_bytes INTEGER NOT NULL
    ) STRICT;
    INSERT INTO meta VALUES(1, 0, 0, 0, 0, 0);

    CREATE TABLE session(id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
    -- Outlives the session's tasks, so that no id is given out twice.
    CREATE TABLE session_count(
        session_id INTEGER PRIMARY KEY,
        last_task_id INTEGER NOT NULL,
        total INTEGER NOT NULL,
        open INTEGER NOT NULL
    ) STRICT;
    -- How many tasks every 1024 ids hold: finds a page far back without stepping over its predecessors.
    CREATE TABLE task_count(
        session_id INTEGER NOT NULL,
        block INTEGER NOT NULL,
        total INTEGER NOT NULL,
        open INTEGER NOT NULL,
        PRIMARY KEY(session_id, block)
    ) STRICT, WITHOUT ROWID;

    -- Times are milliseconds since 1970. ended_at IS NULL: it has not ended. Long columns come last, so that
    -- a look at the short ones stays on the row's first page.
    CREATE TABLE task(
        gid INTEGER PRIMARY KEY,
        session_id INTEGER NOT NULL,
        id INTEGER NOT NULL,
        band INTEGER NOT NULL,
        outcome TEXT,
        bytes INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        fence INTEGER NOT NULL DEFAULT 0,
        created_at INTEGER NOT NULL,
        started_at INTEGER NOT NULL DEFAULT 0,
        first_token_at INTEGER NOT NULL DEFAULT 0,
        precommitted_at INTEGER NOT NULL DEFAULT 0,
        committed_at INTEGER NOT NULL DEFAULT 0,
        ended_at INTEGER,
        deadline INTEGER NOT NULL,
        idem_scope TEXT,
        idem_key TEXT,
        idem_fp BLOB,
        assigned_miners TEXT,
        verdict TEXT,
        failure TEXT,
        request TEXT NOT NULL,
        text TEXT,
        results TEXT,
        raw BLOB
    ) STRICT;
    CREATE UNIQUE INDEX task_by_session ON task(session_id, id);
    CREATE UNIQUE INDEX task_by_key ON task(idem_scope, idem_key) WHERE idem_key IS NOT NULL;
    CREATE INDEX task_open ON task(session_id, id) WHERE ended_at IS NULL;
    CREATE INDEX task_ended ON task(ended_at) WHERE ended_at IS NOT NULL;

    CREATE TABLE api_token(id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
"),
    sql("
    -- Miners that are remembered. models is a JSON list; times are seconds since 1970.
    CREATE TABLE miner(
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        public_key TEXT NOT NULL,
        kind TEXT NOT NULL,
        owner TEXT NOT NULL,
        models TEXT NOT NULL,
        reputation REAL NOT NULL DEFAULT 1.0,
        created_at INTEGER NOT NULL,
        last_seen INTEGER NOT NULL,
        revoked INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
"),
    Migration {
        sql: "
    -- The end becomes one value, and every row has a sum. The rows are moved, because they are written anew anyway.
    DROP INDEX task_by_session;
    DROP INDEX task_by_key;
    DROP INDEX task_open;
    DROP INDEX task_ended;
    ALTER TABLE task RENAME TO task_old;

    -- Times are milliseconds since 1970. ended_at IS NULL: it has not ended. sum: two CRC-32s over all that follows and
    -- comes before; NULL: the row is damaged. end: outcome, error, answers and verdict as JSON. Long columns come last, so
    -- that a look at the short ones stays on the row's first page.
    CREATE TABLE task(
        gid INTEGER PRIMARY KEY,
        session_id INTEGER NOT NULL,
        id INTEGER NOT NULL,
        band INTEGER NOT NULL,
        bytes INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        fence INTEGER NOT NULL DEFAULT 0,
        created_at INTEGER NOT NULL,
        started_at INTEGER NOT NULL DEFAULT 0,
        first_token_at INTEGER NOT NULL DEFAULT 0,
        precommitted_at INTEGER NOT NULL DEFAULT 0,
        committed_at INTEGER NOT NULL DEFAULT 0,
        ended_at INTEGER,
        deadline INTEGER NOT NULL,
        sum INTEGER,
        idem_scope TEXT,
        idem_key TEXT,
        idem_fp BLOB,
        assigned_miners TEXT,
        request TEXT NOT NULL,
        \"end\" TEXT,
        text TEXT,
        raw BLOB
    ) STRICT;
",
        then: Some(|db| {
            upgrade::move_tasks(db)?;
            db.execute_batch(
                "
    DROP TABLE task_old;
    CREATE UNIQUE INDEX task_by_session ON task(session_id, id);
    CREATE UNIQUE INDEX task_by_key ON task(idem_scope, idem_key) WHERE idem_key IS NOT NULL;
    CREATE INDEX task_open ON task(session_id, id) WHERE ended_at IS NULL;
    CREATE INDEX task_ended ON task(ended_at) WHERE ended_at IS NOT NULL;
",
            )
        }),
    },
    Migration {
        sql: "
    -- Outlives deleted sessions, so that no id is given out twice.
    ALTER TABLE meta ADD COLUMN last_session INTEGER NOT NULL DEFAULT 0;
    UPDATE meta SET last_session = max(
        (SELECT coalesce(max(id), 0) FROM session),
        (SELECT coalesce(max(session_id), 0) FROM session_count));
    ALTER TABLE meta ADD COLUMN last_audit INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE meta ADD COLUMN sum INTEGER;
    -- A CRC-32 over all that comes before; NULL: the row is damaged.
    ALTER TABLE session ADD COLUMN sum INTEGER;
    ALTER TABLE api_token ADD COLUMN sum INTEGER;
    ALTER TABLE miner ADD COLUMN sum INTEGER;

    -- The key under which the task was submitted; NULL: nobody was named.
    ALTER TABLE task ADD COLUMN key_id TEXT;

    -- Ended tasks by day, key, session, model and miner. Days are counted from 1970-01-01, in UTC. An empty text: none;
    -- 'other', and the session -1: the groups for which the day had no row left.
    CREATE TABLE usage(
        day INTEGER NOT NULL,
        key_id TEXT NOT NULL,
        session_id INTEGER NOT NULL,
        model TEXT NOT NULL,
        miner TEXT NOT NULL,
        requests INTEGER NOT NULL,
        ok INTEGER NOT NULL,
        disputed INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        cancelled INTEGER NOT NULL,
        expired INTEGER NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        cached_tokens INTEGER NOT NULL,
        reasoning_tokens INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        sum INTEGER,
        PRIMARY KEY(day, key_id, session_id, model, miner)
    ) STRICT, WITHOUT ROWID;

    -- Who changed keys, miners and sessions. at is in milliseconds since 1970, detail is JSON.
    CREATE TABLE audit(
        number INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        act TEXT NOT NULL,
        subject TEXT NOT NULL,
        key_id TEXT NOT NULL,
        detail TEXT NOT NULL,
        sum INTEGER
    ) STRICT;
",
        then: Some(upgrade::sum_rows),
    },
    sql("
    -- Upstreams that are managed over HTTP; id: the name.
    CREATE TABLE upstream(id TEXT PRIMARY KEY, body TEXT NOT NULL, sum INTEGER) STRICT, WITHOUT ROWID;

    -- The deliveries of webhooks, each written in the transaction that ends its task. pending: it is not done.
    CREATE TABLE outbox(
        gid INTEGER PRIMARY KEY,
        body TEXT NOT NULL,
        pending INTEGER NOT NULL,
        sum INTEGER
    ) STRICT;
    CREATE INDEX outbox_pending ON outbox(gid) WHERE pending = 1;
"),
];

/// Brings the file to the newest version, each step in a transaction of its own. Copies an older file first. Gives the
/// new version.
///
/// # Errors
/// `Conflict` if the file has a newer version or is not a router's; a store error if it cannot be read.
pub(super) fn migrate(db: &mut Connection, migrations: &[Migration]) -> Result<u32> {
    let newest = migrations.len() as u32;
    let found = version(db)?;
    if found > newest {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "the store was written by a newer version of the router (its schema is {found}, this one knows {newest}): \
                 run that version, or use another data_dir"
            ),
        )
        .with_param("storage.data_dir")
        .with_code("schema_newer"));
    }
    if (1..newest).contains(&found)
        && let Some(copy) = upgrade::back_up(db, found)?
    {
        tracing::info!(copy = %copy.display(), "the store's schema is migrated; the database as it was is kept");
    }
    for (step, migration) in (found + 1..).zip(&migrations[found as usize..]) {
        let mut apply = || -> rusqlite::Result<()> {
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute_batch(migration.sql)?;
            if let Some(then) = migration.then {
                then(&transaction)?;
            }
            transaction.execute("UPDATE meta SET schema_version = ?1", [step])?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.commit()
        };
        if let Err(error) = apply() {
            return Err(if unusable::is_damage(&error) {
                unusable::connected(db, &error)
            } else {
                Error::store(format!("migration {step} of the schema failed: {error}"))
            });
        }
        if found > 0 {
            tracing::info!(version = step, "the store's schema was migrated");
        }
    }
    Ok(newest)
}

/// The version of the file's schema; 0 for an empty file.
///
/// # Errors
/// `Conflict` if the file holds another program's tables.
pub(super) fn version(db: &Connection) -> Result<u32> {
    let read = || -> rusqlite::Result<Option<u32>> {
        let tables: u32 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables == 0 {
            return Ok(Some(0));
        }
        let application: i64 = db.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        if application != APPLICATION_ID {
            return Ok(None);
        }
        db.query_row("SELECT schema_version FROM meta", [], |row| row.get(0)).optional()
    };
    read().map_err(|error| unusable::connected(db, &error))?.ok_or_else(|| {
        Error::new(ErrorKind::Conflict, "the database holds another program's tables: use another data_dir")
            .with_param("storage.data_dir")
            .with_code("foreign_database")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next() -> Vec<Migration> {
        let mut migrations = MIGRATIONS.to_vec();
        migrations.push(sql("ALTER TABLE session ADD COLUMN note TEXT NOT NULL DEFAULT 'none'"));
        migrations
    }

    #[test]
    fn an_older_file_is_migrated_and_keeps_its_rows() {
        let mut db = Connection::open_in_memory().unwrap();
        assert_eq!(migrate(&mut db, MIGRATIONS).unwrap(), MIGRATIONS.len() as u32);
        db.execute("INSERT INTO session(id, body) VALUES(7, '{}')", []).unwrap();
        assert_eq!(migrate(&mut db, &next()).unwrap(), MIGRATIONS.len() as u32 + 1);
        assert_eq!(migrate(&mut db, &next()).unwrap(), MIGRATIONS.len() as u32 + 1, "a second time changes nothing");
        let note: String = db.query_row("SELECT note FROM session WHERE id = 7", [], |row| row.get(0)).unwrap();
        assert_eq!(note, "none");
    }

    #[test]
    fn a_newer_file_is_refused() {
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db, &next()).unwrap();
        let error = migrate(&mut db, MIGRATIONS).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(error.code(), "schema_newer");
        assert!(error.message().contains("newer version"), "{error}");
    }

    #[test]
    fn a_migration_that_fails_leaves_the_version_before_it() {
        let mut db = Connection::open_in_memory().unwrap();
        let mut migrations = next();
        migrations.push(sql("CREATE TABLE half(x); CREATE TABLE half(x);"));
        assert!(migrate(&mut db, &migrations).is_err());
        assert_eq!(version(&db).unwrap(), MIGRATIONS.len() as u32 + 1);
        let half: u32 =
            db.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'half'", [], |row| row.get(0)).unwrap();
        assert_eq!(half, 0);
    }

    #[test]
    fn another_programs_file_is_refused() {
        let mut db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE meta(schema_version INTEGER); INSERT INTO meta VALUES(1)").unwrap();
        assert_eq!(migrate(&mut db, MIGRATIONS).unwrap_err().code(), "foreign_database");
    }
}
