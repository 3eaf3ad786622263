//! The messages to a language.

use std::sync::Arc;

use cortensor_router::embed::{Error, error_json};

use crate::http::{HttpHeader, NativeHandler, NativeResponse};
use crate::job::NativeJob;
use crate::listener::NativeListener;
use crate::router::NativeRouter;
use crate::task::NativeTask;

/// A message to a language: the answer of a call, a job for a miner, or a record for a log. `token` is the number that
/// the language gave to the call, the miner or the log.
#[derive(uniffi::Enum)]
pub enum NativeMessage {
    /// A call has succeeded without a value, or what was waited for has come.
    Done {
        /// The call.
        token: u64,
    },
    /// A call has failed.
    Failed {
        /// The call.
        token: u64,
        /// The error as JSON.
        error: String,
    },
    /// A call has succeeded.
    Flag {
        /// The call.
        token: u64,
        /// Its answer.
        value: bool,
    },
    /// A call has succeeded.
    Text {
        /// The call.
        token: u64,
        /// Its answer, most often a record as JSON.
        text: String,
    },
    /// A router is open.
    Router {
        /// The call.
        token: u64,
        /// The router.
        router: Arc<NativeRouter>,
    },
    /// A task was submitted or found.
    Task {
        /// The call.
        token: u64,
        /// The task.
        task: Arc<NativeTask>,
        /// Its session.
        session_id: u64,
        /// Its id within its session.
        task_id: u64,
        /// Its id among all tasks of the router.
        gid: u64,
        /// Whether an idempotency key led to a task that existed already.
        joined: bool,
    },
    /// A listener serves.
    Listener {
        /// The call.
        token: u64,
        /// The listener.
        listener: Arc<NativeListener>,
    },
    /// A handler answers requests.
    Handler {
        /// The call.
        token: u64,
        /// The handler.
        handler: Arc<NativeHandler>,
    },
    /// The head of a response is there.
    Response {
        /// The call.
        token: u64,
        /// The HTTP status.
        status: u16,
        /// The header lines.
        headers: Vec<HttpHeader>,
        /// The response, whose body follows piece by piece.
        response: Arc<NativeResponse>,
    },
    /// A piece of a response's body.
    Piece {
        /// The call.
        token: u64,
        /// The piece; none after the last.
        bytes: Option<Vec<u8>>,
    },
    /// A job for a miner.
    Job {
        /// The miner.
        token: u64,
        /// The job.
        job: Arc<NativeJob>,
    },
    /// A record for a log.
    Log {
        /// The log.
        token: u64,
        /// Milliseconds since the Unix epoch.
        time_ms: u64,
        /// `error`, `warn`, `info`, `debug` or `trace`.
        level: String,
        /// The part of the router that speaks.
        target: String,
        /// The text.
        message: String,
    },
}

impl NativeMessage {
    pub(crate) fn failed(token: u64, error: &Error) -> Self {
        Self::Failed { token, error: error_json(error) }
    }

    /// Disposes of a message that nobody will read. A job goes to another miner.
    pub(crate) fn refuse(self) {
        if let Self::Job { job, .. } = self {
            job.refuse("the program of this miner takes no more jobs");
        }
    }
}
