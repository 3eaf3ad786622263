//! A schema of a database as one side of a copy: one transaction, which locks out every router.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};

use super::carried::{Array, insert, read, rows_of, selected, sid};
use super::link::{Link, Lost, Params};
use super::options::PostgresOptions;
use super::rows::Utf8;
use super::schema::{self, named};
use super::target::Target;
use super::{process, row, server, unusable};
use crate::model::hex;
use crate::store::copy::{CopyCounters, CopyKind, Form, Found, PAGE_BYTES, PAGE_ROWS, Side, Value};
use crate::store::{GID_BITS, columns::int};
use crate::{Error, ErrorKind, Result};

/// The time that a statement over a whole table may take.
const LONG: Duration = Duration::from_hours(1);

/// The starts that the numbers of one schema are enough for.
const MOST_STARTS: u64 = 1 << 20;

/// A schema that no router uses, in a transaction.
#[derive(Debug)]
pub(in crate::store) struct PostgresSide {
    // The runtime goes last: the connection ends on it.
    link: Link,
    runtime: Runtime,
    schema: String,
    /// The time that one answer may take.
    patience: Duration,
}

impl PostgresSide {
    /// Connects, and begins the transaction. The schema of a target is created if it does not exist.
    ///
    /// # Errors
    /// Those of [`PostgresStore::open`](super::PostgresStore::open); `Conflict` names the routers that use the schema;
    /// `NotFound` if there is no source.
    pub(in crate::store) fn open(url: &str, options: &PostgresOptions, is_target: bool) -> Result<Self> {
        let target = Target::of(url, options.ca_file.as_deref(), options.patience)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Error::store(format!("its runtime cannot be started: {e}")))?;
        let schema = options.schema.clone();
        let opening = tokio_timeout(options.end_patience, begin(&target, options, is_target));
        let link = runtime.block_on(opening).unwrap_or_else(|| Err(target.silent()))?;
        Ok(Self { link, runtime, schema, patience: options.end_patience })
    }

    fn query(&self, sql: &str, params: Params<'_>, patience: Duration) -> Result<Vec<Row>> {
        self.wait(patience, self.link.query(&named(sql, &self.schema), params))
    }

    fn run(&self, sql: &str, patience: Duration) -> Result<()> {
        self.wait(patience, self.link.run(&named(sql, &self.schema)))
    }

    /// Waits for an answer of the server, but not for ever.
    fn wait<T>(&self, patience: Duration, answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
        match self.runtime.block_on(tokio_timeout(patience, answer)) {
            Some(answer) => answer.map_err(unusable::told),
            None => Err(unusable::lost(&Lost::Late(patience))),
        }
    }
}

/// Waits for something, but not for ever. The timer is made on the runtime.
async fn tokio_timeout<T>(patience: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(patience, work).await.ok()
}

/// Connects and brings the schema to the newest version, if no router uses it. Then begins the transaction.
async fn begin(target: &Target, options: &PostgresOptions, is_target: bool) -> Result<Link> {
    let schema = &options.schema;
    let link = target.connect().await?;
    server::check(&link, target).await?;
    match schema::version(&link, schema).await? {
        Some(_) => {
            lock(&link, target, options, is_target).await?;
            link.run("ROLLBACK").await.map_err(unusable::told)?;
        }
        None if is_target => {}
        None => {
            let words = format!("there is no store in the schema {schema} of {}", target.shown());
            return Err(Error::not_found(words).with_param("storage.schema"));
        }
    }
    schema::migrate(&link, schema).await?;
    lock(&link, target, options, is_target).await?;
    Ok(link)
}

