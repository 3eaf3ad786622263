//! The tables, and the migrations from an older schema to a newer one.

use super::link::Link;
use super::unusable;
use crate::{Error, ErrorKind, Result};

/// The lock under which a schema is migrated, for the length of a transaction (`CTR1`).
const LOCK: i64 = 0x4354_5231;

/// The migrations: number `n` makes version `n` of version `n - 1`. A released migration must never change. `$s` stands
/// for the schema.
const MIGRATIONS: &[&str] = &["
    -- min_version: the oldest version of the schema that a program must know to use this one.
    CREATE TABLE $s.meta(
        one bool PRIMARY KEY DEFAULT true CHECK(one),
        schema_version int4 NOT NULL,
        min_version int4 NOT NULL,
        last_epoch int8 NOT NULL DEFAULT 0,
        -- 0 and 1 are the sessions that every router has.
        next_session int8 NOT NULL DEFAULT 2,
        last_audit int8 NOT NULL DEFAULT 0
    );
    INSERT INTO $s.meta(schema_version, min_version) VALUES(1, 1);

    -- Each start of a router. Only the one that is up may write, and every transaction locks its row.
    -- batch: the number of the last transaction that was committed.
    CREATE TABLE $s.router(
        epoch int8 PRIMARY KEY,
        nonce text NOT NULL UNIQUE,
        name text NOT NULL,
        version text NOT NULL,
        process text NOT NULL,
        state text NOT NULL CHECK(state IN ('up', 'gone')),
        batch int8 NOT NULL DEFAULT 0,
        last_gid int8 NOT NULL,
        last_fence int8 NOT NULL,
        lease_until timestamptz NOT NULL,
        started_at timestamptz NOT NULL DEFAULT clock_timestamp()
    ) WITH (fillfactor = 50);

    CREATE TABLE $s.session(id int8 PRIMARY KEY, body text NOT NULL);
    -- Outlives the session's tasks, so that no id is given out twice.
    CREATE TABLE $s.session_ids(session_id int8 PRIMARY KEY, next_id int8 NOT NULL) WITH (fillfactor = 50);
    -- One row for each session and router, so that two never update one row; 0: all that are gone.
    CREATE TABLE $s.session_count(
        session_id int8,
        epoch int8,
        total int8 NOT NULL,
        open int8 NOT NULL,
        ended_bytes int8 NOT NULL,
        PRIMARY KEY(session_id, epoch)
    ) WITH (fillfactor = 50);

    -- Times are milliseconds since 1970. ended_at IS NULL: it has not ended. owner: the epoch of the router that has it.
    -- moves: how often another router took it over. Answers are bytes, because a text may not contain U+0000.
    CREATE TABLE $s.task(
        gid int8 PRIMARY KEY,
        session_id int8 NOT NULL,
        id int8 NOT NULL,
        owner int8 NOT NULL,
        band int2 NOT NULL,
        moves int2 NOT NULL DEFAULT 0,
        attempts int8 NOT NULL DEFAULT 0,
        bytes int8 NOT NULL DEFAULT 0,
        fence int8 NOT NULL DEFAULT 0,
        created_at int8 NOT NULL,
        started_at int8 NOT NULL DEFAULT 0,
        first_token_at int8 NOT NULL DEFAULT 0,
        precommitted_at int8 NOT NULL DEFAULT 0,
        committed_at int8 NOT NULL DEFAULT 0,
        ended_at int8,
        deadline int8 NOT NULL,
        key_id text COLLATE \"C\",
        idem_scope text COLLATE \"C\",
        idem_key text COLLATE \"C\",
        idem_fp bytea,
        assigned_miners text,
        request text NOT NULL,
        \"end\" text,
        text bytea,
        raw bytea
    ) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
    CREATE UNIQUE INDEX task_by_session ON $s.task(session_id, id);
    CREATE UNIQUE INDEX task_by_key ON $s.task(idem_scope, idem_key) WHERE idem_key IS NOT NULL;
    CREATE INDEX task_open ON $s.task(owner, gid) WHERE ended_at IS NULL;
    CREATE INDEX task_ended ON $s.task(ended_at, gid) WHERE ended_at IS NOT NULL;

    CREATE TABLE $s.api_token(id text COLLATE \"C\" PRIMARY KEY, body text NOT NULL);
    -- Miners that are remembered. models is a JSON list; times are seconds since 1970.
    CREATE TABLE $s.miner(
        id text COLLATE \"C\" PRIMARY KEY,
        name text NOT NULL,
        public_key text NOT NULL,
        kind text NOT NULL,
        owner text NOT NULL,
        models text NOT NULL,
        reputation float8 NOT NULL,
        created_at int8 NOT NULL,
        last_seen int8 NOT NULL,
        revoked bool NOT NULL
    );

    -- Ended tasks by day, key, session, model and miner. Days are counted from 1970-01-01, in UTC. An empty text: none;
    -- 'other', and the session -1: the groups for which the day had no row left.
    CREATE TABLE $s.usage(
        day int8 NOT NULL,
        key_id text COLLATE \"C\" NOT NULL,
        session_id int8 NOT NULL,
        model text COLLATE \"C\" NOT NULL,
        miner text COLLATE \"C\" NOT NULL,
        requests int8 NOT NULL,
        ok int8 NOT NULL,
        disputed int8 NOT NULL,
        failed int8 NOT NULL,
        cancelled int8 NOT NULL,
        expired int8 NOT NULL,
        prompt_tokens int8 NOT NULL,
        completion_tokens int8 NOT NULL,
        cached_tokens int8 NOT NULL,
        reasoning_tokens int8 NOT NULL,
        bytes int8 NOT NULL,
        attempts int8 NOT NULL,
        PRIMARY KEY(day, key_id, session_id, model, miner)
    );

    -- Who changed keys, miners and sessions. at is in milliseconds since 1970, detail is JSON.
    CREATE TABLE $s.audit(
        number int8 PRIMARY KEY,
        at int8 NOT NULL,
        act text NOT NULL,
        subject text NOT NULL,
        key_id text NOT NULL,
        detail text NOT NULL
    );
",
"
    -- Several routers share the schema from here on, and those before must not run any more.
    UPDATE $s.meta SET min_version = 2;

    -- Each transaction of a router locks its row, and only one whose row is not 'gone' may write.
    -- visit: a program that is no router and writes. drain: it takes no new work. settled: what is counted under its epoch
    -- has been added to that of epoch 0. steady_since: since when its lease has never run out.
    ALTER TABLE $s.router DROP CONSTRAINT router_state_check;
    ALTER TABLE $s.router ADD CONSTRAINT router_state_check CHECK(state IN ('up', 'drain', 'gone', 'visit'));
    ALTER TABLE $s.router ADD gone_at timestamptz, ADD settled bool NOT NULL DEFAULT false,
        ADD steady_since timestamptz NOT NULL DEFAULT clock_timestamp();
    UPDATE $s.router SET state = 'gone', gone_at = clock_timestamp(), settled = true;
    CREATE UNIQUE INDEX router_by_name ON $s.router(name) WHERE state IN ('up', 'drain');

    -- owner 0: nobody has it. What the routers before left is nobody's.
    UPDATE $s.task SET owner = 0 WHERE ended_at IS NULL;

    -- changed: the transaction that wrote the row last.
    ALTER TABLE $s.session ADD sid text COLLATE \"C\", ADD version int8 NOT NULL DEFAULT 1,
        ADD changed xid8 NOT NULL DEFAULT pg_current_xact_id();
    UPDATE $s.session SET sid = substring(body from '\"sid\":\"(0x[0-9a-f]{64})\"');
    CREATE INDEX session_by_sid ON $s.session(sid);
    CREATE INDEX session_changed ON $s.session(changed);
    ALTER TABLE $s.api_token ADD changed xid8 NOT NULL DEFAULT pg_current_xact_id();
    ALTER TABLE $s.miner ADD changed xid8 NOT NULL DEFAULT pg_current_xact_id();
    CREATE INDEX miner_changed ON $s.miner(changed);
    CREATE TABLE $s.deleted(
        kind text COLLATE \"C\",
        id text COLLATE \"C\",
        at timestamptz NOT NULL DEFAULT clock_timestamp(),
        changed xid8 NOT NULL DEFAULT pg_current_xact_id(),
        PRIMARY KEY(kind, id)
    );

    -- given: the tasks for which ids of the session were given out, without those that came back.
    ALTER TABLE $s.session_ids ADD given int8 NOT NULL DEFAULT 0;
    UPDATE $s.session_ids SET given = greatest(next_id - 1, 0);
    -- taken: the tasks that were ever accepted. granted: the ids that the router got. block_first, block_end: its last
    -- block of ids. next_id: the id after the greatest one that it used.
    ALTER TABLE $s.session_count ADD taken int8 NOT NULL DEFAULT 0, ADD granted int8 NOT NULL DEFAULT 0,
        ADD block_first int8 NOT NULL DEFAULT 0, ADD block_end int8 NOT NULL DEFAULT 0,
        ADD next_id int8 NOT NULL DEFAULT 0;
    -- The counts so far become those of epoch 0, like those of every router that is gone.
    WITH old AS (DELETE FROM $s.session_count RETURNING *)
    INSERT INTO $s.session_count(epoch, session_id, total, open, ended_bytes)
    SELECT 0, session_id, sum(total)::int8, sum(open)::int8, sum(ended_bytes)::int8 FROM old GROUP BY session_id;
    INSERT INTO $s.session_count(epoch, session_id, total, open, ended_bytes, taken)
    SELECT 0, session_id, 0, 0, 0, given FROM $s.session_ids
    ON CONFLICT(session_id, epoch) DO UPDATE SET taken = excluded.taken;

    -- One row for each router, too, so that two never update one row.
    ALTER TABLE $s.usage ADD epoch int8 NOT NULL DEFAULT 0;
    ALTER TABLE $s.usage DROP CONSTRAINT usage_pkey;
    ALTER TABLE $s.usage ADD PRIMARY KEY(day, key_id, session_id, model, miner, epoch);

    -- Tasks that somebody asked to cancel who does not own them.
    CREATE TABLE $s.cancel_request(gid int8 PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp());
",
"
    -- Upstreams that are managed over HTTP; id: the name.
    CREATE TABLE $s.upstream(
        id text COLLATE \"C\" PRIMARY KEY,
        body text NOT NULL,
        changed xid8 NOT NULL DEFAULT pg_current_xact_id()
    );

    -- The deliveries of webhooks, each written in the transaction that ends its task, and deleted with it. pending: it is
    -- not done. owner: the router that sends it; 0: nobody does.
    CREATE TABLE $s.outbox(
        gid int8 PRIMARY KEY REFERENCES $s.task(gid) ON DELETE CASCADE,
        body text NOT NULL,
        pending bool NOT NULL,
        owner int8 NOT NULL
    );
    CREATE INDEX outbox_pending ON $s.outbox(owner, gid) WHERE pending;
", "
    -- The way to connect to a router: HOST:PORT, and the SHA-256 hash of its certificate. NULL: it has no links.
    ALTER TABLE $s.router ADD address text NOT NULL DEFAULT '', ADD certificate bytea;
"];

/// The version of the schema that this program knows.
pub(super) const NEWEST: i32 = MIGRATIONS.len() as i32;

/// The first version that several routers can share.
pub(super) const SHARED: i32 = 2;

/// The statements that make the first version.
#[cfg(test)]
pub(super) fn first() -> &'static str {
    MIGRATIONS[0]
}

/// A schema's versions: its own, and the oldest that a program must know to use it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Version {
    pub(super) found: i32,
    least: i32,
}

