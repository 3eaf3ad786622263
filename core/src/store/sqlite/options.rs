//! The bounds of a store in a file.

use std::time::Duration;

use crate::config::{Config, RetentionConfig, StorageConfig};

/// The bounds of a [`SqliteStore`](super::SqliteStore). The defaults suit a router that serves thousands of tasks a
/// second.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// Writes that may wait for their commit. Beyond that, a new task is refused with `Overloaded`; the end of a task
    /// only beyond four times that number. Default 32768.
    pub max_waiting_writes: usize,
    /// Reads that may wait; a further read is refused with `Overloaded`. Default 8192.
    pub max_waiting_reads: usize,
    /// The greatest number of writes in one transaction. Default 512.
    pub batch_ops: usize,
    /// Bytes of requests and answers after which a transaction accepts no more writes. Default 16 MiB.
    pub batch_bytes: u64,
    /// Pages of 4 KiB in the log from which on it is written back. Default 2000.
    pub checkpoint_pages: u64,
    /// The number of threads that read. Default 2.
    pub readers: usize,
    /// The time between two checks of an idle store's files, and between two attempts to write after a failure. Default
    /// 1 s.
    pub watch: Duration,
    /// The time to wait for another program that holds the database. Default 1 s.
    pub busy: Duration,
    /// Bytes to which the log's file is cut when the log starts over. Default 64 MiB.
    pub log_bytes: u64,
    /// Rows of usage for each day, and as many again for the rest of each key. Default 10000.
    pub usage_rows: u64,
    /// The number of entries that the audit log keeps. Default 10000.
    pub audit_rows: u64,
}

impl From<&StorageConfig> for SqliteOptions {
    fn from(config: &StorageConfig) -> Self {
        Self {
            max_waiting_writes: config.max_waiting_writes,
            max_waiting_reads: config.max_waiting_reads,
            batch_ops: config.batch_writes,
            batch_bytes: config.batch_bytes,
            checkpoint_pages: config.checkpoint_pages,
            readers: config.reader_threads,
            watch: Duration::from_millis(config.check_interval_ms),
            busy: Duration::from_millis(config.busy_timeout_ms),
            log_bytes: config.max_log_bytes,
            usage_rows: RetentionConfig::default().max_usage_rows,
            audit_rows: RetentionConfig::default().max_audit_rows,
        }
    }
}

impl From<&Config> for SqliteOptions {
    fn from(config: &Config) -> Self {
        Self {
            usage_rows: config.retention.max_usage_rows,
            audit_rows: config.retention.max_audit_rows,
            ..Self::from(&config.storage)
        }
    }
}

impl Default for SqliteOptions {
    /// The defaults of the section `storage` of the configuration.
    fn default() -> Self {
        Self::from(&StorageConfig::default())
    }
}
