//! Tasks in a PostgreSQL database: one schema, with group commit.
//!
//! ```text
//! calls ── queue ──▶ writer ── BEGIN, lock the seat, up to 512 operations ──▶ sums, COMMIT ──▶ answers
//!       └─ queue ──▶ reader, a connection of its own, behind the writes that were asked for before
//! ```
//!
//! Both are tasks of one thread, whose runtime is the store's own. The store keeps no state in a session of the server:
//! no prepared statement, no setting, no lock that outlives a transaction, and no search path. Connections may therefore
//! go through a pooler that lends them for one transaction.
//!
//! Several routers may share a schema. Each has a seat: a row with a lease, which each of its transactions locks and
//! renews, so that one that was declared gone can commit nothing. A task has an owner, and nobody else can end it.

mod answer;
mod batch;
mod beat;
mod carried;
mod deed;
mod deeds;
mod fleet;
mod flight;
mod link;
mod options;
mod page;
mod process;
mod reader;
mod records;
mod recovery;
mod row;
mod rows;
mod schema;
mod seat;
mod server;
mod settle;
mod side;
mod sql;
mod stage;
mod sums;
mod target;
mod tls;
mod unusable;
mod usage;
mod writer;

#[cfg(test)]
mod failovers;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod members;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use tokio::sync::watch;

pub(super) use self::deed::Deed;
pub use self::options::PostgresOptions;
pub use self::server::{DatabaseReport, survey};
pub(super) use self::side::PostgresSide;
pub(crate) use self::target::way_to;

use self::batch::Ground;
use self::link::Link;
use self::reader::Reader;
use self::seat::Seat;
use self::sql::Sql;
use self::sums::UsageRows;
use self::target::Target;
use self::writer::Writer;
use super::front::{Front, Fronted};
use super::{Durability, Fleet, StoreKind};
use crate::{Error, Result};

/// A store in a database, for one of the routers that share a schema.
///
/// Dropping the store writes what is outstanding and blocks for that long; [`close`](super::Store::close) does not
/// block.
#[derive(Debug)]
pub struct PostgresStore {
    front: Front,
    durability: Durability,
    thread: Option<JoinHandle<()>>,
    ground: Arc<Ground>,
}

impl PostgresStore {
    /// Connects to the database, creates or migrates the schema if needed, and takes the seat. Blocks.
    ///
    /// # Errors
    /// `InvalidArgument` for a wrong URL and for [`Durability::Memory`]; `Conflict` if another router has the name, or a
    /// newer version of the router or another program made the schema; `Unavailable` if the database cannot be used.
    pub fn open(url: &str, durability: Durability, options: PostgresOptions) -> Result<Self> {
        Self::start(url, durability, options, true)
    }

    /// Connects to the database for a program that is no router: it reads and writes keys and other records, and takes no
    /// seat. Blocks.
    ///
    /// # Errors
    /// Those of [`open`](Self::open), but not that a router has the name.
    pub fn visit(url: &str, durability: Durability, options: PostgresOptions) -> Result<Self> {
        Self::start(url, durability, options, false)
    }

    fn start(url: &str, durability: Durability, options: PostgresOptions, is_router: bool) -> Result<Self> {
        if durability == Durability::Memory {
            return Err(Error::invalid(
                "storage.durability",
                "a store in a database is `full` or `relaxed`; for `memory` leave storage.url out",
            ));
        }
        let target = Target::of(url, options.ca_file.as_deref(), options.patience)?;
        let front = Front::new(options.max_waiting_writes, options.max_waiting_reads, "database");
        let ground = Arc::new(Ground {
            sql: Sql::of(&options.schema),
            schema: options.schema.clone(),
            durability,
            audit_rows: options.audit_rows,
            lease: options.lease,
            patience: options.patience,
            epoch: AtomicI64::new(0),
            heard: AtomicI64::new(0),
            answered: AtomicU64::new(0),
            #[cfg(test)]
            asleep: std::sync::atomic::AtomicBool::default(),
            #[cfg(test)]
            killed: std::sync::atomic::AtomicBool::default(),
        });
        let (settled, settling) = watch::channel(0);
        let reader = Reader {
            target: target.clone(),
            ground: Arc::clone(&ground),
            queue: Arc::clone(&front.reads),
            refusing: front.refusing.clone(),
            settled: settling,
            patience: options.end_patience,
        };
        let (queue, refusing, commits) = (Arc::clone(&front.writes), front.refusing.clone(), front.commits.clone());
        let (opened, opening) = mpsc::channel();
        let kept = Arc::clone(&ground);
        let work = async move {
            let (link, seat) = match take_seat(&target, &ground, &options.name, is_router).await {
                Ok(taken) => taken,
                Err(error) => return drop(opened.send(Err(error))),
            };
            ground.epoch.store(seat.epoch, Ordering::Release);
            let writer = Writer {
                usage: UsageRows::new(options.usage_rows),
                options,
                target,
                ground,
                queue,
                refusing,
                commits,
                settled,
                seat,
                number: 0,
                flights: VecDeque::new(),
                owed: 0,
                closing: None,
            };
            if opened.send(Ok(())).is_ok() {
                tokio::join!(writer.run(link), reader.run());
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Error::store(format!("its runtime cannot be started: {e}")))?;
        let thread = thread::Builder::new()
            .name("router-store-p".to_owned())
            .spawn(move || runtime.block_on(work))
            .map_err(|e| Error::store(format!("a thread cannot be started: {e}")))?;
        match opening.recv() {
            Ok(Ok(())) => Ok(Self { front, durability, thread: Some(thread), ground: kept }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::internal("opening the store panicked")),
        }
    }
}

/// Makes sure that the database can be used, and takes a seat.
async fn take_seat(target: &Target, ground: &Ground, name: &str, is_router: bool) -> Result<(Link, Seat)> {
    let link = target.connect().await?;
    server::check(&link, target).await?;
    if schema::version(&link, &ground.schema).await?.is_some_and(|version| version.found < schema::SHARED) {
        Seat::wait_for_older(&link, ground).await?;
    }
    schema::migrate(&link, &ground.schema).await?;
    let seat =
        if is_router { Seat::take(&link, ground, name).await? } else { Seat::visit(&link, ground, name).await? };
    Ok((link, seat))
}

impl Fronted for PostgresStore {
    const KIND: StoreKind = StoreKind::Postgres;

    fn front(&self) -> &Front {
        &self.front
    }

    fn durability(&self) -> Durability {
        self.durability
    }

    fn answered(&self) -> u64 {
        self.ground.answered.load(Ordering::Acquire)
    }

    fn announce(&self, _: &str) -> Result<()> {
        Ok(())
    }

    fn fleet(&self) -> Option<&dyn Fleet> {
        Some(self)
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        drop(self.front.close());
        if let Some(thread) = self.thread.take() {
            // The panic hook has reported a panic of that thread.
            let _ = thread.join();
        }
    }
}