/// Brings the schema to the newest version, each step in a transaction of its own. Creates it if it does not exist.
///
/// # Errors
/// `Conflict` if the schema is newer or is not a router's; `Unavailable` if the server cannot be used.
pub(super) async fn migrate(link: &Link, schema: &str) -> Result<()> {
    let found = version(link, schema).await?;
    let (newest, from) = (NEWEST, found.map_or(0, |version| version.found));
    if found.is_some_and(|version| version.least > newest) {
        return Err(newer(schema, from));
    }
    for (step, sql) in (1..).zip(MIGRATIONS).skip(usize::try_from(from).unwrap_or_default()) {
        apply(link, schema, step, sql).await?;
        if from > 0 {
            tracing::info!(version = step, schema, "the store's schema was migrated");
        }
    }
    Ok(())
}

/// The error for a schema that a newer program has changed.
pub(super) fn newer(schema: &str, version: i32) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "the schema {schema} was written by a newer version of the router (its version is {version}, this one knows \
             {NEWEST}): run that version, or use another storage.schema"
        ),
    )
    .with_param("storage.schema")
    .with_code("schema_newer")
}

/// Does one step, unless another router did it meanwhile.
async fn apply(link: &Link, schema: &str, step: i32, sql: &str) -> Result<()> {
    link.run(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})")).await.map_err(unusable::told)?;
    if version(link, schema).await?.is_some_and(|version| version.found >= step) {
        return link.run("ROLLBACK").await.map_err(unusable::told);
    }
    let sql = named(sql, schema);
    let is_there = exists(link, schema).await?;
    let create = if is_there { String::new() } else { format!("CREATE SCHEMA {};", quoted(schema)) };
    let counted = format!("UPDATE {}.meta SET schema_version = {step}", quoted(schema));
    match link.run(&format!("{create} {sql}; {counted}; COMMIT")).await {
        Ok(()) => Ok(()),
        Err(error) => {
            // The connection may be gone, and with it the transaction.
            let _ = link.run("ROLLBACK").await;
            let error = unusable::told(error);
            Err(Error::store(format!("migration {step} of the schema {schema} failed: {error}")))
        }
    }
}

