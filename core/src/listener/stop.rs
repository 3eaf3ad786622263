//! The signals by which a listener ends its connections.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::LAST_READ;
use crate::config::ListenConfig;

/// The two signals by which a listener ends its connections, those of miners too, and the connections that are open.
#[derive(Debug, Clone, Default)]
pub(in crate::listener) struct Stop {
    /// Ends each connection after its running request.
    pub(super) graceful: CancellationToken,
    /// Ends each connection at once, together with its running request.
    pub(super) at_once: CancellationToken,
    /// A token of it lives as long as each connection.
    pub(super) open: TaskTracker,
}

impl Stop {
    /// Ends all connections: each after its running request, and at once when `listen.drain_timeout_ms` is up.
    pub(super) async fn end_all(&self, config: &ListenConfig) {
        self.graceful.cancel();
        self.open.close();
        let wait = Duration::from_millis(config.drain_timeout_ms);
        if tokio::time::timeout(wait, self.open.wait()).await.is_err() {
            tracing::warn!("{} connections were still open after listen.drain_timeout_ms", self.open.len());
            self.at_once.cancel();
            // Each connection ends by itself within that time.
            let _ = tokio::time::timeout(LAST_READ + Duration::from_secs(1), self.open.wait()).await;
        }
    }
}
