//! The task that reads, on a connection of its own, so that a long page never delays a commit.
//!
//! A read waits until every write that was requested before it is settled, so a caller sees its own writes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::batch::{Ground, find};
use super::link::{Link, Lost};
use super::page;
use super::row::{self, RowError};
use super::schema::quoted;
use super::sql::{TASK, TASK_COLUMNS};
use super::target::Target;
use super::unusable;
use crate::model::{Gid, Session, SessionId, Task, TaskId, WebhookDelivery};
use crate::store::columns::{MINER, int};
use crate::store::front::Refusing;
use crate::store::queue::{AbandonOnDrop, Queue, Taken};
use crate::store::want::{Read, Want};
use crate::store::{ApiKey, Deliveries, Placed, Resolver, SessionName};
use crate::{Error, Result};

/// The state of the reader.
pub(super) struct Reader {
    pub(super) target: Target,
    pub(super) ground: Arc<Ground>,
    pub(super) queue: Arc<Queue<Read>>,
    pub(super) refusing: Refusing,
    /// The number of writes that are settled.
    pub(super) settled: watch::Receiver<u64>,
    /// The time that one read may take.
    pub(super) patience: Duration,
}

/// The reason why a read has no answer.
enum Failed {
    /// The connection may be the cause.
    Lost(Lost),
    /// The row is the cause.
    Row(RowError),
    /// There is no connection, or the store cannot settle the writes before.
    Unready(Error),
}

impl From<tokio_postgres::Error> for Failed {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Lost(error.into())
    }
}

impl From<RowError> for Failed {
    fn from(error: RowError) -> Self {
        Self::Row(error)
    }
}

impl Reader {
    /// Reads until the queue is closed.
    pub(super) async fn run(mut self) {
        let _abandon = AbandonOnDrop(Arc::clone(&self.queue));
        let mut link = None;
        loop {
            match self.queue.take(Some(Duration::ZERO), |_, _| false) {
                Taken::Idle => self.queue.filled().await,
                Taken::Closed => break,
                Taken::Items(reads) => {
                    for read in reads {
                        link = self.read(link, read).await;
                    }
                }
            }
        }
        if let Some(link) = link {
            link.end().await;
        }
    }

    /// Answers a read. Gives the connection, unless it may be the cause of a failure.
    async fn read(&mut self, link: Option<Link>, read: Read) -> Option<Link> {
        let ready = self.wait_for(read.after).await;
        let connected = match (ready, link) {
            (Err(error), link) => {
                self.refuse(error, read).await;
                return link;
            }
            (Ok(()), Some(link)) => Ok(link),
            (Ok(()), None) => self.target.connect().await,
        };
        let link = match connected {
            Ok(link) => link,
            Err(error) => {
                self.refuse(error, read).await;
                return None;
            }
        };
        if self.answer(Ok(&link), read.want).await {
            return Some(link);
        }
        link.cut();
        None
    }

    /// Refuses a read and all that were asked for behind it: each of them would wait as long for the same answer.
    async fn refuse(&self, error: Error, read: Read) {
        self.answer(Err(Failed::Unready(error.clone())), read.want).await;
        if let Taken::Items(behind) = self.queue.take(Some(Duration::ZERO), |_, _| true) {
            for read in behind {
                self.answer(Err(Failed::Unready(error.clone())), read.want).await;
            }
        }
    }

    /// Waits until that many writes are settled. While the database is away the wait is short.
    async fn wait_for(&mut self, count: u64) -> Result<()> {
        loop {
            match tokio::time::timeout(self.ground.patience, self.settled.wait_for(|settled| *settled >= count)).await {
                // A writer that has ended settles nothing more.
                Ok(_) => return Ok(()),
                Err(_) => self.refusing.reason().map_or(Ok(()), Err)?,
            }
        }
    }

