//! The state that every request sees.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::auth::Auth;
use super::machine::Machine;
use super::stop::Stop;
use super::traffic::Traffic;
use super::trials::Trials;
use crate::Router;
use crate::config::ListenConfig;
use crate::model::NodeStatus;

/// The state that all requests of one listener share. Cheap to clone.
#[derive(Clone)]
pub(in crate::listener) struct AppState {
    pub(in crate::listener) router: Router,
    pub(in crate::listener) config: Arc<ListenConfig>,
    pub(in crate::listener) auth: Arc<Auth>,
    pub(in crate::listener) machine: Arc<Machine>,
    pub(in crate::listener) traffic: Arc<Traffic>,
    /// The quotas of callers that try the router without a token.
    pub(in crate::listener) trials: Arc<Trials>,
    /// The end of the listener.
    pub(in crate::listener) stop: Stop,
    /// Whether hyper serves every request. Tests compare its answers with those of the native path.
    pub(in crate::listener) general: bool,
    /// Permits for miners that have not yet identified themselves.
    pub(in crate::listener) handshakes: Arc<Semaphore>,
    /// The sessions of clients of the Model Context Protocol.
    #[cfg(feature = "mcp")]
    pub(in crate::listener) mcp: Arc<super::mcp::Sessions>,
}

impl AppState {
    /// The router's state, with the load of its machine.
    pub(in crate::listener) fn status(&self) -> NodeStatus {
        let mut status = self.router.status();
        (status.cpu_usage, status.memory_usage) = self.machine.usage();
        status
    }
}
