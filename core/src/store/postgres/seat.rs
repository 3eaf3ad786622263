//! The seat of a start of a router: a row with a lease. Every transaction of the router locks the row, so that it can
//! commit nothing once another router has declared it gone. The database's clock alone tells whether a lease has run out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio_postgres::types::Type;

use super::batch::{Failed, Ground};
use super::link::{Link, Lost, Params};
use super::schema::{named, quoted};
use super::settle::settle;
use super::{process, unusable};
use crate::model::hex;
use crate::store::Reach;
use crate::{Error, ErrorKind, Result};

/// The time between two looks at a seat that is taken.
const LOOK: Duration = Duration::from_millis(500);

/// The greatest number of a visitor.
const VISITORS: i64 = (1 << 52) - 1;

/// The seat that a start of a router has taken.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    /// The number of this start; a negative one is a visitor's.
    pub(super) epoch: i64,
    /// The secret of this start: who has it holds the seat.
    pub(super) nonce: String,
    pub(super) name: String,
    /// Whether the router has read what is there under this epoch.
    pub(super) has_recovered: bool,
    /// The transaction before which all changes are known.
    pub(super) seen: Option<String>,
    /// Whether the router still has to be told that its ids are others' now.
    pub(super) lost_ids: bool,
    /// Whether the router still has to be told that it has taken the place of a start that had not left.
    pub(super) replaced: bool,
    /// Whether the router still has to be told that the connection is another one.
    pub(super) anew: bool,
    /// The secrets of earlier starts of this name. They have ended, whatever the database says after a failover.
    earlier: Arc<BTreeSet<String>>,
    /// The way to connect to this router, which the others are told.
    pub(super) reach: Option<Reach>,
    /// The secret of a new seat whose transaction may have been committed.
    next: Option<String>,
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
    /// The router of that name, or any.
    async fn find(link: &Link, schema: &str, name: Option<&str>) -> Result<Option<Self>> {
        let sql = format!(
            "SELECT nonce, name, to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"'), process,
                 lease_until::text, (extract(epoch FROM lease_until - clock_timestamp()) * 1000)::int8
             FROM {schema}.router WHERE state IN ('up', 'drain') AND ($1 IS NULL OR name = $1)"
        );
        let rows = link.query(&sql, &[(&name, Type::TEXT)]).await.map_err(unusable::told)?;
        Ok(rows.first().map(|row| Self {
            nonce: row.get(0),
            name: row.get(1),
            since: row.get(2),
            process: row.get(3),
            until: row.get(4),
            left_ms: row.get(5),
        }))
    }

    /// Whether it may still be there, as far as its lease and this machine tell.
    fn may_live(&self) -> bool {
        self.left_ms >= 0 && !process::is_gone(&self.process)
    }

    /// Locks the row of the seat, and tells whether the lease is still the one that was seen. A holder whose transaction
    /// has the row lives.
    async fn is_idle(&self, link: &Link, schema: &str) -> bool {
        let sql = format!(
            "SELECT lease_until::text FROM {schema}.router WHERE nonce = $1 AND state IN ('up', 'drain')
             FOR UPDATE SKIP LOCKED"
        );
        let found = link.query(&sql, &[(&self.nonce, Type::TEXT)]).await;
        found.is_ok_and(|rows| rows.first().is_some_and(|row| row.get::<_, &str>(0) == self.until))
    }
}

/// The reason why a router does not get a seat again.
#[derive(Debug)]
pub(super) enum Unseated {
    /// The server did not do it, or did not say so.
    Lost(Lost),
    /// The seat is another's.
    Refused(Error),
}

impl From<tokio_postgres::Error> for Unseated {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Lost(error.into())
    }
}

impl Seat {
    /// A seat that is not taken yet, with a new secret.
    fn new(epoch: i64, name: &str) -> Result<Self> {
        Ok(Self {
            epoch,
            nonce: secret()?,
            name: name.to_owned(),
            has_recovered: false,
            seen: None,
            lost_ids: false,
            replaced: false,
            anew: false,
            earlier: Arc::default(),
            reach: None,
            next: None,
        })
    }

    /// Takes the seat of that name. Waits for the lease of a router that may be dead, and takes the seat at once if this
    /// machine knows that it is.
    ///
    /// # Errors
    /// `Conflict` names the router that has the seat.
    pub(super) async fn take(link: &Link, ground: &Ground, name: &str) -> Result<Self> {
        let mut seat = Self::new(0, name)?;
        let mut waiting = Waiting::new(ground);
        loop {
            match seat.try_take(link, ground).await? {
                Ok(()) => return Ok(seat),
                Err(holder) => waiting.look(holder, taken).await?,
            }
        }
    }

