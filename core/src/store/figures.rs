//! The figures of a store that writes in batches, as metrics show them.

use std::time::Duration;

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// The times and sizes of a store's batches. A clone counts together with the others.
#[derive(Debug, Clone)]
pub struct Commits {
    /// The seconds of each batch, from its first statement until its commit is answered.
    pub seconds: Histogram,
    /// The number of operations in each batch.
    pub operations: Histogram,
}

impl Default for Commits {
    fn default() -> Self {
        Self {
            seconds: Histogram::new(exponential_buckets(0.000_05, 2.0, 18)),
            operations: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
        }
    }
}

impl Commits {
    /// Counts a batch that was committed.
    pub(super) fn done(&self, operations: usize, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
        self.operations.observe(operations as f64);
    }
}

/// The figures of a store at present.
#[derive(Debug, Clone)]
pub struct StoreFigures {
    /// Its batches so far.
    pub commits: Commits,
    /// The writes that have no answer yet.
    pub waiting: u64,
}