/// Begins a transaction in which no router starts and none writes.
async fn lock(link: &Link, target: &Target, options: &PostgresOptions, is_target: bool) -> Result<()> {
    // A source is read as of the moment behind the lock.
    let level = if is_target { "READ COMMITTED" } else { "REPEATABLE READ" };
    let sql = format!(
        "BEGIN ISOLATION LEVEL {level}; SET LOCAL synchronous_commit = on; SET LOCAL statement_timeout = 0;
         SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = {};
         LOCK TABLE $s.meta, $s.router IN EXCLUSIVE MODE",
        options.patience.as_millis()
    );
    link.run(&named(&sql, &options.schema)).await.map_err(|error| {
        if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) {
            in_use(target, "another program holds its tables")
        } else {
            unusable::told(error)
        }
    })?;
    let routers = "SELECT name, process FROM $s.router
         WHERE state IN ('up', 'drain') AND lease_until > clock_timestamp() ORDER BY name";
    let rows = link.query(&named(routers, &options.schema), &[]).await.map_err(unusable::told)?;
    let up: Vec<String> = rows
        .iter()
        .filter(|row| !process::is_gone(row.get(1)))
        .map(|row| format!("{:?}", row.get::<_, &str>(0)))
        .collect();
    if up.is_empty() { Ok(()) } else { Err(in_use(target, &format!("by {}", up.join(", ")))) }
}

fn in_use(target: &Target, by: &str) -> Error {
    let words = format!(
        "the store in {} is in use, {by}: stop every router that uses it; one that was killed is gone when its lease \
         (storage.lease_ms) has run out",
        target.shown()
    );
    Error::new(ErrorKind::Conflict, words).with_param("storage.url").with_code("store_in_use")
}

impl Side for PostgresSide {
    fn counters(&self) -> Result<CopyCounters> {
        let sql = "SELECT last_epoch, (SELECT coalesce(max(last_gid), 0) FROM $s.router),
                 (SELECT coalesce(max(last_fence), 0) FROM $s.router), next_session - 1, last_audit FROM $s.meta";
        let rows = self.query(sql, &[], self.patience)?;
        let values = rows.first().map_or([0; 5], |found| [0, 1, 2, 3, 4].map(|at| row::uint(found, at)));
        let [epoch, last_gid, last_fence, last_session, last_audit] = values;
        Ok(CopyCounters { epoch, last_gid, last_fence, last_session, last_audit })
    }

    fn count(&self, kind: CopyKind) -> Result<u64> {
        let sql = format!("SELECT count(*) FROM {}", rows_of(kind));
        let rows = self.query(&sql, &[], LONG)?;
        Ok(rows.first().map_or(0, |found| row::uint(found, 0)))
    }