    /// Waits until no router of a version that must be alone has the schema.
    ///
    /// # Errors
    /// `Conflict` names the router.
    pub(super) async fn wait_for_older(link: &Link, ground: &Ground) -> Result<()> {
        let schema = quoted(&ground.schema);
        let mut waiting = Waiting::new(ground);
        while let Some(holder) = Holder::find(link, &schema, None).await?.filter(Holder::may_live) {
            waiting.look(holder, older).await?;
        }
        Ok(())
    }

    /// Takes the seat if it is free, in one transaction.
    async fn try_take(&mut self, link: &Link, ground: &Ground) -> Result<Result<(), Holder>> {
        let schema = quoted(&ground.schema);
        begin(link, ground).await.map_err(unusable::told)?;
        if let Some(holder) = Holder::find(link, &schema, Some(&self.name)).await?
            && (holder.may_live() || !holder.is_idle(link, &schema).await)
        {
            link.run("ROLLBACK").await.map_err(unusable::told)?;
            return Ok(Err(holder));
        }
        let gone = format!(
            "UPDATE {schema}.router SET state = 'gone', gone_at = clock_timestamp()
             WHERE name = $1 AND state IN ('up', 'drain') RETURNING epoch"
        );
        let gone = link.query(&gone, &[(&self.name, Type::TEXT)]).await.map_err(unusable::told)?;
        let earlier = format!("SELECT nonce FROM {schema}.router WHERE name = $1");
        let earlier = link.query(&earlier, &[(&self.name, Type::TEXT)]).await.map_err(unusable::told)?;
        let epoch = self.insert(link, ground, &self.nonce, 0).await.map_err(unusable::told)?;
        // Rows of which nobody asks any more.
        let tidy = named(
            "DELETE FROM $s.router r WHERE r.state = 'gone' AND r.settled
                 AND r.gone_at < clock_timestamp() - interval '1 day'
                 AND NOT EXISTS(SELECT FROM $s.task t WHERE t.owner = r.epoch AND t.ended_at IS NULL)
                 AND NOT EXISTS(SELECT FROM $s.outbox o WHERE o.owner = r.epoch AND o.pending);
             DELETE FROM $s.router WHERE state = 'visit' AND lease_until < clock_timestamp() - interval '1 hour'",
            &ground.schema,
        );
        link.run(&format!("{tidy}; COMMIT")).await.map_err(unusable::told)?;
        (self.epoch, self.replaced) = (epoch, !gone.is_empty());
        self.earlier = Arc::new(earlier.iter().map(|row| row.get(0)).collect());
        Ok(Ok(()))
    }

