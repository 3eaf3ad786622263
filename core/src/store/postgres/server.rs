//! The properties of a server: whether it can be used, and what `doctor` tells of it.

use std::time::{Duration, Instant};

use tokio_postgres::Row;

use super::link::Link;
use super::options::PostgresOptions;
use super::target::Target;
use super::{row, schema, unusable};
use crate::{Error, Result};

/// The oldest version of PostgreSQL, as its number.
const OLDEST: i32 = 140_000;

/// The properties of a database.
#[derive(Debug, Clone)]
pub struct DatabaseReport {
    /// The URL without its secrets.
    pub url: String,
    /// The version of PostgreSQL.
    pub version: String,
    /// Whether connections are encrypted.
    pub encrypted: bool,
    /// The version of the schema; `None`: it will be created.
    pub schema: Option<i32>,
    /// The time that the server takes for an answer.
    pub round_trip: Duration,
    /// The time that a durable commit takes; `None`: there is no schema in which one could be tried.
    pub commit: Option<Duration>,
    /// The standbys that a commit waits for; empty: none.
    pub standbys: String,
    /// The routers that use the database, and since when.
    pub routers: Vec<(String, String)>,
    /// The number of starts and takeovers of routers so far.
    pub starts: u64,
}

/// Refuses a server that is too old, or a database whose texts are not in UTF-8.
pub(super) async fn check(link: &Link, target: &Target) -> Result<()> {
    let sql = "SELECT current_setting('server_version_num')::int4, current_setting('server_version'),
                   pg_catalog.pg_encoding_to_char(encoding)::text, datname::text
               FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()";
    let rows = link.query(sql, &[]).await.map_err(unusable::told)?;
    let Some(row) = rows.first() else { return Err(Error::store("the server does not name its database")) };
    let (number, version, encoding, name): (i32, &str, &str, &str) = (row.get(0), row.get(1), row.get(2), row.get(3));
    let of = target.shown();
    if number < OLDEST {
        return Err(Error::store(format!(
            "PostgreSQL {version} ({of}) is too old: the router needs version {} or newer",
            OLDEST / 10_000
        )));
    }
    if encoding != "UTF8" {
        return Err(Error::store(format!(
            "the database {name} ({of}) keeps texts in {encoding}: create one with ENCODING 'UTF8' TEMPLATE template0"
        )));
    }
    Ok(())
}

/// Looks at the database of a router, and changes nothing. Blocks.
///
/// # Errors
/// Those of [`PostgresStore::open`](super::PostgresStore::open), but not that another router has the database.
pub fn survey(url: &str, options: &PostgresOptions) -> Result<DatabaseReport> {
    let target = Target::of(url, options.ca_file.as_deref(), options.patience)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::internal)?;
    runtime.block_on(async {
        let link = target.connect().await?;
        let looked = tokio::time::timeout(options.patience * 4, look(&link, &target, &options.schema)).await;
        let report = looked.unwrap_or_else(|_| Err(target.silent()));
        link.end().await;
        report
    })
}

async fn look(link: &Link, target: &Target, name: &str) -> Result<DatabaseReport> {
    check(link, target).await?;
    let found = schema::version(link, name).await?.map(|version| version.found);
    let from = Instant::now();
    link.run("SELECT 1").await.map_err(unusable::told)?;
    let round_trip = from.elapsed();
    let sql = "SELECT current_setting('server_version'), current_setting('synchronous_standby_names')";
    let rows = link.query(sql, &[]).await.map_err(unusable::told)?;
    let [version, standbys] = rows.first().map_or_else(Default::default, |row| [row.get(0), row.get::<_, String>(1)]);
    let (mut commit, mut routers, mut starts) = (None, Vec::new(), 0);
    if found.is_some() {
        let schema = schema::quoted(name);
        let from = Instant::now();
        // The row is locked for a moment and stays as it is.
        let touch = format!(
            "BEGIN; SET LOCAL synchronous_commit = on; UPDATE {schema}.meta SET last_epoch = last_epoch; COMMIT"
        );
        link.run(&touch).await.map_err(unusable::told)?;
        commit = Some(from.elapsed());
        let sql = format!(
            "SELECT name, to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"') FROM {schema}.router
             WHERE state IN ('up', 'drain') AND lease_until > clock_timestamp() ORDER BY name"
        );
        let rows = link.query(&sql, &[]).await.map_err(unusable::told)?;
        routers = rows.iter().map(|row: &Row| (row.get(0), row.get(1))).collect();
        let rows = link.query(&format!("SELECT last_epoch FROM {schema}.meta"), &[]).await.map_err(unusable::told)?;
        starts = rows.first().map_or(0, |row| row::uint(row, 0));
    }
    Ok(DatabaseReport {
        url: target.shown().to_owned(),
        version,
        encrypted: target.is_encrypted(),
        schema: found,
        round_trip,
        commit,
        standbys,
        routers,
        starts,
    })
}
