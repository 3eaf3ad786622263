//! Where tasks are kept, and how long.

use std::num::NonZeroU64;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::Durability;
use crate::secrecy::shown_url;
use crate::{Error, Result};

documented! {
/// Where tasks are kept.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageConfig {
    /// The directory of the SQLite file. Without it and `url` tasks are kept in memory; `serve` uses the platform's data
    /// directory.
    pub data_dir: Option<PathBuf>,
    /// The PostgreSQL database that keeps the tasks, instead of a file: `postgres://USER:PASSWORD@HOST:5432/DATABASE`.
    /// Connections are encrypted and verified, but to this machine, or with `?sslmode=disable`. It needs a program that
    /// was built with the feature `postgres`, which all packages have.
    #[serde(skip_serializing)]
    #[serde(deserialize_with = "crate::model::absent::text::deserialize")]
    pub url: Option<String>,
    /// The schema of the tables in the database of `url`; it is created if it does not exist. Default `cortensor`.
    pub schema: String,
    /// A file of certificates (PEM): the authorities to believe for the database's TLS, instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// The events that an acknowledged task survives: `full` (power loss), `relaxed` (the end of the process) or
    /// `memory` (nothing). Default `full`.
    pub durability: Durability,
    /// Writes that may wait for the disk; a new task beyond it is refused with 429 `store_overloaded`, the end of a
    /// task only beyond four times as many. Default 32768.
    pub max_waiting_writes: usize,
    /// Reads that may wait; a further one is refused with 429 `store_overloaded`. Default 8192.
    pub max_waiting_reads: usize,
    /// Writes that one transaction takes at most. Default 512.
    pub batch_writes: usize,
    /// Bytes of requests and answers after which a transaction takes no further write. Default 16 MiB.
    pub batch_bytes: u64,
    /// Pages of 4 KiB in the write-ahead log after which they are written to the database itself. Default 2000.
    pub checkpoint_pages: u64,
    /// Threads that read, 1 to 64. Default 2.
    pub reader_threads: usize,
    /// Milliseconds between two looks of an idle store at its files, and between two tries to write after a failure.
    /// The router waits no longer before it writes the end of a task again that the store has refused. Default 1000.
    pub check_interval_ms: u64,
    /// Milliseconds to wait for another program that holds the database, for example while it copies it; at most
    /// 60000. Default 1000.
    pub busy_timeout_ms: u64,
    /// Bytes to which the file of the write-ahead log is cut when the log starts over. Default 64 MiB.
    pub max_log_bytes: u64,
    /// Milliseconds for which a router may use the database of `url` without renewing its lease, which it does ten times
    /// within that time. Later the other routers declare it gone and take its tasks over. At least 1000. Default 10000.
    pub lease_ms: u64,
    /// Milliseconds that a new task waits for a database that is away, before it is refused with 503; also those that one
    /// answer of the database may take. Default 2000.
    pub max_write_wait_ms: u64,
    /// Milliseconds that the end of a task waits for a database that is away. After that its callers get a 503, and the
    /// router writes the end later. Default 60000.
    pub max_end_wait_ms: u64,
    /// Bytes of writes that wait for a database that is away; further ones are refused with 503. Default 64 MiB.
    pub max_waiting_bytes: u64,
}
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            data_dir: None,
            url: None,
            schema: "cortensor".into(),
            ca_file: None,
            durability: Durability::Full,
            max_waiting_writes: 32_768,
            max_waiting_reads: 8_192,
            batch_writes: 512,
            batch_bytes: 16 << 20,
            checkpoint_pages: 2_000,
            reader_threads: 2,
            check_interval_ms: 1_000,
            busy_timeout_ms: 1_000,
            max_log_bytes: 64 << 20,
            lease_ms: 10_000,
            max_write_wait_ms: 2_000,
            max_end_wait_ms: 60_000,
            max_waiting_bytes: 64 << 20,
        }
    }
}

/// Shows nothing of the URL that may be secret.
impl std::fmt::Debug for StorageConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StorageConfig")
            .field("data_dir", &self.data_dir)
            .field("url", &self.url.as_deref().map(shown_url))
            .field("schema", &self.schema)
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

impl StorageConfig {
    /// The durability in force: without a data directory and a database it is `memory`.
    pub fn effective_durability(&self) -> Durability {
        if self.data_dir.is_none() && self.url.is_none() { Durability::Memory } else { self.durability }
    }

