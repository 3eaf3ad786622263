//! The signals by which a listener ends its connections.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

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