    /// Adds a row for a new epoch, which is greater than `after`. The caller has the lock on `meta`.
    async fn insert(
        &self,
        link: &Link,
        ground: &Ground,
        nonce: &str,
        after: i64,
    ) -> Result<i64, tokio_postgres::Error> {
        let (version, process, lease) = (env!("CARGO_PKG_VERSION"), process::own(), ground.lease.as_millis() as i64);
        let sql = named(
            "WITH next AS (UPDATE $s.meta SET last_epoch = greatest(last_epoch, $6) + 1 RETURNING last_epoch)
             INSERT INTO $s.router(epoch, nonce, name, version, process, state, last_gid, last_fence, lease_until,
                 address, certificate)
             SELECT last_epoch, $1, $2, $3, $4, 'up',
                 (SELECT coalesce(max(last_gid), 0) FROM $s.router),
                 (SELECT coalesce(max(last_fence), 0) FROM $s.router),
                 clock_timestamp() + $5 * interval '1 ms', $7, $8
             FROM next RETURNING epoch",
            &ground.schema,
        );
        let (address, certificate) = match &self.reach {
            Some(reach) => (reach.address.as_str(), Some(&reach.certificate[..])),
            None => ("", None),
        };
        let params: Params<'_> = &[
            (&nonce, Type::TEXT),
            (&self.name, Type::TEXT),
            (&version, Type::TEXT),
            (&process, Type::TEXT),
            (&lease, Type::INT8),
            (&after, Type::INT8),
            (&address, Type::TEXT),
            (&certificate, Type::BYTEA),
        ];
        let rows = link.query(&sql, params).await?;
        Ok(rows.first().map(|row| row.get(0)).unwrap_or_default())
    }

    /// Takes a place in which a program that is no router writes. It owns no task, and nobody waits for it.
    pub(super) async fn visit(link: &Link, ground: &Ground, name: &str) -> Result<Self> {
        let epoch = -1 - (i64::from_ne_bytes(random()?) & VISITORS);
        let seat = Self { has_recovered: true, ..Self::new(epoch, name)? };
        let sql = named(
            "INSERT INTO $s.router(epoch, nonce, name, version, process, state, last_gid, last_fence, lease_until)
             VALUES($1, $2, $3, $4, '', 'visit', 0, 0, clock_timestamp() + $5 * interval '1 ms')",
            &ground.schema,
        );
        let (version, lease) = (env!("CARGO_PKG_VERSION"), ground.lease.as_millis() as i64);
        let params: Params<'_> = &[
            (&epoch, Type::INT8),
            (&seat.nonce, Type::TEXT),
            (&seat.name, Type::TEXT),
            (&version, Type::TEXT),
            (&lease, Type::INT8),
        ];
        link.query(&sql, params).await.map_err(unusable::told)?;
        Ok(seat)
    }

    fn is_visitor(&self) -> bool {
        self.epoch < 0
    }

    /// Renews the lease.
    pub(super) async fn renew(&self, link: &Link, ground: &Ground) -> Result<(), Failed> {
        let lease = ground.lease.as_millis() as i64;
        let renewed = link.query(&ground.sql.beat, &[(&self.nonce, Type::TEXT), (&lease, Type::INT8)]).await?;
        if renewed.is_empty() { Err(Failed::Deposed) } else { Ok(()) }
    }

    /// Takes a new seat after another router has declared this one gone, and with it those of its open tasks that nobody
    /// has claimed. Gives whether the ids that it was given are still its own.
    pub(super) async fn take_again(&mut self, link: &Link, ground: &Ground) -> Result<bool, Unseated> {
        if self.is_visitor() {
            let words = "the database was away for too long: try again";
            return Err(Unseated::Refused(Error::store(words)));
        }
        // The batch's writes under the old seat were sent together with the question whether it holds.
        link.run("ROLLBACK").await?;
        begin(link, ground).await?;
        let sql = named(
            "SELECT epoch, nonce, name FROM $s.router WHERE name = $1 AND state IN ('up', 'drain')",
            &ground.schema,
        );
        if let Some(row) = link.query(&sql, &[(&self.name, Type::TEXT)]).await?.first() {
            let (epoch, nonce): (i64, String) = (row.get(0), row.get(1));
            if self.earlier.contains(&nonce) {
                // A failover has lost this start, and brought back one before it.
                let gone = named(
                    "UPDATE $s.router SET state = 'gone', gone_at = clock_timestamp() WHERE nonce = $1",
                    &ground.schema,
                );
                link.query(&gone, &[(&nonce, Type::TEXT)]).await?;
                self.replaced = true;
            } else {
                link.run("ROLLBACK").await?;
                if self.next.as_ref() != Some(&nonce) {
                    return Err(Unseated::Refused(deposed(&self.name)));
                }
                // The transaction before was committed, and its answer lost.
                self.sit(epoch, nonce);
                return Ok(false);
            }
        }
        let nonce = secret().map_err(Unseated::Refused)?;
        self.next = Some(nonce.clone());
        // A failover may have lost the rows of members that live.
        let after = self.epoch.max(ground.heard.load(Ordering::Acquire));
        let epoch = self.insert(link, ground, &nonce, after).await?;
        let claim = named("UPDATE $s.task SET owner = $1 WHERE ended_at IS NULL AND owner = $2", &ground.schema);
        link.query(&claim, &[(&epoch, Type::INT8), (&self.epoch, Type::INT8)]).await?;
        let posts = named("UPDATE $s.outbox SET owner = $1 WHERE pending AND owner = $2", &ground.schema);
        link.query(&posts, &[(&epoch, Type::INT8), (&self.epoch, Type::INT8)]).await?;
        let inherit = named(
            "UPDATE $s.router SET settled = true WHERE nonce = $1 AND NOT settled RETURNING epoch",
            &ground.schema,
        );
        let keeps_ids = !link.query(&inherit, &[(&self.nonce, Type::TEXT)]).await?.is_empty();
        if keeps_ids {
            for table in ["session_count", "usage"] {
                let sql = named(&format!("UPDATE $s.{table} SET epoch = $1 WHERE epoch = $2"), &ground.schema);
                link.query(&sql, &[(&epoch, Type::INT8), (&self.epoch, Type::INT8)]).await?;
            }
        }
        link.run("COMMIT").await?;
        self.sit(epoch, nonce);
        Ok(keeps_ids)
    }

    fn sit(&mut self, epoch: i64, nonce: String) {
        tracing::warn!(
            epoch,
            was = self.epoch,
            "this router was declared gone, because it did not renew its lease in time: it has joined again"
        );
        let was = std::mem::replace(&mut self.nonce, nonce);
        Arc::make_mut(&mut self.earlier).insert(was);
        (self.epoch, self.next) = (epoch, None);
        // Whatever changed meanwhile is read again.
        self.seen = None;
    }

    /// Gives the seat up, and everything that belongs to it.
    pub(super) async fn leave(&self, link: &Link, ground: &Ground) -> Result<(), tokio_postgres::Error> {
        let nonce: Params<'_> = &[(&self.nonce, Type::TEXT)];
        if self.is_visitor() {
            let sql = named("DELETE FROM $s.router WHERE nonce = $1", &ground.schema);
            return link.query(&sql, nonce).await.map(drop);
        }
        begin(link, ground).await?;
        let sql = named(
            "UPDATE $s.router SET state = 'gone', gone_at = clock_timestamp() WHERE nonce = $1 AND state <> 'gone'
             RETURNING epoch",
            &ground.schema,
        );
        if !link.query(&sql, nonce).await?.is_empty() {
            let release = named("UPDATE $s.task SET owner = 0 WHERE ended_at IS NULL AND owner = $1", &ground.schema);
            link.query(&release, &[(&self.epoch, Type::INT8)]).await?;
            let posts = named("UPDATE $s.outbox SET owner = 0 WHERE pending AND owner = $1", &ground.schema);
            link.query(&posts, &[(&self.epoch, Type::INT8)]).await?;
            settle(link, &ground.schema, self.epoch).await?;
        }
        link.run("COMMIT").await
    }
}

