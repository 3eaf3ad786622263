//! Opens connections, and sorts their errors.

use std::path::Path;
use std::time::Duration;

use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::super::Durability;
use super::options::SqliteOptions;
use super::sum::of_row;
use crate::{Error, Result};

/// Older versions have a fault that corrupts a write-ahead log when two connections write and checkpoint at once.
const OLDEST_LIBRARY: i32 = 3_051_003;

/// Refuses a version of `SQLite` that is too old.
pub(super) fn check_library(version: i32) -> Result<()> {
    if version < OLDEST_LIBRARY {
        return Err(Error::internal(format!(
            "SQLite {version} corrupts its log under load: build with rusqlite's `bundled` feature (3.51.3 or newer)"
        )));
    }
    Ok(())
}

/// Opens the connection that writes.
pub(super) fn writer(path: &Path, durability: Durability, options: &SqliteOptions) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(options.busy)?;
    db.set_prepared_statement_cache_capacity(48);
    db.pragma_update(None, "journal_mode", "WAL")?;
    set_sync(&db, durability)?;
    // The writer checkpoints after it has answered, never within a commit.
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    db.pragma_update(None, "journal_size_limit", options.log_bytes.cast_signed())?;
    db.pragma_update(None, "cache_size", -16_384)?;
    // Free pages must not keep data that a session does not retain.
    db.pragma_update(None, "secure_delete", "FAST")?;
    common(&db)?;
    Ok(db)
}

/// Opens a connection that only reads, and waits for this long for another program that holds the database.
pub(super) fn reader(path: &Path, busy: Duration) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(busy)?;
    db.pragma_update(None, "cache_size", -4_096)?;
    common(&db)?;
    Ok(db)
}

fn common(db: &Connection) -> rusqlite::Result<()> {
    // With a mapped file, an I/O error would become a signal that kills the host program.
    db.pragma_update(None, "mmap_size", 0)?;
    db.pragma_update(None, "trusted_schema", false)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    // The checksum of a row whose values a statement computes.
    db.create_scalar_function("row_sum", -1, FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC, |call| {
        Ok(of_row((0..call.len()).map(|at| call.get_raw(at))))
    })
}

/// Sets whether a commit waits for the disk.
pub(super) fn set_sync(db: &Connection, durability: Durability) -> rusqlite::Result<()> {
    let full = durability == Durability::Full;
    db.pragma_update(None, "synchronous", if full { "FULL" } else { "NORMAL" })?;
    // Only macOS uses these settings: its `fsync` does not wait for the medium.
    db.pragma_update(None, "fullfsync", full)?;
    db.pragma_update(None, "checkpoint_fullfsync", full)
}

/// The reason why one operation of a batch failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The store refuses this operation alone; the batch goes on.
    Refused(Error),
    /// The medium failed. No operation of the batch may be acknowledged.
    Medium(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        match &error {
            rusqlite::Error::SqliteFailure(cause, _) => match cause.code {
                // These errors leave the transaction as it was before the statement.
                ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch => {
                    Self::Refused(Error::internal(format!("the store cannot keep this: {error}")))
                }
                _ => Self::Medium(error),
            },
            // Errors in binding and reading values do not come from the medium.
            _ => Self::Refused(Error::internal(format!("the store cannot keep this: {error}"))),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_library_is_refused() {
        assert!(check_library(3_051_002).unwrap_err().message().contains("3.51.3"));
        check_library(rusqlite::version_number()).unwrap();
    }

    #[test]
    fn the_bounds_of_a_connection_are_those_of_the_options() {
        let dir = tempfile::tempdir().unwrap();
        let path = super::super::place::prepare(dir.path()).unwrap();
        let options = SqliteOptions { busy: Duration::from_millis(77), log_bytes: 5 << 20, ..SqliteOptions::default() };
        let db = writer(&path, Durability::Full, &options).unwrap();
        let number = |db: &Connection, pragma: &str| -> i64 {
            db.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).unwrap()
        };
        assert_eq!((number(&db, "busy_timeout"), number(&db, "journal_size_limit")), (77, 5 << 20));
        assert_eq!(number(&reader(&path, options.busy).unwrap(), "busy_timeout"), 77);
    }

    #[test]
    fn a_commit_waits_for_the_disk_as_the_durability_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = super::super::place::prepare(dir.path()).unwrap();
        for (durability, level) in [(Durability::Full, 2), (Durability::Relaxed, 1)] {
            let db = writer(&path, durability, &SqliteOptions::default()).unwrap();
            let found: i64 = db.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
            assert_eq!(found, level, "{durability:?}");
            let mode: String = db.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
            assert_eq!(mode, "wal");
        }
    }
}
