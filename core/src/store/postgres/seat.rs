//! The seat of the one router that may write. It is a row with a lease; every transaction locks the row and renews the
//! lease, and the database's clock alone tells whether a lease has run out.

use std::time::{Duration, Instant};

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::batch::{Failed, Ground};
use super::link::{Link, Params};
use super::schema::quoted;
use super::{process, unusable};
use crate::{Error, ErrorKind, Result};

/// The time between two looks at a seat that is taken.
const LOOK: Duration = Duration::from_millis(500);

/// The seat that a start of a router has taken.
#[derive(Debug)]
pub(super) struct Seat {
    /// The number of this start.
    pub(super) epoch: i64,
    /// The secret of this start: who has it holds the seat.
    pub(super) nonce: String,
}

/// The router that has the seat.
#[derive(Debug)]
struct Holder {
    nonce: String,
    name: String,
    since: String,
    process: String,
    /// The end of the lease, for comparisons alone.
    until: String,
    left_ms: i64,
}

impl Holder {
    fn of(row: &Row) -> Self {
        Self {
            nonce: row.get(0),
            name: row.get(1),
            since: row.get(2),
            process: row.get(3),
            until: row.get(4),
            left_ms: row.get(5),
        }
    }

    /// Locks the row of the seat, and tells whether the lease is still the one that was seen. A holder whose transaction
    /// has the row lives.
    async fn is_idle(&self, link: &Link, schema: &str) -> bool {
        let sql = format!("SELECT lease_until::text FROM {schema}.router WHERE nonce = $1 AND state = 'up' FOR UPDATE");
        let found = link.query(&sql, &[(&self.nonce, Type::TEXT)]).await;
        found.is_ok_and(|rows| rows.first().is_some_and(|row| row.get::<_, &str>(0) == self.until))
    }
}