/// Begins a transaction that changes seats. They wait for each other by the row of `meta`.
async fn begin(link: &Link, ground: &Ground) -> Result<(), tokio_postgres::Error> {
    let lease = ground.lease.as_millis();
    link.run(&format!(
        "BEGIN; SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = {lease};
         SET LOCAL idle_in_transaction_session_timeout = {lease};
         SELECT last_epoch FROM {}.meta FOR UPDATE",
        quoted(&ground.schema)
    ))
    .await
}

/// A wait for a router that may be dead.
struct Waiting {
    lease: Duration,
    from: Instant,
    seen: Option<Holder>,
}

impl Waiting {
    fn new(ground: &Ground) -> Self {
        Self { lease: ground.lease, from: Instant::now(), seen: None }
    }

    /// Waits a while, unless the holder certainly lives.
    async fn look(&mut self, holder: Holder, refusal: fn(&Holder) -> Error) -> Result<()> {
        let has_renewed =
            self.seen.as_ref().is_some_and(|seen| seen.nonce != holder.nonce || seen.until != holder.until);
        if has_renewed || self.from.elapsed() > self.lease * 2 {
            return Err(refusal(&holder));
        }
        if self.seen.is_none() {
            tracing::info!(
                holder = holder.name,
                since = holder.since,
                left_ms = holder.left_ms,
                "another start of this router may still be up: waiting for its lease to run out"
            );
        }
        let left = Duration::from_millis(u64::try_from(holder.left_ms).unwrap_or_default() + 20);
        tokio::time::sleep(left.min(LOOK)).await;
        self.seen = Some(holder);
        Ok(())
    }
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| Error::internal(format!("the system gives no random bytes: {e}")))?;
    Ok(bytes)
}

fn secret() -> Result<String> {
    Ok(hex(&random::<16>()?))
}

/// The error for a name that belongs to another router.
fn taken(holder: &Holder) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "another router called {:?} uses the database and is up since {}: give this one another name with the setting \
             `name`, or stop the other one",
            holder.name, holder.since
        ),
    )
    .with_param("name")
    .with_code("router_name_in_use")
}

/// The error for a database that a router of an older version uses.
fn older(holder: &Holder) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "the router {:?}, which is up since {}, is of an older version that cannot share the database: stop it first",
            holder.name, holder.since
        ),
    )
    .with_param("storage.url")
    .with_code("store_in_use")
}

/// The error for a router whose name another one has taken.
fn deposed(name: &str) -> Error {
    Error::store(format!(
        "another start of the router {name:?} has taken its place, because this one did not renew its lease in time: this \
         one writes nothing any more; end it, or start it again with another `name`"
    ))
    .with_code("store_taken_over")
}