    /// Answers a read. Gives `false` if the connection may be the cause of a failure.
    async fn answer(&self, connected: Result<&Link, Failed>, want: Want) -> bool {
        let ground = &*self.ground;
        match want {
            Want::Task(session, id, to) => {
                let read = async { by_id(connected?, ground, session, id).await };
                send(to, self.bounded(read).await, Some((session, id)))
            }
            Want::ByGid(gid, to) => send(to, self.bounded(async { by_gid(connected?, ground, gid).await }).await, None),
            Want::Key(key, to) => {
                let read = async { Ok::<_, Failed>(find(connected?, &ground.sql, &key).await?) };
                match self.bounded(read).await {
                    Ok(found) => {
                        // The caller may have gone.
                        let _ = to.send(found.transpose());
                        true
                    }
                    Err(error) => send(to, Err(error), None),
                }
            }
            Want::Unfinished(to) => send(to, self.bounded(async { unfinished(connected?, ground).await }).await, None),
            Want::Page(query, to) => {
                let read = async { page::of_tasks(connected?, ground, &query).await.map_err(Failed::from) };
                send(to, self.bounded(read).await, None)
            }
            Want::Keys(to) => {
                let sql = format!("SELECT id, body FROM {}.api_token ORDER BY id", quoted(&ground.schema));
                send(to, self.bounded(async { all(connected?, &sql, row::body, "key").await }).await, None)
            }
            Want::Miners(to) => {
                let sql = format!("SELECT {MINER} FROM {}.miner ORDER BY id", quoted(&ground.schema));
                send(to, self.bounded(async { all(connected?, &sql, row::miner, "miner").await }).await, None)
            }
            Want::Upstreams(to) => {
                let sql = format!("SELECT id, body FROM {}.upstream ORDER BY id", quoted(&ground.schema));
                send(to, self.bounded(async { all(connected?, &sql, row::body, "managed upstream").await }).await, None)
            }
            Want::Deliveries(of, to) => {
                send(to, self.bounded(async { deliveries(connected?, ground, &of).await }).await, None)
            }
            Want::Usage(query, to) => {
                let read = async { page::of_usage(connected?, ground, &query).await.map_err(Failed::from) };
                send(to, self.bounded(read).await, None)
            }
            Want::Audit(query, to) => {
                let read = async { page::of_audit(connected?, ground, query).await.map_err(Failed::from) };
                send(to, self.bounded(read).await, None)
            }
            Want::Orphans(wish, to) => {
                let read = async { Ok(super::deeds::orphans(connected?, &ground.schema, &wish).await?) };
                send(to, self.bounded(read).await, None)
            }
            Want::Known(gids, to) => {
                send(to, self.bounded(async { known(connected?, ground, &gids).await }).await, None)
            }
            Want::Placed(gid, to) => {
                send(to, self.bounded(async { placed(connected?, ground, gid).await }).await, None)
            }
            Want::Session(name, to) => {
                send(to, self.bounded(async { session(connected?, ground, &name).await }).await, None)
            }
            Want::ApiKey(id, to) => send(to, self.bounded(async { key(connected?, ground, &id).await }).await, None),
        }
    }

    /// Waits for an answer of the server, but not for ever.
    async fn bounded<T>(&self, read: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
        match tokio::time::timeout(self.patience, read).await {
            Ok(answer) => answer,
            Err(_) => Err(Failed::Lost(Lost::Late(self.patience))),
        }
    }
}

/// Sends the answer to a read. `ids` name the task that the read was for; `None` if it was for many. Gives `false` if the
/// connection may be the cause of a failure.
fn send<T>(to: Resolver<T>, answer: Result<T, Failed>, ids: Option<(SessionId, TaskId)>) -> bool {
    let is_sound = !matches!(answer, Err(Failed::Lost(_)));
    let answer = answer.map_err(|failed| match failed {
        Failed::Lost(error) => unusable::lost(&error),
        Failed::Row(error) => error.told(ids),
        Failed::Unready(error) => error,
    });
    // The caller may have gone.
    let _ = to.send(answer);
    is_sound
}

async fn by_id(link: &Link, ground: &Ground, session: SessionId, id: TaskId) -> Result<Option<Task>, Failed> {
    let sql = format!("SELECT {TASK} FROM {}.task WHERE session_id = $1 AND id = $2", quoted(&ground.schema));
    let rows = link.query(&sql, &[(&int(session.0), Type::INT8), (&int(id.0), Type::INT8)]).await?;
    Ok(rows.first().map(row::task).transpose()?.map(|(task, _)| task))
}

async fn by_gid(link: &Link, ground: &Ground, gid: Gid) -> Result<Option<Task>, Failed> {
    let sql = format!("SELECT {TASK} FROM {}.task WHERE gid = $1", quoted(&ground.schema));
    let rows = link.query(&sql, &[(&int(gid.0), Type::INT8)]).await?;
    Ok(rows.first().map(row::task).transpose()?.map(|(task, _)| task))
}