/// The version of the schema; `None`: it is empty, or does not exist.
///
/// # Errors
/// `Conflict` if the schema holds another program's tables.
pub(super) async fn version(link: &Link, schema: &str) -> Result<Option<Version>> {
    use tokio_postgres::types::Type;
    let sql =
        "SELECT count(*), count(*) FILTER (WHERE c.relname = 'meta' AND EXISTS(SELECT FROM pg_catalog.pg_attribute a
                  WHERE a.attrelid = c.oid AND a.attname = 'min_version' AND NOT a.attisdropped))
               FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')";
    let rows = link.query(sql, &[(&schema, Type::TEXT)]).await.map_err(unusable::told)?;
    let (tables, ours): (i64, i64) = rows.first().map_or((0, 0), |row| (row.get(0), row.get(1)));
    if tables == 0 {
        return Ok(None);
    }
    if ours == 0 {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!("the schema {schema} holds another program's tables: use another storage.schema, or a database of its own"),
        )
        .with_param("storage.schema")
        .with_code("foreign_database"));
    }
    let sql = format!("SELECT schema_version, min_version FROM {}.meta", quoted(schema));
    let rows = link.query(&sql, &[]).await.map_err(unusable::told)?;
    Ok(rows.first().map(|row| Version { found: row.get(0), least: row.get(1) }))
}

async fn exists(link: &Link, schema: &str) -> Result<bool> {
    let sql = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1";
    let found = link.query(sql, &[(&schema, tokio_postgres::types::Type::TEXT)]).await;
    found.map(|rows| !rows.is_empty()).map_err(unusable::told)
}

/// A statement with the name of the schema in the place of each `$s`.
pub(super) fn named(sql: &str, schema: &str) -> String {
    sql.replace("$s", &quoted(schema))
}

/// The schema as a name in SQL. The configuration takes only names that need no further care.
pub(super) fn quoted(schema: &str) -> String {
    format!("\"{schema}\"")
}