impl Seat {
    /// Takes the seat. Waits for the lease of a router that may be dead, and takes the seat at once if this machine knows
    /// that it is.
    ///
    /// # Errors
    /// `Conflict` names the router that has the seat.
    pub(super) async fn take(link: &Link, ground: &Ground, name: &str) -> Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|e| Error::internal(format!("the system gives no random bytes: {e}")))?;
        let nonce = random.map(|byte| format!("{byte:02x}")).concat();
        let from = Instant::now();
        let mut seen: Option<Holder> = None;
        loop {
            let holder = match Self::try_take(link, ground, name, &nonce).await? {
                Ok(epoch) => return Ok(Self { epoch, nonce }),
                Err(holder) => holder,
            };
            let has_renewed =
                seen.as_ref().is_some_and(|seen| seen.nonce != holder.nonce || seen.until != holder.until);
            if has_renewed || from.elapsed() > ground.lease * 2 {
                return Err(taken(&holder));
            }
            if seen.is_none() {
                tracing::info!(
                    holder = holder.name,
                    since = holder.since,
                    left_ms = holder.left_ms,
                    "the database belongs to another start of a router: waiting for its lease to run out"
                );
            }
            let left = Duration::from_millis(u64::try_from(holder.left_ms).unwrap_or_default() + 20);
            tokio::time::sleep(left.min(LOOK)).await;
            seen = Some(holder);
        }
    }

    /// Takes the seat if it is free, in one transaction. Gives the epoch.
    async fn try_take(link: &Link, ground: &Ground, name: &str, nonce: &str) -> Result<Result<i64, Holder>> {
        let schema = quoted(&ground.schema);
        link.run(&format!(
            "BEGIN; SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = {}",
            ground.lease.as_millis()
        ))
        .await
        .map_err(unusable::told)?;
        // The row of `meta` makes all who would take the seat wait for each other.
        let lock = format!("SELECT last_epoch FROM {schema}.meta FOR UPDATE");
        link.query(&lock, &[]).await.map_err(unusable::told)?;
        let holders = format!(
            "SELECT nonce, name, to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"'), process,
                 lease_until::text, (extract(epoch FROM lease_until - clock_timestamp()) * 1000)::int8
             FROM {schema}.router WHERE state = 'up'"
        );
        let holder = link.query(&holders, &[]).await.map_err(unusable::told)?.first().map(Holder::of);
        if let Some(holder) = holder
            && (holder.left_ms >= 0 && !process::is_gone(&holder.process) || !holder.is_idle(link, &schema).await)
        {
            link.run("ROLLBACK").await.map_err(unusable::told)?;
            return Ok(Err(holder));
        }
        let (version, process, lease) = (env!("CARGO_PKG_VERSION"), process::own(), ground.lease.as_millis() as i64);
        // The epoch counts once the router recovers, so that a command that only looks at the keys uses none up.
        let take = format!(
            "INSERT INTO {schema}.router AS r(epoch, nonce, name, version, process, state, last_gid, last_fence, lease_until)
             SELECT last_epoch + 1, $1, $2, $3, $4, 'up',
                 (SELECT coalesce(max(last_gid), 0) FROM {schema}.router),
                 (SELECT coalesce(max(last_fence), 0) FROM {schema}.router),
                 clock_timestamp() + $5 * interval '1 ms'
             FROM {schema}.meta
             ON CONFLICT(epoch) DO UPDATE SET nonce = excluded.nonce, name = excluded.name, version = excluded.version,
                 process = excluded.process, state = 'up', batch = 0, last_gid = excluded.last_gid,
                 last_fence = excluded.last_fence, lease_until = excluded.lease_until, started_at = clock_timestamp()
             RETURNING epoch"
        );
        link.run(&format!("UPDATE {schema}.router SET state = 'gone' WHERE state = 'up'"))
            .await
            .map_err(unusable::told)?;
        let params: Params<'_> = &[
            (&nonce, Type::TEXT),
            (&name, Type::TEXT),
            (&version, Type::TEXT),
            (&process, Type::TEXT),
            (&lease, Type::INT8),
        ];
        let rows = link.query(&take, params).await.map_err(unusable::told)?;
        let epoch: i64 =
            rows.first().map(|row| row.get(0)).ok_or_else(|| Error::store("the row of `meta` is missing"))?;
        // The rows of older starts have nothing that the newest two do not have.
        let tidy = format!("DELETE FROM {schema}.router WHERE epoch < {epoch} - 1");
        link.run(&format!("{tidy}; COMMIT")).await.map_err(unusable::told)?;
        Ok(Ok(epoch))
    }

    /// Renews the lease.
    pub(super) async fn renew(&self, link: &Link, ground: &Ground) -> Result<(), Failed> {
        let lease = ground.lease.as_millis() as i64;
        let renewed = link.query(&ground.sql.beat, &[(&self.nonce, Type::TEXT), (&lease, Type::INT8)]).await?;
        if renewed.is_empty() { Err(Failed::Deposed) } else { Ok(()) }
    }

    /// Gives the seat up.
    pub(super) async fn leave(&self, link: &Link, ground: &Ground) -> Result<(), tokio_postgres::Error> {
        let sql = format!("UPDATE {}.router SET state = 'gone' WHERE nonce = $1", quoted(&ground.schema));
        link.query(&sql, &[(&self.nonce, Type::TEXT)]).await.map(drop)
    }
}

/// The error for a database that belongs to another router.
fn taken(holder: &Holder) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "the database belongs to the router {:?}, which is up since {}: stop that router, or give this one a schema \
             of its own with storage.schema",
            holder.name, holder.since
        ),
    )
    .with_param("storage.url")
    .with_code("store_in_use")
}

/// The error for a router whose seat another one has taken.
pub(super) async fn deposed(link: &Link, ground: &Ground) -> Error {
    let sql = format!("SELECT name FROM {}.router WHERE state = 'up'", quoted(&ground.schema));
    let asked = tokio::time::timeout(ground.patience, link.query(&sql, &[])).await;
    let rows = asked.ok().and_then(Result::ok);
    let name = rows.and_then(|rows| rows.first().map(|row| row.get::<_, String>(0)));
    let by = name.map_or_else(|| "another router".to_owned(), |name| format!("the router {name:?}"));
    Error::store(format!(
        "{by} has taken the database over, because this one did not renew its lease in time: this router writes nothing \
         any more; start it again once the other one has stopped"
    ))
    .with_code("store_taken_over")
}
