//! A submitted task in a host's hands.

use std::sync::Arc;

use super::host::Host;
use super::process::Bound;
use super::{Call, Stream, record};
use crate::Result;
use crate::router::Submission;

/// A submitted task. Dropping the last handle of a task (its streams count too) cancels it, unless it is detached.
pub struct Task {
    host: Arc<Host>,
    submission: Bound<Arc<Submission>>,
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task")
            .field("session_id", &self.session_id())
            .field("task_id", &self.task_id())
            .finish_non_exhaustive()
    }
}

impl Task {
    pub(super) fn new(host: Arc<Host>, submission: Submission) -> Self {
        Self { host, submission: Bound::new(Arc::new(submission)) }
    }

    /// The session.
    pub fn session_id(&self) -> u64 {
        self.submission.session_id().0
    }

    /// The task in its session.
    pub fn task_id(&self) -> u64 {
        self.submission.task_id().0
    }

    /// The task among all sessions.
    pub fn gid(&self) -> u64 {
        self.submission.gid().0
    }

    /// Whether an idempotency key led to a task that was there already.
    pub fn joined(&self) -> bool {
        self.submission.joined()
    }

    /// The task's record as it stands.
    pub fn record(&self) -> Call<String> {
        let submission = Arc::clone(&self.submission);
        self.host.look(move |_| async move { record::task(&submission.state()) })
    }

    /// Waits for the end and gives the completion. The call answers with the errors
    /// `Timeout`, `Cancelled`, `MinerFailed`, `InvalidArgument` (a miner refused the request), `Overloaded`, `Unavailable`.
    pub fn result(&self) -> Call<String> {
        let submission = Arc::clone(&self.submission);
        self.host.look(move |_| async move { record::completion(&submission.result().await?) })
    }

    /// Waits for the end and gives the text of the answer, which [`result`](Self::result) has as `choices[0].text`.
    pub fn text(&self) -> Call<String> {
        let submission = Arc::clone(&self.submission);
        self.host.look(move |_| async move { Ok(submission.result().await?.answer.text.into()) })
    }

    /// Its tokens after number `seq`; 0: from the first.
    pub fn stream(&self, seq: u64) -> Stream {
        Stream::new(self.host.clone(), self.submission.stream_after(seq))
    }

    /// Cancels it, whoever else waits for it.
    ///
    /// # Errors
    /// `Closed` after a fork.
    pub fn cancel(&self) -> Result<()> {
        self.host.check_process()?;
        self.submission.cancel();
        Ok(())
    }

    /// Lets the task go on when all of its handles are dropped.
    pub fn detach(&self) {
        self.submission.detach();
    }
}