    fn page(&self, kind: CopyKind, after: Option<&[Value]>) -> Result<Vec<Found>> {
        let after = after.unwrap_or_default();
        let (behind, order) = kind.behind(!after.is_empty(), '$');
        let columns = kind.columns();
        let select = columns.iter().map(|(name, form)| selected(name, *form)).collect::<Vec<_>>().join(", ");
        let sql = if kind == CopyKind::Tasks {
            // The lengths are known without the long values, so that a page of long tasks has few of them.
            format!(
                "SELECT {select} FROM $s.task JOIN (
                     SELECT gid FROM (
                         SELECT gid, weight, sum(weight) OVER (ORDER BY gid) AS upto FROM (
                             SELECT gid, octet_length(request)::int8 + coalesce(octet_length(\"end\"), 0)
                                 + coalesce(octet_length(text), 0) + coalesce(octet_length(raw), 0) AS weight
                             FROM $s.task {behind} {order} LIMIT {PAGE_ROWS}) w) u
                     WHERE upto - weight < {PAGE_BYTES}) p USING (gid) ORDER BY gid"
            )
        } else {
            format!("SELECT {select} FROM {} {behind} {order} LIMIT {PAGE_ROWS}", rows_of(kind))
        };
        let texts: Vec<Utf8<'_>> = after.iter().map(|value| Utf8(value.bytes().unwrap_or_default())).collect();
        let numbers: Vec<i64> = after.iter().map(Value::int).collect();
        let params: Vec<(&(dyn ToSql + Sync), Type)> = after
            .iter()
            .zip(texts.iter().zip(&numbers))
            .map(|(value, (text, number))| -> (&(dyn ToSql + Sync), Type) {
                if value.bytes().is_some() { (text, Type::TEXT) } else { (number, Type::INT8) }
            })
            .collect();
        let rows = self.query(&sql, &params, LONG)?;
        Ok(rows.iter().map(|found| read(found, &columns)).collect())
    }

    fn refusal(&self, kind: CopyKind, values: &[Value]) -> Option<String> {
        let is_refused =
            |form: Form, value: &Value| form == Form::Text && value.bytes().is_some_and(|b| b.contains(&0));
        let columns = kind.columns();
        let refused = columns.iter().zip(values).find(|((_, form), value)| is_refused(*form, value));
        refused.map(|((name, _), _)| format!("column {name}: PostgreSQL keeps no text with U+0000"))
    }

    fn clear(&self) -> Result<()> {
        self.run("DELETE FROM $s.session; DELETE FROM $s.session_ids; DELETE FROM $s.session_count", LONG)
    }

    fn write(&self, kind: CopyKind, rows: &[Vec<Value>]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let columns = kind.columns();
        let arrays: Vec<Array<'_>> = columns
            .iter()
            .enumerate()
            .map(|(at, (_, form))| Array::of(*form, rows.iter().map(|row| &row[at])))
            .collect();
        let mut params: Vec<(&(dyn ToSql + Sync), Type)> = arrays.iter().map(Array::param).collect();
        let sids: Vec<String> =
            if kind == CopyKind::Sessions { rows.iter().map(|row| sid(row)).collect() } else { vec![] };
        if kind == CopyKind::Sessions {
            params.push((&sids, Type::TEXT_ARRAY));
        }
        self.query(&insert(kind), &params, LONG).map(drop)
    }

    fn finish(&self, counters: CopyCounters) -> Result<CopyCounters> {
        // The numbers of tasks begin with the epoch, so that it must lie behind that of every number.
        let epoch = counters.epoch.max(counters.last_gid >> GID_BITS) + 1;
        if epoch >= MOST_STARTS {
            let words = "the source was opened more than a million times: a database has no numbers for its tasks";
            return Err(Error::new(ErrorKind::Conflict, words).with_code("store_worn"));
        }
        let counters = CopyCounters { epoch, ..counters };
        self.run(
            "INSERT INTO $s.session_count(epoch, session_id, total, open, ended_bytes, taken)
             SELECT 0, session_id, coalesce(total, 0), coalesce(open, 0), coalesce(ended_bytes, 0),
                 greatest(coalesce(next_id, 1) - 1, 0)
             FROM $s.session_ids FULL JOIN (
                 SELECT session_id, count(*) AS total, count(*) FILTER (WHERE ended_at IS NULL) AS open,
                     (sum(bytes) FILTER (WHERE ended_at IS NOT NULL))::int8 AS ended_bytes
                 FROM $s.task GROUP BY session_id) t USING (session_id)",
            LONG,
        )?;
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|e| Error::internal(format!("the system gives no random bytes: {e}")))?;
        let (epoch, nonce) = (int(counters.epoch), hex(&nonce));
        let next_session = int(counters.last_session + 1);
        let meta = "UPDATE $s.meta SET last_epoch = $1, next_session = greatest(next_session, $2), last_audit = $3";
        let params: Params<'_> =
            &[(&epoch, Type::INT8), (&next_session, Type::INT8), (&int(counters.last_audit), Type::INT8)];
        self.query(meta, params, self.patience)?;
        // A start that is over, whose numbers the next one goes on from.
        let start =
            "INSERT INTO $s.router(epoch, nonce, name, version, process, state, last_gid, last_fence, lease_until,
                 gone_at, settled)
             VALUES($1, $2, 'copy', $3, '', 'gone', $4, $5, clock_timestamp(), clock_timestamp(), true)";
        let version = env!("CARGO_PKG_VERSION");
        let params: Params<'_> = &[
            (&epoch, Type::INT8),
            (&nonce, Type::TEXT),
            (&version, Type::TEXT),
            (&int(counters.last_gid), Type::INT8),
            (&int(counters.last_fence), Type::INT8),
        ];
        self.query(start, params, self.patience)?;
        Ok(counters)
    }

    fn commit(&self) -> Result<()> {
        self.run("COMMIT", LONG).map_err(|error| {
            let words = format!("{error}; whether the copy was kept is not known: copy again, which tells");
            Error::new(error.kind(), words).with_code(error.code().to_owned())
        })
    }
}
