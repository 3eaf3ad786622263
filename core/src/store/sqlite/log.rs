//! Decides when the write-ahead log is written back, and when the writer waits for readers to let it start over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::options::SqliteOptions;

/// If the log has grown to this many times `checkpoint_pages`, the writer waits for readers to let it start over ...
const RESTART: u64 = 16;
/// ... for this long ...
const RESTART_WAIT: Duration = Duration::from_millis(50);
/// ... and not more often than this, because a reader may read the whole file.
const RESTART_PAUSE: Duration = Duration::from_secs(5);

/// The log of the connection that writes.
#[derive(Debug)]
pub(super) struct Log {
    /// The number of pages from which on the log is written back.
    long: u64,
    /// The time for which the connection waits for other programs.
    busy: Duration,
    /// The number of pages in the log after the last commit, which `SQLite` reports at each commit. A query would cost
    /// 10,000 instructions, more than a small batch, because it would be compiled anew each time.
    pages: Arc<AtomicU64>,
    /// The time of the last wait for readers.
    restarted: Option<Instant>,
}

impl Log {
    /// Makes the state of a log that is written back as these options say.
    pub(super) fn new(options: &SqliteOptions) -> Self {
        Self { long: options.checkpoint_pages, busy: options.busy, pages: Arc::default(), restarted: None }
    }

    /// Follows the length of a new connection's log.
    pub(super) fn watch(&self, db: &mut Connection) -> rusqlite::Result<()> {
        self.pages.store(0, Ordering::Relaxed);
        let pages = Arc::clone(&self.pages);
        db.wal_hook(Some(move |_: &mut Wal, count: i32| {
            pages.store(u64::try_from(count).unwrap_or_default(), Ordering::Relaxed);
            Ok(())
        }))
    }

    /// Writes the log back when it is long enough. Gives whether a part of it may still wait.
    ///
    /// # Errors
    /// When the connection must be given up.
    pub(super) fn care(&mut self, db: &Connection) -> rusqlite::Result<bool> {
        if self.pages.load(Ordering::Relaxed) < self.long {
            return Ok(true);
        }
        let (pages, waiting) = checkpoint(db, "NOOP")?;
        if waiting < self.long {
            return Ok(waiting > 0);
        }
        let overgrown = pages >= self.long.saturating_mul(RESTART);
        if overgrown && self.restarted.is_none_or(|at| at.elapsed() >= RESTART_PAUSE) {
            self.restarted = Some(Instant::now());
            patience(db, RESTART_WAIT);
            let left = checkpoint(db, "RESTART");
            patience(db, self.busy);
            return left.map(|(_, waiting)| waiting > 0);
        }
        checkpoint(db, "PASSIVE").map(|(_, waiting)| waiting > 0)
    }
}

fn patience(db: &Connection, wait: Duration) {
    if let Err(error) = db.busy_timeout(wait) {
        tracing::debug!(%error, "how long the store waits for others was not set");
    }
}

/// Writes the log back in that mode. Gives the pages in the log, and the number of them that still wait.
pub(super) fn checkpoint(db: &Connection, mode: &str) -> rusqlite::Result<(u64, u64)> {
    let mut statement = db.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?;
    let pages = statement.query_row([], |row| {
        let (log, back): (i64, i64) = (row.get(1)?, row.get(2)?);
        Ok((log.max(0).cast_unsigned(), (log - back).max(0).cast_unsigned()))
    });
    if let Err(error) = &pages {
        tracing::error!(%error, "the store's log cannot be written back; the store goes on with a new connection");
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::super::connection;
    use super::*;

    #[test]
    fn a_log_is_written_back_once_it_is_long() {
        let dir = tempfile::tempdir().unwrap();
        let path = super::super::place::prepare(dir.path()).unwrap();
        let mut db = connection::writer(&path, super::super::Durability::Relaxed, &SqliteOptions::default()).unwrap();
        db.execute_batch("CREATE TABLE t(x)").unwrap();
        let mut log = Log::new(&SqliteOptions { checkpoint_pages: 20, ..SqliteOptions::default() });
        log.watch(&mut db).unwrap();
        assert_eq!(log.pages.load(Ordering::Relaxed), 0);
        let mut waited = 0;
        for _ in 0..200 {
            db.execute("INSERT INTO t VALUES(zeroblob(4000))", []).unwrap();
            waited += u64::from(log.care(&db).unwrap());
            let (pages, waiting) = checkpoint(&db, "NOOP").unwrap();
            assert_eq!(pages, log.pages.load(Ordering::Relaxed));
            assert!(waiting < 20 && pages < 25, "{pages} pages, of which {waiting} wait");
        }
        assert!((100..200).contains(&waited), "{waited}");
    }
}
