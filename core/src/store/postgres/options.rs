//! The bounds of a store in a database.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Config, RetentionConfig, StorageConfig};

/// The bounds of a [`PostgresStore`](super::PostgresStore), and what it needs beside the URL.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// The name of the router, which another one that is refused is told.
    pub name: String,
    /// The schema of the tables.
    pub schema: String,
    /// A file of certificates: the authorities to believe, instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// Writes that may wait for their commit, as for [`SqliteOptions`](crate::store::SqliteOptions).
    pub max_waiting_writes: usize,
    /// Reads that may wait.
    pub max_waiting_reads: usize,
    /// The greatest number of writes in one transaction.
    pub batch_ops: usize,
    /// Bytes of requests and answers after which a transaction accepts no more writes.
    pub batch_bytes: u64,
    /// The time for which the lease of this router holds without being renewed.
    pub lease: Duration,
    /// The time that a new task, and everything but ends, waits for a database that is away.
    pub patience: Duration,
    /// The time that the end of a task waits for a database that is away.
    pub end_patience: Duration,
    /// Bytes of ends that wait for a database that is away.
    pub waiting_bytes: u64,
    /// Rows of usage for each day, and as many again for the rest of each key.
    pub usage_rows: u64,
    /// The number of entries that the audit log keeps.
    pub audit_rows: u64,
}

impl From<&StorageConfig> for PostgresOptions {
    fn from(config: &StorageConfig) -> Self {
        let retention = RetentionConfig::default();
        Self {
            name: String::new(),
            schema: config.schema.clone(),
            ca_file: config.ca_file.clone(),
            max_waiting_writes: config.max_waiting_writes,
            max_waiting_reads: config.max_waiting_reads,
            batch_ops: config.batch_writes,
            batch_bytes: config.batch_bytes.min(MOST_BATCH_BYTES),
            lease: Duration::from_millis(config.lease_ms),
            patience: Duration::from_millis(config.max_write_wait_ms),
            end_patience: Duration::from_millis(config.max_end_wait_ms),
            waiting_bytes: config.max_waiting_bytes,
            usage_rows: retention.max_usage_rows,
            audit_rows: retention.max_audit_rows,
        }
    }
}

impl From<&Config> for PostgresOptions {
    fn from(config: &Config) -> Self {
        Self {
            name: config.name.clone(),
            usage_rows: config.retention.max_usage_rows,
            audit_rows: config.retention.max_audit_rows,
            ..Self::from(&config.storage)
        }
    }
}

/// Bytes of one batch at most: a batch is encoded in memory, and its answer is waited for.
const MOST_BATCH_BYTES: u64 = 4 << 20;

impl Default for PostgresOptions {
    /// The defaults of the section `storage` of the configuration.
    fn default() -> Self {
        Self::from(&StorageConfig::default())
    }
}