async fn placed(link: &Link, ground: &Ground, gid: Gid) -> Result<Option<Placed>, Failed> {
    let sql = format!("SELECT {TASK}, owner FROM {}.task WHERE gid = $1", quoted(&ground.schema));
    let rows = link.query(&sql, &[(&int(gid.0), Type::INT8)]).await?;
    let Some(found) = rows.first() else { return Ok(None) };
    let (task, owner): (_, i64) = (row::task(found)?.0, found.get(TASK_COLUMNS));
    Ok(Some(Placed { task, owner: owner.cast_unsigned(), is_own: owner == ground.epoch() }))
}

async fn known(link: &Link, ground: &Ground, gids: &[Gid]) -> Result<Vec<(Gid, bool)>, Failed> {
    let sql = format!("SELECT gid, ended_at IS NOT NULL FROM {}.task WHERE gid = ANY($1)", quoted(&ground.schema));
    let gids: Vec<i64> = gids.iter().map(|gid| int(gid.0)).collect();
    let rows = link.query(&sql, &[(&gids, Type::INT8_ARRAY)]).await?;
    Ok(rows.iter().map(|row| (Gid(row::uint(row, 0)), row.get(1))).collect())
}

async fn session(link: &Link, ground: &Ground, name: &SessionName) -> Result<Option<(Session, u64)>, Failed> {
    let select = |by: &str| format!("SELECT id, body, version FROM {}.session WHERE {by} = $1", quoted(&ground.schema));
    let rows = match name {
        SessionName::Id(id) => link.query(&select("id"), &[(&int(id.0), Type::INT8)]).await?,
        SessionName::Sid(sid) if sid.contains('\0') => Vec::new(),
        SessionName::Sid(sid) => link.query(&select("sid"), &[(sid, Type::TEXT)]).await?,
    };
    let Some(found) = rows.first() else { return Ok(None) };
    Ok(Some((row::body(found)?, row::uint(found, 2))))
}

async fn key(link: &Link, ground: &Ground, id: &str) -> Result<Option<ApiKey>, Failed> {
    // No text of the database has U+0000, and a parameter with it is an error.
    if id.contains('\0') {
        return Ok(None);
    }
    let sql = format!("SELECT id, body FROM {}.api_token WHERE id = $1", quoted(&ground.schema));
    Ok(link.query(&sql, &[(&id, Type::TEXT)]).await?.first().map(row::body).transpose()?)
}

/// The open tasks of this start.
async fn unfinished(link: &Link, ground: &Ground) -> Result<Vec<Gid>, Failed> {
    let sql =
        format!("SELECT gid FROM {}.task WHERE ended_at IS NULL AND owner = $1 ORDER BY gid", quoted(&ground.schema));
    Ok(link.query(&sql, &[(&ground.epoch(), Type::INT8)]).await?.iter().map(|found| Gid(row::uint(found, 0))).collect())
}

async fn deliveries(link: &Link, ground: &Ground, of: &Deliveries) -> Result<Vec<(Gid, WebhookDelivery)>, Failed> {
    let select = format!("SELECT gid, body FROM {}.outbox WHERE", quoted(&ground.schema));
    let rows = match of {
        Deliveries::Pending => {
            let own = format!("{select} pending AND owner = $1 ORDER BY gid");
            link.query(&own, &[(&ground.epoch(), Type::INT8)]).await?
        }
        Deliveries::Of(gids) => {
            let gids: Vec<i64> = gids.iter().map(|gid| int(gid.0)).collect();
            link.query(&format!("{select} gid = ANY($1)"), &[(&gids, Type::INT8_ARRAY)]).await?
        }
    };
    Ok(row::deliveries(&rows))
}

/// Reads all rows that can be read. A damaged row is logged and left out, so that its key or miner is refused.
async fn all<T>(link: &Link, sql: &str, read: fn(&Row) -> Result<T, RowError>, kind: &str) -> Result<Vec<T>, Failed> {
    let mut out = Vec::new();
    for found in link.query(sql, &[]).await? {
        match read(&found) {
            Ok(value) => out.push(value),
            Err(error) => {
                let id: &str = found.get(0);
                tracing::error!(id, %error, "a {kind} of the store cannot be read and is refused");
            }
        }
    }
    Ok(out)
}