    /// Checks the settings of a database.
    fn validate_database(&self) -> Result<()> {
        check_schema(&self.schema)?;
        let Some(url) = &self.url else {
            return match &self.ca_file {
                Some(_) => Err(Error::invalid("storage.ca_file", "storage.ca_file needs storage.url")),
                None => Ok(()),
            };
        };
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            let words = "storage.url must begin with postgres://, as in postgres://USER:PASSWORD@HOST:5432/DATABASE";
            return Err(Error::invalid("storage.url", words));
        }
        if self.data_dir.is_some() {
            let words = "storage.url and storage.data_dir exclude each other: tasks are in one place";
            return Err(Error::invalid("storage.url", words));
        }
        if self.durability == Durability::Memory {
            let words = "storage.durability must be full or relaxed with storage.url; for memory leave storage.url out";
            return Err(Error::invalid("storage.durability", words));
        }
        if !cfg!(feature = "postgres") {
            let words = "this program cannot use PostgreSQL: use a package, or build it with `--features full` (a library: \
                         with the feature postgres), or remove storage.url";
            return Err(Error::invalid("storage.url", words));
        }
        Ok(())
    }

    pub(super) fn validate(&self) -> Result<()> {
        self.validate_database()?;
        for (key, value, most) in [
            ("max_waiting_writes", self.max_waiting_writes as u64, u64::MAX),
            ("max_waiting_reads", self.max_waiting_reads as u64, u64::MAX),
            ("batch_writes", self.batch_writes as u64, u64::MAX),
            ("batch_bytes", self.batch_bytes, u64::MAX),
            ("checkpoint_pages", self.checkpoint_pages, u64::MAX),
            ("reader_threads", self.reader_threads as u64, 64),
            ("check_interval_ms", self.check_interval_ms, u64::MAX),
            ("busy_timeout_ms", self.busy_timeout_ms, 60_000),
            ("max_log_bytes", self.max_log_bytes, i64::MAX.cast_unsigned()),
            ("lease_ms", self.lease_ms, 600_000),
            ("max_write_wait_ms", self.max_write_wait_ms, 600_000),
            ("max_end_wait_ms", self.max_end_wait_ms, 3_600_000),
            ("max_waiting_bytes", self.max_waiting_bytes, u64::MAX),
        ] {
            if value == 0 || value > most {
                let range = if most == u64::MAX { "at least 1".to_owned() } else { format!("1 to {most}") };
                return Err(Error::invalid(format!("storage.{key}"), format!("storage.{key} must be {range}")));
            }
        }
        if self.lease_ms < 1_000 {
            return Err(Error::invalid("storage.lease_ms", "storage.lease_ms must be 1000 to 600000"));
        }
        Ok(())
    }
}

documented! {
/// How long ended tasks and closed sessions are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Seconds that an ended task is kept. Default 604800 (7 days).
    pub max_age_secs: u64,
    /// Bytes of requests and results of ended tasks; beyond it the oldest are deleted. 0: no bound. Default 8 GiB.
    #[serde(with = "super::absent")]
    pub max_bytes: Option<NonZeroU64>,
    /// The bound `max_bytes` of a router that keeps its tasks in memory. 0: no bound. Default 64 MiB.
    #[serde(with = "super::absent")]
    pub max_memory_bytes: Option<NonZeroU64>,
    /// Seconds that a closed session is kept after it was closed or last changed. It stays as long as one of its tasks
    /// is kept; then it is deleted, and a later request for it answers 404. Default 604800 (7 days).
    pub closed_session_secs: u64,
    /// Seconds between two rounds of deletion. Default 60.
    pub interval_secs: u64,
    /// Days for which usage is kept, at least 32, because the limits of a month are counted from it. Default 400.
    pub usage_days: u64,
    /// Rows of usage for each day: one for each key, session, model and miner that belong together. Tasks beyond it are
    /// counted under their key and `other`, in as many rows again, and then under `other` alone. It must not be less
    /// than the number of keys with limits. Default 10000.
    pub max_usage_rows: u64,
    /// Days for which entries of the audit log are kept. Default 400.
    pub audit_days: u64,
    /// Entries of the audit log; beyond it the oldest are deleted. Default 10000.
    pub max_audit_rows: u64,
}
}

/// Checks the name of a schema, which stands in statements as it is.
pub(crate) fn check_schema(schema: &str) -> Result<()> {
    let name = schema.as_bytes();
    let is_name = name.len() <= 63
        && name.first().is_some_and(|first| first.is_ascii_lowercase() || *first == b'_')
        && name.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_')
        && !schema.starts_with("pg_");
    if !is_name {
        return Err(Error::invalid(
            "storage.schema",
            "storage.schema must be a name of lower-case letters, digits and _, which does not begin with a digit or \
             pg_: cortensor",
        ));
    }
    Ok(())
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            max_age_secs: 7 * 24 * 3_600,
            max_bytes: NonZeroU64::new(8 << 30),
            max_memory_bytes: NonZeroU64::new(64 << 20),
            closed_session_secs: 7 * 24 * 3_600,
            interval_secs: 60,
            usage_days: 400,
            max_usage_rows: 10_000,
            audit_days: 400,
            max_audit_rows: 10_000,
        }
    }
}

impl RetentionConfig {
    pub(super) fn validate(&self) -> Result<()> {
        for (key, value, least) in [
            ("usage_days", self.usage_days, 32),
            ("max_usage_rows", self.max_usage_rows, 1),
            ("audit_days", self.audit_days, 1),
            ("max_audit_rows", self.max_audit_rows, 1),
        ] {
            if value < least {
                let key = format!("retention.{key}");
                return Err(Error::invalid(key.clone(), format!("{key} must be at least {least}")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::Config;

    #[test]
    fn a_store_without_room_or_with_too_many_threads_is_refused_by_name() {
        for (key, wrong) in [
            ("batch_writes", 0),
            ("max_waiting_reads", 0),
            ("reader_threads", 65),
            ("busy_timeout_ms", 60_001),
            ("max_log_bytes", 0),
        ] {
            let error = Config::from_toml(&format!("[storage]\n{key} = {wrong}")).unwrap_err();
            assert_eq!(error.details().param.as_deref(), Some(&*format!("storage.{key}")), "{error}");
        }
        for (key, wrong) in [("usage_days", 31), ("max_usage_rows", 0), ("audit_days", 0), ("max_audit_rows", 0)] {
            let error = Config::from_toml(&format!("[retention]\n{key} = {wrong}")).unwrap_err();
            assert_eq!(error.details().param.as_deref(), Some(&*format!("retention.{key}")), "{error}");
        }
        let few = Config::from_toml("[storage]\nreader_threads = 64\ncheck_interval_ms = 1").unwrap();
        assert_eq!((few.storage.reader_threads, few.storage.check_interval_ms), (64, 1));
    }
}
