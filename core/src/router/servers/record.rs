//! A model server as the API shows it.

use serde::Serialize;

use super::plan::Phase;
use super::state::Server;
use crate::model::Timestamp;

/// A model server that the router starts itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = ModelServer)]
pub(in crate::router) struct ServerRecord {
    /// Its group, of which one server runs at a time; null: it has none.
    group: Option<String>,
    /// Unix seconds at which its present state began; null: it was never started.
    since: Option<u64>,
    /// Unix seconds since which it has had no task; null: it has one, or is not ready.
    idle_since: Option<u64>,
    /// The milliseconds without a task after which it is stopped; 0: it runs on.
    idle_stop_ms: u64,
    /// The number of its starts.
    starts: u64,
    /// The milliseconds that its last start took; null: it never got ready.
    start_took_ms: Option<u64>,
    /// Its failures in a row. A minute in which it is ready ends the row.
    failures: u32,
    /// Unix seconds from which on it may be started again; null: it did not fail.
    retry_at: Option<u64>,
    /// The last lines that it wrote in its present run, or in its last one, oldest first.
    output: Vec<String>,
}

impl Server {
    /// The server as it is now.
    pub(in crate::router) fn record(&self, in_flight: u32, now: Timestamp) -> ServerRecord {
        let standing = self.standing.lock();
        let (is_ready, has_failed) = (standing.phase == Phase::Ready, standing.phase == Phase::Failed);
        let secs = |at: Timestamp| (at.0 > 0).then_some(at.as_secs());
        ServerRecord {
            group: self.group.as_deref().map(str::to_owned),
            since: secs(standing.since),
            idle_since: secs(standing.busy_at).filter(|_| is_ready && in_flight == 0),
            idle_stop_ms: self.idle_stop_ms,
            starts: standing.starts,
            start_took_ms: (standing.took_ms > 0).then_some(standing.took_ms),
            failures: standing.failures_by(now),
            retry_at: secs(standing.retry_at).filter(|_| has_failed),
            output: self.launch.output(),
        }
    }
}
